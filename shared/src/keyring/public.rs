//! What of a keyring everybody may know: the public halves of all products' signing keys, as a JWK set (RFC 7517 §5)
//! holds them. A MAC key has no public half and never comes here, and the types of this module have no private member.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;

use super::{KeySet, KeyringDocument, KeyringError, SIGNING_ALGORITHMS};

/// The public half of a signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kty")]
pub enum PublicKey {
    /// Ed25519 (RFC 8037 §2).
    #[serde(rename = "OKP")]
    Ed25519 {
        /// `Ed25519`.
        crv: &'static str,
        /// The public key, base64url.
        x: String,
    },
    /// RSA (RFC 7518 §6.3.1).
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus, base64url.
        n: String,
        /// The public exponent, base64url.
        e: String,
    },
}

/// A public key with its name and its one use, as a JWK set holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    kid: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    #[serde(flatten)]
    key: PublicKey,
}

impl PublicJwk {
    pub(super) fn new(kid: &str, key: PublicKey) -> Self {
        let alg = match key {
            PublicKey::Ed25519 { .. } => "EdDSA",
            PublicKey::Rsa { .. } => "RS256",
        };
        Self { kid: kid.to_owned(), usage: "sig", alg, key }
    }

    /// The key's name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm that the key is for, as a token's header spells it.
    #[must_use]
    pub const fn algorithm_name(&self) -> &'static str {
        self.alg
    }
}

/// The public signing keys of every product in the ring, next, active and retired alike, in the order of their names:
/// a change of state changes nothing here. What is forgotten has left the ring.
///
/// All or nothing: a set without one product's keys, once a verifier has fetched it, would make good tokens bad.
///
/// # Errors
/// [`KeyringError`] where the document is not a keyring, where any product's signing keys cannot be used, where there
/// are none, and where one `kid` names two different keys, of one product or of two: a verifier that is given only the
/// `kid` could not tell which is meant.
pub fn public_keys(document: &str) -> Result<Vec<PublicJwk>, KeyringError> {
    let mut published = BTreeMap::new();
    for (product, keys) in &KeyringDocument::parse(document)?.products {
        let signing = KeySet::parse("signing keys", &keys.signing, &SIGNING_ALGORITHMS)
            .map_err(|error| KeyringError::Invalid(format!("{product}: {error}")))?;
        for key in signing.all().filter_map(super::Key::public_jwk) {
            match published.entry(key.kid.clone()) {
                Entry::Vacant(vacant) => drop(vacant.insert(key)),
                Entry::Occupied(same) if *same.get() == key => {}
                Entry::Occupied(other) => {
                    return Err(KeyringError::Invalid(format!("{product}: {} is another key elsewhere", other.key())));
                }
            }
        }
    }
    if published.is_empty() {
        return Err(KeyringError::Invalid("no product has a signing key".to_owned()));
    }
    Ok(published.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::super::rs256::tests::jwk as rsa_jwk;
    use super::super::tests::{D, X, document};
    use super::*;
    use serde_json::{Value, json};

    fn published(document: &Value) -> Result<Value, String> {
        public_keys(&document.to_string()).map(|keys| json!(keys)).map_err(|error| error.to_string())
    }

    /// The ring of the other tests, with a second product whose one signing key is RSA.
    fn two_products() -> Value {
        let mut document = document();
        let mut other = document["products"]["uniqos"].clone();
        other["signing"] =
            json!([{"kid": "r1", "state": "active", "published_at": "2026-11-01T00:00:00Z", "jwk": rsa_jwk()}]);
        document["products"]["other"] = other;
        document
    }

    #[test]
    fn the_public_half_of_every_signing_key_is_published_and_nothing_else() {
        let okp = |kid: &str| json!({"kid": kid, "use": "sig", "alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": X});
        let rsa = json!({"kid": "r1", "use": "sig", "alg": "RS256", "kty": "RSA", "n": rsa_jwk()["n"], "e": "AQAB"});
        assert_eq!(published(&two_products()).unwrap(), json!([rsa, okp("s1"), okp("s2"), okp("s3")]));
    }

    #[test]
    fn a_change_of_state_changes_nothing_that_is_published() {
        let before = two_products();
        let mut after = before.clone();
        after["products"]["uniqos"]["signing"][1]["state"] = json!("retired");
        after["products"]["uniqos"]["signing"][2]["state"] = json!("active");
        assert_eq!(published(&before).unwrap(), published(&after).unwrap());
    }

    #[test]
    fn a_number_is_published_without_a_zero_before_it() {
        let mut document = two_products();
        document["products"]["other"]["signing"][0]["jwk"]["e"] = json!("AAEAAQ");
        assert_eq!(published(&document).unwrap()[0]["e"], "AQAB");
    }

    #[test]
    fn one_name_for_two_different_keys_is_refused_and_for_one_key_twice_it_is_not() {
        let mut document = two_products();
        document["products"]["other"]["signing"] = document["products"]["uniqos"]["signing"].clone();
        assert_eq!(published(&document).unwrap().as_array().unwrap().len(), 3);
        document["products"]["other"]["signing"][1]["jwk"] = rsa_jwk();
        let error = published(&document).unwrap_err();
        assert!(error.contains("s2 is another key elsewhere") && !error.contains(D), "{error}");
    }

    #[test]
    fn a_ring_that_is_of_no_use_to_one_product_is_not_published_at_all() {
        for (pointer, value, why) in [
            ("/version", json!(2), "version 2"),
            ("/products", json!({}), "no product"),
            ("/products/other/signing", json!([]), "other: the keyring is invalid: signing keys: 0 active"),
            ("/products/other/signing/0/jwk/n", json!("AQAB"), "bits"),
            ("/products/other/signing/0/kid", json!(""), "1 to 64"),
            ("/products/other/signing/0/jwk", json!({"kty": "oct", "k": D}), "used for"),
        ] {
            let mut document = two_products();
            *document.pointer_mut(pointer).unwrap() = value;
            let error = published(&document).unwrap_err();
            assert!(error.contains(why), "{pointer}: {error}");
            assert!(!error.contains(D), "{error}");
        }
    }
}
