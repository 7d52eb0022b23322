//! Why the family ended: each seal has a reason, each honest client that is refused a named excuse, and what an operator is
//! told is true.

use rondo_shared::rotation::Grace;
use rondo_shared::store::item::Cause;

use super::{CONFLICT_MILLIS, Checker, Sealed, explain_failure, window};
use crate::chaos::play::{Asked, History, Revoked};
use crate::chaos::schedule::Who;
use crate::chaos::wire::At;

impl Checker<'_> {
    /// Each seal has a reason.
    pub(super) fn seals(&mut self) {
        for seal in self.seals.clone() {
            if let Some(wrong) = self.wrong_seal(&seal) {
                self.says(wrong);
            }
        }
    }

    fn wrong_seal(&self, seal: &Sealed) -> Option<String> {
        let says = |what: &str| Some(what.to_owned());
        let Some(by) = self.asked_by(&seal.request_id) else {
            // That somebody put it, its contents have told.
            let by = self.history.revoked.iter().find(|revoked| revoked.request_id == seal.request_id)?;
            return self.wrong_operators_evidence(seal, by);
        };
        if !matches!(by.outcome, "revoked" | "failed") {
            return Some(format!("a request put the seal, and was answered {}", by.outcome));
        }
        if let Some(wrong) = self.wrong_evidence(seal, by) {
            return Some(wrong);
        }
        if self.is_after_loss(seal.put) {
            let unknown = seal.cause == Cause::UnknownGeneration.as_str();
            return if unknown { None } else { Some(format!("the seal says {}, and items were lost", seal.cause)) };
        }
        if seal.cause == Cause::UnknownGeneration.as_str() && self.is_broken(by) {
            return None;
        }
        if seal.cause != Cause::Reuse.as_str() {
            return Some(format!("the seal says {}, and nothing was ever taken away", seal.cause));
        }
        if !self.is_reuse(by) {
            return says("a family was sealed for a token that was not past its window");
        }
        let theft = self.generations.values().any(|it| it.by == Some(Who::Thief)) || by.who == Who::Thief;
        if !theft && self.excuse(by).is_none() {
            return says("an honest client was refused, and nothing was delayed or overtaken");
        }
        None
    }

    /// The live generation that a seal names is one that stood: none older than what stood as its request began.
    fn wrong_live(&self, live: u32, seal: &Sealed, begun: At) -> Option<String> {
        let put = self.history.writes.iter().any(|write| write.key == format!("GEN#{live:010}") && write.at < seal.put);
        let newer = |(n, it): (&u32, &super::Generation)| *n > live && it.put < begun && !self.is_gone(*n, begun);
        let is_wrong = !put || self.generations.iter().any(newer);
        is_wrong.then(|| format!("the seal says that generation {live} was live, and it was not"))
    }

    /// An operator's seal names the live generation too, unless none stood or the store did not tell.
    fn wrong_operators_evidence(&self, seal: &Sealed, by: &Revoked) -> Option<String> {
        if let Some(live) = seal.live {
            return self.wrong_live(live, seal, by.begun);
        }
        let mut stood = self.generations.iter().filter(|(_, generation)| generation.put < by.begun);
        // It looks first, and not for long.
        let was_told = by.attempts.iter().any(|attempt| attempt.call == 0 && attempt.answered);
        let is_known = stood.any(|(n, _)| !self.is_gone(*n, seal.put)) && was_told;
        is_known.then(|| "an operator's seal does not say what was live".to_owned())
    }

    fn wrong_evidence(&self, seal: &Sealed, by: &Asked) -> Option<String> {
        let Some(live) = seal.live else { return Some("the seal does not say what was live".to_owned()) };
        if let Some(wrong) = self.wrong_live(live, seal, by.begun) {
            return Some(wrong);
        }
        let behind = if live == by.presented.generation + 1 { "recent_predecessor" } else { "stale_lineage" };
        let told = if seal.cause == Cause::Reuse.as_str() { behind } else { seal.cause.as_str() };
        let is_told = by.outcome == "failed" || by.cause == Some(told);
        (!is_told).then(|| format!("the seal says {told}, and the log line {:?}", by.cause))
    }

    /// Whether a generation was removed before, by its time or by hand.
    fn is_gone(&self, n: u32, before: At) -> bool {
        let key = format!("GEN#{n:010}");
        self.history.removals.iter().any(|removal| removal.key == key && removal.at < before)
    }

    /// An operator is told that a session has ended if it has, and gets no answer only for want of one from the store.
    pub(super) fn operators(&mut self) {
        let history = self.history;
        for revoked in &history.revoked {
            let Some(told) = &revoked.acknowledged else {
                if !explain_failure(&revoked.attempts, revoked.ended) {
                    self.says("an operator got no answer, and nothing had gone wrong".to_owned());
                }
                continue;
            };
            if !self.seals.iter().any(|seal| seal.request_id == *told && seal.put < revoked.ended) {
                self.says("an operator was told that the session has ended, and it was not sealed".to_owned());
            }
        }
    }

    /// Whether the presented token was retired, by another request, and past its window, and is not forgiven.
    pub(super) fn is_reuse(&self, asked: &Asked) -> bool {
        self.is_over(asked) && !self.is_forgiven_reuse(asked)
    }

    fn is_over(&self, asked: &Asked) -> bool {
        let Some(slot) = self.anothers_slot(asked) else { return false };
        let age = asked.now.millis() - slot.minted_at;
        let is_race = self.grace() == Grace::Off && age < CONFLICT_MILLIS;
        (self.is_past_its_window(slot, asked) && !is_race)
            || (self.is_used(asked) && matches!(self.grace(), Grace::UntilSuccessorUsed { .. }))
    }

    /// Whether it is past its window, and the amnesty forgives it: nobody went on from its successor before the answer.
    pub(super) fn is_forgiven_reuse(&self, asked: &Asked) -> bool {
        let forgiven = self.anothers_slot(asked).is_some_and(|slot| self.forgives(slot, asked));
        forgiven && !self.is_used(asked) && self.is_over(asked)
    }

    fn is_used(&self, asked: &Asked) -> bool {
        self.generations.get(&(asked.presented.generation + 2)).is_some_and(|next| next.put < asked.ended)
    }

    /// Which of the named cases an honest client's reuse was.
    fn excuse(&self, asked: &Asked) -> Option<&'static str> {
        let n = asked.presented.generation;
        let slot = self.generations.get(&(n + 1))?;
        let until = |grace| match grace {
            Grace::UntilSuccessorUsed { .. } => self.generations.get(&(n + 2)).map(|next| next.put),
            Grace::Off | Grace::Window(_) => None,
        };
        let in_its_window = asked.sent.ms < slot.put.ms + u64::try_from(window(self.grace()).as_millis()).unwrap()
            && until(self.grace()).is_none_or(|used| asked.sent < used);
        if in_its_window {
            return Some("the request was delayed");
        }
        let mut arrived: Vec<_> = self.history.asked.iter().filter(|other| other.who == Who::Browser).collect();
        arrived.retain(|other| other.minted.is_some() && other.delivered.is_some_and(|at| at < asked.sent));
        let newer = |other: &&&Asked| other.minted.as_ref().is_some_and(|minted| minted.generation > n);
        let Some(first_newer) = arrived.iter().filter(newer).filter_map(|other| other.delivered).min() else {
            return Some("the answer, or the retry, was delayed");
        };
        let overtaken = arrived.iter().any(|other| other.delivered > Some(first_newer) && !newer(&other));
        overtaken.then_some("an older answer overtook a newer one")
    }
}

/// When somebody was first told that the family had ended.
pub(super) fn acknowledgement(history: &History) -> Option<At> {
    let by_operator = history.revoked.iter().filter(|it| it.acknowledged.is_some()).map(|it| it.ended);
    let is_end = |it: &&Asked| matches!(it.outcome, "refused" | "revoked") && it.cause != Some("conflict");
    let by_function = history.asked.iter().filter(is_end).map(|it| it.ended);
    by_operator.chain(by_function).min()
}
