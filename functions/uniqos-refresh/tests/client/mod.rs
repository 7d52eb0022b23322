//! What a client looks at in every answer, and how it sends what it sends.

#![allow(dead_code, reason = "each test binary uses its part")]

use rondo_shared::moment::Timestamp;
use rondo_tests::{Answer, World};
use serde_json::{Value, json};
use ulid::Ulid;

/// Headers of the contract.
pub const RATE_HEADERS: [&str; 3] = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
/// Headers of the contract.
pub const QUOTA_HEADERS: [&str; 5] = [
    "x-quota-turns-used",
    "x-quota-turns-limit",
    "x-quota-relationships-used",
    "x-quota-relationships-limit",
    "x-quota-reset",
];
/// No deployment allows more requests at once.
pub const LIMIT_MAX: usize = 1_000;

/// What holds for every answer, whatever its status.
#[track_caller]
pub fn assert_common(answer: &Answer) {
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
pub fn assert_no_quota(answer: &Answer) {
    for name in QUOTA_HEADERS {
        assert_eq!(answer.header(name), None, "{name} on {}", answer.status);
    }
}

/// The product's envelope, and what holds for every answer; returns `details`.
#[track_caller]
pub fn assert_error(answer: &Answer, status: u16, code: &str, kind: &str) -> Value {
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
pub fn assert_cleared(answer: &Answer) {
    let cleared = "uniqos_refresh=; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict; Max-Age=0";
    assert_eq!(answer.header("set-cookie"), Some(cleared));
}

#[track_caller]
pub fn assert_cookie_untouched(answer: &Answer) {
    assert_eq!(answer.header("set-cookie"), None, "on {}", answer.status);
}

pub fn keys(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The names in a comma-separated header, lower case.
pub fn listed(answer: &Answer, name: &str) -> Vec<String> {
    answer.header(name).unwrap_or_default().split(',').map(|item| item.trim().to_ascii_lowercase()).collect()
}

pub fn with_headers(mut event: Value, headers: &[(&str, &str)]) -> Value {
    for (name, value) in headers {
        event["headers"][*name] = json!(value);
    }
    event
}

pub fn with_method(mut event: Value, method: &str) -> Value {
    event["requestContext"]["http"]["method"] = json!(method);
    event
}

pub fn with_body(mut event: Value, body: &str) -> Value {
    event["body"] = json!(body);
    event["headers"]["content-type"] = json!("application/json");
    event
}

/// Spends what a bucket holds at one instant, and returns the answer that finds it empty.
pub async fn drain(world: &World, event: &Value, now: Timestamp) -> Answer {
    for _ in 0..=LIMIT_MAX {
        let answer = world.send(event.clone(), now).await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("never limited");
}
