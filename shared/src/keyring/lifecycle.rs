//! The life of keys: published, promoted, retired, forgotten. Each step is a function from one product's keys and a
//! moment to the product's keys afterwards, and refuses where a token would suffer.
//!
//! | step | what it does | why no token suffers |
//! |---|---|---|
//! | [`publish`] | adds a `next` key of each kind | nothing is signed with it yet |
//! | [`promote`] | `next` signs; what signed is `retired` | by then every instance and every verifier has the key |
//! | [`retire`] | forgets `retired` keys | by then their last token has expired |
//! | [`revoke`] | forgets every key at once | they do suffer: keys have leaked |
//!
//! An instance signs with what it read up to [`REREAD_INTERVAL`] ago, and a verifier uses what it was told up to a
//! max-age before that; the waits are made of these two. No key is made here: see [`super::generate`].

use std::time::Duration;

use super::source::REREAD_INTERVAL;
use super::{KeyDocument, KeyState, KeyringError, ProductDocument};
use crate::moment::Timestamp;

/// How long after its last token has expired a key is kept. An instance that cannot read the ring goes on signing with
/// the key that it has; AWS ends an instance sooner than this.
pub const SLACK: Duration = Duration::from_hours(24);

/// A key of each kind.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// For access tokens.
    pub signing: KeyDocument,
    /// For refresh tokens.
    pub mac: KeyDocument,
}

/// How long the tokens of a product live at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Those that are signed: access tokens, and one token that is both.
    pub signed: Duration,
    /// Those that are authenticated with a MAC: refresh tokens.
    pub mac: Duration,
}

/// How long a key has to have been published before it signs.
///
/// `jwks_max_age` is how long a verifier keeps the published keys.
#[must_use]
pub fn publication(jwks_max_age: Duration) -> Duration {
    jwks_max_age.saturating_add(REREAD_INTERVAL)
}

/// Why a step was not taken. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no key to promote.
    #[error("no key has been published to be promoted")]
    NoNext,
    /// The key has not been published for long enough.
    #[error("the next key has not reached every verifier yet: promote at {} or later", .at.iso8601())]
    TooEarly {
        /// When it may be promoted.
        at: Timestamp,
    },
    /// What the ring says of a key is of no use.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// The keys with which a product begins: both sign at once, since there is no token that could suffer.
#[must_use]
pub fn begin(fresh: Fresh, now: Timestamp) -> ProductDocument {
    let active = |mut key: KeyDocument| {
        key.state = KeyState::Active;
        key.promoted_at = Some(now.iso8601());
        vec![key]
    };
    ProductDocument { signing: active(fresh.signing), mac: active(fresh.mac) }
}

/// Adds the fresh keys as the next ones. A kind that has a next key keeps the one that it has; where both do, there is
/// nothing to publish.
#[must_use]
pub fn publish(product: &ProductDocument, fresh: Fresh, now: Timestamp) -> Option<ProductDocument> {
    let mut after = product.clone();
    let mut added = false;
    for (keys, mut key) in [(&mut after.signing, fresh.signing), (&mut after.mac, fresh.mac)] {
        if !keys.iter().any(|key| key.state == KeyState::Next) {
            key.state = KeyState::Next;
            key.published_at = now.iso8601();
            keys.push(key);
            added = true;
        }
    }
    added.then_some(after)
}

/// Has the next keys sign, and retires those that signed.
///
/// # Errors
/// [`Refused::TooEarly`] before the [`publication`] of every next key is complete, [`Refused::NoNext`] where there is
/// none.
pub fn promote(product: &ProductDocument, publication: Duration, now: Timestamp) -> Result<ProductDocument, Refused> {
    let ripe = ripe_at(product, publication)?.ok_or(Refused::NoNext)?;
    if now < ripe {
        return Err(Refused::TooEarly { at: ripe });
    }
    let mut after = product.clone();
    for keys in [&mut after.signing, &mut after.mac] {
        if !keys.iter().any(|key| key.state == KeyState::Next) {
            continue;
        }
        for key in keys {
            match key.state {
                KeyState::Next => {
                    key.state = KeyState::Active;
                    key.promoted_at = Some(now.iso8601());
                }
                KeyState::Active => {
                    key.state = KeyState::Retired;
                    key.retired_at = Some(now.iso8601());
                }
                KeyState::Retired => {}
            }
        }
    }
    Ok(after)
}

/// When the product's next keys may be promoted; `None` where it has none.
///
/// # Errors
/// [`KeyringError::Invalid`] where a key's times cannot be read.
pub fn ripe_at(product: &ProductDocument, publication: Duration) -> Result<Option<Timestamp>, KeyringError> {
    let next = product.keys().filter(|key| key.state == KeyState::Next);
    let ripe: Vec<_> = next.map(|key| Ok(published_at(key)?.plus(publication))).collect::<Result<_, KeyringError>>()?;
    Ok(ripe.into_iter().max())
}

/// Forgets the retired keys whose last token has expired. A retired key of which the ring does not say since when is
/// taken to be retired from now on. `None` where there is nothing to do.
///
/// # Errors
/// [`KeyringError::Invalid`] where a key's times cannot be read.
pub fn retire(
    product: &ProductDocument,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<Option<ProductDocument>, KeyringError> {
    let mut after = product.clone();
    let mut changed = false;
    for (keys, lifetime) in [(&mut after.signing, lifetimes.signed), (&mut after.mac, lifetimes.mac)] {
        let mut kept = Vec::with_capacity(keys.len());
        for mut key in keys.drain(..) {
            let forgettable_at = forgettable_at(&key, lifetime)?;
            if forgettable_at.is_some_and(|at| now >= at) {
                changed = true;
                continue;
            }
            if key.state == KeyState::Retired && key.retired_at.is_none() {
                key.retired_at = Some(now.iso8601());
                changed = true;
            }
            kept.push(key);
        }
        *keys = kept;
    }
    Ok(changed.then_some(after))
}

/// When a retired key's last token has expired, whoever signed it; `None` of a key that is not retired, or of which the
/// ring does not say since when.
///
/// # Errors
/// [`KeyringError::Invalid`] where the key's times cannot be read.
pub fn forgettable_at(key: &KeyDocument, lifetime: Duration) -> Result<Option<Timestamp>, KeyringError> {
    match (key.state, &key.retired_at) {
        (KeyState::Retired, Some(at)) => {
            // Until it read the ring again, an instance signed with it still.
            Ok(Some(time(key, at)?.plus(REREAD_INTERVAL).plus(lifetime).plus(SLACK)))
        }
        (KeyState::Retired, None) | (KeyState::Next | KeyState::Active, _) => Ok(None),
    }
}

/// Which keys have leaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaked {
    /// All of them.
    All,
    /// Those that sign access tokens: refresh tokens stay good.
    Signing,
}

/// Replaces leaked keys at once and forgets them: their tokens end as instances and verifiers come to know.
#[must_use]
pub fn revoke(product: &ProductDocument, leaked: Leaked, fresh: Fresh, now: Timestamp) -> ProductDocument {
    let begun = begin(fresh, now);
    match leaked {
        Leaked::All => begun,
        Leaked::Signing => ProductDocument { mac: product.mac.clone(), ..begun },
    }
}

/// What a rotation that runs by itself does with a product's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long a key signs.
    pub period: Duration,
    /// See [`publication`].
    pub publication: Duration,
    /// How long its tokens live.
    pub lifetimes: Lifetimes,
}

/// One step of a rotation that runs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// [`publish`].
    Publish,
    /// [`promote`].
    Promote,
    /// [`retire`].
    Retire,
}

/// The one step that is due, if one is. A run that was missed or repeated changes nothing but when a step is taken:
/// each is judged by the times that the ring tells.
///
/// # Errors
/// [`KeyringError::Invalid`] where a key's times cannot be read.
pub fn due(product: &ProductDocument, schedule: &Schedule, now: Timestamp) -> Result<Option<Step>, KeyringError> {
    if let Some(ripe) = ripe_at(product, schedule.publication)? {
        if now >= ripe {
            return Ok(Some(Step::Promote));
        }
    } else if now >= signs_until(product, schedule)? {
        return Ok(Some(Step::Publish));
    }
    Ok(retire(product, schedule.lifetimes, now)?.map(|_| Step::Retire))
}

/// When the oldest signing key's successor is to be published, so that it can follow at the end of the period.
fn signs_until(product: &ProductDocument, schedule: &Schedule) -> Result<Timestamp, KeyringError> {
    let active = product.keys().filter(|key| key.state == KeyState::Active);
    let since = active.map(active_since).collect::<Result<Vec<_>, _>>()?.into_iter().min();
    let since = since.ok_or_else(|| KeyringError::Invalid("a product without an active key".to_owned()))?;
    Ok(since.plus(schedule.period.saturating_sub(schedule.publication)))
}

/// Since when a key signs: the ring may not say, of a key that was put into it by hand.
///
/// # Errors
/// [`KeyringError::Invalid`] where the key's times cannot be read.
pub fn active_since(key: &KeyDocument) -> Result<Timestamp, KeyringError> {
    key.promoted_at.as_ref().map_or_else(|| published_at(key), |at| time(key, at))
}

fn published_at(key: &KeyDocument) -> Result<Timestamp, KeyringError> {
    time(key, &key.published_at)
}

fn time(key: &KeyDocument, text: &str) -> Result<Timestamp, KeyringError> {
    let unreadable = || KeyringError::Invalid(format!("key {}: a time is not an instant of RFC 3339", key.kid));
    Timestamp::parse(text).ok_or_else(unreadable)
}

impl ProductDocument {
    /// All keys of both kinds.
    pub fn keys(&self) -> impl Iterator<Item = &KeyDocument> {
        self.signing.iter().chain(&self.mac)
    }
}
