//! What must hold in every state, and what must happen in some.

use std::collections::BTreeSet;

use stateright::Property;

use super::state::{Broken, No, Party, Request, Stage, State, Token};
use super::world::{Damage, World};

pub const ONE_LIVE: &str = "two generations never share a number";
pub const NEWEST: &str = "nothing is minted of a generation that was retired before the request began";
pub const SEALED: &str = "nothing is minted by a request begun after a seal was acknowledged";
pub const WINDOW: &str = "a retired token past its window never mints";
pub const CLOSED: &str = "a family that lost its items never reopens to a token from before, begun afterwards";
pub const REPORTED: &str = "a replay served to another client than the one that rotated is reported";
pub const HONEST: &str = "an honest client is refused only after a delay past the window or an overtaken answer";
pub const COLLISION: &str = "whoever is served what another client put, a report stands";
pub const FOUND: &str = "whoever is told that the session has ended, it has: a seal was put";
pub const LIFETIME: &str = "a token is good for its idle time, within its session, and no longer";

/// The promises that every configuration must keep.
pub fn all() -> Vec<Property<World>> {
    vec![
        Property::always(ONE_LIVE, |_, state: &State| !state.remembers_its_retired() || numbers_are_unique(state)),
        Property::always(NEWEST, |_, state: &State| kept(state, Broken::MintedStale)),
        Property::always(SEALED, |_, state: &State| kept(state, Broken::MintedAfterSeal)),
        window(),
        Property::always(CLOSED, |_, state: &State| kept(state, Broken::Reopened)),
        Property::always(REPORTED, |_, state: &State| {
            !state.remembers_its_retired() || kept(state, Broken::ReplayUnreported)
        }),
        Property::always(COLLISION, |_, state: &State| {
            !state.remembers_its_retired() || kept(state, Broken::CollisionUnreported)
        }),
        Property::always(FOUND, |_, state: &State| {
            let ended = |r: &Request| matches!(r.stage, Stage::Refused { why } if why != No::Conflict);
            state.was_sealed || !state.under_way().any(ended)
        }),
        Property::always(LIFETIME, |_, state: &State| kept(state, Broken::OtherLifetime)),
        Property::always(HONEST, |_, state: &State| {
            let excused = state.delayed || state.overtaken || state.outrun || state.hostile;
            excused || !state.tabs.iter().flatten().any(|r| matches!(r.stage, Stage::Refused { .. }))
        }),
    ]
}

fn window() -> Property<World> {
    Property::always(WINDOW, |_, state: &State| !state.remembers_its_retired() || kept(state, Broken::MintedPastWindow))
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
            // The first answer never came: the jar holds what was presented.
            let retry =
                |r: &Request| matches!(r.stage, Stage::Answering { reissued: true, .. }) && s.jar == Some(r.token);
            let lost = s.under_way().count() == 1 && s.sent == 2 && !s.hostile;
            lost && s.tabs.iter().flatten().any(retry)
        }),
        Property::sometimes("a theft is found at the victim's next use", |_, s: &State| {
            let stolen = |r: &Request| r.stage == Stage::Refused { why: No::Reuse } && retired_by_thief(s, r);
            !s.delayed && s.thief_served && s.tabs.iter().flatten().any(stolen)
        }),
        Property::sometimes("a thief is found", |_, s: &State| {
            s.thief.as_ref().is_some_and(|r| r.stage == Stage::Refused { why: No::Reuse })
        }),
        Property::sometimes("thief and victim both continue, and it is reported", |_, s: &State| {
            // The victim is answered after the thief's rotation, which gave the thief a token too.
            let continues = |r: &Request| matches!(r.stage, Stage::Answering { .. }) && retired_by_thief(s, r);
            s.thief_served && s.tabs.iter().flatten().any(|r| continues(r) && s.noted(r))
        }),
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
pub fn all_and_outrun() -> Vec<Property<World>> {
    let mut properties = all();
    properties.push(Property::sometimes("a successor's use costs a slower tab its session", |_, s: &State| {
        s.outrun && !s.delayed && !s.overtaken && !s.hostile && refused(s, No::Reuse)
    }));
    properties
}

/// The promises, and that with the grace window off a race is a conflict.
pub fn all_and_conflict() -> Vec<Property<World>> {
    let mut properties = all();
    properties.push(Property::sometimes("a race is told as a conflict", |_, s: &State| refused(s, No::Conflict)));
    properties
}

/// The promises, and what no store can tell: an older copy goes on, and a family without the seal that it had.
pub fn all_and_older_copies() -> Vec<Property<World>> {
    let mut properties = all();
    properties.extend([
        Property::sometimes("an older copy of the truth is live again", |_, s: &State| {
            s.issued.len() > 2 && matches!(s.damaged, Some((Damage::RestoredTo(_), _))) && served_after_loss(s)
        }),
        Property::sometimes("all but the seal is lost, and the seal refuses", |_, s: &State| {
            // The first to come after the loss: no seal but the one from before can have stopped it.
            let Some((Damage::AllButSeal, last_sent)) = s.damaged else { return false };
            s.under_way().any(|r| r.id == last_sent + 1 && r.stage == Stage::Refused { why: No::Sealed })
        }),
        Property::sometimes("only the seal is lost, and the newest is live again", |_, s: &State| {
            matches!(s.damaged, Some((Damage::Seal, _))) && served_after_loss(s)
        }),
        Property::sometimes("a line that is not known ends its family", |_, s: &State| {
            refused(s, No::UnknownGeneration)
        }),
    ]);
    properties
}

/// The promises, and what becomes of a family with a gap.
pub fn all_and_gaps() -> Vec<Property<World>> {
    let mut properties = all();
    properties.extend([
        Property::sometimes("a gap in its line ends a family", |_, s: &State| refused(s, No::UnknownGeneration)),
        Property::sometimes("a family goes on from its newest, whatever is gone before", |_, s: &State| {
            served_after_loss(s)
        }),
    ]);
    properties
}

/// The promises, and that a token from far behind is served once its line was read on.
pub fn all_and_far_behind() -> Vec<Property<World>> {
    let mut properties = all();
    properties.push(Property::sometimes("a retry from four behind is served", |_, s: &State| {
        let served =
            |r: &Request| matches!(r.stage, Stage::Answering { token, .. } if token.number > r.token.number + 3);
        s.tabs.iter().flatten().any(served)
    }));
    properties
}

/// Only the window.
pub fn only_window() -> Vec<Property<World>> {
    vec![window()]
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
        // The newest is live again: what it says of itself is true.
        Damage::Seal => false,
        Damage::RestoredTo(newest) => presented.number > newest && presented.gid <= last_sent,
        // What retired it is gone, and its line does not lead to the newest.
        Damage::Without(gone) => presented.number + 1 == gone,
        Damage::Older(gone) => presented.number < gone,
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

/// Whether what a request presents was retired by the thief.
fn retired_by_thief(state: &State, request: &Request) -> bool {
    state.retired_by.get(&(request.token.number + 1)).is_some_and(|slot| slot.by == Party::Thief)
}

/// Whether a tab that came after a loss is being answered.
fn served_after_loss(state: &State) -> bool {
    state.tabs.iter().flatten().any(|r| r.after_damage && matches!(r.stage, Stage::Answering { .. }))
}

fn answering(state: &State, again: bool) -> bool {
    state.tabs.iter().flatten().any(|r| matches!(r.stage, Stage::Answering { reissued, .. } if reissued == again))
}

fn refused(state: &State, why: No) -> bool {
    state.under_way().any(|r| r.stage == Stage::Refused { why })
}
