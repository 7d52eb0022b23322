//! The keyring in Secrets Manager: read again by its schedule, kept through failures, edited by compare-and-swap.

use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::KeyringText;
use rondo_shared::keyring::secret::{Replaced, Secret};
use rondo_shared::keyring::source::{Keyring, KeyringSource};
use rondo_shared::moment::Timestamp;
use rondo_tests::secrets::{SECRET, SecretsManager};
use rondo_tests::world::{keyring_document, moment};
use rondo_tests::{T0, secs};

/// The world's ring with its retired MAC key named otherwise.
fn ring_with(kid: &str) -> String {
    let mut document = keyring_document();
    document["products"]["uniqos"]["mac"][1]["kid"] = kid.into();
    document.to_string()
}

/// Whether reading again may help.
fn may_pass(error: &KeyringError) -> bool {
    matches!(error, KeyringError::Unreadable(_) | KeyringError::Absent(_))
}

async fn open(service: &SecretsManager, now: Timestamp) -> Result<Keyring, KeyringError> {
    let mut source = KeyringSource::secret(service.secret());
    source.read_ahead().await?;
    Keyring::open(source, "uniqos", now)
}

async fn replace(secret: &Secret, text: &str, now: Timestamp) -> Result<Replaced, KeyringError> {
    let standing = secret.standing().await?;
    secret.replace(&standing, &KeyringText::new(text.to_owned()), moment(now).request_id).await
}

#[tokio::test]
async fn opening_several_products_costs_one_reading() {
    let service = SecretsManager::holding(&ring_with("m0"));
    let mut source = KeyringSource::secret(service.secret());
    source.read_ahead().await.unwrap();
    for _ in 0..4 {
        Keyring::open(source.clone(), "uniqos", T0).unwrap();
    }
    assert_eq!(service.take_asked(), ["GetSecretValue"]);
}

#[tokio::test]
async fn the_ring_is_read_again_after_five_minutes_and_at_an_unknown_key_once_a_minute() {
    let service = SecretsManager::holding(&ring_with("m0"));
    let ring = open(&service, secs(0)).await.unwrap();
    service.put_by_hand(&ring_with("new"));
    service.take_asked();
    assert!(ring.current(secs(299)).await.mac.find("new").is_none());
    assert!(ring.after_unknown_kid(secs(59)).await.unwrap().mac.find("new").is_none());
    assert_eq!(service.take_asked(), [""; 0]);
    assert!(ring.after_unknown_kid(secs(60)).await.unwrap().mac.find("new").is_some());
    assert_eq!(service.take_asked(), ["GetSecretValue"]);
    service.put_by_hand(&ring_with("newer"));
    assert!(ring.current(secs(360)).await.mac.find("newer").is_some());
}

#[tokio::test]
async fn a_service_that_is_down_keeps_the_ring_and_leaves_unknown_keys_undecided() {
    let service = SecretsManager::holding(&ring_with("m0"));
    let ring = open(&service, secs(0)).await.unwrap();
    service.set_down(true);
    assert!(ring.current(secs(300)).await.mac.find("m0").is_some());
    let undecided = ring.after_unknown_kid(secs(300)).await.unwrap_err();
    assert!(may_pass(&undecided), "{undecided}");
    service.set_down(false);
    assert!(ring.after_unknown_kid(secs(360)).await.unwrap().mac.find("m0").is_some());
}

#[tokio::test]
async fn many_requests_at_once_cost_one_reading() {
    let service = SecretsManager::holding(&ring_with("m0"));
    let ring = open(&service, secs(0)).await.unwrap();
    service.take_asked();
    let now = secs(300);
    let (_, unknown, _) = tokio::join!(ring.current(now), ring.after_unknown_kid(now), ring.current(now));
    assert!(unknown.is_ok());
    assert_eq!(service.take_asked(), ["GetSecretValue"]);
}

#[tokio::test]
async fn what_was_not_read_may_pass_and_what_is_wrong_does_not() {
    let service = SecretsManager::default();
    let none = open(&service, T0).await.unwrap_err();
    assert!(may_pass(&none) && none.to_string().contains("rondo keys init"), "{none}");
    service.set_down(true);
    let down = open(&service, T0).await.unwrap_err();
    assert!(may_pass(&down) && down.to_string().contains(SECRET), "{down}");
    service.set_down(false);
    service.put_by_hand("{\"version\": 1, \"secret\": \"open sesame\"}");
    let wrong = open(&service, T0).await.unwrap_err();
    assert!(!may_pass(&wrong) && !wrong.to_string().contains("sesame"), "{wrong}");
}

#[tokio::test]
async fn a_source_that_was_not_read_ahead_is_no_empty_ring() {
    let service = SecretsManager::holding(&ring_with("m0"));
    let unread = Keyring::open(KeyringSource::secret(service.secret()), "uniqos", T0).unwrap_err();
    assert!(may_pass(&unread), "{unread}");
}

#[tokio::test]
async fn of_two_edits_of_one_ring_the_later_changes_nothing() {
    let service = SecretsManager::holding("first");
    let (one, other) = (service.secret(), service.secret());
    let (read_by_one, read_by_other) = (one.standing().await.unwrap(), other.standing().await.unwrap());
    let text = |text: &str| KeyringText::new(text.to_owned());
    let mine = one.replace(&read_by_one, &text("mine"), moment(T0).request_id).await.unwrap();
    let yours = other.replace(&read_by_other, &text("yours"), moment(T0).request_id).await.unwrap();
    assert_eq!((mine, yours), (Replaced::Stored, Replaced::Superseded));
    assert_eq!(service.current().unwrap(), "mine");
    assert_eq!(replace(&other, "yours", T0).await.unwrap(), Replaced::Stored);
    assert_eq!(service.current().unwrap(), "yours");
}

#[tokio::test]
async fn a_secret_without_a_value_takes_its_first_once() {
    let service = SecretsManager::default();
    let (one, other) = (service.secret(), service.secret());
    let (read_by_one, read_by_other) = (one.standing().await.unwrap(), other.standing().await.unwrap());
    let text = |text: &str| KeyringText::new(text.to_owned());
    let mine = one.replace(&read_by_one, &text("mine"), moment(T0).request_id).await.unwrap();
    let yours = other.replace(&read_by_other, &text("yours"), moment(T0).request_id).await.unwrap();
    assert_eq!((mine, yours), (Replaced::Stored, Replaced::Superseded));
    assert_eq!(service.current().unwrap(), "mine");
}

#[tokio::test]
async fn an_edit_whose_answers_were_lost_is_made_once_and_known_to_be() {
    for operation in ["PutSecretValue", "UpdateSecretVersionStage"] {
        let service = SecretsManager::holding("first");
        service.lose_answer_to(operation);
        assert_eq!(replace(&service.secret(), "second", T0).await.unwrap(), Replaced::Stored, "{operation}");
        assert_eq!(service.current().unwrap(), "second");
    }
}

#[test]
fn neither_a_ring_nor_its_text_is_shown() {
    let text = KeyringText::new(ring_with("m0"));
    let standing = format!("{text:?} {:?}", KeyringSource::secret(SecretsManager::default().secret()));
    assert!(!standing.contains("AQEB") && standing.contains(SECRET), "{standing}");
}
