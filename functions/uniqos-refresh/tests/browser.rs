//! What browsers need of `POST /v1/auth/refresh`: the cross-site rule, CORS, and the cookie's attributes.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod client;

use client::{
    QUOTA_HEADERS, RATE_HEADERS, assert_cookie_untouched, assert_error, drain, listed, with_body, with_headers,
    with_method,
};
use rondo_shared::config::Reader;
use rondo_tests::world::{event, refresh_event};
use rondo_tests::{Fault, T0, World, secs};
use serde_json::{Value, json};
use ulid::Ulid;

const CORS_HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];
const APP: &str = "https://app.uniqos.test";

#[tokio::test]
async fn only_calls_that_the_user_can_have_meant_are_let_in() {
    for (allowed, headers) in [
        (true, vec![]),
        (true, vec![("origin", APP)]),
        (true, vec![("origin", APP), ("sec-fetch-site", "cross-site")]),
        (true, vec![("origin", APP), ("sec-fetch-site", "same-site")]),
        (true, vec![("sec-fetch-site", "same-origin")]),
        (true, vec![("sec-fetch-site", "none")]),
        (true, vec![("origin", "https://elsewhere.test"), ("sec-fetch-site", "same-origin")]),
        (false, vec![("sec-fetch-site", "same-site")]),
        (false, vec![("sec-fetch-site", "cross-site")]),
        (false, vec![("origin", "https://elsewhere.test")]),
        (false, vec![("origin", "https://elsewhere.test"), ("sec-fetch-site", "cross-site")]),
        (false, vec![("origin", "https://sibling.uniqos.test"), ("sec-fetch-site", "same-site")]),
        (false, vec![("origin", "null")]),
        (false, vec![("origin", "https://app.uniqos.test.elsewhere.test")]),
        (false, vec![("origin", "http://app.uniqos.test")]),
        (false, vec![("origin", "https://app.uniqos.test:8443")]),
    ] {
        let world = World::new().await;
        let token = world.open(T0).await;
        let answer = world.send(with_headers(refresh_event(&token), &headers), secs(1)).await;
        if allowed {
            assert_eq!(answer.status, 200, "{headers:?}: {}", answer.json());
            continue;
        }
        assert_eq!(answer.status, 403, "{headers:?}: {}", answer.json());
        assert_error(&answer, 403, "permission_denied", "permission");
        assert_cookie_untouched(&answer);
        assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000"], "{headers:?}");
    }
}

#[tokio::test]
async fn a_preflight_from_the_app_is_answered_with_all_that_its_browser_asks_for() {
    let world = World::new().await;
    let asked = [
        ("origin", APP),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,idempotency-key,x-uniqos-sdk"),
        ("sec-fetch-site", "cross-site"),
    ];
    let answer = world.send(with_method(with_headers(event(json!({})), &asked), "OPTIONS"), T0).await;
    assert!(matches!(answer.status, 200 | 204), "{}", answer.status);
    let id = answer.header("x-request-id").unwrap();
    assert!(Ulid::from_string(id).is_ok());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert!(listed(&answer, "access-control-allow-methods").contains(&"post".to_owned()));
    let allowed = listed(&answer, "access-control-allow-headers");
    for name in ["content-type", "authorization", "x-uniqos-sdk", "idempotency-key"] {
        assert!(allowed.contains(&name.to_owned()), "{name}: {allowed:?}");
    }
    assert!(listed(&answer, "vary").contains(&"origin".to_owned()));
    assert_cookie_untouched(&answer);
    assert_eq!(answer.line.usage.calls, 0);
}

#[tokio::test]
async fn a_foreign_page_is_told_nothing_about_cors() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for origin in ["https://elsewhere.test", "null", "https://app.uniqos.test.elsewhere.test"] {
        let foreign = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = world.send(with_method(with_headers(event(json!({})), &foreign), "OPTIONS"), T0).await;
        let actual = world.send(with_headers(refresh_event(&token), &[("origin", origin)]), T0).await;
        for name in CORS_HEADERS {
            assert_eq!(preflight.header(name), None, "{origin}");
            assert_eq!(actual.header(name), None, "{origin}");
        }
    }
}

#[tokio::test]
async fn the_app_can_read_every_answer_and_its_headers_whatever_the_status() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let app = |event: Value| with_headers(event, &[("origin", APP)]);
    let ok = world.send(app(refresh_event(&token)), T0).await;
    let newest = ok.token().unwrap();
    let malformed = world.send(app(with_body(refresh_event(&newest), "{")), secs(10)).await;
    let unsigned = world.send(app(event(json!({}))), secs(10)).await;
    let invalid = world.send(app(refresh_event("x")), secs(20)).await;
    let method = world.send(app(with_method(refresh_event(&newest), "GET")), secs(30)).await;
    world.faults.queue_for_all_attempts("UpdateItem", &Fault::Refused);
    let failed = world.send(app(refresh_event(&newest)), secs(40)).await;
    let newest = world.refresh(&newest, secs(50)).await.ok();
    let limited = drain(&world, &app(refresh_event(&newest)), secs(50)).await;
    let answers = [ok, malformed, unsigned, invalid, method, failed, limited];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 400, 401, 422, 405, 500, 429]);
    for answer in &answers {
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP), "{}", answer.status);
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{}", answer.status);
        let exposed = listed(answer, "access-control-expose-headers");
        for name in RATE_HEADERS.iter().chain(&QUOTA_HEADERS).chain(&["x-request-id", "retry-after"]) {
            assert!(exposed.contains(&(*name).to_owned()), "{name} on {}: {exposed:?}", answer.status);
        }
    }
}

#[tokio::test]
async fn the_authorization_header_that_the_sdk_always_sends_is_ignored() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for (n, header) in (1_i64..).zip([&format!("Bearer {token}"), "Bearer x.y.z", "Basic Og=="]) {
        let answer = world.send(with_headers(event(json!({})), &[("authorization", header)]), secs(10 * n)).await;
        assert_error(&answer, 401, "authentication_error", "authentication");
    }
    let sent =
        [("authorization", "Bearer expired.access.token"), ("x-uniqos-sdk", "js/1.2.3"), ("idempotency-key", "k")];
    world.send(with_headers(refresh_event(&token), &sent), secs(60)).await.ok();
}

#[tokio::test]
async fn header_names_count_in_any_case() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let headers =
        json!({"CooKie": format!("uniqos_refresh={token}"), "ORIGIN": APP, "CONTENT-TYPE": "application/json"});
    let answer = world.send(event(json!({"headers": headers})), secs(1)).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    let newest = answer.ok();
    let headers = json!({"COOKIE": format!("uniqos_refresh={newest}"), "Sec-Fetch-Site": "cross-site"});
    assert_eq!(world.send(event(json!({"headers": headers})), secs(20)).await.status, 403);
}

#[tokio::test]
async fn only_on_this_machine_may_the_cookie_go_without_secure() {
    let world = World::with(&[("INSECURE_COOKIES", "true")]).await;
    let answer = world.refresh(&world.open(T0).await, T0).await;
    let set = answer.header("set-cookie").unwrap();
    assert!(set.ends_with(&format!("; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age={}", 14 * 86_400)), "{set}");

    let deployed = [
        ("TABLE_NAME", "rondo"),
        ("KEYRING_FILE", "keyring.json"),
        ("INSECURE_COOKIES", "true"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ];
    let error = uniqos_refresh::configure(Reader::new(deployed)).unwrap_err().to_string();
    assert!(error.contains("INSECURE_COOKIES"), "{error}");
}
