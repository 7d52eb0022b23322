//! Whether a history that the promises allow explains every answer and every item.

use std::collections::BTreeMap;
use std::time::Duration;

use rondo_shared::rotation::Grace;
use rondo_shared::rotation::family::client_hash;
use rondo_shared::store::item::Cause;
use serde_json::Value;

use super::play::{Asked, History};
use super::schedule::Who;
use super::wire::{At, Write};

/// A generation as it stands.
struct Generation {
    put: At,
    gid: String,
    parent: Option<String>,
    minted_at: i64,
    exp: i64,
    by: Option<Who>,
    request_id: String,
}

struct Sealed {
    put: At,
    cause: String,
    request_id: String,
}

struct Checker<'a> {
    history: &'a History,
    generations: BTreeMap<u32, Generation>,
    seal: Option<Sealed>,
    notes: BTreeMap<String, At>,
    found: Vec<String>,
}

/// Everything that the promises do not allow.
pub fn violations(history: &History) -> Vec<String> {
    let mut checker =
        Checker { history, generations: BTreeMap::new(), seal: None, notes: BTreeMap::new(), found: Vec::new() };
    checker.read_writes();
    checker.one_line();
    for asked in &history.asked {
        checker.answer(asked);
    }
    checker.seal();
    checker.found
}

fn text(item: &Value, name: &str) -> String {
    item[name]["S"].as_str().unwrap_or_default().to_owned()
}

fn number(item: &Value, name: &str) -> i64 {
    item[name]["N"].as_str().unwrap().parse().unwrap()
}

impl Checker<'_> {
    fn says(&mut self, violation: String) {
        self.found.push(violation);
    }

    /// No item of a family ever changes.
    fn read_writes(&mut self) {
        let mut first: BTreeMap<&str, &Write> = BTreeMap::new();
        for write in &self.history.writes {
            if first.contains_key(write.key.as_str()) {
                self.found.push(format!("{} was written over", write.key));
                continue;
            }
            first.insert(&write.key, write);
            self.read(write);
        }
        let stands: BTreeMap<_, _> =
            self.history.items.iter().map(|item| (item["sk"]["S"].as_str().unwrap(), item)).collect();
        for (key, write) in &first {
            if stands.get(key) != Some(&&write.item) {
                self.found.push(format!("{key} does not stand as it was put"));
            }
        }
        if stands.len() != first.len() {
            self.found.push("something stands that nobody put".to_owned());
        }
    }

    fn read(&mut self, Write { at, key, item }: &Write) {
        if let Some(n) = key.strip_prefix("GEN#") {
            let by = [Who::Browser, Who::Thief].into_iter().find(|who| text(item, "ip") == who.ip());
            let generation = Generation {
                put: *at,
                gid: text(item, "gid"),
                parent: item["parent"]["S"].as_str().map(str::to_owned),
                minted_at: number(item, "minted_at"),
                exp: number(item, "token_expires_at"),
                by,
                request_id: text(item, "request_id"),
            };
            self.generations.insert(n.parse().unwrap(), generation);
        } else if key == "SEAL" {
            self.seal = Some(Sealed { put: *at, cause: text(item, "cause"), request_id: text(item, "request_id") });
        } else {
            self.notes.insert(key.clone(), *at);
        }
    }

    /// At most one generation is live: they make one line.
    fn one_line(&mut self) {
        let mut before: Option<&Generation> = None;
        let mut found = Vec::new();
        for (expected, (n, generation)) in (0..).zip(&self.generations) {
            if *n != expected {
                found.push(format!("generation {expected} is missing, and {n} stands"));
            }
            if generation.parent.as_ref() != before.map(|before| &before.gid) {
                found.push(format!("generation {n} does not descend from the one before it"));
            }
            if before.is_some_and(|before| before.put > generation.put) {
                found.push(format!("generation {n} was put before its predecessor"));
            }
            before = Some(generation);
        }
        self.found.extend(found);
    }

    fn answer(&mut self, asked: &Asked) {
        let name = format!("{:?}'s generation {} at {} ms", asked.who, asked.presented.generation, asked.begun.ms);
        match asked.outcome {
            "rotated" | "reissued" => self.granted(asked, &name),
            "refused" | "revoked" if asked.status != self.history.product.refusal() => {
                self.says(format!("{name}: a refusal is answered {}", asked.status));
            }
            "refused" => self.refused(asked, &name),
            "revoked" => {
                self.refused(asked, &name);
                if !self.is_reuse(asked) {
                    self.says(format!("{name}: revoked, and the token was not past its window"));
                }
            }
            "failed" => {
                if asked.met == 0 {
                    self.says(format!("{name}: failed, and nothing had gone wrong"));
                }
                if asked.sets_cookies || asked.minted.is_some() || asked.status < 500 {
                    self.says(format!("{name}: a failure of ours looks like an invalid token"));
                }
            }
            // A charge that is held up for longer than the bucket holds comes with a clock that others have left behind.
            "limited" => {
                if asked.met == 0 {
                    self.says(format!("{name}: limited, and nothing had held it up"));
                }
                let rotated = self.generations.values().any(|it| it.request_id == asked.request_id);
                if rotated || asked.sets_cookies || asked.minted.is_some() {
                    self.says(format!("{name}: a limited request rotated, or lost its cookie"));
                }
            }
            other => self.says(format!("{name}: the outcome is {other}")),
        }
    }

    fn granted(&mut self, asked: &Asked, name: &str) {
        let n = asked.presented.generation;
        let Some(minted) = &asked.minted else { return self.says(format!("{name}: no token was handed out")) };
        let m = minted.generation;
        let mut says = |what: String| self.found.push(format!("{name}: {what}"));
        if let Some(acknowledged) = acknowledgement(self.history).filter(|at| asked.begun > *at) {
            says(format!("minted, and the family's end was acknowledged at {} ms", acknowledged.ms));
        }
        let stands = self.generations.get(&m).filter(|it| it.gid == minted.gid && it.put < asked.ended);
        let Some(live) = stands else { return says(format!("generation {m} was minted, and does not stand")) };
        if live.exp != minted.exp {
            says("the token does not expire as its generation does".to_owned());
        }
        if self.generations.get(&(m + 1)).is_some_and(|next| next.put < asked.begun) {
            says(format!("generation {m} was minted after it had been retired"));
        }
        let Some(slot) = self.generations.get(&(n + 1)).filter(|_| m > n) else {
            return says(format!("generation {m} was minted, which is no successor"));
        };
        if slot.parent.as_ref() != Some(&asked.presented.gid) {
            says("the successor is another line's".to_owned());
        }
        if asked.outcome == "rotated" && (m != n + 1 || live.request_id != asked.request_id) {
            says("rotated, and the successor is not its own".to_owned());
        }
        if slot.request_id != asked.request_id {
            let age = Duration::from_millis(u64::try_from(asked.now.millis() - slot.minted_at).unwrap_or(0));
            if age >= window(self.history.grace) {
                says(format!("a retired token was believed {} ms after its window began", age.as_millis()));
            }
            let used = self.generations.get(&(n + 2)).is_some_and(|next| next.put < asked.begun);
            if used && matches!(self.history.grace, Grace::UntilSuccessorUsed { .. }) {
                says("a retired token was believed after its successor had been used".to_owned());
            }
        }
        let another = asked.outcome == "reissued" && [slot, live].iter().any(|it| it.by != Some(asked.who));
        let note = format!("CLIENT#{:010}#{}", n + 1, client_hash(&asked.who.client()));
        if another && self.notes.get(&note).is_none_or(|put| *put > asked.ended) {
            says("reissued to another client, and not written down".to_owned());
        }
        if another != asked.another_client {
            says("the log line is wrong about another client".to_owned());
        }
    }

    fn refused(&mut self, asked: &Asked, name: &str) {
        if asked.minted.is_some() {
            self.says(format!("{name}: refused with a token"));
        }
        let Some(seal) = self.seal.as_ref().filter(|seal| seal.put < asked.ended) else {
            return self.says(format!("{name}: refused, and the family was not sealed"));
        };
        if asked.outcome == "refused" && asked.cause != Some(seal.cause.as_str()) {
            let cause = seal.cause.clone();
            self.says(format!("{name}: refused for {:?}, and the seal says {cause}", asked.cause));
        }
    }

    /// The seal that stands has a reason.
    fn seal(&mut self) {
        let Some(seal) = &self.seal else { return };
        if seal.cause == Cause::SignOut.as_str() {
            if !self.history.revoked.iter().any(|revoked| revoked.begun < seal.put) {
                self.says("a session was ended that no operator ended".to_owned());
            }
            return;
        }
        let by = self.history.asked.iter().find(|asked| asked.request_id == seal.request_id);
        let Some(by) = by else { return self.says("nobody put the seal".to_owned()) };
        if seal.cause != Cause::Reuse.as_str() {
            let cause = seal.cause.clone();
            return self.says(format!("the seal says {cause}, and nothing was ever taken away"));
        }
        if !self.is_reuse(by) {
            return self.says("a family was sealed for a token that was not past its window".to_owned());
        }
        let theft = self.generations.values().any(|it| it.by == Some(Who::Thief)) || by.who == Who::Thief;
        if !theft && self.excuse(by).is_none() {
            self.says("an honest client was refused, and nothing was delayed or overtaken".to_owned());
        }
    }

    /// Whether the presented token was retired, by another request, and past its window.
    fn is_reuse(&self, asked: &Asked) -> bool {
        let n = asked.presented.generation;
        let slot = self.generations.get(&(n + 1)).filter(|slot| slot.put < asked.ended);
        let Some(slot) = slot.filter(|slot| slot.request_id != asked.request_id) else { return false };
        let age = asked.now.millis() - slot.minted_at;
        let used = self.generations.get(&(n + 2)).is_some_and(|next| next.put < asked.ended);
        age >= i64::try_from(window(self.history.grace).as_millis()).unwrap()
            || (used && matches!(self.history.grace, Grace::UntilSuccessorUsed { .. }))
    }

    /// Which of the named cases an honest client's reuse was.
    fn excuse(&self, asked: &Asked) -> Option<&'static str> {
        let n = asked.presented.generation;
        let slot = self.generations.get(&(n + 1))?;
        let until = |grace| match grace {
            Grace::UntilSuccessorUsed { .. } => self.generations.get(&(n + 2)).map(|next| next.put),
            Grace::Off | Grace::Window(_) => None,
        };
        let in_its_window = asked.sent.ms
            < slot.put.ms + u64::try_from(window(self.history.grace).as_millis()).unwrap()
            && until(self.history.grace).is_none_or(|used| asked.sent < used);
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
fn acknowledgement(history: &History) -> Option<At> {
    let by_operator = history.revoked.iter().filter(|it| it.acknowledged).map(|it| it.ended);
    let by_function = history.asked.iter().filter(|it| matches!(it.outcome, "refused" | "revoked")).map(|it| it.ended);
    by_operator.chain(by_function).min()
}

fn window(grace: Grace) -> Duration {
    match grace {
        Grace::Off => Duration::ZERO,
        Grace::Window(window) | Grace::UntilSuccessorUsed { at_most: window } => window,
    }
}
