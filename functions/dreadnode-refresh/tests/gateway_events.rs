//! Every form of event is one refresh, by the client that really sent it, by cookie and by body; and of the two
//! `Set-Cookie` of a grant none gets lost on the way out. `rondo_tests::captured` says where the forms are from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_tests::captured::{CAPTURED, Captured, FRONT_DOORS, Given, Sent, address_seen, answered};
use rondo_tests::world::moment;
use rondo_tests::{T0, secs};
use serde_json::{Value, json};
use world::{APP, World};

const NOTHING: Sent<'_> = Sent::nothing("/api/v1/auth/refresh", APP);
const STRAY: &str = "refresh_token=left-by-an-older-path";

async fn play(world: &World, event: &Value) -> Given {
    answered(event, async |request| dreadnode_refresh::handle(&world.app, &moment(secs(60)), &request).await.0).await
}

#[track_caller]
fn assert_both_cookies(given: &Given, what: &str) {
    let cookies = given.cookies();
    let names: Vec<_> = cookies.iter().map(|set| set.split('=').next().unwrap()).collect();
    assert_eq!(names, ["refresh_token", "access_token"], "{what}");
}

#[tokio::test]
async fn every_form_of_event_is_one_refresh_by_the_client_that_really_sent_it_and_is_given_both_cookies() {
    for captured in CAPTURED {
        for by_body in [false, true] {
            let world = World::new().await;
            let token = world.open(T0).await;
            let (cookie, body) = (format!("refresh_token={token}"), json!({"refresh_token": token}).to_string());
            let sent = if by_body {
                Sent { body: &body, ..NOTHING }
            } else {
                Sent { cookie: &cookie, body: "null", ..NOTHING }
            };
            let given = play(&world, &captured.event(&sent)).await;
            given.assert_ok(captured.name);
            assert_both_cookies(&given, captured.name);
            assert_eq!(address_seen(&world.dynamo), captured.address, "{}", captured.name);
            world.refresh(given.cookie("refresh_token").expect(captured.name), secs(120)).await.ok();
        }
    }
}

#[tokio::test]
async fn in_every_form_both_cookies_of_a_token_that_does_not_count_are_cleared() {
    let world = World::new().await;
    for captured in CAPTURED {
        let given = play(&world, &captured.event(&Sent { cookie: STRAY, ..NOTHING })).await;
        assert_eq!(given.status(), 401, "{}", captured.name);
        assert_both_cookies(&given, captured.name);
        assert_eq!(given.cookie("refresh_token"), None, "{}", captured.name);
    }
}

#[tokio::test]
async fn of_two_cookies_of_one_name_the_last_counts_in_every_form() {
    for captured in CAPTURED.iter().filter(|captured| captured.has_two_cookies()) {
        let world = World::new().await;
        let good = format!("refresh_token={}", world.open(T0).await);
        for (cookie, second_cookie, status) in [(good.as_str(), STRAY, 401), (STRAY, &good, 200)] {
            let given = play(&world, &captured.event(&Sent { cookie, second_cookie, ..NOTHING })).await;
            assert_eq!(given.status(), status, "{}", captured.name);
        }
    }
}

#[tokio::test]
async fn a_forwarded_address_counts_only_from_a_front_door_that_proves_itself() {
    let captured = Captured::named("http_api_behind_cloudfront");
    for (secret, front_door, seen) in FRONT_DOORS {
        let world = World::with(&[("FRONT_DOOR_SECRET", secret)]).await;
        let cookie = format!("refresh_token={}", world.open(T0).await);
        let given = play(&world, &captured.event(&Sent { cookie: &cookie, front_door, ..NOTHING })).await;
        given.assert_ok(captured.name);
        assert_eq!(address_seen(&world.dynamo), seen, "configured {secret:?}, sent {front_door:?}");
    }
}
