//! Every form in which a call comes that is signed with IAM says who signed it; and no other form is served.
//! `rondo_tests::captured` says where the forms are from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod backend;

use backend::{Backend, assert_error, opened, opening};
use rondo_tests::captured::{CAPTURED, SIGNED, SIGNER, Sent};
use rondo_tests::{T0, secs};

#[tokio::test]
async fn a_session_is_opened_in_every_form_that_is_signed_with_iam_and_in_no_other() {
    let backend = Backend::new().await;
    for (captured, is_signed) in SIGNED.map(|signed| (signed, true)).into_iter().chain(CAPTURED.map(|c| (c, false))) {
        let body = opening("user-1", captured.name).to_string();
        let sent = Sent { body: &body, ..Sent::nothing("/sessions", "https://app.uniqos.test") };
        let answer = backend.send(captured.event(&sent), T0).await;
        if is_signed {
            assert_eq!(answer.line.caller.as_deref(), Some(SIGNER), "{}", captured.name);
            let (_, token) = opened(&answer);
            backend.world.refresh(&token, secs(60)).await.ok();
        } else {
            assert_error(&answer, 403, "iam_identity_required");
        }
    }
    assert_eq!(backend.families(), SIGNED.len());
}
