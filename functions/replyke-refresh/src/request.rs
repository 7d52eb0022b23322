//! Wire to `Presented`: what a request must be before anything is asked of the store. No IO.
//!
//! In the product's order: the body's form (even where the cookie counts, since its server reads the body before
//! anything else), cross-site, whether there is a token at all, the token, its project. The product's server is node's
//! `express` and `jsonwebtoken`; where two things are wrong with a token, what that library finds first is told.

use lambda_http::Request;
use lambda_http::http::{HeaderMap, header};
use rondo_shared::identity::{Client, Tenant};
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::Keyring;
use rondo_shared::limit::Limited;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::token::{Presented, TokenError, UnverifiedToken, VerifyError};
use rondo_shared::wire::cookies;
use serde_json::{Map, Value};

use crate::policy::{self, BODY_MAX_BYTES, COOKIE_NAME, PATH_AFTER_PROJECT, Policy};

/// What the product calls the refresh token in a body.
const BODY_FIELD: &str = "refreshToken";

/// A token that verifies, and how it came.
#[derive(Debug)]
pub struct Credential {
    /// The token.
    pub presented: Presented,
    /// How it came.
    pub delivery: Delivery,
}

/// How a token is delivered: a client takes its successor only the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the refresh cookie.
    Cookie,
    /// In the body.
    Body,
}

/// Why a request presents nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// The body is larger than any that is read.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The body is not JSON.
    #[error("the body is not JSON")]
    BodyNotJson,
    /// The body is JSON, and no object.
    #[error("the body is no JSON object")]
    BodyNotObject,
    /// Another site made the user's browser send its cookie.
    #[error("the call is cross-site")]
    CrossSite,
    /// There is no refresh token: nobody is signed in, which is no error to this product.
    #[error("there is no refresh token")]
    NoToken,
    /// The body's refresh token is a number, a truth value, an object or an array.
    #[error("the refresh token is no text")]
    NotText,
    /// The refresh token does not verify, or is none.
    #[error(transparent)]
    Unverified(TokenError),
    /// The refresh token is signed by us and has not expired, and is not one of this project's.
    #[error("the token is no refresh token of this project: {0}")]
    Foreign(Foreign),
    /// The session of the refresh token was ended with all others of its time.
    #[error("the session was ended with all others of its time")]
    SessionsEnded,
    /// The keyring cannot be read, so that nobody can tell.
    #[error(transparent)]
    Keys(KeyringError),
    /// The address has sent too many requests that present nothing.
    #[error("the address is limited")]
    AddressLimited(Limited),
}

/// Why a token of ours counts for nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// It lacks `sub`, `jti` or another claim that every refresh token has.
    #[error("a claim is missing or malformed")]
    Incomplete,
    /// It is of another issuer or for another audience.
    #[error("it is of another issuer or for another audience")]
    Authority,
    /// It is of another project than the path's.
    #[error("it is of another project")]
    Project,
}

/// Extracts the presented token.
///
/// # Errors
/// [`ExtractError`]; only [`ExtractError::Keys`] may pass.
pub async fn extract(
    request: &Request,
    client: &Client,
    policy: &Policy,
    keyring: &Keyring,
    moment: &Moment,
) -> Result<Credential, ExtractError> {
    let body = object_in_body(request)?;
    let (token, delivery) = match token_in_cookie(request.headers()) {
        Some(_) if !policy.cross_site.allows(request.headers()) => return Err(ExtractError::CrossSite),
        Some(token) => (token, Delivery::Cookie),
        // A token in the body is nothing that a browser adds by itself.
        None => (token_in_body(body)?, Delivery::Body),
    };
    let presented = verify(&token, project(request).as_ref(), client.clone(), policy, keyring, moment).await?;
    Ok(Credential { presented, delivery })
}

/// The first refresh cookie, the one that the product's server sees too: where that one is empty, there is none.
fn token_in_cookie(headers: &HeaderMap) -> Option<String> {
    cookies::values(headers, COOKIE_NAME).into_iter().next().filter(|value| !value.is_empty())
}

/// The body's object, as `express.json()` reads it: one that is not said to be JSON is not read, and counts for none.
/// One of which nothing is said is read.
fn object_in_body(request: &Request) -> Result<Map<String, Value>, ExtractError> {
    let body = request.body().as_ref();
    if body.len() > BODY_MAX_BYTES {
        return Err(ExtractError::BodyTooLarge);
    }
    if body.is_empty() || !may_be_json(request.headers()) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        // An array has no fields: for `express.json()` too, which takes nothing else than objects and arrays.
        Ok(Value::Array(_)) => Ok(Map::new()),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => Err(ExtractError::BodyNotObject),
        Err(_) => Err(ExtractError::BodyNotJson),
    }
}

fn may_be_json(headers: &HeaderMap) -> bool {
    let said = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unreadable"));
    let essence = said.and_then(|said| said.split(';').next()).unwrap_or_default().trim();
    essence.is_empty() || essence.eq_ignore_ascii_case("application/json")
}

fn token_in_body(mut body: Map<String, Value>) -> Result<String, ExtractError> {
    match body.remove(BODY_FIELD) {
        Some(Value::String(token)) if !token.is_empty() => Ok(token),
        None | Some(Value::Null | Value::String(_)) => Err(ExtractError::NoToken),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::Array(_)) => Err(ExtractError::NotText),
    }
}

/// The tenant of the path's project; `None` where no project can be called so. A stage may stand before the path.
fn project(request: &Request) -> Option<Tenant> {
    let before = request.uri().path().trim_end_matches('/').strip_suffix(PATH_AFTER_PROJECT)?;
    policy::tenant(before.rsplit('/').next()?)
}

async fn verify(
    text: &str,
    project: Option<&Tenant>,
    client: Client,
    policy: &Policy,
    keyring: &Keyring,
    moment: &Moment,
) -> Result<Presented, ExtractError> {
    let token = UnverifiedToken::parse(text).map_err(ExtractError::Unverified)?;
    let presented = Presented::verify(token, keyring, &policy.authority, client, moment).await;
    let presented = presented.map_err(|error| match error {
        VerifyError::Token(error) => judge(error, token, project, moment.now),
        VerifyError::Keys(error) => ExtractError::Keys(error),
    })?;
    let claims = presented.claims();
    if claims.jti.as_str().is_empty() {
        return Err(ExtractError::Foreign(Foreign::Incomplete));
    }
    if Some(&claims.tenant) != project {
        return Err(ExtractError::Foreign(Foreign::Project));
    }
    Ok(presented)
}

/// What an error of a token's own says of it here. The product looks at the times before it looks at the claims, so
/// that a token which is found wanting in its claims, which we signed, is asked for its times first.
fn judge(error: TokenError, token: UnverifiedToken<'_>, project: Option<&Tenant>, now: Timestamp) -> ExtractError {
    match error {
        TokenError::WrongClaims | TokenError::WrongAuthority => {
            let foreign = if error == TokenError::WrongClaims { Foreign::Incomplete } else { Foreign::Authority };
            lapse_of(&token.payload_unverified(), now).map_or(ExtractError::Foreign(foreign), ExtractError::Unverified)
        }
        TokenError::SessionsEnded => match token.claims_unverified() {
            Some(claims) if Some(&claims.tenant) == project => ExtractError::SessionsEnded,
            Some(_) | None => ExtractError::Foreign(Foreign::Project),
        },
        TokenError::TooLong
        | TokenError::NotThreeParts
        | TokenError::Undecodable
        | TokenError::SignatureMissing
        | TokenError::UnknownKey
        | TokenError::WrongAlgorithm
        | TokenError::BadSignature
        | TokenError::WrongType
        | TokenError::NotYetValid
        | TokenError::Expired => ExtractError::Unverified(error),
    }
}

/// What the times of a payload say against it.
fn lapse_of(payload: &Map<String, Value>, now: Timestamp) -> Option<TokenError> {
    let instant = |name| payload.get(name).and_then(Value::as_i64).map(Timestamp::from_secs);
    if instant("nbf").is_some_and(|nbf| now < nbf) {
        return Some(TokenError::NotYetValid);
    }
    instant("exp").is_some_and(|exp| now >= exp).then_some(TokenError::Expired)
}
