//! Tokens as somebody outside makes and takes them apart: from the RFCs and the keys of the test keyring alone, with
//! nothing of the shared crate, so that a mistake there is not made here again.
//!
//! JWS compact form (RFC 7515), base64url without padding (RFC 4648 §5), HMAC (RFC 2104) with SHA-256 (FIPS 180-4).

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::as_conversions, reason = "arithmetic on bits")]

use serde_json::{Value, json};

/// The key `m1` of the test keyring.
pub const ACTIVE_MAC_KEY: [u8; 32] = [1; 32];
/// The key `m0` of the test keyring.
pub const RETIRED_MAC_KEY: [u8; 32] = [0; 32];

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64url without padding.
pub fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let block = [0, 1, 2].map(|n| u32::from(chunk.get(n).copied().unwrap_or(0)));
        let bits = block[0] << 16 | block[1] << 8 | block[2];
        for n in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * n)) as usize & 63]));
        }
    }
    text
}

/// The bytes of base64url without padding.
pub fn from_base64url(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == byte).expect("a base64url digit");
        (bits, held) = (bits << 6 | u32::try_from(digit).unwrap(), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 255) as u8);
        }
    }
    bytes
}

/// A token's header.
pub fn header_of(token: &str) -> Value {
    serde_json::from_slice(&from_base64url(token.split('.').next().unwrap())).unwrap()
}

/// A token's claims, unverified.
pub fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&from_base64url(token.split('.').nth(1).unwrap())).unwrap()
}

/// The header of a refresh token that verifies.
pub fn good_header() -> Value {
    json!({"typ": "rt+jwt", "alg": "HS256", "kid": "m1"})
}

/// A token with any header and claims, signed by HMAC with SHA-256 under any key.
pub fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let signed = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
    let signature = base64url(&hmac_sha256(key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// The same token with some of its claims changed, signed with the active key: what only we could have made.
pub fn with_claims(token: &str, changes: &Value) -> String {
    signed(&good_header(), &changed(&claims_of(token), changes), &ACTIVE_MAC_KEY)
}

/// The same token with some fields of its header changed, signed with the active key.
pub fn with_header(token: &str, changes: &Value) -> String {
    signed(&changed(&good_header(), changes), &claims_of(token), &ACTIVE_MAC_KEY)
}

/// An object with some fields replaced; a null takes one away.
fn changed(object: &Value, changes: &Value) -> Value {
    let mut object = object.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        object.remove(name);
        if !value.is_null() {
            object.insert(name.clone(), value.clone());
        }
    }
    Value::Object(object)
}

/// HMAC with SHA-256, for keys of up to one block.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = sha256(&[block.map(|b| b ^ 0x36).as_slice(), message].concat());
    sha256(&[block.map(|b| b ^ 0x5c).as_slice(), inner.as_slice()].concat())
}

fn sha256(message: &[u8]) -> [u8; 32] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend(u64::try_from(message.len() * 8).unwrap().to_be_bytes());
    let primes: Vec<u32> = (2_u32..).filter(|n| (2..*n).all(|d| n % d != 0)).take(64).collect();
    let fraction = |root: f64| ((root - root.floor()) * 2_f64.powi(32)) as u32;
    let k: Vec<u32> = primes.iter().map(|p| fraction(f64::from(*p).cbrt())).collect();
    let mut state: Vec<u32> = primes.iter().take(8).map(|p| fraction(f64::from(*p).sqrt())).collect();
    for block in padded.chunks(64) {
        let mut w: Vec<u32> = block.chunks(4).map(|b| u32::from_be_bytes(b.try_into().unwrap())).collect();
        for n in 16..64 {
            let s0 = w[n - 15].rotate_right(7) ^ w[n - 15].rotate_right(18) ^ w[n - 15] >> 3;
            let s1 = w[n - 2].rotate_right(17) ^ w[n - 2].rotate_right(19) ^ w[n - 2] >> 10;
            w.push(w[n - 16].wrapping_add(s0).wrapping_add(w[n - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for n in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = v[4] & v[5] ^ !v[4] & v[6];
            let t1 = v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(k[n]).wrapping_add(w[n]);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2];
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0.wrapping_add(majority));
        }
        state.iter_mut().zip(&v).for_each(|(s, v)| *s = s.wrapping_add(*v));
    }
    state.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>().try_into().unwrap()
}
