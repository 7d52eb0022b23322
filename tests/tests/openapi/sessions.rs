//! The backends' endpoints, every answer of them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use ::sessions::{App, configure, handle, response};
use lambda_http::{Body, Response};
use rondo_shared::identity::FamilyId;
use rondo_shared::moment::Timestamp;
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Cause, ProjectStatus};
use rondo_tests::world::moment;
use rondo_tests::{Fault, T0, secs};
use serde_json::{Value, json};
use ulid::Ulid;

use super::document::Document;
use super::stage::{JSON, Stage, USER, event, json_of, request};

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::of("sessions"));

fn instance(stage: &Stage, settings: &[(&str, &str)]) -> App<DynamoStore> {
    let (common, policy, terms) = configure(stage.reader(settings)).unwrap();
    App::new(common, policy, terms, stage.dynamo.store(stage.faults.http()), T0).unwrap()
}

/// An event of a route that the gateway has authorized by IAM.
fn signed(method: &str, path: &str, body: &str) -> Value {
    let mut event = event(method, path, &[JSON], body);
    let arn = "arn:aws:sts::123456789012:assumed-role/backend/session";
    event["requestContext"]["authorizer"] = json!({"iam": {"accessKey": "ASIAEXAMPLE", "accountId": "123456789012",
        "callerId": "AROAEXAMPLE:backend", "userArn": arn, "userId": "AROAEXAMPLE:backend"}});
    event
}

async fn send(app: &App<DynamoStore>, event: &Value) -> Response<Body> {
    send_at(app, event, T0).await
}

async fn send_at(app: &App<DynamoStore>, event: &Value, now: Timestamp) -> Response<Body> {
    let (response, _) = handle(app, &moment(now), &request(event)).await;
    DOCUMENT.check(event, &response);
    response
}

async fn ask(app: &App<DynamoStore>, method: &str, path: &str, body: &str, status: u16) -> Value {
    let response = send(app, &signed(method, path, body)).await;
    assert_eq!(response.status().as_u16(), status, "{method} {path} {body} {response:?}");
    json_of(&response)
}

#[tokio::test]
async fn sessions_are_answered_as_declared() {
    let stage = Stage::new().await;
    let app = instance(&stage, &[]);
    let opening = |tenant: &str, user: &str, token: &str, org: Option<&str>| {
        json!({"tenant": tenant, "user": user, "client_token": token, "org": org, "label": "laptop", "ip": "::1"})
            .to_string()
    };
    let mut family = String::new();
    for tenant in ["uniqos", "dreadnode", "elastic", "replyke:p1"] {
        let body = opening(tenant, USER, "one", None);
        family = ask(&app, "POST", "/sessions", &body, 201).await["session"]["family"].as_str().unwrap().to_owned();
        ask(&app, "POST", "/sessions", &body, 200).await;
        let page = ask(&app, "GET", &format!("/sessions?tenant={tenant}&user={USER}&limit=1"), "", 200).await;
        assert_eq!(page["sessions"][0]["state"], "live");
    }
    ask(&app, "POST", "/sessions", &opening("replyke:p1", USER, "one", Some("acme")), 409).await;
    let capped = instance(&stage, &[("SESSIONS_PER_USER_MAX", "1")]);
    ask(&capped, "POST", "/sessions", &opening("replyke:p1", USER, "two", None), 409).await;
    ask(&app, "POST", "/sessions", &opening("uniqos", "nobody", "one", None), 404).await;
    stage.put_user("uniqos", "user-2", AccountStatus::Suspended, |item| item).await;
    ask(&app, "POST", "/sessions", &opening("uniqos", "user-2", "one", None), 403).await;
    stage.put_project("replyke:p2", ProjectStatus::Removed).await;
    ask(&app, "POST", "/sessions", &opening("replyke:p2", USER, "one", None), 403).await;

    let owner = format!("tenant=replyke:p1&user={USER}");
    let revoking = json!({"tenant": "replyke:p1", "user": USER, "cause": "operator"}).to_string();
    ask(&app, "DELETE", &format!("/sessions/{family}?{owner}"), "", 200).await;
    ask(&app, "DELETE", &format!("/sessions/nothing?{owner}"), "", 404).await;
    ask(&app, "POST", "/sessions", &opening("replyke:p1", USER, "one", None), 409).await;
    ask(&app, "GET", &format!("/sessions?{owner}"), "", 200).await;
    ask(&app, "POST", "/sessions/revoke", &revoking, 200).await;
    ask(&app, "POST", "/sessions/revoke", &revoking.replace("operator", "account_removed"), 409).await;
    let kept = json!({"tenant": "uniqos", "user": "user-2", "except": family}).to_string();
    ask(&app, "POST", "/sessions/revoke", &kept, 404).await;
    ask(&app, "POST", "/sessions/revoke", &revoking.replace(USER, "nobody"), 404).await;
    ask(&app, "GET", "/sessions?tenant=uniqos&user=nobody", "", 404).await;

    let by_route = [
        ("POST", "/sessions", opening("uniqos", USER, "three", None)),
        ("GET", "/sessions", String::new()),
        ("DELETE", &format!("/sessions/{family}"), String::new()),
        ("POST", "/sessions/revoke", revoking),
    ];
    for (method, path, body) in &by_route {
        assert_eq!(send(&app, &event(method, path, &[], body)).await.status(), 403);
        let fields = if body.is_empty() { format!("{path}?surprise=1") } else { (*path).to_owned() };
        ask(&app, method, &fields, r#"{"surprise":1}"#, 422).await;
        if !body.is_empty() {
            ask(&app, method, path, "{", 400).await;
            ask(&app, method, path, &format!("\"{}\"", "x".repeat(20_000)), 400).await;
            ask(&app, method, path, "[]", 422).await;
        }
        ask(&app, "PUT", path, "", 405).await;
        let path = if body.is_empty() { format!("{path}?{owner}") } else { (*path).to_owned() };
        for operation in ["Query", "TransactWriteItems", "GetItem", "PutItem"] {
            stage.faults.queue_for_all_attempts(operation, &Fault::Refused);
        }
        ask(&app, method, &path, body, 503).await;
        stage.faults.clear();
        DOCUMENT.check(&signed(method, &path, body), &response::not_started(Ulid::from_parts(1, 1)));
    }
    DOCUMENT.assert_all_produced();
}

/// What a client that is generated from the document can send is taken, and what it cannot send is refused.
#[tokio::test]
async fn a_body_is_refused_for_its_fields_where_its_schema_refuses_it_and_nowhere_else() {
    let stage = Stage::new().await;
    let app = instance(&stage, &[]);
    let family = json!("01JD0000000000000000000000");
    let causes = ["sign_out", "operator", "account_suspended", "account_removed", "reuse"].map(|cause| json!(cause));
    let (owner, absent) = (json!({"tenant": "uniqos", "user": USER}), Value::from("absent"));
    let with = |owner: &Value, fields: &[(&str, &Value)]| {
        let mut body = owner.clone();
        for (name, value) in fields.iter().filter(|(_, value)| **value != absent) {
            body[*name] = (*value).clone();
        }
        body
    };
    let mut bodies = Vec::new();
    for cause in causes.iter().chain([&absent, &Value::Null]) {
        for kept in [&absent, &Value::Null, &family, &json!("01"), &json!(1)] {
            bodies.push(("/sessions/revoke", with(&owner, &[("cause", cause), ("except", kept)])));
        }
    }
    for (name, values) in [
        ("client_token", [json!("x".repeat(128)), json!("x".repeat(129)), json!(""), Value::Null]),
        ("user", [json!("x".repeat(128)), json!("x".repeat(129)), json!("a\u{7f}"), Value::Null]),
        ("tenant", [json!("replyke:p1"), json!("replyke:"), json!("nothing"), Value::Null]),
        ("org", [json!("acme"), json!(""), json!("a\nb"), Value::Null]),
        ("ip", [json!("192.0.2.1"), json!("::1"), json!("192.0.2"), Value::Null]),
        ("label", [json!("laptop"), json!("\n"), json!(["laptop"]), Value::Null]),
        ("surprise", [json!(1), json!(""), json!([]), Value::Null]),
    ] {
        for value in values.iter().chain([&absent]) {
            bodies.push(("/sessions", with(&with(&owner, &[("client_token", &json!("one"))]), &[(name, value)])));
        }
    }
    let mut refused = 0;
    for (path, body) in &bodies {
        let response = send(&app, &signed("POST", path, &body.to_string())).await;
        let faults = DOCUMENT.faults_of_request("POST", path, body);
        assert_eq!(response.status() == 422, !faults.is_empty(), "{path} {body} {faults:?} {response:?}");
        refused += usize::from(!faults.is_empty());
    }
    assert!(refused > 0 && refused < bodies.len(), "{refused} of {} were refused", bodies.len());
}

#[tokio::test]
async fn every_state_of_a_session_is_declared_and_no_other() {
    let stage = Stage::new().await;
    let app = instance(&stage, &[]);
    let open = async |token: &str| {
        let body = json!({"tenant": "uniqos", "user": USER, "client_token": token}).to_string();
        let opened = ask(&app, "POST", "/sessions", &body, 201).await;
        opened["session"]["family"].as_str().unwrap().parse::<FamilyId>().unwrap()
    };
    for (n, cause) in Cause::ALL.into_iter().enumerate() {
        stage.seal("uniqos", open(&format!("sealed {n}")).await, cause).await;
    }
    let gone = open("gone").await;
    stage.dynamo.delete(&stage.dynamo.items(&format!("FAMILY#uniqos#{gone}")));
    open("live").await;

    let over = instance(&stage, &[("SESSIONS_NOT_BEFORE", "2100-01-01T00:00:00Z")]);
    let list = signed("GET", &format!("/sessions?tenant=uniqos&user={USER}"), "");
    let mut states = BTreeSet::new();
    for (app, now) in [(&app, T0), (&over, T0), (&app, secs(89 * 24 * 60 * 60))] {
        let page = json_of(&send_at(app, &list, now).await);
        states.extend(page["sessions"].as_array().unwrap().iter().map(|session| session["state"].clone().to_string()));
    }
    let declared = &DOCUMENT.json["components"]["schemas"]["Session"]["properties"]["state"]["enum"];
    assert_eq!(states, declared.as_array().unwrap().iter().map(Value::to_string).collect());
}

#[tokio::test]
async fn an_entry_that_was_written_by_hand_is_listed_as_declared() {
    let stage = Stage::new().await;
    let app = instance(&stage, &[]);
    let body = json!({"tenant": "uniqos", "user": USER, "client_token": "one"}).to_string();
    ask(&app, "POST", "/sessions", &body, 201).await;
    let mut entries = stage.dynamo.items(&format!("USER#uniqos#{USER}"));
    entries.retain(|item| item["sk"]["S"].as_str().unwrap().starts_with("SESSION#"));
    for (at, label) in [(i64::MAX.to_string(), "x".repeat(65)), (i64::MIN.to_string(), "\u{e9}".repeat(200))] {
        entries[0]["opened_at"] = json!({"N": at});
        entries[0]["session_expires_at"] = json!({"N": at});
        entries[0]["label"] = json!({"S": label});
        stage.dynamo.put(&entries);
        let page = ask(&app, "GET", &format!("/sessions?tenant=uniqos&user={USER}"), "", 200).await;
        assert_eq!(page["sessions"][0]["label"].as_str().unwrap().chars().count(), 64);
    }
}
