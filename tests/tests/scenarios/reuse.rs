//! Reuse: the replay of a retired token past its window, and what it takes with it.

use super::{assert_over, rotated};
use rondo_shared::store::item::AccountStatus;
use rondo_tests::world::{millis, thiefs_event};
use rondo_tests::{World, secs};

/// supabase/auth: `TokenTestSuite.TestRefreshTokenReuseRevocation` and `RefreshTokenV2Suite.TestMaliciousReuse`.
#[tokio::test]
async fn the_oldest_token_again_ends_every_token_of_the_family_the_newest_first() {
    let world = World::new().await;
    let tokens = rotated(&world, 3).await;
    let reused = world.refresh(&tokens[0], secs(240)).await;
    assert_eq!((reused.line.outcome, reused.line.cause), ("revoked", Some("stale_lineage")));
    for token in tokens.iter().rev() {
        assert_over(&world.refresh(token, secs(241)).await);
    }
}

/// keycloak/keycloak: `RefreshTokenRevokeTest.refreshTokenReuseTokenWithRefreshTokensRevoked`; ory/fosite:
/// `TestRefreshFlow_HandleTokenEndpointRequest`, "should deny access on token reuse", and
/// `TestRefreshFlowTransactional_HandleTokenEndpointRequest`, "should revoke session on token reuse".
#[tokio::test]
async fn the_last_token_but_one_again_ends_the_live_token_too() {
    let world = World::new().await;
    let tokens = rotated(&world, 1).await;
    let reused = world.refresh(&tokens[0], secs(120)).await;
    assert_eq!(reused.line.cause, Some("recent_predecessor"));
    assert_over(&reused);
    assert_over(&world.refresh(&tokens[1], secs(121)).await);
}

/// leodip/goiabada: issue 128 (a thief who rotates first keeps what is descended from it).
#[tokio::test]
async fn a_thief_who_comes_first_loses_everything_at_the_victims_next_refresh() {
    let world = World::new().await;
    let stolen = world.open(secs(0)).await;
    let thiefs = world.send(thiefs_event(&stolen), secs(60)).await.ok();
    let thiefs = world.send(thiefs_event(&thiefs), secs(120)).await.ok();
    assert_over(&world.refresh(&stolen, secs(180)).await);
    assert_over(&world.send(thiefs_event(&thiefs), secs(181)).await);
}

/// keycloak/keycloak: `RefreshTokenRevokeTest.refreshTokenReuseTokenWithRefreshTokensRevokedAfterSingleReuse`.
#[tokio::test]
async fn what_was_reissued_inside_the_window_dies_with_the_family() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    let first = world.refresh(&token, secs(60)).await.ok();
    let reissued = world.refresh(&token, secs(65)).await.ok();
    assert_over(&world.refresh(&token, secs(70)).await);
    assert_over(&world.refresh(&first, secs(71)).await);
    assert_over(&world.refresh(&reissued, secs(72)).await);
}

/// keycloak/keycloak: `RefreshTokenRevokeTest.refreshTokenReuseOfExistingTokenAfterDisablingReuseRevokation`.
#[tokio::test]
async fn a_longer_window_set_afterwards_opens_no_family_that_was_ended() {
    let mut world = World::new().await;
    let tokens = rotated(&world, 1).await;
    assert_over(&world.refresh(&tokens[0], secs(75)).await);
    world.restart_with(&[("UNIQOS_GRACE_SECS", "60")]);
    for token in &tokens {
        assert_over(&world.refresh(token, secs(76)).await);
    }
}

/// keycloak/keycloak: `RefreshTokenRevokeTest.refreshTokenReuseTokenWithRefreshTokensRevokedAndSSOReauthentication`.
#[tokio::test]
async fn signing_in_again_opens_another_family_and_not_the_one_that_was_ended() {
    let world = World::new().await;
    let tokens = rotated(&world, 1).await;
    assert_over(&world.refresh(&tokens[0], secs(120)).await);
    let again = world.open(secs(121)).await;
    world.refresh(&again, secs(122)).await.ok();
    for token in &tokens {
        assert_over(&world.refresh(token, secs(123)).await);
    }
}

/// keycloak/keycloak: issue 50999 and `refreshTokenSameSecondReplayRejected` (times told in seconds made two
/// generations of one second one).
#[tokio::test]
async fn two_rotations_of_one_millisecond_are_two_generations_and_the_older_is_retired() {
    let world = World::with(&[("UNIQOS_GRACE_SECS", "0")]).await;
    let zero = world.open(secs(60)).await;
    let one = world.refresh(&zero, secs(60)).await.ok();
    let two = world.refresh(&one, secs(60)).await.ok();
    let replayed = world.refresh(&zero, secs(60)).await;
    assert_eq!((replayed.status, replayed.token()), (409, None), "grace is off: nothing for a replay, at once or ever");
    assert_over(&world.refresh(&zero, millis(62_000)).await);
    assert_over(&world.refresh(&two, millis(62_001)).await);
}

/// supabase/auth: pull request 466 (with `foo`, `bar` and `baz` in a row, `foo` is reuse at once). Here each retired token
/// has a window of its own, whatever came after it, and is reuse from that window's end on, whatever else is still open.
#[tokio::test]
async fn a_token_two_behind_is_believed_for_its_own_window_and_no_longer() {
    for (replayed_at, status) in [(69, 200), (70, 401)] {
        let world = World::new().await;
        let foo = world.open(secs(0)).await;
        let bar = world.refresh(&foo, secs(60)).await.ok();
        world.refresh(&bar, secs(66)).await.ok();
        assert_eq!(world.refresh(&foo, secs(replayed_at)).await.status, status);
        assert_eq!(world.refresh(&bar, secs(replayed_at)).await.status, status, "its own window ends at 76 s");
    }
}

/// django-oauth/django-oauth-toolkit: issue 1617 and pull request 1777 (a grace period of many minutes let tokens
/// several generations old through). The window of this product has a bound of a minute, and a stranger's replay inside
/// it is written down.
#[tokio::test]
async fn an_old_generation_inside_its_window_is_served_to_a_stranger_only_with_a_note() {
    let world = World::new().await;
    let one = world.open(secs(0)).await;
    let two = world.refresh(&one, secs(60)).await.ok();
    world.refresh(&two, secs(61)).await.ok();
    let replayed = world.send(thiefs_event(&one), secs(62)).await;
    assert!(replayed.line.another_client);
    replayed.ok();
    let notes = world.dynamo.sort_keys("FAMILY#").into_iter().filter(|key| key.starts_with("CLIENT#")).count();
    assert_eq!(notes, 1);
}

/// supabase/auth: `TokenTestSuite.TestTokenRefreshTokenGrantFailure` (the user was banned). The status written by hand
/// ends no session: our tools write it and then seal; this is what SECURITY.md says of it.
#[tokio::test]
async fn a_status_that_is_written_past_our_tools_ends_no_session() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    world.put_user("user-1", AccountStatus::Suspended).await;
    world.refresh(&token, secs(60)).await.ok();
}
