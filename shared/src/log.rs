//! One JSON line per request: what was asked, what was answered, what it cost. Never a token, a `gid`, a cookie or a
//! key: the line is made of this struct's fields and of nothing else.

use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use ulid::Ulid;

use crate::identity::FamilyId;
use crate::store::Usage;
use crate::token::Presented;

/// What is said of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// As in the answer's `X-Request-Id`.
    pub request_id: Ulid,
    /// Which endpoint.
    pub product: &'static str,
    /// What became of it: `rotated`, `reissued`, `refused`, `revoked`, `limited`, `invalid`, `failed`, …
    pub outcome: &'static str,
    /// Why, in one word.
    pub cause: Option<&'static str>,
    /// What went wrong, in a sentence, where no tokens were given.
    pub error: Option<String>,
    /// The answer's status.
    pub status: u16,
    /// The family of the presented token, once it was verified.
    pub family: Option<FamilyId>,
    /// The generation of the presented token, once it was verified.
    pub generation: Option<u32>,
    /// The answer went to a client other than the one that rotated.
    pub another_client: bool,
    /// What the store's calls cost.
    pub usage: Usage,
}

/// Which session a request was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its family.
    pub family: FamilyId,
    /// The generation of the token that was presented, or made.
    pub generation: u32,
}

impl Seen {
    /// That of a presented token.
    #[must_use]
    pub const fn of(presented: &Presented) -> Self {
        let claims = presented.claims();
        Self { family: claims.sid, generation: claims.generation }
    }

    /// One that was opened.
    #[must_use]
    pub const fn opened(family: FamilyId) -> Self {
        Self { family, generation: 0 }
    }
}

impl LogLine {
    /// Writes the line; `elapsed` is the time from the event to the answer.
    pub fn emit(&self, elapsed: Duration) {
        tracing::info!(
            request_id = %self.request_id,
            product = self.product,
            outcome = self.outcome,
            cause = self.cause,
            error = self.error,
            status = self.status,
            family = self.family.map(tracing::field::display),
            generation = self.generation,
            another_client = self.another_client,
            calls = self.usage.calls,
            read_units = self.usage.read_units,
            write_units = self.usage.write_units,
            millis = elapsed.as_secs_f64() * 1000.0,
            "request"
        );
    }
}

/// Sends log lines to standard output as JSON. To be called once, at start.
pub fn init() {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    // The runtime warns of settings that are the platform's affair, at every cold start.
    let levels = Targets::new().with_default(LevelFilter::INFO).with_target("lambda_runtime", LevelFilter::ERROR);
    tracing_subscriber::registry().with(lines).with(levels).init();
}
