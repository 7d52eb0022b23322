//! What a product decides about rotation, as values.

use std::time::Duration;

use crate::moment::Timestamp;

/// With the grace window off: how long a second request for one token is taken for a race (nothing is revoked, the
/// client is told to try again). Longer than any honest pair of requests sent at once, too short for a theft to be
/// mistaken for one.
///
/// It is measured between two instances' clocks, as every window is. A slot that lies ahead of the request's clock is no
/// time old, so that a clock that is ahead prolongs the conflict by as much; one that is two seconds behind leaves none.
pub const CONFLICT_WINDOW: Duration = Duration::from_secs(2);
/// The longest grace window that a deployment may set. A stolen token goes unnoticed for this long at most after the
/// victim has rotated it.
pub const GRACE_WINDOW_MAX: Duration = Duration::from_mins(1);

/// How long after a rotation its predecessor's token is believed to be a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// Never.
    Off,
    /// For a time after the rotation, which begins at the rotating request's own reading of the clock. A slow store can
    /// keep that request's answer back for [`WALK_TIME`](crate::store::WALK_TIME) (4 s), so that a window under some 5 s
    /// can be over before its client has heard that it should retry.
    Window(Duration),
    /// Until the successor has itself been rotated, and for a time at most.
    UntilSuccessorUsed {
        /// The time, even if the successor is never used.
        at_most: Duration,
    },
}

impl Grace {
    /// A window of so many seconds; zero is off.
    #[must_use]
    pub const fn window_secs(secs: u64) -> Self {
        if secs == 0 { Self::Off } else { Self::Window(Duration::from_secs(secs)) }
    }
}

/// An interval in which answers were lost (`REUSE_AMNESTY`): `from` included, `to` not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amnesty {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

/// One product's rotation settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// When a retired token is believed.
    pub grace: Grace,
    /// How long a refresh token lives without being used.
    pub idle: Duration,
    /// How long a session lives however much it is used.
    pub absolute: Duration,
    /// The operator's remedy after an outage.
    pub amnesty: Option<Amnesty>,
}

impl RotationPolicy {
    /// The `exp` of a generation put at `now`: after the idle time, and never after its session's end. In whole
    /// seconds, rounded down, as a NumericDate is.
    #[must_use]
    pub fn token_expires_at(&self, now: Timestamp, session_expires_at: Timestamp) -> Timestamp {
        Timestamp::from_secs(now.plus(self.idle).min(session_expires_at).secs())
    }

    /// When a session opened at `now` ends.
    #[must_use]
    pub fn session_expires_at(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_secs(now.plus(self.absolute).secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_expires_after_the_idle_time_and_never_after_its_session() {
        let policy = RotationPolicy {
            grace: Grace::Off,
            idle: Duration::from_secs(100),
            absolute: Duration::from_secs(1_000),
            amnesty: None,
        };
        let at =
            |now, session| policy.token_expires_at(Timestamp::from_millis(now), Timestamp::from_secs(session)).secs();
        assert_eq!(at(1_500, 1_000), 101);
        assert_eq!([at(0, 99), at(0, 100), at(0, 101)], [99, 100, 100]);
    }

    #[test]
    fn a_window_of_zero_seconds_is_off() {
        assert_eq!((Grace::window_secs(0), Grace::window_secs(1)), (Grace::Off, Grace::Window(Duration::from_secs(1))));
    }
}
