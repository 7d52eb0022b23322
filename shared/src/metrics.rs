//! What is counted of requests, as values: the one table from which the log line's metrics, `rondo status`, the dashboard
//! and the alarms take their names.
//!
//! Metrics leave a function within its log line, in CloudWatch's embedded metric format: a member `_aws` at the root
//! names the members that are metrics and the members that are their dimensions. A dimension is a product, an outcome or
//! a cause, which are words of our own and few; never a user, a family or an address, each value of which would be a
//! metric more to pay for. The empty set of dimensions is the whole deployment's, which the alarms watch.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::moment::Timestamp;
use crate::store::item::Cause;

/// One metric: a member of the log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, in CloudWatch and in the line.
    pub name: &'static str,
    /// As CloudWatch spells it.
    pub unit: &'static str,
}

const fn count(name: &'static str) -> Metric {
    Metric { name, unit: "Count" }
}

const fn millis(name: &'static str) -> Metric {
    Metric { name, unit: "Milliseconds" }
}

/// Every request, by product and outcome.
pub const REQUESTS: Metric = count("Requests");
/// From the event to the answer.
pub const LATENCY: Metric = millis("Latency");
/// 1 for a request that got a token of the live generation for a retired one, 0 for any other that was judged: its sum is
/// how many, its average is the rate.
pub const REISSUES: Metric = count("Reissues");
/// 1 for a reissue to another client than the one that rotated, else 0.
pub const ANOTHER_CLIENT: Metric = count("ReissuesToAnotherClient");
/// 1 for a request that ended its family as a reuse, else 0.
pub const REUSES: Metric = count("Reuses");
/// 1 for a request whose generation the table does not have, else 0: deleted or restored data.
pub const UNKNOWN_GENERATIONS: Metric = count("UnknownGenerations");
/// 1 for a request that another's rotation stood in the way of, with the grace window off, else 0.
pub const CONFLICTS: Metric = count("Conflicts");
/// A request refused by a limit.
pub const LIMITS: Metric = count("Limits");
/// 1 for a request that failed through a fault of ours, else 0.
pub const FAILURES: Metric = count("Failures");
/// The slowest of a request's operations on the table, the SDK's own retries within.
pub const STORE_LATENCY: Metric = millis("StoreLatency");
/// Operations that the table throttled, after the SDK's own retries.
pub const STORE_THROTTLES: Metric = count("StoreThrottles");
/// Operations that another's transaction stood in the way of, after the SDK's own retries.
pub const STORE_CONFLICTS: Metric = count("StoreConflicts");
/// Time since the oldest active key of a product came into the keyring.
pub const KEY_AGE: Metric = Metric { name: "KeyAge", unit: "Seconds" };

/// All of them.
pub const ALL: [Metric; 13] = [
    REQUESTS,
    LATENCY,
    REISSUES,
    ANOTHER_CLIENT,
    REUSES,
    UNKNOWN_GENERATIONS,
    CONFLICTS,
    LIMITS,
    FAILURES,
    STORE_LATENCY,
    STORE_THROTTLES,
    STORE_CONFLICTS,
    KEY_AGE,
];

/// A set of dimensions: members of the line that are texts.
pub type Dimensions = &'static [&'static str];
/// By which a metric of the whole deployment is also told apart.
const BY_PRODUCT: &[Dimensions] = &[&[], &["product"]];
const BY_OUTCOME: &[Dimensions] = &[&["product", "outcome"]];
const BY_CAUSE: &[Dimensions] = &[&["product", "cause"]];

/// One value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Of which.
    pub metric: Metric,
    /// In its unit.
    pub value: f64,
    /// By what it is told apart.
    pub by: &'static [Dimensions],
}

/// What a log line says of a request, as far as it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Request<'a> {
    /// What became of it.
    pub outcome: &'a str,
    /// Why.
    pub cause: Option<&'a str>,
    /// The answer went to a client other than the one that rotated.
    pub another_client: bool,
    /// From the event to the answer, in milliseconds.
    pub millis: f64,
    /// Operations on the table.
    pub calls: u32,
    /// The slowest of them, in milliseconds.
    pub slowest_call_millis: f64,
    /// How many were throttled.
    pub throttled: u32,
    /// How many met another's transaction.
    pub contended: u32,
}

/// The outcomes that are a judgement over a token, by the walk: what the rates of reissue and reuse are rates of.
const JUDGED: [&str; 5] = ["rotated", "reissued", "proven", "revoked", "refused"];
/// The causes that a revocation by the walk has where it is a reuse: how far behind the token was.
const REUSE: [&str; 3] = ["recent_predecessor", "stale_lineage", Cause::Reuse.as_str()];

impl Request<'_> {
    /// What it adds to the metrics.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let because = |causes: &[&str]| self.cause.is_some_and(|cause| causes.contains(&cause));
        let revoked = self.outcome == "revoked";
        let is_reuse = revoked && because(&REUSE);
        let of = |metric, value, by| Sample { metric, value, by };
        let flag = |metric, is: bool| of(metric, f64::from(u8::from(is)), BY_PRODUCT);
        let mut samples = vec![
            of(REQUESTS, 1.0, BY_OUTCOME),
            of(LATENCY, self.millis, BY_PRODUCT),
            flag(FAILURES, self.outcome == "failed"),
        ];
        if JUDGED.contains(&self.outcome) {
            samples.extend([
                flag(REISSUES, self.outcome == "reissued"),
                flag(ANOTHER_CLIENT, self.another_client),
                flag(REUSES, is_reuse),
                flag(UNKNOWN_GENERATIONS, revoked && because(&[Cause::UnknownGeneration.as_str()])),
                flag(CONFLICTS, self.outcome == "refused" && because(&["conflict"])),
            ]);
        }
        if is_reuse {
            samples.push(of(REUSES, 1.0, BY_CAUSE));
        }
        if self.outcome == "limited" {
            samples.push(of(LIMITS, 1.0, BY_PRODUCT));
            // A dimension that is not in the line would cost the whole directive.
            samples.extend(self.cause.map(|_| of(LIMITS, 1.0, BY_CAUSE)));
        }
        if self.calls > 0 {
            samples.extend([
                of(STORE_LATENCY, self.slowest_call_millis, BY_PRODUCT),
                of(STORE_THROTTLES, f64::from(self.throttled), BY_PRODUCT),
                of(STORE_CONFLICTS, f64::from(self.contended), BY_PRODUCT),
            ]);
        }
        samples
    }
}

/// What the reading of a keyring adds to the metrics; `age_secs` is that of the oldest active key.
#[must_use]
pub fn of_key_age(age_secs: f64) -> Vec<Sample> {
    vec![Sample { metric: KEY_AGE, value: age_secs, by: BY_PRODUCT }]
}

/// Under which name the metrics of a deployment are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(String);

/// Longest namespace that CloudWatch takes.
const NAMESPACE_MAX: usize = 255;

impl Namespace {
    /// A namespace by its name: up to 255 letters, digits and `.-_/#:`, not beginning with a colon or with AWS' own
    /// `AWS/`. None for another.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b".-_/#:".contains(&b);
        let is_one = (1..=NAMESPACE_MAX).contains(&name.len())
            && name.bytes().all(fits)
            && !name.starts_with(':')
            && !name.starts_with("AWS/");
        is_one.then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What makes a line a document of the embedded metric format: `_aws`, and each metric's value beside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Embedded {
    #[serde(rename = "_aws")]
    metadata: Metadata,
    #[serde(flatten)]
    values: BTreeMap<&'static str, f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: i64,
    cloud_watch_metrics: Vec<Directive>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: String,
    dimensions: &'static [Dimensions],
    metrics: Vec<Definition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl Embedded {
    /// From samples taken at `at`; those told apart by the same dimensions share a directive.
    #[must_use]
    pub fn new(samples: &[Sample], namespace: &Namespace, at: Timestamp) -> Self {
        let mut directives: Vec<Directive> = Vec::new();
        for Sample { metric, by, .. } in samples {
            let definition = Definition { name: metric.name, unit: metric.unit };
            match directives.iter_mut().find(|directive| directive.dimensions == *by) {
                Some(directive) => directive.metrics.push(definition),
                None => directives.push(Directive {
                    namespace: namespace.0.clone(),
                    dimensions: by,
                    metrics: vec![definition],
                }),
            }
        }
        Self {
            metadata: Metadata { timestamp: at.millis(), cloud_watch_metrics: directives },
            values: samples.iter().map(|sample| (sample.metric.name, sample.value)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(request: &Request<'_>, metric: Metric) -> Option<f64> {
        let samples = request.samples();
        samples.iter().find(|sample| sample.metric == metric).map(|sample| sample.value)
    }

    #[test]
    fn a_rate_is_of_the_requests_that_were_judged_and_of_no_others() {
        for outcome in JUDGED {
            assert_eq!(sum(&Request { outcome, ..Request::default() }, REUSES), Some(0.0), "{outcome}");
        }
        for outcome in ["invalid", "limited", "failed", "opened", "preflight", "nobody"] {
            assert_eq!(sum(&Request { outcome, ..Request::default() }, REUSES), None, "{outcome}");
        }
    }

    #[test]
    fn a_session_that_its_user_ended_is_no_reuse() {
        let revoked = |cause| Request { outcome: "revoked", cause: Some(cause), ..Request::default() };
        for cause in REUSE {
            assert_eq!(sum(&revoked(cause), REUSES), Some(1.0), "{cause}");
        }
        for cause in ["sign_out", "operator", "unknown_generation"] {
            assert_eq!(sum(&revoked(cause), REUSES), Some(0.0), "{cause}");
        }
        assert_eq!(sum(&revoked("unknown_generation"), UNKNOWN_GENERATIONS), Some(1.0));
    }

    #[test]
    fn a_request_that_asked_nothing_of_the_table_says_nothing_of_its_latency() {
        assert_eq!(sum(&Request { outcome: "invalid", ..Request::default() }, STORE_LATENCY), None);
        let asked =
            Request { outcome: "rotated", calls: 3, slowest_call_millis: 4.5, throttled: 1, ..Request::default() };
        assert_eq!(sum(&asked, STORE_LATENCY), Some(4.5));
        assert_eq!((sum(&asked, STORE_THROTTLES), sum(&asked, STORE_CONFLICTS)), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn a_namespace_is_one_that_cloudwatch_takes() {
        for good in ["Rondo", "Rondo/rondo-dev", "a.b#c:d_e"] {
            assert_eq!(Namespace::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "AWS/Lambda", ":a", "a b", "ä", &"x".repeat(256)] {
            assert_eq!(Namespace::new(bad), None, "{bad}");
        }
    }
}
