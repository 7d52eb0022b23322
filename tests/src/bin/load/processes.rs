//! The processes that are started, paused and killed. All end with this one.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rondo_tests::dynamo::TABLE;
use rondo_tests::products::{PRODUCTS, Product, keyring};

/// A process of this very program. Killed when it is dropped.
pub struct Process {
    child: Child,
    /// The first line that it printed.
    pub said: String,
    /// Kept open, or what it prints later ends it.
    _output: BufReader<ChildStdout>,
}

impl Process {
    fn start(arguments: &[&str], variables: &[(String, String)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments).envs(variables.iter().cloned()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut output, mut said) = (BufReader::new(child.stdout.take().unwrap()), String::new());
        output.read_line(&mut said).unwrap();
        assert!(!said.is_empty(), "{} did not start", arguments[0]);
        Self { child, said: said.trim().to_owned(), _output: output }
    }

    /// As `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As `kill -STOP` and `kill -CONT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} was not sent");
    }

    /// Resident memory in kB; `None` where the machine does not say.
    pub fn resident_kb(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where everything is, in a folder that goes with it.
pub struct Place {
    folder: PathBuf,
    address: String,
    session_secs: u64,
}

impl Place {
    /// Sessions last so long.
    pub fn new(session_secs: u64) -> Self {
        let folder = std::env::temp_dir().join(format!("rondo-load-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("keyring.json"), keyring().to_string()).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self { folder, address: free.local_addr().unwrap().to_string(), session_secs }
    }

    fn file(&self, name: &str) -> String {
        Path::new(&self.folder).join(name).display().to_string()
    }

    pub fn store_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn start_store(&self) -> Process {
        Process::start(&["store", &self.file("store.db"), &self.address], &[])
    }

    pub fn start_function(&self, product: Product) -> Process {
        Process::start(&["function", product.name(), &self.store_url()], &self.variables())
    }

    /// What the functions are told: all else is as the contracts have it, and leaves room for an honest client.
    fn variables(&self) -> Vec<(String, String)> {
        let all = [("TABLE_NAME".to_owned(), TABLE.to_owned()), ("KEYRING_FILE".to_owned(), self.file("keyring.json"))];
        let lasting = |product: Product| {
            (format!("{}_ABSOLUTE_SECS", product.name().to_uppercase()), self.session_secs.to_string())
        };
        all.into_iter().chain(PRODUCTS.map(lasting)).collect()
    }

    /// The settings that the functions have.
    pub fn reader(&self) -> rondo_shared::config::Reader {
        rondo_shared::config::Reader::new(self.variables())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
