//! What a bucket allows: how many requests at once, and how fast they come back.

use std::num::NonZeroU32;
use std::time::Duration;

/// The allowance of a token bucket: `burst` requests at once, one more every `emission_interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    burst: NonZeroU32,
    emission_millis: NonZeroU32,
}

impl Allowance {
    /// `limit` requests in every `period`, all of them at once if they come so.
    ///
    /// The interval between two requests is rounded up to whole milliseconds, the unit of the table, so that the rate
    /// is never above the limit; a period under one millisecond per request counts as one.
    #[must_use]
    pub fn per_period(limit: NonZeroU32, period: Duration) -> Self {
        let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        let interval = NonZeroU32::new(millis.div_ceil(limit.get())).unwrap_or(NonZeroU32::MIN);
        Self { burst: limit, emission_millis: interval }
    }

    /// How many requests at once: the `Limit` that clients are told.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    /// The time in which one request comes back, in milliseconds.
    #[must_use]
    pub fn emission_millis(self) -> i64 {
        i64::from(self.emission_millis.get())
    }

    /// The time in which an empty bucket is full again, in milliseconds.
    #[must_use]
    pub fn full_millis(self) -> i64 {
        self.emission_millis().saturating_mul(i64::from(self.burst.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_rounded_so_that_the_rate_never_exceeds_the_limit() {
        let allowance = |limit, secs| Allowance::per_period(NonZeroU32::new(limit).unwrap(), Duration::from_secs(secs));
        assert_eq!(allowance(50, 300).emission_millis(), 6_000);
        assert_eq!(allowance(3, 1).emission_millis(), 334);
        assert_eq!(allowance(5_000, 1).emission_millis(), 1);
    }
}
