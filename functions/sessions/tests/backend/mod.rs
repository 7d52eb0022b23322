//! The sessions function, and the products' endpoints beside it, over one DynamoDB, with a clock that the test sets.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::PathBuf;
use std::sync::OnceLock;

use lambda_http::{Body, Request, Response};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Subject, Tenant};
use rondo_shared::log::LogLine;
use rondo_shared::moment::Timestamp;
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Project, ProjectStatus, UserProfile};
use rondo_shared::store::{Meter, Store as _};
use rondo_shared::wire::Event;
use rondo_tests::dynamo::{TABLE, plain_http};
use rondo_tests::world::{keyring_document, moment};
use rondo_tests::{Answer, Faults, T0, World};
use serde_json::{Value, json};
use sessions::{App, configure, handle};

pub const DAY: i64 = 86_400;
/// What the keyring keeps to itself.
pub const SECRET_KEYS: [&str; 3] = [
    "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
];

/// A trusted backend, the function that it calls, and Uniqos' endpoint over the same table.
pub struct Backend {
    pub world: World,
    /// The faults of this instance's client.
    pub faults: Faults,
    pub app: App<DynamoStore>,
}

impl Backend {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let world = World::with(settings).await;
        let (faults, app) = instance(&world, settings);
        Self { world, faults, app }
    }

    /// Replaces this instance by a fresh one with some settings changed.
    pub fn restart_with(&mut self, settings: &[(&str, &str)]) {
        self.world.restart_with(settings);
        (self.faults, self.app) = instance(&self.world, settings);
    }

    pub async fn send(&self, event: Value, now: Timestamp) -> Answer {
        send_to(&self.app, &event, now).await
    }

    pub async fn post(&self, path: &str, body: &Value, now: Timestamp) -> Answer {
        self.send(post(path, body), now).await
    }

    /// Opens a session of `user` under a client token.
    pub async fn open(&self, user: &str, client_token: &str, now: Timestamp) -> Answer {
        self.post("/sessions", &opening(user, client_token), now).await
    }

    pub async fn list(&self, user: &str, more: &str, now: Timestamp) -> Answer {
        self.send(event("GET", "/sessions", &format!("tenant=uniqos&user={user}{more}")), now).await
    }

    pub async fn revoke(&self, user: &str, family: &str, now: Timestamp) -> Answer {
        self.send(event("DELETE", &format!("/sessions/{family}"), &format!("tenant=uniqos&user={user}")), now).await
    }

    pub async fn revoke_all(&self, user: &str, except: Option<&str>, now: Timestamp) -> Answer {
        self.post("/sessions/revoke", &json!({"tenant": "uniqos", "user": user, "except": except}), now).await
    }

    pub async fn put_user(&self, tenant: &str, user: &str, status: AccountStatus) {
        let profile = UserProfile { status, name: None, email: None };
        let item = profile.to_item(&Tenant::new(tenant).unwrap(), &Subject::new(user).unwrap());
        self.store().replace(&item, &Meter::default()).await.unwrap();
    }

    pub async fn put_project(&self, tenant: &str, status: ProjectStatus) {
        let key = Project::key(&Tenant::new(tenant).unwrap()).unwrap();
        let item = Project { status, name: None }.to_item(key);
        self.store().replace(&item, &Meter::default()).await.unwrap();
    }

    pub fn store(&self) -> DynamoStore {
        self.world.dynamo.store(plain_http())
    }

    /// How many families stand in the table.
    pub fn families(&self) -> usize {
        self.world.dynamo.sort_keys("FAMILY#").iter().filter(|sk| *sk == "GEN#0000000000").count()
    }
}

pub async fn send_to(app: &App<DynamoStore>, event: &Value, now: Timestamp) -> Answer {
    let (response, line) = handle(app, &moment(now), &request(event)).await;
    answer(response, line)
}

pub fn request(event: &Value) -> Request {
    Event::from_json(&event.to_string()).expect("an event").into_request()
}

pub fn answer(response: Response<Body>, line: LogLine) -> Answer {
    Answer { status: response.status().as_u16(), response, line }
}

/// What a backend says when it opens a session of a Uniqos user.
pub fn opening(user: &str, client_token: &str) -> Value {
    json!({"tenant": "uniqos", "user": user, "org": "acme", "label": "laptop", "client_token": client_token,
           "ip": "192.0.2.1", "user_agent": "browser"})
}

/// An event of an HTTP API whose route is authorized by IAM.
pub fn event(method: &str, path: &str, query: &str) -> Value {
    let mut event = rondo_tests::world::event(json!({"rawPath": path, "rawQueryString": query}));
    event["requestContext"]["http"]["method"] = json!(method);
    event["requestContext"]["http"]["path"] = json!(path);
    event["requestContext"]["authorizer"] = json!({"iam": {
        "accessKey": "ASIAEXAMPLE", "accountId": "123456789012", "callerId": "AROAEXAMPLE:backend",
        "cognitoIdentity": null, "principalOrgId": "aws:PrincipalOrgID",
        "userArn": "arn:aws:sts::123456789012:assumed-role/backend/session", "userId": "AROAEXAMPLE:backend"}});
    event
}

pub fn post(path: &str, body: &Value) -> Value {
    let mut event = event("POST", path, "");
    event["headers"]["content-type"] = json!("application/json");
    event["body"] = json!(body.to_string());
    event
}

pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer} of {value}"))
}

/// The family and the refresh token of an answer that opened a session.
#[track_caller]
pub fn opened(answer: &Answer) -> (String, String) {
    assert!(matches!(answer.status, 200 | 201), "{}", answer.json());
    let body = answer.json();
    (text(&body, "/session/family").to_owned(), text(&body, "/refresh_token").to_owned())
}

/// What holds for every answer, and the envelope of an error; returns its details.
#[track_caller]
pub fn assert_error(answer: &Answer, status: u16, code: &str) -> Value {
    let body = answer.json();
    assert_common(answer);
    assert_eq!((answer.status, body["error"]["code"].as_str()), (status, Some(code)), "{body}");
    let mut names: Vec<_> = body["error"].as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["code", "details", "message", "request_id"]);
    assert_eq!(body.as_object().unwrap().len(), 1);
    assert_eq!(body["error"]["request_id"].as_str(), answer.header("x-request-id"));
    assert_eq!(answer.header("retry-after").is_some(), status == 503);
    assert_eq!(answer.header("allow").is_some(), status == 405);
    body["error"]["details"].clone()
}

#[track_caller]
pub fn assert_common(answer: &Answer) {
    assert_eq!(answer.header("x-request-id"), Some(answer.line.request_id.to_string().as_str()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("set-cookie"), None, "a cookie is for the backend to set");
    assert_eq!((answer.line.status, answer.line.product), (answer.status, "sessions"));
    let logged = format!("{:?}", answer.line);
    for secret in SECRET_KEYS {
        assert!(!logged.contains(secret));
    }
    for name in ["refresh_token", "access_token"] {
        if let Some(token) = answer.json()[name].as_str() {
            let parts = token.split('.').filter(|part| part.len() > 8);
            assert!(parts.into_iter().all(|part| !logged.contains(part)), "the log line holds a token");
        }
    }
}

fn instance(world: &World, settings: &[(&str, &str)]) -> (Faults, App<DynamoStore>) {
    let (common, policy, terms) = configure(reader(world, settings)).unwrap();
    let faults = Faults::default();
    let app = App::new(common, policy, terms, world.dynamo.store(faults.http()), T0).unwrap();
    (faults, app)
}

/// The settings of every function over this world's table.
pub fn reader(world: &World, settings: &[(&str, &str)]) -> Reader {
    let file = keyring_file().display().to_string();
    let own = [("TABLE_NAME", TABLE), ("KEYRING_FILE", &file), ("AWS_ENDPOINT_URL_DYNAMODB", world.dynamo.url())];
    Reader::new(own.iter().chain(settings).copied())
}

/// A keyring with the same keys for every product.
fn keyring_file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let mut document = keyring_document();
        for product in ["dreadnode", "elastic", "replyke"] {
            document["products"][product] = document["products"]["uniqos"].clone();
        }
        let path = std::env::temp_dir().join(format!("rondo-sessions-{}.json", std::process::id()));
        std::fs::write(&path, document.to_string()).unwrap();
        path
    })
}
