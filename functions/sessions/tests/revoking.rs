//! Ending sessions: one, all but one, all; and that nothing is refreshed afterwards.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod backend;

use backend::{Backend, DAY, assert_common, assert_error, event, opened, text};
use rondo_shared::store::item::AccountStatus;
use rondo_tests::{Answer, T0, secs};
use serde_json::{Value, json};

async fn three_sessions(backend: &Backend) -> Vec<(String, String)> {
    let mut sessions = Vec::new();
    for n in 0..3 {
        sessions.push(opened(&backend.open("user-1", &format!("t{n}"), secs(n)).await));
    }
    sessions
}

fn families(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    body["revoked"].as_array().unwrap().iter().map(|ended| text(ended, "/family").to_owned()).collect()
}

async fn assert_refreshes(backend: &Backend, token: &str, status: u16) {
    let (_, instance) = backend.world.another_instance();
    let answer = rondo_tests::world::send_to(&instance, rondo_tests::world::refresh_event(token), secs(60)).await;
    assert_eq!(answer.status, status);
}

#[tokio::test]
async fn a_revoked_session_is_not_refreshed_any_more_and_the_others_are() {
    let backend = Backend::new().await;
    let sessions = three_sessions(&backend).await;
    let answer = backend.revoke("user-1", &sessions[1].0, secs(10)).await;
    assert_common(&answer);
    let ended = json!({"family": sessions[1].0, "sealed_at": "2026-11-22T10:00:10.000Z", "cause": "sign_out"});
    assert_eq!((answer.status, answer.json()), (200, json!({"session": ended})));
    assert_eq!((answer.line.outcome, answer.line.cause), ("revoked", Some("sign_out")));
    for (session, status) in sessions.iter().zip([200, 401, 200]) {
        assert_refreshes(&backend, &session.1, status).await;
    }
}

#[tokio::test]
async fn revoking_again_says_how_the_session_stands_sealed() {
    let backend = Backend::new().await;
    let sessions = three_sessions(&backend).await;
    let first = backend.revoke("user-1", &sessions[0].0, secs(10)).await;
    let again = backend.revoke("user-1", &sessions[0].0, secs(20)).await;
    assert_eq!((again.status, again.json()), (200, first.json()));
    // One that was sealed for another reason keeps it.
    let (family, token) = &sessions[1];
    backend.world.refresh(token, secs(10)).await.ok();
    assert_eq!(backend.world.refresh(token, secs(40)).await.status, 401);
    assert_eq!(text(&backend.revoke("user-1", family, secs(50)).await.json(), "/session/cause"), "reuse");
}

#[tokio::test]
async fn all_sessions_are_revoked_at_once() {
    let backend = Backend::new().await;
    let sessions = three_sessions(&backend).await;
    let answer = backend.revoke_all("user-1", None, secs(10)).await;
    assert_common(&answer);
    assert_eq!(families(&answer), sessions.iter().map(|session| session.0.clone()).collect::<Vec<_>>());
    assert_eq!(text(&answer.json(), "/revoked/0/cause"), "sign_out");
    for (_, token) in &sessions {
        assert_refreshes(&backend, token, 401).await;
    }
    let again = backend.revoke_all("user-1", None, secs(11)).await;
    assert_eq!((again.status, families(&again)), (200, Vec::new()), "they had ended before");
}

#[tokio::test]
async fn all_sessions_but_one_are_revoked() {
    let backend = Backend::new().await;
    let sessions = three_sessions(&backend).await;
    let answer = backend.revoke_all("user-1", Some(&sessions[1].0), secs(10)).await;
    assert_eq!(families(&answer), [sessions[0].0.clone(), sessions[2].0.clone()]);
    for (session, status) in sessions.iter().zip([401, 200, 401]) {
        assert_refreshes(&backend, &session.1, status).await;
    }
}

#[tokio::test]
async fn an_operators_revocation_is_told_by_its_cause() {
    let backend = Backend::new().await;
    three_sessions(&backend).await;
    let body = json!({"tenant": "uniqos", "user": "user-1", "cause": "operator"});
    let answer = backend.post("/sessions/revoke", &body, secs(10)).await;
    assert_eq!(text(&answer.json(), "/revoked/2/cause"), "operator");
    assert_eq!(text(&backend.list("user-1", "", secs(11)).await.json(), "/sessions/0/state"), "operator");
}

#[tokio::test]
async fn a_team_that_suspends_or_removes_a_user_ends_the_sessions_with_that_cause() {
    use dreadnode_refresh::{App, configure, handle};
    for (status, cause, answered) in
        [(AccountStatus::Suspended, "account_suspended", 403), (AccountStatus::Removed, "account_removed", 404)]
    {
        let backend = Backend::new().await;
        backend.put_user("dreadnode", "ada", AccountStatus::Active).await;
        let opening = json!({"tenant": "dreadnode", "user": "ada", "client_token": "t"});
        let (family, token) = opened(&backend.post("/sessions", &opening, T0).await);
        // As a team's own system does: the status, then the sessions.
        backend.put_user("dreadnode", "ada", status).await;
        let body = json!({"tenant": "dreadnode", "user": "ada", "cause": cause});
        let ended = backend.post("/sessions/revoke", &body, secs(1)).await;
        let expected = json!([{"family": family, "sealed_at": "2026-11-22T10:00:01.000Z", "cause": cause}]);
        assert_eq!((ended.status, &ended.json()["revoked"]), (200, &expected));

        let (common, policy) = configure(backend::reader(&backend.world, &[])).unwrap();
        let app = App::new(common, policy, backend.store(), T0).unwrap();
        let event = rondo_tests::world::event(json!({"cookies": [format!("refresh_token={token}")]}));
        let (response, line) = handle(&app, &rondo_tests::world::moment(secs(2)), &backend::request(&event)).await;
        assert_eq!((response.status().as_u16(), line.cause), (answered, Some(cause)));
        let again = json!({"tenant": "dreadnode", "user": "ada", "client_token": "u"});
        assert_error(&backend.post("/sessions", &again, secs(3)).await, 403, "user_not_active");
    }
}

#[tokio::test]
async fn sessions_do_not_end_for_a_status_that_is_not_written() {
    use AccountStatus::{Active, Removed, Suspended};
    let backend = Backend::new().await;
    let (_, token) = opened(&backend.open("user-1", "a", T0).await);
    let revoke = async |user: &str, more: Value| {
        let mut body = json!({"tenant": "uniqos", "user": user});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        backend.post("/sessions/revoke", &body, secs(1)).await
    };
    for (status, cause) in [
        (Active, "account_suspended"),
        (Active, "account_removed"),
        (Suspended, "account_removed"),
        (Removed, "account_suspended"),
    ] {
        backend.put_user("uniqos", "user-1", status).await;
        let details = assert_error(&revoke("user-1", json!({"cause": cause})).await, 409, "status_not_written");
        assert_eq!(details, json!({"status": status.as_str()}), "{cause}");
    }
    let nobody = revoke("nobody", json!({"cause": "account_suspended"})).await;
    assert_error(&nobody, 404, "user_not_found");
    // None is kept of a user who may not have one.
    backend.put_user("uniqos", "user-1", Suspended).await;
    let kept = json!({"cause": "account_suspended", "except": "01JD0000000000000000000000"});
    let details = assert_error(&revoke("user-1", kept).await, 422, "invalid_fields");
    assert_eq!(details[0]["field"], "except");
    assert_refreshes(&backend, &token, 200).await;
}

#[tokio::test]
async fn the_sessions_of_a_user_whose_item_was_deleted_end_as_a_removed_users() {
    let backend = Backend::new().await;
    let (family, token) = opened(&backend.open("user-1", "a", T0).await);
    let mut items = backend.world.dynamo.items("USER#uniqos#user-1");
    items.retain(|item| item["sk"]["S"] == "PROFILE");
    backend.world.dynamo.delete(&items);
    let body = json!({"tenant": "uniqos", "user": "user-1", "cause": "account_removed"});
    assert_eq!(families(&backend.post("/sessions/revoke", &body, secs(1)).await), [family]);
    assert_refreshes(&backend, &token, 401).await;
}

#[tokio::test]
async fn more_sessions_than_are_sealed_at_once_all_end() {
    let backend = Backend::new().await;
    for n in 0..50 {
        backend.open("user-1", &format!("t{n}"), secs(n)).await;
    }
    assert_eq!(families(&backend.revoke_all("user-1", None, secs(100)).await).len(), 50);
    assert_eq!(backend.world.dynamo.sort_keys("FAMILY#").iter().filter(|sk| *sk == "SEAL").count(), 50);
}

#[tokio::test]
async fn expired_sessions_are_left_as_they_are() {
    let backend = Backend::new().await;
    backend.open("user-1", "old", T0).await;
    let (young, _) = opened(&backend.open("user-1", "young", secs(80 * DAY)).await);
    assert_eq!(families(&backend.revoke_all("user-1", None, secs(90 * DAY)).await), [young]);
}

#[tokio::test]
async fn another_users_session_is_not_found_and_not_ended() {
    let backend = Backend::new().await;
    backend.put_user("uniqos", "user-2", AccountStatus::Active).await;
    let (family, token) = opened(&backend.open("user-1", "a", T0).await);
    opened(&backend.open("user-2", "a", T0).await);
    assert_error(&backend.revoke("user-2", &family, secs(1)).await, 404, "session_not_found");
    assert_error(&backend.revoke("nobody", &family, secs(1)).await, 404, "session_not_found");
    let of_another_tenant = event("DELETE", &format!("/sessions/{family}"), "tenant=dreadnode&user=user-1");
    assert_error(&backend.send(of_another_tenant, secs(1)).await, 404, "session_not_found");
    for unknown in ["01JD0000000000000000000000", "nothing", &family.to_lowercase()] {
        assert_error(&backend.revoke("user-1", unknown, secs(1)).await, 404, "session_not_found");
    }
    assert_refreshes(&backend, &token, 200).await;
}

#[tokio::test]
async fn where_the_session_to_keep_is_not_the_users_none_ends() {
    let backend = Backend::new().await;
    backend.put_user("uniqos", "user-2", AccountStatus::Active).await;
    let (_, token) = opened(&backend.open("user-1", "a", T0).await);
    let (other, _) = opened(&backend.open("user-2", "a", T0).await);
    assert_error(&backend.revoke_all("user-1", Some(&other), secs(1)).await, 404, "session_not_found");
    assert_refreshes(&backend, &token, 200).await;
}

#[tokio::test]
async fn a_misspelled_exception_ends_nothing() {
    let backend = Backend::new().await;
    let (family, token) = opened(&backend.open("user-1", "a", T0).await);
    let body = json!({"tenant": "uniqos", "user": "user-1", "expect": family});
    let details = assert_error(&backend.post("/sessions/revoke", &body, secs(1)).await, 422, "invalid_fields");
    assert_eq!(details, json!([{"field": "body", "message": "holds a field that is not known"}]));
    assert_refreshes(&backend, &token, 200).await;
}

#[tokio::test]
async fn a_user_without_sessions_is_told_from_an_unknown_one() {
    let backend = Backend::new().await;
    let none = backend.revoke_all("user-1", None, T0).await;
    assert_eq!((none.status, none.json()), (200, json!({"revoked": []})));
    assert_error(&backend.revoke_all("nobody", None, T0).await, 404, "user_not_found");
    let absent = Some("01JD0000000000000000000000");
    assert_error(&backend.revoke_all("user-1", absent, T0).await, 404, "session_not_found");
}

#[tokio::test]
async fn a_user_whom_the_directory_has_lost_is_still_signed_out() {
    let backend = Backend::new().await;
    let (family, token) = opened(&backend.open("user-1", "a", T0).await);
    let items = backend.world.dynamo.items("USER#uniqos#user-1");
    let profile: Vec<Value> = items.into_iter().filter(|item| item["sk"]["S"] == "PROFILE").collect();
    backend.world.dynamo.delete(&profile);
    assert_eq!(families(&backend.revoke_all("user-1", None, secs(1)).await), [family]);
    assert_refreshes(&backend, &token, 401).await;
}

#[tokio::test]
async fn a_malformed_entry_among_a_users_sessions_is_listed_and_ended_with_the_others_or_alone() {
    for alone in [false, true] {
        let backend = Backend::new().await;
        let (family, token) = opened(&backend.open("user-1", "a", T0).await);
        let (_, other) = opened(&backend.open("user-1", "b", T0).await);
        let mut items = backend.world.dynamo.items("USER#uniqos#user-1");
        items.retain(|item| item["sk"]["S"] == format!("SESSION#{family}"));
        assert_eq!(items.len(), 1);
        items[0]["session_expires_at"] = json!({"S": "soon"});
        items[0].as_object_mut().unwrap().remove("opened_at");
        backend.world.dynamo.put(&items);

        let listed = backend.list("user-1", "", secs(1)).await.json();
        let found = listed["sessions"].as_array().unwrap().iter().find(|session| session["family"] == family).unwrap();
        assert_eq!((&found["state"], &found["opened_at"]), (&json!("live"), &json!("2026-11-22T10:00:00.000Z")));
        let answer = if alone {
            backend.revoke("user-1", &family, secs(1)).await
        } else {
            backend.revoke_all("user-1", None, secs(1)).await
        };
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert_eq!(backend.world.refresh(&token, secs(2)).await.status, 401);
        assert_eq!(backend.world.refresh(&other, secs(2)).await.status, if alone { 200 } else { 401 });
    }
}

#[tokio::test]
async fn a_seal_that_cannot_be_read_keeps_none_of_the_other_sessions_from_ending() {
    for at in 0..3 {
        let backend = Backend::new().await;
        let sessions = three_sessions(&backend).await;
        let key = json!({"pk": {"S": format!("FAMILY#uniqos#{}", sessions[at].0)}, "sk": {"S": "SEAL"}});
        backend.world.dynamo.put(&[key]);
        assert_error(&backend.revoke_all("user-1", None, secs(10)).await, 500, "internal_error");
        for (n, (_, token)) in sessions.iter().enumerate() {
            assert_refreshes(&backend, token, if n == at { 500 } else { 401 }).await;
        }
    }
}
