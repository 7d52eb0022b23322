//! What each outcome costs, as DynamoDB reports it: the budget that the README prints.

use rondo_shared::store::Usage;
use rondo_shared::store::item::{AccountStatus, Quota};
use rondo_shared::store::{Meter, Store as _};
use rondo_tests::world::{event, thiefs_event};
use rondo_tests::{World, secs};
use serde_json::json;
use uniqos_refresh::policy::tenant;

const fn usage(calls: u32, write_units: f64, read_units: f64) -> Usage {
    Usage::of(calls, read_units, write_units)
}

#[tokio::test]
async fn every_outcome_costs_what_the_readme_says() {
    let world = World::new().await;
    let mut rows = Vec::new();
    let mut cost = |what: &'static str, seen: Usage, expected: Usage| {
        assert_eq!(seen, expected, "{what}");
        rows.push(format!("{what:<58} {:>5} {:>5} {:>5}", seen.calls, seen.write_units, seen.read_units));
    };

    let (_, zero) = world.open_for("user-1", Some("acme"), secs(0)).await;
    world.faults.take_attempts();
    let rotated = world.refresh(&zero, secs(60)).await;
    cost("a refresh", rotated.line.usage, usage(3, 2.0, 1.0));
    let mut attempts = world.faults.take_attempts();
    attempts.sort();
    assert_eq!(attempts, ["PutItem", "Query", "UpdateItem"], "one bucket update, one put, one query, no transaction");
    let one = rotated.ok();

    let again = world.refresh(&one, secs(60)).await;
    cost("a refresh while the bucket is busy, known to be", again.line.usage, usage(3, 2.0, 1.0));
    let two = again.ok();
    let (_, stranger) = world.another_instance();
    let guessed = rondo_tests::world::send_to(&stranger, rondo_tests::world::refresh_event(&two), secs(60)).await;
    cost("a refresh with a wrong guess of the bucket's form", guessed.line.usage, usage(4, 3.0, 1.0));
    let three = guessed.ok();

    let reissued = world.refresh(&two, secs(65)).await;
    assert_eq!(reissued.line.outcome, "reissued");
    cost("a reissue", reissued.line.usage, usage(3, 2.0, 1.0));
    let elsewhere = world.send(thiefs_event(&two), secs(66)).await;
    assert!(elsewhere.line.another_client);
    cost("a reissue to another client", elsewhere.line.usage, usage(4, 3.0, 1.0));

    let reused = world.refresh(&zero, secs(120)).await;
    assert_eq!(reused.line.outcome, "revoked");
    cost("a reuse: the seal is put", reused.line.usage, usage(4, 3.0, 1.0));
    let known = world.refresh(&three, secs(120)).await;
    assert_eq!(known.status, 401);
    cost("a family known to be sealed", known.line.usage, usage(0, 0.0, 0.0));
    let (_, stranger) = world.another_instance();
    let sealed = rondo_tests::world::send_to(&stranger, rondo_tests::world::refresh_event(&three), secs(180)).await;
    assert_eq!(sealed.status, 401);
    cost("a sealed family, not known to be", sealed.line.usage, usage(3, 2.0, 1.0));

    let (_, opened) = world.open_for("user-1", Some("acme"), secs(0)).await;
    let mut newest = opened.clone();
    for _ in 0..5 {
        newest = world.refresh(&newest, secs(200)).await.ok();
    }
    let far = world.refresh(&opened, secs(205)).await;
    assert_eq!(far.line.outcome, "reissued");
    cost("a reissue from four or more generations behind", far.line.usage, usage(4, 2.0, 2.0));
    let put_at = secs(200).millis().to_string();
    let is_successor =
        |item: &&serde_json::Value| item["sk"]["S"] == "GEN#0000000001" && item["minted_at"]["N"] == *put_at;
    world.dynamo.delete(&world.dynamo.items("FAMILY#").iter().filter(is_successor).cloned().collect::<Vec<_>>());
    let broken = world.refresh(&opened, secs(230)).await;
    assert_eq!(broken.line.cause, Some("unknown_generation"));
    cost("an unknown generation, found from as far behind", broken.line.usage, usage(5, 3.0, 2.0));

    let (_, lost) = world.open_for("user-1", Some("acme"), secs(0)).await;
    world.dynamo.delete(&world.dynamo.items("FAMILY#"));
    let unknown = world.refresh(&lost, secs(240)).await;
    assert_eq!(unknown.line.cause, Some("unknown_generation"));
    cost("an unknown generation: the seal is put", unknown.line.usage, usage(4, 3.0, 1.0));

    let forged = format!("{}x", &three[..three.len() - 1]);
    cost("a forged token", world.refresh(&forged, secs(300)).await.line.usage, usage(0, 0.0, 0.0));
    let elsewhere = World::with(&[("UNIQOS_ISSUER", "elsewhere")]).await;
    let foreign = world.refresh(&elsewhere.open(secs(0)).await, secs(300)).await;
    assert_eq!(foreign.status, 401);
    cost("a foreign token", foreign.line.usage, usage(0, 0.0, 0.0));
    let expired = world.refresh(&three, secs(100 * 86_400)).await;
    assert_eq!(expired.line.cause, Some("expired"));
    cost("an expired token", expired.line.usage, usage(0, 0.0, 0.0));
    cost("a malformed token", world.refresh("a.b.c", secs(300)).await.line.usage, usage(0, 0.0, 0.0));
    cost("no token", world.send(event(json!({})), secs(300)).await.line.usage, usage(0, 0.0, 0.0));
    println!("\n{:<58} {:>5} {:>5} {:>5}\n{}", "outcome", "calls", "WRU", "RRU", rows.join("\n"));
}

#[tokio::test]
async fn a_limit_costs_at_most_one_failed_update_and_one_quota_read_and_then_nothing() {
    let world = World::with(&[("UNIQOS_RATE_LIMIT", "1")]).await;
    world.put_user("user-2", AccountStatus::Active).await;
    let quota =
        Quota { turns_used: 1, turns_limit: 2, relationships_used: 3, relationships_limit: 4, resets_at: secs(86_400) };
    let org = "acme".parse().unwrap();
    world.store().replace(&quota.to_item(&tenant(), &org, "2026-11-01"), &Meter::default()).await.unwrap();
    let one = world.open(secs(0)).await;
    let (_, two) = world.open_for("user-2", Some("acme"), secs(0)).await;

    let next = world.refresh(&one, secs(60)).await.ok();
    // This instance charged the bucket a moment ago and knows that it is empty: only the quota is read, once.
    let remembered = world.refresh(&next, secs(60)).await;
    assert_eq!((remembered.status, remembered.line.usage), (429, usage(1, 0.0, 1.0)));
    assert_eq!(world.refresh(&next, secs(60)).await.line.usage, usage(0, 0.0, 0.0));

    let (_, stranger) = world.another_instance();
    let send = |token: &str| rondo_tests::world::send_to(&stranger, rondo_tests::world::refresh_event(token), secs(60));
    let told = send(&two).await;
    assert_eq!((told.status, told.line.usage), (429, usage(2, 1.0, 1.0)));
    assert_eq!(told.header("x-quota-turns-used"), Some("1"));
    let again = send(&two).await;
    assert_eq!((again.status, again.line.usage), (429, usage(0, 0.0, 0.0)));
    assert_eq!(again.header("x-quota-relationships-limit"), Some("4"));
    // It was not rotated, so that the token is as good as it was.
    world.refresh(&two, secs(61)).await.ok();
}
