//! Users, organizations, memberships, quotas and projects.

use clap::Parser as _;
use rondo::arguments::{Cli, Command};
use rondo::failure::Failure;
use rondo::target::Target;
use rondo_shared::config::Reader;
use rondo_shared::identity::{OrgKey, Subject, Tenant};
use rondo_shared::session::{OpenError, OpenOnceError};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Credential, Membership, Project, UserProfile, is_tombstone};
use rondo_shared::store::{Item, Meter, Store as _};
use rondo_tests::{Fault, Faults, Gate};
use serde_json::{Value, json};

use super::stack::*;

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

#[tokio::test]
async fn a_user_of_more_organizations_than_an_answer_shows_has_one_default_and_leaves_none_when_removed() {
    let stack = Stack::up().await;
    stack.run("rondo user put ada --tenant dreadnode").await;
    let (dreadnode, ada) = (Tenant::new("dreadnode").unwrap(), Subject::new("ada").unwrap());
    let put = async |item: Item| stack.target.store().replace(&item, &Meter::default()).await.unwrap();
    for n in 0..=100 {
        let org = OrgKey::new(format!("org-{n:03}")).unwrap();
        put(Membership { org, name: "One".to_owned(), is_default: n == 100 }.to_item(&dreadnode, &ada)).await;
    }
    // One that a team's own system has written, and no answer shows.
    let malformed = Membership::key(&dreadnode, &ada, &OrgKey::new("malformed").unwrap());
    put(Item::at(malformed.clone()).number("name", 7)).await;
    stack.run("rondo member put org-000 --user ada --tenant dreadnode --default").await;
    let listed = stack.run("rondo member list --user ada --tenant dreadnode").await;
    let defaults: Vec<_> = listed.as_array().unwrap().iter().filter(|member| member["is_default"] == true).collect();
    assert_eq!((listed.as_array().unwrap().len(), defaults.len(), &defaults[0]["org"]), (101, 1, &json!("org-000")));
    let shown = stack.run("rondo user show ada --tenant dreadnode").await;
    assert_eq!(shown["organizations"].as_array().unwrap().len(), 101);

    stack.run("rondo user remove ada --tenant dreadnode").await;
    assert_eq!(stack.run("rondo member list --user ada --tenant dreadnode").await, json!([]));
    let left = stack.target.store().get(&malformed, true, &Meter::default()).await.unwrap().unwrap();
    assert!(is_tombstone(&left) && !left.attributes.contains_key("name"));
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
