//! Uniqos: a refresh, two tabs at once, a lost answer, a thief.

use uniqos_refresh::policy::COOKIE_NAME;

use super::{Expected, OWNER, Play, THIEF, next_cookie};
use crate::failure::Failure;

const TOKENS: Expected<'static> = Expected {
    text: "200 with a new cookie",
    is: &|answer| answer.status == 200 && answer.kept_cookie(COOKIE_NAME).is_some(),
};
const SIGNED_OUT: Expected<'static> = Expected {
    text: "401 with the cookie cleared",
    is: &|answer| answer.status == 401 && answer.clears_cookie(COOKIE_NAME),
};

pub(super) async fn perform(play: &mut Play<'_>) -> Result<(), Failure> {
    let opened = play.open().await?;
    let window = play.window().await?;
    let cookie = opened.cookie();
    let call = play.call();
    let with = |cookie: &str| call.clone().cookie(cookie);

    let first = play.scene("a refresh: the token is rotated", OWNER, with(&cookie), TOKENS).await?;
    let first = next_cookie(&first, COOKIE_NAME, &cookie);

    let (one, other) = tokio::join!(with(&first).by(OWNER).answered(), with(&first).by(OWNER).answered());
    let (one, other) = (one?, other?);
    let second = next_cookie(&other, COOKIE_NAME, &first);
    play.note("two tabs at once, the one: rotated or reissued", OWNER, TOKENS, one);
    play.note("two tabs at once, the other: neither is signed out", OWNER, TOKENS, other);

    play.scene("a refresh whose answer gets lost", OWNER, with(&second), TOKENS).await?;
    let third = play.scene("its retry with the old cookie: believed", OWNER, with(&second), TOKENS).await?;
    let third = next_cookie(&third, COOKIE_NAME, &second);

    play.wait_out(window).await;

    play.scene("a thief replays the old cookie: reuse, the family is sealed", THIEF, with(&second), SIGNED_OUT).await?;
    play.scene("the owner's newest cookie is dead too: sign in again", OWNER, with(&third), SIGNED_OUT).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::answer;
    use super::*;

    #[test]
    fn an_answer_holds_only_with_its_cookie() {
        let new = ["uniqos_refresh=a.b.c; Max-Age=9"];
        let cleared = ["uniqos_refresh=; Max-Age=0"];
        assert!((TOKENS.is)(&answer(200, &new, "")));
        assert!(!(TOKENS.is)(&answer(200, &["other=1"], "")));
        assert!((SIGNED_OUT.is)(&answer(401, &cleared, "")));
        assert!(!(SIGNED_OUT.is)(&answer(401, &new, "")));
        assert!(!(SIGNED_OUT.is)(&answer(500, &cleared, "")));
    }
}
