//! Ending sessions: one seal each, put once. Nothing is deleted, and a session that has ended keeps its first seal.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::timeout;

use super::listing::{AT_ONCE, entries, of_user};
use crate::identity::{Client, FamilyId, Subject, Tenant};
use crate::moment::{Moment, Timestamp};
use crate::rotation::family;
use crate::store::item::{Cause, Evidence, Seal, SessionEntry};
use crate::store::{Meter, Store, StoreError};

/// How long the end of a session may wait for what its seal tells: some round trips, and less than anybody minds.
const LOOK_TIME: Duration = Duration::from_millis(300);

/// Which session is to end.
struct Ending<'a> {
    tenant: &'a Tenant,
    /// Whose it is, where that is known.
    subject: Option<&'a Subject>,
    family: FamilyId,
    session_expires_at: Timestamp,
}

/// Ends one session, whosever it is. Sealing a session that has ended keeps the first seal, which is returned.
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
    end(Ending { tenant, subject: None, family, session_expires_at }, cause, client, store, moment, meter).await
}

async fn end<S: Store>(
    ending: Ending<'_>,
    cause: Cause,
    client: Client,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Seal, StoreError> {
    let Ending { tenant, subject, family, session_expires_at } = ending;
    let live = live_generation(tenant, family, store, meter).await;
    let seal = Seal {
        sealed_at: moment.now,
        cause,
        subject: subject.cloned(),
        evidence: live.map(|live| Evidence { presented: None, live }),
        client,
        request_id: moment.request_id.to_string(),
    };
    family::seal(tenant, family, &seal, session_expires_at, store, meter).await
}

/// The newest generation that stands, for the seal to name. That it cannot be read keeps no session from being ended, nor
/// does a store that is slow to tell keep it waiting for longer than [`LOOK_TIME`].
async fn live_generation<S: Store>(tenant: &Tenant, family: FamilyId, store: &S, meter: &Meter) -> Option<u32> {
    let query = family::newest_two(tenant, family);
    let read = async {
        let items = store.query(&query, meter).await?;
        family::read_newest(&items)
    };
    match timeout(LOOK_TIME, read).await {
        Ok(Ok((_, newest))) => newest.first().map(|newest| newest.number),
        Ok(Err(error)) => {
            tracing::warn!(%error, %family, "a seal will not name the live generation");
            None
        }
        Err(_) => {
            tracing::warn!(%family, "a seal will not name the live generation: the store was slow to tell it");
            None
        }
    }
}

/// Ends one session if it is the user's, and returns how it stands sealed; none if the user has no such session.
///
/// # Errors
/// [`StoreError`]: it may or may not have ended.
pub async fn revoke_of_user<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    family: FamilyId,
    cause: Cause,
    client: Client,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Option<Seal>, StoreError> {
    let Some(entry) = of_user(tenant, subject, family, store, meter).await? else { return Ok(None) };
    let session_expires_at = entry.session_expires_at;
    let ending = Ending { tenant, subject: Some(subject), family, session_expires_at };
    end(ending, cause, client, store, moment, meter).await.map(Some)
}

/// Ends every session of a user that has not ended, and returns how each of them stands sealed now.
///
/// Sessions opened meanwhile may be missed, unless the user was suspended first: then none can be opened.
///
/// # Errors
/// [`StoreError`]: some may have ended; calling again ends the rest. [`StoreError::Malformed`]: all have but those whose
/// seals cannot be read, and those cannot be refreshed either.
pub async fn revoke_all<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    cause: Cause,
    client: &Client,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Vec<(FamilyId, Seal)>, StoreError> {
    let entries = entries(tenant, subject, store, meter).await?;
    end_each(tenant, subject, entries, cause, client, store, moment, meter).await
}

/// Ends each of a user's sessions, several at once. A seal that stands and cannot be read is no reason to leave the other
/// sessions open: it is told once they have ended.
async fn end_each<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    entries: Vec<SessionEntry>,
    cause: Cause,
    client: &Client,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Vec<(FamilyId, Seal)>, StoreError> {
    let sealing = entries.into_iter().map(|SessionEntry { family, session_expires_at, .. }| async move {
        let ending = Ending { tenant, subject: Some(subject), family, session_expires_at };
        match end(ending, cause, client.clone(), store, moment, meter).await {
            Ok(seal) => Ok(Ok((family, seal))),
            Err(malformed @ StoreError::Malformed { .. }) => Ok(Err(malformed)),
            Err(error) => Err(error),
        }
    });
    let ended: Vec<Result<_, StoreError>> = stream::iter(sealing).buffered(AT_ONCE).try_collect().await?;
    ended.into_iter().collect()
}

/// What ending a user's sessions came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// These ended by this request, oldest first; any other had ended or expired before.
    Sessions(Vec<(FamilyId, Seal)>),
    /// The user has no session at all.
    NoSessions,
    /// The session to keep is not the user's, and nothing was ended: its caller would have lost the wrong one.
    KeptIsNotTheirs,
}

/// Ends every session of a user but one, or all; expired ones are left as they are. Sessions opened meanwhile may be
/// missed.
///
/// # Errors
/// [`StoreError`]: some may have ended; calling again ends the rest. [`StoreError::Malformed`]: all have but those whose
/// seals cannot be read, and those cannot be refreshed either.
pub async fn revoke_all_but<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    kept: Option<FamilyId>,
    cause: Cause,
    client: &Client,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Ended, StoreError> {
    let entries = entries(tenant, subject, store, meter).await?;
    if entries.is_empty() {
        return Ok(Ended::NoSessions);
    }
    if kept.is_some_and(|kept| entries.iter().all(|entry| entry.family != kept)) {
        return Ok(Ended::KeptIsNotTheirs);
    }
    let request_id = moment.request_id.to_string();
    let to_end = entries.into_iter().filter(|e| Some(e.family) != kept && moment.now < e.session_expires_at).collect();
    let mut sealed = end_each(tenant, subject, to_end, cause, client, store, moment, meter).await?;
    sealed.retain(|(_, seal)| seal.request_id == request_id);
    Ok(Ended::Sessions(sealed))
}
