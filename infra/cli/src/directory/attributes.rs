//! A user's attributes as a JSON object: what a product shows of a user beside name and e-mail address, and whatever
//! else a team keeps there.

use std::ffi::OsString;
use std::io::{BufRead, Read as _};
use std::path::PathBuf;

use rondo_shared::store::item::{EXPIRES_AT, STATUS};
use rondo_shared::store::{Item, Value as Attribute};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::workspace::WorkspaceError;

/// Most of a file or of standard input that is read: more than an item may have (400 KB).
const MAX_BYTES: u64 = 1024 * 1024;
/// What no object may set: the item's key, what has an option of its own, and what would have the user deleted.
const RESERVED: [&str; 4] = ["pk", "sk", STATUS, EXPIRES_AT];

/// Where the attributes are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `-`: standard input.
    Input,
    /// A file.
    File(PathBuf),
}

impl From<OsString> for Source {
    fn from(given: OsString) -> Self {
        if given == "-" { Self::Input } else { Self::File(given.into()) }
    }
}

impl Source {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// [`Failure`] where there is none, or where it holds what no object may set.
    pub fn read(&self, input: &mut dyn BufRead) -> Result<Map<String, Value>, Failure> {
        let mut text = String::new();
        match self {
            Self::Input => {
                input.take(MAX_BYTES).read_to_string(&mut text).map_err(Failure::Input)?;
            }
            Self::File(path) => {
                let file = std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
                file.map_err(|error| WorkspaceError::file(path, &error))?;
            }
        }
        parsed(&text).map_err(Failure::Attributes)
    }
}

/// The message shows nothing of the text, which may hold secrets.
fn parsed(text: &str) -> Result<Map<String, Value>, String> {
    let object: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| format!("they are not a JSON object, at line {} column {}", error.line(), error.column()))?;
    match RESERVED.into_iter().find(|name| object.contains_key(*name)) {
        Some(name) => Err(format!("{name} is not theirs to set")),
        None => Ok(object),
    }
}

/// Holds what answers show of every user to the form and the bounds of its options; whatever else there is, is a team's
/// own.
///
/// # Errors
/// What is wrong, without the text.
pub fn check_bounds(given: &Map<String, Value>) -> Result<(), String> {
    let text = |name: &str| match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| format!("{name} must be a text")),
    };
    text("name")?.map(super::display_name).transpose()?;
    text("email")?.map(super::email).transpose()?;
    Ok(())
}

/// Puts each of them in place of what stood by its name; null takes it away.
pub fn merge(item: &mut Item, attributes: Map<String, Value>) {
    for (name, value) in attributes {
        match value {
            Value::Null => {
                item.attributes.remove(&name);
            }
            Value::String(text) => {
                item.attributes.insert(name, Attribute::S(text));
            }
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let attribute = value.as_i64().map_or(Attribute::Json(value), Attribute::N);
                item.attributes.insert(name, attribute);
            }
        }
    }
}

/// The attributes as JSON, for an operator's eyes: what is called a secret, or a password's, is named and not shown.
#[must_use]
pub fn shown(item: &Item) -> Map<String, Value> {
    let value = |name: &str, attribute: &Attribute| match attribute {
        _ if name.contains("secret") || name.contains("password") => Value::from("(not shown)"),
        Attribute::S(text) => Value::from(text.as_str()),
        Attribute::N(number) => Value::from(*number),
        Attribute::Json(json) => json.clone(),
    };
    item.attributes.iter().map(|(name, attribute)| (name.clone(), value(name, attribute))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondo_shared::store::Key;
    use serde_json::json;

    #[test]
    fn attributes_replace_what_stood_and_null_takes_it_away() {
        let mut item = Item::at(Key { pk: "p".to_owned(), sk: "s".to_owned() });
        item = item.text("bio", "old".to_owned()).json("roles", Value::Null).text("plan", "gold".to_owned());
        let text = r#"{"bio":"new","roles":null,"reputation":7,"ratio":0.5,"is_active":true,"metadata":{"a":null}}"#;
        merge(&mut item, parsed(text).unwrap());
        let expected = json!({
            "bio": "new", "plan": "gold", "reputation": 7, "ratio": 0.5, "is_active": true, "metadata": {"a": null},
        });
        assert_eq!(Value::Object(shown(&item)), expected);
        assert_eq!(item.attributes.get("reputation"), Some(&Attribute::N(7)));
    }

    #[test]
    fn no_object_sets_a_key_the_status_or_when_the_item_is_deleted() {
        for name in RESERVED {
            assert!(parsed(&json!({name: "x"}).to_string()).unwrap_err().contains(name));
        }
        for text in ["", "[]", "{", "\"hunter2\""] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains("not a JSON object") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_name_is_as_short_in_an_object_as_in_an_option() {
        assert_eq!(check_bounds(&parsed(r#"{"name":"Ada","email":null,"bio":"long"}"#).unwrap()), Ok(()));
        for name in ["name", "email"] {
            let given = parsed(&json!({name: "x".repeat(255)}).to_string()).unwrap();
            assert!(check_bounds(&given).unwrap_err().contains("bytes"), "{name}");
        }
    }

    #[test]
    fn secrets_are_named_and_not_shown() {
        let mut item = Item::at(Key { pk: "p".to_owned(), sk: "s".to_owned() });
        merge(&mut item, parsed(r#"{"secret_metadata":{"a":1},"password_hash":"h","name":"Ada"}"#).unwrap());
        let shown = shown(&item);
        assert_eq!(
            (&shown["secret_metadata"], &shown["password_hash"]),
            (&json!("(not shown)"), &json!("(not shown)"))
        );
        assert_eq!(shown["name"], "Ada");
    }
}
