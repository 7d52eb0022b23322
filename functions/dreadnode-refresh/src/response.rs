//! Outcome to wire: every status, type, header and text of this product, and the words of its log line.

use lambda_http::http::{HeaderMap, StatusCode};
use lambda_http::{Body, Request, Response};
use rondo_shared::limit::{AdmitError, Limited};
use rondo_shared::log::LogLine;
pub use rondo_shared::log::Seen;
use rondo_shared::moment::Moment;
use rondo_shared::rotation::{How, Revocation, RotateError};
use rondo_shared::store::item::{Cause, Membership};
use rondo_shared::store::{StoreError, Usage};
use rondo_shared::token::TokenError;
pub use rondo_shared::wire::Method;
use rondo_shared::wire::{CrossSitePolicy, Reply};
use serde_json::{Value, json};
use ulid::Ulid;

use crate::policy::{PRODUCT, Policy, REFRESH_TOKEN};
use crate::request::{ExtractError, Misshapen, token_in_cookie};
use crate::{Failure, Granted};

/// What became of a request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives per request")]
pub enum Outcome {
    /// It walked, to its end or to where it failed.
    Walked(Result<Granted, Failure>),
    /// It asked whether it may.
    Preflight,
    /// It asked for something else.
    MethodNotAllowed,
}

/// An error as the product declares it.
struct Declared {
    status: StatusCode,
    kind: &'static str,
    detail: &'static str,
}

const fn declared(status: StatusCode, kind: &'static str, detail: &'static str) -> Declared {
    Declared { status, kind, detail }
}

const INVALID_REQUEST: &str = "invalid_request_error";
const FORBIDDEN: &str = "forbidden_error";
const BODY_TOO_LARGE: Declared = declared(StatusCode::BAD_REQUEST, INVALID_REQUEST, "The request body is too large.");
const BODY_UNREADABLE: Declared =
    declared(StatusCode::BAD_REQUEST, INVALID_REQUEST, "There was an error parsing the body.");
const UNAUTHENTICATED: Declared = declared(
    StatusCode::UNAUTHORIZED,
    "authentication_error",
    "The session has ended or the refresh token is not valid. Sign in again.",
);
const CROSS_SITE: Declared =
    declared(StatusCode::FORBIDDEN, FORBIDDEN, "The call comes from a site that may not make it.");
const SUSPENDED: Declared = declared(StatusCode::FORBIDDEN, FORBIDDEN, "The user is suspended.");
const REMOVED: Declared = declared(StatusCode::NOT_FOUND, "not_found_error", "The user no longer exists.");
const METHOD_NOT_ALLOWED: Declared =
    declared(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed_error", "This endpoint answers POST only.");
const CONFLICT: Declared = declared(
    StatusCode::CONFLICT,
    "already_exists_error",
    "Another request is refreshing with this token. Try again with the token that it gets.",
);
const UNPROCESSABLE: Declared =
    declared(StatusCode::UNPROCESSABLE_ENTITY, "validation_error", "The request body is not of the expected form.");
const OUTDATED: Declared = declared(
    StatusCode::UPGRADE_REQUIRED,
    "upgrade_required_error",
    "This version of the client is no longer served. Upgrade it.",
);
// A client takes a 429 that speaks of credit for another error.
const LIMITED: Declared =
    declared(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "Too many requests. Try again later.");
const OURS: Declared = declared(
    StatusCode::INTERNAL_SERVER_ERROR,
    "app_error",
    "Something went wrong on our side. Keep the refresh token and try again.",
);
const STORE_FAILED: Declared = declared(
    StatusCode::BAD_GATEWAY,
    "bad_gateway_error",
    "The session store failed. Keep the refresh token and try again.",
);
const STORE_TIMED_OUT: Declared = declared(
    StatusCode::GATEWAY_TIMEOUT,
    "gateway_timeout_error",
    "The session store did not answer in time. Keep the refresh token and try again.",
);

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
        Outcome::Walked(Ok(got)) => granted(reply(StatusCode::OK), got, policy, moment),
        Outcome::Walked(Err(failure)) => {
            let error = error_of(failure);
            let came_in_cookie = token_in_cookie(request).is_some();
            refused(reply(error.status), error, failure, came_in_cookie, policy)
        }
        Outcome::Preflight => preflight(reply(StatusCode::NO_CONTENT), &policy.cross_site, request),
        Outcome::MethodNotAllowed => {
            let body = envelope(&METHOD_NOT_ALLOWED, &Value::Null);
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
            Outcome::Walked(Ok(got)) if got.rotated.how() == How::Reissued { another_client: true }
        ),
        usage,
    };
    (response, line)
}

/// The answer of a function that could not start: an error of ours, as the contract has it. A browser is told who may
/// read it, and a preflight and a wrong method get what they always get.
#[must_use]
pub fn not_started(cross_site: &CrossSitePolicy, request: &Request, request_id: Ulid) -> Response<Body> {
    let reply = |status| Reply::new(status, request_id).headers(cross_site.answer_headers(request.headers()));
    match Method::of(request) {
        Method::Preflight => preflight(reply(StatusCode::NO_CONTENT), cross_site, request.headers()),
        Method::Other => {
            let body = envelope(&METHOD_NOT_ALLOWED, &Value::Null);
            reply(METHOD_NOT_ALLOWED.status).header("allow", ALLOW).json(&body)
        }
        Method::Post => reply(OURS.status).json(&envelope(&OURS, &Value::Null)),
    }
}

fn preflight(reply: Reply, cross_site: &CrossSitePolicy, request: &HeaderMap) -> Response<Body> {
    reply.header("allow", ALLOW).headers(cross_site.preflight_headers(request)).empty()
}

/// Both cookies are set for a client that sent its token in the body, too: without the successor it would be locked out.
fn granted(reply: Reply, got: &Granted, policy: &Policy, moment: &Moment) -> Response<Body> {
    let Granted { pair, memberships, .. } = got;
    let max_age = pair.refresh_expires_at().since(moment.now);
    reply
        .header("set-cookie", &policy.refresh_cookie.set(pair.refresh_token(), max_age))
        .header("set-cookie", &policy.access_cookie.set(pair.access_token(), pair.access_expires_in()))
        .json(&json!({
            "access_token": pair.access_token(),
            "default_org": memberships.iter().find(|membership| membership.is_default).map(organization),
            "orgs": memberships.iter().map(organization).collect::<Vec<_>>(),
        }))
}

fn organization(membership: &Membership) -> Value {
    json!({"key": membership.org.as_str(), "name": membership.name})
}

fn refused(reply: Reply, error: &Declared, failure: &Failure, came_in_cookie: bool, policy: &Policy) -> Response<Body> {
    let reply = match limit_of(failure) {
        Some(limited) => reply.header("retry-after", &limited.retry_after_secs().to_string()),
        None => reply,
    };
    // Only a token that is no good is taken away from its client, never one that we failed to judge, nor the access
    // token of a client that presented no refresh cookie.
    let reply = match error.status {
        StatusCode::UNAUTHORIZED if came_in_cookie => reply
            .header("set-cookie", &policy.refresh_cookie.clear())
            .header("set-cookie", &policy.access_cookie.clear()),
        _ => reply,
    };
    reply.json(&envelope(error, &items_of(failure)))
}

fn envelope(error: &Declared, items: &Value) -> Value {
    json!({"code": error.status.as_u16(), "detail": error.detail, "errors": items, "type": error.kind})
}

/// The one mapping from what happened to what the product declares.
const fn error_of(failure: &Failure) -> &'static Declared {
    match failure {
        Failure::Extract(error) => match error {
            ExtractError::Outdated => &OUTDATED,
            ExtractError::BodyTooLarge => &BODY_TOO_LARGE,
            ExtractError::BodyUnreadable => &BODY_UNREADABLE,
            ExtractError::BodyMisshapen(_) => &UNPROCESSABLE,
            ExtractError::CrossSite => &CROSS_SITE,
            ExtractError::NoToken | ExtractError::Unverified(_) => &UNAUTHENTICATED,
            ExtractError::Keys(_) => &OURS,
            ExtractError::AddressLimited(_) => &LIMITED,
        },
        Failure::Admit(error) => match error {
            AdmitError::Sealed(cause) => error_of_seal(*cause),
            AdmitError::Limited { .. } => &LIMITED,
            AdmitError::Store(error) => error_of_store(error),
        },
        Failure::Rotate(error) => match error {
            RotateError::Sealed(cause) => error_of_seal(*cause),
            RotateError::Revoked(_) => &UNAUTHENTICATED,
            RotateError::Conflict => &CONFLICT,
            RotateError::Store(error) => error_of_store(error),
        },
        Failure::Memberships(error) => error_of_store(error),
        Failure::Signing(_) => &OURS,
    }
}

const fn error_of_seal(cause: Cause) -> &'static Declared {
    match cause {
        Cause::AccountSuspended => &SUSPENDED,
        Cause::AccountRemoved => &REMOVED,
        Cause::Reuse | Cause::UnknownGeneration | Cause::SignOut | Cause::Operator => &UNAUTHENTICATED,
    }
}

const fn error_of_store(error: &StoreError) -> &'static Declared {
    match error {
        StoreError::TimedOut(_) => &STORE_TIMED_OUT,
        StoreError::Unavailable(_) | StoreError::Throttled(_) | StoreError::Contended(_) => &STORE_FAILED,
        StoreError::Misconfigured(_) | StoreError::Malformed { .. } => &OURS,
    }
}

const fn limit_of(failure: &Failure) -> Option<Limited> {
    match failure {
        Failure::Extract(ExtractError::AddressLimited(limited))
        | Failure::Admit(AdmitError::Limited { limited, .. }) => Some(*limited),
        Failure::Extract(_)
        | Failure::Admit(_)
        | Failure::Rotate(_)
        | Failure::Memberships(_)
        | Failure::Signing(_) => None,
    }
}

/// The items of a 422, as FastAPI writes them.
fn items_of(failure: &Failure) -> Value {
    let item = |loc: Value, msg: &str, kind: &str| json!([{"loc": loc, "msg": msg, "type": kind}]);
    match failure {
        Failure::Extract(ExtractError::BodyMisshapen(misshapen)) => match misshapen {
            Misshapen::NotJson { at } => item(json!(["body", at]), "JSON decode error", "json_invalid"),
            Misshapen::NotObject => item(
                json!(["body"]),
                "Input should be a valid dictionary or object to extract fields from",
                "model_attributes_type",
            ),
            Misshapen::FieldMissing => item(json!(["body", REFRESH_TOKEN]), "Field required", "missing"),
            Misshapen::FieldNotText => {
                item(json!(["body", REFRESH_TOKEN]), "Input should be a valid string", "string_type")
            }
        },
        Failure::Extract(_)
        | Failure::Admit(_)
        | Failure::Rotate(_)
        | Failure::Memberships(_)
        | Failure::Signing(_) => Value::Null,
    }
}

/// The log line's words for an outcome and its cause.
const fn words(outcome: &Outcome) -> (&'static str, Option<&'static str>) {
    let failure = match outcome {
        Outcome::Walked(Ok(got)) => {
            return match got.rotated.how() {
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
            ExtractError::Outdated => ("refused", Some("outdated_client")),
            ExtractError::BodyTooLarge => ("invalid", Some("body_too_large")),
            ExtractError::BodyUnreadable => ("invalid", Some("body_unreadable")),
            ExtractError::BodyMisshapen(Misshapen::NotJson { .. }) => ("invalid", Some("body_not_json")),
            ExtractError::BodyMisshapen(Misshapen::NotObject) => ("invalid", Some("body_not_object")),
            ExtractError::BodyMisshapen(Misshapen::FieldMissing) => ("invalid", Some("field_missing")),
            ExtractError::BodyMisshapen(Misshapen::FieldNotText) => ("invalid", Some("field_not_text")),
            ExtractError::CrossSite => ("refused", Some("cross_site")),
            ExtractError::NoToken => ("invalid", Some("no_token")),
            ExtractError::Unverified(TokenError::Expired) => ("invalid", Some("expired")),
            ExtractError::Unverified(TokenError::SessionsEnded) => ("refused", Some("sessions_not_before")),
            ExtractError::Unverified(_) => ("invalid", Some("unverified_token")),
            ExtractError::Keys(_) => ("failed", Some("keyring")),
            ExtractError::AddressLimited(_) => ("limited", Some("address")),
        },
        Failure::Admit(error) => match error {
            AdmitError::Sealed(cause) => ("refused", Some(cause.as_str())),
            AdmitError::Limited { from_memory: true, .. } => ("limited", Some("bucket_remembered")),
            AdmitError::Limited { from_memory: false, .. } => ("limited", Some("bucket")),
            AdmitError::Store(_) => ("failed", Some("store")),
        },
        Failure::Rotate(error) => match error {
            RotateError::Sealed(cause) => ("refused", Some(cause.as_str())),
            RotateError::Revoked(Revocation::Reuse(lag)) => ("revoked", Some(lag.as_str())),
            RotateError::Revoked(Revocation::UnknownGeneration) => ("revoked", Some("unknown_generation")),
            RotateError::Conflict => ("refused", Some("conflict")),
            RotateError::Store(_) => ("failed", Some("store")),
        },
        Failure::Memberships(_) => ("failed", Some("memberships")),
        Failure::Signing(_) => ("failed", Some("signing")),
    }
}

/// What went wrong, in a sentence. No error of ours holds a secret.
fn error_text(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Walked(Err(failure)) => Some(failure.to_string()),
        Outcome::Walked(Ok(_)) | Outcome::Preflight | Outcome::MethodNotAllowed => None,
    }
}
