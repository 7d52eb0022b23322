//! The embedded DynamoDB: dynoxide over SQLite, on a listener that the caller has opened. Its handlers block, so that it
//! has a thread and a runtime of its own.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::DevError;

/// How often expired items are deleted. DynamoDB takes days; here, whoever depends on it is to notice sooner.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Clients that keep a connection open do not keep the database up for longer.
const PARTING_TIME: Duration = Duration::from_secs(2);

/// Where the items are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory, until the database ends.
    Memory,
    /// In a SQLite file.
    File(PathBuf),
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("in memory"),
            Self::File(path) => write!(f, "in {}", path.display()),
        }
    }
}

/// A running database. Ends when it is dropped.
#[derive(Debug)]
pub struct Database {
    address: SocketAddr,
    ending: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Database {
    /// Serves a database on `listener`.
    ///
    /// # Errors
    /// [`DevError::Database`] where it does not open.
    pub fn start(listener: TcpListener, storage: &Storage) -> Result<Self, DevError> {
        let failed = |error: &dyn fmt::Display| DevError::Database(error.to_string());
        let database = match storage {
            Storage::Memory => dynoxide::Database::memory(),
            Storage::File(path) => dynoxide::Database::new(&path.to_string_lossy()),
        };
        let database = database.map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        listener.set_nonblocking(true).map_err(|error| failed(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let (ending, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("dynamodb".to_owned());
        let thread = thread.spawn(move || runtime.block_on(serve(listener, database, ended)));
        Ok(Self { address, ending: Some(ending), thread: Some(thread.map_err(|error| failed(&error))?) })
    }

    /// `http://127.0.0.1:<port>`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.ending.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves until `ended` resolves: when the database's handle is dropped.
async fn serve(listener: TcpListener, database: dynoxide::Database, ended: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("the database does not listen: {error}"),
    };
    let (part, parting) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = parting.await;
    };
    let serving = dynoxide::server::serve_with_shutdown(listener, database.clone(), shutdown);
    let limit = async {
        let _ = ended.await;
        drop(part);
        tokio::time::sleep(PARTING_TIME).await;
    };
    tokio::select! {
        served = serving => if let Err(error) = served {
            eprintln!("the database has ended: {error}");
        },
        () = sweep(&database) => {}
        () = limit => {}
    }
}

/// Deletes expired items now and then, for ever.
async fn sweep(database: &dynoxide::Database) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = database.sweep_ttl() {
            eprintln!("expired items cannot be deleted: {error}");
        }
    }
}
