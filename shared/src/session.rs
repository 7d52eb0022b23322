//! Sessions as their owners see them: opening one, listing a user's, ending them.
//!
//! A session *is* a family of refresh tokens, with an entry in its user's collection. Opening writes both in one
//! transaction that also checks that the user is active and the project not removed, so that no session slips in beside
//! a suspension or a removal. Ending is one seal; nothing is deleted.

pub mod ending;
pub mod listing;
pub mod opening;
pub mod terms;

use crate::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use crate::keyring::ProductKeys;
use crate::mint::{self, AccessPolicy, TokenPair};
use crate::moment::Moment;
use crate::rotation::RotationPolicy;
use crate::store::item::AccountStatus;
use crate::store::{Meter, Store, StoreError};
use crate::token::{SigningError, TokenAuthority};

pub use ending::{Ended, revoke, revoke_all, revoke_all_but, revoke_of_user};
pub use listing::{LIVE, Page, SessionState, list, of_user, page, state_of};
use opening::NewFamily;
pub use opening::{Begun, ClientToken, OpenOnceError, OpeningPolicy, open_once};
pub use terms::Terms;

/// Longest label of a session, in characters.
pub const LABEL_MAX_CHARS: usize = 64;

/// Whose session is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The tenant.
    pub tenant: Tenant,
    /// The user, who must be in the directory and active.
    pub subject: Subject,
    /// The organization that the session acts for, where the product knows one.
    pub org: Option<OrgKey>,
    /// What to call the session, for its owner; cut to [`LABEL_MAX_CHARS`] printable ASCII characters.
    pub label: Option<String>,
    /// The client that it is opened for.
    pub client: Client,
}

/// Why a session could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The directory has no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// The user is suspended or removed.
    #[error("the user is {}", .0.as_str())]
    UserNotActive(AccountStatus),
    /// The project was removed.
    #[error("the project is removed")]
    ProjectRemoved,
    /// A family of this name stands already: an attempt before this one was applied, or randomness repeated itself.
    #[error("the session stands already")]
    Standing,
    /// The session was opened and its tokens could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What opening and minting need of a product: its keys and its settings.
#[derive(Clone, Copy, Debug)]
pub struct Issuing<'a> {
    /// The product's keys.
    pub keys: &'a ProductKeys,
    /// Who issues.
    pub authority: &'a TokenAuthority,
    /// How long sessions and tokens live.
    pub rotation: &'a RotationPolicy,
    /// What access tokens say.
    pub access: &'a AccessPolicy,
}

/// Opens a session and mints its first tokens. One transaction: 6 WRU, and 2 more in a project.
///
/// # Errors
/// [`OpenError`]; nothing was written unless it is [`OpenError::Signing`], or [`OpenError::Store`] with an unknown
/// outcome.
pub async fn open<S: Store>(
    new: &NewSession,
    issuing: Issuing<'_>,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<(FamilyId, TokenPair), OpenError> {
    let opening = NewFamily::of(new, issuing.rotation, moment);
    opening::outcome(&opening::put(new, &opening.items(new), store, meter).await?)?;
    let claims = opening.claims(new, issuing.authority);
    let pair = mint::pair(&claims, &opening.first, issuing.keys, issuing.authority, issuing.access, moment)?;
    Ok((opening.family, pair))
}
