//! Every product: a session opened here is one that the product's own endpoint takes for its own.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod backend;

use backend::{Backend, assert_common, opened, post, reader, request, text};
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::AccountStatus;
use rondo_shared::token::UnverifiedToken;
use rondo_tests::world::moment;
use rondo_tests::{Answer, T0, secs};
use serde_json::{Value, json};

async fn open(backend: &Backend, tenant: &str) -> Value {
    backend.put_user(tenant, "user-1", AccountStatus::Active).await;
    let body = json!({"tenant": tenant, "user": "user-1", "client_token": "t", "ip": "192.0.2.1",
                      "user_agent": "browser"});
    let answer = backend.post("/sessions", &body, T0).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    assert_common(&answer);
    opened(&answer);
    answer.json()
}

fn payload(token: &str) -> Value {
    Value::Object(UnverifiedToken::parse(token).unwrap().payload_unverified())
}

/// An event of a product's own endpoint, which IAM has no part in.
fn endpoint_event(path: &str, changes: Value) -> Value {
    let mut event = rondo_tests::world::event(changes);
    event["rawPath"] = json!(path);
    event
}

#[tokio::test]
async fn dreadnode_has_two_cookies_and_refreshes_what_was_opened() {
    use dreadnode_refresh::{App, configure, handle};
    let backend = Backend::new().await;
    let body = open(&backend, "dreadnode").await;
    let (refresh, access) = (text(&body, "/refresh_token"), text(&body, "/access_token"));
    let attributes = "Path=/; HttpOnly; Secure; SameSite=Lax";
    assert_eq!(text(&body, "/set_cookie"), format!("refresh_token={refresh}; {attributes}; Max-Age=1209600"));
    assert_eq!(text(&body, "/set_access_cookie"), format!("access_token={access}; {attributes}; Max-Age=900"));
    let (common, policy) = configure(reader(&backend.world, &[])).unwrap();
    let app = App::new(common, policy, backend.store(), T0).unwrap();
    let event = endpoint_event("/api/v1/auth/refresh", json!({"cookies": [format!("refresh_token={refresh}")]}));
    let (response, line) = handle(&app, &moment(secs(1)), &request(&event)).await;
    assert_eq!(response.status().as_u16(), 200, "{line:?}");
}

#[tokio::test]
async fn elastic_has_one_token_that_is_both_and_no_cookie() {
    use elastic_refresh::{App, configure, handle};
    let backend = Backend::new().await;
    let body = open(&backend, "elastic").await;
    let token = text(&body, "/access_token");
    assert_eq!(token, text(&body, "/refresh_token"));
    assert_eq!((&body["set_cookie"], &body["set_access_cookie"]), (&Value::Null, &Value::Null));
    assert_eq!(body["expires_in"], 3_600);
    assert_eq!(body["session"]["expires_at"], "2026-11-23T10:00:00.000Z");
    let (common, policy) = configure(reader(&backend.world, &[])).unwrap();
    let app = App::new(common, policy, backend.store(), T0).unwrap();
    let mut event = endpoint_event("/api/v1/users/auth/_refresh", json!({}));
    event["headers"]["authorization"] = json!(format!("Bearer {token}"));
    let (response, line) = handle(&app, &moment(secs(1)), &request(&event)).await;
    assert_eq!(response.status().as_u16(), 200, "{line:?}");
}

async fn replykes_answer(backend: &Backend, event: Value, now: Timestamp) -> Answer {
    use replyke_refresh::{App, configure, handle};
    let (common, policy) = configure(reader(&backend.world, &[])).unwrap();
    let app = App::new(common, policy, backend.store(), T0).unwrap();
    let (response, line) = handle(&app, &moment(now), &request(&event)).await;
    backend::answer(response, line)
}

#[tokio::test]
async fn replyke_gets_the_access_token_that_its_endpoint_mints_and_one_session_for_each_project() {
    let backend = Backend::new().await;
    let body = open(&backend, "replyke:p-1").await;
    let refresh = text(&body, "/refresh_token").to_owned();
    let path = |project: &str| format!("/api/v6/{project}/auth/request-new-access-token");
    let event = |project: &str| {
        let mut event = post(&path(project), &json!({"refreshToken": refresh}));
        event["requestContext"].as_object_mut().unwrap().remove("authorizer");
        event
    };
    let answer = replykes_answer(&backend, event("p-1"), T0).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let minted_there = payload(text(&answer.json(), "/accessToken"));
    assert_eq!(payload(text(&body, "/access_token")), minted_there);
    assert_eq!(minted_there["projectId"], "p-1");
    assert_eq!(replykes_answer(&backend, event("p-2"), T0).await.status, 403);
    let cookie = format!("replyke-refresh-jwt={refresh}; Path=/; HttpOnly; Secure; SameSite=None; Max-Age=2592000");
    assert_eq!(text(&body, "/set_cookie"), cookie);
    assert_eq!(body["expires_in"], 1_800);
}

#[tokio::test]
async fn a_project_is_needed_where_a_product_has_projects_and_nowhere_else() {
    let backend = Backend::new().await;
    for tenant in ["replyke", "replyke:", "uniqos:p", "dreadnode:p", "elastic:p", "other:p", "Uniqos"] {
        let body = json!({"tenant": tenant, "user": "user-1", "client_token": "t"});
        let details = backend::assert_error(&backend.post("/sessions", &body, T0).await, 422, "invalid_fields");
        assert_eq!(details[0]["field"], "tenant", "{tenant}");
    }
}

#[tokio::test]
async fn sessions_of_one_user_name_in_several_tenants_are_apart() {
    let backend = Backend::new().await;
    for tenant in ["uniqos", "dreadnode", "elastic", "replyke:p-1", "replyke:p-2"] {
        open(&backend, tenant).await;
    }
    let list = backend.list("user-1", "", secs(1)).await.json();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(backend.revoke_all("user-1", None, secs(1)).await.json()["revoked"].as_array().unwrap().len(), 1);
    let seals = |tenant: &str| backend.world.dynamo.sort_keys(&format!("FAMILY#{tenant}#")).contains(&"SEAL".into());
    assert!(seals("uniqos") && !seals("dreadnode") && !seals("elastic") && !seals("replyke:p-1"));
}
