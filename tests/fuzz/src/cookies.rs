//! Cookies: whatever stands in the headers, what is found is a value that a client could have sent by that name.

use std::time::Duration;

use lambda_http::http::{HeaderMap, HeaderValue};
use rondo_shared::wire::cookies::{CookieShape, SameSite, values};

const NAME: &str = "r";

/// Each line is a `Cookie` header.
pub fn run(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append("cookie", value);
        }
    }
    let found = values(&headers, NAME);
    for value in &found {
        assert!(!value.contains(';') && !value.starts_with('"') && !value.ends_with('"'), "{value:?}");
    }
    // What we set, a client sends back, and it is found again.
    let Ok(text) = std::str::from_utf8(data) else { return };
    let as_a_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(as_a_token) {
        return;
    }
    let shape = CookieShape { name: NAME, path: "/", domain: None, same_site: SameSite::Lax, secure: true };
    let set = shape.set(text, Duration::from_secs(1));
    let sent = set.split(';').next().unwrap();
    let headers = HeaderMap::from_iter([(lambda_http::http::header::COOKIE, HeaderValue::from_str(sent).unwrap())]);
    assert_eq!(values(&headers, NAME), [text]);
}
