//! The program that is deployed: what it really writes to its log, for every outcome.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod client;
mod forge;

use std::path::PathBuf;

use client::{with_body, with_headers, with_method};
use forge::{claims_of, good_header, signed};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_tests::world::{event, keyring_document, refresh_event, thiefs_event};
use rondo_tests::{Runtime, World};
use serde_json::{Value, json};

/// Some seconds from now: the program reads a clock of its own.
fn from_now(secs: i64) -> Timestamp {
    Timestamp::from_millis(Moment::read().unwrap().now.millis() + secs * 1000)
}

fn keyring(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("rondo-uniqos-process-{name}-{}.json", std::process::id()));
    std::fs::write(&path, keyring_document().to_string()).unwrap();
    path
}

fn start(endpoint: &str, keyring: &std::path::Path, more: &[(&str, &str)]) -> Runtime {
    let variables = [
        ("TABLE_NAME", rondo_tests::dynamo::TABLE),
        ("KEYRING_FILE", keyring.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
        ("UNIQOS_ALLOWED_ORIGINS", "https://app.uniqos.test"),
    ];
    let variables = variables.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Runtime::start(env!("CARGO_BIN_EXE_uniqos-refresh"), &variables.collect::<Vec<_>>())
}

/// That the log has one JSON line for each answer, of its request's name, with this outcome and cause, and none of the
/// secrets; returns whatever other lines there are.
#[track_caller]
fn assert_told(log: &str, answers: &[(Value, &str, Option<&str>)], secrets: &[String]) -> Vec<Value> {
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let (requests, others): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line["message"] == "request");
    assert_eq!(requests.len(), answers.len(), "{log}");
    for (line, (answer, outcome, cause)) in requests.iter().zip(answers) {
        assert_eq!(line["request_id"], answer["headers"]["x-request-id"], "{line}");
        assert_eq!((&line["status"], &line["product"]), (&answer["statusCode"], &json!("uniqos")), "{line}");
        assert_eq!((line["outcome"].as_str(), line["cause"].as_str()), (Some(*outcome), *cause), "{line}");
    }
    for secret in secrets {
        assert!(!log.contains(secret.as_str()), "the log gives {secret} away: {log}");
    }
    others
}

/// All that must not be told of tokens: their parts and their `gid`s, the keys, and the cookie's name.
fn secrets_of(tokens: &[&str]) -> Vec<String> {
    let parts = tokens.iter().flat_map(|token| token.split('.').map(str::to_owned));
    let gids = tokens.iter().map(|token| claims_of(token)["gid"].as_str().unwrap().to_owned());
    let keys = ["nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"];
    let cookie = ["uniqos_refresh"];
    parts.chain(gids).chain(keys.into_iter().chain(cookie).map(str::to_owned)).collect()
}

fn cookie_of(answer: &Value) -> String {
    let set = answer["cookies"][0].as_str().unwrap();
    set.strip_prefix("uniqos_refresh=").unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_outcome_is_one_line_of_json_and_no_line_tells_a_secret() {
    let world = World::new().await;
    let keyring = keyring("outcomes");
    let token = world.open(from_now(-60)).await;
    let (ended, sealed) = world.open_for("user-1", Some("acme"), from_now(-60)).await;
    world.sign_out(ended, from_now(-30)).await;
    let reused = world.open(from_now(-60)).await;
    let newest = world.refresh(&reused, from_now(-50)).await.ok();
    let other = world.open(from_now(-60)).await;
    let forged = signed(&good_header(), &claims_of(&token), &[9; 32]);
    let expired = world.open(from_now(-15 * 86_400)).await;
    let vanished = world.open(from_now(-60)).await;
    let family = claims_of(&vanished)["sid"].as_str().unwrap().to_owned();
    world.dynamo.delete(&world.dynamo.items(&format!("FAMILY#uniqos#{family}")));

    let runtime = start(world.dynamo.url(), &keyring, &[]);
    let mut answers = Vec::new();
    let mut told = |sent: Value, outcome, cause| {
        let answer = runtime.invoke(&sent);
        answers.push((answer.clone(), outcome, cause));
        answer
    };
    let rotated = cookie_of(&told(refresh_event(&token), "rotated", None));
    let reissued = cookie_of(&told(thiefs_event(&token), "reissued", None));
    let foreign = [("origin", "https://elsewhere.test")];
    let both = [format!("uniqos_refresh={token}"), format!("uniqos_refresh={other}")];
    let crowd: Vec<_> = (0..17).map(|_| format!("uniqos_refresh={forged}")).collect();
    for (sent, outcome, cause) in [
        (event(json!({})), "invalid", "no_cookie"),
        (refresh_event("garbage"), "invalid", "malformed_cookie"),
        (refresh_event(&forged), "invalid", "unverified_token"),
        (refresh_event(&expired), "invalid", "expired"),
        (refresh_event(&sealed), "refused", "sign_out"),
        (refresh_event(&reused), "revoked", "recent_predecessor"),
        (refresh_event(&newest), "refused", "reuse"),
        (refresh_event(&vanished), "revoked", "unknown_generation"),
        (with_headers(refresh_event(&token), &foreign), "refused", "cross_site"),
        (with_body(refresh_event(&token), "{"), "invalid", "body_not_json"),
        (with_body(refresh_event(&token), "[]"), "invalid", "body_not_object"),
        (with_body(refresh_event(&token), &"x".repeat(20_000)), "invalid", "body_too_large"),
        (event(json!({"cookies": both})), "invalid", "several_families"),
        (event(json!({"cookies": crowd})), "invalid", "too_many_cookies"),
        (with_method(refresh_event(&token), "GET"), "invalid", "method"),
    ] {
        told(sent, outcome, Some(cause));
    }
    told(with_method(refresh_event(&token), "OPTIONS"), "preflight", None);
    let secrets = secrets_of(&[&token, &sealed, &reused, &newest, &other, &expired, &vanished, &rotated, &reissued]);
    let others = assert_told(&runtime.log(), &answers, &secrets);
    let others: Vec<_> = others.iter().map(|line| line["message"].as_str()).collect();
    assert_eq!(others, [Some("keyring")], "what is said once, at the start");
    std::fs::remove_file(keyring).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_conflicts_and_failures_are_lines_too() {
    let world = World::with(&[("UNIQOS_GRACE_SECS", "0")]).await;
    let keyring = keyring("failures");
    let (_, token) = world.open_for("user-1", Some("acme"), from_now(-60)).await;
    world.refresh(&token, from_now(-1)).await.ok();
    // As a clock ahead of the program's has put it: it is no time ago.
    let mut generations = world.dynamo.items(&format!("FAMILY#uniqos#{}", claims_of(&token)["sid"].as_str().unwrap()));
    generations.retain(|item| item["sk"]["S"] == "GEN#0000000001");
    generations[0]["minted_at"] = json!({"N": from_now(600).millis().to_string()});
    world.dynamo.put(&generations);

    let settings = [("UNIQOS_GRACE_SECS", "0"), ("UNIQOS_ADDRESS_RATE_LIMIT", "1")];
    let runtime = start(world.dynamo.url(), &keyring, &settings);
    let mut told = vec![(runtime.invoke(&refresh_event(&token)), "refused", Some("conflict"))];
    // One a second: of so many one is over it, however slow the machine is.
    while told.len() < 200 && told.last().unwrap().0["statusCode"] != 429 {
        let answer = runtime.invoke(&event(json!({})));
        let (outcome, cause) =
            if answer["statusCode"] == 429 { ("limited", "address") } else { ("invalid", "no_cookie") };
        told.push((answer, outcome, Some(cause)));
    }
    assert_eq!(told.last().unwrap().1, "limited");
    assert_told(&runtime.log(), &told, &secrets_of(&[&token]));

    let without_store = start("http://127.0.0.1:1", &keyring, &[]);
    let told = [(without_store.invoke(&refresh_event(&token)), "failed", Some("store"))];
    assert_eq!(told[0].0["statusCode"], 500);
    assert_told(&without_store.log(), &told, &secrets_of(&[&token]));

    std::fs::remove_file(&keyring).unwrap();
    let without_keys = start(world.dynamo.url(), &keyring, &[]);
    let told = [(without_keys.invoke(&refresh_event(&token)), "failed", Some("not_started"))];
    assert_eq!(told[0].0["statusCode"], 500);
    let body: Value = serde_json::from_str(told[0].0["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["error"]["documentation_url"], "https://docs.uniqos.com/errors#internal_error");
    let others = assert_told(&without_keys.log(), &told, &secrets_of(&[&token]));
    assert!(others.iter().all(|line| line["level"] == "ERROR"), "{others:?}");
}
