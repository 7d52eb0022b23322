//! Project Wycheproof's vectors (github.com/C2SP/wycheproof, Apache-2.0, kept in `tests/tests/vectors/` as the files say)
//! against the keys of a keyring and the verifier of tokens.
//!
//! Its messages are no JSON objects, so that no vector is ever a token; they go through the verifier's own first step, which
//! reads no payload, with a key that a keyring has read: web signatures whole (`verify_web_signature`), bare signatures and
//! tags through the check within it (`is_signature`). What they do to an RSA signature's padding is done to tokens of ours
//! as well, which the verifier is then given whole.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rondo_shared::keyring::{KeySet, ProductKeys};
use rondo_shared::token::{TokenAuthority, TokenError, TokenForm, UnverifiedToken, is_signature, verify_web_signature};
use rondo_tests::T0;
use rondo_tests::world::keyring_document;
use rsa::BigUint;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

fn groups(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    file["groups"].as_array().unwrap().clone()
}

fn web_signatures() -> Vec<Value> {
    groups(include_str!("vectors/json_web_signature.json"))
}

fn tests(group: &Value) -> impl Iterator<Item = (&Value, u64, bool)> {
    let tests = group["tests"].as_array().unwrap().iter();
    tests.map(|test| (test, test["id"].as_u64().unwrap(), test["result"] == "valid"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    let hex = text(value, name).as_bytes().chunks(2);
    hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A ring with this key as a retired one of its kind, beside the active ones of all tests.
fn ring(kind: &str, kid: &str, jwk: &Value) -> ProductKeys {
    let mut document = keyring_document();
    let key = json!({"kid": kid, "state": "retired", "published_at": "2026-11-01T00:00:00Z", "jwk": jwk});
    document["products"]["uniqos"][kind].as_array_mut().unwrap().push(key);
    ProductKeys::parse(&document.to_string(), "uniqos").unwrap()
}

fn ring_of(group: &Value) -> (ProductKeys, &'static str) {
    let kind = if group["jwk"]["kty"] == "oct" { "mac" } else { "signing" };
    (ring(kind, text(group, "kid"), &group["jwk"]), kind)
}

fn set<'a>(keys: &'a ProductKeys, kind: &str) -> &'a KeySet {
    if kind == "mac" { &keys.mac } else { &keys.signing }
}

/// Whether the shipped check takes these bytes for the signature of that message.
fn verifies(keys: &KeySet, kid: &str, signature: &[u8], message: &[u8]) -> bool {
    is_signature(&URL_SAFE_NO_PAD.encode(signature), message, keys.find(kid).unwrap())
}

/// Wycheproof: `json_web_signature_test.json`, every group whose key a keyring can hold.
#[test]
fn web_signatures_hold_where_they_are_valid_for_the_keys_own_algorithm_and_nowhere_else() {
    // Both have a question mark among their base64 characters, over which lenient decoders pass.
    let too_lenient = [372, 373];
    // By a key that is said to be for PS512: a keyring says no such thing, and all its RSA keys are for RS256.
    let by_the_keys_algorithm = 332;
    // Said to be padded, and letter for letter the valid 357: the padding was lost before we came.
    let not_padded = [367, 370];
    let (mut held, mut refused) = (0, 0);
    for group in web_signatures() {
        let (keys, kind) = ring_of(&group);
        let is_for_us = ["HS256", "RS256"].contains(&text(&group, "alg"));
        for (test, id, valid) in tests(&group) {
            let good = valid && is_for_us && !too_lenient.contains(&id);
            let expected = good || id == by_the_keys_algorithm || not_padded.contains(&id);
            let verified = verify_web_signature(text(test, "jws"), set(&keys, kind));
            assert_eq!(verified.is_ok(), expected, "{id}: {}: {verified:?}", test["comment"]);
            if let Ok((_, payload)) = verified {
                let written = text(test, "jws").split('.').nth(1).unwrap();
                assert_eq!(URL_SAFE_NO_PAD.encode(payload), written, "{id}");
            }
            if expected { held += 1 } else { refused += 1 }
        }
    }
    assert_eq!((held, refused), (19, 337));
}

/// Wycheproof: `json_web_signature_test.json`. Nothing in it is a token, whoever signed it.
#[test]
fn no_web_signature_without_claims_is_a_token() {
    let authority = TokenAuthority::over_refresh_tokens("uniqos".to_owned(), None);
    for group in web_signatures() {
        let (keys, kind) = ring_of(&group);
        for (test, id, _) in tests(&group) {
            let verified = UnverifiedToken::parse(text(test, "jws"))
                .and_then(|token| token.verify(set(&keys, kind), &authority, T0));
            assert!(verified.is_err(), "{id}");
        }
    }
}

/// Wycheproof: `ed25519_test.json`: malleable, truncated and padded signatures, points of small order, other curves'.
#[test]
fn ed25519_signatures_hold_as_wycheproof_says() {
    let (mut held, mut refused) = (0, 0);
    for group in groups(include_str!("vectors/ed25519.json")) {
        let private = keyring_document()["products"]["uniqos"]["signing"][0]["jwk"]["d"].clone();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": group["x"], "d": private});
        let keys = ring("signing", "wycheproof", &jwk);
        for (test, id, valid) in tests(&group) {
            let verified = verifies(&keys.signing, "wycheproof", &bytes(test, "sig"), &bytes(test, "msg"));
            assert_eq!(verified, valid, "{id}: {}", test["comment"]);
            if verified { held += 1 } else { refused += 1 }
        }
    }
    assert_eq!((held, refused), (88, 63));
}

/// Wycheproof: `hmac_sha256_test.json`, keys of 256 bits. A tag cut to 128 bits is valid there and no HS256 (RFC 7518
/// §3.2).
#[test]
fn hs256_tags_hold_as_wycheproof_says_and_only_whole() {
    let (mut held, mut refused) = (0, 0);
    for group in groups(include_str!("vectors/hmac_sha256.json")) {
        for (test, id, valid) in tests(&group) {
            let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(bytes(test, "key"))});
            let (keys, tag) = (ring("mac", "wycheproof", &jwk), bytes(test, "tag"));
            let verified = verifies(&keys.mac, "wycheproof", &tag, &bytes(test, "msg"));
            assert_eq!(verified, valid && tag.len() == 32, "{id}: {}", test["comment"]);
            if verified { held += 1 } else { refused += 1 }
        }
    }
    assert_eq!(held + refused, 162);
    assert!(held > 20 && refused > 100, "{held} held");
}

/// Wycheproof: the `ModifiedPadding` of `json_web_signature_test.json`, done to tokens of ours with the vectors' own
/// private key: the claims are good, the name of the key is good, and the padding alone is wrong.
#[test]
fn no_token_is_good_whose_rsa_padding_is_any_of_wycheproofs() {
    let mut done = 0;
    for group in web_signatures().iter().filter(|group| text(group, "alg") == "RS256") {
        let (keys, _) = ring_of(group);
        let number = |name: &str| BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(text(&group["jwk"], name)).unwrap());
        let (n, e, d) = (number("n"), number("e"), number("d"));
        let ours = unsigned_token(text(group, "kid"));
        for (test, id, valid) in tests(group) {
            let Some((signed, signature)) = text(test, "jws").rsplit_once('.') else { continue };
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
            let padded = BigUint::from_bytes_be(&signature).modpow(&e, &n).to_bytes_be();
            let digest = Sha256::digest(signed);
            let Some(at) = padded.windows(32).position(|window| window == digest.as_slice()) else { continue };
            let mut replaced = padded;
            replaced[at..at + 32].copy_from_slice(&Sha256::digest(&ours));
            let forged = BigUint::from_bytes_be(&replaced).modpow(&d, &n).to_bytes_be();
            let forged = [vec![0; 256 - forged.len()], forged].concat();
            let token = format!("{ours}.{}", URL_SAFE_NO_PAD.encode(forged));
            let verified = UnverifiedToken::parse(&token).unwrap().verify(&keys.signing, &combined(), T0);
            if valid {
                assert!(verified.is_ok(), "{id}: {verified:?}");
            } else {
                assert_eq!(verified, Err(TokenError::BadSignature), "{id}: {}", test["comment"]);
                done += 1;
            }
        }
    }
    assert!(done > 150, "{done} paddings were tried");
}

fn combined() -> TokenAuthority {
    let (issuer, audience) = ("uniqos".to_owned(), "api".to_owned());
    TokenAuthority { issuer, audience, form: TokenForm::Combined, sessions_not_before: None }
}

/// The first two parts of a token that is good but for its signature.
fn unsigned_token(kid: &str) -> String {
    let claims = json!({"iss": "uniqos", "aud": "api", "sub": "user-1", "exp": T0.secs() + 60, "iat": T0.secs(), "jti": "j",
        "sid": "01KAZZZZZZZZZZZZZZZZZZZZZZ", "gen": 0, "gid": "g", "ten": "uniqos", "session_exp": T0.secs() + 60});
    let header = json!({"typ": "at+jwt", "alg": "RS256", "kid": kid});
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}
