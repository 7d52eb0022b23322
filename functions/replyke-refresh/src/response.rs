//! Outcome to wire: every status, code, header and text of this product, and the words of its log line.
//!
//! Every answer tells the rate limit: of the bucket that the call was charged to or, where it was charged to none (405,
//! preflight, a session remembered as sealed, a failure of ours), what this instance knows of the bucket that it would
//! have been. A function that could not start has charged nobody: it tells a full one.

use lambda_http::http::{HeaderMap, StatusCode};
use lambda_http::{Body, Request, Response};
use rondo_shared::limit::{AdmitError, Allowance, Balance, Limited, gcra};
use rondo_shared::log::LogLine;
pub use rondo_shared::log::Seen;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::{How, ProveError, Revocation, RotateError};
use rondo_shared::store::Usage;
use rondo_shared::store::item::Cause;
use rondo_shared::token::TokenError;
pub use rondo_shared::wire::Method;
use rondo_shared::wire::{CrossSitePolicy, Reply};
use serde::Serialize;
use ulid::Ulid;

use crate::policy::{PRODUCT, Policy};
use crate::request::{ExtractError, Foreign};
use crate::user::User;
use crate::{Failure, Granted, Session};

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

/// A session that holds, as the product answers it.
#[derive(Serialize)]
struct GrantedBody<'a> {
    success: bool,
    #[serde(rename = "accessToken")]
    access_token: &'a str,
    user: &'a User,
}

/// Nobody signed in, as the product answers it: no error, and no `success`.
#[derive(Serialize)]
struct NobodyBody {
    user: Option<()>,
    #[serde(rename = "accessToken")]
    access_token: Option<()>,
}

/// An error as the product writes it.
#[derive(Serialize)]
struct ErrorBody {
    error: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'static str>,
}

/// An error as the product declares it.
struct Declared {
    status: StatusCode,
    error: &'static str,
    code: &'static str,
}

const fn declared(status: StatusCode, error: &'static str, code: &'static str) -> Declared {
    Declared { status, error, code }
}

const INVALID_REQUEST: &str = "auth/invalid-request";
const MALFORMED_BODY: Declared =
    declared(StatusCode::BAD_REQUEST, "The request body is not a JSON object.", INVALID_REQUEST);
const BODY_TOO_LARGE: Declared =
    declared(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large.", INVALID_REQUEST);
const CROSS_SITE: Declared =
    declared(StatusCode::FORBIDDEN, "The call comes from a site that may not make it.", "auth/origin-not-allowed");
const TOKEN_INVALID: Declared =
    declared(StatusCode::FORBIDDEN, "Invalid or expired refresh token.", "auth/refresh-token-invalid");
const TOKEN_FOREIGN: Declared = declared(StatusCode::FORBIDDEN, "Invalid refresh token.", "auth/invalid-refresh-token");
const NOT_RECOGNIZED: Declared =
    declared(StatusCode::FORBIDDEN, "Refresh token not recognized.", "auth/refresh-token-mismatch");
const NO_USER: Declared = declared(StatusCode::FORBIDDEN, "User not found.", "auth/no-user-found");
const METHOD_NOT_ALLOWED: Declared =
    declared(StatusCode::METHOD_NOT_ALLOWED, "This endpoint answers POST only.", "auth/method-not-allowed");
const INTERNAL: Declared = declared(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error", "auth/server-error");

/// The whole body of a 429, whatever the limit was set to: the product's own words, as its limiter sends them.
const LIMITED_TEXT: &str = "Too many attempts to request a new access token, please wait 5 minutes";
const HTML: &str = "text/html; charset=utf-8";
/// The methods that the endpoint answers.
const ALLOW: &str = "POST, OPTIONS";

/// What a failure comes to, as the product sees it.
enum Verdict {
    /// Nobody is signed in.
    Nobody,
    /// An error, with what `details` say of it.
    Refused(&'static Declared, Option<&'static str>),
    /// Too many calls.
    Limited(Limited),
}

/// Renders an outcome as the answer and its log line.
#[must_use]
pub fn render(
    outcome: &Outcome,
    policy: &Policy,
    request: &HeaderMap,
    moment: &Moment,
    seen: Option<Seen>,
    balance: Balance,
    usage: Usage,
) -> (Response<Body>, LogLine) {
    let reply = |status| {
        let reply = Reply::new(status, moment.request_id).headers(policy.cross_site.answer_headers(request));
        rate_headers(reply, balance)
    };
    let response = match outcome {
        Outcome::Walked(Ok(got)) => granted(reply(StatusCode::OK), got, policy),
        Outcome::Walked(Err(failure)) => match verdict_of(failure) {
            Verdict::Nobody => reply(StatusCode::OK).json(&NobodyBody { user: None, access_token: None }),
            Verdict::Refused(error, details) => reply(error.status).json(&body_of(error, details)),
            Verdict::Limited(limited) => reply(StatusCode::TOO_MANY_REQUESTS)
                .header("retry-after", &limited.retry_after_secs().to_string())
                .text(HTML, LIMITED_TEXT.to_owned()),
        },
        Outcome::Preflight => preflight(reply(StatusCode::NO_CONTENT), &policy.cross_site, request),
        Outcome::MethodNotAllowed => {
            reply(METHOD_NOT_ALLOWED.status).header("allow", ALLOW).json(&body_of(&METHOD_NOT_ALLOWED, None))
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
        another_client: matches!(outcome, Outcome::Walked(Ok(got)) if got.session.another_client()),
        usage,
    };
    (response, line)
}

/// The answer of a function that could not start: an error of ours, as the contract has it. A browser is told who may
/// read it, and a preflight and a wrong method get what they always get. Nothing is counted yet, so that the bucket is
/// full, since the instant that the request's name begins with.
#[must_use]
pub fn not_started(
    cross_site: &CrossSitePolicy,
    allowance: Allowance,
    request: &Request,
    request_id: Ulid,
) -> Response<Body> {
    let now = Timestamp::from_millis(i64::try_from(request_id.timestamp_ms()).unwrap_or(0));
    let reply = |status| {
        let reply = Reply::new(status, request_id).headers(cross_site.answer_headers(request.headers()));
        rate_headers(reply, gcra::balance(allowance, None, now))
    };
    match Method::of(request) {
        Method::Preflight => preflight(reply(StatusCode::NO_CONTENT), cross_site, request.headers()),
        Method::Other => {
            let body = body_of(&METHOD_NOT_ALLOWED, None);
            reply(METHOD_NOT_ALLOWED.status).header("allow", ALLOW).json(&body)
        }
        Method::Post => reply(INTERNAL.status).json(&body_of(&INTERNAL, None)),
    }
}

fn preflight(reply: Reply, cross_site: &CrossSitePolicy, request: &HeaderMap) -> Response<Body> {
    reply.header("allow", ALLOW).headers(cross_site.preflight_headers(request)).empty()
}

fn granted(reply: Reply, got: &Granted, policy: &Policy) -> Response<Body> {
    let reply = match &got.tokens.successor {
        Some((token, max_age)) => reply.header("set-cookie", &policy.cookie.set(token, *max_age)),
        None => reply,
    };
    reply.json(&GrantedBody { success: true, access_token: &got.tokens.access_token, user: &got.user })
}

const fn body_of(error: &Declared, details: Option<&'static str>) -> ErrorBody {
    ErrorBody { error: error.error, code: error.code, details }
}

/// The limit as the product tells it: the instant at which the bucket is full again in whole epoch seconds.
fn rate_headers(reply: Reply, balance: Balance) -> Reply {
    reply
        .header("x-ratelimit-limit", &balance.limit.to_string())
        .header("x-ratelimit-remaining", &balance.remaining.to_string())
        .header("x-ratelimit-reset", &balance.full_at.secs_rounded_up().to_string())
}

/// The one mapping from what happened to what the product declares.
const fn verdict_of(failure: &Failure) -> Verdict {
    let error = match failure {
        Failure::Extract(error) => match error {
            ExtractError::NoToken => return Verdict::Nobody,
            ExtractError::AddressLimited(limited) => return Verdict::Limited(*limited),
            ExtractError::NotText => return Verdict::Refused(&TOKEN_INVALID, Some("jwt must be a string")),
            ExtractError::Unverified(error) => return Verdict::Refused(&TOKEN_INVALID, Some(details_of(*error))),
            ExtractError::BodyTooLarge => &BODY_TOO_LARGE,
            ExtractError::BodyNotJson | ExtractError::BodyNotObject => &MALFORMED_BODY,
            ExtractError::CrossSite => &CROSS_SITE,
            ExtractError::Foreign(_) => &TOKEN_FOREIGN,
            ExtractError::SessionsEnded => &NOT_RECOGNIZED,
            ExtractError::Keys(_) => &INTERNAL,
        },
        Failure::Admit(error) => match error {
            AdmitError::Limited { limited, .. } => return Verdict::Limited(*limited),
            AdmitError::Sealed(cause) => error_of_seal(*cause),
            AdmitError::Store(_) => &INTERNAL,
        },
        Failure::Prove(error) => match error {
            ProveError::Sealed(cause) => error_of_seal(*cause),
            ProveError::Unknown | ProveError::Revoked(_) => &NOT_RECOGNIZED,
            // As for `RotateError::Conflict`.
            ProveError::Conflict | ProveError::Store(_) => &INTERNAL,
        },
        Failure::Rotate(error) => match error {
            RotateError::Sealed(cause) => error_of_seal(*cause),
            RotateError::Revoked(_) => &NOT_RECOGNIZED,
            // The product has no word for it: the token is as good as it was, which no 403 may deny.
            RotateError::Conflict | RotateError::Store(_) => &INTERNAL,
        },
        // As a token of another project, which is what an unknown one answers too.
        Failure::ProjectRemoved => &TOKEN_FOREIGN,
        Failure::NoSuchUser => &NO_USER,
        Failure::Project(_) | Failure::Profile(_) | Failure::Signing(_) => &INTERNAL,
    };
    Verdict::Refused(error, None)
}

const fn error_of_seal(cause: Cause) -> &'static Declared {
    match cause {
        Cause::AccountRemoved => &NO_USER,
        Cause::AccountSuspended | Cause::Reuse | Cause::UnknownGeneration | Cause::SignOut | Cause::Operator => {
            &NOT_RECOGNIZED
        }
    }
}

/// The words of node's `jsonwebtoken`.
const fn details_of(error: TokenError) -> &'static str {
    match error {
        TokenError::TooLong | TokenError::NotThreeParts => "jwt malformed",
        TokenError::SignatureMissing => "jwt signature is required",
        TokenError::WrongAlgorithm => "invalid algorithm",
        TokenError::UnknownKey | TokenError::BadSignature => "invalid signature",
        TokenError::NotYetValid => "jwt not active",
        TokenError::Expired => "jwt expired",
        TokenError::Undecodable
        | TokenError::WrongType
        | TokenError::WrongClaims
        | TokenError::WrongAuthority
        | TokenError::SessionsEnded => "invalid token",
    }
}

/// The log line's words for an outcome and its cause.
const fn words(outcome: &Outcome) -> (&'static str, Option<&'static str>) {
    let failure = match outcome {
        Outcome::Walked(Ok(got)) => return (words_of_session(&got.session), None),
        Outcome::Preflight => return ("preflight", None),
        Outcome::MethodNotAllowed => return ("invalid", Some("method")),
        Outcome::Walked(Err(failure)) => failure,
    };
    match failure {
        Failure::Extract(error) => match error {
            ExtractError::BodyTooLarge => ("invalid", Some("body_too_large")),
            ExtractError::BodyNotJson => ("invalid", Some("body_not_json")),
            ExtractError::BodyNotObject => ("invalid", Some("body_not_object")),
            ExtractError::CrossSite => ("refused", Some("cross_site")),
            ExtractError::NoToken => ("nobody", None),
            ExtractError::NotText => ("invalid", Some("token_not_text")),
            ExtractError::Unverified(TokenError::Expired) => ("invalid", Some("expired")),
            ExtractError::Unverified(_) => ("invalid", Some("unverified_token")),
            ExtractError::Foreign(Foreign::Incomplete) => ("invalid", Some("claims")),
            ExtractError::Foreign(Foreign::Authority) => ("invalid", Some("authority")),
            ExtractError::Foreign(Foreign::Project) => ("invalid", Some("project")),
            ExtractError::SessionsEnded => ("refused", Some("sessions_not_before")),
            ExtractError::Keys(_) => ("failed", Some("keyring")),
            ExtractError::AddressLimited(_) => ("limited", Some("address")),
        },
        Failure::Admit(error) => match error {
            AdmitError::Sealed(cause) => ("refused", Some(cause.as_str())),
            AdmitError::Limited { from_memory: true, .. } => ("limited", Some("bucket_remembered")),
            AdmitError::Limited { from_memory: false, .. } => ("limited", Some("bucket")),
            AdmitError::Store(_) => ("failed", Some("store")),
        },
        Failure::Prove(error) => match error {
            ProveError::Sealed(cause) => ("refused", Some(cause.as_str())),
            ProveError::Unknown => ("refused", Some("unknown_generation")),
            ProveError::Revoked(revocation) => ("revoked", Some(words_of_revocation(*revocation))),
            ProveError::Conflict => ("refused", Some("conflict")),
            ProveError::Store(_) => ("failed", Some("store")),
        },
        Failure::Rotate(error) => match error {
            RotateError::Sealed(cause) => ("refused", Some(cause.as_str())),
            RotateError::Revoked(revocation) => ("revoked", Some(words_of_revocation(*revocation))),
            RotateError::Conflict => ("refused", Some("conflict")),
            RotateError::Store(_) => ("failed", Some("store")),
        },
        Failure::ProjectRemoved => ("refused", Some("project_removed")),
        Failure::Project(_) => ("failed", Some("project")),
        Failure::NoSuchUser => ("refused", Some("no_such_user")),
        Failure::Profile(_) => ("failed", Some("profile")),
        Failure::Signing(_) => ("failed", Some("signing")),
    }
}

const fn words_of_revocation(revocation: Revocation) -> &'static str {
    match revocation {
        Revocation::Reuse(lag) => lag.as_str(),
        Revocation::UnknownGeneration => "unknown_generation",
    }
}

const fn words_of_session(session: &Session) -> &'static str {
    match session {
        Session::Proven(_) => "proven",
        Session::Rotated(rotated) => match rotated.how() {
            How::Rotated => "rotated",
            How::Reissued { .. } => "reissued",
        },
    }
}

/// What went wrong, in a sentence. No error of ours holds a secret.
fn error_text(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Walked(Err(Failure::Extract(ExtractError::NoToken)) | Ok(_))
        | Outcome::Preflight
        | Outcome::MethodNotAllowed => None,
        Outcome::Walked(Err(failure)) => Some(failure.to_string()),
    }
}
