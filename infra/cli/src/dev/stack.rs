//! The stack itself: first what needs no compiling (database, keys, demo data), then the functions.

use std::collections::BTreeMap;

use clap::ValueEnum as _;
use rondo_shared::config::Reader;
use rondo_shared::store::table::TableDefinition;

use super::database::{Database, Storage};
use super::functions::{self, CargoLambda, Group, Served};
use super::ports::Port;
use super::scene::{self, Scene};
use super::{DevArguments, DevError, keyring};
use crate::failure::Failure;
use crate::product::Product;
use crate::target::Target;
use crate::workspace::{LocalStack, Workspace};

/// The local table.
const TABLE: &str = "rondo";

/// A local stack. What it has started ends when it is dropped: the functions first, the database last.
#[derive(Debug)]
pub struct Stack {
    functions: Option<Group>,
    cargo_lambda: CargoLambda,
    /// Where it is kept.
    pub workspace: Workspace,
    /// Where it listens.
    pub local: LocalStack,
    /// Its table.
    pub target: Target,
    /// The sessions that stand open in it.
    pub scene: Scene,
    _database: Database,
}

impl Stack {
    /// Looks at ports and tools first, so that nothing has to be undone; then starts the database and fills it.
    ///
    /// # Errors
    /// [`Failure`] with what is missing or in the way.
    pub async fn prepare(arguments: &DevArguments, workspace: Workspace, reader: Reader) -> Result<Self, Failure> {
        Port { number: arguments.port, flag: "--port" }.check()?;
        let listener = Port { number: arguments.db_port, flag: "--db-port" }.listen()?;
        let cargo_lambda = functions::cargo_lambda(&workspace, &reader).ok_or(DevError::NoCargoLambda)?;

        workspace.make_folder()?;
        let keyring = workspace.kept("keyring.json");
        keyring::ensure(&keyring, Product::value_variants())?;
        keyring::publish(&keyring, &workspace.kept("jwks.json"))?;
        let storage = if arguments.memory { Storage::Memory } else { Storage::File(workspace.kept("dynamodb.sqlite")) };
        let database = Database::start(listener, &storage)?;
        let local = LocalStack {
            endpoint: database.url(),
            invoke_url: invoke_url(arguments),
            table: TABLE.to_owned(),
            keyring,
            settings: settings(arguments, &reader),
        };
        let target = Target::local(local.clone(), reader).await;
        target.store().create_table(&TableDefinition::from_template().map_err(DevError::from)?).await?;
        let scene = Box::pin(scene::set(&target)).await?;
        eprintln!("DynamoDB: {} ({storage})", local.endpoint);
        Ok(Self { functions: None, cargo_lambda, workspace, local, target, scene, _database: database })
    }

    /// Starts the functions and waits until each has answered.
    ///
    /// # Errors
    /// [`DevError`] where the gateway ends by itself or a function does not serve.
    pub async fn serve(&mut self, arguments: &DevArguments) -> Result<(), Failure> {
        eprintln!("compiling the functions, which takes minutes the first time");
        functions::compile(&self.cargo_lambda, &self.workspace, &self.local).await?;
        let functions = functions::serve(&self.cargo_lambda, &self.workspace, &self.local, arguments)?;
        let functions = self.functions.insert(functions);
        tokio::select! {
            ended = functions.ended() => Err(DevError::FunctionsEnded(ended?).into()),
            warmed = warm_up(&self.local) => warmed,
        }
    }

    /// Waits until the gateway ends by itself, which it should not; for ever, where it was not started.
    pub async fn ended(&mut self) -> Failure {
        let Some(functions) = &mut self.functions else { return std::future::pending().await };
        functions.ended().await.map_or_else(Failure::from, |how| DevError::FunctionsEnded(how).into())
    }
}

/// Refuses to run where a stack runs that the other commands know as this checkout's.
///
/// # Errors
/// [`DevError::Running`], saying where.
pub fn refuse_second(workspace: &Workspace) -> Result<(), Failure> {
    // A stack that was killed leaves its file behind; nobody listens where that one was.
    let other = workspace.local_stack().ok().flatten();
    let alive = |stack: &LocalStack| {
        let address = stack.endpoint.strip_prefix("http://").unwrap_or_default();
        std::net::TcpStream::connect(address).is_ok()
    };
    match other.filter(alive) {
        Some(stack) => Err(DevError::Running(stack.invoke_url).into()),
        None => Ok(()),
    }
}

/// The settings that the functions get beside those that all of them need: those of this command's environment, and its
/// own flags above them.
fn settings(arguments: &DevArguments, reader: &Reader) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    settings.insert("JWKS_PUBLIC_URL".to_owned(), invoke_url(arguments));
    let products = || Product::value_variants().iter().map(|product| product.prefix());
    for prefix in products().chain(["SESSIONS_", "JWKS_"]) {
        settings.extend(reader.starting_with(prefix).map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    if let Some(secs) = arguments.grace_secs {
        // Within the bounds of every product: none has a lower one than the flag.
        settings.extend(products().map(|prefix| (format!("{prefix}GRACE_SECS"), secs.to_string())));
    }
    settings
}

fn invoke_url(arguments: &DevArguments) -> String {
    format!("http://127.0.0.1:{}", arguments.port)
}

/// Sends each function one request, which has it started; waits for the answers.
async fn warm_up(stack: &LocalStack) -> Result<(), Failure> {
    functions::listening(&stack.invoke_url).await;
    for Served { name, call, status } in functions::all(&stack.invoke_url) {
        eprintln!("waiting for {name} to answer");
        let answered = call.by("rondo-dev").answered().await?.status;
        if answered != status {
            return Err(DevError::NotServing { function: name, status: answered }.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(grace_secs: Option<u64>) -> BTreeMap<String, String> {
        let arguments = DevArguments {
            port: 9000,
            db_port: 0,
            memory: true,
            grace_secs,
            concurrency: 1,
            reload: false,
            store_url: None,
        };
        let reader = Reader::new([("ELASTIC_GRACE_SECS", "9"), ("SESSIONS_PER_USER_MAX", "5"), ("PATH", "/bin")]);
        settings(&arguments, &reader)
    }

    #[test]
    fn a_setting_of_the_environment_reaches_the_functions_and_nothing_else_of_it() {
        let settings = with(None);
        let named: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            named,
            [("ELASTIC_GRACE_SECS", "9"), ("JWKS_PUBLIC_URL", "http://127.0.0.1:9000"), ("SESSIONS_PER_USER_MAX", "5"),]
        );
    }

    #[test]
    fn the_flag_sets_the_grace_window_of_every_product() {
        let settings = with(Some(3));
        for product in Product::value_variants() {
            let name = format!("{}GRACE_SECS", product.prefix());
            assert_eq!(settings.get(&name).map(String::as_str), Some("3"), "{name}");
        }
    }
}
