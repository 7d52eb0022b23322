//! What a command hands back: the same facts as text for people and as JSON for scripts.

use comfy_table::{ContentLineStyle, LineStyle, Table, TableStyle};
use serde_json::Value;

/// Columns apart by a bar, a line below the header, nothing else: easy to read and to cut.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction('|'))
    .header_separator(LineStyle::none().fill('-').junction('+'))
    .content_lines(ContentLineStyle::none().junction('|'));

/// The outcome of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    text: String,
    json: Value,
    good: bool,
}

impl Report {
    /// What was found or done.
    #[must_use]
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, good: true }
    }

    /// The same, as the report of a check that may have failed: then the exit code is 1.
    #[must_use]
    pub const fn checked(mut self, good: bool) -> Self {
        self.good = good;
        self
    }

    /// Whether all is as it should be.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.good
    }

    /// The text for people.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The JSON for scripts.
    #[must_use]
    pub const fn json(&self) -> &Value {
        &self.json
    }

    /// One of the two.
    #[must_use]
    pub fn rendered(&self, json: bool) -> String {
        if json { format!("{:#}", self.json) } else { self.text.clone() }
    }
}

/// A table with a header.
#[must_use]
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header.to_vec());
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    table.trim_fmt()
}

/// Names beside their values, one pair a line; pairs without a value are left out.
#[must_use]
pub fn pairs(pairs: &[(&str, Option<String>)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines = pairs.iter().filter_map(|(name, value)| Some(format!("{name:width$}  {}", value.as_ref()?)));
    lines.collect::<Vec<_>>().join("\n")
}
