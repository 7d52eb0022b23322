//! The keys, the clock and the good tokens that all targets share.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use rondo_shared::keyring::{Key, ProductKeys};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::token::TokenAuthority;
use serde_json::{Map, Value, json};
use ulid::Ulid;

/// When the first execution is: 2026-11-22T10:00:00Z.
pub const T0: Timestamp = Timestamp::from_millis(1_795_341_600_000);
/// When tokens are good: far beyond what a run's executions, a second each, come to.
const FOREVER_SECS: i64 = 200_000_000_000;

/// The products whose keys are in the ring.
pub const PRODUCTS: [&str; 4] = ["uniqos", "dreadnode", "elastic", "replyke"];

/// A ring with keys of its own for each product, all named alike: one of them RSA (RFC 7515, appendix A.2), the others'
/// pair that of RFC 8037, appendix A.
pub fn document() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let rsa: Value = serde_json::from_str(include_str!("../../../shared/src/keyring/rfc7515_a2.json")).unwrap();
        let pair = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                          "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"});
        let key = |kid: &str, state: &str, jwk: &Value| {
            json!({"kid": kid, "state": state, "published_at": "2026-11-01T00:00:00Z", "jwk": jwk})
        };
        let products: Map<String, Value> = PRODUCTS
            .iter()
            .zip(["AQ", "Ag", "Aw", "BA"])
            .map(|(product, first)| {
                let mac = json!({"kty": "oct", "k": format!("{first}{}E", &"EBAQ".repeat(11)[..40])});
                let signing = [key("s1", "active", &pair), key("s0", "retired", &pair), key("r1", "retired", &rsa)];
                ((*product).to_owned(), json!({"signing": signing, "mac": [key("m1", "active", &mac)]}))
            })
            .collect();
        json!({"version": 1, "products": products}).to_string()
    })
}

/// The ring as a file, for what reads it from one.
pub fn file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("rondo-fuzz-{}.json", std::process::id()));
        std::fs::write(&path, document()).unwrap();
        path
    })
}

/// A product's keys.
pub fn keys(product: &str) -> ProductKeys {
    ProductKeys::parse(document(), product).unwrap()
}

/// A moment a second after the last one, so that no address' bucket ever fills.
pub fn next_moment() -> Moment {
    static SECONDS: AtomicI64 = AtomicI64::new(0);
    let seconds = SECONDS.fetch_add(1, Ordering::Relaxed);
    let mut entropy = [0; 80];
    entropy[..8].copy_from_slice(&seconds.to_be_bytes());
    Moment::from_parts(Timestamp::from_secs(T0.secs() + seconds), &entropy)
}

/// What a good token of a tenant says.
pub fn claims(tenant: &str, authority: &TokenAuthority) -> Value {
    json!({"iss": authority.issuer, "aud": authority.audience, "sub": "user-1", "exp": FOREVER_SECS, "iat": T0.secs(),
           "jti": "j", "sid": Ulid::from_parts(1_795_341_600_000, 7).to_string(), "gen": 3, "gid": "g", "ten": tenant,
           "org": "acme", "session_exp": FOREVER_SECS})
}

/// A good token of a tenant.
pub fn good_token(tenant: &str, authority: &TokenAuthority) -> String {
    let keys = keys(tenant.split(':').next().unwrap());
    let key = authority.form.keys(&keys).active();
    let header = json!({"typ": authority.form.typ(), "alg": format!("{:?}", key.algorithm()), "kid": key.kid()});
    signed(&header.to_string(), &claims(tenant, authority).to_string(), key)
}

/// Any two texts as a token's header and claims, signed with a key of ours.
pub fn signed(header: &str, claims: &str, key: &Key) -> String {
    let signed = format!("{}.{}", base64url(header), base64url(claims));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key.encoding(), key.algorithm()).unwrap();
    format!("{signed}.{signature}")
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
