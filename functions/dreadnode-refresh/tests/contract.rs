//! The contract of `POST /api/v1/auth/refresh`, row by row, as a client sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use dreadnode_refresh::policy::tenant;
use rondo_shared::identity::{OrgKey, Subject};
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::{Cause, Membership, tombstone};
use rondo_shared::store::{Meter, Store as _};
use rondo_tests::world::millis;
use rondo_tests::{T0, secs};
use serde_json::{Value, json};
use world::{
    ATTRIBUTES, Answer, World, assert_common, assert_error, assert_error_by_body, body_event, cookie_event, event,
    with_headers, with_method,
};

const FOREIGN: [(&str, &str); 2] = [("origin", "https://elsewhere.test"), ("sec-fetch-site", "cross-site")];

const OLD_CLIENT: (&str, &str) = ("user-agent", "dreadnode-sdk/1.2.2");

/// No deployment allows more requests at once.
const LIMIT_MAX: usize = 1_000;

fn with_body(mut event: Value, body: &str) -> Value {
    event["body"] = json!(body);
    with_headers(event, &[("content-type", "application/json")])
}

/// Spends what a bucket holds at one instant, and returns the answer that finds it empty.
async fn drain(world: &World, event: &Value, now: Timestamp) -> Answer {
    for _ in 0..=LIMIT_MAX {
        let answer = world.send(event.clone(), now).await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("never limited");
}

#[tokio::test]
async fn a_refresh_answers_with_an_access_token_organizations_and_both_cookies_byte_for_byte() {
    let world = World::new().await;
    world.join("globex", "Globex Corporation", false).await;
    world.join("acme", "Acme & Söhne", true).await;
    let old = world.open(T0).await;
    for (n, by_body) in (1_i64..).zip([false, true]) {
        let answer =
            if by_body { world.refresh_by_body(&old, secs(n)).await } else { world.refresh(&old, secs(n)).await };
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert_common(&answer);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let body = answer.json();
        let access = body["access_token"].as_str().unwrap();
        assert_eq!(access.split('.').count(), 3);
        let acme = json!({"key": "acme", "name": "Acme & Söhne"});
        let orgs = json!([acme, {"key": "globex", "name": "Globex Corporation"}]);
        assert_eq!(body, json!({"access_token": access, "default_org": acme, "orgs": orgs}));
        let refresh = answer.cookie("refresh_token").unwrap();
        assert_ne!(refresh, old);
        let lives_for = 14 * 86_400 - (n - 1);
        assert_eq!(
            answer.cookies(),
            [
                format!("refresh_token={refresh}; {ATTRIBUTES}; Max-Age={lives_for}"),
                format!("access_token={access}; {ATTRIBUTES}; Max-Age=900"),
            ]
        );
        assert!(answer.cookies().iter().all(|set| set.len() <= 4096), "browsers keep no larger cookie");
    }
}

#[tokio::test]
async fn a_user_without_organizations_or_without_a_default_one_is_shown_so() {
    let world = World::new().await;
    let first = world.refresh(&world.open(T0).await, T0).await;
    assert_eq!((&first.json()["default_org"], &first.json()["orgs"]), (&Value::Null, &json!([])));
    world.join("acme", "Acme", false).await;
    let second = world.refresh(&first.ok(), secs(20)).await;
    assert_eq!(second.json()["default_org"], Value::Null);
    assert_eq!(second.json()["orgs"], json!([{"key": "acme", "name": "Acme"}]));
}

#[tokio::test]
async fn settings_change_lifetimes_and_without_secure_both_cookies_go_without() {
    let settings =
        [("DREADNODE_ACCESS_TOKEN_SECS", "60"), ("DREADNODE_IDLE_SECS", "120"), ("INSECURE_COOKIES", "true")];
    let world = World::with(&settings).await;
    let answer = world.refresh(&world.open(T0).await, T0).await;
    let attributes: Vec<_> = answer.cookies().iter().map(|set| set.split_once(';').unwrap().1.to_owned()).collect();
    let expected = |age| format!(" Path=/; HttpOnly; SameSite=Lax; Max-Age={age}");
    assert_eq!(attributes, [expected(120), expected(60)]);
}

#[tokio::test]
async fn an_answer_shows_a_hundred_organizations_and_removed_ones_take_no_place_of_theirs() {
    let world = World::new().await;
    let subject = Subject::new("user-1").unwrap();
    for n in 0..100 {
        let key = Membership::key(&tenant(), &subject, &OrgKey::new(format!("gone-{n:03}")).unwrap());
        world.store().replace(&tombstone(key, T0), &Meter::default()).await.unwrap();
    }
    world.join("here", "Here", true).await;
    let mut token = world.open(T0).await;
    let shown = world.refresh(&token, secs(60)).await;
    assert_eq!(shown.json()["orgs"], json!([{"key": "here", "name": "Here"}]));
    assert_eq!(shown.json()["default_org"]["key"], "here");
    token = shown.ok();
    for n in 0..100 {
        world.join(&format!("org-{n:03}"), "One", false).await;
    }
    let shown = world.refresh(&token, secs(120)).await.json();
    let orgs = shown["orgs"].as_array().unwrap();
    assert_eq!((orgs.len(), &orgs[0]["key"], &orgs[99]["key"]), (100, &json!("here"), &json!("org-098")));
}

#[tokio::test]
async fn the_cookie_counts_before_the_body_and_the_body_only_without_a_cookie_or_with_an_empty_one() {
    for (cookie, body, status) in [
        ("good", "good", 200),
        ("good", "bad", 200),
        ("bad", "good", 401),
        ("", "good", 200),
        ("", "bad", 401),
        ("none", "good", 200),
        ("none", "", 401),
        ("", "", 401),
    ] {
        let world = World::new().await;
        let good = world.open(T0).await;
        let token = |which: &str| if which == "good" { good.clone() } else { which.to_owned() };
        let sent = with_body(event(json!({})), &json!({"refresh_token": token(body)}).to_string());
        let sent = if cookie == "none" {
            sent
        } else {
            with_headers(sent, &[("cookie", &format!("theme=dark; refresh_token={}", token(cookie)))])
        };
        let answer = world.send(sent, secs(1)).await;
        assert_eq!(answer.status, status, "cookie {cookie:?}, body {body:?}: {}", answer.json());
    }
}

#[tokio::test]
async fn of_several_cookies_the_last_counts() {
    for (cookies, status) in [(["good", "bad"], 401), (["bad", "good"], 200), (["good", "good"], 200)] {
        let world = World::new().await;
        let good = world.open(T0).await;
        let values = cookies.map(|which| if which == "good" { good.clone() } else { which.to_owned() });
        let sent = values.each_ref().map(|value| format!("refresh_token={value}"));
        let array = world.send(event(json!({"cookies": sent})), secs(1)).await;
        let header = world.send(with_headers(event(json!({})), &[("Cookie", &sent.join("; "))]), secs(2)).await;
        assert_eq!([array.status, header.status], [status; 2], "{cookies:?}");
    }
}

#[tokio::test]
async fn where_the_last_cookie_is_empty_there_is_none_and_the_body_counts() {
    for (cookies, body, status) in [
        (["refresh_token=bad", "refresh_token="], "good", 200),
        (["refresh_token=good", "refresh_token="], "bad", 401),
        (["refresh_token=good", "refresh_token=\"\""], "bad", 401),
        (["refresh_token=", "refresh_token=good"], "bad", 200),
        // The value of a cookie without a name.
        (["refresh_token=good", "refresh_token"], "bad", 200),
    ] {
        let world = World::new().await;
        let good = world.open(T0).await;
        let cookies = cookies.map(|cookie| cookie.replace("good", &good));
        let token = if body == "good" { &good } else { body };
        let mut sent = body_event(&json!({"refresh_token": token}).to_string());
        sent["cookies"] = json!(cookies);
        let answer = world.send(sent, secs(1)).await;
        assert_eq!(answer.status, status, "{cookies:?} {body}: {}", answer.json());
        assert_eq!(answer.cookies().len(), if status == 200 { 2 } else { 0 }, "no cookie carried what is refused");
    }
}

#[tokio::test]
async fn no_body_an_empty_one_and_null_are_all_accepted_and_so_is_any_json_content_type() {
    let world = World::new().await;
    let mut token = world.open(T0).await;
    for (n, body) in (1_i64..).zip([None, Some(""), Some("null"), Some(" null\n"), Some("\u{feff}null")]) {
        let mut sent = with_headers(cookie_event(&token), &[("content-type", "application/json")]);
        sent["body"] = json!(body);
        token = world.send(sent, secs(20 * n)).await.ok();
    }
    for (n, content_type) in (7_i64..).zip([
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.api+json",
        " application/json ;a=b",
        "",
    ]) {
        let sent = event(json!({"body": json!({"refresh_token": token}).to_string()}));
        token = world.send(with_headers(sent, &[("content-type", content_type)]), secs(20 * n)).await.ok();
    }
    let said_nothing = event(json!({"body": json!({"other": [1], "refresh_token": token}).to_string()}));
    token = world.send(said_nothing, secs(400)).await.ok();
    let form = with_headers(cookie_event(&token), &[("content-type", "application/x-www-form-urlencoded")]);
    world.send(form, secs(420)).await.ok();
}

#[tokio::test]
async fn a_body_in_base64_is_read_like_any_other() {
    let world = World::new().await;
    let mut sent = cookie_event(&world.open(T0).await);
    (sent["body"], sent["isBase64Encoded"]) = (json!("bnVsbA=="), json!(true));
    let token = world.send(sent.clone(), secs(1)).await.ok();
    sent["body"] = json!("e30=");
    assert_error(&world.send(sent.clone(), secs(2)).await, 422, "validation_error");
    // Two bytes that are no UTF-8.
    sent["body"] = json!("//4=");
    assert_error(&world.send(sent, secs(3)).await, 400, "invalid_request_error");
    world.refresh(&token, secs(4)).await.ok();
}

const MISSING: (&str, &str) = ("Field required", "missing");

const NOT_TEXT: (&str, &str) = ("Input should be a valid string", "string_type");

const NOT_OBJECT: (&str, &str) =
    ("Input should be a valid dictionary or object to extract fields from", "model_attributes_type");
const NOT_JSON: (&str, &str) = ("JSON decode error", "json_invalid");

#[tokio::test]
async fn a_body_of_the_wrong_shape_gets_fastapis_items_even_beside_a_good_cookie_and_rotates_nothing() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let field = || json!(["body", "refresh_token"]);
    let rows = [
        ("{}", field(), MISSING),
        (r#"{"refreshToken":"x"}"#, field(), MISSING),
        (r#"{"refresh_token":null}"#, field(), NOT_TEXT),
        (r#"{"refresh_token":17}"#, field(), NOT_TEXT),
        (r#"{"refresh_token":true}"#, field(), NOT_TEXT),
        (r#"{"refresh_token":["x"]}"#, field(), NOT_TEXT),
        (r#"{"refresh_token":{"a":"x"}}"#, field(), NOT_TEXT),
        (r#"{"refresh_token":"x","refresh_token":1}"#, field(), NOT_TEXT),
        ("[]", json!(["body"]), NOT_OBJECT),
        (r#"[{"refresh_token":"x"}]"#, json!(["body"]), NOT_OBJECT),
        (r#""text""#, json!(["body"]), NOT_OBJECT),
        ("17", json!(["body"]), NOT_OBJECT),
        ("true", json!(["body"]), NOT_OBJECT),
        ("{", json!(["body", 1]), NOT_JSON),
        ("not json", json!(["body", 0]), NOT_JSON),
        (" ", json!(["body", 1]), NOT_JSON),
        (r#"{"refresh_token":"#, json!(["body", 17]), NOT_JSON),
        (r#"{"refresh_token":"x"#, json!(["body", 17]), NOT_JSON),
        (r#"{"refresh_token":"é"} trailing"#, json!(["body", 22]), NOT_JSON),
        ("{'refresh_token':'x'}", json!(["body", 1]), NOT_JSON),
    ];
    for (n, (body, loc, (msg, kind))) in (0_i64..).zip(rows) {
        for sent in [body_event(body), with_body(cookie_event(&token), body)] {
            let answer = world.send(sent, secs(n)).await;
            let items = assert_error(&answer, 422, "validation_error");
            assert_eq!(items, json!([{"loc": loc, "msg": msg, "type": kind}]), "{body}");
            assert_eq!(answer.line.usage.calls, 0);
        }
    }
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), ["GEN#0000000000"]);
    world.refresh(&token, secs(100)).await.ok();
}

#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_no_object_whatever_it_is() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let good = json!({"refresh_token": token}).to_string();
    let content_types = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/jsonp",
        "application/json/x",
        "json",
        "application/json, text/plain",
    ];
    for content_type in content_types {
        for body in [good.as_str(), "null", "{", "refresh_token=x"] {
            let sent = with_headers(event(json!({"body": body})), &[("content-type", content_type)]);
            let items = assert_error(&world.send(sent, T0).await, 422, "validation_error");
            assert_eq!(items, json!([{"loc": ["body"], "msg": NOT_OBJECT.0, "type": NOT_OBJECT.1}]), "{content_type}");
        }
    }
    world.refresh(&token, secs(1)).await.ok();
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_malformed_request() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let large = json!({"refresh_token": token, "padding": "x".repeat(16 * 1024)}).to_string();
    for body in [large.as_str(), &"x".repeat(1_000_000), &"[".repeat(1_000)] {
        assert_error(&world.send(body_event(body), T0).await, 400, "invalid_request_error");
        assert_error(&world.send(with_body(cookie_event(&token), body), T0).await, 400, "invalid_request_error");
    }
    world.refresh(&token, secs(1)).await.ok();
}

#[tokio::test]
async fn a_token_that_does_not_count_is_unauthenticated_and_the_cookies_that_carried_it_are_cleared() {
    let world = World::new().await;
    let expired = world.open(secs(-14 * 86_400)).await;
    let token = world.open(T0).await;
    let (signed, _) = token.rsplit_once('.').unwrap();
    for bad in [expired.as_str(), "x", "a.b.c", &format!("{signed}.AAAA"), signed, &"x".repeat(5_000)] {
        let (in_cookie, in_body) = (world.refresh(bad, secs(1)).await, world.refresh_by_body(bad, secs(1)).await);
        assert_error(&in_cookie, 401, "authentication_error");
        assert_error_by_body(&in_body, 401, "authentication_error");
        assert_eq!((in_cookie.line.usage.calls, in_body.line.usage.calls), (0, 0));
    }
    for nothing in [event(json!({})), body_event("null"), body_event(r#"{"refresh_token":""}"#), cookie_event("")] {
        let answer = world.send(nothing, secs(1)).await;
        assert_error(&answer, 401, "authentication_error");
        assert_eq!(answer.line.cause, Some("no_token"));
        assert!(answer.cookies().is_empty(), "there may be a good access token");
    }
    world.refresh(&token, secs(2)).await.ok();
}

#[tokio::test]
async fn with_grace_off_a_second_request_for_one_token_is_told_that_the_successor_exists() {
    let world = World::with(&[("DREADNODE_GRACE_SECS", "0")]).await;
    let old = world.open(T0).await;
    let newest = world.refresh(&old, T0).await.ok();
    for since_rotation in [0, 1, 1_999] {
        assert_error(&world.refresh(&old, millis(since_rotation)).await, 409, "already_exists_error");
    }
    let newest = world.refresh(&newest, secs(3)).await.ok();
    assert!(!world.dynamo.sort_keys("FAMILY#").contains(&"SEAL".to_owned()), "nothing is revoked");
    assert_error(&world.refresh(&old, secs(3)).await, 401, "authentication_error");
    assert_error(&world.refresh(&newest, secs(4)).await, 401, "authentication_error");
}

#[tokio::test]
async fn clients_below_the_minimum_version_are_told_to_upgrade_and_others_are_served() {
    let world = World::with(&[("DREADNODE_MIN_CLIENT_VERSION", "1.2.3")]).await;
    let mut token = world.open(T0).await;
    for user_agent in ["dreadnode-sdk/1.2.2", "dreadnode-cli/0.9", "dreadnode-cli/1.2.2 python/3.12"] {
        let answer = world.send(with_headers(cookie_event(&token), &[("user-agent", user_agent)]), secs(1)).await;
        assert_error(&answer, 426, "upgrade_required_error");
        assert_eq!(answer.line.usage.calls, 0);
    }
    let served = ["dreadnode-sdk/1.2.3", "dreadnode-cli/1.10.0", "dreadnode-sdk/unknown", "Mozilla/5.0", ""];
    for (n, user_agent) in (1_i64..).zip(served) {
        let sent = with_headers(cookie_event(&token), &[("user-agent", user_agent)]);
        token = world.send(sent, secs(20 * n)).await.ok();
    }
    let off = World::new().await;
    let token = off.open(T0).await;
    off.send(with_headers(cookie_event(&token), &[OLD_CLIENT]), secs(1)).await.ok();
}

#[tokio::test]
async fn an_empty_bucket_says_when_to_come_back_never_speaks_of_credit_and_rotates_nothing() {
    let world = World::new().await;
    world.put_user(&dreadnode_refresh::policy::tenant(), "user-2").await;
    let (_, neighbour) = world.open_for("user-2", T0).await;
    let other_session = world.open(T0).await;
    let token = world.open(T0).await;
    let newest = world.refresh(&token, T0).await.ok();
    let limited = drain(&world, &cookie_event(&newest), T0).await;
    let before = world.dynamo.sort_keys("FAMILY#");
    let remembered = world.refresh(&newest, T0).await;
    let of_same_user = world.refresh_by_body(&other_session, T0).await;
    for answer in [&limited, &remembered, &of_same_user] {
        assert_error(answer, 429, "rate_limit_error");
        assert!(!answer.json().to_string().to_lowercase().contains("credit"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(world.dynamo.sort_keys("FAMILY#"), before);
    world.refresh(&neighbour, T0).await.ok();
    world.refresh(&other_session, secs(1)).await.ok();
}

#[tokio::test]
async fn requests_whose_token_does_not_verify_are_limited_by_address_at_no_cost() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let answer = drain(&world, &event(json!({})), T0).await;
    assert_error(&answer, 429, "rate_limit_error");
    assert_eq!(answer.line.usage.calls, 0);
    let mut elsewhere = event(json!({}));
    elsewhere["requestContext"]["http"]["sourceIp"] = json!("198.51.100.9");
    assert_eq!(world.send(elsewhere, T0).await.status, 401, "another address is not limited");
    world.refresh(&token, T0).await.ok();
    assert_eq!(world.send(event(json!({})), secs(1)).await.status, 401);
}

#[tokio::test]
async fn a_keyring_that_cannot_be_read_leaves_a_token_of_an_unknown_key_undecided_and_is_our_fault() {
    let path = std::env::temp_dir().join(format!("rondo-dreadnode-lost-{}.json", std::process::id()));
    std::fs::write(&path, world::keyring_document().to_string()).unwrap();
    let world = World::with(&[("KEYRING_FILE", path.to_str().unwrap())]).await;
    let mut newer = world::keyring_document();
    newer["products"]["dreadnode"]["mac"][0]["kid"] = json!("m2");
    let keys = rondo_shared::keyring::ProductKeys::parse(&newer.to_string(), "dreadnode").unwrap();
    let authority = &world.app.policy().authority;
    let (_, token) = world.open_as(&dreadnode_refresh::policy::tenant(), "user-1", authority, &keys, T0).await;
    std::fs::remove_file(&path).unwrap();
    let failed = world.refresh(&token, secs(60)).await;
    assert_error(&failed, 500, "app_error");
    assert_eq!(failed.line.outcome, "failed");
    std::fs::write(&path, newer.to_string()).unwrap();
    world.refresh(&token, secs(120)).await.ok();
    std::fs::remove_file(&path).unwrap();
}

/// Each request is wrong in one way more than the one after it; the answer tells the first.
#[tokio::test]
async fn a_request_that_is_wrong_in_several_ways_is_told_the_first_in_the_contracts_order() {
    let settings = [
        ("DREADNODE_MIN_CLIENT_VERSION", "1.2.3"),
        ("DREADNODE_ADDRESS_RATE_LIMIT", "1"),
        ("DREADNODE_RATE_LIMIT", "1"),
    ];
    let world = World::with(&settings).await;
    let sealed = world.open(T0).await;
    world.end_sessions(Cause::SignOut, T0).await;
    let broken = || with_headers(with_body(cookie_event("x"), "{"), &FOREIGN);
    let sent = [
        (405, with_method(with_headers(broken(), &[OLD_CLIENT]), "GET")),
        (204, with_method(with_headers(broken(), &[OLD_CLIENT]), "OPTIONS")),
        (426, with_headers(broken(), &[OLD_CLIENT])),
        (422, broken()),
        (403, with_headers(cookie_event("x"), &FOREIGN)),
        (401, cookie_event("x")),
        (429, cookie_event("x")),
        (422, broken()),
        (403, with_headers(cookie_event("x"), &FOREIGN)),
        (401, cookie_event(&sealed)),
    ];
    for (status, event) in sent {
        let answer = world.send(event, secs(1)).await;
        assert_eq!(answer.status, status, "{}", answer.json());
    }
    // A bucket that is empty is told before what the store would say of the session.
    let old = world.open(secs(2)).await;
    let newest = world.refresh(&old, secs(2)).await.ok();
    world.end_sessions(Cause::AccountSuspended, secs(2)).await;
    assert_eq!(world.refresh(&newest, secs(2)).await.status, 429);
    assert_eq!(world.refresh(&newest, secs(3)).await.status, 403);
}
