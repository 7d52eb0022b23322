//! What the local stack has in its table to begin with: for each product a user, whatever its answers show of one, and
//! sessions to play with.

use std::time::Duration;

use elastic_refresh::request::Password;
use rondo_shared::identity::{InvalidName, OrgKey, Subject, Tenant};
use rondo_shared::moment::Moment;
use rondo_shared::store::item::{AccountStatus, Membership, Quota, UserProfile, org_item};
use rondo_shared::store::{Item, Meter, Store as _};
use serde_json::{Value, json};

use crate::directory::attributes;
use crate::directory::quota::first_of_month;
use crate::directory::user::credential;
use crate::failure::Failure;
use crate::product::{Product, ProductArguments};
use crate::session::{self, OpenArguments, Opened};
use crate::target::Target;

/// The organization that sessions act for.
pub const ORG: &str = "acme";
/// The other organization of a user who has two.
const OTHER_ORG: &str = "globex";
/// The user, of every product.
pub const USER: &str = "demo";
/// The user's password, where there is one. It is good for this machine alone.
pub const PASSWORD: &str = "let-me-in";
/// The quota that is shown where a limit is hit rolls over after some weeks.
const PERIOD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The sessions that were opened.
#[derive(Debug)]
pub struct Scene {
    /// Uniqos: for a request with a header.
    pub header: Opened,
    /// Of each product with cookies: for the cookie jar.
    pub jar: Vec<Opened>,
    /// Elastic: for a request with a bearer token.
    pub bearer: Opened,
    /// Replyke: for a request with a body.
    pub body: Opened,
    /// Dreadnode: one that is there to be ended.
    pub to_end: Opened,
}

/// Puts what each product shows, and opens the sessions.
///
/// # Errors
/// [`Failure`] where the table or the keys are of no use.
pub async fn set(target: &Target) -> Result<Scene, Failure> {
    put_uniqos(target).await?;
    put_dreadnode(target).await?;
    put_elastic(target).await?;
    put_replyke(target).await?;
    let mut jar = Vec::new();
    for product in [Product::Uniqos, Product::Dreadnode, Product::Replyke] {
        jar.push(open(product, "cookie jar", target).await?);
    }
    Ok(Scene {
        header: open(Product::Uniqos, "header", target).await?,
        jar,
        bearer: open(Product::Elastic, "bearer", target).await?,
        body: open(Product::Replyke, "body", target).await?,
        to_end: open(Product::Dreadnode, "to be ended", target).await?,
    })
}

async fn open(product: Product, label: &str, target: &Target) -> Result<Opened, Failure> {
    let (user, org) = names()?;
    let org = match product {
        Product::Uniqos | Product::Dreadnode => Some(org),
        Product::Elastic | Product::Replyke => None,
    };
    let label = Some(format!("rondo dev: {label}"));
    session::open(&OpenArguments { user, org, label, product: ProductArguments { product, project: None } }, target)
        .await
}

/// An organization with a quota, and a user.
async fn put_uniqos(target: &Target) -> Result<(), Failure> {
    let (tenant, (user, org)) = (tenant(Product::Uniqos)?, names()?);
    let now = Moment::read()?.now;
    let quota = Quota {
        turns_used: 1_250,
        turns_limit: 10_000,
        relationships_used: 42,
        relationships_limit: 500,
        resets_at: now.plus(PERIOD),
    };
    put(&org_item(&tenant, &org, "Acme"), target).await?;
    put(&quota.to_item(&tenant, &org, &first_of_month(now)), target).await?;
    put(&profile(&tenant, &user), target).await
}

/// Two organizations, and a user of both who acts for the first.
async fn put_dreadnode(target: &Target) -> Result<(), Failure> {
    let (tenant, (user, _)) = (tenant(Product::Dreadnode)?, names()?);
    for (key, name) in [(ORG, "Acme"), (OTHER_ORG, "Globex")] {
        let org = OrgKey::new(key).map_err(|error| bad(&error))?;
        put(&org_item(&tenant, &org, name), target).await?;
        let membership = Membership { org, name: name.to_owned(), is_default: key == ORG };
        put(&membership.to_item(&tenant, &user), target).await?;
    }
    put(&profile(&tenant, &user), target).await
}

/// A user with a password.
async fn put_elastic(target: &Target) -> Result<(), Failure> {
    let (tenant, (user, _)) = (tenant(Product::Elastic)?, names()?);
    let password = Password::new(PASSWORD.to_owned()).ok_or(Failure::Unplayable("there is no password".to_owned()))?;
    put(&credential(&password)?.to_item(&tenant, &user), target).await?;
    put(&profile(&tenant, &user), target).await
}

/// A user of whom everything is known that an answer can show, and more that none does.
async fn put_replyke(target: &Target) -> Result<(), Failure> {
    let (tenant, (user, _)) = (tenant(Product::Replyke)?, names()?);
    let mut item = profile(&tenant, &user);
    if let Value::Object(shown) = replyke_profile(&Moment::read()?.now.iso8601()) {
        attributes::merge(&mut item, shown);
    }
    put(&item, target).await
}

fn replyke_profile(now: &str) -> Value {
    json!({
        "foreign_id": "crm-4711",
        "role": "visitor",
        "username": "demo",
        "avatar": "https://example.com/demo.png",
        "bio": "Plays with refresh tokens",
        "location": {"type": "Point", "coordinates": [13.405, 52.52]},
        "birthdate": "1990-05-17",
        "metadata": {"theme": "dark"},
        "reputation": 120,
        "is_verified": true,
        "is_active": true,
        "last_active": now,
        "suspensions": [
            {"reason": "spam", "start_date": "2026-01-01T00:00:00Z", "end_date": "2026-01-08T00:00:00Z"},
            {"reason": "under review", "start_date": now, "end_date": null},
        ],
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": now,
        "secret_metadata": {"note": "no answer shows this"},
    })
}

fn profile(tenant: &Tenant, user: &Subject) -> Item {
    let profile = UserProfile {
        status: AccountStatus::Active,
        name: Some("Demo".to_owned()),
        email: Some("demo@example.com".to_owned()),
    };
    profile.to_item(tenant, user)
}

async fn put(item: &Item, target: &Target) -> Result<(), Failure> {
    Ok(target.store().replace(item, &Meter::default()).await?)
}

fn tenant(product: Product) -> Result<Tenant, Failure> {
    ProductArguments { product, project: None }.tenant()
}

/// The user and the organization.
///
/// # Errors
/// None: the names are this file's own.
pub fn names() -> Result<(Subject, OrgKey), Failure> {
    Ok((Subject::new(USER).map_err(|error| bad(&error))?, OrgKey::new(ORG).map_err(|error| bad(&error))?))
}

fn bad(error: &InvalidName) -> Failure {
    Failure::Unplayable(error.to_string())
}
