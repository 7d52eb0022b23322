//! The directory as the products read it: an organization's quota, a user's organizations, profile and password, a
//! project.

use crate::identity::{OrgKey, Subject, Tenant};
use crate::moment::Timestamp;
use crate::rotation::family::{after, whole_collection};
use crate::store::item::{Credential, Membership, Project, Quota, UserProfile, is_tombstone};
use crate::store::{Item, Meter, Query, Store, StoreError, keys};

/// The organization's quota for the billing period that `now` lies in: the newest period that has begun, unless it has
/// rolled over already. One query, 1 RRU.
///
/// # Errors
/// [`StoreError`] where it cannot be read.
pub async fn quota<S: Store>(
    tenant: &Tenant,
    org: &OrgKey,
    now: Timestamp,
    store: &S,
    meter: &Meter,
) -> Result<Option<Quota>, StoreError> {
    let today = now.iso8601();
    let (day, _) = today.split_once('T').unwrap_or((&today, ""));
    let query = Query {
        pk: keys::org(tenant, org),
        from: keys::QUOTA_PREFIX.to_owned(),
        to: keys::quota(day),
        newest_first: true,
        limit: 1,
    };
    let newest = store.query(&query, meter).await?;
    let quota = newest.first().filter(|item| !is_tombstone(item)).map(Quota::from_item).transpose()?;
    Ok(quota.filter(|quota| now < quota.resets_at))
}

/// Most organizations that an answer shows of one user.
pub const MEMBERSHIPS_MAX: u16 = 100;

/// The user's organizations, by key, [`MEMBERSHIPS_MAX`] at most. One query, 1 RRU for each 4 KB. A malformed one is left
/// out: a team's own system writes them, and one slip of its must not end a session. So is the tombstone of a removed
/// one; where such stand among the first [`MEMBERSHIPS_MAX`] of more, more queries are made until there are as many.
///
/// # Errors
/// [`StoreError`] where they cannot be read.
pub async fn memberships<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    store: &S,
    meter: &Meter,
) -> Result<Vec<Membership>, StoreError> {
    let mut query = Query {
        pk: keys::user(tenant, subject),
        from: keys::MEMBERSHIP_PREFIX.to_owned(),
        to: after_all_memberships(),
        newest_first: false,
        limit: MEMBERSHIPS_MAX,
    };
    let (most, mut found) = (usize::from(MEMBERSHIPS_MAX), Vec::new());
    loop {
        let items = store.query(&query, meter).await?;
        found.extend(items.iter().filter_map(membership_of));
        match items.last() {
            Some(last) if items.len() >= most && found.len() < most => query.from = after(&last.key.sk),
            Some(_) | None => {
                found.truncate(most);
                return Ok(found);
            }
        }
    }
}

/// All of the user's organizations, however many: for tools, which no request waits for.
///
/// # Errors
/// [`StoreError`] where they cannot be read.
pub async fn every_membership<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    store: &S,
    meter: &Meter,
) -> Result<Vec<Membership>, StoreError> {
    Ok(membership_items(tenant, subject, store, meter).await?.iter().filter_map(membership_of).collect())
}

/// The items of all of the user's memberships, malformed ones and no tombstones: what is to go with the user.
///
/// # Errors
/// [`StoreError`] where they cannot be read.
pub async fn membership_items<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    store: &S,
    meter: &Meter,
) -> Result<Vec<Item>, StoreError> {
    let (pk, last) = (keys::user(tenant, subject), after_all_memberships());
    let mut items = whole_collection(pk, keys::MEMBERSHIP_PREFIX, &last, store, meter).await?;
    items.retain(|item| !is_tombstone(item));
    Ok(items)
}

fn membership_of(item: &Item) -> Option<Membership> {
    if is_tombstone(item) {
        return None;
    }
    let membership = Membership::from_item(item);
    membership.inspect_err(|error| tracing::warn!(%error, "a membership is not shown")).ok()
}

fn after_all_memberships() -> String {
    format!("{}{}", keys::MEMBERSHIP_PREFIX, keys::AFTER)
}

/// The user's own item, as it stands: what a product shows of it is the product's affair. One read: 1 RRU if consistent,
/// 0.5 if not. One that is not consistent may miss a user put a moment ago, so that a user is called missing only after
/// one that is.
///
/// # Errors
/// [`StoreError`] where it cannot be read.
pub async fn profile<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    consistent: bool,
    store: &S,
    meter: &Meter,
) -> Result<Option<Item>, StoreError> {
    store.get(&UserProfile::key(tenant, subject), consistent, meter).await
}

/// The user's password, as its hash: a consistent read, 1 RRU, so that one that was changed is good no longer.
///
/// # Errors
/// [`StoreError`] where it cannot be read.
pub async fn credential<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    store: &S,
    meter: &Meter,
) -> Result<Option<Credential>, StoreError> {
    let item = store.get(&Credential::key(tenant, subject), true, meter).await?;
    item.as_ref().map(Credential::from_item).transpose()
}

/// The project that a tenant is, as its item says, if it has one: a consistent read, 1 RRU, so that a removal holds from
/// the moment at which it was acknowledged. Nothing is asked for a tenant that is a whole product.
///
/// # Errors
/// [`StoreError`] where it cannot be read, or is malformed: then nobody can tell whether the project was removed.
pub async fn project<S: Store>(tenant: &Tenant, store: &S, meter: &Meter) -> Result<Option<Project>, StoreError> {
    let Some(key) = Project::key(tenant) else { return Ok(None) };
    let item = store.get(&key, true, meter).await?;
    item.as_ref().map(Project::from_item).transpose()
}
