//! Rotation as such: successors, restarts, sessions side by side, writes that fail.

use super::{assert_over, generation_of, rotated};
use rondo_tests::world::{refresh_event, send_to};
use rondo_tests::{Fault, World, secs};

/// supabase/auth: `RefreshTokenV2Suite.TestNormalUse` (128 refreshes in a row).
#[tokio::test]
async fn a_long_row_of_refreshes_counts_up_by_one_and_loses_none() {
    let world = World::new().await;
    let tokens = rotated(&world, 128).await;
    let generations: Vec<_> = tokens.iter().map(|token| generation_of(token)).collect();
    assert_eq!(generations, (0..=128).collect::<Vec<_>>());
    assert_eq!(world.dynamo.sort_keys("FAMILY#").len(), 129);
}

/// keycloak/keycloak: issue 49426 (CVE-2026-9802, a restart made rotated tokens good again).
#[tokio::test]
async fn a_restart_makes_no_retired_token_good_again() {
    let mut world = World::new().await;
    let tokens = rotated(&world, 2).await;
    world.restart_with(&[]);
    assert_over(&world.refresh(&tokens[1], secs(180)).await);
    world.restart_with(&[]);
    assert_over(&world.refresh(&tokens[2], secs(181)).await);
}

/// keycloak/keycloak: issue 52666 (what was consumed was kept in a session that the next request did not see).
#[tokio::test]
async fn another_instance_knows_what_was_rotated_by_this_one() {
    let world = World::new().await;
    let tokens = rotated(&world, 1).await;
    let (_, elsewhere) = world.another_instance();
    assert_over(&send_to(&elsewhere, refresh_event(&tokens[0]), secs(120)).await);
}

/// keycloak/keycloak: `RefreshTokenRevokeTest.refreshTokenReuseOnDifferentTab` (two sign-ins of one user).
#[tokio::test]
async fn two_sign_ins_of_one_user_rotate_apart_and_a_reuse_in_one_ends_that_one() {
    let world = World::new().await;
    let (one, other) = (rotated(&world, 1).await, rotated(&world, 1).await);
    assert_over(&world.refresh(&other[0], secs(120)).await);
    assert_over(&world.refresh(&other[1], secs(121)).await);
    world.refresh(&one[1], secs(122)).await.ok();
}

/// dexidp/dex: issue 847 (an update without its condition overwrote the tokens of other clients).
#[tokio::test]
async fn a_rotation_touches_no_item_of_another_family() {
    let world = World::new().await;
    let (bystander, _) = world.open_for("user-1", Some("acme"), secs(0)).await;
    let prefix = format!("FAMILY#uniqos#{bystander}");
    let before = world.dynamo.items(&prefix);
    let tokens = rotated(&world, 3).await;
    assert_over(&world.refresh(&tokens[0], secs(999)).await);
    assert_eq!((before.len(), world.dynamo.items(&prefix)), (1, before));
}

/// thunder-id/thunderid: pull request 3872 (where a rotation cannot be recorded, the old token stays good).
#[tokio::test]
async fn where_the_rotation_cannot_be_written_the_token_stays_good_and_the_cookie_stays() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    world.faults.queue_for_all_attempts("PutItem", &Fault::Refused);
    let failed = world.refresh(&token, secs(60)).await;
    assert_eq!((failed.status, failed.header("set-cookie")), (500, None));
    let rotated = world.refresh(&token, secs(600)).await;
    assert_eq!(rotated.line.outcome, "rotated");
    assert_eq!(generation_of(&rotated.ok()), 1);
}

/// ory/hydra: issue 1831 (the answer is lost, and the client has only the token that it has used).
#[tokio::test]
async fn a_client_whose_answer_was_lost_on_the_way_from_the_store_goes_on_with_the_same_generation() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    world.faults.queue_for_all_attempts("PutItem", &Fault::AppliedThenDropped);
    let first = world.refresh(&token, secs(60)).await;
    assert!(matches!(first.status, 200 | 500), "{:?}", first.line);
    world.faults.clear();
    let retried = world.refresh(&token, secs(63)).await.ok();
    assert_eq!(generation_of(&retried), 1);
    world.refresh(&retried, secs(120)).await.ok();
}

/// supabase/auth: `TokenTestSuite.TestTokenRefreshWithExpiredSession` and `TestTokenRefreshWithUnexpiredSession`.
#[tokio::test]
async fn a_sessions_end_is_the_end_of_its_newest_token_to_the_second() {
    for (offset, status) in [(-1, 200), (0, 401)] {
        let world = World::with(&[("UNIQOS_ABSOLUTE_SECS", "3600"), ("UNIQOS_IDLE_SECS", "3600")]).await;
        let tokens = rotated(&world, 5).await;
        assert_eq!(world.refresh(&tokens[5], secs(3_600 + offset)).await.status, status);
    }
}
