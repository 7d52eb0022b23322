//! Input that nobody honest sends: each gets the contract's answer, none a panic, and what does not verify costs no
//! store call.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod forge;

use forge::{ACTIVE_MAC_KEY, RETIRED_MAC_KEY, base64url, claims_of, good_header, signed, with_claims, with_header};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rondo_shared::token::UnverifiedToken;
use rondo_shared::wire::Event;
use rondo_tests::world::{PUBLIC_KEY, event, keyring_document, keys, moment, refresh_event};
use rondo_tests::{Answer, Gateway, T0, World, secs};
use serde_json::{Value, json};
use ulid::Ulid;

const SECRET_KEYS: [&str; 3] = [
    "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
];

fn with_body(token: &str, body: &str) -> Value {
    let mut event = refresh_event(token);
    event["body"] = json!(body);
    event
}

/// That nothing about the answer or the log gives away what was presented, or what it was signed with.
#[track_caller]
fn assert_tells_no_secrets(answer: &Answer, presented: &str, what: &str) {
    let headers: Vec<_> =
        answer.response.headers().iter().filter(|(name, _)| answer.status != 200 || *name != "set-cookie").collect();
    let body = String::from_utf8_lossy(answer.response.body().as_ref());
    let told = format!("{headers:?} {body} {:?}", answer.line);
    assert!(!told.contains(presented), "{what}: the token");
    for part in presented.split('.').filter(|part| part.len() > 8) {
        assert!(!told.contains(part), "{what}: a part of the token");
    }
    if presented.matches('.').count() == 2 {
        let gid = claims_of(presented)["gid"].as_str().unwrap_or("no gid").to_owned();
        assert!(!told.contains(&gid), "{what}: the gid");
    }
    for key in SECRET_KEYS {
        assert!(!told.contains(key), "{what}: a key");
    }
}

#[test]
fn the_forge_makes_what_the_rfcs_say() {
    // RFC 4231, test case 2.
    let mac = forge::hmac_sha256(b"Jefe", b"what do ya want for nothing?");
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
    assert_eq!(forge::from_base64url(&base64url(&[251, 255, 0, 7])), [251, 255, 0, 7]);
}

#[tokio::test]
async fn a_token_signed_with_the_active_or_a_retired_key_is_ours_however_it_was_made() {
    for (kid, key) in [("m1", ACTIVE_MAC_KEY), ("m0", RETIRED_MAC_KEY)] {
        let world = World::new().await;
        let claims = claims_of(&world.open(T0).await);
        let made = signed(&json!({"typ": "rt+jwt", "alg": "HS256", "kid": kid}), &claims, &key);
        world.refresh(&made, secs(1)).await.ok();
    }
}

#[tokio::test]
async fn a_token_that_is_not_a_refresh_token_of_ours_is_refused_without_asking_the_store() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let claims = claims_of(&good);
    let access = world.refresh(&world.open(T0).await, T0).await.json()["access_token"].as_str().unwrap().to_owned();
    let (signed_part, _) = good.rsplit_once('.').unwrap();
    let header = |changes: Value| with_header(&good, &changes);
    let unsigned = base64url(json!({"alg": "none", "typ": "rt+jwt", "kid": "m1"}).to_string().as_bytes());
    let (_, payload_and_signature) = good.split_once('.').unwrap();
    let public_key = forge::from_base64url(PUBLIC_KEY);
    let forged: Vec<(&str, String)> = vec![
        ("alg none, no signature", format!("{unsigned}.{}.", payload_and_signature.split('.').next().unwrap())),
        ("alg none, a signature", format!("{unsigned}.{payload_and_signature}")),
        ("alg none, signed", header(json!({"alg": "none"}))),
        ("no signature", format!("{signed_part}.")),
        ("another signature", format!("{signed_part}.{}", base64url(&[7; 32]))),
        ("a short signature", format!("{signed_part}.AAAA")),
        ("the last character cut off", good[..good.len() - 1].to_owned()),
        ("the last character exchanged", format!("{}_", &good[..good.len() - 1])),
        ("a character too many", format!("{good}A")),
        ("a header that no library reads", header(json!({"cty": 5}))),
        ("another key", signed(&good_header(), &claims, &[9; 32])),
        ("the empty key", signed(&good_header(), &claims, &[])),
        ("the retired key under the active name", signed(&good_header(), &claims, &RETIRED_MAC_KEY)),
        ("an unknown kid", header(json!({"kid": "m9"}))),
        ("no kid", header(json!({"kid": null}))),
        ("a kid that is a number", header(json!({"kid": 1}))),
        ("a kid that is a path", header(json!({"kid": "../../dev/null"}))),
        ("the kid of a signing key", header(json!({"kid": "s1"}))),
        ("alg EdDSA under a MAC key", header(json!({"alg": "EdDSA"}))),
        ("alg HS512 under a MAC key", header(json!({"alg": "HS512"}))),
        ("alg RS256 under a MAC key", header(json!({"alg": "RS256"}))),
        ("alg hs256", header(json!({"alg": "hs256"}))),
        ("no alg", header(json!({"alg": null}))),
        (
            "the public key as a MAC key",
            signed(&json!({"typ": "rt+jwt", "alg": "HS256", "kid": "s1"}), &claims, &public_key),
        ),
        ("typ JWT", header(json!({"typ": "JWT"}))),
        ("typ at+jwt", header(json!({"typ": "at+jwt"}))),
        ("no typ", header(json!({"typ": null}))),
        ("an access token", access),
        ("another product's token", with_claims(&good, &json!({"ten": "dreadnode"}))),
        ("another tenant's token", with_claims(&good, &json!({"ten": "uniqos:project"}))),
        ("another issuer", with_claims(&good, &json!({"iss": "https://elsewhere.test"}))),
        ("another audience", with_claims(&good, &json!({"aud": "https://elsewhere.test"}))),
        ("no issuer", with_claims(&good, &json!({"iss": null}))),
        ("not yet valid", with_claims(&good, &json!({"nbf": secs(9_999_999).secs()}))),
        ("expired", with_claims(&good, &json!({"exp": secs(-1).secs()}))),
        ("expiring this second", with_claims(&good, &json!({"exp": T0.secs()}))),
        ("no expiry", with_claims(&good, &json!({"exp": null}))),
        ("no family", with_claims(&good, &json!({"sid": null}))),
        ("no generation", with_claims(&good, &json!({"gen": null}))),
        ("a negative generation", with_claims(&good, &json!({"gen": -1}))),
        ("a generation over all bounds", with_claims(&good, &json!({"gen": 4_294_967_296_u64}))),
        ("a family that is none", with_claims(&good, &json!({"sid": "a#b"}))),
        ("no user", with_claims(&good, &json!({"sub": ""}))),
        ("an endless user", with_claims(&good, &json!({"sub": "u".repeat(2_000)}))),
    ];
    for (n, (what, token)) in (0_i64..).zip(&forged) {
        let mut sent = refresh_event(token);
        sent["requestContext"]["http"]["sourceIp"] = json!(format!("198.51.100.{n}"));
        let answer = world.send(sent, T0).await;
        answer.assert_error(401, "authentication_error", what);
        assert_eq!(answer.line.usage.calls, 0, "{what}");
        assert_tells_no_secrets(&answer, token, what);
    }
    assert_eq!(world.refresh(&good, secs(1)).await.status, 200, "the session itself lives on");
}

#[tokio::test]
async fn no_bit_of_a_token_can_be_changed() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let mut second = 0;
    for at in 0..good.len() {
        for bit in 0..7 {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            second += 1;
            let answer = world.refresh(&String::from_utf8(bytes).unwrap(), secs(second)).await;
            assert!(matches!(answer.status, 401 | 422), "byte {at}, bit {bit}: {}", answer.status);
            assert_eq!(answer.line.usage.calls, 0, "byte {at}, bit {bit}");
        }
    }
    world.refresh(&good, secs(second)).await.ok();
}

#[tokio::test]
async fn a_generation_that_was_never_minted_ends_the_family_that_it_claims() {
    for generation in [1, 7, u32::MAX - 1, u32::MAX] {
        let world = World::new().await;
        let good = world.open(T0).await;
        let ahead = with_claims(&good, &json!({"gen": generation}));
        let answer = world.refresh(&ahead, secs(1)).await;
        answer.assert_error(401, "authentication_error", &generation.to_string());
        assert_tells_no_secrets(&answer, &ahead, &generation.to_string());
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_object_get_their_errors_and_rotate_nothing() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let binary = |base64: &str| {
        let mut event = with_body(&good, base64);
        event["isBase64Encoded"] = json!(true);
        event
    };
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let malformed = (400, "validation_error");
    for (n, (what, event, expected)) in (0_i64..).zip([
        ("invalid UTF-8", binary("//4="), malformed),
        ("said to be base64, and is not", binary("%%%"), malformed),
        ("broken JSON", with_body(&good, "{\"a\":"), malformed),
        ("opening brackets", with_body(&good, &"[".repeat(100_000)), malformed),
        ("opening braces", with_body(&good, &"{\"a\":".repeat(100_000)), malformed),
        ("a megabyte", with_body(&good, &"x".repeat(1_000_000)), malformed),
        ("a megabyte of object", with_body(&good, &format!("{{\"a\":\"{}\"}}", "x".repeat(1_000_000))), malformed),
        ("a NUL", with_body(&good, "\0"), malformed),
        ("an array", with_body(&good, "[]"), (422, "validation_error")),
        ("an array in base64", binary("W10="), (422, "validation_error")),
        ("null in base64", binary("bnVsbA=="), (422, "validation_error")),
    ]) {
        let answer = world.send(event, secs(10 * n)).await;
        answer.assert_error(expected.0, expected.1, what);
        assert_eq!(answer.header("set-cookie"), None, "{what}");
        assert_tells_no_secrets(&answer, &good, what);
    }
    let answer = world.send(with_body(&good, &nested), secs(200)).await;
    assert!(matches!(answer.status, 400 | 422), "{}", answer.json());
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000"]);
    world.refresh(&good, secs(300)).await.ok();
}

#[tokio::test]
async fn neither_answers_nor_the_log_give_a_token_away() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let ok = world.refresh(&token, secs(1)).await;
    assert_tells_no_secrets(&ok, &token, "200");
    let newest = ok.token().unwrap();
    let body = String::from_utf8_lossy(ok.response.body().as_ref()).into_owned();
    let gid = claims_of(&newest)["gid"].as_str().unwrap().to_owned();
    assert!(!format!("{body} {:?}", ok.line).contains(&gid), "the access token's holder learns no gid");
    assert_eq!(claims_of(ok.json()["access_token"].as_str().unwrap())["gid"], Value::Null);
    assert!(!format!("{:?}", ok.line).contains(&newest));
    assert!(!format!("{:?}", ok.line).contains(ok.json()["access_token"].as_str().unwrap()));

    let mut foreign = refresh_event(&newest);
    foreign["headers"]["origin"] = json!("https://elsewhere.test");
    assert_tells_no_secrets(&world.send(foreign, secs(2)).await, &newest, "403");
    world.faults.queue_for_all_attempts("PutItem", &rondo_tests::Fault::AppliedThenInternalError);
    let failed = world.refresh(&newest, secs(3)).await;
    assert_eq!(failed.status, 500);
    assert_tells_no_secrets(&failed, &newest, "500");
    let reused = world.refresh(&token, secs(100)).await;
    assert_eq!(reused.status, 401);
    assert_tells_no_secrets(&reused, &token, "401");
    for secret in SECRET_KEYS {
        assert!(keyring_document().to_string().contains(secret));
        assert!(!format!("{:?}", world.app).contains(secret));
    }
    let unverified = UnverifiedToken::parse(&newest).unwrap();
    let claims = unverified.verify(&keys().mac, &world.app.policy().authority, secs(3)).unwrap();
    let shown = format!("{unverified:?} {claims:?}");
    assert!(!shown.contains(&newest) && !shown.contains(&gid) && shown.contains("user-1"));
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

/// Any cookie header's value: a mutated token among whatever else.
#[derive(Clone, Debug)]
enum Cookie {
    Mutated(Mutation),
    Text(String),
}

fn events() -> impl Strategy<Value = (Value, Vec<Cookie>, bool, Gateway)> {
    let cookie = prop_oneof![mutations().prop_map(Cookie::Mutated), any::<String>().prop_map(Cookie::Text)];
    let method = prop_oneof![
        5 => Just("POST".to_owned()),
        2 => prop::sample::select(vec!["OPTIONS", "GET", "HEAD", "TRACE", "CONNECT", "post"]).prop_map(str::to_owned),
        1 => "[A-Z]{1,12}",
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "Origin",
            "sec-fetch-site",
            "content-type",
            "Authorization",
            "host",
            "x-forwarded-for",
            "content-length",
            "user-agent",
            "x-rondo-front-door",
            "x-forwarded-proto",
            "accept-encoding",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let value = prop_oneof![3 => any::<String>().prop_map(Value::from), 1 => Just(json!("same-origin")),
        1 => Just(json!("https://app.uniqos.test")), 1 => Just(Value::Null), 1 => any::<i64>().prop_map(Value::from)];
    let body = prop_oneof![
        Just(Value::Null),
        any::<String>().prop_map(Value::from),
        Just(json!("{}")),
        Just(json!("[]")),
        "[A-Za-z0-9+/=]{0,40}".prop_map(Value::from),
    ];
    let path = prop_oneof![Just("/v1/auth/refresh".to_owned()), any::<String>()];
    let headers = prop::collection::hash_map(name, value, 0..5);
    let whole = (method, headers, body, any::<bool>(), path, any::<String>(), any::<[u8; 4]>());
    let gateway = prop::sample::select(Gateway::ALL.to_vec());
    (whole, prop::collection::vec(cookie, 0..4), any::<bool>(), gateway).prop_map(
        |(whole, cookies, in_header, gateway)| {
            let (method, headers, body, base64, path, query, ip) = whole;
            let mut event = event(json!({"headers": headers, "body": body, "isBase64Encoded": base64}));
            (event["rawPath"], event["rawQueryString"]) = (json!(path), json!(query));
            let http = &mut event["requestContext"]["http"];
            (http["method"], http["path"]) = (json!(method), json!(path));
            http["sourceIp"] = json!(std::net::Ipv4Addr::from(ip).to_string());
            (event, cookies, in_header, gateway)
        },
    )
}

#[test]
fn whatever_is_sent_is_answered_from_the_table_and_no_mutated_token_is_ever_good() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let good = runtime.block_on(world.open(T0));
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&events(), |(mut event, sent, in_header, gateway)| {
        let cookies: Vec<String> = sent
            .iter()
            .map(|cookie| match cookie {
                Cookie::Mutated(mutation) => format!("uniqos_refresh={}", mutated(&good, mutation)),
                Cookie::Text(text) => format!("uniqos_refresh={text}"),
            })
            // A mutation may change nothing, or what is split off by the cookie's own syntax.
            .filter(|cookie| !cookie.contains(&good))
            .collect();
        if in_header {
            event["headers"]["cookie"] = json!(cookies.join("; "));
        } else if !cookies.is_empty() {
            event["cookies"] = json!(cookies);
        }
        let request = Event::from_json(&gateway.event(&event).to_string()).expect("an event").into_request();
        let (response, line) = runtime.block_on(uniqos_refresh::handle(&world.app, &moment(secs(1)), &request));
        let answer = Answer { status: response.status().as_u16(), response, line };
        let status = answer.status;
        prop_assert!([204, 400, 401, 403, 405, 409, 422, 429, 500].contains(&status), "{}", status);
        prop_assert!(Ulid::from_string(answer.header("x-request-id").unwrap_or_default()).is_ok());
        prop_assert_eq!(answer.header("cache-control"), Some("no-store"));
        if status >= 400 && event["requestContext"]["http"]["method"] != "HEAD" {
            let body = answer.json();
            prop_assert_eq!(body["error"]["request_id"].as_str(), answer.header("x-request-id"));
        }
        prop_assert_eq!(answer.line.usage.calls, 0);
        let (_, signature) = good.rsplit_once('.').unwrap();
        let told = format!("{:?} {:?}", answer.response, answer.line);
        prop_assert!(!told.contains(&good) && !told.contains(signature));
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(runtime.block_on(world.refresh(&good, secs(2))).status, 200, "the session itself lives on");
}
