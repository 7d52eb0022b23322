//! Many requests at once, over several instances of the function, on one table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rondo_shared::store::dynamo::DynamoStore;
use rondo_tests::world::{Answer, refresh_event, send_to};
use rondo_tests::{World, secs};
use tokio::task::JoinSet;
use uniqos_refresh::App;

const REQUESTS: usize = 64;
const INSTANCES: usize = 8;
/// How often each of them is sent again, where a revocation is to come between.
const REFRESHES_EACH: usize = 4;

fn instances(world: &World) -> Vec<Arc<App<DynamoStore>>> {
    (0..INSTANCES).map(|_| Arc::new(world.another_instance().1)).collect()
}

async fn at_once(instances: &[Arc<App<DynamoStore>>], token: &str, now: i64) -> Vec<Answer> {
    let mut requests = JoinSet::new();
    for n in 0..REQUESTS {
        let (app, event) = (Arc::clone(&instances[n % INSTANCES]), refresh_event(token));
        requests.spawn(async move { send_to(&app, event, secs(now)).await });
    }
    requests.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_refreshes_of_one_token_make_one_generation_and_all_succeed() {
    for round in 0..5_i64 {
        let world = World::new().await;
        let token = world.open(secs(round)).await;
        let instances = instances(&world);
        let answers = at_once(&instances, &token, 60).await;
        let rotated = answers.iter().filter(|answer| answer.line.outcome == "rotated").count();
        assert_eq!(rotated, 1);
        assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000", "GEN#0000000001"]);

        // Every cookie that was returned is good for the next refresh, whoever comes first.
        let cookies: Vec<_> = answers.into_iter().map(Answer::ok).collect();
        for cookie in &cookies {
            world.refresh(cookie, secs(61)).await.ok();
        }
        assert_eq!(world.dynamo.sort_keys("FAMILY#").len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tabs_that_refresh_on_top_of_one_another_never_lose_the_session() {
    let world = World::new().await;
    let mut tokens = vec![world.open(secs(0)).await];
    let instances = instances(&world);
    // Each round, every tab presents some token that was handed out in this or the last round.
    for round in 1..=10_i64 {
        let mut requests = JoinSet::new();
        for n in 0..32 {
            let (app, event) = (Arc::clone(&instances[n % INSTANCES]), refresh_event(&tokens[n % tokens.len()]));
            requests.spawn(async move { send_to(&app, event, secs(round)).await });
        }
        tokens = requests.join_all().await.into_iter().map(Answer::ok).collect();
    }
    assert!(!world.dynamo.sort_keys("FAMILY#").contains(&"SEAL".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_refresh_that_begins_after_a_revocation_has_answered_gets_a_token() {
    let mut refused = 0;
    for round in 0..10_i64 {
        // More than all of the requests, so that none is refused for their number.
        let world = World::with(&[("UNIQOS_RATE_LIMIT", "1000")]).await;
        let (family, token) = world.open_for("user-1", Some("acme"), secs(round)).await;
        let (instances, revoked) = (instances(&world), Arc::new(AtomicBool::new(false)));
        let mut requests = JoinSet::new();
        for n in 0..REQUESTS {
            let (app, revoked, token) = (Arc::clone(&instances[n % INSTANCES]), Arc::clone(&revoked), token.clone());
            requests.spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..REFRESHES_EACH {
                    let begun_after = revoked.load(Ordering::SeqCst);
                    answers.push((begun_after, send_to(&app, refresh_event(&token), secs(60)).await));
                }
                answers
            });
        }
        world.sign_out(family, secs(60)).await;
        revoked.store(true, Ordering::SeqCst);
        for (begun_after, answer) in requests.join_all().await.into_iter().flatten() {
            if begun_after {
                refused += 1;
                assert_eq!(answer.status, 401, "{:?}", answer.line);
            }
        }
        assert_eq!(world.refresh(&token, secs(60)).await.status, 401);
    }
    assert!(refused > 0, "no request ever began after the revocation: the race was not run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_is_admitted_to_the_last_and_not_beyond() {
    let world = World::with(&[("UNIQOS_RATE_LIMIT", "40")]).await;
    let token = world.open(secs(0)).await;
    let answers = at_once(&instances(&world), &token, 60).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(429)), (40, 24));
    assert!(answers.iter().all(|answer| !answer.clears_cookie()));
}
