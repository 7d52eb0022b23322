//! The order of the checks: nothing that does not verify, and nothing that has expired, may burn a family.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};

use super::{assert_over, rotated};
use rondo_shared::moment::Nonce;
use rondo_shared::token::{Claims, UnverifiedToken};
use rondo_tests::{World, secs};

/// Claims of a good token, changed and signed with `secret`.
fn resigned(token: &str, secret: &[u8; 32], change: impl FnOnce(&mut Claims)) -> String {
    let mut claims = UnverifiedToken::parse(token).unwrap().claims_unverified().unwrap();
    change(&mut claims);
    let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).unwrap());
    let signed = format!("{}.{claims}", token.split('.').next().unwrap());
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

/// The secret of the test keyring's `m1`.
const OURS: [u8; 32] = [1; 32];
/// Anybody's.
const FORGERS: [u8; 32] = [9; 32];

/// supabase/auth: `RefreshTokenV2Suite.TestInvalidRefreshTokens` (a counter put up by one, a signature by another key).
#[tokio::test]
async fn a_forged_token_of_a_known_family_never_burns_it() {
    let world = World::new().await;
    let tokens = rotated(&world, 2).await;
    for (n, generation) in (0..).zip([0, 1, 2, 3, 9_999]) {
        let forged = resigned(&tokens[2], &FORGERS, |claims| claims.generation = generation);
        let answer = world.refresh(&forged, secs(300 + n)).await;
        assert_over(&answer);
        assert_eq!((answer.line.usage.calls, answer.line.family), (0, None));
    }
    let (head, signature) = tokens[2].rsplit_once('.').unwrap();
    let swapped = format!("{}.{signature}", tokens[0].rsplit_once('.').unwrap().0);
    assert_eq!(world.refresh(&swapped, secs(310)).await.line.usage.calls, 0);
    assert_eq!(world.refresh(&format!("{head}."), secs(311)).await.line.usage.calls, 0);
    world.refresh(&tokens[2], secs(320)).await.ok();
}

/// ory/fosite: `TestRefreshFlow_HandleTokenEndpointRequest`, "should fail because token is expired"; Abblix/Oidc.Server:
/// pull request 214 (the expiry comes before the reuse: an old token out of a backup proves no theft).
#[tokio::test]
async fn an_expired_token_is_refused_and_ends_nothing() {
    let world = World::with(&[("UNIQOS_IDLE_SECS", "600"), ("UNIQOS_ABSOLUTE_SECS", "40000")]).await;
    let mut tokens = vec![world.open(secs(0)).await];
    for n in 1..=3 {
        tokens.push(world.refresh(&tokens[n - 1], secs(500 * i64::try_from(n).unwrap())).await.ok());
    }
    let expired = world.refresh(&tokens[0], secs(1_600)).await;
    assert_eq!((expired.status, expired.line.cause, expired.line.usage.calls), (401, Some("expired"), 0));
    world.refresh(&tokens[3], secs(1_700)).await.ok();
}

/// ory/fosite: `TestRefreshFlow_HandleTokenEndpointRequest`, "should fail because token is valid but does not exist".
#[tokio::test]
async fn a_token_that_verifies_and_was_never_stored_opens_nothing() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    let never = resigned(&token, &OURS, |claims| {
        claims.sid = "01KAZZZZZZZZZZZZZZZZZZZZZZ".parse().unwrap();
        claims.gid = Nonce::from_text("never");
    });
    for second in [60, 61] {
        assert_over(&world.refresh(&never, secs(second)).await);
    }
    world.refresh(&token, secs(62)).await.ok();
}

/// ory/fosite: `TestRefreshFlow_HandleTokenEndpointRequest`, "should fail because client mismatches", for whom a token
/// stands in another's name: here user, organization and tenant are in the token, under its signature.
#[tokio::test]
async fn nobody_elses_name_can_be_put_into_a_token() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    let renamed = resigned(&token, &FORGERS, |claims| claims.sub = "user-2".parse().unwrap());
    let (other_head, _) = renamed.rsplit_once('.').unwrap();
    let (_, signature) = token.rsplit_once('.').unwrap();
    for forged in [renamed.clone(), format!("{other_head}.{signature}")] {
        assert_eq!(world.refresh(&forged, secs(60)).await.line.usage.calls, 0);
    }
    world.refresh(&token, secs(61)).await.ok();
}

/// FlowFuse/flowfuse: issue 8270 (a family that was ended, asked for by a retry that is still in time): what a seal says
/// comes before what any window says.
#[tokio::test]
async fn a_seal_comes_before_the_window() {
    let world = World::new().await;
    let (family, token) = world.open_for("user-1", Some("acme"), secs(0)).await;
    world.refresh(&token, secs(60)).await.ok();
    world.sign_out(family, secs(61)).await;
    let retried = world.refresh(&token, secs(62)).await;
    assert_eq!(retried.line.cause, Some("sign_out"));
    assert_over(&retried);
}

/// keycloak/keycloak: issue 49426 once more, for the operator's own instant: what was opened before it is over, retired
/// or live, before anything is asked of the store.
#[tokio::test]
async fn the_global_sign_out_comes_before_the_store() {
    let mut world = World::new().await;
    let tokens = rotated(&world, 1).await;
    world.restart_with(&[("SESSIONS_NOT_BEFORE", "2026-11-22T11:00:00Z")]);
    for token in &tokens {
        let over = world.refresh(token, secs(61)).await;
        assert_over(&over);
        assert_eq!(over.line.usage.calls, 0);
    }
}
