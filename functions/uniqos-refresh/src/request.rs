//! Wire to `Presented`: what a request must be before anything is asked of the store. No IO.
//!
//! In this order: cross-site, the body's form, the cookies. Of several cookies the one that verifies counts, so that a
//! stray one of an older path or domain locks nobody out. Where those of several sessions verify, the one that has not
//! ended is meant: a session that was signed out stays in a jar under another path or domain. Finding that out is the
//! one thing here that may ask the store ([`settle`]), and it is charged to the address first.

use std::collections::BTreeMap;

use lambda_http::Request;
use lambda_http::http::HeaderMap;
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::Keyring;
use rondo_shared::limit::{Limited, LocalBuckets};
use rondo_shared::moment::Moment;
use rondo_shared::rotation::SealedFamilies;
use rondo_shared::store::item::Cause;
use rondo_shared::store::{Meter, Store, StoreError};
use rondo_shared::token::{Presented, TokenError, UnverifiedToken, VerifyError};
use rondo_shared::wire::cookies;

use crate::policy::{BODY_MAX_BYTES, COOKIE_NAME, COOKIES_MAX, Policy};
use rondo_shared::identity::{Client, FamilyId};

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
    /// Cookies of several families verify, and more than one of these has not ended: which session is meant, nobody can
    /// tell.
    #[error("there are refresh cookies of several sessions")]
    SeveralFamilies,
    /// More cookies are of a token's form than are looked at, and of those that were none verifies. One that was not may
    /// be good, so that nobody can say that none is.
    #[error("there are too many refresh cookies to look at")]
    TooManyCookies,
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

/// What the cookies present.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives per request, and nearly always the large one")]
pub enum Credentials {
    /// One session's token.
    One(Presented),
    /// Those of several sessions, one of each: [`settle`] finds out which is meant.
    Several(Vec<Presented>),
}

/// What a request carries.
#[derive(Debug)]
pub struct Extracted {
    /// What of it verifies.
    pub credentials: Credentials,
    /// That a cookie beside it could not be judged, since the keyring cannot be read: it may be the good one.
    pub undecided: Option<KeyringError>,
}

/// Extracts the presented token. A request that presents none, or those of several sessions, is charged to its address,
/// in memory.
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
) -> Result<Extracted, ExtractError> {
    if !policy.cross_site.allows(request.headers()) {
        return Err(ExtractError::CrossSite);
    }
    let network = client.network();
    let presented = match check_body(request.body().as_ref()) {
        Ok(()) => authenticate(request, client, policy, keyring, moment).await,
        Err(error) => Err(error),
    };
    match presented {
        Ok(Extracted { credentials: Credentials::One(_), .. }) | Err(ExtractError::Keys(_)) => presented,
        Ok(Extracted { credentials: Credentials::Several(_), .. }) | Err(_) => {
            match addresses.charge(&network, moment.now) {
                Ok(_) => presented,
                Err(limited) => Err(ExtractError::AddressLimited(limited)),
            }
        }
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
) -> Result<Extracted, ExtractError> {
    let mut newest = BTreeMap::new();
    let mut worst = ExtractError::NoCookie;
    let values = cookies::values(request.headers(), COOKIE_NAME);
    let sent = values.iter().filter(|value| !value.is_empty());
    let (parsed, malformed): (Vec<_>, Vec<_>) =
        sent.map(|value| UnverifiedToken::parse(value)).partition(Result::is_ok);
    if let Some(Err(error)) = malformed.first() {
        worst = ExtractError::MalformedCookie(*error);
    }
    let is_crowd = parsed.len() > COOKIES_MAX;
    for token in parsed.into_iter().flatten().take(COOKIES_MAX) {
        match verify(token, client.clone(), policy, keyring, moment).await {
            Ok(presented) => keep_newer(&mut newest, presented),
            Err(error) if rank(&error) > rank(&worst) => worst = error,
            Err(_) => {}
        }
    }
    let mut presented: Vec<Presented> = newest.into_values().collect();
    let credentials = match (presented.len(), presented.pop()) {
        (1, Some(one)) => Credentials::One(one),
        (_, Some(last)) => {
            presented.push(last);
            Credentials::Several(presented)
        }
        (_, None) if is_crowd && !matches!(worst, ExtractError::Keys(_)) => return Err(ExtractError::TooManyCookies),
        (_, None) => return Err(worst),
    };
    let undecided = if let ExtractError::Keys(error) = worst { Some(error) } else { None };
    Ok(Extracted { credentials, undecided })
}

/// Two cookies of one family: the newer generation is the one that the client was given last.
fn keep_newer(newest: &mut BTreeMap<FamilyId, Presented>, presented: Presented) {
    let (family, generation) = (presented.claims().sid, presented.claims().generation);
    if newest.get(&family).is_none_or(|kept| kept.claims().generation <= generation) {
        newest.insert(family, presented);
    }
}

/// Why none of several sessions is the one that is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// More than one of them has not ended.
    #[error(transparent)]
    Unsettled(ExtractError),
    /// All of them have ended; this is the newest one's cause.
    #[error("every presented session has ended")]
    Sealed(Cause),
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Of several sessions the one that is meant: the only one that has not ended. A seal is final, so that a session found
/// ended cannot be the one that the user is in, and serving the other is what would happen without the stray cookie. The
/// store is asked of no more families than cookies are looked at, and of none that this instance knows to be sealed.
///
/// # Errors
/// [`SettleError`]; only [`SettleError::Store`] may pass.
pub async fn settle<S: Store>(
    credentials: Credentials,
    sealed: &SealedFamilies,
    store: &S,
    meter: &Meter,
) -> Result<Presented, SettleError> {
    let several = match credentials {
        Credentials::One(presented) => return Ok(presented),
        Credentials::Several(several) => several,
    };
    let (mut standing, mut ended) = (None, None);
    for presented in several {
        let claims = presented.claims();
        match sealed.ask(&claims.tenant, claims.sid, store, meter).await? {
            Some(cause) => ended = Some(cause),
            None if standing.is_none() => standing = Some(presented),
            None => return Err(SettleError::Unsettled(ExtractError::SeveralFamilies)),
        }
    }
    match (standing, ended) {
        (Some(only), _) => Ok(only),
        (None, Some(cause)) => Err(SettleError::Sealed(cause)),
        (None, None) => Err(SettleError::Unsettled(ExtractError::NoCookie)),
    }
}

/// Whether every refresh cookie that a request carries was looked at, and there is one: only then may a client be told to
/// forget its cookie, since one that nobody looked at may be good.
#[must_use]
pub fn were_all_looked_at(headers: &HeaderMap) -> bool {
    let values = cookies::values(headers, COOKIE_NAME);
    let of_tokens_form = values.iter().filter(|value| UnverifiedToken::parse(value).is_ok()).count();
    (1..=COOKIES_MAX).contains(&of_tokens_form)
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
        | ExtractError::TooManyCookies
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
