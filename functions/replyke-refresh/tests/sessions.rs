//! What becomes of a session: one token that works again and again until the session is over, and rotation where a
//! deployment has turned it on for cookies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use std::sync::Arc;

use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::Cause;
use rondo_tests::{T0, secs};
use serde_json::json;
use tokio::task::JoinSet;
use world::{
    FOREIGN, NO_USER, NOBODY, NOT_RECOGNIZED, PROJECT, SESSION_SECS, USER, World, assert_says, claims_of, cookie_event,
    from_address, in_project, invalid, send_to, token_event,
};

#[tokio::test]
async fn one_token_works_again_and_again_and_nothing_is_put_beside_its_generation() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for day in 1..30 {
        let now = secs(day * 86_400);
        world.by_cookie(&token, now).await.ok();
        let answer = world.by_body(&token, now).await;
        answer.ok();
        assert_eq!((answer.header("set-cookie"), answer.line.outcome), (None, "proven"));
        assert_eq!(answer.json().get("refreshToken"), None);
    }
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_refreshes_of_one_token_at_once_all_succeed_where_the_limit_allows_them() {
    let world = World::with(&[("REPLYKE_RATE_LIMIT", "128")]).await;
    let token = world.open(T0).await;
    let instances: Vec<_> = (0..8).map(|_| Arc::new(world.another_instance())).collect();
    let mut requests = JoinSet::new();
    for n in 0..64 {
        let (app, token) = (Arc::clone(&instances[n % 8]), token.clone());
        requests.spawn(async move { send_to(&app, cookie_event(&token), secs(1)).await });
    }
    for answer in requests.join_all().await {
        answer.ok();
    }
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000"]);
}

#[tokio::test]
async fn a_session_is_over_after_thirty_days_to_the_second() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.by_cookie(&token, secs(SESSION_SECS - 1)).await.ok();
    for offset in [0, 1] {
        let answer = world.by_cookie(&token, secs(SESSION_SECS + offset)).await;
        assert_says(&answer, 403, &invalid("jwt expired"));
    }
}

#[tokio::test]
async fn an_access_token_lives_thirty_minutes_and_never_past_the_sessions_end() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for (now, expires_at) in [(1, 1_801), (SESSION_SECS - 1_800, SESSION_SECS), (SESSION_SECS - 1, SESSION_SECS)] {
        let access = world.by_cookie(&token, secs(now)).await.ok();
        let claims = claims_of(&access);
        let at = |name: &str| claims[name].as_i64().unwrap();
        assert_eq!((at("iat"), at("exp")), (secs(now).secs(), secs(expires_at).secs()));
    }
}

#[tokio::test]
async fn a_session_that_was_ended_is_not_recognized_whatever_ended_it() {
    for cause in [Cause::SignOut, Cause::Operator, Cause::AccountSuspended, Cause::Reuse, Cause::UnknownGeneration] {
        let world = World::new().await;
        let (family, token) = world.open_for(PROJECT, USER, T0).await;
        world.by_cookie(&token, secs(1)).await.ok();
        world.seal(family, cause, secs(2)).await;
        // From the store, and then from the instance's memory.
        for now in [3, 4] {
            assert_says(&world.by_cookie(&token, secs(now)).await, 403, NOT_RECOGNIZED);
        }
    }
}

#[tokio::test]
async fn a_session_that_was_ended_for_its_user_being_removed_finds_no_user() {
    let world = World::new().await;
    let (family, token) = world.open_for(PROJECT, USER, T0).await;
    world.seal(family, Cause::AccountRemoved, secs(2)).await;
    for now in [3, 4] {
        assert_says(&world.by_body(&token, secs(now)).await, 403, NO_USER);
    }
}

#[tokio::test]
async fn a_session_that_the_table_does_not_know_is_not_recognized_and_nothing_is_written() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.dynamo.delete(&world.dynamo.items("FAMILY#"));
    assert_says(&world.by_cookie(&token, secs(1)).await, 403, NOT_RECOGNIZED);
    assert!(world.dynamo.items("FAMILY#").is_empty());
}

#[tokio::test]
async fn a_user_is_called_missing_only_after_a_strong_read() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.delete_user();
    world.faults.take_attempts();
    assert_says(&world.by_cookie(&token, secs(1)).await, 403, NO_USER);
    let mut attempts = world.faults.take_attempts();
    assert_eq!(attempts.pop().as_deref(), Some("GetItem"), "the second read comes last, alone");
    attempts.sort();
    assert_eq!(attempts, ["GetItem", "GetItem", "Query", "UpdateItem"]);
    // Nothing was sealed: a user who is put again is found again.
    world.put_user(USER, |item| item).await;
    world.by_cookie(&token, secs(2)).await.ok();
}

#[tokio::test]
async fn the_tombstone_of_a_removed_user_is_no_user() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.put_user(USER, |item| item.text("status", "removed".to_owned())).await;
    assert_says(&world.by_cookie(&token, secs(1)).await, 403, NO_USER);
}

#[tokio::test]
async fn a_token_of_one_project_is_nothing_to_another_and_works_in_its_own_afterwards() {
    let world = World::new().await;
    world.put_user_of("project-2", USER, |item| item).await;
    let token = world.open(T0).await;
    let (_, other) = world.open_for("project-2", USER, T0).await;
    for project in ["project-2", "project-3", "project-11", "PROJECT-1", "a%3Ab", "a:b", "", &"x".repeat(200)] {
        for event in [cookie_event(&token), token_event(json!(token))] {
            let answer = world.send(in_project(event, project), secs(1)).await;
            assert_says(&answer, 403, FOREIGN);
            assert_eq!(answer.line.usage.calls, 0, "{project}");
        }
    }
    assert_says(&world.by_cookie(&other, secs(2)).await, 403, FOREIGN);
    let access = world.by_cookie(&token, secs(2)).await.ok();
    assert_eq!(claims_of(&access)["projectId"], PROJECT);
    let access = world.send(in_project(cookie_event(&other), "project-2"), secs(2)).await.ok();
    assert_eq!(claims_of(&access)["projectId"], "project-2");
}

#[tokio::test]
async fn a_seal_ends_the_session_in_its_own_project_alone() {
    let world = World::new().await;
    world.put_user_of("project-2", USER, |item| item).await;
    let (family, token) = world.open_for(PROJECT, USER, T0).await;
    let (_, other) = world.open_for("project-2", USER, T0).await;
    world.seal(family, Cause::SignOut, secs(1)).await;
    assert_says(&world.by_cookie(&token, secs(2)).await, 403, NOT_RECOGNIZED);
    world.send(in_project(cookie_event(&other), "project-2"), secs(2)).await.ok();
}

#[tokio::test]
async fn sessions_opened_before_the_global_sign_out_are_not_recognized_and_later_ones_are() {
    let mut world = World::new().await;
    let token = world.open(T0).await;
    world.restart_with(&[("SESSIONS_NOT_BEFORE", "2026-11-22T10:00:10Z")]);
    assert_says(&world.by_cookie(&token, secs(20)).await, 403, NOT_RECOGNIZED);
    // It is no less another project's for that.
    assert_says(&world.send(in_project(cookie_event(&token), "project-2"), secs(20)).await, 403, FOREIGN);
    let later = world.open(secs(10)).await;
    world.by_cookie(&later, secs(20)).await.ok();
}

/// The cookie that a rotation sets, by default and however long the session still lasts.
fn set_cookie(token: &str) -> String {
    format!("replyke-refresh-jwt={token}; Path=/; HttpOnly; Secure; SameSite=None; Max-Age=2592000")
}

#[tokio::test]
async fn with_rotation_on_a_cookie_is_given_its_successor_which_is_given_its_own() {
    let world = World::rotating().await;
    let mut token = world.open(T0).await;
    for n in 1..4 {
        let answer = world.by_cookie(&token, secs(60 * n)).await;
        answer.ok();
        assert_eq!(answer.line.outcome, "rotated");
        let successor = answer.successor().unwrap();
        assert_ne!(successor, token);
        assert_eq!(answer.header("set-cookie"), Some(set_cookie(&successor).as_str()));
        assert_eq!(claims_of(&successor)["exp"], secs(SESSION_SECS).secs(), "never past the session's end");
        assert_eq!(answer.json().get("refreshToken"), None, "scripts do not see it");
        token = successor;
    }
    assert_eq!(world.dynamo.sort_keys("FAMILY#").len(), 4);
}

#[tokio::test]
async fn a_rotated_cookie_is_kept_for_thirty_days_where_the_session_lasts_longer() {
    let world = World::with(&[("REPLYKE_ROTATE_COOKIES", "true"), ("REPLYKE_ABSOLUTE_SECS", "7776000")]).await;
    let answer = world.by_cookie(&world.open(T0).await, secs(1)).await;
    let successor = answer.successor().unwrap();
    assert_eq!(answer.header("set-cookie"), Some(set_cookie(&successor).as_str()));
}

#[tokio::test]
async fn a_rotated_cookie_is_of_the_domain_that_the_deployment_has_set() {
    let world = World::with(&[("REPLYKE_ROTATE_COOKIES", "true"), ("REPLYKE_COOKIE_DOMAIN", "example.com")]).await;
    let answer = world.by_cookie(&world.open(T0).await, secs(1)).await;
    assert!(answer.header("set-cookie").unwrap().contains("; Path=/; Domain=example.com; HttpOnly; Secure;"));
}

#[tokio::test]
async fn a_retry_within_the_grace_window_is_served_and_after_it_the_session_is_over() {
    for (since_rotation_millis, served) in [(0, true), (29_999, true), (30_000, false), (30_001, false)] {
        let world = World::rotating().await;
        let old = world.open(T0).await;
        let live = world.by_cookie(&old, secs(60)).await.successor().unwrap();
        let at = Timestamp::from_millis(secs(60).millis() + since_rotation_millis);
        let retry = world.by_cookie(&old, at).await;
        if served {
            retry.ok();
            assert_eq!(retry.line.outcome, "reissued");
            world.by_cookie(&retry.successor().unwrap(), secs(120)).await.ok();
        } else {
            assert_says(&retry, 403, NOT_RECOGNIZED);
            assert_eq!(retry.line.outcome, "revoked");
            assert_says(&world.by_cookie(&live, secs(121)).await, 403, NOT_RECOGNIZED);
            assert_says(&world.by_body(&live, secs(122)).await, 403, NOT_RECOGNIZED);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_rotation_on_many_refreshes_of_one_cookie_at_once_all_succeed() {
    let world = World::rotating().await;
    let token = world.open(T0).await;
    let instances: Vec<_> = (0..4).map(|_| Arc::new(world.another_instance())).collect();
    let mut requests = JoinSet::new();
    for n in 0..32 {
        let (app, token) = (Arc::clone(&instances[n % 4]), token.clone());
        requests.spawn(async move { send_to(&app, cookie_event(&token), secs(1)).await });
    }
    let answers = requests.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.line.outcome == "rotated").count(), 1);
    for answer in answers {
        answer.ok();
        let event = from_address(cookie_event(&answer.successor().unwrap()), "198.51.100.1");
        send_to(&instances[0], event, secs(2)).await.ok();
    }
    assert_eq!(world.dynamo.sort_keys("FAMILY#").len(), 3);
}

#[tokio::test]
async fn a_token_in_the_body_never_rotates_whatever_the_deployment_has_turned_on() {
    let world = World::rotating().await;
    let token = world.open(T0).await;
    for n in 1..4 {
        let answer = world.by_body(&token, secs(60 * n)).await;
        answer.ok();
        assert_eq!((answer.header("set-cookie"), answer.line.outcome), (None, "proven"));
    }
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000"]);
}

#[tokio::test]
async fn a_retired_token_that_another_client_sends_in_the_body_within_the_window_is_served_and_told_in_the_log() {
    let world = World::rotating().await;
    let old = world.open(T0).await;
    world.by_cookie(&old, secs(60)).await.ok();
    let own = world.by_body(&old, secs(61)).await;
    assert_eq!((own.status, own.line.outcome, own.line.another_client), (200, "proven", false));
    let anothers = world.send(from_address(token_event(json!(old)), "203.0.113.66"), secs(62)).await;
    assert_eq!((anothers.status, anothers.line.outcome, anothers.line.another_client), (200, "proven", true));
    assert_eq!(world.dynamo.sort_keys("FAMILY#").iter().filter(|sk| sk.starts_with("CLIENT#")).count(), 1);
}

#[tokio::test]
async fn a_successor_works_in_the_body_and_its_predecessor_there_is_a_reuse_after_the_window() {
    let world = World::rotating().await;
    let old = world.open(T0).await;
    let live = world.by_cookie(&old, secs(60)).await.successor().unwrap();
    world.by_body(&live, secs(61)).await.ok();
    world.by_body(&old, secs(89)).await.ok();
    let reused = world.by_body(&old, secs(90)).await;
    assert_says(&reused, 403, NOT_RECOGNIZED);
    assert_eq!(reused.line.outcome, "revoked");
    assert_says(&world.by_body(&live, secs(91)).await, 403, NOT_RECOGNIZED);
}

#[tokio::test]
async fn a_session_that_was_rotated_goes_on_without_once_rotation_is_turned_off_again() {
    let mut world = World::rotating().await;
    let old = world.open(T0).await;
    let live = world.by_cookie(&old, secs(60)).await.successor().unwrap();
    world.restart_with(&[("REPLYKE_ROTATE_COOKIES", "false")]);
    let answer = world.by_cookie(&live, secs(120)).await;
    answer.ok();
    assert_eq!((answer.header("set-cookie"), answer.line.outcome), (None, "proven"));
}

#[tokio::test]
async fn with_the_grace_window_off_a_race_is_a_passing_failure_and_no_refusal() {
    let world = World::with(&[("REPLYKE_ROTATE_COOKIES", "true"), ("REPLYKE_GRACE_SECS", "0")]).await;
    let old = world.open(T0).await;
    let live = world.by_cookie(&old, secs(60)).await.successor().unwrap();
    assert_says(&world.by_cookie(&old, secs(61)).await, 500, world::SERVER_ERROR);
    world.by_cookie(&live, secs(62)).await.ok();
}

#[tokio::test]
async fn with_rotation_on_nobody_is_still_nobody_and_a_missing_user_missing() {
    let world = World::rotating().await;
    assert_says(&world.send(world::event(json!({})), T0).await, 200, NOBODY);
    let token = world.open(T0).await;
    world.delete_user();
    assert_says(&world.by_cookie(&token, secs(1)).await, 403, NO_USER);
}
