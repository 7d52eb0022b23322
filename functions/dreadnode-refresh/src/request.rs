//! Wire to `Presented`: what a request must be before anything is asked of the store. No IO.
//!
//! In the product's order: the client's version, the body's form (even where the cookie counts), cross-site, the token.
//! The body's form is judged as FastAPI judges it, whose items the product's 422 shows.
//!
//! The cross-site rule is that of calls authenticated by the cookie. A token in the body is nothing that a browser adds by
//! itself. But its answer sets cookies too, and a page must not have its visitor signed in as somebody else by that.
//! A body that is said to be JSON is asked for in a preflight from any other origin. One of which nothing is said is not
//! (a `Blob` without a type, sent by `no-cors`), and a browser keeps a `SameSite=Lax` cookie that a sibling subdomain's
//! page got so: the rule holds for it, too.

use lambda_http::Request;
use lambda_http::http::{HeaderMap, header};
use rondo_shared::identity::Client;
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::Keyring;
use rondo_shared::limit::{Limited, LocalBuckets};
use rondo_shared::moment::Moment;
use rondo_shared::token::{Presented, TokenError, UnverifiedToken, VerifyError};
use rondo_shared::wire::cookies;

use crate::json::{self, Json, JsonError};
use crate::policy::{BODY_MAX_BYTES, Policy, REFRESH_TOKEN};

/// Why a request presents nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// The client is older than any that is served.
    #[error("the client is outdated")]
    Outdated,
    /// The body is larger than any that is needed.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The body is said to be JSON and is no UTF-8, or nested deeper than any that is meant.
    #[error("the body cannot be read")]
    BodyUnreadable,
    /// The body is of the wrong shape.
    #[error("the body is of the wrong shape: {0}")]
    BodyMisshapen(Misshapen),
    /// Another site made the user's browser send its cookie.
    #[error("the call is cross-site")]
    CrossSite,
    /// There is neither a refresh cookie nor a refresh token in the body.
    #[error("there is no refresh token")]
    NoToken,
    /// The refresh token does not verify, or is none.
    #[error(transparent)]
    Unverified(TokenError),
    /// The keyring cannot be read, so that nobody can tell.
    #[error(transparent)]
    Keys(KeyringError),
    /// The address has sent too many requests whose token does not verify.
    #[error("the address is limited")]
    AddressLimited(Limited),
}

/// What is wrong with a body's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misshapen {
    /// It is no JSON.
    #[error("no JSON from character {at} on")]
    NotJson {
        /// The character at which it is broken.
        at: usize,
    },
    /// It is no object, or not said to be JSON.
    #[error("no object")]
    NotObject,
    /// The object has no refresh token.
    #[error("the refresh token is missing")]
    FieldMissing,
    /// The object's refresh token is no text.
    #[error("the refresh token is no text")]
    FieldNotText,
}

/// Extracts the presented token. A request whose token does not verify is charged to its address, in memory.
///
/// # Errors
/// [`ExtractError`]; only [`ExtractError::Keys`] may pass.
pub async fn extract(
    request: &Request,
    client: &Client,
    policy: &Policy,
    keyring: &Keyring,
    addresses: &LocalBuckets,
    moment: &Moment,
) -> Result<Presented, ExtractError> {
    if policy.is_outdated(client.user_agent()) {
        return Err(ExtractError::Outdated);
    }
    let in_body = token_in_body(request)?;
    let in_cookie = token_in_cookie(request.headers());
    let is_sent_for_any_page = in_cookie.is_some() || (in_body.is_some() && content_type(request.headers()).is_none());
    if is_sent_for_any_page && !policy.cross_site.allows(request.headers()) {
        return Err(ExtractError::CrossSite);
    }
    let presented = match in_cookie.or(in_body) {
        Some(token) => verify(&token, client.clone(), policy, keyring, moment).await,
        None => Err(ExtractError::NoToken),
    };
    match presented {
        Ok(_) | Err(ExtractError::Keys(_)) => presented,
        Err(_) => match addresses.charge(&client.network(), moment.now) {
            Ok(_) => presented,
            Err(limited) => Err(ExtractError::AddressLimited(limited)),
        },
    }
}

/// The last refresh cookie, the one that the product's server sees too: where that one is empty, there is none.
pub(crate) fn token_in_cookie(headers: &HeaderMap) -> Option<String> {
    cookies::values(headers, REFRESH_TOKEN).pop().filter(|value| !value.is_empty())
}

/// The body's refresh token, if it has one that is not empty. No body and `null` are no token.
fn token_in_body(request: &Request) -> Result<Option<String>, ExtractError> {
    let body = request.body().as_ref();
    if body.len() > BODY_MAX_BYTES {
        return Err(ExtractError::BodyTooLarge);
    }
    if body.is_empty() {
        return Ok(None);
    }
    if !is_said_to_be_json(request.headers()) {
        return Err(ExtractError::BodyMisshapen(Misshapen::NotObject));
    }
    let text = str::from_utf8(body).map_err(|_| ExtractError::BodyUnreadable)?;
    // A byte order mark is no part of it, as Python's `json.loads` reads bytes.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value = json::read(text).map_err(|error| match error {
        JsonError::Broken { at } => ExtractError::BodyMisshapen(Misshapen::NotJson { at }),
        JsonError::TooDeep => ExtractError::BodyUnreadable,
    })?;
    let mut fields = match value {
        Json::Object(fields) => fields,
        Json::Null => return Ok(None),
        Json::Text(_) | Json::Other => return Err(ExtractError::BodyMisshapen(Misshapen::NotObject)),
    };
    match fields.remove(REFRESH_TOKEN) {
        Some(Json::Text(token)) => Ok(Some(token).filter(|token| !token.is_empty())),
        Some(Json::Null | Json::Object(_) | Json::Other) => Err(ExtractError::BodyMisshapen(Misshapen::FieldNotText)),
        None => Err(ExtractError::BodyMisshapen(Misshapen::FieldMissing)),
    }
}

/// `application/json` and `application/*+json`, with or without parameters; a body of which nothing is said counts too.
fn is_said_to_be_json(headers: &HeaderMap) -> bool {
    let Some(said) = content_type(headers) else { return true };
    let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("application", subtype)) => !subtype.contains('/') && (subtype == "json" || subtype.ends_with("+json")),
        Some(_) | None => false,
    }
}

/// What is said of the body's type, if anything is.
fn content_type(headers: &HeaderMap) -> Option<&str> {
    let said = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unreadable"));
    said.filter(|said| !said.is_empty())
}

async fn verify(
    value: &str,
    client: Client,
    policy: &Policy,
    keyring: &Keyring,
    moment: &Moment,
) -> Result<Presented, ExtractError> {
    let token = UnverifiedToken::parse(value).map_err(ExtractError::Unverified)?;
    let presented = Presented::verify(token, keyring, &policy.authority, client, moment).await;
    let presented = presented.map_err(|error| match error {
        VerifyError::Token(error) => ExtractError::Unverified(error),
        VerifyError::Keys(error) => ExtractError::Keys(error),
    })?;
    if presented.claims().tenant != policy.tenant {
        return Err(ExtractError::Unverified(TokenError::WrongAuthority));
    }
    Ok(presented)
}
