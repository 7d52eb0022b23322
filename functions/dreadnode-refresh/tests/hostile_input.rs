//! Input that nobody honest sends: each gets the contract's answer, none a panic; what does not verify costs no store
//! call, and nothing gives a secret away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use dreadnode_refresh::policy::tenant;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rondo_shared::identity::Tenant;
use rondo_shared::keyring::ProductKeys;
use rondo_shared::token::TokenAuthority;
use rondo_tests::{Fault, Gateway, T0, secs};
use serde_json::{Value, json};
use ulid::Ulid;
use world::{
    Answer, SECRET_KEYS, World, assert_error, assert_error_by_body, body_event, claims_of, cookie_event, event,
    keyring_document, keys, send_to, with_headers,
};

/// That neither the answer (but for the cookies and the body of a grant) nor the log gives away what was presented, or
/// what it was signed with.
#[track_caller]
fn assert_tells_no_secrets(answer: &Answer, presented: &str, what: &str) {
    let headers: Vec<_> =
        answer.response.headers().iter().filter(|(name, _)| answer.status != 200 || *name != "set-cookie").collect();
    let body = String::from_utf8_lossy(answer.response.body().as_ref());
    let told = format!("{headers:?} {body} {:?}", answer.line);
    for part in presented.split('.').filter(|part| part.len() > 8) {
        assert!(!told.contains(part), "{what}: a part of the token");
    }
    for key in SECRET_KEYS {
        assert!(!told.contains(key), "{what}: a key");
    }
}

#[tokio::test]
async fn another_products_token_is_nothing_here_and_asks_nothing_of_the_store() {
    let world = World::new().await;
    let elsewhere = rondo_tests::World::new().await;
    let foreign = elsewhere.open(T0).await;
    let (by_cookie, by_body) = (world.refresh(&foreign, secs(1)).await, world.refresh_by_body(&foreign, secs(1)).await);
    assert_error(&by_cookie, 401, "authentication_error");
    assert_error_by_body(&by_body, 401, "authentication_error");
    for answer in [by_cookie, by_body] {
        assert_eq!((answer.line.cause, answer.line.usage.calls), (Some("unverified_token"), 0));
        assert_tells_no_secrets(&answer, &foreign, "another product's");
    }
    let ours = world.open(T0).await;
    assert_eq!(Box::pin(elsewhere.refresh(&ours, secs(1))).await.status, 401, "and ours is nothing there");
    Box::pin(elsewhere.refresh(&foreign, secs(2))).await.ok();
    world.refresh(&ours, secs(2)).await.ok();
}

#[tokio::test]
async fn a_token_that_is_not_a_refresh_token_of_ours_is_refused_without_asking_the_store() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let authority = &world.app.policy().authority;
    let other_tenant = Tenant::new("dreadnode:project").unwrap();
    world.put_user(&other_tenant, "user-1").await;
    let other_authority = TokenAuthority::over_refresh_tokens("elsewhere".to_owned(), None);
    let keys_named = |kid: &str| {
        let mut document = keyring_document();
        document["products"]["dreadnode"]["mac"][0]["kid"] = json!(kid);
        ProductKeys::parse(&document.to_string(), "dreadnode").unwrap()
    };
    let access = world.refresh(&world.open(T0).await, T0).await.json()["access_token"].as_str().unwrap().to_owned();
    let parts: Vec<_> = good.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { panic!("three parts") };
    let tokens = [
        ("another tenant", world.open_as(&other_tenant, "user-1", authority, &keys(), T0).await.1),
        ("another issuer", world.open_as(&tenant(), "user-1", &other_authority, &keys(), T0).await.1),
        ("an unknown key", world.open_as(&tenant(), "user-1", authority, &keys_named("m9"), T0).await.1),
        ("not yet past its expiry, but for a second", world.open(secs(-14 * 86_400)).await),
        ("an access token", access),
        // {"alg":"none","typ":"rt+jwt","kid":"m1"}
        ("no algorithm", format!("eyJhbGciOiJub25lIiwidHlwIjoicnQrand0Iiwia2lkIjoibTEifQ.{payload}.{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("another payload", format!("{header}.e30.{signature}")),
        ("four parts", format!("{good}.x")),
        ("two parts", format!("{header}.{payload}")),
        ("one part", (*payload).to_owned()),
        ("quoted twice", format!("\"\"{good}\"\" x")),
        ("with a NUL", format!("{good}\0")),
        ("too long", format!("{good}{}", "A".repeat(4_096))),
    ];
    for (n, (what, token)) in (0_i64..).zip(&tokens) {
        let mut by_cookie = cookie_event(token);
        let mut by_body = body_event(&json!({"refresh_token": token}).to_string());
        for (sent, host, in_body) in [(&mut by_cookie, n, false), (&mut by_body, 100 + n, true)] {
            sent["requestContext"]["http"]["sourceIp"] = json!(format!("198.51.100.{host}"));
            let answer = world.send(sent.clone(), T0).await;
            assert_eq!(answer.status, 401, "{what}");
            let assert = if in_body { assert_error_by_body } else { assert_error };
            assert(&answer, 401, "authentication_error");
            assert_eq!(answer.line.usage.calls, 0, "{what}");
            assert_tells_no_secrets(&answer, signature, what);
        }
    }
    world.refresh(&good, secs(1)).await.ok();
}

#[tokio::test]
async fn a_token_signed_with_a_retired_key_is_ours_still() {
    let world = World::new().await;
    let mut document = keyring_document();
    document["products"]["dreadnode"]["mac"][0]["state"] = json!("retired");
    document["products"]["dreadnode"]["mac"][1]["state"] = json!("active");
    let keys = ProductKeys::parse(&document.to_string(), "dreadnode").unwrap();
    let (_, token) = world.open_as(&tenant(), "user-1", &world.app.policy().authority, &keys, T0).await;
    world.refresh(&token, secs(1)).await.ok();
}

#[tokio::test]
async fn the_global_sign_out_ends_sessions_opened_before_it() {
    let world = World::with(&[("SESSIONS_NOT_BEFORE", "2026-11-22T10:00:00Z")]).await;
    let answer = world.refresh(&world.open(secs(-1)).await, secs(1)).await;
    assert_error(&answer, 401, "authentication_error");
    assert_eq!(answer.line.cause, Some("sessions_not_before"));
    world.refresh(&world.open(T0).await, secs(1)).await.ok();
}

#[tokio::test]
async fn neither_answers_nor_the_log_nor_debug_give_a_secret_away() {
    let world = World::with(&[("DREADNODE_MIN_CLIENT_VERSION", "1.2.3")]).await;
    let token = world.open(T0).await;
    let ok = world.refresh(&token, secs(1)).await;
    assert_tells_no_secrets(&ok, &token, "200");
    let access = ok.json()["access_token"].as_str().unwrap().to_owned();
    let newest = ok.cookie("refresh_token").unwrap();
    let line = format!("{:?}", ok.line);
    let gid = claims_of(&newest).gid;
    assert!(!line.contains(&access) && !line.contains(&newest) && !line.contains(gid.as_str()));
    assert!(!ok.json().to_string().contains(gid.as_str()), "the access token's holder learns no gid");

    let body = json!({"refresh_token": newest}).to_string();
    let truncated = format!("{}x", &body[..body.len() - 1]);
    for (status, sent) in [
        (422, body_event(&truncated)),
        (422, body_event(&json!({"token": newest}).to_string())),
        (422, body_event(&json!(newest).to_string())),
        (403, with_headers(cookie_event(&newest), &[("sec-fetch-site", "cross-site")])),
        (426, with_headers(cookie_event(&newest), &[("user-agent", "dreadnode-cli/1.0.0")])),
    ] {
        let answer = world.send(sent, secs(2)).await;
        assert_eq!(answer.status, status);
        assert_tells_no_secrets(&answer, &newest, &status.to_string());
    }
    world.faults.queue_for_all_attempts("PutItem", &Fault::AppliedThenInternalError);
    let failed = world.refresh(&newest, secs(3)).await;
    assert_eq!(failed.status, 502);
    assert_tells_no_secrets(&failed, &newest, "502");
    let reused = world.refresh(&token, secs(100)).await;
    assert_eq!(reused.status, 401);
    assert_tells_no_secrets(&reused, &token, "401");
    let shown = format!("{:?}", world.app);
    for secret in SECRET_KEYS {
        assert!(keyring_document().to_string().contains(secret));
        assert!(!shown.contains(secret));
    }
    assert!(!shown.contains(gid.as_str()));
}

/// Text that a token, good or not, may stand in.
fn text(good: &str) -> impl Strategy<Value = String> + use<> {
    let good = good.to_owned();
    let flipped = (any::<prop::sample::Index>(), 0..7_u8).prop_map(move |(at, bit)| {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at.index(good.len())] ^= 1 << bit;
        String::from_utf8(bytes).unwrap()
    });
    prop_oneof![flipped, any::<String>(), Just(String::new()), "[A-Za-z0-9_-]{0,9}(\\.[A-Za-z0-9_-]{0,9}){0,3}"]
}

fn events(good: &str) -> impl Strategy<Value = Value> + use<> {
    let method = prop_oneof![
        6 => Just("POST".to_owned()),
        1 => prop::sample::select(vec!["OPTIONS", "GET", "HEAD", "TRACE", "CONNECT", "post"]).prop_map(str::to_owned),
        1 => "[A-Z]{1,12}",
    ];
    let name = prop_oneof![
        prop::sample::select(vec!["Origin", "sec-fetch-site", "content-type", "Authorization", "host", "user-agent"])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    let value = prop_oneof![
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["same-origin", world::APP, "application/json", "text/plain", "dreadnode-sdk/1.2.2"])
            .prop_map(Value::from),
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
    ];
    let body = prop_oneof![
        Just(Value::Null),
        Just(json!("null")),
        any::<String>().prop_map(Value::from),
        "[\\[\\]{}\",:\\\\u0-9eE.+a-]{0,40}".prop_map(Value::from),
        text(good).prop_map(|token| json!(json!({"refresh_token": token}).to_string())),
        "[A-Za-z0-9+/=]{0,40}".prop_map(Value::from),
    ];
    let headers = prop::collection::hash_map(name, value, 0..5);
    let cookies = prop::collection::vec(text(good), 0..4);
    let whole = (method, headers, body, any::<bool>(), any::<String>(), any::<[u8; 4]>());
    let gateway = prop::sample::select(Gateway::ALL.to_vec());
    (whole, cookies, any::<bool>(), gateway).prop_map(
        |((method, headers, body, base64, path, ip), cookies, in_header, gateway)| {
            let mut event =
                event(json!({"headers": headers, "body": body, "isBase64Encoded": base64, "rawPath": path}));
            (event["rawQueryString"], event["requestContext"]["http"]["method"]) = (json!(path), json!(method));
            event["requestContext"]["http"]["sourceIp"] = json!(std::net::Ipv4Addr::from(ip).to_string());
            let cookies: Vec<_> = cookies.iter().map(|value| format!("refresh_token={value}")).collect();
            if in_header {
                event["headers"]["cookie"] = json!(cookies.join("; "));
            } else {
                event["cookies"] = json!(cookies);
            }
            gateway.event(&event)
        },
    )
}

#[test]
fn whatever_is_sent_is_answered_from_the_table_and_no_mutated_token_is_ever_good() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::with(&[("DREADNODE_MIN_CLIENT_VERSION", "1.2.3")]));
    let good = runtime.block_on(world.open(T0));
    let (_, signature) = good.rsplit_once('.').unwrap();
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&events(&good), |event| {
        // A mutation may cut the token's last character off by the cookie's own syntax, or change nothing that counts.
        prop_assume!(!event.to_string().contains(&good));
        let answer = runtime.block_on(send_to(&world.app, event, secs(1)));
        let status = answer.status;
        prop_assert!([204, 400, 401, 403, 405, 422, 426, 429].contains(&status), "{}", status);
        prop_assert!(Ulid::from_string(answer.header("x-request-id").unwrap_or_default()).is_ok());
        prop_assert_eq!(answer.header("cache-control"), Some("no-store"));
        if status >= 400 {
            let body = answer.json();
            prop_assert_eq!(body.as_object().map(serde_json::Map::len), Some(4));
            prop_assert_eq!(&body["code"], &json!(status));
            prop_assert!(body["detail"].is_string() && body["type"].is_string());
            prop_assert_eq!(body["errors"].is_array(), status == 422);
        }
        prop_assert_eq!(answer.line.usage.calls, 0);
        let told = format!("{:?} {:?}", answer.response, answer.line);
        prop_assert!(!told.contains(signature));
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(world.refresh(&good, secs(2))).ok();
}
