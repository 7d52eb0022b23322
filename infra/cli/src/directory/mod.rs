//! The directory: users, their organizations, organizations and quotas; one file per noun.
//!
//! What is not given stays as it is, attributes that this tool knows nothing of included: a team's own system may keep
//! more on an item. Nothing is deleted: what is to go is replaced by a tombstone, which readers skip.

pub mod attributes;
pub mod member;
pub mod org;
pub mod quota;
pub mod user;

use std::fmt;

use rondo_shared::store::item::is_tombstone;
use rondo_shared::store::{Item, Value as Attribute};
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

/// That the target has nothing by a name.
pub(crate) fn absent(what: &'static str, name: &impl fmt::Display, target: &Target) -> Failure {
    Failure::NotFound { what, name: name.to_string(), place: target.place().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondo_shared::moment::Timestamp;
    use rondo_shared::store::Key;
    use rondo_shared::store::item::tombstone;

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
