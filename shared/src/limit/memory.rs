//! What one function instance remembers of buckets: bounded, lost with the instance, and never the last word where
//! the store has one.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use super::{Allowance, Balance, Limited, gcra};
use crate::moment::Timestamp;
use crate::store::Key;

/// Buckets remembered at most: some 2 MB where every name has its greatest length. What is forgotten costs a write.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// Arrival times as the store last told them.
#[derive(Debug)]
pub(super) struct StoreBuckets(Mutex<LruCache<Key, Timestamp>>);

impl Default for StoreBuckets {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl StoreBuckets {
    /// What is known of a bucket. One that no right clock can have left, since ours has been set back, is nothing.
    pub(super) fn known(&self, bucket: &Key, allowance: Allowance, now: Timestamp) -> Option<Timestamp> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(bucket).copied().filter(|tat| gcra::is_credible(allowance, *tat, now))
    }

    /// Remembers what stands in a bucket, unless no right clock can have left it. An arrival time only ever grows: where
    /// less stands than is known, a wrong clock has set the bucket back, and what is known stays.
    pub(super) fn remember(&self, bucket: &Key, allowance: Allowance, tat: Timestamp, now: Timestamp) {
        let is_credible = |tat: &Timestamp| gcra::is_credible(allowance, *tat, now);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = buckets.get(bucket).copied().filter(is_credible);
        if let Some(tat) = Some(tat).filter(is_credible).max(known) {
            buckets.put(bucket.clone(), tat);
        }
    }
}

/// Buckets that live in memory alone, by name: for requests without a valid token.
#[derive(Debug)]
pub struct LocalBuckets {
    allowance: Allowance,
    buckets: Mutex<LruCache<String, Timestamp>>,
}

impl LocalBuckets {
    /// Buckets under one allowance.
    #[must_use]
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, buckets: Mutex::new(LruCache::new(CAPACITY)) }
    }

    /// Charges the bucket of `name` once.
    ///
    /// # Errors
    /// [`Limited`] where it is empty.
    pub fn charge(&self, name: &str, now: Timestamp) -> Result<Balance, Limited> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (tat, balance) = gcra::take(self.allowance, buckets.get(name).copied(), now)?;
        buckets.put(name.to_owned(), tat);
        Ok(balance)
    }

    /// What is left in the bucket of `name`, which is not charged.
    pub fn balance(&self, name: &str, now: Timestamp) -> Balance {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        gcra::balance(self.allowance, buckets.peek(name).copied(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use std::time::Duration;

    #[test]
    fn garbage_from_one_address_is_limited_and_does_not_limit_another() {
        let one_per_second = Allowance::per_period(NonZeroU32::MIN, Duration::from_secs(1));
        let buckets = LocalBuckets::new(one_per_second);
        let at = Timestamp::from_millis;
        assert!(buckets.charge("192.0.2.1", at(0)).is_ok());
        assert!(buckets.charge("192.0.2.1", at(999)).is_err());
        assert!(buckets.charge("192.0.2.2", at(999)).is_ok());
        assert!(buckets.charge("192.0.2.1", at(1_000)).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let buckets = LocalBuckets::new(Allowance::per_period(NonZeroU32::MIN, Duration::from_secs(1)));
        let at = |secs| Timestamp::from_secs(secs);
        assert!(buckets.charge("192.0.2.1", at(86_400)).is_ok());
        assert_eq!(buckets.balance("192.0.2.1", at(0)).remaining, 1);
        assert!(buckets.charge("192.0.2.1", at(0)).is_ok());
        assert!(buckets.charge("192.0.2.1", at(0)).is_err());
    }

    #[test]
    fn asking_what_is_left_charges_nothing() {
        let buckets = LocalBuckets::new(Allowance::per_period(NonZeroU32::MIN, Duration::from_secs(1)));
        let at = Timestamp::from_millis;
        let full = Balance { limit: 1, remaining: 1, full_at: at(0) };
        assert_eq!([buckets.balance("192.0.2.1", at(0)), buckets.balance("192.0.2.1", at(0))], [full, full]);
        let charged = buckets.charge("192.0.2.1", at(0)).unwrap();
        assert_eq!((charged.remaining, buckets.balance("192.0.2.1", at(0))), (0, charged));
        assert_eq!(buckets.charge("192.0.2.1", at(1)).unwrap_err().balance(), charged);
        assert_eq!(buckets.balance("192.0.2.1", at(5_000)), Balance { full_at: at(5_000), ..full });
    }
}
