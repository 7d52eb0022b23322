//! The store's failures as clients see them: no failure of ours looks like an invalid token, and the same token works
//! afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_shared::store::item::Cause;
use rondo_tests::{Fault, Gate, T0, secs};
use serde_json::json;
use world::{
    Answer, NO_USER, NOT_RECOGNIZED, PROJECT, SERVER_ERROR, USER, World, assert_says, cookie_event, invalid,
    keyring_document, send_to, with_header,
};

#[track_caller]
fn assert_failed(answer: &Answer) {
    assert_says(answer, 500, SERVER_ERROR);
    assert_eq!(answer.line.outcome, "failed");
    assert!(answer.line.error.is_some());
}

/// Every call of a refresh, by its operation and its item's key.
const READS_AND_CHARGE: [(&str, &str); 4] =
    [("UpdateItem", "RATE#"), ("Query", "FAMILY#"), ("GetItem", "USER#"), ("GetItem", "PROJECT#")];

#[tokio::test]
async fn a_store_that_fails_throttles_or_is_in_conflict_is_an_error_of_ours() {
    for (operation, at) in READS_AND_CHARGE {
        for fault in [
            Fault::Refused,
            Fault::Throttled,
            Fault::TransactionConflict,
            Fault::AppliedThenDropped,
            Fault::AppliedThenInternalError,
        ] {
            let world = World::new().await;
            let token = world.open(T0).await;
            world.faults.queue_for_all_attempts_at(operation, at, &fault);
            assert_failed(&world.by_cookie(&token, secs(1)).await);
            world.faults.clear();
            world.by_cookie(&token, secs(2)).await.ok();
            world.by_body(&token, secs(3)).await.ok();
        }
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_given_up_within_the_functions_time() {
    for (operation, at) in READS_AND_CHARGE {
        let world = World::new().await;
        let token = world.open(T0).await;
        world.faults.queue_for_all_attempts_at(operation, at, &Fault::Hung);
        let answer = world.by_body(&token, secs(1)).await;
        assert_failed(&answer);
        assert!(answer.line.error.unwrap().contains("did not answer in time"), "{operation} {at}");
        world.faults.clear();
        world.by_body(&token, secs(2)).await.ok();
    }
}

#[tokio::test]
async fn an_attempt_that_fails_once_is_made_again_and_nobody_sees_it() {
    for operation in ["UpdateItem", "Query", "GetItem"] {
        for fault in [Fault::Refused, Fault::Throttled, Fault::AppliedThenDropped, Fault::AppliedThenHung] {
            let world = World::new().await;
            let token = world.open(T0).await;
            world.faults.queue(operation, fault);
            world.by_cookie(&token, secs(1)).await.ok();
            assert!(world.faults.all_happened());
        }
    }
}

#[tokio::test]
async fn with_rotation_on_a_put_that_is_lost_is_an_error_of_ours_and_its_retry_is_served() {
    for fault in [Fault::Refused, Fault::AppliedThenDropped, Fault::AppliedThenInternalError] {
        let world = World::rotating().await;
        let token = world.open(T0).await;
        world.faults.queue_for_all_attempts("PutItem", &fault);
        assert_failed(&world.by_cookie(&token, secs(1)).await);
        world.faults.clear();
        let retry = world.by_cookie(&token, secs(2)).await;
        retry.ok();
        world.by_cookie(&retry.successor().unwrap(), secs(100)).await.ok();
    }
}

#[tokio::test]
async fn a_user_whom_the_first_read_missed_is_found_by_the_second() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.delete_user();
    let gate = Gate::default();
    world.faults.queue("GetItem", Fault::HeldAfter(gate.clone()));
    let meanwhile = async {
        gate.reached().await;
        world.put_user(USER, |item| item.text("name", "Ada".to_owned())).await;
        gate.open();
    };
    let (answer, ()) = tokio::join!(world.by_cookie(&token, secs(1)), meanwhile);
    answer.ok();
    assert_eq!(answer.json()["user"]["name"], "Ada");
    assert_eq!(answer.line.usage.calls, 5);
}

#[tokio::test]
async fn a_user_who_cannot_be_read_again_is_not_called_missing() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.delete_user();
    // The project's read and the user's first one go through.
    world.faults.queue("GetItem", Fault::None);
    world.faults.queue("GetItem", Fault::None);
    world.faults.queue_for_all_attempts("GetItem", &Fault::Refused);
    assert_failed(&world.by_cookie(&token, secs(1)).await);
    world.faults.clear();
    assert_says(&world.by_cookie(&token, secs(2)).await, 403, NO_USER);
}

#[tokio::test]
async fn an_ended_session_is_told_as_such_even_if_its_user_or_its_project_cannot_be_read() {
    for key in ["USER#", "PROJECT#"] {
        let world = World::new().await;
        let (family, token) = world.open_for(PROJECT, USER, T0).await;
        world.seal(family, Cause::SignOut, T0).await;
        world.faults.queue_for_all_attempts_at("GetItem", key, &Fault::Refused);
        assert_says(&world.by_cookie(&token, secs(1)).await, 403, NOT_RECOGNIZED);
        assert!(world.faults.all_happened(), "{key}");
    }
}

#[tokio::test]
async fn a_reuse_whose_seal_cannot_be_put_is_an_error_of_ours_and_is_found_again() {
    let world = World::rotating().await;
    let old = world.open(T0).await;
    let live = world.by_cookie(&old, secs(1)).await.successor().unwrap();
    world.faults.queue_for_all_attempts("PutItem", &Fault::Refused);
    assert_failed(&world.by_body(&old, secs(60)).await);
    world.faults.clear();
    assert_says(&world.by_body(&old, secs(61)).await, 403, NOT_RECOGNIZED);
    assert_says(&world.by_body(&live, secs(62)).await, 403, NOT_RECOGNIZED);
}

#[tokio::test]
async fn no_access_token_is_minted_for_a_request_that_begins_after_a_seal_was_acknowledged() {
    let world = World::new().await;
    let (family, token) = world.open_for(PROJECT, USER, T0).await;
    let instances = [world.another_instance(), world.another_instance()];
    for app in &instances {
        send_to(app, cookie_event(&token), secs(1)).await.ok();
    }
    world.seal(family, Cause::SignOut, secs(2)).await;
    for app in &instances {
        assert_says(&send_to(app, cookie_event(&token), secs(2)).await, 403, NOT_RECOGNIZED);
    }
}

#[tokio::test]
async fn an_item_that_somebody_broke_is_an_error_of_ours() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let mut items = world.dynamo.items("FAMILY#");
    items[0].as_object_mut().unwrap().remove("minted_at");
    world.dynamo.put(&items);
    assert_failed(&world.by_cookie(&token, secs(1)).await);
}

#[tokio::test]
async fn a_key_that_nobody_can_look_up_is_an_error_of_ours_and_the_known_ones_work_on() {
    let path = std::env::temp_dir().join(format!("replyke-lost-keyring-{}.json", std::process::id()));
    std::fs::write(&path, keyring_document().to_string()).unwrap();
    let world = World::with(&[("KEYRING_FILE", path.to_str().unwrap())]).await;
    let token = world.open(T0).await;
    let unknown = with_header(&token, &json!({"kid": "m2"}));
    assert_says(&world.by_cookie(&unknown, secs(61)).await, 403, &invalid("invalid signature"));
    std::fs::remove_file(&path).unwrap();
    assert_failed(&world.by_cookie(&unknown, secs(122)).await);
    world.by_cookie(&token, secs(123)).await.ok();
}
