//! Events as gateways send them, each named by its quirk: all are one refresh, from the client that really sent it.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

use rondo_tests::{Answer, T0, World, secs};
use serde_json::Value;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("events/", $name, ".json"))
    };
}

/// What the front door behind CloudFront proves itself with.
const FRONT_DOOR: &str = "a shared secret";

/// Sends a captured event with a token of a session just opened in its place.
async fn send(world: &World, fixture: &str, front_door: &str) -> Answer {
    let token = world.open(T0).await;
    assert!(fixture.contains("{{token}}"));
    let event = fixture.replace("{{token}}", &token).replace("{{front_door}}", front_door);
    world.send(serde_json::from_str(&event).unwrap(), secs(60)).await
}

/// The address that the newest generation was minted for.
fn address_seen(world: &World) -> String {
    let mut items = world.dynamo.items("FAMILY#");
    items.sort_by_key(|item| item["sk"]["S"].as_str().unwrap().to_owned());
    let newest: &Value = items.last().unwrap();
    assert_eq!(newest["sk"]["S"], "GEN#0000000001");
    newest["ip"]["S"].as_str().unwrap().to_owned()
}

/// Sends it to a deployment without a front door, and returns the address that it saw.
async fn refreshed_from(fixture: &str) -> String {
    let world = World::new().await;
    send(&world, fixture, "").await.ok();
    address_seen(&world)
}

#[tokio::test]
async fn an_http_api_gives_cookies_in_an_array() {
    assert_eq!(refreshed_from(fixture!("http_api_cookies_array")).await, "205.255.255.176");
}

#[tokio::test]
async fn an_http_api_event_may_have_a_raw_cookie_header_instead() {
    assert_eq!(refreshed_from(fixture!("http_api_raw_cookie_header")).await, "205.255.255.176");
}

#[tokio::test]
async fn a_body_may_arrive_in_base64() {
    assert_eq!(refreshed_from(fixture!("http_api_base64_body")).await, "205.255.255.176");
}

#[tokio::test]
async fn a_cookie_of_an_older_path_may_come_first() {
    assert_eq!(refreshed_from(fixture!("http_api_two_cookies_of_one_name")).await, "205.255.255.176");
}

#[tokio::test]
async fn a_named_stage_stands_in_the_path() {
    assert_eq!(refreshed_from(fixture!("http_api_stage_in_path")).await, "205.255.255.176");
}

#[tokio::test]
async fn a_client_may_have_an_ipv6_address() {
    assert_eq!(refreshed_from(fixture!("http_api_ipv6_client")).await, "2001:db8:85a3::8a2e:370:7334");
}

#[tokio::test]
async fn a_rest_api_gives_every_header_twice() {
    assert_eq!(refreshed_from(fixture!("rest_api_multi_value_headers")).await, "52.255.255.12");
}

#[tokio::test]
async fn a_rest_api_gives_all_of_a_repeated_header_in_one_place_only() {
    assert_eq!(refreshed_from(fixture!("rest_api_repeated_cookie_header")).await, "52.255.255.12");
}

#[tokio::test]
async fn a_rest_api_event_may_come_without_the_second_list() {
    let mut event: Value = serde_json::from_str(fixture!("rest_api_multi_value_headers")).unwrap();
    event["multiValueHeaders"] = Value::Null;
    assert_eq!(refreshed_from(&event.to_string()).await, "52.255.255.12");
}

#[tokio::test]
async fn the_rest_apis_console_has_no_address() {
    assert_eq!(refreshed_from(fixture!("rest_api_console_test_without_an_address")).await, "-");
}

#[tokio::test]
async fn a_function_url_is_like_an_http_api() {
    assert_eq!(refreshed_from(fixture!("function_url")).await, "203.0.113.178");
}

#[tokio::test]
async fn cargo_lambda_watch_gives_the_cookie_both_ways() {
    assert_eq!(refreshed_from(fixture!("cargo_lambda_watch_cookie_twice")).await, "127.0.0.1");
}

#[tokio::test]
async fn a_forwarded_address_counts_only_from_a_front_door_that_proves_itself() {
    // The sender wrote the first address, CloudFront appended the viewer's, and the gateway appended CloudFront's own.
    let fixture = fixture!("http_api_behind_cloudfront");
    let (viewer, edge) = ("198.51.100.23", "130.176.1.66");
    for (secret, sent, seen) in [
        (FRONT_DOOR, FRONT_DOOR, viewer),
        (FRONT_DOOR, "a guess", edge),
        (FRONT_DOOR, "", edge),
        ("", FRONT_DOOR, edge),
        ("", "", edge),
    ] {
        let world = World::with(&[("FRONT_DOOR_SECRET", secret)]).await;
        send(&world, fixture, sent).await.ok();
        assert_eq!(address_seen(&world), seen, "configured {secret:?}, sent {sent:?}");
    }
}

#[tokio::test]
async fn without_its_header_a_front_door_is_nobody() {
    let mut event: Value = serde_json::from_str(fixture!("http_api_behind_cloudfront")).unwrap();
    event["headers"].as_object_mut().unwrap().remove("x-rondo-front-door").unwrap();
    let world = World::with(&[("FRONT_DOOR_SECRET", FRONT_DOOR)]).await;
    send(&world, &event.to_string(), "").await.ok();
    assert_eq!(address_seen(&world), "130.176.1.66");
}

#[tokio::test]
async fn every_kind_of_event_gets_the_rotated_cookie_and_the_same_headers() {
    for fixture in [
        fixture!("http_api_cookies_array"),
        fixture!("rest_api_multi_value_headers"),
        fixture!("function_url"),
        fixture!("cargo_lambda_watch_cookie_twice"),
    ] {
        let answer = send(&World::new().await, fixture, "").await;
        for name in ["x-request-id", "cache-control", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
        {
            assert!(answer.header(name).is_some(), "{name}");
        }
        answer.ok();
    }
}
