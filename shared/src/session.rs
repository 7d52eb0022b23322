//! Sessions as their owners see them: opening one, listing a user's, ending them.
//!
//! A session *is* a family of refresh tokens, with an entry in its user's collection. Opening writes both in one
//! transaction that also checks that the user is active, so that no session slips in beside a suspension. Ending is
//! one seal; nothing is deleted.

use crate::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use crate::keyring::ProductKeys;
use crate::mint::{self, AccessPolicy, TokenPair};
use crate::moment::{Moment, Timestamp};
use crate::rotation::{RotationPolicy, family};
use crate::store::item::{AccountStatus, Cause, Generation, Opening, Seal, SessionEntry, UserProfile};
use crate::store::{Meter, Opened, Store, StoreError, keys};
use crate::token::{Claims, SigningError, TokenAuthority};

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

/// Opens a session and mints its first tokens. One transaction: 6 WRU.
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
    let now = moment.now;
    let family = FamilyId::new(moment.request_id);
    let session_expires_at = issuing.rotation.session_expires_at(now);
    let label = new
        .label
        .as_ref()
        .map(|label| label.chars().filter(|c| matches!(c, ' '..='~')).take(LABEL_MAX_CHARS).collect::<String>());
    let first = Generation {
        number: 0,
        gid: moment.gid.clone(),
        parent: None,
        attempt: moment.attempt.clone(),
        minted_at: now,
        token_expires_at: issuing.rotation.token_expires_at(now, session_expires_at),
        client: new.client.clone(),
        request_id: moment.request_id.to_string(),
        opening: Some(Opening {
            subject: new.subject.clone(),
            org: new.org.clone(),
            session_expires_at,
            label: label.clone(),
        }),
    };
    let entry = SessionEntry { family, opened_at: now, session_expires_at, label };
    let expires_at = family::until_session_ends(session_expires_at);
    let items = [
        first.to_item(&new.tenant, family, family::generation_expires_at(&first, first.token_expires_at.secs())),
        entry.to_item(&new.tenant, &new.subject, expires_at),
    ];
    match store.open(&UserProfile::key(&new.tenant, &new.subject), &items, meter).await? {
        Opened::Stored => {}
        Opened::Refused { checked: Some(profile), .. } => {
            return Err(OpenError::UserNotActive(UserProfile::from_item(&profile)?.status));
        }
        Opened::Refused { checked: None, standing: true } => return Err(OpenError::Standing),
        Opened::Refused { checked: None, standing: false } => return Err(OpenError::NoSuchUser),
    }
    let claims = Claims {
        iss: issuing.authority.issuer.clone(),
        aud: issuing.authority.audience.clone(),
        sub: new.subject.clone(),
        exp: first.token_expires_at.secs(),
        iat: now.secs(),
        nbf: None,
        jti: moment.refresh_jti.clone(),
        sid: family,
        generation: 0,
        gid: first.gid.clone(),
        tenant: new.tenant.clone(),
        org: new.org.clone(),
        client_id: None,
        session_expires_at: session_expires_at.secs(),
    };
    let pair = mint::pair(&claims, &first, issuing.keys, issuing.authority, issuing.access, moment)?;
    Ok((family, pair))
}

/// A session with what its family says of it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// Its entry in its user's collection.
    pub entry: SessionEntry,
    /// The newest generation, if any stands.
    pub live: Option<Generation>,
    /// How it ended, if it did.
    pub seal: Option<Seal>,
}

impl SessionState {
    /// `live`, `expired`, or the cause of the session's end; `unknown` where its generations are gone.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> &'static str {
        match (&self.seal, &self.live) {
            (Some(seal), _) => seal.cause.as_str(),
            (None, Some(live)) if now >= live.token_expires_at || now >= self.entry.session_expires_at => "expired",
            (None, Some(_)) => "live",
            (None, None) => "unknown",
        }
    }
}

/// A user's sessions, oldest first. One query for the entries and one per session.
///
/// # Errors
/// [`StoreError`] where something cannot be read.
pub async fn list<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    store: &S,
    meter: &Meter,
) -> Result<Vec<SessionState>, StoreError> {
    let mut sessions = Vec::new();
    for entry in entries(tenant, subject, store, meter).await? {
        let newest = store.query(&family::newest_two(tenant, entry.family), meter).await?;
        let (seal, generations) = family::read_newest(&newest)?;
        sessions.push(SessionState { entry, live: generations.into_iter().next(), seal });
    }
    Ok(sessions)
}

/// Ends one session. Sealing a session that has ended keeps the first seal, which is returned.
///
/// # Errors
/// [`StoreError`]: it may or may not have ended.
pub async fn revoke<S: Store>(
    tenant: &Tenant,
    family: FamilyId,
    cause: Cause,
    session_expires_at: Timestamp,
    client: Client,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Seal, StoreError> {
    let seal = Seal { sealed_at: moment.now, cause, evidence: None, client, request_id: moment.request_id.to_string() };
    family::seal(tenant, family, &seal, session_expires_at, store, meter).await
}

/// Ends every session of a user that has not ended, and returns how each of them stands sealed now.
///
/// Sessions opened meanwhile may be missed, unless the user was suspended first: then none can be opened.
///
/// # Errors
/// [`StoreError`]: some may have ended; calling again ends the rest.
pub async fn revoke_all<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    cause: Cause,
    client: &Client,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Vec<(FamilyId, Seal)>, StoreError> {
    let mut sealed = Vec::new();
    for SessionEntry { family, session_expires_at, .. } in entries(tenant, subject, store, meter).await? {
        let seal = revoke(tenant, family, cause, session_expires_at, client.clone(), store, moment, meter).await?;
        sealed.push((family, seal));
    }
    Ok(sealed)
}

async fn entries<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    store: &S,
    meter: &Meter,
) -> Result<Vec<SessionEntry>, StoreError> {
    let last = format!("{}{}", keys::SESSION_PREFIX, keys::AFTER);
    let items =
        family::whole_collection(keys::user(tenant, subject), keys::SESSION_PREFIX, &last, store, meter).await?;
    items.iter().map(SessionEntry::from_item).collect()
}
