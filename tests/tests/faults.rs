//! Faults below the SDK's retries, and the round trip's two calls finishing in every order. Nothing is minted twice, no
//! honest client is refused, and no failure of ours looks like an invalid token.

use std::time::Duration;

use rondo_shared::store::item::Quota;
use rondo_shared::store::{Meter, Store as _, WALK_TIME};
use rondo_tests::world::{refresh_event, send_to, thiefs_event};
use rondo_tests::{Answer, Fault, Gate, World, secs};
use tokio::time::Instant;
use uniqos_refresh::policy::tenant;

/// A failure of ours, as the contract has it: the client keeps its cookie.
#[track_caller]
fn assert_passing(answer: &Answer) {
    assert_eq!((answer.status, answer.line.outcome), (500, "failed"), "{:?}", answer.line);
    assert_eq!(answer.header("set-cookie"), None);
}

fn generations(world: &World) -> usize {
    world.dynamo.sort_keys("FAMILY#").iter().filter(|sk| sk.starts_with("GEN#")).count()
}

fn is_sealed(world: &World) -> bool {
    world.dynamo.sort_keys("FAMILY#").contains(&"SEAL".to_owned())
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_retried_by_the_sdk_and_recognized_as_ours() {
    for fault in [Fault::AppliedThenDropped, Fault::AppliedThenInternalError, Fault::AppliedThenHung] {
        let world = World::new().await;
        let token = world.open(secs(0)).await;
        world.faults.queue("PutItem", fault);
        let answer = world.refresh(&token, secs(60)).await;
        assert_eq!(answer.line.outcome, "rotated");
        assert_eq!((generations(&world), world.faults.all_happened()), (2, true));
        world.refresh(&answer.ok(), secs(61)).await.ok();
    }
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_for_good_is_a_passing_failure_and_the_retry_is_reissued() {
    for fault in [Fault::AppliedThenDropped, Fault::AppliedThenInternalError] {
        let world = World::new().await;
        let token = world.open(secs(0)).await;
        world.faults.queue_for_all_attempts("PutItem", &fault);
        assert_passing(&world.refresh(&token, secs(60)).await);
        let retried = world.refresh(&token, secs(63)).await;
        assert_eq!((retried.line.outcome, generations(&world)), ("reissued", 2));
        world.refresh(&retried.ok(), secs(64)).await.ok();
    }
}

#[tokio::test]
async fn a_lost_query_is_a_passing_failure_and_the_retry_is_reissued() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    world.faults.queue_for_all_attempts("Query", &Fault::Refused);
    assert_passing(&world.refresh(&token, secs(60)).await);
    assert_eq!(world.refresh(&token, secs(63)).await.line.outcome, "reissued");
}

#[tokio::test]
async fn a_store_that_is_down_throttling_or_in_conflict_takes_nobodys_cookie_away() {
    for operation in ["UpdateItem", "PutItem", "Query"] {
        for fault in [Fault::Refused, Fault::Throttled, Fault::TransactionConflict] {
            let world = World::new().await;
            let token = world.open(secs(0)).await;
            world.faults.queue_for_all_attempts(operation, &fault);
            assert_passing(&world.refresh(&token, secs(60)).await);
            world.faults.clear();
            world.refresh(&token, secs(61)).await.ok();
        }
    }
}

/// In this test and the next the clock is paused: it runs ahead to the next time-out whenever all wait for it, so that no
/// machine is too slow for them.
#[tokio::test]
async fn a_store_that_never_answers_is_given_up_within_the_functions_time() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    world.faults.queue_for_all_attempts("UpdateItem", &Fault::Hung);
    tokio::time::pause();
    let began = Instant::now();
    let answer = world.refresh(&token, secs(60)).await;
    assert!(began.elapsed() < WALK_TIME, "{:?}", began.elapsed());
    tokio::time::resume();
    assert_passing(&answer);
    assert!(answer.line.error.unwrap().contains("did not answer in time"));
    world.faults.clear();
    world.refresh(&token, secs(61)).await.ok();
}

/// With the time of each call alone this would take 5.2 s, and a note or a seal 2.8 s more.
#[tokio::test]
async fn a_store_that_is_slow_at_every_step_is_given_up_while_the_client_still_has_time_for_a_retry() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    // The charge is answered at its last attempt, the round trip not at all, though its put is applied.
    let (charge, put) = (Gate::default(), Gate::default());
    world.faults.queue("UpdateItem", Fault::Hung);
    world.faults.queue("UpdateItem", Fault::Hung);
    world.faults.queue("UpdateItem", Fault::HeldBefore(charge.clone()));
    world.faults.queue("PutItem", Fault::HeldAfter(put.clone()));
    world.faults.queue_for_all_attempts("PutItem", &Fault::Hung);
    world.faults.queue_for_all_attempts("Query", &Fault::Hung);
    tokio::time::pause();
    let began = Instant::now();
    let store = async {
        charge.reached().await;
        charge.open();
        // What the store does answer takes no time: the clock stands still while somebody has something to do.
        let busy = async {
            loop {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { () = put.reached() => {} () = busy => {} }
    };
    let (answer, ()) = tokio::join!(world.refresh(&token, secs(60)), store);
    let took = began.elapsed();
    assert!(took >= WALK_TIME && took < WALK_TIME + Duration::from_millis(10), "{took:?}");
    tokio::time::resume();
    assert_passing(&answer);
    world.faults.clear();
    assert_eq!(world.refresh(&token, secs(65)).await.line.outcome, "reissued");
}

#[tokio::test]
async fn a_revocation_that_loses_to_another_says_and_remembers_the_cause_that_stands() {
    let world = World::new().await;
    let (family, token) = world.open_for("user-1", None, secs(0)).await;
    let live = world.refresh(&token, secs(60)).await.ok();
    let gate = Gate::default();
    // The successor's put goes through; the seal's comes after the user has signed out.
    world.faults.queue("PutItem", Fault::None);
    world.faults.queue("PutItem", Fault::HeldBefore(gate.clone()));
    let meanwhile = async {
        gate.reached().await;
        world.sign_out(family, secs(120)).await;
        gate.open();
    };
    let (answer, ()) = tokio::join!(world.refresh(&token, secs(120)), meanwhile);
    assert_eq!((answer.status, answer.line.outcome, answer.line.cause), (401, "refused", Some("sign_out")));
    let known = world.refresh(&live, secs(121)).await;
    assert_eq!((known.line.cause, known.line.usage.calls), (Some("sign_out"), 0));
}

#[tokio::test]
async fn a_put_that_lands_after_the_clients_retry_rotated_changes_nothing() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    let late = Gate::default();
    world.faults.queue("PutItem", Fault::AppliedLate(late.clone()));
    world.faults.queue("PutItem", Fault::Refused);
    world.faults.queue("PutItem", Fault::Refused);
    assert_passing(&world.refresh(&token, secs(60)).await);

    let retried = world.refresh(&token, secs(61)).await;
    assert_eq!(retried.line.outcome, "rotated");
    let before = world.dynamo.items("FAMILY#");
    late.reached().await;
    late.open();
    late.passed().await;
    assert_eq!(world.dynamo.items("FAMILY#"), before);
    world.refresh(&retried.ok(), secs(62)).await.ok();
}

#[tokio::test]
async fn a_put_that_lands_late_before_the_clients_retry_is_found_by_it() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    let late = Gate::default();
    world.faults.queue("PutItem", Fault::AppliedLate(late.clone()));
    world.faults.queue("PutItem", Fault::Refused);
    world.faults.queue("PutItem", Fault::Refused);
    assert_passing(&world.refresh(&token, secs(60)).await);
    late.reached().await;
    late.open();
    late.passed().await;
    let retried = world.refresh(&token, secs(65)).await;
    assert_eq!((retried.line.outcome, generations(&world)), ("reissued", 2));
    world.refresh(&retried.ok(), secs(66)).await.ok();
}

#[tokio::test]
async fn a_put_that_lands_after_the_seal_opens_nothing() {
    let world = World::new().await;
    let (family, token) = world.open_for("user-1", None, secs(0)).await;
    let late = Gate::default();
    world.faults.queue("PutItem", Fault::AppliedLate(late.clone()));
    world.faults.queue("PutItem", Fault::Refused);
    world.faults.queue("PutItem", Fault::Refused);
    assert_passing(&world.refresh(&token, secs(60)).await);
    world.sign_out(family, secs(61)).await;
    late.reached().await;
    late.open();
    late.passed().await;
    assert_eq!(world.refresh(&token, secs(62)).await.status, 401);
}

/// Holds one call of a refresh by `world`'s instance, has another instance do `meanwhile`, and lets it go on.
async fn overtaken<F: Future<Output = ()>>(
    world: &World,
    token: &str,
    operation: &str,
    held: fn(Gate) -> Fault,
    meanwhile: F,
) -> Answer {
    let gate = Gate::default();
    world.faults.queue(operation, held(gate.clone()));
    let others = async {
        gate.reached().await;
        meanwhile.await;
        gate.open();
    };
    let (answer, ()) = tokio::join!(world.refresh(token, secs(60)), others);
    answer
}

#[tokio::test]
async fn the_two_calls_may_finish_in_either_order() {
    for (operation, held) in [
        ("PutItem", Fault::HeldBefore as fn(Gate) -> Fault),
        ("PutItem", Fault::HeldAfter),
        ("Query", Fault::HeldBefore),
        ("Query", Fault::HeldAfter),
    ] {
        let world = World::new().await;
        let token = world.open(secs(0)).await;
        let answer = overtaken(&world, &token, operation, held, async {}).await;
        assert_eq!((answer.line.outcome, generations(&world)), ("rotated", 2), "{operation}");
        world.refresh(&answer.ok(), secs(61)).await.ok();
    }
}

#[tokio::test]
async fn a_put_overtaken_by_another_tabs_rotation_is_reissued() {
    for held in [Fault::HeldBefore as fn(Gate) -> Fault, Fault::HeldAfter] {
        let world = World::new().await;
        let token = world.open(secs(0)).await;
        let (_, other) = world.another_instance();
        let meanwhile = async {
            send_to(&other, refresh_event(&token), secs(60)).await.ok();
        };
        let answer = overtaken(&world, &token, "PutItem", held, meanwhile).await;
        assert_eq!(generations(&world), 2);
        world.refresh(&answer.ok(), secs(61)).await.ok();
    }
}

#[tokio::test]
async fn a_put_overtaken_by_several_rotations_is_reissued_a_token_that_is_good() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    let (_, other) = world.another_instance();
    let meanwhile = async {
        let mut newest = token.clone();
        for _ in 0..3 {
            newest = send_to(&other, refresh_event(&newest), secs(60)).await.ok();
        }
    };
    let answer = overtaken(&world, &token, "PutItem", Fault::HeldBefore, meanwhile).await;
    assert_eq!((answer.line.outcome, generations(&world)), ("reissued", 4));
    world.refresh(&answer.ok(), secs(61)).await.ok();
    assert!(!is_sealed(&world));
}

#[tokio::test]
async fn a_query_overtaken_by_other_rotations_reissues_the_live_generation() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    let (_, other) = world.another_instance();
    let meanwhile = async {
        // Our put has landed or will: another tab comes with the same token and goes on from there.
        let mut newest = send_to(&other, refresh_event(&token), secs(60)).await.ok();
        for _ in 0..3 {
            newest = send_to(&other, refresh_event(&newest), secs(60)).await.ok();
        }
    };
    let answer = overtaken(&world, &token, "Query", Fault::HeldBefore, meanwhile).await;
    assert_eq!((answer.line.outcome, generations(&world)), ("reissued", 5));
    // It speaks for the live generation: the next refresh rotates.
    assert_eq!(world.refresh(&answer.ok(), secs(61)).await.line.outcome, "rotated");
}

#[tokio::test]
async fn a_seal_acknowledged_while_a_query_is_under_way_ends_that_request_too_or_comes_after_it() {
    for (held, status) in [(Fault::HeldBefore as fn(Gate) -> Fault, 401), (Fault::HeldAfter, 200)] {
        let world = World::new().await;
        let (family, token) = world.open_for("user-1", None, secs(0)).await;
        let meanwhile = async {
            world.sign_out(family, secs(60)).await;
        };
        let answer = overtaken(&world, &token, "Query", held, meanwhile).await;
        assert_eq!(answer.status, status, "{:?}", answer.line);
        // The one that had read before the seal stood was under way and mints; what it minted is dead.
        if let Some(minted) = answer.token() {
            let dead = world.refresh(&minted, secs(61)).await;
            assert_eq!((dead.status, dead.line.cause), (401, Some("sign_out")));
        }
        assert_eq!(world.refresh(&token, secs(61)).await.status, 401);
    }
}

#[tokio::test]
async fn a_reuse_whose_seal_cannot_be_put_is_a_passing_failure_and_is_found_again() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    let live = world.refresh(&token, secs(60)).await.ok();
    // The successor's put goes through; the seal's attempts are refused.
    world.faults.queue("PutItem", Fault::None);
    world.faults.queue_for_all_attempts("PutItem", &Fault::Refused);
    assert_passing(&world.refresh(&token, secs(120)).await);
    assert!(!is_sealed(&world));
    assert_eq!(world.refresh(&token, secs(121)).await.line.outcome, "revoked");
    assert_eq!(world.refresh(&live, secs(122)).await.status, 401);
}

#[tokio::test]
async fn a_seal_whose_answer_is_lost_stands_and_its_retry_finds_it() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    world.refresh(&token, secs(60)).await.ok();
    world.faults.queue("PutItem", Fault::None);
    world.faults.queue("PutItem", Fault::AppliedThenDropped);
    let answer = world.refresh(&token, secs(120)).await;
    assert_eq!((answer.status, answer.line.outcome, is_sealed(&world)), (401, "revoked", true));
}

#[tokio::test]
async fn a_reissue_to_another_client_that_cannot_be_written_down_is_not_served() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    world.refresh(&token, secs(60)).await.ok();
    world.faults.queue("PutItem", Fault::None);
    world.faults.queue_for_all_attempts("PutItem", &Fault::Refused);
    assert_passing(&world.send(thiefs_event(&token), secs(61)).await);
    world.send(thiefs_event(&token), secs(62)).await.ok();
    assert!(world.dynamo.sort_keys("FAMILY#").iter().any(|sk| sk.starts_with("CLIENT#0000000001#")));
}

#[tokio::test]
async fn a_quota_that_could_not_be_read_is_shown_by_the_next_answer() {
    let world = World::with(&[("UNIQOS_RATE_LIMIT", "1")]).await;
    let quota =
        Quota { turns_used: 7, turns_limit: 8, relationships_used: 3, relationships_limit: 4, resets_at: secs(86_400) };
    let item = quota.to_item(&tenant(), &"acme".parse().unwrap(), "2026-11-01");
    world.store().replace(&item, &Meter::default()).await.unwrap();
    let token = world.open(secs(0)).await;
    let next = world.refresh(&token, secs(60)).await.ok();
    world.faults.queue_for_all_attempts("Query", &Fault::Refused);
    let without = world.refresh(&next, secs(60)).await;
    assert_eq!((without.status, without.header("x-quota-turns-used")), (429, None));
    world.faults.clear();
    let with = world.refresh(&next, secs(60)).await;
    assert_eq!((with.status, with.header("x-quota-turns-used")), (429, Some("7")));
}

#[tokio::test]
async fn a_charge_whose_answer_is_lost_errs_towards_refusing() {
    // Few enough that a charge stands for six seconds, however slow this machine is.
    let world = World::with(&[("UNIQOS_RATE_LIMIT", "10")]).await;
    let token = world.open(secs(0)).await;
    world.faults.queue("UpdateItem", Fault::AppliedThenDropped);
    let answer = world.refresh(&token, secs(60)).await;
    // The lost charge counted: the retry found the bucket busy and charged once more.
    assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, Some("8")));
}

#[tokio::test]
async fn an_item_that_somebody_broke_is_a_failure_of_ours_and_takes_no_cookie_away() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    let mut items = world.dynamo.items("FAMILY#");
    items[0].as_object_mut().unwrap().remove("minted_at");
    world.dynamo.put(&items);
    assert_passing(&world.refresh(&token, secs(60)).await);
}
