//! Organizations: putting, showing and removing them.

use clap::{Args, Subcommand};
use rondo_shared::directory;
use rondo_shared::identity::OrgKey;
use rondo_shared::moment::Moment;
use rondo_shared::store::item::{is_tombstone, org_item, org_key, tombstone};
use rondo_shared::store::{Item, Meter, Store as _, Value as Attribute};
use serde_json::json;

use super::{absent, overlaid, replace};
use crate::arguments::TenantArgument;
use crate::failure::Failure;
use crate::report::{Report, pairs};
use crate::target::Target;

/// What can be done with organizations.
#[derive(Debug, Subcommand)]
pub enum OrgCommand {
    /// Put an organization: a new one, or one that is to be called otherwise.
    Put(PutArguments),
    /// Show an organization and what it has used of its plan.
    Show(OrgArguments),
    /// Remove an organization.
    ///
    /// Its members' memberships stand with the users and are what answers show: end each by `member remove`. Sessions
    /// that act for it go on.
    Remove(OrgArguments),
}

/// An organization, and what it is to be called.
#[derive(Args, Debug)]
pub struct PutArguments {
    /// Which organization.
    #[command(flatten)]
    pub org: OrgArguments,
    /// What to call it.
    #[arg(long, value_parser = super::display_name)]
    pub name: String,
}

/// Which organization is meant.
#[derive(Args, Debug)]
pub struct OrgArguments {
    /// The organization's key.
    #[arg(value_name = "KEY")]
    pub org: OrgKey,
    /// Whose items are meant.
    #[command(flatten)]
    pub tenant: TenantArgument,
}

/// Runs one of these commands.
///
/// # Errors
/// [`Failure`] where it was not done.
pub async fn run(command: &OrgCommand, target: &Target) -> Result<Report, Failure> {
    match command {
        OrgCommand::Put(arguments) => put(arguments, target).await,
        OrgCommand::Show(arguments) => show(arguments, target).await,
        OrgCommand::Remove(arguments) => remove(arguments, target).await,
    }
}

async fn put(arguments: &PutArguments, target: &Target) -> Result<Report, Failure> {
    let PutArguments { org: OrgArguments { org, tenant }, name } = arguments;
    let (tenant, store, meter) = (&tenant.tenant, target.store(), Meter::default());
    let standing = store.get(&org_key(tenant, org), true, &meter).await?;
    let item = overlaid(standing.clone(), org_item(tenant, org, name))?;
    replace(standing.as_ref(), &item, ("organization", org.as_str()), store, &meter).await?;
    let text = pairs(&[("org", Some(org.as_str().to_owned())), ("name", Some(name.clone()))]);
    Ok(Report::new(text, json!({"org": org, "name": name})))
}

async fn show(arguments: &OrgArguments, target: &Target) -> Result<Report, Failure> {
    let OrgArguments { org, tenant } = arguments;
    let item = standing(arguments, target).await?;
    let now = Moment::read()?.now;
    let quota = directory::quota(&tenant.tenant, org, now, target.store(), &Meter::default()).await?;
    let name = name_of(&item);
    let facts = [
        ("org", Some(org.as_str().to_owned())),
        ("name", name.clone()),
        ("turns", quota.map(|quota| format!("{} of {}", quota.turns_used, quota.turns_limit))),
        ("relationships", quota.map(|quota| format!("{} of {}", quota.relationships_used, quota.relationships_limit))),
        ("resets at", quota.map(|quota| quota.resets_at.iso8601())),
    ];
    let quota = quota.map(|quota| {
        json!({
            "turns_used": quota.turns_used,
            "turns_limit": quota.turns_limit,
            "relationships_used": quota.relationships_used,
            "relationships_limit": quota.relationships_limit,
            "resets_at": quota.resets_at.iso8601(),
        })
    });
    Ok(Report::new(pairs(&facts), json!({"org": org, "name": name, "quota": quota})))
}

async fn remove(arguments: &OrgArguments, target: &Target) -> Result<Report, Failure> {
    let OrgArguments { org, tenant } = arguments;
    standing(arguments, target).await?;
    let gone = tombstone(org_key(&tenant.tenant, org), Moment::read()?.now);
    target.store().replace(&gone, &Meter::default()).await?;
    Ok(Report::new(format!("{} is removed", org.as_str()), json!({"org": org, "removed": true})))
}

async fn standing(arguments: &OrgArguments, target: &Target) -> Result<Item, Failure> {
    let OrgArguments { org, tenant } = arguments;
    let item = target.store().get(&org_key(&tenant.tenant, org), true, &Meter::default()).await?;
    item.filter(|item| !is_tombstone(item)).ok_or_else(|| absent("organization", &org.as_str(), target))
}

/// What an organization's item says that it is called.
pub(super) fn name_of(item: &Item) -> Option<String> {
    match item.attributes.get("name") {
        Some(Attribute::S(name)) => Some(name.clone()),
        Some(Attribute::N(_) | Attribute::Json(_)) | None => None,
    }
}
