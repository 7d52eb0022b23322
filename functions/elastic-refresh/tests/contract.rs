//! The contract of `POST /api/v1/users/auth/_refresh`, row by row, as a client sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use elastic_refresh::{App, BootError, configure, response};
use lambda_http::{Body, Response};
use rondo_shared::config::Reader;
use rondo_shared::keyring::KeyringError;
use rondo_shared::moment::Timestamp;
use rondo_tests::LocalDynamo;
use serde_json::{Value, json};
use ulid::Ulid;
use world::{
    Answer, CONSOLE, PASSWORD, PATH, T0, TOKEN_SECS, World, assert_common, authorized, basic, bearer, claims_of, event,
    from_address, good_header, header_of, is_a_valid_access_token, keyring_document, keyring_file, millis, request_of,
    retired_key, secs, signed, variables, with_header, with_method,
};

const CORS_HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

#[tokio::test]
async fn a_refresh_answers_the_next_token_and_its_expiry_and_nothing_else() {
    let world = World::new().await;
    let (family, old) = world.open_for("user-1", T0).await;
    let answer = world.refresh(&old, millis(90_999)).await;
    let new = answer.ok();
    assert_ne!(new, old);
    assert_eq!(answer.json(), json!({"token": new, "session_expiration_time": "2026-11-22T11:01:30.000Z"}));

    assert_eq!(header_of(&new), good_header());
    assert!(is_a_valid_access_token(&new, secs(91)));
    let claims = claims_of(&new);
    assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some("user-1"), Some("elastic")));
    assert_eq!(claims["sid"], family.to_string());
    assert_eq!((claims["iat"].as_i64(), claims["gen"].as_i64()), (Some(secs(90).secs()), Some(1)));
    assert_eq!(claims["exp"].as_i64(), Some(secs(90 + TOKEN_SECS).secs()));
    assert_ne!(claims["jti"], claims_of(&old)["jti"]);
    assert_eq!((answer.line.outcome, answer.line.family, answer.line.generation), ("rotated", Some(family), Some(0)));
}

#[tokio::test]
async fn a_refresh_costs_one_charge_one_put_and_one_query() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let answer = world.refresh(&token, secs(60)).await;
    answer.ok();
    assert_eq!((answer.line.usage.calls, answer.line.usage.write_units), (3, 2.0));
    let mut attempts = world.faults.take_attempts();
    attempts.sort();
    assert_eq!(attempts, ["PutItem", "Query", "UpdateItem"]);
}

#[tokio::test]
async fn a_token_is_good_until_the_second_of_its_expiry() {
    let world = World::new().await;
    for (since, good) in [(TOKEN_SECS * 1000 - 1, true), (TOKEN_SECS * 1000, false), (TOKEN_SECS * 1000 + 1, false)] {
        let token = world.open(T0).await;
        let answer = world.refresh(&token, millis(since)).await;
        if good {
            answer.ok();
        } else {
            answer.assert_unauthorized();
            assert_eq!((answer.line.cause, answer.line.usage.calls), (Some("expired"), 0));
        }
    }
}

#[tokio::test]
async fn a_session_ends_after_a_day_however_much_it_is_used() {
    let world = World::new().await;
    let (day, step) = (24 * 3_600, TOKEN_SECS - 60);
    let (mut token, mut now) = (world.open(T0).await, 0);
    while now + step < day {
        now += step;
        token = world.refresh(&token, secs(now)).await.ok();
        assert_eq!(claims_of(&token)["exp"].as_i64(), Some(secs((now + TOKEN_SECS).min(day)).secs()));
    }
    let last = world.refresh(&token, secs(day - 1)).await.ok();
    assert_eq!(claims_of(&last)["exp"].as_i64(), Some(secs(day).secs()));
    world.refresh(&last, secs(day)).await.assert_unauthorized();
}

#[tokio::test]
async fn the_scheme_compares_without_case_and_spaces_around_do_not_count() {
    let world = World::new().await;
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer    ", " Bearer  "] {
        let token = world.open(T0).await;
        world.send(authorized(&format!("{scheme}{token} ")), secs(1)).await.ok();
    }
    let mut named = event(json!({}));
    named["headers"]["AUTHORIZATION"] = json!(format!("Bearer {}", world.open(T0).await));
    world.send(named, secs(1)).await.ok();
}

#[tokio::test]
async fn without_credentials_that_count_the_answer_is_unauthorized_and_no_store_call_is_made() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let cookie = event(json!({"cookies": [format!("token={token}"), format!("authorization=Bearer {token}")]}));
    for (n, (what, event)) in (0..).zip([
        ("nothing", event(json!({}))),
        ("an empty header", authorized("")),
        ("an API key", authorized("ApiKey dGVzdDp0ZXN0")),
        ("an API key that is our token", authorized(&format!("ApiKey {token}"))),
        ("another scheme", authorized("Digest username=\"user-1\"")),
        ("a token without a scheme", authorized(&token)),
        ("a scheme without a token", authorized("Bearer")),
        ("a scheme and a space", authorized("Bearer ")),
        ("a scheme that only begins so", authorized(&format!("Bearers {token}"))),
        ("a quoted token", authorized(&format!("Bearer \"{token}\""))),
        ("two tokens in one header", authorized(&format!("Bearer {token},Bearer {token}"))),
        ("a token and a login in one header", authorized(&format!("Bearer {token}, Basic dGVzdDp0ZXN0"))),
        ("the token in a cookie", cookie),
        ("the token in another header", with_header(event(json!({})), "x-authorization", &format!("Bearer {token}"))),
    ]) {
        let answer = world.send(from_address(event, &format!("198.51.100.{n}")), secs(1)).await;
        answer.assert_unauthorized();
        assert_eq!((answer.line.usage.calls, world.take_hashes()), (0, 0), "{what}");
    }
    world.refresh(&token, secs(2)).await.ok();
}

#[tokio::test]
async fn several_authorization_headers_are_unauthorized_whatever_they_say() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let good = format!("Bearer {token}");
    for both in [[good.as_str(), good.as_str()], [&good, "ApiKey x"], ["Basic dGVzdDp0ZXN0", &good], ["", &good]] {
        let event = json!({
            "resource": PATH, "path": PATH, "httpMethod": "POST", "isBase64Encoded": false,
            "headers": {"Authorization": both[1]}, "multiValueHeaders": {"Authorization": both},
            "requestContext": {"stage": "prod", "httpMethod": "POST", "protocol": "HTTP/1.1",
                               "identity": {"sourceIp": "192.0.2.1"}}});
        let answer = world.send(event, secs(1)).await;
        answer.assert_unauthorized();
        assert_eq!(answer.line.cause, Some("several_credentials"));
    }
    world.refresh(&token, secs(2)).await.ok();
}

#[tokio::test]
async fn a_session_that_was_ended_is_unauthorized_on_every_instance() {
    let world = World::new().await;
    let (family, token) = world.open_for("user-1", T0).await;
    world.sign_out(family, secs(1)).await;
    for app in [&world.app, &world.another_instance()] {
        let answer = world::send_to(app, bearer(&token), secs(2)).await;
        answer.assert_unauthorized();
        assert_eq!((answer.line.outcome, answer.line.cause), ("refused", Some("sign_out")));
    }
    let remembered = world.refresh(&token, secs(3)).await;
    remembered.assert_unauthorized();
    assert_eq!(remembered.line.usage.calls, 0, "a dead token costs its owner nothing");
}

#[tokio::test]
async fn sessions_opened_before_the_global_sign_out_are_unauthorized() {
    let mut world = World::new().await;
    let (before, after) = (world.open(T0).await, world.open(secs(60)).await);
    world.restart_with(&[("SESSIONS_NOT_BEFORE", "2026-11-22T10:01:00Z")]);
    let answer = world.refresh(&before, secs(61)).await;
    answer.assert_unauthorized();
    assert_eq!(answer.line.cause, Some("sessions_not_before"));
    world.refresh(&after, secs(61)).await.ok();
}

#[tokio::test]
async fn a_token_signed_with_a_retired_key_is_refreshed_and_the_next_one_is_by_the_active_key() {
    let world = World::new().await;
    let claims = claims_of(&world.open(T0).await);
    let by_retired = signed(&json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "e0"}), &claims, &retired_key());
    let next = world.refresh(&by_retired, secs(1)).await.ok();
    assert_eq!(header_of(&next)["kid"], "e1");
}

#[tokio::test]
async fn a_user_who_refreshes_too_often_is_told_when_to_come_back_and_loses_nothing() {
    let world = World::with(&[("ELASTIC_RATE_LIMIT", "2")]).await;
    world.put_user("user-2", rondo_shared::store::item::AccountStatus::Active).await;
    let (_, other) = world.open_for("user-2", T0).await;
    let mut token = world.open(T0).await;
    for _ in 0..2 {
        token = world.refresh(&token, secs(1)).await.ok();
    }
    let answer = world.refresh(&token, secs(1)).await;
    assert_eq!(answer.assert_limited(), 1);
    assert_eq!(answer.line.outcome, "limited");
    assert_eq!(world.refresh(&token, secs(1)).await.line.usage.calls, 0, "the instance remembers");
    world.refresh(&other, secs(1)).await.ok();
    world.refresh(&token, secs(2)).await.ok();
}

#[tokio::test]
async fn an_address_that_sends_garbage_is_limited_without_a_store_call_and_nobody_else_is() {
    let world = World::with(&[("ELASTIC_ADDRESS_RATE_LIMIT", "3")]).await;
    let token = world.open(T0).await;
    for _ in 0..3 {
        world.refresh("garbage", secs(1)).await.assert_unauthorized();
    }
    let limited = world.refresh("garbage", secs(1)).await;
    assert_eq!(limited.assert_limited(), 1);
    assert_eq!((limited.line.cause, limited.line.usage.calls), (Some("address"), 0));
    let elsewhere = world.send(from_address(bearer("garbage"), "198.51.100.1"), secs(1)).await;
    elsewhere.assert_unauthorized();
    world.refresh(&token, secs(1)).await.ok();
    world.refresh("garbage", secs(2)).await.assert_unauthorized();
}

#[tokio::test]
async fn other_methods_are_told_which_one_is_allowed() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
        let answer = world.send(with_method(bearer(&token), method), secs(1)).await;
        answer.assert_error(405, "root.method_not_allowed", "This endpoint answers POST only.");
        assert_eq!(answer.header("allow"), Some("POST, OPTIONS"));
        assert_eq!(answer.line.usage.calls, 0);
    }
    world.refresh(&token, secs(1)).await.ok();
}

#[track_caller]
fn assert_cors(answer: &Answer, expected: [Option<&str>; 6]) {
    assert_eq!(CORS_HEADERS.map(|name| answer.header(name)), expected);
    assert_eq!(answer.header("vary"), Some("Origin"));
}

#[tokio::test]
async fn a_browser_of_a_listed_origin_may_call_and_read_what_the_answer_tells() {
    let world = World::new().await;
    let exposed = Some("x-request-id, x-cloud-error-codes, retry-after");
    let preflight = with_header(with_method(event(json!({})), "OPTIONS"), "origin", CONSOLE);
    let preflight = with_header(preflight, "access-control-request-headers", "authorization");
    let answer = world.send(preflight, secs(1)).await;
    assert_eq!(answer.status, 204);
    let allowed = Some("content-type, authorization");
    assert_cors(&answer, [Some(CONSOLE), Some("true"), Some("POST"), allowed, exposed, Some("7200")]);
    for event in [bearer(&world.open(T0).await), bearer("garbage"), with_method(event(json!({})), "GET")] {
        let answer = world.send(with_header(event, "origin", CONSOLE), secs(1)).await;
        assert_cors(&answer, [Some(CONSOLE), Some("true"), None, None, exposed, None]);
    }
}

#[tokio::test]
async fn another_origin_is_told_nothing_and_refused_nothing_since_no_cookie_authenticates() {
    let world = World::new().await;
    for origin in
        ["https://evil.example", "null", "https://console.elastic.test.evil.example", "http://console.elastic.test"]
    {
        let preflight = with_header(with_method(event(json!({})), "OPTIONS"), "origin", origin);
        let answer = world.send(preflight, secs(1)).await;
        assert_eq!(answer.status, 204);
        assert_cors(&answer, [None; 6]);
        let call = with_header(bearer(&world.open(T0).await), "origin", origin);
        let answer = world.send(with_header(call, "sec-fetch-site", "cross-site"), secs(1)).await;
        answer.ok();
        assert_cors(&answer, [None; 6]);
    }
}

#[tokio::test]
async fn a_body_is_ignored_whatever_it_is() {
    let world = World::new().await;
    let long = "x".repeat(1_000_000);
    for (body, base64) in [
        ("", false),
        ("{}", false),
        ("null", false),
        ("{\"token\":\"x\"}", false),
        ("{\"broken\":", false),
        ("\u{0}", false),
        (long.as_str(), false),
        ("//4=", true),
        ("%%%", true),
    ] {
        let mut event = bearer(&world.open(T0).await);
        (event["body"], event["isBase64Encoded"]) = (json!(body), json!(base64));
        event["headers"]["content-type"] = json!("text/plain");
        world.send(event, secs(1)).await.ok();
    }
}

#[tokio::test]
async fn the_settings_of_a_deployment_are_obeyed() {
    let world = World::with(&[
        ("ELASTIC_TOKEN_SECS", "120"),
        ("ELASTIC_ABSOLUTE_SECS", "200"),
        ("ELASTIC_ISSUER", "https://ece.example"),
        ("ELASTIC_AUDIENCE", "https://api.ece.example"),
    ])
    .await;
    let token = world.refresh(&world.open(T0).await, secs(10)).await.ok();
    let claims = claims_of(&token);
    assert_eq!(
        (claims["iss"].as_str(), claims["aud"].as_str()),
        (Some("https://ece.example"), Some("https://api.ece.example"))
    );
    assert_eq!(claims["exp"].as_i64(), Some(secs(130).secs()));
    assert_eq!(claims_of(&world.refresh(&token, secs(110)).await.ok())["exp"].as_i64(), Some(secs(200).secs()));
}

/// The answer of a function whose deployment set these variables, where that keeps it from starting.
fn answer_without_starting(variables: &[(String, String)], dynamo: &LocalDynamo, event: &Value) -> Response<Body> {
    let booted = configure(Reader::new(variables.iter().cloned())).and_then(|(common, policy)| {
        App::new(common, policy, dynamo.store(rondo_tests::dynamo::plain_http()), T0).map(|_| ())
    });
    let error: BootError = booted.expect_err("it cannot start");
    let cross_site = elastic_refresh::policy::cross_site(&mut Reader::new::<String, String>([]));
    let response = response::not_started(&error, &cross_site, &request_of(event), Ulid::from_parts(1, 2));
    assert_common(&response);
    response
}

#[tokio::test]
async fn a_deployment_without_a_store_or_keys_for_the_product_says_that_it_is_not_configured() {
    let dynamo = LocalDynamo::start().await;
    let mut of_another = keyring_document();
    of_another["products"]["another"] = of_another["products"]["elastic"].take();
    of_another["products"].as_object_mut().unwrap().remove("elastic");
    let of_another = keyring_file("of-another", &of_another);
    let good = variables(&dynamo);
    let without = |name: &str| good.iter().filter(|(n, _)| n != name).cloned().collect::<Vec<_>>();
    let with = |name: &str, value: &str| {
        let mut variables = without(name);
        variables.push((name.to_owned(), value.to_owned()));
        variables
    };
    let told = json!({"errors": [{"code": "authc.no_authentication_cluster",
        "message": "The administrator needs to configure the authentication cluster."}]});
    for variables in [
        without("TABLE_NAME"),
        with("TABLE_NAME", ""),
        without("KEYRING_FILE"),
        with("KEYRING_FILE", " "),
        with("KEYRING_FILE", of_another.to_str().unwrap()),
        Vec::new(),
    ] {
        for event in [bearer("x.y.z"), basic("user-1", PASSWORD), event(json!({}))] {
            let response = answer_without_starting(&variables, &dynamo, &event);
            assert_eq!(response.status(), 501);
            assert_eq!(serde_json::from_slice::<Value>(response.body().as_ref()).unwrap(), told);
            assert_eq!(response.headers()["x-cloud-error-codes"], "authc.no_authentication_cluster");
        }
        let response = answer_without_starting(&variables, &dynamo, &with_method(bearer("x.y.z"), "GET"));
        assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "POST, OPTIONS"));
    }
    // A stack is deployed before `rondo keys init` gives its secret a value.
    let yet_empty = BootError::from(KeyringError::Absent("secret rondo/keyring".to_owned()));
    assert!(matches!(yet_empty, BootError::NotConfigured(_)), "{yet_empty:?}");
    for variables in [
        with("ELASTIC_GRACE_SECS", "301"),
        with("KEYRING_FILE", "no/such/file.json"),
        with("KEYRING_FILE", keyring_file("broken", &json!({"version": 1})).to_str().unwrap()),
    ] {
        let response = answer_without_starting(&variables, &dynamo, &bearer("x.y.z"));
        assert_eq!(response.status(), 502, "configured, and wrongly");
        assert_eq!(response.headers()["x-cloud-error-codes"], "authc.authentication_cluster_error");
    }
}

#[tokio::test]
async fn an_instance_without_randomness_still_tells_a_browser_who_may_call() {
    let origins = [("ELASTIC_ALLOWED_ORIGINS", "https://app.example")];
    let cross_site = elastic_refresh::policy::cross_site(&mut Reader::new(origins));
    for (method, status) in [("POST", 502), ("OPTIONS", 204), ("GET", 405)] {
        let mut sent = with_method(bearer("x.y.z"), method);
        sent["headers"]["origin"] = json!("https://app.example");
        let response = response::without_randomness(&cross_site, &request_of(&sent));
        assert_common(&response);
        assert_eq!(response.status(), status, "{method}");
        assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example", "{method}");
        assert_eq!(response.headers().contains_key("access-control-allow-methods"), method == "OPTIONS");
    }
}

#[tokio::test]
async fn the_time_told_is_the_expiry_of_the_token_beside_it_whichever_millisecond_it_is_made_in() {
    let world = World::new().await;
    let mut token = world.open(T0).await;
    for at in [1, 999, 1_000, 61_500, 3_000_123] {
        let answer = world.refresh(&token, millis(at)).await;
        token = answer.ok();
        let told = answer.json()["session_expiration_time"].as_str().unwrap().to_owned();
        assert_eq!(Timestamp::parse(&told).unwrap().secs(), claims_of(&token)["exp"].as_i64().unwrap());
        assert_eq!(told.len(), "2026-11-21T23:58:13.302Z".len());
    }
}
