//! What must hold in every state, and what must happen in some.

use std::collections::BTreeSet;

use stateright::Property;

use super::state::{Broken, No, Request, Stage, State, Token};
use super::world::{Damage, World};

pub const ONE_LIVE: &str = "two generations never share a number";
pub const NEWEST: &str = "nothing is minted of a generation that was retired before the request began";
pub const SEALED: &str = "nothing is minted by a request begun after a seal was acknowledged";
pub const WINDOW: &str = "a retired token past its window never mints";
pub const CLOSED: &str = "a family that lost its items never reopens to a token from before, begun afterwards";
pub const REPORTED: &str = "a replay served to another client than the one that rotated is reported";
pub const HONEST: &str = "an honest client is refused only after a delay past the window or an overtaken answer";
pub const COLLISION: &str = "whoever is served what another client put, a report stands";

/// The promises that every configuration must keep.
pub fn all() -> Vec<Property<World>> {
    vec![
        Property::always(ONE_LIVE, |_, state: &State| state.damaged.is_some() || numbers_are_unique(state)),
        Property::always(NEWEST, |_, state: &State| kept(state, Broken::MintedStale)),
        Property::always(SEALED, |_, state: &State| kept(state, Broken::MintedAfterSeal)),
        Property::always(WINDOW, |_, state: &State| state.damaged.is_some() || kept(state, Broken::MintedPastWindow)),
        Property::always(CLOSED, |_, state: &State| kept(state, Broken::Reopened)),
        Property::always(REPORTED, |_, state: &State| state.damaged.is_some() || kept(state, Broken::ReplayUnreported)),
        Property::always(COLLISION, |_, state: &State| {
            state.damaged.is_some() || kept(state, Broken::CollisionUnreported)
        }),
        Property::always(HONEST, |_, state: &State| {
            let excused = state.delayed || state.overtaken || state.hostile;
            excused || !state.tabs.iter().flatten().any(|r| matches!(r.stage, Stage::Refused { .. }))
        }),
    ]
}

/// The promises, and that everything worth seeing is seen.
pub fn all_and_sights() -> Vec<Property<World>> {
    let mut properties = all();
    properties.extend([
        Property::sometimes("a token is rotated", |_, s: &State| answering(s, false)),
        Property::sometimes("a token is reissued", |_, s: &State| answering(s, true)),
        Property::sometimes("a token is refused", |_, s: &State| refused(s, No::Sealed)),
        Property::sometimes("a family is revoked", |_, s: &State| refused(s, No::Reuse)),
        Property::sometimes("a lost answer is survived", |_, s: &State| {
            let lost = s.issued.len() == 2 && s.under_way().count() == 1 && s.sent == 2 && !s.hostile;
            lost && answering(s, true)
        }),
        Property::sometimes("a theft is found at the victim's next use", |_, s: &State| {
            s.tabs.iter().flatten().any(|r| r.stage == Stage::Refused { why: No::Reuse })
        }),
        Property::sometimes("a thief is found", |_, s: &State| {
            s.thief.as_ref().is_some_and(|r| r.stage == Stage::Refused { why: No::Reuse })
        }),
        Property::sometimes("thief and victim both continue, and it is reported", |_, s: &State| !s.notes.is_empty()),
    ]);
    properties
}

pub const REMEMBERED: &str = "what an instance remembers as sealed was sealed";

/// The promises, that memory holds no seal that never stood, and that it is used.
pub fn all_and_memory() -> Vec<Property<World>> {
    let mut properties = all();
    properties.extend([
        Property::always(REMEMBERED, |_, s: &State| !s.remembered || s.was_sealed),
        Property::sometimes("a seal lands late", |_, s: &State| s.late_seal_used && !s.late_seal),
        Property::sometimes("a remembered seal refuses", |_, s: &State| s.remembered && refused(s, No::Sealed)),
        Property::sometimes("a late seal lands after its family went on", |_, s: &State| {
            s.late_seal_used && s.was_sealed && !s.seal_acknowledged && s.newest_number() > 1
        }),
    ]);
    properties
}

/// The promises, and that an amnesty lets a client go on that would be refused without.
pub fn all_and_forgiven() -> Vec<Property<World>> {
    let mut properties = all();
    properties.push(Property::sometimes(
        "an unused successor is forgiven past its window",
        |world: &World, s: &State| {
            let late = |r: &Request| {
                let slot = s.generations.get(&(r.token.number + 1));
                slot.is_some_and(|slot| r.now.saturating_sub(slot.minted_at) >= world.judge.window())
            };
            s.tabs.iter().flatten().any(|r| matches!(r.stage, Stage::Answering { reissued: true, .. }) && late(r))
        },
    ));
    properties
}

/// The promises, and that a delay past the window does cost an honest client its session.
pub fn all_and_delays() -> Vec<Property<World>> {
    let mut properties = all();
    properties.extend([
        Property::sometimes("a delay past the window costs an honest client its session", |_, s: &State| {
            s.delayed && !s.overtaken && !s.hostile && refused(s, No::Reuse)
        }),
        Property::sometimes("a late put is taken for another request's", |_, s: &State| {
            s.late_used && s.late.is_none() && answering(s, true)
        }),
    ]);
    properties
}

/// The promises, and that an overtaken answer does cost an honest client its session.
pub fn all_and_overtaking() -> Vec<Property<World>> {
    let mut properties = all();
    properties.push(Property::sometimes("an overtaken answer costs an honest client its session", |_, s: &State| {
        s.overtaken && !s.delayed && !s.hostile && refused(s, No::Reuse)
    }));
    properties
}

/// For a window that closes by use: there an honest client may be refused without any delay.
pub fn all_but_honest() -> Vec<Property<World>> {
    all().into_iter().filter(|promise| promise.name != HONEST).collect()
}

/// The promises, and what no store can tell: a copy of the opening goes on.
pub fn all_and_older_copies() -> Vec<Property<World>> {
    let mut properties = all();
    properties.push(Property::sometimes("an older copy of the truth is live again", |_, s: &State| {
        let begun_after = |r: &Request| r.after_damage && matches!(r.stage, Stage::Answering { .. });
        s.issued.len() > 2 && s.tabs.iter().flatten().any(begun_after)
    }));
    properties
}

/// Only this.
pub fn closed() -> Vec<Property<World>> {
    vec![Property::always(CLOSED, |_, state: &State| kept(state, Broken::Reopened))]
}

/// Whether minting for `presented`, by a request begun after a loss, reopens what must stay closed. A table restored to
/// the family's opening knows generation 0 truly: that it goes on is what no store can tell. The tokens that the copy
/// does not know are those of the requests sent before.
pub fn reopens((damage, last_sent): (Damage, u8), presented: Token) -> bool {
    match damage {
        Damage::All | Damage::AllButSeal => true,
        Damage::Restored => (1..=last_sent).contains(&presented.gid),
    }
}

fn kept(state: &State, promise: Broken) -> bool {
    !state.broken.contains(&promise)
}

fn numbers_are_unique(state: &State) -> bool {
    let numbers: BTreeSet<_> = state.issued.iter().map(|token| token.number).collect();
    numbers.len() == state.issued.len()
}

fn answering(state: &State, again: bool) -> bool {
    state.tabs.iter().flatten().any(|r| matches!(r.stage, Stage::Answering { reissued, .. } if reissued == again))
}

fn refused(state: &State, why: No) -> bool {
    state.under_way().any(|r| r.stage == Stage::Refused { why })
}
