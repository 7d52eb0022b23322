//! The functions, compiled by cargo and run by `cargo lambda watch` behind its HTTP gateway.
//!
//! The gateway gets a process group of its own and gives one to each function in turn. Told to end, it ends its functions;
//! where it does not within a few seconds, every group below it is killed.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use clap::ValueEnum as _;
use rondo_shared::config::Reader;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};

use super::{DevArguments, DevError};
use crate::exchange::Call;
use crate::product::{DEMO_PROJECT, Product};
use crate::workspace::{LocalStack, Workspace};

/// How long the group may take to end by itself before it is killed.
const PARTING_TIME: Duration = Duration::from_secs(5);
/// How often the group, or a port, is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A program to run, with the PATH that it is to find others on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CargoLambda {
    program: PathBuf,
    path: OsString,
}

/// A function, with a call of which it is known how a function that serves answers it.
#[derive(Clone, Debug)]
pub struct Served {
    /// The function.
    pub name: &'static str,
    /// The call: one that needs no session.
    pub call: Call,
    /// The answer's status.
    pub status: u16,
}

/// Every function of the stack.
#[must_use]
pub fn all(invoke_url: &str) -> Vec<Served> {
    let of_product = |product: &Product| Served {
        name: product.function(),
        call: Call::post(format!("{invoke_url}{}", product.refresh_path(DEMO_PROJECT))),
        status: product.status_of_nobody(),
    };
    let mut all: Vec<Served> = Product::value_variants().iter().map(of_product).collect();
    // Asked for nobody's sessions, it names the fields that are missing.
    all.push(Served { name: "sessions", call: Call::get(format!("{invoke_url}/sessions")), status: 422 });
    all.push(Served { name: "jwks", call: Call::get(format!("{invoke_url}/.well-known/jwks.json")), status: 200 });
    all
}

/// Finds cargo-lambda: the checkout's own in `.tools/bin`, or one on PATH.
#[must_use]
pub fn cargo_lambda(workspace: &Workspace, reader: &Reader) -> Option<CargoLambda> {
    let tools = workspace.root().join(".tools/bin");
    let inherited = reader.raw("PATH").unwrap_or_default().to_owned();
    let folders: Vec<PathBuf> = std::iter::once(tools).chain(std::env::split_paths(&inherited)).collect();
    let program = folders.iter().map(|folder| folder.join("cargo-lambda")).find(|program| program.is_file())?;
    Some(CargoLambda { program, path: std::env::join_paths(&folders).unwrap_or(inherited.into()) })
}

/// Compiles the functions, so that one that does not compile is told at once: the gateway would try again and again. The
/// selection is the gateway's own, so that nothing is compiled twice.
///
/// # Errors
/// [`DevError::Compile`] where cargo, whose messages are shown, does not succeed.
pub async fn compile(tools: &CargoLambda, workspace: &Workspace, stack: &LocalStack) -> Result<(), DevError> {
    let mut command = Command::new("cargo");
    command.args(["build", "--manifest-path", "Cargo.toml"]).env("PATH", &tools.path);
    for function in all(&stack.invoke_url) {
        command.args(["--bin", function.name]);
    }
    let how = Group::start(command, workspace)?.ended().await?;
    if how.success() { Ok(()) } else { Err(DevError::Compile(how)) }
}

/// Starts the gateway, which starts each function at its first request.
///
/// # Errors
/// [`DevError::Spawn`] where it cannot be run.
pub fn serve(
    tools: &CargoLambda,
    workspace: &Workspace,
    stack: &LocalStack,
    arguments: &DevArguments,
) -> Result<Group, DevError> {
    let mut command = Command::new(&tools.program);
    command
        .args(["lambda", "watch", "--invoke-address", "127.0.0.1", "--disable-cors"])
        .args(["--invoke-port", &arguments.port.to_string()])
        .args(["--concurrency", &arguments.concurrency.to_string()])
        .args((!arguments.reload).then_some("--ignore-changes"))
        .env("PATH", &tools.path)
        .env("TABLE_NAME", &stack.table)
        .env("KEYRING_FILE", &stack.keyring)
        .env("AWS_ENDPOINT_URL_DYNAMODB", arguments.store_url.as_ref().unwrap_or(&stack.endpoint))
        .env("INSECURE_COOKIES", "true")
        .env("SESSIONS_WITHOUT_IAM", "true")
        .envs(&stack.settings);
    Group::start(command, workspace)
}

/// A program with all that it has started. It ends when this is dropped.
#[derive(Debug)]
pub struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn start(mut command: Command, workspace: &Workspace) -> Result<Self, DevError> {
        command
            .current_dir(workspace.root())
            .stdin(Stdio::null())
            // What this tool itself prints is for scripts too, and is not mixed with others' messages.
            .stdout(std::io::stderr())
            .kill_on_drop(true)
            // Of its own, so that the terminal's Ctrl-C reaches this process alone, which then ends all in order.
            .process_group(0);
        let child = command.spawn().map_err(DevError::Spawn)?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, leader })
    }

    /// Waits until the program ends by itself.
    ///
    /// # Errors
    /// [`DevError::Spawn`] where it cannot be waited for.
    pub async fn ended(&mut self) -> Result<ExitStatus, DevError> {
        let how = self.child.wait().await.map_err(DevError::Spawn)?;
        // From now on the number may be another process's. Functions end by themselves when their gateway is gone.
        self.leader = None;
        Ok(how)
    }
}

impl Drop for Group {
    #[expect(clippy::disallowed_methods, reason = "nothing else runs any more, and a drop cannot await")]
    fn drop(&mut self) {
        let Some(leader) = self.leader else { return };
        let mut groups = groups_below(leader);
        groups.push(leader);
        let _ = kill_process_group(leader, Signal::TERM);
        let looks = PARTING_TIME.as_millis() / LOOK_INTERVAL.as_millis();
        for _ in 0..looks {
            // A child that has ended stays in its group until it is waited for.
            let _ = self.child.try_wait();
            groups.retain(|group| test_kill_process_group(*group).is_ok());
            if groups.is_empty() {
                return;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        for group in groups {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The groups of all processes that descend from `leader`, but its own. None where `ps` cannot be run.
fn groups_below(leader: Pid) -> Vec<Pid> {
    let listed = std::process::Command::new("ps").args(["-A", "-o", "pid=,ppid=,pgid="]).output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    groups_in(&listed, leader)
}

/// Of a listing of processes, one a line, each with its parent and its group.
fn groups_in(listed: &str, leader: Pid) -> Vec<Pid> {
    let processes: Vec<[Pid; 3]> = listed
        .lines()
        .filter_map(|line| {
            let mut ids = line.split_whitespace().map(|id| Pid::from_raw(id.parse().ok()?));
            Some([ids.next()??, ids.next()??, ids.next()??])
        })
        .collect();
    let (mut family, mut groups) = (vec![leader], Vec::new());
    // Each round finds the children of those found; there are no more rounds than processes.
    for _ in &processes {
        let found = processes.iter().filter(|[id, parent, _]| family.contains(parent) && !family.contains(id));
        let found: Vec<_> = found.copied().collect();
        if found.is_empty() {
            break;
        }
        family.extend(found.iter().map(|[id, ..]| *id));
        for [_, _, group] in found {
            if group != leader && !groups.contains(&group) {
                groups.push(group);
            }
        }
    }
    groups
}

/// Waits until somebody listens at `url`.
pub async fn listening(url: &str) {
    let address: Option<SocketAddr> = url.strip_prefix("http://").and_then(|address| address.parse().ok());
    let Some(address) = address else { return };
    while tokio::net::TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_all_descendants_are_found_and_no_others() {
        let pid = |id: i32| Pid::from_raw(id).unwrap();
        let listed = "1 0 1\n 10 1 10\n 11 10 10\n 20 10 20\n 21 20 20\n 22 21 22\n 30 1 30\n";
        assert_eq!(groups_in(listed, pid(10)), [pid(20), pid(22)]);
        assert_eq!(groups_in(listed, pid(30)), []);
    }
}
