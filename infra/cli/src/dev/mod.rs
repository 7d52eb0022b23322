//! The local stack: the embedded database, the keys, demo data and the functions behind an HTTP gateway, all on
//! 127.0.0.1, until Ctrl-C. Each part ends what it started when it is dropped, in whatever way the command ends.

pub mod database;
pub mod functions;
pub mod guide;
pub mod keyring;
pub mod ports;
pub mod scene;
pub mod stack;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitStatus;

use clap::Args;
use rondo_shared::config::Reader;
use rondo_shared::rotation::policy::GRACE_WINDOW_MAX;
use rondo_shared::store::table::TemplateError;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::TargetArguments;
use crate::demo::{self, DemoArguments};
use crate::failure::Failure;
use crate::report::Report;
use crate::status::lines;
use crate::workspace::{LocalStack, Workspace, write_private};
use ports::Port;
use stack::Stack;

/// The smoke test waits for the window to pass. The shortest window is one second, within which a machine that is busy
/// with other things may not get from a request to its retry.
const SMOKE_GRACE_SECS: u64 = 4;

/// How the local stack is to run.
#[derive(Args, Debug)]
pub struct DevArguments {
    /// The port on which the functions are served.
    #[arg(long, default_value_t = 9000)]
    pub port: u16,
    /// The port on which DynamoDB is served.
    #[arg(long, default_value_t = 8000)]
    pub db_port: u16,
    /// Keep the table in memory, and forget it at the end, instead of in .rondo/.
    #[arg(long)]
    pub memory: bool,
    /// The grace window in seconds; 0 is off [default: each product's own].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=GRACE_WINDOW_MAX.as_secs()))]
    pub grace_secs: Option<u64>,
    /// How many instances of each function may run at once.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub concurrency: u16,
    /// Compile the functions again when their code changes.
    #[arg(long)]
    pub reload: bool,
    /// Where the functions are told that DynamoDB is, such as a proxy in front of it that plays faults: http://127.0.0.1:8001
    /// [default: where it is].
    #[arg(long, value_name = "URL")]
    pub store_url: Option<String>,
}

/// The local stack did not come up, or went down.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// Somebody else listens there.
    #[error("port {port} of 127.0.0.1 is taken: choose another with {flag}")]
    PortTaken {
        /// Which port.
        port: u16,
        /// The flag that chooses another.
        flag: &'static str,
    },
    /// A stack runs from this checkout, on other ports.
    #[error("a local stack is running here already, at {0}: end it first")]
    Running(String),
    /// A listener cannot be opened for another reason.
    #[error("127.0.0.1:{port} cannot be listened on: {error}")]
    Listener {
        /// Which port.
        port: u16,
        /// Why.
        error: std::io::Error,
    },
    /// The embedded database does not open.
    #[error("the database does not open: {0}")]
    Database(String),
    /// The template does not define a table.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// There is no cargo-lambda.
    #[error("cargo-lambda is neither in .tools/bin nor on PATH: `pip install cargo-lambda`, or see cargo-lambda.info")]
    NoCargoLambda,
    /// A program cannot be run.
    #[error("cargo or cargo-lambda cannot be run: {0}")]
    Spawn(std::io::Error),
    /// The functions do not compile.
    #[error("the functions do not compile ({0}): cargo's own messages above say why")]
    Compile(ExitStatus),
    /// The gateway ended by itself.
    #[error("cargo lambda watch ended by itself ({0}): its own messages above say why")]
    FunctionsEnded(ExitStatus),
    /// A function does not serve.
    #[error("{function} answers {status} to a request that presents nothing: its own messages above say why")]
    NotServing {
        /// Which function.
        function: &'static str,
        /// What it answered with.
        status: u16,
    },
    /// Signals cannot be waited for.
    #[error("signals cannot be waited for: {0}")]
    Signals(std::io::Error),
}

/// Runs the local stack until it is told to end.
///
/// # Errors
/// [`Failure`] where it does not come up, or a part of it ends by itself.
pub async fn run(arguments: &DevArguments, target: &TargetArguments, reader: Reader) -> Result<Report, Failure> {
    refuse_aws(target)?;
    let ended = until_told(Box::pin(async {
        let workspace = Workspace::find()?;
        stack::refuse_second(&workspace)?;
        let mut stack = Stack::prepare(arguments, workspace, reader).await?;
        let _state = StateFile::write(&stack.workspace, &stack.local)?;
        let log = stack.workspace.kept(lines::FILE);
        stack.serve(arguments, Some(&log)).await?;
        eprintln!("\n{}", guide::text(&stack)?);
        Err(stack.ended().await)
    }));
    match ended.await? {
        Some(report) => report,
        None => Ok(Report::new("the local stack has ended", json!({"ended": true}))),
    }
}

/// Plays every demo against a local stack of its own, in memory and on free ports, beside whatever runs here.
///
/// # Errors
/// [`Failure`] where the stack does not come up; an answer that is not as the story has it makes the report a bad one.
pub async fn smoke(target: &TargetArguments, reader: Reader) -> Result<Report, Failure> {
    refuse_aws(target)?;
    let arguments = DevArguments {
        port: Port { number: 0, flag: "--port" }.listen()?.local_addr().map_or(0, |address| address.port()),
        db_port: 0,
        memory: true,
        grace_secs: Some(SMOKE_GRACE_SECS),
        concurrency: 4,
        reload: false,
        store_url: None,
    };
    let played = until_told(Box::pin(async {
        let mut stack = Stack::prepare(&arguments, Workspace::find()?, reader).await?;
        stack.serve(&arguments, None).await?;
        let names = scene::names()?;
        demo::run(&DemoArguments { product: None, user: names.0, org: names.1 }, &stack.target).await
    }));
    played.await?.unwrap_or_else(|| Err(Failure::Unplayable("it was interrupted".to_owned())))
}

fn refuse_aws(target: &TargetArguments) -> Result<(), Failure> {
    if target.aws || target.table.is_some() || target.keyring.is_some() {
        return Err(Failure::Misused("the local stack is local: --aws, --table and --keyring are not for it"));
    }
    Ok(())
}

/// Does the work, unless Ctrl-C, SIGTERM or SIGHUP (the terminal was closed) comes first: then there is no outcome, and
/// what the work has started is dropped with it, and ends.
async fn until_told<T>(work: impl Future<Output = T>) -> Result<Option<T>, DevError> {
    let mut interrupted = signal(SignalKind::interrupt()).map_err(DevError::Signals)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(DevError::Signals)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(DevError::Signals)?;
    Ok(tokio::select! {
        outcome = work => Some(outcome),
        _ = interrupted.recv() => None,
        _ = terminated.recv() => None,
        _ = hung_up.recv() => None,
    })
}

/// The file by which the other commands find the stack, while it stands.
#[derive(Debug)]
struct StateFile(PathBuf);

impl StateFile {
    fn write(workspace: &Workspace, stack: &LocalStack) -> Result<Self, Failure> {
        let path = workspace.state_file();
        write_private(&path, &format!("{:#}\n", json!(stack)))?;
        Ok(Self(path))
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_was_started_ends_with_a_signal_to_end_and_when_the_terminal_is_closed() {
        for told in [Signal::INT, Signal::TERM, Signal::HUP] {
            let (started, is_started) = oneshot::channel();
            let (held, is_dropped) = oneshot::channel::<()>();
            let work = async move {
                let _held = held;
                started.send(()).unwrap();
                std::future::pending::<()>().await;
            };
            let tell = async {
                // It runs, so that the signals are waited for.
                is_started.await.unwrap();
                kill_process(getpid(), told).unwrap();
            };
            let (ended, ()) = tokio::join!(until_told(work), tell);
            assert!(ended.unwrap().is_none(), "{told:?}");
            assert!(is_dropped.await.is_err(), "{told:?}: what the work held is dropped");
        }
    }
}
