//! Minting: the last room of the walk. An access token (EdDSA, or RS256 where the keyring says so; `typ: at+jwt`,
//! RFC 9068) and the refresh token of the live generation, from a rotation that holds.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value as Json;

use crate::identity::{FamilyId, OrgKey, Subject};
use crate::keyring::ProductKeys;
use crate::moment::{Moment, Nonce, Timestamp};
use crate::rotation::{Proven, Rotated};
use crate::session::Begun;
use crate::store::item::Generation;
use crate::token::{self, ACCESS_TOKEN_TYPE, Claims, SigningError, TokenAuthority, TokenForm};

/// What an access token says beside whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPolicy {
    /// Its `aud`: the resource servers that it is for.
    pub audience: String,
    /// Its `client_id` (RFC 9068 §2.2).
    pub client_id: String,
    /// How long it is good.
    pub lifetime: Duration,
}

/// The claims of an access token, RFC 9068 §2.2, with `sid` naming the session and `org` the organization.
#[derive(Debug, Serialize)]
struct AccessClaims<'a> {
    iss: &'a str,
    sub: &'a Subject,
    aud: &'a str,
    exp: i64,
    iat: i64,
    jti: &'a Nonce,
    client_id: &'a str,
    sid: FamilyId,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<&'a OrgKey>,
}

/// What a client gets. The fields are private and `Debug` shows neither token.
///
/// Only [`mint`] makes one on a refresh:
///
/// ```compile_fail,E0451
/// # fn skip(text: String, at: rondo_shared::moment::Timestamp) {
/// let lifetime = std::time::Duration::ZERO;
/// // the fields are private
/// let pair = rondo_shared::mint::TokenPair {
///     access_token: text.clone(), access_expires_in: lifetime, refresh_token: text, refresh_expires_at: at,
/// };
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TokenPair {
    access_token: String,
    access_expires_in: Duration,
    refresh_token: String,
    refresh_expires_at: Timestamp,
}

impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPair").field("refresh_expires_at", &self.refresh_expires_at).finish_non_exhaustive()
    }
}

impl TokenPair {
    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// How long the access token is good, from the moment at which it was minted.
    #[must_use]
    pub const fn access_expires_in(&self) -> Duration {
        self.access_expires_in
    }

    /// The refresh token.
    #[must_use]
    pub fn refresh_token(&self) -> &str {
        &self.refresh_token
    }

    /// When the refresh token expires.
    #[must_use]
    pub const fn refresh_expires_at(&self) -> Timestamp {
        self.refresh_expires_at
    }
}

/// Mints both tokens of a rotation that holds: the refresh token with its generation's own expiry, the access token
/// with the policy's lifetime, though never past the session's end.
///
/// # Errors
/// [`SigningError`] where a key does not sign.
pub fn mint(
    rotated: &Rotated,
    keys: &ProductKeys,
    authority: &TokenAuthority,
    access: &AccessPolicy,
    moment: &Moment,
) -> Result<TokenPair, SigningError> {
    pair(rotated.claims(), rotated.live(), keys, authority, access, moment)
}

/// A session that was found to hold: what an access token may be minted from.
pub trait Held: sealed::Sealed {
    /// What the presented token said.
    fn claims(&self) -> &Claims;
}

impl Held for Rotated {
    fn claims(&self) -> &Claims {
        Self::claims(self)
    }
}

impl Held for Proven {
    fn claims(&self) -> &Claims {
        Self::claims(self)
    }
}

impl Held for Begun {
    fn claims(&self) -> &Claims {
        Self::claims(self)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Begun {}
    impl Sealed for super::Rotated {}
    impl Sealed for super::Proven {}
}

/// Mints an access token of a product's own shape, for a session that holds: `sub`, `iss`, `aud`, `iat` and `exp`, and
/// beside them the product's `own` claims, an object. Whom it is for is taken from the session, and cannot be given: a
/// claim of that name among `own` is not heard. It expires after the policy's lifetime, and never past the session's end.
///
/// # Errors
/// [`SigningError`] where a key does not sign, or `own` is no object.
pub fn access_token<H: Held, C: Serialize>(
    held: &H,
    own: &C,
    keys: &ProductKeys,
    authority: &TokenAuthority,
    access: &AccessPolicy,
    moment: &Moment,
) -> Result<String, SigningError> {
    let session = held.claims();
    let Ok(Json::Object(mut claims)) = serde_json::to_value(own) else { return Err(SigningError::not_an_object()) };
    for (name, value) in [
        ("sub", Json::from(session.sub.as_str())),
        ("iss", Json::from(authority.issuer.as_str())),
        ("aud", Json::from(access.audience.as_str())),
        ("iat", Json::from(moment.now.secs())),
        ("exp", Json::from(expires_at(session, access, moment.now))),
    ] {
        claims.insert(name.to_owned(), value);
    }
    token::sign_typed(ACCESS_TOKEN_TYPE, &claims, &keys.signing)
}

/// The `exp` of an access token minted at `now`.
fn expires_at(session: &Claims, access: &AccessPolicy, now: Timestamp) -> i64 {
    now.plus(access.lifetime).secs().min(session.session_expires_at)
}

/// Mints the first tokens of a session whose generation 0 is live: for a repeat anew, with the same generation and expiry.
///
/// # Errors
/// [`SigningError`] where a key does not sign.
pub fn first(
    begun: &Begun,
    keys: &ProductKeys,
    authority: &TokenAuthority,
    access: &AccessPolicy,
    moment: &Moment,
) -> Result<TokenPair, SigningError> {
    pair(begun.claims(), begun.first(), keys, authority, access, moment)
}

/// Mints both tokens of a session whose `live` generation stands; `claims` are those of a refresh token of its.
pub(crate) fn pair(
    claims: &Claims,
    live: &Generation,
    keys: &ProductKeys,
    authority: &TokenAuthority,
    access: &AccessPolicy,
    moment: &Moment,
) -> Result<TokenPair, SigningError> {
    let refresh_token = token::sign(&session_claims(claims, live, authority, access, moment), authority.form, keys)?;
    if authority.form == TokenForm::Combined {
        return Ok(TokenPair {
            access_token: refresh_token.clone(),
            access_expires_in: live.token_expires_at.since(moment.now),
            refresh_token,
            refresh_expires_at: live.token_expires_at,
        });
    }
    let access_expires_at = expires_at(claims, access, moment.now);
    let access_claims = AccessClaims {
        iss: &authority.issuer,
        sub: &claims.sub,
        aud: &access.audience,
        exp: access_expires_at,
        iat: moment.now.secs(),
        jti: &moment.access_jti,
        client_id: &access.client_id,
        sid: claims.sid,
        org: claims.org.as_ref(),
    };
    Ok(TokenPair {
        access_token: token::sign_typed(ACCESS_TOKEN_TYPE, &access_claims, &keys.signing)?,
        access_expires_in: Duration::from_secs(u64::try_from(access_expires_at - moment.now.secs()).unwrap_or(0)),
        refresh_token,
        refresh_expires_at: live.token_expires_at,
    })
}

/// What the token of a live generation says.
fn session_claims(
    claims: &Claims,
    live: &Generation,
    authority: &TokenAuthority,
    access: &AccessPolicy,
    moment: &Moment,
) -> Claims {
    Claims {
        iss: authority.issuer.clone(),
        aud: authority.audience.clone(),
        exp: live.token_expires_at.secs(),
        iat: moment.now.secs(),
        nbf: None,
        jti: moment.refresh_jti.clone(),
        generation: live.number,
        gid: live.gid.clone(),
        client_id: (authority.form == TokenForm::Combined).then(|| access.client_id.clone()),
        ..claims.clone()
    }
}
