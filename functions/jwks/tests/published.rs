//! What the world gets to see of a keyring, and how.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod ring;

use jwks::request::{KEYS_PATH, OAUTH_PATH, OPENID_PATH};
use jwks::response::not_started;
use jwks::{App, BootError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use ring::{Answer, Ring, event, get, key, rsa_jwk, send, signing_with_rsa};
use rondo_shared::wire::Event;
use rondo_tests::world::{PUBLIC_KEY, keyring_document};
use rondo_tests::{T0, secs};
use serde_json::{Value, json};
use ulid::Ulid;

const ISSUER: (&str, &str) = ("JWKS_PUBLIC_URL", "https://auth.example.com/prod");

fn app() -> App {
    Ring::new(&signing_with_rsa()).app(&[ISSUER]).unwrap()
}

fn with_condition(app: &App, method: &str, condition: &str) -> Answer {
    send(app, &event(method, KEYS_PATH, &json!({"If-None-Match": condition})), T0)
}

/// Every text in a keyring that is nobody's business.
fn secrets(ring: &Value) -> Vec<String> {
    match ring {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value) {
                ("d" | "p" | "q" | "dp" | "dq" | "qi" | "k", Value::String(secret)) => vec![secret.clone()],
                _ => secrets(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(secrets).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// That neither the answer nor the log line holds any of these.
#[track_caller]
fn assert_tells_none(answer: &Answer, secrets: &[String]) {
    let told = format!("{:?} {} {:?}", answer.response.headers(), answer.text(), answer.line);
    for secret in secrets {
        assert!(!told.contains(secret.as_str()));
    }
}

#[test]
fn the_set_is_the_public_half_of_every_products_signing_keys_and_nothing_else() {
    let document = signing_with_rsa();
    let answer = get(&app(), KEYS_PATH);
    let ed =
        |kid: &str| json!({"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY, "use": "sig", "alg": "EdDSA"});
    let rsa = json!({"kid": "r1", "kty": "RSA", "n": rsa_jwk()["n"], "e": "AQAB", "use": "sig", "alg": "RS256"});
    assert_eq!(answer.json(), json!({"keys": [ed("o1"), rsa, ed("s0"), ed("s1")]}));

    let secrets = secrets(&document);
    assert_eq!(secrets.len(), 6 + 3 + 4, "all private members of the ring are looked for");
    assert_tells_none(&answer, &secrets);
    assert_tells_none(&get(&app(), OPENID_PATH), &secrets);
}

#[test]
fn an_answer_may_be_kept_by_anybody_and_names_its_request() {
    let app = Ring::new(&signing_with_rsa()).app(&[ISSUER, ("JWKS_MAX_AGE_SECS", "7200")]).unwrap();
    for path in [KEYS_PATH, OPENID_PATH, OAUTH_PATH] {
        let answer = get(&app, path);
        assert_eq!((answer.status, answer.line.outcome), (200, "served"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=7200"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("x-request-id"), Some(answer.line.request_id.to_string().as_str()));
    }
}

#[test]
fn head_is_answered_as_get_is_without_the_body() {
    let (got, head) = (get(&app(), KEYS_PATH), send(&app(), &event("HEAD", KEYS_PATH, &json!({})), T0));
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    for name in ["etag", "content-type", "cache-control"] {
        assert_eq!(head.header(name), got.header(name), "{name}");
    }
    assert_eq!(head.header("content-length"), Some(got.text().len().to_string().as_str()));
}

#[test]
fn whoever_has_the_document_is_told_so_and_no_more() {
    let app = app();
    let etag = get(&app, KEYS_PATH).header("etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() == 24, "{etag}");
    for method in ["GET", "HEAD"] {
        for known in [etag.clone(), format!("W/{etag}"), "*".to_owned(), format!("\"a\", W/\"b\" ,{etag}")] {
            let answer = with_condition(&app, method, &known);
            assert_eq!((answer.status, answer.text().as_str()), (304, ""), "{known}");
            assert_eq!(answer.header("etag"), Some(etag.as_str()));
            assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            assert_eq!(answer.header("content-type"), None);
        }
    }
    let unquoted = etag.trim_matches('"');
    for other in ["\"a\"", unquoted, "", ",", "W/", &format!("w/{etag}"), &format!("\"x,{unquoted}\"")] {
        assert_eq!(with_condition(&app, "GET", other).status, 200, "{other}");
    }
    assert_ne!(get(&app, OPENID_PATH).header("etag"), Some(etag.as_str()));
}

#[test]
fn several_conditions_of_a_rest_api_all_count() {
    let app = app();
    let etag = get(&app, KEYS_PATH).header("etag").unwrap().to_owned();
    let answer = send(
        &app,
        &json!({
            "resource": KEYS_PATH, "path": KEYS_PATH, "httpMethod": "GET", "isBase64Encoded": false, "headers": {},
            "multiValueHeaders": {"If-None-Match": ["\"a\"", etag]},
            "requestContext": {"stage": "prod", "httpMethod": "GET", "identity": {"sourceIp": "192.0.2.1"}, "protocol": "HTTP/1.1"}}),
        T0,
    );
    assert_eq!(answer.status, 304);
}

#[test]
fn the_tag_is_the_contents_own() {
    let tag =
        |document: &Value| get(&Ring::new(document).app(&[]).unwrap(), KEYS_PATH).header("etag").unwrap().to_owned();
    let before = keyring_document();
    let mut promoted = before.clone();
    promoted["products"]["uniqos"]["signing"][0]["state"] = json!("retired");
    promoted["products"]["uniqos"]["signing"][1]["state"] = json!("active");
    assert_eq!(tag(&before), tag(&promoted), "who signs is not said");
    let mut added = before.clone();
    added["products"]["uniqos"]["signing"].as_array_mut().unwrap().push(key("r1", "next", rsa_jwk()));
    assert_ne!(tag(&before), tag(&added));
}

#[test]
fn a_stage_may_stand_before_the_path_and_nothing_behind_it() {
    assert_eq!(get(&app(), &format!("/prod{KEYS_PATH}")).json(), get(&app(), KEYS_PATH).json());
    for path in ["/", "/.well-known/", "/.well-known/jwks.json/", "/.well-known/jwks.jsonx", "/jwks.json"] {
        let answer = get(&app(), path);
        assert_eq!((answer.status, answer.header("cache-control")), (404, Some("no-store")), "{path}");
    }
}

#[test]
fn other_methods_are_told_which_there_are() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get"] {
        let answer = send(&app(), &event(method, KEYS_PATH, &json!({})), T0);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
        assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn any_site_may_ask_without_credentials() {
    let headers = json!({"origin": "https://evil.example", "access-control-request-method": "GET",
        "access-control-request-headers": "if-none-match"});
    let answer = send(&app(), &event("OPTIONS", KEYS_PATH, &headers), T0);
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert!(answer.header("x-request-id").is_some());
}

#[test]
fn discovery_says_what_is_true_and_leads_to_the_keys() {
    let expected = json!({
        "issuer": "https://auth.example.com/prod",
        "jwks_uri": "https://auth.example.com/prod/.well-known/jwks.json",
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "RS256"]});
    assert_eq!(get(&app(), OPENID_PATH).json(), expected);
    assert_eq!(get(&app(), OAUTH_PATH).json(), expected);
    let app = Ring::new(&keyring_document()).app(&[ISSUER]).unwrap();
    assert_eq!(get(&app, OPENID_PATH).json()["id_token_signing_alg_values_supported"], json!(["EdDSA"]));
}

#[test]
fn without_its_url_no_issuer_is_described_and_the_keys_are_served() {
    let app = Ring::new(&keyring_document()).app(&[]).unwrap();
    let answer = get(&app, OPENID_PATH);
    assert_eq!((answer.status, answer.line.cause), (404, Some("no_public_url")));
    assert!(answer.json()["error_description"].as_str().unwrap().contains("JWKS_PUBLIC_URL"));
    assert_eq!(get(&app, KEYS_PATH).status, 200);
}

#[test]
fn a_ring_that_cannot_be_published_is_an_error_that_no_cache_keeps() {
    let mut twice = signing_with_rsa();
    twice["products"]["other"]["signing"][0]["kid"] = json!("r1");
    let mut empty = keyring_document();
    empty["products"] = json!({});
    let ring = Ring::new(&json!({}));
    for document in [twice.to_string(), empty.to_string(), "{}".to_owned(), String::new()] {
        ring.write(&document);
        assert!(matches!(ring.app(&[]), Err(BootError::Keyring(_))), "{document}");
    }
    assert!(matches!(ring.app(&[("JWKS_PUBLIC_URL", "auth")]), Err(BootError::Config(_))));

    let id = Ulid::from_parts(1, 2);
    let response = not_started(id);
    assert_eq!(response.status().as_u16(), 500);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["x-request-id"], id.to_string().as_str());
    let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
    assert_eq!((&body["error"], body.get("keys")), (&json!("internal_error"), None));
}

#[test]
fn a_ring_that_breaks_later_leaves_the_set_that_is_there() {
    let ring = Ring::new(&keyring_document());
    let app = ring.app(&[]).unwrap();
    let before = get(&app, KEYS_PATH).json();
    ring.write("{");
    let answer = send(&app, &event("GET", KEYS_PATH, &json!({})), secs(300));
    assert_eq!((answer.status, answer.json()), (200, before));
}

#[test]
fn a_key_is_published_before_it_signs_and_until_it_is_forgotten() {
    let ring = Ring::new(&keyring_document());
    let app = ring.app(&[]).unwrap();
    let kids = |now| {
        let set = send(&app, &event("GET", KEYS_PATH, &json!({})), now).json();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let state = |kid: &str, state: &str| {
        let mut document = keyring_document();
        let keys = document["products"]["uniqos"]["signing"].as_array_mut().unwrap();
        keys.push(key("r1", "next", rsa_jwk()));
        if state == "forgotten" {
            keys.retain(|key| key["kid"] != kid);
        }
        for key in keys.iter_mut().filter(|_| state == "promoted") {
            key["state"] = json!(if key["kid"] == kid { "active" } else { "retired" });
        }
        document.to_string()
    };
    assert_eq!(kids(secs(0)), ["s0", "s1"]);
    ring.write(&state("r1", "next"));
    assert_eq!(kids(secs(299)), ["s0", "s1"]);
    assert_eq!(kids(secs(300)), ["r1", "s0", "s1"]);
    ring.write(&state("r1", "promoted"));
    assert_eq!(kids(secs(600)), ["r1", "s0", "s1"]);
    ring.write(&state("s0", "forgotten"));
    assert_eq!(kids(secs(900)), ["r1", "s1"]);
}

#[test]
fn whatever_an_event_holds_it_gets_an_answer_that_tells_no_secret() {
    let (app, secrets) = (app(), secrets(&signing_with_rsa()));
    let text = || prop_oneof![any::<String>(), Just(KEYS_PATH.to_owned()), Just("*".to_owned()), "[ -~]{0,20}"];
    let path = prop_oneof![
        Just(KEYS_PATH.to_owned()),
        Just(OPENID_PATH.to_owned()),
        Just(format!("/prod{OAUTH_PATH}")),
        any::<String>(),
        "(/|%2e|\\.|\\.well-known|jwks|json){0,8}",
    ];
    let method = prop_oneof![Just("GET".to_owned()), Just("HEAD".to_owned()), Just("OPTIONS".to_owned()), "[A-Z]{1,9}"];
    let headers = proptest::collection::btree_map(
        prop_oneof![Just("if-none-match".to_owned()), Just("Host".to_owned()), text()],
        text(),
        0..4,
    );
    let mut runner = TestRunner::new(Config { cases: 512, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(method, path, headers, text()), |(method, path, headers, body)| {
        let mut event = event(&method, &path, &json!(headers));
        event["body"] = json!(body);
        event["rawQueryString"] = json!(body);
        if Event::from_json(&event.to_string()).is_err() {
            return Ok(());
        }
        let answer = send(&app, &event, T0);
        prop_assert!([200, 204, 304, 404, 405].contains(&answer.status), "{}", answer.status);
        prop_assert!(answer.header("x-request-id").is_some() && answer.header("cache-control").is_some());
        prop_assert_eq!(answer.header("cache-control") == Some("no-store"), ![200, 304].contains(&answer.status));
        assert_tells_none(&answer, &secrets);
        Ok(())
    });
    outcome.unwrap();
}
