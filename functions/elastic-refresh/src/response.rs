//! Outcome to wire: every status, code, header and text of this product, and the words of its log line.

use lambda_http::http::{HeaderMap, StatusCode};
use lambda_http::{Body, Request, Response};
use rondo_shared::limit::{AdmitError, Limited};
use rondo_shared::log::LogLine;
pub use rondo_shared::log::Seen;
use rondo_shared::mint::TokenPair;
use rondo_shared::moment::Moment;
use rondo_shared::rotation::{How, Revocation, RotateError};
use rondo_shared::store::{StoreError, Usage};
use rondo_shared::token::TokenError;
pub use rondo_shared::wire::Method;
use rondo_shared::wire::{CrossSitePolicy, Reply};
use serde_json::{Value, json};
use ulid::Ulid;

use crate::login::LoginError;
use crate::policy::{PRODUCT, Policy};
use crate::request::ExtractError;
use crate::{BootError, Failure, Granted};

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
    code: &'static str,
    message: &'static str,
}

const fn declared(status: StatusCode, code: &'static str, message: &'static str) -> Declared {
    Declared { status, code, message }
}

/// The product's documented code for a failure that is ours, whatever it is. Its message tells what.
const fn cluster_failed(message: &'static str) -> Declared {
    declared(StatusCode::BAD_GATEWAY, "authc.authentication_cluster_error", message)
}

const UNAUTHORIZED: Declared =
    declared(StatusCode::UNAUTHORIZED, "root.unauthorized", "The authentication token is invalid or expired.");
const METHOD_NOT_ALLOWED: Declared =
    declared(StatusCode::METHOD_NOT_ALLOWED, "root.method_not_allowed", "This endpoint answers POST only.");
const LIMITED: Declared =
    declared(StatusCode::TOO_MANY_REQUESTS, "root.too_many_requests", "Too many requests. Try again later.");
const NOT_CONFIGURED: Declared = declared(
    StatusCode::NOT_IMPLEMENTED,
    "authc.no_authentication_cluster",
    "The administrator needs to configure the authentication cluster.",
);
const STORE_FAILED: Declared =
    cluster_failed("The authentication cluster failed to process the request: the session store failed.");
const STORE_TIMED_OUT: Declared =
    cluster_failed("The authentication cluster failed to process the request: the session store timed out.");
const CONTENDED: Declared = cluster_failed(
    "The authentication cluster failed to process the request: another request is refreshing this token.",
);
const KEYS_UNREADABLE: Declared =
    cluster_failed("The authentication cluster failed to process the request: its keys could not be read.");
const OURS: Declared =
    cluster_failed("The authentication cluster failed to process the request: no token could be made.");
const NOT_STARTED: Declared =
    cluster_failed("The authentication cluster failed to process the request: it could not start.");

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
        Outcome::Walked(Ok(Granted::Refreshed(_, pair) | Granted::Opened(pair))) => {
            reply(StatusCode::OK).json(&granted(pair))
        }
        Outcome::Walked(Err(failure)) => {
            let error = error_of(failure);
            refused(with_retry_after(reply(error.status), failure), error)
        }
        Outcome::Preflight => preflight(reply(StatusCode::NO_CONTENT), &policy.cross_site, request),
        Outcome::MethodNotAllowed => {
            refused(reply(METHOD_NOT_ALLOWED.status).header("allow", ALLOW), &METHOD_NOT_ALLOWED)
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
            Outcome::Walked(Ok(Granted::Refreshed(rotated, _)))
                if rotated.how() == How::Reissued { another_client: true }
        ),
        usage,
    };
    (response, line)
}

/// The answer of a function that could not start: that it is not configured, or an error of ours, as the contract has
/// it. A browser is told who may read it, and a preflight and a wrong method get what they always get.
#[must_use]
pub fn not_started(
    error: &BootError,
    cross_site: &CrossSitePolicy,
    request: &Request,
    request_id: Ulid,
) -> Response<Body> {
    let error = match error {
        BootError::NotConfigured(_) => &NOT_CONFIGURED,
        BootError::Config(_) | BootError::Keyring(_) => &NOT_STARTED,
    };
    not_serving(error, cross_site, request, request_id)
}

/// The answer where not even a request's name can be drawn.
#[must_use]
pub fn without_randomness(cross_site: &CrossSitePolicy, request: &Request) -> Response<Body> {
    not_serving(&OURS, cross_site, request, Ulid::nil())
}

fn not_serving(error: &Declared, cross_site: &CrossSitePolicy, request: &Request, request_id: Ulid) -> Response<Body> {
    let reply = |status| Reply::new(status, request_id).headers(cross_site.answer_headers(request.headers()));
    match Method::of(request) {
        Method::Preflight => preflight(reply(StatusCode::NO_CONTENT), cross_site, request.headers()),
        Method::Other => refused(reply(METHOD_NOT_ALLOWED.status).header("allow", ALLOW), &METHOD_NOT_ALLOWED),
        Method::Post => refused(reply(error.status), error),
    }
}

fn preflight(reply: Reply, cross_site: &CrossSitePolicy, request: &HeaderMap) -> Response<Body> {
    reply.header("allow", ALLOW).headers(cross_site.preflight_headers(request)).empty()
}

/// Both fields always: a client panics without the token. The time is the token's own `exp`.
fn granted(pair: &TokenPair) -> Value {
    json!({
        "token": pair.refresh_token(),
        "session_expiration_time": pair.refresh_expires_at().iso8601(),
    })
}

/// `fields` is left out, as the product leaves it out where it is empty: no error here is of a field.
fn refused(reply: Reply, error: &Declared) -> Response<Body> {
    reply
        .header("x-cloud-error-codes", error.code)
        .json(&json!({"errors": [{"code": error.code, "message": error.message}]}))
}

fn with_retry_after(reply: Reply, failure: &Failure) -> Reply {
    match limit_of(failure) {
        Some(limited) => reply.header("retry-after", &limited.retry_after_secs().to_string()),
        None => reply,
    }
}

/// The one mapping from what happened to what the product declares.
const fn error_of(failure: &Failure) -> &'static Declared {
    match failure {
        Failure::Extract(error) => match error {
            ExtractError::NoCredentials
            | ExtractError::SeveralCredentials
            | ExtractError::OtherScheme
            | ExtractError::MalformedLogin
            | ExtractError::Unverified(_) => &UNAUTHORIZED,
            ExtractError::Keys(_) => &KEYS_UNREADABLE,
            ExtractError::AddressLimited(_) => &LIMITED,
        },
        Failure::Admit(error) => of_admission(error),
        Failure::Rotate(error) => match error {
            RotateError::Sealed(_) | RotateError::Revoked(_) => &UNAUTHORIZED,
            RotateError::Conflict => &CONTENDED,
            RotateError::Store(error) => of_store(error),
        },
        Failure::Login(error) => match error {
            LoginError::Admit(error) => of_admission(error),
            LoginError::WrongCredentials => &UNAUTHORIZED,
            LoginError::Hashing(_) | LoginError::Signing(_) => &OURS,
            LoginError::Standing => &STORE_FAILED,
            LoginError::Store(error) => of_store(error),
        },
        Failure::Signing(_) => &OURS,
    }
}

const fn of_admission(error: &AdmitError) -> &'static Declared {
    match error {
        AdmitError::Sealed(_) => &UNAUTHORIZED,
        AdmitError::Limited { .. } => &LIMITED,
        AdmitError::Store(error) => of_store(error),
    }
}

const fn of_store(error: &StoreError) -> &'static Declared {
    match error {
        StoreError::TimedOut(_) => &STORE_TIMED_OUT,
        StoreError::Unavailable(_)
        | StoreError::Throttled(_)
        | StoreError::Contended(_)
        | StoreError::Misconfigured(_)
        | StoreError::Malformed { .. } => &STORE_FAILED,
    }
}

const fn limit_of(failure: &Failure) -> Option<Limited> {
    match failure {
        Failure::Extract(ExtractError::AddressLimited(limited))
        | Failure::Admit(AdmitError::Limited { limited, .. })
        | Failure::Login(LoginError::Admit(AdmitError::Limited { limited, .. })) => Some(*limited),
        Failure::Extract(_) | Failure::Admit(_) | Failure::Rotate(_) | Failure::Login(_) | Failure::Signing(_) => None,
    }
}

/// The log line's words for an outcome and its cause.
const fn words(outcome: &Outcome) -> (&'static str, Option<&'static str>) {
    let failure = match outcome {
        Outcome::Walked(Ok(Granted::Refreshed(rotated, _))) => {
            return match rotated.how() {
                How::Rotated => ("rotated", None),
                How::Reissued { .. } => ("reissued", None),
            };
        }
        Outcome::Walked(Ok(Granted::Opened(_))) => return ("opened", None),
        Outcome::Preflight => return ("preflight", None),
        Outcome::MethodNotAllowed => return ("invalid", Some("method")),
        Outcome::Walked(Err(failure)) => failure,
    };
    match failure {
        Failure::Extract(error) => match error {
            ExtractError::NoCredentials => ("invalid", Some("no_credentials")),
            ExtractError::SeveralCredentials => ("invalid", Some("several_credentials")),
            ExtractError::OtherScheme => ("invalid", Some("other_scheme")),
            ExtractError::MalformedLogin => ("invalid", Some("malformed_login")),
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
        Failure::Login(error) => match error {
            LoginError::Admit(AdmitError::Sealed(cause)) => ("refused", Some(cause.as_str())),
            LoginError::Admit(AdmitError::Limited { .. }) => ("limited", Some("password_attempts")),
            LoginError::WrongCredentials => ("refused", Some("credentials")),
            LoginError::Hashing(_) => ("failed", Some("hashing")),
            LoginError::Signing(_) => ("failed", Some("signing")),
            LoginError::Standing | LoginError::Store(_) | LoginError::Admit(AdmitError::Store(_)) => {
                ("failed", Some("store"))
            }
        },
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
