//! Input that nobody honest sends: each gets an answer of the contract, none a panic, and what does not verify costs no
//! store call.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rondo_shared::wire::Event;
use rondo_tests::world::moment;
use rondo_tests::{Fault, Gateway, T0, secs};
use serde_json::{Value, json};
use world::{
    Answer, NOBODY, SECRET_KEYS, World, assert_common, assert_says, claims_of, cookie_event, event, from_address,
    invalid, token_event, with_body, with_claims,
};

/// That nothing about the answer or the log gives away what was presented, or what it was signed with.
#[track_caller]
fn assert_tells_no_secrets(answer: &Answer, presented: &str) {
    let told = format!("{:?} {} {:?}", answer.response.headers(), answer.text(), answer.line);
    let (_, signature) = presented.rsplit_once('.').unwrap();
    let gid = claims_of(presented)["gid"].as_str().unwrap().to_owned();
    for secret in [presented, signature, &gid].into_iter().chain(SECRET_KEYS) {
        assert!(!told.contains(secret), "{told}");
    }
}

#[tokio::test]
async fn neither_answers_nor_the_log_give_a_token_away() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for answer in [world.by_cookie(&token, secs(1)).await, world.by_body(&token, secs(1)).await] {
        assert_tells_no_secrets(&answer, &token);
        let access = answer.ok();
        assert!(!format!("{:?}", answer.line).contains(&access));
        assert_eq!(claims_of(&access).get("gid"), None);
    }
    let expired = with_claims(&token, &json!({"exp": 1}));
    assert_tells_no_secrets(&world.by_body(&expired, secs(1)).await, &expired);
    world.faults.queue_for_all_attempts("Query", &Fault::AppliedThenInternalError);
    assert_tells_no_secrets(&world.by_body(&token, secs(1)).await, &token);
    assert!(!format!("{:?}", world.app.policy()).contains(SECRET_KEYS[1]));
}

#[tokio::test]
async fn odd_bodies_are_answered_without_a_panic() {
    let world = World::new().await;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(40_000), close.repeat(40_000));
    let base64 = |text: &str| {
        let mut event = with_body(event(json!({})), text);
        event["isBase64Encoded"] = json!(true);
        event
    };
    let bodies = [
        with_body(event(json!({})), &deep("[", "]")),
        with_body(event(json!({})), &"{\"a\":".repeat(20_000)),
        with_body(event(json!({})), "\0"),
        base64("//4="),
        base64("%%%"),
        with_body(event(json!({})), "{\"refreshToken\":\"\\ud800\"}"),
    ];
    for (n, body) in bodies.into_iter().enumerate() {
        let answer = world.send(from_address(body, &format!("198.51.100.{n}")), T0).await;
        assert_eq!(answer.status, 400, "{n}: {}", answer.text());
        assert_common(&answer);
    }
    let twice = r#"{"refreshToken":"x.y","refreshToken":null}"#;
    assert_says(&world.send(with_body(event(json!({})), twice), T0).await, 200, NOBODY);
    let nul = world.send(token_event(json!("a\u{0}.b\u{1f600}.c")), T0).await;
    assert_says(&nul, 403, &invalid("invalid token"));
}

#[tokio::test]
async fn a_crowd_of_cookies_costs_no_more_than_its_first() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let strays = (0..5_000).map(|n| format!("replyke-refresh-jwt=stray{n}"));
    let crowd: Vec<_> = strays.chain([format!("replyke-refresh-jwt={good}")]).collect();
    let answer = world.send(event(json!({"cookies": crowd})), secs(1)).await;
    assert_says(&answer, 403, &invalid("jwt malformed"));
    assert_eq!(answer.line.usage.calls, 0);
}

/// What somebody does to a token that is not theirs to make.
fn mutated(token: &str, at: usize, bit: u8, kind: u8) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let at = at % bytes.len();
    match kind % 4 {
        0 => bytes[at] ^= 1 << (bit % 7),
        1 => bytes.truncate(at),
        2 => bytes.insert(at, b'0' + bit % 75),
        _ => drop(bytes.remove(at)),
    }
    String::from_utf8(bytes).unwrap()
}

/// Any value for the body's token: a mutated one among whatever else.
fn body_tokens() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!([])),
        Just(json!({"a": []})),
    ]
}

fn events() -> impl Strategy<Value = Value> {
    let method = prop_oneof![
        5 => Just("POST".to_owned()),
        1 => prop::sample::select(vec!["OPTIONS", "GET", "HEAD", "TRACE", "post"]).prop_map(str::to_owned),
        1 => "[A-Z]{1,12}",
    ];
    let name = prop_oneof![
        3 => prop::sample::select(vec![
            "Origin", "sec-fetch-site", "content-type", "Authorization", "host", "x-forwarded-for", "cookie",
            "user-agent", "x-rondo-front-door", "content-length",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let value = prop_oneof![
        3 => any::<String>().prop_map(Value::from),
        1 => Just(json!("application/json")),
        1 => Just(json!(world::APP)),
        1 => Just(json!("same-origin")),
        1 => Just(Value::Null),
        1 => any::<i64>().prop_map(Value::from),
    ];
    let body = prop_oneof![
        1 => Just(Value::Null),
        2 => any::<String>().prop_map(Value::from),
        2 => "[A-Za-z0-9+/=]{0,40}".prop_map(Value::from),
        4 => body_tokens().prop_map(|token| Value::from(json!({"refreshToken": token}).to_string())),
    ];
    let path = prop_oneof![
        2 => Just("/api/v6/project-1/auth/request-new-access-token".to_owned()),
        2 => any::<String>().prop_map(|project| format!("/api/v6/{project}/auth/request-new-access-token")),
        1 => any::<String>(),
    ];
    let headers = prop::collection::hash_map(name, value, 0..5);
    (method, headers, body, any::<bool>(), path, any::<String>(), any::<[u8; 4]>()).prop_map(
        |(method, headers, body, base64, path, query, ip)| {
            let changes = json!({"headers": headers, "body": body, "isBase64Encoded": base64});
            let mut event = world::at_path(event(changes), &path);
            event["rawQueryString"] = json!(query);
            event["requestContext"]["http"]["method"] = json!(method);
            from_address(event, &std::net::Ipv4Addr::from(ip).to_string())
        },
    )
}

fn answer_to(runtime: &tokio::runtime::Runtime, world: &World, event: &Value) -> Answer {
    let request = Event::from_json(&event.to_string()).expect("an event").into_request();
    let (response, line) = runtime.block_on(replyke_refresh::handle(&world.app, &moment(secs(1)), &request));
    Answer { status: response.status().as_u16(), response, line }
}

#[test]
fn whatever_is_sent_is_answered_as_the_contract_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let config = Config { cases: 3_000, failure_persistence: None, ..Config::default() };
    let gateways = prop::sample::select(Gateway::ALL.to_vec());
    let outcome = TestRunner::new(config).run(
        &(events(), prop::option::of(any::<String>()), gateways),
        |(mut event, cookie, gateway)| {
            if let Some(cookie) = cookie {
                event["cookies"] = json!([format!("replyke-refresh-jwt={cookie}")]);
            }
            let answer = answer_to(&runtime, &world, &gateway.event(&event));
            assert_common(&answer);
            let body = answer.json();
            match answer.status {
                200 => prop_assert_eq!(answer.text(), NOBODY),
                204 => prop_assert_eq!(answer.text(), ""),
                429 => prop_assert!(body.is_null()),
                400 | 403 | 405 | 413 => prop_assert!(body["error"].is_string() && body["code"].is_string()),
                other => prop_assert!(false, "{}", other),
            }
            prop_assert_eq!(answer.line.usage.calls, 0);
            Ok(())
        },
    );
    outcome.unwrap();
}

#[test]
fn no_mutated_token_is_ever_good() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let good = runtime.block_on(world.open(T0));
    let config = Config { cases: 3_000, failure_persistence: None, ..Config::default() };
    let mutations = (any::<usize>(), any::<u8>(), any::<u8>(), any::<bool>(), any::<[u8; 4]>());
    let outcome = TestRunner::new(config).run(&mutations, |(at, bit, kind, in_body, ip)| {
        let token = mutated(&good, at, bit, kind);
        // A cookie's own syntax may cut a mutation off again, and an empty token is none.
        prop_assume!(!token.is_empty() && token != good && (in_body || !token.contains([';', '"', ' ', ','])));
        let event = if in_body { token_event(json!(token)) } else { cookie_event(&token) };
        let answer = answer_to(&runtime, &world, &from_address(event, &std::net::Ipv4Addr::from(ip).to_string()));
        assert_common(&answer);
        prop_assert_eq!(answer.status, 403, "{}", token);
        prop_assert_eq!(&answer.json()["code"], "auth/refresh-token-invalid", "{}", token);
        prop_assert_eq!(answer.line.usage.calls, 0);
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(world.by_cookie(&good, secs(2))).ok();
}
