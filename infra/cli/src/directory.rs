//! The directory: users, organizations and quotas.

use std::fmt;

use clap::{Args, Subcommand};
use rondo_shared::identity::{OrgKey, Subject};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::session;
use rondo_shared::store::item::{AccountStatus, Cause, Quota, UserProfile, org_item};
use rondo_shared::store::{Meter, Store as _};
use serde_json::{Value, json};

use crate::arguments::TenantArgument;
use crate::failure::Failure;
use crate::report::{Report, pairs};
use crate::session::sealed;
use crate::target::Target;

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Put a user: a new one, or one whose name, e-mail address or status changes.
    ///
    /// What is not given stays as it is; a new user is active. Suspending or removing a user ends all of the user's
    /// sessions; removing forgets name and e-mail address too.
    Put(PutUserArguments),
}

/// A user.
#[derive(Args, Debug)]
pub struct PutUserArguments {
    /// The user, by the identifier that the product gives: the `sub` of its tokens.
    #[arg(value_name = "ID")]
    pub user: Subject,
    /// What to call the user.
    #[arg(long)]
    pub name: Option<String>,
    /// The user's e-mail address.
    #[arg(long)]
    pub email: Option<String>,
    /// Whether the account may be used.
    #[arg(long, value_enum)]
    pub status: Option<GivenStatus>,
    /// Whose items are meant.
    #[command(flatten)]
    pub tenant: TenantArgument,
}

/// An account's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GivenStatus {
    /// It may be used.
    Active,
    /// Not now.
    Suspended,
    /// No longer.
    Removed,
}

impl From<GivenStatus> for AccountStatus {
    fn from(given: GivenStatus) -> Self {
        match given {
            GivenStatus::Active => Self::Active,
            GivenStatus::Suspended => Self::Suspended,
            GivenStatus::Removed => Self::Removed,
        }
    }
}

/// What can be done with organizations.
#[derive(Debug, Subcommand)]
pub enum OrgCommand {
    /// Put an organization, in place of what stood by its key.
    Put(PutOrgArguments),
}

/// An organization.
#[derive(Args, Debug)]
pub struct PutOrgArguments {
    /// The organization's key.
    #[arg(value_name = "KEY")]
    pub org: OrgKey,
    /// What to call it.
    #[arg(long)]
    pub name: String,
    /// Whose items are meant.
    #[command(flatten)]
    pub tenant: TenantArgument,
}

/// What can be done with quotas.
#[derive(Debug, Subcommand)]
pub enum QuotaCommand {
    /// Put an organization's quota for one billing period, in place of what stood for that period.
    Put(PutQuotaArguments),
}

/// A quota.
#[derive(Args, Debug)]
pub struct PutQuotaArguments {
    /// The organization's key.
    pub org: OrgKey,
    /// Turns used in the period.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub turns_used: i64,
    /// Turns that the plan allows in the period.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub turns_limit: i64,
    /// Active relationships.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub relationships_used: i64,
    /// Active relationships that the plan allows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub relationships_limit: i64,
    /// When the quota rolls over, RFC 3339.
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub resets_at: Timestamp,
    /// The day on which the period began [default: the first of this month, UTC].
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = |day: &str| day.parse::<jiff::civil::Date>())]
    pub period: Option<jiff::civil::Date>,
    /// Whose items are meant.
    #[command(flatten)]
    pub tenant: TenantArgument,
}

fn instant(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse(text).ok_or("an instant is written as 2026-12-01T00:00:00Z")
}

/// Runs one of the users' commands.
///
/// # Errors
/// [`Failure`] where it was not done, or not in full: a status that was put stays put.
pub async fn run_user(command: &UserCommand, target: &Target) -> Result<Report, Failure> {
    let UserCommand::Put(arguments) = command;
    put_user(arguments, target).await
}

/// Writes the status first, so that no session can be opened any more, and then ends those that were.
async fn put_user(arguments: &PutUserArguments, target: &Target) -> Result<Report, Failure> {
    let PutUserArguments { user, name, email, status, tenant } = arguments;
    let (tenant, store, meter) = (&tenant.tenant, target.store(), Meter::default());
    let standing = store.get(&UserProfile::key(tenant, user), true, &meter).await?;
    let standing = standing.as_ref().map(UserProfile::from_item).transpose()?;
    let was = standing.unwrap_or(UserProfile { status: AccountStatus::Active, name: None, email: None });
    let profile = match status.map_or(was.status, AccountStatus::from) {
        // The tombstone of a removed user names nobody.
        AccountStatus::Removed => UserProfile { status: AccountStatus::Removed, name: None, email: None },
        status @ (AccountStatus::Active | AccountStatus::Suspended) => {
            UserProfile { status, name: name.clone().or(was.name), email: email.clone().or(was.email) }
        }
    };
    store.replace(&profile.to_item(tenant, user), &meter).await?;
    let ended = match profile.status {
        AccountStatus::Active => None,
        AccountStatus::Suspended => Some(Cause::AccountSuspended),
        AccountStatus::Removed => Some(Cause::AccountRemoved),
    };
    let ended = match ended {
        Some(cause) => {
            let moment = Moment::read()?;
            session::revoke_all(tenant, user, cause, &target.client(), store, &moment, &meter).await?
        }
        None => Vec::new(),
    };
    let facts = pairs(&[
        ("user", Some(user.as_str().to_owned())),
        ("status", Some(profile.status.as_str().to_owned())),
        ("name", profile.name.clone()),
        ("email", profile.email.clone()),
    ]);
    let sessions = sealed(&ended);
    let text = if ended.is_empty() { facts } else { format!("{facts}\n\n{}", sessions.text()) };
    let json = json!({
        "user": user,
        "status": profile.status.as_str(),
        "name": profile.name,
        "email": profile.email,
        "ended_sessions": sessions.json(),
    });
    Ok(Report::new(text, json))
}

/// Runs one of the organizations' commands.
///
/// # Errors
/// [`Failure`] where it was not done.
pub async fn run_org(command: &OrgCommand, target: &Target) -> Result<Report, Failure> {
    let OrgCommand::Put(PutOrgArguments { org, name, tenant }) = command;
    target.store().replace(&org_item(&tenant.tenant, org, name), &Meter::default()).await?;
    let text = pairs(&[("org", Some(org.as_str().to_owned())), ("name", Some(name.clone()))]);
    Ok(Report::new(text, json!({"org": org, "name": name})))
}

/// Runs one of the quotas' commands.
///
/// # Errors
/// [`Failure`] where it was not done.
pub async fn run_quota(command: &QuotaCommand, target: &Target) -> Result<Report, Failure> {
    let QuotaCommand::Put(arguments) = command;
    let period = match arguments.period {
        Some(day) => day.to_string(),
        None => first_of_month(Moment::read()?.now),
    };
    let quota = Quota {
        turns_used: arguments.turns_used,
        turns_limit: arguments.turns_limit,
        relationships_used: arguments.relationships_used,
        relationships_limit: arguments.relationships_limit,
        resets_at: arguments.resets_at,
    };
    let item = quota.to_item(&arguments.tenant.tenant, &arguments.org, &period);
    target.store().replace(&item, &Meter::default()).await?;
    Ok(quota_report(&arguments.org, &period, &quota))
}

fn quota_report(org: &OrgKey, period: &str, quota: &Quota) -> Report {
    let text = pairs(&[
        ("org", Some(org.as_str().to_owned())),
        ("period", Some(period.to_owned())),
        ("turns", Some(format!("{} of {}", quota.turns_used, quota.turns_limit))),
        ("relationships", Some(format!("{} of {}", quota.relationships_used, quota.relationships_limit))),
        ("resets at", Some(quota.resets_at.iso8601())),
    ]);
    let json: Value = json!({
        "org": org,
        "period": period,
        "turns_used": quota.turns_used,
        "turns_limit": quota.turns_limit,
        "relationships_used": quota.relationships_used,
        "relationships_limit": quota.relationships_limit,
        "resets_at": quota.resets_at.iso8601(),
    });
    Report::new(text, json)
}

/// The day on which the calendar month of `now` began, UTC.
#[must_use]
pub fn first_of_month(now: Timestamp) -> String {
    let today = now.iso8601();
    format!("{}-01", today.get(..7).unwrap_or_default())
}

/// That the target has nothing by a name.
pub(crate) fn absent(what: &'static str, name: &impl fmt::Display, target: &Target) -> Failure {
    Failure::NotFound { what, name: name.to_string(), place: target.place().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_period_begins_with_the_month_unless_told_otherwise() {
        assert_eq!(first_of_month(Timestamp::parse("2026-11-22T10:00:00Z").unwrap()), "2026-11-01");
    }
}
