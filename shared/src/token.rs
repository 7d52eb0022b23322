//! The refresh token: a signed JWT (RFC 7519) that proves by itself, with no IO, that it is ours, whose it is and
//! which generation of which family it speaks for.
//!
//! Verifying follows RFC 8725: the algorithm is bound to the key that `kid` names, `typ` is explicit, `iss` and `aud`
//! are always checked, and clock leeway is zero. The time is the request's one reading of the clock.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};

use crate::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use crate::keyring::source::Keyring;
use crate::keyring::{Key, KeySet, KeyringError, ProductKeys};
use crate::moment::{Moment, Nonce, Timestamp};

/// The `typ` of a refresh token, so that no other JWT of ours can stand in for one (RFC 8725 §3.11).
pub const REFRESH_TOKEN_TYPE: &str = "rt+jwt";
/// The `typ` of an access token (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// Longest token that is looked at, in bytes. Ours have some 600; browsers keep no cookie over 4 kB.
pub const TOKEN_MAX_BYTES: usize = 4096;

/// What a refresh token says. Anybody may write such claims down; only [`mint`](crate::mint) signs them:
///
/// ```compile_fail,E0603
/// # use rondo_shared::{keyring::ProductKeys, token::{Claims, TokenForm}};
/// # fn skip(claims: Claims, keys: ProductKeys) {
/// let token = rondo_shared::token::sign(&claims, TokenForm::Refresh, &keys); // the function is the crate's own
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is for: the issuer itself.
    pub aud: String,
    /// The user.
    pub sub: Subject,
    /// When it expires, a NumericDate.
    pub exp: i64,
    /// When it was issued, a NumericDate.
    pub iat: i64,
    /// Not valid before, a NumericDate. Ours carry none; one that is there is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Its own identity.
    pub jti: Nonce,
    /// The family: the session.
    pub sid: FamilyId,
    /// The generation.
    #[serde(rename = "gen")]
    pub generation: u32,
    /// The generation's random identity.
    pub gid: Nonce,
    /// The tenant.
    #[serde(rename = "ten")]
    pub tenant: Tenant,
    /// The organization, where the product knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgKey>,
    /// The client (RFC 9068 §2.2), on a token that is an access token too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// When the session ends whatever is refreshed, a NumericDate.
    #[serde(rename = "session_exp")]
    pub session_expires_at: i64,
}

/// What kind of token carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// A refresh token and nothing else, known to the issuer alone: HS256, for the issuer as its audience.
    Refresh,
    /// One token that is both the access token and what is rotated, so that anybody can verify it by the published
    /// keys: EdDSA or RS256, with the `typ` and the audience of an access token.
    Combined,
}

impl TokenForm {
    /// The `typ` of such a token.
    #[must_use]
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Refresh => REFRESH_TOKEN_TYPE,
            Self::Combined => ACCESS_TOKEN_TYPE,
        }
    }

    /// The keys that such tokens are made with.
    #[must_use]
    pub const fn keys(self, keys: &ProductKeys) -> &KeySet {
        match self {
            Self::Refresh => &keys.mac,
            Self::Combined => &keys.signing,
        }
    }
}

/// What a token must say to be of this function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAuthority {
    /// The `iss`.
    pub issuer: String,
    /// The `aud`.
    pub audience: String,
    /// The kind of token.
    pub form: TokenForm,
    /// Families opened before this instant are refused: the global sign-out (`SESSIONS_NOT_BEFORE`).
    pub sessions_not_before: Option<Timestamp>,
}

impl TokenAuthority {
    /// The authority over refresh tokens that are for their issuer alone.
    #[must_use]
    pub fn over_refresh_tokens(issuer: String, sessions_not_before: Option<Timestamp>) -> Self {
        Self { audience: issuer.clone(), issuer, form: TokenForm::Refresh, sessions_not_before }
    }
}

/// What is wrong with a token, in the order in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Over [`TOKEN_MAX_BYTES`].
    #[error("the token is too long")]
    TooLong,
    /// Not three parts.
    #[error("the token does not have three parts")]
    NotThreeParts,
    /// Three parts, but not base64url of JSON objects, or a signature of other characters than base64url's.
    #[error("the token is not base64url of JSON")]
    Undecodable,
    /// The third part is empty.
    #[error("the token is not signed")]
    SignatureMissing,
    /// No key of ours has its `kid`, or it has none.
    #[error("the token names no key of ours")]
    UnknownKey,
    /// Its `alg` is not that of the key it names.
    #[error("the token's algorithm is not its key's")]
    WrongAlgorithm,
    /// The signature is not by the key it names.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// Signed by us, but no refresh token.
    #[error("the token is of another type")]
    WrongType,
    /// A claim is missing or malformed.
    #[error("the token's claims are not a refresh token's")]
    WrongClaims,
    /// Of another issuer or for another audience.
    #[error("the token is of another issuer or for another audience")]
    WrongAuthority,
    /// `nbf` lies ahead.
    #[error("the token is not yet valid")]
    NotYetValid,
    /// `exp` has come.
    #[error("the token has expired")]
    Expired,
    /// Its session was opened before `SESSIONS_NOT_BEFORE`.
    #[error("the token's session was ended with all others of its time")]
    SessionsEnded,
}

impl TokenError {
    /// Whether the token is not even of the form of a JWT, as opposed to one that does not verify.
    #[must_use]
    pub const fn is_malformed(self) -> bool {
        matches!(self, Self::TooLong | Self::NotThreeParts | Self::Undecodable)
    }
}

/// Why a token could not be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The token is at fault.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// We are: the key that it names may exist, and the keyring cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyringError),
}

/// A string of the form of a JWT, whatever it is worth.
#[derive(Clone, Copy)]
pub struct UnverifiedToken<'a> {
    text: &'a str,
}

impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedToken(…)")
    }
}

impl<'a> UnverifiedToken<'a> {
    /// Looks at the form alone: at most [`TOKEN_MAX_BYTES`], three base64url parts, of which two are JSON objects. A
    /// signature of base64url's characters that decodes to nothing, since one was cut off or exchanged, is of that form:
    /// it does not verify.
    ///
    /// # Errors
    /// One of the [`TokenError`]s for which [`TokenError::is_malformed`] is true.
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::TooLong);
        }
        let parts: Vec<&str> = text.splitn(4, '.').collect();
        let [header, payload, signature] = parts.as_slice() else { return Err(TokenError::NotThreeParts) };
        json_object(header)?;
        json_object(payload)?;
        let in_alphabet = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        if signature.bytes().all(in_alphabet) { Ok(Self { text }) } else { Err(TokenError::Undecodable) }
    }

    /// What the token claims, unproven. For the operator's tool, which looks at tokens of any age and origin; a
    /// function has no use for it.
    #[must_use]
    pub fn claims_unverified(self) -> Option<Claims> {
        jsonwebtoken::dangerous::insecure_decode(self.text).ok().map(|data| data.claims)
    }

    /// All that the token says, unproven, of whatever form. For telling what is wrong with a token that is known to be
    /// signed by us and lacks what [`Claims`] must have.
    #[must_use]
    pub fn payload_unverified(self) -> serde_json::Map<String, serde_json::Value> {
        json_object(self.text.split('.').nth(1).unwrap_or_default()).unwrap_or_default()
    }

    /// Proves the token against one set of keys: its signature first, then what it says.
    ///
    /// # Errors
    /// The first [`TokenError`] in the order of that enum.
    pub fn verify(self, keys: &KeySet, authority: &TokenAuthority, now: Timestamp) -> Result<Claims, TokenError> {
        let (header, payload) = verify_web_signature(self.text, keys)?;
        // The type comes before the claims: an access token in a refresh token's place is of the wrong type.
        if header.typ.as_deref() != Some(authority.form.typ()) {
            return Err(TokenError::WrongType);
        }
        // By way of a value, in which the last of a member's several counts, as it did for the form.
        let claims: serde_json::Value = serde_json::from_slice(&payload).map_err(|_| TokenError::Undecodable)?;
        let claims: Claims = serde_json::from_value(claims).map_err(|_| TokenError::WrongClaims)?;
        // Generation numbers leave room for a successor; ours never come near.
        if claims.generation == u32::MAX {
            return Err(TokenError::WrongClaims);
        }
        if claims.iss != authority.issuer || claims.aud != authority.audience {
            return Err(TokenError::WrongAuthority);
        }
        if claims.nbf.is_some_and(|nbf| now < Timestamp::from_secs(nbf)) {
            return Err(TokenError::NotYetValid);
        }
        if now >= Timestamp::from_secs(claims.exp) {
            return Err(TokenError::Expired);
        }
        if authority.sessions_not_before.is_some_and(|not_before| claims.sid.opened_at() < not_before) {
            return Err(TokenError::SessionsEnded);
        }
        Ok(claims)
    }
}

/// Proves that a web signature in its compact form is by the one of these keys that it names, and returns its header and
/// what was signed (RFC 7515 §5.2): `kid` names the key, `alg` is that key's own, nothing is demanded that we do not
/// understand, and the signature is over the first two parts as they are written. What was signed is not read.
///
/// This is [`UnverifiedToken::verify`]'s first step. It stands by itself so that published vectors, which sign no claims,
/// go through it; alone it makes no token good.
///
/// # Errors
/// A [`TokenError`] up to [`TokenError::BadSignature`] and, for a demand, [`TokenError::WrongType`].
pub fn verify_web_signature(jws: &str, keys: &KeySet) -> Result<(Header, Vec<u8>), TokenError> {
    let (signed, signature) = jws.rsplit_once('.').ok_or(TokenError::NotThreeParts)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::NotThreeParts)?;
    if signature.is_empty() {
        return Err(TokenError::SignatureMissing);
    }
    let members = json_object(header)?;
    // A further point is no character of base64url.
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Undecodable)?;
    let text = |name: &str| members.get(name).and_then(serde_json::Value::as_str);
    let key = keys.find(text("kid").unwrap_or_default()).ok_or(TokenError::UnknownKey)?;
    if text("alg").is_none_or(|named| algorithm_name(key.algorithm()) != Some(named)) {
        return Err(TokenError::WrongAlgorithm);
    }
    // What must be understood and is not makes a token no good (RFC 7515 §4.1.11); we understand no extension.
    if members.contains_key("crit") {
        return Err(TokenError::WrongType);
    }
    // A header that the library cannot read, since it names a member twice, say, is none that it would have verified.
    let header = jsonwebtoken::decode_header(jws).map_err(|_| TokenError::BadSignature)?;
    if is_signature(signature, signed.as_bytes(), key) { Ok((header, payload)) } else { Err(TokenError::BadSignature) }
}

/// Whether `signature`, in base64url, is this key's over these bytes, by the key's own algorithm.
#[must_use]
pub fn is_signature(signature: &str, signed: &[u8], key: &Key) -> bool {
    jsonwebtoken::crypto::verify(signature, signed, key.decoding(), key.algorithm()).unwrap_or(false)
}

fn json_object(part: &str) -> Result<serde_json::Map<String, serde_json::Value>, TokenError> {
    let decoded = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Undecodable)?;
    serde_json::from_slice(&decoded).map_err(|_| TokenError::Undecodable)
}

/// As a header spells it. A keyring holds keys for these three alone, and no token's `alg` may match another.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enumeration is not exhaustive")]
const fn algorithm_name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::EdDSA => Some("EdDSA"),
        Algorithm::RS256 => Some("RS256"),
        Algorithm::HS256 => Some("HS256"),
        _ => None,
    }
}

/// Signs the token that carries a session, in its form, with the active key. For [`mint`](crate::mint) alone, which asks
/// for proof that the session holds; [`SigningError`] where the library refuses the key, which the keyring's own check
/// rules out.
pub(crate) fn sign(claims: &Claims, form: TokenForm, keys: &ProductKeys) -> Result<String, SigningError> {
    sign_typed(form.typ(), claims, form.keys(keys))
}

/// Signs claims of any type with the active key, under an explicit `typ`.
pub(crate) fn sign_typed<C: Serialize>(typ: &str, claims: &C, keys: &KeySet) -> Result<String, SigningError> {
    let key = keys.active();
    let mut header = Header::new(key.algorithm());
    header.typ = Some(typ.to_owned());
    header.kid = Some(key.kid().to_owned());
    jsonwebtoken::encode(&header, claims, key.encoding()).map_err(|error| SigningError(error.to_string()))
}

/// A token could not be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token could not be signed: {0}")]
pub struct SigningError(String);

impl SigningError {
    /// A product's own claims are not what claims are.
    pub(crate) fn not_an_object() -> Self {
        Self("its claims are not an object".to_owned())
    }
}

/// What a client presented, verified, not yet judged: the first room of the walk.
///
/// Only [`Presented::verify`] makes one, so that nothing unproven can go further.
///
/// ```compile_fail,E0451
/// # fn skip(claims: rondo_shared::token::Claims, client: rondo_shared::identity::Client) {
/// let presented = rondo_shared::token::Presented { claims, client }; // the fields are private
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Presented {
    claims: Claims,
    client: Client,
}

impl Presented {
    /// Proves a token against the product's keys; reads the keyring again if the token names a key unknown to it.
    ///
    /// # Errors
    /// [`VerifyError::Token`] where the token is at fault, [`VerifyError::Keys`] where nobody can tell.
    pub async fn verify(
        token: UnverifiedToken<'_>,
        keyring: &Keyring,
        authority: &TokenAuthority,
        client: Client,
        moment: &Moment,
    ) -> Result<Self, VerifyError> {
        let by = |keys: &ProductKeys| token.verify(authority.form.keys(keys), authority, moment.now);
        let claims = match by(&*keyring.current(moment.now).await) {
            Err(TokenError::UnknownKey) => by(&*keyring.after_unknown_kid(moment.now).await?)?,
            verified => verified?,
        };
        Ok(Self { claims, client })
    }

    /// What the token says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Who presented it.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }
}
