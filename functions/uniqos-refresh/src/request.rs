//! Wire to `Presented`: what a request must be before anything is asked of the store. No IO.
//!
//! In this order: cross-site, the body's form, the cookies. Of several cookies the one that verifies counts, so that a
//! stray one of an older path or domain locks nobody out.

use std::collections::BTreeSet;

use lambda_http::Request;
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::Keyring;
use rondo_shared::limit::{Limited, LocalBuckets};
use rondo_shared::moment::Moment;
use rondo_shared::token::{Presented, TokenError, UnverifiedToken, VerifyError};
use rondo_shared::wire::cookies;

use crate::policy::{BODY_MAX_BYTES, COOKIE_NAME, COOKIES_MAX, Policy};
use rondo_shared::identity::Client;

/// Why a request presents nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// Another site made the user's browser send it.
    #[error("the call is cross-site")]
    CrossSite,
    /// The body is larger than any that is needed.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The body is not JSON.
    #[error("the body is not JSON")]
    BodyNotJson,
    /// The body is JSON, and no object.
    #[error("the body is no JSON object")]
    BodyNotObject,
    /// There is no refresh cookie.
    #[error("there is no refresh cookie")]
    NoCookie,
    /// No refresh cookie is of a token's form.
    #[error("the refresh cookie is malformed: {0}")]
    MalformedCookie(TokenError),
    /// Cookies of several families verify: which session is meant, nobody can tell.
    #[error("there are refresh cookies of several sessions")]
    SeveralFamilies,
    /// No refresh cookie verifies.
    #[error(transparent)]
    Unverified(TokenError),
    /// The keyring cannot be read, so that nobody can tell.
    #[error(transparent)]
    Keys(KeyringError),
    /// The address has sent too many requests that present nothing.
    #[error("the address is limited")]
    AddressLimited(Limited),
}

/// Extracts the presented token. A request that presents none is charged to its address, in memory.
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
    if !policy.cross_site.allows(request.headers()) {
        return Err(ExtractError::CrossSite);
    }
    let network = client.network();
    let presented = match check_body(request.body().as_ref()) {
        Ok(()) => authenticate(request, client, policy, keyring, moment).await,
        Err(error) => Err(error),
    };
    match presented {
        Ok(_) | Err(ExtractError::Keys(_)) => presented,
        Err(_) => match addresses.charge(&network, moment.now) {
            Ok(_) => presented,
            Err(limited) => Err(ExtractError::AddressLimited(limited)),
        },
    }
}

fn check_body(body: &[u8]) -> Result<(), ExtractError> {
    if body.len() > BODY_MAX_BYTES {
        return Err(ExtractError::BodyTooLarge);
    }
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    match serde_json::from_slice(body) {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        Ok(_) => Err(ExtractError::BodyNotObject),
        Err(_) => Err(ExtractError::BodyNotJson),
    }
}

async fn authenticate(
    request: &Request,
    client: &Client,
    policy: &Policy,
    keyring: &Keyring,
    moment: &Moment,
) -> Result<Presented, ExtractError> {
    let mut verified: Vec<Presented> = Vec::new();
    let mut worst = ExtractError::NoCookie;
    let values = cookies::values(request.headers(), COOKIE_NAME);
    let parsed: Vec<_> = values.iter().map(|value| UnverifiedToken::parse(value)).collect();
    if let Some(Err(error)) = parsed.iter().find(|token| token.is_err()) {
        worst = ExtractError::MalformedCookie(*error);
    }
    for token in parsed.into_iter().flatten().take(COOKIES_MAX) {
        match verify(token, client.clone(), policy, keyring, moment).await {
            Ok(presented) => verified.push(presented),
            Err(error) if rank(&error) > rank(&worst) => worst = error,
            Err(_) => {}
        }
    }
    let families: BTreeSet<_> = verified.iter().map(|presented| presented.claims().sid).collect();
    if families.len() > 1 {
        return Err(ExtractError::SeveralFamilies);
    }
    // Two cookies of one family: the newer generation is the one that the client was given last.
    verified.into_iter().max_by_key(|presented| presented.claims().generation).ok_or(worst)
}

/// Of several cookies that all fail, which failure is told: one that may pass before one that proves something before
/// one that is mere garbage.
const fn rank(error: &ExtractError) -> u8 {
    match error {
        ExtractError::Keys(_) => 3,
        ExtractError::Unverified(_) => 2,
        ExtractError::MalformedCookie(_) => 1,
        ExtractError::CrossSite
        | ExtractError::BodyTooLarge
        | ExtractError::BodyNotJson
        | ExtractError::BodyNotObject
        | ExtractError::NoCookie
        | ExtractError::SeveralFamilies
        | ExtractError::AddressLimited(_) => 0,
    }
}

async fn verify(
    token: UnverifiedToken<'_>,
    client: Client,
    policy: &Policy,
    keyring: &Keyring,
    moment: &Moment,
) -> Result<Presented, ExtractError> {
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
