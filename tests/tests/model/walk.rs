//! One request's way through the function, as steps: what `rotate` does around `decide`, and where each promise is
//! watched.

use rondo_shared::rotation::Decision;

use super::judge::{Mutation, Told};
use super::promises;
use super::state::{Broken, Gen, No, Party, Putting, Querying, Request, Seat, Stage, State, Tick, Token};
use super::world::World;

impl World {
    pub fn send(&self, state: &mut State, seat: Seat, token: Token, first_sent: Tick) {
        state.sent += 1;
        let request = Request {
            id: state.sent,
            token,
            stage: Stage::Sent,
            now: 0,
            begun: 0,
            first_sent,
            after_seal: false,
            after_damage: false,
            newest_then: 0,
        };
        state.set(seat, Some(request));
    }

    /// The function reads its instance's clock, which is ahead by so much; a token that has expired by it dies here,
    /// before any store step.
    pub fn begin(&self, state: &mut State, seat: Seat, ahead: Tick) {
        let Some(mut request) = state.request(seat).cloned() else { return };
        (request.now, request.begun) = (state.now + ahead, state.now);
        let expired = request.now >= request.token.exp;
        if promises::expires_early_or_late(self, state, request.token, expired) {
            state.broken.insert(Broken::OtherLifetime);
        }
        if expired {
            return state.set(seat, None);
        }
        let window = self.judge.window();
        let waited = state.now - request.first_sent + self.allowance;
        state.delayed |= seat != Seat::Thief && window > 0 && waited >= window;
        request.after_seal = state.seal_acknowledged;
        request.after_damage = state.damaged.is_some();
        request.newest_then = state.newest_number();
        request.stage = Stage::Asking { put: Putting::Pending, query: Querying::Pending };
        state.set(seat, Some(request));
    }

    /// The instance that remembers the seal refuses without a store step.
    pub fn begin_remembered(&self, state: &mut State, seat: Seat) -> Option<()> {
        let mut request = state.request(seat)?.clone();
        (request.now, request.after_seal) = (state.now, state.seal_acknowledged);
        request.stage = Stage::Refused { why: No::Sealed };
        state.set(seat, Some(request));
        Some(())
    }

    pub fn put(&self, state: &mut State, seat: Seat) -> Option<()> {
        let request = state.request(seat)?;
        let successor = self.judge.successor(request, party(seat));
        let standing = state.generations.get(&successor.number).copied();
        let standing = standing.filter(|_| !self.judge.mutated(Mutation::PutWithoutCondition));
        if standing.is_none() {
            land(state, successor);
        }
        let done = Putting::Done { ours: standing.is_none(), slot: standing.unwrap_or(successor) };
        self.proceed(state, seat, Some(done), None);
        Some(())
    }

    /// Takes one call's answer; when both are there, decides.
    pub fn proceed(&self, state: &mut State, seat: Seat, put: Option<Putting>, query: Option<Querying>) {
        let Some(mut request) = state.request(seat).cloned() else { return };
        let Stage::Asking { put: had_put, query: had_query } = request.stage.clone() else { return };
        let (put, query) = (put.unwrap_or(had_put), query.unwrap_or(had_query));
        request.stage = Stage::Asking { put, query };
        match told(&request, party(seat)) {
            Some(told) if self.judge.further_needed(&told).is_none() => self.judged(state, seat, &told, None),
            // The other call is still to come, or what it asks for is to be read.
            Some(_) | None => state.set(seat, Some(request)),
        }
    }

    /// Reads what the decision needs beside the two calls, and decides.
    pub fn read_further(&self, state: &mut State, seat: Seat) -> Option<()> {
        let request = state.request(seat)?.clone();
        let told = told(&request, party(seat))?;
        let further = state.generations.get(&self.judge.further_needed(&told)?).copied();
        let further = further.filter(|_| !self.judge.mutated(Mutation::FurtherUnread));
        self.judged(state, seat, &told, further);
        Some(())
    }

    fn judged(&self, state: &mut State, seat: Seat, told: &Told<'_>, further: Option<Gen>) {
        let (slot, party, mut request) = (told.slot, told.by, told.request.clone());
        let (decision, live) = self.judge.decide(told, further);
        let live = if self.judge.mutated(Mutation::ReissuesTheSlot) { slot } else { live };
        if self.judge.mutated(Mutation::WindowSlides) && matches!(decision, Decision::Reissue { .. }) {
            state.generations.entry(slot.number).and_modify(|standing| standing.minted_at = request.now);
        }
        let unnoted = self.judge.mutated(Mutation::NotesTheSlotsClientAlone) && slot.by == party
            || self.judge.mutated(Mutation::NotesOncePerFamily) && !state.notes.is_empty();
        request.stage = match decision {
            Decision::Rotate => return self.mint(state, seat, request, slot, false),
            Decision::Reissue { another_client } if !another_client || unnoted => {
                return self.mint(state, seat, request, live, true);
            }
            Decision::Reissue { .. } => Stage::Noting { live },
            Decision::Refuse(refusal) => {
                let why = refusal.into();
                state.remembered |= self.memory && why == No::Sealed;
                Stage::Refused { why }
            }
            Decision::Revoke(revocation) => {
                let used = state.retired_by.contains_key(&(slot.number + 1));
                state.outrun |= used && seat != Seat::Thief && self.judge.closes_by_use();
                let why = revocation.into();
                match self.judge.mutated(Mutation::RefusesWithoutItsSeal) {
                    true => Stage::Refused { why },
                    false => Stage::Sealing { why },
                }
            }
        };
        state.set(seat, Some(request));
    }

    /// Mints a token of `live`, and tells every promise that this breaks.
    pub fn mint(&self, state: &mut State, seat: Seat, mut request: Request, live: Gen, reissued: bool) {
        let (token, slot) = (live.token(), request.token.number + 1);
        let (retired_by, server) = (state.retired_by.get(&slot).copied(), party(seat));
        let anothers = retired_by.filter(|first| first.gid != request.id);
        let served_another = anothers.is_some_and(|first| first.by != server);
        let reopens = request.after_damage && state.damaged.is_some_and(|lost| promises::reopens(lost, request.token));
        let breaks = [
            (Broken::MintedAfterSeal, request.after_seal),
            (
                Broken::MintedPastWindow,
                anothers.is_some_and(|f| {
                    let forgiven = self.judge.forgives(f.minted_at) && live.number == slot;
                    let used = self.judge.closes_by_use() && request.newest_then > slot;
                    let late = request.begun.saturating_sub(f.begun) >= self.judge.window() + self.allowance;
                    !forgiven && (used || late)
                }),
            ),
            (Broken::MintedStale, token.number < request.newest_then),
            (Broken::Reopened, reopens),
            (Broken::ReplayUnreported, served_another && !state.notes.contains(&(slot, server))),
            (Broken::CollisionUnreported, live.by != server && !state.notes.contains(&(slot, server))),
        ];
        state.broken.extend(breaks.into_iter().filter(|(_, broken)| *broken).map(|(promise, _)| promise));
        state.issued.insert(token);
        state.thief_served |= seat == Seat::Thief;
        request.stage = Stage::Answering { token, reissued };
        // The thief keeps what it is given; it needs no jar.
        state.set(seat, Some(request).filter(|_| seat != Seat::Thief));
    }

    pub fn deliver(&self, state: &mut State, seat: Seat) -> Option<()> {
        let stage = state.request(seat)?.stage.clone();
        state.set(seat, None);
        match stage {
            Stage::Answering { token, .. } => {
                state.overtaken |= state.jar.is_some_and(|held| held.number > token.number);
                if state.jar.is_some_and(|held| held != token) {
                    (state.jar, state.first_sent) = (Some(token), None);
                }
            }
            Stage::Refused { why } if seat != Seat::Thief && why != No::Conflict => state.jar = None,
            _ => {}
        }
        Some(())
    }
}

/// What a request has been told, once both of its calls have returned.
fn told(request: &Request, by: Party) -> Option<Told<'_>> {
    match &request.stage {
        Stage::Asking { put: Putting::Done { ours, slot }, query: Querying::Done { sealed, newest } } => {
            Some(Told { request, by, ours: *ours, slot: *slot, sealed: *sealed, newest })
        }
        _ => None,
    }
}

pub fn land(state: &mut State, put: Gen) {
    state.generations.insert(put.number, put);
    state.retired_by.entry(put.number).or_insert(put);
}

pub fn party(seat: Seat) -> Party {
    match seat {
        Seat::Tab(_) => Party::Victim,
        Seat::Thief => Party::Thief,
    }
}
