//! Opening a session once, however often it is asked for: the caller names the opening by a client token, and a repeat
//! gets the same session for as long as nobody has refreshed it.
//!
//! A receipt stands beside the session's entry, at a key made of the client token, and is put in the transaction that
//! opens the session. So of racing repeats one opens, and the others find what it opened.

use std::num::NonZeroU32;

use super::listing::{LIVE, entries, states};
use super::{LABEL_MAX_CHARS, NewSession, OpenError};
use crate::directory;
use crate::identity::{FamilyId, Subject, Tenant};
use crate::moment::{Moment, Timestamp};
use crate::rotation::{RotationPolicy, family};
use crate::store::item::{
    AccountStatus, Generation, Item, Opening, OpeningReceipt, Project, ProjectStatus, SessionEntry, UserProfile,
};
use crate::store::{Checks, Key, Meter, Opened, Store, StoreError, keys};
use crate::token::{Claims, TokenAuthority};

/// What a caller names an opening by, as a digest: whatever its length, one size in a key, and never shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientToken(String);

impl ClientToken {
    /// Of the text that the caller sent.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(keys::digest(&[text]))
    }

    fn receipt_key(&self, tenant: &Tenant, subject: &Subject) -> Key {
        Key { pk: keys::user(tenant, subject), sk: keys::receipt(&self.0) }
    }
}

/// What opening asks of a product.
#[derive(Clone, Copy, Debug)]
pub struct OpeningPolicy<'a> {
    /// Who issues.
    pub authority: &'a TokenAuthority,
    /// How long sessions and tokens live.
    pub rotation: &'a RotationPolicy,
    /// How many sessions of one user may be live, where there is a cap. Openings that race may exceed it by as many as
    /// they are, less one: each counts before any of them has written.
    pub live_max: Option<NonZeroU32>,
}

/// A session whose generation 0 stands and is live: what its first tokens are minted from.
///
/// Only [`open_once`] makes one:
///
/// ```compile_fail,E0451
/// # fn skip(claims: rondo_shared::token::Claims, first: rondo_shared::store::item::Generation) {
/// // the fields are private
/// let begun = rondo_shared::session::Begun { claims, first, is_repeat: false };
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Begun {
    claims: Claims,
    first: Generation,
    is_repeat: bool,
}

impl Begun {
    /// What its first refresh token says, but for what is drawn anew for each.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Its generation 0.
    #[must_use]
    pub const fn first(&self) -> &Generation {
        &self.first
    }

    /// The session's family.
    #[must_use]
    pub const fn family(&self) -> FamilyId {
        self.claims.sid
    }

    /// When it was opened.
    #[must_use]
    pub const fn opened_at(&self) -> Timestamp {
        self.first.minted_at
    }

    /// When it ends whatever is refreshed.
    #[must_use]
    pub const fn session_expires_at(&self) -> Timestamp {
        Timestamp::from_secs(self.claims.session_expires_at)
    }

    /// What its opener called it, as far as it was kept.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.first.opening.as_ref()?.label.as_deref()
    }

    /// Whether an earlier request opened it.
    #[must_use]
    pub const fn is_repeat(&self) -> bool {
        self.is_repeat
    }
}

/// Why no session is to be had under a client token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenOnceError {
    /// It could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It was opened by an earlier request, and has been refreshed, has expired or has ended since.
    #[error("the session of this client token has moved on")]
    MovedOn,
    /// It was opened by an earlier request, for another organization or under another label.
    #[error("the client token is that of another opening")]
    AnotherOpening,
    /// The user has as many live sessions as one may have.
    #[error("the user has {live_max} live sessions, as many as one may have")]
    CapReached {
        /// How many.
        live_max: NonZeroU32,
    },
}

impl From<StoreError> for OpenOnceError {
    fn from(error: StoreError) -> Self {
        Self::Open(OpenError::Store(error))
    }
}

/// Opens a session under a client token, or finds the one that it opened. One transaction: 8 WRU; a repeat reads 3 RRU
/// more. In a project 2 WRU and 1 RRU more. With a cap, pattern 8 of the access patterns besides.
///
/// # Errors
/// [`OpenOnceError`]; nothing was written unless it is [`OpenError::Store`] with an unknown outcome, and then a repeat
/// finds what was.
pub async fn open_once<S: Store>(
    new: &NewSession,
    client_token: &ClientToken,
    policy: OpeningPolicy<'_>,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Begun, OpenOnceError> {
    if let Some(live_max) = policy.live_max {
        check_cap(new, client_token, live_max, policy, store, moment.now, meter).await?;
    }
    let opening = NewFamily::of(new, policy.rotation, moment);
    let receipt = OpeningReceipt { family: opening.family, opened_at: moment.now };
    let until = family::until_session_ends(opening.entry.session_expires_at);
    let [first, entry] = opening.items(new);
    let items = [first, entry, receipt.to_item(client_token.receipt_key(&new.tenant, &new.subject), until)];
    match put(new, &items, store, meter).await {
        Ok(opened) => match outcome(&opened) {
            Ok(()) => {
                let claims = opening.claims(new, policy.authority);
                Ok(Begun { claims, first: opening.first, is_repeat: false })
            }
            Err(OpenError::Standing) => {
                let found = repeat(new, client_token, policy.authority, store, moment, meter).await?;
                found.ok_or(OpenError::Standing.into())
            }
            Err(refused) => Err(refused.into()),
        },
        // The transaction that stood in the way may be that of a repeat, and be over.
        Err(StoreError::Contended(what)) => {
            let found = repeat(new, client_token, policy.authority, store, moment, meter).await?;
            found.ok_or(OpenError::Store(StoreError::Contended(what)).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The transaction that opens: the items, if the user is active and the project, where the tenant is one, not removed.
pub(super) async fn put<S: Store>(
    new: &NewSession,
    items: &[Item],
    store: &S,
    meter: &Meter,
) -> Result<Opened, StoreError> {
    let (profile, project) = (UserProfile::key(&new.tenant, &new.subject), Project::key(&new.tenant));
    store.open(Checks { active: &profile, active_if_any: project.as_ref() }, items, meter).await
}

/// What a transaction that opens says of the project, of the user and of what stood already. The project's comes first:
/// in one that was removed nobody is told of its users.
pub(super) fn outcome(opened: &Opened) -> Result<(), OpenError> {
    match opened {
        Opened::Stored => Ok(()),
        Opened::Refused { closed: Some(project), .. } => {
            Project::from_item(project)?;
            Err(OpenError::ProjectRemoved)
        }
        Opened::Refused { checked: Some(profile), .. } => {
            Err(OpenError::UserNotActive(UserProfile::from_item(profile)?.status))
        }
        Opened::Refused { checked: None, closed: None, standing: true } => Err(OpenError::Standing),
        Opened::Refused { checked: None, closed: None, standing: false } => Err(OpenError::NoSuchUser),
    }
}

/// Refuses where the user has as many live sessions as one may have; a repeat passes, since it opens none.
async fn check_cap<S: Store>(
    new: &NewSession,
    client_token: &ClientToken,
    live_max: NonZeroU32,
    policy: OpeningPolicy<'_>,
    store: &S,
    now: Timestamp,
    meter: &Meter,
) -> Result<(), OpenOnceError> {
    let is_full = |count: usize| !u32::try_from(count).is_ok_and(|count| count < live_max.get());
    let mut entries = entries(&new.tenant, &new.subject, store, meter).await?;
    entries.retain(|entry| now < entry.session_expires_at);
    if !is_full(entries.len()) {
        return Ok(());
    }
    let not_before = policy.authority.sessions_not_before;
    let states = states(&new.tenant, entries, store, meter).await?;
    let live = states.iter().filter(|session| session.state_under(now, not_before) == LIVE).count();
    let receipt = client_token.receipt_key(&new.tenant, &new.subject);
    if !is_full(live) || store.get(&receipt, true, meter).await?.is_some() {
        return Ok(());
    }
    Err(OpenOnceError::CapReached { live_max })
}

/// The session that an earlier request opened under this client token, while its generation 0 is live.
async fn repeat<S: Store>(
    new: &NewSession,
    client_token: &ClientToken,
    authority: &TokenAuthority,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Option<Begun>, OpenOnceError> {
    let (tenant, subject) = (&new.tenant, &new.subject);
    let receipt_key = client_token.receipt_key(tenant, subject);
    let (receipt, profile, project) = tokio::join!(
        store.get(&receipt_key, true, meter),
        directory::profile(tenant, subject, true, store, meter),
        directory::project(tenant, store, meter),
    );
    let Some(receipt) = receipt? else { return Ok(None) };
    // A transaction that another stood in the way of tells nothing of the project.
    if project?.is_some_and(|project| project.status == ProjectStatus::Removed) {
        return Err(OpenError::ProjectRemoved.into());
    }
    // And one that failed for an item that stood does not tell whether the user does.
    let profile = UserProfile::from_item(&profile?.ok_or(OpenError::NoSuchUser)?)?;
    if profile.status != AccountStatus::Active {
        return Err(OpenError::UserNotActive(profile.status).into());
    }
    let OpeningReceipt { family, .. } = OpeningReceipt::from_item(&receipt)?;
    let newest = store.query(&family::newest_two(&new.tenant, family), meter).await?;
    let (seal, generations) = family::read_newest(&newest)?;
    let first = match (seal, <[Generation; 1]>::try_from(generations)) {
        (None, Ok([first])) if first.number == 0 => first,
        (None | Some(_), Ok(_) | Err(_)) => return Err(OpenOnceError::MovedOn),
    };
    let was_ended = authority.sessions_not_before.is_some_and(|not_before| family.opened_at() < not_before);
    if was_ended || moment.now >= first.token_expires_at {
        return Err(OpenOnceError::MovedOn);
    }
    let opening = first.opening.as_ref().filter(|opening| opening.subject == new.subject);
    let malformed = || StoreError::Malformed { kind: "generation", what: "subject is not the session's".to_owned() };
    let opening = opening.ok_or_else(malformed)?;
    if opening.org != new.org || opening.label != kept(new.label.as_deref()) {
        return Err(OpenOnceError::AnotherOpening);
    }
    let claims = first_claims(new, family, &first, opening.session_expires_at, authority);
    // An SDK retry of this very request's transaction, whose first answer was lost, is no repeat.
    let is_repeat = first.attempt != moment.attempt;
    Ok(Some(Begun { claims, first, is_repeat }))
}

/// The part of a label that is kept, if any is left.
fn kept(label: Option<&str>) -> Option<String> {
    let kept: String = label?.chars().filter(|c| matches!(c, ' '..='~')).take(LABEL_MAX_CHARS).collect();
    (!kept.is_empty()).then_some(kept)
}

/// A family about to be opened.
pub(super) struct NewFamily {
    pub(super) family: FamilyId,
    pub(super) first: Generation,
    entry: SessionEntry,
}

impl NewFamily {
    pub(super) fn of(new: &NewSession, rotation: &RotationPolicy, moment: &Moment) -> Self {
        let now = moment.now;
        let family = FamilyId::new(moment.request_id);
        let session_expires_at = rotation.session_expires_at(now);
        let label = kept(new.label.as_deref());
        let first = Generation {
            number: 0,
            gid: moment.gid.clone(),
            parent: None,
            attempt: moment.attempt.clone(),
            minted_at: now,
            token_expires_at: rotation.token_expires_at(now, session_expires_at),
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
        Self { family, first, entry }
    }

    /// Its generation 0 and its entry in its user's collection.
    pub(super) fn items(&self, new: &NewSession) -> [Item; 2] {
        let Self { family, first, entry } = self;
        [
            first.to_item(&new.tenant, *family, family::generation_expires_at(first, first.token_expires_at.secs())),
            entry.to_item(&new.tenant, &new.subject, family::until_session_ends(entry.session_expires_at)),
        ]
    }

    /// What its first token says.
    pub(super) fn claims(&self, new: &NewSession, authority: &TokenAuthority) -> Claims {
        first_claims(new, self.family, &self.first, self.entry.session_expires_at, authority)
    }
}

/// What the first token of a session says; its `jti` and `iat` are set where it is minted.
fn first_claims(
    new: &NewSession,
    family: FamilyId,
    first: &Generation,
    session_expires_at: Timestamp,
    authority: &TokenAuthority,
) -> Claims {
    Claims {
        iss: authority.issuer.clone(),
        aud: authority.audience.clone(),
        sub: new.subject.clone(),
        exp: first.token_expires_at.secs(),
        iat: first.minted_at.secs(),
        nbf: None,
        jti: first.attempt.clone(),
        sid: family,
        generation: 0,
        gid: first.gid.clone(),
        tenant: new.tenant.clone(),
        org: new.org.clone(),
        client_id: None,
        session_expires_at: session_expires_at.secs(),
    }
}
