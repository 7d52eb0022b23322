//! Signing in by name and password: what it opens, what it limits, and what it tells nobody.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use elastic_refresh::password::credential;
use elastic_refresh::request::{AUTHORIZATION_MAX_BYTES, PASSWORD_MAX_BYTES, Password};
use rondo_shared::store::item::AccountStatus;
use rondo_tests::Fault;
use serde_json::{Value, json};
use world::{
    Answer, PASSWORD, TOKEN_SECS, World, authorized, basic, bearer, claims_of, from_address, is_a_valid_access_token,
    secs, with_method,
};

/// The answer without what differs from request to request.
fn told(answer: &Answer) -> String {
    let mut response = format!("{:?} {}", answer.response.headers(), answer.body());
    let line = &answer.line;
    response = response.replace(&line.request_id.to_string(), "<id>");
    format!(
        "{} {response} {} {:?} {:?} {:?} {:?} {:?}",
        answer.status,
        line.outcome,
        line.cause,
        line.error,
        line.family,
        line.generation,
        cost(answer)
    )
}

/// What an answer cost, without the time that it took.
fn cost(answer: &Answer) -> (u32, f64, f64) {
    let usage = answer.line.usage;
    (usage.calls, usage.read_units, usage.write_units)
}

#[tokio::test]
async fn a_name_and_password_open_a_session_and_answer_the_same_as_a_refresh() {
    let world = World::new().await;
    let answer = world.sign_in("user-1", PASSWORD, secs(5)).await;
    let token = answer.ok();
    assert!(is_a_valid_access_token(&token, secs(5)));
    let claims = claims_of(&token);
    assert_eq!((claims["sub"].as_str(), claims["gen"].as_i64()), (Some("user-1"), Some(0)));
    assert_eq!((claims["client_id"].as_str(), claims["ten"].as_str()), (Some("elastic"), Some("elastic")));
    assert_eq!(claims["exp"].as_i64(), Some(secs(5 + TOKEN_SECS).secs()));
    assert_eq!(answer.json()["session_expiration_time"], "2026-11-22T11:00:05.000Z");
    assert_eq!((answer.line.outcome, answer.line.cause), ("opened", None));
    assert_eq!(answer.line.family.unwrap().to_string(), claims["sid"].as_str().unwrap());
    assert_eq!(world.take_hashes(), 1);
    let session = format!("SESSION#{}", claims["sid"].as_str().unwrap());
    assert_eq!(world.dynamo.sort_keys("USER#elastic#user-1"), ["PASSWORD".to_owned(), "PROFILE".to_owned(), session]);
    let next = world.refresh(&token, secs(60)).await.ok();
    assert_eq!(claims_of(&next)["sid"], claims["sid"]);
    assert_eq!(world.take_hashes(), 0, "a token costs no hash");
}

#[tokio::test]
async fn each_sign_in_opens_a_session_of_its_own() {
    let world = World::new().await;
    let one = world.sign_in("user-1", PASSWORD, secs(1)).await.ok();
    let other = world.sign_in("user-1", PASSWORD, secs(1)).await.ok();
    assert_ne!(claims_of(&one)["sid"], claims_of(&other)["sid"]);
    world.refresh(&one, secs(2)).await.ok();
    world.refresh(&other, secs(2)).await.ok();
}

#[tokio::test]
async fn whoever_may_not_sign_in_gets_the_same_bytes_the_same_log_and_one_hash() {
    let world = World::new().await;
    for (user, status) in [("suspended", AccountStatus::Suspended), ("removed", AccountStatus::Removed)] {
        world.put_user(user, status).await;
    }
    world.put_profile("without-password", AccountStatus::Active).await;
    let made = credential(&Password::new(PASSWORD.to_owned()).unwrap(), [1; 16]).unwrap();
    world.put_credential("without-profile", &made).await;
    let expected = {
        let answer = world.send(from_address(basic("user-1", "wrong"), "198.51.100.250"), secs(1)).await;
        answer.assert_unauthorized();
        assert_eq!((answer.line.cause, world.take_hashes()), (Some("credentials"), 1));
        told(&answer)
    };
    world.faults.take_attempts();
    for (n, (user, password)) in (0..).zip([
        ("user-1", "wrong"),
        ("user-1", "correct horse: battery stapl"),
        ("user-1", "correct horse"),
        ("USER-1", PASSWORD),
        ("nobody", PASSWORD),
        ("nobody", "wrong"),
        ("suspended", PASSWORD),
        ("suspended", "wrong"),
        ("removed", PASSWORD),
        ("removed", "wrong"),
        ("without-password", PASSWORD),
        ("without-profile", PASSWORD),
        ("a#b/ü\u{1F512}", PASSWORD),
    ]) {
        let answer = world.send(from_address(basic(user, password), &format!("198.51.100.{n}")), secs(1)).await;
        assert_eq!(told(&answer), expected, "{user}");
        assert_eq!(world.take_hashes(), 1, "{user}");
        let mut attempts = world.faults.take_attempts();
        attempts.sort();
        assert_eq!(attempts, ["GetItem", "GetItem", "UpdateItem", "UpdateItem"], "{user}");
    }
    assert!(world.dynamo.sort_keys("FAMILY#").is_empty(), "nothing was opened");
}

#[tokio::test]
async fn a_user_suspended_while_the_password_is_tried_is_told_what_a_wrong_password_is() {
    let world = World::new().await;
    let gate = rondo_tests::Gate::default();
    world.faults.queue("TransactWriteItems", Fault::HeldBefore(gate.clone()));
    let (answer, ()) = tokio::join!(world.sign_in("user-1", PASSWORD, secs(1)), async {
        gate.reached().await;
        world.put_profile("user-1", AccountStatus::Suspended).await;
        gate.open();
    });
    answer.assert_unauthorized();
    assert_eq!(answer.line.cause, Some("credentials"));
    assert!(world.dynamo.sort_keys("FAMILY#").is_empty());
}

#[tokio::test]
async fn a_password_that_was_changed_is_good_no_longer_and_the_new_one_is_at_once() {
    let world = World::new().await;
    let changed = credential(&Password::new("another".to_owned()).unwrap(), [2; 16]).unwrap();
    world.put_credential("user-1", &changed).await;
    world.sign_in("user-1", PASSWORD, secs(1)).await.assert_unauthorized();
    world.sign_in("user-1", "another", secs(1)).await.ok();
}

#[tokio::test]
async fn names_and_passwords_of_any_characters_are_taken_as_they_are() {
    let world = World::new().await;
    let longest = "p".repeat(PASSWORD_MAX_BYTES);
    for (n, (user, password)) in (0_u8..).zip([
        ("ann@example.com", "::"),
        ("zoë", "пароль\u{1F511}"),
        ("a b#c%", " leading and trailing "),
        ("long", longest.as_str()),
    ]) {
        world.put_profile(user, AccountStatus::Active).await;
        let made = credential(&Password::new(password.to_owned()).unwrap(), [n; 16]).unwrap();
        world.put_credential(user, &made).await;
        let event = from_address(basic(user, password), &format!("198.51.100.{n}"));
        let token = world.send(event, secs(1)).await.ok();
        assert_eq!(claims_of(&token)["sub"], user);
    }
}

#[tokio::test]
async fn the_scheme_compares_without_case() {
    let world = World::new().await;
    for scheme in ["Basic", "basic", "BASIC"] {
        let encoded = STANDARD.encode(format!("user-1:{PASSWORD}"));
        world.send(authorized(&format!("{scheme}  {encoded}")), secs(1)).await.ok();
    }
}

#[tokio::test]
async fn a_login_that_cannot_be_read_is_unauthorized_without_a_store_call_or_a_hash() {
    let world = World::new().await;
    let encoded = |bytes: &[u8]| authorized(&format!("Basic {}", STANDARD.encode(bytes)));
    let good = format!("user-1:{PASSWORD}");
    for (n, (what, event)) in (0..).zip([
        ("no credentials", authorized("Basic ")),
        ("no base64", authorized("Basic %%%")),
        ("base64 without its padding", authorized(&format!("Basic {}", STANDARD_NO_PAD.encode("user-1:passwor")))),
        ("not encoded", authorized(&format!("Basic {good}"))),
        ("in quotes", authorized(&format!("Basic \"{}\"", STANDARD.encode(&good)))),
        ("several in one header", authorized(&format!("Basic {0}, Basic {0}", STANDARD.encode(&good)))),
        ("another scheme's", authorized(&format!("Bearer {}", STANDARD.encode(&good)))),
        ("no colon", encoded(b"user-1")),
        ("nothing", encoded(b"")),
        ("no name", encoded(b":password")),
        ("an empty password", encoded(b"user-1:")),
        ("neither", encoded(b":")),
        ("not UTF-8", encoded(b"user-1:\xff\xfe")),
        ("a name that is not UTF-8", encoded(b"\xc3:password")),
        ("a control character in the name", encoded(b"user\n1:password")),
        ("a NUL in the name", encoded(b"user-1\0:password")),
        ("a name of 129 bytes", basic(&"u".repeat(129), "password")),
        ("a password over its bound", basic("user-1", &"p".repeat(PASSWORD_MAX_BYTES + 1))),
        ("a header over its bound", authorized(&format!("Basic {}", "A".repeat(AUTHORIZATION_MAX_BYTES)))),
        ("a header of a megabyte", basic("user-1", &"p".repeat(1_000_000))),
        ("a megabyte of scheme", authorized(&"B".repeat(1_000_000))),
        ("a megabyte of spaces", authorized(&format!("Basic{}x", " ".repeat(1_000_000)))),
        ("a megabyte of token", bearer(&"x".repeat(1_000_000))),
    ]) {
        let answer = world.send(from_address(event, &format!("198.51.100.{n}")), secs(1)).await;
        answer.assert_unauthorized();
        assert_eq!((answer.line.usage.calls, world.take_hashes()), (0, 0), "{what}");
    }
}

#[tokio::test]
async fn guessing_for_one_name_is_limited_before_the_hash_even_where_the_guess_is_right() {
    let world = World::new().await;
    world.put_user("user-2", AccountStatus::Active).await;
    for _ in 0..10 {
        world.sign_in("user-1", "guess", secs(1)).await.assert_unauthorized();
    }
    assert_eq!(world.take_hashes(), 10);
    for (user, password) in [("user-1", "guess"), ("user-1", PASSWORD)] {
        let limited = world.sign_in(user, password, secs(1)).await;
        assert_eq!(limited.assert_limited(), 6);
        assert_eq!((limited.line.cause, world.take_hashes()), (Some("password_attempts"), 0));
    }
    // On another instance too, by the store's bucket; elsewhere and for others not.
    let elsewhere = world.another_instance();
    world::send_to(&elsewhere, basic("user-1", PASSWORD), secs(1)).await.assert_limited();
    world.sign_in("user-2", PASSWORD, secs(1)).await.ok();
    world.send(from_address(basic("user-1", PASSWORD), "198.51.100.1"), secs(1)).await.ok();
    world.sign_in("user-1", PASSWORD, secs(7)).await.ok();
}

#[tokio::test]
async fn an_unknown_name_is_limited_as_a_known_one_is() {
    let world = World::new().await;
    let mut answers = Vec::new();
    for user in ["user-1", "nobody"] {
        for n in 0..12 {
            let event = from_address(basic(user, "guess"), &format!("198.51.100.{}", user.len()));
            let answer = world.send(event, secs(1)).await;
            assert_eq!(answer.status, if n < 10 { 401 } else { 429 });
            answers.push(told(&answer));
        }
    }
    let (known, unknown) = answers.split_at(12);
    assert_eq!(known, unknown);
}

#[tokio::test]
async fn trying_a_list_of_names_from_one_address_is_limited_before_the_hash() {
    let world = World::new().await;
    for n in 0..30 {
        world.sign_in(&format!("name-{n}"), "guess", secs(1)).await.assert_unauthorized();
    }
    assert_eq!(world.take_hashes(), 30);
    world.faults.take_attempts();
    let limited = world.sign_in("user-1", PASSWORD, secs(1)).await;
    assert_eq!(limited.assert_limited(), 2);
    assert_eq!((world.take_hashes(), world.faults.take_attempts()), (0, Vec::new()), "the instance remembers");
    let elsewhere = world.another_instance();
    world::send_to(&elsewhere, basic("user-1", PASSWORD), secs(1)).await.assert_limited();
    world.send(from_address(basic("user-1", PASSWORD), "198.51.100.1"), secs(1)).await.ok();
    world.sign_in("user-1", PASSWORD, secs(3)).await.ok();
}

#[tokio::test]
async fn what_the_addresss_limit_refuses_is_not_counted_against_the_name() {
    let world = World::with(&[("ELASTIC_PASSWORD_ATTEMPTS_PER_ADDRESS", "1")]).await;
    world.sign_in("nobody", "guess", secs(1)).await.assert_unauthorized();
    world.sign_in("user-1", PASSWORD, secs(1)).await.assert_limited();
    assert_eq!(world.dynamo.items("RATE#elastic-password-address#").len(), 1);
    assert_eq!(world.dynamo.items("RATE#elastic-password-user#").len(), 1, "of the first name alone");
}

#[tokio::test]
async fn an_ipv6_network_is_one_address() {
    let world = World::with(&[("ELASTIC_PASSWORD_ATTEMPTS_PER_ADDRESS", "2")]).await;
    for host in 1..=2 {
        let event = from_address(basic("user-1", "guess"), &format!("2001:db8:1:2::{host}"));
        world.send(event, secs(1)).await.assert_unauthorized();
    }
    world.send(from_address(basic("user-1", PASSWORD), "2001:db8:1:2::3"), secs(1)).await.assert_limited();
    world.send(from_address(basic("user-1", PASSWORD), "2001:db8:1:3::3"), secs(1)).await.ok();
}

#[tokio::test]
async fn passwords_and_refreshes_are_counted_apart() {
    let world = World::with(&[("ELASTIC_PASSWORD_ATTEMPTS_PER_USER", "1"), ("ELASTIC_RATE_LIMIT", "1")]).await;
    let token = world.sign_in("user-1", PASSWORD, secs(1)).await.ok();
    world.sign_in("user-1", PASSWORD, secs(1)).await.assert_limited();
    world.refresh(&token, secs(1)).await.ok();
    assert_eq!(world.dynamo.items("RATE#elastic-").len(), 3);
    assert_eq!(world.dynamo.items("RATE#").len(), 3);
}

#[tokio::test]
async fn neither_answers_nor_the_log_nor_debug_show_a_password() {
    let world = World::new().await;
    let encoded = STANDARD.encode(format!("user-1:{PASSWORD}"));
    let answers = [
        world.sign_in("user-1", PASSWORD, secs(1)).await,
        world.sign_in("nobody", PASSWORD, secs(1)).await,
        world.send(with_method(basic("user-1", PASSWORD), "GET"), secs(1)).await,
        world.send(authorized(&format!("Basic {encoded}=")), secs(1)).await,
    ];
    for answer in answers {
        let shown = format!("{answer:?} {}", answer.body());
        assert!(!shown.contains(PASSWORD) && !shown.contains("battery") && !shown.contains(&encoded), "{shown}");
    }
    let shown = format!("{:?} {:?}", world.app, Password::new(PASSWORD.to_owned()));
    assert!(!shown.contains(PASSWORD) && !shown.contains("argon2id$"), "{shown}");
    let stored = json!(world.dynamo.items("")).to_string();
    assert!(!stored.contains(PASSWORD), "only the hash is kept");
    assert!(stored.contains("$argon2id$v=19$m=19456,t=2,p=1$"));
}

#[tokio::test]
async fn a_password_or_profile_that_cannot_be_read_is_answered_and_logged_as_a_wrong_password() {
    let world = World::new().await;
    let from = |user: &str, password: &str, n: u8| from_address(basic(user, password), &format!("198.51.100.{n}"));
    let wrong = world.send(from("user-1", "wrong", 250), secs(1)).await;
    let unknown = world.send(from("nobody", PASSWORD, 251), secs(1)).await;
    unknown.assert_unauthorized();
    let expected = told(&wrong);
    assert_eq!(told(&unknown), expected);
    let good = world.dynamo.items("USER#elastic#user-1");
    let hash = |item: &Value| item["password_hash"]["S"].as_str().unwrap_or_default().to_owned();
    let secret = good.iter().map(hash).find(|hash| !hash.is_empty()).unwrap();
    for (n, (sk, attribute, value)) in (0..).zip([
        ("PASSWORD", "password_hash", json!({"S": "$2b$12$abcdefghijklmnopqrstuv"})),
        ("PASSWORD", "password_hash", json!({"S": secret.replace("m=19456", "m=4096")})),
        ("PASSWORD", "password_hash", json!({"S": "plain text"})),
        ("PASSWORD", "password_hash", json!({"S": secret.replace("t=2", "t=4000000")})),
        ("PASSWORD", "password_hash", json!({"N": "5"})),
        ("PROFILE", "status", json!({"S": "on leave"})),
        ("PROFILE", "status", json!({"N": "5"})),
    ]) {
        let mut items = good.clone();
        items.retain(|item| item["sk"]["S"] == sk);
        items[0][attribute] = value;
        world.dynamo.put(&items);
        world.take_hashes();
        let answer = world.send(from("user-1", PASSWORD, n), secs(1)).await;
        answer.assert_unauthorized();
        assert_eq!(told(&answer), expected, "{}", items[0]);
        assert_eq!(world.take_hashes(), 1, "{}", items[0]);
        world.dynamo.put(&good);
    }
    world.sign_in("user-1", PASSWORD, secs(600)).await.ok();
}

#[tokio::test]
async fn a_name_or_address_that_is_no_text_locks_nobody_out() {
    let world = World::new().await;
    let mut profile = world.dynamo.items("USER#elastic#user-1");
    profile.retain(|item| item["sk"]["S"] == "PROFILE");
    for (n, value) in (0..).zip([json!({"NULL": true}), json!({"N": "7"}), json!({"L": []})]) {
        profile[0]["name"] = value.clone();
        profile[0]["email"] = value;
        world.dynamo.put(&profile);
        world.sign_in("user-1", PASSWORD, secs(n)).await.ok();
    }
}

#[tokio::test]
async fn a_profile_broken_while_the_password_is_tried_is_told_as_a_wrong_password() {
    let world = World::new().await;
    let gate = rondo_tests::Gate::default();
    world.faults.queue("TransactWriteItems", Fault::HeldBefore(gate.clone()));
    let (answer, ()) = tokio::join!(world.sign_in("user-1", PASSWORD, secs(1)), async {
        gate.reached().await;
        let mut items = world.dynamo.items("USER#elastic#user-1");
        items.retain(|item| item["sk"]["S"] == "PROFILE");
        items[0]["status"] = json!({"N": "5"});
        world.dynamo.put(&items);
        gate.open();
    });
    answer.assert_unauthorized();
    assert_eq!(answer.line.cause, Some("credentials"));
}
