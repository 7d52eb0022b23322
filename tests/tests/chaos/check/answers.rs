//! What was said: no answer that the promises do not allow.

use rondo_shared::rotation::Grace;
use rondo_shared::store::WALK_TIME;
use rondo_shared::store::item::Cause;

use super::endings::acknowledgement;
use super::{CONFLICT_MILLIS, Checker, explain_failure};
use crate::chaos::play::Asked;
use crate::chaos::schedule::Trouble;

const WALK_MILLIS: u64 = WALK_TIME.as_millis() as u64;
/// For how long the fastest bucket here holds what has arrived, less what two clocks may differ.
const BUCKET_MILLIS: u64 = 900;

impl Checker<'_> {
    pub(super) fn answer(&mut self, asked: &Asked) {
        let name = format!("{:?}'s generation {} at {} ms", asked.who, asked.presented.generation, asked.begun.ms);
        let after_loss = self.is_after_loss(asked.begun);
        let is_granted = matches!(asked.outcome, "rotated" | "reissued" | "proven");
        if (asked.has_access_token, asked.status == 200) != (is_granted, is_granted) {
            self.says(format!("{name}: {}, status {}, token {}", asked.outcome, asked.status, asked.has_access_token));
        }
        match asked.outcome {
            "rotated" | "reissued" | "proven" if after_loss => {
                self.says(format!("{name}: went on after its items were lost"));
            }
            "rotated" | "reissued" => self.granted(asked, &name),
            "proven" => self.proven(asked, &name),
            "invalid" => self.invalid(asked, &name),
            "refused" if asked.cause == Some("conflict") => self.conflict(asked, &name),
            "refused" | "revoked" if asked.status != self.history.product.refusal() => {
                self.says(format!("{name}: a refusal is answered {}", asked.status));
            }
            "refused" => self.refused(asked, &name),
            "revoked" => self.revoked(asked, &name),
            "failed" => self.failed(asked, &name),
            "limited" => self.limited(asked, &name),
            other => self.says(format!("{name}: the outcome is {other}")),
        }
    }

    fn granted(&mut self, asked: &Asked, name: &str) {
        let n = asked.presented.generation;
        let Some(minted) = &asked.minted else { return self.says(format!("{name}: no token was handed out")) };
        let m = minted.generation;
        let mut wrong = Vec::new();
        let mut says = |what: String| wrong.push(format!("{name}: {what}"));
        if asked.proves {
            says("minted, and such a token does not rotate".to_owned());
        }
        if let Some(acknowledged) = acknowledgement(self.history).filter(|at| asked.begun > *at) {
            says(format!("minted, and the family's end was acknowledged at {} ms", acknowledged.ms));
        }
        let stands = self.generations.get(&m).filter(|it| it.gid == minted.gid && it.put < asked.ended);
        let Some(live) = stands else {
            return self.says(format!("{name}: generation {m} was minted, and does not stand"));
        };
        let Some(slot) = self.generations.get(&(n + 1)).filter(|_| m > n) else {
            return self.says(format!("{name}: generation {m} was minted, which is no successor"));
        };
        if asked.now.secs() >= asked.presented.exp {
            says("an expired token was believed".to_owned());
        }
        if live.exp != minted.exp || minted.session_expires_at != asked.presented.session_expires_at {
            says("the token does not expire as its generation and its session do".to_owned());
        }
        if self.generations.get(&(m + 1)).is_some_and(|next| next.put < asked.begun) {
            says(format!("generation {m} was minted after it had been retired"));
        }
        if slot.parent.as_ref() != Some(&asked.presented.gid) {
            says("the successor is another line's".to_owned());
        }
        if asked.outcome == "rotated" && (m != n + 1 || live.request_id != asked.request_id) {
            says("rotated, and the successor is not its own".to_owned());
        }
        let mut is_forgiven = false;
        if slot.request_id != asked.request_id {
            let is_late = self.is_past_its_window(slot, asked);
            is_forgiven = is_late && m == n + 1 && self.forgives(slot, asked);
            if is_late && !is_forgiven {
                let age = asked.now.millis() - slot.minted_at;
                says(format!("a retired token was believed {age} ms after its window began"));
            }
            let used = self.generations.get(&(n + 2)).is_some_and(|next| next.put < asked.begun);
            if used && matches!(self.grace(), Grace::UntilSuccessorUsed { .. }) {
                says("a retired token was believed after its successor had been used".to_owned());
            }
        }
        let another = asked.outcome == "reissued" && [slot, live].iter().any(|it| it.by != Some(asked.who));
        if another && !self.is_noted(asked) {
            says("reissued to another client, and not written down".to_owned());
        }
        if another != asked.another_client {
            says("the log line is wrong about another client".to_owned());
        }
        self.saw.extend(is_forgiven.then_some("a forgiven token"));
        self.found.extend(wrong);
    }

    /// A token that does not rotate, of a session that holds: its client keeps what it has.
    fn proven(&mut self, asked: &Asked, name: &str) {
        self.saw.insert("a session proven");
        if !asked.proves || asked.minted.is_some() || asked.sets_cookies {
            self.says(format!("{name}: proven, and it had to rotate, or was given a token all the same"));
        }
        if let Some(acknowledged) = acknowledgement(self.history).filter(|at| asked.begun > *at) {
            self.says(format!("{name}: served, and the family's end was acknowledged at {} ms", acknowledged.ms));
        }
        if asked.now.secs() >= asked.presented.exp {
            self.says(format!("{name}: an expired token was believed"));
        }
        let n = asked.presented.generation;
        let own = self.generations.get(&n).filter(|own| own.gid == asked.presented.gid && own.put < asked.begun);
        if own.is_none() {
            self.says(format!("{name}: served, and its generation does not stand"));
        }
        let wrong = self.wrong_proof_of_a_retired_token(asked);
        self.found.extend(wrong.into_iter().map(|what| format!("{name}: {what}")));
    }

    /// One that is retired while the request is under way may be found live.
    fn wrong_proof_of_a_retired_token(&self, asked: &Asked) -> Vec<String> {
        let n = asked.presented.generation;
        let Some(slot) = self.generations.get(&(n + 1)).filter(|slot| slot.put < asked.begun) else {
            return Vec::new();
        };
        let mut wrong = Vec::new();
        let is_used = self.generations.get(&(n + 2)).is_some_and(|next| next.put < asked.begun);
        if self.is_past_its_window(slot, asked) && (is_used || !self.forgives(slot, asked)) {
            let age = asked.now.millis() - slot.minted_at;
            wrong.push(format!("a retired token was served {age} ms after its window began"));
        }
        let differs = |live: &super::Generation| [slot, live].iter().any(|it| it.by != Some(asked.who));
        if self.may_be_live(asked, asked.ended).all(|(_, live)| differs(live)) && !self.is_noted(asked) {
            wrong.push("served to another client, and not written down".to_owned());
        }
        wrong
    }

    fn refused(&mut self, asked: &Asked, name: &str) {
        if asked.minted.is_some() {
            self.says(format!("{name}: refused with a token"));
        }
        // Proving writes nothing for a session of which nothing is left.
        let is_unknown = asked.outcome == "refused" && asked.cause == Some(Cause::UnknownGeneration.as_str());
        if is_unknown && asked.proves && self.is_after_loss(asked.begun) {
            return;
        }
        let put: Vec<_> = self.seals.iter().filter(|seal| seal.put < asked.ended).map(|it| it.cause.clone()).collect();
        if put.is_empty() {
            return self.says(format!("{name}: refused, and the family was not sealed"));
        }
        // A seal that was lost may be remembered.
        if asked.outcome == "refused" && !put.iter().any(|cause| asked.cause == Some(cause.as_str())) {
            self.says(format!("{name}: refused for {:?}, and the seal says {}", asked.cause, put.join(", ")));
        }
    }

    fn revoked(&mut self, asked: &Asked, name: &str) {
        self.refused(asked, name);
        if !self.seals.iter().any(|seal| seal.request_id == asked.request_id && seal.put < asked.ended) {
            self.says(format!("{name}: revoked, and the seal is not its own"));
        }
        let is_unknown = asked.cause == Some(Cause::UnknownGeneration.as_str());
        if self.is_after_loss(asked.begun) {
            if !is_unknown {
                self.says(format!("{name}: revoked for {:?}, and its items were lost", asked.cause));
            }
        } else if is_unknown {
            self.saw.insert("a token whose line is lost");
            if !self.is_broken(asked) {
                self.says(format!("{name}: revoked as unknown, and nothing of its line was lost"));
            }
        } else if self.is_forgiven_reuse(asked) {
            self.says(format!("{name}: revoked, and the amnesty forgives it"));
        } else if !self.is_reuse(asked) {
            self.says(format!("{name}: revoked, and the token was not past its window"));
        }
    }

    fn failed(&mut self, asked: &Asked, name: &str) {
        let is_over_time = asked.ended.ms - asked.begun.ms >= WALK_MILLIS;
        if !is_over_time && !explain_failure(&asked.attempts, asked.ended) {
            self.says(format!("{name}: failed, and nothing had gone wrong that it could not bear"));
        }
        if asked.sets_cookies || asked.minted.is_some() || asked.status < 500 {
            self.says(format!("{name}: a failure of ours looks like an invalid token"));
        }
    }

    /// A charge that is held up for longer than the bucket holds comes with a clock that others have left behind.
    fn limited(&mut self, asked: &Asked, name: &str) {
        let is_held_up = asked.ended.ms - asked.begun.ms >= BUCKET_MILLIS;
        if !is_held_up || asked.attempts.iter().all(|attempt| attempt.trouble == Trouble::None) {
            self.says(format!("{name}: limited, and nothing had held it up"));
        }
        if self.written_by(asked).is_some() || asked.sets_cookies || asked.minted.is_some() {
            self.says(format!("{name}: a limited request wrote something, or lost its cookie"));
        }
    }

    /// What does not verify: here nothing but tokens whose time is over.
    fn invalid(&mut self, asked: &Asked, name: &str) {
        self.saw.insert("an expired token");
        if asked.now.secs() < asked.presented.exp || asked.cause != Some("expired") {
            self.says(format!("{name}: called invalid for {:?}, and it had not expired", asked.cause));
        }
        if asked.minted.is_some() || asked.status != self.history.product.refusal() {
            self.says(format!("{name}: an expired token is answered {}", asked.status));
        }
        if self.written_by(asked).is_some() || !asked.attempts.is_empty() {
            self.says(format!("{name}: an expired token reached the store"));
        }
    }

    /// With the window off, another request is rotating this token: told for two seconds, and nothing is changed.
    fn conflict(&mut self, asked: &Asked, name: &str) {
        self.saw.insert("a conflict");
        if let Some(key) = self.written_by(asked) {
            return self.says(format!("{name}: told to try again, and wrote {key}"));
        }
        let Some(slot) = self.anothers_slot(asked) else {
            return self.says(format!("{name}: told to try again, and nobody else had rotated it"));
        };
        let age = asked.now.millis() - slot.minted_at;
        if self.grace() != Grace::Off || self.is_after_loss(asked.begun) || age >= CONFLICT_MILLIS {
            self.says(format!("{name}: told to try again {age} ms after it was rotated, which is no race"));
        }
        if asked.minted.is_some() || asked.sets_cookies || asked.status == self.history.product.refusal() {
            self.says(format!("{name}: a conflict looks like an invalid token"));
        }
    }
}
