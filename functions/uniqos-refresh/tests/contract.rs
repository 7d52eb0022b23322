//! The contract of `POST /v1/auth/refresh`, row by row, as a client sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

use rondo_shared::identity::OrgKey;
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::Quota;
use rondo_shared::store::{Meter, Store as _};
use rondo_tests::world::{event, millis, refresh_event};
use rondo_tests::{Answer, Fault, T0, World, secs};
use serde_json::{Value, json};
use ulid::Ulid;
use uniqos_refresh::policy::tenant;

const RATE_HEADERS: [&str; 3] = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
const QUOTA_HEADERS: [&str; 5] = [
    "x-quota-turns-used",
    "x-quota-turns-limit",
    "x-quota-relationships-used",
    "x-quota-relationships-limit",
    "x-quota-reset",
];
const CORS_HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];
const APP: &str = "https://app.uniqos.test";
/// No deployment allows more requests at once.
const LIMIT_MAX: usize = 1_000;

/// What holds for every answer, whatever its status.
#[track_caller]
fn assert_common(answer: &Answer) {
    let id = answer.header("x-request-id").expect("X-Request-Id");
    assert_eq!(Ulid::from_string(id).expect("a ULID").to_string(), id);
    assert_eq!(answer.line.request_id.to_string(), id, "the log line names the same request");
    assert_eq!(answer.line.status, answer.status);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let limited = matches!(answer.status, 200 | 429);
    for name in RATE_HEADERS {
        assert_eq!(answer.header(name).is_some(), limited, "{name} on {}", answer.status);
    }
    assert_eq!(answer.header("retry-after").is_some(), answer.status == 429, "Retry-After on {}", answer.status);
    if answer.status != 429 {
        assert_no_quota(answer);
    }
    assert!(answer.response.headers().get_all("set-cookie").iter().count() <= 1);
}

#[track_caller]
fn assert_no_quota(answer: &Answer) {
    for name in QUOTA_HEADERS {
        assert_eq!(answer.header(name), None, "{name} on {}", answer.status);
    }
}

/// The product's envelope, and what holds for every answer; returns `details`.
#[track_caller]
fn assert_error(answer: &Answer, status: u16, code: &str, kind: &str) -> Value {
    let body = answer.json();
    assert_eq!(answer.status, status, "{body}");
    assert_common(answer);
    assert!(answer.header("content-type").is_some_and(|sent| sent.starts_with("application/json")));
    assert_eq!(keys(&body), ["error"]);
    let error = &body["error"];
    assert_eq!(keys(error), ["code", "details", "documentation_url", "message", "request_id", "type"]);
    assert_eq!((error["code"].as_str(), error["type"].as_str()), (Some(code), Some(kind)));
    assert_eq!(error["request_id"].as_str(), answer.header("x-request-id"));
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(answer.token().is_none(), "an error sets no cookie");
    error["details"].clone()
}

/// That the browser is told to forget its cookie: the cookie that was set, empty and over.
#[track_caller]
fn assert_cleared(answer: &Answer) {
    let cleared = "uniqos_refresh=; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict; Max-Age=0";
    assert_eq!(answer.header("set-cookie"), Some(cleared));
}

#[track_caller]
fn assert_cookie_untouched(answer: &Answer) {
    assert_eq!(answer.header("set-cookie"), None, "on {}", answer.status);
}

fn keys(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The names in a comma-separated header, lower case.
fn listed(answer: &Answer, name: &str) -> Vec<String> {
    answer.header(name).unwrap_or_default().split(',').map(|item| item.trim().to_ascii_lowercase()).collect()
}

fn with_headers(mut event: Value, headers: &[(&str, &str)]) -> Value {
    for (name, value) in headers {
        event["headers"][*name] = json!(value);
    }
    event
}

fn with_method(mut event: Value, method: &str) -> Value {
    event["requestContext"]["http"]["method"] = json!(method);
    event
}

fn with_body(mut event: Value, body: &str) -> Value {
    event["body"] = json!(body);
    event["headers"]["content-type"] = json!("application/json");
    event
}

/// Spends what a bucket holds at one instant, and returns the answer that finds it empty.
async fn drain(world: &World, event: &Value, now: Timestamp) -> Answer {
    for _ in 0..=LIMIT_MAX {
        let answer = world.send(event.clone(), now).await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("never limited");
}

fn quota_of_november() -> Quota {
    Quota {
        turns_used: 4_321,
        turns_limit: 10_000,
        relationships_used: 17,
        relationships_limit: 250,
        resets_at: Timestamp::parse("2026-12-01T00:00:00Z").unwrap(),
    }
}

#[tokio::test]
async fn a_refresh_answers_with_a_bearer_token_and_the_rotated_cookie() {
    let world = World::new().await;
    let old = world.open(T0).await;
    let answer = world.refresh(&old, secs(60)).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_common(&answer);
    assert!(answer.header("content-type").is_some_and(|sent| sent.starts_with("application/json")));
    let body = answer.json();
    assert_eq!(keys(&body), ["access_token", "expires_in", "token_type"]);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(body["access_token"].as_str().unwrap().split('.').count(), 3);
    let token = answer.token().unwrap();
    let expected =
        format!("uniqos_refresh={token}; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict; Max-Age={}", 14 * 86_400);
    assert_eq!(answer.header("set-cookie"), Some(expected.as_str()));
    assert_ne!(token, old);
    assert!(expected.len() <= 4096, "browsers keep no larger cookie");
}

#[tokio::test]
async fn a_refresh_tells_what_is_left_in_the_bucket_and_when_it_is_full_again() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let rate = |answer: &Answer, name: &str| answer.header(name).unwrap().parse::<u32>().unwrap();
    let reset = |answer: &Answer| Timestamp::parse(answer.header("x-ratelimit-reset").unwrap()).expect("ISO 8601");

    let first = world.refresh(&token, T0).await;
    let limit = rate(&first, "x-ratelimit-limit");
    assert_eq!(rate(&first, "x-ratelimit-remaining"), limit - 1);
    let back_after_millis = i64::from(1000_u32.div_ceil(limit));
    assert!((T0.millis() + back_after_millis..T0.millis() + 1_000).contains(&reset(&first).millis()));

    let second = world.refresh(&first.token().unwrap(), T0).await;
    assert_eq!(rate(&second, "x-ratelimit-remaining"), limit - 2);
    assert!(reset(&second) > reset(&first));

    let full_again = world.refresh(&second.token().unwrap(), reset(&second)).await;
    assert_eq!(rate(&full_again, "x-ratelimit-remaining"), limit - 1, "full when it said so; never over the limit");
}

#[tokio::test]
async fn no_body_an_empty_one_and_any_json_object_are_all_accepted() {
    let world = World::new().await;
    for (n, body) in (0_i64..).zip([None, Some(""), Some("{}"), Some(r#"{"anything":[1,2]}"#)]) {
        let token = world.open(secs(n)).await;
        let mut sent = refresh_event(&token);
        sent["body"] = json!(body);
        world.send(sent, secs(n)).await.ok();
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed_and_rotates_nothing() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let large = format!(r#"{{"padding":"{}"}}"#, "x".repeat(1_000_000));
    for (n, body) in (0_i64..).zip(["{", "not json", r#"{"a":1} trailing"#, "{'a':1}", &large]) {
        let answer = world.send(with_body(refresh_event(&token), body), secs(10 * n)).await;
        assert_error(&answer, 400, "validation_error", "validation");
        assert_cookie_untouched(&answer);
    }
    world.refresh(&token, secs(100)).await.ok();
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000", "GEN#0000000001"]);
}

#[tokio::test]
async fn a_body_that_is_json_but_no_object_is_invalid_and_the_details_name_it() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for (n, body) in (0_i64..).zip(["[]", "null", "17", "true", r#""text""#, "[{}]"]) {
        let answer = world.send(with_body(refresh_event(&token), body), secs(10 * n)).await;
        let details = assert_error(&answer, 422, "validation_error", "validation");
        assert!(details.to_string().contains("body"), "{body}: {details}");
        assert_cookie_untouched(&answer);
    }
    world.refresh(&token, secs(100)).await.ok();
}

#[tokio::test]
async fn cookies_of_two_sessions_are_refused_and_both_sessions_live_on() {
    let world = World::new().await;
    let (one, other) = (world.open(T0).await, world.open(T0).await);
    let both = [format!("uniqos_refresh={one}"), format!("uniqos_refresh={other}")];
    let answer = world.send(event(json!({"cookies": both})), secs(1)).await;
    assert_error(&answer, 400, "validation_error", "validation");
    assert_cookie_untouched(&answer);
    world.refresh(&one, secs(2)).await.ok();
    world.refresh(&other, secs(2)).await.ok();
}

#[tokio::test]
async fn a_cookie_that_is_no_token_is_invalid_and_the_details_name_it() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let parts: Vec<_> = token.split('.').collect();
    let bad = [
        "one".to_owned(),
        "one.two".to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}.four"),
        format!("{}.{}.!!!", parts[0], parts[1]),
        format!("{}.bm90IGpzb24.{}", parts[0], parts[2]),
        format!("{token}{}", "A".repeat(5_000)),
        "x".repeat(16 * 1024),
    ];
    for (n, cookie) in (0_i64..).zip(&bad) {
        let answer = world.refresh(cookie, secs(10 * n)).await;
        let details = assert_error(&answer, 422, "validation_error", "validation");
        assert!(details.to_string().contains("uniqos_refresh"), "{details}");
        assert_eq!(answer.line.usage.calls, 0);
    }
}

#[tokio::test]
async fn without_a_cookie_that_counts_nobody_is_signed_in() {
    let world = World::new().await;
    let (sealed_family, sealed) = world.open_for("user-1", Some("acme"), T0).await;
    world.sign_out(sealed_family, secs(1)).await;
    let reused = world.open(T0).await;
    world.refresh(&reused, secs(1)).await.ok();
    let live = world.open(T0).await;
    let (signed, signature) = live.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    let unverifiable = format!("{signed}.{flipped}{}", &signature[1..]);
    let expired = world.open(secs(-14 * 86_400)).await;
    for (n, (cookie, clears)) in (2_i64..).zip([
        (None, false),
        (Some(String::new()), false),
        (Some(unverifiable), true),
        (Some(expired), true),
        (Some(sealed), true),
        (Some(reused), true),
    ]) {
        let sent = cookie.as_deref().map_or_else(|| event(json!({})), refresh_event);
        let answer = world.send(sent, secs(10 * n)).await;
        assert_error(&answer, 401, "authentication_error", "authentication");
        if clears {
            assert_cleared(&answer);
        }
    }
    world.refresh(&live, secs(100)).await.ok();
}

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
async fn other_methods_are_told_which_one_is_allowed() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for (n, method) in (0_i64..).zip(["GET", "PUT", "DELETE", "PATCH", "HEAD"]) {
        let answer = world.send(with_method(refresh_event(&token), method), secs(10 * n)).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_common(&answer);
        assert!(listed(&answer, "allow").contains(&"post".to_owned()), "{method}: {:?}", answer.header("allow"));
        assert_cookie_untouched(&answer);
    }
    world.refresh(&token, secs(100)).await.ok();
}

#[tokio::test]
async fn with_grace_off_a_second_request_for_one_cookie_is_asked_to_try_again() {
    let world = World::with(&[("UNIQOS_GRACE_SECS", "0")]).await;
    let old = world.open(T0).await;
    let newest = world.refresh(&old, T0).await.ok();
    for since_rotation_millis in [0, 1, 1_999] {
        let answer = world.refresh(&old, millis(since_rotation_millis)).await;
        assert_error(&answer, 409, "conflict", "conflict");
        assert_cookie_untouched(&answer);
    }
    let newest = world.refresh(&newest, secs(3)).await.ok();
    assert!(!world.dynamo.sort_keys("FAMILY#").contains(&"SEAL".to_owned()), "nothing is revoked");

    let late = world.refresh(&old, secs(3)).await;
    assert_error(&late, 401, "authentication_error", "authentication");
    assert_cleared(&late);
    assert_eq!(world.refresh(&newest, secs(4)).await.status, 401);
}

#[tokio::test]
async fn an_empty_bucket_says_when_to_come_back_and_what_the_organization_has_used() {
    let world = World::new().await;
    let quota = quota_of_november().to_item(&tenant(), &OrgKey::new("acme").unwrap(), "2026-11-01");
    world.store().replace(&quota, &Meter::default()).await.unwrap();
    let token = world.open(T0).await;
    let newest = world.refresh(&token, T0).await.ok();
    let limited = drain(&world, &refresh_event(&newest), T0).await;
    let again = world.refresh(&newest, T0).await;
    for answer in [&limited, &again] {
        assert_error(answer, 429, "rate_limit_exceeded", "rate_limit");
        assert_cookie_untouched(answer);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
        let told = QUOTA_HEADERS.map(|name| answer.header(name).expect(name));
        assert_eq!(told[..4], ["4321", "10000", "17", "250"]);
        assert_eq!(Timestamp::parse(told[4]), Some(quota_of_november().resets_at));
        let full_at = Timestamp::parse(answer.header("x-ratelimit-reset").unwrap()).unwrap();
        assert!(full_at > T0 && full_at <= secs(2), "a bucket of one second is full again after one");
    }
    let wait: i64 = limited.header("retry-after").unwrap().parse().expect("whole seconds");
    assert!(wait >= 1);
    world.refresh(&newest, secs(wait)).await.ok();
}

#[tokio::test]
async fn a_limited_request_rotates_nothing_and_one_organizations_limit_is_not_anothers() {
    let world = World::new().await;
    let (_, token) = world.open_for("user-1", Some("acme"), T0).await;
    let (_, neighbour) = world.open_for("user-1", Some("globex"), T0).await;
    let newest = world.refresh(&token, T0).await.ok();
    drain(&world, &refresh_event(&newest), T0).await;
    let before = world.dynamo.sort_keys("FAMILY#");
    let answer = world.refresh(&newest, T0).await;
    assert_eq!(answer.status, 429);
    assert_no_quota(&answer);
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), before);
    world.refresh(&neighbour, T0).await.ok();
}

#[tokio::test]
async fn requests_without_a_token_are_limited_by_address_and_cost_no_store_call() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let answer = drain(&world, &event(json!({})), T0).await;
    assert_error(&answer, 429, "rate_limit_exceeded", "rate_limit");
    assert_no_quota(&answer);
    assert_cookie_untouched(&answer);
    assert_eq!(answer.line.usage.calls, 0);

    let mut elsewhere = event(json!({}));
    elsewhere["requestContext"]["http"]["sourceIp"] = json!("198.51.100.9");
    assert_eq!(world.send(elsewhere, T0).await.status, 401, "another address is not limited");
    world.refresh(&token, T0).await.ok();
    let wait: i64 = answer.header("retry-after").unwrap().parse().expect("whole seconds");
    assert_eq!(world.send(event(json!({})), secs(wait)).await.status, 401);
}

#[tokio::test]
async fn a_failing_store_is_our_fault_and_the_cookie_works_afterwards() {
    for operation in ["UpdateItem", "PutItem", "Query"] {
        for fault in [Fault::Refused, Fault::Throttled, Fault::AppliedThenDropped, Fault::AppliedThenInternalError] {
            let world = World::new().await;
            let token = world.open(T0).await;
            world.faults.queue_for_all_attempts(operation, &fault);
            let answer = world.refresh(&token, secs(1)).await;
            assert_eq!(answer.status, 500, "{operation}, {fault:?}: {}", answer.json());
            assert_error(&answer, 500, "internal_error", "internal");
            assert_cookie_untouched(&answer);
            assert!(world.faults.all_happened(), "{operation}, {fault:?}");
            let afterwards = world.refresh(&token, secs(2)).await;
            assert_eq!(afterwards.status, 200, "{operation}, {fault:?}: {}", afterwards.json());
        }
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
    let sent = [("authorization", "Bearer expired.access.token"), ("x-uniqos-sdk", "js/1.2.3"), ("idempotency-key", "k")];
    world.send(with_headers(refresh_event(&token), &sent), secs(60)).await.ok();
}

#[tokio::test]
async fn header_names_count_in_any_case() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let headers = json!({"CooKie": format!("uniqos_refresh={token}"), "ORIGIN": APP, "CONTENT-TYPE": "application/json"});
    let answer = world.send(event(json!({"headers": headers})), secs(1)).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    let newest = answer.ok();
    let headers = json!({"COOKIE": format!("uniqos_refresh={newest}"), "Sec-Fetch-Site": "cross-site"});
    assert_eq!(world.send(event(json!({"headers": headers})), secs(20)).await.status, 403);
}

#[tokio::test]
async fn of_two_cookies_of_one_session_the_newer_counts_so_that_a_stray_one_locks_nobody_out() {
    for order in [[0, 1], [1, 0]] {
        let world = World::new().await;
        let old = world.open(T0).await;
        let newest = world.refresh(&old, secs(10)).await.ok();
        let cookies = order.map(|n| format!("uniqos_refresh={}", [&old, &newest][n]));
        let answer = world.send(event(json!({"cookies": cookies})), secs(100)).await;
        assert_eq!(answer.status, 200, "{order:?}: {}", answer.json());
    }
}
