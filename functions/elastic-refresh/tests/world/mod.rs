//! This function over a DynamoDB of its own, with a clock that the test sets, keys that are its own, and a count of the
//! password hashes that were computed.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code"
)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use elastic_refresh::password::{Argon2id, HashingError, StoredHash, Verifier, credential};
use elastic_refresh::policy::{PRODUCT, tenant};
use elastic_refresh::request::Password;
use elastic_refresh::{App, configure, handle};
use lambda_http::{Body, Request, Response};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, FamilyId, Subject};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::log::LogLine;
use rondo_shared::moment::Timestamp;
use rondo_shared::session::{self, Issuing, NewSession};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Cause, Credential, UserProfile};
use rondo_shared::store::{Meter, Store as _};
use rondo_shared::wire::Event;
pub use rondo_tests::world::{millis, moment};
use rondo_tests::{Faults, LocalDynamo};
pub use rondo_tests::{T0, secs};
use serde_json::{Value, json};
use ulid::Ulid;

/// Where the endpoint is.
pub const PATH: &str = "/api/v1/users/auth/_refresh";
/// The one listed origin.
pub const CONSOLE: &str = "https://console.elastic.test";
/// The password of every user of these tests.
pub const PASSWORD: &str = "correct horse: battery staple";
/// How long a token lives, in seconds.
pub const TOKEN_SECS: i64 = 3_600;
/// The private keys: those of RFC 8032 §7.1, tests 2 and 3.
const ACTIVE: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const RETIRED: &str = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";

/// A function instance over a table of its own.
pub struct World {
    pub dynamo: LocalDynamo,
    /// The faults of this instance's client.
    pub faults: Faults,
    pub app: App<DynamoStore, Counting>,
    hashes: Arc<AtomicU32>,
    settings: Vec<(String, String)>,
}

/// Tries passwords for real and counts how often.
#[derive(Debug, Default)]
pub struct Counting(Arc<AtomicU32>);

impl Verifier for Counting {
    fn matches(&self, password: &Password, hash: &StoredHash) -> Result<bool, HashingError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Argon2id.matches(password, hash)
    }
}

/// What a client gets, and what the log says.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub response: Response<Body>,
    pub line: LogLine,
}

impl Answer {
    pub fn body(&self) -> &str {
        std::str::from_utf8(self.response.body().as_ref()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    /// The token of an answer that must have one, with all that such an answer must be.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert_eq!(self.status, 200, "{} {:?}", self.body(), self.line);
        let body = self.json();
        assert_eq!(names(&body), ["session_expiration_time", "token"]);
        let token = body["token"].as_str().expect("a text").to_owned();
        let expires_at = Timestamp::from_secs(claims_of(&token)["exp"].as_i64().unwrap());
        let told = body["session_expiration_time"].as_str().expect("a text");
        assert_eq!(told, expires_at.iso8601());
        assert_eq!(told.split_once('.').map(|(_, millis)| millis), Some("000Z"), "{told}");
        assert_eq!(self.header("x-cloud-error-codes"), None);
        token
    }

    /// That the answer is exactly the product's envelope of one error.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str, message: &str) {
        assert_eq!(self.status, status, "{} {:?}", self.body(), self.line);
        assert_eq!(self.json(), json!({"errors": [{"code": code, "message": message}]}));
        assert_eq!(self.header("x-cloud-error-codes"), Some(code));
    }

    #[track_caller]
    pub fn assert_unauthorized(&self) {
        self.assert_error(401, "root.unauthorized", "The authentication token is invalid or expired.");
    }

    /// That the answer is a limit, and when it says that the next request is let in.
    #[track_caller]
    pub fn assert_limited(&self) -> i64 {
        self.assert_error(429, "root.too_many_requests", "Too many requests. Try again later.");
        self.header("retry-after").expect("Retry-After").parse().expect("whole seconds")
    }
}

/// What holds for every answer, whatever was asked.
#[track_caller]
pub fn assert_common(response: &Response<Body>) {
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
    let id = header("x-request-id").expect("X-Request-Id");
    assert_eq!(Ulid::from_string(id).expect("a ULID").to_string(), id);
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("set-cookie"), None, "the product knows no cookie");
    let status = response.status().as_u16();
    assert!(matches!(status, 200 | 204 | 401 | 405 | 429 | 501 | 502), "{status} is not declared");
    assert_eq!(header("retry-after").is_some(), status == 429);
    assert_eq!(header("allow").is_some(), matches!(status, 204 | 405));
    if status == 204 {
        assert!(response.body().as_ref().is_empty());
        return;
    }
    assert_eq!(header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(response.body().as_ref()).expect("JSON");
    if status == 200 {
        assert_eq!(names(&body), ["session_expiration_time", "token"]);
        return;
    }
    assert_eq!(names(&body), ["errors"]);
    let [error] = body["errors"].as_array().expect("errors").as_slice() else { panic!("one error: {body}") };
    assert_eq!(names(error), ["code", "message"]);
    assert_eq!(error["code"].as_str(), header("x-cloud-error-codes"));
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
}

impl World {
    /// With the contract's defaults, and `user-1`, who is active.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With some settings changed.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let dynamo = LocalDynamo::start().await;
        let (faults, hashes, app) = instance(&dynamo, &settings);
        let world = Self { dynamo, faults, app, hashes, settings };
        world.put_user("user-1", AccountStatus::Active).await;
        world
    }

    /// Another instance of the function over the same table, with a memory of its own.
    pub fn another_instance(&self) -> App<DynamoStore, Counting> {
        instance(&self.dynamo, &self.settings).2
    }

    /// Replaces this instance by a fresh one, as a cold start does, with some settings changed.
    pub fn restart_with(&mut self, settings: &[(&str, &str)]) {
        self.settings.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        (self.faults, self.hashes, self.app) = instance(&self.dynamo, &self.settings);
    }

    pub fn store(&self) -> DynamoStore {
        self.dynamo.store(rondo_tests::dynamo::plain_http())
    }

    /// Puts a user into the directory, with the password of these tests.
    pub async fn put_user(&self, user: &str, status: AccountStatus) {
        self.put_profile(user, status).await;
        self.put_credential(user, credential_of_these_tests()).await;
    }

    pub async fn put_profile(&self, user: &str, status: AccountStatus) {
        let profile = UserProfile { status, name: None, email: None };
        let item = profile.to_item(&tenant(), &Subject::new(user).unwrap());
        self.store().replace(&item, &Meter::default()).await.unwrap();
    }

    pub async fn put_credential(&self, user: &str, credential: &Credential) {
        let item = credential.to_item(&tenant(), &Subject::new(user).unwrap());
        self.store().replace(&item, &Meter::default()).await.unwrap();
    }

    /// Opens a session of `user-1`, and returns its token.
    pub async fn open(&self, now: Timestamp) -> String {
        self.open_for("user-1", now).await.1
    }

    /// Opens a session, and returns its family and token.
    pub async fn open_for(&self, user: &str, now: Timestamp) -> (FamilyId, String) {
        let policy = self.app.policy();
        let new = NewSession {
            tenant: tenant(),
            subject: Subject::new(user).unwrap(),
            org: None,
            label: None,
            client: Client::new(Some("192.0.2.1".parse().unwrap()), "ecctl"),
        };
        let keys = keys();
        let issuing =
            Issuing { keys: &keys, authority: &policy.authority, rotation: &policy.rotation, access: &policy.access };
        let opened = session::open(&new, issuing, &self.store(), &moment(now), &Meter::default()).await;
        let (family, pair) = opened.unwrap();
        (family, pair.refresh_token().to_owned())
    }

    /// Ends a session as its user would.
    pub async fn sign_out(&self, family: FamilyId, now: Timestamp) {
        let (store, moment, meter) = (self.store(), moment(now), Meter::default());
        let client = Client::new(None, "");
        let ends = secs(2 * 86_400);
        session::revoke(&tenant(), family, Cause::SignOut, ends, client, &store, &moment, &meter).await.unwrap();
    }

    /// Refreshes with a token.
    pub async fn refresh(&self, token: &str, now: Timestamp) -> Answer {
        self.send(bearer(token), now).await
    }

    /// Signs in with a name and a password.
    pub async fn sign_in(&self, user: &str, password: &str, now: Timestamp) -> Answer {
        self.send(basic(user, password), now).await
    }

    /// Sends an event.
    pub async fn send(&self, event: Value, now: Timestamp) -> Answer {
        send_to(&self.app, event, now).await
    }

    /// How many hashes were computed since this was last asked.
    pub fn take_hashes(&self) -> u32 {
        self.hashes.swap(0, Ordering::Relaxed)
    }
}

/// Sends an event to an instance.
pub async fn send_to(app: &App<DynamoStore, Counting>, event: Value, now: Timestamp) -> Answer {
    let request = request_of(&event);
    let (response, line) = Box::pin(handle(app, &moment(now), &request)).await;
    assert_common(&response);
    let answer = Answer { status: response.status().as_u16(), response, line };
    assert_eq!(answer.line.status, answer.status);
    assert_eq!(answer.header("x-request-id"), Some(answer.line.request_id.to_string().as_str()));
    answer
}

pub fn request_of(event: &Value) -> Request {
    Event::from_json(&event.to_string()).expect("an event").into_request()
}

/// An HTTP API event with this `Authorization`.
pub fn authorized(authorization: &str) -> Value {
    let mut event = event(json!({}));
    event["headers"]["authorization"] = json!(authorization);
    event
}

/// As the product's client refreshes.
pub fn bearer(token: &str) -> Value {
    authorized(&format!("Bearer {token}"))
}

/// As the product's own example signs in.
pub fn basic(user: &str, password: &str) -> Value {
    authorized(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// The same from another address.
pub fn from_address(mut event: Value, ip: &str) -> Value {
    event["requestContext"]["http"]["sourceIp"] = json!(ip);
    event
}

/// An HTTP API event with some of its fields replaced.
#[allow(clippy::needless_pass_by_value, reason = "for `json!`")]
pub fn event(changes: Value) -> Value {
    let mut event = rondo_tests::world::event(json!({"rawPath": PATH, "routeKey": format!("ANY {PATH}")}));
    event["requestContext"]["http"]["path"] = json!(PATH);
    for (name, value) in changes.as_object().expect("an object") {
        event[name] = value.clone();
    }
    event
}

pub fn with_method(mut event: Value, method: &str) -> Value {
    event["requestContext"]["http"]["method"] = json!(method);
    event
}

pub fn with_header(mut event: Value, name: &str, value: &str) -> Value {
    event["headers"][name] = json!(value);
    event
}

fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn private(hex: &str) -> SigningKey {
    let byte = |n: usize| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap();
    SigningKey::from_bytes(&std::array::from_fn(byte))
}

/// The key that signs.
pub fn active_key() -> SigningKey {
    private(ACTIVE)
}

/// A key that signed once.
pub fn retired_key() -> SigningKey {
    private(RETIRED)
}

/// A token as somebody outside makes one: from RFC 7515 and RFC 8037 alone.
pub fn signed(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

/// The header of a token that verifies.
pub fn good_header() -> Value {
    json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "e1"})
}

/// An object with some fields replaced; a null takes one away.
pub fn changed(object: &Value, changes: &Value) -> Value {
    let mut object = object.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        object.remove(name);
        if !value.is_null() {
            object.insert(name.clone(), value.clone());
        }
    }
    Value::Object(object)
}

fn part_of(token: &str, n: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap()).unwrap()
}

pub fn header_of(token: &str) -> Value {
    part_of(token, 0)
}

/// What a token says, unverified.
pub fn claims_of(token: &str) -> Value {
    part_of(token, 1)
}

/// Whether a resource server that knows the published key and the clock takes the token as an access token (RFC 9068 §4).
pub fn is_a_valid_access_token(token: &str, now: Timestamp) -> bool {
    let published: VerifyingKey = active_key().verifying_key();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let (header, claims) = (header_of(token), claims_of(token));
    published.verify_strict(signed.as_bytes(), &signature).is_ok()
        && header == good_header()
        && claims["iss"] == "elastic"
        && claims["aud"] == "elastic-api"
        && now.secs() < claims["exp"].as_i64().unwrap()
}

fn credential_of_these_tests() -> &'static Credential {
    static MADE: OnceLock<Credential> = OnceLock::new();
    MADE.get_or_init(|| credential(&Password::new(PASSWORD.to_owned()).unwrap(), [9; 16]).unwrap())
}

/// The keys that every test's tokens are made with.
pub fn keys() -> ProductKeys {
    ProductKeys::parse(&keyring_document().to_string(), PRODUCT).unwrap()
}

/// A keyring with one active and one retired signing key.
pub fn keyring_document() -> Value {
    let signing = |kid: &str, state: &str, key: &SigningKey| {
        json!({"kid": kid, "state": state, "published_at": "2026-11-01T00:00:00Z", "jwk": {"kty": "OKP",
               "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes()),
               "d": URL_SAFE_NO_PAD.encode(key.to_bytes())}})
    };
    let mac = json!({"kid": "em1", "state": "active", "published_at": "2026-11-01T00:00:00Z",
                     "jwk": {"kty": "oct", "k": URL_SAFE_NO_PAD.encode([5; 32])}});
    json!({"version": 1, "products": {PRODUCT: {
        "signing": [signing("e1", "active", &active_key()), signing("e0", "retired", &retired_key())],
        "mac": [mac]}}})
}

/// A file with a keyring, or with whatever else, that lives as long as the test's process.
pub fn keyring_file(name: &str, document: &Value) -> PathBuf {
    let path = std::env::temp_dir().join(format!("rondo-elastic-{name}-{}.json", std::process::id()));
    std::fs::write(&path, document.to_string()).unwrap();
    path
}

fn good_keyring_file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| keyring_file("good", &keyring_document()))
}

/// The variables of a deployment over this store.
pub fn variables(dynamo: &LocalDynamo) -> Vec<(String, String)> {
    [
        ("TABLE_NAME", rondo_tests::dynamo::TABLE),
        ("KEYRING_FILE", good_keyring_file().to_str().unwrap()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamo.url()),
        ("ELASTIC_ALLOWED_ORIGINS", CONSOLE),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn instance(
    dynamo: &LocalDynamo,
    settings: &[(String, String)],
) -> (Faults, Arc<AtomicU32>, App<DynamoStore, Counting>) {
    let mut variables = variables(dynamo);
    variables.extend_from_slice(settings);
    let (common, policy) = configure(Reader::new(variables)).unwrap();
    let (faults, hashes) = (Faults::default(), Arc::new(AtomicU32::new(0)));
    let verifier = Counting(Arc::clone(&hashes));
    let app = App::with_verifier(common, policy, dynamo.store(faults.http()), verifier, T0).unwrap();
    (faults, hashes, app)
}
