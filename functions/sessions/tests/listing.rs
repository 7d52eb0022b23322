//! Listing a user's sessions: what of each, and page by page.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod backend;

use std::collections::BTreeSet;

use backend::{Backend, DAY, assert_common, assert_error, opened, text};
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::AccountStatus;
use rondo_tests::world::{refresh_event, thiefs_event};
use rondo_tests::{T0, secs};
use serde_json::{Value, json};

/// Every family of a user, page by page, and `between` after each page.
async fn all_pages(backend: &Backend, limit: usize, now: Timestamp, between: impl AsyncFn(usize)) -> Vec<String> {
    let (mut families, mut cursor) = (Vec::new(), String::new());
    for page in 0..100 {
        let answer = backend.list("user-1", &format!("&limit={limit}{cursor}"), now).await;
        assert_common(&answer);
        let body = answer.json();
        let listed = body["sessions"].as_array().unwrap();
        assert!(listed.len() <= limit);
        families.extend(listed.iter().map(|session| text(session, "/family").to_owned()));
        match body["next_cursor"].as_str() {
            None => return families,
            Some(next) => cursor = format!("&cursor={next}"),
        }
        assert_eq!(listed.len(), limit, "only the last page is short");
        between(page).await;
    }
    panic!("the pages do not end");
}

#[tokio::test]
async fn a_list_shows_when_each_session_was_opened_and_last_used_and_from_where() {
    let backend = Backend::new().await;
    let (family, token) = opened(&backend.open("user-1", "a", T0).await);
    let opened_then = json!({
        "family": family, "state": "live", "opened_at": "2026-11-22T10:00:00.000Z",
        "last_used_at": "2026-11-22T10:00:00.000Z", "ip": "192.0.2.1", "user_agent": "browser", "label": "laptop",
        "expires_at": "2027-02-20T10:00:00.000Z"});
    let answer = backend.list("user-1", "", secs(1)).await;
    assert_common(&answer);
    assert_eq!(answer.json(), json!({"sessions": [opened_then], "next_cursor": null}));

    let mut elsewhere = refresh_event(&token);
    elsewhere["requestContext"]["http"]["sourceIp"] = json!("2001:db8::7");
    elsewhere["headers"]["user-agent"] = json!("phone");
    backend.world.send(elsewhere, secs(90)).await.ok();
    let mut used_since = opened_then.clone();
    used_since["last_used_at"] = json!("2026-11-22T10:01:30.000Z");
    used_since["ip"] = json!("2001:db8::7");
    used_since["user_agent"] = json!("phone");
    assert_eq!(backend.list("user-1", "", secs(91)).await.json()["sessions"], json!([used_since]));
}

#[tokio::test]
async fn every_state_is_told_by_its_name() {
    let mut backend = Backend::new().await;
    let state = async |backend: &Backend, at: i64| {
        text(&backend.list("user-1", "", secs(at)).await.json(), "/sessions/0/state").to_owned()
    };
    let (family, _) = opened(&backend.open("user-1", "a", T0).await);
    assert_eq!(state(&backend, 0).await, "live");
    assert_eq!(state(&backend, 14 * DAY - 1).await, "live");
    assert_eq!(state(&backend, 14 * DAY).await, "expired");
    backend.revoke("user-1", &family, secs(1)).await;
    assert_eq!(state(&backend, 2).await, "sign_out");

    let (_, token) = opened(&backend.open("user-1", "b", secs(10)).await);
    backend.world.refresh(&token, secs(11)).await.ok();
    assert_eq!(backend.world.send(thiefs_event(&token), secs(100)).await.status, 401);
    assert_eq!(state(&backend, 101).await, "reuse");

    let (family, _) = opened(&backend.open("user-1", "c", secs(200)).await);
    backend.world.dynamo.delete(&backend.world.dynamo.items(&format!("FAMILY#uniqos#{family}")));
    assert_eq!(state(&backend, 201).await, "unknown");

    backend.open("user-1", "d", secs(300)).await;
    backend.restart_with(&[("SESSIONS_NOT_BEFORE", "2026-11-22T11:00:00Z")]);
    assert_eq!(state(&backend, 3_600).await, "sessions_not_before");
}

#[tokio::test]
async fn sessions_are_listed_newest_first() {
    let backend = Backend::new().await;
    let mut families = Vec::new();
    for n in 0..5 {
        families.push(opened(&backend.open("user-1", &format!("t{n}"), secs(n)).await).0);
    }
    families.reverse();
    assert_eq!(all_pages(&backend, 100, secs(10), async |_| ()).await, families);
}

#[tokio::test]
async fn pages_of_any_size_lose_no_session_and_repeat_none() {
    let backend = Backend::new().await;
    let mut families = Vec::new();
    for n in 0..23 {
        // Several in one millisecond too.
        families.push(opened(&backend.open("user-1", &format!("t{n}"), secs(n / 4)).await).0);
    }
    families.sort();
    families.reverse();
    for limit in 1..=24 {
        assert_eq!(all_pages(&backend, limit, secs(100), async |_| ()).await, families, "limit {limit}");
    }
    let by_default = backend.list("user-1", "", secs(100)).await.json();
    assert_eq!(by_default["sessions"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn sessions_opened_refreshed_and_ended_between_pages_lose_none_and_repeat_none() {
    let backend = Backend::new().await;
    let (mut standing, mut tokens) = (BTreeSet::new(), Vec::new());
    for n in 0..12 {
        let (family, token) = opened(&backend.open("user-1", &format!("t{n}"), secs(n)).await);
        standing.insert(family.clone());
        tokens.push((family, token));
    }
    let listed = all_pages(&backend, 3, secs(200), async |page| {
        backend.open("user-1", &format!("later-{page}"), secs(100)).await;
        let (family, token) = &tokens[page];
        backend.world.refresh(token, secs(101)).await.ok();
        backend.revoke("user-1", family, secs(102)).await;
    });
    let listed = listed.await;
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), standing);
    assert_eq!(listed.len(), standing.len());
}

#[tokio::test]
async fn a_page_goes_on_where_the_session_that_it_began_with_is_gone() {
    let backend = Backend::new().await;
    for n in 0..4 {
        backend.open("user-1", &format!("t{n}"), secs(n)).await;
    }
    let first = backend.list("user-1", "&limit=2", secs(10)).await.json();
    let next = text(&first, "/next_cursor");
    let entry = backend.world.dynamo.items("USER#uniqos#user-1");
    let gone: Vec<_> = entry.into_iter().filter(|item| item["sk"]["S"] == format!("SESSION#{next}")).collect();
    assert_eq!(gone.len(), 1);
    backend.world.dynamo.delete(&gone);
    let second = backend.list("user-1", &format!("&limit=2&cursor={next}"), secs(10)).await.json();
    assert_eq!(second["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(second["next_cursor"], Value::Null);
}

#[tokio::test]
async fn an_entry_that_is_no_session_is_left_out_and_takes_no_place_on_a_page() {
    let backend = Backend::new().await;
    let mut families = Vec::new();
    for n in 0..7 {
        families.push(opened(&backend.open("user-1", &format!("t{n}"), secs(n)).await).0);
    }
    families.sort();
    families.reverse();
    let alien = |name: &str| json!({"pk": {"S": "USER#uniqos#user-1"}, "sk": {"S": format!("SESSION#{name}")}});
    // Before all of them, after all of them, and several at one place between two.
    let after = ["a", "b", "c", "d", "e"].map(|more| format!("{}{more}", families[3]));
    let aliens = ["", "0", "x", "zz"].map(str::to_owned).into_iter().chain(after);
    backend.world.dynamo.put(&aliens.map(|name| alien(&name)).collect::<Vec<_>>());
    for limit in 1..=8 {
        assert_eq!(all_pages(&backend, limit, secs(100), async |_| ()).await, families, "limit {limit}");
    }
}

#[tokio::test]
async fn a_session_whose_items_are_malformed_is_unknown_and_hides_none_of_the_others() {
    for malformed in ["GEN#0000000000", "SEAL"] {
        let backend = Backend::new().await;
        let (family, token) = opened(&backend.open("user-1", "a", T0).await);
        let (good, _) = opened(&backend.open("user-1", "b", secs(1)).await);
        let key = json!({"pk": {"S": format!("FAMILY#uniqos#{family}")}, "sk": {"S": malformed}});
        backend.world.dynamo.put(&[key]);
        let listed = backend.list("user-1", "", secs(2)).await.json();
        let states =
            ["0", "1"].map(|at| ["family", "state"].map(|name| text(&listed, &format!("/sessions/{at}/{name}"))));
        assert_eq!(states, [[good.as_str(), "live"], [&family, "unknown"]], "{malformed}");
        let refused = backend.world.refresh(&token, secs(3)).await.status;
        assert!(refused >= 500, "{malformed}: a session of unknown state was refreshed: {refused}");
    }
}

#[tokio::test]
async fn a_user_without_sessions_is_told_from_an_unknown_one() {
    let backend = Backend::new().await;
    let none = backend.list("user-1", "", T0).await;
    assert_eq!((none.status, none.json()), (200, json!({"sessions": [], "next_cursor": null})));
    assert_error(&backend.list("nobody", "", T0).await, 404, "user_not_found");
    // A removed user's sessions can still be looked at.
    backend.open("user-1", "a", T0).await;
    backend.world.put_user("user-1", AccountStatus::Removed).await;
    assert_eq!(backend.list("user-1", "", secs(1)).await.json()["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_elses_sessions_are_listed() {
    let backend = Backend::new().await;
    for user in ["user-1#", "user", "user-1 2"] {
        backend.put_user("uniqos", user, AccountStatus::Active).await;
        assert_eq!(backend.open(user, "a", T0).await.status, 201);
    }
    let (family, _) = opened(&backend.open("user-1", "a", T0).await);
    assert_eq!(all_pages(&backend, 100, secs(1), async |_| ()).await, [family]);
}

#[tokio::test]
async fn a_list_holds_no_secret() {
    let backend = Backend::new().await;
    let (_, token) = opened(&backend.open("user-1", "a", T0).await);
    let claims = rondo_shared::token::UnverifiedToken::parse(&token).unwrap().claims_unverified().unwrap();
    let shown = backend.list("user-1", "", secs(1)).await.json().to_string();
    assert!(!shown.contains(claims.gid.as_str()));
}
