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
use memory::StoreBuckets;

/// A wrong guess of a bucket's form is answered with what stands; a right one can still lose to a request in between, and
/// the mending of a broken bucket to another's. More means that the bucket is made anew under our hands.
const CHARGE_ATTEMPTS: usize = 4;

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
        gcra::balance(self.allowance, self.buckets.known(bucket, self.allowance, now), now)
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
        let allowance = self.allowance;
        let known = self.buckets.known(bucket, allowance, now);
        let form_for = |stood, now, from_memory| {
            let form = gcra::form_for(allowance, stood, known, now);
            form.map_err(|limited| AdmitError::Limited { limited, from_memory })
        };
        // The first form supposes that what is known stands.
        let (mut form, mut now) = (form_for(known, now, true)?, now);
        let begun_at = now;
        for _ in 0..CHARGE_ATTEMPTS {
            let expires_at = gcra::expires_at_secs(allowance, now);
            let stood = match store.charge(bucket, form, expires_at, meter).await? {
                Charged::Applied { tat } => {
                    self.buckets.remember(bucket, allowance, tat, now);
                    return Ok(gcra::balance(allowance, Some(tat), now));
                }
                Charged::Failed { tat } => tat,
            };
            // What stands was left while the charge was under way. Where that took long, it is judged by the time that it
            // is by then: by the request's own instant it would look as if a wrong clock had left it.
            let elapsed = meter.elapsed();
            if elapsed >= gcra::CLOCK_TOLERANCE {
                now = begun_at.plus(elapsed);
            }
            if let Some(tat) = stood {
                self.buckets.remember(bucket, allowance, tat, now);
            }
            form = form_for(stood, now, false)?;
        }
        Err(AdmitError::Store(StoreError::Contended("the rate bucket changed under every attempt".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Charge, Checks, Item, Opened, Put, Query, Replaced, Usage};
    use std::num::NonZeroU32;
    use std::sync::Mutex;
    use std::time::Duration;

    /// A store with one bucket and nothing else.
    #[derive(Default)]
    struct OneBucket(Mutex<Option<Timestamp>>);

    impl OneBucket {
        fn tat(&self) -> Option<Timestamp> {
            *self.0.lock().unwrap()
        }
    }

    impl Store for OneBucket {
        async fn charge(&self, _: &Key, charge: Charge, _: i64, meter: &Meter) -> Result<Charged, StoreError> {
            let mut tat = self.0.lock().unwrap();
            let next = match (charge, *tat) {
                (Charge::Idle { now, to }, stood) if stood.is_none_or(|stood| stood <= now) => Some(to),
                (Charge::Busy { now, up_to, by_millis }, Some(stood)) if now < stood && stood <= up_to => {
                    Some(stood.plus(Duration::from_millis(by_millis.try_into().unwrap())))
                }
                (Charge::Broken { stood: found, to }, Some(stood)) if stood == found => Some(to),
                (Charge::Idle { .. } | Charge::Busy { .. } | Charge::Broken { .. }, _) => None,
            };
            meter.write(1.0);
            let Some(next) = next else { return Ok(Charged::Failed { tat: *tat }) };
            *tat = Some(next);
            Ok(Charged::Applied { tat: next })
        }

        async fn put_if_absent(&self, _: &Item, _: &Meter) -> Result<Put, StoreError> {
            Err(nothing_else())
        }

        async fn query(&self, _: &Query, _: &Meter) -> Result<Vec<Item>, StoreError> {
            Err(nothing_else())
        }

        async fn get(&self, _: &Key, _: bool, _: &Meter) -> Result<Option<Item>, StoreError> {
            Err(nothing_else())
        }

        async fn open(&self, _: Checks<'_>, _: &[Item], _: &Meter) -> Result<Opened, StoreError> {
            Err(nothing_else())
        }

        async fn replace_if(&self, _: Option<&Item>, _: &Item, _: &Meter) -> Result<Replaced, StoreError> {
            Err(nothing_else())
        }
    }

    fn nothing_else() -> StoreError {
        StoreError::Unavailable("it has a bucket and nothing else".to_owned())
    }

    const DAY: i64 = 86_400_000;
    const INSTANCES: usize = 4;

    /// What the products' buckets allow: 100 a second, 10 a minute, 50 in five minutes.
    fn allowances() -> [Allowance; 3] {
        [(100, 1), (10, 60), (50, 300)]
            .map(|(limit, secs)| Allowance::per_period(NonZeroU32::new(limit).unwrap(), Duration::from_secs(secs)))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_341_600_000 + millis)
    }

    fn key() -> Key {
        Key { pk: "RATE#p#k".to_owned(), sk: "BUCKET".to_owned() }
    }

    /// Requests every `gap` milliseconds, dealt to four instances whose clocks are this much ahead. When each was let in.
    async fn let_in(allowance: Allowance, ahead: [i64; INSTANCES], gap: i64, requests: i64) -> Vec<i64> {
        let (store, mut admitted) = (OneBucket::default(), Vec::new());
        let instances = ahead.map(|ahead| (ahead, Admission::new(allowance)));
        let mut dealt = 7_u32;
        for n in 0..requests {
            dealt = dealt.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let (ahead, instance) = &instances[usize::try_from(dealt >> 16).unwrap() % INSTANCES];
            let now = at(n * gap + ahead);
            match instance.charge(&key(), &store, now, &Meter::default()).await {
                Ok(_) => admitted.push(n * gap),
                Err(AdmitError::Limited { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        admitted
    }

    /// The most that was let in over any interval, over what is promised for it.
    fn worst(allowance: Allowance, admitted: &[i64]) -> f64 {
        let mut worst: f64 = 0.0;
        for (i, from) in admitted.iter().enumerate() {
            for (j, to) in admitted.iter().enumerate().skip(i) {
                let promised = i64::from(allowance.burst()) + (to - from) / allowance.emission_millis();
                worst = worst
                    .max(f64::from(u32::try_from(j - i + 1).unwrap()) / f64::from(i32::try_from(promised).unwrap()));
            }
        }
        worst
    }

    #[tokio::test]
    async fn clocks_that_are_right_let_through_the_burst_and_the_rate_and_no_more() {
        for allowance in allowances() {
            let gap = (allowance.emission_millis() / 7).max(1);
            let worst = worst(allowance, &let_in(allowance, [0; INSTANCES], gap, 2_000).await);
            assert!(worst <= 1.0 && worst > 0.9, "{allowance:?}: {worst}");
        }
    }

    #[tokio::test]
    async fn a_clock_that_is_wrong_locks_nobody_out() {
        for ahead in [5_000, -5_000, DAY, -DAY] {
            for allowance in allowances() {
                // Half of what is allowed, so that nobody has a reason to be refused.
                let gap = allowance.emission_millis() * 2;
                let admitted = let_in(allowance, [ahead, 0, 0, 0], gap, 1_000).await;
                assert_eq!(admitted.len(), 1_000, "{ahead} ms ahead, {allowance:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_clock_that_is_wrong_lets_little_more_through() {
        for ahead in [5_000, -5_000, DAY, -DAY] {
            for allowance in allowances() {
                for gap in [allowance.emission_millis() / 10, allowance.emission_millis() / 2] {
                    let worst = worst(allowance, &let_in(allowance, [ahead, 0, 0, 0], gap, 2_000).await);
                    assert!(worst <= 3.0, "{ahead} ms ahead, {allowance:?}: {worst} times what is promised");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_long_under_way_neither_sets_a_bucket_back_nor_is_refused_for_what_came_meanwhile() {
        for allowance in allowances() {
            let three_secs = 3_000;
            // What others left a moment ago, while this request waited for three seconds: an empty bucket, and one charge.
            let emptied = three_secs + allowance.full_millis();
            let charged_once = three_secs + allowance.emission_millis();
            for (stood, let_in) in [(emptied, false), (charged_once, allowance.burst() > 1)] {
                let (store, instance) = (OneBucket(Mutex::new(Some(at(stood)))), Admission::new(allowance));
                let begun_at = tokio::time::Instant::now() - Duration::from_secs(3);
                let meter = Meter::since(begun_at, crate::store::WALK_TIME);
                let answer = instance.charge(&key(), &store, at(0), &meter).await;
                assert_eq!(answer.is_ok(), let_in, "{allowance:?}: {answer:?}");
                let left = stood + if let_in { allowance.emission_millis() } else { 0 };
                assert_eq!(store.tat(), Some(at(left)), "{allowance:?}: it stands on what stood");
            }
        }
    }

    #[tokio::test]
    async fn a_bucket_left_a_day_ahead_is_mended_by_the_next_request_and_not_remembered() {
        for allowance in allowances() {
            let (store, instance, meter) =
                (OneBucket(Mutex::new(Some(at(DAY)))), Admission::new(allowance), Meter::default());
            let balance = instance.charge(&key(), &store, at(0), &meter).await.unwrap();
            assert_eq!((balance.remaining, balance.full_at), (allowance.burst() - 1, store.tat().unwrap()));
            assert_eq!(store.tat(), Some(at(allowance.emission_millis())));
            let guessed_and_mended = Usage::of(0, 0.0, 2.0);
            assert_eq!(meter.usage(), guessed_and_mended);
            // A wrong clock again: what was found does not count, and what is known does.
            *store.0.lock().unwrap() = Some(at(DAY));
            let again = instance.charge(&key(), &store, at(0), &meter).await.unwrap();
            assert_eq!(again.remaining, allowance.burst() - 2);
        }
    }

    #[tokio::test]
    async fn an_instance_whose_own_clock_is_set_back_goes_on_at_once() {
        for allowance in allowances() {
            let (store, instance, meter) = (OneBucket::default(), Admission::new(allowance), Meter::default());
            instance.charge(&key(), &store, at(DAY), &meter).await.unwrap();
            let balance = instance.charge(&key(), &store, at(0), &meter).await.unwrap();
            assert_eq!(balance.remaining, allowance.burst() - 1);
        }
    }
}
