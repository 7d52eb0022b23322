//! What browsers, the CLI and scripts live through with their tokens: rotation, the grace window, reuse, a crowd of
//! workers, the ways to expire, and accounts that are suspended or removed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use std::sync::Arc;

use rondo_shared::store::item::Cause;
use rondo_tests::world::millis;
use rondo_tests::{T0, secs};
use tokio::task::JoinSet;
use world::{Answer, World, assert_error, assert_error_by_body, claims_of, cookie_event, send_to};

const GRACE_SECS: i64 = 10;
const DAY: i64 = 86_400;
const IDLE_SECS: i64 = 14 * DAY;
const ABSOLUTE_SECS: i64 = 90 * DAY;

#[track_caller]
fn assert_signed_out(answer: &Answer) {
    assert_error(answer, 401, "authentication_error");
}

#[tokio::test]
async fn every_refresh_gives_the_next_token_of_the_same_session() {
    let world = World::new().await;
    let (family, first) = world.open_for("user-1", T0).await;
    let second = world.refresh(&first, secs(60)).await.ok();
    let third = world.refresh(&second, secs(120)).await.ok();
    for (token, generation) in [(&first, 0), (&second, 1), (&third, 2)] {
        let claims = claims_of(token);
        assert_eq!((claims.sid, claims.generation, claims.sub.as_str()), (family, generation, "user-1"));
        assert_eq!(token.split('.').count(), 3, "clients decode it");
    }
    assert_eq!(claims_of(&third).exp, secs(120 + IDLE_SECS).secs());
}

#[tokio::test]
async fn a_script_that_sent_its_token_in_the_body_gets_the_successor_by_cookie_and_goes_on() {
    let world = World::new().await;
    let first = world.open(T0).await;
    let second = world.refresh_by_body(&first, secs(60)).await.ok();
    assert_ne!(first, second);
    let third = world.refresh_by_body(&second, secs(1_000)).await.ok();
    world.refresh(&third, secs(2_000)).await.ok();
}

#[tokio::test]
async fn a_script_that_cannot_read_cookies_is_believed_within_the_window_only() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.refresh_by_body(&token, secs(60)).await.ok();
    let again = world.refresh_by_body(&token, secs(60 + GRACE_SECS - 1)).await;
    assert_eq!(again.line.outcome, "reissued");
    assert_eq!(again.status, 200);
    let late = world.refresh_by_body(&token, secs(60 + GRACE_SECS)).await;
    assert_error_by_body(&late, 401, "authentication_error");
}

#[tokio::test]
async fn a_retry_counts_until_the_windows_last_millisecond_and_ends_the_session_from_its_end_on() {
    let end = GRACE_SECS * 1000;
    for (since_rotation, served) in [(0, true), (end - 1, true), (end, false), (end + 1, false), (DAY * 1000, false)] {
        let world = World::new().await;
        let old = world.open(T0).await;
        let newest = world.refresh(&old, secs(100)).await.ok();
        let replay = world.refresh(&old, millis(100_000 + since_rotation)).await;
        let after = millis(100_000 + since_rotation + 500);
        if served {
            let reissued = replay.ok();
            assert_eq!(claims_of(&reissued).gid, claims_of(&newest).gid, "the live generation");
            world.refresh(&newest, after).await.ok();
        } else {
            assert_eq!(replay.line.outcome, "revoked");
            assert_signed_out(&replay);
            assert_signed_out(&world.refresh(&newest, after).await);
        }
    }
}

#[tokio::test]
async fn a_reuse_ends_its_session_on_every_instance_and_no_other_session_of_the_user() {
    let world = World::new().await;
    let neighbour = world.open(T0).await;
    let first = world.open(T0).await;
    let second = world.refresh(&first, secs(100)).await.ok();
    assert_signed_out(&world.refresh(&first, secs(200)).await);
    let elsewhere = world.another_instance();
    for token in [&first, &second] {
        assert_signed_out(&world.refresh(token, secs(201)).await);
        assert_signed_out(&send_to(&elsewhere, cookie_event(token), secs(202)).await);
    }
    world.refresh(&neighbour, secs(203)).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_workers_that_refresh_one_session_at_once_all_succeed_on_one_generation() {
    let world = World::new().await;
    world.join("acme", "Acme", true).await;
    let token = world.open(T0).await;
    let instances: Vec<_> = (0..8).map(|_| Arc::new(world.another_instance())).collect();
    let mut requests = JoinSet::new();
    for n in 0..64 {
        let (app, event) = (Arc::clone(&instances[n % instances.len()]), cookie_event(&token));
        requests.spawn(async move { send_to(&app, event, secs(60)).await });
    }
    let answers = requests.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.line.outcome == "rotated").count(), 1);
    assert!(answers.iter().all(|answer| answer.json()["orgs"][0]["key"] == "acme"));
    let tokens: Vec<_> = answers.into_iter().map(Answer::ok).collect();
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000", "GEN#0000000001"]);
    for token in &tokens {
        world.refresh(token, secs(61)).await.ok();
    }
    assert_eq!(world.dynamo.sort_keys("FAMILY#").len(), 3);
}

#[tokio::test]
async fn an_idle_session_is_over_after_fourteen_days_to_the_second() {
    let world = World::new().await;
    for (offset, status) in [(-1, 200), (0, 401), (1, 401)] {
        let token = world.open(T0).await;
        assert_eq!(world.refresh(&token, secs(IDLE_SECS + offset)).await.status, status, "{offset} s");
    }
}

#[tokio::test]
async fn a_session_and_all_its_tokens_are_over_after_ninety_days_to_the_second_however_much_it_is_used() {
    let world = World::new().await;
    let mut token = world.open(T0).await;
    for day in (13..90).step_by(13) {
        token = world.refresh(&token, secs(day * DAY)).await.ok();
    }
    let last = world.refresh(&token, secs(ABSOLUTE_SECS - 1)).await;
    assert!(last.cookies().iter().all(|set| set.ends_with("Max-Age=1")), "{:?}", last.cookies());
    assert_signed_out(&world.refresh(&last.ok(), secs(ABSOLUTE_SECS)).await);
}

#[tokio::test]
async fn a_suspended_users_session_is_forbidden_and_a_removed_users_is_not_found() {
    for (cause, status, kind) in
        [(Cause::AccountSuspended, 403, "forbidden_error"), (Cause::AccountRemoved, 404, "not_found_error")]
    {
        let world = World::new().await;
        let first = world.open(T0).await;
        let second = world.refresh(&first, secs(1)).await.ok();
        world.end_sessions(cause, secs(2)).await;
        let told_by_store = world.refresh(&second, secs(3)).await;
        assert_error(&told_by_store, status, kind);
        assert_eq!(told_by_store.line.cause, Some(cause.as_str()));
        assert!(told_by_store.line.usage.calls > 0);
        let remembered = world.refresh_by_body(&first, secs(4)).await;
        assert_error(&remembered, status, kind);
        assert_eq!(remembered.line.usage.calls, 0, "the instance remembers");
        // The seal stands whatever the token: even a retired one past its window is told the same.
        let elsewhere = send_to(&world.another_instance(), cookie_event(&first), secs(100)).await;
        assert_error(&elsewhere, status, kind);
    }
}

#[tokio::test]
async fn a_session_that_was_signed_out_by_its_user_or_an_operator_is_unauthenticated() {
    for cause in [Cause::SignOut, Cause::Operator] {
        let world = World::new().await;
        let token = world.open(T0).await;
        world.end_sessions(cause, secs(1)).await;
        for n in 2..4 {
            let answer = world.refresh(&token, secs(n)).await;
            assert_signed_out(&answer);
            assert_eq!(answer.line.cause, Some(cause.as_str()));
        }
    }
}

#[tokio::test]
async fn a_session_whose_items_are_gone_is_closed_for_good() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let items = world.dynamo.items("FAMILY#");
    world.dynamo.delete(&items);
    let answer = world.refresh(&token, secs(1)).await;
    assert_signed_out(&answer);
    assert_eq!((answer.line.outcome, answer.line.cause), ("revoked", Some("unknown_generation")));
    world.dynamo.put(&items);
    assert_signed_out(&send_to(&world.another_instance(), cookie_event(&token), secs(2)).await);
}
