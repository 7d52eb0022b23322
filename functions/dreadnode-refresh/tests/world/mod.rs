//! The Dreadnode function over a DynamoDB of its own, with keys of its own and a clock that the test sets.

#![allow(dead_code, clippy::needless_pass_by_value, reason = "each test binary uses its part, and calls read better")]

use std::path::PathBuf;
use std::sync::OnceLock;

use dreadnode_refresh::policy::tenant;
use dreadnode_refresh::{App, configure, handle};
use lambda_http::{Body, Request, Response};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::log::LogLine;
use rondo_shared::moment::Timestamp;
use rondo_shared::session::{self, Issuing, NewSession};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Cause, Membership, UserProfile};
use rondo_shared::store::{Meter, Store as _};
use rondo_shared::token::{Claims, TokenAuthority, UnverifiedToken};
use rondo_shared::wire::Event;
use rondo_tests::dynamo::{TABLE, plain_http};
use rondo_tests::world::moment;
use rondo_tests::{Faults, LocalDynamo, T0};
use serde_json::{Value, json};

/// The origin that the deployment lists.
pub const APP: &str = "https://app.dreadnode.test";
/// What the keyring keeps to itself.
pub const SECRET_KEYS: [&str; 3] = [
    "TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs",
    "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM",
    "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ",
];
/// Attributes of both cookies, before `Max-Age`.
pub const ATTRIBUTES: &str = "Path=/; HttpOnly; Secure; SameSite=Lax";

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
    /// The JSON body; null where there is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.response.body().as_ref()).unwrap_or(Value::Null)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    /// Every `Set-Cookie`, in order.
    pub fn cookies(&self) -> Vec<&str> {
        self.response.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// The value that the answer sets a cookie to, if it sets one.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let value = |set: &&str| set.strip_prefix(&format!("{name}="))?.split(';').next().map(str::to_owned);
        self.cookies().iter().find_map(value).filter(|value| !value.is_empty())
    }

    /// The new refresh token of an answer that must have one.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, 200, "{}", self.json());
        self.cookie("refresh_token").expect("a refresh cookie")
    }
}

/// That both cookies are forgotten, exactly as they were set.
#[track_caller]
pub fn assert_cleared(answer: &Answer) {
    let cleared = ["refresh_token", "access_token"].map(|name| format!("{name}=; {ATTRIBUTES}; Max-Age=0"));
    assert_eq!(answer.cookies(), cleared);
}

/// The product's envelope and nothing else; what holds for every answer; and that no error sets a token. Returns
/// `errors`.
#[track_caller]
pub fn assert_error(answer: &Answer, status: u16, kind: &str) -> Value {
    if status == 401 && answer.line.cause != Some("no_token") {
        assert_cleared(answer);
    } else {
        assert!(answer.cookies().is_empty(), "{status} touches no cookie");
    }
    assert_error_in_words(answer, status, kind)
}

/// The same where no cookie carried the token that is refused.
#[track_caller]
pub fn assert_error_by_body(answer: &Answer, status: u16, kind: &str) -> Value {
    assert!(answer.cookies().is_empty(), "{status} touches no cookie");
    assert_error_in_words(answer, status, kind)
}

#[track_caller]
fn assert_error_in_words(answer: &Answer, status: u16, kind: &str) -> Value {
    let body = answer.json();
    assert_eq!(answer.status, status, "{body}");
    assert_common(answer);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(body["code"], status);
    assert_eq!(body["type"], kind);
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 4, "{body}");
    assert_eq!(body["errors"].is_null(), status != 422, "{body}");
    body["errors"].clone()
}

/// What holds for every answer, whatever its status.
#[track_caller]
pub fn assert_common(answer: &Answer) {
    let id = answer.header("x-request-id").expect("X-Request-Id");
    assert_eq!(ulid::Ulid::from_string(id).expect("a ULID").to_string(), id);
    assert_eq!(answer.line.request_id.to_string(), id, "the log line names the same request");
    assert_eq!((answer.line.status, answer.line.product), (answer.status, "dreadnode"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.header("retry-after").is_some(), answer.status == 429, "Retry-After on {}", answer.status);
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
        world.put_user(&tenant(), "user-1").await;
        world
    }

    /// Another instance of the function over the same table, with a memory of its own.
    pub fn another_instance(&self) -> App<DynamoStore> {
        instance(&self.dynamo, &self.settings).1
    }

    /// The variables that instances of this world are configured by.
    pub fn reader(&self) -> Reader {
        reader(&self.dynamo, &self.settings)
    }

    /// A store on the table, without faults.
    pub fn store(&self) -> DynamoStore {
        self.dynamo.store(plain_http())
    }

    /// Puts an active user into the directory.
    pub async fn put_user(&self, tenant: &Tenant, user: &str) {
        let profile = UserProfile { status: AccountStatus::Active, name: None, email: None };
        let item = profile.to_item(tenant, &Subject::new(user).unwrap());
        self.store().replace(&item, &Meter::default()).await.unwrap();
    }

    /// Makes `user-1` a member of an organization.
    pub async fn join(&self, key: &str, name: &str, is_default: bool) {
        let membership = Membership { org: OrgKey::new(key).unwrap(), name: name.to_owned(), is_default };
        let item = membership.to_item(&tenant(), &Subject::new("user-1").unwrap());
        self.store().replace(&item, &Meter::default()).await.unwrap();
    }

    /// Opens a session of `user-1`, and returns its refresh token.
    pub async fn open(&self, now: Timestamp) -> String {
        self.open_for("user-1", now).await.1
    }

    /// Opens a session, and returns its family and refresh token.
    pub async fn open_for(&self, user: &str, now: Timestamp) -> (FamilyId, String) {
        self.open_as(&tenant(), user, &self.app.policy().authority, &keys(), now).await
    }

    /// Opens a session of a user of any tenant, under any authority and any keys.
    pub async fn open_as(
        &self,
        tenant: &Tenant,
        user: &str,
        authority: &TokenAuthority,
        keys: &ProductKeys,
        now: Timestamp,
    ) -> (FamilyId, String) {
        let new = NewSession {
            tenant: tenant.clone(),
            subject: Subject::new(user).unwrap(),
            org: None,
            label: Some("laptop".to_owned()),
            client: Client::new(Some("192.0.2.1".parse().unwrap()), "browser"),
        };
        let policy = self.app.policy();
        let issuing = Issuing { keys, authority, rotation: &policy.rotation, access: &policy.access };
        let opened = session::open(&new, issuing, &self.store(), &moment(now), &Meter::default()).await;
        let (family, pair) = opened.unwrap();
        (family, pair.refresh_token().to_owned())
    }

    /// Ends every session of `user-1`, as an operator's tool does.
    pub async fn end_sessions(&self, cause: Cause, now: Timestamp) {
        let (subject, client) = (Subject::new("user-1").unwrap(), Client::new(None, ""));
        let (store, moment, meter) = (self.store(), moment(now), Meter::default());
        let ended = session::revoke_all(&tenant(), &subject, cause, &client, &store, &moment, &meter).await;
        assert!(!ended.unwrap().is_empty());
    }

    /// Refreshes with the token in the cookie, as the browser that opened the session does.
    pub async fn refresh(&self, token: &str, now: Timestamp) -> Answer {
        self.send(cookie_event(token), now).await
    }

    /// Refreshes with the token in the body, as a script does.
    pub async fn refresh_by_body(&self, token: &str, now: Timestamp) -> Answer {
        self.send(body_event(&json!({"refresh_token": token}).to_string()), now).await
    }

    /// Sends an event.
    pub async fn send(&self, event: Value, now: Timestamp) -> Answer {
        send_to(&self.app, event, now).await
    }
}

/// Sends an event to an instance.
pub async fn send_to(app: &App<DynamoStore>, event: Value, now: Timestamp) -> Answer {
    let request: Request = Event::from_json(&event.to_string()).expect("an event").into_request();
    let (response, line) = handle(app, &moment(now), &request).await;
    Answer { status: response.status().as_u16(), response, line }
}

/// An HTTP API event of this endpoint with some of its fields replaced.
pub fn event(changes: Value) -> Value {
    let mut event = rondo_tests::world::event(json!({"rawPath": "/api/v1/auth/refresh"}));
    event["requestContext"]["http"]["path"] = json!("/api/v1/auth/refresh");
    for (name, value) in changes.as_object().expect("an object") {
        event[name] = value.clone();
    }
    event
}

/// With the token in the cookie.
pub fn cookie_event(token: &str) -> Value {
    event(json!({"cookies": [format!("refresh_token={token}")]}))
}

/// With a JSON body.
pub fn body_event(body: &str) -> Value {
    with_headers(event(json!({"body": body})), &[("content-type", "application/json")])
}

/// With more headers.
pub fn with_headers(mut event: Value, headers: &[(&str, &str)]) -> Value {
    for (name, value) in headers {
        event["headers"][*name] = json!(value);
    }
    event
}

/// With another method.
pub fn with_method(mut event: Value, method: &str) -> Value {
    event["requestContext"]["http"]["method"] = json!(method);
    event
}

/// A refresh token's claims, unverified.
pub fn claims_of(token: &str) -> Claims {
    UnverifiedToken::parse(token).unwrap().claims_unverified().unwrap()
}

/// The keys that this product's tokens are made with.
pub fn keys() -> ProductKeys {
    ProductKeys::parse(&keyring_document().to_string(), "dreadnode").unwrap()
}

/// A keyring of names that the other products use too, with other keys; the key pair is that of RFC 8032 §7.1, test 2.
pub fn keyring_document() -> Value {
    let key = |kid: &str, state: &str, jwk: Value| json!({"kid": kid, "state": state, "published_at": "2026-11-01T00:00:00Z", "jwk": jwk});
    let pair = json!({"kty": "OKP", "crv": "Ed25519", "x": "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
                      "d": SECRET_KEYS[0]});
    json!({"version": 1, "products": {"dreadnode": {
        "signing": [key("s1", "active", pair)],
        "mac": [key("m1", "active", json!({"kty": "oct", "k": SECRET_KEYS[1]})),
                key("m0", "retired", json!({"kty": "oct", "k": SECRET_KEYS[2]}))]}}})
}

fn keyring_file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("rondo-dreadnode-tests-{}.json", std::process::id()));
        std::fs::write(&path, keyring_document().to_string()).unwrap();
        path
    })
}

fn reader(dynamo: &LocalDynamo, settings: &[(String, String)]) -> Reader {
    let variables = [
        ("TABLE_NAME".to_owned(), TABLE.to_owned()),
        ("KEYRING_FILE".to_owned(), keyring_file().display().to_string()),
        ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamo.url().to_owned()),
        ("DREADNODE_ALLOWED_ORIGINS".to_owned(), APP.to_owned()),
    ];
    Reader::new(variables.into_iter().chain(settings.iter().cloned()))
}

fn instance(dynamo: &LocalDynamo, settings: &[(String, String)]) -> (Faults, App<DynamoStore>) {
    let (common, policy) = configure(reader(dynamo, settings)).unwrap();
    let faults = Faults::default();
    let app = App::new(common, policy, dynamo.store(faults.http()), T0).unwrap();
    (faults, app)
}
