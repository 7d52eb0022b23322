//! One request's way through the function, as steps: what `rotate` does around `decide`, and where each promise is
//! watched.

use rondo_shared::rotation::Decision;

use super::judge::Mutation;
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
        let (Putting::Done { ours, slot }, Querying::Done { sealed, newest }) = (&put, &query) else {
            request.stage = Stage::Asking { put, query };
            return state.set(seat, Some(request));
        };
        let live = newest.first().copied().filter(|newest| newest.number > slot.number).unwrap_or(*slot);
        let slot_alone = self.judge.mutated(Mutation::NoQuery) || self.judge.mutated(Mutation::ReissuesTheSlot);
        let live = if slot_alone { *slot } else { live };
        let decision = self.judge.decide(&request, party(seat), (*ours, *slot), (*sealed, newest));
        if self.judge.mutated(Mutation::WindowSlides) && matches!(decision, Decision::Reissue { .. }) {
            state.generations.entry(slot.number).and_modify(|standing| standing.minted_at = request.now);
        }
        request.stage = match decision {
            Decision::Rotate => return self.mint(state, seat, request, *slot, false),
            Decision::Reissue { .. }
                if self.judge.mutated(Mutation::NotesTheSlotsClientAlone) && slot.by == party(seat) =>
            {
                return self.mint(state, seat, request, live, true);
            }
            Decision::Reissue { another_client: false } => return self.mint(state, seat, request, live, true),
            Decision::Reissue { another_client: true } => Stage::Noting { live },
            Decision::Refuse(refusal) => {
                let why = refusal.into();
                state.remembered |= self.memory && why == No::Sealed;
                Stage::Refused { why }
            }
            Decision::Revoke(revocation) => Stage::Sealing { why: revocation.into() },
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
                    !forgiven && request.begun.saturating_sub(f.begun) >= self.judge.window() + self.allowance
                }),
            ),
            (Broken::MintedStale, token.number < request.newest_then),
            (Broken::Reopened, reopens),
            (Broken::ReplayUnreported, served_another && !state.notes.contains(&(slot, server))),
            (Broken::CollisionUnreported, live.by != server && state.notes.is_empty()),
        ];
        state.broken.extend(breaks.into_iter().filter(|(_, broken)| *broken).map(|(promise, _)| promise));
        state.issued.insert(token);
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
