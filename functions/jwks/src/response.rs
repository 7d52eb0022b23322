//! Outcome to wire: every status, header and text of this function, and the words of its log line.

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use rondo_shared::log::LogLine;
use rondo_shared::moment::Moment;
use rondo_shared::store::Usage;
use rondo_shared::wire::Reply;
use serde_json::json;
use ulid::Ulid;

use crate::document::Document;
use crate::policy::{FUNCTION, Policy};
use crate::request::Refusal;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is answered with a document.
    Served {
        /// Which.
        document: Document,
        /// Or with all but the document itself.
        with_body: bool,
    },
    /// The caller has it.
    NotModified(Document),
    /// A browser is told that anybody may ask.
    Preflight,
    /// There is nothing for it.
    Refused(Refusal),
}

/// The media type of both documents. RFC 7517 §8.5 has `application/jwk-set+json` for a key set, but verifiers of every
/// age take this one, all large issuers send it, and a CDN compresses it.
const CONTENT_TYPE: &str = "application/json";
/// The methods that are answered.
const ALLOW: &str = "GET, HEAD, OPTIONS";
/// How long a browser may remember a preflight's answer, in seconds: two hours, as long as any browser does.
const PREFLIGHT_MAX_AGE: &str = "7200";

/// An error as it is told.
struct Told {
    status: StatusCode,
    code: &'static str,
    description: &'static str,
}

const NOT_FOUND: Told =
    Told { status: StatusCode::NOT_FOUND, code: "not_found", description: "Nothing is served at this path." };
const NO_PUBLIC_URL: Told = Told {
    status: StatusCode::NOT_FOUND,
    code: "not_found",
    description: "This deployment describes no issuer: JWKS_PUBLIC_URL is not set.",
};
const METHOD_NOT_ALLOWED: Told = Told {
    status: StatusCode::METHOD_NOT_ALLOWED,
    code: "method_not_allowed",
    description: "This document can be got and nothing else.",
};
const INTERNAL: Told = Told {
    status: StatusCode::INTERNAL_SERVER_ERROR,
    code: "internal_error",
    description: "The keys cannot be read. Keep those that you have and try again.",
};

/// Renders an outcome as the answer and its log line.
#[must_use]
pub fn render(outcome: &Outcome, policy: &Policy, moment: &Moment) -> (Response<Body>, LogLine) {
    let response = match outcome {
        Outcome::Served { document, with_body } => {
            let reply = public(StatusCode::OK, moment.request_id).header("etag", document.etag());
            cacheable(if *with_body { whole(reply, document) } else { described(reply, document) }, policy)
        }
        Outcome::NotModified(document) => {
            let reply = public(StatusCode::NOT_MODIFIED, moment.request_id).header("etag", document.etag());
            cacheable(reply.empty(), policy)
        }
        Outcome::Preflight => public(StatusCode::NO_CONTENT, moment.request_id)
            .header("allow", ALLOW)
            .header("access-control-allow-methods", ALLOW)
            .header("access-control-allow-headers", "*")
            .header("access-control-max-age", PREFLIGHT_MAX_AGE)
            .empty(),
        Outcome::Refused(Refusal::NoSuchPath) => told(&NOT_FOUND, moment.request_id),
        Outcome::Refused(Refusal::NoPublicUrl) => told(&NO_PUBLIC_URL, moment.request_id),
        Outcome::Refused(Refusal::MethodNotAllowed) => told(&METHOD_NOT_ALLOWED, moment.request_id),
    };
    let (outcome_name, cause) = words(outcome);
    let line = LogLine {
        request_id: moment.request_id,
        product: FUNCTION,
        outcome: outcome_name,
        cause,
        error: error_text(outcome),
        status: response.status().as_u16(),
        family: None,
        generation: None,
        caller: None,
        another_client: false,
        usage: Usage::default(),
    };
    (response, line)
}

/// The answer of a function that has no keys to show: never one that a verifier might take for an empty set.
#[must_use]
pub fn not_started(request_id: Ulid) -> Response<Body> {
    told(&INTERNAL, request_id)
}

fn whole(reply: Reply, document: &Document) -> Response<Body> {
    reply.text(CONTENT_TYPE, document.text().to_owned())
}

/// What GET would give, without the content. Its length is told here: the gateway would tell that of what it gets.
fn described(reply: Reply, document: &Document) -> Response<Body> {
    reply.header("content-length", &document.text().len().to_string()).text(CONTENT_TYPE, String::new())
}

/// An answer that any site's script may read: it holds what everybody may know, and takes no credentials.
fn public(status: StatusCode, request_id: Ulid) -> Reply {
    Reply::new(status, request_id)
        .header("access-control-allow-origin", "*")
        .header("access-control-expose-headers", "etag, x-request-id")
}

fn told(error: &Told, request_id: Ulid) -> Response<Body> {
    let reply = public(error.status, request_id);
    let reply = if error.status == StatusCode::METHOD_NOT_ALLOWED { reply.header("allow", ALLOW) } else { reply };
    reply.json(&json!({
        "error": error.code,
        "error_description": error.description,
        "request_id": request_id.to_string(),
    }))
}

/// A reply forbids caches what it holds; these two documents are made for them.
fn cacheable(mut response: Response<Body>, policy: &Policy) -> Response<Body> {
    let value = HeaderValue::from_str(&format!("public, max-age={}", policy.max_age.as_secs()));
    if let Ok(value) = value {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

/// The log line's words for an outcome and its cause.
const fn words(outcome: &Outcome) -> (&'static str, Option<&'static str>) {
    match outcome {
        Outcome::Served { .. } => ("served", None),
        Outcome::NotModified(_) => ("served", Some("not_modified")),
        Outcome::Preflight => ("preflight", None),
        Outcome::Refused(Refusal::NoSuchPath) => ("invalid", Some("path")),
        Outcome::Refused(Refusal::MethodNotAllowed) => ("invalid", Some("method")),
        Outcome::Refused(Refusal::NoPublicUrl) => ("refused", Some("no_public_url")),
    }
}

fn error_text(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal.to_string()),
        Outcome::Served { .. } | Outcome::NotModified(_) | Outcome::Preflight => None,
    }
}
