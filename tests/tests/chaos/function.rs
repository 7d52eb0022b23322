//! The four refresh functions as one: what each is sent, and what its answers hand out.

use std::path::PathBuf;
use std::sync::OnceLock;

use lambda_http::{Body, Request, Response};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::log::LogLine;
use rondo_shared::moment::Moment;
use rondo_shared::rotation::{Grace, RotationPolicy};
use rondo_shared::session::{self, Issuing, NewSession};
use rondo_shared::store::item::{AccountStatus, UserProfile};
use rondo_shared::store::{Meter, Store};
use rondo_shared::wire::Event;
use rondo_tests::T0;
use rondo_tests::dynamo::TABLE;
use rondo_tests::world::{event, keyring_document};
use serde_json::{Value, json};

use super::schedule::Who;

/// Whose function it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    Uniqos,
    Dreadnode,
    Elastic,
    Replyke,
}

pub const PRODUCTS: [Product; 4] = [Product::Uniqos, Product::Dreadnode, Product::Elastic, Product::Replyke];
const PROJECT: &str = "project-1";
const USER: &str = "user-1";

impl Product {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniqos => "uniqos",
            Self::Dreadnode => "dreadnode",
            Self::Elastic => "elastic",
            Self::Replyke => "replyke",
        }
    }

    /// About how long a retired token is believed, in milliseconds: what chance is to fall around.
    pub const fn window(self) -> u64 {
        match self {
            Self::Uniqos | Self::Dreadnode => 10_000,
            Self::Elastic => 300_000,
            Self::Replyke => 30_000,
        }
    }

    /// How the product answers a token whose family has ended.
    pub const fn refusal(self) -> u16 {
        match self {
            Self::Uniqos | Self::Dreadnode | Self::Elastic => 401,
            Self::Replyke => 403,
        }
    }

    pub fn tenant(self) -> Tenant {
        match self {
            Self::Uniqos => uniqos_refresh::policy::tenant(),
            Self::Dreadnode => dreadnode_refresh::policy::tenant(),
            Self::Elastic => elastic_refresh::policy::tenant(),
            Self::Replyke => replyke_refresh::policy::tenant(PROJECT).unwrap(),
        }
    }

    const fn cookie(self) -> Option<&'static str> {
        match self {
            Self::Uniqos => Some(uniqos_refresh::policy::COOKIE_NAME),
            Self::Dreadnode => Some("refresh_token"),
            Self::Replyke => Some(replyke_refresh::policy::COOKIE_NAME),
            Self::Elastic => None,
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Uniqos => "/v1/auth/refresh",
            Self::Dreadnode => "/api/v1/auth/refresh",
            Self::Elastic => "/api/v1/users/auth/_refresh",
            Self::Replyke => "/api/v6/project-1/auth/request-new-access-token",
        }
    }

    /// What a client sends to refresh.
    pub fn request(self, token: &str, who: Who) -> Request {
        let mut event = match self.cookie() {
            Some(name) => event(json!({"cookies": [format!("{name}={token}")]})),
            None => event(json!({})),
        };
        event["rawPath"] = json!(self.path());
        event["requestContext"]["http"]["path"] = json!(self.path());
        event["requestContext"]["http"]["sourceIp"] = json!(who.ip());
        event["headers"]["user-agent"] = json!(who.agent());
        if self.cookie().is_none() {
            event["headers"]["authorization"] = json!(format!("Bearer {token}"));
        }
        Event::from_json(&event.to_string()).unwrap().into_request()
    }

    /// The refresh token of an answer, if it hands one out.
    pub fn token_of(self, response: &Response<Body>) -> Option<String> {
        let Some(name) = self.cookie() else {
            let body: Value = serde_json::from_slice(response.body().as_ref()).ok()?;
            return body["token"].as_str().map(str::to_owned);
        };
        let set = response.headers().get_all("set-cookie").iter().filter_map(|set| set.to_str().ok());
        let mut values = set.filter_map(|set| set.strip_prefix(name)?.strip_prefix('=')?.split(';').next());
        values.find(|value| !value.is_empty()).map(str::to_owned)
    }
}

impl Who {
    pub const fn ip(self) -> &'static str {
        match self {
            Self::Browser => "192.0.2.1",
            Self::Thief => "203.0.113.66",
        }
    }

    pub const fn agent(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Thief => "curl/8",
        }
    }

    pub fn client(self) -> Client {
        Client::new(Some(self.ip().parse().unwrap()), self.agent())
    }
}

/// One instance of a product's function, with a memory of its own.
#[allow(clippy::large_enum_variant, reason = "there are three at most")]
pub enum Function<S> {
    Uniqos(uniqos_refresh::App<S>),
    Dreadnode(dreadnode_refresh::App<S>),
    Elastic(elastic_refresh::App<S>),
    Replyke(replyke_refresh::App<S>),
}

impl<S: Store> Function<S> {
    pub fn boot(product: Product, store: S) -> Self {
        let reader = Reader::new([
            ("TABLE_NAME", TABLE),
            ("KEYRING_FILE", keyring_file().to_str().unwrap()),
            ("REPLYKE_ROTATE_COOKIES", "true"),
            // Chaos is about families; buckets have the model and races of their own.
            ("REPLYKE_RATE_LIMIT", "1000"),
        ]);
        match product {
            Product::Uniqos => {
                let (common, policy) = uniqos_refresh::configure(reader).unwrap();
                Self::Uniqos(uniqos_refresh::App::new(common, policy, store, T0).unwrap())
            }
            Product::Dreadnode => {
                let (common, policy) = dreadnode_refresh::configure(reader).unwrap();
                Self::Dreadnode(dreadnode_refresh::App::new(common, policy, store, T0).unwrap())
            }
            Product::Elastic => {
                let (common, policy) = elastic_refresh::configure(reader).unwrap();
                Self::Elastic(elastic_refresh::App::new(common, policy, store, T0).unwrap())
            }
            Product::Replyke => {
                let (common, policy) = replyke_refresh::configure(reader).unwrap();
                Self::Replyke(replyke_refresh::App::new(common, policy, store, T0).unwrap())
            }
        }
    }

    pub async fn handle(&self, moment: &Moment, request: &Request) -> (Response<Body>, LogLine) {
        match self {
            Self::Uniqos(app) => uniqos_refresh::handle(app, moment, request).await,
            Self::Dreadnode(app) => dreadnode_refresh::handle(app, moment, request).await,
            Self::Elastic(app) => Box::pin(elastic_refresh::handle(app, moment, request)).await,
            Self::Replyke(app) => replyke_refresh::handle(app, moment, request).await,
        }
    }

    pub const fn rotation(&self) -> &RotationPolicy {
        match self {
            Self::Uniqos(app) => &app.policy().rotation,
            Self::Dreadnode(app) => &app.policy().rotation,
            Self::Elastic(app) => &app.policy().rotation,
            Self::Replyke(app) => &app.policy().rotation,
        }
    }

    pub const fn grace(&self) -> Grace {
        self.rotation().grace
    }

    /// Opens a session of an active user, as the browser, and returns its family and first token.
    pub async fn open(&self, product: Product, moment: &Moment, store: &S) -> (FamilyId, String) {
        let (tenant, meter) = (product.tenant(), Meter::default());
        let subject = Subject::new(USER).unwrap();
        let user = UserProfile { status: AccountStatus::Active, name: None, email: None }.to_item(&tenant, &subject);
        store.replace(&user, &meter).await.unwrap();
        let org = (product == Product::Uniqos).then(|| OrgKey::new("acme").unwrap());
        let new = NewSession { tenant, subject, org, label: None, client: Who::Browser.client() };
        let keys = ProductKeys::parse(&keyring().to_string(), product.name()).unwrap();
        let (authority, access) = match self {
            Self::Uniqos(app) => (&app.policy().authority, &app.policy().access),
            Self::Dreadnode(app) => (&app.policy().authority, &app.policy().access),
            Self::Elastic(app) => (&app.policy().authority, &app.policy().access),
            Self::Replyke(app) => (&app.policy().authority, &app.policy().access),
        };
        let issuing = Issuing { keys: &keys, authority, rotation: self.rotation(), access };
        let (family, pair) = session::open(&new, issuing, store, moment, &meter).await.unwrap();
        (family, pair.refresh_token().to_owned())
    }
}

/// The keys of these tests, for every product.
fn keyring() -> Value {
    let keys = &keyring_document()["products"]["uniqos"];
    json!({"version": 1, "products": {"uniqos": keys, "dreadnode": keys, "elastic": keys, "replyke": keys}})
}

fn keyring_file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("rondo-chaos-{}.json", std::process::id()));
        std::fs::write(&path, keyring().to_string()).unwrap();
        path
    })
}
