//! What was written: nothing over anything, one line, and each item as the request that put it must have made it.

use std::collections::{BTreeMap, BTreeSet};

use rondo_shared::identity::Client;
use rondo_shared::rotation::family::EXPIRY_SLACK;
use rondo_tests::T0;
use serde_json::Value;

use super::{Checker, Generation, Note, Sealed, note_key};
use crate::chaos::play::{Asked, OPERATORS_ENDS};
use crate::chaos::schedule::Who;
use crate::chaos::wire::{At, Write};

fn text(item: &Value, name: &str) -> String {
    item[name]["S"].as_str().unwrap_or_default().to_owned()
}

fn number_if_any(item: &Value, name: &str) -> Option<i64> {
    item[name]["N"].as_str().map(|number| number.parse().unwrap())
}

fn number(item: &Value, name: &str) -> i64 {
    number_if_any(item, name).unwrap()
}

/// What an attribute holds, as text.
fn held(item: &Value, name: &str) -> Option<String> {
    item[name]["S"].as_str().or_else(|| item[name]["N"].as_str()).map(str::to_owned)
}

fn generation_of(key: &str) -> Option<u32> {
    key.strip_prefix("GEN#").map(|digits| digits.parse().unwrap())
}

/// What an item must hold.
struct Form {
    attributes: Vec<(&'static str, Option<String>)>,
    /// What it must outlive, in seconds.
    outlives: i64,
}

fn number_of(value: i64) -> Option<String> {
    Some(value.to_string())
}

/// By whom, as an item says it.
fn client_form(client: &Client) -> [(&'static str, Option<String>); 2] {
    [("ip", Some(client.ip())), ("user_agent", Some(client.user_agent().to_owned()))]
}

impl Checker<'_> {
    /// No item of a family ever changes, and none that has expired comes back: tokens that could put it expired before.
    pub(super) fn read_writes(&mut self) {
        let history = self.history;
        let mut events: Vec<_> = history.writes.iter().map(|it| (it.at, it.key.as_str(), Some(it), false)).collect();
        events.extend(history.removals.iter().map(|it| (it.at, it.key.as_str(), None, it.expired)));
        events.sort_by_key(|(at, ..)| *at);
        let (mut standing, mut expired, mut lost) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for (at, key, put, is_expiry) in events {
            let Some(write) = put else {
                standing.remove(key);
                self.note_removal(key, at, is_expiry);
                if is_expiry {
                    expired.insert(key)
                } else {
                    lost.insert(key)
                };
                continue;
            };
            if standing.contains_key(key) {
                self.says(format!("{key} was written over"));
                continue;
            }
            // The operator may end a session whose seal has outlived it.
            if expired.contains(key) && !lost.contains(key) && key != "SEAL" && !self.is_after_loss(at) {
                self.says(format!("{key} had expired, and was put again"));
            }
            standing.insert(key, &write.item);
            if !self.is_after_loss(at) || !key.starts_with("GEN#") {
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

    fn note_removal(&mut self, key: &str, at: At, is_expiry: bool) {
        let generation = generation_of(key).and_then(|n| self.generations.get_mut(&n));
        if let Some(generation) = generation.filter(|it| !is_expiry && it.lost.is_none()) {
            generation.lost = Some(at);
        }
    }

    fn read(&mut self, Write { at, key, item }: &Write) {
        let request_id = text(item, "request_id");
        if let Some(n) = generation_of(key) {
            let by = [Who::Browser, Who::Thief].into_iter().find(|who| text(item, "ip") == who.ip());
            let generation = Generation {
                put: *at,
                gid: text(item, "gid"),
                parent: item["parent"]["S"].as_str().map(str::to_owned),
                minted_at: number(item, "minted_at"),
                exp: number(item, "token_expires_at"),
                by,
                request_id,
                lost: None,
            };
            self.generations.entry(n).or_insert(generation);
        } else if key == "SEAL" {
            let live = number_if_any(item, "live_generation").map(|live| u32::try_from(live).unwrap());
            self.seals.push(Sealed { put: *at, cause: text(item, "cause"), request_id, live });
        } else {
            self.notes.push(Note { put: *at, key: key.clone() });
        }
    }

    /// At most one generation is live: they make one line.
    pub(super) fn one_line(&mut self) {
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
        let gids: BTreeSet<_> = self.generations.values().map(|generation| &generation.gid).collect();
        if gids.len() != self.generations.len() {
            found.push("two generations have one gid".to_owned());
        }
        self.found.extend(found);
    }

    /// Each item is as the request that put it must have made it, from its own reading of the clock.
    pub(super) fn contents(&mut self) {
        let mut found = Vec::new();
        for write @ Write { key, item, .. } in &self.history.writes {
            let form = match self.form_of(write) {
                Ok(form) => form,
                Err(wrong) => {
                    found.push(wrong);
                    continue;
                }
            };
            for (name, should) in form.attributes {
                let is = held(item, name);
                if is != should {
                    found.push(format!("{key}: its {name} is {is:?}, and its request makes it {should:?}"));
                }
            }
            let outlives = form.outlives + i64::try_from(EXPIRY_SLACK.as_secs()).unwrap();
            if number(item, "expires_at") < outlives {
                found.push(format!("{key}: it expires at {}, before {outlives}", number(item, "expires_at")));
            }
        }
        self.found.extend(found);
    }

    /// What an item must hold, or why it must not stand at all.
    fn form_of(&self, Write { at, key, item }: &Write) -> Result<Form, String> {
        let request_id = text(item, "request_id");
        let asked = self.asked_by(&request_id).filter(|asked| asked.begun < *at);
        match (asked, generation_of(key)) {
            (None, Some(0)) => Ok(self.opening_form()),
            (Some(asked), Some(n)) => self.generation_form(n, asked),
            (Some(asked), None) if key == "SEAL" => Ok(self.seal_form(asked)),
            (None, None) if key == "SEAL" => {
                self.operators_form(&request_id, *at).ok_or_else(|| "nobody put the seal".to_owned())
            }
            (Some(asked), None) => self.wrong_note(key, *at, asked).map_or_else(|| Ok(self.note_form(asked)), Err),
            (None, _) => Err(format!("nobody put {key}")),
        }
    }

    /// When the session ends, as it was opened.
    fn session_expires_at(&self) -> i64 {
        (T0.millis() + i64::try_from(self.history.rotation.absolute.as_millis()).unwrap()).div_euclid(1_000)
    }

    /// When a token of that time expires.
    fn token_expires_at(&self, millis: i64) -> i64 {
        let idle = i64::try_from(self.history.rotation.idle.as_millis()).unwrap();
        (millis + idle).div_euclid(1_000).min(self.session_expires_at())
    }

    fn opening_form(&self) -> Form {
        let exp = self.token_expires_at(T0.millis());
        let mut attributes = vec![
            ("minted_at", number_of(T0.millis())),
            ("token_expires_at", number_of(exp)),
            ("parent", None),
            ("subject", Some("user-1".to_owned())),
            ("session_expires_at", number_of(self.session_expires_at())),
        ];
        attributes.extend(client_form(&Who::Browser.client()));
        Form { attributes, outlives: exp }
    }

    fn generation_form(&self, n: u32, asked: &Asked) -> Result<Form, String> {
        if asked.proves || n != asked.presented.generation + 1 {
            let presented = asked.presented.generation;
            return Err(format!("generation {n} was put for generation {presented}, proves: {}", asked.proves));
        }
        let exp = self.token_expires_at(asked.now.millis());
        let mut attributes = vec![
            ("minted_at", number_of(asked.now.millis())),
            ("token_expires_at", number_of(exp)),
            ("parent", Some(asked.presented.gid.clone())),
            ("subject", None),
            ("session_expires_at", None),
        ];
        attributes.extend(client_form(&asked.who.client()));
        Ok(Form { attributes, outlives: exp.max(asked.presented.exp) })
    }

    fn note_form(&self, asked: &Asked) -> Form {
        let mut attributes = vec![("reissued_at", number_of(asked.now.millis()))];
        attributes.extend(client_form(&asked.who.client()));
        Form { attributes, outlives: self.session_expires_at() }
    }

    fn seal_form(&self, asked: &Asked) -> Form {
        let mut attributes = vec![
            ("sealed_at", number_of(asked.now.millis())),
            ("subject", Some("user-1".to_owned())),
            ("presented_generation", number_of(asked.presented.generation.into())),
        ];
        attributes.extend(client_form(&asked.who.client()));
        Form { attributes, outlives: self.session_expires_at() }
    }

    fn operators_form(&self, request_id: &str, at: At) -> Option<Form> {
        let revoked =
            self.history.revoked.iter().find(|revoked| revoked.request_id == request_id && revoked.begun < at)?;
        let mut attributes = vec![
            ("sealed_at", number_of(revoked.now.millis())),
            ("cause", Some("sign_out".to_owned())),
            ("subject", None),
            ("presented_generation", None),
        ];
        attributes.extend(client_form(&Client::new(None, "")));
        Some(Form { attributes, outlives: T0.plus(OPERATORS_ENDS).secs() })
    }

    /// A note is of a replay that was served, or perhaps was, to another client than the one that went on from the token.
    fn wrong_note(&self, key: &str, put: At, asked: &Asked) -> Option<String> {
        if key != note_key(asked) {
            return Some(format!("{key} is not where {} belongs", note_key(asked)));
        }
        let may_be_served = matches!(asked.outcome, "reissued" | "proven" | "failed");
        let Some(slot) = self.generations.get(&(asked.presented.generation + 1)).filter(|slot| slot.put < put) else {
            return Some(format!("{key} stands, and nobody had gone on"));
        };
        let is_another =
            self.may_be_live(asked, put).any(|(_, live)| [slot, live].iter().any(|it| it.by != Some(asked.who)));
        let is_believed =
            slot.request_id == asked.request_id || !self.is_past_its_window(slot, asked) || self.forgives(slot, asked);
        let is_true = may_be_served && is_another && is_believed;
        (!is_true)
            .then(|| format!("{key} stands, and its request was not served as another client's: {}", asked.outcome))
    }
}
