//! The four refresh functions as one: what each is sent, and what its answers hand out.

use lambda_http::{Body, Request, Response};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::log::LogLine;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::{Grace, RotationPolicy};
use rondo_shared::session::{self, Issuing, NewSession, OpenError};
use rondo_shared::store::item::{AccountStatus, UserProfile};
use rondo_shared::store::{Meter, Store};
use serde_json::{Value, json};

use crate::world::{event, keyring_document};

/// Whose function it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// A rotating cookie.
    Uniqos,
    /// A rotating cookie, which a body may stand in for.
    Dreadnode,
    /// A rotating bearer token.
    Elastic,
    /// One token, which rotates only where a deployment says so.
    Replyke,
}

/// All of them.
pub const PRODUCTS: [Product; 4] = [Product::Uniqos, Product::Dreadnode, Product::Elastic, Product::Replyke];
const PROJECT: &str = "project-1";

impl Product {
    /// As its settings' and its keys' names begin.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniqos => "uniqos",
            Self::Dreadnode => "dreadnode",
            Self::Elastic => "elastic",
            Self::Replyke => "replyke",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        PRODUCTS.into_iter().find(|product| product.name() == name)
    }

    /// How the product answers a token whose family has ended.
    pub const fn refusal(self) -> u16 {
        match self {
            Self::Uniqos | Self::Dreadnode | Self::Elastic => 401,
            Self::Replyke => 403,
        }
    }

    /// The tenant that its families here belong to.
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
            Self::Dreadnode => Some(dreadnode_refresh::policy::REFRESH_TOKEN),
            Self::Replyke => Some(replyke_refresh::policy::COOKIE_NAME),
            Self::Elastic => None,
        }
    }

    /// The field of the body that may stand in for the cookie.
    const fn body_field(self) -> Option<&'static str> {
        match self {
            Self::Dreadnode => Some("refresh_token"),
            Self::Replyke => Some("refreshToken"),
            Self::Uniqos | Self::Elastic => None,
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

    /// What a client sends to refresh, as the gateway's event: by cookie or bearer.
    pub fn event(self, token: &str, client: &Client) -> Value {
        let mut event = match self.cookie() {
            Some(name) => event(json!({"cookies": [format!("{name}={token}")]})),
            None => event(json!({})),
        };
        event["rawPath"] = json!(self.path());
        event["requestContext"]["http"]["path"] = json!(self.path());
        event["requestContext"]["http"]["sourceIp"] = json!(client.ip());
        event["headers"]["user-agent"] = json!(client.user_agent());
        if self.cookie().is_none() {
            event["headers"]["authorization"] = json!(format!("Bearer {token}"));
        }
        event
    }

    /// The same by the body, where the product reads one there.
    pub fn event_with_body(self, token: &str, client: &Client) -> Value {
        let mut event = self.event(token, client);
        if let Some(field) = self.body_field() {
            event.as_object_mut().unwrap().remove("cookies");
            event["headers"]["content-type"] = json!("application/json");
            event["body"] = json!(json!({field: token}).to_string());
        }
        event
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

/// One instance of a product's function, with a memory of its own.
#[allow(clippy::large_enum_variant, reason = "there are a few at most")]
pub enum Function<S> {
    /// Uniqos'.
    Uniqos(uniqos_refresh::App<S>),
    /// Dreadnode's.
    Dreadnode(dreadnode_refresh::App<S>),
    /// Elastic's.
    Elastic(elastic_refresh::App<S>),
    /// Replyke's.
    Replyke(replyke_refresh::App<S>),
}

impl<S: Store> Function<S> {
    /// Boots it with the settings that `reader` has.
    pub fn boot(product: Product, reader: Reader, store: S, now: Timestamp) -> Self {
        match product {
            Product::Uniqos => {
                let (common, policy) = uniqos_refresh::configure(reader).unwrap();
                Self::Uniqos(uniqos_refresh::App::new(common, policy, store, now).unwrap())
            }
            Product::Dreadnode => {
                let (common, policy) = dreadnode_refresh::configure(reader).unwrap();
                Self::Dreadnode(dreadnode_refresh::App::new(common, policy, store, now).unwrap())
            }
            Product::Elastic => {
                let (common, policy) = elastic_refresh::configure(reader).unwrap();
                Self::Elastic(elastic_refresh::App::new(common, policy, store, now).unwrap())
            }
            Product::Replyke => {
                let (common, policy) = replyke_refresh::configure(reader).unwrap();
                Self::Replyke(replyke_refresh::App::new(common, policy, store, now).unwrap())
            }
        }
    }

    /// Answers one request.
    pub async fn handle(&self, moment: &Moment, request: &Request) -> (Response<Body>, LogLine) {
        match self {
            Self::Uniqos(app) => uniqos_refresh::handle(app, moment, request).await,
            Self::Dreadnode(app) => dreadnode_refresh::handle(app, moment, request).await,
            Self::Elastic(app) => Box::pin(elastic_refresh::handle(app, moment, request)).await,
            Self::Replyke(app) => replyke_refresh::handle(app, moment, request).await,
        }
    }

    const fn product(&self) -> Product {
        match self {
            Self::Uniqos(_) => Product::Uniqos,
            Self::Dreadnode(_) => Product::Dreadnode,
            Self::Elastic(_) => Product::Elastic,
            Self::Replyke(_) => Product::Replyke,
        }
    }

    /// Its rotation settings.
    pub const fn rotation(&self) -> &RotationPolicy {
        match self {
            Self::Uniqos(app) => &app.policy().rotation,
            Self::Dreadnode(app) => &app.policy().rotation,
            Self::Elastic(app) => &app.policy().rotation,
            Self::Replyke(app) => &app.policy().rotation,
        }
    }

    /// When a retired token is believed.
    pub const fn grace(&self) -> Grace {
        self.rotation().grace
    }

    /// Opens a session of an active user, whom it puts into the directory, and returns its family and first token.
    ///
    /// # Errors
    /// [`OpenError`]: the session may stand all the same.
    pub async fn open(
        &self,
        user: &str,
        org: Option<&str>,
        client: Client,
        moment: &Moment,
        store: &S,
    ) -> Result<(FamilyId, String), OpenError> {
        let (tenant, meter) = (self.product().tenant(), Meter::default());
        let subject = Subject::new(user).unwrap();
        let user = UserProfile { status: AccountStatus::Active, name: None, email: None }.to_item(&tenant, &subject);
        store.replace(&user, &meter).await?;
        let org = org.map(|org| OrgKey::new(org).unwrap());
        let new = NewSession { tenant, subject, org, label: None, client };
        let keys = ProductKeys::parse(&keyring().to_string(), self.product().name()).unwrap();
        let (authority, access) = match self {
            Self::Uniqos(app) => (&app.policy().authority, &app.policy().access),
            Self::Dreadnode(app) => (&app.policy().authority, &app.policy().access),
            Self::Elastic(app) => (&app.policy().authority, &app.policy().access),
            Self::Replyke(app) => (&app.policy().authority, &app.policy().access),
        };
        let issuing = Issuing { keys: &keys, authority, rotation: self.rotation(), access };
        let (family, pair) = session::open(&new, issuing, store, moment, &meter).await?;
        Ok((family, pair.refresh_token().to_owned()))
    }
}

/// The keys of these tests, for every product.
pub fn keyring() -> Value {
    let keys = &keyring_document()["products"]["uniqos"];
    json!({"version": 1, "products": {"uniqos": keys, "dreadnode": keys, "elastic": keys, "replyke": keys}})
}
