//! Several refresh cookies in one request: a stray one locks nobody out, hides no good one and takes none away.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod forge;

use forge::{claims_of, good_header, signed};
use rondo_tests::world::{event, keyring_document};
use rondo_tests::{T0, World, secs};
use serde_json::{Value, json};

fn cookies(values: &[&str]) -> Value {
    let cookies: Vec<_> = values.iter().map(|value| format!("uniqos_refresh={value}")).collect();
    event(json!({"cookies": cookies}))
}

#[tokio::test]
async fn a_stray_cookie_beside_the_good_one_locks_nobody_out() {
    for stray in ["", "garbage", "a.b.c", "\"quoted\"", "=", "%00", &"x".repeat(16 * 1024), "expired", "forged"] {
        for good_first in [true, false] {
            let world = World::new().await;
            let good = world.open(T0).await;
            let stray = match stray {
                "expired" => world.open(secs(-15 * 86_400)).await,
                "forged" => signed(&good_header(), &claims_of(&world.open(T0).await), &[9; 32]),
                other => other.to_owned(),
            };
            let both = if good_first { [good.as_str(), &stray] } else { [stray.as_str(), &good] };
            let array = world.send(cookies(&both), secs(1)).await;
            let what = format!("{}, the good one {}", &stray[..stray.len().min(20)], both[0] == good);
            assert_eq!(array.status, 200, "{what}: {}", array.json());
            let newest = array.token().unwrap();
            let both = if good_first { [newest.as_str(), &stray] } else { [stray.as_str(), &newest] };
            let header = format!("a=1; uniqos_refresh={}; uniqos_refresh={}", both[0], both[1]);
            let raw = world.send(event(json!({"headers": {"cookie": header}})), secs(20)).await;
            assert_eq!(raw.status, 200, "{what}: {}", raw.json());
        }
    }
}

#[tokio::test]
async fn a_crowd_of_cookies_of_the_same_name_hides_no_good_one_and_costs_no_store_call_alone() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let crowd: Vec<_> = (0..5_000).map(|n| format!("stray{n}")).collect();
    let mut crowd: Vec<_> = crowd.iter().map(String::as_str).collect();
    let answer = world.send(cookies(&crowd), secs(1)).await;
    assert!(matches!(answer.status, 400 | 401 | 422), "{}", answer.json());
    assert_eq!(answer.line.usage.calls, 0);
    let others: Vec<_> = (0..5_000).map(|n| format!("other{n}=value")).collect();
    let header = format!("{}; uniqos_refresh={good}", others.join("; "));
    let newest = world.send(event(json!({"headers": {"cookie": header}})), secs(20)).await.ok();
    crowd.truncate(12);
    crowd.push(&newest);
    world.send(cookies(&crowd), secs(40)).await.ok();
}

#[tokio::test]
async fn a_crowd_of_forged_cookies_takes_no_good_one_away() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let forged = |n: u8| signed(&good_header(), &claims_of(&good), &[100 + n; 32]);
    let mut crowd: Vec<String> = (0..16).map(forged).collect();
    let shown = |crowd: &[String]| cookies(&crowd.iter().map(String::as_str).collect::<Vec<_>>());

    // All of them were looked at: none is good.
    let answer = world.send(shown(&crowd), secs(1)).await;
    answer.assert_error(401, "authentication_error", "sixteen forged ones");
    assert!(answer.clears_cookie());

    crowd.push(good.clone());
    let answer = world.send(shown(&crowd), secs(2)).await;
    answer.assert_error(400, "validation_error", "a good one behind them");
    assert_eq!((answer.header("set-cookie"), answer.line.cause), (None, Some("too_many_cookies")));
    assert_eq!(answer.line.usage.calls, 0);

    // One that was looked at verifies and is of an ended session; the good one still was not looked at.
    let (ended, stale) = world.open_for("user-1", Some("acme"), T0).await;
    world.sign_out(ended, secs(3)).await;
    crowd[0] = stale;
    let answer = world.send(shown(&crowd), secs(4)).await;
    answer.assert_error(401, "authentication_error", "an ended one before them");
    assert_eq!(answer.header("set-cookie"), None);

    crowd.swap(1, 16);
    world.send(shown(&crowd), secs(5)).await.ok();
}

#[tokio::test]
async fn a_cookie_that_cannot_be_judged_without_the_keyring_is_not_taken_away_with_a_dead_one_beside_it() {
    let path = std::env::temp_dir().join(format!("uniqos-undecided-{}.json", std::process::id()));
    std::fs::write(&path, keyring_document().to_string()).unwrap();
    let world = World::with(&[("KEYRING_FILE", path.to_str().unwrap())]).await;
    // Signed by a key that this instance has not read yet.
    let good = world.open(T0).await;
    let header = json!({"typ": "rt+jwt", "alg": "HS256", "kid": "m9"});
    let undecided = signed(&header, &claims_of(&good), &[9; 32]);
    let (ended, dead) = world.open_for("user-1", Some("acme"), T0).await;
    let live = world.open(T0).await;
    let replayed = world.open(T0).await;
    world.refresh(&replayed, secs(1)).await.ok();
    world.sign_out(ended, secs(1)).await;
    std::fs::remove_file(&path).unwrap();

    // From the store, and then from the instance's memory.
    for (dead, now, outcome) in [(&dead, 122, "failed"), (&dead, 123, "failed"), (&replayed, 124, "revoked")] {
        for both in [[dead.as_str(), &undecided], [undecided.as_str(), dead]] {
            let answer = world.send(cookies(&both), secs(now)).await;
            answer.assert_error(500, "internal_error", outcome);
            assert_eq!(answer.header("set-cookie"), None, "the good one would be gone");
            assert!(answer.line.error.unwrap().contains("could not be judged"));
            if both[0] == dead {
                assert_eq!(answer.line.outcome, outcome);
            }
        }
    }
    // What is known to be live is served beside it.
    assert_eq!(world.send(cookies(&[&undecided, &live]), secs(125)).await.status, 200);
    // A dead one alone is taken away as ever.
    assert!(world.refresh(&dead, secs(126)).await.clears_cookie());
}

#[tokio::test]
async fn the_same_cookie_several_times_is_one_cookie() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let newest = world.send(cookies(&[&good, &good, &good]), secs(1)).await.ok();
    let quoted = format!("\"{newest}\"");
    world.send(cookies(&[&quoted, &newest]), secs(20)).await.ok();
}

#[tokio::test]
async fn an_empty_cookie_is_no_cookie() {
    let world = World::new().await;
    for (n, empty) in (0_i64..).zip(["", " "]) {
        let answer = world.send(cookies(&[empty]), secs(n)).await;
        answer.assert_error(401, "authentication_error", empty);
    }
}

#[tokio::test]
async fn sessions_of_two_users_in_one_request_are_malformed_in_any_order_and_neither_is_touched() {
    let world = World::new().await;
    world.put_user("user-2", rondo_shared::store::item::AccountStatus::Active).await;
    let (_, one) = world.open_for("user-1", Some("acme"), T0).await;
    let (_, other) = world.open_for("user-2", Some("globex"), T0).await;
    for (n, both) in (1_i64..).zip([[&one, &other], [&other, &one]]) {
        let answer = world.send(cookies(&both.map(String::as_str)), secs(10 * n)).await;
        answer.assert_error(400, "validation_error", "two sessions");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let beside_garbage = world.send(cookies(&["x.y.z", &one, "garbage", &other]), secs(30)).await;
    beside_garbage.assert_error(400, "validation_error", "two sessions and garbage");
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000", "GEN#0000000000"]);
}
