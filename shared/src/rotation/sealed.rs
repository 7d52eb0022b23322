//! The sealed families that one instance remembers. A seal is never taken back, so that what is remembered stays true;
//! what is forgotten costs a refresh its usual calls.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use super::family;
use crate::identity::{FamilyId, Tenant};
use crate::store::item::{Cause, Seal};
use crate::store::{Meter, Store, StoreError, keys};

/// Families remembered at most: some 200 kB.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// A bounded memory of families that a read or a write of ours has shown to be sealed.
#[derive(Debug)]
pub struct SealedFamilies(Mutex<LruCache<FamilyId, Cause>>);

impl Default for SealedFamilies {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl SealedFamilies {
    /// Why a family is known to be sealed, if it is known to be.
    pub fn cause_of(&self, family: FamilyId) -> Option<Cause> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&family).copied()
    }

    /// Why a family has ended, if it has: from memory, or else from its seal, 1 RRU. Its generations are not looked at.
    ///
    /// # Errors
    /// [`StoreError`] where nobody can tell.
    pub async fn ask<S: Store>(
        &self,
        tenant: &Tenant,
        family: FamilyId,
        store: &S,
        meter: &Meter,
    ) -> Result<Option<Cause>, StoreError> {
        if let Some(cause) = self.cause_of(family) {
            return Ok(Some(cause));
        }
        let newest = store.query(&family::newest_two(tenant, family), meter).await?;
        let Some(item) = newest.iter().find(|item| item.key.sk == keys::SEAL) else { return Ok(None) };
        let cause = Seal::from_item(item)?.cause;
        self.remember(family, cause);
        Ok(Some(cause))
    }

    pub(crate) fn remember(&self, family: FamilyId, cause: Cause) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(family, cause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    #[test]
    fn the_memory_is_bounded_and_forgets_the_family_longest_unused() {
        let sealed = SealedFamilies::default();
        let family = |n: usize| FamilyId::new(Ulid::from(u128::try_from(n).unwrap()));
        for n in 0..=CAPACITY.get() {
            sealed.remember(family(n), Cause::Reuse);
        }
        assert_eq!(sealed.cause_of(family(0)), None);
        assert_eq!(sealed.cause_of(family(1)), Some(Cause::Reuse));
    }
}
