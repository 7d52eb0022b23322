//! One configuration, and what each step does to a state.

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
    /// The seal alone is deleted.
    Seal,
    /// The table is as it was when this generation was the newest, and no seal stood.
    RestoredTo(u8),
    /// This generation is deleted, and not the newest.
    Without(u8),
    /// This generation and all before it are deleted, and not the newest.
    Older(u8),
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
    /// One note may land after its request has timed out.
    pub late_notes: bool,
    /// An instance remembers that the family is sealed; a request may reach it or another.
    pub memory: bool,
    /// DynamoDB deletes what has expired, as soon as it may.
    pub ttl: bool,
    /// By how many ticks any two clocks may differ: those of the instances, and DynamoDB's.
    pub skew: Tick,
    /// By how many the promises allow them to: the same, unless a test shows what the allowance is for.
    pub allowance: Tick,
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
        let (late_seals, late_notes, memory) = (false, false, false);
        let damage = &[];
        Self {
            judge,
            tabs: 1,
            thief,
            operator,
            faults,
            late,
            late_seals,
            late_notes,
            memory,
            ttl,
            skew: 0,
            allowance: 0,
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
    /// A tab sends what the jar holds.
    Send(Seat, Token),
    /// The thief presents a token of its choice. It loses nothing by its request being swift, since it chooses when to
    /// send it; the function's instance is ahead by so many ticks.
    Replay(Token, Tick),
    /// A client's transport sends its request again and forgets the first.
    Resend(Seat),
    /// The request reaches the function, whose instance reads its clock: ahead by so many ticks.
    Begin(Seat, Tick),
    /// The request reaches the instance that remembers the seal.
    BeginRemembered(Seat),
    Put(Seat),
    /// The put lands, its answer is lost, and the SDK will put again.
    PutUnanswered(Seat),
    /// The put times out, and lands later.
    PutLate(Seat),
    LateLands,
    Query(Seat),
    /// The one generation is read that the decision needs beside what the two calls returned.
    ReadFurther(Seat),
    Note(Seat),
    /// The note lands, its answer is lost, and the SDK will put it again.
    NoteUnanswered(Seat),
    /// The note times out, and lands later.
    NoteLate(Seat),
    LateNoteLands,
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
    ExpireSeal,
    Lose(Damage),
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        // When it was opened matters to nothing but how long its token is good.
        let skew = if self.ttl { self.skew } else { 0 };
        (0..=skew).map(|ahead| self.opened(self.judge.opening(ahead))).collect()
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
        self.others_steps(state, steps);
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Tick => state.now += 1,
            Step::Send(seat, token) => {
                state.delayed |= state.first_sent.is_some() && self.judge.window() == 0;
                let first_sent = *state.first_sent.get_or_insert(state.now);
                self.send(&mut state, seat, token, first_sent);
            }
            Step::Replay(token, ahead) => {
                state.hostile = true;
                self.send(&mut state, Seat::Thief, token, 0);
                self.begin(&mut state, Seat::Thief, ahead);
            }
            Step::Resend(seat) => {
                let Request { token, first_sent, .. } = *before.request(seat)?;
                state.delayed |= self.judge.window() == 0;
                self.send(&mut state, seat, token, first_sent);
            }
            Step::Begin(seat, ahead) => self.begin(&mut state, seat, ahead),
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
            Step::ReadFurther(seat) => self.read_further(&mut state, seat)?,
            Step::Note(seat) => {
                let request = before.request(seat)?.clone();
                state.notes.insert((request.token.number + 1, party(seat)));
                if let Stage::Noting { live } = request.stage {
                    self.mint(&mut state, seat, request, live, true);
                }
            }
            Step::NoteUnanswered(seat) => {
                state.notes.insert((before.request(seat)?.token.number + 1, party(seat)));
            }
            Step::NoteLate(seat) => {
                let request = before.request(seat)?.clone();
                state.late_note = Some((request.token.number + 1, party(seat)));
                state.late_note_used = true;
                match request.stage {
                    Stage::Noting { live } if self.judge.mutated(Mutation::AnswersWithoutItsNote) => {
                        self.mint(&mut state, seat, request, live, true);
                    }
                    _ => state.set(seat, None),
                }
            }
            Step::LateNoteLands => drop(state.notes.insert(state.late_note.take()?)),
            Step::PutSeal(seat) => {
                let mut request = before.request(seat)?.clone();
                if let Stage::Sealing { why } = request.stage {
                    state.put_seal(self.judge.seal_expires_at(Some(request.token)));
                    state.seal_acknowledged = true;
                    state.remembered = self.memory;
                    request.stage = Stage::Refused { why };
                }
                state.set(seat, Some(request));
            }
            Step::SealUnanswered(seat) => {
                state.put_seal(self.judge.seal_expires_at(Some(before.request(seat)?.token)));
                state.set(seat, None);
            }
            Step::SealLate(seat) => {
                let expires_at = self.judge.seal_expires_at(Some(before.request(seat)?.token));
                (state.late_seal, state.late_seal_used) = (Some(expires_at), true);
                state.remembered |= self.judge.mutated(Mutation::RemembersTheUnwritten);
                state.set(seat, None);
            }
            Step::LateSealLands => {
                let expires_at = state.late_seal.take()?;
                state.put_seal(expires_at);
            }
            Step::Fail(seat) => state.set(seat, None),
            Step::Deliver(seat) => self.deliver(&mut state, seat)?,
            Step::OperatorSeals => {
                state.put_seal(self.judge.seal_expires_at(None));
                state.operator = Operator::Landed;
                state.hostile = true;
            }
            Step::OperatorIsTold => {
                state.operator = Operator::Acknowledged;
                state.seal_acknowledged = true;
            }
            Step::Expire(number) => drop(state.generations.remove(&number)),
            Step::ExpireSeal => state.seal = None,
            Step::Lose(damage) => {
                state.damaged = Some((damage, state.sent));
                state.hostile = true;
                match damage {
                    Damage::All => (state.generations, state.seal) = (BTreeMap::new(), None),
                    Damage::AllButSeal => state.generations.clear(),
                    // That there was a seal is what no store can tell.
                    Damage::Seal => (state.seal, state.seal_acknowledged) = (None, false),
                    Damage::RestoredTo(newest) => {
                        state.generations.retain(|number, _| *number <= newest);
                        (state.seal, state.seal_acknowledged) = (None, false);
                    }
                    Damage::Without(gone) => drop(state.generations.remove(&gone)),
                    Damage::Older(gone) => state.generations.retain(|number, _| *number > gone),
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
    /// A family that has just been opened, in the hands of its user.
    fn opened(&self, opening: Gen) -> State {
        State {
            now: 0,
            generations: BTreeMap::from([(0, opening)]),
            seal: None,
            notes: [].into(),
            tabs: vec![None; self.tabs],
            thief: None,
            jar: Some(opening.token()),
            late: None,
            late_used: false,
            late_seal: None,
            late_seal_used: false,
            late_note: None,
            late_note_used: false,
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
            outrun: false,
            hostile: false,
            thief_served: false,
            broken: [].into(),
        }
    }
}
