//! What the model remembers: the family's items, the requests under way, and what only the checker knows.

use std::collections::{BTreeMap, BTreeSet};

use rondo_shared::rotation::{Refusal, Revocation};

use super::world::Damage;

/// A tick of the clock stands for one second.
pub type Tick = u8;

/// Who sends requests. The tabs share one cookie jar and one client (ip, user agent); the thief has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    Victim,
    Thief,
}

/// A refresh token: what its claims say. A `gid` is the number of the request that drew it; generation 0 has 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    pub number: u8,
    pub gid: u8,
    pub exp: Tick,
}

/// A generation's item. Its attempt nonce is its `gid`'s number too, since one request draws both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gen {
    pub number: u8,
    pub gid: u8,
    pub parent: Option<u8>,
    pub minted_at: Tick,
    pub exp: Tick,
    pub expires_at: Tick,
    pub by: Party,
    /// The checker's: the true time at which its request began, whatever that one's clock read.
    pub begun: Tick,
}

impl Gen {
    pub const fn token(self) -> Token {
        Token { number: self.number, gid: self.gid, exp: self.exp }
    }
}

/// How far the put of a request has come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Putting {
    Pending,
    /// It landed and its answer was lost; the SDK will put again.
    Unanswered,
    Done {
        ours: bool,
        slot: Gen,
    },
}

/// How far the query of a request has come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Querying {
    Pending,
    Done { sealed: bool, newest: Vec<Gen> },
}

/// Why a request is refused; the shipped enums, in a form that can be ordered and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum No {
    Sealed,
    Conflict,
    Reuse,
    UnknownGeneration,
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Sealed(_) => Self::Sealed,
            Refusal::Conflict => Self::Conflict,
        }
    }
}

impl From<Revocation> for No {
    fn from(revocation: Revocation) -> Self {
        match revocation {
            Revocation::Reuse(_) => Self::Reuse,
            Revocation::UnknownGeneration => Self::UnknownGeneration,
        }
    }
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// On its way to the function, which has not read its clock.
    Sent,
    /// Its round trip: two calls, each a step, in either order.
    Asking { put: Putting, query: Querying },
    /// To write the note of a reissue to another client, before the answer.
    Noting { live: Gen },
    /// To put the seal, before the answer.
    Sealing { why: No },
    /// The answer is on its way back.
    Answering { token: Token, reissued: bool },
    /// The refusal is on its way back.
    Refused { why: No },
}

/// One request. A crash, a time-out and a lost answer all end it where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    pub id: u8,
    pub token: Token,
    pub stage: Stage,
    /// The function's one reading of its instance's clock.
    pub now: Tick,
    /// The checker's: the true time of that reading.
    pub begun: Tick,
    /// The checker's: when the victim first sent this token, since the jar last held another.
    pub first_sent: Tick,
    /// The checker's: what was true as the request began.
    pub after_seal: bool,
    pub after_damage: bool,
    pub newest_then: u8,
}

/// Which seat a request is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seat {
    Tab(usize),
    Thief,
}

/// How far an operator's revocation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    Idle,
    Landed,
    Acknowledged,
}

/// A broken promise that is told at the step that breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    MintedAfterSeal,
    MintedPastWindow,
    MintedStale,
    Reopened,
    ReplayUnreported,
    CollisionUnreported,
    OtherLifetime,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// True time: no clock is behind it, and none ahead by more than the skew.
    pub now: Tick,
    /// By number.
    pub generations: BTreeMap<u8, Gen>,
    /// The `expires_at` of the seal, where it stands. Its cause decides nothing, and is left out.
    pub seal: Option<Tick>,
    /// Reissue notes: the successor's number, and who was served.
    pub notes: BTreeSet<(u8, Party)>,
    /// Sorted, since no tab differs from another.
    pub tabs: Vec<Option<Request>>,
    pub thief: Option<Request>,
    /// What the tabs share; a refusal empties it.
    pub jar: Option<Token>,
    /// A put whose request has timed out, and which will land yet.
    pub late: Option<Gen>,
    pub late_used: bool,
    /// A seal whose request has timed out, and which will land yet.
    pub late_seal: Option<Tick>,
    pub late_seal_used: bool,
    /// A note whose request has timed out, and which will land yet.
    pub late_note: Option<(u8, Party)>,
    pub late_note_used: bool,
    /// An instance has seen the family sealed, and remembers it.
    pub remembered: bool,
    pub operator: Operator,
    /// Requests sent so far.
    pub sent: u8,

    /// The rest is the checker's. Every token ever minted, any of which the thief may hold.
    pub issued: BTreeSet<Token>,
    /// When the victim first sent the token that is in the jar.
    pub first_sent: Option<Tick>,
    /// The first item that ever retired each number, as it was first put, by that number's successor.
    pub retired_by: BTreeMap<u8, Gen>,
    pub seal_acknowledged: bool,
    /// How items were lost, if they were, and the number of the last request sent before.
    pub damaged: Option<(Damage, u8)>,
    /// Whether a seal ever stood.
    pub was_sealed: bool,
    /// The environment's moves that a refusal of the victim may be owed to.
    pub delayed: bool,
    pub overtaken: bool,
    /// The successor of what a tab presented was used before that tab was heard, in a window that closes by use.
    pub outrun: bool,
    pub hostile: bool,
    /// Whether the thief was ever given a token.
    pub thief_served: bool,
    pub broken: BTreeSet<Broken>,
}

impl State {
    /// The seal stands from now on; one that stood already is not replaced.
    pub fn put_seal(&mut self, expires_at: Tick) {
        self.seal.get_or_insert(expires_at);
        self.was_sealed = true;
    }

    pub fn request(&self, seat: Seat) -> Option<&Request> {
        match seat {
            Seat::Tab(tab) => self.tabs[tab].as_ref(),
            Seat::Thief => self.thief.as_ref(),
        }
    }

    pub fn set(&mut self, seat: Seat, request: Option<Request>) {
        match seat {
            Seat::Tab(tab) => self.tabs[tab] = request,
            Seat::Thief => self.thief = request,
        }
    }

    pub fn under_way(&self) -> impl Iterator<Item = &Request> {
        self.tabs.iter().flatten().chain(self.thief.as_ref())
    }

    /// What the strongly consistent query returns: of the generations and the seal, the two that sort last.
    pub fn newest_two(&self) -> (bool, Vec<Gen>) {
        let room = if self.seal.is_some() { 1 } else { 2 };
        (self.seal.is_some(), self.generations.values().rev().take(room).copied().collect())
    }

    /// Whether the note that a request would write stands.
    pub fn noted(&self, request: &Request) -> bool {
        let server = if self.is_thiefs(request) { Party::Thief } else { Party::Victim };
        self.notes.contains(&(request.token.number + 1, server))
    }

    /// Whether a request is the thief's.
    pub fn is_thiefs(&self, request: &Request) -> bool {
        self.thief.as_ref() == Some(request)
    }

    /// Whether what was ever retired is still known to be: items were lost from within the family at most, and not the
    /// memory of its newest, as in an older copy.
    pub fn remembers_its_retired(&self) -> bool {
        matches!(self.damaged, None | Some((Damage::Without(_) | Damage::Older(_) | Damage::Seal, _)))
    }

    pub fn newest_number(&self) -> u8 {
        self.generations.keys().next_back().copied().unwrap_or(0)
    }
}
