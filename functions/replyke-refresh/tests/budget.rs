//! What each outcome costs, as DynamoDB reports it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_shared::store::Usage;
use rondo_shared::store::item::{Cause, ProjectStatus};
use rondo_tests::{T0, secs};
use serde_json::json;
use world::{PROJECT, USER, World, cookie_event, event, in_project, send_to, token_event, with_claims};

const fn usage(calls: u32, write_units: f64, read_units: f64) -> Usage {
    Usage::of(calls, read_units, write_units)
}

const NOTHING: Usage = usage(0, 0.0, 0.0);

#[tokio::test]
async fn an_access_token_costs_a_bucket_a_query_and_one_and_a_half_reads_in_two_round_trips() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.faults.take_attempts();
    assert_eq!(world.by_cookie(&token, secs(1)).await.line.usage, usage(4, 1.0, 2.5));
    let mut attempts = world.faults.take_attempts();
    attempts.sort();
    assert_eq!(attempts, ["GetItem", "GetItem", "Query", "UpdateItem"], "nothing is put");
    assert_eq!(world.by_body(&token, secs(1)).await.line.usage, usage(4, 1.0, 2.5), "the bucket is known to be busy");
    let stranger = world.another_instance();
    let guessed = send_to(&stranger, cookie_event(&token), secs(1)).await;
    assert_eq!(guessed.line.usage, usage(5, 2.0, 2.5), "a wrong guess of the bucket's form");
}

#[tokio::test]
async fn a_rotation_costs_one_put_more() {
    let world = World::rotating().await;
    let token = world.open(T0).await;
    assert_eq!(world.by_cookie(&token, secs(1)).await.line.usage, usage(5, 2.0, 2.5));
    assert_eq!(world.by_cookie(&token, secs(2)).await.line.usage, usage(5, 2.0, 2.5), "a reissue");
    assert_eq!(world.by_body(&token, secs(60)).await.line.usage, usage(5, 2.0, 2.5), "a reuse: the seal is put");
}

#[tokio::test]
async fn a_projects_item_costs_the_same_whether_it_stands_or_not_and_what_it_says() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for (n, status) in [(1, ProjectStatus::Active), (2, ProjectStatus::Removed)] {
        world.put_project(PROJECT, status).await;
        assert_eq!(world.by_cookie(&token, secs(n)).await.line.usage, usage(4, 1.0, 2.5), "{status:?}");
    }
}

#[tokio::test]
async fn a_session_that_has_ended_costs_the_same_once_and_then_nothing() {
    let world = World::new().await;
    let (family, token) = world.open_for(PROJECT, USER, T0).await;
    world.seal(family, Cause::SignOut, T0).await;
    assert_eq!(world.by_cookie(&token, secs(1)).await.line.usage, usage(4, 1.0, 2.5));
    assert_eq!(world.by_cookie(&token, secs(2)).await.line.usage, NOTHING);
}

#[tokio::test]
async fn a_user_is_called_missing_at_the_price_of_one_strong_read_more() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.delete_user();
    assert_eq!(world.by_cookie(&token, secs(1)).await.line.usage, usage(5, 1.0, 3.5));
}

#[tokio::test]
async fn what_does_not_verify_costs_nothing_at_all() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for event in [
        event(json!({})),
        token_event(json!(7)),
        cookie_event("a.b.c"),
        cookie_event(&with_claims(&token, &json!({"exp": 1}))),
        cookie_event(&with_claims(&token, &json!({"jti": null}))),
        in_project(cookie_event(&token), "elsewhere"),
    ] {
        assert_eq!(world.send(event, secs(1)).await.line.usage, NOTHING);
    }
}

#[tokio::test]
async fn a_limit_costs_one_failed_update_at_most_and_then_nothing() {
    let world = World::with(&[("REPLYKE_RATE_LIMIT", "1")]).await;
    let token = world.open(T0).await;
    world.by_cookie(&token, secs(1)).await.ok();
    let remembered = world.by_cookie(&token, secs(1)).await;
    assert_eq!((remembered.status, remembered.line.usage), (429, NOTHING));
    let stranger = world.another_instance();
    let told = send_to(&stranger, cookie_event(&token), secs(1)).await;
    assert_eq!((told.status, told.line.usage), (429, usage(1, 1.0, 0.0)));
    let remembered = send_to(&stranger, cookie_event(&token), secs(1)).await;
    assert_eq!((remembered.status, remembered.line.usage), (429, NOTHING));
}
