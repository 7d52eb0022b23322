//! The token codec: what verifies is what was signed with our keys, and says the same signed again.

use std::sync::LazyLock;

use rondo_shared::keyring::ProductKeys;
use rondo_shared::moment::Timestamp;
use rondo_shared::token::{REFRESH_TOKEN_TYPE, TokenAuthority, TokenForm, UnverifiedToken};
use serde_json::Value;

use crate::ring::{self, T0};

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
    let text = ring::signed(header, claims, "uniqos", "mac");
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
    let again = ring::signed(&header.to_string(), &serde_json::to_string(&verified).unwrap(), "uniqos", "mac");
    if again.len() <= rondo_shared::token::TOKEN_MAX_BYTES {
        let again = UnverifiedToken::parse(&again).unwrap().verify(&KEYS.mac, &REFRESH, T0);
        assert_eq!(again, Ok(verified), "what was read is what is written");
    }
}
