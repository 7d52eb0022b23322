//! Memberships: which organizations a user belongs to, as the products' answers show them.

use clap::{Args, Subcommand};
use rondo_shared::directory;
use rondo_shared::identity::{OrgKey, Subject};
use rondo_shared::moment::Moment;
use rondo_shared::store::item::{Membership, UserProfile, is_tombstone, org_key, tombstone};
use rondo_shared::store::{Item, Meter, Store as _};
use serde_json::{Value, json};

use super::{absent, org, overlaid, replace};
use crate::arguments::TenantArgument;
use crate::failure::Failure;
use crate::report::{Report, pairs, table};
use crate::session::UserArguments;
use crate::target::Target;

/// What can be done with memberships.
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// Make a user a member of an organization, or change the membership.
    Put(PutArguments),
    /// End a membership. Sessions that act for the organization go on.
    Remove(MemberArguments),
    /// List all of a user's organizations. An answer shows the first 100, by key.
    List(UserArguments),
}

/// A membership, and what is to become of it.
#[derive(Args, Debug)]
pub struct PutArguments {
    /// Which membership.
    #[command(flatten)]
    pub member: MemberArguments,
    /// What the organization is called in answers to this user [default: as it is called already].
    #[arg(long, value_parser = super::display_name)]
    pub name: Option<String>,
    /// It is the one that the user acts for unless another is named; no other is then.
    #[arg(long)]
    pub default: bool,
}

/// Which membership is meant.
#[derive(Args, Debug)]
pub struct MemberArguments {
    /// The organization's key.
    #[arg(value_name = "ORG")]
    pub org: OrgKey,
    /// The user.
    #[arg(long)]
    pub user: Subject,
    /// Whose items are meant.
    #[command(flatten)]
    pub tenant: TenantArgument,
}

/// Runs one of these commands.
///
/// # Errors
/// [`Failure`] where it was not done.
pub async fn run(command: &MemberCommand, target: &Target) -> Result<Report, Failure> {
    match command {
        MemberCommand::Put(arguments) => put(arguments, target).await,
        MemberCommand::Remove(arguments) => remove(arguments, target).await,
        MemberCommand::List(arguments) => list(arguments, target).await,
    }
}

async fn put(arguments: &PutArguments, target: &Target) -> Result<Report, Failure> {
    let PutArguments { member: MemberArguments { org, user, tenant }, name, default } = arguments;
    let (tenant, store, meter) = (&tenant.tenant, target.store(), Meter::default());
    let profile = store.get(&UserProfile::key(tenant, user), true, &meter).await?.filter(|item| !is_tombstone(item));
    profile.ok_or_else(|| absent("user", &user.as_str(), target))?;
    let standing = store.get(&Membership::key(tenant, user, org), true, &meter).await?;
    let was = standing.as_ref().filter(|item| !is_tombstone(item)).map(Membership::from_item).transpose()?;
    let name = match (name, &was) {
        (Some(name), _) => name.clone(),
        (None, Some(was)) => was.name.clone(),
        (None, None) => {
            let item = store.get(&org_key(tenant, org), true, &meter).await?.filter(|item| !is_tombstone(item));
            let name = item.as_ref().and_then(org::name_of);
            name.ok_or(Failure::Misused("there is no such organization to be named after: say --name"))?
        }
    };
    let membership =
        Membership { org: org.clone(), name, is_default: *default || was.is_some_and(|was| was.is_default) };
    if *default {
        // First: between the two writes the user has no default, never two.
        end_defaults(arguments, target, &meter).await?;
    }
    let item = overlaid(standing.clone(), membership.to_item(tenant, user))?;
    replace(standing.as_ref(), &item, ("membership in", org.as_str()), store, &meter).await?;
    let text = pairs(&[
        ("user", Some(user.as_str().to_owned())),
        ("org", Some(org.as_str().to_owned())),
        ("name", Some(membership.name.clone())),
        ("default", Some(yes_or_no(membership.is_default).to_owned())),
    ]);
    Ok(Report::new(text, member_json(&membership)))
}

/// Takes from every other membership of the user that it is the default one.
async fn end_defaults(arguments: &PutArguments, target: &Target, meter: &Meter) -> Result<(), Failure> {
    let MemberArguments { org, user, tenant } = &arguments.member;
    let (tenant, store) = (&tenant.tenant, target.store());
    let all = directory::every_membership(tenant, user, store, meter).await?;
    for other in all.iter().filter(|other| other.is_default && other.org != *org) {
        let key = Membership::key(tenant, user, &other.org);
        let standing = store.get(&key, true, meter).await?;
        let item = overlaid(standing.clone(), Item::at(key).number("is_default", 0))?;
        replace(standing.as_ref(), &item, ("membership in", other.org.as_str()), store, meter).await?;
    }
    Ok(())
}

async fn remove(arguments: &MemberArguments, target: &Target) -> Result<Report, Failure> {
    let MemberArguments { org, user, tenant } = arguments;
    let (store, meter) = (target.store(), Meter::default());
    let key = Membership::key(&tenant.tenant, user, org);
    let standing = store.get(&key, true, &meter).await?.filter(|item| !is_tombstone(item));
    standing.ok_or_else(|| absent("membership in", &org.as_str(), target))?;
    store.replace(&tombstone(key, Moment::read()?.now), &meter).await?;
    let text = format!("{} is no member of {} any more", user.as_str(), org.as_str());
    Ok(Report::new(text, json!({"user": user, "org": org, "removed": true})))
}

async fn list(arguments: &UserArguments, target: &Target) -> Result<Report, Failure> {
    let UserArguments { user, tenant } = arguments;
    let all = directory::every_membership(&tenant.tenant, user, target.store(), &Meter::default()).await?;
    if all.is_empty() {
        let text = format!("{} is a member of no organization at {}", user.as_str(), target.place());
        return Ok(Report::new(text, json!([])));
    }
    let row = |membership: &Membership| {
        let is_default = yes_or_no(membership.is_default);
        vec![membership.org.as_str().to_owned(), membership.name.clone(), is_default.to_owned()]
    };
    let json = all.iter().map(member_json).collect();
    Ok(Report::new(table(&["org", "name", "default"], all.iter().map(row)), Value::Array(json)))
}

fn member_json(membership: &Membership) -> Value {
    json!({"org": membership.org, "name": membership.name, "is_default": membership.is_default})
}

const fn yes_or_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}
