//! Obligation 10: expiry decides nothing. Items past their `expires_at` may be returned, or be gone, at any time; while
//! one stands, it stands like any other.

use rondo_shared::store::item::{EXPIRES_AT, TAT};
use rondo_shared::store::{Charge, Charged, Item, Meter, Put, Store as _};
use rondo_tests::{T0, secs};

use crate::{Stores, all_of, found, fresh_key, item_of, put, standing};

/// Long past whatever the store's clock says, and within the five years in which DynamoDB deletes at all.
const LONG_PAST: i64 = 1_700_000_000;

pub async fn an_item_past_its_expiry_stands_until_it_is_gone(stores: &impl Stores) {
    let (store, key) = (stores.store(), fresh_key());
    let expired = item_of(1, &key).number(EXPIRES_AT, LONG_PAST);
    put(&store, &expired).await;

    let queried = found(&store, &all_of(&key.pk)).await;
    assert!(queried.is_empty() || queried == [expired.clone()]);
    let got = standing(&store, &key).await;
    assert!(got.is_none() || got == Some(expired.clone()));

    let second = item_of(2, &key).number(EXPIRES_AT, LONG_PAST);
    match store.put_if_absent(&second, &Meter::default()).await.unwrap() {
        Put::Standing(item) => assert_eq!(item, expired),
        Put::Stored => assert!(standing(&store, &key).await.is_none_or(|item| item == second)),
    }
}

pub async fn a_charge_is_decided_by_its_arrival_time_and_not_by_its_expiry(stores: &impl Stores) {
    let store = stores.store();
    let bucket = Item::at(fresh_key()).number(TAT, secs(5).millis()).number(EXPIRES_AT, LONG_PAST);
    put(&store, &bucket).await;
    let idle = Charge::Idle { now: T0, to: secs(1) };
    match store.charge(&bucket.key, idle, T0.secs(), &Meter::default()).await.unwrap() {
        Charged::Failed { tat } => assert_eq!(tat, Some(secs(5))),
        Charged::Applied { tat } => assert_eq!(tat, secs(1), "the bucket was gone, and a new one is as charged"),
    }
}
