//! The items of the directory: users and their passwords, organizations and quotas, projects. A team's own system may
//! write them.

use super::{ACTIVE, Cause, EXPIRES_AT, Fields, Item, STATUS, Value};
use crate::identity::{OrgKey, Subject, Tenant};
use crate::moment::Timestamp;
use crate::store::StoreError;
use crate::store::keys::{self, Key};

/// A user as the directory knows one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserProfile {
    /// Whether sessions may be opened for the user.
    pub status: AccountStatus,
    /// What to call the user.
    pub name: Option<String>,
    /// The user's e-mail address.
    pub email: Option<String>,
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// It may.
    Active,
    /// Not now.
    Suspended,
    /// No longer: the tombstone of a removed user.
    Removed,
}

impl AccountStatus {
    /// As items spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => ACTIVE,
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }

    /// The status that an account has whose sessions are ended by this cause, if it is of an account.
    #[must_use]
    pub const fn that_ends_sessions_by(cause: Cause) -> Option<Self> {
        match cause {
            Cause::AccountSuspended => Some(Self::Suspended),
            Cause::AccountRemoved => Some(Self::Removed),
            Cause::Reuse | Cause::UnknownGeneration | Cause::SignOut | Cause::Operator => None,
        }
    }
}

impl std::str::FromStr for AccountStatus {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Active, Self::Suspended, Self::Removed].into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

impl UserProfile {
    const KIND: &str = "user";

    /// Where a user's profile stands.
    #[must_use]
    pub fn key(tenant: &Tenant, subject: &Subject) -> Key {
        Key { pk: keys::user(tenant, subject), sk: keys::PROFILE.to_owned() }
    }

    /// As the user's item.
    #[must_use]
    pub fn to_item(&self, tenant: &Tenant, subject: &Subject) -> Item {
        Item::at(Self::key(tenant, subject))
            .text(STATUS, self.status.as_str().to_owned())
            .text("name", self.name.clone())
            .text("email", self.email.clone())
    }

    /// From the user's item.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] where the status is missing or unknown. What is only shown of a user locks nobody out: a
    /// name that is no text, a null say, is as good as none.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        Ok(Self {
            status: fields.text(STATUS)?.parse().map_err(|()| fields.malformed("status is unknown"))?,
            name: fields.text_or_none("name").map(str::to_owned),
            email: fields.text_or_none("email").map(str::to_owned),
        })
    }
}

/// A user's password, as its hash, in the user's collection. It stands beside the profile and not in it, so that nobody
/// who reads or replaces a profile meets it. Its `Debug` shows nothing: a hash is what guesses are tried against.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    password_hash: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(…)")
    }
}

impl Credential {
    const KIND: &str = "credential";

    /// Of a hash in the PHC string format, which says by itself what made it.
    #[must_use]
    pub fn new(password_hash: String) -> Self {
        Self { password_hash }
    }

    /// The hash in the PHC string format.
    #[must_use]
    pub fn password_hash(&self) -> &str {
        &self.password_hash
    }

    /// Where a user's password stands.
    #[must_use]
    pub fn key(tenant: &Tenant, subject: &Subject) -> Key {
        Key { pk: keys::user(tenant, subject), sk: keys::PASSWORD.to_owned() }
    }

    /// As the user's item.
    #[must_use]
    pub fn to_item(&self, tenant: &Tenant, subject: &Subject) -> Item {
        Item::at(Self::key(tenant, subject)).text("password_hash", self.password_hash.clone())
    }

    /// From the user's item.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] where the hash is missing or no text. The hash is not judged here.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        Ok(Self { password_hash: fields.text("password_hash")?.to_owned() })
    }

    /// That the hash is not one that its reader accepts. What is wrong with it is said without showing it.
    #[must_use]
    pub fn malformed(what: &str) -> StoreError {
        StoreError::Malformed { kind: Self::KIND, what: format!("password_hash {what}") }
    }
}

/// That a user belongs to an organization, in the user's collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The organization.
    pub org: OrgKey,
    /// What the organization is called, as answers show it.
    pub name: String,
    /// Whether it is the one that the user acts for unless another is named.
    pub is_default: bool,
}

impl Membership {
    const KIND: &str = "membership";

    /// Where a user's membership stands.
    #[must_use]
    pub fn key(tenant: &Tenant, subject: &Subject, org: &OrgKey) -> Key {
        Key { pk: keys::user(tenant, subject), sk: keys::membership(org) }
    }

    /// As the user's item.
    #[must_use]
    pub fn to_item(&self, tenant: &Tenant, subject: &Subject) -> Item {
        Item::at(Self::key(tenant, subject, &self.org))
            .text("org", self.org.as_str().to_owned())
            .text("name", self.name.clone())
            .number("is_default", i64::from(self.is_default))
    }

    /// From the user's item.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] where an attribute is missing or of another form.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        Ok(Self {
            org: fields.parsed("org", fields.text("org")?)?,
            name: fields.text("name")?.to_owned(),
            is_default: fields.flag("is_default")?,
        })
    }
}

/// Where an organization's item stands.
#[must_use]
pub fn org_key(tenant: &Tenant, org: &OrgKey) -> Key {
    Key { pk: keys::org(tenant, org), sk: keys::PROFILE.to_owned() }
}

/// An organization's item.
#[must_use]
pub fn org_item(tenant: &Tenant, org: &OrgKey, name: &str) -> Item {
    Item::at(org_key(tenant, org)).text("name", name.to_owned())
}

/// A project of a product whose projects are apart. Its item is optional: a project without one is there as soon as it
/// has a user. An item names it, and closes it where it says that it was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Whether sessions may be opened and refreshed in it.
    pub status: ProjectStatus,
    /// What to call it.
    pub name: Option<String>,
}

/// Whether a project is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectStatus {
    /// It is.
    Active,
    /// It was removed: no session is opened or refreshed in it.
    Removed,
}

impl ProjectStatus {
    /// As items spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => ACTIVE,
            Self::Removed => "removed",
        }
    }
}

impl std::str::FromStr for ProjectStatus {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Active, Self::Removed].into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

impl Project {
    const KIND: &str = "project";

    /// Where a project's item stands; none of a tenant that is a whole product.
    #[must_use]
    pub fn key(tenant: &Tenant) -> Option<Key> {
        keys::project(tenant).map(|pk| Key { pk, sk: keys::PROFILE.to_owned() })
    }

    /// As the item at `key`.
    #[must_use]
    pub fn to_item(&self, key: Key) -> Item {
        Item::at(key).text(STATUS, self.status.as_str().to_owned()).text("name", self.name.clone())
    }

    /// From the project's item.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] where the status is missing or unknown: whether such a project is open, nobody can tell.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        Ok(Self {
            status: fields.text(STATUS)?.parse().map_err(|()| fields.malformed("status is unknown"))?,
            name: fields.text_or_none("name").map(str::to_owned),
        })
    }
}

/// What is put in place of an item of the directory that is to go, since nothing is deleted: it says so, names nobody,
/// and is left to TTL at once.
#[must_use]
pub fn tombstone(key: Key, now: Timestamp) -> Item {
    Item::at(key).text(STATUS, AccountStatus::Removed.as_str().to_owned()).number(EXPIRES_AT, now.secs())
}

/// Whether an item says that what stood there was removed: to its readers it is not there.
#[must_use]
pub fn is_tombstone(item: &Item) -> bool {
    matches!(item.attributes.get(STATUS), Some(Value::S(status)) if status == AccountStatus::Removed.as_str())
}

/// What an organization has used of its plan in one billing period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Turns used in the period.
    pub turns_used: i64,
    /// Turns the plan allows in the period.
    pub turns_limit: i64,
    /// Active relationships.
    pub relationships_used: i64,
    /// Active relationships the plan allows.
    pub relationships_limit: i64,
    /// When the period, and the quota, rolls over.
    pub resets_at: Timestamp,
}

impl Quota {
    const KIND: &str = "quota";

    /// As the organization's item for the period that began on `day` (`2026-11-01`).
    #[must_use]
    pub fn to_item(&self, tenant: &Tenant, org: &OrgKey, day: &str) -> Item {
        Item::at(Key { pk: keys::org(tenant, org), sk: keys::quota(day) })
            .number("turns_used", self.turns_used)
            .number("turns_limit", self.turns_limit)
            .number("relationships_used", self.relationships_used)
            .number("relationships_limit", self.relationships_limit)
            .number("resets_at", self.resets_at.millis())
    }

    /// From the organization's item.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] where an attribute is missing or of another form, or a count is below zero.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        Ok(Self {
            turns_used: fields.count("turns_used")?,
            turns_limit: fields.count("turns_limit")?,
            relationships_used: fields.count("relationships_used")?,
            relationships_limit: fields.count("relationships_limit")?,
            resets_at: Timestamp::from_millis(fields.number("resets_at")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_says_that_its_item_is_gone_and_any_other_item_that_it_stands() {
        let (tenant, subject, org) =
            (Tenant::new("t").unwrap(), Subject::new("u").unwrap(), OrgKey::new("acme").unwrap());
        let membership = Membership { org: org.clone(), name: "Acme".to_owned(), is_default: true };
        let item = membership.to_item(&tenant, &subject);
        assert!(!is_tombstone(&item) && !is_tombstone(&item.clone().number(STATUS, 1)));
        let tombstone = tombstone(Membership::key(&tenant, &subject, &org), Timestamp::from_secs(5));
        assert!(is_tombstone(&tombstone) && tombstone.key == item.key);
        assert_eq!(tombstone.attributes.get(EXPIRES_AT), Some(&Value::N(5)));
        assert!(!tombstone.attributes.contains_key("name"));
    }

    #[test]
    fn a_user_is_known_by_the_status_whatever_form_the_name_and_the_address_are_in() {
        let item = |status: &str| {
            Item::at(UserProfile::key(&Tenant::new("t").unwrap(), &Subject::new("u").unwrap()))
                .text(STATUS, status.to_owned())
        };
        let written = item("suspended").text("name", "Ada".to_owned()).json("email", serde_json::Value::Null);
        let read = UserProfile { status: AccountStatus::Suspended, name: Some("Ada".to_owned()), email: None };
        assert_eq!(UserProfile::from_item(&written).unwrap(), read);
        let odd = item("active").number("name", 7).json("email", serde_json::json!(["a@b"]));
        let read = UserProfile { status: AccountStatus::Active, name: None, email: None };
        assert_eq!(UserProfile::from_item(&odd).unwrap(), read);
        for malformed in [item("banned"), item("active").json(STATUS, serde_json::Value::Null)] {
            assert!(UserProfile::from_item(&malformed).unwrap_err().to_string().contains("status"));
        }
    }

    #[test]
    fn a_membership_is_the_default_by_a_number_or_by_a_truth_value() {
        let (tenant, subject) = (Tenant::new("t").unwrap(), Subject::new("u").unwrap());
        let org = OrgKey::new("acme").unwrap();
        let bare = Item::at(Membership::key(&tenant, &subject, &org));
        let item = bare.text("org", "acme".to_owned()).text("name", "Acme".to_owned());
        let json = |value: serde_json::Value| item.clone().json("is_default", value);
        for (is_default, item) in [
            (false, item.clone()),
            (false, item.clone().number("is_default", 0)),
            (true, item.clone().number("is_default", 1)),
            (false, json(false.into())),
            (true, json(true.into())),
            (false, json(serde_json::Value::Null)),
        ] {
            assert_eq!(Membership::from_item(&item).unwrap().is_default, is_default, "{item:?}");
        }
        assert!(Membership::from_item(&item.text("is_default", "yes".to_owned())).is_err());
    }

    #[test]
    fn a_project_reads_back_as_it_was_written_and_any_other_status_is_malformed() {
        let key = Project::key(&Tenant::new("one:p").unwrap()).unwrap();
        for status in [ProjectStatus::Active, ProjectStatus::Removed] {
            let written = Project { status, name: Some("Forum".to_owned()) };
            assert_eq!(Project::from_item(&written.to_item(key.clone())).unwrap(), written);
            let item = written.to_item(key.clone()).json("name", serde_json::Value::Null);
            assert_eq!(Project::from_item(&item).unwrap(), Project { status, name: None });
        }
        let bare = Item::at(key);
        for item in [bare.clone(), bare.clone().text(STATUS, "suspended".to_owned()), bare.number(STATUS, 1)] {
            assert!(Project::from_item(&item).unwrap_err().to_string().contains("status"));
        }
    }

    #[test]
    fn a_password_hash_reads_back_as_it_was_written_and_is_not_shown_by_debug() {
        let (tenant, subject) = (Tenant::new("t").unwrap(), Subject::new("u").unwrap());
        let written = Credential::new("$argon2id$hash".to_owned());
        let item = written.to_item(&tenant, &subject);
        assert_eq!(Credential::from_item(&item).unwrap(), written);
        assert!(!format!("{written:?} {item:?}").contains("argon2id"));
        let other = Item::at(Credential::key(&tenant, &subject)).number("password_hash", 5);
        assert!(Credential::from_item(&other).unwrap_err().to_string().contains("password_hash is not text"));
    }

    #[test]
    fn a_quota_with_a_count_below_zero_is_malformed() {
        let (tenant, org) = (Tenant::new("uniqos").unwrap(), OrgKey::new("acme").unwrap());
        let resets_at = Timestamp::from_secs(1);
        let quota = Quota { turns_used: 0, turns_limit: 0, relationships_used: 0, relationships_limit: 0, resets_at };
        let item = quota.to_item(&tenant, &org, "2026-11-01");
        assert_eq!(Quota::from_item(&item).unwrap(), quota);
        for name in ["turns_used", "turns_limit", "relationships_used", "relationships_limit"] {
            assert!(Quota::from_item(&item.clone().number(name, -1)).is_err(), "{name}");
        }
    }
}
