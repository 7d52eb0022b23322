//! Other stores than the embedded one, which `tests/stores/run.py` starts and names in the environment.

use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::table::TableDefinition;
use rondo_shared::store::{Charge, Checks, Meter, Query, Store as _};
use rondo_tests::dynamo::{TABLE, create_table, plain_http, with_other_keys};
use rondo_tests::{Faults, T0};
use tokio::sync::OnceCell;

use crate::{Difference, Stores, fresh_key, item_of};

/// ministack: an independent implementation, in Python.
pub struct Ministack(String);

/// Amazon's DynamoDB Local: the closest to the service of what runs without it.
pub struct DynamoDbLocal(String);

/// The service charges each item of a transaction, the checked one too; the two other stores report that.
const CHECKS_ARE_FREE: &str = "DynamoDB Local does not charge the condition check of a transaction";

impl Stores for Ministack {
    type Store = DynamoStore;

    async fn start() -> Self {
        static TABLE_MADE: OnceCell<()> = OnceCell::const_new();
        Self(with_table("RONDO_MINISTACK_URL", &TABLE_MADE).await)
    }

    fn store(&self) -> DynamoStore {
        DynamoStore::over_unhurried(plain_http(), &self.0, TABLE)
    }

    fn store_with_faults_on(&self, table: &str) -> (Faults, DynamoStore) {
        with_faults(&self.0, table)
    }

    async fn with_other_keys(&self) -> &'static str {
        with_other_keys(&self.0).await
    }
}

impl Stores for DynamoDbLocal {
    type Store = DynamoStore;
    const DIFFERENCES: &'static [Difference] = &[
        Difference { test: "an_opened_session_costs_six_units", shows: "write_units: 4.0", why: CHECKS_ARE_FREE },
        Difference {
            test: "a_session_opened_under_a_second_check_costs_two_units_more",
            shows: "write_units: 4.0",
            why: CHECKS_ARE_FREE,
        },
        Difference {
            test: "the_widest_items_of_a_family_cost_one_unit",
            shows: "write_units: 4.0",
            why: CHECKS_ARE_FREE,
        },
    ];

    async fn start() -> Self {
        static TABLE_MADE: OnceCell<()> = OnceCell::const_new();
        Self(with_table("RONDO_DYNAMODB_LOCAL_URL", &TABLE_MADE).await)
    }

    fn store(&self) -> DynamoStore {
        DynamoStore::over_unhurried(plain_http(), &self.0, TABLE)
    }

    fn store_with_faults_on(&self, table: &str) -> (Faults, DynamoStore) {
        with_faults(&self.0, table)
    }

    async fn with_other_keys(&self) -> &'static str {
        with_other_keys(&self.0).await
    }
}

/// The store's address; one test of the process creates the table there.
#[expect(clippy::disallowed_methods, reason = "how tests/stores/run.py says where the stores are")]
async fn with_table(variable: &str, made: &OnceCell<()>) -> String {
    let url = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run `make test-stores`"));
    made.get_or_init(|| async {
        create_table(&url, TABLE, &TableDefinition::from_template().unwrap()).await;
        ask_once(&DynamoStore::over_unhurried(plain_http(), &url, TABLE)).await;
    })
    .await;
    url
}

/// Every operation once: what it takes a store to load at its first is not taken from a test's time-outs.
async fn ask_once(store: &DynamoStore) {
    let (meter, key, bucket) = (Meter::default(), fresh_key(), fresh_key());
    let (item, other) = (item_of(0, &key), item_of(1, &fresh_key()));
    store.put_if_absent(&item, &meter).await.unwrap();
    store.replace_if(Some(&item), &item, &meter).await.unwrap();
    store.charge(&bucket, Charge::Idle { now: T0, to: T0 }, T0.secs(), &meter).await.unwrap();
    let all = Query { pk: key.pk.clone(), from: "A".to_owned(), to: "Z".to_owned(), newest_first: true, limit: 1 };
    store.query(&all, &meter).await.unwrap();
    store.get(&key, true, &meter).await.unwrap();
    store.open(Checks::active(&key), &[other], &meter).await.unwrap();
}

fn with_faults(url: &str, table: &str) -> (Faults, DynamoStore) {
    let faults = Faults::default();
    let store = DynamoStore::over(faults.http(), url, table);
    (faults, store)
}
