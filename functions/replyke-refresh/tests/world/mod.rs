//! The Replyke function over a DynamoDB of its own, with keys of its own and a clock that the test sets.

#![allow(
    dead_code,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::missing_panics_doc,
    reason = "test code, of which each binary uses its part"
)]

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use lambda_http::{Body, Request, Response};
use replyke_refresh::policy::{COOKIE_NAME, tenant};
use replyke_refresh::{App, configure, handle};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, FamilyId, Subject};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::log::LogLine;
use rondo_shared::moment::Timestamp;
use rondo_shared::session::{self, Issuing, NewSession};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Cause, Project, ProjectStatus, UserProfile};
use rondo_shared::store::{Item, Meter, Store as _};
use rondo_shared::wire::Event;
use rondo_tests::dynamo::{TABLE, plain_http};
use rondo_tests::world::moment;
use rondo_tests::{Faults, LocalDynamo, T0};
use serde_json::{Value, json};

/// The project of every session that names no other.
pub const PROJECT: &str = "project-1";
/// The user of every session that names no other.
pub const USER: &str = "user-1";
/// The origin that the deployment lists.
pub const APP: &str = "https://app.replyke.test";
/// The key `m1` of the keyring.
pub const ACTIVE_MAC_KEY: [u8; 32] = [5; 32];
/// The public half of the signing key (RFC 8032 §7.1, test 2).
pub const PUBLIC_KEY: &str = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
/// What the keyring keeps to itself.
pub const SECRET_KEYS: [&str; 2] =
    ["TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs", "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"];
/// Thirty days: how long a session lives.
pub const SESSION_SECS: i64 = 2_592_000;
pub const RATE_HEADERS: [&str; 3] = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

/// A function instance over a table of its own.
pub struct World {
    pub dynamo: LocalDynamo,
    pub faults: Faults,
    pub app: App<DynamoStore>,
    settings: Vec<(String, String)>,
}

/// What a client gets, and what the log says.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub response: Response<Body>,
    pub line: LogLine,
}

impl Answer {
    /// The body as it is sent.
    pub fn text(&self) -> String {
        String::from_utf8(self.response.body().as_ref().to_vec()).unwrap()
    }

    /// The JSON body; null where there is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.response.body().as_ref()).unwrap_or(Value::Null)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    /// What is left of the limit.
    pub fn remaining(&self) -> u32 {
        self.header("x-ratelimit-remaining").unwrap().parse().unwrap()
    }

    /// The refresh token that the answer sets, if it sets one.
    pub fn successor(&self) -> Option<String> {
        let set = self.header("set-cookie")?.strip_prefix(&format!("{COOKIE_NAME}="))?;
        set.split(';').next().map(str::to_owned)
    }

    /// The access token of an answer that must have one.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert_eq!(self.status, 200, "{} {:?}", self.text(), self.line);
        assert_eq!(self.json()["success"], true, "{}", self.text());
        self.json()["accessToken"].as_str().expect("an access token").to_owned()
    }
}

impl World {
    /// With the contract's defaults.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With some settings changed.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let dynamo = LocalDynamo::start().await;
        let (faults, app) = instance(&dynamo, &settings);
        let world = Self { dynamo, faults, app, settings };
        world.put_user(USER, |item| item).await;
        world
    }

    /// With rotation turned on for cookies.
    pub async fn rotating() -> Self {
        Self::with(&[("REPLYKE_ROTATE_COOKIES", "true")]).await
    }

    /// Another instance of the function over the same table, with a memory of its own.
    pub fn another_instance(&self) -> App<DynamoStore> {
        instance(&self.dynamo, &self.settings).1
    }

    /// Replaces this instance by a fresh one, as a deployment does, with some settings changed.
    pub fn restart_with(&mut self, settings: &[(&str, &str)]) {
        self.settings.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        (self.faults, self.app) = instance(&self.dynamo, &self.settings);
    }

    /// A store on the table, without faults.
    pub fn store(&self) -> DynamoStore {
        self.dynamo.store(plain_http())
    }

    /// Puts an active user of [`PROJECT`] with whatever else `fill` adds.
    pub async fn put_user(&self, user: &str, fill: impl FnOnce(Item) -> Item) {
        self.put_user_of(PROJECT, user, fill).await;
    }

    /// The same of any project.
    pub async fn put_user_of(&self, project: &str, user: &str, fill: impl FnOnce(Item) -> Item) {
        let profile = UserProfile { status: AccountStatus::Active, name: None, email: None };
        let item = fill(profile.to_item(&tenant(project).unwrap(), &Subject::new(user).unwrap()));
        self.store().replace(&item, &Meter::default()).await.unwrap();
    }

    /// Puts a project's own item.
    pub async fn put_project(&self, project: &str, status: ProjectStatus) {
        let key = Project::key(&tenant(project).unwrap()).unwrap();
        let item = Project { status, name: Some("Forum".to_owned()) }.to_item(key);
        self.store().replace(&item, &Meter::default()).await.unwrap();
    }

    /// Takes a user's item away by hand.
    pub fn delete_user(&self) {
        let mut items = self.dynamo.items("USER#");
        items.retain(|item| item["sk"]["S"] == "PROFILE");
        assert!(!items.is_empty());
        self.dynamo.delete(&items);
    }

    /// Opens a session of [`USER`] in [`PROJECT`], and returns its refresh token.
    pub async fn open(&self, now: Timestamp) -> String {
        self.open_for(PROJECT, USER, now).await.1
    }

    /// Opens a session, and returns its family and refresh token.
    pub async fn open_for(&self, project: &str, user: &str, now: Timestamp) -> (FamilyId, String) {
        let policy = self.app.policy();
        let new = NewSession {
            tenant: tenant(project).unwrap(),
            subject: Subject::new(user).unwrap(),
            org: None,
            label: None,
            client: Client::new(Some("192.0.2.1".parse().unwrap()), "browser"),
        };
        let keys = ProductKeys::parse(&keyring_document().to_string(), "replyke").unwrap();
        let issuing =
            Issuing { keys: &keys, authority: &policy.authority, rotation: &policy.rotation, access: &policy.access };
        let opened = session::open(&new, issuing, &self.store(), &moment(now), &Meter::default()).await;
        let (family, pair) = opened.unwrap();
        (family, pair.refresh_token().to_owned())
    }

    /// Seals a session of [`PROJECT`].
    pub async fn seal(&self, family: FamilyId, cause: Cause, now: Timestamp) {
        let (store, moment, meter) = (self.store(), moment(now), Meter::default());
        let ends = T0.plus(Duration::from_secs(100 * 86_400));
        let client = Client::new(None, "");
        let tenant = tenant(PROJECT).unwrap();
        session::revoke(&tenant, family, cause, ends, client, &store, &moment, &meter).await.unwrap();
    }

    /// Sends an event.
    pub async fn send(&self, event: Value, now: Timestamp) -> Answer {
        send_to(&self.app, event, now).await
    }

    /// Asks with the token in the cookie.
    pub async fn by_cookie(&self, token: &str, now: Timestamp) -> Answer {
        self.send(cookie_event(token), now).await
    }

    /// Asks with the token in the body.
    pub async fn by_body(&self, token: &str, now: Timestamp) -> Answer {
        self.send(token_event(json!(token)), now).await
    }
}

/// Sends an event to an instance.
pub async fn send_to(app: &App<DynamoStore>, event: Value, now: Timestamp) -> Answer {
    let request: Request = Event::from_json(&event.to_string()).expect("an event").into_request();
    let (response, line) = handle(app, &moment(now), &request).await;
    Answer { status: response.status().as_u16(), response, line }
}

/// An HTTP API event for [`PROJECT`] with some of its fields replaced.
pub fn event(changes: Value) -> Value {
    let event = rondo_tests::world::event(changes);
    at_path(event, &format!("/api/v6/{PROJECT}/auth/request-new-access-token"))
}

/// The same event at another path.
pub fn at_path(mut event: Value, path: &str) -> Value {
    event["rawPath"] = json!(path);
    event["requestContext"]["http"]["path"] = json!(path);
    event
}

/// The same event for another project.
pub fn in_project(event: Value, project: &str) -> Value {
    at_path(event, &format!("/api/v6/{project}/auth/request-new-access-token"))
}

pub fn cookie_event(token: &str) -> Value {
    event(json!({"cookies": [format!("{COOKIE_NAME}={token}")]}))
}

/// With the given JSON as the body's refresh token.
pub fn token_event(token: Value) -> Value {
    with_body(event(json!({})), &json!({"refreshToken": token}).to_string())
}

pub fn with_body(mut event: Value, body: &str) -> Value {
    event["body"] = json!(body);
    event["headers"]["content-type"] = json!("application/json");
    event
}

pub fn with_headers(mut event: Value, headers: &[(&str, &str)]) -> Value {
    for (name, value) in headers {
        event["headers"][*name] = json!(value);
    }
    event
}

pub fn with_method(mut event: Value, method: &str) -> Value {
    event["requestContext"]["http"]["method"] = json!(method);
    event
}

pub fn from_address(mut event: Value, ip: &str) -> Value {
    event["requestContext"]["http"]["sourceIp"] = json!(ip);
    event
}

/// What holds for every answer, whatever its status.
#[track_caller]
pub fn assert_common(answer: &Answer) {
    let id = answer.header("x-request-id").expect("X-Request-Id");
    assert_eq!(ulid::Ulid::from_string(id).expect("a ULID").to_string(), id);
    assert_eq!(answer.line.request_id.to_string(), id, "the log line names the same request");
    assert_eq!((answer.line.status, answer.line.product), (answer.status, "replyke"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.header("retry-after").is_some(), answer.status == 429, "Retry-After on {}", answer.status);
    for name in RATE_HEADERS {
        let value = answer.header(name).unwrap_or_else(|| panic!("{name} on {}", answer.status));
        assert!(value.parse::<i64>().is_ok(), "{name} on {}: {value}", answer.status);
    }
}

/// That an answer is exactly this body, and that it touches no cookie.
#[track_caller]
pub fn assert_says(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, body), "{:?}", answer.line);
    assert_common(answer);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("set-cookie"), None);
}

pub const NOBODY: &str = r#"{"user":null,"accessToken":null}"#;
pub const FOREIGN: &str = r#"{"error":"Invalid refresh token.","code":"auth/invalid-refresh-token"}"#;
pub const NOT_RECOGNIZED: &str = r#"{"error":"Refresh token not recognized.","code":"auth/refresh-token-mismatch"}"#;
pub const NO_USER: &str = r#"{"error":"User not found.","code":"auth/no-user-found"}"#;
pub const SERVER_ERROR: &str = r#"{"error":"Internal server error","code":"auth/server-error"}"#;

/// The body of row 2.
pub fn invalid(details: &str) -> String {
    let error = r#""error":"Invalid or expired refresh token.","code":"auth/refresh-token-invalid""#;
    format!(r#"{{{error},"details":"{details}"}}"#)
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// One part of a token, unverified.
pub fn part_of(token: &str, n: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap()).unwrap()
}

/// A token's claims, unverified.
pub fn claims_of(token: &str) -> Value {
    part_of(token, 1)
}

/// A token of any header and claims, signed by HMAC with SHA-256 under any key.
pub fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let key = EncodingKey::from_secret(key);
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

/// The same token with some of its claims changed, signed with the active key: what only we could have made.
pub fn with_claims(token: &str, changes: &Value) -> String {
    signed(&part_of(token, 0), &changed(claims_of(token), changes), &ACTIVE_MAC_KEY)
}

/// The same token with some fields of its header changed, signed with the active key.
pub fn with_header(token: &str, changes: &Value) -> String {
    signed(&changed(part_of(token, 0), changes), &claims_of(token), &ACTIVE_MAC_KEY)
}

/// An object with some fields replaced; a null takes one away.
fn changed(object: Value, changes: &Value) -> Value {
    let Value::Object(mut object) = object else { panic!("an object") };
    for (name, value) in changes.as_object().unwrap() {
        object.remove(name);
        if !value.is_null() {
            object.insert(name.clone(), value.clone());
        }
    }
    Value::Object(object)
}

/// A keyring with one active key of each kind.
pub fn keyring_document() -> Value {
    let key = |kid: &str, jwk: Value| json!({"kid": kid, "state": "active", "published_at": "2026-11-01T00:00:00Z", "jwk": jwk});
    json!({"version": 1, "products": {"replyke": {
        "signing": [key("s1", json!({"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY, "d": SECRET_KEYS[0]}))],
        "mac": [key("m1", json!({"kty": "oct", "k": SECRET_KEYS[1]}))]}}})
}

fn keyring_file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("replyke-tests-{}.json", std::process::id()));
        std::fs::write(&path, keyring_document().to_string()).unwrap();
        path
    })
}

fn instance(dynamo: &LocalDynamo, settings: &[(String, String)]) -> (Faults, App<DynamoStore>) {
    let mut variables = vec![
        ("TABLE_NAME".to_owned(), TABLE.to_owned()),
        ("KEYRING_FILE".to_owned(), keyring_file().display().to_string()),
        ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamo.url().to_owned()),
        ("REPLYKE_ALLOWED_ORIGINS".to_owned(), APP.to_owned()),
    ];
    variables.extend_from_slice(settings);
    let (common, policy) = configure(Reader::new(variables)).unwrap();
    let faults = Faults::default();
    let app = App::new(common, policy, dynamo.store(faults.http()), T0).unwrap();
    (faults, app)
}

/// Sends a request of an address of its own, so that no limit is met.
pub async fn send_from(world: &World, n: usize, event: Value) -> Answer {
    world.send(from_address(event, &format!("198.51.100.{n}")), rondo_tests::secs(1)).await
}
