//! Elastic: a password opens a session; its one token is refreshed, and the old one goes on to be believed until its
//! successor is used. No window is waited for.

use rondo_shared::identity::FamilyId;
use rondo_shared::token::UnverifiedToken;

use super::{Expected, OWNER, Play, THIEF};
use crate::dev::scene::PASSWORD;
use crate::exchange::Answer;
use crate::failure::Failure;

const TOKEN: Expected<'static> = Expected {
    text: "200 with a token and its time",
    is: &|answer| {
        let has_time = answer.text("/session_expiration_time").is_some();
        answer.status == 200 && has_time && token_of(answer).is_some()
    },
};
const UNAUTHORIZED: Expected<'static> = Expected {
    text: "401 root.unauthorized",
    is: &|answer| answer.status == 401 && answer.error_code().as_deref() == Some("root.unauthorized"),
};

pub(super) async fn perform(play: &mut Play<'_>) -> Result<(), Failure> {
    play.window().await?;
    let call = play.call();
    let name = play.arguments.user.as_str();
    let with = |token: &str| call.clone().bearer(token);

    play.scene("a wrong password opens nothing", OWNER, call.clone().basic(name, "wrong"), UNAUTHORIZED).await?;
    let what = "a name and a password open a session";
    let opened = play.scene(what, OWNER, call.clone().basic(name, PASSWORD), TOKEN).await?;
    let Some(zeroth) = token_of(&opened) else { return Ok(()) };
    play.family = family_of(&zeroth);

    play.scene("a refresh whose answer gets lost", OWNER, with(&zeroth), TOKEN).await?;
    let what = "its retry with the old token: believed, since the successor is unused";
    let first = play.scene(what, OWNER, with(&zeroth), TOKEN).await?;
    let Some(first) = token_of(&first) else { return Ok(()) };
    let second = play.scene("the successor is refreshed, and so used", OWNER, with(&first), TOKEN).await?;
    let Some(second) = token_of(&second) else { return Ok(()) };

    play.scene("a thief replays the old token: reuse, the family is sealed", THIEF, with(&zeroth), UNAUTHORIZED)
        .await?;
    play.scene("the owner's newest token is dead too: sign in again", OWNER, with(&second), UNAUTHORIZED).await?;
    Ok(())
}

fn token_of(answer: &Answer) -> Option<String> {
    answer.text("/token")
}

fn family_of(token: &str) -> Option<FamilyId> {
    Some(UnverifiedToken::parse(token).ok()?.claims_unverified()?.sid)
}

#[cfg(test)]
mod tests {
    use super::super::tests::answer;
    use super::*;

    #[test]
    fn an_answer_holds_only_with_a_token_and_its_time() {
        let body = r#"{"token":"a.b.c","session_expiration_time":"2026-11-21T23:58:13.302Z"}"#;
        assert!((TOKEN.is)(&answer(200, &[], body)));
        assert!(!(TOKEN.is)(&answer(200, &[], r#"{"token":"a.b.c"}"#)));
        assert!(!(TOKEN.is)(&answer(500, &[], body)));
        let errors = |code: &str| format!(r#"{{"errors":[{{"code":"{code}","message":"m"}}]}}"#);
        assert!((UNAUTHORIZED.is)(&answer(401, &[], &errors("root.unauthorized"))));
        assert!(!(UNAUTHORIZED.is)(&answer(401, &[], &errors("root.other"))));
    }
}
