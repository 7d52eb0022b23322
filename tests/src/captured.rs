//! Gateway events, each a file of `tests/events/` that is named by its quirk, and what the gateway is given for one.
//!
//! The forms are those of AWS's documents, whose example ids and addresses they keep: payload format 2.0 (HTTP APIs), 1.0
//! (REST APIs), function URLs, and what CloudFront adds. None comes from an account of ours. The local gateway's alone is
//! what a gateway was seen to hand to a function, by asking `cargo lambda watch --only-lambda-apis` for the next event.
//! What a client says stands in a file as a name in braces, such as `{{cookie}}`.

use std::future::Future;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::tower::ServiceExt as _;
use lambda_http::{Body, Context, Request, Response};
use rondo_shared::wire::{Event, service};
use serde_json::{Value, json};

use crate::dynamo::LocalDynamo;

/// One form of event.
#[derive(Clone, Copy, Debug)]
pub struct Captured {
    /// Its quirk.
    pub name: &'static str,
    text: &'static str,
    /// The address that its request comes from where the deployment has no front door; `-` where it has none.
    pub address: &'static str,
}

macro_rules! captured {
    ($($name:literal from $address:literal),+ $(,)?) => {
        [$(Captured {
            name: $name,
            text: include_str!(concat!("../events/", $name, ".json")),
            address: $address,
        }),+]
    };
}

/// Every form in which a client's request comes.
pub const CAPTURED: [Captured; 13] = captured![
    "http_api_cookies_array" from "205.255.255.176",
    "http_api_raw_cookie_header" from "205.255.255.176",
    "http_api_two_cookies_of_one_name" from "205.255.255.176",
    // An HTTP API encodes a body of which the client does not say that it is text.
    "http_api_base64_body" from "205.255.255.176",
    "http_api_stage_in_path" from "205.255.255.176",
    "http_api_ipv6_client" from "2001:db8:85a3::8a2e:370:7334",
    "http_api_behind_cloudfront" from "130.176.1.66",
    "rest_api_multi_value_headers" from "52.255.255.12",
    "rest_api_repeated_cookie_header" from "52.255.255.12",
    // As with `*/*` among the API's binary media types.
    "rest_api_base64_body" from "52.255.255.12",
    "rest_api_console_test_without_an_address" from "-",
    "function_url" from "203.0.113.178",
    "cargo_lambda_watch_cookie_twice" from "127.0.0.1",
];

/// Every form in which a call comes that is signed with IAM.
pub const SIGNED: [Captured; 3] = captured![
    "http_api_signed_with_iam" from "205.255.255.176",
    "rest_api_signed_with_iam" from "52.255.255.12",
    "function_url_signed_with_iam" from "203.0.113.178",
];
/// Who signed them.
pub const SIGNER: &str = "arn:aws:sts::123456789012:assumed-role/sign-in/backend";

/// Whom a request behind CloudFront is from: by the secret that the deployment has, and the one that the event holds.
/// The sender wrote the first address, CloudFront appended the viewer's, and the gateway appended CloudFront's own.
pub const FRONT_DOORS: [(&str, &str, &str); 5] = [
    ("a shared secret", "a shared secret", "198.51.100.23"),
    ("a shared secret", "a guess", "130.176.1.66"),
    ("a shared secret", "", "130.176.1.66"),
    ("", "a shared secret", "130.176.1.66"),
    ("", "", "130.176.1.66"),
];

/// What a client says in a request, whatever form it comes in.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub origin: &'a str,
    /// As `name=value`; forms have others beside it.
    pub cookie: &'a str,
    /// The cookie after it, in those forms that may have two of one name.
    pub second_cookie: &'a str,
    pub authorization: &'a str,
    /// Empty where there is none.
    pub body: &'a str,
    /// What a front door proves itself with, behind CloudFront; empty where it does not.
    pub front_door: &'a str,
}

impl<'a> Sent<'a> {
    /// A request that presents nothing: its cookies and its `Authorization` mean nothing to any product.
    pub const fn nothing(path: &'a str, origin: &'a str) -> Self {
        let (cookie, second_cookie) = ("lang=en", "consent=all");
        let authorization = "Bearer an.access.token";
        Self { method: "POST", path, origin, cookie, second_cookie, authorization, body: "", front_door: "" }
    }
}

impl Captured {
    /// The form of that name.
    pub fn named(name: &str) -> Self {
        let mut all = CAPTURED.into_iter().chain(SIGNED);
        all.find(|captured| captured.name == name).unwrap_or_else(|| panic!("no event is named {name}"))
    }

    /// Whether it may have two cookies of one name.
    pub fn has_two_cookies(&self) -> bool {
        self.text.contains("{{second_cookie}}")
    }

    /// The event in which a request comes in this form.
    pub fn event(&self, sent: &Sent<'_>) -> Value {
        let mut event: Value = serde_json::from_str(self.text).unwrap();
        fill(&mut event, sent);
        if sent.body.is_empty() {
            event["body"] = Value::Null;
        } else if event["isBase64Encoded"] == true {
            event["body"] = json!(STANDARD.encode(sent.body));
        }
        if let Some(headers) = event["headers"].as_object_mut() {
            headers.retain(|_, value| value != "");
        }
        event
    }
}

fn fill(value: &mut Value, sent: &Sent<'_>) {
    match value {
        Value::String(text) => {
            for (name, said) in [
                ("{{method}}", sent.method),
                ("{{path}}", sent.path),
                ("{{origin}}", sent.origin),
                ("{{cookie}}", sent.cookie),
                ("{{second_cookie}}", sent.second_cookie),
                ("{{authorization}}", sent.authorization),
                ("{{body}}", sent.body),
                ("{{front_door}}", sent.front_door),
            ] {
                *text = text.replace(name, said);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| fill(value, sent)),
        Value::Object(values) => values.values_mut().for_each(|value| fill(value, sent)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An answer as the gateway is given it, in the form that its kind takes.
#[derive(Debug)]
pub struct Given(Value);

/// Hands an event to a function as the Lambda runtime does.
pub async fn answered<F>(event: &Value, handle: impl Fn(Request) -> F) -> Given
where
    F: Future<Output = Response<Body>> + Send,
{
    let event: Event = serde_json::from_value(event.clone()).expect("an event");
    let answer = service(handle).oneshot(LambdaEvent::new(event, Context::default())).await.unwrap();
    Given(serde_json::to_value(answer).unwrap())
}

impl Given {
    /// The answer's status.
    pub fn status(&self) -> u64 {
        self.0["statusCode"].as_u64().unwrap()
    }

    /// The body's JSON; null where there is none.
    pub fn json(&self) -> Value {
        assert_eq!(self.0["isBase64Encoded"], false);
        serde_json::from_str(self.0["body"].as_str().unwrap_or_default()).unwrap_or(Value::Null)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.0["multiValueHeaders"][name].get(0);
        self.0["headers"].get(name).or(all).map(|value| value.as_str().unwrap())
    }

    /// Every `Set-Cookie`, in order, from where this kind of gateway takes them: payload format 2.0 has an array of its
    /// own, and of what 1.0 has in both only the second list holds more than one.
    pub fn cookies(&self) -> Vec<&str> {
        let in_format_2 = self.0.get("cookies");
        let all = in_format_2.unwrap_or(&self.0["multiValueHeaders"]["set-cookie"]);
        all.as_array().into_iter().flatten().map(|set| set.as_str().unwrap()).collect()
    }

    /// What a cookie is set to, if it is.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let mut set = self.cookies().into_iter().filter_map(|set| set.strip_prefix(name)?.strip_prefix('='));
        set.next()?.split(';').next().filter(|value| !value.is_empty())
    }

    /// That the answer is a 200 and has what every answer has.
    #[track_caller]
    pub fn assert_ok(&self, what: &str) {
        assert_eq!(self.status(), 200, "{what}: {self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{what}");
        assert!(self.header("x-request-id").is_some(), "{what}");
    }
}

/// The address that a table's one session was last refreshed from.
pub fn address_seen(dynamo: &LocalDynamo) -> String {
    let mut items = dynamo.items("FAMILY#");
    items.sort_by_key(|item| item["sk"]["S"].as_str().unwrap().to_owned());
    let newest = items.last().unwrap();
    assert_eq!(newest["sk"]["S"], "GEN#0000000001");
    newest["ip"]["S"].as_str().unwrap().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_an_event_is_played_and_has_a_place_for_nothing_that_no_client_says() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = CAPTURED.iter().chain(&SIGNED).map(|form| format!("{}.json", form.name)).collect();
        let mut files: Vec<_> = files.collect();
        files.sort();
        names.sort();
        assert_eq!(files, names);
        for captured in CAPTURED.iter().chain(&SIGNED) {
            let event = captured.event(&Sent { body: "{}", ..Sent::nothing("/path", "https://app.test") });
            assert!(!event.to_string().contains("{{"), "{}: {event}", captured.name);
        }
    }
}
