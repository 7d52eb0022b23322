//! The operator's commands, parsed from their command lines and run against an embedded database of their own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "operation/directory.rs"]
mod directory;
#[path = "operation/stack.rs"]
mod stack;

use std::time::Duration;

use clap::Parser as _;
use rondo::arguments::Cli;
use rondo::failure::Failure;
use rondo_shared::identity::{Client, Subject};
use rondo_shared::moment::Nonce;
use rondo_shared::session::{OpenError, OpenOnceError};
use rondo_shared::store::item::Generation;
use rondo_shared::store::{Item, Key, Meter, Store as _, keys};
use serde_json::{Value, json};
use stack::*;

#[tokio::test]
async fn a_session_is_opened_listed_shown_and_revoked_by_an_operator() {
    let stack = Stack::up().await;
    stack.run("rondo user put ada --name Ada --email ada@example.com").await;
    let opened = stack.run("rondo session open --user ada --org acme --label laptop").await;
    assert!(text(&opened["set_cookie"]).starts_with(&format!("uniqos_refresh={}; ", text(&opened["refresh_token"]))));
    assert!(!text(&opened["set_cookie"]).contains("Secure"));
    assert_eq!(opened["access_expires_in"], 900);
    // By which settings it was opened: on AWS they have to be the deployment's.
    assert_eq!((text(&opened["issuer"]), &opened["idle_secs"]), ("uniqos", &Value::from(14 * 24 * 60 * 60)));
    let family = text(&opened["family"]);

    let listed = stack.run("rondo session list --user ada").await;
    assert_eq!((&listed[0]["family"], text(&listed[0]["state"])), (&opened["family"], "live"));
    assert_eq!((text(&listed[0]["label"]), &listed[0]["live"]["generation"]), ("laptop", &Value::from(0)));

    let shown = stack.run(&format!("rondo session show {family}")).await;
    assert_eq!((text(&shown["state"]), text(&shown["user"]), text(&shown["org"])), ("live", "ada", "acme"));

    let revoked = stack.run(&format!("rondo session revoke {family}")).await;
    assert_eq!(text(&revoked[0]["cause"]), "operator");
    assert_eq!(text(&stack.run("rondo session list --user ada").await[0]["state"]), "operator");

    // The first seal stands, whatever is asked for later.
    let again = stack.run(&format!("rondo session revoke {family} --cause sign_out")).await;
    assert_eq!(text(&again[0]["cause"]), "operator");
}

#[tokio::test]
async fn every_session_of_a_user_is_ended_and_nobody_elses() {
    let stack = Stack::up().await;
    for user in ["ada", "bob"] {
        stack.run(&format!("rondo user put {user}")).await;
        stack.run(&format!("rondo session open --user {user}")).await;
        stack.run(&format!("rondo session open --user {user}")).await;
    }
    let ended = stack.run("rondo session revoke-all --user ada --cause sign_out").await;
    assert_eq!(ended.as_array().unwrap().len(), 2);
    let states =
        |list: Value| list.as_array().unwrap().iter().map(|s| text(&s["state"]).to_owned()).collect::<Vec<_>>();
    assert_eq!(states(stack.run("rondo session list --user ada").await), ["sign_out", "sign_out"]);
    assert_eq!(states(stack.run("rondo session list --user bob").await), ["live", "live"]);
}

#[tokio::test]
async fn a_user_who_was_never_put_has_no_session() {
    let stack = Stack::up().await;
    let refused = stack.run_with("rondo session open --user nobody", b"").await.unwrap_err();
    assert!(matches!(refused, Failure::Open(OpenOnceError::Open(OpenError::NoSuchUser))), "{refused}");
    assert_eq!(stack.run("rondo session list --user nobody").await, Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_session_that_never_was_is_neither_shown_nor_revoked() {
    let stack = Stack::up().await;
    for verb in ["session show", "session revoke", "family show"] {
        let failed = stack.run_with(&format!("rondo {verb} 01JD0000000000000000000000"), b"").await.unwrap_err();
        assert!(matches!(failed, Failure::NotFound { .. }), "{verb}: {failed}");
    }
}

#[tokio::test]
async fn a_family_is_found_by_a_token_on_standard_input_which_is_said_to_verify() {
    let stack = Stack::up().await;
    stack.run("rondo user put ada").await;
    let opened = stack.run("rondo session open --user ada").await;
    let token = text(&opened["refresh_token"]);
    let shown = stack.run_with("rondo family show -", token.as_bytes()).await.unwrap();
    assert_eq!(shown.json()["family"], opened["family"]);
    assert_eq!(shown.json()["token"]["signature_verifies"], true);
    assert_eq!(text(&shown.json()["token"]["generation_is"]), "live");
    assert!(!shown.text().contains(token));
}

#[tokio::test]
async fn a_token_with_another_signature_is_said_to_be_unverified() {
    let stack = Stack::up().await;
    stack.run("rondo user put ada").await;
    let opened = stack.run("rondo session open --user ada").await;
    let (signed, _) = text(&opened["refresh_token"]).rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", "A".repeat(43));
    let shown = stack.run_with("rondo family show -", forged.as_bytes()).await.unwrap();
    assert_eq!(shown.json()["token"]["signature_verifies"], false);
    assert!(shown.text().contains("unverified"), "{}", shown.text());
    let failed = stack.run_with("rondo family show -", b"no token").await.unwrap_err();
    assert!(matches!(failed, Failure::NoToken(_)));
}

#[tokio::test]
async fn a_session_of_every_product_is_opened_with_the_cookies_that_it_has_and_no_others() {
    let stack = Stack::up().await;
    for (product, tenant, cookie, access_cookie) in [
        ("uniqos", "uniqos", Some("uniqos_refresh="), None),
        ("dreadnode", "dreadnode", Some("refresh_token="), Some("access_token=")),
        ("elastic", "elastic", None, None),
        ("replyke", "replyke:demo", Some("replyke-refresh-jwt="), None),
        ("replyke --project p-1", "replyke:p-1", Some("replyke-refresh-jwt="), None),
    ] {
        stack.run(&format!("rondo user put ada --tenant {tenant}")).await;
        let opened = stack.run(&format!("rondo session open --user ada --product {product}")).await;
        assert_eq!(claims(&opened["access_token"])["sub"], "ada", "{product}");
        for (value, token, name) in [
            (&opened["set_cookie"], &opened["refresh_token"], cookie),
            (&opened["set_access_cookie"], &opened["access_token"], access_cookie),
        ] {
            match name {
                Some(name) => assert!(text(value).starts_with(&format!("{name}{};", text(token))), "{product}"),
                None => assert_eq!(value, &Value::Null, "{product}"),
            }
        }
        let listed = stack.run(&format!("rondo session list --user ada --tenant {tenant}")).await;
        assert_eq!((&listed[0]["family"], listed.as_array().unwrap().len()), (&opened["family"], 1), "{product}");
        let family = text(&opened["family"]);
        assert_eq!(text(&stack.run(&format!("rondo session show {family} --tenant {tenant}")).await["user"]), "ada");
        let shown = stack.run_with("rondo family show -", text(&opened["refresh_token"]).as_bytes()).await.unwrap();
        assert_eq!(shown.json()["token"]["signature_verifies"], true, "{product}: {}", shown.text());
        let ended = stack.run(&format!("rondo session revoke-all --user ada --tenant {tenant}")).await;
        assert_eq!(text(&ended[0]["cause"]), "operator");
    }
}

#[tokio::test]
async fn elastics_one_token_is_both_and_replykes_access_token_says_what_its_endpoint_says() {
    let stack = Stack::up().await;
    stack.run("rondo user put ada --tenant elastic").await;
    let opened = stack.run("rondo session open --user ada --product elastic").await;
    assert_eq!(opened["access_token"], opened["refresh_token"]);
    let printed = stack.run_with("rondo session open --user ada --product elastic", b"").await.unwrap();
    assert!(!printed.text().contains("access token"), "{}", printed.text());

    let put = "rondo user put ada --tenant replyke:demo --attributes -";
    stack.run_with(put, br#"{"role":"admin"}"#).await.unwrap();
    let opened = stack.run("rondo session open --user ada --product replyke").await;
    let claims = claims(&opened["access_token"]);
    assert_eq!((&claims["projectId"], &claims["role"]), (&json!("demo"), &json!("admin")));
}

#[test]
fn what_cannot_be_is_refused_on_the_command_line() {
    let quota = ["rondo", "quota", "put", "acme", "--turns-limit", "1", "--relationships-used", "1"];
    let rest = ["--relationships-limit", "1", "--resets-at", "2026-12-01T00:00:00Z", "--turns-used"];
    let with = |used: &'static str| Cli::try_parse_from(quota.into_iter().chain(rest).chain([used]));
    assert!(with("1").is_ok());
    assert!(with("-1").is_err());
    for line in [
        "rondo session revoke 01JD0000000000000000000000 --cause reuse",
        "rondo dev --grace-secs 61",
        "rondo user put ada --status removed",
        "rondo session open --user ada --product another",
    ] {
        assert_eq!(Cli::try_parse_from(line.split(' ')).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[tokio::test]
async fn a_session_can_be_ended_whatever_form_its_items_are_in() {
    let stack = Stack::up().await;
    stack.run("rondo user put ada").await;
    let malformed = |family: &str, generation| {
        let key = Key { pk: keys::family(&uniqos(), family.parse().unwrap()), sk: keys::generation(generation) };
        Item::at(key).number("gid", 5)
    };
    for generations in [vec![0], vec![1], vec![0, 1]] {
        let opened = stack.run("rondo session open --user ada").await;
        let family = text(&opened["family"]);
        for generation in generations {
            stack.target.store().replace(&malformed(family, generation), &Meter::default()).await.unwrap();
        }
        let revoked = stack.run(&format!("rondo session revoke {family}")).await;
        assert_eq!(text(&revoked[0]["cause"]), "operator");
    }
    // Generation 0 leaves the table before the session ends.
    let family = "01JD0000000000000000000000";
    stack.target.store().replace(&malformed(family, 7), &Meter::default()).await.unwrap();
    stack.run(&format!("rondo session revoke {family}")).await;
    let unknown = stack.run_with("rondo session revoke 01JD0000000000000000000001", b"").await;
    assert!(matches!(unknown, Err(Failure::NotFound { .. })), "{unknown:?}");
}

#[tokio::test]
async fn a_malformed_entry_among_a_users_sessions_is_listed_and_keeps_none_from_being_ended() {
    for (ending, cause) in [
        ("rondo session revoke-all --user ada", "operator"),
        ("rondo user put ada --status suspended", "account_suspended"),
        ("rondo user remove ada", "account_removed"),
    ] {
        let stack = Stack::up().await;
        let put = async |item: Item| stack.target.store().replace(&item, &Meter::default()).await.unwrap();
        stack.run("rondo user put ada").await;
        let mut families = Vec::new();
        for _ in 0..4 {
            families.push(stack.run("rondo session open --user ada --label laptop").await["family"].clone());
        }
        // As they are listed: ULIDs of one millisecond come in any order.
        families.sort_by_key(Value::to_string);
        let pk = keys::user(&uniqos(), &Subject::new("ada").unwrap());
        let entry = |family: &str| Item::at(Key { pk: pk.clone(), sk: format!("{}{family}", keys::SESSION_PREFIX) });
        put(entry(text(&families[0]))).await;
        put(entry(text(&families[1])).text("session_expires_at", "soon".to_owned()).number("label", 1)).await;
        put(entry(text(&families[2])).json("opened_at", json!(null)).number("session_expires_at", 9_999_999_999)).await;
        put(entry("nothing")).await;

        let listed = stack.run("rondo session list --user ada").await;
        let rows = listed.as_array().unwrap();
        assert_eq!(rows.iter().map(|row| row["family"].clone()).collect::<Vec<_>>(), families, "{listed}");
        assert!(rows.iter().all(|row| row["state"] == "live" && row["opened_at"].is_string()), "{listed}");
        assert_eq!((&rows[0]["label"], &rows[3]["label"]), (&Value::Null, &json!("laptop")));

        stack.run(ending).await;
        let listed = stack.run("rondo session list --user ada").await;
        assert!(listed.as_array().unwrap().iter().all(|row| row["state"] == cause), "{ending}: {listed}");
    }
}

#[tokio::test]
async fn what_a_refused_request_has_put_is_not_shown_as_the_sessions_last_use() {
    let stack = Stack::up().await;
    stack.run("rondo user put ada").await;
    let opened = stack.run("rondo session open --user ada").await;
    let family = text(&opened["family"]);
    stack.run(&format!("rondo session revoke {family}")).await;
    let first = Key { pk: keys::family(&uniqos(), family.parse().unwrap()), sk: keys::generation(0) };
    let first = stack.target.store().get(&first, true, &Meter::default()).await.unwrap().unwrap();
    let first = Generation::from_item(&first).unwrap();
    let refused = Generation {
        number: 1,
        gid: Nonce::from_text("another"),
        parent: Some(first.gid.clone()),
        minted_at: first.minted_at.plus(Duration::from_secs(3_600)),
        client: Client::new(Some("203.0.113.9".parse().unwrap()), "script"),
        request_id: "refused".to_owned(),
        opening: None,
        ..first
    };
    let item = refused.to_item(&uniqos(), family.parse().unwrap(), i64::MAX);
    stack.target.store().replace(&item, &Meter::default()).await.unwrap();
    let listed = stack.run("rondo session list --user ada").await;
    assert_eq!((&listed[0]["live"], &listed[0]["last"]["generation"]), (&Value::Null, &json!(0)), "{listed}");
    let shown = stack.run(&format!("rondo session show {family}")).await;
    assert_eq!((&shown["generation"], &shown["state"]), (&json!("0"), &json!("operator")), "{shown}");
}
