//! What stands in the table: items as the port carries them, and the typed items that the walk reads and writes.
//!
//! Each typed item has `to_item` and `from_item`: [`family`] and [`directory`] are the schema. No AWS type is known here.

pub mod directory;
pub mod family;

use std::collections::BTreeMap;

use super::StoreError;
use super::keys::Key;
use crate::identity::Client;
pub use directory::{
    AccountStatus, Credential, Membership, Project, ProjectStatus, Quota, UserProfile, is_tombstone, org_item, org_key,
    tombstone,
};
pub use family::{Cause, Evidence, Generation, Opening, OpeningReceipt, ReissueNote, SESSION_MAX, Seal, SessionEntry};

/// The attribute by which DynamoDB deletes items some time after they expired, in epoch seconds.
pub const EXPIRES_AT: &str = "expires_at";
/// The attribute of a rate bucket that holds its theoretical arrival time, in epoch milliseconds.
pub const TAT: &str = "tat";
/// The attribute that a transaction checks, of a user and of a project, before it opens a session.
pub const STATUS: &str = "status";
/// The value of [`STATUS`] that lets sessions be opened.
pub const ACTIVE: &str = "active";

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    S(String),
    /// A whole number.
    N(i64),
    /// Anything else that a directory's item may hold: a truth value, a null, a list, a map.
    Json(serde_json::Value),
}

/// An attribute's value may be a `gid`, so that none is ever shown.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::S(_) => "S(…)",
            Self::N(_) => "N(…)",
            Self::Json(_) => "Json(…)",
        })
    }
}

/// An item: its key and its other attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it stands.
    pub key: Key,
    /// All attributes but the key's.
    pub attributes: BTreeMap<String, Value>,
}

impl Item {
    /// An item without attributes.
    #[must_use]
    pub fn at(key: Key) -> Self {
        Self { key, attributes: BTreeMap::new() }
    }

    /// With a text attribute; an absent one is left out.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<Option<String>>) -> Self {
        if let Some(value) = value.into() {
            self.attributes.insert(name.to_owned(), Value::S(value));
        }
        self
    }

    /// With a number; an absent one is left out.
    #[must_use]
    pub fn number(mut self, name: &str, value: impl Into<Option<i64>>) -> Self {
        if let Some(value) = value.into() {
            self.attributes.insert(name.to_owned(), Value::N(value));
        }
        self
    }

    /// With any JSON value.
    #[must_use]
    pub fn json(mut self, name: &str, value: serde_json::Value) -> Self {
        self.attributes.insert(name.to_owned(), Value::Json(value));
        self
    }

    /// Bytes as DynamoDB counts them: attribute names and values, numbers at their widest.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let value = |value: &Value| match value {
            Value::S(text) => text.len(),
            Value::N(_) => 21,
            Value::Json(json) => json.to_string().len(),
        };
        let attributes: usize = self.attributes.iter().map(|(name, v)| name.len() + value(v)).sum();
        attributes + "pk".len() + self.key.pk.len() + "sk".len() + self.key.sk.len()
    }
}

/// Reads a typed item's attributes, naming the kind and the attribute where one is missing or malformed.
struct Fields<'a> {
    kind: &'static str,
    item: &'a Item,
}

impl Fields<'_> {
    fn malformed(&self, what: impl Into<String>) -> StoreError {
        StoreError::Malformed { kind: self.kind, what: what.into() }
    }

    fn text_if_any(&self, name: &str) -> Result<Option<&str>, StoreError> {
        match self.item.attributes.get(name) {
            None => Ok(None),
            Some(Value::S(text)) => Ok(Some(text)),
            Some(Value::N(_) | Value::Json(_)) => Err(self.malformed(format!("{name} is not text"))),
        }
    }

    /// A text that is only shown: what is no text is as good as none.
    fn text_or_none(&self, name: &str) -> Option<&str> {
        self.text_if_any(name).ok().flatten()
    }

    fn text(&self, name: &str) -> Result<&str, StoreError> {
        self.text_if_any(name)?.ok_or_else(|| self.malformed(format!("{name} is missing")))
    }

    fn number_if_any(&self, name: &str) -> Result<Option<i64>, StoreError> {
        match self.item.attributes.get(name) {
            None => Ok(None),
            Some(Value::N(number)) => Ok(Some(*number)),
            Some(Value::S(_) | Value::Json(_)) => Err(self.malformed(format!("{name} is not a number"))),
        }
    }

    /// A number that is not 0, or a truth value: a team's own system may write either. Absent and null are no.
    fn flag(&self, name: &str) -> Result<bool, StoreError> {
        match self.item.attributes.get(name) {
            None | Some(Value::Json(serde_json::Value::Null)) => Ok(false),
            Some(Value::N(number)) => Ok(*number != 0),
            Some(Value::Json(serde_json::Value::Bool(flag))) => Ok(*flag),
            Some(Value::S(_) | Value::Json(_)) => {
                Err(self.malformed(format!("{name} is neither a number nor a truth value")))
            }
        }
    }

    /// A number that is not below zero.
    fn count(&self, name: &str) -> Result<i64, StoreError> {
        let count = self.number(name)?;
        if count < 0 { Err(self.malformed(format!("{name} is below zero"))) } else { Ok(count) }
    }

    fn number(&self, name: &str) -> Result<i64, StoreError> {
        self.number_if_any(name)?.ok_or_else(|| self.malformed(format!("{name} is missing")))
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str, text: &str) -> Result<T, StoreError> {
        text.parse().map_err(|_| self.malformed(format!("{name} is out of bounds")))
    }

    fn name_if_any<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.text_if_any(name)?.map(|text| self.parsed(name, text)).transpose()
    }

    fn client(&self) -> Result<Client, StoreError> {
        let ip = self.text_if_any("ip")?.and_then(|ip| ip.parse().ok());
        Ok(Client::new(ip, self.text_if_any("user_agent")?.unwrap_or_default()))
    }

    fn generation_number(&self, name: &str, text: &str) -> Result<u32, StoreError> {
        match text.parse() {
            Ok(number) if text.len() == 10 => Ok(number),
            Ok(_) | Err(_) => Err(self.malformed(format!("{name} is not ten digits"))),
        }
    }
}

/// An item with where its writer came from.
fn with_client(item: Item, client: &Client) -> Item {
    item.text("ip", client.ip()).text("user_agent", client.user_agent().to_owned())
}
