//! The keys, the clock and the good tokens that all targets share.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::token::{TokenAuthority, TokenForm};
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
    let (kind, alg, kid) =
        if authority.form == TokenForm::Combined { ("signing", "EdDSA", "s1") } else { ("mac", "HS256", "m1") };
    let header = json!({"typ": authority.form.typ(), "alg": alg, "kid": kid});
    signed(&header.to_string(), &claims(tenant, authority).to_string(), tenant, kind)
}

/// Any two texts as a token's header and claims, signed with the active key of a tenant's product.
pub fn signed(header: &str, claims: &str, tenant: &str, kind: &str) -> String {
    static RING: OnceLock<Value> = OnceLock::new();
    let ring = RING.get_or_init(|| serde_json::from_str(document()).unwrap());
    let product = tenant.split(':').next().unwrap();
    let (key, algorithm) = signing_half(&ring["products"][product][kind][0]["jwk"]);
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, algorithm).unwrap();
    format!("{signed}.{signature}")
}

/// What signs with the key that a keyring holds as this JWK, and for which algorithm.
fn signing_half(jwk: &Value) -> (EncodingKey, Algorithm) {
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    if jwk["kty"] == "oct" {
        return (EncodingKey::from_secret(&bytes("k")), Algorithm::HS256);
    }
    // PKCS#8 (RFC 8410 §7): a fixed start, and the key.
    let start = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    (EncodingKey::from_ed_der(&[start.as_slice(), &bytes("d")].concat()), Algorithm::EdDSA)
}
