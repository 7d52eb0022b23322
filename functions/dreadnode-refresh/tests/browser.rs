//! What a browser is told: who may call, by which method, and who may read the answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_shared::config::Reader;
use rondo_tests::{Fault, T0, secs};
use serde_json::{Value, json};
use world::{APP, World, assert_common, assert_error, body_event, cookie_event, event, with_headers, with_method};

const OLD_CLIENT: (&str, &str) = ("user-agent", "dreadnode-sdk/1.2.2");

const FOREIGN: [(&str, &str); 2] = [("origin", "https://elsewhere.test"), ("sec-fetch-site", "cross-site")];

const CORS_HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

#[tokio::test]
async fn calls_that_another_site_made_with_the_users_cookie_are_forbidden() {
    for (allowed, headers) in [
        (true, vec![]),
        (true, vec![("origin", APP)]),
        (true, vec![("origin", APP), ("sec-fetch-site", "cross-site")]),
        (true, vec![("sec-fetch-site", "same-origin")]),
        (true, vec![("sec-fetch-site", "none")]),
        (true, vec![("origin", "https://elsewhere.test"), ("sec-fetch-site", "same-origin")]),
        (false, vec![("sec-fetch-site", "same-site")]),
        (false, vec![("sec-fetch-site", "cross-site")]),
        (false, vec![("origin", "https://elsewhere.test")]),
        (false, vec![("origin", "https://sibling.dreadnode.test"), ("sec-fetch-site", "same-site")]),
        (false, vec![("origin", "null")]),
        (false, vec![("origin", "http://app.dreadnode.test")]),
        (false, vec![("origin", "https://app.dreadnode.test:8443")]),
    ] {
        let world = World::new().await;
        let token = world.open(T0).await;
        let answer = world.send(with_headers(cookie_event(&token), &headers), secs(1)).await;
        let another = world.open(T0).await;
        let body = json!({"refresh_token": another}).to_string();
        let by_body = world.send(with_headers(body_event(&body), &headers), secs(2)).await;
        // No browser adds a body's token by itself, and none sends such a body to another origin without a preflight.
        let newest = by_body.ok();
        // One of which nothing is said it does send.
        let body = json!({"refresh_token": newest}).to_string();
        let by_blob = world.send(with_headers(event(json!({"body": body})), &headers), secs(2)).await;
        if allowed {
            answer.ok();
            by_blob.ok();
            continue;
        }
        assert_error(&answer, 403, "forbidden_error");
        assert_error(&by_blob, 403, "forbidden_error");
        let standing = world.dynamo.sort_keys("FAMILY#");
        assert_eq!(standing, ["GEN#0000000000", "GEN#0000000000", "GEN#0000000001"], "{headers:?}");
        // Without a token there is nothing to be signed in by.
        let nobody = world.send(with_headers(event(json!({})), &headers), secs(3)).await;
        assert_error(&nobody, 401, "authentication_error");
    }
}

#[tokio::test]
async fn a_function_that_could_not_start_says_so_in_the_products_words() {
    let id = ulid::Ulid::from_parts(1, 2);
    let cross_site =
        dreadnode_refresh::policy::cross_site(&mut Reader::new([("DREADNODE_ALLOWED_ORIGINS", "https://app.example")]));
    let ask = |method: &str| {
        let request = lambda_http::http::Request::builder().method(method).header("origin", "https://app.example");
        dreadnode_refresh::response::not_started(&cross_site, &request.body(lambda_http::Body::Empty).unwrap(), id)
    };
    let response = ask("POST");
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
    assert_eq!(ask("OPTIONS").headers()["access-control-allow-methods"], "POST");
    assert_eq!(ask("GET").status(), 405);
    let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
    assert_eq!((response.status().as_u16(), &body["code"], &body["type"]), (500, &json!(500), &json!("app_error")));
    assert_eq!(response.headers()["x-request-id"], id.to_string().as_str());
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn other_methods_are_told_which_one_is_allowed() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD", "TRACE"] {
        let answer = world.send(with_method(cookie_event(&token), method), T0).await;
        assert_error(&answer, 405, "method_not_allowed_error");
        assert_eq!(answer.header("allow"), Some("POST, OPTIONS"), "{method}");
        assert_eq!(answer.line.usage.calls, 0);
    }
    world.refresh(&token, secs(1)).await.ok();
}

#[tokio::test]
async fn a_preflight_from_the_app_is_answered_with_all_that_its_browser_asks_for() {
    let world = World::new().await;
    let asked = [
        ("origin", APP),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
        ("sec-fetch-site", "cross-site"),
    ];
    let answer = world.send(with_method(with_headers(event(json!({})), &asked), "OPTIONS"), T0).await;
    assert_eq!(answer.status, 204);
    assert_common(&answer);
    for (name, value) in [
        ("access-control-allow-origin", APP),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "content-type, authorization"),
        ("access-control-expose-headers", "x-request-id, retry-after"),
        ("access-control-max-age", "7200"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert!(answer.cookies().is_empty() && answer.response.body().is_empty());
}

#[tokio::test]
async fn the_app_can_read_every_answer_and_a_foreign_page_none() {
    let world = World::with(&[("DREADNODE_MIN_CLIENT_VERSION", "1.2.3"), ("DREADNODE_RATE_LIMIT", "1")]).await;
    let token = world.open(T0).await;
    let app = |event: Value| with_headers(event, &[("origin", APP), ("sec-fetch-site", "cross-site")]);
    let ok = world.send(app(cookie_event(&token)), T0).await;
    let newest = ok.cookie("refresh_token").unwrap();
    let limited = world.send(app(cookie_event(&newest)), T0).await;
    world.faults.queue_for_all_attempts("UpdateItem", &Fault::Refused);
    let failed = world.send(app(cookie_event(&newest)), secs(10)).await;
    let answers = [
        (200, ok),
        (400, world.send(app(body_event(&"x".repeat(20_000))), T0).await),
        (401, world.send(app(event(json!({}))), T0).await),
        (405, world.send(with_method(app(event(json!({}))), "GET"), T0).await),
        (422, world.send(app(body_event("{")), T0).await),
        (426, world.send(with_headers(app(event(json!({}))), &[OLD_CLIENT]), T0).await),
        (429, limited),
        (502, failed),
    ];
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{}", answer.json());
        assert_common(answer);
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP), "{status}");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{status}");
        assert_eq!(answer.header("access-control-expose-headers"), Some("x-request-id, retry-after"), "{status}");
    }
    for method in ["POST", "OPTIONS", "GET"] {
        let foreign = world.send(with_method(with_headers(cookie_event(&newest), &FOREIGN), method), secs(20)).await;
        for name in CORS_HEADERS {
            assert_eq!(foreign.header(name), None, "{method}");
        }
    }
    world.refresh(&newest, secs(30)).await.ok();
}

#[tokio::test]
async fn header_names_count_in_any_case() {
    let world = World::with(&[("DREADNODE_MIN_CLIENT_VERSION", "1.2.3")]).await;
    let token = world.open(T0).await;
    let headers =
        json!({"CooKie": format!("refresh_token={token}"), "ORIGIN": APP, "CONTENT-TYPE": "application/json"});
    let answer = world.send(event(json!({"headers": headers, "body": "null"})), secs(1)).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    let newest = answer.ok();
    let headers = json!({"COOKIE": format!("refresh_token={newest}"), "Sec-Fetch-Site": "cross-site"});
    assert_eq!(world.send(event(json!({"headers": headers})), secs(2)).await.status, 403);
    assert_eq!(world.send(event(json!({"headers": {"USER-AGENT": OLD_CLIENT.1}})), secs(3)).await.status, 426);
}

#[tokio::test]
async fn an_authorization_header_counts_for_nothing() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let bearer = format!("Bearer {token}");
    let sent = with_headers(event(json!({})), &[("authorization", &bearer)]);
    assert_error(&world.send(sent, secs(1)).await, 401, "authentication_error");
    world.send(with_headers(cookie_event(&token), &[("authorization", "Bearer x.y.z")]), secs(2)).await.ok();
}
