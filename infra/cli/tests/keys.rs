//! The keyring's commands on a file, parsed from their command lines.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser as _;
use rondo::arguments::Cli;
use rondo::failure::Failure;
use rondo::report::Report;
use rondo_shared::config::Reader;
use rondo_shared::keyring::{KeyState, KeyringDocument, ProductKeys};
use serde_json::Value;

/// A keyring's file that goes when this does.
struct Ring(PathBuf);

impl Ring {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("rondo-keys-{}-{}.json", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    async fn run(&self, command: &str) -> Result<Report, Failure> {
        let line = format!("rondo keys {command}");
        let file = self.0.display().to_string();
        let cli = Cli::try_parse_from(line.split(' ').chain(["--keyring", &file])).unwrap();
        rondo::run(cli, Reader::new([("JWKS_MAX_AGE_SECS", "60")]), &mut std::io::empty()).await
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }

    /// How many keys of a product are in each state: next, active, retired.
    fn states(&self, product: &str) -> [usize; 3] {
        let ring = KeyringDocument::parse(&self.text()).unwrap();
        let count = |state| ring.products[product].keys().filter(|key| key.state == state).count();
        [count(KeyState::Next), count(KeyState::Active), count(KeyState::Retired)]
    }

    /// As if all that was done had been done in 2024.
    fn age(&self) {
        let mut ring: Value = serde_json::from_str(&self.text()).unwrap();
        for product in ring["products"].as_object_mut().unwrap().values_mut() {
            for kind in ["signing", "mac"] {
                for key in product[kind].as_array_mut().unwrap() {
                    for time in ["published_at", "promoted_at", "retired_at"] {
                        if let Some(at) = key.get_mut(time) {
                            *at = "2024-01-01T00:00:00Z".into();
                        }
                    }
                }
            }
        }
        std::fs::write(&self.0, ring.to_string()).unwrap();
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(self.0.with_extension("lock"));
    }
}

#[tokio::test]
async fn a_keyring_is_made_once_for_every_product_and_never_overwritten() {
    let ring = Ring::new();
    ring.run("init").await.unwrap();
    let made = ring.text();
    for product in ["uniqos", "dreadnode", "elastic", "replyke"] {
        ProductKeys::parse(&made, product).unwrap();
    }
    assert!(ring.run("init").await.unwrap_err().to_string().contains("never overwritten"));
    assert_eq!(ring.text(), made);
}

#[tokio::test]
async fn keys_are_listed_without_showing_one() {
    let ring = Ring::new();
    ring.run("init").await.unwrap();
    ring.run("publish --product uniqos").await.unwrap();
    let listed = ring.run("list").await.unwrap();
    let shown = format!("{}{}", listed.text(), listed.json());
    assert!(listed.text().contains("promote from 20"), "{}", listed.text());
    assert_eq!(listed.json()["keys"].as_array().unwrap().len(), 10);
    let document: Value = serde_json::from_str(&ring.text()).unwrap();
    for product in document["products"].as_object().unwrap().values() {
        for key in ["signing", "mac"].iter().flat_map(|kind| product[*kind].as_array().unwrap()) {
            assert!(shown.contains(key["kid"].as_str().unwrap()));
            let secrets = [&key["jwk"]["d"], &key["jwk"]["k"]];
            assert!(secrets.iter().filter_map(|secret| secret.as_str()).all(|secret| !shown.contains(secret)));
        }
    }
}

#[tokio::test]
async fn keys_go_through_their_life_and_a_step_that_is_too_early_changes_nothing() {
    let ring = Ring::new();
    ring.run("init").await.unwrap();
    assert!(ring.run("promote").await.unwrap_err().to_string().contains("no key has been published"));
    ring.run("publish").await.unwrap();
    assert_eq!(ring.states("elastic"), [2, 2, 0]);
    let published = ring.text();
    ring.run("publish").await.unwrap();
    let early = ring.run("promote").await.unwrap_err();
    assert!(early.to_string().contains("promote at 20") && early.exit_code() == 1, "{early}");
    ring.run("retire").await.unwrap();
    assert_eq!(ring.text(), published);
    ring.age();
    ring.run("promote").await.unwrap();
    assert_eq!(ring.states("elastic"), [0, 2, 2]);
    ring.run("retire --product elastic").await.unwrap();
    assert_eq!(ring.states("elastic"), [0, 2, 2], "their last token has not expired");
    ring.age();
    ring.run("retire --product elastic").await.unwrap();
    assert_eq!((ring.states("elastic"), ring.states("uniqos")), ([0, 2, 0], [0, 2, 2]));
}

#[tokio::test]
async fn leaked_keys_are_replaced_at_once_for_those_who_are_named() {
    let ring = Ring::new();
    ring.run("init").await.unwrap();
    let kids = |ring: &Ring| {
        let keys = ProductKeys::parse(&ring.text(), "uniqos").unwrap();
        (keys.signing.active().kid().to_owned(), keys.mac.active().kid().to_owned())
    };
    assert!(Cli::try_parse_from(["rondo", "keys", "revoke"]).is_err(), "whose keys have leaked must be said");
    let first = kids(&ring);
    ring.run("revoke --product dreadnode").await.unwrap();
    assert_eq!(kids(&ring), first);
    ring.run("revoke --every-product --signing-only").await.unwrap();
    let second = kids(&ring);
    assert!(second.0 != first.0 && second.1 == first.1);
    ring.run("revoke --product uniqos").await.unwrap();
    assert!(kids(&ring).0 != second.0 && kids(&ring).1 != second.1);
    assert_eq!(ring.states("uniqos"), [0, 2, 0]);
}

#[tokio::test]
async fn edits_at_once_follow_one_another() {
    let ring = Ring::new();
    ring.run("init").await.unwrap();
    let products = ["uniqos", "dreadnode", "elastic", "replyke"];
    std::thread::scope(|scope| {
        for product in products {
            let ring = &ring;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(ring.run(&format!("publish --product {product}"))).unwrap();
            });
        }
    });
    for product in products {
        assert_eq!(ring.states(product), [2, 2, 0], "{product}");
    }
}

#[tokio::test]
async fn a_table_on_aws_never_stands_for_the_local_stacks_keyring() {
    for place in ["--aws", "--aws --table rondo", "--table rondo"] {
        let line = format!("rondo keys list {place}");
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let refused = rondo::run(cli, Reader::new::<String, String>([]), &mut std::io::empty()).await.unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("--secret"), "{place}: {refused}");
    }
}

#[tokio::test]
async fn a_keyring_that_is_not_there_is_asked_for() {
    let ring = Ring::new();
    for command in ["list", "publish", "promote", "retire", "revoke --every-product"] {
        let failure = ring.run(command).await.unwrap_err();
        assert!(failure.to_string().contains("rondo keys init"), "{command}: {failure}");
    }
}
