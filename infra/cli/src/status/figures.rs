//! What is shown of an hour: one figure a row, one function a column.

use std::collections::BTreeMap;

use rondo_shared::metrics::{self, Metric};
use serde_json::{Map, Value, json};

use crate::report;

const SECS_OF_A_DAY: f64 = 86_400.0;

/// How the values of an hour become one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// All of them together.
    Sum,
    /// The value that 99 of 100 do not exceed.
    P99,
    /// The greatest, of seconds, in days.
    MaximumDays,
}

impl How {
    /// As CloudWatch calls it.
    #[must_use]
    pub const fn statistic(self) -> &'static str {
        match self {
            Self::Sum => "Sum",
            Self::P99 => "p99",
            Self::MaximumDays => "Maximum",
        }
    }

    /// The figure of these values; none where there are none.
    #[must_use]
    pub fn of(self, values: &[f64]) -> Option<f64> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        match self {
            Self::Sum => (!sorted.is_empty()).then(|| sorted.iter().sum()),
            Self::P99 => {
                // The nearest rank: of 100 values the 99th, of a few the greatest.
                let rank = sorted.len().saturating_mul(99).div_ceil(100);
                sorted.get(rank.checked_sub(1)?).copied()
            }
            Self::MaximumDays => sorted.last().map(|secs| secs / SECS_OF_A_DAY),
        }
    }
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// What it is called, for people and in JSON.
    pub name: &'static str,
    /// What it is of.
    pub metric: Metric,
    /// Of requests: those that came to this.
    pub outcome: Option<&'static str>,
    /// How it is made of the values.
    pub how: How,
}

const fn outcome(name: &'static str) -> Row {
    Row { name, metric: metrics::REQUESTS, outcome: Some(name), how: How::Sum }
}

const fn sum(name: &'static str, metric: Metric) -> Row {
    Row { name, metric, outcome: None, how: How::Sum }
}

/// The rows, from what is usual to what is not.
pub const ROWS: [Row; 19] = [
    outcome("rotated"),
    outcome("reissued"),
    outcome("proven"),
    outcome("opened"),
    outcome("served"),
    outcome("invalid"),
    outcome("refused"),
    outcome("limited"),
    outcome("revoked"),
    outcome("failed"),
    sum("reissued to another client", metrics::ANOTHER_CLIENT),
    sum("reuses", metrics::REUSES),
    sum("unknown generations", metrics::UNKNOWN_GENERATIONS),
    sum("conflicts", metrics::CONFLICTS),
    sum("throttled calls", metrics::STORE_THROTTLES),
    sum("contended calls", metrics::STORE_CONFLICTS),
    Row { name: "latency p99, ms", metric: metrics::LATENCY, outcome: None, how: How::P99 },
    Row { name: "slowest call p99, ms", metric: metrics::STORE_LATENCY, outcome: None, how: How::P99 },
    Row { name: "key age, days", metric: metrics::KEY_AGE, outcome: None, how: How::MaximumDays },
];

/// How reuses stand to reissues: far below 1 is a client's bug, above it an attack.
const REUSES_PER_REISSUE: &str = "reuses per reissue";

/// The figures by function, each by its row's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(BTreeMap<String, BTreeMap<&'static str, f64>>);

impl Figures {
    /// Adds a figure, if there is one.
    pub fn put(&mut self, function: &str, row: &Row, figure: Option<f64>) {
        if let Some(figure) = figure {
            self.0.entry(function.to_owned()).or_default().insert(row.name, figure);
        }
    }

    /// A figure; none where nothing was said.
    #[must_use]
    pub fn get(&self, function: &str, name: &str) -> Option<f64> {
        let of = |name: &str| self.0.get(function)?.get(name).copied();
        if name == REUSES_PER_REISSUE {
            let (reuses, reissues) = (of("reuses")?, of("reissued").unwrap_or_default());
            return (reuses > 0.0).then(|| reuses / (reissues + 1.0));
        }
        of(name)
    }

    fn names() -> impl Iterator<Item = &'static str> {
        let after_reuses = |row: &Row| if row.name == "reuses" { Some(REUSES_PER_REISSUE) } else { None };
        ROWS.iter().flat_map(move |row| std::iter::once(row.name).chain(after_reuses(row)))
    }

    /// As a table; rows and columns of which nothing was said are left out.
    #[must_use]
    pub fn text(&self) -> String {
        if self.is_empty() {
            return "nothing was asked of any function".to_owned();
        }
        let functions: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let header: Vec<&str> = std::iter::once("").chain(functions.iter().copied()).collect();
        let rows = Self::names().filter(|name| functions.iter().any(|function| self.get(function, name).is_some()));
        let row = |name: &str| {
            let cells = functions.iter().map(|function| self.get(function, name).map_or_else(String::new, shown));
            std::iter::once(name.to_owned()).chain(cells).collect()
        };
        report::table(&header, rows.map(row))
    }

    /// Whether nothing was said of any function.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By function, every figure.
    #[must_use]
    pub fn json(&self) -> Value {
        let of = |function: &String| -> Map<String, Value> {
            let known = Self::names().filter_map(|name| Some((name.to_owned(), json!(self.get(function, name)?))));
            known.collect()
        };
        self.0.keys().map(|function| (function.clone(), Value::Object(of(function)))).collect::<Map<_, _>>().into()
    }
}

/// Whole numbers as they are, others to a hundredth.
fn shown(figure: f64) -> String {
    if figure.fract() == 0.0 { format!("{figure}") } else { format!("{figure:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_there() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).rev().collect();
        assert_eq!(How::P99.of(&hundred), Some(99.0));
        assert_eq!(How::P99.of(&[3.0, 1.0]), Some(3.0));
        assert_eq!(How::P99.of(&[7.0]), Some(7.0));
    }

    #[test]
    fn nothing_said_is_no_figure_and_not_zero() {
        for how in [How::Sum, How::P99, How::MaximumDays] {
            assert_eq!(how.of(&[]), None, "{how:?}");
        }
        assert_eq!(How::Sum.of(&[0.0, 0.0]), Some(0.0));
    }

    #[test]
    fn reuses_are_told_beside_the_reissues_that_honest_clients_make() {
        let row = |name: &str| ROWS.into_iter().find(|row| row.name == name).unwrap();
        let mut figures = Figures::default();
        figures.put("one", &row("reuses"), Some(6.0));
        assert_eq!(figures.get("one", REUSES_PER_REISSUE), Some(6.0));
        figures.put("one", &row("reissued"), Some(11.0));
        assert_eq!(figures.get("one", REUSES_PER_REISSUE), Some(0.5));
        figures.put("one", &row("reuses"), Some(0.0));
        assert_eq!(figures.get("one", REUSES_PER_REISSUE), None);
    }

    #[test]
    fn only_what_was_said_is_in_the_table() {
        let mut figures = Figures::default();
        figures.put("one", &ROWS[0], Some(3.0));
        figures.put("two", &ROWS[16], Some(12.345));
        let text = figures.text();
        assert!(text.contains("rotated") && text.contains('3') && text.contains("12.35"), "{text}");
        assert!(!text.contains("contended"), "{text}");
        assert_eq!(figures.json(), json!({"one": {"rotated": 3.0}, "two": {"latency p99, ms": 12.345}}));
    }
}
