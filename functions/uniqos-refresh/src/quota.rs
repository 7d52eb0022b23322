//! The organization's quota, which a 429 shows. It is read once when limiting starts and kept for a minute, so that a
//! client that hammers a limited organization costs no reads.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use rondo_shared::directory;
use rondo_shared::identity::{OrgKey, Tenant};
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::Quota;
use rondo_shared::store::{Meter, Store};

/// Organizations remembered at most.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// How long a quota is shown as it was read: what a hammered instance costs is one read a minute and organization.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// Quotas of the organizations that this instance has limited lately.
#[derive(Debug)]
pub struct QuotaMemory(Mutex<LruCache<OrgKey, Known>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    quota: Option<Quota>,
    read_at: Timestamp,
}

impl Known {
    /// Not for long, never past the end of its billing period, and not where the clock was set back.
    fn holds_at(&self, now: Timestamp) -> bool {
        self.read_at <= now
            && now.since(self.read_at) < KEPT_FOR
            && self.quota.is_none_or(|quota| now < quota.resets_at)
    }
}

impl Default for QuotaMemory {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl QuotaMemory {
    /// The quota as it was read when limiting started, or as it is read now. Where it cannot be read the answer goes
    /// without, and the next one tries again: a limit is no reason to fail, and a failure nothing to remember.
    pub async fn show<S: Store>(
        &self,
        tenant: &Tenant,
        org: &OrgKey,
        now: Timestamp,
        store: &S,
        meter: &Meter,
    ) -> Option<Quota> {
        if let Some(known) = self.recall(org).filter(|known| known.holds_at(now)) {
            return known.quota;
        }
        match directory::quota(tenant, org, now, store, meter).await {
            Ok(quota) => {
                self.remember(org, Known { quota, read_at: now });
                quota
            }
            Err(error) => {
                tracing::warn!(%error, "the quota could not be read");
                None
            }
        }
    }

    fn recall(&self, org: &OrgKey) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(org).copied()
    }

    fn remember(&self, org: &OrgKey, known: Known) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(org.clone(), known);
    }
}
