//! The keys of each product: what signs its access tokens (EdDSA, or RS256 where a verifier takes nothing else) and
//! what authenticates its refresh tokens (HS256).
//!
//! Every key is `next` (published, not yet used), `active` (signs; exactly one of each kind) or `retired` (verifies
//! until its last token has expired). A token names its key by `kid`, and the algorithm is the key's own: what a token
//! says about its algorithm is compared with it and never believed (RFC 8725 §3.1). Keys are written as JWKs
//! (RFC 7517, RFC 7518, RFC 8037). Nothing here shows a key: `Debug` prints names only.

pub mod generate;
pub mod lifecycle;
pub mod public;
mod rs256;
pub mod secret;
pub mod source;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use self::public::{PublicJwk, PublicKey};
pub use self::rs256::RsaJwk;
use crate::moment::Timestamp;

/// The form of keyring that this code reads.
pub const FORMAT_VERSION: u32 = 1;
/// What a signing key may be for. The active one's algorithm is that of all access tokens of its product.
const SIGNING_ALGORITHMS: [Algorithm; 2] = [Algorithm::EdDSA, Algorithm::RS256];
/// What a MAC key may be for.
const MAC_ALGORITHMS: [Algorithm; 1] = [Algorithm::HS256];

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, so that verifiers come to know it; signs nothing yet.
    Next,
    /// Signs. Each product has exactly one active key of each kind.
    Active,
    /// Signs nothing any more; verifies what it signed.
    Retired,
}

/// The keyring as it is kept: one JSON document, in a secret or, locally, in a file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyringDocument {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// Keys by product.
    pub products: BTreeMap<String, ProductDocument>,
}

/// One product's keys as they are kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductDocument {
    /// Ed25519 and RSA keys for access tokens.
    pub signing: Vec<KeyDocument>,
    /// 256-bit keys for refresh tokens.
    pub mac: Vec<KeyDocument>,
}

/// One key as it is kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDocument {
    /// Its name, unique within its product.
    pub kid: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it came into the keyring, RFC 3339.
    pub published_at: String,
    /// When it began to sign, where the ring says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_at: Option<String>,
    /// When it ceased to sign, where the ring says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<String>,
    /// The key.
    pub jwk: Jwk,
}

/// The kinds of key that a keyring may hold, as JWKs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kty", deny_unknown_fields)]
pub enum Jwk {
    /// An Ed25519 key pair (RFC 8037 §2).
    #[serde(rename = "OKP")]
    Ed25519 {
        /// `Ed25519`.
        crv: String,
        /// The public key, base64url.
        x: String,
        /// The private key, base64url.
        d: String,
    },
    /// An RSA key pair (RFC 7518 §6.3), for RS256.
    #[serde(rename = "RSA")]
    Rsa(RsaJwk),
    /// A symmetric key (RFC 7518 §6.4).
    #[serde(rename = "oct")]
    Symmetric {
        /// The key, base64url.
        k: String,
    },
}

impl Jwk {
    /// The one algorithm that such a key is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519 { .. } => Algorithm::EdDSA,
            Self::Rsa(_) => Algorithm::RS256,
            Self::Symmetric { .. } => Algorithm::HS256,
        }
    }
}

impl Default for KeyringDocument {
    /// A ring without a product.
    fn default() -> Self {
        Self { version: FORMAT_VERSION, products: BTreeMap::new() }
    }
}

impl KeyringDocument {
    /// Its text, as it is kept. What a function would refuse is not written.
    ///
    /// # Errors
    /// [`KeyringError`] where a product's keys cannot be used, or the public ones cannot be published together.
    pub fn to_text(&self) -> Result<KeyringText, KeyringError> {
        let written = serde_json::to_string_pretty(self).map(KeyringText::new);
        let text = written.map_err(|_| KeyringError::Invalid("it cannot be written".to_owned()))?;
        for product in self.products.keys() {
            ProductKeys::parse(text.as_str(), product)?;
        }
        public::public_keys(text.as_str())?;
        Ok(text)
    }

    /// Reads a keyring's text.
    ///
    /// # Errors
    /// [`KeyringError::Invalid`] where it is not of this form. The message shows nothing of it.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        // serde_json's own message may quote the document, and the document is made of secrets.
        let keyring: Self = serde_json::from_str(text)
            .map_err(|e| KeyringError::Invalid(format!("not a keyring, at line {} column {}", e.line(), e.column())))?;
        if keyring.version != FORMAT_VERSION {
            return Err(KeyringError::Invalid(format!("version {}, not {FORMAT_VERSION}", keyring.version)));
        }
        Ok(keyring)
    }
}

/// A keyring document's text. It is not shown, and overwritten when it is dropped.
#[derive(Clone)]
pub struct KeyringText(Zeroizing<String>);

impl KeyringText {
    /// From the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Drop for Jwk {
    fn drop(&mut self) {
        match self {
            Self::Ed25519 { d, .. } => d.zeroize(),
            Self::Rsa(pair) => [&mut pair.d, &mut pair.p, &mut pair.q, &mut pair.dp, &mut pair.dq, &mut pair.qi]
                .into_iter()
                .for_each(zeroize::Zeroize::zeroize),
            Self::Symmetric { k } => k.zeroize(),
        }
    }
}

/// The documents are made of secrets: none is ever shown.
macro_rules! undisclosed {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}
undisclosed!(KeyringText, KeyringDocument, ProductDocument, KeyDocument, Jwk, RsaJwk);

/// One key, ready to use.
#[derive(Clone)]
pub struct Key {
    kid: String,
    state: KeyState,
    algorithm: Algorithm,
    encoding: EncodingKey,
    decoding: DecodingKey,
    published_at: Option<Timestamp>,
    /// The public half; none of a symmetric key.
    public: Option<PublicKey>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Key {
    /// The key's name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Where the key is in its life.
    #[must_use]
    pub const fn state(&self) -> KeyState {
        self.state
    }

    /// The one algorithm that this key is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// When it came into the keyring; none where the document's text is no instant.
    #[must_use]
    pub const fn published_at(&self) -> Option<Timestamp> {
        self.published_at
    }

    /// What signs with it. Not for everybody: tokens are minted from sessions that hold, by [`mint`](crate::mint) alone.
    #[must_use]
    pub(crate) const fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }

    /// What verifies with it.
    #[must_use]
    pub const fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// The public Ed25519 key in base64url, as a JWK's `x`; none for a key of another kind.
    #[must_use]
    pub fn public(&self) -> Option<&str> {
        match &self.public {
            Some(PublicKey::Ed25519 { x, .. }) => Some(x),
            Some(PublicKey::Rsa { .. }) | None => None,
        }
    }

    /// The public half as a JWK set holds it; none of a symmetric key.
    #[must_use]
    pub fn public_jwk(&self) -> Option<PublicJwk> {
        self.public.clone().map(|public| PublicJwk::new(&self.kid, public))
    }
}

/// Keys of one kind, one of them active.
#[derive(Clone, Debug)]
pub struct KeySet {
    active: Key,
    others: Vec<Key>,
}

impl KeySet {
    /// The key that signs.
    #[must_use]
    pub const fn active(&self) -> &Key {
        &self.active
    }

    /// The key with this name, whatever its state.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&Key> {
        self.all().find(|key| key.kid == kid)
    }

    /// All keys, the active one first.
    pub fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.active).chain(&self.others)
    }

    fn parse(what: &str, documents: &[KeyDocument], allowed: &[Algorithm]) -> Result<Self, KeyringError> {
        let keys = documents.iter().map(|document| parse_key(document, allowed)).collect::<Result<Vec<_>, _>>()?;
        for (n, key) in keys.iter().enumerate() {
            if keys.iter().skip(n + 1).any(|other| other.kid == key.kid) {
                return Err(KeyringError::Invalid(format!("{what}: two keys are named {}", key.kid)));
            }
        }
        let (active, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.state == KeyState::Active);
        match <[Key; 1]>::try_from(active) {
            Ok([active]) => Ok(Self { active, others }),
            Err(active) => Err(KeyringError::Invalid(format!("{what}: {} active keys, not one", active.len()))),
        }
    }
}

/// One product's keys.
#[derive(Clone, Debug)]
pub struct ProductKeys {
    /// For access tokens.
    pub signing: KeySet,
    /// For refresh tokens.
    pub mac: KeySet,
}

impl ProductKeys {
    /// Reads one product's keys from a keyring document.
    ///
    /// # Errors
    /// [`KeyringError`] where the document is not a keyring, or holds no usable keys for the product. The message
    /// names the key and never shows it.
    pub fn parse(document: &str, product: &str) -> Result<Self, KeyringError> {
        let keyring = KeyringDocument::parse(document)?;
        let missing = || KeyringError::NoKeys(product.to_owned());
        let keys = keyring.products.get(product).ok_or_else(missing)?;
        Ok(Self {
            signing: KeySet::parse("signing keys", &keys.signing, &SIGNING_ALGORITHMS)?,
            mac: KeySet::parse("mac keys", &keys.mac, &MAC_ALGORITHMS)?,
        })
    }
}

/// A keyring that cannot be used, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// Read, and wrong.
    #[error("the keyring is invalid: {0}")]
    Invalid(String),
    /// Read, and without this product.
    #[error("the keyring holds no keys for {0}")]
    NoKeys(String),
    /// Read, and there is none yet.
    #[error("there is no keyring yet: {0}")]
    Absent(String),
    /// Not read: this may pass.
    #[error("the keyring cannot be read: {0}")]
    Unreadable(String),
}

/// The one curve that EdDSA keys here are of (RFC 8037 §3.1).
const ED25519: &str = "Ed25519";
/// The fixed start of an Ed25519 private key in PKCS#8 (RFC 8410 §7); the 32 bytes of the key follow.
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

fn parse_key(document: &KeyDocument, allowed: &[Algorithm]) -> Result<Key, KeyringError> {
    let KeyDocument { kid, state, jwk, published_at, .. } = document;
    let invalid = |what: &str| KeyringError::Invalid(format!("key {kid}: {what}"));
    if kid.is_empty() || kid.len() > 64 {
        return Err(invalid("a kid has 1 to 64 characters"));
    }
    let bytes = |text: &str, what: &str| -> Result<[u8; 32], KeyringError> {
        let decoded = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid(&format!("{what} is not base64url")))?;
        decoded.try_into().map_err(|_| invalid(&format!("{what} does not have 32 bytes")))
    };
    let algorithm = jwk.algorithm();
    if !allowed.contains(&algorithm) {
        return Err(invalid("its type is not what it is used for"));
    }
    let (encoding, decoding, public) = match jwk {
        Jwk::Ed25519 { crv, x, d } => {
            if crv != ED25519 {
                return Err(invalid("its curve is not Ed25519"));
            }
            let der = Zeroizing::new([ED25519_PKCS8_PREFIX.as_slice(), &*Zeroizing::new(bytes(d, "d")?)].concat());
            let public = bytes(x, "x")?;
            let published = PublicKey::Ed25519 { crv: ED25519, x: x.clone() };
            (EncodingKey::from_ed_der(&der), DecodingKey::from_ed_der(&public), Some(published))
        }
        Jwk::Rsa(pair) => {
            let (encoding, decoding, public) = rs256::halves(pair).map_err(|what| invalid(&what))?;
            (encoding, decoding, Some(public))
        }
        Jwk::Symmetric { k } => {
            let secret = Zeroizing::new(bytes(k, "k")?);
            (EncodingKey::from_secret(&*secret), DecodingKey::from_secret(&*secret), None)
        }
    };
    let published_at = Timestamp::parse(published_at);
    let key = Key { kid: kid.clone(), state: *state, algorithm, encoding, decoding, published_at, public };
    // A retired key signs nothing any more, and one whose halves differ is not to keep the others from being used.
    if key.state != KeyState::Retired && !signs_what_it_verifies(&key) {
        return Err(invalid("its two halves do not belong together"));
    }
    Ok(key)
}

/// A key whose public half is not that of its private half would mint tokens that nobody can verify.
fn signs_what_it_verifies(key: &Key) -> bool {
    let message = b"rondo";
    jsonwebtoken::crypto::sign(message, &key.encoding, key.algorithm)
        .and_then(|signature| jsonwebtoken::crypto::verify(&signature, message, &key.decoding, key.algorithm))
        .unwrap_or(false)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// RFC 8037, appendix A.
    pub(crate) const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    pub(crate) const D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

    pub(crate) fn document() -> serde_json::Value {
        let signing = |kid: &str, state: &str| {
            json!({"kid": kid, "state": state, "published_at": "2026-11-01T00:00:00Z",
                   "jwk": {"kty": "OKP", "crv": "Ed25519", "x": X, "d": D}})
        };
        let mac = |kid: &str, state: &str, byte: u8| {
            json!({"kid": kid, "state": state, "published_at": "2026-11-01T00:00:00Z",
                   "jwk": {"kty": "oct", "k": URL_SAFE_NO_PAD.encode([byte; 32])}})
        };
        json!({"version": 1, "products": {"uniqos": {
            "signing": [signing("s1", "retired"), signing("s2", "active"), signing("s3", "next")],
            "mac": [mac("m1", "retired", 1), mac("m2", "active", 2), mac("m3", "next", 3)],
        }}})
    }

    fn parse(document: &serde_json::Value) -> Result<ProductKeys, KeyringError> {
        ProductKeys::parse(&document.to_string(), "uniqos")
    }

    #[test]
    fn the_active_key_signs_and_every_key_is_found_by_its_name() {
        let keys = parse(&document()).unwrap();
        assert_eq!((keys.signing.active().kid(), keys.mac.active().kid()), ("s2", "m2"));
        assert!(["m1", "m2", "m3"].iter().all(|kid| keys.mac.find(kid).is_some()));
        assert!(keys.mac.find("s1").is_none());
    }

    #[test]
    fn a_bad_keyring_is_refused_and_says_why_without_showing_a_key() {
        for (pointer, value, why) in [
            ("/version", json!(2), "version 2"),
            ("/products/uniqos/mac/1/state", json!("retired"), "0 active"),
            ("/products/uniqos/mac/0/state", json!("active"), "2 active"),
            ("/products/uniqos/mac/0/kid", json!("m2"), "two keys"),
            ("/products/uniqos/mac/0/jwk/k", json!("c2hvcnQ"), "32 bytes"),
            ("/products/uniqos/mac/0/jwk/k", json!("!!"), "base64url"),
            ("/products/uniqos/signing/1/jwk/x", json!(URL_SAFE_NO_PAD.encode([7; 32])), "belong together"),
            ("/products/uniqos/signing/2/jwk/x", json!(URL_SAFE_NO_PAD.encode([7; 32])), "belong together"),
            ("/products/uniqos/signing/1/jwk", json!({"kty": "oct", "k": D}), "used for"),
            ("/products/uniqos/signing/1/jwk/crv", json!("Ed448"), "not Ed25519"),
            ("/products/uniqos/signing/1/jwk/d", json!(5), "not a keyring"),
        ] {
            let mut document = document();
            *document.pointer_mut(pointer).unwrap() = value;
            let error = parse(&document).unwrap_err().to_string();
            assert!(error.contains(why), "{pointer}: {error}");
            assert!(!error.contains(D), "{error}");
        }
        let missing = ProductKeys::parse(&document().to_string(), "other").unwrap_err();
        assert_eq!(missing, KeyringError::NoKeys("other".to_owned()));
    }

    #[test]
    fn a_key_is_not_shown_by_debug() {
        let shown = format!("{:?}", parse(&document()).unwrap());
        assert!(shown.contains("m2") && !shown.contains(D) && !shown.contains(&URL_SAFE_NO_PAD.encode([2; 32])));
    }
}
