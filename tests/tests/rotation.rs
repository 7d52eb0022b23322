//! What becomes of a family when its data is deleted, restored, or ended as a whole.

use rondo_shared::identity::FamilyId;
use rondo_shared::rotation::family::{History, history};
use rondo_shared::store::Meter;
use rondo_shared::store::item::Cause;
use rondo_tests::world::{send_to, thiefs_event};
use rondo_tests::{Fault, World, secs};
use serde_json::Value;
use uniqos_refresh::policy::tenant;

async fn history_of(world: &World, family: FamilyId) -> History {
    history(&tenant(), family, &world.store(), &Meter::default()).await.unwrap()
}

fn numbers(history: &History) -> Vec<u32> {
    history.generations.iter().map(|generation| generation.number).collect()
}

/// A session rotated twice, a minute between, with all three of its tokens.
async fn rotated_twice(world: &World) -> (FamilyId, [String; 3]) {
    let (family, zero) = world.open_for("user-1", Some("acme"), secs(0)).await;
    let one = world.refresh(&zero, secs(60)).await.ok();
    let two = world.refresh(&one, secs(120)).await.ok();
    (family, [zero, one, two])
}

/// No token of the family is good to an instance that remembers nothing.
async fn assert_all_dead(world: &World, tokens: &[String], now: i64) {
    for token in tokens {
        let (_, fresh) = world.another_instance();
        let answer = send_to(&fresh, rondo_tests::world::refresh_event(token), secs(now)).await;
        assert_eq!(answer.status, 401, "{:?}", answer.line);
        assert!(answer.clears_cookie());
    }
}

#[tokio::test]
async fn a_replay_after_the_window_ends_the_family_for_every_token_and_names_both_clients() {
    let world = World::new().await;
    let (family, tokens) = rotated_twice(&world).await;
    let replayed = world.send(thiefs_event(&tokens[0]), secs(180)).await;
    assert_eq!((replayed.status, replayed.line.outcome, replayed.line.cause), (401, "revoked", Some("stale_lineage")));
    assert_all_dead(&world, &tokens, 180).await;

    let seal = history_of(&world, family).await.seal.unwrap();
    let evidence = seal.evidence.unwrap();
    assert_eq!((seal.cause, evidence.presented, evidence.live), (Cause::Reuse, Some(0), 2));
    assert_eq!((seal.client.ip().as_str(), seal.client.user_agent()), ("203.0.113.66", "curl/8"));
    assert_eq!((seal.sealed_at, seal.request_id), (secs(180), replayed.line.request_id.to_string()));
}

#[tokio::test]
async fn a_reissue_to_another_client_is_written_down_once_and_served() {
    let world = World::new().await;
    let (family, token) = world.open_for("user-1", None, secs(0)).await;
    world.refresh(&token, secs(60)).await.ok();
    for second in [61, 62] {
        let answer = world.send(thiefs_event(&token), secs(second)).await;
        assert!(answer.line.another_client);
        answer.ok();
    }
    let history = history_of(&world, family).await;
    let [note] = history.reissues.as_slice() else { panic!("{:?}", history.reissues) };
    assert_eq!((note.generation, note.reissued_at, note.client.user_agent()), (1, secs(61), "curl/8"));
    assert_eq!(numbers(&history), [0, 1]);
}

#[tokio::test]
async fn a_family_whose_items_are_all_gone_stays_closed() {
    let world = World::new().await;
    let (family, tokens) = rotated_twice(&world).await;
    world.dynamo.delete(&world.dynamo.items("FAMILY#"));
    let first = world.refresh(&tokens[2], secs(121)).await;
    assert_eq!((first.status, first.line.cause), (401, Some("unknown_generation")));
    assert_all_dead(&world, &tokens, 121).await;
    assert_eq!(history_of(&world, family).await.seal.unwrap().cause, Cause::UnknownGeneration);
}

#[tokio::test]
async fn deleting_all_of_a_family_between_any_two_requests_never_makes_a_token_good() {
    let world = World::new().await;
    let (_, tokens) = rotated_twice(&world).await;
    for token in &tokens {
        world.dynamo.delete(&world.dynamo.items("FAMILY#"));
        assert_all_dead(&world, std::slice::from_ref(token), 121).await;
    }
}

#[tokio::test]
async fn a_seal_without_any_generation_still_refuses() {
    let world = World::new().await;
    let (family, tokens) = rotated_twice(&world).await;
    world.sign_out(family, secs(130)).await;
    let is_generation = |item: &&Value| item["sk"]["S"].as_str().unwrap().starts_with("GEN#");
    let generations: Vec<_> = world.dynamo.items("FAMILY#").iter().filter(is_generation).cloned().collect();
    world.dynamo.delete(&generations);
    assert_all_dead(&world, &tokens, 131).await;
}

#[tokio::test]
async fn a_family_with_a_gap_is_closed_by_the_tokens_beyond_it() {
    let world = World::new().await;
    let (_, tokens) = rotated_twice(&world).await;
    let middle = |item: &&Value| item["sk"]["S"] == "GEN#0000000001";
    let gap: Vec<_> = world.dynamo.items("FAMILY#").iter().filter(middle).cloned().collect();
    world.dynamo.delete(&gap);
    let answer = world.refresh(&tokens[0], secs(121)).await;
    assert_eq!((answer.status, answer.line.cause), (401, Some("unknown_generation")));
    assert_all_dead(&world, &tokens, 121).await;
}

/// A session rotated so many times, a second between, and all of its tokens, oldest first.
async fn rotated(world: &World, times: usize) -> (FamilyId, Vec<String>) {
    let (family, opened) = world.open_for("user-1", Some("acme"), secs(0)).await;
    let mut tokens = vec![opened];
    for second in (60..).take(times) {
        tokens.push(world.refresh(&tokens[tokens.len() - 1], secs(second)).await.ok());
    }
    (family, tokens)
}

fn delete_generations(world: &World, gone: &[u32]) {
    let names: Vec<_> = gone.iter().map(|number| format!("GEN#{number:010}")).collect();
    let is_gone = |item: &&Value| names.iter().any(|name| item["sk"]["S"] == *name);
    let items: Vec<_> = world.dynamo.items("FAMILY#").iter().filter(is_gone).cloned().collect();
    assert_eq!(items.len(), gone.len());
    world.dynamo.delete(&items);
}

/// A retired token whose successor was deleted puts one of its own, as the first to come does. Found by a reviewer: where the
/// family's two newest generations were in order, it was once served for that.
#[tokio::test]
async fn a_retired_token_whose_successor_was_deleted_gets_nothing_however_far_the_family_has_gone_on() {
    for (times, gone) in [(2, vec![1]), (3, vec![1]), (4, vec![1]), (6, vec![1]), (4, vec![0, 1]), (6, vec![1, 2])] {
        for tries in [1, 2] {
            let world = World::new().await;
            let (family, tokens) = rotated(&world, times).await;
            delete_generations(&world, &gone);
            if tries == 2 {
                // The first dies before it can seal, and leaves what it has put.
                world.faults.queue("PutItem", Fault::None);
                world.faults.queue_for_all_attempts("PutItem", &Fault::Refused);
                assert_eq!(world.refresh(&tokens[0], secs(3_600)).await.status, 500);
                world.faults.clear();
            }
            let answer = world.refresh(&tokens[0], secs(3_601)).await;
            let told = (answer.status, answer.line.outcome, answer.line.cause);
            assert_eq!(told, (401, "revoked", Some("unknown_generation")), "{gone:?} of {times}, try {tries}");
            assert_eq!(history_of(&world, family).await.seal.unwrap().cause, Cause::UnknownGeneration);
            assert_all_dead(&world, &tokens, 3_601).await;
        }
    }
}

#[tokio::test]
async fn a_retry_inside_its_window_is_served_from_however_far_behind_it_comes() {
    for times in 1..=6 {
        let world = World::new().await;
        let (family, tokens) = rotated(&world, times).await;
        let answer = world.refresh(&tokens[0], secs(69)).await;
        assert_eq!(answer.line.outcome, "reissued", "{times} behind");
        assert_eq!(
            world.refresh(&answer.ok(), secs(69)).await.line.outcome,
            "rotated",
            "it was of the live generation"
        );
        assert_eq!(history_of(&world, family).await.seal, None);
    }
}

#[tokio::test]
async fn after_an_older_copy_is_restored_a_newer_token_closes_its_family() {
    let world = World::new().await;
    let (_, zero) = world.open_for("user-1", None, secs(0)).await;
    let one = world.refresh(&zero, secs(60)).await.ok();
    let older_copy = world.dynamo.items("FAMILY#");
    let two = world.refresh(&one, secs(120)).await.ok();
    let three = world.refresh(&two, secs(180)).await.ok();

    world.dynamo.delete(&world.dynamo.items("FAMILY#"));
    world.dynamo.put(&older_copy);
    let answer = world.refresh(&three, secs(240)).await;
    assert_eq!((answer.status, answer.line.cause), (401, Some("unknown_generation")));
    assert_all_dead(&world, &[zero, one, two, three], 240).await;
}

#[tokio::test]
async fn after_a_restore_sessions_not_before_ends_the_rest_at_no_cost() {
    let mut world = World::new().await;
    let old = world.open(secs(0)).await;
    world.restart_with(&[("SESSIONS_NOT_BEFORE", "2026-11-22T10:01:00Z")]);
    let refused = world.refresh(&old, secs(120)).await;
    assert_eq!((refused.status, refused.line.usage.calls), (401, 0));
    assert!(refused.clears_cookie());
    for (opened, status) in [(59, 401), (60, 200), (61, 200)] {
        let token = world.open(secs(opened)).await;
        assert_eq!(world.refresh(&token, secs(120)).await.status, status, "opened at {opened}");
    }
}

#[tokio::test]
async fn an_amnesty_lets_the_clients_of_an_outage_go_on() {
    let mut world = World::new().await;
    let (_, token) = world.open_for("user-1", None, secs(0)).await;
    world.refresh(&token, secs(60)).await.ok();
    world.restart_with(&[("REUSE_AMNESTY", "2026-11-22T10:00:30Z/2026-11-22T10:01:30Z")]);
    let forgiven = world.refresh(&token, secs(3_600)).await;
    assert_eq!(forgiven.line.outcome, "reissued");
    let next = world.refresh(&forgiven.ok(), secs(3_601)).await.ok();
    // Used once, the successor is no longer forgiven.
    let replayed = world.refresh(&token, secs(3_700)).await;
    assert_eq!((replayed.status, replayed.line.cause), (401, Some("stale_lineage")));
    assert_eq!(world.refresh(&next, secs(3_701)).await.status, 401);
}

#[tokio::test]
async fn nothing_changes_where_expired_items_are_deleted_at_the_first_moment_at_which_they_may_be() {
    // A short idle time, so that generations expire while the session goes on; the same story with and without the
    // deletions that TTL is allowed.
    for deletes in [false, true] {
        let world = World::with(&[("UNIQOS_IDLE_SECS", "600"), ("UNIQOS_ABSOLUTE_SECS", "40000")]).await;
        let (_, first) = world.open_for("user-1", None, secs(0)).await;
        let mut tokens = vec![first];
        for step in 1..=60_i64 {
            let now = secs(step * 300);
            if deletes {
                let expired =
                    |item: &&Value| item["expires_at"]["N"].as_str().unwrap().parse::<i64>().unwrap() <= now.secs();
                let gone: Vec<_> = world.dynamo.items("FAMILY#").iter().filter(expired).cloned().collect();
                world.dynamo.delete(&gone);
            }
            let rotated = world.refresh(tokens.last().unwrap(), now).await;
            assert_eq!(rotated.line.outcome, "rotated", "step {step}, deletes: {deletes}");
            tokens.push(rotated.ok());
        }
        assert_eq!(world.dynamo.sort_keys("FAMILY#").len() < 61, deletes);
        // The predecessor of the live token is not yet expired, and long past its window.
        let replayed = world.refresh(&tokens[59], secs(60 * 300 + 11)).await;
        assert_eq!((replayed.status, replayed.line.cause), (401, Some("recent_predecessor")));
        assert_all_dead(&world, &tokens[60..], 60 * 300 + 11).await;
    }
}

#[tokio::test]
async fn a_family_known_to_be_sealed_is_refused_without_a_call_and_without_a_charge() {
    let world = World::new().await;
    let (family, token) = world.open_for("user-1", Some("acme"), secs(0)).await;
    world.sign_out(family, secs(1)).await;
    assert_eq!(world.refresh(&token, secs(2)).await.line.usage.calls, 3);
    let buckets = world.dynamo.items("RATE#");
    let again = world.refresh(&token, secs(3)).await;
    assert_eq!((again.status, again.line.outcome, again.line.cause), (401, "refused", Some("sign_out")));
    assert_eq!((again.line.usage.calls, world.dynamo.items("RATE#")), (0, buckets));
}
