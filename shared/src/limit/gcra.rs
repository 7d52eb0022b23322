//! The generic cell rate algorithm: a token bucket whose whole state is one number, the theoretical arrival time
//! (`tat`), which is also the moment at which the bucket is full again. Pure arithmetic.
//!
//! With emission interval T and burst B a request at `now` conforms if `tat <= now + (B-1)·T`, and moves `tat` to
//! `max(tat, now) + T`. A conditional write cannot say `max`, so there are two forms: *idle* (`tat <= now`, or none)
//! and *busy* (`now < tat`).
//!
//! No clock that is right leaves a `tat` after `now + B·T`. One that lies later was left by a clock that was wrong, and
//! would lock its bucket for as long as that clock was ahead. Such a bucket is *broken*, and a third form mends it: it is
//! taken to be as this instance last knew it.

use std::time::Duration;

use super::Allowance;
use crate::moment::Timestamp;
use crate::store::{Charge, WALK_TIME};

/// What is left in a bucket after a request was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// How many requests a full bucket allows.
    pub limit: u32,
    /// How many more would be let in at this instant.
    pub remaining: u32,
    /// When the bucket is full again.
    pub full_at: Timestamp,
}

/// A bucket that is empty, as a value that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// How many requests a full bucket allows.
    pub limit: u32,
    /// When the bucket is full again.
    pub full_at: Timestamp,
    /// The earliest instant at which a request is let in.
    pub retry_at: Timestamp,
    now: Timestamp,
}

impl Limited {
    /// Seconds until a request is let in, rounded up and at least one: `Retry-After` (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after_secs(&self) -> u64 {
        self.retry_at.since(self.now).as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
    }

    /// The same as what is left: nothing.
    #[must_use]
    pub const fn balance(&self) -> Balance {
        Balance { limit: self.limit, remaining: 0, full_at: self.full_at }
    }
}

/// How far apart two clocks may be and still both be right. Lambda's are kept within a millisecond or two; a bucket that
/// was emptied by a clock this much ahead is still an empty bucket, and not a broken one.
pub const CLOCK_TOLERANCE: Duration = Duration::from_millis(250);

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// The latest `tat` at which a request at `now` still conforms.
fn last_conforming(allowance: Allowance, now: Timestamp) -> Timestamp {
    now.plus(millis(allowance.full_millis().saturating_sub(allowance.emission_millis())))
}

/// Whether a right clock can have left this `tat`, so that it is worth believing.
#[must_use]
pub fn is_credible(allowance: Allowance, tat: Timestamp, now: Timestamp) -> bool {
    tat <= now.plus(millis(allowance.full_millis())).plus(CLOCK_TOLERANCE)
}

/// The charge that fits a bucket in which `stood` stands, in the hands of an instance that last knew `known` of it.
///
/// An arrival time only ever grows, so that what is known counts where less stands: then a wrong clock has set the bucket
/// back. It is of use for that alone, and with right clocks changes nothing.
///
/// # Errors
/// [`Limited`] where none does.
pub fn form_for(
    allowance: Allowance,
    stood: Option<Timestamp>,
    known: Option<Timestamp>,
    now: Timestamp,
) -> Result<Charge, Limited> {
    let credible = |tat: &Timestamp| is_credible(allowance, *tat, now);
    let (sound, known) = (stood.filter(credible), known.filter(credible));
    let tat = sound.max(known).unwrap_or(now).max(now);
    if tat > last_conforming(allowance, now) {
        return Err(limited(allowance, tat, now));
    }
    let to = tat.plus(millis(allowance.emission_millis()));
    Ok(match (stood, sound) {
        (Some(stood), None) => Charge::Broken { stood, to },
        (_, Some(sound)) if sound > now => {
            Charge::Busy { now, up_to: last_conforming(allowance, now), by_millis: allowance.emission_millis() }
        }
        (_, Some(_) | None) => Charge::Idle { now, to },
    })
}

/// The whole step, for a bucket in memory: the new `tat` and what is left.
///
/// # Errors
/// [`Limited`] where the bucket is empty; its `tat` stays as it is.
pub fn take(allowance: Allowance, tat: Option<Timestamp>, now: Timestamp) -> Result<(Timestamp, Balance), Limited> {
    let tat = match form_for(allowance, tat, None, now)? {
        Charge::Idle { to, .. } | Charge::Broken { to, .. } => to,
        Charge::Busy { by_millis, .. } => tat.unwrap_or(now).plus(millis(by_millis)),
    };
    Ok((tat, balance(allowance, Some(tat), now)))
}

/// What is left once `tat` stands: all of it where nothing does, or nothing credible.
#[must_use]
pub fn balance(allowance: Allowance, tat: Option<Timestamp>, now: Timestamp) -> Balance {
    let full_at = tat.filter(|tat| is_credible(allowance, *tat, now)).unwrap_or(now).max(now);
    let free = allowance.full_millis().saturating_sub(full_at.millis().saturating_sub(now.millis()));
    let remaining = u32::try_from(free.div_euclid(allowance.emission_millis())).unwrap_or(0);
    Balance { limit: allowance.burst(), remaining: remaining.min(allowance.burst()), full_at }
}

fn limited(allowance: Allowance, tat: Timestamp, now: Timestamp) -> Limited {
    let ahead = millis(allowance.full_millis().saturating_sub(allowance.emission_millis()));
    let retry_at = Timestamp::from_millis(tat.millis().saturating_sub(crate::moment::millis_of(ahead)));
    Limited { limit: allowance.burst(), full_at: tat, retry_at, now }
}

/// How long a bucket stands after it is full again. A charge may reach the store as much as [`WALK_TIME`] after its request
/// read the clock, and that clock may be behind the one by which TTL deletes: where the bucket was gone by then, an idle
/// charge of before it was full would find nothing in its way. A minute is fifteen times the first, and leaves the clocks
/// to differ by all the rest.
pub const EXPIRY_SLACK: Duration = Duration::from_mins(1);
const _: () = assert!(EXPIRY_SLACK.as_millis() > WALK_TIME.as_millis() + CLOCK_TOLERANCE.as_millis());

/// When the bucket's item may be deleted: no `tat` that this request can leave lies later, nor does any charge of a request
/// begun before that.
#[must_use]
pub fn expires_at_secs(allowance: Allowance, now: Timestamp) -> i64 {
    now.plus(millis(allowance.full_millis())).plus(EXPIRY_SLACK).secs_rounded_up()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::num::NonZeroU32;

    fn allowance(limit: u32, period_millis: u64) -> Allowance {
        Allowance::per_period(NonZeroU32::new(limit).unwrap(), Duration::from_millis(period_millis))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_full_bucket_lets_its_burst_in_at_once_and_not_one_more() {
        let (five, mut tat) = (allowance(5, 1_000), None);
        for remaining in (0..5).rev() {
            let (next, balance) = take(five, tat, at(0)).unwrap();
            assert_eq!((balance.limit, balance.remaining), (5, remaining));
            tat = Some(next);
        }
        let refused = take(five, tat, at(0)).unwrap_err();
        assert_eq!((refused.retry_at, refused.full_at, refused.retry_after_secs()), (at(200), at(1_000), 1));
    }

    #[test]
    fn a_request_comes_back_exactly_one_interval_after_the_bucket_was_emptied() {
        let five = allowance(5, 1_000);
        let empty = Some(at(1_000));
        assert!(take(five, empty, at(199)).is_err());
        assert!(take(five, empty, at(200)).is_ok());
        assert!(take(five, empty, at(201)).is_ok());
    }

    #[test]
    fn a_bucket_is_idle_from_the_moment_at_which_it_is_full_again() {
        let five = allowance(5, 1_000);
        let is_idle = |now| matches!(form_for(five, Some(at(1_000)), None, at(now)), Ok(Charge::Idle { .. }));
        assert_eq!((is_idle(999), is_idle(1_000), is_idle(1_001)), (false, true, true));
    }

    #[test]
    fn retry_after_is_whole_seconds_rounded_up() {
        let one = allowance(1, 10_000);
        let ask = |now| form_for(one, Some(at(10_000)), None, at(now)).err().map(|l| l.retry_after_secs());
        assert_eq!([ask(0), ask(1), ask(8_999), ask(9_999), ask(10_000)], [Some(10), Some(10), Some(2), Some(1), None]);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_plus_the_rate_over_any_interval(
            limit in 1_u32..20, period in 1_u64..5_000, gaps in prop::collection::vec(0_i64..400, 1..200),
        ) {
            let allowance = allowance(limit, period);
            let (mut now, mut tat, mut admitted) = (0, None, Vec::new());
            for gap in gaps {
                now += gap;
                if let Ok((next, balance)) = take(allowance, tat, at(now)) {
                    prop_assert!(balance.remaining < balance.limit);
                    // Whoever read the clock before the bucket was full has charged it, or been given up, by then.
                    let last_charge = next.plus(WALK_TIME).plus(CLOCK_TOLERANCE);
                    prop_assert!(last_charge.secs_rounded_up() < expires_at_secs(allowance, at(now)));
                    tat = Some(next);
                    admitted.push(now);
                }
            }
            for (i, from) in admitted.iter().enumerate() {
                for (j, to) in admitted.iter().enumerate().skip(i) {
                    let most = i64::from(limit) + (to - from) / allowance.emission_millis();
                    prop_assert!(i64::try_from(j - i + 1).unwrap() <= most);
                }
            }
        }
    }
}
