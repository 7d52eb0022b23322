//! Stores that break an obligation, so that it can be shown that the checker would have told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rondo_shared::identity::Client;
use rondo_shared::rotation::family::client_hash;
use rondo_shared::store::{
    Charge, Charged, Checks, Item, Key, Meter, Opened, Put, Query, Replaced, Store, StoreError, Value, keys,
};
use tokio::time::Instant;

use super::schedule::{Does, Schedule, Step};

/// Which obligation is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    Nothing,
    /// 1: a put replaces what stands.
    PutsReplace,
    /// 1: every put says that it was stored.
    EveryPutWins,
    /// 2: a lost put is handed back what it put itself.
    LostPutsGetTheirOwn,
    /// 2: what is handed back was minted just now, so that the window slides.
    WindowsSlide,
    /// 4: a query is answered as the one before it was.
    QueriesAreStale,
    /// 4: no query sees the seal.
    SealsAreUnseen,
    /// 5: a query finds the older of two generations only.
    QueriesMissTheNewest,
    /// 8: a put of unknown outcome is reported as stored.
    UnknownPutsCount,
    /// 8: a query that failed is reported to have found nothing.
    FailedQueriesFindNothing,
    /// Seals are acknowledged and not written.
    SealsAreForgotten,
    /// Notes are acknowledged and not written.
    NotesAreForgotten,
    /// Not the store's, but items are altered on their way there: generations and seals of nine seconds later.
    PutsAreStampedLate,
    /// Tokens that live for a year.
    TokensLiveTooLong,
    /// Generations that another client seems to have put.
    PutsNameAnother,
    /// Items that are to expire two hours early.
    ItemsAreShortLived,
    /// Notes without the user agent.
    NotesAreBlank,
    /// Each rotation leaves a note, as if it were a replay by another client.
    RotationsAreNoted,
    /// So does each put that is lost.
    LostPutsAreNoted,
    /// Seals that say nothing of what was presented.
    SealsLackEvidence,
    /// Seals that name the generation before the live one.
    SealsNameTheDead,
    /// A seal is put, and reported as an unknown outcome.
    SealsAreDoubted,
    /// A query that takes a little longer is taken to have failed.
    SlowIsFailed,
    /// Not the store's: whoever puts a generation where one was lost finds that those after it descend from it.
    GapsAreBridged,
    /// Items are deleted while tokens need them: at a tenth of a token's time.
    ExpiresEarly,
    /// Not the store's: the function forgives at all times.
    AmnestyIsEndless,
    /// Nor this: the function never forgives.
    AmnestyIsForgotten,
}

impl Broken {
    /// Whether it can show in a schedule, as far as anybody can tell before it is played.
    pub fn shows_in(self, schedule: &Schedule) -> bool {
        let loses_some = |step: &Step| matches!(step.does, Does::Lose(loss) if !loss.is_total());
        self != Self::GapsAreBridged || schedule.steps.iter().any(loses_some)
    }
}

/// A store that may break an obligation.
#[derive(Clone, Debug)]
pub struct Mutant<S> {
    store: S,
    broken: Broken,
    seen: Arc<Mutex<HashMap<String, Vec<Item>>>>,
}

impl<S> Mutant<S> {
    pub fn new(store: S, broken: Broken) -> Self {
        Self { store, broken, seen: Arc::default() }
    }
}

impl<S> Mutant<S> {
    /// A generation, as if it descended from what was put before it where another had been lost.
    fn bridged(&self, mut item: Item) -> Item {
        let number = item.key.sk.strip_prefix(keys::GENERATION_PREFIX).and_then(|digits| digits.parse::<u32>().ok());
        let before = number.and_then(|number| number.checked_sub(1)).map(keys::generation).unwrap_or_default();
        let seen = self.seen.lock().unwrap();
        if let Some([_, .., last]) = seen.get(&before).map(Vec::as_slice) {
            item.attributes.insert("parent".to_owned(), last.attributes["gid"].clone());
        }
        item
    }
}

impl<S: Store> Store for Mutant<S> {
    async fn put_if_absent(&self, item: &Item, meter: &Meter) -> Result<Put, StoreError> {
        let item = &altered(item, self.broken);
        let sk = item.key.sk.as_str();
        match self.broken {
            Broken::PutsReplace => return self.store.replace(item, meter).await.map(|()| Put::Stored),
            Broken::SealsAreForgotten if sk == keys::SEAL => return Ok(Put::Stored),
            Broken::NotesAreForgotten if sk.starts_with(keys::REISSUE_PREFIX) => return Ok(Put::Stored),
            _ => {}
        }
        match (self.broken, self.store.put_if_absent(item, meter).await) {
            (Broken::EveryPutWins, Ok(_)) | (Broken::UnknownPutsCount, Err(_)) => Ok(Put::Stored),
            (Broken::LostPutsGetTheirOwn, Ok(Put::Standing(_))) => Ok(Put::Standing(item.clone())),
            (Broken::WindowsSlide, Ok(Put::Standing(mut standing))) => {
                if let Some(now) = item.attributes.get("minted_at") {
                    standing.attributes.insert("minted_at".to_owned(), now.clone());
                }
                Ok(Put::Standing(standing))
            }
            (Broken::SealsAreDoubted, Ok(_)) if sk == keys::SEAL => Err(StoreError::TimedOut("doubted".to_owned())),
            (Broken::RotationsAreNoted, Ok(outcome @ Put::Stored))
            | (Broken::LostPutsAreNoted, Ok(outcome @ Put::Standing(_)))
                if sk.starts_with(keys::GENERATION_PREFIX) =>
            {
                self.store.put_if_absent(&note_of(item), meter).await.map(|_| outcome)
            }
            (Broken::GapsAreBridged, Ok(Put::Stored)) => {
                self.seen.lock().unwrap().entry(sk.to_owned()).or_default().push(item.clone());
                Ok(Put::Stored)
            }
            (_, outcome) => outcome,
        }
    }

    async fn charge(&self, bucket: &Key, charge: Charge, expires: i64, meter: &Meter) -> Result<Charged, StoreError> {
        self.store.charge(bucket, charge, expires, meter).await
    }

    async fn query(&self, query: &Query, meter: &Meter) -> Result<Vec<Item>, StoreError> {
        let begun = Instant::now();
        let found = self.store.query(query, meter).await;
        match self.broken {
            Broken::QueriesAreStale => {
                let found = found?;
                let before = self.seen.lock().unwrap().insert(format!("{query:?}"), found.clone());
                Ok(before.unwrap_or(found))
            }
            Broken::SealsAreUnseen => found.map(|mut items| {
                items.retain(|item| item.key.sk != keys::SEAL);
                items
            }),
            Broken::GapsAreBridged => found.map(|items| items.into_iter().map(|item| self.bridged(item)).collect()),
            Broken::QueriesMissTheNewest => found.map(|items| items.into_iter().skip(1).collect()),
            Broken::SlowIsFailed if begun.elapsed() > Duration::from_millis(300) => {
                Err(StoreError::TimedOut("impatient".to_owned()))
            }
            Broken::FailedQueriesFindNothing => Ok(found.unwrap_or_default()),
            _ => found,
        }
    }

    async fn get(&self, key: &Key, consistent: bool, meter: &Meter) -> Result<Option<Item>, StoreError> {
        self.store.get(key, consistent, meter).await
    }

    async fn open(&self, checks: Checks<'_>, items: &[Item], meter: &Meter) -> Result<Opened, StoreError> {
        self.store.open(checks, items, meter).await
    }

    async fn replace_if(&self, read: Option<&Item>, item: &Item, meter: &Meter) -> Result<Replaced, StoreError> {
        self.store.replace_if(read, item, meter).await
    }
}

fn altered(item: &Item, broken: Broken) -> Item {
    let mut item = item.clone();
    let (is_generation, is_seal) = (item.key.sk.starts_with(keys::GENERATION_PREFIX), item.key.sk == keys::SEAL);
    let is_note = item.key.sk.starts_with(keys::REISSUE_PREFIX);
    let mut later = |name: &str, by: i64| {
        if let Some(Value::N(number)) = item.attributes.get_mut(name) {
            *number += by;
        }
    };
    match broken {
        Broken::PutsAreStampedLate => {
            later("minted_at", 9_000);
            later("sealed_at", 9_000);
        }
        Broken::TokensLiveTooLong => {
            later("token_expires_at", 365 * 86_400);
            later("expires_at", 365 * 86_400);
        }
        Broken::ItemsAreShortLived => later("expires_at", -7_200),
        Broken::SealsNameTheDead => later("live_generation", -1),
        Broken::PutsNameAnother if is_generation => {
            item.attributes.insert("user_agent".to_owned(), Value::S("another".to_owned()));
        }
        Broken::NotesAreBlank if is_note => {
            item.attributes.remove("user_agent");
        }
        Broken::SealsLackEvidence if is_seal => {
            item.attributes.remove("presented_generation");
        }
        _ => {}
    }
    item
}

/// The note of a replay by the client of this generation.
fn note_of(generation: &Item) -> Item {
    let text = |name: &str| match generation.attributes.get(name) {
        Some(Value::S(text)) => text.clone(),
        _ => String::new(),
    };
    let client = Client::new(text("ip").parse().ok(), &text("user_agent"));
    let number = generation.key.sk.trim_start_matches(keys::GENERATION_PREFIX).parse().unwrap();
    let key = Key { pk: generation.key.pk.clone(), sk: keys::reissue(number, &client_hash(&client)) };
    let mut note = Item { key, attributes: generation.attributes.clone() };
    if let Some(minted_at) = note.attributes.get("minted_at").cloned() {
        note.attributes.insert("reissued_at".to_owned(), minted_at);
    }
    note
}
