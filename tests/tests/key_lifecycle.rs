//! The life of keys: each step at the edge of its time, and no token that ever suffers.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use rondo_shared::keyring::lifecycle::{
    Fresh, Leaked, Lifetimes, Refused, SLACK, begin, promote, publication, publish, retire, revoke,
};
use rondo_shared::keyring::source::REREAD_INTERVAL;
use rondo_shared::keyring::{Jwk, KeyDocument, KeyState, ProductDocument};
use rondo_shared::moment::Timestamp;

const MAX_AGE: Duration = Duration::from_secs(300);
const LIFETIMES: Lifetimes = Lifetimes { signed: Duration::from_secs(900), mac: Duration::from_secs(86_400) };

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_795_341_600).plus(Duration::from_secs(secs))
}

fn key(kid: &str) -> KeyDocument {
    KeyDocument {
        kid: kid.to_owned(),
        state: KeyState::Next,
        published_at: at(0).iso8601(),
        promoted_at: None,
        retired_at: None,
        jwk: Jwk::Symmetric { k: String::new() },
    }
}

fn fresh(number: usize) -> Fresh {
    Fresh { signing: key(&format!("s{number}")), mac: key(&format!("m{number}")) }
}

/// `s1 active, m1 active`.
fn told(product: &ProductDocument) -> String {
    let keys = product.keys().map(|key| format!("{} {:?}", key.kid, key.state).to_lowercase());
    keys.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_key_is_next_then_active_then_retired_then_forgotten() {
    let begun = begin(fresh(1), at(0));
    assert_eq!(told(&begun), "s1 active, m1 active");
    let published = publish(&begun, fresh(2), at(0)).unwrap();
    assert_eq!(told(&published), "s1 active, s2 next, m1 active, m2 next");
    let promoted = promote(&published, publication(MAX_AGE), at(600)).unwrap();
    assert_eq!(told(&promoted), "s1 retired, s2 active, m1 retired, m2 active");
    let after_signed = 600 + REREAD_INTERVAL.as_secs() + 900 + SLACK.as_secs();
    assert!(retire(&promoted, LIFETIMES, at(after_signed - 1)).unwrap().is_none());
    let signing_forgotten = retire(&promoted, LIFETIMES, at(after_signed)).unwrap().unwrap();
    assert_eq!(told(&signing_forgotten), "s2 active, m1 retired, m2 active");
    let after_mac = after_signed - 900 + 86_400;
    assert!(retire(&signing_forgotten, LIFETIMES, at(after_mac - 1)).unwrap().is_none());
    assert_eq!(told(&retire(&signing_forgotten, LIFETIMES, at(after_mac)).unwrap().unwrap()), "s2 active, m2 active");
}

#[test]
fn a_key_is_promoted_once_every_verifier_has_it_and_not_a_second_sooner() {
    let published = publish(&begin(fresh(1), at(0)), fresh(2), at(1_000)).unwrap();
    let ripe = at(1_000 + 300 + 300);
    for early in [1_000, 1_300, 1_599] {
        let refused = promote(&published, publication(MAX_AGE), at(early)).unwrap_err();
        assert_eq!(refused, Refused::TooEarly { at: ripe });
        assert!(refused.to_string().contains("2026-11-22T10:26:40.000Z"), "{refused}");
    }
    assert!(promote(&published, publication(MAX_AGE), at(1_600)).is_ok());
    let nothing = promote(&begin(fresh(1), at(0)), publication(MAX_AGE), at(9_999));
    assert_eq!(nothing.unwrap_err(), Refused::NoNext);
}

#[test]
fn publishing_twice_publishes_once() {
    let published = publish(&begin(fresh(1), at(0)), fresh(2), at(0)).unwrap();
    assert!(publish(&published, fresh(3), at(1)).is_none());
}

#[test]
fn one_kind_of_key_may_be_published_by_hand() {
    let mut product = begin(fresh(1), at(0));
    product.signing.push(key("by-hand"));
    let promoted = promote(&product, publication(MAX_AGE), at(600)).unwrap();
    assert_eq!(told(&promoted), "s1 retired, by-hand active, m1 active");
}

#[test]
fn a_retired_key_of_an_unknown_time_is_kept_for_a_whole_life_from_now() {
    let mut product = begin(fresh(1), at(0));
    let mut old = key("old");
    old.state = KeyState::Retired;
    product.mac.push(old);
    let noted = retire(&product, LIFETIMES, at(5)).unwrap().unwrap();
    assert_eq!(told(&noted), "s1 active, m1 active, old retired");
    assert!(retire(&noted, LIFETIMES, at(86_400)).unwrap().is_none());
    assert!(told(&retire(&noted, LIFETIMES, at(4 * 86_400)).unwrap().unwrap()) == "s1 active, m1 active");
}

#[test]
fn a_time_that_is_none_stops_the_step_and_names_the_key() {
    let mut product = publish(&begin(fresh(1), at(0)), fresh(2), at(0)).unwrap();
    product.mac[1].published_at = "yesterday".to_owned();
    let error = promote(&product, publication(MAX_AGE), at(9_999)).unwrap_err().to_string();
    assert!(error.contains("m2") && error.contains("RFC 3339"), "{error}");
}

#[test]
fn leaked_keys_are_forgotten_at_once_and_refresh_tokens_outlive_a_leak_of_what_signs_others() {
    let product = publish(&begin(fresh(1), at(0)), fresh(2), at(0)).unwrap();
    assert_eq!(told(&revoke(&product, Leaked::All, fresh(3), at(1))), "s3 active, m3 active");
    assert_eq!(told(&revoke(&product, Leaked::Signing, fresh(3), at(1))), "s3 active, m1 active, m2 next");
}

/// A copy of the ring, as an instance or a verifier came by it.
#[derive(Clone)]
struct Copy {
    ring: ProductDocument,
    /// When it was read, or may have been by the oldest of those who handed it on.
    read_at: Timestamp,
}

/// A token of either kind.
#[derive(Clone, Debug)]
struct Token {
    kid: String,
    signed: bool,
    expires_at: Timestamp,
}

/// Instances that each keep their ring for as long as they may, and a verifier behind each that keeps what it was told
/// for as long as it may and never asks sooner: the worst that the intervals allow.
struct World {
    ring: ProductDocument,
    now: Timestamp,
    instances: Vec<Copy>,
    verifiers: Vec<Copy>,
    tokens: Vec<Token>,
    made: usize,
}

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Publish,
    Promote,
    Retire,
    /// An instance issues a token of each kind.
    Issue(usize),
    /// Every instance and every verifier is shown every token.
    Verify,
}

impl World {
    /// `ages`: how long ago each instance and each verifier came by its copy, in seconds.
    fn new(ages: &[u64; 6]) -> Self {
        let ring = begin(fresh(0), at(0));
        let copy = |age: &u64| Copy { ring: ring.clone(), read_at: at(300 - age) };
        let (instances, verifiers) = ages.split_at(3);
        let (instances, verifiers) = (instances.iter().map(copy).collect(), verifiers.iter().map(copy).collect());
        Self { ring, now: at(300), instances, verifiers, tokens: Vec::new(), made: 0 }
    }

    /// What an instance works with: read again where it has grown old, as `Keyring::current` does.
    fn instance(&mut self, n: usize) -> ProductDocument {
        let instance = &mut self.instances[n];
        if self.now.since(instance.read_at) >= REREAD_INTERVAL {
            *instance = Copy { ring: self.ring.clone(), read_at: self.now };
        }
        instance.ring.clone()
    }

    /// What a verifier works with: asked for again, of an instance, once its max-age is over.
    fn verifier(&mut self, n: usize) -> ProductDocument {
        if self.now.since(self.verifiers[n].read_at) >= MAX_AGE {
            self.verifiers[n] = Copy { ring: self.instance(n), read_at: self.now };
        }
        self.verifiers[n].ring.clone()
    }

    fn happen(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Wait(secs) => self.now = self.now.plus(Duration::from_secs(*secs)),
            Event::Publish => {
                self.made += 1;
                let published = publish(&self.ring, fresh(self.made), self.now);
                self.ring = published.unwrap_or_else(|| self.ring.clone());
            }
            Event::Promote => {
                let promoted = promote(&self.ring, publication(MAX_AGE), self.now);
                self.ring = promoted.unwrap_or_else(|_| self.ring.clone());
            }
            Event::Retire => {
                let retired = retire(&self.ring, LIFETIMES, self.now).unwrap();
                self.ring = retired.unwrap_or_else(|| self.ring.clone());
            }
            Event::Issue(n) => {
                let ring = self.instance(*n);
                for (keys, signed, lifetime) in
                    [(&ring.signing, true, LIFETIMES.signed), (&ring.mac, false, LIFETIMES.mac)]
                {
                    let active = keys.iter().find(|key| key.state == KeyState::Active).unwrap();
                    let expires_at = self.now.plus(lifetime);
                    self.tokens.push(Token { kid: active.kid.clone(), signed, expires_at });
                }
            }
            Event::Verify => self.verify()?,
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<(), TestCaseError> {
        let now = self.now;
        self.tokens.retain(|token| now < token.expires_at);
        for n in 0..self.instances.len() {
            let (instance, verifier) = (self.instance(n), self.verifier(n));
            for token in &self.tokens {
                let keys = if token.signed { &verifier.signing } else { &instance.mac };
                prop_assert!(keys.iter().any(|key| key.kid == token.kid), "{token:?} fails at {}", now.iso8601());
            }
        }
        Ok(())
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        // Around what the intervals are made of, where a second counts; and a day or two.
        8 => prop::sample::select(vec![1, 2, 60, 150, 240, 298, 299, 300, 301]).prop_map(Event::Wait),
        1 => (0_u64..200_000).prop_map(Event::Wait),
        2 => Just(Event::Publish),
        4 => Just(Event::Promote),
        2 => Just(Event::Retire),
        5 => (0_usize..3).prop_map(Event::Issue),
        6 => Just(Event::Verify),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_token_that_was_issued_before_a_rotation_fails_after_it(
        ages in prop::array::uniform6(0_u64..300),
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut world = World::new(&ages);
        for event in &events {
            world.happen(event)?;
        }
        world.verify()?;
        let mut states: BTreeMap<bool, usize> = BTreeMap::new();
        for key in world.ring.signing.iter().filter(|key| key.state == KeyState::Active) {
            *states.entry(key.promoted_at.is_some()).or_default() += 1;
        }
        prop_assert_eq!(states.get(&true), Some(&1), "one key signs");
    }
}
