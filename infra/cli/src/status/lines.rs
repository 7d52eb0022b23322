//! The local stack's log lines: kept in the ignored folder while it runs, and counted as CloudWatch would.

use rondo_shared::log::{KEYRING, REQUEST};
use rondo_shared::metrics::{self, Request, Sample};
use rondo_shared::moment::Timestamp;
use serde::Deserialize;

use super::figures::{Figures, ROWS, Row};
use super::functions;
use crate::workspace::{Workspace, WorkspaceError};

/// Where the functions' lines are kept, in the ignored folder.
pub const FILE: &str = "functions.log";

/// What is read of a line. Lines of other kinds are left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    timestamp: String,
    message: String,
    product: String,
    outcome: String,
    cause: Option<String>,
    another_client: bool,
    millis: f64,
    calls: u32,
    slowest_call_millis: f64,
    throttled: u32,
    contended: u32,
    key_age_secs: f64,
}

impl Line {
    fn samples(&self) -> Vec<Sample> {
        match self.message.as_str() {
            KEYRING => metrics::of_key_age(self.key_age_secs),
            REQUEST => Request {
                outcome: &self.outcome,
                cause: self.cause.as_deref(),
                another_client: self.another_client,
                millis: self.millis,
                calls: self.calls,
                slowest_call_millis: self.slowest_call_millis,
                throttled: self.throttled,
                contended: self.contended,
            }
            .samples(),
            _ => Vec::new(),
        }
    }

    /// The values that the line adds to a row.
    fn values(&self, row: &Row) -> impl Iterator<Item = f64> {
        let by: &[&str] = if row.outcome.is_some() { &["product", "outcome"] } else { &["product"] };
        let is_of_row = row.outcome.is_none_or(|outcome| outcome == self.outcome);
        let samples =
            self.samples().into_iter().filter(move |sample| sample.metric == row.metric && sample.by.contains(&by));
        samples.filter(move |_| is_of_row).map(|sample| sample.value)
    }
}

/// The text of the log.
///
/// # Errors
/// [`WorkspaceError`] where a local stack has left none.
pub fn read(workspace: &Workspace) -> Result<String, WorkspaceError> {
    let path = workspace.kept(FILE);
    std::fs::read_to_string(&path).map_err(|error| WorkspaceError::file(&path, &error))
}

/// The figures of all lines since `from`.
#[must_use]
pub fn figures(log: &str, from: Timestamp) -> Figures {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let lines: Vec<Line> =
        lines.filter(|line| Timestamp::parse(&line.timestamp).is_some_and(|at| at >= from)).collect();
    let mut figures = Figures::default();
    for function in functions() {
        for row in &ROWS {
            let of_function = lines.iter().filter(|line| line.product == function);
            let values: Vec<f64> = of_function.flat_map(|line| line.values(row)).collect();
            figures.put(function, row, row.how.of(&values));
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use rondo_shared::log::{KeyringLine, LogLine};
    use rondo_shared::store::Usage;
    use serde_json::json;

    /// A line as a function writes it, so many minutes after ten.
    fn line(minutes: u64, outcome: &'static str, cause: Option<&'static str>, millis: u64) -> String {
        let usage = Usage { calls: 3, slowest_call_millis: 2.0, throttled: 1, ..Usage::default() };
        let line = LogLine {
            request_id: format!("{:0>26}", ulid_of(minutes)).parse().unwrap(),
            product: "uniqos",
            outcome,
            cause,
            error: None,
            status: 200,
            family: None,
            generation: None,
            caller: None,
            another_client: outcome == "reissued",
            usage,
        };
        line.text(Duration::from_millis(millis), None)
    }

    /// A request's id made at that time, whose other bits are zero.
    fn ulid_of(minutes: u64) -> String {
        let at = Timestamp::parse("2026-11-22T10:00:00Z").unwrap().plus(Duration::from_secs(minutes * 60));
        let moment = rondo_shared::moment::Moment::from_parts(at, &[0; 80]);
        moment.request_id.to_string()
    }

    #[test]
    fn the_last_hours_lines_are_counted_as_their_metrics_would_be() {
        let age = KeyringLine {
            product: "uniqos",
            at: Timestamp::parse("2026-11-22T10:30:00Z").unwrap(),
            key_age: Duration::from_hours(48),
        };
        let log = [
            line(0, "rotated", None, 500),
            line(10, "rotated", None, 10),
            line(20, "rotated", None, 30),
            line(30, "reissued", None, 20),
            line(40, "revoked", Some("stale_lineage"), 5),
            "not json".to_owned(),
            json!({"timestamp": "2026-11-22T10:30:00Z", "message": "another"}).to_string(),
            age.text(None),
        ]
        .join("\n");
        let figures = figures(&log, Timestamp::parse("2026-11-22T10:05:00Z").unwrap());
        for (name, figure) in [
            ("rotated", 2.0),
            ("reissued", 1.0),
            ("revoked", 1.0),
            ("reissued to another client", 1.0),
            ("reuses", 1.0),
            ("reuses per reissue", 0.5),
            ("throttled calls", 4.0),
            ("latency p99, ms", 30.0),
            ("slowest call p99, ms", 2.0),
            ("key age, days", 2.0),
        ] {
            assert_eq!(figures.get("uniqos", name), Some(figure), "{name}");
        }
        assert_eq!(figures.get("uniqos", "limited"), None);
        assert_eq!(figures.get("elastic", "rotated"), None);
    }
}
