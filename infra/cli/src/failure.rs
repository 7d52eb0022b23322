//! Why a command did not do what it was asked to. The message says what to do next, where there is something to do.

use elastic_refresh::password::HashingError;
use rondo_shared::config::ConfigError;
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::generate::NotGenerated;
use rondo_shared::keyring::lifecycle::Refused;
use rondo_shared::moment::NoEntropy;
use rondo_shared::session::OpenOnceError;
use rondo_shared::store::StoreError;
use rondo_shared::token::TokenError;
use sessions::products::MintError;

use crate::dev::DevError;
use crate::exchange::ExchangeError;
use crate::workspace::WorkspaceError;

/// Exit code of a command that failed.
const FAILED: u8 = 1;
/// Exit code of a command that was asked for wrongly; clap's own.
const MISUSED: u8 = 2;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments do not fit together.
    #[error("{0}")]
    Misused(&'static str),
    /// There is nothing by this name.
    #[error("there is no {what} {name} at {place}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
        /// Where it was looked for.
        place: String,
    },
    /// What was given on standard input is no token.
    #[error("what was given on standard input is no refresh token: {0}")]
    NoToken(TokenError),
    /// A session could not be opened.
    #[error("the session was not opened: {0}")]
    Open(#[from] OpenOnceError),
    /// A session stands, and its tokens could not be minted.
    #[error("the session was opened, and its tokens could not be minted: {0}")]
    Mint(#[from] MintError),
    /// What was given as a user's attributes is no use.
    #[error("the attributes are of no use: {0}")]
    Attributes(String),
    /// An item cannot be written again without losing what this tool cannot read.
    #[error(
        "{attribute} of the item that stands is null, a set or binary, and would be null afterwards: nothing was written"
    )]
    Unreadable {
        /// Which attribute.
        attribute: String,
    },
    /// A password could not be hashed.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// The demo cannot be played here.
    #[error("the demo cannot be played: {0}")]
    Unplayable(String),
    /// A variable is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keyring is of no use.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A step of the keys' life was not taken.
    #[error(transparent)]
    KeyStep(#[from] Refused),
    /// No key could be made.
    #[error(transparent)]
    NotGenerated(#[from] NotGenerated),
    /// Another edit of the keyring came first.
    #[error(
        "the keyring was edited meanwhile, and nothing was changed: look at it with `rondo keys list`, and try again"
    )]
    Superseded,
    /// The table gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The workspace is not as it should be.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A request got no answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The local stack did not come up, or went down.
    #[error(transparent)]
    Dev(#[from] DevError),
    /// No randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// Standard input could not be read.
    #[error("standard input cannot be read: {0}")]
    Input(std::io::Error),
}

impl Failure {
    /// The exit code that tells a script what kind of failure it is.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Misused(_) | Self::Config(_) => MISUSED,
            Self::NotFound { .. }
            | Self::NoToken(_)
            | Self::Open(_)
            | Self::Mint(_)
            | Self::Attributes(_)
            | Self::Unreadable { .. }
            | Self::Hashing(_)
            | Self::Unplayable(_)
            | Self::Keyring(_)
            | Self::KeyStep(_)
            | Self::NotGenerated(_)
            | Self::Superseded
            | Self::Store(_)
            | Self::Workspace(_)
            | Self::Exchange(_)
            | Self::Dev(_)
            | Self::NoEntropy(_)
            | Self::Input(_) => FAILED,
        }
    }
}
