//! Input that nobody honest sends: each gets a declared answer, none a panic, and what does not verify costs no store
//! call.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rondo_shared::wire::Event;
use rondo_tests::Gateway;
use serde_json::{Value, json};
use world::{
    CONSOLE, PASSWORD, T0, World, active_key, authorized, bearer, changed, claims_of, event, from_address, good_header,
    header_of, retired_key, secs, signed,
};

#[tokio::test]
async fn a_token_that_is_not_ours_to_refresh_is_refused_without_asking_the_store() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let claims = claims_of(&good);
    let (signed_part, signature) = good.rsplit_once('.').unwrap();
    let payload = good.split('.').nth(1).unwrap();
    let header = |changes: Value| signed(&changed(&good_header(), &changes), &claims, &active_key());
    let with = |changes: Value| signed(&good_header(), &changed(&claims, &changes), &active_key());
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = part(json!({"alg": "none", "typ": "at+jwt", "kid": "e1"}));
    let public = active_key().verifying_key();
    for (n, (what, token)) in (0..).zip([
        ("alg none, no signature", format!("{unsigned}.{payload}.")),
        ("alg none, a signature", format!("{unsigned}.{payload}.{signature}")),
        ("alg none, signed", header(json!({"alg": "none"}))),
        ("no signature", format!("{signed_part}.")),
        ("another signature", format!("{signed_part}.{}", URL_SAFE_NO_PAD.encode([7; 64]))),
        ("a short signature", format!("{signed_part}.AAAA")),
        ("another key", signed(&good_header(), &claims, &SigningKey::from_bytes(&[9; 32]))),
        ("the retired key under the active name", signed(&good_header(), &claims, &retired_key())),
        ("an unknown kid", header(json!({"kid": "e9"}))),
        ("no kid", header(json!({"kid": null}))),
        ("a kid that is a number", header(json!({"kid": 1}))),
        ("the kid of a MAC key", header(json!({"kid": "em1"}))),
        ("alg HS256 under a signing key", header(json!({"alg": "HS256"}))),
        ("alg eddsa", header(json!({"alg": "eddsa"}))),
        ("no alg", header(json!({"alg": null}))),
        (
            "the public key as a MAC key",
            hs256(&json!({"typ": "at+jwt", "alg": "HS256", "kid": "e1"}), &claims, public.as_bytes()),
        ),
        ("a MAC key's own token", hs256(&json!({"typ": "rt+jwt", "alg": "HS256", "kid": "em1"}), &claims, &[5; 32])),
        ("typ JWT", header(json!({"typ": "JWT"}))),
        ("typ rt+jwt", header(json!({"typ": "rt+jwt"}))),
        ("no typ", header(json!({"typ": null}))),
        ("another tenant", with(json!({"ten": "another"}))),
        ("a project of the tenant", with(json!({"ten": "elastic:project"}))),
        ("another issuer", with(json!({"iss": "https://elsewhere.test"}))),
        ("another audience", with(json!({"aud": "https://elsewhere.test"}))),
        ("the issuer as its audience", with(json!({"aud": "elastic"}))),
        ("not yet valid", with(json!({"nbf": secs(9_999).secs()}))),
        ("expired", with(json!({"exp": secs(-1).secs()}))),
        ("expiring this second", with(json!({"exp": T0.secs()}))),
        ("no expiry", with(json!({"exp": null}))),
        ("an access token without a family", with(json!({"sid": null}))),
        ("an access token without a generation", with(json!({"gen": null, "gid": null}))),
        ("a negative generation", with(json!({"gen": -1}))),
        ("a generation over all bounds", with(json!({"gen": 4_294_967_295_u64}))),
        ("a family that is none", with(json!({"sid": "a#b"}))),
        ("no user", with(json!({"sub": ""}))),
        ("an endless user", with(json!({"sub": "u".repeat(1_000)}))),
        ("four parts", format!("{good}.x")),
        ("two parts", signed_part.to_owned()),
        ("padding", format!("{good}=")),
        ("brackets", "[".repeat(4_000)),
    ]) {
        let answer = world.send(from_address(bearer(&token), &format!("198.51.100.{n}")), T0).await;
        answer.assert_unauthorized();
        assert_eq!(answer.line.usage.calls, 0, "{what}");
        let shown = format!("{answer:?} {}", answer.body());
        let parts = token.split('.').filter(|part| part.len() > 8);
        assert!(parts.into_iter().all(|part| !shown.contains(part)), "{what}");
    }
    assert!(header_of(&good)["kid"] == "e1");
    world.refresh(&good, secs(1)).await.ok();
}

#[tokio::test]
async fn a_generation_that_was_never_minted_ends_the_family_that_it_claims() {
    for generation in [1, 7, u32::MAX - 1] {
        let world = World::new().await;
        let good = world.open(T0).await;
        let ahead = signed(&good_header(), &changed(&claims_of(&good), &json!({"gen": generation})), &active_key());
        let answer = world.refresh(&ahead, secs(1)).await;
        answer.assert_unauthorized();
        assert_eq!(answer.line.cause, Some("unknown_generation"));
        world.refresh(&good, secs(2)).await.assert_unauthorized();
    }
}

#[tokio::test]
async fn neither_answers_nor_the_log_give_away_what_was_presented() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let ok = world.refresh(&token, secs(1)).await;
    let newest = ok.ok();
    for shown in [format!("{:?}", ok.line), format!("{:?}", world.app)] {
        for secret in [&token, &newest, claims_of(&newest)["gid"].as_str().unwrap()] {
            assert!(!shown.contains(secret));
        }
        assert!(!shown.contains(&URL_SAFE_NO_PAD.encode(active_key().to_bytes())));
    }
    assert!(!ok.body().contains(&token));
}

/// What somebody does to a token that is not theirs to make.
#[derive(Clone, Debug)]
enum Mutation {
    FlipBit { at: prop::sample::Index, bit: u8 },
    Drop(usize),
    Swap(usize, usize),
    Cut(prop::sample::Index),
    Insert { at: prop::sample::Index, what: String },
    Replace { part: usize, with: String },
}

fn mutations() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<prop::sample::Index>(), 0..7_u8).prop_map(|(at, bit)| Mutation::FlipBit { at, bit }),
        1 => (0..3_usize).prop_map(Mutation::Drop),
        1 => (0..3_usize, 0..3_usize).prop_map(|(a, b)| Mutation::Swap(a, b)),
        1 => any::<prop::sample::Index>().prop_map(Mutation::Cut),
        1 => (any::<prop::sample::Index>(), "[A-Za-z0-9._-]{1,8}").prop_map(|(at, what)| Mutation::Insert { at, what }),
        1 => (0..3_usize, "[A-Za-z0-9_-]{0,60}").prop_map(|(part, with)| Mutation::Replace { part, with }),
    ]
}

fn mutated(token: &str, mutation: &Mutation) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut bytes = token.as_bytes().to_vec();
    match mutation {
        Mutation::FlipBit { at, bit } => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            return String::from_utf8(bytes).unwrap();
        }
        Mutation::Cut(at) => return token[..at.index(token.len())].to_owned(),
        Mutation::Insert { at, what } => {
            let mut token = token.to_owned();
            token.insert_str(at.index(token.len()), what);
            return token;
        }
        Mutation::Drop(part) => drop(parts.remove(*part)),
        Mutation::Swap(a, b) => parts.swap(*a, *b),
        Mutation::Replace { part, with } => parts[*part].clone_from(with),
    }
    parts.join(".")
}

/// Any `Authorization`.
#[derive(Clone, Debug)]
enum Sent {
    Mutated(Mutation),
    Basic(Vec<u8>),
    Login(String, String),
    Text(String),
    Schemed(String, String),
    Odd(Value),
    Nothing,
}

fn authorizations() -> impl Strategy<Value = Sent> {
    let scheme = prop::sample::select(vec!["Bearer", "Basic", "ApiKey", "bearer", "basic", "", " "]);
    let odd =
        prop::sample::select(vec![json!(null), json!(5), json!(["Bearer x"]), json!({"Bearer": "x"}), json!(true)]);
    prop_oneof![
        4 => mutations().prop_map(Sent::Mutated),
        2 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Sent::Basic),
        1 => ("[a-z:#]{0,12}", any::<String>()).prop_map(|(name, password)| Sent::Login(name, password)),
        2 => any::<String>().prop_map(Sent::Text),
        2 => (scheme, any::<String>()).prop_map(|(scheme, rest)| Sent::Schemed(scheme.to_owned(), rest)),
        1 => odd.prop_map(Sent::Odd),
        1 => Just(Sent::Nothing),
    ]
}

fn events() -> impl Strategy<Value = (Value, Sent)> {
    let method = prop_oneof![
        6 => Just("POST".to_owned()),
        2 => prop::sample::select(vec!["OPTIONS", "GET", "HEAD", "TRACE", "CONNECT", "post"]).prop_map(str::to_owned),
        1 => "[A-Z]{1,12}",
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "Origin",
            "sec-fetch-site",
            "content-type",
            "host",
            "x-forwarded-for",
            "user-agent",
            "x-rondo-front-door",
            "x-forwarded-proto",
            "Cookie",
            "content-length"
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let value =
        prop_oneof![3 => any::<String>().prop_map(Value::from), 1 => Just(json!(CONSOLE)), 1 => Just(Value::Null)];
    let body = prop_oneof![Just(Value::Null), any::<String>().prop_map(Value::from), Just(json!("{}"))];
    let headers = prop::collection::hash_map(name, value, 0..5);
    let whole = (method, headers, body, any::<bool>(), any::<String>(), any::<String>(), any::<[u8; 4]>());
    (whole, authorizations()).prop_map(|(whole, sent)| {
        let (method, headers, body, base64, path, query, ip) = whole;
        let mut event = event(json!({"headers": headers, "body": body, "isBase64Encoded": base64}));
        (event["rawPath"], event["rawQueryString"]) = (json!(path), json!(query));
        let http = &mut event["requestContext"]["http"];
        (http["method"], http["path"]) = (json!(method), json!(path));
        http["sourceIp"] = json!(std::net::Ipv4Addr::from(ip).to_string());
        (event, sent)
    })
}

#[test]
fn whatever_is_sent_gets_a_declared_answer_and_no_mutated_token_is_ever_good() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (world, token) = runtime.block_on(async {
        let world = World::new().await;
        let token = world.open(T0).await;
        (world, token)
    });
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let gateways = prop::sample::select(Gateway::ALL.to_vec());
    let ran = runner.run(&(events(), gateways), |((mut event, sent), gateway)| {
        let mut presented = None;
        match sent {
            Sent::Mutated(mutation) => {
                let mutated = mutated(&token, &mutation);
                event["headers"]["authorization"] = json!(format!("Bearer {mutated}"));
                presented = Some(mutated);
            }
            Sent::Basic(bytes) => {
                event["headers"]["authorization"] = json!(format!("Basic {}", STANDARD.encode(bytes)));
            }
            Sent::Login(name, password) => {
                event["headers"]["authorization"] =
                    json!(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))));
            }
            Sent::Text(text) => event["headers"]["authorization"] = json!(text),
            Sent::Schemed(scheme, rest) => event["headers"]["authorization"] = json!(format!("{scheme} {rest}")),
            Sent::Odd(value) => event["headers"]["authorization"] = value,
            Sent::Nothing => {}
        }
        let is_post = event["requestContext"]["http"]["method"] == "POST";
        let event = gateway.event(&event);
        if Event::from_json(&event.to_string()).is_err() {
            return Ok(());
        }
        // What holds for every answer is asserted where it is received.
        let answer = runtime.block_on(world.send(event.clone(), secs(1)));
        let is_the_token = presented.as_ref().is_some_and(|presented| *presented == token);
        prop_assert!(answer.status != 200 || is_the_token, "{}: {event}", answer.status);
        prop_assert!(!is_post || is_the_token || matches!(answer.status, 401 | 429), "{}: {event}", answer.status);
        Ok(())
    });
    ran.unwrap();
}

#[tokio::test]
async fn an_event_full_of_oddities_is_answered() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let mut event = authorized(&format!("Bearer {token}"));
    event["headers"]["b\u{e9}d"] = json!("x");
    event["headers"]["user-agent"] = json!("Jos\u{e9}\n\u{0}");
    event["headers"]["x-forwarded-for"] = json!("203.0.113.1, not an address");
    event["cookies"] = json!(["a=\u{1F36A}", PASSWORD]);
    event["rawPath"] = json!("//[ \u{0}");
    world.send(event, secs(1)).await.ok();
}

/// A token signed by HMAC, as somebody makes it who takes a public key for a secret.
fn hs256(header: &Value, claims: &Value, key: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = jsonwebtoken::EncodingKey::from_secret(key);
    let mac = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{signed}.{mac}")
}
