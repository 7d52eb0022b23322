//! Obligations 8, 9 and 12: an unknown outcome is an error, contention and throttling are errors of their own, and a call
//! ends when its meter's time is up.

use std::future::Future;
use std::mem::discriminant;
use std::time::Duration;

use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::{AccountStatus, TAT};
use rondo_shared::store::{Charge, Charged, Checks, Item, Key, Meter, Opened, Put, Store, StoreError, Value};
use rondo_tests::world::moment;
use rondo_tests::{Fault, Faults, Gate, T0, secs};
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

use crate::{
    Stores, all_of, fresh_family, fresh_key, fresh_subject, item_of, profile_key, put, put_user, session_items,
    standing,
};

/// Every operation that the port makes, by the name that faults know it by.
const OPERATIONS: [&str; 6] = ["PutItem", "UpdateItem", "TransactWriteItems", "Query", "GetItem", "replace"];
const CHARGE: Charge = Charge::Idle { now: T0, to: Timestamp::from_millis(T0.millis() + 1_000) };

/// What one operation is made on: a key where nothing stands, and a user who is active.
struct Place {
    key: Key,
    check: Key,
}

impl Place {
    async fn fresh<S: Store>(store: &S) -> Self {
        let subject = fresh_subject();
        put_user(store, &subject, AccountStatus::Active).await;
        Self { key: fresh_key(), check: profile_key(&subject) }
    }

    fn item(&self) -> Item {
        item_of(3, &self.key)
    }

    async fn call<S: Store>(&self, operation: &str, store: &S) -> Result<(), StoreError> {
        self.call_metered(operation, store, &Meter::default()).await
    }

    async fn call_metered<S: Store>(&self, operation: &str, store: &S, meter: &Meter) -> Result<(), StoreError> {
        match operation {
            "PutItem" => store.put_if_absent(&self.item(), meter).await.map(drop),
            "UpdateItem" => store.charge(&self.key, CHARGE, T0.secs(), meter).await.map(drop),
            "TransactWriteItems" => store.open(Checks::active(&self.check), &[self.item()], meter).await.map(drop),
            "Query" => store.query(&all_of(&self.key.pk), meter).await.map(drop),
            "GetItem" => store.get(&self.key, true, meter).await.map(drop),
            "replace" => store.replace(&self.item(), meter).await,
            other => panic!("{other} is no operation"),
        }
    }
}

fn name_on_the_wire(operation: &str) -> &str {
    if operation == "replace" { "PutItem" } else { operation }
}

/// Every attempt of every operation meets `fault`, and the error is of one kind with `expected`.
async fn every_operation_fails_with(stores: &impl Stores, fault: Fault, expected: StoreError) {
    let clean = stores.store();
    for operation in OPERATIONS {
        let (faults, store) = stores.store_with_faults();
        let place = Place::fresh(&clean).await;
        faults.queue_for_all_attempts(name_on_the_wire(operation), &fault);
        let error = place.call(operation, &store).await.expect_err(operation);
        assert_eq!(discriminant(&error), discriminant(&expected), "{operation}: {error}");
        let attempts = faults.take_attempts();
        assert!((1..=3).contains(&attempts.len()), "{operation} was attempted {} times", attempts.len());
        assert_eq!(standing(&clean, &place.key).await, None, "{operation} was applied though it never arrived");
    }
}

pub async fn a_store_that_cannot_be_reached_is_unavailable(stores: &impl Stores) {
    every_operation_fails_with(stores, Fault::Refused, StoreError::Unavailable(String::new())).await;
}

pub async fn throttling_is_told_from_an_outage(stores: &impl Stores) {
    every_operation_fails_with(stores, Fault::Throttled, StoreError::Throttled(String::new())).await;
}

pub async fn a_conflict_with_a_transaction_is_contention(stores: &impl Stores) {
    every_operation_fails_with(stores, Fault::TransactionConflict, StoreError::Contended(String::new())).await;
}

pub async fn a_write_that_was_applied_without_an_answer_is_an_error(stores: &impl Stores) {
    let clean = stores.store();
    for fault in [Fault::AppliedThenInternalError, Fault::AppliedThenDropped] {
        for operation in ["PutItem", "UpdateItem", "TransactWriteItems", "replace"] {
            let (faults, store) = stores.store_with_faults();
            let place = Place::fresh(&clean).await;
            faults.queue_for_all_attempts(name_on_the_wire(operation), &fault);
            let error = place.call(operation, &store).await.expect_err(operation);
            assert!(matches!(error, StoreError::Unavailable(_)), "{operation}, {fault:?}: {error}");
            assert!(faults.all_happened(), "{operation} was not retried after {fault:?}");
            assert!(standing(&clean, &place.key).await.is_some(), "{operation} was applied");
        }
    }
}

/// The one test that waits for time-outs: all operations at once.
pub async fn a_call_that_is_not_answered_in_time_is_an_error(stores: &impl Stores) {
    let (clean, faults_of) = (stores.store(), |operation: &'static str| (operation, stores.store_with_faults()));
    let waits = OPERATIONS.map(faults_of).map(|(operation, (faults, store))| {
        let clean = clean.clone();
        tokio::spawn(async move {
            faults.queue_for_all_attempts(name_on_the_wire(operation), &Fault::AppliedThenHung);
            let place = Place::fresh(&clean).await;
            let error = place.call(operation, &store).await.expect_err(operation);
            assert!(matches!(error, StoreError::TimedOut(_)), "{operation}: {error}");
            let is_write = !matches!(operation, "Query" | "GetItem");
            assert_eq!(standing(&clean, &place.key).await.is_some(), is_write, "{operation}");
        })
    });
    for wait in waits {
        wait.await.unwrap();
    }
}

/// By a clock that runs ahead only while everybody waits for it, so that no machine is too slow for this.
pub async fn a_call_ends_when_its_meters_time_is_up_and_none_is_sent_afterwards(stores: &impl Stores) {
    let clean = stores.store();
    for operation in OPERATIONS {
        // The time is shorter than that of one attempt; or there is none left.
        for (time, attempts) in [(Duration::from_millis(20), 1), (Duration::ZERO, 0)] {
            let (faults, store) = stores.store_with_faults();
            let place = Place::fresh(&clean).await;
            faults.queue_for_all_attempts(name_on_the_wire(operation), &Fault::Hung);
            let (error, took) = by_a_paused_clock(async move {
                let meter = Meter::within(time);
                let error = place.call_metered(operation, &store, &meter).await.expect_err(operation);
                (error, meter.elapsed())
            })
            .await;
            assert!(matches!(error, StoreError::TimedOut(_)), "{operation}: {error}");
            assert_eq!(faults.take_attempts().len(), attempts, "{operation} within {time:?}");
            assert!(took <= time + Duration::from_millis(1), "{operation} within {time:?}: {took:?}");
        }
    }
}

/// A runtime of its own, since this clock stands still only where there is one thread.
async fn by_a_paused_clock<T: Send + 'static>(call: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    spawn_blocking(move || runtime.block_on(call)).await.unwrap()
}

pub async fn a_put_whose_first_answer_is_lost_finds_itself_standing(stores: &impl Stores) {
    for fault in [Fault::AppliedThenDropped, Fault::AppliedThenInternalError] {
        let (faults, store) = stores.store_with_faults();
        let item = item_of(5, &fresh_key());
        faults.queue("PutItem", fault);
        let outcome = store.put_if_absent(&item, &Meter::default()).await.unwrap();
        assert_eq!(outcome, Put::Standing(item.clone()), "the retry meets the first attempt's own item");
        assert_eq!(faults.take_attempts(), ["PutItem", "PutItem"]);
        assert_eq!(standing(&store, &item.key).await, Some(item));
    }
}

pub async fn a_charge_whose_first_answer_is_lost_is_never_uncounted(stores: &impl Stores) {
    let (faults, store) = stores.store_with_faults();
    let (bucket, meter) = (fresh_key(), Meter::default());
    faults.queue("UpdateItem", Fault::AppliedThenDropped);
    let idle = Charge::Idle { now: T0, to: secs(1) };
    let outcome = store.charge(&bucket, idle, T0.secs(), &meter).await.unwrap();
    assert_eq!(outcome, Charged::Failed { tat: Some(secs(1)) }, "the retry meets the first attempt's own charge");

    faults.queue("UpdateItem", Fault::AppliedThenDropped);
    let busy = Charge::Busy { now: T0, up_to: secs(100), by_millis: 1_000 };
    let outcome = store.charge(&bucket, busy, T0.secs(), &meter).await.unwrap();
    assert_eq!(outcome, Charged::Applied { tat: secs(3) }, "counted twice, which errs towards refusing");
    let stands = standing(&store, &bucket).await.unwrap();
    assert!(stands.attributes[TAT] == Value::N(secs(3).millis()));
}

pub async fn an_open_whose_first_answer_is_lost_is_stored(stores: &impl Stores) {
    for fault in [Fault::AppliedThenDropped, Fault::AppliedThenInternalError] {
        let (faults, store) = stores.store_with_faults();
        let subject = fresh_subject();
        put_user(&store, &subject, AccountStatus::Active).await;
        let items = session_items(&subject, fresh_family(), &moment(T0));
        faults.queue("TransactWriteItems", fault);
        let outcome = store.open(Checks::active(&profile_key(&subject)), &items, &Meter::default()).await;
        assert_eq!(outcome, Ok(Opened::Stored), "the retry carries the first attempt's token");
        assert!(faults.all_happened());
        for item in &items {
            assert_eq!(standing(&store, &item.key).await.as_ref(), Some(item));
        }
    }
}

pub async fn a_write_that_lands_after_it_was_given_up_is_held_by_its_condition(stores: &impl Stores) {
    let clean = stores.store();
    let late = |faults: &Faults, operation: &str| {
        let gate = Gate::default();
        faults.queue(operation, Fault::AppliedLate(gate.clone()));
        faults.queue(operation, Fault::Refused);
        faults.queue(operation, Fault::Refused);
        gate
    };

    let (faults, store) = stores.store_with_faults();
    let place = Place::fresh(&clean).await;
    let gate = late(&faults, "PutItem");
    let error = place.call("PutItem", &store).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    let others = item_of(9, &place.key);
    put(&clean, &others).await;
    gate.open();
    gate.passed().await;
    assert_eq!(standing(&clean, &place.key).await, Some(others));

    let place = Place::fresh(&clean).await;
    let gate = late(&faults, "TransactWriteItems");
    place.call("TransactWriteItems", &store).await.unwrap_err();
    let suspended = Item::at(place.check.clone()).text("status", AccountStatus::Suspended.as_str().to_owned());
    clean.replace(&suspended, &Meter::default()).await.unwrap();
    gate.open();
    gate.passed().await;
    assert_eq!(standing(&clean, &place.key).await, None, "a session was opened behind a suspension");

    let bucket = fresh_key();
    let gate = late(&faults, "UpdateItem");
    store.charge(&bucket, CHARGE, T0.secs(), &Meter::default()).await.unwrap_err();
    let others = Charge::Idle { now: secs(1), to: secs(50) };
    clean.charge(&bucket, others, T0.secs(), &Meter::default()).await.unwrap();
    gate.open();
    gate.passed().await;
    let stands = standing(&clean, &bucket).await.unwrap();
    assert!(stands.attributes[TAT] == Value::N(secs(50).millis()), "a late charge took a bucket back");
}

/// A transaction that the service cancels for another reason than its conditions is no refusal.
pub async fn a_transaction_cancelled_for_another_reason_is_an_error_of_that_kind(stores: &impl Stores) {
    let clean = stores.store();
    for (reason, expected) in [
        ("TransactionConflict", StoreError::Contended(String::new())),
        ("ThrottlingError", StoreError::Throttled(String::new())),
        ("ProvisionedThroughputExceeded", StoreError::Throttled(String::new())),
        ("ValidationError", StoreError::Misconfigured(String::new())),
    ] {
        let (faults, store) = stores.store_with_faults();
        let place = Place::fresh(&clean).await;
        faults.queue("TransactWriteItems", Fault::TransactionCancelled(reason));
        let error = place.call("TransactWriteItems", &store).await.unwrap_err();
        assert_eq!(discriminant(&error), discriminant(&expected), "{reason}: {error}");
        assert_eq!(standing(&clean, &place.key).await, None);
    }
}

/// Mistakes of ours, as a deployment makes them. A retry does not help, and none is made.
pub async fn a_table_that_is_not_there_or_has_other_keys_is_told_from_what_passes(stores: &impl Stores) {
    for table in ["not-there", stores.with_other_keys().await] {
        let (faults, store) = stores.store_with_faults_on(table);
        let place = Place { key: fresh_key(), check: profile_key(&fresh_subject()) };
        for operation in OPERATIONS {
            let error = place.call(operation, &store).await.expect_err(operation);
            assert!(matches!(error, StoreError::Misconfigured(_)), "{operation} on {table}: {error}");
            assert_eq!(faults.take_attempts(), [name_on_the_wire(operation)], "{operation} on {table}");
        }
    }
}
