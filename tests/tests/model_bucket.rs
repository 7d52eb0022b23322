//! The rate bucket's model: every order in which requests of several instances, each with its own reading of the clock,
//! can charge one bucket, with guesses of its form that are right or wrong, answers that are lost and retried by the SDK,
//! charges that land after their request was given up, and TTL. The arithmetic is the shipped `gcra`'s.
//!
//! Promised: over any interval of the requests' own instants no more are let in than the burst and what comes back in that
//! time; and nobody is refused unless a burst of charges stands against it, those counted twice for a lost answer among
//! them, or a charge of a request that was begun later and was faster. As in the model of families, TTL's slack
//! (`gcra::EXPIRY_SLACK`) is taken to outlast every request under way; a mutation shows what becomes of the promise without it.
//!
//! A request whose charge fails long after it read the clock finds a `tat` that no request of its own instant can have
//! left, and would take it for a wrong clock's. So it is judged by the clock of then, as `Admission` has it; a mutation
//! shows what becomes of the promise otherwise.
//!
//! Left out: what instances remember (it only refuses more), and more attempts than three of one request.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use rondo_shared::limit::{Allowance, gcra};
use rondo_shared::moment::Timestamp;
use rondo_shared::store::Charge;
use stateright::{Checker, Model, Property};

#[path = "model/search.rs"]
mod search;

use search::counterexample;

/// A tick of the clock, and the time in which one request comes back.
const TICK_MILLIS: i64 = 1_000;
const NEVER_MORE: &str = "never more than the burst and the rate over any interval";
const NEVER_LESS: &str = "nobody is refused without a burst of charges, or one begun later, against it";

/// What is wrong with a bucket, so that a promise breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mutation {
    /// The idle form has no condition.
    IdleUnconditional,
    /// The busy form lets one more through.
    OneMore,
    /// The busy form starts again from now.
    BusyRestarts,
    /// The bucket may be deleted as soon as it was charged.
    TtlTooEarly,
    /// The bucket may be deleted as soon as it is full, whatever is under way.
    TtlWithoutSlack,
    /// One charge counts for two.
    ChargesTwice,
    /// A charge that failed is judged by the instant at which its request was begun, however long ago.
    JudgedByItsBeginning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Form {
    Idle,
    Busy,
    /// Of a bucket whose `tat` is beyond belief, by the `tat` that was found.
    Broken(i64),
}

/// A request that was begun at `now` and tries this form next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Request {
    now: i64,
    form: Form,
    attempts: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    clock: i64,
    tat: Option<i64>,
    expires_at: i64,
    begun: u8,
    /// Under way, sorted: one is as good as another.
    waiting: Vec<Request>,
    /// Given up, and still to land.
    late: Option<Request>,
    /// The instants of those let in, and of every charge, sorted.
    admitted: Vec<i64>,
    charged: Vec<i64>,
    /// Whether somebody was refused for nothing.
    wronged: bool,
    refused: bool,
    lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Tick,
    Begin(Form),
    /// The charge is tried and answered.
    Charge(usize),
    /// It is applied, and its answer is lost: the SDK sends it again.
    LoseAnswer(usize),
    /// The request is given up; its charge may land yet.
    GiveUp(usize),
    LandLate,
    Expire,
}

#[derive(Clone)]
struct Bucket {
    allowance: Allowance,
    requests: u8,
    clock: i64,
    faults: bool,
    /// No request is under way for as long as a tick.
    swift: bool,
    mutation: Option<Mutation>,
}

fn at(tick: i64) -> Timestamp {
    Timestamp::from_millis(tick * TICK_MILLIS)
}

impl Bucket {
    fn new(burst: u32, requests: u8, clock: i64, faults: bool) -> Self {
        let period = Duration::from_millis(u64::from(burst) * 1_000);
        let allowance = Allowance::per_period(NonZeroU32::new(burst).unwrap(), period);
        assert_eq!(allowance.emission_millis(), TICK_MILLIS);
        Self { allowance, requests, clock, faults, swift: true, mutation: None }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// The shipped arithmetic: the charge of a bucket in which `tat` stands.
    fn form_for(&self, tat: Option<i64>, now: i64) -> Option<Charge> {
        gcra::form_for(self.allowance, tat.map(at), None, at(now)).ok()
    }

    /// The charge of a form that an instance believes a bucket to be in.
    fn charge_of(&self, request: Request) -> Option<Charge> {
        let tat = (request.form == Form::Busy).then_some(request.now + 1);
        self.form_for(tat, request.now)
    }

    /// The charge that a request tries: of the form that its instance believes in, or of what it found standing.
    fn tried(&self, request: Request) -> Option<Charge> {
        match request.form {
            Form::Idle | Form::Busy => self.charge_of(request),
            Form::Broken(stood) => self.form_for(Some(stood), request.now),
        }
    }

    /// What the store makes of a charge, under its obligation: the `tat` that stands then, or nothing where the condition
    /// failed.
    fn applied(&self, tat: Option<i64>, request: Request) -> Option<i64> {
        let stands = tat.map(at);
        let next = match self.tried(request)? {
            Charge::Idle { now, to } => {
                let holds = stands.is_none_or(|tat| tat <= now) || self.is(Mutation::IdleUnconditional);
                holds.then_some(to)?
            }
            Charge::Busy { now, up_to, by_millis } => {
                let more = if self.is(Mutation::OneMore) { TICK_MILLIS } else { 0 };
                let up_to = Timestamp::from_millis(up_to.millis() + more);
                let stood = stands.filter(|tat| *tat > now && *tat <= up_to)?;
                let from = if self.is(Mutation::BusyRestarts) { now } else { stood };
                Timestamp::from_millis(from.millis() + by_millis)
            }
            Charge::Broken { stood, to } => (stands == Some(stood)).then_some(to)?,
        };
        let more = i64::from(self.is(Mutation::ChargesTwice));
        Some(next.millis() / TICK_MILLIS + more)
    }

    fn stand(&self, state: &mut State, tat: i64, request: Request) {
        state.tat = Some(tat);
        // Without the slack, which is told in `actions` by what it is for.
        let secs = gcra::expires_at_secs(self.allowance, at(request.now)) - gcra::EXPIRY_SLACK.as_secs() as i64;
        state.expires_at = if self.is(Mutation::TtlTooEarly) { request.now } else { secs };
        insert(&mut state.charged, request.now);
    }

    /// The next thing that a request does whose charge's condition failed: the other form, or it is refused.
    fn failed(&self, state: &mut State, request: Request) {
        let now = if self.is(Mutation::JudgedByItsBeginning) { request.now } else { state.clock };
        let request = Request { now, ..request };
        match self.form_for(state.tat, request.now) {
            Some(charge) if request.attempts < 3 => {
                let form = match charge {
                    Charge::Idle { .. } => Form::Idle,
                    Charge::Busy { .. } => Form::Busy,
                    Charge::Broken { stood, .. } => Form::Broken(stood.millis() / TICK_MILLIS),
                };
                state.waiting.push(Request { form, attempts: request.attempts + 1, ..request });
            }
            // A passing failure: contention under every attempt.
            Some(_) => {}
            None => {
                state.refused = true;
                let burst = usize::try_from(self.allowance.burst()).unwrap();
                let since = request.now - i64::from(self.allowance.burst());
                let overtaken = state.charged.iter().any(|now| *now > request.now);
                state.wronged |= !overtaken && state.charged.iter().filter(|now| **now >= since).count() < burst;
            }
        }
    }

    fn holds_over_every_interval(&self, state: &State) -> bool {
        let admitted = &state.admitted;
        (0..admitted.len()).all(|first| {
            (first..admitted.len()).all(|last| {
                let most = i64::from(self.allowance.burst()) + admitted[last] - admitted[first];
                i64::try_from(last - first + 1).unwrap() <= most
            })
        })
    }
}

fn insert(sorted: &mut Vec<i64>, value: i64) {
    let place = sorted.partition_point(|other| *other <= value);
    sorted.insert(place, value);
}

impl Model for Bucket {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            clock: 0,
            tat: None,
            expires_at: 0,
            begun: 0,
            waiting: Vec::new(),
            late: None,
            admitted: Vec::new(),
            charged: Vec::new(),
            wronged: false,
            refused: false,
            lost: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let idle = state.waiting.is_empty() && state.late.is_none();
        if state.clock < self.clock && (idle || !self.swift) {
            steps.push(Step::Tick);
        }
        if state.begun < self.requests {
            let forms = [Form::Idle, Form::Busy].into_iter();
            let known = |form: &Form| self.charge_of(Request { now: state.clock, form: *form, attempts: 1 }).is_some();
            steps.extend(forms.filter(known).map(Step::Begin));
        }
        for n in 0..state.waiting.len() {
            steps.push(Step::Charge(n));
            if self.faults {
                steps.push(Step::LoseAnswer(n));
                if state.late.is_none() {
                    steps.push(Step::GiveUp(n));
                }
            }
        }
        if state.late.is_some() {
            steps.push(Step::LandLate);
        }
        // For as long as a request that was begun before the bucket was full can be under way, the slack keeps it.
        let under_way = state.waiting.iter().chain(&state.late).any(|request| request.now < state.expires_at);
        let no_slack = self.is(Mutation::TtlTooEarly) || self.is(Mutation::TtlWithoutSlack);
        let may_go = state.clock >= state.expires_at && (!under_way || no_slack);
        if state.tat.is_some() && may_go {
            steps.push(Step::Expire);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Tick => next.clock += 1,
            Step::Begin(form) => {
                next.begun += 1;
                next.waiting.push(Request { now: next.clock, form, attempts: 1 });
            }
            Step::Charge(n) => {
                let request = next.waiting.remove(n);
                match self.applied(next.tat, request) {
                    Some(tat) => {
                        self.stand(&mut next, tat, request);
                        insert(&mut next.admitted, request.now);
                    }
                    None => self.failed(&mut next, request),
                }
            }
            Step::LoseAnswer(n) => {
                let request = next.waiting[n];
                let tat = self.applied(next.tat, request)?;
                self.stand(&mut next, tat, request);
                next.lost = true;
                next.waiting[n].attempts += 1;
                if next.waiting[n].attempts > 3 {
                    next.waiting.remove(n);
                }
            }
            Step::GiveUp(n) => next.late = Some(next.waiting.remove(n)),
            Step::LandLate => {
                let request = next.late.take()?;
                if let Some(tat) = self.applied(next.tat, request) {
                    self.stand(&mut next, tat, request);
                }
            }
            Step::Expire => next.tat = None,
        }
        next.waiting.sort_unstable();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(NEVER_MORE, |bucket: &Self, state: &State| bucket.holds_over_every_interval(state)),
            Property::always(NEVER_LESS, |_: &Self, state: &State| !state.wronged),
            Property::sometimes("a request is refused", |_: &Self, state: &State| state.refused),
            Property::sometimes("the whole burst is let in at once", |bucket: &Self, state: &State| {
                let burst = usize::try_from(bucket.allowance.burst()).unwrap();
                state.admitted.iter().filter(|now| **now == state.admitted[0]).count() == burst
            }),
        ];
        if self.faults {
            let seen = |_: &Self, state: &State| state.lost && state.refused && state.admitted.is_empty();
            properties.push(Property::sometimes("a lost answer counts against its own bucket", seen));
        }
        properties
    }
}

fn holds(name: &str, bucket: Bucket, states: usize) {
    let begun = Instant::now();
    let done = bucket.checker().threads(2).spawn_bfs().join();
    let (found, depth, took) = (done.unique_state_count(), done.max_depth(), begun.elapsed());
    println!("{name}: {found} states, {depth} steps deep, {took:.1?}");
    done.assert_properties();
    assert_eq!(found, states, "the model of `{name}` has changed");
}

#[test]
fn a_bucket_lets_no_more_through_than_its_burst_and_its_rate_over_any_interval() {
    holds("bucket of two", Bucket::new(2, 5, 3, false), BUCKET_OF_TWO);
    holds("bucket of one", Bucket::new(1, 5, 3, false), BUCKET_OF_ONE);
}

#[test]
fn a_bucket_whose_answers_are_lost_lets_no_more_through_either() {
    holds("bucket of two, lost answers", Bucket::new(2, 4, 2, true), BUCKET_LOST);
}

#[test]
fn a_charge_that_is_long_under_way_lets_no_more_through_and_refuses_nobody_for_nothing() {
    let slow = |bucket| Bucket { swift: false, ..bucket };
    holds("bucket of two, slow requests", slow(Bucket::new(2, 5, 3, false)), BUCKET_SLOW);
    holds("bucket of one, slow requests", slow(Bucket::new(1, 5, 3, false)), BUCKET_OF_ONE_SLOW);
}

#[test]
fn every_mutation_of_the_bucket_is_caught() {
    let mutants = [
        (Mutation::IdleUnconditional, NEVER_MORE, 6),
        (Mutation::OneMore, NEVER_MORE, 6),
        (Mutation::BusyRestarts, NEVER_MORE, 6),
        (Mutation::TtlTooEarly, NEVER_MORE, 7),
        (Mutation::TtlWithoutSlack, NEVER_MORE, 9),
        (Mutation::ChargesTwice, NEVER_LESS, 4),
        (Mutation::JudgedByItsBeginning, NEVER_MORE, 10),
    ];
    println!("mutation | property | steps");
    let mut missed = Vec::new();
    for (mutation, promise, length) in mutants {
        let swift = !matches!(mutation, Mutation::JudgedByItsBeginning | Mutation::TtlWithoutSlack);
        let bucket = Bucket { mutation: Some(mutation), swift, ..Bucket::new(2, 5, 3, false) };
        let found = counterexample(&bucket).map(|(promise, steps)| (promise, steps.len()));
        println!("{mutation:?} | {} | {}", found.map_or("none", |f| f.0), found.map_or(0, |f| f.1));
        if found != Some((promise, length)) {
            missed.push((mutation, found));
        }
    }
    assert!(missed.is_empty(), "caught otherwise than expected: {missed:?}");
}

const BUCKET_OF_TWO: usize = 2_800;
const BUCKET_OF_ONE: usize = 443;
const BUCKET_LOST: usize = 20_884;
const BUCKET_SLOW: usize = 63_009;
const BUCKET_OF_ONE_SLOW: usize = 4_454;
