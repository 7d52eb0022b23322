//! The keys, the clock and the good tokens that all targets share.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use rondo_shared::keyring::ProductKeys;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::token::{self, Claims, TokenAuthority};
use rondo_tests::T0;
use rondo_tests::world::keyring_document;
use serde_json::{Value, json};
use ulid::Ulid;

/// When tokens are good: far beyond what a run's executions, a second each, come to.
const FOREVER_SECS: i64 = 200_000_000_000;

/// The products whose keys are in the ring.
pub const PRODUCTS: [&str; 4] = ["uniqos", "dreadnode", "elastic", "replyke"];

/// A ring with keys of its own for each product, all named alike: one of them RSA (RFC 7515, appendix A.2).
pub fn document() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut document = keyring_document();
        let keys = document["products"]["uniqos"].clone();
        let rsa: Value = serde_json::from_str(include_str!("../../../shared/src/keyring/rfc7515_a2.json")).unwrap();
        for (product, k) in PRODUCTS.iter().zip(["AQ", "Ag", "Aw", "BA"]) {
            document["products"][product] = keys.clone();
            document["products"][product]["mac"][0]["jwk"]["k"] = json!(format!("{k}{}E", &"EBAQ".repeat(11)[..40]));
        }
        let key = json!({"kid": "r1", "state": "retired", "published_at": "2026-11-01T00:00:00Z", "jwk": rsa});
        document["products"]["uniqos"]["signing"].as_array_mut().unwrap().push(key);
        document.to_string()
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
    let product = tenant.split(':').next().unwrap();
    let claims: Claims = serde_json::from_value(claims(tenant, authority)).unwrap();
    token::sign(&claims, authority.form, &keys(product)).unwrap()
}
