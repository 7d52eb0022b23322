//! The four refresh functions over one table, and a forge that has their keys.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use lambda_http::{Body, Response};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, OrgKey, Subject, Tenant};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::log::LogLine;
use rondo_shared::moment::Timestamp;
use rondo_shared::session::{self, Issuing, NewSession};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, UserProfile};
use rondo_shared::store::{Meter, Store as _};
use rondo_shared::token::TokenForm;
use rondo_shared::wire::Event;
use rondo_tests::dynamo::{TABLE, plain_http};
use rondo_tests::world::{keyring_document, moment};
use rondo_tests::{LocalDynamo, T0, secs};
use serde_json::{Value, json};

/// Every product with a refresh function, and a second project of the one that has projects.
pub const TENANTS: [&str; 5] = ["uniqos", "dreadnode", "elastic", "replyke:p1", "replyke:p2"];

/// The functions, an instance each.
pub struct Stage {
    pub dynamo: LocalDynamo,
    ring: Value,
    uniqos: uniqos_refresh::App<DynamoStore>,
    dreadnode: dreadnode_refresh::App<DynamoStore>,
    elastic: elastic_refresh::App<DynamoStore>,
    replyke: replyke_refresh::App<DynamoStore>,
}

/// What a client gets.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub line: LogLine,
    response: Response<Body>,
}

impl Answer {
    /// The body without its request id: what must be the same for all that is refused alike.
    pub fn body(&self) -> String {
        let body = String::from_utf8(self.response.body().as_ref().to_vec()).unwrap();
        body.replace(&self.line.request_id.to_string(), "<request id>")
    }

    /// Every cookie that is set or cleared.
    pub fn cookies(&self) -> Vec<&str> {
        self.response.headers().get_all("set-cookie").iter().map(|set| set.to_str().unwrap()).collect()
    }

    /// That the client is told a clear no: at no cost, with no token, and with no cookie touched but on a 401.
    #[track_caller]
    pub fn assert_refused(&self, what: &str) {
        assert!(matches!(self.status, 401 | 403 | 422), "{what}: {} {}", self.status, self.body());
        assert_eq!(self.line.usage.calls, 0, "{what} asked the store");
        assert_eq!(self.line.family, None, "{what} was taken for one of a family");
        let cleared = self.cookies().into_iter().all(|set| self.status == 401 && set.ends_with("Max-Age=0"));
        assert!(cleared, "{what}: {:?}", self.cookies());
    }
}

/// The keys of every product: each its own, or all the same, as somebody may set them up who copies one.
fn ring(all_the_same: bool) -> Value {
    let mut document = keyring_document();
    let keys = document["products"]["uniqos"].clone();
    let rsa: Value = serde_json::from_str(include_str!("../../../shared/src/keyring/rfc7515_a2.json")).unwrap();
    let rsa = json!({"kid": "r1", "state": "retired", "published_at": "2026-11-01T00:00:00Z", "jwk": rsa});
    for (product, byte) in [("uniqos", 1), ("dreadnode", 2), ("elastic", 3), ("replyke", 4)] {
        document["products"][product] = keys.clone();
        document["products"][product]["signing"].as_array_mut().unwrap().push(rsa.clone());
        if !all_the_same {
            document["products"][product]["mac"][0]["jwk"]["k"] = json!(URL_SAFE_NO_PAD.encode([byte; 32]));
        }
    }
    document
}

fn file_of(ring: &Value) -> PathBuf {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let n = FILES.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("rondo-attacks-{}-{n}.json", std::process::id()));
    std::fs::write(&path, ring.to_string()).unwrap();
    path
}

/// An instance of a function, which all come to be alike.
macro_rules! instance {
    ($function:ident, $reader:expr, $store:expr) => {{
        let (common, policy) = $function::configure($reader).unwrap();
        $function::App::new(common, policy, $store, T0).unwrap()
    }};
}

/// What is done with one product's function.
macro_rules! with_function {
    ($stage:expr, $tenant:expr, |$function:ident, $app:ident| $body:expr) => {
        match $tenant.split(':').next().unwrap() {
            "uniqos" => {
                use uniqos_refresh as $function;
                let $app = &$stage.uniqos;
                $body
            }
            "dreadnode" => {
                use dreadnode_refresh as $function;
                let $app = &$stage.dreadnode;
                $body
            }
            "elastic" => {
                use elastic_refresh as $function;
                let $app = &$stage.elastic;
                $body
            }
            "replyke" => {
                use replyke_refresh as $function;
                let $app = &$stage.replyke;
                $body
            }
            other => panic!("{other} is no product"),
        }
    };
}

impl Stage {
    /// With keys of its own for every product.
    pub async fn new() -> Self {
        Self::over(ring(false)).await
    }

    /// With the same keys for all products: what keeps them apart is what their tokens say.
    pub async fn with_one_key_for_all() -> Self {
        Self::over(ring(true)).await
    }

    async fn over(ring: Value) -> Self {
        let dynamo = LocalDynamo::start().await;
        let file = file_of(&ring).display().to_string();
        let store = || dynamo.store(plain_http());
        let variables = [
            ("TABLE_NAME", TABLE),
            ("KEYRING_FILE", file.as_str()),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamo.url()),
            ("REPLYKE_RATE_LIMIT", "1000"),
        ];
        let reader = || Reader::new(variables);
        for tenant in TENANTS {
            let profile = UserProfile { status: AccountStatus::Active, name: None, email: None };
            let item = profile.to_item(&Tenant::new(tenant).unwrap(), &Subject::new("user-1").unwrap());
            store().replace(&item, &Meter::default()).await.unwrap();
        }
        let (uniqos, dreadnode) =
            (instance!(uniqos_refresh, reader(), store()), instance!(dreadnode_refresh, reader(), store()));
        let (elastic, replyke) =
            (instance!(elastic_refresh, reader(), store()), instance!(replyke_refresh, reader(), store()));
        Self { ring, uniqos, dreadnode, elastic, replyke, dynamo }
    }

    /// A product's keys.
    pub fn keys(&self, tenant: &str) -> ProductKeys {
        ProductKeys::parse(&self.ring.to_string(), tenant.split(':').next().unwrap()).unwrap()
    }

    /// The token of a session that was just opened.
    pub async fn open(&self, tenant: &str) -> String {
        let new = NewSession {
            tenant: Tenant::new(tenant).unwrap(),
            subject: Subject::new("user-1").unwrap(),
            org: Some(OrgKey::new("acme").unwrap()),
            label: None,
            client: Client::new(None, ""),
        };
        let keys = self.keys(tenant);
        let opened = with_function!(self, tenant, |function, app| {
            let _ = function::policy::PRODUCT;
            let policy = app.policy();
            let (authority, rotation, access) = (&policy.authority, &policy.rotation, &policy.access);
            let issuing = Issuing { keys: &keys, authority, rotation, access };
            session::open(&new, issuing, &self.dynamo.store(plain_http()), &moment(T0), &Meter::default()).await
        });
        opened.unwrap().1.refresh_token().to_owned()
    }

    /// Presents a token as the product's client does, each time from another address.
    pub async fn present(&self, tenant: &str, token: &str) -> Answer {
        self.present_at(tenant, token, secs(1)).await
    }

    /// The same at another moment.
    pub async fn present_at(&self, tenant: &str, token: &str, now: Timestamp) -> Answer {
        static ADDRESSES: AtomicU32 = AtomicU32::new(0);
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + ADDRESSES.fetch_add(1, Ordering::Relaxed));
        let (path, name) = match tenant {
            "uniqos" => ("/v1/auth/refresh".to_owned(), "uniqos_refresh"),
            "dreadnode" => ("/api/v1/auth/refresh".to_owned(), "refresh_token"),
            "elastic" => ("/api/v1/users/auth/_refresh".to_owned(), ""),
            project => {
                let project = project.strip_prefix("replyke:").unwrap();
                (format!("/api/v6/{project}/auth/request-new-access-token"), "replyke-refresh-jwt")
            }
        };
        let mut event = rondo_tests::world::event(json!({"rawPath": path}));
        if name.is_empty() {
            event["headers"]["authorization"] = json!(format!("Bearer {token}"));
        } else {
            event["cookies"] = json!([format!("{name}={token}")]);
        }
        event["requestContext"]["http"]["path"] = json!(path);
        event["requestContext"]["http"]["sourceIp"] = json!(address.to_string());
        let request = Event::from_json(&event.to_string()).unwrap().into_request();
        let moment = moment(now);
        let (response, line) =
            with_function!(self, tenant, |function, app| Box::pin(function::handle(app, &moment, &request)).await);
        Answer { status: response.status().as_u16(), line, response }
    }

    /// Signs any two texts as header and claims with the key that the product's own tokens are signed with.
    pub fn made(&self, tenant: &str, header: &str, claims: &str) -> String {
        self.made_of(tenant, header.as_bytes(), claims.as_bytes())
    }

    /// The same of any bytes.
    pub fn made_of(&self, tenant: &str, header: &[u8], claims: &[u8]) -> String {
        let kind = if form_of(tenant) == TokenForm::Combined { "signing" } else { "mac" };
        let product = tenant.split(':').next().unwrap();
        let (key, algorithm) = signing_half(&self.ring["products"][product][kind][0]["jwk"]);
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

/// What signs with the key that a keyring holds as this JWK, and for which algorithm.
fn signing_half(jwk: &Value) -> (EncodingKey, Algorithm) {
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    if jwk["kty"] == "oct" {
        return (EncodingKey::from_secret(&bytes("k")), Algorithm::HS256);
    }
    // PKCS#8 (RFC 8410 §7): a fixed start, and the key.
    let start = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    (EncodingKey::from_ed_der(&[start.as_slice(), &bytes("d")].concat()), Algorithm::EdDSA)
}

/// What kind of token a product's clients hold.
pub fn form_of(tenant: &str) -> TokenForm {
    if tenant == "elastic" { TokenForm::Combined } else { TokenForm::Refresh }
}

/// A part of a token as its JSON.
pub fn part(token: &str, n: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap()).unwrap()
}

/// An object with some members replaced; a null takes one away.
pub fn changed(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        object.as_object_mut().unwrap().remove(name);
        if !value.is_null() {
            object[name] = value.clone();
        }
    }
    object
}
