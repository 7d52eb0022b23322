//! Keyrings: any text is a keyring whose names are unique, or an error that shows nothing of it.

use rondo_shared::keyring::public::public_keys;
use rondo_shared::keyring::{KeySet, KeyringDocument, ProductKeys};
use serde_json::Value;

/// Shorter ones are in every error by chance.
const SECRET_MIN_BYTES: usize = 16;

/// Reads a keyring in each of the ways in which a function or a tool does.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let errors = [
        KeyringDocument::parse(text).err(),
        ProductKeys::parse(text, "uniqos").map(|keys| sound(&keys)).err(),
        public_keys(text).map(|keys| assert!(!keys.is_empty())).err(),
    ];
    let secrets = secrets_of(text);
    for error in errors.into_iter().flatten() {
        let told = error.to_string();
        for secret in &secrets {
            assert!(!told.contains(secret), "the error tells a key: {told}");
        }
    }
}

/// A ring has no two keys of one name. That an active key signs what it verifies is checked as a ring is read.
fn sound(keys: &ProductKeys) {
    for set in [&keys.signing, &keys.mac] {
        assert!(names_are_unique(set), "{keys:?}");
    }
}

fn names_are_unique(set: &KeySet) -> bool {
    set.all().all(|key| set.find(key.kid()).is_some_and(|found| std::ptr::eq(found, key)))
}

/// The private members of every key in the text, but for those that are in a name too, which errors do tell, and those
/// of several words, which may be an error's own.
fn secrets_of(text: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let keys: Vec<&Value> = document["products"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, product)| ["signing", "mac"].map(|kind| product[kind].as_array()))
        .flatten()
        .flatten()
        .collect();
    let names: Vec<String> = keys
        .iter()
        .filter_map(|key| key["kid"].as_str())
        .map(str::to_owned)
        .chain(document["products"].as_object().into_iter().flatten().map(|(name, _)| name.clone()))
        .collect();
    let members =
        keys.iter().flat_map(|key| ["k", "d", "p", "q", "dp", "dq", "qi"].map(|name| key["jwk"][name].as_str()));
    let told = |secret: &&str| {
        secret.len() < SECRET_MIN_BYTES || secret.contains(' ') || names.iter().any(|name| name.contains(*secret))
    };
    members.flatten().filter(|secret| !told(secret)).map(str::to_owned).collect()
}
