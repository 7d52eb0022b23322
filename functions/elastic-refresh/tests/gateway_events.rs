//! Every form of event is one refresh and one sign-in, by the client that really sent it: guessing is limited by address,
//! so that the address counts. `rondo_tests::captured` says where the forms are from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rondo_tests::captured::{CAPTURED, Captured, FRONT_DOORS, Given, Sent, address_seen, answered};
use serde_json::Value;
use world::{CONSOLE, PASSWORD, PATH, T0, World, basic, from_address, moment, secs};

const NOTHING: Sent<'_> = Sent { body: "{}", ..Sent::nothing(PATH, CONSOLE) };
/// One attempt at a password by an address, and no more.
const ONE_ATTEMPT: (&str, &str) = ("ELASTIC_PASSWORD_ATTEMPTS_PER_ADDRESS", "1");

async fn play(world: &World, event: &Value) -> Given {
    answered(event, |request| async move {
        Box::pin(elastic_refresh::handle(&world.app, &moment(secs(60)), &request)).await.0
    })
    .await
}

/// Signs in by this form where each address has one attempt, and asserts whose attempt it was.
async fn assert_is_an_attempt_of(world: &World, captured: &Captured, front_door: &str, address: &str) {
    let login = format!("Basic {}", STANDARD.encode(format!("user-1:{PASSWORD}")));
    let given = play(world, &captured.event(&Sent { authorization: &login, front_door, ..NOTHING })).await;
    given.assert_ok(captured.name);
    let again = |ip| world.send(from_address(basic("user-1", PASSWORD), ip), secs(60));
    again(address).await.assert_limited();
    again("192.0.2.77").await.ok();
}

#[tokio::test]
async fn every_form_of_event_is_one_refresh_by_the_client_that_really_sent_it() {
    for captured in CAPTURED {
        let world = World::new().await;
        let bearer = format!("Bearer {}", world.open(T0).await);
        let given = play(&world, &captured.event(&Sent { authorization: &bearer, ..NOTHING })).await;
        given.assert_ok(captured.name);
        assert_eq!(address_seen(&world.dynamo), captured.address, "{}", captured.name);
        world.refresh(given.json()["token"].as_str().expect(captured.name), secs(120)).await.ok();
    }
}

#[tokio::test]
async fn in_every_form_a_password_is_an_attempt_of_the_address_that_really_sent_it() {
    for captured in CAPTURED {
        assert_is_an_attempt_of(&World::with(&[ONE_ATTEMPT]).await, &captured, "", captured.address).await;
    }
}

#[tokio::test]
async fn behind_cloudfront_an_attempt_is_the_viewers_only_where_the_front_door_proves_itself() {
    let captured = Captured::named("http_api_behind_cloudfront");
    for (secret, front_door, seen) in FRONT_DOORS {
        let world = World::with(&[ONE_ATTEMPT, ("FRONT_DOOR_SECRET", secret)]).await;
        assert_is_an_attempt_of(&world, &captured, front_door, seen).await;
    }
}

#[tokio::test]
async fn in_every_form_other_methods_are_told_which_one_is_allowed() {
    let world = World::new().await;
    for captured in CAPTURED {
        let given = play(&world, &captured.event(&Sent { method: "GET", ..NOTHING })).await;
        assert_eq!((given.status(), given.header("allow")), (405, Some("POST, OPTIONS")), "{}", captured.name);
    }
}
