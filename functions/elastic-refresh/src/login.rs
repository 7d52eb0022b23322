//! Signing in by name and password: limited, then proven, then opened. A walk of its own beside the refresh's, each of
//! whose rooms only the one before it can open.
//!
//! ```text
//! UnverifiedLogin ─► Attempt ─► VerifiedLogin ─► TokenPair
//! ```
//!
//! The limits come before the hash, the address's first. Whatever is wrong with a name or a password, the calls made,
//! the one hash computed and the error are the same, so that neither the answer nor the log nor the time taken tells an
//! unknown user, or one that may not sign in, from a wrong password. That holds too where a team's own system has written
//! a password or a profile that cannot be read: nobody signs in by it, and the operator is told by `rondo user show`.

use rondo_shared::directory;
use rondo_shared::identity::{Client, FamilyId, Subject};
use rondo_shared::limit::{Admission, AdmitError};
use rondo_shared::mint::TokenPair;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::session::{self, Issuing, NewSession, OpenError};
use rondo_shared::store::item::{AccountStatus, Credential, UserProfile};
use rondo_shared::store::{Meter, Store, StoreError};
use rondo_shared::token::SigningError;

use crate::password::{HashingError, StoredHash, Verifier};
use crate::policy::Policy;
use crate::request::{Password, UnverifiedLogin};

/// Why nobody was signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Too many passwords were tried, or the store did not say.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// The name and the password are not those of a user who may sign in. Which of it, nobody is told.
    #[error("the name and password are not those of a user who may sign in")]
    WrongCredentials,
    /// No hash could be computed.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// A key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The session stands already: an attempt before this one was applied, and its tokens were lost.
    #[error("the session stands already")]
    Standing,
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The limits of password attempts and what tries passwords.
#[derive(Debug)]
pub struct Logins<V> {
    addresses: Admission,
    users: Admission,
    verifier: V,
}

/// A login that may cost a hash. Only [`Logins::admit`] makes one.
#[derive(Debug)]
pub struct Attempt {
    subject: Subject,
    password: Password,
    client: Client,
}

/// A login whose password is right and whose user may sign in. Only [`Logins::verify`] makes one.
#[derive(Debug)]
pub struct VerifiedLogin {
    subject: Subject,
    client: Client,
}

impl<V: Verifier> Logins<V> {
    /// Under the policy's allowances.
    pub fn new(policy: &Policy, verifier: V) -> Self {
        Self {
            addresses: Admission::new(policy.password_address_allowance),
            users: Admission::new(policy.password_user_allowance),
            verifier,
        }
    }

    /// Charges the address, then the name at that address: a write each.
    ///
    /// # Errors
    /// [`LoginError::Admit`]: a refusal where the bucket is empty, a passing failure where the store gave no answer.
    pub async fn admit<S: Store>(
        &self,
        login: UnverifiedLogin,
        policy: &Policy,
        store: &S,
        now: Timestamp,
        meter: &Meter,
    ) -> Result<Attempt, LoginError> {
        let UnverifiedLogin { subject, password, client } = login;
        self.addresses.charge(&policy.password_address_bucket(&client), store, now, meter).await?;
        self.users.charge(&policy.password_user_bucket(&subject, &client), store, now, meter).await?;
        Ok(Attempt { subject, password, client })
    }

    /// Tries the password: two reads at once, and one hash, whoever the user is said to be and whatever stands. The status
    /// is read here as well as checked when the session is opened, so that a suspended user's right password costs what a
    /// wrong one does.
    ///
    /// # Errors
    /// [`LoginError::WrongCredentials`] is a refusal; the others may pass.
    pub async fn verify<S: Store>(
        &self,
        attempt: Attempt,
        policy: &Policy,
        store: &S,
        meter: &Meter,
    ) -> Result<VerifiedLogin, LoginError> {
        let Attempt { subject, password, client } = attempt;
        let (credential, profile) = tokio::join!(
            directory::credential(&policy.tenant, &subject, store, meter),
            directory::profile(&policy.tenant, &subject, true, store, meter),
        );
        let read = |credential: Option<Credential>| credential.as_ref().map(StoredHash::read).transpose();
        let stored = readable(credential.and_then(read))?;
        let profile = readable(profile.and_then(|item| item.as_ref().map(UserProfile::from_item).transpose()))?;
        let (hash, known) = match stored {
            Some(hash) => (hash, true),
            None => (StoredHash::nobodys(), false),
        };
        let matches = self.verifier.matches(&password, &hash)?;
        let is_active = profile.is_some_and(|profile| profile.status == AccountStatus::Active);
        if known && matches && is_active {
            Ok(VerifiedLogin { subject, client })
        } else {
            Err(LoginError::WrongCredentials)
        }
    }
}

/// What stands and cannot be read is nobody's; a store that gave no answer is another matter.
fn readable<T>(read: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Malformed { .. }) => Ok(None),
        read => read,
    }
}

/// Opens the session of a verified login, in a transaction that checks once more that the user is active.
///
/// # Errors
/// [`LoginError`], as for a wrong password where the user was suspended, or the profile broken, in this very moment.
pub async fn open<S: Store>(
    login: VerifiedLogin,
    policy: &Policy,
    issuing: Issuing<'_>,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<(FamilyId, TokenPair), LoginError> {
    let VerifiedLogin { subject, client } = login;
    let new = NewSession { tenant: policy.tenant.clone(), subject, org: None, label: None, client };
    session::open(&new, issuing, store, moment, meter).await.map_err(|error| match error {
        OpenError::NoSuchUser
        | OpenError::UserNotActive(_)
        | OpenError::ProjectRemoved
        | OpenError::Store(StoreError::Malformed { .. }) => LoginError::WrongCredentials,
        OpenError::Standing => LoginError::Standing,
        OpenError::Signing(error) => LoginError::Signing(error),
        OpenError::Store(error) => LoginError::Store(error),
    })
}
