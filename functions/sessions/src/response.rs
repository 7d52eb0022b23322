//! Outcome to wire: every status, code and text of this function, and the words of its log line.
//!
//! A user's cap is told as a conflict and not as a limit of rate: clients try a 429 again by themselves, and that would
//! not help before a session of the user has ended.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use rondo_shared::identity::{Client, FamilyId};
use rondo_shared::log::LogLine;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::session::{Begun, LABEL_MAX_CHARS, OpenError, OpenOnceError, Page, SessionState};
use rondo_shared::store::item::{ProjectStatus, Seal};
use rondo_shared::store::{StoreError, Usage};
use rondo_shared::wire::Reply;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::policy::{NAME, RETRY_AFTER_SECS};
use crate::products::FirstTokens;
use crate::request::ExtractError;
use crate::{Done, Failure};

/// An error as this function declares it.
struct Declared {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

const fn declared(status: StatusCode, code: &'static str, message: &'static str) -> Declared {
    Declared { status, code, message }
}

const NO_IAM_IDENTITY: Declared = declared(
    StatusCode::FORBIDDEN,
    "iam_identity_required",
    "This endpoint serves only calls that are signed (SigV4) and authorized by IAM.",
);
const NO_SUCH_ROUTE: Declared = declared(StatusCode::NOT_FOUND, "route_not_found", "There is no such route.");
const METHOD_NOT_ALLOWED: Declared =
    declared(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This route does not take the method.");
const MALFORMED_BODY: Declared =
    declared(StatusCode::BAD_REQUEST, "malformed_request", "The request body is not valid JSON.");
const BODY_TOO_LARGE: Declared =
    declared(StatusCode::BAD_REQUEST, "malformed_request", "The request body is too large.");
const INVALID_FIELDS: Declared = declared(
    StatusCode::UNPROCESSABLE_ENTITY,
    "invalid_fields",
    "Fields are missing, not of the expected form, or not known.",
);
const NO_SUCH_USER: Declared =
    declared(StatusCode::NOT_FOUND, "user_not_found", "The directory has no such user in this tenant.");
const NO_SUCH_SESSION: Declared =
    declared(StatusCode::NOT_FOUND, "session_not_found", "The user has no such session. Nothing was ended.");
const USER_NOT_ACTIVE: Declared =
    declared(StatusCode::FORBIDDEN, "user_not_active", "The user is suspended or removed; no session can be opened.");
const PROJECT_NOT_ACTIVE: Declared =
    declared(StatusCode::FORBIDDEN, "project_not_active", "The project is removed; no session can be opened in it.");
const MOVED_ON: Declared = declared(
    StatusCode::CONFLICT,
    "session_moved_on",
    "The session of this client token has been refreshed, has expired or has ended. Open another with a new token.",
);
const ANOTHER_OPENING: Declared = declared(
    StatusCode::CONFLICT,
    "client_token_mismatch",
    "The client token was used before, with another org or label.",
);
const CAP_REACHED: Declared = declared(
    StatusCode::CONFLICT,
    "session_cap_reached",
    "The user has as many live sessions as one may have. End one, and try again.",
);
const STATUS_NOT_WRITTEN: Declared = declared(
    StatusCode::CONFLICT,
    "status_not_written",
    "The user's status says otherwise. Write it first, so that no session can be opened, then end the sessions.",
);
const UNAVAILABLE: Declared = declared(
    StatusCode::SERVICE_UNAVAILABLE,
    "store_unavailable",
    "The store gave no answer in time. Try again; for an opening, with the same client token.",
);
const INTERNAL: Declared =
    declared(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side.");

/// Renders an outcome as the answer and its log line.
#[must_use]
pub fn render(outcome: &Result<Done, Failure>, moment: &Moment, usage: Usage) -> (Response<Body>, LogLine) {
    let response = match outcome {
        Ok(done) => answer(done, moment),
        Err(failure) => refuse(failure, moment),
    };
    let (outcome_name, cause) = match outcome {
        Ok(done) => words_of_done(done),
        Err(failure) => words_of_failure(failure),
    };
    let line = LogLine {
        request_id: moment.request_id,
        product: NAME,
        outcome: outcome_name,
        cause,
        error: outcome.as_ref().err().map(ToString::to_string),
        status: response.status().as_u16(),
        family: outcome.as_ref().ok().and_then(family_of),
        generation: None,
        caller: None,
        another_client: false,
        usage,
    };
    (response, line)
}

/// The answer of a function that could not start: an error of ours, and nothing else.
#[must_use]
pub fn not_started(request_id: Ulid) -> Response<Body> {
    Reply::new(INTERNAL.status, request_id).json(&envelope(&INTERNAL, &Value::Null, request_id))
}

fn answer(done: &Done, moment: &Moment) -> Response<Body> {
    let reply = |status| Reply::new(status, moment.request_id);
    match done {
        Done::Opened { begun, tokens } => {
            let status = if begun.is_repeat() { StatusCode::OK } else { StatusCode::CREATED };
            reply(status).json(&opened(begun, tokens))
        }
        Done::Listed { page: Page { sessions, next }, not_before } => {
            let shown = sessions.iter().map(|session| listed(session, moment.now, *not_before));
            reply(StatusCode::OK).json(&json!({
                "sessions": shown.collect::<Vec<_>>(),
                "next_cursor": next.map(|family| family.to_string()),
            }))
        }
        Done::RevokedOne { family, seal } => reply(StatusCode::OK).json(&json!({"session": revoked(*family, seal)})),
        Done::RevokedAll(sealed) => {
            let shown = sealed.iter().map(|(family, seal)| revoked(*family, seal));
            reply(StatusCode::OK).json(&json!({"revoked": shown.collect::<Vec<_>>()}))
        }
    }
}

fn opened(begun: &Begun, tokens: &FirstTokens) -> Value {
    json!({
        "session": {
            "family": begun.family().to_string(),
            "opened_at": begun.opened_at().iso8601(),
            "expires_at": begun.session_expires_at().iso8601(),
            "label": begun.label(),
        },
        "refresh_token": tokens.refresh_token,
        "access_token": tokens.access_token,
        "expires_in": tokens.expires_in.as_secs(),
        "set_cookie": tokens.set_cookie,
        "set_access_cookie": tokens.set_access_cookie,
    })
}

fn listed(session: &SessionState, now: Timestamp, not_before: Option<Timestamp>) -> Value {
    let SessionState { entry, last, .. } = session;
    // The one who used it last is the one who put the last generation that was given out.
    let client = last.as_ref().map(|last| &last.client);
    json!({
        "family": entry.family.to_string(),
        "state": session.state_under(now, not_before),
        "opened_at": entry.opened_at.iso8601(),
        "last_used_at": last.as_ref().map(|last| last.minted_at.iso8601()),
        "ip": client.map(Client::ip).filter(|ip| ip != "-"),
        "user_agent": client.map(Client::user_agent).filter(|agent| !agent.is_empty()),
        "label": entry.label.as_ref().map(|label| label.chars().take(LABEL_MAX_CHARS).collect::<String>()),
        "expires_at": entry.session_expires_at.iso8601(),
    })
}

fn revoked(family: FamilyId, seal: &Seal) -> Value {
    json!({
        "family": family.to_string(),
        "sealed_at": seal.sealed_at.iso8601(),
        "cause": seal.cause.as_str(),
    })
}

fn refuse(failure: &Failure, moment: &Moment) -> Response<Body> {
    let error = error_of(failure);
    let reply = Reply::new(error.status, moment.request_id);
    let reply = match failure {
        Failure::Extract(ExtractError::MethodNotAllowed { allow }) => reply.header("allow", allow),
        Failure::Extract(_)
        | Failure::Open(_)
        | Failure::NoSuchUser
        | Failure::NoSuchSession
        | Failure::StatusNotWritten(_)
        | Failure::Signing(_)
        | Failure::Store(_) => reply,
    };
    let reply = match error.status {
        StatusCode::SERVICE_UNAVAILABLE => reply.header("retry-after", &RETRY_AFTER_SECS.to_string()),
        _ => reply,
    };
    reply.json(&envelope(error, &details_of(failure), moment.request_id))
}

fn envelope(error: &Declared, details: &Value, request_id: Ulid) -> Value {
    json!({"error": {
        "code": error.code,
        "message": error.message,
        "request_id": request_id.to_string(),
        "details": details,
    }})
}

/// The one mapping from what happened to what is declared.
const fn error_of(failure: &Failure) -> &'static Declared {
    match failure {
        Failure::Extract(error) => match error {
            ExtractError::NoIamIdentity => &NO_IAM_IDENTITY,
            ExtractError::NoSuchRoute => &NO_SUCH_ROUTE,
            ExtractError::MethodNotAllowed { .. } => &METHOD_NOT_ALLOWED,
            ExtractError::BodyTooLarge => &BODY_TOO_LARGE,
            ExtractError::BodyNotJson => &MALFORMED_BODY,
            ExtractError::Fields(_) => &INVALID_FIELDS,
        },
        Failure::Open(error) => match error {
            OpenOnceError::Open(error) => match error {
                OpenError::NoSuchUser => &NO_SUCH_USER,
                OpenError::UserNotActive(_) => &USER_NOT_ACTIVE,
                OpenError::ProjectRemoved => &PROJECT_NOT_ACTIVE,
                OpenError::Standing | OpenError::Signing(_) => &INTERNAL,
                OpenError::Store(error) => of_store(error),
            },
            OpenOnceError::MovedOn => &MOVED_ON,
            OpenOnceError::AnotherOpening => &ANOTHER_OPENING,
            OpenOnceError::CapReached { .. } => &CAP_REACHED,
        },
        Failure::NoSuchUser => &NO_SUCH_USER,
        Failure::NoSuchSession => &NO_SUCH_SESSION,
        Failure::StatusNotWritten(_) => &STATUS_NOT_WRITTEN,
        Failure::Signing(_) => &INTERNAL,
        Failure::Store(error) => of_store(error),
    }
}

/// What may pass, and what somebody has to mend.
const fn of_store(error: &StoreError) -> &'static Declared {
    match error {
        StoreError::TimedOut(_) | StoreError::Unavailable(_) | StoreError::Throttled(_) | StoreError::Contended(_) => {
            &UNAVAILABLE
        }
        StoreError::Misconfigured(_) | StoreError::Malformed { .. } => &INTERNAL,
    }
}

/// The fields that a 422 lists, the status that a user or a project has, and how many sessions one may have.
fn details_of(failure: &Failure) -> Value {
    match failure {
        Failure::Extract(ExtractError::Fields(problems)) => {
            let shown = problems.iter().map(|problem| json!({"field": problem.field, "message": problem.message}));
            Value::Array(shown.collect())
        }
        Failure::Open(OpenOnceError::Open(OpenError::UserNotActive(status))) | Failure::StatusNotWritten(status) => {
            json!({"status": status.as_str()})
        }
        Failure::Open(OpenOnceError::Open(OpenError::ProjectRemoved)) => {
            json!({"status": ProjectStatus::Removed.as_str()})
        }
        Failure::Open(OpenOnceError::CapReached { live_max }) => json!({"live_max": live_max}),
        Failure::Extract(_)
        | Failure::Open(_)
        | Failure::NoSuchUser
        | Failure::NoSuchSession
        | Failure::Signing(_)
        | Failure::Store(_) => Value::Null,
    }
}

const fn family_of(done: &Done) -> Option<FamilyId> {
    match done {
        Done::Opened { begun, .. } => Some(begun.family()),
        Done::RevokedOne { family, .. } => Some(*family),
        Done::Listed { .. } | Done::RevokedAll(_) => None,
    }
}

const fn words_of_done(done: &Done) -> (&'static str, Option<&'static str>) {
    match done {
        Done::Opened { begun, .. } if begun.is_repeat() => ("opened", Some("repeat")),
        Done::Opened { .. } => ("opened", None),
        Done::Listed { .. } => ("listed", None),
        Done::RevokedOne { seal, .. } => ("revoked", Some(seal.cause.as_str())),
        Done::RevokedAll(_) => ("revoked_all", None),
    }
}

const fn words_of_failure(failure: &Failure) -> (&'static str, Option<&'static str>) {
    match failure {
        Failure::Extract(error) => match error {
            ExtractError::NoIamIdentity => ("refused", Some("no_iam_identity")),
            ExtractError::NoSuchRoute => ("invalid", Some("route")),
            ExtractError::MethodNotAllowed { .. } => ("invalid", Some("method")),
            ExtractError::BodyTooLarge => ("invalid", Some("body_too_large")),
            ExtractError::BodyNotJson => ("invalid", Some("body_not_json")),
            ExtractError::Fields(_) => ("invalid", Some("fields")),
        },
        Failure::Open(error) => match error {
            OpenOnceError::Open(error) => match error {
                OpenError::NoSuchUser => ("refused", Some("no_such_user")),
                OpenError::UserNotActive(status) => ("refused", Some(status.as_str())),
                OpenError::ProjectRemoved => ("refused", Some("project_removed")),
                OpenError::Standing => ("failed", Some("standing")),
                OpenError::Signing(_) => ("failed", Some("signing")),
                OpenError::Store(_) => ("failed", Some("store")),
            },
            OpenOnceError::MovedOn => ("refused", Some("moved_on")),
            OpenOnceError::AnotherOpening => ("refused", Some("client_token_mismatch")),
            OpenOnceError::CapReached { .. } => ("refused", Some("cap")),
        },
        Failure::NoSuchUser => ("refused", Some("no_such_user")),
        Failure::NoSuchSession => ("refused", Some("no_such_session")),
        Failure::StatusNotWritten(_) => ("refused", Some("status_not_written")),
        Failure::Signing(_) => ("failed", Some("signing")),
        Failure::Store(_) => ("failed", Some("store")),
    }
}
