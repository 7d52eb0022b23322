//! RSA key pairs for RS256 (RFC 7518 §3.3, §6.3.2): an option for verifiers that take nothing else, such as the JWT
//! authorizer of an HTTP API. A pair whose numbers do not belong together is refused here, whatever its state.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use rsa::{BigUint, RsaPrivateKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::public::PublicKey;

/// The least that RFC 7518 §3.3 allows, in bits.
const MODULUS_MIN_BITS: usize = 2048;
/// The most that the library verifies, in bits. What is longer signs slower and proves no more.
const MODULUS_MAX_BITS: usize = 4096;
/// The smallest public exponent of FIPS 186-5 §5.1: smaller ones have let sloppy verifiers be forged to.
const EXPONENT_MIN: u32 = 65_537;

/// An RSA key pair of two primes (RFC 7518 §6.3), every member base64url.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RsaJwk {
    /// The modulus.
    pub n: String,
    /// The public exponent.
    pub e: String,
    /// The private exponent.
    pub d: String,
    /// The first prime.
    pub p: String,
    /// The second prime.
    pub q: String,
    /// `d` modulo `p` − 1.
    pub dp: String,
    /// `d` modulo `q` − 1.
    pub dq: String,
    /// The inverse of `q` modulo `p`.
    pub qi: String,
}

/// What signs, what verifies, and what is published; or what is wrong, in words that show none of it.
pub(super) fn halves(jwk: &RsaJwk) -> Result<(EncodingKey, DecodingKey, PublicKey), String> {
    let misfit = || "its numbers do not belong together".to_owned();
    let (n, e) = (number(&jwk.n, "n")?, number(&jwk.e, "e")?);
    let bits = n.bits();
    if !(MODULUS_MIN_BITS..=MODULUS_MAX_BITS).contains(&bits) {
        return Err(format!("its modulus has {bits} bits, not {MODULUS_MIN_BITS} to {MODULUS_MAX_BITS}"));
    }
    if e < BigUint::from(EXPONENT_MIN) {
        return Err(format!("its public exponent is under {EXPONENT_MIN}"));
    }
    let (n_bytes, e_bytes) = (n.to_bytes_be(), e.to_bytes_be());
    let primes = vec![number(&jwk.p, "p")?, number(&jwk.q, "q")?];
    // Checks that the primes make the modulus, and that the exponents are each other's inverse.
    let pair = RsaPrivateKey::from_components(n, e, number(&jwk.d, "d")?, primes).map_err(|_| misfit())?;
    let (dp, dq, qi) = (number(&jwk.dp, "dp")?, number(&jwk.dq, "dq")?, number(&jwk.qi, "qi")?);
    if pair.dp() != Some(&dp) || pair.dq() != Some(&dq) || pair.crt_coefficient() != Some(qi) {
        return Err(misfit());
    }
    let der = pair.to_pkcs1_der().map_err(|_| misfit())?;
    // Written anew, so that a zero before a number, which RFC 7518 §2 forbids, is not published.
    let public = PublicKey::Rsa { n: URL_SAFE_NO_PAD.encode(&n_bytes), e: URL_SAFE_NO_PAD.encode(&e_bytes) };
    let decoding = DecodingKey::from_rsa_raw_components(&n_bytes, &e_bytes);
    Ok((EncodingKey::from_rsa_der(der.as_bytes()), decoding, public))
}

/// A new pair of the length that most verifiers are used to, made from 256 random bits.
pub(super) fn generate(seed: Zeroizing<[u8; 32]>) -> Result<RsaJwk, String> {
    let pair = RsaPrivateKey::new(&mut Expanded { seed, blocks: 0 }, MODULUS_MIN_BITS);
    pair.map(|pair| jwk_of(&pair)).map_err(|error| error.to_string())
}

fn jwk_of(pair: &RsaPrivateKey) -> RsaJwk {
    let text = |number: &BigUint| URL_SAFE_NO_PAD.encode(Zeroizing::new(number.to_bytes_be()));
    let known = |number: Option<&BigUint>| number.map(text).unwrap_or_default();
    RsaJwk {
        n: text(pair.n()),
        e: text(pair.e()),
        d: text(pair.d()),
        p: known(pair.primes().first()),
        q: known(pair.primes().get(1)),
        dp: known(pair.dp()),
        dq: known(pair.dq()),
        qi: known(pair.crt_coefficient().as_ref()),
    }
}

/// As many random bytes as the library asks for, of SHA-256 over the seed and a counter: drawn once, so that a system
/// without randomness is told before, for which the library has no way.
struct Expanded {
    seed: Zeroizing<[u8; 32]>,
    blocks: u64,
}

impl rsa::rand_core::RngCore for Expanded {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block =
                Sha256::new().chain_update(self.seed.as_slice()).chain_update(self.blocks.to_be_bytes()).finalize();
            self.blocks = self.blocks.wrapping_add(1);
            chunk.iter_mut().zip(block).for_each(|(byte, drawn)| *byte = drawn);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for Expanded {}

fn number(text: &str, what: &str) -> Result<BigUint, String> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("{what} is not base64url"))?;
    Ok(BigUint::from_bytes_be(&bytes))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::{KeyringError, ProductKeys, tests as ring};
    use super::*;
    use crate::moment::Timestamp;
    use crate::token::{self, Claims, TokenAuthority, TokenError, TokenForm, UnverifiedToken};
    use jsonwebtoken::Algorithm;
    use serde_json::{Value, json};
    use ulid::Ulid;

    /// RFC 7515, appendix A.2.1.
    pub(crate) fn jwk() -> Value {
        serde_json::from_str(include_str!("rfc7515_a2.json")).unwrap()
    }

    /// The ring of the other tests, with this as its active signing key.
    fn signing_with(jwk: &Value) -> Result<ProductKeys, KeyringError> {
        in_state("active", jwk)
    }

    fn in_state(state: &str, jwk: &Value) -> Result<ProductKeys, KeyringError> {
        let mut document = ring::document();
        let place = if state == "active" { 1 } else { 2 };
        document["products"]["uniqos"]["signing"][place]["jwk"] = jwk.clone();
        ProductKeys::parse(&document.to_string(), "uniqos")
    }

    fn with(member: &str, value: &str) -> Value {
        let mut jwk = jwk();
        jwk[member] = json!(value);
        jwk
    }

    #[test]
    fn an_rsa_key_signs_as_the_rfcs_example_does() {
        let keys = signing_with(&jwk()).unwrap();
        assert_eq!(keys.signing.active().algorithm(), Algorithm::RS256);
        assert_eq!(keys.signing.active().public(), None);
        let message = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signed =
            jsonwebtoken::crypto::sign(message.as_bytes(), keys.signing.active().encoding(), Algorithm::RS256).unwrap();
        assert!(signed.starts_with("cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"));
    }

    #[test]
    fn keys_of_both_kinds_stand_in_one_ring() {
        let keys = in_state("next", &jwk()).unwrap();
        assert_eq!(keys.signing.active().algorithm(), Algorithm::EdDSA);
        assert_eq!(keys.signing.find("s3").unwrap().algorithm(), Algorithm::RS256);
    }

    #[test]
    fn a_pair_whose_numbers_do_not_belong_together_is_refused_in_any_state() {
        let (q, dp) = (jwk()["q"].as_str().unwrap().to_owned(), jwk()["dp"].as_str().unwrap().to_owned());
        for state in ["active", "next"] {
            for (member, value) in
                [("d", "AQAB"), ("p", &q), ("q", "AQAB"), ("q", ""), ("dp", "AQAB"), ("dq", &dp), ("qi", "AQAB")]
            {
                let error = in_state(state, &with(member, value)).unwrap_err().to_string();
                assert!(error.contains("belong together"), "{state} {member}: {error}");
            }
        }
    }

    #[test]
    fn a_bad_rsa_key_is_refused_and_says_why_without_showing_it() {
        let (short, long) = ("_".repeat(340), "_".repeat(684));
        let secret = jwk()["d"].as_str().unwrap().to_owned();
        for (member, value, why) in [
            ("n", short.as_str(), "bits, not 2048 to 4096"),
            ("n", &long, "bits, not 2048 to 4096"),
            ("n", "", "0 bits"),
            ("n", "!", "n is not base64url"),
            ("e", "Aw", "under 65537"),
            ("e", "", "under 65537"),
            ("e", "AQAC", "belong together"),
            ("e", "_____w", "belong together"),
            ("d", "!", "d is not base64url"),
            ("oth", "AQAB", "not a keyring"),
        ] {
            let error = signing_with(&with(member, value)).unwrap_err().to_string();
            assert!(error.contains(why), "{member}: {error}");
            assert!(!error.contains(&secret), "{error}");
        }
        for member in ["d", "p", "qi"] {
            let mut partial = jwk();
            partial.as_object_mut().unwrap().remove(member);
            let error = signing_with(&partial).unwrap_err().to_string();
            assert!(error.contains("not a keyring") && !error.contains(&secret), "{error}");
        }
    }

    #[test]
    fn a_token_for_everybody_is_signed_and_verified_with_it() {
        let keys = signing_with(&jwk()).unwrap();
        let claims: Claims = serde_json::from_value(json!({
            "iss": "i", "aud": "a", "sub": "user-1", "exp": 2, "iat": 1, "jti": "j", "sid": Ulid::from_parts(1, 2).to_string(),
            "gen": 0, "gid": "g", "ten": "t", "session_exp": 3}))
        .unwrap();
        let authority = TokenAuthority {
            issuer: "i".to_owned(),
            audience: "a".to_owned(),
            form: TokenForm::Combined,
            sessions_not_before: None,
        };
        let verify = |token: &str, keys: &ProductKeys| {
            UnverifiedToken::parse(token).unwrap().verify(&keys.signing, &authority, Timestamp::from_secs(1))
        };
        let token = token::sign(&claims, TokenForm::Combined, &keys).unwrap();
        assert!(token.starts_with(&URL_SAFE_NO_PAD.encode(r#"{"typ":"at+jwt","alg":"RS256","kid":"s2"}"#)));
        assert_eq!(verify(&token, &keys), Ok(claims.clone()));
        assert_eq!(verify(&format!("{token}AAAA"), &keys), Err(TokenError::BadSignature));

        // The same name for a key of the other kind: the algorithm is the key's, whatever the token says.
        let other = ProductKeys::parse(&ring::document().to_string(), "uniqos").unwrap();
        assert_eq!(verify(&token, &other), Err(TokenError::WrongAlgorithm));
        let token = token::sign(&claims, TokenForm::Combined, &other).unwrap();
        assert_eq!(verify(&token, &keys), Err(TokenError::WrongAlgorithm));
    }

    #[test]
    fn an_rsa_key_is_no_mac_key_and_is_not_shown_by_debug() {
        let mut document = ring::document();
        document["products"]["uniqos"]["mac"][1]["jwk"] = jwk();
        let error = ProductKeys::parse(&document.to_string(), "uniqos").unwrap_err().to_string();
        assert!(error.contains("used for"), "{error}");
        let shown = format!("{:?}", signing_with(&jwk()).unwrap());
        assert!(!shown.contains(jwk()["d"].as_str().unwrap()));
    }
}
