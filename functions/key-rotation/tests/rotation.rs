//! The schedule over the years, the edits of others, and a service that fails.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

use key_rotation::{App, Ran, configure, run};
use rondo_shared::config::Reader;
use rondo_shared::keyring::KeyringDocument;
use rondo_shared::keyring::generate::fresh;
use rondo_shared::keyring::lifecycle::{Step, begin};
use rondo_shared::moment::Timestamp;
use rondo_tests::secrets::{SECRET, SecretsManager};
use rondo_tests::world::moment;
use rondo_tests::{T0, secs};

const DAY: i64 = 86_400;

fn ring(products: &[&str]) -> String {
    let mut ring = KeyringDocument::default();
    for product in products {
        ring.products.insert((*product).to_owned(), begin(fresh(None, T0).unwrap(), T0));
    }
    ring.to_text().unwrap().as_str().to_owned()
}

fn app(service: &SecretsManager, settings: &[(&str, &str)]) -> App {
    let own = [("TABLE_NAME", "rondo"), ("KEYRING_SECRET_ID", SECRET)];
    configure(Reader::new(own.iter().chain(settings).copied())).unwrap().over(service.secret())
}

/// The states of a product's signing keys, oldest first.
fn states(service: &SecretsManager, product: &str) -> String {
    let ring = KeyringDocument::parse(&service.current().unwrap()).unwrap();
    let states = ring.products[product].signing.iter().map(|key| format!("{:?}", key.state));
    states.collect::<Vec<_>>().join(" ")
}

async fn run_at(app: &App, now: Timestamp) -> Ran {
    run(app, &moment(now)).await.unwrap()
}

fn took(step: Step) -> Ran {
    Ran::Took(vec![("uniqos".to_owned(), step)])
}

#[tokio::test]
async fn a_key_is_published_a_day_before_its_time_promoted_and_forgotten_when_its_last_token_has_expired() {
    let service = SecretsManager::holding(&ring(&["uniqos"]));
    let app = app(&service, &[]);
    let mut story = Vec::new();
    for day in 0..=200 {
        match run_at(&app, secs(day * DAY)).await {
            Ran::Took(steps) => story.push((day, steps[0].1, states(&service, "uniqos"))),
            Ran::NothingDue => {}
            Ran::Superseded => panic!("nobody else edits"),
        }
    }
    let line = |day, step, states: &str| (day, step, states.to_owned());
    assert_eq!(
        story,
        [
            line(90, Step::Publish, "Active Next"),
            line(91, Step::Promote, "Retired Active"),
            // Access tokens live for 15 minutes; refresh tokens for 14 days. Each kind has a day of slack.
            line(93, Step::Retire, "Active"),
            line(107, Step::Retire, "Active"),
            line(181, Step::Publish, "Active Next"),
            line(182, Step::Promote, "Retired Active"),
            line(184, Step::Retire, "Active"),
            line(198, Step::Retire, "Active"),
        ]
    );
}

#[tokio::test]
async fn a_run_that_is_repeated_takes_no_step_twice() {
    let service = SecretsManager::holding(&ring(&["uniqos"]));
    let app = app(&service, &[]);
    assert_eq!(run_at(&app, secs(90 * DAY)).await, took(Step::Publish));
    let published = service.current();
    for repeated in [90 * DAY, 90 * DAY + 1, 90 * DAY + 599] {
        assert_eq!(run_at(&app, secs(repeated)).await, Ran::NothingDue);
        assert_eq!(service.current(), published);
    }
    // Five minutes that a verifier keeps the keys, and five that an instance keeps its ring.
    assert_eq!(run_at(&app, secs(90 * DAY + 600)).await, took(Step::Promote));
}

#[tokio::test]
async fn a_gateway_that_keeps_keys_for_two_hours_is_waited_for() {
    let service = SecretsManager::holding(&ring(&["uniqos"]));
    let app = app(&service, &[("JWKS_MAX_AGE_SECS", "7200")]);
    run_at(&app, secs(90 * DAY)).await;
    assert_eq!(run_at(&app, secs(90 * DAY + 7_499)).await, Ran::NothingDue);
    assert_eq!(run_at(&app, secs(90 * DAY + 7_500)).await, took(Step::Promote));
}

#[tokio::test]
async fn a_product_that_nobody_knows_here_is_left_alone() {
    let service = SecretsManager::holding(&ring(&["another", "uniqos"]));
    assert_eq!(run_at(&app(&service, &[]), secs(90 * DAY)).await, took(Step::Publish));
    assert_eq!(states(&service, "another"), "Active");
}

#[tokio::test]
async fn a_service_that_fails_leaves_the_ring_as_it_was_and_the_next_run_goes_on() {
    let service = SecretsManager::holding(&ring(&["uniqos"]));
    let (app, before) = (app(&service, &[]), service.current());
    service.set_down(true);
    let error = run(&app, &moment(secs(90 * DAY))).await.unwrap_err().to_string();
    assert!(error.contains(SECRET) && error.contains("no connection"), "{error}");
    assert_eq!(service.current(), before);
    service.set_down(false);
    assert_eq!(run_at(&app, secs(90 * DAY)).await, took(Step::Publish));
}

#[tokio::test]
async fn a_secret_without_a_keyring_says_how_to_make_one() {
    let service = SecretsManager::default();
    let error = run(&app(&service, &[]), &moment(T0)).await.unwrap_err().to_string();
    assert!(error.contains("rondo keys init"), "{error}");
}

#[test]
fn a_bad_setting_is_named() {
    for (name, value) in [("KEY_ROTATION_DAYS", "29"), ("JWKS_MAX_AGE_SECS", "1"), ("UNIQOS_IDLE_SECS", "soon")] {
        let variables = [("TABLE_NAME", "rondo"), ("KEYRING_SECRET_ID", SECRET), (name, value)];
        assert!(configure(Reader::new(variables)).unwrap_err().to_string().contains(name), "{name}");
    }
    let file = [("TABLE_NAME", "rondo"), ("KEYRING_FILE", "keyring.json")];
    assert!(configure(Reader::new(file)).unwrap_err().to_string().contains("KEYRING_SECRET_ID"));
}
