//! Whether a history that the promises allow explains every answer and every item: [`items`] looks at what was written,
//! [`answers`] at what was said, [`endings`] at why the family ended, [`sights`] tells what occurred.

mod answers;
mod endings;
mod items;
mod sights;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rondo_shared::rotation::Grace;
use rondo_shared::rotation::family::client_hash;
use rondo_shared::rotation::policy::CONFLICT_WINDOW;

use super::play::{Asked, History};
use super::schedule::{Trouble, Who};
use super::wire::{At, Attempt};
pub use sights::{SIGHTS, sights};

const CONFLICT_MILLIS: i64 = CONFLICT_WINDOW.as_millis() as i64;

/// A generation as it stands.
struct Generation {
    put: At,
    gid: String,
    parent: Option<String>,
    minted_at: i64,
    exp: i64,
    by: Option<Who>,
    request_id: String,
    /// When it was taken away, before its time.
    lost: Option<At>,
}

#[derive(Clone)]
struct Sealed {
    put: At,
    cause: String,
    request_id: String,
    live: Option<u32>,
}

struct Note {
    put: At,
    key: String,
}

struct Checker<'a> {
    history: &'a History,
    /// The family's line: those that were put while nothing was closed, and the first of each number. What has expired or was
    /// lost since is among them.
    generations: BTreeMap<u32, Generation>,
    /// One, but for those that were lost or expired.
    seals: Vec<Sealed>,
    notes: Vec<Note>,
    found: Vec<String>,
    saw: BTreeSet<&'static str>,
}

/// Everything that the promises do not allow.
pub fn violations(history: &History) -> Vec<String> {
    checked(history).found
}

fn checked(history: &History) -> Checker<'_> {
    let (generations, seals, notes) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut checker = Checker { history, generations, seals, notes, found: Vec::new(), saw: BTreeSet::new() };
    checker.read_writes();
    checker.one_line();
    checker.contents();
    for asked in &history.asked {
        checker.answer(asked);
    }
    checker.seals();
    checker.operators();
    checker
}

impl Checker<'_> {
    fn says(&mut self, violation: String) {
        self.found.push(violation);
    }

    fn grace(&self) -> Grace {
        self.history.rotation.grace
    }

    /// Whether that was after all generations were lost. Nothing was under way then, so that no request was both before and
    /// after.
    fn is_after_loss(&self, at: At) -> bool {
        self.history.lost.iter().any(|lost| lost.loss.is_total() && lost.at < at)
    }

    /// Whether an item was lost on the way from the presented generation to the newest, so that nobody can tell any more
    /// whether the token is of this line. What is lost is never the newest, unless all are.
    fn is_broken(&self, asked: &Asked) -> bool {
        let line = self.generations.range(asked.presented.generation..);
        line.into_iter().any(|(_, generation)| generation.lost.is_some_and(|lost| lost < asked.ended))
    }

    fn asked_by(&self, request_id: &str) -> Option<&Asked> {
        self.history.asked.iter().find(|asked| asked.request_id == request_id)
    }

    /// What retired the presented token, if another request did that before the answer.
    fn anothers_slot(&self, asked: &Asked) -> Option<&Generation> {
        let slot = self.generations.get(&(asked.presented.generation + 1))?;
        Some(slot).filter(|slot| slot.put < asked.ended && slot.request_id != asked.request_id)
    }

    fn is_past_its_window(&self, slot: &Generation, asked: &Asked) -> bool {
        asked.now.millis() - slot.minted_at >= i64::try_from(window(self.grace()).as_millis()).unwrap()
    }

    /// Whether the amnesty is for this successor, if nobody has used it.
    fn forgives(&self, slot: &Generation, asked: &Asked) -> bool {
        let covers = self.history.amnesty.is_some_and(|(from, to)| from <= slot.minted_at && slot.minted_at < to);
        covers && asked.now.secs() < slot.exp
    }

    /// Those that may have been the newest at some moment of a request, that retired its token.
    fn may_be_live<'a>(&'a self, asked: &'a Asked, until: At) -> impl Iterator<Item = (u32, &'a Generation)> {
        let stood = self.generations.range(asked.presented.generation + 1..).filter(move |(_, it)| it.put < until);
        let newest = |n: u32| self.generations.get(&(n + 1)).is_none_or(|next| next.put > asked.begun);
        stood.filter(move |(n, _)| newest(**n)).map(|(n, it)| (*n, it))
    }

    /// Whether it is written down that this token was served to this client, though another had gone on from it.
    fn is_noted(&self, asked: &Asked) -> bool {
        let key = note_key(asked);
        self.notes.iter().any(|note| note.key == key && note.put < asked.ended)
    }

    /// What this request wrote.
    fn written_by(&self, asked: &Asked) -> Option<&str> {
        let writes = self.history.writes.iter();
        let mut own = writes.filter(|write| write.item["request_id"]["S"].as_str() == Some(&asked.request_id));
        own.next().map(|write| write.key.as_str())
    }
}

/// Where a replay of this token by this client is written down.
fn note_key(asked: &Asked) -> String {
    format!("CLIENT#{:010}#{}", asked.presented.generation + 1, client_hash(&asked.who.client()))
}

fn window(grace: Grace) -> Duration {
    match grace {
        Grace::Off => Duration::ZERO,
        Grace::Window(window) | Grace::UntilSuccessorUsed { at_most: window } => window,
    }
}

/// How many attempts the SDK makes of one call, and how long it lets them take together.
const ATTEMPTS: usize = 3;
const CALL_MILLIS: u64 = 2_800;
/// How many forms of a charge are tried while the bucket changes under each, as it does where answers are lost.
const CHARGES: usize = 4;

/// Whether a call of these got no answer, and not for want of trying: it met what is not retried, all of its attempts
/// failed, or its time was up. Or the bucket changed under every charge.
fn explain_failure(attempts: &[Attempt], ended: At) -> bool {
    let charges: BTreeSet<_> = attempts.iter().filter(|attempt| attempt.charges).map(|attempt| attempt.call).collect();
    if charges.len() >= CHARGES && attempts.iter().any(|attempt| attempt.charges && !attempt.answered) {
        return true;
    }
    (0..attempts.len()).any(|call| {
        let made: Vec<_> = attempts.iter().filter(|attempt| attempt.call == call).collect();
        let Some(first) = made.first().filter(|_| made.iter().all(|attempt| !attempt.answered)) else { return false };
        let is_not_retried = made.iter().any(|attempt| attempt.trouble == Trouble::Conflict);
        is_not_retried || made.len() == ATTEMPTS || ended.ms >= first.begun.ms + CALL_MILLIS
    })
}
