//! A DynamoDB in this process, spoken to over HTTP like any other.

use std::net::TcpListener;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use dynoxide::Database;
use rondo_shared::store::StoreError;
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::table::TableDefinition;
use serde_json::{Value, json};

/// The table's name in every test.
pub const TABLE: &str = "rondo";

/// An embedded DynamoDB with the table that the template deploys. It lives on a thread of its own, since its handlers
/// block, and ends with the test's process.
pub struct LocalDynamo {
    url: String,
    database: Database,
}

impl LocalDynamo {
    /// Starts one on a free port of 127.0.0.1, in memory.
    pub async fn start() -> Self {
        let database = Database::memory().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = database.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                dynoxide::server::serve_on(listener, served).await;
            });
        });
        create_table(&url, TABLE, &TableDefinition::from_template().unwrap()).await;
        Self { url, database }
    }

    /// Adds a table of another schema than the store's, and returns its name.
    pub async fn with_other_keys(&self) -> &'static str {
        with_other_keys(&self.url).await
    }

    /// A store on the table, over the given HTTP client.
    pub fn store(&self, http: SharedHttpClient) -> DynamoStore {
        DynamoStore::over(http, &self.url, TABLE)
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every item whose partition key begins with `prefix`, as DynamoDB JSON: what no function may ask.
    pub fn items(&self, prefix: &str) -> Vec<Value> {
        let request = json!({"TableName": TABLE, "ConsistentRead": true});
        let scanned = self.database.scan(serde_json::from_value(request).unwrap()).unwrap();
        let items = serde_json::to_value(scanned).unwrap()["Items"].as_array().unwrap().clone();
        items.into_iter().filter(|item| item["pk"]["S"].as_str().unwrap().starts_with(prefix)).collect()
    }

    /// The sort keys of all items whose partition key begins with `prefix`, in order.
    pub fn sort_keys(&self, prefix: &str) -> Vec<String> {
        let mut keys: Vec<_> =
            self.items(prefix).iter().map(|item| item["sk"]["S"].as_str().unwrap().to_owned()).collect();
        keys.sort();
        keys
    }

    /// Deletes items by hand: what no function may do.
    pub fn delete(&self, items: &[Value]) {
        for item in items {
            let key = json!({"pk": item["pk"], "sk": item["sk"]});
            let request = json!({"TableName": TABLE, "Key": key});
            self.database.delete_item(serde_json::from_value(request).unwrap()).unwrap();
        }
    }

    /// Puts items back by hand, as restoring an older copy does.
    pub fn put(&self, items: &[Value]) {
        for item in items {
            let request = json!({"TableName": TABLE, "Item": item});
            self.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
        }
    }
}

/// Adds a table of another schema than the store's to whatever answers there, and returns its name.
pub async fn with_other_keys(url: &str) -> &'static str {
    const OTHER: &str = "other-keys";
    let mut definition = TableDefinition::from_template().unwrap();
    for (key, attribute) in definition.keys.iter_mut().zip(["hash", "range"]) {
        attribute.clone_into(&mut key.attribute);
    }
    create_table(url, OTHER, &definition).await;
    OTHER
}

/// Creates a table in whatever answers there. A store that has only just started may take longer than a call has, on a slow
/// machine: what it has made by then is no error.
pub async fn create_table(url: &str, table: &str, definition: &TableDefinition) {
    let store = DynamoStore::over(plain_http(), url, table);
    for _ in 0..20 {
        match store.create_table(definition).await {
            Ok(()) => return,
            Err(error) => assert!(matches!(error, StoreError::TimedOut(_)), "{error}"),
        }
    }
    panic!("the store does not create a table in time");
}

/// A plain HTTP client without faults.
pub fn plain_http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}
