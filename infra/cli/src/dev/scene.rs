//! What the local stack has in its table to begin with: an organization with a quota, a user, and sessions to play with.

use std::time::Duration;

use rondo_shared::identity::{InvalidName, OrgKey, Subject};
use rondo_shared::moment::Moment;
use rondo_shared::store::item::{AccountStatus, Quota, UserProfile, org_item};
use rondo_shared::store::{Meter, Store as _};

use crate::directory::first_of_month;
use crate::failure::Failure;
use crate::product::Product;
use crate::session::{self, OpenArguments, Opened};
use crate::target::Target;

/// The organization.
pub const ORG: &str = "acme";
/// The user.
pub const USER: &str = "demo";
/// The quota that is shown where a limit is hit rolls over after some weeks.
const PERIOD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The sessions that were opened.
#[derive(Debug)]
pub struct Scene {
    /// For a request with a header.
    pub header: Opened,
    /// For a cookie jar.
    pub jar: Opened,
}

/// Puts organization, quota and user, and opens two sessions.
///
/// # Errors
/// [`Failure`] where the table or the keys are of no use.
pub async fn set(target: &Target) -> Result<Scene, Failure> {
    let (tenant, meter, store) = (Product::Uniqos.tenant(), Meter::default(), target.store());
    let (user, org) = names()?;
    let now = Moment::read()?.now;
    let quota = Quota {
        turns_used: 1_250,
        turns_limit: 10_000,
        relationships_used: 42,
        relationships_limit: 500,
        resets_at: now.plus(PERIOD),
    };
    let profile = UserProfile {
        status: AccountStatus::Active,
        name: Some("Demo".to_owned()),
        email: Some("demo@example.com".to_owned()),
    };
    store.replace(&org_item(&tenant, &org, "Acme"), &meter).await?;
    store.replace(&quota.to_item(&tenant, &org, &first_of_month(now)), &meter).await?;
    store.replace(&profile.to_item(&tenant, &user), &meter).await?;
    let open = |label: &str| OpenArguments {
        user: user.clone(),
        org: Some(org.clone()),
        label: Some(label.to_owned()),
        product: Product::Uniqos,
    };
    Ok(Scene {
        header: session::open(&open("rondo dev: header"), target).await?,
        jar: session::open(&open("rondo dev: cookie jar"), target).await?,
    })
}

/// The user and the organization.
///
/// # Errors
/// None: the names are this file's own.
pub fn names() -> Result<(Subject, OrgKey), Failure> {
    let bad = |error: InvalidName| Failure::Unplayable(error.to_string());
    Ok((Subject::new(USER).map_err(bad)?, OrgKey::new(ORG).map_err(bad)?))
}
