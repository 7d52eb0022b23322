//! Obligations 3 and 6, for rate buckets: the three forms at their boundaries, and that charges do not get lost.

use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::{EXPIRES_AT, TAT};
use rondo_shared::store::{Charge, Charged, Item, Key, Meter, Store, Value};
use rondo_tests::T0;

use crate::{Stores, fresh_key, put, race, standing};

/// So many milliseconds after T0, or before.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(T0.millis() + millis)
}

fn bucket_at(tat: i64) -> Item {
    Item::at(fresh_key()).number(TAT, at(tat).millis()).number(EXPIRES_AT, 1)
}

async fn charge<S: Store>(store: &S, bucket: &Key, charge: Charge) -> Charged {
    store.charge(bucket, charge, EXPIRY, &Meter::default()).await.unwrap()
}

/// The expiry that every charge here sets.
const EXPIRY: i64 = 4_000_000_000;

async fn assert_stands<S: Store>(store: &S, bucket: &Key, tat: Timestamp) {
    let expected = Item::at(bucket.clone()).number(TAT, tat.millis()).number(EXPIRES_AT, EXPIRY);
    assert!(standing(store, bucket).await == Some(expected), "arrival time and expiry are not as charged");
}

pub async fn an_idle_charge_holds_up_to_the_moment_at_which_the_bucket_is_full(stores: &impl Stores) {
    let store = stores.store();
    let idle = Charge::Idle { now: at(0), to: at(100) };

    let new = fresh_key();
    assert_eq!(charge(&store, &new, idle).await, Charged::Applied { tat: at(100) });
    assert_stands(&store, &new, at(100)).await;

    for (tat, applied) in [(-1_000_000, true), (-1, true), (0, true), (1, false), (1_000_000, false)] {
        let bucket = bucket_at(tat);
        put(&store, &bucket).await;
        let outcome = charge(&store, &bucket.key, idle).await;
        if applied {
            assert_eq!(outcome, Charged::Applied { tat: at(100) }, "tat = now {tat:+}");
            assert_stands(&store, &bucket.key, at(100)).await;
        } else {
            assert_eq!(outcome, Charged::Failed { tat: Some(at(tat)) }, "tat = now {tat:+}");
            assert_eq!(standing(&store, &bucket.key).await, Some(bucket), "tat = now {tat:+}");
        }
    }
}

pub async fn a_busy_charge_holds_from_after_now_to_the_last_conforming_arrival(stores: &impl Stores) {
    let store = stores.store();
    let busy = Charge::Busy { now: at(0), up_to: at(400), by_millis: 100 };
    let cases = [(-1, false), (0, false), (1, true), (2, true), (399, true), (400, true), (401, false)];
    for (tat, applied) in cases {
        let bucket = bucket_at(tat);
        put(&store, &bucket).await;
        let outcome = charge(&store, &bucket.key, busy).await;
        if applied {
            assert_eq!(outcome, Charged::Applied { tat: at(tat + 100) }, "tat = now {tat:+}");
            assert_stands(&store, &bucket.key, at(tat + 100)).await;
        } else {
            assert_eq!(outcome, Charged::Failed { tat: Some(at(tat)) }, "tat = now {tat:+}");
            assert_eq!(standing(&store, &bucket.key).await, Some(bucket), "tat = now {tat:+}");
        }
    }
}

pub async fn a_broken_bucket_is_mended_only_where_it_stands_as_it_was_found(stores: &impl Stores) {
    let (store, day) = (stores.store(), 86_400_000);
    let broken = Charge::Broken { stood: at(day), to: at(100) };
    for (tat, applied) in [(day - 1, false), (day, true), (day + 1, false), (0, false)] {
        let bucket = bucket_at(tat);
        put(&store, &bucket).await;
        let outcome = charge(&store, &bucket.key, broken).await;
        if applied {
            assert_eq!(outcome, Charged::Applied { tat: at(100) });
            assert_stands(&store, &bucket.key, at(100)).await;
        } else {
            assert_eq!(outcome, Charged::Failed { tat: Some(at(tat)) }, "tat = now {tat:+}");
            assert_eq!(standing(&store, &bucket.key).await, Some(bucket), "tat = now {tat:+}");
        }
    }
    let absent = fresh_key();
    assert_eq!(charge(&store, &absent, broken).await, Charged::Failed { tat: None });
    assert_eq!(standing(&store, &absent).await, None, "a lost charge made a bucket");
}

pub async fn of_64_racing_charges_that_mend_a_bucket_one_is_applied(stores: &impl Stores) {
    let store = stores.store();
    let bucket = bucket_at(86_400_000);
    put(&store, &bucket).await;
    let outcomes = race(64, |_| {
        let (store, key) = (store.clone(), bucket.key.clone());
        let broken = Charge::Broken { stood: at(86_400_000), to: at(100) };
        async move { charge(&store, &key, broken).await }
    })
    .await;
    let lost = outcomes.iter().filter(|outcome| **outcome == Charged::Failed { tat: Some(at(100)) });
    assert_eq!((lost.count(), outcomes.contains(&Charged::Applied { tat: at(100) })), (63, true));
    assert_stands(&store, &bucket.key, at(100)).await;
}

pub async fn a_lost_charge_tells_what_stood_and_changes_nothing(stores: &impl Stores) {
    let (store, absent) = (stores.store(), fresh_key());
    let busy = Charge::Busy { now: at(0), up_to: at(400), by_millis: 100 };
    assert_eq!(charge(&store, &absent, busy).await, Charged::Failed { tat: None });
    assert_eq!(standing(&store, &absent).await, None, "a lost charge made a bucket");

    let full = bucket_at(500);
    put(&store, &full).await;
    for lost in [busy, Charge::Idle { now: at(0), to: at(100) }] {
        assert_eq!(charge(&store, &full.key, lost).await, Charged::Failed { tat: Some(at(500)) });
        let stands = standing(&store, &full.key).await.unwrap();
        assert!(stands.attributes[EXPIRES_AT] == Value::N(1), "a lost charge moved the expiry");
        assert_eq!(stands, full);
    }
}

pub async fn racing_charges_are_all_counted(stores: &impl Stores) {
    let store = stores.store();
    for _ in 0..5 {
        let bucket = fresh_key();
        charge(&store, &bucket, Charge::Idle { now: at(0), to: at(7) }).await;
        let outcomes = race(64, |_| {
            let (store, bucket) = (store.clone(), bucket.clone());
            let busy = Charge::Busy { now: at(0), up_to: at(1_000_000), by_millis: 7 };
            async move { charge(&store, &bucket, busy).await }
        })
        .await;
        // Each saw another arrival time: the sums of 2 to 65 charges.
        let mut seen: Vec<_> = outcomes.into_iter().map(applied).collect();
        seen.sort();
        assert_eq!(seen, (2..=65).map(|charges| at(7 * charges)).collect::<Vec<_>>());
        assert_stands(&store, &bucket, at(7 * 65)).await;
    }
}

pub async fn racing_charges_stop_at_the_last_conforming_arrival(stores: &impl Stores) {
    let store = stores.store();
    for _ in 0..5 {
        let bucket = fresh_key();
        charge(&store, &bucket, Charge::Idle { now: at(0), to: at(100) }).await;
        let outcomes = race(64, |_| {
            let (store, bucket) = (store.clone(), bucket.clone());
            let busy = Charge::Busy { now: at(0), up_to: at(900), by_millis: 100 };
            async move { charge(&store, &bucket, busy).await }
        })
        .await;
        let (let_in, refused): (Vec<_>, Vec<_>) =
            outcomes.into_iter().partition(|outcome| matches!(outcome, Charged::Applied { .. }));
        assert_eq!(let_in.len(), 9, "a burst of ten, of which one was charged before");
        assert_eq!(refused, [Charged::Failed { tat: Some(at(1_000)) }; 55]);
        assert_stands(&store, &bucket, at(1_000)).await;
    }
}

pub async fn of_64_racing_idle_charges_one_is_applied(stores: &impl Stores) {
    let store = stores.store();
    for fresh in [true, false] {
        let bucket = bucket_at(0);
        if !fresh {
            put(&store, &bucket).await;
        }
        let outcomes = race(64, |racer| {
            let (store, bucket) = (store.clone(), bucket.key.clone());
            let to = at(100 + i64::try_from(racer).unwrap());
            async move { charge(&store, &bucket, Charge::Idle { now: at(0), to }).await }
        })
        .await;
        let won: Vec<_> = outcomes.iter().filter(|outcome| matches!(outcome, Charged::Applied { .. })).collect();
        assert_eq!(won.len(), 1);
        let tat = applied(*won[0]);
        let lost = outcomes.iter().filter(|outcome| matches!(outcome, Charged::Failed { .. }));
        assert!(lost.into_iter().all(|outcome| *outcome == Charged::Failed { tat: Some(tat) }));
        assert_stands(&store, &bucket.key, tat).await;
    }
}

#[track_caller]
fn applied(outcome: Charged) -> Timestamp {
    match outcome {
        Charged::Applied { tat } => tat,
        Charged::Failed { tat } => panic!("the charge failed at {tat:?}"),
    }
}
