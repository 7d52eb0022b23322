//! The checkout that the tool is run in, and what the local stack keeps in its ignored folder `.rondo/`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The ignored folder.
const FOLDER: &str = ".rondo";

/// The checkout, or its folder, is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// No folder above the current one is a checkout.
    #[error(
        "this is no checkout of rondo, nor is any folder above it: go to one for its local stack, or name a deployed \
         table with --aws --table"
    )]
    NotFound,
    /// A file cannot be read, written or understood.
    #[error("{}: {what}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl WorkspaceError {
    /// That something is wrong with a file.
    pub fn file(path: &Path, what: &impl ToString) -> Self {
        Self::File { path: path.to_owned(), what: what.to_string() }
    }
}

/// A checkout, by its root folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The checkout that the current folder lies in.
    ///
    /// # Errors
    /// [`WorkspaceError::NotFound`] where it lies in none.
    pub fn find() -> Result<Self, WorkspaceError> {
        let current = std::env::current_dir().map_err(|_| WorkspaceError::NotFound)?;
        Self::above(&current)
    }

    /// The checkout that `folder` lies in: the nearest one with this tool's sources in it.
    ///
    /// # Errors
    /// [`WorkspaceError::NotFound`] where it lies in none.
    pub fn above(folder: &Path) -> Result<Self, WorkspaceError> {
        let is_root =
            |folder: &&Path| folder.join("Cargo.toml").is_file() && folder.join("infra/cli/Cargo.toml").is_file();
        let root = folder.ancestors().find(is_root).ok_or(WorkspaceError::NotFound)?;
        Ok(Self { root: root.to_owned() })
    }

    /// The root folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file in the ignored folder.
    #[must_use]
    pub fn kept(&self, name: &str) -> PathBuf {
        self.root.join(FOLDER).join(name)
    }

    /// Makes the ignored folder, for its owner's eyes alone: keys and tokens are kept in it.
    ///
    /// # Errors
    /// [`WorkspaceError::File`] where it cannot be made.
    pub fn make_folder(&self) -> Result<(), WorkspaceError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = self.root.join(FOLDER);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| WorkspaceError::file(&folder, &error))
    }

    /// Where the running local stack says where it is.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        self.kept("dev.json")
    }

    /// The local stack that runs here, if one does.
    ///
    /// # Errors
    /// [`WorkspaceError::File`] where its file cannot be understood.
    pub fn local_stack(&self) -> Result<Option<LocalStack>, WorkspaceError> {
        let path = self.state_file();
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| WorkspaceError::file(&path, &error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(WorkspaceError::file(&path, &error)),
        }
    }
}

/// What a running local stack says of itself, for the other commands and for scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalStack {
    /// DynamoDB: `http://127.0.0.1:8000`.
    pub endpoint: String,
    /// The functions: `http://127.0.0.1:9000`.
    pub invoke_url: String,
    /// The table.
    pub table: String,
    /// The keyring file.
    pub keyring: PathBuf,
    /// The product settings that the functions run with, so that the other commands work with the same.
    pub settings: BTreeMap<String, String>,
}

/// Writes a file that only its owner may read, in place of what stood there.
///
/// # Errors
/// [`WorkspaceError::File`] where it cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<(), WorkspaceError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let draft = path.with_extension("new");
    // The mode counts for a new file alone.
    let _ = std::fs::remove_file(&draft);
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(|error| WorkspaceError::file(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_found_from_any_folder_within_it() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = Workspace::above(&here.join("src/dev")).unwrap();
        assert_eq!(found.root().join("infra/cli"), here);
        assert!(matches!(Workspace::above(Path::new("/")), Err(WorkspaceError::NotFound)));
    }
}
