//! Dreadnode's endpoint, every answer of it.

use rondo_shared::identity::{OrgKey, Subject, Tenant};
use rondo_shared::store::item::{Cause, Membership};
use rondo_tests::Fault;
use serde_json::json;
use ulid::Ulid;

use super::stage::{JSON, OTHER_SITE, USER, cookie_of, json_of};

refresh_function!(dreadnode_refresh, "dreadnode-refresh", "/api/v1/auth/refresh");

#[tokio::test]
async fn dreadnode_answers_as_declared() {
    let stage = Stage::new().await;
    let app = instance(&stage, &[]);
    let opened = || async { format!("refresh_token={}", open(&stage, &app, "dreadnode").await.1) };
    other_methods(&app).await;

    let one = opened().await;
    let first = post(&app, &[("cookie", &one), LISTED], "", 200).await;
    assert_eq!(first.headers().get_all("set-cookie").iter().count(), 2);
    let body = json!({"refresh_token": cookie_of(&first, "refresh_token")}).to_string();
    let acme = Membership { org: OrgKey::new("acme").unwrap(), name: "Acme".to_owned(), is_default: true };
    stage.put(&acme.to_item(&Tenant::new("dreadnode").unwrap(), &Subject::new(USER).unwrap())).await;
    let second = post(&app, &[JSON], &body, 200).await;
    assert_eq!(json_of(&second)["default_org"]["key"], "acme");

    post(&app, &[JSON, LISTED], &format!("\"{}\"", "x".repeat(20_000)), 400).await;
    post(&app, &[JSON], &"[".repeat(1_000), 400).await;
    post(&app, &[LISTED], "", 401).await;
    post(&app, &[JSON], "null", 401).await;
    post(&app, &[("cookie", &one), OTHER_SITE], "", 403).await;
    for (cause, status) in [(Cause::AccountSuspended, 403), (Cause::AccountRemoved, 404), (Cause::SignOut, 401)] {
        let (family, token) = open(&stage, &app, "dreadnode").await;
        stage.seal("dreadnode", family, cause).await;
        post(&app, &[("cookie", &format!("refresh_token={token}")), LISTED], "", status).await;
    }
    for body in ["{}", r#"{"refresh_token":1}"#, "[]", "{", "\u{a0}{", r#"{"refresh_token":null}"#] {
        post(&app, &[JSON, LISTED], body, 422).await;
    }
    post(&app, &[("content-type", "text/plain")], "{}", 422).await;

    let (other, without_grace) = (opened().await, instance(&stage, &[("DREADNODE_GRACE_SECS", "0")]));
    post(&without_grace, &[("cookie", &other)], "", 200).await;
    post(&without_grace, &[("cookie", &other), LISTED], "", 409).await;
    let newer = instance(&stage, &[("DREADNODE_MIN_CLIENT_VERSION", "2.0.0")]);
    post(&newer, &[("user-agent", "dreadnode-sdk/1.17.2"), LISTED], "", 426).await;
    let limited = instance(&stage, &[("DREADNODE_ADDRESS_RATE_LIMIT", "1")]);
    post(&limited, &[], "", 401).await;
    post(&limited, &[LISTED], "", 429).await;

    (0..2).for_each(|_| stage.faults.queue_for_all_attempts("Query", &Fault::Refused));
    post(&app, &[("cookie", &opened().await), LISTED], "", 502).await;
    stage.faults.clear();
    (0..2).for_each(|_| stage.faults.queue_for_all_attempts("UpdateItem", &Fault::Hung));
    post(&app, &[("cookie", &opened().await), LISTED], "", 504).await;
    for method in ["POST", "OPTIONS", "GET"] {
        let event = event(method, PATH, &[LISTED], "");
        let cross_site = &app.policy().cross_site;
        let response = dreadnode_refresh::response::not_started(cross_site, &request(&event), Ulid::from_parts(1, 1));
        DOCUMENT.check(&event, &response);
    }
    DOCUMENT.assert_all_produced();
}
