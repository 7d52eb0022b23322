//! An OpenAPI document, and the check of an answer against it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use jsonschema::{Draft, options};
use lambda_http::{Body, Response};
use serde_json::{Value, json};

use super::root;

/// An OpenAPI document, and which of its answers have been produced.
pub struct Document {
    pub name: &'static str,
    pub json: Value,
    pub produced: Mutex<BTreeSet<(String, String, String)>>,
}

impl Document {
    pub fn of(name: &'static str) -> Self {
        let path = root().join("infra/openapi").join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name, json: serde_json::from_str(&text).unwrap(), produced: Mutex::default() }
    }

    /// What stands at `value`, or where its `$ref` points.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.json.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} is nowhere")),
            None => value,
        }
    }

    pub fn map<'a>(&'a self, value: &'a Value) -> impl Iterator<Item = (&'a String, &'a Value)> {
        value.as_object().into_iter().flatten().map(|(name, value)| (name, self.resolved(value)))
    }

    /// What is wrong with a value that is to be of this schema.
    pub fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let whole = json!({"components": self.json["components"], "allOf": [schema]});
        let validator = options().with_draft(Draft::Draft202012).should_validate_formats(true).build(&whole).unwrap();
        validator.iter_errors(value).map(|error| format!("{} {error}", error.instance_path())).collect()
    }

    /// The template that a path is of: the one with the fewest parameters.
    pub fn template(&self, path: &str) -> &str {
        let fits = |template: &&String| {
            let (names, segments) = (template.split('/'), path.split('/'));
            names.clone().count() == segments.clone().count()
                && names.zip(segments).all(|(name, segment)| name.starts_with('{') || name == segment)
        };
        let found = self.json["paths"].as_object().unwrap().keys().filter(fits);
        found.min_by_key(|template| template.matches('{').count()).expect("a path of the document")
    }

    /// Holds an answer against what is declared for it, and notes that it was produced. What an undeclared method is
    /// answered with stands, for lack of another place, among the answers of a method that is declared.
    #[track_caller]
    pub fn check(&self, event: &Value, response: &Response<Body>) {
        let http = &event["requestContext"]["http"];
        let (template, status) = (self.template(http["path"].as_str().unwrap()), response.status());
        let status = status.as_str();
        let item = &self.json["paths"][template];
        let sent = http["method"].as_str().unwrap().to_lowercase();
        let declares = |method: &&String| !item[*method]["responses"][status].is_null();
        let method = match item.get(&sent) {
            Some(_) => sent.as_str(),
            None => item.as_object().unwrap().keys().find(declares).map_or("", String::as_str),
        };
        let context = format!("{}: {method} {template} {status}", self.name);
        let declared = self.resolved(&item[method]["responses"][status]);
        assert!(declared.is_object(), "{context} is not declared: {:?}", response.body());
        let mut faults = self.faults_of_headers(declared, response);
        if sent != "head" {
            faults.extend(self.faults_of_body(declared, response));
        }
        assert!(faults.is_empty(), "{context}\n  {}\n{response:?}", faults.join("\n  "));
        self.produced.lock().unwrap().insert((template.to_owned(), method.to_owned(), status.to_owned()));
    }

    /// What is wrong with a request's body, a JSON value, by what is declared for it.
    pub fn faults_of_request(&self, method: &str, path: &str, body: &Value) -> Vec<String> {
        let operation = &self.json["paths"][self.template(path)][method.to_lowercase()];
        self.faults(&operation["requestBody"]["content"]["application/json"]["schema"], body)
    }

    pub fn faults_of_headers(&self, declared: &Value, response: &Response<Body>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut known = BTreeSet::from(["content-type".to_owned()]);
        for (name, header) in self.map(&declared["headers"]) {
            let values: Vec<_> = response.headers().get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
            if values.is_empty() && header["required"] == true {
                faults.push(format!("{name} is missing"));
            }
            let is_number = self.resolved(&header["schema"])["type"] == "integer";
            for text in values {
                let value = if is_number { serde_json::from_str(text).unwrap_or(json!(text)) } else { json!(text) };
                faults.extend(self.faults(&header["schema"], &value).iter().map(|fault| format!("{name}: {fault}")));
            }
            known.insert(name.to_lowercase());
        }
        let unknown = response.headers().keys().filter(|name| !known.contains(name.as_str()));
        faults.extend(unknown.map(|name| format!("{name} is not declared")));
        faults
    }

    pub fn faults_of_body(&self, declared: &Value, response: &Response<Body>) -> Vec<String> {
        let (headers, body) = (response.headers(), response.body().as_ref());
        let Some(sent) = headers.get("content-type").map(|kind| kind.to_str().unwrap()) else {
            let is_wanted = !declared["content"].is_null() || !body.is_empty();
            return if is_wanted { vec!["there is no Content-Type".to_owned()] } else { Vec::new() };
        };
        let media = &declared["content"][sent];
        if media.is_null() {
            return vec![format!("{sent} is not declared")];
        }
        let value = match sent {
            "application/json" => serde_json::from_slice(body).unwrap(),
            _ => json!(std::str::from_utf8(body).unwrap()),
        };
        let mut faults = self.faults(&media["schema"], &value);
        let told = ["/request_id", "/error/request_id"].into_iter().find_map(|at| value.pointer(at));
        if told.is_some_and(|told| told.as_str() != headers["x-request-id"].to_str().ok()) {
            faults.push("request_id is not that of the header".to_owned());
        }
        faults
    }

    /// Every answer that is declared, each with its path, method and status.
    pub fn answers(&self) -> impl Iterator<Item = ((String, String, String), &Value)> {
        let operations =
            self.map(&self.json["paths"]).flat_map(|(path, item)| self.map(item).map(move |(m, o)| (path, m, o)));
        operations.flat_map(|(path, method, operation)| {
            let declared = self.map(&operation["responses"]);
            declared.map(|(status, answer)| ((path.clone(), method.clone(), status.clone()), answer))
        })
    }

    /// Fails for what is declared and was not produced.
    #[track_caller]
    pub fn assert_all_produced(&self) {
        let produced = self.produced.lock().unwrap();
        let missing: Vec<_> = self.answers().map(|(answer, _)| answer).filter(|a| !produced.contains(a)).collect();
        assert!(missing.is_empty(), "{}: declared, and not produced by any request here: {missing:#?}", self.name);
    }
}
