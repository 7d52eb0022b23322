//! Events as gateways send them: a request may come in any of these forms.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rondo_shared::store::keys;
use rondo_tests::{T0, secs};
use serde_json::{Value, json};
use world::{NOBODY, PROJECT, World, assert_says, cookie_event, from_address, with_headers};

fn rest_api_event(token: &str, body: &Value) -> Value {
    let path = format!("/api/v6/{PROJECT}/auth/request-new-access-token");
    let cookie = format!("theme=dark; replyke-refresh-jwt={token}");
    json!({
        "resource": "/api/v6/{projectId}/auth/request-new-access-token", "path": path, "httpMethod": "POST",
        "headers": {"Cookie": cookie, "Content-Type": "application/json"},
        "multiValueHeaders": {"Cookie": [cookie], "Content-Type": ["application/json"]},
        "pathParameters": {"projectId": PROJECT},
        "body": STANDARD.encode(body.to_string()), "isBase64Encoded": true,
        "requestContext": {"stage": "prod", "path": format!("/prod{path}"), "httpMethod": "POST",
                           "protocol": "HTTP/1.1", "identity": {"sourceIp": "192.0.2.1"}}})
}

#[tokio::test]
async fn a_rest_api_gives_every_header_twice_and_the_body_in_base64() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.send(rest_api_event(&token, &json!({})), secs(1)).await.ok();
    world.send(rest_api_event("", &json!({"refreshToken": token})), secs(1)).await.ok();
    assert_says(&world.send(rest_api_event("", &json!({"refreshToken": null})), secs(1)).await, 200, NOBODY);
}

#[tokio::test]
async fn an_http_api_gives_cookies_in_an_array_or_a_header_in_any_case_with_or_without_a_stage() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for name in ["cookie", "Cookie", "COOKIE"] {
        let header = format!("theme=dark; replyke-refresh-jwt={token}; _ga=GA1.1.2.3");
        world.send(with_headers(world::event(json!({})), &[(name, &header)]), secs(1)).await.ok();
    }
    let mut staged = cookie_event(&token);
    staged["requestContext"]["stage"] = json!("prod");
    staged["rawPath"] = json!(format!("/prod/api/v6/{PROJECT}/auth/request-new-access-token"));
    world.send(staged, secs(1)).await.ok();
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
