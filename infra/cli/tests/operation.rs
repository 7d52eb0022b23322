//! The operator's commands, parsed from their command lines and run against an embedded database of their own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Parser as _, ValueEnum as _};
use elastic_refresh::password::{Argon2id, StoredHash, Verifier as _};
use elastic_refresh::request::Password;
use rondo::arguments::{Cli, Command};
use rondo::dev::database::{Database, Storage};
use rondo::dev::keyring;
use rondo::dev::ports::Port;
use rondo::failure::Failure;
use rondo::product::Product;
use rondo::report::Report;
use rondo::target::Target;
use rondo::workspace::LocalStack;
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, Subject, Tenant};
use rondo_shared::moment::Nonce;
use rondo_shared::session::{OpenError, OpenOnceError};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Credential, Generation, Project, UserProfile};
use rondo_shared::store::table::TableDefinition;
use rondo_shared::store::{Item, Key, Meter, Store as _, keys};
use rondo_tests::{Fault, Faults, Gate};
use serde_json::{Value, json};

/// A local stack without functions, in memory, on a port of the system's choice.
struct Stack {
    target: Target,
    local: LocalStack,
    keyring: PathBuf,
    _database: Database,
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.keyring);
    }
}

impl Stack {
    async fn up() -> Self {
        static STACKS: AtomicU32 = AtomicU32::new(0);
        let listener = Port { number: 0, flag: "--db-port" }.listen().unwrap();
        let database = Database::start(listener, &Storage::Memory).unwrap();
        let number = STACKS.fetch_add(1, Ordering::Relaxed);
        let keyring = std::env::temp_dir().join(format!("rondo-operation-{}-{number}.json", std::process::id()));
        keyring::ensure(&keyring, Product::value_variants()).unwrap();
        let stack = LocalStack {
            endpoint: database.url(),
            invoke_url: "http://127.0.0.1:0".to_owned(),
            table: "rondo".to_owned(),
            keyring: keyring.clone(),
            settings: BTreeMap::new(),
        };
        let target = Target::local(stack.clone(), Reader::new::<String, String>([])).await;
        target.store().create_table(&TableDefinition::from_template().unwrap()).await.unwrap();
        Self { target, local: stack, keyring, _database: database }
    }

    /// Runs a command line, with `input` on standard input.
    async fn run_with(&self, line: &str, mut input: &[u8]) -> Result<Report, Failure> {
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        match cli.command {
            Command::Operate(operation) => rondo::operate(&operation, &self.target, &mut input).await,
            Command::Dev(_) | Command::Smoke | Command::Keys(_) => panic!("not an operation"),
        }
    }

    async fn run(&self, line: &str) -> Value {
        self.run_with(line, b"").await.unwrap().json().clone()
    }

    /// Whether a user of Elastic has this password, as the function finds out; none where the user has no password.
    async fn matches(&self, user: &str, password: &str) -> Option<bool> {
        let key = Credential::key(&elastic_refresh::policy::tenant(), &Subject::new(user).unwrap());
        let item = self.target.store().get(&key, true, &Meter::default()).await.unwrap()?;
        let stored = StoredHash::read(&Credential::from_item(&item).unwrap()).unwrap();
        Some(Argon2id.matches(&Password::new(password.to_owned()).unwrap(), &stored).unwrap())
    }
}

fn uniqos() -> Tenant {
    Tenant::new("uniqos").unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

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
async fn suspending_a_user_ends_the_sessions_and_refuses_new_ones_until_the_user_is_active_again() {
    let stack = Stack::up().await;
    stack.run("rondo user put ada --name Ada").await;
    stack.run("rondo session open --user ada").await;
    let suspended = stack.run("rondo user put ada --status suspended").await;
    assert_eq!(text(&suspended["ended_sessions"][0]["cause"]), "account_suspended");
    assert_eq!(text(&suspended["name"]), "Ada");

    let refused = stack.run_with("rondo session open --user ada", b"").await.unwrap_err();
    let suspended = OpenOnceError::Open(OpenError::UserNotActive(AccountStatus::Suspended));
    assert!(matches!(&refused, Failure::Open(error) if *error == suspended), "{refused}");
    assert_eq!(refused.exit_code(), 1);

    // A change of name does not make a suspended user active.
    assert_eq!(text(&stack.run("rondo user put ada --name Lovelace").await["status"]), "suspended");
    stack.run("rondo user put ada --status active").await;
    stack.run("rondo session open --user ada").await;
}

#[tokio::test]
async fn a_removed_user_leaves_a_tombstone_without_a_name() {
    let stack = Stack::up().await;
    stack.run("rondo user put ada --name Ada --email ada@example.com").await;
    stack.run("rondo session open --user ada").await;
    let removed = stack.run("rondo user remove ada").await;
    assert_eq!((&removed["name"], &removed["email"]), (&Value::Null, &Value::Null));
    assert_eq!(text(&removed["ended_sessions"][0]["cause"]), "account_removed");
    assert_eq!(stack.run("rondo user show ada").await["attributes"], json!({"status": "removed"}));

    let refused = stack.run_with("rondo session open --user ada", b"").await.unwrap_err();
    assert!(refused.to_string().contains("removed"), "{refused}");
    // A repeat finishes what a first attempt may have left; a change of name does not bring anybody back.
    stack.run("rondo user remove ada").await;
    assert_eq!(stack.run_with("rondo user put ada --name Ada", b"").await.unwrap_err().exit_code(), 2);
    let again = stack.run("rondo user put ada --status active").await;
    assert_eq!((text(&again["status"]), &again["email"]), ("active", &Value::Null));
    assert!(stack.run_with("rondo user remove nobody", b"").await.is_err());
}

#[tokio::test]
async fn a_password_or_a_profile_that_cannot_be_read_is_told_by_showing_the_user() {
    let stack = Stack::up().await;
    let show = "rondo user show ada --tenant elastic";
    stack.run_with("rondo user put ada --tenant elastic --password -", b"correct horse").await.unwrap();
    assert_eq!(stack.run(show).await["unreadable"], json!([]));
    let (elastic, ada) = (elastic_refresh::policy::tenant(), Subject::new("ada").unwrap());
    let put = async |item: Item| stack.target.store().replace(&item, &Meter::default()).await.unwrap();

    put(Credential::new("$2b$12$secret".to_owned()).to_item(&elastic, &ada)).await;
    let shown = stack.run_with(show, b"").await.unwrap();
    assert!(
        shown.text().contains("unreadable") && shown.text().contains("password_hash is not $argon2id$"),
        "{shown:?}"
    );
    assert!(!shown.text().contains("$2b$") && !shown.json().to_string().contains("secret"), "{shown:?}");
    put(Item::at(Credential::key(&elastic, &ada)).number("password_hash", 5)).await;
    assert!(text(&stack.run(show).await["unreadable"][0]).contains("password_hash is not text"));

    put(Item::at(UserProfile::key(&elastic, &ada)).text("status", "on leave".to_owned())).await;
    let unreadable = stack.run(show).await["unreadable"].clone();
    assert_eq!(unreadable.as_array().unwrap().len(), 2);
    assert_eq!(text(&unreadable[0]), "an item of kind user is malformed: status is unknown");
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
async fn an_organization_and_its_quota_are_put_shown_and_removed() {
    let stack = Stack::up().await;
    stack.run("rondo org put acme --name Acme").await;
    let quota = "rondo quota put acme --turns-used 1 --turns-limit 2 --relationships-used 3 --relationships-limit 4";
    let put = stack.run(&format!("{quota} --resets-at 2026-12-01T00:00:00Z --period 2026-11-15")).await;
    assert_eq!((text(&put["period"]), &put["turns_limit"]), ("2026-11-15", &Value::from(2)));
    assert_eq!(text(&stack.run("rondo org show acme").await["name"]), "Acme");
    assert_eq!(stack.run("rondo quota show acme --period 2026-11-15").await, put);
    stack.run("rondo org remove acme").await;
    for verb in ["show", "remove"] {
        assert!(stack.run_with(&format!("rondo org {verb} acme"), b"").await.is_err(), "{verb}");
    }
    stack.run("rondo org put acme --name Another").await;
    assert_eq!(text(&stack.run("rondo org show acme").await["name"]), "Another");
}

#[tokio::test]
async fn a_project_is_put_shown_and_removed_and_had_again_only_where_that_is_said() {
    let stack = Stack::up().await;
    let refused = async |line: &str| stack.run_with(line, b"").await.unwrap_err();
    assert!(matches!(refused("rondo project show forum").await, Failure::NotFound { .. }));
    let put = stack.run("rondo project put forum --name Forum").await;
    assert_eq!(put, json!({"project": "forum", "status": "active", "name": "Forum"}));
    assert_eq!(stack.run("rondo project put forum").await["name"], "Forum", "what is not given stays");
    let shown = stack.run("rondo project show forum").await;
    assert_eq!(shown["attributes"], json!({"status": "active", "name": "Forum"}));

    let removed = stack.run("rondo project remove forum").await;
    assert_eq!(removed, json!({"project": "forum", "status": "removed", "name": null}));
    stack.run("rondo project remove forum").await;
    // It is what closes the project, so that it must outlast everything: no time at which it expires.
    assert_eq!(stack.run("rondo project show forum").await["attributes"], json!({"status": "removed"}));
    let again = refused("rondo project put forum --name Forum").await;
    assert_eq!((again.exit_code(), again.to_string().contains("--status active")), (2, true), "{again}");
    let again = stack.run("rondo project put forum --status active").await;
    assert_eq!(again, json!({"project": "forum", "status": "active", "name": null}));

    for line in ["rondo project put forum --product uniqos", "rondo project remove a:b", "rondo project show a#b"] {
        assert_eq!(refused(line).await.exit_code(), 2, "{line}");
    }
}

#[tokio::test]
async fn no_session_is_opened_in_a_removed_project_whether_or_not_it_had_an_item() {
    let stack = Stack::up().await;
    let open = "rondo session open --user ada --product replyke --project forum";
    for before in ["rondo project remove forum", "rondo project put forum --status active"] {
        stack.run("rondo user put ada --tenant replyke:forum").await;
        stack.run(open).await;
        stack.run(before).await;
        stack.run("rondo project remove forum").await;
        let refused = stack.run_with(open, b"").await.unwrap_err();
        let removed = OpenOnceError::Open(OpenError::ProjectRemoved);
        assert!(matches!(&refused, Failure::Open(error) if *error == removed), "{refused}");
        // Nor is anybody told of its users.
        let nobody = stack.run_with(&open.replace("ada", "nobody"), b"").await.unwrap_err();
        assert_eq!(nobody.to_string(), refused.to_string());
        stack.run("rondo project put forum --status active").await;
    }
    stack.run(open).await;
    // Sessions can be looked at and ended all the same.
    stack.run("rondo project remove forum").await;
    let tenant = "--user ada --tenant replyke:forum";
    assert_eq!(stack.run(&format!("rondo session list {tenant}")).await.as_array().unwrap().len(), 3);
    assert_eq!(stack.run(&format!("rondo session revoke-all {tenant}")).await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_malformed_project_is_shown_and_is_mended_by_saying_its_status() {
    let stack = Stack::up().await;
    let key = Project::key(&Tenant::new("replyke:forum").unwrap()).unwrap();
    let item = Item::at(key).text("status", "odd".to_owned()).text("plan", "gold".to_owned());
    stack.target.store().replace(&item, &Meter::default()).await.unwrap();
    assert_eq!(stack.run("rondo project show forum").await["attributes"]["status"], "odd");
    let refused = stack.run_with("rondo project put forum --name Forum", b"").await.unwrap_err();
    assert!(refused.to_string().contains("project is malformed: status is unknown"), "{refused}");
    stack.run("rondo user put ada --tenant replyke:forum").await;
    let open = "rondo session open --user ada --product replyke --project forum";
    assert!(stack.run_with(open, b"").await.unwrap_err().to_string().contains("malformed"));
    stack.run("rondo project put forum --name Forum --status active").await;
    stack.run(open).await;
    let shown = stack.run("rondo project show forum").await;
    assert_eq!(shown["attributes"], json!({"status": "active", "name": "Forum", "plan": "gold"}));
}

#[tokio::test]
async fn a_removed_quota_is_shown_by_nobody() {
    let stack = Stack::up().await;
    stack.run("rondo org put acme --name Acme").await;
    let quota = "rondo quota put acme --turns-used 1 --turns-limit 2 --relationships-used 3 --relationships-limit 4";
    stack.run(&format!("{quota} --resets-at 2100-01-01T00:00:00Z")).await;
    assert_eq!(stack.run("rondo org show acme").await["quota"]["turns_limit"], 2);
    stack.run("rondo quota remove acme").await;
    assert_eq!(stack.run("rondo org show acme").await["quota"], Value::Null);
    for verb in ["show", "remove"] {
        assert!(stack.run_with(&format!("rondo quota {verb} acme"), b"").await.is_err(), "{verb}");
    }
    stack.run(&format!("{quota} --resets-at 2100-01-01T00:00:00Z")).await;
    assert_eq!(stack.run("rondo org show acme").await["quota"]["turns_limit"], 2);
}

/// The claims of a token, unverified.
fn claims(token: &Value) -> Value {
    let payload = text(token).split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
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

#[tokio::test]
async fn attributes_are_kept_until_they_are_changed_and_secret_ones_are_not_shown() {
    let stack = Stack::up().await;
    let put = "rondo user put ada --tenant replyke:demo --attributes -";
    let given = br#"{"username":"ada","reputation":7,"metadata":{"a":1},"secret_metadata":{"b":2},"bio":"x"}"#;
    stack.run_with(put, given).await.unwrap();
    stack.run_with(put, br#"{"bio":null,"reputation":8}"#).await.unwrap();
    stack.run("rondo user put ada --tenant replyke:demo --name Ada").await;
    let shown = stack.run("rondo user show ada --tenant replyke:demo").await;
    let expected = json!({
        "status": "active", "name": "Ada", "username": "ada", "reputation": 8, "metadata": {"a": 1},
        "secret_metadata": "(not shown)",
    });
    assert_eq!(shown["attributes"], expected);
    assert_eq!(shown["has_password"], false);
}

#[tokio::test]
async fn attributes_that_would_make_the_user_unreadable_are_refused_and_nothing_is_written() {
    let stack = Stack::up().await;
    stack.run("rondo user put ada --name Ada").await;
    for given in [r#"{"name":7}"#, r#"{"status":"active"}"#, r#"{"expires_at":1}"#, "[]", ""] {
        let refused = stack.run_with("rondo user put ada --attributes -", given.as_bytes()).await;
        assert!(refused.is_err(), "{given}");
    }
    assert_eq!(stack.run("rondo user show ada").await["attributes"], json!({"status": "active", "name": "Ada"}));
}

#[tokio::test]
async fn a_password_from_standard_input_is_kept_as_a_hash_that_the_function_accepts() {
    let stack = Stack::up().await;
    let put = "rondo user put ada --tenant elastic --password -";
    let done = stack.run_with(put, b"correct horse\nmore").await.unwrap();
    assert_eq!(done.json()["password_set"], true);
    assert_eq!(stack.run("rondo user show ada --tenant elastic").await["has_password"], true);
    assert_eq!(stack.matches("ada", "correct horse").await, Some(true));
    assert_eq!(stack.matches("ada", "correct horse\n").await, Some(false));

    stack.run("rondo user remove ada --tenant elastic").await;
    assert_eq!(stack.matches("ada", "correct horse").await, Some(false));

    for (line, input) in [(put, "\n"), (put, &"x".repeat(1025)), ("rondo user put ada --password -", "x\n")] {
        let refused = stack.run_with(line, input.as_bytes()).await.unwrap_err();
        assert_eq!(refused.exit_code(), 2, "{refused}");
    }
    assert_eq!(stack.matches("nobody", "x").await, None);
}

#[tokio::test]
async fn a_user_has_one_default_organization_and_a_removed_membership_is_not_listed() {
    let stack = Stack::up().await;
    let tenant = "--user ada --tenant dreadnode";
    let orgs = || async {
        let listed = stack.run(&format!("rondo member list {tenant}")).await;
        let told = |member: &Value| (text(&member["org"]).to_owned(), member["is_default"] == json!(true));
        listed.as_array().unwrap().iter().map(told).collect::<Vec<_>>()
    };
    let told = |orgs: &[(&str, bool)]| orgs.iter().map(|(org, flag)| ((*org).to_owned(), *flag)).collect::<Vec<_>>();
    let absent = stack.run_with(&format!("rondo member put acme {tenant} --name Acme"), b"").await.unwrap_err();
    assert!(matches!(absent, Failure::NotFound { what: "user", .. }), "{absent}");

    stack.run("rondo user put ada --tenant dreadnode").await;
    stack.run("rondo org put acme --name Acme --tenant dreadnode").await;
    let put = stack.run(&format!("rondo member put acme {tenant} --default")).await;
    assert_eq!(text(&put["name"]), "Acme");
    assert_eq!(stack.run_with(&format!("rondo member put globex {tenant}"), b"").await.unwrap_err().exit_code(), 2);
    stack.run(&format!("rondo member put globex {tenant} --name Globex")).await;
    assert_eq!(orgs().await, told(&[("acme", true), ("globex", false)]));
    stack.run(&format!("rondo member put globex {tenant} --default")).await;
    assert_eq!(orgs().await, told(&[("acme", false), ("globex", true)]));
    // What is not given stays.
    stack.run(&format!("rondo member put globex {tenant} --name Globe")).await;
    assert_eq!(orgs().await, told(&[("acme", false), ("globex", true)]));

    stack.run(&format!("rondo member remove globex {tenant}")).await;
    assert_eq!(orgs().await, told(&[("acme", false)]));
    assert!(stack.run_with(&format!("rondo member remove globex {tenant}"), b"").await.is_err());
    stack.run(&format!("rondo member put globex {tenant} --name Globex")).await;
    assert_eq!(orgs().await, told(&[("acme", false), ("globex", false)]));

    stack.run("rondo user remove ada --tenant dreadnode").await;
    assert_eq!(orgs().await, told(&[]));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_that_comes_between_reading_a_user_and_writing_it_stands() {
    for already in [true, false] {
        let stack = Stack::up().await;
        if already {
            stack.run("rondo user put ada").await;
        }
        let (faults, gate) = (Faults::default(), Gate::default());
        faults.queue("PutItem", Fault::HeldBefore(gate.clone()));
        let slow = DynamoStore::over(faults.http(), &stack.local.endpoint, &stack.local.table);
        let slow = Target::local(stack.local.clone(), Reader::new::<String, String>([])).await.through(slow);
        let cli = Cli::try_parse_from("rondo user put ada --name Ada".split_whitespace()).unwrap();
        let Command::Operate(operation) = cli.command else { panic!("an operation") };
        let put = async { rondo::operate(&operation, &slow, &mut b"".as_slice()).await };
        let suspend = async {
            gate.reached().await;
            stack.run("rondo user put ada --status suspended").await;
            gate.open();
        };
        let (refused, ()) = tokio::join!(put, suspend);
        let refused = refused.unwrap_err();
        assert_eq!(refused.exit_code(), 1);
        assert!(refused.to_string().contains("user ada was changed by somebody else"), "{refused}");
        let shown = stack.run("rondo user show ada").await;
        assert_eq!((&shown["attributes"]["status"], &shown["attributes"]["name"]), (&json!("suspended"), &Value::Null));
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
