//! Whether a history that the promises allow explains every answer and every item.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rondo_shared::rotation::Grace;
use rondo_shared::rotation::family::client_hash;
use rondo_shared::rotation::policy::CONFLICT_WINDOW;
use rondo_shared::store::item::Cause;
use serde_json::Value;

use super::play::{Asked, History};
use super::schedule::{Loss, Who};
use super::wire::{At, Write};

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
}

#[derive(Clone)]
struct Sealed {
    put: At,
    cause: String,
    request_id: String,
}

struct Checker<'a> {
    history: &'a History,
    /// Those that were put before anything was lost; what has expired since is among them.
    generations: BTreeMap<u32, Generation>,
    /// One, but for those that were lost or expired.
    seals: Vec<Sealed>,
    notes: BTreeMap<String, At>,
    found: Vec<String>,
    saw: BTreeSet<&'static str>,
}

/// Everything that the promises do not allow.
pub fn violations(history: &History) -> Vec<String> {
    checked(history).found
}

/// Which kinds of settings and events there were, so that a stranger sees that they occur.
pub fn sights(history: &History) -> BTreeSet<&'static str> {
    let mut saw = checked(history).saw;
    saw.extend(history.settings.grace_off.then_some("grace off"));
    saw.extend(history.amnesty.map(|_| "an amnesty"));
    saw.extend(history.settings.ttl.map(|_| "short-lived tokens"));
    saw.extend(history.removals.iter().any(|gone| gone.expired).then_some("items deleted by TTL"));
    saw.extend(history.lost.map(|(_, loss)| match loss {
        Loss::All => "all items lost",
        Loss::AllButSeal => "all but the seal lost",
    }));
    saw
}

/// What [`sights`] can tell of.
pub const SIGHTS: [&str; 9] = [
    "grace off",
    "a conflict",
    "an amnesty",
    "a forgiven token",
    "short-lived tokens",
    "an expired token",
    "items deleted by TTL",
    "all items lost",
    "all but the seal lost",
];

fn checked(history: &History) -> Checker<'_> {
    let (generations, seals, notes) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    let mut checker = Checker { history, generations, seals, notes, found: Vec::new(), saw: BTreeSet::new() };
    checker.read_writes();
    checker.one_line();
    for asked in &history.asked {
        checker.answer(asked);
    }
    checker.seals();
    checker
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

    /// Whether that was after items were lost. Nothing was under way then, so that no request was both before and after.
    fn is_after_loss(&self, at: At) -> bool {
        self.history.lost.is_some_and(|(lost, _)| at > lost)
    }

    /// No item of a family ever changes, and none that has expired comes back: tokens that could put it expired before.
    fn read_writes(&mut self) {
        let history = self.history;
        let mut events: Vec<_> = history.writes.iter().map(|it| (it.at, it.key.as_str(), Some(it))).collect();
        events.extend(history.removals.iter().map(|it| (it.at, it.key.as_str(), None)));
        events.sort_by_key(|(at, ..)| *at);
        let (mut standing, mut gone) = (BTreeMap::new(), BTreeSet::new());
        for (at, key, put) in events {
            let Some(write) = put else {
                standing.remove(key);
                gone.insert(key);
                continue;
            };
            if standing.contains_key(key) {
                self.says(format!("{key} was written over"));
                continue;
            }
            // The operator may end a session whose seal has outlived it.
            if gone.contains(key) && key != "SEAL" && !self.is_after_loss(at) {
                self.says(format!("{key} had expired, and was put again"));
            }
            standing.insert(key, &write.item);
            if !self.is_after_loss(at) || key == "SEAL" {
                self.read(write);
            }
        }
        let items: BTreeMap<_, _> =
            history.items.iter().map(|item| (item["sk"]["S"].as_str().unwrap(), item)).collect();
        for (key, item) in &standing {
            if items.get(key) != Some(item) {
                self.says(format!("{key} does not stand as it was put"));
            }
        }
        if items.len() != standing.len() {
            self.says("something stands that nobody put".to_owned());
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
            self.generations.entry(n.parse().unwrap()).or_insert(generation);
        } else if key == "SEAL" {
            self.seals.push(Sealed { put: *at, cause: text(item, "cause"), request_id: text(item, "request_id") });
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
        let after_loss = self.is_after_loss(asked.begun);
        match asked.outcome {
            "rotated" | "reissued" if after_loss => self.says(format!("{name}: went on after its items were lost")),
            "rotated" | "reissued" => self.granted(asked, &name),
            "invalid" => self.invalid(asked, &name),
            "refused" if asked.cause == Some("conflict") => self.conflict(asked, &name),
            "refused" | "revoked" if asked.status != self.history.product.refusal() => {
                self.says(format!("{name}: a refusal is answered {}", asked.status));
            }
            "refused" => self.refused(asked, &name),
            "revoked" => {
                self.refused(asked, &name);
                if after_loss {
                    if asked.cause != Some(Cause::UnknownGeneration.as_str()) {
                        self.says(format!("{name}: revoked for {:?}, and its items were lost", asked.cause));
                    }
                } else if self.is_forgiven_reuse(asked) {
                    self.says(format!("{name}: revoked, and the amnesty forgives it"));
                } else if !self.is_reuse(asked) {
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
        if asked.now.secs() >= asked.presented.exp {
            says("an expired token was believed".to_owned());
        }
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
            let is_late = age >= window(self.history.grace);
            if is_late && m == n + 1 && forgives(self.history, slot, asked) {
                self.saw.insert("a forgiven token");
            } else if is_late {
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
        let put: Vec<_> = self.seals.iter().filter(|seal| seal.put < asked.ended).map(|it| it.cause.clone()).collect();
        if put.is_empty() {
            return self.says(format!("{name}: refused, and the family was not sealed"));
        }
        // A seal that was lost may be remembered.
        if asked.outcome == "refused" && !put.iter().any(|cause| asked.cause == Some(cause.as_str())) {
            self.says(format!("{name}: refused for {:?}, and the seal says {}", asked.cause, put.join(", ")));
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
    }

    /// With the window off, another request is rotating this token: told for two seconds, and nothing is changed.
    fn conflict(&mut self, asked: &Asked, name: &str) {
        self.saw.insert("a conflict");
        let slot = self.generations.get(&(asked.presented.generation + 1)).filter(|slot| slot.put < asked.ended);
        let Some(slot) = slot.filter(|slot| slot.request_id != asked.request_id) else {
            return self.says(format!("{name}: told to try again, and nobody else had rotated it"));
        };
        let age = asked.now.millis() - slot.minted_at;
        if self.history.grace != Grace::Off || self.is_after_loss(asked.begun) || age >= CONFLICT_MILLIS {
            self.says(format!("{name}: told to try again {age} ms after it was rotated, which is no race"));
        }
        if asked.minted.is_some() || asked.sets_cookies || asked.status == self.history.product.refusal() {
            self.says(format!("{name}: a conflict looks like an invalid token"));
        }
    }

    /// Each seal has a reason.
    fn seals(&mut self) {
        for seal in self.seals.clone() {
            if let Some(wrong) = self.wrong_seal(&seal) {
                self.says(wrong);
            }
        }
    }

    fn wrong_seal(&self, seal: &Sealed) -> Option<String> {
        let says = |what: &str| Some(what.to_owned());
        if seal.cause == Cause::SignOut.as_str() {
            let by_operator = self.history.revoked.iter().any(|revoked| revoked.begun < seal.put);
            return if by_operator { None } else { says("a session was ended that no operator ended") };
        }
        let Some(by) = self.history.asked.iter().find(|asked| asked.request_id == seal.request_id) else {
            return says("nobody put the seal");
        };
        if self.is_after_loss(seal.put) {
            let unknown = seal.cause == Cause::UnknownGeneration.as_str();
            return if unknown { None } else { Some(format!("the seal says {}, and items were lost", seal.cause)) };
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

    /// Whether the presented token was retired, by another request, and past its window, and is not forgiven.
    fn is_reuse(&self, asked: &Asked) -> bool {
        self.is_past_its_window(asked) && !self.is_forgiven_reuse(asked)
    }

    fn is_past_its_window(&self, asked: &Asked) -> bool {
        let Some(slot) = self.anothers_slot(asked) else { return false };
        let age = asked.now.millis() - slot.minted_at;
        let conflict = if self.history.grace == Grace::Off { CONFLICT_MILLIS } else { 0 };
        age >= i64::try_from(window(self.history.grace).as_millis()).unwrap() + conflict
            || (self.is_used(asked) && matches!(self.history.grace, Grace::UntilSuccessorUsed { .. }))
    }

    /// Whether it is past its window, and the amnesty forgives it: nobody went on from its successor before the answer.
    fn is_forgiven_reuse(&self, asked: &Asked) -> bool {
        let forgiven = self.anothers_slot(asked).is_some_and(|slot| forgives(self.history, slot, asked));
        forgiven && !self.is_used(asked) && self.is_past_its_window(asked)
    }

    fn anothers_slot(&self, asked: &Asked) -> Option<&Generation> {
        let slot = self.generations.get(&(asked.presented.generation + 1))?;
        Some(slot).filter(|slot| slot.put < asked.ended && slot.request_id != asked.request_id)
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
    let is_end = |it: &&Asked| matches!(it.outcome, "refused" | "revoked") && it.cause != Some("conflict");
    let by_function = history.asked.iter().filter(is_end).map(|it| it.ended);
    by_operator.chain(by_function).min()
}

/// Whether the amnesty is for this successor, if nobody has used it.
fn forgives(history: &History, slot: &Generation, asked: &Asked) -> bool {
    let covers = history.amnesty.is_some_and(|(from, to)| from <= slot.minted_at && slot.minted_at < to);
    covers && asked.now.secs() < slot.exp
}

fn window(grace: Grace) -> Duration {
    match grace {
        Grace::Off => Duration::ZERO,
        Grace::Window(window) | Grace::UntilSuccessorUsed { at_most: window } => window,
    }
}
