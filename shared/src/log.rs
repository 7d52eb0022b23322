//! One JSON line per request: what was asked, what was answered, what it cost. Never a token, a `gid`, a cookie or a
//! key: the line is made of this struct's fields and of nothing else.
//!
//! Where `METRICS_NAMESPACE` is set the same line is a document of CloudWatch's embedded metric format too (see
//! [`crate::metrics`]): its root is the JSON object itself, which Lambda's JSON log format passes on as it is. Without it
//! lines stay short, for people to read.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use ulid::Ulid;

use crate::config::Reader;
use crate::identity::FamilyId;
use crate::keyring::ProductKeys;
use crate::metrics::{self, Embedded, Namespace};
use crate::moment::Timestamp;
use crate::store::Usage;
use crate::token::Presented;

/// What is said of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// As in the answer's `X-Request-Id`.
    pub request_id: Ulid,
    /// Which endpoint.
    pub product: &'static str,
    /// What became of it: `rotated`, `reissued`, `refused`, `revoked`, `limited`, `invalid`, `failed`, …
    pub outcome: &'static str,
    /// Why, in one word.
    pub cause: Option<&'static str>,
    /// What went wrong, in a sentence, where no tokens were given.
    pub error: Option<String>,
    /// The answer's status.
    pub status: u16,
    /// The family of the presented token, once it was verified.
    pub family: Option<FamilyId>,
    /// The generation of the presented token, once it was verified.
    pub generation: Option<u32>,
    /// Who signed the call, where the gateway asks for a signature: an ARN of IAM.
    pub caller: Option<String>,
    /// The answer went to a client other than the one that rotated.
    pub another_client: bool,
    /// What the store's calls cost.
    pub usage: Usage,
}

/// Which session a request was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its family.
    pub family: FamilyId,
    /// The generation of the token that was presented, or made.
    pub generation: u32,
}

impl Seen {
    /// That of a presented token.
    #[must_use]
    pub const fn of(presented: &Presented) -> Self {
        let claims = presented.claims();
        Self { family: claims.sid, generation: claims.generation }
    }

    /// One that was opened.
    #[must_use]
    pub const fn opened(family: FamilyId) -> Self {
        Self { family, generation: 0 }
    }
}

/// A line as it is written. Whatever became of the request it is of level `INFO`: a level that is filtered out would
/// take its metrics along.
#[derive(Serialize)]
struct Written<'a> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    request_id: String,
    product: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a str>,
    another_client: bool,
    calls: u32,
    read_units: f64,
    write_units: f64,
    slowest_call_millis: f64,
    throttled: u32,
    contended: u32,
    millis: f64,
    #[serde(flatten)]
    metrics: Option<Embedded>,
}

impl LogLine {
    /// Writes the line; `elapsed` is the time from the event to the answer.
    pub fn emit(&self, elapsed: Duration) {
        if let Some(namespace) = NAMESPACE.get() {
            write(&self.text(elapsed, namespace.as_ref()));
        }
    }

    /// The line as it is written, with its metrics where a namespace is given.
    #[must_use]
    pub fn text(&self, elapsed: Duration, namespace: Option<&Namespace>) -> String {
        let millis = elapsed.as_secs_f64() * 1000.0;
        // The request's id holds its reading of the clock.
        let at = Timestamp::from_millis(i64::try_from(self.request_id.timestamp_ms()).unwrap_or(i64::MAX));
        let counted = metrics::Request {
            outcome: self.outcome,
            cause: self.cause,
            another_client: self.another_client,
            millis,
            calls: self.usage.calls,
            slowest_call_millis: self.usage.slowest_call_millis,
            throttled: self.usage.throttled,
            contended: self.usage.contended,
        };
        json(&Written {
            timestamp: at.iso8601(),
            level: "INFO",
            message: REQUEST,
            request_id: self.request_id.to_string(),
            product: self.product,
            outcome: self.outcome,
            cause: self.cause,
            error: self.error.as_deref(),
            status: self.status,
            family: self.family.map(|family| family.to_string()),
            generation: self.generation,
            caller: self.caller.as_deref(),
            another_client: self.another_client,
            calls: self.usage.calls,
            read_units: self.usage.read_units,
            write_units: self.usage.write_units,
            slowest_call_millis: self.usage.slowest_call_millis,
            throttled: self.usage.throttled,
            contended: self.usage.contended,
            millis,
            metrics: namespace.map(|namespace| Embedded::new(&counted.samples(), namespace, at)),
        })
    }
}

/// What the line of a request calls itself.
pub const REQUEST: &str = "request";
/// What the line of a keyring's reading calls itself.
pub const KEYRING: &str = "keyring";

/// What is said when an instance has read its product's keys, which it does every few minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyringLine<'a> {
    /// Whose keys.
    pub product: &'a str,
    /// When.
    pub at: Timestamp,
    /// How long ago the oldest of the active keys came into the keyring.
    pub key_age: Duration,
}

impl<'a> KeyringLine<'a> {
    /// Of one product's keys, as they were read at `now`.
    #[must_use]
    pub fn of(product: &'a str, keys: &ProductKeys, now: Timestamp) -> Self {
        let ages = [&keys.signing, &keys.mac].into_iter().filter_map(|set| set.active().published_at());
        let key_age = ages.map(|published_at| now.since(published_at)).max().unwrap_or_default();
        Self { product, at: now, key_age }
    }

    /// Writes the line.
    pub fn emit(&self) {
        if let Some(namespace) = NAMESPACE.get() {
            write(&self.text(namespace.as_ref()));
        }
    }

    /// The line as it is written, with its metric where a namespace is given.
    #[must_use]
    pub fn text(&self, namespace: Option<&Namespace>) -> String {
        #[derive(Serialize)]
        struct Written<'a> {
            timestamp: String,
            level: &'static str,
            message: &'static str,
            product: &'a str,
            key_age_secs: f64,
            #[serde(flatten)]
            metrics: Option<Embedded>,
        }
        let key_age_secs = self.key_age.as_secs_f64().floor();
        json(&Written {
            timestamp: self.at.iso8601(),
            level: "INFO",
            message: KEYRING,
            product: self.product,
            key_age_secs,
            metrics: namespace.map(|name| Embedded::new(&metrics::of_key_age(key_age_secs), name, self.at)),
        })
    }
}

fn json(line: &impl Serialize) -> String {
    // Texts and finite numbers under names of our own cannot fail; a line without figures is still a line.
    serde_json::to_string(line).unwrap_or_else(|error| format!(r#"{{"level":"ERROR","message":"no line: {error}"}}"#))
}

/// Whole lines, so that those of concurrent requests never mix. Nobody who could be told is there where standard output
/// is gone.
fn write(line: &str) {
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

/// Under which name this process writes metrics, if it does. One for the process, as the subscriber of log lines is, and
/// like it set by [`init`], without which nothing is written: a tool's output is not ours to write lines into.
static NAMESPACE: OnceLock<Option<Namespace>> = OnceLock::new();

/// Sends log lines to standard output as JSON, with metrics where `METRICS_NAMESPACE` says so. To be called once, at start,
/// before the settings are read: what is wrong with those is told by a line.
pub fn init() {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    // The runtime warns of settings that are the platform's affair, at every cold start.
    let levels = Targets::new().with_default(LevelFilter::INFO).with_target("lambda_runtime", LevelFilter::ERROR);
    tracing_subscriber::registry().with(lines).with(levels).init();
    let named = Reader::from_environment().raw("METRICS_NAMESPACE").map(|name| Namespace::new(name).ok_or(()));
    if named == Some(Err(())) {
        tracing::error!(
            "METRICS_NAMESPACE must be up to 255 letters, digits and .-_/#: and not begin with AWS/: no metrics are written"
        );
    }
    let _ = NAMESPACE.set(named.and_then(Result::ok));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn line() -> LogLine {
        LogLine {
            request_id: Ulid::from_parts(1_795_341_600_123, 7),
            product: "one",
            outcome: "revoked",
            cause: Some("stale_lineage"),
            error: Some("reuse of a token".to_owned()),
            status: 401,
            family: Some("01JD0000000000000000000000".parse().unwrap()),
            generation: Some(4),
            caller: Some("arn:aws:sts::123456789012:assumed-role/backend/session".to_owned()),
            another_client: false,
            usage: Usage { calls: 4, read_units: 1.0, write_units: 3.0, slowest_call_millis: 2.5, ..Usage::default() },
        }
    }

    fn written(namespace: Option<&str>) -> (String, Value) {
        let namespace = namespace.and_then(Namespace::new);
        let text = line().text(Duration::from_micros(12_345), namespace.as_ref());
        let json = serde_json::from_str(&text).unwrap();
        (text, json)
    }

    #[test]
    fn without_a_namespace_a_line_says_what_was_asked_and_holds_no_metrics() {
        let (text, json) = written(None);
        assert!(text.starts_with(r#"{"timestamp":"2026-11-22T10:00:00.123Z","level":"INFO","message":"request","#));
        assert!(!text.contains("_aws") && !text.contains("Requests") && !text.contains('\n'), "{text}");
        assert_eq!((&json["millis"], &json["slowest_call_millis"]), (&Value::from(12.345), &Value::from(2.5)));
    }

    #[test]
    fn with_a_namespace_the_same_line_is_a_document_of_the_embedded_metric_format() {
        let (text, json) = written(Some("Rondo/rondo"));
        assert!(text.starts_with('{') && text.ends_with('}') && !text.contains('\n'), "{text}");
        assert_eq!(json["_aws"]["Timestamp"], 1_795_341_600_123_i64);
        let directives = json["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        for directive in directives {
            assert_eq!(directive["Namespace"], "Rondo/rondo");
            for set in directive["Dimensions"].as_array().unwrap() {
                for dimension in set.as_array().unwrap() {
                    let member = json[dimension.as_str().unwrap()].as_str();
                    assert!(member.is_some(), "{dimension} is not a text at the root");
                }
            }
            for metric in directive["Metrics"].as_array().unwrap() {
                let member = json[metric["Name"].as_str().unwrap()].as_f64();
                assert!(member.is_some(), "{metric} is not a number at the root");
            }
        }
        let without = written(None).1;
        for (name, value) in without.as_object().unwrap() {
            assert_eq!(&json[name], value, "{name} is not as it is without metrics");
        }
    }

    #[test]
    fn a_dimension_is_a_word_of_our_own_and_never_somebodys_name() {
        let (_, json) = written(Some("Rondo"));
        let directives = json["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let sets = directives.iter().flat_map(|directive| directive["Dimensions"].as_array().unwrap());
        let dimensions = sets.flat_map(|set| set.as_array().unwrap());
        assert!(dimensions.into_iter().all(|name| ["product", "outcome", "cause"].iter().any(|known| name == known)));
    }

    #[test]
    fn a_keyring_that_was_read_tells_the_age_of_its_keys() {
        let line = KeyringLine { product: "one", at: Timestamp::from_secs(1), key_age: Duration::from_millis(90_500) };
        let json: Value = serde_json::from_str(&line.text(Namespace::new("Rondo").as_ref())).unwrap();
        assert_eq!((&json["KeyAge"], &json["key_age_secs"]), (&Value::from(90.0), &Value::from(90.0)));
        assert!(!line.text(None).contains("_aws"));
    }
}
