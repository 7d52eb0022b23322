//! Where a keyring stands, and how it is edited there: under a lock in a file, by compare-and-swap in Secrets Manager.

use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rondo_shared::aws::Endpoint;
use rondo_shared::config::Reader;
use rondo_shared::keyring::KeyringDocument;
use rondo_shared::keyring::secret::{Replaced, Secret};
use rondo_shared::moment::Moment;

use crate::arguments::TargetArguments;
use crate::failure::Failure;
use crate::workspace::{Workspace, WorkspaceError, write_private};

/// Where a keyring stands.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In Secrets Manager.
    Secret(Secret),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Secret(secret) => write!(f, "secret {}", secret.id()),
        }
    }
}

/// A secret as a person reaches it, or in the emulator that the variables name.
///
/// # Errors
/// [`Failure::Config`] where a variable names no emulator.
pub fn secret(id: &str, reader: &Reader) -> Result<Secret, Failure> {
    let mut reader = reader.clone();
    let endpoint = match Endpoint::configured(&mut reader, "AWS_ENDPOINT_URL_SECRETS_MANAGER") {
        local @ Endpoint::Local { .. } => local,
        // The default chain reads the address of all services by itself.
        Endpoint::Function | Endpoint::FunctionAt { .. } | Endpoint::Person => Endpoint::Person,
    };
    reader.finish()?;
    Ok(Secret::new(id, endpoint))
}

impl Place {
    /// The keyring that the arguments name, or the local stack's.
    ///
    /// # Errors
    /// [`Failure::Misused`] where they name none, or two.
    pub fn find(arguments: &TargetArguments, reader: &Reader) -> Result<Self, Failure> {
        match (&arguments.keyring, &arguments.secret) {
            (Some(path), None) => Ok(Self::File(path.clone())),
            (None, Some(id)) => Ok(Self::Secret(secret(id, reader)?)),
            (Some(_), Some(_)) => {
                Err(Failure::Misused("name a file with --keyring or a secret with --secret, not both"))
            }
            // The local stack's is not what was meant, and a table does not say where its keyring is.
            (None, None) if arguments.aws || arguments.table.is_some() => Err(Failure::Misused(
                "a table does not name its keyring: name the secret with --secret, as the stack's output KeyringArn says",
            )),
            (None, None) => match Workspace::find().ok().and_then(|workspace| workspace.local_stack().transpose()) {
                Some(stack) => Ok(Self::File(stack?.keyring)),
                None => Err(Failure::Misused("name the keyring: a file with --keyring, a secret with --secret")),
            },
        }
    }

    /// The keyring.
    ///
    /// # Errors
    /// [`Failure`] where there is none, or none that can be read.
    pub async fn read(&self) -> Result<KeyringDocument, Failure> {
        let none = Failure::Misused("there is no keyring here: make one with `rondo keys init`");
        match self {
            Self::File(path) => read_file(path)?.ok_or(none),
            Self::Secret(secret) => match secret.standing().await?.text {
                Some(text) => Ok(KeyringDocument::parse(text.as_str())?),
                None => Err(none),
            },
        }
    }

    /// Puts what `edit` makes of the keyring in its place, if it makes anything of it.
    ///
    /// # Errors
    /// [`Failure::Superseded`] where another edit came first; what `edit` failed with. Nothing has changed then.
    pub async fn edit(
        &self,
        now: &Moment,
        edit: impl FnOnce(Option<KeyringDocument>) -> Result<Option<KeyringDocument>, Failure>,
    ) -> Result<(), Failure> {
        match self {
            Self::File(path) => {
                // Beside the file, since the file itself is replaced; it goes free with the process that holds it.
                let _locked = lock(&path.with_extension("lock"))?;
                if let Some(after) = edit(read_file(path)?)? {
                    write_private(path, after.to_text()?.as_str())?;
                }
                Ok(())
            }
            Self::Secret(secret) => {
                let standing = secret.standing().await?;
                let ring = standing.text.as_ref().map(|text| KeyringDocument::parse(text.as_str())).transpose()?;
                let Some(after) = edit(ring)? else { return Ok(()) };
                match secret.replace(&standing, &after.to_text()?, now.request_id).await? {
                    Replaced::Stored => Ok(()),
                    Replaced::Superseded => Err(Failure::Superseded),
                }
            }
        }
    }
}

fn lock(path: &Path) -> Result<File, WorkspaceError> {
    let broken = |error: std::io::Error| WorkspaceError::file(path, &error);
    let file = File::options().create(true).append(true).open(path).map_err(broken)?;
    file.lock().map_err(broken)?;
    Ok(file)
}

fn read_file(path: &Path) -> Result<Option<KeyringDocument>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(KeyringDocument::parse(&text)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(WorkspaceError::file(path, &error).into()),
    }
}
