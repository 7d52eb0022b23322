//! Many requests at once, over several instances of the function, on one table. A machine that is slow may keep the store from
//! answering all of them within a walk's time: that is a failure of ours, and clients do what they do then, which is to ask
//! again with the same token.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rondo_shared::limit::gcra::CLOCK_TOLERANCE;
use rondo_shared::limit::{Admission, AdmitError, Allowance};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::{Meter, keys};
use rondo_tests::world::{Answer, refresh_event, send_to};
use rondo_tests::{World, secs};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uniqos_refresh::App;

const REQUESTS: usize = 64;
const INSTANCES: usize = 8;
/// How often a request is sent at most until it is answered otherwise than by a failure of ours.
const TRIES: usize = 100;
/// How often each of them is sent again, where a revocation is to come between.
const REFRESHES_EACH: usize = 4;

fn instances(world: &World) -> Vec<Arc<App<DynamoStore>>> {
    (0..INSTANCES).map(|_| Arc::new(world.another_instance().1)).collect()
}

/// Sends a token until it is answered otherwise than by a failure of ours.
async fn until_answered(app: &App<DynamoStore>, token: &str, now: i64) -> Answer {
    for _ in 0..TRIES {
        let answer = send_to(app, refresh_event(token), secs(now)).await;
        if answer.line.outcome != "failed" {
            return answer;
        }
        assert!(!answer.clears_cookie(), "{:?}", answer.line);
    }
    panic!("{TRIES} failures of ours");
}

async fn at_once(instances: &[Arc<App<DynamoStore>>], token: &str, now: i64) -> Vec<Answer> {
    let mut requests = JoinSet::new();
    for n in 0..REQUESTS {
        let (app, token) = (Arc::clone(&instances[n % INSTANCES]), token.to_owned());
        requests.spawn(async move { until_answered(&app, &token, now).await });
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
        // None, where the one that rotated was given up before it was answered.
        assert!(rotated <= 1, "{rotated} rotated");
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
            let (app, token) = (Arc::clone(&instances[n % INSTANCES]), tokens[n % tokens.len()].clone());
            requests.spawn(async move { until_answered(&app, &token, round).await });
        }
        tokens = requests.join_all().await.into_iter().map(Answer::ok).collect();
    }
    assert!(!world.dynamo.sort_keys("FAMILY#").contains(&"SEAL".to_owned()));
}

/// Whoever races sends its last refresh once the revocation has answered, so that on any machine some begin after it. A
/// store that is overloaded meanwhile is told as a failure of ours: that is no token either.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_refresh_that_begins_after_a_revocation_has_answered_gets_a_token() {
    let mut refused = 0;
    for round in 0..10_i64 {
        // More than all of the requests, so that none is refused for their number.
        let world = World::with(&[("UNIQOS_RATE_LIMIT", "1000")]).await;
        let (family, token) = world.open_for("user-1", Some("acme"), secs(round)).await;
        let (instances, revoked) = (instances(&world), watch::Sender::new(false));
        let mut requests = JoinSet::new();
        for n in 0..REQUESTS {
            let (app, mut revoked, token) = (Arc::clone(&instances[n % INSTANCES]), revoked.subscribe(), token.clone());
            requests.spawn(async move {
                let mut answers = Vec::new();
                for last in (0..REFRESHES_EACH).rev() {
                    if last == 0 {
                        revoked.wait_for(|revoked| *revoked).await.unwrap();
                    }
                    let begun_after = *revoked.borrow();
                    answers.push((begun_after, send_to(&app, refresh_event(&token), secs(60)).await));
                }
                answers
            });
        }
        world.sign_out(family, secs(60)).await;
        revoked.send_replace(true);
        for (begun_after, answer) in requests.join_all().await.into_iter().flatten() {
            if begun_after {
                let no_answer_of_the_store = answer.line.outcome == "failed" && !answer.clears_cookie();
                assert!(answer.status == 401 || no_answer_of_the_store, "{:?}", answer.line);
                assert_eq!(answer.token(), None, "{:?}", answer.line);
                refused += usize::from(answer.status == 401);
            }
        }
        assert_eq!(world.refresh(&token, secs(60)).await.status, 401);
    }
    assert!(refused > 0, "the store never answered a request that began after the revocation: the race was not run");
}

/// By a bucket that refills in a day, so that none of it comes back while the machine has no time for us.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_is_admitted_to_the_last_and_not_beyond() {
    const BURST: u32 = 40;
    let world = World::new().await;
    let allowance = Allowance::per_period(NonZeroU32::new(BURST).unwrap(), Duration::from_hours(24));
    let instances: Vec<_> = (0..INSTANCES).map(|_| Arc::new(Admission::new(allowance))).collect();
    let mut charges = JoinSet::new();
    for n in 0..REQUESTS {
        let (instance, store) = (Arc::clone(&instances[n % INSTANCES]), world.store());
        charges.spawn(async move {
            let bucket = keys::bucket("race", &["acme"]);
            instance.charge(&bucket, &store, secs(60), &Meter::default()).await
        });
    }
    let outcomes = charges.join_all().await;
    let count = |is: fn(&Result<_, AdmitError>) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
    let (let_in, limited) = (count(Result::is_ok), count(|it| matches!(it, Err(AdmitError::Limited { .. }))));
    // A charge whose answer was lost counts, and lets nobody in.
    let unanswered = REQUESTS - let_in - limited;
    assert!(let_in <= 40 && let_in + unanswered >= 40, "{let_in} let in, {limited} limited, {unanswered} unanswered");
}

/// The same by the functions, whose bucket refills in a second: as much more is let in as comes back meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_one_too_many_keeps_the_cookie() {
    let world = World::with(&[("UNIQOS_RATE_LIMIT", "1")]).await;
    let token = world.open(secs(0)).await;
    let began = Instant::now();
    let answers = at_once(&instances(&world), &token, 60).await;
    let took = began.elapsed();
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    let came_back = if took < CLOCK_TOLERANCE { 0 } else { took.as_secs_f64().ceil() as usize };
    assert_eq!(count(200) + count(429), REQUESTS);
    assert!(count(200) <= 1 + came_back && count(429) > 0, "{} let in within {took:?}", count(200));
    assert!(answers.iter().all(|answer| !answer.clears_cookie()));
}
