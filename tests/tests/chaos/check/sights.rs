//! Which kinds of settings and events there were, so that a stranger sees that they occur.

use std::collections::BTreeSet;

use super::checked;
use crate::chaos::play::History;
use crate::chaos::schedule::Loss;

/// What [`sights`] can tell of.
pub const SIGHTS: [&str; 25] = [
    "grace off",
    "a conflict",
    "an amnesty",
    "a forgiven token",
    "short-lived tokens",
    "an expired token",
    "items deleted by TTL",
    "all items lost",
    "all but the seal lost",
    "an older item lost",
    "the oldest items lost",
    "a token whose line is lost",
    "tokens that do not rotate",
    "a token in the body",
    "a session proven",
    "a fault: error before",
    "a fault: refused",
    "a fault: applied then dropped",
    "a fault: applied then hung",
    "a fault: applied then 500",
    "a fault: applied late",
    "a fault: hung",
    "a fault: throttled",
    "a fault: transaction conflict",
    "a fault: slow",
];

/// Which of [`SIGHTS`] there were.
pub fn sights(history: &History) -> BTreeSet<&'static str> {
    let mut saw = checked(history).saw;
    saw.extend(history.settings.grace_off.then_some("grace off"));
    saw.extend(history.amnesty.map(|_| "an amnesty"));
    saw.extend(history.settings.ttl.map(|_| "short-lived tokens"));
    saw.extend(history.settings.keeps_tokens.then_some("tokens that do not rotate"));
    saw.extend(history.asked.iter().any(|asked| asked.in_body).then_some("a token in the body"));
    saw.extend(history.removals.iter().any(|gone| gone.expired).then_some("items deleted by TTL"));
    saw.extend(history.lost.iter().filter(|lost| !lost.keys.is_empty()).filter_map(|lost| match lost.loss {
        Loss::All => Some("all items lost"),
        Loss::AllButSeal => lost.sealed.then_some("all but the seal lost"),
        Loss::OneOlder(_) => Some("an older item lost"),
        Loss::Oldest(_) => Some("the oldest items lost"),
    }));
    let attempts = history.asked.iter().flat_map(|asked| &asked.attempts);
    let attempts = attempts.chain(history.revoked.iter().flat_map(|revoked| &revoked.attempts));
    saw.extend(attempts.filter_map(|attempt| attempt.trouble.kind()));
    saw
}
