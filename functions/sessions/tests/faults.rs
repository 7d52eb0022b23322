//! The store failing: never a refusal, never a session lost or opened twice.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod backend;

use backend::{Backend, assert_error, event, opened, opening, post};
use rondo_shared::store::item::AccountStatus;
use rondo_tests::{Fault, T0, secs};
use serde_json::json;

const PASSING: [Fault; 4] =
    [Fault::Refused, Fault::Throttled, Fault::AppliedThenInternalError, Fault::AppliedThenDropped];

#[tokio::test]
async fn a_failing_store_is_a_passing_failure_on_every_route_and_at_every_step() {
    for fault in PASSING {
        let backend = Backend::with(&[("SESSIONS_PER_USER_MAX", "3")]).await;
        backend.put_user("uniqos", "user-2", AccountStatus::Active).await;
        let mut families = Vec::new();
        for n in 0..3 {
            families.push(opened(&backend.open("user-1", &format!("t{n}"), secs(n)).await).0);
        }
        let sessions_of = |user: &str| format!("tenant=uniqos&user={user}");
        let revoking = |user: &str| post("/sessions/revoke", &json!({"tenant": "uniqos", "user": user}));
        let steps = [
            ("the transaction", "TransactWriteItems", post("/sessions", &opening("user-2", "t"))),
            ("counting towards the cap", "Query", post("/sessions", &opening("user-1", "t3"))),
            ("looking for a receipt at the cap", "GetItem", post("/sessions", &opening("user-1", "t3"))),
            ("listing", "Query", event("GET", "/sessions", &sessions_of("user-1"))),
            ("telling an unknown user", "GetItem", event("GET", "/sessions", &sessions_of("nobody"))),
            (
                "finding the session",
                "GetItem",
                event("DELETE", &format!("/sessions/{}", families[0]), &sessions_of("user-1")),
            ),
            ("the seal", "PutItem", event("DELETE", &format!("/sessions/{}", families[0]), &sessions_of("user-1"))),
            ("finding the sessions", "Query", revoking("user-1")),
            ("a user without sessions", "GetItem", revoking("nobody")),
        ];
        for (step, operation, event) in steps {
            backend.faults.queue_for_all_attempts(operation, &fault);
            let answer = backend.send(event, secs(10)).await;
            assert_eq!(answer.status, 503, "{step}, {fault:?}: {}", answer.json());
            assert_error(&answer, 503, "store_unavailable");
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!((answer.line.outcome, answer.line.cause), ("failed", Some("store")));
            assert!(backend.faults.all_happened(), "{step}");
        }
    }
}

#[tokio::test]
async fn an_opening_whose_answer_was_lost_is_the_same_session_when_the_sdk_tries_again() {
    for fault in [Fault::AppliedThenDropped, Fault::AppliedThenInternalError] {
        let backend = Backend::new().await;
        backend.faults.queue("TransactWriteItems", fault);
        let answer = backend.open("user-1", "a", T0).await;
        assert_eq!((answer.status, backend.families()), (201, 1), "{}", answer.json());
        assert!(backend.faults.all_happened());
        backend.world.refresh(&opened(&answer).1, secs(1)).await.ok();
    }
}

#[tokio::test]
async fn an_opening_that_was_answered_as_failed_is_found_by_its_repeat() {
    let backend = Backend::new().await;
    backend.faults.queue_for_all_attempts("TransactWriteItems", &Fault::AppliedThenDropped);
    assert_error(&backend.open("user-1", "a", T0).await, 503, "store_unavailable");
    assert_eq!(backend.families(), 1);
    let repeat = backend.open("user-1", "a", secs(1)).await;
    assert_eq!((repeat.status, backend.families()), (200, 1));
    backend.world.refresh(&opened(&repeat).1, secs(2)).await.ok();
}

#[tokio::test]
async fn an_opening_that_meets_its_repeats_transaction_finds_what_that_opened() {
    for contention in [Fault::TransactionConflict, Fault::TransactionCancelled("TransactionConflict")] {
        let backend = Backend::new().await;
        let (family, _) = opened(&backend.open("user-1", "a", T0).await);
        backend.faults.queue_for_all_attempts("TransactWriteItems", &contention);
        let repeat = backend.open("user-1", "a", secs(1)).await;
        assert_eq!((repeat.status, opened(&repeat).0), (200, family));
        // Where it has opened nothing yet, nobody can tell, and the caller tries again.
        backend.faults.clear();
        backend.faults.queue_for_all_attempts("TransactWriteItems", &contention);
        assert_error(&backend.open("user-1", "b", secs(2)).await, 503, "store_unavailable");
        backend.faults.clear();
        assert_eq!(backend.open("user-1", "b", secs(3)).await.status, 201);
    }
}

#[tokio::test]
async fn a_repeat_that_cannot_be_read_may_be_tried_again() {
    let backend = Backend::new().await;
    let (family, _) = opened(&backend.open("user-1", "a", T0).await);
    // The receipt and the profile are read at once.
    for (operation, reads) in [("GetItem", 2), ("Query", 1)] {
        for _ in 0..reads {
            backend.faults.queue_for_all_attempts(operation, &Fault::Refused);
        }
        assert_error(&backend.open("user-1", "a", secs(1)).await, 503, "store_unavailable");
        backend.faults.clear();
    }
    assert_eq!(opened(&backend.open("user-1", "a", secs(2)).await).0, family);
}

#[tokio::test]
async fn a_session_whose_tokens_were_not_minted_is_there_for_the_repeat() {
    let backend = Backend::new().await;
    backend.put_user("replyke:p", "user-1", AccountStatus::Active).await;
    let body = json!({"tenant": "replyke:p", "user": "user-1", "client_token": "a"});
    // What the access token says of the user is read after the session was opened.
    backend.faults.queue_for_all_attempts("GetItem", &Fault::Refused);
    assert_error(&backend.post("/sessions", &body, T0).await, 503, "store_unavailable");
    let repeat = backend.post("/sessions", &body, secs(1)).await;
    assert_eq!((repeat.status, backend.families()), (200, 1));
    opened(&repeat);
}

#[tokio::test]
async fn a_revocation_cut_short_is_finished_by_its_repeat() {
    let backend = Backend::new().await;
    for n in 0..5 {
        backend.open("user-1", &format!("t{n}"), secs(n)).await;
    }
    for _ in 0..2 {
        backend.faults.queue("PutItem", Fault::None);
    }
    for _ in 0..9 {
        backend.faults.queue("PutItem", Fault::Refused);
    }
    assert_error(&backend.revoke_all("user-1", None, secs(10)).await, 503, "store_unavailable");
    backend.faults.clear();
    assert_eq!(backend.revoke_all("user-1", None, secs(11)).await.status, 200);
    let seals = backend.world.dynamo.sort_keys("FAMILY#").iter().filter(|sk| *sk == "SEAL").count();
    assert_eq!(seals, 5);
}

#[tokio::test]
async fn a_session_ends_though_its_newest_generation_cannot_be_read_for_the_seal() {
    let backend = Backend::new().await;
    let (family, _) = opened(&backend.open("user-1", "a", T0).await);
    backend.faults.take_attempts();
    backend.faults.queue_for_all_attempts("Query", &Fault::Refused);
    assert_eq!(backend.revoke("user-1", &family, secs(1)).await.status, 200);
    assert!(backend.faults.take_attempts().contains(&"Query".to_owned()), "there was no look that could fail");
    assert!(backend.world.dynamo.sort_keys("FAMILY#").contains(&"SEAL".to_owned()));
}

#[tokio::test]
async fn a_store_that_does_not_tell_the_newest_generation_holds_up_no_end_of_a_session() {
    let backend = Backend::new().await;
    let (family, _) = opened(&backend.open("user-1", "a", T0).await);
    for _ in 0..2 {
        backend.faults.queue("Query", Fault::Hung);
    }
    let answer = backend.revoke("user-1", &family, secs(1)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.line.usage.calls, 3, "whose it is, the look, the seal");
    assert!(!backend.faults.all_happened(), "the look was over before the SDK asked a second time");
    assert!(backend.world.dynamo.sort_keys("FAMILY#").contains(&"SEAL".to_owned()));
}

#[tokio::test]
async fn a_seal_whose_answer_was_lost_counts_as_this_requests() {
    let backend = Backend::new().await;
    let (family, _) = opened(&backend.open("user-1", "a", T0).await);
    backend.faults.queue("PutItem", Fault::AppliedThenDropped);
    let answer = backend.revoke_all("user-1", None, secs(1)).await;
    assert!(backend.faults.all_happened());
    assert_eq!(answer.json()["revoked"][0]["family"], serde_json::json!(family));
}

#[tokio::test]
async fn a_table_that_refuses_the_call_is_an_error_of_ours() {
    let backend = Backend::new().await;
    backend.faults.queue_for_all_attempts("TransactWriteItems", &Fault::TransactionCancelled("AccessDenied"));
    assert_error(&backend.open("user-1", "a", T0).await, 500, "internal_error");
}

#[tokio::test]
async fn racing_openings_exceed_the_cap_by_no_more_than_they_are() {
    let backend = Backend::with(&[("SESSIONS_PER_USER_MAX", "2")]).await;
    backend.open("user-1", "first", T0).await;
    let open = |token: &'static str| backend.open("user-1", token, secs(1));
    let (a, b, c) = tokio::join!(open("a"), open("b"), open("c"));
    let opened = [a, b, c].iter().filter(|answer| answer.status == 201).count();
    assert!((1..=3).contains(&opened));
    assert_error(&open("d").await, 409, "session_cap_reached");
}
