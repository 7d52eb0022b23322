//! What the commands run against: a local stack without functions, in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Parser as _, ValueEnum as _};
use elastic_refresh::password::{Argon2id, StoredHash, Verifier as _};
use elastic_refresh::request::Password;
use rondo::arguments::{Cli, Command};
use rondo::dev::database::{Database, Storage};
use rondo::dev::keyring;
use rondo::dev::ports::Port;
use rondo::failure::Failure;
use rondo::product::Product;
use rondo::report::Report;
use rondo::target::Target;
use rondo::workspace::LocalStack;
use rondo_shared::config::Reader;
use rondo_shared::identity::{Subject, Tenant};
use rondo_shared::store::item::Credential;
use rondo_shared::store::table::TableDefinition;
use rondo_shared::store::{Meter, Store as _};
use serde_json::Value;

/// A local stack without functions, in memory, on a port of the system's choice.
pub struct Stack {
    pub target: Target,
    pub local: LocalStack,
    pub keyring: PathBuf,
    pub _database: Database,
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.keyring);
    }
}

impl Stack {
    pub async fn up() -> Self {
        static STACKS: AtomicU32 = AtomicU32::new(0);
        let listener = Port { number: 0, flag: "--db-port" }.listen().unwrap();
        let database = Database::start(listener, &Storage::Memory).unwrap();
        let number = STACKS.fetch_add(1, Ordering::Relaxed);
        let keyring = std::env::temp_dir().join(format!("rondo-operation-{}-{number}.json", std::process::id()));
        keyring::ensure(&keyring, Product::value_variants()).unwrap();
        let stack = LocalStack {
            endpoint: database.url(),
            invoke_url: "http://127.0.0.1:0".to_owned(),
            table: "rondo".to_owned(),
            keyring: keyring.clone(),
            settings: BTreeMap::new(),
        };
        let target = Target::local(stack.clone(), Reader::new::<String, String>([])).await;
        target.store().create_table(&TableDefinition::from_template().unwrap()).await.unwrap();
        Self { target, local: stack, keyring, _database: database }
    }

    /// Runs a command line, with `input` on standard input.
    pub async fn run_with(&self, line: &str, mut input: &[u8]) -> Result<Report, Failure> {
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        match cli.command {
            Command::Operate(operation) => rondo::operate(&operation, &self.target, &mut input).await,
            Command::Dev(_) | Command::Smoke | Command::Keys(_) => panic!("not an operation"),
        }
    }

    pub async fn run(&self, line: &str) -> Value {
        self.run_with(line, b"").await.unwrap().json().clone()
    }

    /// Whether a user of Elastic has this password, as the function finds out; none where the user has no password.
    pub async fn matches(&self, user: &str, password: &str) -> Option<bool> {
        let key = Credential::key(&elastic_refresh::policy::tenant(), &Subject::new(user).unwrap());
        let item = self.target.store().get(&key, true, &Meter::default()).await.unwrap()?;
        let stored = StoredHash::read(&Credential::from_item(&item).unwrap()).unwrap();
        Some(Argon2id.matches(&Password::new(password.to_owned()).unwrap(), &stored).unwrap())
    }
}

pub fn uniqos() -> Tenant {
    Tenant::new("uniqos").unwrap()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The claims of a token, unverified.
pub fn claims(token: &Value) -> Value {
    let payload = text(token).split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
