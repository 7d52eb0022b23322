//! The grace rule as the product's client lives with it: it refreshes every minute, keeps the old token on an error, and
//! uses each token as an access token until that one's own expiry.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use std::sync::Arc;

use rondo_shared::store::item::AccountStatus;
use tokio::task::JoinSet;
use world::{
    Answer, T0, TOKEN_SECS, World, bearer, claims_of, from_address, is_a_valid_access_token, millis, secs, send_to,
};

const GRACE_MILLIS: i64 = 300_000;

#[tokio::test]
async fn a_lost_answer_is_repeated_until_its_token_is_used_and_each_repetition_is_of_the_same_generation() {
    let world = World::new().await;
    let old = world.open(T0).await;
    let lost = world.refresh(&old, secs(60)).await.ok();
    for minute in 2..=5 {
        let retry = world.refresh(&old, secs(60 * minute)).await;
        assert_eq!(retry.line.outcome, "reissued");
        let token = retry.ok();
        let (claims, of_lost) = (claims_of(&token), claims_of(&lost));
        assert_eq!(
            (&claims["gen"], &claims["gid"], &claims["exp"]),
            (&of_lost["gen"], &of_lost["gid"], &of_lost["exp"])
        );
        assert_ne!(claims["jti"], of_lost["jti"]);
        assert!(is_a_valid_access_token(&token, secs(60 * minute)));
    }
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000", "GEN#0000000001"]);
}

#[tokio::test]
async fn every_token_of_the_live_generation_is_good_for_the_next_refresh() {
    let world = World::new().await;
    let old = world.open(T0).await;
    let first = world.refresh(&old, secs(60)).await.ok();
    let again = world.refresh(&old, secs(61)).await.ok();
    let next = world.refresh(&again, secs(120)).await.ok();
    let of_the_other = world.refresh(&first, secs(121)).await.ok();
    assert_eq!(claims_of(&next)["gid"], claims_of(&of_the_other)["gid"]);
    world.refresh(&of_the_other, secs(180)).await.ok();
}

#[tokio::test]
async fn once_the_successor_was_used_the_old_token_ends_the_session() {
    for since_rotation in [1, 30, 299] {
        let world = World::new().await;
        let neighbour = world.open(T0).await;
        let old = world.open(T0).await;
        let used = world.refresh(&old, secs(60)).await.ok();
        let newest = world.refresh(&used, secs(60)).await.ok();
        let reused = world.refresh(&old, secs(60 + since_rotation)).await;
        reused.assert_unauthorized();
        assert_eq!((reused.line.outcome, reused.line.cause), ("revoked", Some("stale_lineage")));
        let elsewhere = world.another_instance();
        for token in [&newest, &used, &old] {
            world.refresh(token, secs(400)).await.assert_unauthorized();
            send_to(&elsewhere, bearer(token), secs(400)).await.assert_unauthorized();
        }
        assert!(world.dynamo.sort_keys("FAMILY#").contains(&"SEAL".to_owned()));
        world.refresh(&neighbour, secs(400)).await.ok();
    }
}

#[tokio::test]
async fn five_minutes_after_the_rotation_to_the_millisecond_the_old_token_is_believed_no_more() {
    for (since_rotation, believed) in
        [(0, true), (GRACE_MILLIS - 1, true), (GRACE_MILLIS, false), (GRACE_MILLIS + 1, false)]
    {
        let world = World::new().await;
        let old = world.open(T0).await;
        let newest = world.refresh(&old, secs(60)).await.ok();
        let replay = world.refresh(&old, millis(60_000 + since_rotation)).await;
        let after = world.refresh(&newest, millis(60_500 + since_rotation)).await;
        if believed {
            replay.ok();
            after.ok();
        } else {
            replay.assert_unauthorized();
            assert_eq!(replay.line.cause, Some("recent_predecessor"));
            after.assert_unauthorized();
        }
    }
}

#[tokio::test]
async fn retrying_again_and_again_does_not_make_the_window_longer() {
    let world = World::new().await;
    let old = world.open(T0).await;
    let newest = world.refresh(&old, secs(60)).await.ok();
    for since in [60, 120, 180, 240, 299] {
        world.refresh(&old, secs(60 + since)).await.ok();
    }
    world.refresh(&old, secs(360)).await.assert_unauthorized();
    world.refresh(&newest, secs(361)).await.assert_unauthorized();
}

#[tokio::test]
async fn a_token_that_was_issued_stays_a_valid_access_token_until_its_own_expiry() {
    let world = World::new().await;
    let (family, first) = world.open_for("user-1", T0).await;
    let second = world.refresh(&first, secs(60)).await.ok();
    let third = world.refresh(&second, secs(120)).await.ok();
    world.sign_out(family, secs(130)).await;
    for (token, issued_at) in [(&first, 0), (&second, 60), (&third, 120)] {
        assert!(is_a_valid_access_token(token, millis((issued_at + TOKEN_SECS) * 1000 - 1)));
        assert!(!is_a_valid_access_token(token, secs(issued_at + TOKEN_SECS)));
    }
}

#[tokio::test]
async fn a_client_that_refreshes_every_minute_keeps_its_session_all_day_through_lost_answers() {
    let world = World::new().await;
    let mut token = world.open(T0).await;
    for minute in 1..120_i64 {
        let answer = world.refresh(&token, secs(60 * minute)).await;
        let next = answer.ok();
        // Each seventh answer is lost, each thirteenth and the one after it.
        if minute % 7 != 0 && minute % 13 > 1 {
            token = next;
        }
    }
    assert!(is_a_valid_access_token(&token, secs(120 * 60)));
}

#[tokio::test]
async fn a_retry_from_another_client_is_served_and_reported() {
    let world = World::new().await;
    let old = world.open(T0).await;
    world.refresh(&old, secs(60)).await.ok();
    let thief = world.send(from_address(bearer(&old), "203.0.113.66"), secs(61)).await;
    thief.ok();
    assert!(thief.line.another_client);
    assert!(world.dynamo.sort_keys("FAMILY#").iter().any(|sk| sk.starts_with("CLIENT#0000000001#")));
}

#[tokio::test]
async fn a_thief_and_a_victim_who_both_go_on_end_the_session() {
    let world = World::new().await;
    let stolen = world.open(T0).await;
    let thiefs = world.refresh(&stolen, secs(30)).await.ok();
    let victims = world.refresh(&stolen, secs(60)).await.ok();
    let thiefs_next = world.refresh(&thiefs, secs(90)).await.ok();
    // The victim's token is of the generation that the thief has used: within the window it gets the live one.
    let victims_next = world.refresh(&victims, secs(120)).await.ok();
    let thiefs_last = world.refresh(&thiefs_next, secs(150)).await.ok();
    let reuse = world.refresh(&victims, secs(180)).await;
    reuse.assert_unauthorized();
    for token in [&victims_next, &thiefs_last] {
        world.refresh(token, secs(181)).await.assert_unauthorized();
    }
}

#[tokio::test]
async fn without_a_grace_window_a_race_is_a_passing_failure_and_a_later_return_ends_the_session() {
    let world = World::with(&[("ELASTIC_GRACE_SECS", "0")]).await;
    let old = world.open(T0).await;
    let newest = world.refresh(&old, secs(60)).await.ok();
    world.refresh(&old, millis(61_999)).await.assert_error(
        502,
        "authc.authentication_cluster_error",
        "The authentication cluster failed to process the request: another request is refreshing this token.",
    );
    let newest = world.refresh(&newest, secs(62)).await.ok();
    world.refresh(&old, secs(62)).await.assert_unauthorized();
    world.refresh(&newest, secs(63)).await.assert_unauthorized();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_refreshes_of_one_token_at_once_all_succeed_and_make_one_generation() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let instances: Vec<_> = (0..8).map(|_| Arc::new(world.another_instance())).collect();
    let mut requests = JoinSet::new();
    for n in 0..64 {
        let (app, event) = (Arc::clone(&instances[n % 8]), bearer(&token));
        requests.spawn(async move { send_to(&app, event, secs(60)).await });
    }
    let answers = requests.join_all().await;
    let tokens: Vec<_> = answers.iter().map(Answer::ok).collect();
    assert_eq!(answers.iter().filter(|answer| answer.line.outcome == "rotated").count(), 1);
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000", "GEN#0000000001"]);
    for token in &tokens {
        assert_eq!(claims_of(token)["gid"], claims_of(&tokens[0])["gid"]);
    }
    // Whichever of them a client kept is good for its next refresh.
    for token in tokens.iter().take(8) {
        world.refresh(token, secs(120)).await.ok();
    }
    assert_eq!(world.dynamo.sort_keys("FAMILY#").len(), 3);
}

#[tokio::test]
async fn a_user_suspended_with_all_sessions_gets_no_next_token() {
    let world = World::new().await;
    let (family, token) = world.open_for("user-1", T0).await;
    world.put_profile("user-1", AccountStatus::Suspended).await;
    world.sign_out(family, secs(1)).await;
    world.refresh(&token, secs(2)).await.assert_unauthorized();
}
