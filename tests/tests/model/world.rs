//! The moves: what clients, function, store, operator and misfortune may do, one step at a time.

use std::collections::BTreeMap;

use stateright::{Model, Property};

use super::judge::{Judge, Mutation};
use super::promises;
use super::state::{Gen, Operator, Putting, Querying, Request, Seat, Stage, State, Tick, Token};
use super::walk::{land, party};

/// What removes or takes back items, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// Everything is deleted.
    All,
    /// Everything but the seal is deleted.
    AllButSeal,
    /// The table is as it was when the family was opened.
    Restored,
}

/// One configuration: who plays, and how far.
#[derive(Clone, Debug)]
pub struct World {
    pub judge: Judge,
    pub tabs: usize,
    pub thief: bool,
    pub operator: bool,
    /// Time-outs, crashes, lost answers and retries within the SDK, before and after every store step.
    pub faults: bool,
    /// One put may land after its request has timed out.
    pub late: bool,
    /// One seal may land after its request has timed out.
    pub late_seals: bool,
    /// An instance remembers that the family is sealed; a request may reach it or another.
    pub memory: bool,
    pub ttl: bool,
    pub damage: &'static [Damage],
    /// Damage may come while requests or writes are under way.
    pub damage_under_way: bool,
    /// Requests sent at most, and the last tick.
    pub requests: u8,
    pub clock: Tick,
    pub properties: fn() -> Vec<Property<World>>,
}

impl World {
    /// Nobody and nothing but one tab.
    pub fn new(judge: Judge, requests: u8, clock: Tick) -> Self {
        let properties = promises::all;
        let (thief, operator, faults, late, ttl, damage_under_way) = (false, false, false, false, false, false);
        let (late_seals, memory) = (false, false);
        let damage = &[];
        Self {
            judge,
            tabs: 1,
            thief,
            operator,
            faults,
            late,
            late_seals,
            memory,
            ttl,
            damage,
            damage_under_way,
            requests,
            clock,
            properties,
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Tick,
    /// A tab sends what the jar holds, or the thief a token of its choice.
    Send(Seat, Token),
    /// A client's transport sends its request again and forgets the first.
    Resend(Seat),
    /// The request reaches the function, which reads its clock.
    Begin(Seat),
    /// The request reaches the instance that remembers the seal.
    BeginRemembered(Seat),
    Put(Seat),
    /// The put lands, its answer is lost, and the SDK will put again.
    PutUnanswered(Seat),
    /// The put times out, and lands later.
    PutLate(Seat),
    LateLands,
    Query(Seat),
    Note(Seat),
    PutSeal(Seat),
    /// The seal lands, and the function dies before it is told.
    SealUnanswered(Seat),
    /// The seal times out, and lands later: nobody is told that it stands.
    SealLate(Seat),
    LateSealLands,
    /// Crash, time-out or lost answer.
    Fail(Seat),
    Deliver(Seat),
    OperatorSeals,
    OperatorIsTold,
    Expire(u8),
    Lose(Damage),
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let opening = self.judge.opening();
        vec![State {
            now: 0,
            generations: BTreeMap::from([(0, opening)]),
            sealed: false,
            notes: [].into(),
            tabs: vec![None; self.tabs],
            thief: None,
            jar: Some(opening.token()),
            late: None,
            late_used: false,
            late_seal: false,
            late_seal_used: false,
            remembered: false,
            operator: Operator::Idle,
            sent: 0,
            issued: [opening.token()].into(),
            first_sent: None,
            retired_by: [].into(),
            seal_acknowledged: false,
            damaged: None,
            was_sealed: false,
            delayed: false,
            overtaken: false,
            hostile: false,
            broken: [].into(),
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.now < self.clock {
            steps.push(Step::Tick);
        }
        for tab in 0..self.tabs {
            self.requests_steps(state, Seat::Tab(tab), steps);
        }
        if self.thief {
            self.requests_steps(state, Seat::Thief, steps);
        }
        if state.late.is_some() {
            steps.push(Step::LateLands);
        }
        if state.late_seal {
            steps.push(Step::LateSealLands);
        }
        match state.operator {
            Operator::Idle if self.operator => steps.push(Step::OperatorSeals),
            Operator::Landed => steps.push(Step::OperatorIsTold),
            Operator::Idle | Operator::Acknowledged => {}
        }
        if self.ttl {
            // The slack outlasts every request and every write under way.
            let settled = |g: &&Gen| state.late.is_none() && state.under_way().all(|r| r.now >= g.expires_at);
            let expired = state.generations.values().filter(|g| g.expires_at <= state.now).filter(settled);
            steps.extend(expired.map(|g| Step::Expire(g.number)));
        }
        let calm = state.late.is_none() && !state.late_seal && state.under_way().next().is_none();
        if state.damaged.is_none() && (calm || self.damage_under_way) {
            steps.extend(self.damage.iter().map(|damage| Step::Lose(*damage)));
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Tick => state.now += 1,
            Step::Send(seat, token) => {
                if seat != Seat::Thief {
                    state.delayed |= state.first_sent.is_some() && self.judge.window() == 0;
                    state.first_sent.get_or_insert(state.now);
                }
                let first_sent = state.first_sent.unwrap_or_default();
                self.send(&mut state, seat, token, first_sent);
            }
            Step::Resend(seat) => {
                let Request { token, first_sent, .. } = *before.request(seat)?;
                state.delayed |= self.judge.window() == 0;
                self.send(&mut state, seat, token, first_sent);
            }
            Step::Begin(seat) => self.begin(&mut state, seat),
            Step::BeginRemembered(seat) => self.begin_remembered(&mut state, seat)?,
            Step::Put(seat) => self.put(&mut state, seat)?,
            Step::PutUnanswered(seat) => {
                let request = before.request(seat)?;
                if state.generations.contains_key(&(request.token.number + 1)) {
                    return None;
                }
                land(&mut state, self.judge.successor(request, party(seat)));
                self.proceed(&mut state, seat, Some(Putting::Unanswered), None);
            }
            Step::PutLate(seat) => {
                state.late = Some(self.judge.successor(before.request(seat)?, party(seat)));
                state.late_used = true;
                state.set(seat, None);
            }
            Step::LateLands => {
                let late = state.late.take()?;
                if !state.generations.contains_key(&late.number) || self.judge.mutated(Mutation::PutWithoutCondition) {
                    land(&mut state, late);
                }
            }
            Step::Query(seat) => {
                let (sealed, newest) = before.newest_two();
                self.proceed(&mut state, seat, None, Some(Querying::Done { sealed, newest }));
            }
            Step::Note(seat) => {
                let request = before.request(seat)?.clone();
                state.notes.insert((request.token.number + 1, party(seat)));
                if let Stage::Noting { live } = request.stage {
                    self.mint(&mut state, seat, request, live, true);
                }
            }
            Step::PutSeal(seat) => {
                let mut request = before.request(seat)?.clone();
                if let Stage::Sealing { why } = request.stage {
                    state.seal();
                    state.seal_acknowledged = true;
                    state.remembered = self.memory;
                    request.stage = Stage::Refused { why };
                }
                state.set(seat, Some(request));
            }
            Step::SealUnanswered(seat) => {
                if matches!(before.request(seat)?.stage, Stage::Sealing { .. }) {
                    state.seal();
                }
                state.set(seat, None);
            }
            Step::SealLate(seat) => {
                (state.late_seal, state.late_seal_used) = (true, true);
                state.remembered |= self.judge.mutated(Mutation::RemembersTheUnwritten);
                state.set(seat, None);
            }
            Step::LateSealLands => {
                state.late_seal = false;
                state.seal();
            }
            Step::Fail(seat) => state.set(seat, None),
            Step::Deliver(seat) => self.deliver(&mut state, seat)?,
            Step::OperatorSeals => {
                state.seal();
                state.operator = Operator::Landed;
                state.hostile = true;
            }
            Step::OperatorIsTold => {
                state.operator = Operator::Acknowledged;
                state.seal_acknowledged = true;
            }
            Step::Expire(number) => drop(state.generations.remove(&number)),
            Step::Lose(damage) => {
                state.damaged = Some((damage, state.sent));
                state.hostile = true;
                match damage {
                    Damage::All => (state.generations, state.sealed) = (BTreeMap::new(), false),
                    Damage::AllButSeal => state.generations.clear(),
                    Damage::Restored => {
                        (state.generations, state.sealed) = (BTreeMap::from([(0, self.judge.opening())]), false);
                    }
                }
            }
        }
        state.tabs.sort();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        (self.properties)()
    }
}

impl World {
    fn requests_steps(&self, state: &State, seat: Seat, steps: &mut Vec<Step>) {
        let Some(request) = state.request(seat) else {
            if state.sent < self.requests {
                match seat {
                    Seat::Tab(_) => steps.extend(state.jar.map(|token| Step::Send(seat, token))),
                    Seat::Thief => steps.extend(state.issued.iter().map(|token| Step::Send(seat, *token))),
                }
            }
            return;
        };
        match &request.stage {
            Stage::Sent => {
                steps.push(Step::Begin(seat));
                if state.remembered {
                    steps.push(Step::BeginRemembered(seat));
                }
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
            Stage::Noting { .. } => steps.push(Step::Note(seat)),
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
}
