//! The items of the directory: users, organizations and quotas. A team's own system may write them.

use super::{ACTIVE, Fields, Item, STATUS};
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
    /// [`StoreError::Malformed`] where an attribute is missing or of another form.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        Ok(Self {
            status: fields.text(STATUS)?.parse().map_err(|()| fields.malformed("status is unknown"))?,
            name: fields.text_if_any("name")?.map(str::to_owned),
            email: fields.text_if_any("email")?.map(str::to_owned),
        })
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

    /// As the user's item.
    #[must_use]
    pub fn to_item(&self, tenant: &Tenant, subject: &Subject) -> Item {
        Item::at(Key { pk: keys::user(tenant, subject), sk: keys::membership(&self.org) })
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
            is_default: fields.number_if_any("is_default")?.is_some_and(|flag| flag != 0),
        })
    }
}

/// An organization's item.
#[must_use]
pub fn org_item(tenant: &Tenant, org: &OrgKey, name: &str) -> Item {
    Item::at(Key { pk: keys::org(tenant, org), sk: keys::PROFILE.to_owned() }).text("name", name.to_owned())
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
    /// [`StoreError::Malformed`] where an attribute is missing or of another form.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        Ok(Self {
            turns_used: fields.number("turns_used")?,
            turns_limit: fields.number("turns_limit")?,
            relationships_used: fields.number("relationships_used")?,
            relationships_limit: fields.number("relationships_limit")?,
            resets_at: Timestamp::from_millis(fields.number("resets_at")?),
        })
    }
}
