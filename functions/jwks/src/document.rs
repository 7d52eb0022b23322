//! What is served: two JSON documents made of public keys, each with the entity tag that its content gives it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rondo_shared::keyring::public::PublicJwk;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

use crate::policy::PublicUrl;

/// A document with its entity tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    text: String,
    etag: String,
}

impl Document {
    /// The JWK set (RFC 7517 §5).
    #[must_use]
    pub fn of_keys(keys: &[PublicJwk]) -> Self {
        Self::new(&json!({"keys": keys}))
    }

    /// The discovery document (RFC 8414 §2, OpenID Connect Discovery 1.0 §3), of such members as are true here. There
    /// is no authorization endpoint, no token endpoint in the sense of RFC 6749, and no response type; a member without
    /// values is left out (RFC 8414 §3.2).
    #[must_use]
    pub fn of_discovery(keys: &[PublicJwk], url: &PublicUrl) -> Self {
        let algorithms: BTreeSet<_> = keys.iter().map(PublicJwk::algorithm_name).collect();
        Self::new(&json!({
            "issuer": url.issuer(),
            "jwks_uri": url.keys(),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        }))
    }

    /// The tag is strong (RFC 9110 §8.8.1): the text is the same, byte for byte, on every instance that has these keys.
    fn new(content: &Value) -> Self {
        let text = content.to_string();
        let digest = Sha256::digest(&text);
        let (start, _) = digest.split_at(16);
        Self { etag: format!("\"{}\"", URL_SAFE_NO_PAD.encode(start)), text }
    }

    /// The JSON text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The entity tag, in its quotes.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }
}
