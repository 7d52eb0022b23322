//! A user's sessions, with what each one's family says of it now.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::identity::{FamilyId, Subject, Tenant};
use crate::moment::Timestamp;
use crate::rotation::{family, fate};
use crate::store::item::{Generation, Seal, SessionEntry};
use crate::store::{Item, Key, Meter, Query, Store, StoreError, keys};

/// Families asked about, or sealed, at once: what fills a slow answer's wait without filling the client's connections.
pub(super) const AT_ONCE: usize = 16;
/// Entries read at least where a page is not full yet for those that are no sessions.
const CONTINUED: u16 = 16;

/// The state of a session that can be refreshed.
pub const LIVE: &str = "live";

/// A session with what its family says of it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// Its entry in its user's collection.
    pub entry: SessionEntry,
    /// The last generation that a client was given, if any stands: the live one of a session that is live, and never
    /// what a refused request has put.
    pub last: Option<Generation>,
    /// How it ended, if it did.
    pub seal: Option<Seal>,
}

/// The state of a session: [`LIVE`], `expired`, or the cause of its end; `unknown` where its generations are gone or
/// cannot be read, so that nobody can refresh it. The
/// session's own end is not known any more where its opening has left the table; its tokens never outlive it.
#[must_use]
pub fn state_of(
    seal: Option<&Seal>,
    last: Option<&Generation>,
    session_expires_at: Option<Timestamp>,
    now: Timestamp,
) -> &'static str {
    let is_over = |last: &Generation| now >= last.token_expires_at || session_expires_at.is_some_and(|at| now >= at);
    match (seal, last) {
        (Some(seal), _) => seal.cause.as_str(),
        (None, Some(last)) if is_over(last) => "expired",
        (None, Some(_)) => LIVE,
        (None, None) => "unknown",
    }
}

impl SessionState {
    /// As [`state_of`] says.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> &'static str {
        state_of(self.seal.as_ref(), self.last.as_ref(), Some(self.entry.session_expires_at), now)
    }

    /// The same where sessions opened before `not_before` are over: `sessions_not_before` for one that would be live.
    #[must_use]
    pub fn state_under(&self, now: Timestamp, not_before: Option<Timestamp>) -> &'static str {
        match self.state_at(now) {
            LIVE if not_before.is_some_and(|not_before| self.entry.family.opened_at() < not_before) => {
                "sessions_not_before"
            }
            state => state,
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
    let entries = entries(tenant, subject, store, meter).await?;
    states(tenant, entries, store, meter).await
}

/// Some of a user's sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub sessions: Vec<SessionState>,
    /// Where the next page begins, if there is more.
    pub next: Option<FamilyId>,
}

/// A user's sessions, newest first, `limit` at most, from the one that the page before named as the next: whatever is
/// opened or expires meanwhile, no session is told twice, and none that stands throughout is left out. One query for
/// the entries and one per session; more for the entries where some of them are no sessions.
///
/// # Errors
/// [`StoreError`] where something cannot be read.
pub async fn page<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    from: Option<FamilyId>,
    limit: u8,
    store: &S,
    meter: &Meter,
) -> Result<Page, StoreError> {
    let mut query = Query {
        pk: keys::user(tenant, subject),
        from: keys::SESSION_PREFIX.to_owned(),
        to: from.map_or_else(after_all_sessions, keys::session),
        newest_first: true,
        // One more: the next page begins with it.
        limit: u16::from(limit) + 1,
    };
    let (wanted, mut looked_at, mut entries) = (usize::from(query.limit), None, Vec::new());
    loop {
        let items = store.query(&query, meter).await?;
        let new = items.iter().filter(|item| Some(&item.key.sk) != looked_at.as_ref());
        entries.extend(new.filter_map(session_of));
        match items.last() {
            // A range holds its ends, so that the last one comes first again: of two at least, one is new.
            Some(last) if items.len() >= usize::from(query.limit) && entries.len() < wanted => {
                query.to.clone_from(&last.key.sk);
                query.limit = query.limit.max(CONTINUED);
                looked_at = Some(last.key.sk.clone());
            }
            Some(_) | None => break,
        }
    }
    entries.truncate(wanted);
    let next = entries.split_off(entries.len().min(usize::from(limit)));
    let sessions = states(tenant, entries, store, meter).await?;
    Ok(Page { sessions, next: next.first().map(|entry| entry.family) })
}

/// A user's session by its family, if the user has it. One consistent read: 1 RRU.
///
/// # Errors
/// [`StoreError`] where it cannot be read.
pub async fn of_user<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    family: FamilyId,
    store: &S,
    meter: &Meter,
) -> Result<Option<SessionEntry>, StoreError> {
    let key = Key { pk: keys::user(tenant, subject), sk: keys::session(family) };
    store.get(&key, true, meter).await?.as_ref().map(SessionEntry::from_item).transpose()
}

/// What the family of each entry says, in the entries' order. One whose items are malformed cannot be refreshed, and hides
/// none of the others: its state is `unknown`.
pub(super) async fn states<S: Store>(
    tenant: &Tenant,
    entries: Vec<SessionEntry>,
    store: &S,
    meter: &Meter,
) -> Result<Vec<SessionState>, StoreError> {
    let asking = entries.into_iter().map(|entry| async move {
        // One more than the walk needs: below a seal the newest may be what a refused request has put.
        let query = Query { limit: 3, ..family::newest_two(tenant, entry.family) };
        let items = store.query(&query, meter).await?;
        let (seal, generations) = family::read_newest(&items).unwrap_or_else(|error| {
            tracing::warn!(%error, family = %entry.family, "a session's state is unknown");
            (None, Vec::new())
        });
        Ok(SessionState { entry, last: fate::last_given(generations, &[], seal.as_ref()), seal })
    });
    stream::iter(asking).buffered(AT_ONCE).try_collect().await
}

/// Every entry of a user, oldest first.
pub(super) async fn entries<S: Store>(
    tenant: &Tenant,
    subject: &Subject,
    store: &S,
    meter: &Meter,
) -> Result<Vec<SessionEntry>, StoreError> {
    let (pk, last) = (keys::user(tenant, subject), after_all_sessions());
    let items = family::whole_collection(pk, keys::SESSION_PREFIX, &last, store, meter).await?;
    Ok(items.iter().filter_map(session_of).collect())
}

/// An entry as a session. One whose key names no family is left out: there is nothing to look at or to end.
fn session_of(item: &Item) -> Option<SessionEntry> {
    let entry = SessionEntry::from_item(item);
    entry.inspect_err(|error| tracing::warn!(%error, "an entry among a user's sessions is no session")).ok()
}

fn after_all_sessions() -> String {
    format!("{}{}", keys::SESSION_PREFIX, keys::AFTER)
}
