//! Events as gateways send them, and answers as they take them: a request may come in any of these forms, and of the
//! two `Set-Cookie` of a grant none may get lost on the way out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::request::LambdaRequest;
use lambda_http::tower::Service as _;
use lambda_http::{Adapter, Context, Request, service_fn};
use rondo_tests::world::moment;
use rondo_tests::{T0, secs};
use serde_json::{Value, json};
use world::{World, cookie_event};

/// The answer as the gateway is given it.
async fn answered(world: &World, event: &Value) -> Value {
    let request: LambdaRequest = serde_json::from_str(&event.to_string()).unwrap();
    let answering = service_fn(async |request: Request| {
        Ok::<_, lambda_http::Error>(dreadnode_refresh::handle(&world.app, &moment(secs(60)), &request).await.0)
    });
    let answer = Adapter::from(answering).call(LambdaEvent::new(request, Context::default())).await.unwrap();
    serde_json::to_value(&answer).unwrap()
}

fn rest_api_event(token: &str) -> Value {
    let cookie = format!("theme=dark; refresh_token={token}");
    json!({
        "resource": "/api/v1/auth/refresh", "path": "/api/v1/auth/refresh", "httpMethod": "POST",
        "headers": {"Cookie": cookie, "User-Agent": "browser"},
        "multiValueHeaders": {"Cookie": [cookie], "User-Agent": ["browser"]},
        "body": "bnVsbA==", "isBase64Encoded": true,
        "requestContext": {"stage": "prod", "httpMethod": "POST", "protocol": "HTTP/1.1",
                           "identity": {"sourceIp": "192.0.2.1"}}})
}

#[track_caller]
fn assert_both_cookies(cookies: &Value) {
    let names: Vec<_> =
        cookies.as_array().unwrap().iter().map(|set| set.as_str().unwrap().split('=').next().unwrap()).collect();
    assert_eq!(names, ["refresh_token", "access_token"]);
}

#[tokio::test]
async fn an_http_api_and_a_function_url_are_given_both_cookies_in_their_array() {
    for domain in ["api.example.com", "abc.lambda-url.eu-central-1.on.aws"] {
        let world = World::new().await;
        let mut event = cookie_event(&world.open(T0).await);
        event["requestContext"]["domainName"] = json!(domain);
        let answer = answered(&world, &event).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert_both_cookies(&answer["cookies"]);
    }
}

#[tokio::test]
async fn an_http_api_may_give_the_cookies_as_a_header() {
    let world = World::new().await;
    let mut event = cookie_event("");
    event["headers"]["cookie"] = json!(format!("theme=dark; refresh_token={}", world.open(T0).await));
    event.as_object_mut().unwrap().remove("cookies");
    assert_eq!(answered(&world, &event).await["statusCode"], 200);
}

#[tokio::test]
async fn a_rest_api_is_given_both_cookies_as_values_of_one_header() {
    let world = World::new().await;
    let answer = answered(&world, &rest_api_event(&world.open(T0).await)).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    assert_both_cookies(&answer["multiValueHeaders"]["set-cookie"]);
    let cleared = answered(&world, &rest_api_event("x")).await;
    assert_eq!(cleared["statusCode"], 401);
    assert_both_cookies(&cleared["multiValueHeaders"]["set-cookie"]);
}
