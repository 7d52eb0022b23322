//! Keys that the attacker names, brings along, or has because they are public.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use rondo_tests::world::PUBLIC_KEY;
use serde_json::{Value, json};

use super::{Stage, TENANTS, changed, named, on_every_product};

/// A token of any header and claims, by HMAC under any secret.
fn hs256(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let key = EncodingKey::from_secret(secret);
    format!("{signed}.{}", jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap())
}

/// Every form in which somebody may take the published keys for a secret.
fn public_keys_as_secrets() -> Vec<(&'static str, Vec<u8>)> {
    let raw = URL_SAFE_NO_PAD.decode(PUBLIC_KEY).unwrap();
    // SubjectPublicKeyInfo (RFC 8410 §4).
    let der = [[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00].as_slice(), &raw].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
    let rsa: Value = serde_json::from_str(include_str!("../../../shared/src/keyring/rfc7515_a2.json")).unwrap();
    let n = rsa["n"].as_str().unwrap();
    vec![
        ("the bytes", raw),
        ("the base64url", PUBLIC_KEY.as_bytes().to_vec()),
        ("the DER", der),
        ("the PEM without its last line break", pem.trim_end().as_bytes().to_vec()),
        ("the PEM", pem.into_bytes()),
        ("the JWK", format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{PUBLIC_KEY}"}}"#).into_bytes()),
        ("the RSA modulus", URL_SAFE_NO_PAD.decode(n).unwrap()),
        ("the RSA modulus in base64url", n.as_bytes().to_vec()),
        ("nothing", Vec::new()),
        ("a zero", vec![0; 32]),
    ]
}

/// RFC 8725 §2.1 and §3.1: an asymmetric key's public half as an HMAC secret; CVE-2016-5431 and its many successors.
#[tokio::test]
async fn no_public_key_is_a_secret() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let mut tokens = Vec::new();
        for (what, secret) in public_keys_as_secrets() {
            for (alg, kid) in [("HS256", "s1"), ("HS256", "r1"), ("HS256", "m1"), ("EdDSA", "s1"), ("RS256", "r1")] {
                let header = changed(target.header(), &json!({"alg": alg, "kid": kid}));
                let token = hs256(&header, &target.claims(), &secret);
                tokens.push((format!("{what} as {kid}, said to be {alg}"), token));
            }
        }
        tokens
    })
    .await;
}

/// RFC 8725 §3.1: the algorithm is the key's. Every other name under our own, right key.
#[tokio::test]
async fn no_algorithm_counts_but_the_keys_own() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let own = target.header()["alg"].clone();
        let names = [
            "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS512", "ES256", "ES256K", "EdDSA",
            "Ed25519", "eddsa", "hs256", "HS256 ", "RSA-OAEP", "dir", "A256GCM", "HS-256",
        ];
        named(names.iter().filter(|name| own != **name).map(|name| (name, target.with_header(&json!({"alg": name})))))
    })
    .await;
}

/// RFC 8725 §3.10: `kid` is no path, no query and no command, and of nothing but text.
#[tokio::test]
async fn no_key_is_found_by_a_name_that_is_not_one() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let names = [
            json!(null),
            json!(""),
            json!("../../../../dev/null"),
            json!("/proc/self/environ"),
            json!("m1' OR '1'='1"),
            json!("m1' UNION SELECT 'k"),
            json!("m1; ls"),
            json!("$(id)"),
            json!("m1\u{0}"),
            json!(" m1"),
            json!("M1"),
            json!("https://attacker.example/keys.json"),
            json!("k".repeat(2_000)),
            json!(1),
            json!(true),
            json!(["m1"]),
            json!({"m1": "m1"}),
        ];
        names
            .into_iter()
            .flat_map(|kid| {
                let header = changed(target.header(), &json!({"kid": kid}));
                let empty = hs256(&header, &target.claims(), &[]);
                [(format!("{kid}, signed by us"), target.with_header(&json!({"kid": kid}))), (kid.to_string(), empty)]
            })
            .collect()
    })
    .await;
}

/// RFC 8725 §3.10 and RFC 7515 §4.1.2 to §4.1.8: a key that the token brings along or points to is not looked at.
#[tokio::test]
async fn no_key_counts_that_a_token_brings_along() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let secret = [9; 32];
        let k = URL_SAFE_NO_PAD.encode(secret);
        let brought = [
            json!({"jwk": {"kty": "oct", "k": k}}),
            json!({"jwk": {"kty": "oct", "k": k, "alg": "HS256", "kid": "m1"}}),
            json!({"jwk": {"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY}}),
            json!({"jku": "https://attacker.example/jwks.json"}),
            json!({"x5u": "https://attacker.example/cert.pem"}),
            json!({"x5c": ["MIIB"]}),
            json!({"x5t": "AAAA", "x5t#S256": "AAAA"}),
        ];
        brought
            .iter()
            .flat_map(|more| [("m1", more), ("s1", more), ("attackers", more)])
            .map(|(kid, more)| {
                let header = changed(changed(target.header(), more), &json!({"kid": kid, "alg": "HS256"}));
                (format!("{kid}, {more}"), hs256(&header, &target.claims(), &secret))
            })
            .collect()
    })
    .await;
}

/// The other side of the last: what a token that we signed points to is not fetched, and changes nothing.
#[tokio::test]
async fn what_a_good_token_points_to_is_ignored() {
    let stage = Stage::new().await;
    for tenant in TENANTS {
        let good = stage.open(tenant).await;
        let header =
            changed(super::part(&good, 0), &json!({"jku": "https://127.0.0.1:1/", "x5u": "https://127.0.0.1:1/"}));
        let pointing = stage.made(tenant, &header.to_string(), &super::part(&good, 1).to_string());
        assert_eq!(stage.present(tenant, &pointing).await.status, 200, "{tenant}");
    }
}

/// RFC 8725 §3.8, §3.9 and §3.12: a token of one product or project is nothing to another, though all were given one
/// key; and a session at home goes on.
#[tokio::test]
async fn a_token_of_one_product_or_project_is_nothing_to_another_even_under_one_key() {
    for stage in [Stage::new().await, Stage::with_one_key_for_all().await] {
        let mut tokens = Vec::new();
        for tenant in TENANTS {
            tokens.push((tenant, stage.open(tenant).await));
        }
        for (home, token) in &tokens {
            for elsewhere in TENANTS.into_iter().filter(|tenant| tenant != home) {
                stage.present(elsewhere, token).await.assert_refused(&format!("{home}'s token at {elsewhere}"));
            }
            assert_eq!(stage.present(home, token).await.status, 200, "{home}");
        }
    }
}

/// RFC 8725 §3.11: an access token is no refresh token, nor is any other token of ours under another `typ`.
#[tokio::test]
async fn no_token_of_another_type_is_a_refresh_token() {
    let stage = Stage::with_one_key_for_all().await;
    on_every_product(&stage, |target| {
        let own = target.header()["typ"].clone();
        let types =
            ["rt+jwt", "at+jwt", "JWT", "jwt", "application/rt+jwt", "secevent+jwt", "logout+jwt", "RT+JWT", ""];
        let mut tokens =
            named(types.iter().filter(|typ| own != **typ).map(|typ| (typ, target.with_header(&json!({"typ": typ})))));
        tokens.push(("no typ".to_owned(), target.with_header(&json!({"typ": null}))));
        // As an access token is made: by the signing key, for the same issuer.
        let header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "s1"});
        let claims = changed(target.claims(), &json!({"gen": null, "gid": null, "session_exp": null, "aud": "api"}));
        tokens.push((
            "an access token".to_owned(),
            target.stage.made("elastic", &header.to_string(), &claims.to_string()),
        ));
        tokens
    })
    .await;
}
