//! Outcome to wire: every status, code, header and text of this product, and the words of its log line.

use lambda_http::http::{HeaderMap, StatusCode};
use lambda_http::{Body, Request, Response};
use rondo_shared::limit::{AdmitError, Balance, Limited};
use rondo_shared::log::LogLine;
pub use rondo_shared::log::Seen;
use rondo_shared::mint::TokenPair;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::{How, Revocation, RotateError, Rotated};
use rondo_shared::store::Usage;
use rondo_shared::store::item::Quota;
use rondo_shared::token::TokenError;
pub use rondo_shared::wire::Method;
use rondo_shared::wire::{CrossSitePolicy, Reply};
use serde_json::{Value, json};
use ulid::Ulid;

use crate::Failure;
use crate::policy::{PRODUCT, Policy};
use crate::request::{ExtractError, were_all_looked_at};

/// What became of a request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives per request")]
pub enum Outcome {
    /// It walked, to its end or to where it failed.
    Walked(Result<(Rotated, TokenPair), Failure>),
    /// It asked whether it may.
    Preflight,
    /// It asked for something else.
    MethodNotAllowed,
}

/// An error as the product declares it.
struct Declared {
    status: StatusCode,
    code: &'static str,
    kind: &'static str,
    message: &'static str,
}

const fn declared(status: StatusCode, code: &'static str, kind: &'static str, message: &'static str) -> Declared {
    Declared { status, code, kind, message }
}

const VALIDATION: (&str, &str) = ("validation_error", "validation");
const MALFORMED_BODY: Declared =
    declared(StatusCode::BAD_REQUEST, VALIDATION.0, VALIDATION.1, "The request body is not valid JSON.");
const BODY_TOO_LARGE: Declared =
    declared(StatusCode::BAD_REQUEST, VALIDATION.0, VALIDATION.1, "The request body is too large.");
const SEVERAL_SESSIONS: Declared = declared(
    StatusCode::BAD_REQUEST,
    VALIDATION.0,
    VALIDATION.1,
    "The request carries refresh cookies of several sessions.",
);
const TOO_MANY_COOKIES: Declared = declared(
    StatusCode::BAD_REQUEST,
    VALIDATION.0,
    VALIDATION.1,
    "The request carries too many refresh cookies to look at.",
);
const UNPROCESSABLE: Declared =
    declared(StatusCode::UNPROCESSABLE_ENTITY, VALIDATION.0, VALIDATION.1, "The request is not of the expected form.");
const UNAUTHENTICATED: Declared = declared(
    StatusCode::UNAUTHORIZED,
    "authentication_error",
    "authentication",
    "The session has ended or the refresh token is not valid. Sign in again.",
);
const CROSS_SITE: Declared = declared(
    StatusCode::FORBIDDEN,
    "permission_denied",
    "permission",
    "The call comes from a site that may not make it.",
);
const CONFLICT: Declared = declared(
    StatusCode::CONFLICT,
    "conflict",
    "conflict",
    "Another request is rotating this refresh token. Try again with the cookie that it sets.",
);
const LIMITED: Declared =
    declared(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "rate_limit", "Too many requests. Try again later.");
const INTERNAL: Declared = declared(
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal_error",
    "internal",
    "Something went wrong on our side. Keep the cookie and try again.",
);
const METHOD_NOT_ALLOWED: Declared =
    declared(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", VALIDATION.1, "This endpoint answers POST only.");

/// What a 422 calls the refresh cookie.
const COOKIE_FIELD: &str = "cookie.uniqos_refresh";
/// The methods that the endpoint answers.
const ALLOW: &str = "POST, OPTIONS";

/// Renders an outcome as the answer and its log line.
#[must_use]
pub fn render(
    outcome: &Outcome,
    policy: &Policy,
    request: &HeaderMap,
    moment: &Moment,
    seen: Option<Seen>,
    usage: Usage,
) -> (Response<Body>, LogLine) {
    let reply = |status| Reply::new(status, moment.request_id).headers(policy.cross_site.answer_headers(request));
    let response = match outcome {
        Outcome::Walked(Ok((rotated, pair))) => granted(reply(StatusCode::OK), rotated, pair, policy, moment),
        Outcome::Walked(Err(failure)) => {
            let error = error_of(failure);
            let may_clear = were_all_looked_at(request);
            refused(reply(error.status), error, failure, may_clear, policy, moment)
        }
        Outcome::Preflight => preflight(reply(StatusCode::NO_CONTENT), &policy.cross_site, request),
        Outcome::MethodNotAllowed => {
            let body = envelope(&METHOD_NOT_ALLOWED, &Value::Null, &policy.documentation_url, moment.request_id);
            reply(METHOD_NOT_ALLOWED.status).header("allow", ALLOW).json(&body)
        }
    };
    let (outcome_name, cause) = words(outcome);
    let line = LogLine {
        request_id: moment.request_id,
        product: PRODUCT,
        outcome: outcome_name,
        cause,
        error: error_text(outcome),
        status: response.status().as_u16(),
        family: seen.map(|seen| seen.family),
        generation: seen.map(|seen| seen.generation),
        caller: None,
        another_client: matches!(
            outcome,
            Outcome::Walked(Ok((rotated, _))) if rotated.how() == How::Reissued { another_client: true }
        ),
        usage,
    };
    (response, line)
}

/// The answer of a function that could not start: an error of ours, as the contract has it. A browser is told who may
/// read it, and a preflight and a wrong method get what they always get. `documentation_url` is a setting that it
/// needs; see [`crate::policy::documentation_url`].
#[must_use]
pub fn not_started(
    cross_site: &CrossSitePolicy,
    documentation_url: &str,
    request: &Request,
    request_id: Ulid,
) -> Response<Body> {
    let reply = |status| Reply::new(status, request_id).headers(cross_site.answer_headers(request.headers()));
    match Method::of(request) {
        Method::Preflight => preflight(reply(StatusCode::NO_CONTENT), cross_site, request.headers()),
        Method::Other => {
            let body = envelope(&METHOD_NOT_ALLOWED, &Value::Null, documentation_url, request_id);
            reply(METHOD_NOT_ALLOWED.status).header("allow", ALLOW).json(&body)
        }
        Method::Post => reply(INTERNAL.status).json(&envelope(&INTERNAL, &Value::Null, documentation_url, request_id)),
    }
}

fn preflight(reply: Reply, cross_site: &CrossSitePolicy, request: &HeaderMap) -> Response<Body> {
    reply.header("allow", ALLOW).headers(cross_site.preflight_headers(request)).empty()
}

fn granted(reply: Reply, rotated: &Rotated, pair: &TokenPair, policy: &Policy, moment: &Moment) -> Response<Body> {
    let max_age = pair.refresh_expires_at().since(moment.now);
    let Balance { limit, remaining, full_at } = rotated.admitted().balance();
    rate_headers(reply, limit, remaining, full_at)
        .header("set-cookie", &policy.cookie.set(pair.refresh_token(), max_age))
        .json(&json!({
            "access_token": pair.access_token(),
            "token_type": "Bearer",
            "expires_in": pair.access_expires_in().as_secs(),
        }))
}

fn refused(
    reply: Reply,
    error: &Declared,
    failure: &Failure,
    may_clear: bool,
    policy: &Policy,
    moment: &Moment,
) -> Response<Body> {
    let reply = match limit_of(failure) {
        Some(limited) => rate_headers(reply, limited.limit, 0, limited.full_at)
            .header("retry-after", &limited.retry_after_secs().to_string()),
        None => reply,
    };
    let reply = match failure {
        Failure::Admit { quota: Some(quota), .. } => quota_headers(reply, quota),
        Failure::Admit { quota: None, .. }
        | Failure::Extract(_)
        | Failure::Settle(_)
        | Failure::Rotate(_)
        | Failure::Undecided { .. }
        | Failure::Signing(_) => reply,
    };
    // Only a token that is no good is taken away from its client, never one that we failed to judge or did not look at.
    let reply = match error.status {
        StatusCode::UNAUTHORIZED if may_clear => reply.header("set-cookie", &policy.cookie.clear()),
        _ => reply,
    };
    reply.json(&envelope(error, &details_of(failure), &policy.documentation_url, moment.request_id))
}

fn rate_headers(reply: Reply, limit: u32, remaining: u32, full_at: Timestamp) -> Reply {
    reply
        .header("x-ratelimit-limit", &limit.to_string())
        .header("x-ratelimit-remaining", &remaining.to_string())
        .header("x-ratelimit-reset", &full_at.iso8601())
}

fn quota_headers(reply: Reply, quota: &Quota) -> Reply {
    reply
        .header("x-quota-turns-used", &quota.turns_used.to_string())
        .header("x-quota-turns-limit", &quota.turns_limit.to_string())
        .header("x-quota-relationships-used", &quota.relationships_used.to_string())
        .header("x-quota-relationships-limit", &quota.relationships_limit.to_string())
        .header("x-quota-reset", &quota.resets_at.iso8601())
}

fn envelope(error: &Declared, details: &Value, documentation_url: &str, request_id: Ulid) -> Value {
    json!({"error": {
        "code": error.code,
        "message": error.message,
        "type": error.kind,
        "request_id": request_id.to_string(),
        "details": details,
        "documentation_url": format!("{documentation_url}#{}", error.code),
    }})
}

/// The one mapping from what happened to what the product declares.
const fn error_of(failure: &Failure) -> &'static Declared {
    match failure {
        Failure::Extract(error) => match error {
            ExtractError::CrossSite => &CROSS_SITE,
            ExtractError::BodyTooLarge => &BODY_TOO_LARGE,
            ExtractError::BodyNotJson => &MALFORMED_BODY,
            ExtractError::SeveralFamilies => &SEVERAL_SESSIONS,
            ExtractError::TooManyCookies => &TOO_MANY_COOKIES,
            ExtractError::BodyNotObject | ExtractError::MalformedCookie(_) => &UNPROCESSABLE,
            ExtractError::NoCookie | ExtractError::Unverified(_) => &UNAUTHENTICATED,
            ExtractError::Keys(_) => &INTERNAL,
            ExtractError::AddressLimited(_) => &LIMITED,
        },
        Failure::Admit { error, .. } => match error {
            AdmitError::Sealed(_) => &UNAUTHENTICATED,
            AdmitError::Limited { .. } => &LIMITED,
            AdmitError::Store(_) => &INTERNAL,
        },
        Failure::Rotate(error) => match error {
            RotateError::Sealed(_) | RotateError::Revoked(_) => &UNAUTHENTICATED,
            RotateError::Conflict => &CONFLICT,
            RotateError::Store(_) => &INTERNAL,
        },
        Failure::Settle(_) | Failure::Undecided { .. } | Failure::Signing(_) => &INTERNAL,
    }
}

const fn limit_of(failure: &Failure) -> Option<Limited> {
    match failure {
        Failure::Extract(ExtractError::AddressLimited(limited))
        | Failure::Admit { error: AdmitError::Limited { limited, .. }, .. } => Some(*limited),
        Failure::Extract(_)
        | Failure::Settle(_)
        | Failure::Admit { .. }
        | Failure::Rotate(_)
        | Failure::Undecided { .. }
        | Failure::Signing(_) => None,
    }
}

/// The fields that a 422 lists.
fn details_of(failure: &Failure) -> Value {
    match failure {
        Failure::Extract(ExtractError::BodyNotObject) => {
            json!([{"field": "body", "message": "must be a JSON object, or absent"}])
        }
        Failure::Extract(ExtractError::MalformedCookie(error)) => {
            let too_long = *error == TokenError::TooLong;
            let message =
                if too_long { "must not be over 4096 bytes" } else { "must be three base64url parts of JSON" };
            json!([{"field": COOKIE_FIELD, "message": message}])
        }
        Failure::Extract(_)
        | Failure::Settle(_)
        | Failure::Admit { .. }
        | Failure::Rotate(_)
        | Failure::Undecided { .. }
        | Failure::Signing(_) => Value::Null,
    }
}

/// The log line's words for an outcome and its cause.
const fn words(outcome: &Outcome) -> (&'static str, Option<&'static str>) {
    let failure = match outcome {
        Outcome::Walked(Ok((rotated, _))) => {
            return match rotated.how() {
                How::Rotated => ("rotated", None),
                How::Reissued { .. } => ("reissued", None),
            };
        }
        Outcome::Preflight => return ("preflight", None),
        Outcome::MethodNotAllowed => return ("invalid", Some("method")),
        Outcome::Walked(Err(failure)) => failure,
    };
    match failure {
        Failure::Extract(error) => match error {
            ExtractError::CrossSite => ("refused", Some("cross_site")),
            ExtractError::BodyTooLarge => ("invalid", Some("body_too_large")),
            ExtractError::BodyNotJson => ("invalid", Some("body_not_json")),
            ExtractError::BodyNotObject => ("invalid", Some("body_not_object")),
            ExtractError::NoCookie => ("invalid", Some("no_cookie")),
            ExtractError::MalformedCookie(_) => ("invalid", Some("malformed_cookie")),
            ExtractError::SeveralFamilies => ("invalid", Some("several_families")),
            ExtractError::TooManyCookies => ("invalid", Some("too_many_cookies")),
            ExtractError::Unverified(TokenError::Expired) => ("invalid", Some("expired")),
            ExtractError::Unverified(TokenError::SessionsEnded) => ("refused", Some("sessions_not_before")),
            ExtractError::Unverified(_) => ("invalid", Some("unverified_token")),
            ExtractError::Keys(_) => ("failed", Some("keyring")),
            ExtractError::AddressLimited(_) => ("limited", Some("address")),
        },
        Failure::Settle(_) => ("failed", Some("store")),
        Failure::Admit { error, .. } => match error {
            AdmitError::Sealed(cause) => ("refused", Some(cause.as_str())),
            AdmitError::Limited { from_memory: true, .. } => ("limited", Some("bucket_remembered")),
            AdmitError::Limited { from_memory: false, .. } => ("limited", Some("bucket")),
            AdmitError::Store(_) => ("failed", Some("store")),
        },
        Failure::Rotate(error) => match error {
            RotateError::Sealed(cause) => ("refused", Some(cause.as_str())),
            RotateError::Revoked(revocation) => words_of_revocation(*revocation),
            RotateError::Conflict => ("refused", Some("conflict")),
            RotateError::Store(_) => ("failed", Some("store")),
        },
        // What was done is what is counted; the answer is ours.
        Failure::Undecided { revoked: Some(revocation), .. } => words_of_revocation(*revocation),
        Failure::Undecided { revoked: None, .. } => ("failed", Some("keyring")),
        Failure::Signing(_) => ("failed", Some("signing")),
    }
}

const fn words_of_revocation(revocation: Revocation) -> (&'static str, Option<&'static str>) {
    match revocation {
        Revocation::Reuse(lag) => ("revoked", Some(lag.as_str())),
        Revocation::UnknownGeneration => ("revoked", Some("unknown_generation")),
    }
}

/// What went wrong, in a sentence. No error of ours holds a secret.
fn error_text(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Walked(Err(failure)) => Some(failure.to_string()),
        Outcome::Walked(Ok(_)) | Outcome::Preflight | Outcome::MethodNotAllowed => None,
    }
}
