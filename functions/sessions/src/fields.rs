//! The fields of a request, from its body or its query, each named where it is wrong. A field that is not known is
//! wrong too: to a caller who misspells `except`, leaving it out would end the session that was to be kept.

use lambda_http::{Request, RequestExt as _};
use serde_json::{Map, Value};

/// What is wrong with one field. Never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which: `body`, `query`, or a field of theirs.
    pub field: &'static str,
    /// What it must be.
    pub message: &'static str,
}

/// Fields under examination.
#[derive(Debug)]
pub struct Fields {
    values: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Fields {
    /// Of a body; `None` where it is not JSON.
    #[must_use]
    pub fn of_body(body: &[u8], known: &[&str]) -> Option<Self> {
        match serde_json::from_slice(body).ok()? {
            Value::Object(values) => Some(Self { values, problems: Vec::new() }.knowing(known, "body")),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let problems = vec![Problem { field: "body", message: "must be a JSON object" }];
                Some(Self { values: Map::new(), problems })
            }
        }
    }

    /// Of a query.
    #[must_use]
    pub fn of_query(request: &Request, known: &[&str]) -> Self {
        let mut fields = Self { values: Map::new(), problems: Vec::new() };
        let query = request.query_string_parameters();
        for (name, value) in query.iter() {
            if fields.values.insert(name.to_owned(), Value::from(value)).is_some() {
                fields.problem("query", "must not hold a parameter twice");
            }
        }
        fields.knowing(known, "query")
    }

    fn knowing(mut self, known: &[&str], place: &'static str) -> Self {
        if self.values.keys().any(|name| !known.contains(&name.as_str())) {
            self.problem(place, "holds a field that is not known");
        }
        self
    }

    /// Notes what is wrong with a field beside another.
    pub fn problem(&mut self, field: &'static str, message: &'static str) {
        self.problems.push(Problem { field, message });
    }

    /// A text that must fit, if it is there; null counts as absent.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        rule: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = match self.values.get(name) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => parse(text),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => None,
        };
        if parsed.is_none() {
            self.problem(name, rule);
        }
        parsed
    }

    /// A text that must be there and fit.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        rule: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if matches!(self.values.get(name), None | Some(Value::Null)) {
            self.problem(name, "is required");
            return None;
        }
        self.optional(name, rule, parse)
    }

    /// Everything that was wrong; to be asked once all fields have been looked at.
    #[must_use]
    pub fn problems(self) -> Vec<Problem> {
        self.problems
    }
}
