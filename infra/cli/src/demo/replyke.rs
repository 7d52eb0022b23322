//! Replyke: one token that is good as often as it is presented, in its own project, until its session is ended.

use rondo_shared::moment::Moment;
use rondo_shared::session;
use rondo_shared::store::Meter;
use rondo_shared::store::item::Cause;
use serde_json::{Value, json};

use super::{Expected, OWNER, Play};
use crate::exchange::{Answer, Call};
use crate::failure::Failure;
use crate::product::DEMO_PROJECT;

/// A project that nobody has.
const OTHER_PROJECT: &str = "another";
const NOBODY: Expected<'static> = Expected {
    text: "200 with a user and an access token of null",
    is: &|answer| answer.status == 200 && answer.json() == json!({"user": null, "accessToken": null}),
};
const FOREIGN: Expected<'static> =
    Expected { text: "403 auth/invalid-refresh-token", is: &|answer| is_refused(answer, "auth/invalid-refresh-token") };
const NOT_RECOGNIZED: Expected<'static> = Expected {
    text: "403 auth/refresh-token-mismatch",
    is: &|answer| is_refused(answer, "auth/refresh-token-mismatch"),
};

pub(super) async fn perform(play: &mut Play<'_>) -> Result<(), Failure> {
    let opened = play.open().await?;
    let call = play.call();
    let user = play.arguments.user.as_str();
    let is_the_user = |answer: &Answer| shows(answer, user);
    let the_user = Expected { text: "200 with the user and an access token, and no cookie", is: &is_the_user };
    let token = json!({"refreshToken": opened.tokens.refresh_token});

    play.scene("nobody is signed in", OWNER, call.clone(), NOBODY).await?;
    let refreshed = play.scene("a refresh", OWNER, call.clone().json(&token), the_user).await?;
    play.verified(&refreshed, "/accessToken").await?;
    let (one, other) =
        tokio::join!(call.clone().json(&token).by(OWNER).answered(), call.clone().json(&token).by(OWNER).answered());
    play.note("two requests at once with the same token, the one", OWNER, the_user, one?);
    play.note("two requests at once with the same token, the other", OWNER, the_user, other?);

    let elsewhere = play.url.replace(&format!("/{DEMO_PROJECT}/"), &format!("/{OTHER_PROJECT}/"));
    play.scene("the token in another project", OWNER, Call::post(elsewhere).json(&token), FOREIGN).await?;
    play.scene("it is as good as before in its own", OWNER, call.clone().json(&token), the_user).await?;

    let (moment, ends_at) = (Moment::read()?, opened.begun.session_expires_at());
    let (client, store) = (play.target.client(), play.target.store());
    let (cause, meter) = (Cause::Operator, Meter::default());
    session::revoke(&play.tenant, opened.family(), cause, ends_at, client, store, &moment, &meter).await?;
    play.scene("an operator has ended the session", OWNER, call.json(&token), NOT_RECOGNIZED).await?;
    Ok(())
}

fn shows(answer: &Answer, user: &str) -> bool {
    let body = answer.json();
    let is_success = body.get("success") == Some(&Value::Bool(true));
    let has_tokens = answer.text("/accessToken").is_some() && answer.set_cookies.is_empty();
    answer.status == 200 && is_success && has_tokens && answer.text("/user/id").as_deref() == Some(user)
}

fn is_refused(answer: &Answer, code: &str) -> bool {
    answer.status == 403 && answer.error_code().as_deref() == Some(code)
}

#[cfg(test)]
mod tests {
    use super::super::tests::answer;
    use super::*;

    #[test]
    fn an_answer_holds_only_with_the_user_and_without_a_cookie() {
        let body = r#"{"success":true,"accessToken":"a.b.c","user":{"id":"demo"}}"#;
        assert!(shows(&answer(200, &[], body), "demo"));
        assert!(!shows(&answer(200, &[], body), "another"));
        assert!(!shows(&answer(200, &["replyke-refresh-jwt=a.b.c"], body), "demo"));
        let nobody = r#"{"user":null,"accessToken":null}"#;
        assert!((NOBODY.is)(&answer(200, &[], nobody)) && !(NOBODY.is)(&answer(200, &[], body)));
        assert!((FOREIGN.is)(&answer(403, &[], r#"{"error":"e","code":"auth/invalid-refresh-token"}"#)));
        assert!(!(NOT_RECOGNIZED.is)(&answer(403, &[], r#"{"error":"e","code":"auth/invalid-refresh-token"}"#)));
    }
}
