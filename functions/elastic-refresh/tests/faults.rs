//! Failures of ours: each is the product's 502 whose message says which, none looks like a bad token or a wrong password,
//! and what the client holds is good afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use elastic_refresh::{App, configure};
use rondo_shared::config::Reader;
use rondo_tests::{Fault, Gate};
use serde_json::json;
use world::{
    Answer, PASSWORD, T0, World, bearer, changed, claims_of, good_header, keyring_document, keyring_file, retired_key,
    secs, send_to, signed, variables,
};

#[track_caller]
fn assert_failed(answer: &Answer, what: &str) {
    let message = format!("The authentication cluster failed to process the request: {what}.");
    answer.assert_error(502, "authc.authentication_cluster_error", &message);
    assert_eq!(answer.line.outcome, "failed");
    assert!(answer.line.error.is_some());
}

const FAILED: &str = "the session store failed";
const TIMED_OUT: &str = "the session store timed out";

#[tokio::test]
async fn a_store_that_fails_under_a_refresh_is_a_502_and_the_same_token_works_afterwards() {
    for operation in ["UpdateItem", "PutItem", "Query"] {
        for fault in [Fault::Refused, Fault::Throttled, Fault::AppliedThenInternalError, Fault::AppliedThenDropped] {
            let world = World::new().await;
            let token = world.open(T0).await;
            world.faults.queue_for_all_attempts(operation, &fault);
            assert_failed(&world.refresh(&token, secs(60)).await, FAILED);
            world.faults.clear();
            let next = world.refresh(&token, secs(61)).await.ok();
            world.refresh(&next, secs(120)).await.ok();
        }
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_in_time_is_a_502_that_says_so_and_the_same_token_works_afterwards() {
    for (operation, fault) in [("UpdateItem", Fault::Hung), ("PutItem", Fault::AppliedThenHung), ("Query", Fault::Hung)]
    {
        let world = World::new().await;
        let token = world.open(T0).await;
        world.faults.queue_for_all_attempts(operation, &fault);
        assert_failed(&world.refresh(&token, secs(60)).await, TIMED_OUT);
        world.faults.clear();
        world.refresh(&token, secs(61)).await.ok();
    }
}

#[tokio::test]
async fn a_revocation_that_cannot_be_written_is_not_told_as_one() {
    let world = World::new().await;
    let old = world.open(T0).await;
    let used = world.refresh(&old, secs(60)).await.ok();
    let newest = world.refresh(&used, secs(120)).await.ok();
    // The successor's put finds it standing; the seal's put fails.
    world.faults.queue("PutItem", Fault::None);
    world.faults.queue_for_all_attempts("PutItem", &Fault::Refused);
    assert_failed(&world.refresh(&old, secs(130)).await, FAILED);
    world.faults.clear();
    world.refresh(&old, secs(131)).await.assert_unauthorized();
    world.refresh(&newest, secs(132)).await.assert_unauthorized();
}

#[tokio::test]
async fn a_store_that_fails_before_the_limits_are_known_costs_no_hash() {
    let world = World::new().await;
    for (fault, what) in [(Fault::Refused, FAILED), (Fault::Throttled, FAILED), (Fault::Hung, TIMED_OUT)] {
        world.faults.queue_for_all_attempts("UpdateItem", &fault);
        assert_failed(&world.sign_in("user-1", PASSWORD, secs(1)).await, what);
        world.faults.clear();
        assert_eq!(world.take_hashes(), 0);
    }
    world.sign_in("user-1", PASSWORD, secs(2)).await.ok();
}

#[tokio::test]
async fn a_store_that_fails_while_a_password_is_tried_says_nothing_of_the_password() {
    let world = World::new().await;
    let hung = [("user-1", PASSWORD, Fault::Hung, TIMED_OUT)];
    let refused = [("user-1", PASSWORD), ("user-1", "wrong"), ("nobody", "wrong")];
    let refused = refused.map(|(user, password)| (user, password, Fault::Refused, FAILED));
    for (n, (user, password, fault, what)) in (0..).zip(hung.into_iter().chain(refused)) {
        // Both reads fail, each at all of its attempts.
        for _ in 0..2 {
            world.faults.queue_for_all_attempts("GetItem", &fault);
        }
        assert_failed(&world.sign_in(user, password, secs(60 * n)).await, what);
        world.faults.clear();
        assert_eq!(world.take_hashes(), 0);
    }
    world.sign_in("user-1", PASSWORD, secs(600)).await.ok();
}

#[tokio::test]
async fn a_session_that_cannot_be_opened_is_a_502_and_signing_in_again_works() {
    for (fault, what) in [
        (Fault::Refused, FAILED),
        (Fault::Throttled, FAILED),
        (Fault::TransactionConflict, FAILED),
        (Fault::Hung, TIMED_OUT),
    ] {
        let world = World::new().await;
        world.faults.queue_for_all_attempts("TransactWriteItems", &fault);
        assert_failed(&world.sign_in("user-1", PASSWORD, secs(1)).await, what);
        world.faults.clear();
        assert!(world.dynamo.sort_keys("FAMILY#").is_empty());
        world.sign_in("user-1", PASSWORD, secs(2)).await.ok();
    }
}

#[tokio::test]
async fn a_session_whose_opening_was_applied_and_its_answer_lost_is_recognized_by_the_sdks_retry() {
    let world = World::new().await;
    world.faults.queue("TransactWriteItems", Fault::AppliedThenDropped);
    let token = world.sign_in("user-1", PASSWORD, secs(1)).await.ok();
    assert!(world.faults.all_happened());
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000"]);
    world.refresh(&token, secs(60)).await.ok();
}

#[tokio::test]
async fn a_put_that_lands_late_changes_nothing() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let late = Gate::default();
    world.faults.queue("PutItem", Fault::AppliedLate(late.clone()));
    let next = world.refresh(&token, secs(60)).await.ok();
    late.reached().await;
    late.open();
    late.passed().await;
    world.refresh(&token, secs(61)).await.ok();
    world.refresh(&next, secs(120)).await.ok();
}

#[tokio::test]
async fn a_key_that_may_exist_is_a_failure_of_ours_and_not_a_bad_token() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let file = keyring_file("vanishing", &keyring_document());
    let mut variables = variables(&world.dynamo);
    variables.push(("KEYRING_FILE".to_owned(), file.to_str().unwrap().to_owned()));
    let (common, policy) = configure(Reader::new(variables)).unwrap();
    let store = world.dynamo.store(rondo_tests::dynamo::plain_http());
    let app = App::with_verifier(common, policy, store, world::Counting::default(), T0).unwrap();
    std::fs::remove_file(&file).unwrap();
    let by_a_new_key = signed(&changed(&good_header(), &json!({"kid": "e2"})), &claims_of(&token), &retired_key());
    let failed = send_to(&app, bearer(&by_a_new_key), secs(61)).await;
    assert_failed(&failed, "its keys could not be read");
    assert_eq!(failed.line.usage.calls, 0);
    send_to(&app, bearer(&token), secs(62)).await.ok();
    std::fs::write(&file, keyring_document().to_string()).unwrap();
    send_to(&app, bearer(&by_a_new_key), secs(122)).await.assert_unauthorized();
}

#[tokio::test]
async fn an_item_that_is_malformed_is_a_failure_of_ours() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let mut items = world.dynamo.items("FAMILY#");
    items[0].as_object_mut().unwrap().remove("gid");
    world.dynamo.put(&items);
    let failed = world.refresh(&token, secs(60)).await;
    assert_failed(&failed, FAILED);
    assert!(failed.line.error.unwrap().contains("malformed"));
}
