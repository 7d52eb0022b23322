//! Stores that break an obligation, so that it can be shown that the checker would have told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rondo_shared::store::{
    Charge, Charged, Checks, Item, Key, Meter, Opened, Put, Query, Replaced, Store, StoreError, keys,
};

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
    /// Items are deleted while tokens need them: at a tenth of a token's time.
    ExpiresEarly,
    /// Not the store's: the function forgives at all times.
    AmnestyIsEndless,
    /// Nor this: the function never forgives.
    AmnestyIsForgotten,
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

impl<S: Store> Store for Mutant<S> {
    async fn put_if_absent(&self, item: &Item, meter: &Meter) -> Result<Put, StoreError> {
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
            (_, outcome) => outcome,
        }
    }

    async fn charge(&self, bucket: &Key, charge: Charge, expires: i64, meter: &Meter) -> Result<Charged, StoreError> {
        self.store.charge(bucket, charge, expires, meter).await
    }

    async fn query(&self, query: &Query, meter: &Meter) -> Result<Vec<Item>, StoreError> {
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
            Broken::QueriesMissTheNewest => found.map(|items| items.into_iter().skip(1).collect()),
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
