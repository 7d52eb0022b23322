//! The contract of `POST /api/v6/{projectId}/auth/request-new-access-token`, row by row, as a client sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_shared::store::item::Cause;
use rondo_tests::{Fault, T0, secs};
use serde_json::{Value, json};
use world::{
    ACTIVE_MAC_KEY, Answer, FOREIGN, NO_USER, NOBODY, NOT_RECOGNIZED, PROJECT, RATE_HEADERS, SESSION_SECS, USER, World,
    assert_common, assert_says, at_path, base64url, claims_of, cookie_event, event, from_address, in_project, invalid,
    part_of, send_from, signed, token_event, with_body, with_claims, with_header, with_headers, with_method,
};

const MALFORMED: &str = r#"{"error":"The request body is not a JSON object.","code":"auth/invalid-request"}"#;

const TOO_LARGE: &str = r#"{"error":"The request body is too large.","code":"auth/invalid-request"}"#;

const LIMITED: &str = "Too many attempts to request a new access token, please wait 5 minutes";

const FOREIGN_SITE: (&str, &str) = ("origin", "https://elsewhere.test");

#[tokio::test]
async fn row_1_without_a_token_nobody_is_signed_in_whatever_the_project() {
    let world = World::new().await;
    let empty_cookie = event(json!({"cookies": ["replyke-refresh-jwt="]}));
    let quoted = event(json!({"cookies": ["replyke-refresh-jwt=\"\""]}));
    let requests = [
        event(json!({})),
        with_body(event(json!({})), ""),
        with_body(event(json!({})), "{}"),
        with_body(event(json!({})), r#"{"refresh_token":"x"}"#),
        token_event(Value::Null),
        token_event(json!("")),
        empty_cookie.clone(),
        quoted,
        with_body(empty_cookie, r#"{"refreshToken":""}"#),
        in_project(event(json!({})), "no-such-project"),
        in_project(event(json!({})), "no tenant: at all"),
        at_path(event(json!({})), "/"),
        with_headers(event(json!({})), &[("authorization", "Bearer x.y.z")]),
        with_headers(event(json!({})), &[FOREIGN_SITE]),
    ];
    for (n, request) in requests.into_iter().enumerate() {
        let answer = send_from(&world, n, request).await;
        assert_says(&answer, 200, NOBODY);
        assert_eq!((answer.line.usage.calls, answer.line.outcome), (0, "nobody"));
    }
}

#[tokio::test]
async fn row_2_a_token_that_is_none_or_does_not_verify_is_told_why_in_the_librarys_words() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let parts: Vec<&str> = good.split('.').collect();
    let (head, payload, signature) = (parts[0], parts[1], parts[2]);
    let header = part_of(&good, 0);
    let unsigned = base64url(json!({"alg": "none", "typ": "rt+jwt", "kid": "m1"}).to_string());
    let last_exchanged = |from: &str| {
        let (rest, last) = from.split_at(from.len() - 1);
        format!("{rest}{}", if last == "-" { "_" } else { "-" })
    };
    let expectations: Vec<(&str, String)> = vec![
        ("jwt expired", with_claims(&good, &json!({"exp": secs(0).secs()}))),
        ("jwt expired", with_claims(&good, &json!({"exp": secs(1).secs()}))),
        ("jwt not active", with_claims(&good, &json!({"nbf": secs(2).secs()}))),
        ("invalid signature", format!("{head}.{payload}.{}", base64url([7; 32]))),
        ("invalid signature", format!("{head}.{payload}.AAAA")),
        ("invalid signature", last_exchanged(&good)),
        ("invalid signature", good[..good.len() - 1].to_owned()),
        ("invalid signature", format!("{good}A")),
        ("invalid signature", format!("{good}AA")),
        ("invalid signature", signed(&header, &claims_of(&good), &[9; 32])),
        ("invalid signature", signed(&header, &json!({"sub": "user-2"}), &[9; 32])),
        ("invalid signature", with_header(&good, &json!({"kid": "m9"}))),
        ("invalid signature", with_header(&good, &json!({"kid": null}))),
        ("invalid signature", with_header(&good, &json!({"kid": "s1"}))),
        ("jwt malformed", "garbage".to_owned()),
        ("jwt malformed", " ".to_owned()),
        ("jwt malformed", "null".to_owned()),
        ("jwt malformed", format!("{head}.{payload}")),
        ("jwt malformed", format!("{good}.four")),
        ("jwt malformed", format!("Bearer{good}{}", "x".repeat(5_000))),
        ("invalid token", "a.b.c".to_owned()),
        ("invalid token", "..".to_owned()),
        ("invalid token", format!("{head}.{}.{signature}", base64url("not json"))),
        ("invalid token", format!("{}.{payload}.{signature}", base64url("[]"))),
        ("invalid token", format!("{head}.{payload}.!!!")),
        ("invalid token", format!("{good}=")),
        ("jwt signature is required", format!("{head}.{payload}.")),
        ("jwt signature is required", format!("{unsigned}.{payload}.")),
        ("invalid algorithm", format!("{unsigned}.{payload}.{signature}")),
        ("invalid algorithm", with_header(&good, &json!({"alg": "none"}))),
        ("invalid algorithm", with_header(&good, &json!({"alg": "RS256"}))),
        ("invalid algorithm", with_header(&good, &json!({"alg": "HS512"}))),
        ("invalid algorithm", with_header(&good, &json!({"alg": "EdDSA"}))),
        ("invalid algorithm", with_header(&good, &json!({"alg": null}))),
        ("invalid token", with_header(&good, &json!({"typ": "at+jwt"}))),
    ];
    for (n, (details, token)) in expectations.iter().enumerate() {
        for request in [token_event(json!(token)), cookie_event(token)] {
            if token.trim().is_empty() && request["cookies"].is_array() {
                continue; // A cookie of blanks is an empty one.
            }
            let answer = send_from(&world, n, request).await;
            assert_eq!(answer.json()["details"], *details, "{token}");
            assert_says(&answer, 403, &invalid(details));
            assert_eq!(answer.line.usage.calls, 0, "{token}");
        }
    }
    world.by_cookie(&good, secs(1)).await.ok();
}

#[tokio::test]
async fn row_2_a_token_in_the_body_that_is_no_text_must_be_a_string() {
    let world = World::new().await;
    let others = [
        json!(1),
        json!(0),
        json!(-1.5),
        json!(true),
        json!(false),
        json!({}),
        json!({"a": 1}),
        json!([]),
        json!(["x"]),
    ];
    for other in others {
        assert_says(&world.send(token_event(other), T0).await, 403, &invalid("jwt must be a string"));
    }
}

#[tokio::test]
async fn row_2_a_token_expires_to_the_second() {
    let world = World::new().await;
    let token = with_claims(&world.open(T0).await, &json!({"exp": secs(100).secs(), "nbf": secs(50).secs()}));
    assert_says(&world.by_body(&token, secs(49)).await, 403, &invalid("jwt not active"));
    world.by_body(&token, secs(50)).await.ok();
    world.by_body(&token, secs(99)).await.ok();
    for now in [100, 101] {
        assert_says(&world.by_body(&token, secs(now)).await, 403, &invalid("jwt expired"));
    }
}

#[tokio::test]
async fn row_3_a_token_of_ours_that_is_not_of_this_project_or_lacks_a_claim_is_invalid() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let strange = [
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": 7}),
        json!({"ten": null}),
        json!({"ten": "replyke"}),
        json!({"ten": "replyke:project-2"}),
        json!({"ten": "uniqos"}),
        json!({"ten": format!("uniqos:{PROJECT}")}),
        json!({"sid": null}),
        json!({"sid": "a#b"}),
        json!({"gen": -1}),
        json!({"gen": u32::MAX}),
        json!({"exp": null}),
        json!({"iss": "elsewhere.test"}),
        json!({"aud": "elsewhere.test"}),
    ];
    for (n, changes) in strange.iter().enumerate() {
        let token = with_claims(&good, changes);
        for request in [token_event(json!(token)), cookie_event(&token)] {
            let answer = send_from(&world, n, request).await;
            assert_eq!(answer.text(), FOREIGN, "{changes}");
            assert_says(&answer, 403, FOREIGN);
            assert_eq!(answer.line.usage.calls, 0, "{changes}");
        }
    }
}

#[tokio::test]
async fn row_3_an_unknown_project_is_like_another_one() {
    let world = World::new().await;
    let good = world.open(T0).await;
    for path in ["/api/v6/no-such/auth/request-new-access-token", "/api/v6/auth/request-new-access-token", "/"] {
        assert_says(&world.send(at_path(cookie_event(&good), path), secs(1)).await, 403, FOREIGN);
    }
    for path in [
        format!("/api/v6/{PROJECT}/auth/request-new-access-token/"),
        format!("/prod/api/v6/{PROJECT}/auth/request-new-access-token"),
    ] {
        world.send(at_path(cookie_event(&good), &path), secs(1)).await.ok();
    }
}

#[tokio::test]
async fn row_6_a_session_that_holds_is_answered_with_an_access_token_and_its_user() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for answer in [world.by_cookie(&token, secs(1)).await, world.by_body(&token, secs(1)).await] {
        let access = answer.ok();
        assert_common(&answer);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("set-cookie"), None, "nothing rotates");
        let beginning =
            format!(r#"{{"success":true,"accessToken":"{access}","user":{{"id":"{USER}","foreignId":null,"#);
        assert!(answer.text().starts_with(&beginning), "{}", answer.text());
    }
}

#[tokio::test]
async fn an_access_token_has_the_products_claims_and_no_other() {
    let world = World::new().await;
    world.put_user(USER, |item| item.text("role", "moderator".to_owned())).await;
    let token = world.open(T0).await;
    let access = world.by_cookie(&token, secs(60)).await.ok();
    assert_eq!(
        claims_of(&access),
        json!({"sub": USER, "projectId": PROJECT, "role": "moderator", "aud": "replyke.com", "iss": "replyke.com",
               "iat": secs(60).secs(), "exp": secs(60 + 1_800).secs()})
    );
    let header = part_of(&access, 0);
    assert_eq!((&header["alg"], &header["kid"]), (&json!("EdDSA"), &json!("s1")));
    let key = jsonwebtoken::DecodingKey::from_ed_components(world::PUBLIC_KEY).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_audience(&["replyke.com"]);
    validation.set_issuer(&["replyke.com"]);
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(&access, &key, &validation).expect("verifies by the public key");
    // It is no refresh token.
    assert_says(&world.by_body(&access, secs(61)).await, 403, &invalid("invalid signature"));
}

#[tokio::test]
async fn a_deployment_may_name_another_issuer_and_audience() {
    let settings = [("REPLYKE_ISSUER", "https://id.example.com"), ("REPLYKE_AUDIENCE", "https://api.example.com")];
    let world = World::with(&settings).await;
    let token = world.open(T0).await;
    assert_eq!(claims_of(&token)["iss"], "https://id.example.com");
    let claims = claims_of(&world.by_cookie(&token, secs(1)).await.ok());
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://id.example.com"), &json!("https://api.example.com")));
    let foreign = with_claims(&token, &json!({"iss": "replyke.com"}));
    assert_says(&world.by_cookie(&foreign, secs(1)).await, 403, FOREIGN);
}

#[tokio::test]
async fn the_refresh_token_is_the_products_as_well() {
    let claims = claims_of(&World::new().await.open(T0).await);
    assert_eq!((&claims["iss"], &claims["exp"]), (&json!("replyke.com"), &json!(secs(SESSION_SECS).secs())));
}

#[tokio::test]
async fn the_cookie_counts_before_the_body_even_if_it_is_stale() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let stale = with_claims(&good, &json!({"exp": secs(0).secs()}));
    let both = |cookie: &str, body: Value| with_body(cookie_event(cookie), &json!({"refreshToken": body}).to_string());
    let answer = world.send(both(&stale, json!(good)), secs(1)).await;
    assert_says(&answer, 403, &invalid("jwt expired"));
    world.send(both(&good, json!(stale)), secs(1)).await.ok();
    world.send(both(&good, json!(7)), secs(1)).await.ok();
    world.send(both("", json!(good)), secs(1)).await.ok();
    world.send(both("\"\"", json!(good)), secs(1)).await.ok();
}

#[tokio::test]
async fn of_two_cookies_the_first_counts() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let stale = with_claims(&good, &json!({"exp": secs(0).secs()}));
    let cookies = |both: [&str; 2]| event(json!({"cookies": both.map(|value| format!("replyke-refresh-jwt={value}"))}));
    world.send(cookies([&good, &stale]), secs(1)).await.ok();
    assert_says(&world.send(cookies([&stale, &good]), secs(1)).await, 403, &invalid("jwt expired"));
    let header = format!("a=1; replyke-refresh-jwt={good}; replyke-refresh-jwt={stale}");
    world.send(event(json!({"headers": {"Cookie": header}})), secs(1)).await.ok();
}

#[tokio::test]
async fn where_the_first_cookie_is_empty_there_is_none_and_the_body_counts() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let empty_before = |cookie: &str| {
        let cookies = ["replyke-refresh-jwt=".to_owned(), format!("replyke-refresh-jwt={cookie}")];
        event(json!({"cookies": cookies}))
    };
    assert_says(&world.send(empty_before(&good), secs(1)).await, 200, NOBODY);
    let by_body = json!({"refreshToken": good}).to_string();
    world.send(with_body(empty_before("stale"), &by_body), secs(1)).await.ok();
    // The value of a cookie without a name is none of that name.
    let nameless = event(json!({"cookies": ["replyke-refresh-jwt", format!("replyke-refresh-jwt={good}")]}));
    world.send(nameless, secs(1)).await.ok();
}

#[tokio::test]
async fn what_is_wrong_first_in_the_table_is_told_where_several_things_are() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let expired = json!({"exp": secs(0).secs()});
    let expired_and = |more: Value| {
        let mut changes = expired.clone();
        changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        token_event(json!(with_claims(&good, &changes)))
    };
    // Row 2 before row 3.
    for more in [json!({"sub": null}), json!({"jti": null}), json!({"iss": "x"}), json!({"ten": "replyke:other"})] {
        assert_says(&world.send(expired_and(more), secs(1)).await, 403, &invalid("jwt expired"));
    }
    let not_yet = with_claims(&good, &json!({"nbf": secs(9).secs(), "exp": secs(0).secs(), "sub": null}));
    assert_says(&world.by_body(&not_yet, secs(1)).await, 403, &invalid("jwt not active"));
    let elsewhere = |token: &str| in_project(token_event(json!(token)), "elsewhere");
    assert_says(&world.send(elsewhere("x.y"), secs(1)).await, 403, &invalid("jwt malformed"));
    // Row 3 before rows 4 and 5; row 4 before row 5.
    let (family, sealed) = world.open_for(PROJECT, USER, T0).await;
    world.seal(family, Cause::SignOut, T0).await;
    let unknown = with_claims(&good, &json!({"sid": "01JD0000000000000000000000"}));
    for token in [&sealed, &unknown] {
        let nameless = with_claims(token, &json!({"jti": null}));
        assert_says(&world.by_body(&nameless, secs(1)).await, 403, FOREIGN);
        assert_says(&world.send(elsewhere(token), secs(1)).await, 403, FOREIGN);
    }
    world.delete_user();
    assert_says(&world.send(elsewhere(&good), secs(1)).await, 403, FOREIGN);
    for token in [&sealed, &unknown] {
        assert_says(&world.by_body(token, secs(1)).await, 403, NOT_RECOGNIZED);
    }
    assert_says(&world.by_body(&good, secs(1)).await, 403, NO_USER);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_malformed_even_where_the_cookie_is_good() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let broken = ["{", "not json", "{'refreshToken':1}", "{} trailing", " ", "null", "17", "true", "\"text\""];
    for (n, body) in broken.into_iter().enumerate() {
        for base in [event(json!({})), cookie_event(&good), with_headers(cookie_event(&good), &[FOREIGN_SITE])] {
            let answer = send_from(&world, n, with_body(base, body)).await;
            assert_says(&answer, 400, MALFORMED);
            assert_eq!(answer.line.usage.calls, 0);
        }
    }
    world.by_cookie(&good, secs(2)).await.ok();
}

/// `express.json()` takes objects and arrays.
#[tokio::test]
async fn a_body_that_is_an_array_holds_no_token() {
    let world = World::new().await;
    let good = world.open(T0).await;
    for body in ["[]", "[1]", r#"[{"refreshToken":"x"}]"#] {
        assert_says(&world.send(with_body(event(json!({})), body), secs(1)).await, 200, NOBODY);
        world.send(with_body(cookie_event(&good), body), secs(1)).await.ok();
    }
}

#[tokio::test]
async fn a_body_may_have_a_hundred_kilobytes_and_not_one_byte_more() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let padded = |bytes: usize| {
        let body = json!({"refreshToken": good, "padding": ""}).to_string();
        body.replace("\"padding\":\"\"", &format!("\"padding\":\"{}\"", "x".repeat(bytes - body.len())))
    };
    assert_eq!(padded(102_400).len(), 102_400);
    world.send(with_body(event(json!({})), &padded(102_399)), secs(1)).await.ok();
    world.send(with_body(event(json!({})), &padded(102_400)), secs(1)).await.ok();
    for body in [padded(102_401), "{".repeat(1_000_000)] {
        assert_says(&world.send(with_body(event(json!({})), &body), secs(1)).await, 413, TOO_LARGE);
        assert_says(&world.send(with_body(cookie_event(&good), &body), secs(1)).await, 413, TOO_LARGE);
    }
}

#[tokio::test]
async fn a_body_is_read_if_it_is_said_to_be_json_or_nothing_is_said_and_is_no_body_otherwise() {
    let world = World::new().await;
    let good = world.open(T0).await;
    let said = |content_type: &str| with_headers(token_event(json!(good)), &[("content-type", content_type)]);
    for content_type in ["application/json", "Application/JSON; charset=utf-8", ""] {
        world.send(said(content_type), secs(1)).await.ok();
    }
    let mut unsaid = token_event(json!(good));
    unsaid["headers"].as_object_mut().unwrap().remove("content-type");
    world.send(unsaid, secs(1)).await.ok();
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"] {
        assert_says(&world.send(said(content_type), secs(1)).await, 200, NOBODY);
    }
}

#[tokio::test]
async fn every_answer_tells_what_is_left_of_the_limit_and_in_epoch_seconds_when_it_is_full_again() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let rate = |answer: &Answer| RATE_HEADERS.map(|name| answer.header(name).unwrap().parse::<i64>().unwrap());
    // Fifty in five minutes: one comes back every six seconds.
    assert_eq!(rate(&world.by_cookie(&token, secs(0)).await), [50, 49, secs(6).secs()]);
    assert_eq!(rate(&world.by_body(&token, secs(0)).await), [50, 48, secs(12).secs()]);
    assert_eq!(rate(&world.by_body(&token, secs(12)).await), [50, 49, secs(18).secs()]);
    // Calls without a token that verifies have a bucket of their own.
    assert_eq!(rate(&world.by_cookie("garbage", secs(0)).await), [50, 49, secs(6).secs()]);
    assert_eq!(rate(&world.send(event(json!({})), secs(0)).await), [50, 48, secs(12).secs()]);
    // What is charged to no bucket tells that one's, and leaves it as it is.
    for _ in 0..3 {
        let other = world.send(with_method(event(json!({})), "GET"), secs(0)).await;
        assert_eq!((other.status, rate(&other)), (405, [50, 48, secs(12).secs()]));
    }
    let (family, sealed) = world.open_for(PROJECT, USER, T0).await;
    world.seal(family, Cause::SignOut, secs(12)).await;
    let found = world.by_cookie(&sealed, secs(12)).await;
    assert_eq!((found.status, rate(&found)), (403, [50, 48, secs(24).secs()]));
    let remembered = world.by_cookie(&sealed, secs(12)).await;
    assert_eq!(
        (remembered.status, rate(&remembered), remembered.line.usage.calls),
        (403, [50, 48, secs(24).secs()], 0)
    );
    world.faults.queue_for_all_attempts("UpdateItem", &Fault::Refused);
    let failed = world.by_cookie(&token, secs(12)).await;
    assert_eq!((failed.status, rate(&failed)), (500, [50, 48, secs(24).secs()]));
}

/// What a limited client is told.
#[track_caller]
fn assert_limited(answer: &Answer, retry_after_secs: i64, full_at_secs: i64) {
    assert_eq!((answer.status, answer.text().as_str()), (429, LIMITED));
    assert_common(answer);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("retry-after"), Some(retry_after_secs.to_string().as_str()));
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
    assert_eq!(answer.header("x-ratelimit-reset"), Some(secs(full_at_secs).secs().to_string().as_str()));
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn fifty_calls_of_one_address_pass_and_the_next_is_told_to_wait() {
    let world = World::new().await;
    let token = world.open(T0).await;
    for left in (0..50).rev() {
        let answer = world.by_cookie(&token, secs(1)).await;
        answer.ok();
        assert_eq!(answer.remaining(), left);
    }
    assert_limited(&world.by_cookie(&token, secs(1)).await, 6, 301);
    // Every instance of the function and every session of the address; no other address.
    let stranger = world.another_instance();
    let other_session = world.open(T0).await;
    assert_limited(&world::send_to(&stranger, cookie_event(&other_session), secs(2)).await, 5, 301);
    world.send(from_address(cookie_event(&token), "203.0.113.9"), secs(2)).await.ok();
    world.by_cookie(&token, secs(7)).await.ok();
}

#[tokio::test]
async fn fifty_calls_without_a_token_pass_too_and_limit_nobody_who_has_one() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let worthless = [
        event(json!({})),
        cookie_event("garbage"),
        with_body(event(json!({})), "{"),
        token_event(json!(7)),
        in_project(cookie_event(&token), "elsewhere"),
    ];
    for n in 0..50 {
        let answer = world.send(worthless[n % 5].clone(), secs(1)).await;
        assert_ne!(answer.status, 429, "{n}");
        assert_eq!((answer.remaining(), answer.line.usage.calls), (49 - u32::try_from(n).unwrap(), 0));
    }
    for request in worthless {
        assert_limited(&world.send(request, secs(1)).await, 6, 301);
    }
    world.by_cookie(&token, secs(1)).await.ok();
    assert_says(&world.send(event(json!({})), secs(7)).await, 200, NOBODY);
}

#[tokio::test]
async fn a_deployment_may_set_another_limit_and_period() {
    let world = World::with(&[("REPLYKE_RATE_LIMIT", "2"), ("REPLYKE_RATE_PERIOD_SECS", "60")]).await;
    let token = world.open(T0).await;
    for _ in 0..2 {
        world.by_cookie(&token, secs(0)).await.ok();
    }
    assert_limited(&world.by_cookie(&token, secs(0)).await, 30, 60);
}

#[tokio::test]
async fn a_token_made_by_another_with_our_key_and_our_claims_is_ours() {
    let world = World::new().await;
    let token = world.open(T0).await;
    let made = signed(&json!({"alg": "HS256", "typ": "rt+jwt", "kid": "m1"}), &claims_of(&token), &ACTIVE_MAC_KEY);
    world.by_cookie(&made, secs(1)).await.ok();
}
