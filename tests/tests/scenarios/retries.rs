//! Retries and requests at once: what is not theft, and must not look like it.

use std::sync::Arc;

use super::{assert_over, generation_of, rotated};
use rondo_tests::world::{Answer, millis, refresh_event, send_to};
use rondo_tests::{Fault, Gate, World, secs};
use tokio::task::JoinSet;

async fn at_once(world: &World, token: &str, requests: usize, now: i64) -> Vec<Answer> {
    let mut running = JoinSet::new();
    for _ in 0..requests {
        let (_, app) = world.another_instance();
        let (app, event) = (Arc::new(app), refresh_event(token));
        running.spawn(async move { send_to(&app, event, secs(now)).await });
    }
    running.join_all().await
}

/// supabase/auth: `RefreshTokenV2Suite.TestConcurrentReuse` (20 at once are one refresh); django-oauth-toolkit: issue
/// 960 (one of two was an integrity error, and so a 500).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_at_once_are_one_rotation_and_nobody_sees_an_error() {
    let world = World::new().await;
    let tokens = rotated(&world, 3).await;
    let answers = at_once(&world, &tokens[3], 20, 240).await;
    assert_eq!(answers.iter().filter(|answer| answer.line.outcome == "rotated").count(), 1);
    for answer in answers {
        assert_eq!(generation_of(&answer.ok()), 4);
    }
}

/// nextauthjs/next-auth: issues 2071 and 6851; nightscout/nocturne: pull request 391; opendefender/OpenRisk: issue 700
/// (the tabs that lose the race wipe the cookies of all).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_tab_that_loses_the_race_signs_the_others_out() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    for answer in at_once(&world, &token, 6, 60).await {
        assert!(!answer.clears_cookie());
        world.refresh(&answer.ok(), secs(61)).await.ok();
    }
}

/// django-oauth-toolkit: `test_refresh_repeating_requests` (inside the grace period and outside); dexidp/dex:
/// `TestRefreshTokenPolicy` (the reuse interval's bounds).
#[tokio::test]
async fn a_repeat_is_served_up_to_the_windows_end_and_not_from_there_on() {
    for (at_millis, status) in [(60_000, 200), (69_999, 200), (70_000, 401), (70_001, 401)] {
        let world = World::new().await;
        let tokens = rotated(&world, 1).await;
        assert_eq!(world.refresh(&tokens[0], millis(at_millis)).await.status, status, "{at_millis} ms");
    }
}

/// django-oauth-toolkit: issue 631 (the token that the second request was given was never stored, and so no good).
#[tokio::test]
async fn what_a_repeat_is_given_can_be_refreshed_with() {
    let world = World::new().await;
    let tokens = rotated(&world, 1).await;
    let repeated = world.refresh(&tokens[0], secs(65)).await.ok();
    assert_ne!(repeated, tokens[1]);
    let next = world.refresh(&repeated, secs(120)).await.ok();
    world.refresh(&next, secs(180)).await.ok();
}

/// supabase/auth: issue 1901 (used again every nine seconds, a token was good for ever).
#[tokio::test]
async fn repeating_a_token_does_not_lengthen_its_window() {
    let world = World::new().await;
    let tokens = rotated(&world, 1).await;
    world.refresh(&tokens[0], secs(69)).await.ok();
    assert_over(&world.refresh(&tokens[0], secs(78)).await);
}

/// supabase/auth: `RefreshTokenV2Suite.TestFailToSaveReuse` (the live token's predecessor is served for ever, on the
/// reasoning that its client could not save the answer). Here that ends with the window, since a thief's replay looks no
/// different; for an outage there is `REUSE_AMNESTY`.
#[tokio::test]
async fn a_client_that_could_not_save_its_token_is_believed_for_the_window_or_by_an_operators_amnesty() {
    let mut world = World::new().await;
    let tokens = rotated(&world, 1).await;
    world.restart_with(&[("REUSE_AMNESTY", "2026-11-22T10:00:59Z/2026-11-22T10:01:01Z")]);
    let saved = world.refresh(&tokens[0], secs(3_600)).await.ok();
    assert_eq!(generation_of(&saved), 1);
    world.restart_with(&[("REUSE_AMNESTY", "2026-11-22T10:02:00Z/2026-11-22T10:03:00Z")]);
    assert_over(&world.refresh(&tokens[0], secs(3_601)).await);
}

/// ory/hydra: pull request 2827, its reviewer's four points: a refresh inside the grace period works; revoking ends what
/// it gave; what it gave rotates and disturbs no other; reuse after it still ends all.
#[tokio::test]
async fn what_the_window_gives_is_of_the_family_in_everything() {
    let world = World::new().await;
    let (family, zero) = world.open_for("user-1", Some("acme"), secs(0)).await;
    let one = world.refresh(&zero, secs(60)).await.ok();
    let graced = world.refresh(&zero, secs(62)).await.ok();
    let two = world.refresh(&graced, secs(64)).await.ok();
    let other_two = world.refresh(&one, secs(66)).await.ok();
    assert_eq!((generation_of(&two), generation_of(&other_two)), (2, 2));
    world.sign_out(family, secs(67)).await;
    for token in [&zero, &one, &graced, &two, &other_two] {
        assert_over(&world.refresh(token, secs(68)).await);
    }
    let world = World::new().await;
    let tokens = rotated(&world, 1).await;
    let graced = world.refresh(&tokens[0], secs(65)).await.ok();
    assert_over(&world.refresh(&tokens[0], secs(99)).await);
    assert_over(&world.refresh(&graced, secs(100)).await);
}

/// panva/node-oidc-provider: issue 1086 (a frontend that sends each request twice ended its own grant).
#[tokio::test]
async fn a_frontend_that_sends_everything_twice_keeps_its_session() {
    let world = World::new().await;
    let mut token = world.open(secs(0)).await;
    for n in 1..=20 {
        let first = world.refresh(&token, secs(60 * n)).await.ok();
        let second = world.refresh(&token, secs(60 * n)).await.ok();
        token = if n % 2 == 0 { first } else { second };
    }
    assert_eq!(generation_of(&token), 20);
}

/// comet-ml/opik: pull request 8287 (a family revoked while a request is under way). The request under way may be
/// answered either way; what it is given is dead, and nothing that begins after the revocation is given anything.
#[tokio::test]
async fn a_revocation_between_a_requests_two_calls_leaves_nothing_alive() {
    for held in ["PutItem", "Query"] {
        let world = World::new().await;
        let (family, token) = world.open_for("user-1", Some("acme"), secs(0)).await;
        let gate = Gate::default();
        world.faults.queue(held, Fault::HeldAfter(gate.clone()));
        let revoking = async {
            gate.reached().await;
            world.sign_out(family, secs(60)).await;
            let (_, fresh) = world.another_instance();
            assert_over(&send_to(&fresh, refresh_event(&token), secs(60)).await);
            gate.open();
        };
        let (under_way, ()) = tokio::join!(world.refresh(&token, secs(60)), revoking);
        if let Some(given) = under_way.token() {
            let (_, fresh) = world.another_instance();
            assert_over(&send_to(&fresh, refresh_event(&given), secs(61)).await);
        }
    }
}
