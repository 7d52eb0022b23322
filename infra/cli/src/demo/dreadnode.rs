//! Dreadnode: a refresh by cookie that shows the user's organizations, a lost answer, a client that sends its token in
//! the body, a replay.

use dreadnode_refresh::policy::{ACCESS_COOKIE_NAME, REFRESH_TOKEN};
use rondo_shared::directory;
use rondo_shared::store::Meter;
use rondo_shared::store::item::Membership;
use serde_json::{Value, json};

use super::{Expected, OWNER, Play, THIEF, next_cookie};
use crate::exchange::Answer;
use crate::failure::Failure;

const SIGNED_OUT: Expected<'static> = Expected {
    text: "401 authentication_error with both cookies cleared",
    is: &|answer| {
        answer.status == 401
            && answer.error_code().as_deref() == Some("authentication_error")
            && [REFRESH_TOKEN, ACCESS_COOKIE_NAME].iter().all(|name| answer.clears_cookie(name))
    },
};

pub(super) async fn perform(play: &mut Play<'_>) -> Result<(), Failure> {
    let opened = play.open().await?;
    let window = play.window().await?;
    let cookie = opened.cookie();
    let call = play.call();
    let with = |cookie: &str| call.clone().cookie(cookie);
    let store = play.target.store();
    let orgs = directory::memberships(&play.tenant, &play.arguments.user, store, &Meter::default()).await?;
    let is_tokens = |answer: &Answer| has_tokens(answer) && shows(answer, &orgs);
    let tokens = Expected { text: "200 with both cookies and the user's organizations", is: &is_tokens };

    let what = "a refresh: the token is rotated, and the organizations are shown";
    let first = play.scene(what, OWNER, with(&cookie), tokens).await?;
    let first = next_cookie(&first, REFRESH_TOKEN, &cookie);

    play.scene("a refresh whose answer gets lost", OWNER, with(&first), tokens).await?;
    let second = play.scene("its retry with the old cookie: believed", OWNER, with(&first), tokens).await?;
    let second = next_cookie(&second, REFRESH_TOKEN, &first);

    let (_, token) = second.split_once('=').unwrap_or_default();
    let by_body = call.clone().json(&json!({REFRESH_TOKEN: token}));
    let third =
        play.scene("a client that sends its token in the body gets cookies too", OWNER, by_body, tokens).await?;
    let third = next_cookie(&third, REFRESH_TOKEN, &second);

    play.wait_out(window).await;

    play.scene("a thief replays the old cookie: reuse, the family is sealed", THIEF, with(&first), SIGNED_OUT).await?;
    play.scene("the owner's newest cookie is dead too: sign in again", OWNER, with(&third), SIGNED_OUT).await?;
    Ok(())
}

fn has_tokens(answer: &Answer) -> bool {
    let has_cookies = [REFRESH_TOKEN, ACCESS_COOKIE_NAME].iter().all(|name| answer.kept_cookie(name).is_some());
    answer.status == 200 && has_cookies && answer.text("/access_token").is_some()
}

/// Whether the answer names the organizations, and the default one, as the directory has them.
fn shows(answer: &Answer, memberships: &[Membership]) -> bool {
    let shown = |membership: &Membership| json!({"key": membership.org, "name": membership.name});
    let default = memberships.iter().find(|membership| membership.is_default).map_or(Value::Null, shown);
    let (body, orgs) = (answer.json(), memberships.iter().map(shown).collect());
    body.get("orgs") == Some(&Value::Array(orgs)) && body.get("default_org") == Some(&default)
}

#[cfg(test)]
mod tests {
    use super::super::tests::answer;
    use super::*;
    use rondo_shared::identity::OrgKey;

    #[test]
    fn an_answer_holds_only_with_the_organizations_that_the_directory_has() {
        let member = |is_default| Membership { org: OrgKey::new("acme").unwrap(), name: "Acme".to_owned(), is_default };
        let body =
            r#"{"access_token":"t","default_org":{"key":"acme","name":"Acme"},"orgs":[{"key":"acme","name":"Acme"}]}"#;
        let answer = answer(200, &[], body);
        assert!(shows(&answer, &[member(true)]));
        assert!(!shows(&answer, &[member(false)]));
        assert!(!shows(&answer, &[]));
    }

    #[test]
    fn an_answer_holds_only_with_both_cookies() {
        let (refresh, access) = ("refresh_token=a.b.c; Path=/", "access_token=a.b.c; Path=/");
        let body = r#"{"access_token":"a.b.c"}"#;
        assert!(has_tokens(&answer(200, &[refresh, access], body)));
        assert!(!has_tokens(&answer(200, &[refresh], body)));
        let cleared = ["refresh_token=; Max-Age=0", "access_token=; Max-Age=0"];
        assert!((SIGNED_OUT.is)(&answer(401, &cleared, r#"{"code":401,"type":"authentication_error"}"#)));
        assert!(!(SIGNED_OUT.is)(&answer(401, &cleared[..1], r#"{"code":401,"type":"authentication_error"}"#)));
    }
}
