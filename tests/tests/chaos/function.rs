//! The function under chaos: who asks it, and how it is set.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use lambda_http::{Body, Request, Response};
use rondo_shared::config::Reader;
use rondo_shared::identity::Client;
use rondo_shared::moment::Timestamp;
use rondo_shared::wire::Event;
use rondo_tests::T0;
use rondo_tests::dynamo::TABLE;
use rondo_tests::products::{Product, keyring};
use serde_json::Value;

use super::broken::Broken;
use super::schedule::{Settings, Who};

/// What a client sends to refresh.
pub fn request(product: Product, token: &str, who: Who, in_body: bool) -> Request {
    let client = who.client();
    let event = if in_body { product.event_with_body(token, &client) } else { product.event(token, &client) };
    Event::from_json(&event.to_string()).unwrap().into_request()
}

/// Whether an answer hands out an access token.
pub fn has_access_token(response: &Response<Body>) -> bool {
    let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap_or_default();
    ["access_token", "accessToken", "token"].iter().any(|name| body[name].is_string())
}

impl Who {
    pub const fn ip(self) -> &'static str {
        match self {
            Self::Browser => "192.0.2.1",
            Self::Thief => "203.0.113.66",
        }
    }

    const fn agent(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Thief => "curl/8",
        }
    }

    pub fn client(self) -> Client {
        Client::new(Some(self.ip().parse().unwrap()), self.agent())
    }
}

/// So many seconds after the session was opened.
pub fn instant(secs: u64) -> Timestamp {
    T0.plus(Duration::from_secs(secs))
}

/// What the function is told.
pub fn reader(product: Product, settings: &Settings, broken: Broken) -> Reader {
    let reader = Reader::new([
        ("TABLE_NAME", TABLE),
        ("KEYRING_FILE", keyring_file().to_str().unwrap()),
        ("REPLYKE_ROTATE_COOKIES", if settings.keeps_tokens { "false" } else { "true" }),
        // Chaos is about families; buckets have the model and races of their own.
        ("REPLYKE_RATE_LIMIT", "1000"),
    ]);
    let mut own = Vec::new();
    if settings.grace_off {
        own.push(("GRACE_SECS", 0));
    }
    if let Some(ttl) = settings.ttl {
        // Elastic's token has one time, whatever it is used for.
        own.push((if product == Product::Elastic { "TOKEN_SECS" } else { "IDLE_SECS" }, ttl.idle));
    }
    let name = product.name().to_uppercase();
    let reader = own
        .into_iter()
        .fold(reader, |reader, (setting, value)| reader.with(&format!("{name}_{setting}"), &value.to_string()));
    let amnesty = match broken {
        Broken::AmnestyIsEndless => Some((0, 1_000_000_000)),
        Broken::AmnestyIsForgotten => None,
        _ => settings.amnesty,
    };
    match amnesty {
        Some((from, to)) => {
            reader.with("REUSE_AMNESTY", &format!("{}/{}", instant(from).iso8601(), instant(to).iso8601()))
        }
        None => reader,
    }
}

fn keyring_file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("rondo-chaos-{}.json", std::process::id()));
        std::fs::write(&path, keyring().to_string()).unwrap();
        path
    })
}
