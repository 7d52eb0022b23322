//! Opening a session: what a backend gets, once, however often it asks.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod backend;

use backend::{Backend, DAY, assert_common, assert_error, opened, opening, send_to, text};
use rondo_shared::identity::Tenant;
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::{AccountStatus, Project, ProjectStatus};
use rondo_shared::store::{Item, Meter, Store as _};
use rondo_shared::token::UnverifiedToken;
use rondo_tests::world::{millis, refresh_event};
use rondo_tests::{Fault, T0, secs};
use serde_json::{Value, json};

fn claims(token: &str) -> rondo_shared::token::Claims {
    UnverifiedToken::parse(token).unwrap().claims_unverified().unwrap()
}

#[tokio::test]
async fn an_opened_session_is_one_that_its_product_refreshes() {
    let backend = Backend::new().await;
    let answer = backend.open("user-1", "attempt-1", T0).await;
    assert_eq!(answer.status, 201);
    assert_common(&answer);
    let (_, token) = opened(&answer);
    let next = backend.world.refresh(&token, secs(1)).await.ok();
    backend.world.refresh(&next, secs(2)).await.ok();
}

#[tokio::test]
async fn the_answer_says_what_was_opened_and_holds_the_exact_cookie() {
    let backend = Backend::new().await;
    let answer = backend.open("user-1", "attempt-1", T0).await;
    let (family, token) = opened(&answer);
    let mut body = answer.json();
    let access = body["access_token"].take();
    assert_eq!(access.as_str().unwrap().split('.').count(), 3);
    assert_eq!(
        body,
        json!({
            "session": {"family": family, "opened_at": "2026-11-22T10:00:00.000Z",
                        "expires_at": "2027-02-20T10:00:00.000Z", "label": "laptop"},
            "refresh_token": token, "access_token": null, "expires_in": 900,
            "set_cookie": format!("uniqos_refresh={token}; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict; \
                                   Max-Age=1209600"),
            "set_access_cookie": null,
        })
    );
    assert_eq!((answer.line.outcome, answer.line.cause), ("opened", None));
    assert_eq!(answer.line.family.unwrap().to_string(), family);
    assert_eq!(claims(&token).org.unwrap().as_str(), "acme");
}

#[tokio::test]
async fn opening_costs_one_transaction_of_eight_write_units() {
    let backend = Backend::new().await;
    let answer = backend.open("user-1", "attempt-1", T0).await;
    assert_eq!(backend.faults.take_attempts(), ["TransactWriteItems"]);
    assert_eq!((answer.line.usage.calls, answer.line.usage.write_units), (1, 8.0));
}

#[tokio::test]
async fn what_is_left_out_is_not_made_up() {
    let backend = Backend::new().await;
    let body = json!({"tenant": "uniqos", "user": "user-1", "client_token": "t", "org": null, "label": null});
    let answer = backend.post("/sessions", &body, T0).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["session"]["label"], Value::Null);
    let listed = backend.list("user-1", "", T0).await.json();
    let session = &listed["sessions"][0];
    assert_eq!((&session["ip"], &session["user_agent"]), (&Value::Null, &Value::Null), "not the backend's own");
}

#[tokio::test]
async fn a_label_is_kept_to_64_printable_characters() {
    let backend = Backend::new().await;
    for (n, (sent, kept)) in
        [("é\u{7}", Value::Null), ("Zo\u{eb}'s", json!("Zo's")), (&"x".repeat(65), json!("x".repeat(64)))]
            .into_iter()
            .enumerate()
    {
        let mut body = opening("user-1", &format!("t-{n}"));
        body["label"] = json!(sent);
        for status in [201, 200] {
            let answer = backend.post("/sessions", &body, T0).await;
            assert_eq!((answer.status, &answer.json()["session"]["label"]), (status, &kept));
        }
    }
}

#[tokio::test]
async fn a_repeat_gets_the_same_session_with_fresh_tokens_of_generation_0() {
    let backend = Backend::new().await;
    let first = backend.open("user-1", "attempt-1", T0).await;
    let repeat = backend.open("user-1", "attempt-1", secs(60)).await;
    assert_eq!((first.status, repeat.status), (201, 200));
    assert_common(&repeat);
    assert_eq!((repeat.line.outcome, repeat.line.cause), ("opened", Some("repeat")));
    assert_eq!(first.json()["session"], repeat.json()["session"]);
    assert_eq!(backend.families(), 1);
    let ((_, a), (_, b)) = (opened(&first), opened(&repeat));
    let (a_says, b_says) = (claims(&a), claims(&b));
    assert_ne!(a, b);
    assert_ne!(a_says.jti, b_says.jti);
    assert_eq!((a_says.gid, a_says.exp, a_says.generation), (b_says.gid, b_says.exp, 0));
    assert_eq!(b_says.iat, secs(60).secs());
    assert!(text(&repeat.json(), "/set_cookie").ends_with("Max-Age=1209540"), "its expiry has not moved");
    // Both are good: the second is a retry of the first.
    backend.world.refresh(&a, secs(61)).await.ok();
    backend.world.refresh(&b, secs(62)).await.ok();
}

#[tokio::test]
async fn a_repeat_after_the_session_was_refreshed_is_a_conflict() {
    let backend = Backend::new().await;
    let (_, token) = opened(&backend.open("user-1", "attempt-1", T0).await);
    let next = backend.world.refresh(&token, secs(1)).await.ok();
    assert_error(&backend.open("user-1", "attempt-1", secs(2)).await, 409, "session_moved_on");
    let last = backend.world.refresh(&next, secs(3)).await.ok();
    assert_error(&backend.open("user-1", "attempt-1", secs(4)).await, 409, "session_moved_on");
    // And the session is none the worse for it.
    backend.world.refresh(&last, secs(5)).await.ok();
    assert_eq!(backend.families(), 1);
}

#[tokio::test]
async fn a_repeat_after_the_session_has_ended_is_a_conflict() {
    let backend = Backend::new().await;
    let (family, _) = opened(&backend.open("user-1", "attempt-1", T0).await);
    backend.revoke("user-1", &family, secs(1)).await;
    assert_error(&backend.open("user-1", "attempt-1", secs(2)).await, 409, "session_moved_on");
}

#[tokio::test]
async fn generation_0_is_repeated_until_the_moment_at_which_its_tokens_expire() {
    let backend = Backend::new().await;
    backend.open("user-1", "attempt-1", T0).await;
    assert_eq!(backend.open("user-1", "attempt-1", millis(14 * DAY * 1000 - 1)).await.status, 200);
    for late in [secs(14 * DAY), secs(15 * DAY), secs(91 * DAY)] {
        assert_error(&backend.open("user-1", "attempt-1", late).await, 409, "session_moved_on");
    }
}

#[tokio::test]
async fn a_session_that_the_global_sign_out_ended_is_not_repeated() {
    let mut backend = Backend::new().await;
    backend.open("user-1", "attempt-1", T0).await;
    backend.restart_with(&[("SESSIONS_NOT_BEFORE", "2026-11-22T10:00:00.001Z")]);
    assert_error(&backend.open("user-1", "attempt-1", secs(1)).await, 409, "session_moved_on");
    assert_eq!(backend.open("user-1", "attempt-2", secs(1)).await.status, 201);
}

#[tokio::test]
async fn a_client_token_used_for_another_opening_is_a_conflict() {
    let backend = Backend::new().await;
    backend.open("user-1", "attempt-1", T0).await;
    for (field, value) in [("org", json!("other")), ("org", Value::Null), ("label", json!("phone"))] {
        let mut body = opening("user-1", "attempt-1");
        body[field] = value;
        assert_error(&backend.post("/sessions", &body, secs(1)).await, 409, "client_token_mismatch");
    }
    // Where from is not what tells openings apart: a retry may take another way.
    let mut body = opening("user-1", "attempt-1");
    body["ip"] = json!("2001:db8::1");
    assert_eq!(backend.post("/sessions", &body, secs(1)).await.status, 200);
}

#[tokio::test]
async fn one_client_token_of_two_users_opens_two_sessions() {
    let backend = Backend::new().await;
    backend.put_user("uniqos", "user-2", AccountStatus::Active).await;
    let a = opened(&backend.open("user-1", "attempt-1", T0).await).0;
    let b = opened(&backend.open("user-2", "attempt-1", T0).await).0;
    assert_ne!(a, b);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_repeats_open_one_session() {
    for round in 0..5 {
        let backend = Backend::new().await;
        let event = backend::post("/sessions", &opening("user-1", "attempt-1"));
        let send = |n| send_to(&backend.app, &event, secs(n));
        let (a, b, c, d) = tokio::join!(send(0), send(0), send(1), send(1));
        let answers = [a, b, c, d];
        let created = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!((created, backend.families()), (1, 1), "round {round}");
        let families: Vec<_> = answers.iter().map(|answer| opened(answer).0).collect();
        assert!(families.iter().all(|family| *family == families[0]));
        for answer in &answers {
            backend.world.refresh(&opened(answer).1, secs(2)).await.ok();
        }
    }
}

#[tokio::test]
async fn an_unknown_user_gets_no_session() {
    let backend = Backend::new().await;
    assert_error(&backend.open("nobody", "attempt-1", T0).await, 404, "user_not_found");
    assert_eq!(backend.families(), 0);
}

#[tokio::test]
async fn a_suspended_or_removed_user_gets_no_session_and_no_repeat() {
    for (status, name) in [(AccountStatus::Suspended, "suspended"), (AccountStatus::Removed, "removed")] {
        let mut backend = Backend::with(&[("SESSIONS_PER_USER_MAX", "1")]).await;
        backend.open("user-1", "attempt-1", T0).await;
        backend.world.put_user("user-1", status).await;
        let repeat = backend.open("user-1", "attempt-1", secs(1)).await;
        assert_eq!(assert_error(&repeat, 403, "user_not_active"), json!({"status": name}));
        backend.restart_with(&[]);
        assert_error(&backend.open("user-1", "attempt-2", secs(1)).await, 403, "user_not_active");
        assert_eq!(backend.families(), 1);
    }
}

#[tokio::test]
async fn a_removed_project_gets_no_session_and_no_repeat_and_its_sessions_can_be_ended() {
    let backend = Backend::new().await;
    let tenant = "replyke:forum";
    backend.put_user(tenant, "user-1", AccountStatus::Active).await;
    let opening = |user: &str, client_token: &str| {
        let mut body = opening(user, client_token);
        body["tenant"] = json!(tenant);
        body
    };
    let first = backend.post("/sessions", &opening("user-1", "attempt-1"), T0).await;
    assert_eq!((first.status, first.line.usage.write_units), (201, 10.0), "its project's check is two units more");
    let repeat = backend.post("/sessions", &opening("user-1", "attempt-1"), secs(1)).await;
    assert_eq!((repeat.status, repeat.line.usage.write_units, repeat.line.usage.read_units), (200, 10.0, 5.0));

    backend.put_project(tenant, ProjectStatus::Removed).await;
    let refused = async |user: &str, client_token: &str| {
        let answer = backend.post("/sessions", &opening(user, client_token), secs(2)).await;
        assert_eq!(assert_error(&answer, 403, "project_not_active"), json!({"status": "removed"}));
        assert_eq!((answer.line.outcome, answer.line.cause), ("refused", Some("project_removed")));
    };
    refused("user-1", "attempt-1").await;
    refused("user-1", "attempt-2").await;
    refused("nobody", "attempt-1").await;
    // Told by a reading too, where another transaction stood in the way of this one's.
    backend.faults.queue_for_all_attempts("TransactWriteItems", &Fault::TransactionConflict);
    refused("user-1", "attempt-1").await;
    backend.faults.clear();
    assert_eq!(backend.families(), 1);

    let owner = json!({"tenant": tenant, "user": "user-1"});
    let listed = backend.send(backend::event("GET", "/sessions", &format!("tenant={tenant}&user=user-1")), secs(3));
    assert_eq!(listed.await.json()["sessions"].as_array().unwrap().len(), 1);
    let ended = backend.post("/sessions/revoke", &owner, secs(3)).await;
    assert_eq!(ended.json()["revoked"].as_array().unwrap().len(), 1);

    backend.put_project(tenant, ProjectStatus::Active).await;
    assert_eq!(backend.post("/sessions", &opening("user-1", "attempt-2"), secs(4)).await.status, 201);
}

#[tokio::test]
async fn a_project_whose_item_is_malformed_gets_no_session_until_it_is_mended() {
    let backend = Backend::new().await;
    backend.put_user("replyke:forum", "user-1", AccountStatus::Active).await;
    let key = Project::key(&Tenant::new("replyke:forum").unwrap()).unwrap();
    backend.store().replace(&Item::at(key).text("name", "Forum".to_owned()), &Meter::default()).await.unwrap();
    let mut body = opening("user-1", "attempt-1");
    body["tenant"] = json!("replyke:forum");
    assert_error(&backend.post("/sessions", &body, T0).await, 500, "internal_error");
    assert_eq!(backend.families(), 0);
    backend.put_project("replyke:forum", ProjectStatus::Active).await;
    assert_eq!(backend.post("/sessions", &body, T0).await.status, 201);
}

#[tokio::test]
async fn a_user_whom_the_directory_has_lost_gets_no_repeat() {
    let backend = Backend::new().await;
    backend.open("user-1", "attempt-1", T0).await;
    let items = backend.world.dynamo.items("USER#uniqos#user-1");
    let profile: Vec<Value> = items.into_iter().filter(|item| item["sk"]["S"] == "PROFILE").collect();
    backend.world.dynamo.delete(&profile);
    assert_error(&backend.open("user-1", "attempt-1", secs(1)).await, 404, "user_not_found");
}

#[tokio::test]
async fn a_repeat_costs_the_failed_transaction_and_three_reads() {
    let backend = Backend::new().await;
    backend.open("user-1", "attempt-1", T0).await;
    backend.faults.take_attempts();
    let usage = backend.open("user-1", "attempt-1", secs(1)).await.line.usage;
    let mut attempts = backend.faults.take_attempts();
    attempts.sort();
    assert_eq!(attempts, ["GetItem", "GetItem", "Query", "TransactWriteItems"]);
    assert_eq!((usage.write_units, usage.read_units), (8.0, 3.0));
}

#[tokio::test]
async fn a_cap_that_the_entries_alone_keep_costs_one_query() {
    let backend = Backend::with(&[("SESSIONS_PER_USER_MAX", "5")]).await;
    for n in 0..5 {
        assert_eq!(backend.open("user-1", &format!("t{n}"), secs(n)).await.status, 201);
        assert_eq!(backend.faults.take_attempts(), ["Query", "TransactWriteItems"]);
    }
}

#[tokio::test]
async fn a_user_of_one_tenant_is_nobody_in_another() {
    let backend = Backend::new().await;
    let mut body = opening("user-1", "attempt-1");
    body["tenant"] = json!("dreadnode");
    assert_error(&backend.post("/sessions", &body, T0).await, 404, "user_not_found");
}

#[tokio::test]
async fn no_session_is_opened_beyond_the_cap_and_one_that_ends_makes_room() {
    let backend = Backend::with(&[("SESSIONS_PER_USER_MAX", "3")]).await;
    backend.put_user("uniqos", "user-2", AccountStatus::Active).await;
    let mut families = Vec::new();
    for n in 0..3 {
        families.push(opened(&backend.open("user-1", &format!("attempt-{n}"), secs(n)).await).0);
    }
    let full = backend.open("user-1", "attempt-3", secs(4)).await;
    assert_eq!(assert_error(&full, 409, "session_cap_reached"), json!({"live_max": 3}));
    assert_eq!(full.line.cause, Some("cap"));
    // A repeat opens none, and another user has a cap of their own.
    assert_eq!(backend.open("user-1", "attempt-1", secs(4)).await.status, 200);
    assert_eq!(backend.open("user-2", "attempt-1", secs(4)).await.status, 201);
    backend.revoke("user-1", &families[0], secs(5)).await;
    assert_eq!(backend.open("user-1", "attempt-3", secs(6)).await.status, 201);
    assert_error(&backend.open("user-1", "attempt-4", secs(7)).await, 409, "session_cap_reached");
}

#[tokio::test]
async fn expired_sessions_do_not_count_towards_the_cap() {
    let backend = Backend::with(&[("SESSIONS_PER_USER_MAX", "1")]).await;
    let open = async |token: &str, at: Timestamp| backend.open("user-1", token, at).await.status;
    assert_eq!(open("a", T0).await, 201);
    assert_eq!(open("b", secs(14 * DAY - 1)).await, 409);
    // Idle for 14 days, though the session itself would last 90.
    assert_eq!(open("b", secs(14 * DAY)).await, 201);
    assert_eq!(open("c", secs(14 * DAY + 1)).await, 409);
    assert_eq!(open("c", secs(200 * DAY)).await, 201);
}

#[tokio::test]
async fn a_session_opened_by_a_tool_or_a_password_counts_towards_the_cap() {
    let backend = Backend::with(&[("SESSIONS_PER_USER_MAX", "1")]).await;
    backend.world.open(T0).await;
    assert_error(&backend.open("user-1", "attempt-1", secs(1)).await, 409, "session_cap_reached");
}

#[tokio::test]
async fn an_opening_is_charged_to_no_bucket_and_leaves_no_token_in_the_table() {
    let backend = Backend::new().await;
    let (_, token) = opened(&backend.open("user-1", "a secret client token", T0).await);
    assert!(backend.world.dynamo.items("RATE#").is_empty());
    let table = format!("{:?}", [backend.world.dynamo.items("USER#"), backend.world.dynamo.items("FAMILY#")]);
    assert!(!table.contains("a secret client token"));
    assert!(token.split('.').all(|part| !table.contains(part)));
}

#[tokio::test]
async fn a_receipt_stands_as_long_as_its_session() {
    let backend = Backend::new().await;
    backend.open("user-1", "attempt-1", T0).await;
    let items = backend.world.dynamo.items("USER#uniqos#user-1");
    let expiry = |prefix: &str| {
        let found = items.iter().find(|item| item["sk"]["S"].as_str().unwrap().starts_with(prefix)).unwrap();
        found["expires_at"]["N"].as_str().unwrap().parse::<i64>().unwrap()
    };
    assert_eq!(expiry("OPENED#"), expiry("SESSION#"));
    assert_eq!(expiry("OPENED#"), secs(90 * DAY).secs() + 3_600);
}

#[tokio::test]
async fn debug_shows_no_token() {
    let backend = Backend::new().await;
    let answer = backend.open("user-1", "attempt-1", T0).await;
    let (_, token) = opened(&answer);
    let shown = format!("{:?} {:?}", backend.app, answer.line);
    for secret in token.split('.').chain(backend::SECRET_KEYS) {
        assert!(!shown.contains(secret));
    }
    assert!(refresh_event(&token).to_string().contains(&token), "what is searched for is what is sent");
}
