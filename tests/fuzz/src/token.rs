//! The token codec: what verifies is what we signed, and what we sign verifies to the same claims.

use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, EncodingKey};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::moment::Timestamp;
use rondo_shared::token::{REFRESH_TOKEN_TYPE, TokenAuthority, TokenForm, UnverifiedToken, sign};
use rondo_tests::T0;
use serde_json::Value;

use crate::ring;

static KEYS: LazyLock<ProductKeys> = LazyLock::new(|| ring::keys("uniqos"));
static REFRESH: LazyLock<TokenAuthority> =
    LazyLock::new(|| TokenAuthority::over_refresh_tokens("uniqos".to_owned(), Some(Timestamp::from_millis(1))));
static COMBINED: LazyLock<TokenAuthority> = LazyLock::new(|| TokenAuthority {
    issuer: "uniqos".to_owned(),
    audience: "api".to_owned(),
    form: TokenForm::Combined,
    sessions_not_before: None,
});
static GOOD: LazyLock<[String; 2]> =
    LazyLock::new(|| [ring::good_token("uniqos", &REFRESH), ring::good_token("uniqos", &COMBINED)]);

/// Text on its own is a token as somebody sends it, `$T` and `$O` standing for good ones; with a line break in it, it is
/// the header and the claims of a token that is signed with our key.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.split_once('\n') {
        None => sent(&text.replace("$T", &GOOD[0]).replace("$O", &GOOD[1])),
        Some((header, claims)) => made(header, claims),
    }
}

fn sent(text: &str) {
    let Ok(token) = UnverifiedToken::parse(text) else { return };
    let _ = (token.claims_unverified(), token.payload_unverified());
    for (authority, keys, good) in [(&*REFRESH, &KEYS.mac, &GOOD[0]), (&*COMBINED, &KEYS.signing, &GOOD[1])] {
        let verified = token.verify(keys, authority, T0);
        assert!(verified.is_err() || text == good, "{text} verifies, and nobody signed it");
        assert!(text != good || verified.is_ok());
    }
}

fn made(header: &str, claims: &str) {
    let signed = format!("{}.{}", base64url(header), base64url(claims));
    let key = EncodingKey::from_secret(&[1; 32]);
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    let text = format!("{signed}.{signature}");
    let Ok(token) = UnverifiedToken::parse(&text) else { return };
    let verified = token.verify(&KEYS.mac, &REFRESH, T0);
    assert!(token.verify(&KEYS.signing, &COMBINED, T0).is_err(), "a MAC stands in for a signature");
    let Ok(verified) = verified else { return };
    let header: Value = serde_json::from_str(header).unwrap();
    assert_eq!(header["alg"], "HS256");
    assert_eq!(header["kid"], "m1");
    assert_eq!(header["typ"], REFRESH_TOKEN_TYPE);
    assert!(verified.exp > T0.secs() && verified.nbf.is_none_or(|nbf| nbf <= T0.secs()));
    assert_eq!((verified.iss.as_str(), verified.aud.as_str()), ("uniqos", "uniqos"));
    assert!(verified.generation < u32::MAX && verified.sid.opened_at() >= Timestamp::from_millis(1));
    let again = sign(&verified, TokenForm::Refresh, &KEYS).unwrap();
    if again.len() <= rondo_shared::token::TOKEN_MAX_BYTES {
        let again = UnverifiedToken::parse(&again).unwrap().verify(&KEYS.mac, &REFRESH, T0);
        assert_eq!(again, Ok(verified), "what we sign verifies to the same claims");
    }
}

/// Base64url without padding (RFC 4648 §5).
fn base64url(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        encoded.extend((0..=chunk.len()).map(|n| char::from(ALPHABET[bits >> (18 - 6 * n) & 63])));
    }
    encoded
}
