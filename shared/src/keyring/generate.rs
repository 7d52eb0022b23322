//! New keys. Beside [`crate::moment`] the one place that draws randomness, and like it for the edge alone: whoever
//! generates keys hands them to [`super::lifecycle`] as values.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use jsonwebtoken::Algorithm;
use zeroize::Zeroizing;

use super::lifecycle::Fresh;
use super::{ED25519, Jwk, KeyDocument, KeyState, ProductDocument, rs256};
use crate::moment::{NoEntropy, Timestamp};

/// No key could be made.
#[derive(Debug, thiserror::Error)]
pub enum NotGenerated {
    /// The operating system has no randomness to give.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The library made no RSA key.
    #[error("no RSA key could be made: {0}")]
    Rsa(String),
}

/// A fresh key of each kind, for a product that signs with Ed25519, or with RSA where its active key does: a change of
/// algorithm is nothing that a rotation makes.
///
/// # Errors
/// [`NotGenerated`].
pub fn fresh(product: Option<&ProductDocument>, now: Timestamp) -> Result<Fresh, NotGenerated> {
    let active = product.and_then(|product| product.signing.iter().find(|key| key.state == KeyState::Active));
    let signing = match active.map(|key| key.jwk.algorithm()) {
        Some(Algorithm::RS256) => Jwk::Rsa(rs256::generate(drawn()?).map_err(NotGenerated::Rsa)?),
        Some(_) | None => ed25519()?,
    };
    let mac = Jwk::Symmetric { k: URL_SAFE_NO_PAD.encode(drawn()?.as_slice()) };
    Ok(Fresh { signing: named(signing, now)?, mac: named(mac, now)? })
}

fn ed25519() -> Result<Jwk, NoEntropy> {
    let seed = drawn()?;
    let public = SigningKey::from_bytes(&seed).verifying_key();
    Ok(Jwk::Ed25519 {
        crv: ED25519.to_owned(),
        x: URL_SAFE_NO_PAD.encode(public.as_bytes()),
        d: URL_SAFE_NO_PAD.encode(seed.as_slice()),
    })
}

/// A key's name tells its day, for people, and has 32 random bits: no other key of the ring has it.
fn named(jwk: Jwk, now: Timestamp) -> Result<KeyDocument, NoEntropy> {
    let drawn = drawn()?;
    let [a, b, c, d, ..] = *drawn;
    let published_at = now.iso8601();
    let day: String = published_at.chars().take(10).filter(char::is_ascii_digit).collect();
    let kid = format!("{day}-{a:02x}{b:02x}{c:02x}{d:02x}");
    Ok(KeyDocument { kid, state: KeyState::Next, published_at, promoted_at: None, retired_at: None, jwk })
}

fn drawn() -> Result<Zeroizing<[u8; 32]>, NoEntropy> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::ProductKeys;
    use super::super::rs256::tests::jwk as rsa_jwk;
    use super::super::tests::document;
    use super::*;
    use crate::keyring::lifecycle::{begin, promote, publish};
    use serde_json::json;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_secs(1_795_305_600);

    fn keys(product: &ProductDocument) -> ProductKeys {
        ProductKeys::parse(&json!({"version": 1, "products": {"p": product}}).to_string(), "p").unwrap()
    }

    #[test]
    fn fresh_keys_are_such_as_functions_accept_and_none_is_like_another() {
        let (one, other) = (begin(fresh(None, NOW).unwrap(), NOW), begin(fresh(None, NOW).unwrap(), NOW));
        let (one, other) = (keys(&one), keys(&other));
        assert!(one.signing.active().kid().starts_with("20261122-"));
        assert_ne!(one.signing.active().kid(), other.signing.active().kid());
        assert_ne!(one.signing.active().kid(), one.mac.active().kid());
        assert_ne!(one.signing.active().public(), other.signing.active().public());
    }

    #[test]
    fn a_product_that_signs_with_rsa_goes_on_signing_with_rsa() {
        let mut document = document();
        document["products"]["uniqos"]["signing"] =
            json!([{"kid": "r1", "state": "active", "published_at": "2026-11-01T00:00:00Z", "jwk": rsa_jwk()}]);
        let product: ProductDocument = serde_json::from_value(document["products"]["uniqos"].clone()).unwrap();
        let published = publish(&product, fresh(Some(&product), NOW).unwrap(), NOW).unwrap();
        let promoted = promote(&published, Duration::ZERO, NOW).unwrap();
        let active = keys(&promoted).signing.active().clone();
        assert_eq!(active.algorithm(), Algorithm::RS256);
        assert_ne!(active.kid(), "r1");
    }
}
