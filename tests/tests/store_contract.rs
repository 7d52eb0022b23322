//! The numbered obligations of `shared/src/store/mod.rs`, as tests that any store can be given.
//!
//! Every function of the modules below is one test, generic over the store. A store is added by implementing [`Stores`]
//! for what starts it and naming it in one `contract_suite!`. Nothing here supposes an empty table: every test works on
//! keys that no other has.
//!
//! `cargo test` holds it against the embedded DynamoDB; `make test-stores` against others as well.

use std::future::Future;
use std::sync::Arc;

use rondo_shared::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Generation, Opening, SessionEntry, UserProfile};
use rondo_shared::store::{Item, Key, Meter, Put, Query, Store};
use rondo_tests::dynamo::{TABLE, plain_http};
use rondo_tests::{Faults, LocalDynamo, T0, secs};
use serde_json::json;
use tokio::sync::Barrier;

mod store_contract {
    pub mod charges;
    pub mod expiry;
    pub mod failures;
    pub mod metering;
    pub mod opening;
    #[cfg(feature = "other-stores")]
    pub mod others;
    pub mod puts;
    pub mod reads;
    pub mod values;
}

/// One table behind any number of clients.
pub trait Stores {
    /// What the contract binds.
    type Store: Store + Clone + 'static;
    /// Where it is known not to be as the service is.
    const DIFFERENCES: &'static [Difference] = &[];
    /// Starts it, or finds it started.
    fn start() -> impl Future<Output = Self>;
    /// A client of its own.
    fn store(&self) -> Self::Store;
    /// A client whose calls meet faults on their way.
    fn store_with_faults(&self) -> (Faults, Self::Store) {
        self.store_with_faults_on(TABLE)
    }
    /// The same of another table, which need not stand.
    fn store_with_faults_on(&self, table: &str) -> (Faults, Self::Store);
    /// Makes a table with other keys beside the one that is meant, and tells its name.
    fn with_other_keys(&self) -> impl Future<Output = &'static str>;
}

/// An obligation that a store is known not to keep, where the service does.
pub struct Difference {
    /// The test that shows it.
    pub test: &'static str,
    /// What the test's failure says.
    pub shows: &'static str,
    /// What the store does instead.
    pub why: &'static str,
}

impl Stores for LocalDynamo {
    type Store = DynamoStore;

    async fn start() -> Self {
        LocalDynamo::start().await
    }

    fn store(&self) -> DynamoStore {
        self.store(plain_http())
    }

    fn store_with_faults_on(&self, table: &str) -> (Faults, DynamoStore) {
        let faults = Faults::default();
        let store = DynamoStore::over(faults.http(), self.url(), table);
        (faults, store)
    }

    async fn with_other_keys(&self) -> &'static str {
        self.with_other_keys().await
    }
}

macro_rules! tests_on {
    ($stores:ty, $($module:ident: $($obligation:ident),+ $(,)?;)+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $obligation() {
            crate::hold::<$stores>(stringify!($obligation), async {
                let stores = <$stores as Stores>::start().await;
                crate::store_contract::$module::$obligation(&stores).await;
            })
            .await;
        }
    )+)+};
}

macro_rules! contract_suite {
    ($name:ident, $stores:ty) => {
        mod $name {
            use super::*;

            tests_on! { $stores,
                puts:
                    of_64_racing_puts_one_is_stored_and_all_others_are_handed_it_whole,
                    a_lost_put_hands_back_the_whole_item_and_changes_nothing,
                    an_item_stands_in_the_way_of_its_own_key_only,
                    a_replacement_takes_the_place_of_the_whole_item,
                    an_item_that_was_changed_since_it_was_read_is_not_replaced;
                reads:
                    a_read_begun_after_a_put_was_acknowledged_sees_it,
                    a_read_begun_after_any_other_write_was_acknowledged_sees_it,
                    items_come_in_the_byte_order_of_their_sort_keys_bounds_included,
                    no_more_items_come_than_the_limit_and_from_the_end_asked_for,
                    the_least_key_after_an_item_leaves_that_item_out,
                    a_collection_ends_where_its_partition_key_ends,
                    a_page_of_500_items_of_one_kilobyte_comes_whole,
                    where_nothing_stands_reads_find_nothing;
                charges:
                    an_idle_charge_holds_up_to_the_moment_at_which_the_bucket_is_full,
                    a_busy_charge_holds_from_after_now_to_the_last_conforming_arrival,
                    a_broken_bucket_is_mended_only_where_it_stands_as_it_was_found,
                    of_64_racing_charges_that_mend_a_bucket_one_is_applied,
                    a_lost_charge_tells_what_stood_and_changes_nothing,
                    racing_charges_are_all_counted,
                    racing_charges_stop_at_the_last_conforming_arrival,
                    of_64_racing_idle_charges_one_is_applied;
                opening:
                    a_session_opens_for_an_active_user_only,
                    a_session_opens_in_a_project_that_is_active_or_has_no_item,
                    nothing_is_opened_where_an_item_stands_already,
                    of_64_racing_opens_of_one_family_one_is_stored,
                    a_suspension_that_races_opens_leaves_no_session_behind_it,
                    a_projects_removal_that_races_opens_leaves_no_session_behind_it;
                failures:
                    a_store_that_cannot_be_reached_is_unavailable,
                    throttling_is_told_from_an_outage,
                    a_conflict_with_a_transaction_is_contention,
                    a_transaction_cancelled_for_another_reason_is_an_error_of_that_kind,
                    a_table_that_is_not_there_or_has_other_keys_is_told_from_what_passes,
                    a_write_that_was_applied_without_an_answer_is_an_error,
                    a_call_that_is_not_answered_in_time_is_an_error,
                    a_call_ends_when_its_meters_time_is_up_and_none_is_sent_afterwards,
                    a_put_whose_first_answer_is_lost_finds_itself_standing,
                    a_charge_whose_first_answer_is_lost_is_never_uncounted,
                    an_open_whose_first_answer_is_lost_is_stored,
                    a_write_that_lands_after_it_was_given_up_is_held_by_its_condition;
                expiry:
                    an_item_past_its_expiry_stands_until_it_is_gone,
                    a_charge_is_decided_by_its_arrival_time_and_not_by_its_expiry;
                metering:
                    a_write_costs_one_unit_whether_its_condition_holds_or_not,
                    a_strongly_consistent_read_costs_one_unit_and_any_other_half,
                    an_opened_session_costs_six_units,
                    a_session_opened_under_a_second_check_costs_two_units_more,
                    the_attempts_of_one_call_count_as_one,
                    a_call_that_fails_is_counted_too,
                    racing_calls_on_one_meter_are_all_counted,
                    the_widest_items_of_a_family_cost_one_unit,
                    our_count_of_an_items_bytes_is_the_stores;
                values:
                    text_comes_back_as_it_was_written_all_of_unicode,
                    empty_text_and_the_greatest_numbers_come_back,
                    documents_come_back_as_they_were_written,
                    keys_may_hold_any_text;
            }
        }
    };
}

contract_suite!(embedded_dynamodb, LocalDynamo);
#[cfg(feature = "other-stores")]
contract_suite!(ministack, store_contract::others::Ministack);
#[cfg(feature = "other-stores")]
contract_suite!(dynamodb_local, store_contract::others::DynamoDbLocal);

/// Runs a test. Where its store is known to differ the test must fail, and say just that: a difference that is mended, or
/// another one, is a failure.
async fn hold<S: Stores>(test: &str, run: impl Future<Output = ()> + Send + 'static) {
    let Some(known) = S::DIFFERENCES.iter().find(|difference| difference.test == test) else { return run.await };
    let failed = tokio::spawn(run).await.expect_err("take this difference from the table: it is mended");
    let said = failed.into_panic();
    let said = said.downcast_ref::<String>().map(String::as_str).or(said.downcast_ref::<&str>().copied());
    assert!(said.is_some_and(|said| said.contains(known.shows)), "{}: fails otherwise: {said:?}", known.why);
}

/// Runs `call` so many times at once, each with its number, all begun at the same instant.
pub async fn race<T, F>(racers: usize, call: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(racers));
    let begin = |racer| {
        let (start, call) = (start.clone(), call(racer));
        tokio::spawn(async move {
            start.wait().await;
            call.await
        })
    };
    let racers: Vec<_> = (0..racers).map(begin).collect();
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.unwrap());
    }
    outcomes
}

/// A family that no other test has.
pub fn fresh_family() -> FamilyId {
    FamilyId::new(Moment::read().unwrap().request_id)
}

/// A key that no other test has.
pub fn fresh_key() -> Key {
    Key { pk: format!("CONTRACT#{}", fresh_family()), sk: "ITEM".to_owned() }
}

/// Where all of these tests' families and users live.
pub fn tenant() -> Tenant {
    Tenant::new("contract").unwrap()
}

/// A user that no other test has.
pub fn fresh_subject() -> Subject {
    Subject::new(fresh_family().to_string()).unwrap()
}

/// An item of many attributes, all of which say whose it is.
pub fn item_of(owner: usize, key: &Key) -> Item {
    let number = i64::try_from(owner).unwrap();
    Item::at(key.clone())
        .text("owner", format!("racer {owner}"))
        .text("padding", owner.to_string().repeat(40))
        .text("empty", String::new())
        .number("number", number)
        .number("negative", -number)
        .json("document", json!({"owners": [number], "flags": {"racing": true, "nothing": null}}))
}

/// The item at `key`, strongly consistent.
pub async fn standing<S: Store>(store: &S, key: &Key) -> Option<Item> {
    store.get(key, true, &Meter::default()).await.unwrap()
}

/// Puts an item that must be stored.
pub async fn put<S: Store>(store: &S, item: &Item) {
    assert_eq!(store.put_if_absent(item, &Meter::default()).await.unwrap(), Put::Stored);
}

/// All of a collection, oldest first.
pub fn all_of(pk: &str) -> Query {
    Query { pk: pk.to_owned(), from: " ".to_owned(), to: "~".to_owned(), newest_first: false, limit: 500 }
}

/// What stands between a query's bounds.
pub async fn found<S: Store>(store: &S, query: &Query) -> Vec<Item> {
    store.query(query, &Meter::default()).await.unwrap()
}

/// A user as the directory has one.
pub fn profile(subject: &Subject, status: AccountStatus) -> Item {
    UserProfile { status, name: None, email: None }.to_item(&tenant(), subject)
}

/// Puts a user into the directory.
pub async fn put_user<S: Store>(store: &S, subject: &Subject, status: AccountStatus) {
    store.replace(&profile(subject, status), &Meter::default()).await.unwrap();
}

/// Where a user's profile stands.
pub fn profile_key(subject: &Subject) -> Key {
    UserProfile::key(&tenant(), subject)
}

/// Generation 0 and the session entry of a family that `moment` opens.
pub fn session_items(subject: &Subject, family: FamilyId, moment: &Moment) -> [Item; 2] {
    let ends: Timestamp = secs(90 * 86_400);
    let first = Generation {
        number: 0,
        gid: moment.gid.clone(),
        parent: None,
        attempt: moment.attempt.clone(),
        minted_at: T0,
        token_expires_at: ends,
        client: Client::new(Some("192.0.2.1".parse().unwrap()), "browser"),
        request_id: moment.request_id.to_string(),
        opening: Some(Opening {
            subject: subject.clone(),
            org: Some(OrgKey::new("acme").unwrap()),
            session_expires_at: ends,
            label: Some("laptop".to_owned()),
        }),
    };
    let entry = SessionEntry { family, opened_at: T0, session_expires_at: ends, label: Some("laptop".to_owned()) };
    [first.to_item(&tenant(), family, ends.secs()), entry.to_item(&tenant(), subject, ends.secs())]
}
