//! The contract of `POST /v1/auth/refresh`, row by row, as a client sees it. What browsers need beside is in `browser.rs`.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod client;

use client::{
    QUOTA_HEADERS, assert_cleared, assert_common, assert_cookie_untouched, assert_error, assert_no_quota, drain, keys,
    listed, with_body, with_method,
};
use rondo_shared::config::Reader;
use rondo_shared::identity::OrgKey;
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::Quota;
use rondo_shared::store::{Meter, Store as _};
use rondo_tests::world::{event, millis, refresh_event};
use rondo_tests::{Answer, Fault, T0, World, secs};
use serde_json::json;
use uniqos_refresh::policy::tenant;

fn quota_of_november() -> Quota {
    Quota {
        turns_used: 4_321,
        turns_limit: 10_000,
        relationships_used: 17,
        relationships_limit: 250,
        resets_at: Timestamp::parse("2026-12-01T00:00:00Z").unwrap(),
    }
}

#[tokio::test]
async fn a_refresh_answers_with_a_bearer_token_and_the_rotated_cookie() {
    let world = World::new().await;
    let old = world.open(T0).await;
    let answer = world.refresh(&old, secs(60)).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_common(&answer);
    assert!(answer.header("content-type").is_some_and(|sent| sent.starts_with("application/json")));
    let body = answer.json();
    assert_eq!(keys(&body), ["access_token", "expires_in", "token_type"]);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(body["access_token"].as_str().unwrap().split('.').count(), 3);
    let token = answer.token().unwrap();
    let expected =
        format!("uniqos_refresh={token}; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict; Max-Age={}", 14 * 86_400);
    assert_eq!(answer.header("set-cookie"), Some(expected.as_str()));
    assert_ne!(token, old);
    assert!(expected.len() <= 4096, "browsers keep no larger cookie");
}

#[tokio::test]
async fn a_deployments_cookie_domain_is_that_of_the_cookie_that_is_set_and_of_the_one_that_is_cleared() {
    let world = World::with(&[("UNIQOS_COOKIE_DOMAIN", "example.com")]).await;
    let old = world.open(T0).await;
    let set = world.refresh(&old, secs(60)).await;
    assert!(set.header("set-cookie").unwrap().contains("; Path=/v1/auth; Domain=example.com; HttpOnly; Secure;"));
    let cleared = world.refresh(&old, secs(120)).await;
    assert_eq!(cleared.status, 401);
    let expected = "uniqos_refresh=; Path=/v1/auth; Domain=example.com; HttpOnly; Secure; SameSite=Strict; Max-Age=0";
    assert_eq!(cleared.header("set-cookie"), Some(expected));
}

#[tokio::test]
async fn a_refresh_tells_what_is_left_in_the_bucket_and_when_it_is_full_again() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let rate = |answer: &Answer, name: &str| answer.header(name).unwrap().parse::<u32>().unwrap();
    let reset = |answer: &Answer| Timestamp::parse(answer.header("x-ratelimit-reset").unwrap()).expect("ISO 8601");

    let first = world.refresh(&token, T0).await;
    let limit = rate(&first, "x-ratelimit-limit");
    assert_eq!(rate(&first, "x-ratelimit-remaining"), limit - 1);
    let back_after_millis = i64::from(1000_u32.div_ceil(limit));
    assert!((T0.millis() + back_after_millis..T0.millis() + 1_000).contains(&reset(&first).millis()));

    let second = world.refresh(&first.token().unwrap(), T0).await;
    assert_eq!(rate(&second, "x-ratelimit-remaining"), limit - 2);
    assert!(reset(&second) > reset(&first));

    let full_again = world.refresh(&second.token().unwrap(), reset(&second)).await;
    assert_eq!(rate(&full_again, "x-ratelimit-remaining"), limit - 1, "full when it said so; never over the limit");
}

#[tokio::test]
async fn no_body_an_empty_one_and_any_json_object_are_all_accepted() {
    let world = World::new().await;
    for (n, body) in (0_i64..).zip([None, Some(""), Some("{}"), Some(r#"{"anything":[1,2]}"#)]) {
        let token = world.open(secs(n)).await;
        let mut sent = refresh_event(&token);
        sent["body"] = json!(body);
        world.send(sent, secs(n)).await.ok();
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed_and_rotates_nothing() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let large = format!(r#"{{"padding":"{}"}}"#, "x".repeat(1_000_000));
    for (n, body) in (0_i64..).zip(["{", "not json", r#"{"a":1} trailing"#, "{'a':1}", &large]) {
        let answer = world.send(with_body(refresh_event(&token), body), secs(10 * n)).await;
        assert_error(&answer, 400, "validation_error", "validation");
        assert_cookie_untouched(&answer);
    }
    world.refresh(&token, secs(100)).await.ok();
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000", "GEN#0000000001"]);
}

#[tokio::test]
async fn a_body_that_is_json_but_no_object_is_invalid_and_the_details_name_it() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for (n, body) in (0_i64..).zip(["[]", "null", "17", "true", r#""text""#, "[{}]"]) {
        let answer = world.send(with_body(refresh_event(&token), body), secs(10 * n)).await;
        let details = assert_error(&answer, 422, "validation_error", "validation");
        assert!(details.to_string().contains("body"), "{body}: {details}");
        assert_cookie_untouched(&answer);
    }
    world.refresh(&token, secs(100)).await.ok();
}

#[tokio::test]
async fn cookies_of_two_sessions_are_refused_and_both_sessions_live_on() {
    let world = World::new().await;
    let (one, other) = (world.open(T0).await, world.open(T0).await);
    let both = [format!("uniqos_refresh={one}"), format!("uniqos_refresh={other}")];
    let answer = world.send(event(json!({"cookies": both})), secs(1)).await;
    assert_error(&answer, 400, "validation_error", "validation");
    assert_cookie_untouched(&answer);
    world.refresh(&one, secs(2)).await.ok();
    world.refresh(&other, secs(2)).await.ok();
}

#[tokio::test]
async fn a_cookie_that_is_no_token_is_invalid_and_the_details_name_it() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let parts: Vec<_> = token.split('.').collect();
    let bad = [
        "one".to_owned(),
        "one.two".to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}.four"),
        format!("{}.{}.!!!", parts[0], parts[1]),
        format!("{}.bm90IGpzb24.{}", parts[0], parts[2]),
        format!("{token}{}", "A".repeat(5_000)),
        "x".repeat(16 * 1024),
    ];
    for (n, cookie) in (0_i64..).zip(&bad) {
        let answer = world.refresh(cookie, secs(10 * n)).await;
        let details = assert_error(&answer, 422, "validation_error", "validation");
        assert!(details.to_string().contains("uniqos_refresh"), "{details}");
        assert_eq!(answer.line.usage.calls, 0);
    }
}

#[tokio::test]
async fn without_a_cookie_that_counts_nobody_is_signed_in() {
    let world = World::new().await;
    let (sealed_family, sealed) = world.open_for("user-1", Some("acme"), T0).await;
    world.sign_out(sealed_family, secs(1)).await;
    let reused = world.open(T0).await;
    world.refresh(&reused, secs(1)).await.ok();
    let live = world.open(T0).await;
    let (signed, signature) = live.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    let unverifiable = format!("{signed}.{flipped}{}", &signature[1..]);
    let expired = world.open(secs(-14 * 86_400)).await;
    for (n, (cookie, clears)) in (2_i64..).zip([
        (None, false),
        (Some(String::new()), false),
        (Some(unverifiable), true),
        (Some(expired), true),
        (Some(sealed), true),
        (Some(reused), true),
    ]) {
        let sent = cookie.as_deref().map_or_else(|| event(json!({})), refresh_event);
        let answer = world.send(sent, secs(10 * n)).await;
        assert_error(&answer, 401, "authentication_error", "authentication");
        if clears {
            assert_cleared(&answer);
        } else {
            assert_cookie_untouched(&answer);
        }
    }
    world.refresh(&live, secs(100)).await.ok();
}

#[tokio::test]
async fn other_methods_are_told_which_one_is_allowed() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for (n, method) in (0_i64..).zip(["GET", "PUT", "DELETE", "PATCH", "HEAD"]) {
        let answer = world.send(with_method(refresh_event(&token), method), secs(10 * n)).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_common(&answer);
        assert!(listed(&answer, "allow").contains(&"post".to_owned()), "{method}: {:?}", answer.header("allow"));
        assert_cookie_untouched(&answer);
    }
    world.refresh(&token, secs(100)).await.ok();
}

#[tokio::test]
async fn with_grace_off_a_second_request_for_one_cookie_is_asked_to_try_again() {
    let world = World::with(&[("UNIQOS_GRACE_SECS", "0")]).await;
    let old = world.open(T0).await;
    let newest = world.refresh(&old, T0).await.ok();
    for since_rotation_millis in [0, 1, 1_999] {
        let answer = world.refresh(&old, millis(since_rotation_millis)).await;
        assert_error(&answer, 409, "conflict", "conflict");
        assert_cookie_untouched(&answer);
    }
    let newest = world.refresh(&newest, secs(3)).await.ok();
    assert!(!world.dynamo.sort_keys("FAMILY#").contains(&"SEAL".to_owned()), "nothing is revoked");

    let late = world.refresh(&old, secs(3)).await;
    assert_error(&late, 401, "authentication_error", "authentication");
    assert_cleared(&late);
    assert_eq!(world.refresh(&newest, secs(4)).await.status, 401);
}

#[tokio::test]
async fn an_empty_bucket_says_when_to_come_back_and_what_the_organization_has_used() {
    let world = World::new().await;
    let quota = quota_of_november().to_item(&tenant(), &OrgKey::new("acme").unwrap(), "2026-11-01");
    world.store().replace(&quota, &Meter::default()).await.unwrap();
    let token = world.open(T0).await;
    let newest = world.refresh(&token, T0).await.ok();
    let limited = drain(&world, &refresh_event(&newest), T0).await;
    let again = world.refresh(&newest, T0).await;
    for answer in [&limited, &again] {
        assert_error(answer, 429, "rate_limit_exceeded", "rate_limit");
        assert_cookie_untouched(answer);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
        let told = QUOTA_HEADERS.map(|name| answer.header(name).expect(name));
        assert_eq!(told[..4], ["4321", "10000", "17", "250"]);
        assert_eq!(Timestamp::parse(told[4]), Some(quota_of_november().resets_at));
        let full_at = Timestamp::parse(answer.header("x-ratelimit-reset").unwrap()).unwrap();
        assert!(full_at > T0 && full_at <= secs(2), "a bucket of one second is full again after one");
    }
    let wait: i64 = limited.header("retry-after").unwrap().parse().expect("whole seconds");
    assert!(wait >= 1);
    world.refresh(&newest, secs(wait)).await.ok();
}

#[tokio::test]
async fn a_quota_that_has_rolled_over_is_not_shown_as_the_current_one() {
    let world = World::new().await;
    let quota = Quota { resets_at: secs(5), ..quota_of_november() };
    let item = quota.to_item(&tenant(), &OrgKey::new("acme").unwrap(), "2026-11-01");
    world.store().replace(&item, &Meter::default()).await.unwrap();
    let token = world.open(T0).await;
    let newest = world.refresh(&token, T0).await.ok();
    let before = drain(&world, &refresh_event(&newest), T0).await;
    assert_eq!(before.header("x-quota-reset").and_then(Timestamp::parse), Some(secs(5)));
    let newest = world.refresh(&newest, secs(6)).await.ok();
    let after = drain(&world, &refresh_event(&newest), secs(6)).await;
    assert_no_quota(&after);
}

#[tokio::test]
async fn a_limited_request_rotates_nothing_and_one_organizations_limit_is_not_anothers() {
    let world = World::new().await;
    let (_, token) = world.open_for("user-1", Some("acme"), T0).await;
    let (_, neighbour) = world.open_for("user-1", Some("globex"), T0).await;
    let newest = world.refresh(&token, T0).await.ok();
    drain(&world, &refresh_event(&newest), T0).await;
    let before = world.dynamo.sort_keys("FAMILY#");
    let answer = world.refresh(&newest, T0).await;
    assert_eq!(answer.status, 429);
    assert_no_quota(&answer);
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), before);
    world.refresh(&neighbour, T0).await.ok();
}

#[tokio::test]
async fn requests_without_a_token_are_limited_by_address_and_cost_no_store_call() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let answer = drain(&world, &event(json!({})), T0).await;
    assert_error(&answer, 429, "rate_limit_exceeded", "rate_limit");
    assert_no_quota(&answer);
    assert_cookie_untouched(&answer);
    assert_eq!(answer.line.usage.calls, 0);

    let mut elsewhere = event(json!({}));
    elsewhere["requestContext"]["http"]["sourceIp"] = json!("198.51.100.9");
    assert_eq!(world.send(elsewhere, T0).await.status, 401, "another address is not limited");
    world.refresh(&token, T0).await.ok();
    let wait: i64 = answer.header("retry-after").unwrap().parse().expect("whole seconds");
    assert_eq!(world.send(event(json!({})), secs(wait)).await.status, 401);
}

#[tokio::test]
async fn a_failing_store_is_our_fault_and_the_cookie_works_afterwards() {
    for operation in ["UpdateItem", "PutItem", "Query"] {
        for fault in [Fault::Refused, Fault::Throttled, Fault::AppliedThenDropped, Fault::AppliedThenInternalError] {
            let world = World::new().await;
            let token = world.open(T0).await;
            world.faults.queue_for_all_attempts(operation, &fault);
            let answer = world.refresh(&token, secs(1)).await;
            assert_eq!(answer.status, 500, "{operation}, {fault:?}: {}", answer.json());
            assert_error(&answer, 500, "internal_error", "internal");
            assert_cookie_untouched(&answer);
            assert!(world.faults.all_happened(), "{operation}, {fault:?}");
            let afterwards = world.refresh(&token, secs(2)).await;
            assert_eq!(afterwards.status, 200, "{operation}, {fault:?}: {}", afterwards.json());
        }
    }
}

#[tokio::test]
async fn a_session_that_has_ended_does_not_stand_in_the_way_of_the_one_beside_it() {
    for (order, asks) in [([0, 1], true), ([1, 0], true), ([0, 1], false)] {
        let world = World::new().await;
        let (ended, stale) = world.open_for("user-1", Some("acme"), T0).await;
        let good = world.open(T0).await;
        world.sign_out(ended, secs(1)).await;
        if !asks {
            assert_eq!(world.refresh(&stale, secs(2)).await.status, 401);
        }
        let sent = |good: &str| {
            let cookies = order.map(|n| format!("uniqos_refresh={}", [stale.as_str(), good][n]));
            event(json!({"cookies": cookies}))
        };
        let answer = world.send(sent(&good), secs(10)).await;
        assert_eq!(answer.status, 200, "{order:?}: {}", answer.json());
        // Of a session that the instance knows to have ended nothing is asked.
        assert_eq!(answer.line.usage.calls, if asks { 5 } else { 4 });
        let newest = answer.ok();
        assert_eq!(world.send(sent(&newest), secs(20)).await.line.usage.calls, 4);
    }
}

#[tokio::test]
async fn where_every_presented_session_has_ended_the_user_is_signed_out() {
    let world = World::new().await;
    let mut cookies = Vec::new();
    for _ in 0..3 {
        let (family, token) = world.open_for("user-1", Some("acme"), T0).await;
        world.sign_out(family, secs(1)).await;
        cookies.push(format!("uniqos_refresh={token}"));
    }
    let answer = world.send(event(json!({"cookies": cookies})), secs(2)).await;
    assert_error(&answer, 401, "authentication_error", "authentication");
    assert_cleared(&answer);
}

#[tokio::test]
async fn a_store_that_cannot_tell_which_session_has_ended_takes_no_cookie_away() {
    let world = World::new().await;
    let (one, other) = (world.open(T0).await, world.open(T0).await);
    let both = [format!("uniqos_refresh={one}"), format!("uniqos_refresh={other}")];
    world.faults.queue_for_all_attempts("Query", &Fault::Refused);
    let answer = world.send(event(json!({"cookies": both})), secs(1)).await;
    assert_error(&answer, 500, "internal_error", "internal");
    assert_cookie_untouched(&answer);
}

#[tokio::test]
async fn asking_which_of_several_sessions_is_meant_is_limited_by_address() {
    let world = World::with(&[("UNIQOS_ADDRESS_RATE_LIMIT", "1")]).await;
    let (one, other) = (world.open(T0).await, world.open(T0).await);
    let both = event(json!({"cookies": [format!("uniqos_refresh={one}"), format!("uniqos_refresh={other}")]}));
    assert_error(&world.send(both.clone(), secs(1)).await, 400, "validation_error", "validation");
    let limited = world.send(both, secs(1)).await;
    assert_error(&limited, 429, "rate_limit_exceeded", "rate_limit");
    assert_eq!(limited.line.usage.calls, 0);
}

#[tokio::test]
async fn a_cookie_lives_for_a_second_at_least_while_its_token_is_good() {
    let world = World::with(&[("UNIQOS_ABSOLUTE_SECS", "60")]).await;
    for (millis_before_its_end, max_age) in [(1_001, 2), (1_000, 1), (999, 1), (1, 1)] {
        let token = world.open(T0).await;
        let answer = world.refresh(&token, millis(60_000 - millis_before_its_end)).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert!(answer.header("set-cookie").unwrap().ends_with(&format!("Max-Age={max_age}")), "{answer:?}");
    }
}

#[test]
fn a_function_that_could_not_start_says_where_its_error_is_explained() {
    let id = ulid::Ulid::from_parts(1, 2);
    let settings = [("UNIQOS_DOCUMENTATION_URL", "https://errors.example.com/")];
    for (settings, base) in [(&settings[..], "https://errors.example.com/"), (&[], "https://docs.uniqos.com/errors")] {
        let documentation_url = uniqos_refresh::policy::documentation_url(&mut Reader::new(settings.iter().copied()));
        let cross_site =
            uniqos_refresh::policy::cross_site(&mut Reader::new([("UNIQOS_ALLOWED_ORIGINS", "https://app.example")]));
        let ask = |method: &str| {
            let request = lambda_http::http::Request::builder().method(method).header("origin", "https://app.example");
            uniqos_refresh::response::not_started(
                &cross_site,
                &documentation_url,
                &request.body(lambda_http::Body::Empty).unwrap(),
                id,
            )
        };
        assert_eq!(ask("OPTIONS").headers()["access-control-allow-methods"], "POST");
        assert_eq!(ask("GET").status(), 405);
        let response = ask("POST");
        assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
        let body: serde_json::Value = serde_json::from_slice(response.body().as_ref()).unwrap();
        assert_eq!((response.status().as_u16(), &body["error"]["code"]), (500, &json!("internal_error")));
        assert_eq!(body["error"]["documentation_url"], format!("{base}#internal_error"));
        assert_eq!(body["error"]["request_id"], id.to_string());
    }
}

#[tokio::test]
async fn of_two_cookies_of_one_session_the_newer_counts_so_that_a_stray_one_locks_nobody_out() {
    for order in [[0, 1], [1, 0]] {
        let world = World::new().await;
        let old = world.open(T0).await;
        let newest = world.refresh(&old, secs(10)).await.ok();
        let cookies = order.map(|n| format!("uniqos_refresh={}", [&old, &newest][n]));
        let answer = world.send(event(json!({"cookies": cookies})), secs(100)).await;
        assert_eq!(answer.status, 200, "{order:?}: {}", answer.json());
    }
}
