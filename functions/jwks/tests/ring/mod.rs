//! The function over a keyring file of its own, with a clock that the test sets.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use jwks::{App, BootError, configure, handle};
use lambda_http::{Body, Response};
use rondo_shared::config::Reader;
use rondo_shared::log::LogLine;
use rondo_shared::moment::Timestamp;
use rondo_shared::wire::Event;
use rondo_tests::T0;
use rondo_tests::world::{keyring_document, moment};
use serde_json::{Value, json};

/// The RSA key of RFC 7515, appendix A.2.1.
pub fn rsa_jwk() -> Value {
    serde_json::from_str(include_str!("../../../../shared/src/keyring/rfc7515_a2.json")).unwrap()
}

/// A key as a keyring holds it.
pub fn key(kid: &str, state: &str, jwk: Value) -> Value {
    json!({"kid": kid, "state": state, "published_at": "2026-11-01T00:00:00Z", "jwk": jwk})
}

/// The test world's ring, whose access tokens are signed with RSA, and with a second product.
pub fn signing_with_rsa() -> Value {
    let mut document = keyring_document();
    let mut other = document["products"]["uniqos"].clone();
    other["signing"] = json!([key("o1", "active", other["signing"][0]["jwk"].clone())]);
    document["products"]["other"] = other;
    let keys = document["products"]["uniqos"]["signing"].as_array_mut().unwrap();
    for key in keys.iter_mut() {
        key["state"] = json!("retired");
    }
    keys.push(key("r1", "active", rsa_jwk()));
    document
}

/// A keyring in a file that goes when this does.
#[derive(Debug)]
pub struct Ring {
    pub path: PathBuf,
}

impl Ring {
    pub fn new(document: &Value) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("rondo-jwks-{}-{}.json", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let ring = Self { path: std::env::temp_dir().join(name) };
        ring.write(&document.to_string());
        ring
    }

    pub fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }

    /// An instance of the function that started at [`T0`].
    pub fn app(&self, settings: &[(&str, &str)]) -> Result<App, BootError> {
        let file = self.path.display().to_string();
        let variables = [("KEYRING_FILE", file.as_str())].into_iter().chain(settings.iter().copied());
        let (keyring, policy) = configure(Reader::new(variables))?;
        Ok(App::new(keyring, policy, T0)?)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a caller gets, and what the log says.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub response: Response<Body>,
    pub line: LogLine,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.response.body().as_ref().to_vec()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// A header that stands once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.response.headers().get_all(name).iter().collect();
        assert!(values.len() < 2, "{name}: {values:?}");
        values.first().map(|value| value.to_str().unwrap())
    }
}

/// An HTTP API event.
pub fn event(method: &str, path: &str, headers: &Value) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers,
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "auth.example.com", "stage": "$default", "timeEpoch": 0,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "v"}},
        "isBase64Encoded": false})
}

pub fn send(app: &App, event: &Value, now: Timestamp) -> Answer {
    let request = Event::from_json(&event.to_string()).expect("an event").into_request();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (response, line) = runtime.block_on(handle(app, &moment(now), &request));
    Answer { status: response.status().as_u16(), response, line }
}

pub fn get(app: &App, path: &str) -> Answer {
    send(app, &event("GET", path, &json!({})), T0)
}
