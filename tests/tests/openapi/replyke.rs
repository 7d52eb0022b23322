//! Replyke's endpoint, every answer of it.

use rondo_shared::store::Item;
use rondo_shared::store::item::{AccountStatus, Cause};
use rondo_tests::{Fault, secs};
use serde_json::json;
use ulid::Ulid;

use super::stage::{JSON, OTHER_SITE, USER, cookie_of, json_of};

refresh_function!(replyke_refresh, "replyke-refresh", "/api/v6/p1/auth/request-new-access-token");

#[tokio::test]
async fn replyke_answers_as_declared() {
    let stage = Stage::new().await;
    let app = instance(&stage, &[]);
    let body = |token: &str| json!({"refreshToken": token}).to_string();
    other_methods(&app).await;

    let (_, one) = open(&stage, &app, "replyke:p1").await;
    post(&app, &[LISTED], "", 200).await;
    post(&app, &[JSON], r#"{"refreshToken":null}"#, 200).await;
    post(&app, &[JSON, LISTED], &body(&one), 200).await;
    let fill = |item: Item| {
        let suspensions = json!([{"reason": "spam", "start_date": "2026-01-01T00:00:00Z", "end_date": null}]);
        let item = item.text("role", "admin".to_owned()).number("reputation", 7).number("is_active", 1);
        let item = item.json("location", json!({"type": "Point", "coordinates": [13.4, -52]}));
        item.json("metadata", json!({"a": [1]})).json("suspensions", suspensions).text("bio", "…".to_owned())
    };
    stage.put_user("replyke:p1", USER, AccountStatus::Active, fill).await;
    let shown = post(&app, &[JSON], &body(&one), 200).await;
    assert_eq!(json_of(&shown)["user"]["suspensions"][0]["reason"], "spam");
    let rotating = instance(&stage, &[("REPLYKE_ROTATE_COOKIES", "true"), ("REPLYKE_COOKIE_DOMAIN", "example.com")]);
    let (_, other) = open(&stage, &app, "replyke:p1").await;
    let rotated = post(&rotating, &[("cookie", &format!("replyke-refresh-jwt={other}")), LISTED], "", 200).await;
    cookie_of(&rotated, "replyke-refresh-jwt");

    post(&app, &[JSON, LISTED], "{", 400).await;
    post(&app, &[JSON], "[]", 200).await;
    post(&app, &[JSON], "17", 400).await;
    post(&app, &[JSON, LISTED], &body(&"x".repeat(110_000)), 413).await;
    let codes: Vec<_> = [body("x"), body("a.b.c"), body(&format!("{one}x")), r#"{"refreshToken":1}"#.to_owned()].into();
    for body in &codes {
        post(&app, &[JSON, LISTED], body, 403).await;
    }
    let elsewhere = event("POST", &PATH.replace("p1", "p2"), &[JSON], &body(&one));
    assert_eq!(json_of(&send(&app, &elsewhere, T0).await)["code"], "auth/invalid-refresh-token");
    let late = event("POST", PATH, &[JSON], &body(&one));
    assert_eq!(json_of(&send(&instance(&stage, &[]), &late, secs(31 * 86_400)).await)["details"], "jwt expired");
    for (cause, code) in
        [(Cause::SignOut, "auth/refresh-token-mismatch"), (Cause::AccountRemoved, "auth/no-user-found")]
    {
        let (family, token) = open(&stage, &app, "replyke:p1").await;
        stage.seal("replyke:p1", family, cause).await;
        assert_eq!(json_of(&post(&app, &[JSON], &body(&token), 403).await)["code"], code);
    }
    let foreign = post(&app, &[("cookie", &format!("replyke-refresh-jwt={one}")), OTHER_SITE], "", 403).await;
    assert_eq!(json_of(&foreign)["code"], "auth/origin-not-allowed");

    let limited = instance(&stage, &[("REPLYKE_RATE_LIMIT", "1")]);
    post(&limited, &[], "", 200).await;
    post(&limited, &[LISTED], "", 429).await;
    stage.faults.queue_for_all_attempts("Query", &Fault::Refused);
    post(&app, &[JSON, LISTED], &body(&one), 500).await;
    for method in ["POST", "OPTIONS", "GET"] {
        let event = event(method, PATH, &[LISTED], "");
        let policy = app.policy();
        // The second where there is no randomness to name a request by.
        for id in [Ulid::from_parts(1, 1), Ulid::nil()] {
            let response =
                replyke_refresh::response::not_started(&policy.cross_site, policy.allowance, &request(&event), id);
            DOCUMENT.check(&event, &response);
        }
    }
    DOCUMENT.assert_all_produced();
}
