//! Gateway events, made safe before they are read.
//!
//! `lambda_http` panics on a body that is not the base64 that the event says it is, and on a path, host or query that
//! makes no URI; it fails the whole event for one header with a character outside ASCII, drops every cookie for one
//! such cookie, and of a REST API's repeated headers keeps the last. Every input is hostile and some of it is merely
//! odd, so an event is mended here first: what cannot be carried is replaced by something that no check accepts.

use std::future::Future;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::request::LambdaRequest;
use lambda_http::tower::{Service, ServiceExt as _};
use lambda_http::{Adapter, Body, Request, Response, service_fn};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Characters that no URI holds as they are.
const NOT_IN_A_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'?');
/// Longest path or query that is kept, in bytes; gateways allow some 10 kB for a whole request line.
const URI_PART_MAX_BYTES: usize = 8_192;

/// An event of an HTTP API, a REST API or a function URL, mended.
#[derive(Debug)]
pub struct Event(LambdaRequest);

impl Event {
    /// From an event's JSON text.
    ///
    /// # Errors
    /// Where the text is no event of these three kinds.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The HTTP request that the event carries.
    #[must_use]
    pub fn into_request(self) -> Request {
        self.0.into()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut event = Map::deserialize(deserializer)?;
        mend(&mut event);
        serde_json::from_str(&Value::Object(event).to_string()).map(Self).map_err(D::Error::custom)
    }
}

/// Runs a function: polls the runtime for events and answers each with what `handle` makes of it.
///
/// # Errors
/// Where the Lambda runtime cannot be reached or goes away.
pub async fn serve<H, F>(handle: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    lambda_runtime::run(service(handle)).await
}

/// A function as the runtime calls it: an event in, and out the answer in the form that the event's gateway takes.
pub fn service<'a, H, F>(
    handle: H,
) -> impl Service<LambdaEvent<Event>, Response = impl Serialize, Error = lambda_runtime::Error, Future: Send>
where
    H: Fn(Request) -> F + 'a,
    F: Future<Output = Response<Body>> + Send + 'a,
{
    let answering = service_fn(move |request: Request| {
        let answer = handle(request);
        async move { Ok::<_, lambda_runtime::Error>(answer.await) }
    });
    Adapter::from(answering).map_request(|event: LambdaEvent<Event>| LambdaEvent::new(event.payload.0, event.context))
}

fn mend(event: &mut Map<String, Value>) {
    mend_body(event);
    mend_path(event);
    mend_query(event);
    mend_headers(event);
    mend_cookies(event);
}

/// A body that is not the base64 it is said to be stays as the text that it is.
fn mend_body(event: &mut Map<String, Value>) {
    let body = event.get("body").and_then(Value::as_str).unwrap_or_default();
    let is_base64 = event.get("isBase64Encoded") == Some(&Value::Bool(true)) && STANDARD.decode(body).is_ok();
    event.insert("isBase64Encoded".to_owned(), Value::Bool(is_base64));
}

fn mend_path(event: &mut Map<String, Value>) {
    for name in ["rawPath", "path"] {
        if let Some(Value::String(path)) = event.get_mut(name) {
            *path = format!("/{}", uri_part(path.trim_start_matches('/')));
        }
    }
    // Neither function reads the host; an address made of a hostile one would be the only use of it.
    if let Some(Value::Object(context)) = event.get_mut("requestContext") {
        context.remove("domainName");
        if let Some(Value::String(stage)) = context.get_mut("stage") {
            *stage = uri_part(stage);
        }
    }
}

fn mend_query(event: &mut Map<String, Value>) {
    if let Some(Value::String(query)) = event.get_mut("rawQueryString") {
        *query = uri_part(query);
    }
    for name in ["queryStringParameters", "multiValueQueryStringParameters"] {
        if let Some(Value::Object(parameters)) = event.get_mut(name) {
            parameters.retain(|_, value| !value.is_null());
        }
        if event.get(name).is_some_and(|parameters| parameters.to_string().len() > URI_PART_MAX_BYTES) {
            event.remove(name);
        }
    }
}

fn uri_part(text: &str) -> String {
    let mut encoded = utf8_percent_encode(text, NOT_IN_A_URI).to_string();
    encoded.truncate(URI_PART_MAX_BYTES);
    encoded
}

fn mend_headers(event: &mut Map<String, Value>) {
    let repeated = |headers: Option<&Value>| headers.and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    // A REST API gives each header twice, and only one of the two has all values of a repeated one.
    if repeated(event.get("multiValueHeaders")) {
        event.remove("headers");
    }
    for name in ["headers", "multiValueHeaders"] {
        if let Some(Value::Object(headers)) = event.get_mut(name) {
            headers.retain(|name, _| is_header_name(name) && !name.eq_ignore_ascii_case("host"));
            headers.values_mut().for_each(mend_texts);
        }
    }
}

fn is_header_name(name: &str) -> bool {
    lambda_http::http::HeaderName::from_bytes(name.as_bytes()).is_ok()
}

/// Cookies come in an array, in a header, or, from what is no gateway, in both: `lambda_http` then looks at the array
/// alone, an empty one included. What the header has beside it is appended.
fn mend_cookies(event: &mut Map<String, Value>) {
    let in_header = cookies_in_header(event);
    match event.get_mut("cookies") {
        Some(cookies @ Value::Array(_)) => {
            mend_texts(cookies);
            if let Value::Array(cookies) = cookies {
                let known =
                    |cookie: &str| cookies.iter().any(|known| known.as_str().is_some_and(|k| k.trim() == cookie));
                let others: Vec<_> = in_header.into_iter().filter(|cookie| !known(cookie)).map(Value::String).collect();
                cookies.extend(others);
            }
        }
        Some(_) => drop(event.remove("cookies")),
        None => {}
    }
    if event.get("cookies").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        event.remove("cookies");
    }
}

fn cookies_in_header(event: &Map<String, Value>) -> Vec<String> {
    let headers = event.get("headers").and_then(Value::as_object);
    let texts = headers.into_iter().flatten().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let cookies = texts.filter_map(|(_, value)| value.as_str()).flat_map(|text| text.split(';'));
    cookies.map(|cookie| cookie.trim().to_owned()).filter(|cookie| !cookie.is_empty()).collect()
}

/// Replaces every character that a header value cannot hold by `?`, which no token holds either.
fn mend_texts(value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.contains(|c| !matches!(c, ' '..='~' | '\t')) {
                *text = text.chars().map(|c| if matches!(c, ' '..='~' | '\t') { c } else { '?' }).collect();
            }
        }
        Value::Array(texts) => texts.iter_mut().for_each(mend_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => *value = Value::String(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn http_api(changes: &Value) -> Request {
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/v1/auth/refresh", "rawQueryString": "",
            "headers": {"host": "example.com"}, "isBase64Encoded": false,
            "requestContext": {"accountId": "1", "apiId": "a", "domainName": "example.com", "stage": "$default",
                "timeEpoch": 0, "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "x"}}});
        for (name, value) in changes.as_object().unwrap() {
            event[name] = value.clone();
        }
        Event::from_json(&event.to_string()).unwrap().into_request()
    }

    #[test]
    fn a_body_that_is_not_the_base64_it_claims_to_be_stays_as_it_is() {
        let request = http_api(&json!({"body": "%%%", "isBase64Encoded": true}));
        assert_eq!(request.body().as_ref(), b"%%%");
        let request = http_api(&json!({"body": "e30=", "isBase64Encoded": true}));
        assert_eq!(request.body().as_ref(), b"{}");
    }

    #[test]
    fn paths_hosts_and_queries_that_make_no_uri_do_not_panic() {
        for path in ["/a b/\u{e9}", "5:99999999", "", "//[", &"/x".repeat(100_000)] {
            http_api(
                &json!({"rawPath": path, "rawQueryString": path, "headers": {"Host": "a b:99999", "x-forwarded-proto": "ä"}}),
            );
        }
    }

    #[test]
    fn one_odd_header_does_not_spoil_the_others() {
        let request =
            http_api(&json!({"headers": {"user-agent": "Jos\u{e9}\n", "b\u{e9}d": "x", "x-fine": "yes", "odd": null}}));
        assert_eq!(request.headers()["user-agent"], "Jos??");
        assert_eq!(request.headers()["x-fine"], "yes");
    }

    #[test]
    fn one_odd_cookie_does_not_spoil_the_others() {
        let request = http_api(&json!({"cookies": ["theme=d\u{e4}rk", "uniqos_refresh=abc"]}));
        assert_eq!(request.headers()["cookie"], "theme=d?rk; uniqos_refresh=abc");
    }

    #[test]
    fn cookies_are_taken_from_the_array_and_from_a_header_that_stands_beside_it() {
        for (cookies, header, carried) in [
            (json!([]), "uniqos_refresh=abc", "uniqos_refresh=abc"),
            (json!(["a=1"]), "a=1; b=2", "a=1; b=2"),
            (json!(["a=1", "b=2"]), "a=1;b=2", "a=1; b=2"),
            (json!(null), "a=1", "a=1"),
        ] {
            let request = http_api(&json!({"cookies": cookies, "headers": {"Cookie": header}}));
            assert_eq!(request.headers()["cookie"], carried, "{cookies}");
            assert_eq!(request.headers().get_all("cookie").iter().count(), 1, "{cookies}");
        }
        let without = http_api(&json!({"cookies": []}));
        assert!(!without.headers().contains_key("cookie"));
    }

    #[test]
    fn a_rest_api_keeps_every_value_of_a_repeated_header() {
        let event = json!({
            "resource": "/", "path": "/v1/auth/refresh", "httpMethod": "POST", "isBase64Encoded": false,
            "headers": {"Cookie": "b=2"}, "multiValueHeaders": {"Cookie": ["a=1", "b=2"]},
            "requestContext": {"stage": "prod", "httpMethod": "POST", "identity": {"sourceIp": "192.0.2.1"}, "protocol": "HTTP/1.1"}});
        let request = Event::from_json(&event.to_string()).unwrap().into_request();
        assert_eq!(request.headers().get_all("cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for text in ["", "[]", "{}", "{\"version\":\"2.0\"}", "null"] {
            assert!(Event::from_json(text).is_err(), "{text}");
        }
    }
}
