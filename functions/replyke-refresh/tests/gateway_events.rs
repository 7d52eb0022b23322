//! Every form of event asks for an access token, by cookie and by body, at the limit of the client that really sent it.
//! `rondo_tests::captured` says where the forms are from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_shared::store::keys;
use rondo_tests::captured::{CAPTURED, Captured, FRONT_DOORS, Given, Sent, answered};
use rondo_tests::world::moment;
use rondo_tests::{T0, secs};
use serde_json::{Value, json};
use world::{APP, NOBODY, World, cookie_event, event, from_address, with_headers};

const NOTHING: Sent<'_> = Sent::nothing("/api/v6/project-1/auth/request-new-access-token", APP);
const STRAY: &str = "replyke-refresh-jwt=left-by-an-older-path";
/// One call of an address, and no more.
const ONE_CALL: (&str, &str) = ("REPLYKE_RATE_LIMIT", "1");

async fn play(world: &World, event: &Value) -> Given {
    answered(event, async |request| replyke_refresh::handle(&world.app, &moment(secs(60)), &request).await.0).await
}

/// Asks by this form where each address has one call, and asserts whose call it was.
async fn assert_is_a_call_of(world: &World, captured: &Captured, sent: &Sent<'_>, token: &str, address: &str) -> Given {
    let given = play(world, &captured.event(sent)).await;
    given.assert_ok(captured.name);
    assert_eq!(given.json()["success"], true, "{}", captured.name);
    let again = |ip| world.send(from_address(cookie_event(token), ip), secs(60));
    assert_eq!(again(address).await.status, 429, "{}: not of {address}", captured.name);
    again("192.0.2.77").await.ok();
    given
}

#[tokio::test]
async fn every_form_of_event_gets_an_access_token_at_the_limit_of_the_client_that_really_sent_it() {
    for captured in CAPTURED {
        let world = World::with(&[ONE_CALL]).await;
        let token = world.open(T0).await;
        let body = json!({"refreshToken": token}).to_string();
        assert_is_a_call_of(&world, &captured, &Sent { body: &body, ..NOTHING }, &token, captured.address).await;
        let null = play(&world, &captured.event(&Sent { body: r#"{"refreshToken":null}"#, ..NOTHING })).await;
        assert_eq!((null.status(), null.json()), (200, serde_json::from_str(NOBODY).unwrap()), "{}", captured.name);

        let rotating = World::with(&[ONE_CALL, ("REPLYKE_ROTATE_COOKIES", "true")]).await;
        let token = rotating.open(T0).await;
        let cookie = format!("replyke-refresh-jwt={token}");
        let sent = Sent { cookie: &cookie, body: "{}", ..NOTHING };
        let given = assert_is_a_call_of(&rotating, &captured, &sent, &token, captured.address).await;
        assert_eq!(given.cookies().len(), 1, "{}", captured.name);
        let successor = given.cookie("replyke-refresh-jwt").expect(captured.name);
        rotating.send(from_address(cookie_event(successor), "192.0.2.78"), secs(61)).await.ok();
    }
}

#[tokio::test]
async fn of_two_cookies_of_one_name_the_first_counts_in_every_form() {
    for captured in CAPTURED.iter().filter(|captured| captured.has_two_cookies()) {
        let world = World::new().await;
        let good = format!("replyke-refresh-jwt={}", world.open(T0).await);
        for (cookie, second_cookie, status) in [(good.as_str(), STRAY, 200), (STRAY, &good, 403)] {
            let given = play(&world, &captured.event(&Sent { cookie, second_cookie, ..NOTHING })).await;
            assert_eq!(given.status(), status, "{}", captured.name);
        }
    }
}

#[tokio::test]
async fn behind_cloudfront_a_call_is_the_viewers_only_where_the_front_door_proves_itself() {
    let captured = Captured::named("http_api_behind_cloudfront");
    for (secret, front_door, seen) in FRONT_DOORS {
        let world = World::with(&[ONE_CALL, ("FRONT_DOOR_SECRET", secret)]).await;
        let token = world.open(T0).await;
        let cookie = format!("replyke-refresh-jwt={token}");
        let sent = Sent { cookie: &cookie, front_door, ..NOTHING };
        assert_is_a_call_of(&world, &captured, &sent, &token, seen).await;
    }
}

#[tokio::test]
async fn header_names_count_in_any_case() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let cookie = format!("theme=dark; replyke-refresh-jwt={token}");
    let sent = with_headers(event(json!({})), &[("COOKIE", &cookie), ("ORIGIN", APP)]);
    let answer = world.send(sent, secs(1)).await;
    answer.ok();
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    let foreign = with_headers(event(json!({})), &[("COOKIE", &cookie), ("Sec-Fetch-Site", "cross-site")]);
    assert_eq!(world.send(foreign, secs(1)).await.status, 403);
}

#[tokio::test]
async fn the_limit_is_of_the_address_that_the_gateway_names_and_of_a_whole_ipv6_network() {
    let world = World::with(&[("REPLYKE_RATE_LIMIT", "1")]).await;
    let token = world.open(T0).await;
    let from = |ip: &str| from_address(cookie_event(&token), ip);
    world.send(from("2001:db8:1:2::1"), secs(1)).await.ok();
    assert_eq!(world.send(from("2001:db8:1:2:ffff::9"), secs(1)).await.status, 429);
    world.send(from("2001:db8:1:3::1"), secs(1)).await.ok();
    // What the sender says of itself does not count.
    world.send(from("192.0.2.77"), secs(1)).await.ok();
    let forwarded = with_headers(from("192.0.2.77"), &[("x-forwarded-for", "203.0.113.5")]);
    assert_eq!(world.send(forwarded, secs(1)).await.status, 429);
}

#[tokio::test]
async fn everything_that_is_written_stands_where_the_functions_policy_lets_it() {
    let world = World::rotating().await;
    let token = world.open(T0).await;
    let live = world.by_cookie(&token, secs(1)).await.successor().unwrap();
    world.by_cookie(&live, secs(2)).await.ok();
    world.by_cookie(&token, secs(100)).await;
    let items = world.dynamo.items("");
    let allowed = ["FAMILY#replyke:project-1#", "USER#replyke:project-1#", "RATE#replyke-address#"];
    for item in &items {
        let pk = item["pk"]["S"].as_str().unwrap();
        assert!(allowed.iter().any(|prefix| pk.starts_with(prefix)), "{pk}");
    }
    assert!(items.iter().any(|item| item["sk"]["S"] == keys::SEAL));
}
