//! The store's failures as clients see them, and what each outcome costs: no failure of ours looks like an invalid
//! token, clears a cookie or loses a session.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_shared::store::Usage;
use rondo_tests::{Fault, Gate, T0, secs};
use serde_json::json;
use world::{Answer, World, assert_error, cookie_event, send_to, with_headers};

#[track_caller]
fn assert_failed(answer: &Answer, status: u16, kind: &str) {
    assert_error(answer, status, kind);
    assert_eq!(answer.line.outcome, "failed");
    assert!(answer.line.error.is_some());
}

const fn usage(calls: u32, write_units: f64, read_units: f64) -> Usage {
    Usage::of(calls, read_units, write_units)
}

#[tokio::test]
async fn a_store_that_fails_is_a_bad_gateway_and_the_same_token_works_afterwards() {
    for operation in ["UpdateItem", "PutItem", "Query"] {
        for fault in [
            Fault::Refused,
            Fault::Throttled,
            Fault::TransactionConflict,
            Fault::AppliedThenDropped,
            Fault::AppliedThenInternalError,
        ] {
            let world = World::new().await;
            let token = world.open(T0).await;
            world.faults.queue_for_all_attempts(operation, &fault);
            // The round trip has two queries; both fail.
            world.faults.queue_for_all_attempts(operation, &fault);
            assert_failed(&world.refresh(&token, secs(1)).await, 502, "bad_gateway_error");
            world.faults.clear();
            world.refresh(&token, secs(2)).await.ok();
        }
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_in_time_is_a_gateway_timeout_and_the_same_token_works_afterwards() {
    for operation in ["UpdateItem", "PutItem", "Query"] {
        let world = World::new().await;
        let token = world.open(T0).await;
        for _ in 0..2 {
            world.faults.queue_for_all_attempts(operation, &Fault::Hung);
        }
        assert_failed(&world.refresh(&token, secs(1)).await, 504, "gateway_timeout_error");
        world.faults.clear();
        world.refresh(&token, secs(2)).await.ok();
    }
}

#[tokio::test]
async fn where_only_the_organizations_cannot_be_read_the_rotation_holds_and_the_retry_is_reissued() {
    for (fault, status, kind) in
        [(Fault::Refused, 502, "bad_gateway_error"), (Fault::Hung, 504, "gateway_timeout_error")]
    {
        let world = World::new().await;
        let token = world.open(T0).await;
        // The family's query is sent first.
        world.faults.queue("Query", Fault::None);
        world.faults.queue_for_all_attempts("Query", &fault);
        let answer = world.refresh(&token, secs(60)).await;
        assert_failed(&answer, status, kind);
        assert_eq!(answer.line.cause, Some("memberships"));
        assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000", "GEN#0000000001"]);
        world.faults.clear();
        let retried = world.refresh(&token, secs(63)).await;
        assert_eq!(retried.line.outcome, "reissued");
        world.refresh(&retried.ok(), secs(64)).await.ok();
    }
}

#[tokio::test]
async fn an_ended_session_is_told_as_such_even_where_the_organizations_cannot_be_read() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.refresh(&token, secs(1)).await.ok();
    world.faults.queue("Query", Fault::None);
    world.faults.queue_for_all_attempts("Query", &Fault::Refused);
    let answer = world.refresh(&token, secs(100)).await;
    assert_error(&answer, 401, "authentication_error");
    assert_eq!(answer.line.outcome, "revoked");
}

/// Leaves of the items of one kind nothing but their keys, and returns them as they were.
fn broken(world: &World, pk: &str, sk: &str) -> Vec<serde_json::Value> {
    let items = world.dynamo.items(pk).into_iter();
    let good: Vec<_> = items.filter(|item| item["sk"]["S"].as_str().unwrap().starts_with(sk)).collect();
    let mut bad = good.clone();
    for item in &mut bad {
        item.as_object_mut().unwrap().retain(|name, _| matches!(name.as_str(), "pk" | "sk"));
    }
    world.dynamo.put(&bad);
    good
}

#[tokio::test]
async fn items_that_are_not_what_they_must_be_are_errors_of_ours_and_the_token_works_once_they_are_mended() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let good = broken(&world, "FAMILY#", "GEN#");
    assert_failed(&world.refresh(&token, secs(1)).await, 500, "app_error");
    world.dynamo.put(&good);
    world.refresh(&token, secs(2)).await.ok();
}

#[tokio::test]
async fn a_membership_that_somebody_broke_is_not_shown_and_ends_nobodys_session() {
    let world = World::new().await;
    world.join("acme", "Acme", true).await;
    world.join("globex", "Globex", false).await;
    let token = world.open(T0).await;
    broken(&world, "USER#", "ORG#acme");
    let answer = world.refresh(&token, secs(1)).await;
    assert_eq!(answer.json()["orgs"], serde_json::json!([{"key": "globex", "name": "Globex"}]));
    answer.ok();
}

#[tokio::test]
async fn a_table_that_is_not_there_is_an_error_of_ours() {
    let world = World::with(&[]).await;
    let token = world.open(T0).await;
    let (common, policy) = dreadnode_refresh::configure(world.reader()).unwrap();
    let nowhere = rondo_shared::store::dynamo::DynamoStore::over(world.faults.http(), world.dynamo.url(), "nowhere");
    let app = dreadnode_refresh::App::new(common, policy, nowhere, T0).unwrap();
    assert_failed(&send_to(&app, cookie_event(&token), secs(1)).await, 500, "app_error");
    world.refresh(&token, secs(2)).await.ok();
}

#[tokio::test]
async fn a_lost_answer_that_the_sdk_retries_is_recognized_and_seen_by_nobody() {
    for (operation, fault) in [
        ("PutItem", Fault::AppliedThenDropped),
        ("PutItem", Fault::AppliedThenInternalError),
        ("UpdateItem", Fault::Refused),
        ("Query", Fault::Refused),
    ] {
        let world = World::new().await;
        let token = world.open(T0).await;
        world.faults.queue(operation, fault);
        let answer = world.refresh(&token, secs(60)).await;
        assert_eq!(answer.line.outcome, "rotated", "{operation}");
        answer.ok();
    }
}

#[tokio::test]
async fn the_rotation_and_the_organizations_are_one_round_trip() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let gate = Gate::default();
    world.faults.queue("PutItem", Fault::HeldBefore(gate.clone()));
    world.faults.queue("Query", Fault::HeldBefore(gate.clone()));
    world.faults.queue("Query", Fault::HeldBefore(gate.clone()));
    world.faults.take_attempts();
    let all_three_under_way = async {
        for _ in 0..3 {
            gate.reached().await;
        }
        for _ in 0..3 {
            gate.open();
        }
    };
    let (answer, ()) = tokio::join!(world.refresh(&token, secs(1)), all_three_under_way);
    answer.ok();
    assert_eq!(world.faults.take_attempts().len(), 4, "none waited for another, and so none was tried again");
}

#[tokio::test]
async fn every_outcome_costs_what_is_budgeted() {
    let world = World::new().await;
    for n in 0..5 {
        world.join(&format!("org-{n}"), "An organization", n == 0).await;
    }
    let zero = world.open(T0).await;
    world.faults.take_attempts();
    let rotated = world.refresh(&zero, secs(60)).await;
    assert_eq!(rotated.line.usage, usage(4, 2.0, 2.0), "a refresh");
    let mut attempts = world.faults.take_attempts();
    attempts.sort();
    assert_eq!(attempts, ["PutItem", "Query", "Query", "UpdateItem"], "no transaction");
    let one = rotated.ok();

    let reissued = world.refresh(&zero, secs(65)).await;
    assert_eq!((reissued.line.outcome, reissued.line.usage), ("reissued", usage(4, 2.0, 2.0)));
    let mut elsewhere = with_headers(cookie_event(&zero), &[("user-agent", "curl/8")]);
    elsewhere["requestContext"]["http"]["sourceIp"] = json!("203.0.113.66");
    let elsewhere = world.send(elsewhere, secs(66)).await;
    assert!(elsewhere.line.another_client);
    assert_eq!(elsewhere.line.usage, usage(5, 3.0, 2.0), "a reissue to another client: the note");

    let reused = world.refresh(&zero, secs(120)).await;
    assert_eq!((reused.line.outcome, reused.line.usage), ("revoked", usage(5, 3.0, 2.0)));
    let known = world.refresh(&one, secs(121)).await;
    assert_eq!((known.status, known.line.usage), (401, usage(0, 0.0, 0.0)), "a family known to be sealed");
}

#[tokio::test]
async fn what_does_not_verify_and_what_is_known_to_be_limited_costs_nothing() {
    let world = World::with(&[("DREADNODE_RATE_LIMIT", "1")]).await;
    let token = world.open(T0).await;
    let nothing = usage(0, 0.0, 0.0);
    for bad in ["a.b.c", &format!("{token}x")] {
        assert_eq!(world.refresh(bad, secs(1)).await.line.usage, nothing);
    }
    let next = world.refresh(&token, secs(60)).await.ok();
    for _ in 0..2 {
        let limited = world.refresh(&next, secs(60)).await;
        assert_eq!((limited.status, limited.line.usage), (429, nothing));
    }
    let stranger = world.another_instance();
    let told = send_to(&stranger, cookie_event(&next), secs(60)).await;
    assert_eq!((told.status, told.line.usage), (429, usage(1, 1.0, 0.0)));
    let remembered = send_to(&stranger, cookie_event(&next), secs(60)).await;
    assert_eq!((remembered.status, remembered.line.usage), (429, nothing));
    world.refresh(&next, secs(61)).await.ok();
}
