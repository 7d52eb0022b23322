//! The Uniqos function over a DynamoDB of its own, with a clock that the test sets.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lambda_http::{Body, Request, Response};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, FamilyId, OrgKey, Subject};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::log::LogLine;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::session::{self, Issuing, NewSession};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Cause, Seal, UserProfile};
use rondo_shared::store::{Meter, Store as _};
use rondo_shared::wire::Event;
use serde_json::{Value, json};
use uniqos_refresh::policy::{COOKIE_NAME, Policy, tenant};
use uniqos_refresh::{App, configure, handle};

use crate::dynamo::LocalDynamo;
use crate::faults::Faults;

/// When every story begins: 2026-11-22T10:00:00Z.
pub const T0: Timestamp = Timestamp::from_millis(1_795_341_600_000);

/// So many seconds after [`T0`].
pub fn secs(secs: i64) -> Timestamp {
    Timestamp::from_millis(T0.millis() + secs * 1000)
}

/// A function instance over a table of its own.
pub struct World {
    /// The store.
    pub dynamo: LocalDynamo,
    /// The faults of this instance's client.
    pub faults: Faults,
    /// The instance.
    pub app: App<DynamoStore>,
    settings: Vec<(String, String)>,
}

/// What a client gets, and what the log says.
#[derive(Debug)]
pub struct Answer {
    /// The answer's status.
    pub status: u16,
    /// The whole answer.
    pub response: Response<Body>,
    /// The log line.
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

    /// The refresh token that the answer sets, if it sets one.
    pub fn token(&self) -> Option<String> {
        let set = self.header("set-cookie")?;
        let value = set.strip_prefix(&format!("{COOKIE_NAME}="))?.split(';').next()?;
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Whether the answer has the client forget its cookie.
    pub fn clears_cookie(&self) -> bool {
        self.header("set-cookie").is_some_and(|set| set.contains("Max-Age=0"))
    }

    /// That this is an error of the contract's, by its status and code, which sets no token.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str, what: &str) {
        assert_eq!(self.status, status, "{what}: {}", self.json());
        assert_eq!(self.json()["error"]["code"], code, "{what}");
        assert!(self.header("x-request-id").is_some(), "{what}");
        assert_eq!(self.token(), None, "{what}");
    }

    /// The new refresh token of an answer that must have one.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, 200, "{}", self.json());
        self.token().expect("a refresh cookie")
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
        world.put_user("user-1", AccountStatus::Active).await;
        world
    }

    /// Another instance of the function over the same table, with a memory of its own.
    pub fn another_instance(&self) -> (Faults, App<DynamoStore>) {
        instance(&self.dynamo, &self.settings)
    }

    /// Replaces this instance by a fresh one, as a cold start does, with some settings changed.
    pub fn restart_with(&mut self, settings: &[(&str, &str)]) {
        self.settings.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        (self.faults, self.app) = self.another_instance();
    }

    /// A store on the table, without faults.
    pub fn store(&self) -> DynamoStore {
        self.dynamo.store(crate::dynamo::plain_http())
    }

    /// Puts a user into the directory.
    pub async fn put_user(&self, user: &str, status: AccountStatus) {
        let profile = UserProfile { status, name: None, email: None };
        let item = profile.to_item(&tenant(), &Subject::new(user).unwrap());
        self.store().replace(&item, &Meter::default()).await.unwrap();
    }

    /// Opens a session of `user-1` in organization `acme`, and returns its refresh token.
    pub async fn open(&self, now: Timestamp) -> String {
        self.open_for("user-1", Some("acme"), now).await.1
    }

    /// Opens a session, and returns its family and refresh token.
    pub async fn open_for(&self, user: &str, org: Option<&str>, now: Timestamp) -> (FamilyId, String) {
        let policy = self.app.policy();
        let new = NewSession {
            tenant: policy.tenant.clone(),
            subject: Subject::new(user).unwrap(),
            org: org.map(|org| OrgKey::new(org).unwrap()),
            label: Some("laptop".to_owned()),
            client: Client::new(Some("192.0.2.1".parse().unwrap()), "browser"),
        };
        let keys = keys();
        let issuing = issuing(policy, &keys);
        let opened = session::open(&new, issuing, &self.store(), &moment(now), &Meter::default()).await;
        let (family, pair) = opened.unwrap();
        (family, pair.refresh_token().to_owned())
    }

    /// Ends a session as its user would.
    pub async fn sign_out(&self, family: FamilyId, now: Timestamp) -> Seal {
        let (store, moment, meter) = (self.store(), moment(now), Meter::default());
        let ends = secs(100 * 86_400);
        let client = Client::new(None, "");
        session::revoke(&tenant(), family, Cause::SignOut, ends, client, &store, &moment, &meter).await.unwrap()
    }

    /// Refreshes with a token, as the browser that opened the session does.
    pub async fn refresh(&self, token: &str, now: Timestamp) -> Answer {
        self.send(refresh_event(token), now).await
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

/// An HTTP API event as the browser that opened the session sends it.
pub fn refresh_event(token: &str) -> Value {
    event(json!({"cookies": [format!("{COOKIE_NAME}={token}")]}))
}

/// The same from another client: a thief's, say.
pub fn thiefs_event(token: &str) -> Value {
    let mut event = refresh_event(token);
    event["requestContext"]["http"]["sourceIp"] = json!("203.0.113.66");
    event["headers"]["user-agent"] = json!("curl/8");
    event
}

/// An HTTP API event with some of its fields replaced.
pub fn event(changes: Value) -> Value {
    let mut event = json!({
        "version": "2.0", "routeKey": "ANY /v1/auth/refresh", "rawPath": "/v1/auth/refresh", "rawQueryString": "",
        "headers": {"user-agent": "browser"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "domainName": "api.example.com", "stage": "$default",
            "requestId": "r", "routeKey": "ANY /v1/auth/refresh", "time": "", "timeEpoch": 0,
            "http": {"method": "POST", "path": "/v1/auth/refresh", "protocol": "HTTP/1.1",
                     "sourceIp": "192.0.2.1", "userAgent": "browser"}},
        "isBase64Encoded": false});
    for (name, value) in changes.as_object().expect("an object") {
        event[name] = value.clone();
    }
    event
}

/// A moment at `now`, with randomness that no other moment of this process has.
pub fn moment(now: Timestamp) -> Moment {
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    let mut entropy = [0; 80];
    for chunk in entropy.chunks_exact_mut(8) {
        chunk.copy_from_slice(&DRAWN.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    }
    Moment::from_parts(now, &entropy)
}

/// What opening a session needs.
pub fn issuing<'a>(policy: &'a Policy, keys: &'a ProductKeys) -> Issuing<'a> {
    Issuing { keys, authority: &policy.authority, rotation: &policy.rotation, access: &policy.access }
}

/// The keys that every test's tokens are made with.
pub fn keys() -> ProductKeys {
    ProductKeys::parse(&keyring_document().to_string(), "uniqos").unwrap()
}

/// The public half of the active signing key (RFC 8037, appendix A.2).
pub const PUBLIC_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// A keyring with one active and one retired key of each kind; the key pair is that of RFC 8037, appendix A.
pub fn keyring_document() -> Value {
    let signing = |kid: &str, state: &str| {
        json!({"kid": kid, "state": state, "published_at": "2026-11-01T00:00:00Z", "jwk": {"kty": "OKP",
               "crv": "Ed25519", "x": PUBLIC_KEY, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}})
    };
    let mac = |kid: &str, state: &str, k: &str| json!({"kid": kid, "state": state, "published_at": "2026-11-01T00:00:00Z", "jwk": {"kty": "oct", "k": k}});
    json!({"version": 1, "products": {"uniqos": {
        "signing": [signing("s1", "active"), signing("s0", "retired")],
        "mac": [mac("m1", "active", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"),
                mac("m0", "retired", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]}}})
}

/// The file that holds them.
pub fn keyring_file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("rondo-tests-{}.json", std::process::id()));
        std::fs::write(&path, keyring_document().to_string()).unwrap();
        path
    })
}

fn instance(dynamo: &LocalDynamo, settings: &[(String, String)]) -> (Faults, App<DynamoStore>) {
    let mut variables = vec![
        ("TABLE_NAME".to_owned(), crate::dynamo::TABLE.to_owned()),
        ("KEYRING_FILE".to_owned(), keyring_file().display().to_string()),
        ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamo.url().to_owned()),
        ("UNIQOS_ALLOWED_ORIGINS".to_owned(), "https://app.uniqos.test".to_owned()),
    ];
    variables.extend_from_slice(settings);
    let (common, policy) = configure(Reader::new(variables)).unwrap();
    let faults = Faults::default();
    let app = App::new(common, policy, dynamo.store(faults.http()), T0).unwrap();
    (faults, app)
}

/// A span in milliseconds after [`T0`].
pub fn millis(millis: i64) -> Timestamp {
    T0.plus(Duration::from_millis(u64::try_from(millis).unwrap()))
}
