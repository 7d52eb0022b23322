//! Admission: the room between what was presented and what may rotate. A limited request must not rotate, so this
//! comes first.
//!
//! `allowance` is what a bucket allows, `gcra` the arithmetic, `memory` what one instance knows without asking. A
//! request whose token verifies is charged to a bucket in the store, and so is a password before it is tried; one with
//! neither is charged to its address, in the instance's memory alone, so that garbage never costs a store call.

pub mod allowance;
pub mod gcra;
pub mod memory;

pub use allowance::Allowance;
pub use gcra::{Balance, Limited};
pub use memory::LocalBuckets;

use crate::moment::Timestamp;
use crate::rotation::sealed::SealedFamilies;
use crate::store::item::Cause;
use crate::store::{Charged, Key, Meter, Store, StoreError};
use crate::token::Presented;
use memory::{Guess, StoreBuckets};

/// A wrong guess of a bucket's form is answered with what stands; a right one can still lose once to a request in
/// between. More means that the bucket is deleted and made anew under our hands.
const CHARGE_ATTEMPTS: usize = 3;

/// A presented token that may go on: the second room of the walk.
///
/// Only [`Admission::admit`] makes one.
///
/// ```compile_fail,E0451
/// # fn skip(presented: rondo_shared::token::Presented, balance: rondo_shared::limit::Balance) {
/// let admitted = rondo_shared::limit::Admitted { presented, balance }; // the fields are private
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Admitted {
    presented: Presented,
    balance: Balance,
}

impl Admitted {
    /// What was presented.
    #[must_use]
    pub const fn presented(&self) -> &Presented {
        &self.presented
    }

    /// What is left in the bucket that was charged.
    #[must_use]
    pub const fn balance(&self) -> Balance {
        self.balance
    }
}

/// Why a request was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// The instance remembers that the family is sealed. The bucket was not charged: replaying a dead token costs its
    /// owner nothing.
    #[error("the family is sealed")]
    Sealed(Cause),
    /// The bucket is empty.
    #[error("the bucket is empty")]
    Limited {
        /// When it will not be.
        limited: Limited,
        /// Whether the instance knew without asking the store.
        from_memory: bool,
    },
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One product's admission by the buckets in the store, with what this instance remembers of them.
#[derive(Debug)]
pub struct Admission {
    allowance: Allowance,
    buckets: StoreBuckets,
}

impl Admission {
    /// Admission under one allowance for every bucket.
    #[must_use]
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, buckets: StoreBuckets::default() }
    }

    /// What is left in a bucket as far as this instance knows: for an answer that tells it and was not charged, or whose
    /// charge is not known to have been applied.
    pub fn balance(&self, bucket: &Key, now: Timestamp) -> Balance {
        self.buckets.balance(bucket, self.allowance, now)
    }

    /// Admits a presented token, charging `bucket` once: one write, one more where the bucket's form was guessed wrong,
    /// none where this instance knows the answer already.
    ///
    /// # Errors
    /// [`AdmitError::Sealed`] and [`AdmitError::Limited`] are refusals; [`AdmitError::Store`] is a passing failure.
    pub async fn admit<S: Store>(
        &self,
        presented: Presented,
        bucket: &Key,
        sealed: &SealedFamilies,
        store: &S,
        now: Timestamp,
        meter: &Meter,
    ) -> Result<Admitted, AdmitError> {
        if let Some(cause) = sealed.cause_of(presented.claims().sid) {
            return Err(AdmitError::Sealed(cause));
        }
        let balance = self.charge(bucket, store, now, meter).await?;
        Ok(Admitted { presented, balance })
    }

    /// Charges `bucket` once, for a request that presents no token and has to be limited everywhere all the same: a
    /// password, say. Costs what [`Admission::admit`] does.
    ///
    /// # Errors
    /// [`AdmitError::Limited`] is a refusal; [`AdmitError::Store`] is a passing failure.
    pub async fn charge<S: Store>(
        &self,
        bucket: &Key,
        store: &S,
        now: Timestamp,
        meter: &Meter,
    ) -> Result<Balance, AdmitError> {
        let mut guess = match self.buckets.guess(bucket, self.allowance, now) {
            Guess::Limited(limited) => return Err(AdmitError::Limited { limited, from_memory: true }),
            Guess::Idle => gcra::idle_form(self.allowance, now),
            Guess::Busy => gcra::busy_form(self.allowance, now),
        };
        for _ in 0..CHARGE_ATTEMPTS {
            let expires_at = gcra::expires_at_secs(self.allowance, now);
            let stood = match store.charge(bucket, guess, expires_at, meter).await? {
                Charged::Applied { tat } => {
                    self.buckets.remember(bucket, tat);
                    return Ok(gcra::balance(self.allowance, tat, now));
                }
                Charged::Failed { tat } => tat,
            };
            if let Some(tat) = stood {
                self.buckets.remember(bucket, tat);
            }
            guess = match gcra::form_for(self.allowance, stood, now) {
                Ok(charge) => charge,
                Err(limited) => return Err(AdmitError::Limited { limited, from_memory: false }),
            };
        }
        Err(AdmitError::Store(StoreError::Contended("the rate bucket changed under every attempt".to_owned())))
    }
}
