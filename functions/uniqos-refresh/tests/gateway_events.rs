//! Every form of event is one refresh, by the client that really sent it; `rondo_tests::captured` says where they are from.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

use rondo_tests::captured::{CAPTURED, Captured, FRONT_DOORS, Given, Sent, address_seen, answered};
use rondo_tests::world::moment;
use rondo_tests::{T0, World, secs};
use serde_json::Value;

/// A refresh that counts nothing but its cookie.
const REFRESH: Sent<'_> = Sent { body: "{}", ..Sent::nothing("/v1/auth/refresh", "https://app.uniqos.test") };
const STRAY: &str = "uniqos_refresh=left-by-an-older-path";

async fn play(world: &World, event: &Value) -> Given {
    answered(event, async |request| uniqos_refresh::handle(&world.app, &moment(secs(60)), &request).await.0).await
}

#[tokio::test]
async fn every_form_of_event_is_one_refresh_by_the_client_that_really_sent_it() {
    for captured in CAPTURED {
        let world = World::new().await;
        let cookie = format!("uniqos_refresh={}", world.open(T0).await);
        let given = play(&world, &captured.event(&Sent { cookie: &cookie, ..REFRESH })).await;
        given.assert_ok(captured.name);
        for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            assert!(given.header(name).is_some(), "{name}: {}", captured.name);
        }
        assert_eq!(given.cookies().len(), 1, "{}", captured.name);
        assert_eq!(address_seen(&world.dynamo), captured.address, "{}", captured.name);
        world.refresh(given.cookie("uniqos_refresh").expect(captured.name), secs(120)).await.ok();
    }
}

#[tokio::test]
async fn of_two_cookies_of_one_name_the_one_that_verifies_counts_whichever_comes_first() {
    for captured in CAPTURED.iter().filter(|captured| captured.has_two_cookies()) {
        let world = World::new().await;
        let good = format!("uniqos_refresh={}", world.open(T0).await);
        for (cookie, second_cookie) in [(good.as_str(), STRAY), (STRAY, &good)] {
            let sent = Sent { cookie, second_cookie, ..REFRESH };
            play(&world, &captured.event(&sent)).await.assert_ok(captured.name);
        }
    }
}

#[tokio::test]
async fn a_rest_api_event_may_come_without_the_second_list() {
    let world = World::new().await;
    let cookie = format!("uniqos_refresh={}", world.open(T0).await);
    let mut event = Captured::named("rest_api_multi_value_headers").event(&Sent { cookie: &cookie, ..REFRESH });
    event["multiValueHeaders"] = Value::Null;
    play(&world, &event).await.assert_ok("without the second list");
}

#[tokio::test]
async fn a_forwarded_address_counts_only_from_a_front_door_that_proves_itself() {
    let captured = Captured::named("http_api_behind_cloudfront");
    for (secret, front_door, seen) in FRONT_DOORS {
        let world = World::with(&[("FRONT_DOOR_SECRET", secret)]).await;
        let cookie = format!("uniqos_refresh={}", world.open(T0).await);
        let given = play(&world, &captured.event(&Sent { cookie: &cookie, front_door, ..REFRESH })).await;
        given.assert_ok(captured.name);
        assert_eq!(address_seen(&world.dynamo), seen, "configured {secret:?}, sent {front_door:?}");
    }
}
