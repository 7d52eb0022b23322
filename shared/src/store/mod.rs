//! The store as the walk sees it: a small port that reports facts and decides nothing.
//!
//! Every implementation keeps these obligations. `tests/tests/store_contract.rs` holds them, one test each, against
//! whatever store it is given.
//!
//! 1. **Atomic absence.** Of any number of racing [`Store::put_if_absent`] on one key, exactly one is
//!    [`Put::Stored`]; all others are [`Put::Standing`].
//! 2. **What stands is handed back.** A lost [`Store::put_if_absent`] returns the whole item that stands, as it was
//!    when the put lost, without a second read.
//! 3. **A lost write changes nothing.** After [`Put::Standing`], [`Charged::Failed`], [`Opened::Refused`] or
//!    [`Replaced::Refused`] every item is as it was.
//! 4. **Reads see acknowledged writes.** A [`Store::query`] or a consistent [`Store::get`] that begins after a write
//!    was acknowledged sees that write.
//! 5. **Order.** [`Store::query`] returns items in the byte order of their sort keys, or exactly reversed, within the
//!    bounds given (both included), never more than its limit, and fewer only if there are no more.
//! 6. **Charges do not get lost.** Racing [`Store::charge`] calls on one bucket are applied one after another; each
//!    acknowledged one is in the arrival time that later ones see. Of racing ones that mend a broken bucket, one is
//!    applied.
//! 7. **All or nothing.** [`Store::open`] puts all of its items or none, and only if its checks hold at that instant.
//! 8. **An unknown outcome is an error.** If a write may or may not have been applied, the answer is a
//!    [`StoreError`], never an outcome. Such a write may still be applied later; every write of the walk carries a
//!    condition for that reason.
//! 9. **Contention and throttling are errors of their own**, told from outages and from mistakes of ours.
//! 10. **Expiry decides nothing.** Items past their `expires_at` may be returned, or be gone, at any time.
//! 11. **Every call is metered**, the failed ones too: number of calls, read units and write units as the store
//!     reports them; how long the slowest took; how many met throttling or contention.
//! 12. **Every call ends when its meter's time is up**, with [`StoreError::TimedOut`], and none is sent afterwards.
//!
//! There is no delete and no scan: functions may do neither.

pub mod dynamo;
pub mod item;
pub mod keys;
pub mod table;

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::moment::Timestamp;
pub use item::{Item, Value};
pub use keys::Key;

/// The outcome of putting an item that must not stand yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It did not stand, and stands now.
    Stored,
    /// Another item stands at its key, and is handed back whole.
    Standing(Item),
}

/// One conditional change of a rate bucket's theoretical arrival time (`tat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Of an idle bucket: `tat` becomes `to`, if there is none or it is not after `now`.
    Idle {
        /// The request's instant.
        now: Timestamp,
        /// What `tat` becomes.
        to: Timestamp,
    },
    /// Of a busy bucket: `tat` grows by `by_millis`, if it is after `now` and not after `up_to`.
    Busy {
        /// The request's instant.
        now: Timestamp,
        /// The latest `tat` at which the request conforms.
        up_to: Timestamp,
        /// By how much `tat` grows.
        by_millis: i64,
    },
    /// Of a bucket whose `tat` no right clock can have left: it becomes `to`, if it is still `stood`.
    Broken {
        /// What was found to stand.
        stood: Timestamp,
        /// What `tat` becomes.
        to: Timestamp,
    },
}

/// The outcome of a [`Charge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// The condition held.
    Applied {
        /// What stands now.
        tat: Timestamp,
    },
    /// The condition failed.
    Failed {
        /// What stood, if anything did.
        tat: Option<Timestamp>,
    },
}

/// Items of one collection, between two sort keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The collection's partition key.
    pub pk: String,
    /// The lowest sort key wanted.
    pub from: String,
    /// The highest sort key wanted.
    pub to: String,
    /// Highest sort key first.
    pub newest_first: bool,
    /// How many items at most.
    pub limit: u16,
}

/// What opening a session asks of items that it does not change.
#[derive(Clone, Copy, Debug)]
pub struct Checks<'a> {
    /// Must stand with `status` = `active`.
    pub active: &'a Key,
    /// Where one is named: must stand with `status` = `active`, or not at all.
    pub active_if_any: Option<&'a Key>,
}

impl<'a> Checks<'a> {
    /// Of one item, which must stand with `status` = `active`.
    #[must_use]
    pub const fn active(key: &'a Key) -> Self {
        Self { active: key, active_if_any: None }
    }
}

/// The outcome of opening a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// All items stand.
    Stored,
    /// An item that had to be there as described was not, or an item stood already; nothing was written.
    Refused {
        /// What stands at [`Checks::active`], if anything does and its check failed.
        checked: Option<Item>,
        /// What stands at [`Checks::active_if_any`], if its check failed.
        closed: Option<Item>,
        /// Whether one of the items to put stood already.
        standing: bool,
    },
}

/// The outcome of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The item stands.
    Done,
    /// What stood was not what had been read; nothing was changed.
    Refused,
}

/// Why the store gave no answer. Each is a passing failure of ours: no client may take it for a refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No answer within the time allowed. A write may or may not have been applied.
    #[error("the store did not answer in time: {0}")]
    TimedOut(String),
    /// No connection, or an answer that is no answer.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// More requests than the table takes.
    #[error("the store is throttling: {0}")]
    Throttled(String),
    /// Another transaction, or many attempts, stood in the way.
    #[error("the store reports contention: {0}")]
    Contended(String),
    /// The table or the permissions are not what they must be; a retry will not help.
    #[error("the store refuses the call: {0}")]
    Misconfigured(String),
    /// An item does not have the form that its key promises.
    #[error("an item of kind {kind} is malformed: {what}")]
    Malformed {
        /// Which kind of item.
        kind: &'static str,
        /// Which attribute, and what is wrong with it. Never its value.
        what: String,
    },
}

/// How long the store's part of one walk may take: all of its calls together, from the first to the last.
///
/// A walk is decided at its one reading of the clock, and a successor's grace window begins there. What is answered late
/// is cut off the time that the client has for a retry, so that this must be well below the default grace windows (10 s)
/// and below the functions' time-out (10 s in `template.yaml`): it is we who answer, and not the gateway. It is long
/// enough for one call to use all of its own time ([`dynamo`]'s 2.8 s) and the others to be answered as usual.
pub const WALK_TIME: Duration = Duration::from_secs(4);

/// What one request has cost so far, and how long it may go on. Filled by the store, call by call, failed ones included.
#[derive(Debug, Default)]
pub struct Meter {
    begun_at: Option<Instant>,
    ends_at: Option<Instant>,
    calls: AtomicU32,
    read_half_units: AtomicU64,
    write_half_units: AtomicU64,
    slowest_call_micros: AtomicU64,
    throttled: AtomicU32,
    contended: AtomicU32,
}

/// A call that is under way: until it is dropped, its time is measured, for the log line alone.
#[derive(Debug)]
struct Call<'a> {
    meter: &'a Meter,
    begun: Instant,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.meter.slowest_call_micros.fetch_max(micros, Ordering::Relaxed);
    }
}

/// A reading of a [`Meter`]. Two are equal if the same was asked and it cost the same; how long it took is the world's
/// affair.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Operations begun, an SDK's own retries not counted.
    pub calls: u32,
    /// Read request units.
    pub read_units: f64,
    /// Write request units.
    pub write_units: f64,
    /// How long the slowest operation took, in milliseconds, an SDK's own retries within.
    pub slowest_call_millis: f64,
    /// Operations that the store throttled.
    pub throttled: u32,
    /// Operations that failed for contention.
    pub contended: u32,
}

impl Usage {
    /// So many operations at this cost, none of which was throttled or met contention.
    #[must_use]
    pub const fn of(calls: u32, read_units: f64, write_units: f64) -> Self {
        Self { calls, read_units, write_units, slowest_call_millis: 0.0, throttled: 0, contended: 0 }
    }
}

impl PartialEq for Usage {
    fn eq(&self, other: &Self) -> bool {
        let asked = |usage: &Self| (usage.calls, usage.read_units, usage.write_units, usage.throttled, usage.contended);
        asked(self) == asked(other)
    }
}

impl Meter {
    /// For a walk that begins now, and has [`WALK_TIME`]. [`Meter::default`] sets no end: each call then has its own time
    /// alone, as listings and tools need that make many.
    #[must_use]
    pub fn of_walk() -> Self {
        Self::within(WALK_TIME)
    }

    /// For calls that begin now and have so much time together.
    #[must_use]
    pub fn within(time: Duration) -> Self {
        Self::since(Instant::now(), time)
    }

    /// For calls that began then and have so much time together.
    #[must_use]
    pub fn since(begun_at: Instant, time: Duration) -> Self {
        Self { begun_at: Some(begun_at), ends_at: begun_at.checked_add(time), ..Self::default() }
    }

    /// For how long these calls have been going on: nothing where no end was set.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun_at.map(|begun| begun.elapsed()).unwrap_or_default()
    }

    /// Counts an operation and makes it, for as long as there is time.
    ///
    /// # Errors
    /// [`StoreError::TimedOut`] where the time is up, before the operation was sent or while it was under way.
    pub fn operation<F: Future>(&self, operation: F) -> impl Future<Output = Result<F::Output, StoreError>> {
        // On the heap: an SDK's call is larger than all the rest of a walk.
        let operation = Box::pin(operation);
        async move {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let _call = Call { meter: self, begun: Instant::now() };
            let Some(ends_at) = self.ends_at else { return Ok(operation.await) };
            let time_is_up = || StoreError::TimedOut("the walk's time is up".to_owned());
            if Instant::now() >= ends_at {
                return Err(time_is_up());
            }
            timeout_at(ends_at, operation).await.map_err(|_| time_is_up())
        }
    }

    /// Notes how an operation failed, and hands the error on.
    pub fn failed(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Throttled(_) => self.throttled.fetch_add(1, Ordering::Relaxed),
            StoreError::Contended(_) => self.contended.fetch_add(1, Ordering::Relaxed),
            StoreError::TimedOut(_)
            | StoreError::Unavailable(_)
            | StoreError::Misconfigured(_)
            | StoreError::Malformed { .. } => 0,
        };
        error
    }

    /// Adds read units as the store reported them.
    pub fn read(&self, units: f64) {
        self.read_half_units.fetch_add(halves(units), Ordering::Relaxed);
    }

    /// Adds write units as the store reported them.
    pub fn write(&self, units: f64) {
        self.write_half_units.fetch_add(halves(units), Ordering::Relaxed);
    }

    /// What has been counted until now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let whole = |counter: &AtomicU64| f64::from(u32::try_from(counter.load(Ordering::Relaxed)).unwrap_or(u32::MAX));
        Usage {
            calls: self.calls.load(Ordering::Relaxed),
            read_units: whole(&self.read_half_units) / 2.0,
            write_units: whole(&self.write_half_units) / 2.0,
            slowest_call_millis: whole(&self.slowest_call_micros) / 1000.0,
            throttled: self.throttled.load(Ordering::Relaxed),
            contended: self.contended.load(Ordering::Relaxed),
        }
    }
}

/// Units come in halves (an eventually consistent read); counting them whole keeps sums exact.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "small, not negative"
)]
fn halves(units: f64) -> u64 {
    (units * 2.0).round() as u64
}

/// The port. See the module's numbered obligations.
pub trait Store: Send + Sync {
    /// Puts an item if nothing stands at its key.
    fn put_if_absent(&self, item: &Item, meter: &Meter) -> impl Future<Output = Result<Put, StoreError>> + Send;

    /// Changes a bucket if its arrival time is as the charge says; `expires_at` is set along with it.
    fn charge(
        &self,
        bucket: &Key,
        charge: Charge,
        expires_at_secs: i64,
        meter: &Meter,
    ) -> impl Future<Output = Result<Charged, StoreError>> + Send;

    /// Reads part of a collection, strongly consistent.
    fn query(&self, query: &Query, meter: &Meter) -> impl Future<Output = Result<Vec<Item>, StoreError>> + Send;

    /// Reads one item, strongly consistent or not.
    fn get(
        &self,
        key: &Key,
        consistent: bool,
        meter: &Meter,
    ) -> impl Future<Output = Result<Option<Item>, StoreError>> + Send;

    /// Puts `items`, each of which must be absent, if the `checks` hold.
    fn open(
        &self,
        checks: Checks<'_>,
        items: &[Item],
        meter: &Meter,
    ) -> impl Future<Output = Result<Opened, StoreError>> + Send;

    /// Replaces an item of the directory (users, organizations, quotas, projects), whatever stood there. For tools only: no
    /// item of a family is ever replaced.
    fn replace(&self, item: &Item, meter: &Meter) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { self.replace_if(None, item, meter).await.map(|_| ()) }
    }

    /// The same; where `read` is given, only if each attribute of it is as it was read. Others that were added since are
    /// not looked at.
    fn replace_if(
        &self,
        read: Option<&Item>,
        item: &Item,
        meter: &Meter,
    ) -> impl Future<Output = Result<Replaced, StoreError>> + Send;
}
