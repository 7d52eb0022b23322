//! The edge of the world, as values: one reading of the clock and one draw of randomness per request.
//!
//! Nothing below a function's `main` reads a clock or a random source. A request is decided at the one instant that
//! its [`Moment`] names, however long its calls take, and a test hands in any moment that it likes.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// The instants that have a text with four digits for the year, in milliseconds: from 1970 on, as far as jiff goes.
const TOLD: RangeInclusive<i64> = 0..=253_402_207_199_999;

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the Unix epoch: a NumericDate (RFC 7519 §2).
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// From an RFC 3339 text such as `2026-11-22T10:00:00Z`; `None` where it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The NumericDate at or before this instant, in seconds.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The NumericDate at or after this instant, in seconds. For deadlines that must not fall early.
    #[must_use]
    pub const fn secs_rounded_up(self) -> i64 {
        self.0.saturating_add(999).div_euclid(1000)
    }

    /// This instant and `span` more, at the end of time if that overflows.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(span)))
    }

    /// How long ago `earlier` was; zero if it lies ahead, as it may where two clocks differ.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whether it is one that [`iso8601`](Self::iso8601) tells as it is: from 1970 on, and before the last day of 9999.
    #[must_use]
    pub fn is_told_as_it_is(self) -> bool {
        TOLD.contains(&self.0)
    }

    /// ISO 8601 in UTC with milliseconds: `2026-11-22T10:00:00.000Z`. An instant that no clock of ours has, which only an
    /// item that was written by hand can hold, is told as the nearest that it has.
    #[must_use]
    pub fn iso8601(self) -> String {
        jiff::Timestamp::from_millisecond(self.0.clamp(*TOLD.start(), *TOLD.end()))
            .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
            .unwrap_or_default()
    }
}

/// A span in whole milliseconds, the unit of every time in the table.
#[must_use]
pub fn millis_of(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// 128 random bits in base64url (22 characters): a generation's `gid`, a write's attempt nonce, a token's `jti`.
///
/// Its `Debug` shows nothing: a `gid` is half of what makes a token the live one.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(String);

impl Nonce {
    /// From 16 random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// As an item or a token carried it. Only compared, never decoded.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The 22 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(…)")
    }
}

/// What one request knows of the world outside: when it is, and the random values that it may use, each for one thing.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The request's one reading of the clock.
    pub now: Timestamp,
    /// The ULID of `X-Request-Id`, of the log line and of what the request writes.
    pub request_id: Ulid,
    /// The `gid` of the generation that this request may put.
    pub gid: Nonce,
    /// Tells this request's own write from another's, whatever the SDK retried.
    pub attempt: Nonce,
    /// The `jti` of the refresh token that this request may mint.
    pub refresh_jti: Nonce,
    /// The `jti` of the access token that this request may mint.
    pub access_jti: Nonce,
}

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy(#[from] getrandom::Error);

impl Moment {
    /// Reads the clock and draws the randomness of one request. To be called once per request, at the edge.
    ///
    /// # Errors
    /// [`NoEntropy`] where the operating system has no randomness to give.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn read() -> Result<Self, NoEntropy> {
        let mut entropy = [0; 80];
        getrandom::fill(&mut entropy)?;
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self::from_parts(Timestamp(millis_of(elapsed)), &entropy))
    }

    /// The moment at `now` that these random bytes give.
    #[must_use]
    pub fn from_parts(now: Timestamp, entropy: &[u8; 80]) -> Self {
        let (draws, _) = entropy.as_chunks::<16>();
        let draw = |n: usize| draws.get(n).copied().unwrap_or_default();
        Self {
            now,
            request_id: Ulid::from_parts(u64::try_from(now.millis()).unwrap_or(0), u128::from_be_bytes(draw(0))),
            gid: Nonce::from_bytes(draw(1)),
            attempt: Nonce::from_bytes(draw(2)),
            refresh_jti: Nonce::from_bytes(draw(3)),
            access_jti: Nonce::from_bytes(draw(4)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_down_for_numeric_dates_and_up_for_deadlines() {
        let at = Timestamp::from_millis(1_500);
        assert_eq!((at.secs(), at.secs_rounded_up()), (1, 2));
        assert_eq!(Timestamp::from_secs(2).secs_rounded_up(), 2);
    }

    #[test]
    fn a_time_ahead_counts_as_no_time_ago() {
        assert_eq!(Timestamp::from_secs(1).since(Timestamp::from_secs(5)), Duration::ZERO);
    }

    #[test]
    fn iso_8601_always_has_milliseconds() {
        assert_eq!(Timestamp::from_secs(1_795_305_600).iso8601(), "2026-11-22T00:00:00.000Z");
        for (millis, told) in [
            (i64::MIN, "1970-01-01T00:00:00.000Z"),
            (-1, "1970-01-01T00:00:00.000Z"),
            (253_402_207_199_999, "9999-12-30T21:59:59.999Z"),
            (i64::MAX, "9999-12-30T21:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).iso8601(), told);
        }
        assert_eq!(Timestamp::parse("2026-11-22T00:00:00Z"), Some(Timestamp::from_secs(1_795_305_600)));
    }

    #[test]
    fn the_values_drawn_for_one_request_all_differ() {
        let moment = Moment::read().unwrap();
        let drawn = [moment.gid, moment.attempt, moment.refresh_jti, moment.access_jti];
        for (i, a) in drawn.iter().enumerate() {
            assert_eq!(a.as_str().len(), 22);
            assert!(drawn.iter().skip(i + 1).all(|b| a != b));
        }
    }

    #[test]
    fn a_nonce_is_not_shown_by_debug() {
        assert_eq!(format!("{:?}", Nonce::from_text("secret")), "Nonce(…)");
    }
}
