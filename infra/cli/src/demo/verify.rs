//! A resource server in small: whether an access token verifies by the published keys and nothing else, as any service
//! that takes these tokens would have it (RFC 9068 §4, RFC 8725 §3).

use jsonwebtoken::jwk::{JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

/// Whether the token is one of this issuer for this audience, not expired, and signed by a key of the set.
pub(super) fn verifies(token: &str, jwks: &str, issuer: &str, audience: &str) -> bool {
    claims(token, jwks, issuer, audience).is_some()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enumeration is not exhaustive")]
fn claims(token: &str, jwks: &str, issuer: &str, audience: &str) -> Option<Value> {
    let header = decode_header(token).ok()?;
    if header.typ.as_deref() != Some("at+jwt") {
        return None;
    }
    let set: JwkSet = serde_json::from_str(jwks).ok()?;
    let key = set.find(header.kid.as_deref()?)?;
    // The key says its algorithm; what the token says is compared with it, never believed.
    let mut validation = Validation::new(match key.common.key_algorithm? {
        KeyAlgorithm::EdDSA => Algorithm::EdDSA,
        KeyAlgorithm::RS256 => Algorithm::RS256,
        _ => return None,
    });
    validation.leeway = 0;
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    decode(token, &DecodingKey::from_jwk(key).ok()?, &validation).ok().map(|verified| verified.claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::{Signer as _, SigningKey};
    use serde_json::json;

    fn signed(header: &Value, claims: &Value, key: [u8; 32]) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = SigningKey::from_bytes(&key).sign(signed.as_bytes()).to_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn only_an_access_token_of_the_issuer_for_the_audience_by_a_published_key_verifies() {
        let public = SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
        let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(public), "kid": "k",
            "use": "sig", "alg": "EdDSA"}]})
        .to_string();
        let header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "k"});
        let claims = json!({"iss": "i", "aud": "a", "sub": "s", "exp": 9_999_999_999_i64});
        let with = |object: &Value, name: &str, value: Value| {
            let mut object = object.clone();
            object[name] = value;
            object
        };
        let is_good = |header: &Value, claims: &Value, key| verifies(&signed(header, claims, key), &jwks, "i", "a");
        assert!(is_good(&header, &claims, [7; 32]));
        assert!(!is_good(&header, &claims, [8; 32]));
        for (name, value) in [("typ", "JWT"), ("kid", "other"), ("alg", "HS256")] {
            assert!(!is_good(&with(&header, name, json!(value)), &claims, [7; 32]), "{name}");
        }
        for (name, value) in [("iss", json!("x")), ("aud", json!("x")), ("exp", json!(1)), ("sub", Value::Null)] {
            assert!(!is_good(&header, &with(&claims, name, value), [7; 32]), "{name}");
        }
    }
}
