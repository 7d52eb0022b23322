//! From the model's small numbers to the shipped types and back: here the shipped `decide` is called, and the shipped
//! arithmetic of `exp` and `expires_at`. Here too the mutants tamper with what `decide` is told.

use std::time::Duration;

use rondo_shared::identity::Client;
use rondo_shared::moment::{Nonce, Timestamp};
use rondo_shared::rotation::family::{EXPIRY_SLACK, generation_expires_at, until_session_ends};
use rondo_shared::rotation::policy::Amnesty;
use rondo_shared::rotation::{Decision, Facts, Grace, RotationPolicy, Slot, decide, further_needed};
use rondo_shared::store::item::{Cause, Generation, Seal};

use super::state::{Gen, Party, Request, Tick, Token};

/// A way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The successor is put whether or not one stands.
    PutWithoutCondition,
    /// Nothing is queried: the slot is all that is known, and the seal is not.
    NoQuery,
    /// The seal is read and not heeded.
    SealIgnored,
    /// Every token's line counts as unbroken.
    LineIgnored,
    /// What stands after the slot need not descend from it.
    LineUncheckedFurtherOn,
    /// What stands after the slot is not read where the query does not show it.
    FurtherUnread,
    /// A standing item counts as another's even where it carries this request's attempt nonce.
    NonceIgnored,
    /// A reissue anchors the window anew.
    WindowSlides,
    /// A generation expires with its predecessor's window, not with its predecessor's token.
    TtlTooEarly,
    /// An instance remembers a seal of which it does not know that it stands.
    RemembersTheUnwritten,
    /// An amnesty forgives used successors too: the slot is taken for the newest.
    AmnestyOfTheUsed,
    /// A reissue is of the slot, not of the live generation.
    ReissuesTheSlot,
    /// That another client is involved is told of whoever put the slot alone.
    NotesTheSlotsClientAlone,
    /// A reissue is answered though nobody knows whether its note stands.
    AnswersWithoutItsNote,
    /// A family has one note of a reissue to another client, and the next replays none of their own.
    NotesOncePerFamily,
    /// A family that is to be revoked is refused, and no seal put.
    RefusesWithoutItsSeal,
    /// A window that closes by use stays open.
    SuccessorsUseIgnored,
    /// A slot put by a clock that is ahead counts as older than any window.
    NegativeAgeIsOld,
    /// The slack of `expires_at` is less than clocks differ.
    SlackUnderSkew,
    /// A seal expires with the token that brought it about, not with its session.
    SealExpiresWithItsToken,
}

/// What the two calls of a request returned.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub request: &'a Request,
    pub by: Party,
    /// Whether its put won, and what stands there.
    pub ours: bool,
    pub slot: Gen,
    pub sealed: bool,
    pub newest: &'a [Gen],
}

/// How decisions are made in one configuration.
#[derive(Clone, Copy, Debug)]
pub struct Judge {
    pub policy: RotationPolicy,
    pub session_ends: Tick,
    pub mutation: Option<Mutation>,
}

/// Longer than any clock here.
const NEVER_ENDS: Tick = 200;

impl Judge {
    pub const fn new(grace: Grace, idle: Tick) -> Self {
        let policy =
            RotationPolicy { grace, idle: Duration::from_secs(idle as u64), absolute: Duration::ZERO, amnesty: None };
        Self { policy, session_ends: NEVER_ENDS, mutation: None }
    }

    pub fn mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// The same for a session that ends then.
    pub const fn until(mut self, session_ends: Tick) -> Self {
        self.session_ends = session_ends;
        self
    }

    /// The same with an amnesty for successors minted at `from` or later, and before `to`.
    pub fn with_amnesty(mut self, from: Tick, to: Tick) -> Self {
        self.policy.amnesty = Some(Amnesty { from: at(from), to: at(to) });
        self
    }

    /// Whether an unused successor that was minted then is forgiven.
    pub fn forgives(&self, minted_at: Tick) -> bool {
        self.policy.amnesty.is_some_and(|amnesty| amnesty.from <= at(minted_at) && at(minted_at) < amnesty.to)
    }

    /// How long a retired token is believed, in ticks.
    pub fn window(&self) -> Tick {
        match self.policy.grace {
            Grace::Off => 0,
            Grace::Window(window) | Grace::UntilSuccessorUsed { at_most: window } => window.as_secs() as Tick,
        }
    }

    /// Whether a retired token is believed only until its successor is used.
    pub const fn closes_by_use(&self) -> bool {
        matches!(self.policy.grace, Grace::UntilSuccessorUsed { .. })
    }

    /// How long a token is good, in ticks.
    pub fn idle(&self) -> Tick {
        self.policy.idle.as_secs() as Tick
    }

    /// The generation that opens the family, by an instance whose clock is ahead by so much.
    pub fn opening(&self, ahead: Tick) -> Gen {
        self.gen_put(0, 0, None, (ahead, 0), Party::Victim)
    }

    /// The `expires_at` of a seal, without its slack; `token` is what its request presented, if a request puts it.
    pub fn seal_expires_at(&self, token: Option<Token>) -> Tick {
        let early = token.filter(|_| self.mutated(Mutation::SealExpiresWithItsToken));
        let shipped = until_session_ends(at(self.session_ends)) - EXPIRY_SLACK.as_secs() as i64;
        early.map_or(shipped as Tick, |token| token.exp)
    }

    /// The generation that a request would put.
    pub fn successor(&self, request: &Request, by: Party) -> Gen {
        let clocks = (request.now, request.begun);
        self.gen_put(request.token.number + 1, request.id, Some(request.token), clocks, by)
    }

    fn gen_put(&self, number: u8, gid: u8, presented: Option<Token>, (now, begun): (Tick, Tick), by: Party) -> Gen {
        let exp = self.policy.token_expires_at(at(now), at(self.session_ends)).secs() as Tick;
        let parent = presented.map(|token| token.gid);
        let put = Gen { number, gid, parent, minted_at: now, exp, expires_at: 0, by, begun };
        let presented_exp = presented.map_or(exp, |token| token.exp);
        let shipped =
            generation_expires_at(&generation(&put), i64::from(presented_exp)) - EXPIRY_SLACK.as_secs() as i64;
        let early = now + self.window();
        Gen {
            expires_at: if presented.is_some() && self.mutated(Mutation::TtlTooEarly) {
                early
            } else {
                shipped as Tick
            },
            ..put
        }
    }

    /// The generation that the shipped logic asks for beside what the two calls returned, if it does.
    pub fn further_needed(&self, told: &Told<'_>) -> Option<u8> {
        let unchecked = self.mutated(Mutation::LineUncheckedFurtherOn) || self.mutated(Mutation::LineIgnored);
        let needed = self.with_facts(told, None, |facts, policy| further_needed(facts, policy, at(told.request.now)));
        needed.filter(|_| !unchecked).map(|number| number as u8)
    }

    /// What the shipped `decide` makes of what was read, and which generation is live by the shipped logic.
    pub fn decide(&self, told: &Told<'_>, further: Option<Gen>) -> (Decision, Gen) {
        self.with_facts(told, further, |facts, policy| {
            let live = facts.live();
            let seen = std::iter::once(&told.slot).chain(told.newest);
            let is_live = |seen: &&Gen| u32::from(seen.number) == live.number && gid(seen.gid) == live.gid;
            let live = *seen.rev().find(is_live).expect("it was seen");
            // This one takes the slot for the newest where it forgives, and nowhere else.
            let newest = told.newest.first().filter(|_| self.mutated(Mutation::AmnestyOfTheUsed));
            let live = newest.copied().filter(|newest| newest.number > live.number).unwrap_or(live);
            (decide(facts, policy, at(told.request.now)), live)
        })
    }

    /// The shipped types, of what was read and of what a mutant makes of it.
    fn with_facts<T>(
        &self,
        told: &Told<'_>,
        mut further: Option<Gen>,
        then: impl FnOnce(&Facts<'_>, &RotationPolicy) -> T,
    ) -> T {
        let Told { request, by, ours, mut slot, mut sealed, newest } = *told;
        let (mut newest, mut policy) = (newest.to_vec(), self.policy);
        let predecessor = Gen { number: request.token.number, gid: request.token.gid, ..slot };
        if self.mutated(Mutation::NoQuery) {
            (sealed, newest) = (false, vec![slot, predecessor]);
        }
        if self.mutated(Mutation::AmnestyOfTheUsed) && !sealed && newest.iter().any(|newer| newer.number == slot.number)
        {
            newest = vec![slot, predecessor];
        }
        if self.mutated(Mutation::SealIgnored) {
            sealed = false;
        }
        if self.mutated(Mutation::SuccessorsUseIgnored) {
            policy.grace = Grace::Window(Duration::from_secs(self.window().into()));
        }
        if self.mutated(Mutation::LineIgnored) {
            slot.parent = Some(request.token.gid);
            newest = match newest.first() {
                Some(live) if live.number > slot.number => {
                    vec![*live, Gen { number: live.number - 1, gid: live.parent.unwrap_or_default(), ..*live }]
                }
                _ => vec![slot, predecessor],
            };
        }
        let far = newest.first().is_some_and(|live| live.number > slot.number + 1);
        if self.mutated(Mutation::LineUncheckedFurtherOn) && far || self.mutated(Mutation::LineIgnored) {
            let of_the_slot = |after: Gen| Gen { number: slot.number + 1, parent: Some(slot.gid), ..after };
            for seen in &mut newest {
                if seen.number == slot.number + 1 {
                    *seen = of_the_slot(*seen);
                }
            }
            further = further.or(Some(slot)).map(of_the_slot);
        }
        let mut standing = generation(&slot);
        if self.mutated(Mutation::NegativeAgeIsOld) && slot.minted_at > request.now {
            standing.minted_at = Timestamp::from_secs(-1_000);
        }
        let attempt = Nonce::from_text(format!("attempt {}", request.id));
        let slot = match ours {
            true => Slot::Ours(standing),
            false if self.mutated(Mutation::NonceIgnored) => Slot::Anothers(standing),
            false => Slot::standing(standing, &attempt),
        };
        let client = client(by);
        let seal = sealed.then(|| Seal {
            sealed_at: at(0),
            cause: Cause::Operator,
            subject: None,
            evidence: None,
            client: client.clone(),
            request_id: String::new(),
        });
        let newest: Vec<_> = newest.iter().map(generation).collect();
        let further = further.as_ref().map(generation);
        let gid = gid(request.token.gid);
        let facts = Facts {
            number: u32::from(request.token.number),
            gid: &gid,
            client: &client,
            seal: seal.as_ref(),
            slot: &slot,
            newest: &newest,
            further: further.as_ref(),
        };
        then(&facts, &policy)
    }
}

fn at(tick: Tick) -> Timestamp {
    Timestamp::from_secs(i64::from(tick))
}

fn gid(gid: u8) -> Nonce {
    Nonce::from_text(format!("gid {gid}"))
}

fn client(party: Party) -> Client {
    Client::new(
        None,
        match party {
            Party::Victim => "victim",
            Party::Thief => "thief",
        },
    )
}

fn generation(abstracted: &Gen) -> Generation {
    Generation {
        number: u32::from(abstracted.number),
        gid: gid(abstracted.gid),
        parent: abstracted.parent.map(gid),
        attempt: Nonce::from_text(format!("attempt {}", abstracted.gid)),
        minted_at: at(abstracted.minted_at),
        token_expires_at: at(abstracted.exp),
        client: client(abstracted.by),
        request_id: String::new(),
        opening: None,
    }
}
