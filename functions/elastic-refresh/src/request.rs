//! Wire to credentials: what a request must be before anything is asked of the store. No IO.
//!
//! One `Authorization` header and nothing else (RFC 9110 §11.6.2): a bearer token (RFC 6750 §2.1), which is proven here,
//! or a user's name and password (RFC 7617), which are read here and proven by `login.rs`. Schemes compare without
//! case. A body is not looked at.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::Request;
use lambda_http::http::{HeaderMap, header};
use rondo_shared::identity::{Client, Subject};
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::Keyring;
use rondo_shared::limit::{Limited, LocalBuckets};
use rondo_shared::moment::Moment;
use rondo_shared::token::{Presented, TokenError, UnverifiedToken, VerifyError};

use crate::policy::Policy;

/// Longest `Authorization` that is looked at, in bytes: twice the longest token, and what gateways allow for all headers
/// together.
pub const AUTHORIZATION_MAX_BYTES: usize = 8_192;
/// Longest password, in bytes: room for any phrase, and nothing that has to be read for long.
pub const PASSWORD_MAX_BYTES: usize = 1_024;

/// What a request authenticates by.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives per request")]
pub enum Credentials {
    /// A token of ours, proven.
    Token(Presented),
    /// A name and a password, unproven.
    Password(UnverifiedLogin),
}

/// A user's name and password as a client sent them.
#[derive(Debug)]
pub struct UnverifiedLogin {
    /// Whose password it is said to be.
    pub subject: Subject,
    /// The password.
    pub password: Password,
    /// Who sent them.
    pub client: Client,
}

/// A password as somebody typed it: 1 to [`PASSWORD_MAX_BYTES`] bytes, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Password {
    /// A password within its bounds; `None` for anything else.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        (1..=PASSWORD_MAX_BYTES).contains(&text.len()).then_some(Self(text))
    }

    /// What is hashed.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Why a request presents nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// There is no `Authorization`.
    #[error("there are no credentials")]
    NoCredentials,
    /// There are several: which one is meant, nobody can tell.
    #[error("there are several credentials")]
    SeveralCredentials,
    /// `Authorization` is of another scheme, or of none, or over [`AUTHORIZATION_MAX_BYTES`].
    #[error("the credentials are of no scheme that counts here")]
    OtherScheme,
    /// A `Basic` that is no name and password within their bounds.
    #[error("the name and password cannot be read")]
    MalformedLogin,
    /// The token does not verify, or is none.
    #[error(transparent)]
    Unverified(TokenError),
    /// The keyring cannot be read, so that nobody can tell.
    #[error(transparent)]
    Keys(KeyringError),
    /// The address has sent too many requests that present nothing.
    #[error("the address is limited")]
    AddressLimited(Limited),
}

/// Extracts what the request authenticates by. One that presents nothing is charged to its address, in memory.
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
) -> Result<Credentials, ExtractError> {
    let credentials = match authorization(request.headers()) {
        Ok(Authorization::Bearer(token)) => {
            verify(token, client.clone(), policy, keyring, moment).await.map(Credentials::Token)
        }
        Ok(Authorization::Basic(encoded)) => login(encoded, client.clone()).map(Credentials::Password),
        Err(error) => Err(error),
    };
    match credentials {
        Ok(_) | Err(ExtractError::Keys(_)) => credentials,
        Err(_) => match addresses.charge(&client.network(), moment.now) {
            Ok(_) => credentials,
            Err(limited) => Err(ExtractError::AddressLimited(limited)),
        },
    }
}

/// What stands behind the scheme.
enum Authorization<'a> {
    Bearer(&'a str),
    Basic(&'a str),
}

fn authorization(headers: &HeaderMap) -> Result<Authorization<'_>, ExtractError> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let value = sent.next().ok_or(ExtractError::NoCredentials)?;
    if sent.next().is_some() {
        return Err(ExtractError::SeveralCredentials);
    }
    if value.len() > AUTHORIZATION_MAX_BYTES {
        return Err(ExtractError::OtherScheme);
    }
    let text = value.to_str().map_err(|_| ExtractError::OtherScheme)?.trim();
    match text.split_once(' ').map(|(scheme, rest)| (scheme, rest.trim_start())) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Authorization::Bearer(token)),
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => Ok(Authorization::Basic(encoded)),
        Some(_) | None => Err(ExtractError::OtherScheme),
    }
}

/// A name that no user can have is told from the others by nobody but its sender.
fn login(encoded: &str, client: Client) -> Result<UnverifiedLogin, ExtractError> {
    let read = || {
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;
        Some((Subject::new(name).ok()?, Password::new(password.to_owned())?))
    };
    let (subject, password) = read().ok_or(ExtractError::MalformedLogin)?;
    Ok(UnverifiedLogin { subject, password, client })
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
