//! The organization's quota, which a 429 shows. It is read once when limiting starts and kept, so that a client that
//! hammers a limited organization costs no read.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use rondo_shared::directory;
use rondo_shared::identity::{OrgKey, Tenant};
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::Quota;
use rondo_shared::store::{Meter, Store};

/// Organizations remembered at most.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// Quotas of the organizations that this instance has limited lately.
#[derive(Debug)]
pub struct QuotaMemory(Mutex<LruCache<OrgKey, Option<Quota>>>);

impl Default for QuotaMemory {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl QuotaMemory {
    /// As it was read when limiting started.
    pub fn recall(&self, org: &OrgKey) -> Option<Quota> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(org).copied().flatten()
    }

    /// Reads it anew, for a limit that the store has just told. Where it cannot be read the answer goes without: a
    /// limit is no reason to fail.
    pub async fn read<S: Store>(
        &self,
        tenant: &Tenant,
        org: &OrgKey,
        now: Timestamp,
        store: &S,
        meter: &Meter,
    ) -> Option<Quota> {
        let quota = directory::quota(tenant, org, now, store, meter).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the quota could not be read");
            None
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(org.clone(), quota);
        quota
    }
}
