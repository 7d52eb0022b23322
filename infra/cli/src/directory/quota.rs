//! Quotas of organizations.

use clap::{Args, Subcommand};
use rondo_shared::identity::OrgKey;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::store::item::{Quota, is_tombstone, tombstone};
use rondo_shared::store::{Item, Key, Meter, Store as _, keys};
use serde_json::{Value, json};

use super::absent;
use crate::arguments::TenantArgument;
use crate::failure::Failure;
use crate::report::{Report, pairs};
use crate::target::Target;

/// What can be done with quotas.
#[derive(Debug, Subcommand)]
pub enum QuotaCommand {
    /// Put an organization's quota for one billing period, in place of what stood for that period.
    Put(PutArguments),
    /// Show an organization's quota for one billing period.
    Show(QuotaArguments),
    /// Remove an organization's quota for one billing period: answers say nothing of its plan until another is put.
    Remove(QuotaArguments),
}

/// Which quota is meant.
#[derive(Args, Debug)]
pub struct QuotaArguments {
    /// The organization's key.
    pub org: OrgKey,
    /// The day on which the period began [default: the first of this month, UTC].
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = |day: &str| day.parse::<jiff::civil::Date>())]
    pub period: Option<jiff::civil::Date>,
    /// Whose items are meant.
    #[command(flatten)]
    pub tenant: TenantArgument,
}

/// A quota.
#[derive(Args, Debug)]
pub struct PutArguments {
    /// Which quota.
    #[command(flatten)]
    pub quota: QuotaArguments,
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
}

impl QuotaArguments {
    fn period(&self, now: Timestamp) -> String {
        self.period.map_or_else(|| first_of_month(now), |day| day.to_string())
    }

    fn key(&self, period: &str) -> Key {
        Key { pk: keys::org(&self.tenant.tenant, &self.org), sk: keys::quota(period) }
    }
}

fn instant(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse(text).ok_or("an instant is written as 2026-12-01T00:00:00Z")
}

/// Runs one of these commands.
///
/// # Errors
/// [`Failure`] where it was not done.
pub async fn run(command: &QuotaCommand, target: &Target) -> Result<Report, Failure> {
    let now = Moment::read()?.now;
    match command {
        QuotaCommand::Put(arguments) => put(arguments, now, target).await,
        QuotaCommand::Show(arguments) => {
            let period = arguments.period(now);
            let quota = Quota::from_item(&standing(arguments, &period, target).await?)?;
            Ok(quota_report(&arguments.org, &period, &quota))
        }
        QuotaCommand::Remove(arguments) => {
            let period = arguments.period(now);
            standing(arguments, &period, target).await?;
            target.store().replace(&tombstone(arguments.key(&period), now), &Meter::default()).await?;
            let text = format!("the quota of {} for {period} is removed", arguments.org.as_str());
            Ok(Report::new(text, json!({"org": arguments.org, "period": period, "removed": true})))
        }
    }
}

async fn put(arguments: &PutArguments, now: Timestamp, target: &Target) -> Result<Report, Failure> {
    let QuotaArguments { org, tenant, .. } = &arguments.quota;
    let period = arguments.quota.period(now);
    let quota = Quota {
        turns_used: arguments.turns_used,
        turns_limit: arguments.turns_limit,
        relationships_used: arguments.relationships_used,
        relationships_limit: arguments.relationships_limit,
        resets_at: arguments.resets_at,
    };
    let item = quota.to_item(&tenant.tenant, org, &period);
    target.store().replace(&item, &Meter::default()).await?;
    Ok(quota_report(org, &period, &quota))
}

async fn standing(arguments: &QuotaArguments, period: &str, target: &Target) -> Result<Item, Failure> {
    let item = target.store().get(&arguments.key(period), true, &Meter::default()).await?;
    let named = format!("{} for {period}", arguments.org.as_str());
    item.filter(|item| !is_tombstone(item)).ok_or_else(|| absent("quota", &named, target))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_period_begins_with_the_month_unless_told_otherwise() {
        assert_eq!(first_of_month(Timestamp::parse("2026-11-22T10:00:00Z").unwrap()), "2026-11-01");
    }
}
