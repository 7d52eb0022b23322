//! What a browser lives through with its cookie: rotation, the grace window, reuse, and the two ways to expire.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod forge;

use forge::{claims_of, header_of};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::moment::Timestamp;
use rondo_shared::token::{TokenError, UnverifiedToken};
use rondo_tests::world::{PUBLIC_KEY, keyring_document, millis};
use rondo_tests::{Answer, T0, World, secs};
use serde_json::json;

/// The contract's numbers for Uniqos.
const GRACE_SECS: i64 = 10;
const DAY: i64 = 86_400;
const IDLE_SECS: i64 = 14 * DAY;
const ABSOLUTE_SECS: i64 = 90 * DAY;

#[track_caller]
fn assert_signed_out(answer: &Answer, which: &str) {
    assert_eq!(answer.status, 401, "{which}: {}", answer.json());
    assert_eq!(answer.json()["error"]["code"], "authentication_error", "{which}");
    assert!(answer.clears_cookie(), "{which}: the cookie is to be cleared");
    assert_eq!(answer.token(), None, "{which}");
}

/// The seconds for which the browser is to keep the cookie.
#[track_caller]
fn max_age(answer: &Answer) -> i64 {
    let set = answer.header("set-cookie").expect("a Set-Cookie");
    set.rsplit_once("Max-Age=").expect("a Max-Age").1.parse().expect("whole seconds")
}

/// A session kept alive by a refresh every 13 days, until `until` days after it was opened: its newest cookie.
async fn used_until_day(world: &World, until: i64) -> String {
    let mut token = world.open(T0).await;
    for day in (13..=until).step_by(13) {
        token = world.refresh(&token, secs(day * DAY)).await.ok();
    }
    token
}

#[tokio::test]
async fn every_refresh_gives_another_cookie_of_the_same_session() {
    let world = World::new().await;
    let (family, first) = world.open_for("user-1", Some("acme"), T0).await;
    let second = world.refresh(&first, secs(60)).await.ok();
    let third = world.refresh(&second, secs(120)).await.ok();
    assert!(first != second && second != third && first != third);
    for token in [&second, &third] {
        let (opened, rotated) = (claims_of(&first), claims_of(token));
        assert_eq!(rotated["sid"], family.to_string());
        for same in ["sid", "sub", "iss", "aud"] {
            assert_eq!(rotated[same], opened[same], "{same}");
        }
        assert_ne!(rotated["jti"], opened["jti"]);
    }
}

#[tokio::test]
async fn the_access_token_verifies_with_the_published_key_and_names_user_and_session() {
    let world = World::new().await;
    let (family, token) = world.open_for("user-1", Some("acme"), T0).await;
    let now = secs(3_600);
    let access = |answer: &Answer| answer.json()["access_token"].as_str().unwrap().to_owned();
    let answer = world.refresh(&token, now).await;
    let first = access(&answer);
    assert_eq!(header_of(&first), json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "s1"}));

    let claims = claims_of(&first);
    assert_eq!(claims["sub"], "user-1");
    assert_eq!(claims["sid"], family.to_string());
    assert_eq!(claims["iat"], now.secs());
    assert_eq!(claims["exp"], now.secs() + 900);
    for text in ["iss", "aud", "jti", "client_id"] {
        assert!(claims[text].as_str().is_some_and(|value| !value.is_empty()), "{text}: {claims}");
    }
    assert_eq!(claims["iss"], world.app.policy().authority.issuer);
    assert_eq!(claims["aud"], world.app.policy().access.audience);
    assert_eq!(claims["client_id"], world.app.policy().access.client_id);

    // A refresh token's verifier looks at the signature before the type, and so tells whose key an access token is by.
    let with_public = |x: &str| {
        let mut keyring = keyring_document();
        let signing = &mut keyring["products"]["uniqos"]["signing"];
        signing[0]["kid"] = json!("another");
        signing[1]["kid"] = json!("s1");
        signing[1]["jwk"]["x"] = json!(x);
        let keys = ProductKeys::parse(&keyring.to_string(), "uniqos").unwrap();
        let authority = &world.app.policy().authority;
        UnverifiedToken::parse(&first).unwrap().verify(&keys.signing, authority, now).unwrap_err()
    };
    assert_eq!(with_public(PUBLIC_KEY), TokenError::WrongType);
    // The public key of RFC 8032 §7.1, test 2.
    assert_eq!(with_public("PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"), TokenError::BadSignature);

    let second = access(&world.refresh(&answer.token().unwrap(), secs(3_601)).await);
    assert_ne!(claims_of(&second)["jti"], claims["jti"]);
}

#[tokio::test]
async fn two_reloads_at_once_both_get_a_cookie_that_works() {
    let world = World::new().await;
    let old = world.open(T0).await;
    let one = world.refresh(&old, secs(100)).await.ok();
    let other = world.refresh(&old, secs(105)).await.ok();
    assert!(one != old && other != old);
    let next = world.refresh(&one, secs(300)).await.ok();
    let next_of_other = world.refresh(&other, secs(305)).await.ok();
    world.refresh(&next, secs(400)).await.ok();
    world.refresh(&next_of_other, secs(405)).await.ok();
}

#[tokio::test]
async fn a_retry_counts_until_the_windows_last_millisecond_and_ends_the_session_from_its_end_on() {
    for (since_rotation_millis, served) in [(0, true), (GRACE_SECS * 1000 - 1, true)].into_iter().chain([
        (GRACE_SECS * 1000, false),
        (GRACE_SECS * 1000 + 1, false),
        (DAY * 1000, false),
    ]) {
        let world = World::new().await;
        let old = world.open(T0).await;
        let newest = world.refresh(&old, secs(100)).await.ok();
        let replay = world.refresh(&old, millis(100_000 + since_rotation_millis)).await;
        let after = millis(100_000 + since_rotation_millis + 500);
        if served {
            assert_eq!(replay.status, 200, "{since_rotation_millis} ms: {}", replay.json());
            assert_eq!(world.refresh(&newest, after).await.status, 200, "{since_rotation_millis} ms");
        } else {
            assert_signed_out(&replay, &format!("{since_rotation_millis} ms"));
            assert_signed_out(&world.refresh(&newest, after).await, "the newest");
        }
    }
}

#[tokio::test]
async fn a_reuse_ends_every_cookie_of_the_session_everywhere_and_no_other_session() {
    let world = World::new().await;
    let neighbour = world.open(T0).await;
    let first = world.open(T0).await;
    let second = world.refresh(&first, secs(100)).await.ok();
    let twin = world.refresh(&first, secs(105)).await.ok();
    let third = world.refresh(&second, secs(200)).await.ok();
    let fourth = world.refresh(&third, secs(300)).await.ok();
    assert_signed_out(&world.refresh(&second, secs(300)).await, "the replay");
    let tokens = [("first", first), ("second", second), ("twin", twin), ("third", third), ("fourth", fourth)];
    let (_, elsewhere) = world.another_instance();
    for (n, (which, token)) in (0_i64..).zip(&tokens) {
        let now = secs(310 + 10 * n);
        assert_signed_out(&world.refresh(token, now).await, which);
        let event = rondo_tests::world::refresh_event(token);
        assert_signed_out(&rondo_tests::world::send_to(&elsewhere, event, now).await, which);
    }
    world.refresh(&neighbour, secs(400)).await.ok();
}

#[tokio::test]
async fn retrying_again_and_again_does_not_make_the_window_longer() {
    let world = World::new().await;
    let old = world.open(T0).await;
    let mut newest = world.refresh(&old, secs(100)).await.ok();
    for since_rotation in [3, 6, 9] {
        newest = world.refresh(&old, secs(100 + since_rotation)).await.ok();
    }
    assert_signed_out(&world.refresh(&old, secs(100 + GRACE_SECS)).await, "the window's end");
    assert_signed_out(&world.refresh(&newest, secs(111)).await, "the newest");
}

#[tokio::test]
async fn each_rotation_has_a_window_of_its_own() {
    let world = World::new().await;
    let first = world.open(T0).await;
    let second = world.refresh(&first, secs(100)).await.ok();
    world.refresh(&second, secs(108)).await.ok();
    world.refresh(&first, secs(109)).await.ok();
    world.refresh(&second, secs(117)).await.ok();
    assert_signed_out(&world.refresh(&first, secs(117)).await, "the first, whose window is over");
}

#[tokio::test]
async fn an_idle_session_is_over_after_fourteen_days_to_the_second() {
    let world = World::new().await;
    for (offset, status) in [(-1, 200), (0, 401), (1, 401)] {
        let token = world.open(T0).await;
        let answer = world.refresh(&token, secs(IDLE_SECS + offset)).await;
        assert_eq!(answer.status, status, "{offset} s: {}", answer.json());
        if status == 401 {
            assert_eq!(answer.json()["error"]["code"], "authentication_error");
        }
    }
}

#[tokio::test]
async fn using_a_session_keeps_it_from_going_idle() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let rotated = world.refresh(&token, secs(IDLE_SECS - 1)).await;
    assert_eq!(max_age(&rotated), IDLE_SECS);
    world.refresh(&rotated.ok(), secs(2 * IDLE_SECS - 2)).await.ok();
}

#[tokio::test]
async fn a_retry_does_not_outlive_the_cookie_that_it_repeats() {
    let world = World::new().await;
    let old = world.open(T0).await;
    let rotated = world.refresh(&old, secs(100)).await;
    let retried = world.refresh(&old, secs(109)).await;
    assert_eq!(max_age(&rotated), IDLE_SECS);
    assert!(max_age(&retried) <= IDLE_SECS, "{}", max_age(&retried));
    let ends = secs(109 + max_age(&retried));
    let retried = retried.ok();
    assert_eq!(claims_of(&retried)["exp"], ends.secs(), "the cookie lives as long as the token in it");
}

#[tokio::test]
async fn a_session_is_over_after_ninety_days_to_the_second_however_much_it_is_used() {
    for (offset, status) in [(-1, 200), (0, 401), (1, 401)] {
        let world = World::new().await;
        let token = used_until_day(&world, 78).await;
        let answer = world.refresh(&token, secs(ABSOLUTE_SECS + offset)).await;
        assert_eq!(answer.status, status, "{offset} s: {}", answer.json());
        if status == 200 {
            assert_eq!(max_age(&answer), 1);
            let last = answer.ok();
            assert_eq!(world.refresh(&last, secs(ABSOLUTE_SECS)).await.status, 401);
        }
    }
}

#[tokio::test]
async fn the_browser_never_keeps_the_cookie_beyond_the_sessions_end() {
    let world = World::new().await;
    let mut token = used_until_day(&world, 65).await;
    for (day, kept_days) in [(76, 14), (77, 13), (78, 12), (88, 2)] {
        let now: Timestamp = secs(day * DAY);
        let answer = world.refresh(&token, now).await;
        assert_eq!(max_age(&answer), kept_days * DAY, "day {day}");
        token = answer.ok();
        assert_eq!(claims_of(&token)["exp"], secs(ABSOLUTE_SECS).secs().min(now.secs() + IDLE_SECS));
    }
}

#[tokio::test]
async fn a_session_that_its_user_ended_stays_ended() {
    let world = World::new().await;
    let (family, token) = world.open_for("user-1", Some("acme"), T0).await;
    let newest = world.refresh(&token, secs(100)).await.ok();
    world.sign_out(family, secs(101)).await;
    assert_signed_out(&world.refresh(&newest, secs(102)).await, "the newest");
    assert_signed_out(&world.refresh(&token, secs(103)).await, "the older, inside its window");
}

#[tokio::test]
async fn a_global_sign_out_ends_the_sessions_opened_before_it_and_no_later_one() {
    let world = World::with(&[("SESSIONS_NOT_BEFORE", "2026-11-22T10:00:01Z")]).await;
    let (before, after) = (world.open(T0).await, world.open(secs(1)).await);
    let refused = world.refresh(&before, secs(2)).await;
    assert_signed_out(&refused, "opened before");
    assert_eq!(refused.line.usage.calls, 0);
    world.refresh(&after, secs(2)).await.ok();
}
