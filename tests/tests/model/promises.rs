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
pub const LIFETIME: &str = "a token is good for its idle time, within its session, and no longer";

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
        Property::always(LIFETIME, |_, state: &State| kept(state, Broken::OtherLifetime)),
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
        Property::sometimes("a seal lands late", |_, s: &State| s.late_seal_used && s.late_seal.is_none()),
        Property::sometimes("a remembered seal refuses", |_, s: &State| s.remembered && refused(s, No::Sealed)),
        Property::sometimes("a late seal lands after its family went on", |_, s: &State| {
            s.late_seal_used && s.was_sealed && !s.seal_acknowledged && s.newest_number() > 1
        }),
    ]);
    properties
}

/// The promises, and what becomes of notes whose outcome is not known.
pub fn all_and_notes() -> Vec<Property<World>> {
    let mut properties = all();
    properties.extend([
        Property::sometimes("a note lands late", |_, s: &State| s.late_note_used && s.late_note.is_none()),
        Property::sometimes("a note stands of a replay that was never served", |_, s: &State| {
            !s.notes.is_empty() && s.under_way().next().is_none() && s.sent == 2 && s.issued.len() == 2
        }),
        Property::sometimes("a retry finds the note that its first attempt left", |_, s: &State| {
            s.under_way().any(|r| matches!(r.stage, Stage::Noting { .. }) && s.noted(r))
        }),
    ]);
    properties
}

/// The promises, and that clocks apart are seen: an age below zero, and what they cost.
pub fn all_and_skew() -> Vec<Property<World>> {
    let mut properties = all();
    properties.extend([
        Property::sometimes("a request meets a successor that its clock has yet to come to", |_, s: &State| {
            let ahead = |r: &Request| s.generations.get(&(r.token.number + 1)).is_some_and(|g| g.minted_at > r.now);
            s.under_way().any(|r| matches!(r.stage, Stage::Answering { reissued: true, .. }) && ahead(r))
        }),
        Property::sometimes(
            "a retired token mints past its window, by as much as clocks differ",
            |world: &World, s: &State| {
                let past = |r: &Request| {
                    let slot = s.retired_by.get(&(r.token.number + 1)).filter(|slot| slot.gid != r.id);
                    slot.is_some_and(|slot| r.begun.saturating_sub(slot.begun) >= world.judge.window())
                };
                s.under_way().any(|r| matches!(r.stage, Stage::Answering { .. } | Stage::Noting { .. }) && past(r))
            },
        ),
        Property::sometimes("an honest client is refused before its window is over", |world: &World, s: &State| {
            let early = |r: &Request| {
                let slot = s.generations.get(&(r.token.number + 1));
                slot.is_some_and(|slot| r.begun - slot.begun < world.judge.window())
            };
            s.tabs.iter().flatten().any(|r| r.stage == Stage::Refused { why: No::Reuse } && early(r))
        }),
    ]);
    properties
}

/// The promises, and that TTL takes a seal away.
pub fn all_and_expiry() -> Vec<Property<World>> {
    let mut properties = all();
    properties.push(Property::sometimes("a seal expires", |_, s: &State| s.was_sealed && s.seal.is_none()));
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
/// an earlier time knows its generations truly: that the last of them goes on is what no store can tell. The tokens that
/// the copy does not know are of later generations, and of requests sent before the loss.
pub fn reopens((damage, last_sent): (Damage, u8), presented: Token) -> bool {
    match damage {
        Damage::All | Damage::AllButSeal => true,
        Damage::RestoredTo(newest) => presented.number > newest && presented.gid <= last_sent,
    }
}

/// Whether a token is refused as expired before its time, or is good after it, by more than clocks may differ.
pub fn expires_early_or_late(world: &World, state: &State, token: Token, expired: bool) -> bool {
    let begun = state.retired_by.get(&token.number).map_or(0, |put| put.begun);
    let due = (begun + world.judge.idle()).min(world.judge.session_ends);
    if expired { state.now + world.allowance < due } else { state.now >= due + world.allowance }
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
