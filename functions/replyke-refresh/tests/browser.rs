//! What a browser is told: who may call, by which method, and who may read the answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_shared::config::Reader;
use rondo_tests::{Fault, T0, secs};
use serde_json::json;
use world::{
    APP, Answer, NOBODY, RATE_HEADERS, SERVER_ERROR, World, assert_common, assert_says, cookie_event, event, send_from,
    token_event, with_body, with_headers, with_method,
};

const ORIGIN_NOT_ALLOWED: &str =
    r#"{"error":"The call comes from a site that may not make it.","code":"auth/origin-not-allowed"}"#;

const FOREIGN_SITE: (&str, &str) = ("origin", "https://elsewhere.test");

/// The names in a comma-separated header.
fn listed(answer: &Answer, name: &str) -> Vec<String> {
    answer.header(name).unwrap_or_default().split(',').map(|item| item.trim().to_ascii_lowercase()).collect()
}

#[tokio::test]
async fn a_cookie_counts_only_in_a_call_that_the_user_can_have_meant_and_a_body_in_any() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let rows: Vec<(bool, Vec<(&str, &str)>)> = vec![
        (true, vec![]),
        (true, vec![("origin", APP)]),
        (true, vec![("origin", APP), ("sec-fetch-site", "cross-site")]),
        (true, vec![("sec-fetch-site", "same-origin")]),
        (true, vec![("sec-fetch-site", "none")]),
        (false, vec![("sec-fetch-site", "same-site")]),
        (false, vec![("sec-fetch-site", "cross-site")]),
        (false, vec![FOREIGN_SITE]),
        (false, vec![("origin", "null")]),
        (false, vec![("origin", "https://app.replyke.test.elsewhere.test")]),
    ];
    for (n, (allowed, headers)) in rows.iter().enumerate() {
        let answer = send_from(&world, n, with_headers(cookie_event(&good), headers)).await;
        if *allowed {
            answer.ok();
        } else {
            assert_says(&answer, 403, ORIGIN_NOT_ALLOWED);
            assert_eq!(answer.line.usage.calls, 0);
            // Whatever the cookie is worth: nobody learns from another site.
            let garbage = send_from(&world, n, with_headers(cookie_event("garbage"), headers)).await;
            assert_says(&garbage, 403, ORIGIN_NOT_ALLOWED);
        }
        send_from(&world, n, with_headers(token_event(json!(good)), headers)).await.ok();
    }
}

#[tokio::test]
async fn other_methods_are_told_which_one_is_allowed() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
        let answer = world.send(with_method(cookie_event(&token), method), secs(1)).await;
        assert_says(&answer, 405, r#"{"error":"This endpoint answers POST only.","code":"auth/method-not-allowed"}"#);
        assert_eq!(answer.header("allow"), Some("POST, OPTIONS"));
        assert_eq!(answer.line.usage.calls, 0);
    }
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
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    assert_common(&answer);
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(listed(&answer, "access-control-allow-methods"), ["post"]);
    assert_eq!(listed(&answer, "access-control-allow-headers"), ["content-type", "authorization"]);
    assert_eq!(answer.line.usage.calls, 0);
}

#[tokio::test]
async fn the_app_can_read_every_answer_and_its_headers_and_a_foreign_page_none() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.faults.queue_for_all_attempts("Query", &Fault::Refused);
    let requests = [
        cookie_event(&token),
        cookie_event(&token),
        event(json!({})),
        token_event(json!(7)),
        with_body(event(json!({})), "{"),
        with_body(event(json!({})), &"x".repeat(200_000)),
        with_method(event(json!({})), "GET"),
        with_method(event(json!({})), "OPTIONS"),
    ];
    for (request, status) in requests.into_iter().zip([500, 200, 200, 403, 400, 413, 405, 204]) {
        let answer = world.send(with_headers(request.clone(), &[("origin", APP)]), secs(1)).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP), "{status}");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{status}");
        let exposed = listed(&answer, "access-control-expose-headers");
        for name in RATE_HEADERS.iter().chain(&["x-request-id", "retry-after"]) {
            assert!(exposed.contains(&(*name).to_owned()), "{name} on {status}: {exposed:?}");
        }
        let foreign = world.send(with_headers(request, &[FOREIGN_SITE]), secs(1)).await;
        let cors = |name: &str| name.starts_with("access-control");
        assert!(!foreign.response.headers().keys().any(|name| cors(name.as_str())), "{status}");
        assert_common(&foreign);
    }
}

#[tokio::test]
async fn an_authorization_header_is_ignored() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let sent = [("authorization", "Bearer expired.access.token")];
    world.send(with_headers(cookie_event(&token), &sent), secs(1)).await.ok();
    let bearer = format!("Bearer {token}");
    assert_says(&world.send(with_headers(event(json!({})), &[("authorization", &bearer)]), secs(1)).await, 200, NOBODY);
}

#[tokio::test]
async fn a_function_without_configuration_answers_an_error_of_ours() {
    let settings = [("REPLYKE_ALLOWED_ORIGINS", "https://app.example"), ("REPLYKE_RATE_LIMIT", "7")];
    let mut reader = Reader::new(settings);
    let cross_site = replyke_refresh::policy::cross_site(&mut reader);
    let allowance = replyke_refresh::policy::allowance(&mut reader);
    let ask = |method: &str| {
        let request = lambda_http::http::Request::builder().method(method).header("origin", "https://app.example");
        replyke_refresh::response::not_started(
            &cross_site,
            allowance,
            &request.body(lambda_http::Body::Empty).unwrap(),
            ulid::Ulid::from_parts(1_795_341_600_001, 1),
        )
    };
    for method in ["POST", "OPTIONS", "GET"] {
        // Nobody has been charged: the bucket is full, and was at the instant of the request.
        let told = RATE_HEADERS.map(|name| ask(method).headers()[name].to_str().unwrap().to_owned());
        assert_eq!(told, ["7", "7", "1795341601"], "{method}");
    }
    let response = ask("POST");
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
    assert_eq!(ask("OPTIONS").headers()["access-control-allow-methods"], "POST");
    assert_eq!(ask("GET").status(), 405);
    assert_eq!((response.status().as_u16(), response.body().as_ref()), (500, SERVER_ERROR.as_bytes()));
    assert_eq!(response.headers()["cache-control"], "no-store");
}
