//! The directory: users, their organizations, organizations and quotas, projects; one file per noun.
//!
//! What is not given stays as it is, attributes that this tool knows nothing of included: a team's own system may keep
//! more on an item. What was read is what is replaced: a change by somebody else in between, a suspension say, refuses
//! the write. Nothing is deleted: what is to go is replaced by a tombstone, which readers skip.

pub mod attributes;
pub mod member;
pub mod org;
pub mod project;
pub mod quota;
pub mod user;

use std::fmt;

use rondo_shared::store::item::is_tombstone;
use rondo_shared::store::{Item, Meter, Put, Replaced, Store, Value as Attribute};
use serde_json::Value;

use crate::failure::Failure;
use crate::target::Target;

/// What an item that stands becomes when `new` is put over it; a tombstone leaves nothing of itself.
///
/// # Errors
/// [`Failure::Unreadable`] where the item that stands holds an attribute that would be lost: the store reads sets and
/// binary values, which JSON does not know, as null.
fn overlaid(standing: Option<Item>, new: Item) -> Result<Item, Failure> {
    let Some(mut item) = standing.filter(|item| !is_tombstone(item)) else { return Ok(new) };
    item.attributes.extend(new.attributes);
    let null = item.attributes.iter().find(|(_, value)| **value == Attribute::Json(Value::Null));
    match null {
        Some((attribute, _)) => Err(Failure::Unreadable { attribute: attribute.clone() }),
        None => Ok(item),
    }
}

/// Puts `item` in place of what was read, if that stands unchanged.
async fn replace(
    read: Option<&Item>,
    item: &Item,
    named: (&'static str, &str),
    store: &impl Store,
    meter: &Meter,
) -> Result<(), Failure> {
    let is_done = match read {
        None => store.put_if_absent(item, meter).await? == Put::Stored,
        Some(read) => store.replace_if(Some(read), item, meter).await? == Replaced::Done,
    };
    if is_done { Ok(()) } else { Err(Failure::Changed { what: named.0, name: named.1.to_owned() }) }
}

/// Longest name of a user, an organization or a project, in bytes: for any that a person has or gives.
pub const DISPLAY_NAME_MAX_BYTES: usize = 128;
/// Longest e-mail address, in bytes (RFC 5321 §4.5.3.1.3, without the brackets).
pub const EMAIL_MAX_BYTES: usize = 254;

/// A name as answers show it, bounded so that every item stays small.
fn display_name(text: &str) -> Result<String, &'static str> {
    bounded(text, DISPLAY_NAME_MAX_BYTES).ok_or(DISPLAY_NAME_RULE)
}

/// An e-mail address, bounded likewise. Whether it is one is its owner's affair.
fn email(text: &str) -> Result<String, &'static str> {
    bounded(text, EMAIL_MAX_BYTES).ok_or(EMAIL_RULE)
}

const DISPLAY_NAME_RULE: &str = "a name has 1 to 128 bytes without control characters";
const EMAIL_RULE: &str = "an e-mail address has 1 to 254 bytes without control characters";

fn bounded(text: &str, max_bytes: usize) -> Option<String> {
    let fits = (1..=max_bytes).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// That the target has nothing by a name.
pub(crate) fn absent(what: &'static str, name: &impl fmt::Display, target: &Target) -> Failure {
    Failure::NotFound { what, name: name.to_string(), place: target.place().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elastic_refresh::request::{PASSWORD_MAX_BYTES, Password};
    use rondo_shared::identity::{NAME_MAX_BYTES, OrgKey, Subject, TENANT_MAX_BYTES, Tenant};
    use rondo_shared::moment::Timestamp;
    use rondo_shared::store::Key;
    use rondo_shared::store::item::{
        AccountStatus, Membership, Project, ProjectStatus, Quota, UserProfile, org_item, tombstone,
    };

    fn key() -> Key {
        Key { pk: "USER#t#u".to_owned(), sk: "PROFILE".to_owned() }
    }

    fn item(attributes: &[(&str, &str)]) -> Item {
        attributes.iter().fold(Item::at(key()), |item, (name, value)| item.text(name, (*value).to_owned()))
    }

    #[test]
    fn what_is_not_given_stays_as_it_is() {
        let merged = overlaid(Some(item(&[("name", "Ada"), ("plan", "gold")])), item(&[("name", "Lovelace")]));
        assert_eq!(merged.unwrap(), item(&[("name", "Lovelace"), ("plan", "gold")]));
    }

    #[test]
    fn every_item_of_the_directory_stays_small_at_the_extremes_of_each_field() {
        let tenant = Tenant::new("t".repeat(TENANT_MAX_BYTES)).unwrap();
        // Each character of it takes three in a key.
        let subject = Subject::new("#".repeat(NAME_MAX_BYTES)).unwrap();
        let org = OrgKey::new("#".repeat(NAME_MAX_BYTES)).unwrap();
        let name = display_name(&"n".repeat(DISPLAY_NAME_MAX_BYTES)).unwrap();
        let email = email(&"e".repeat(EMAIL_MAX_BYTES)).unwrap();
        let profile = UserProfile { status: AccountStatus::Suspended, name: Some(name.clone()), email: Some(email) };
        let quota = Quota {
            turns_used: i64::MAX,
            turns_limit: i64::MAX,
            relationships_used: i64::MAX,
            relationships_limit: i64::MAX,
            resets_at: Timestamp::from_millis(i64::MAX),
        };
        // The longest tenant that is a project.
        let project = Tenant::new(format!("t:{}", "p".repeat(TENANT_MAX_BYTES - 2))).unwrap();
        let project = Project { status: ProjectStatus::Removed, name: Some(name.clone()) }
            .to_item(Project::key(&project).unwrap());
        let password = Password::new("p".repeat(PASSWORD_MAX_BYTES)).unwrap();
        let credential = elastic_refresh::password::credential(&password, [255; 16]).unwrap();
        for item in [
            profile.to_item(&tenant, &subject),
            org_item(&tenant, &org, &name),
            quota.to_item(&tenant, &org, "2026-11-01"),
            credential.to_item(&tenant, &subject),
            project,
        ] {
            assert!(item.size_bytes() < 1024, "{} bytes at {}", item.size_bytes(), item.key.sk);
        }
        // The one whose key holds two names.
        let membership = Membership { org, name, is_default: true }.to_item(&tenant, &subject);
        assert!(membership.size_bytes() < 1280, "{} bytes", membership.size_bytes());
    }

    #[test]
    fn names_and_addresses_are_bounded() {
        for bad in [String::new(), "n".repeat(129), "\u{fc}".repeat(65), "a\nb".to_owned()] {
            assert!(display_name(&bad).is_err(), "{bad:?}");
        }
        for bad in [String::new(), "e".repeat(255), "a\tb".to_owned()] {
            assert!(email(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nothing_is_left_of_a_tombstone() {
        let merged = overlaid(Some(tombstone(key(), Timestamp::from_secs(1))), item(&[("name", "Ada")]));
        assert_eq!(merged.unwrap(), item(&[("name", "Ada")]));
    }

    #[test]
    fn what_could_not_be_read_is_not_written_over_unless_it_is_given_anew() {
        let standing = || Some(item(&[]).json("roles", Value::Null));
        let refused = overlaid(standing(), item(&[("name", "Ada")])).unwrap_err();
        assert!(refused.to_string().contains("roles"), "{refused}");
        assert!(overlaid(standing(), item(&[("roles", "none")])).is_ok());
    }
}
