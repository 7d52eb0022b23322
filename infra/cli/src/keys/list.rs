//! What the keyring holds: names, states and times, never a key.

use std::time::Duration;

use rondo_shared::keyring::lifecycle::{Lifetimes, forgettable_at, ripe_at};
use rondo_shared::keyring::{KeyDocument, KeyState, KeyringDocument, ProductDocument};
use rondo_shared::moment::Timestamp;
use serde_json::{Value, json};

use super::place::Place;
use crate::failure::Failure;
use crate::report::{Report, table};

/// One row for each key.
///
/// # Errors
/// [`Failure::Keyring`] where a key's times cannot be read.
pub fn report(
    ring: &KeyringDocument,
    place: &Place,
    lifetimes: impl Fn(&str) -> Option<Lifetimes>,
    publication: Duration,
) -> Result<Report, Failure> {
    let (mut rows, mut keys) = (Vec::new(), Vec::new());
    for (name, product) in &ring.products {
        let lifetimes = lifetimes(name);
        let signing = product.signing.iter().map(|key| (key, "signing", lifetimes.map(|times| times.signed)));
        let mac = product.mac.iter().map(|key| (key, "mac", lifetimes.map(|times| times.mac)));
        for (key, kind, lifetime) in signing.chain(mac) {
            let (step, at) = next_step(product, key, lifetime, publication)?;
            let (state, since) = (state_of(key), since(key));
            rows.push(vec![
                name.clone(),
                kind.to_owned(),
                key.kid.clone(),
                format!("{:?}", key.jwk.algorithm()),
                state.to_owned(),
                since.to_owned(),
                at.map(|at| format!("{step} from {}", at.iso8601())).unwrap_or_default(),
            ]);
            let at = at.map_or(Value::Null, |at| json!({"step": step, "at": at.iso8601()}));
            keys.push(
                json!({"product": name, "use": kind, "kid": key.kid, "state": state, "since": since, "then": at}),
            );
        }
    }
    let text = table(&["product", "use", "kid", "algorithm", "state", "since", "then"], rows);
    Ok(Report::new(text, json!({"keyring": place.to_string(), "keys": keys})))
}

fn next_step(
    product: &ProductDocument,
    key: &KeyDocument,
    lifetime: Option<Duration>,
    publication: Duration,
) -> Result<(&'static str, Option<Timestamp>), Failure> {
    match key.state {
        KeyState::Next => Ok(("promote", ripe_at(product, publication)?)),
        KeyState::Active => Ok(("", None)),
        KeyState::Retired => {
            let at = lifetime.map(|lifetime| forgettable_at(key, lifetime)).transpose()?;
            Ok(("retire", at.flatten()))
        }
    }
}

const fn state_of(key: &KeyDocument) -> &'static str {
    match key.state {
        KeyState::Next => "next",
        KeyState::Active => "active",
        KeyState::Retired => "retired",
    }
}

/// Since when it is in its state, as far as the ring says.
fn since(key: &KeyDocument) -> &str {
    match key.state {
        KeyState::Next => &key.published_at,
        KeyState::Active => key.promoted_at.as_deref().unwrap_or(&key.published_at),
        KeyState::Retired => key.retired_at.as_deref().unwrap_or_default(),
    }
}
