//! Which steps a state allows.

use super::judge::Mutation;
use super::state::{Operator, Putting, Querying, Seat, Stage, State, Tick};
use super::world::{Damage, Step, World};

impl World {
    /// What may come next of the request in this seat, or of the client that sits in it.
    pub fn requests_steps(&self, state: &State, seat: Seat, steps: &mut Vec<Step>) {
        let Some(request) = state.request(seat) else {
            if state.sent < self.requests {
                match seat {
                    Seat::Tab(_) => steps.extend(state.jar.map(|token| Step::Send(seat, token))),
                    Seat::Thief => {
                        for token in &state.issued {
                            steps.extend((0..=self.skew).map(|ahead| Step::Replay(*token, ahead)));
                        }
                    }
                }
            }
            return;
        };
        match &request.stage {
            Stage::Sent => {
                steps.extend((0..=self.skew).map(|ahead| Step::Begin(seat, ahead)));
                if state.remembered {
                    steps.push(Step::BeginRemembered(seat));
                }
            }
            Stage::Asking { put: Putting::Done { .. }, query: Querying::Done { .. } } => {
                steps.push(Step::ReadFurther(seat))
            }
            Stage::Asking { put, query } => {
                if !matches!(put, Putting::Done { .. }) {
                    steps.push(Step::Put(seat));
                }
                if *put == Putting::Pending && self.faults {
                    steps.push(Step::PutUnanswered(seat));
                }
                if *put == Putting::Pending && self.late && !state.late_used {
                    steps.push(Step::PutLate(seat));
                }
                if *query == Querying::Pending {
                    steps.push(Step::Query(seat));
                }
            }
            Stage::Noting { .. } => {
                steps.push(Step::Note(seat));
                if self.faults && !state.noted(request) {
                    steps.push(Step::NoteUnanswered(seat));
                }
                if self.late_notes && !state.late_note_used {
                    steps.push(Step::NoteLate(seat));
                }
            }
            Stage::Sealing { .. } => {
                steps.push(Step::PutSeal(seat));
                if self.faults {
                    steps.push(Step::SealUnanswered(seat));
                }
                if self.late_seals && !state.late_seal_used {
                    steps.push(Step::SealLate(seat));
                }
            }
            Stage::Answering { .. } | Stage::Refused { .. } => steps.push(Step::Deliver(seat)),
        }
        if self.faults && request.stage != Stage::Sent {
            steps.push(Step::Fail(seat));
            if seat != Seat::Thief && state.sent < self.requests {
                steps.push(Step::Resend(seat));
            }
        }
    }

    /// What the operator, the store and misfortune may do.
    pub fn others_steps(&self, state: &State, steps: &mut Vec<Step>) {
        if state.late.is_some() {
            steps.push(Step::LateLands);
        }
        if state.late_seal.is_some() {
            steps.push(Step::LateSealLands);
        }
        if state.late_note.is_some() {
            steps.push(Step::LateNoteLands);
        }
        match state.operator {
            Operator::Idle if self.operator => steps.push(Step::OperatorSeals),
            Operator::Landed => steps.push(Step::OperatorIsTold),
            Operator::Idle | Operator::Acknowledged => {}
        }
        if self.ttl {
            // The slack outlasts what clocks differ, every request and every write under way.
            let tight = if self.judge.mutated(Mutation::SlackUnderSkew) { self.skew } else { 0 };
            let calm = state.late.is_none() && state.late_seal.is_none();
            let over = |at: Tick| at <= state.now + tight && calm && state.under_way().all(|r| r.now >= at);
            steps.extend(state.generations.values().filter(|g| over(g.expires_at)).map(|g| Step::Expire(g.number)));
            steps.extend(state.seal.filter(|at| over(*at)).map(|_| Step::ExpireSeal));
        }
        let calm = state.late.is_none() && state.late_seal.is_none() && state.under_way().next().is_none();
        if state.damaged.is_none() && (calm || self.damage_under_way) {
            let happens = |damage: &&Damage| match damage {
                Damage::All | Damage::AllButSeal => true,
                Damage::Seal => state.seal.is_some(),
                Damage::RestoredTo(newest) | Damage::Older(newest) => *newest < state.newest_number(),
                Damage::Without(number) => *number < state.newest_number(),
            };
            steps.extend(self.damage.iter().filter(happens).map(|damage| Step::Lose(*damage)));
        }
    }
}
