//! What every function here is called with: a table, a keyring, settings, sessions and events.

use std::path::PathBuf;
use std::sync::OnceLock;

use lambda_http::{Body, Request, Response};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::mint::AccessPolicy;
use rondo_shared::moment::Timestamp;
use rondo_shared::rotation::RotationPolicy;
use rondo_shared::session::{self, Issuing, NewSession};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Cause, Project, ProjectStatus, Seal, UserProfile};
use rondo_shared::store::{Item, Meter, Store as _};
use rondo_shared::token::TokenAuthority;
use rondo_shared::wire::Event;
use rondo_tests::dynamo::{TABLE, plain_http};
use rondo_tests::world::{keyring_document, moment};
use rondo_tests::{Faults, LocalDynamo, T0, secs};
use serde_json::{Map, Value, json};

pub const PRODUCTS: [&str; 4] = ["uniqos", "dreadnode", "elastic", "replyke"];
/// The one origin that every deployment here lists.
pub const LISTED: (&str, &str) = ("origin", "https://app.example.test");
pub const OTHER_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");
pub const JSON: (&str, &str) = ("content-type", "application/json");
pub const USER: &str = "user-1";

/// A table, a keyring for every product, and faults on the way of one client.
pub struct Stage {
    pub dynamo: LocalDynamo,
    pub faults: Faults,
}

impl Stage {
    pub async fn new() -> Self {
        let stage = Self { dynamo: LocalDynamo::start().await, faults: Faults::default() };
        for tenant in ["uniqos", "dreadnode", "elastic", "replyke:p1"] {
            stage.put_user(tenant, USER, AccountStatus::Active, |item| item).await;
        }
        stage
    }

    pub fn store(&self) -> DynamoStore {
        self.dynamo.store(plain_http())
    }

    pub async fn put(&self, item: &Item) {
        self.store().replace(item, &Meter::default()).await.unwrap();
    }

    pub async fn put_user(&self, tenant: &str, user: &str, status: AccountStatus, fill: impl FnOnce(Item) -> Item) {
        let profile = UserProfile { status, name: None, email: None };
        self.put(&fill(profile.to_item(&Tenant::new(tenant).unwrap(), &Subject::new(user).unwrap()))).await;
    }

    pub async fn put_project(&self, tenant: &str, status: ProjectStatus) {
        let key = Project::key(&Tenant::new(tenant).unwrap()).unwrap();
        self.put(&Project { status, name: None }.to_item(key)).await;
    }

    pub fn reader(&self, settings: &[(&str, &str)]) -> Reader {
        let file = keyring_file().display().to_string();
        let own = [("TABLE_NAME", TABLE), ("KEYRING_FILE", &file), ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamo.url())];
        let mut reader = Reader::new(own.iter().chain(settings).copied());
        for product in PRODUCTS {
            reader = reader.with(&format!("{}_ALLOWED_ORIGINS", product.to_uppercase()), LISTED.1);
        }
        reader
    }

    /// Opens a session of [`USER`], and returns its family and refresh token.
    pub async fn open(
        &self,
        tenant: &str,
        authority: &TokenAuthority,
        rotation: &RotationPolicy,
        access: &AccessPolicy,
        at: Timestamp,
    ) -> (FamilyId, String) {
        let new = NewSession {
            tenant: Tenant::new(tenant).unwrap(),
            subject: Subject::new(USER).unwrap(),
            org: Some(OrgKey::new("acme").unwrap()),
            label: None,
            client: Client::new(None, ""),
        };
        let keys = ProductKeys::parse(&ring().to_string(), tenant.split(':').next().unwrap()).unwrap();
        let issuing = Issuing { keys: &keys, authority, rotation, access };
        let opened = session::open(&new, issuing, &self.store(), &moment(at), &Meter::default()).await;
        let (family, pair) = opened.unwrap();
        (family, pair.refresh_token().to_owned())
    }

    pub async fn seal(&self, tenant: &str, family: FamilyId, cause: Cause) -> Seal {
        let (tenant, client) = (Tenant::new(tenant).unwrap(), Client::new(None, ""));
        let (moment, ends) = (moment(T0), secs(86_400));
        session::revoke(&tenant, family, cause, ends, client, &self.store(), &moment, &Meter::default()).await.unwrap()
    }
}

/// The keys of every product; one of them RSA (RFC 7515, appendix A.2).
pub fn ring() -> Value {
    let mut document = keyring_document();
    let keys = document["products"]["uniqos"].clone();
    for product in PRODUCTS {
        document["products"][product] = keys.clone();
    }
    let rsa: Value = serde_json::from_str(include_str!("../../../shared/src/keyring/rfc7515_a2.json")).unwrap();
    let key = json!({"kid": "r1", "state": "retired", "published_at": "2026-11-01T00:00:00Z", "jwk": rsa});
    document["products"]["uniqos"]["signing"].as_array_mut().unwrap().push(key);
    document
}

pub fn keyring_file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("rondo-openapi-{}.json", std::process::id()));
        std::fs::write(&path, ring().to_string()).unwrap();
        path
    })
}

/// An HTTP API event.
pub fn event(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let headers: Map<_, _> = headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let mut event = rondo_tests::world::event(json!({"rawPath": path, "rawQueryString": query, "headers": headers}));
    event["requestContext"]["http"]["method"] = json!(method);
    event["requestContext"]["http"]["path"] = json!(path);
    if !body.is_empty() {
        event["body"] = json!(body);
    }
    event
}

pub fn request(event: &Value) -> Request {
    Event::from_json(&event.to_string()).expect("an event").into_request()
}

pub fn json_of(response: &Response<Body>) -> Value {
    serde_json::from_slice(response.body().as_ref()).unwrap_or(Value::Null)
}

pub fn cookie_of(response: &Response<Body>, name: &str) -> String {
    let set = response.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let found = set.filter_map(|set| set.strip_prefix(name)?.strip_prefix('=')?.split(';').next()).next();
    found.unwrap_or_else(|| panic!("no cookie {name}: {response:?}")).to_owned()
}
