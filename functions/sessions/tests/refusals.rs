//! What is refused: calls that IAM has not authorized, and input that nobody honest sends. None of it panics, and none
//! of it asks the store.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod backend;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use backend::{Backend, assert_common, assert_error, event, opened, opening, post, reader, request, send_to};
use lambda_http::http::Method;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rondo_shared::wire::Event;
use rondo_tests::{Answer, T0, secs};
use serde_json::{Value, json};
use sessions::configure;

const FAMILY: &str = "01JD0000000000000000000000";

/// Every route with what it needs.
fn routes() -> [Value; 4] {
    let owner = "tenant=uniqos&user=user-1";
    [
        post("/sessions", &opening("user-1", "t")),
        event("GET", "/sessions", owner),
        event("DELETE", &format!("/sessions/{FAMILY}"), owner),
        post("/sessions/revoke", &json!({"tenant": "uniqos", "user": "user-1"})),
    ]
}

/// The same call as a REST API tells it.
fn rest(event: &Value, identity: Value) -> Value {
    let http = &event["requestContext"]["http"];
    let parameters: serde_json::Map<_, _> = event["rawQueryString"]
        .as_str()
        .unwrap()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    json!({
        "resource": "/{proxy+}", "path": event["rawPath"], "httpMethod": http["method"], "isBase64Encoded": false,
        "headers": event["headers"], "multiValueHeaders": {}, "body": event["body"],
        "queryStringParameters": parameters, "multiValueQueryStringParameters": {},
        "requestContext": {"stage": "prod", "httpMethod": http["method"], "protocol": "HTTP/1.1",
                           "identity": identity}})
}

async fn assert_refused(backend: &Backend, event: Value, what: &str) {
    let answer = backend.send(event, T0).await;
    assert_error(&answer, 403, "iam_identity_required");
    assert_eq!((answer.line.outcome, answer.line.cause), ("refused", Some("no_iam_identity")), "{what}");
    assert_eq!(answer.line.caller, None, "{what}");
    assert_eq!(backend.faults.take_attempts(), Vec::<String>::new(), "{what}");
}

#[tokio::test]
async fn every_route_refuses_an_event_without_an_iam_identity() {
    let backend = Backend::new().await;
    let others = [event("PUT", "/sessions", ""), event("GET", "/", ""), event("OPTIONS", "/sessions", "")];
    for route in routes().into_iter().chain(others) {
        for authorizer in [
            Value::Null,
            json!({}),
            json!({"iam": null}),
            json!({"iam": {}}),
            json!({"iam": {"userArn": null, "accessKey": "ASIA", "callerId": "x"}}),
            json!({"iam": {"userArn": ""}}),
            json!({"iam": {"userArn": "anonymous"}}),
            json!({"jwt": {"claims": {"userArn": "arn:aws:iam::1:user/x"}, "scopes": ["sessions"]}}),
            json!({"lambda": {"iam": {"userArn": "arn:aws:iam::1:user/x"}, "userArn": "arn:aws:iam::1:user/x"}}),
        ] {
            let mut event = route.clone();
            event["requestContext"]["authorizer"] = authorizer.clone();
            assert_refused(&backend, event, &authorizer.to_string()).await;
        }
        let mut event = route.clone();
        event["requestContext"].as_object_mut().unwrap().remove("authorizer");
        assert_refused(&backend, event, "none").await;
    }
}

#[tokio::test]
async fn nothing_that_a_caller_sends_passes_for_an_iam_identity() {
    let backend = Backend::new().await;
    for mut event in routes() {
        event["requestContext"].as_object_mut().unwrap().remove("authorizer");
        event["authorizer"] = json!({"iam": {"userArn": "arn:aws:iam::1:user/x"}});
        event["identity"] = json!({"userArn": "arn:aws:iam::1:user/x"});
        event["requestContext"]["identity"] = json!({"userArn": "arn:aws:iam::1:user/x"});
        event["headers"]["authorization"] = json!("AWS4-HMAC-SHA256 Credential=ASIA/20261122/us-east-1/execute-api");
        event["headers"]["x-amzn-iam-user-arn"] = json!("arn:aws:iam::1:user/x");
        assert_refused(&backend, event, "in the wrong place").await;
    }
}

#[tokio::test]
async fn a_rest_api_is_served_by_the_identity_that_it_verified_and_refused_without_one() {
    let backend = Backend::new().await;
    for event in routes() {
        for identity in [
            json!({"sourceIp": "192.0.2.1"}),
            json!({"sourceIp": "192.0.2.1", "userArn": null}),
            json!({"sourceIp": "192.0.2.1", "userArn": "", "accessKey": "ASIA", "user": "x"}),
        ] {
            assert_refused(&backend, rest(&event, identity), "rest").await;
        }
    }
    let identity = json!({"sourceIp": "192.0.2.1", "userArn": "arn:aws:iam::123456789012:user/backend"});
    let mut statuses = Vec::new();
    for event in routes() {
        let answer = backend.send(rest(&event, identity.clone()), T0).await;
        assert_common(&answer);
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [201, 200, 404, 200]);
}

#[tokio::test]
async fn the_log_line_says_which_backend_asked_and_the_answer_does_not() {
    let backend = Backend::new().await;
    let of_rest = "arn:aws:iam::123456789012:user/backend";
    let of_http = "arn:aws:sts::123456789012:assumed-role/backend/session";
    for event in routes() {
        for (event, caller) in
            [(rest(&event, json!({"sourceIp": "192.0.2.1", "userArn": of_rest})), of_rest), (event, of_http)]
        {
            let answer = backend.send(event, T0).await;
            assert_eq!(answer.line.caller.as_deref(), Some(caller));
            let written: Value = serde_json::from_str(&answer.line.text(Duration::ZERO, None)).unwrap();
            assert_eq!(written["caller"], caller);
            assert!(!answer.json().to_string().contains("arn:"));
        }
    }
}

#[tokio::test]
async fn a_function_url_and_a_named_stage_are_served() {
    let backend = Backend::new().await;
    let mut url = post("/sessions", &opening("user-1", "a"));
    url["requestContext"]["domainName"] = json!("abc.lambda-url.us-east-1.on.aws");
    url["requestContext"]["authentication"] = Value::Null;
    assert_eq!(backend.send(url, T0).await.status, 201);
    let mut staged = post("/prod/sessions", &opening("user-1", "b"));
    staged["requestContext"]["stage"] = json!("prod");
    assert_eq!(backend.send(staged, T0).await.status, 201);
    let mut based = post("/base/path/sessions", &opening("user-1", "c"));
    let body = based["body"].as_str().unwrap().to_owned();
    based["body"] = json!(encode(body.as_bytes()));
    based["isBase64Encoded"] = json!(true);
    assert_eq!(backend.send(based, T0).await.status, 201);
}

fn encode(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for n in 0..4 {
            let digit = if n <= chunk.len() { char::from(ALPHABET[bits >> (18 - 6 * n) & 63]) } else { '=' };
            text.push(digit);
        }
    }
    text
}

#[tokio::test]
async fn the_local_stack_may_do_without_iam_and_a_deployment_may_not() {
    let backend = Backend::with(&[("SESSIONS_WITHOUT_IAM", "true")]).await;
    for (mut event, status) in routes().into_iter().zip([201, 200, 404, 200]) {
        event["requestContext"].as_object_mut().unwrap().remove("authorizer");
        assert_eq!(backend.send(event, T0).await.status, status);
    }
    for deployed in [("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"), ("AWS_ENDPOINT_URL_DYNAMODB", "")] {
        let error = configure(reader(&backend.world, &[("SESSIONS_WITHOUT_IAM", "true"), deployed])).unwrap_err();
        assert!(error.to_string().contains("SESSIONS_WITHOUT_IAM must not be set in a deployment"));
    }
}

#[tokio::test]
async fn other_methods_are_told_which_the_route_takes() {
    let backend = Backend::new().await;
    for (path, taken, allow) in [
        ("/sessions".to_owned(), vec!["GET", "POST"], "GET, POST"),
        (format!("/sessions/{FAMILY}"), vec!["DELETE"], "DELETE"),
        ("/sessions/revoke".to_owned(), vec!["POST"], "POST"),
    ] {
        for method in ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"] {
            let answer = backend.send(event(method, &path, ""), T0).await;
            if taken.contains(&method) {
                assert_ne!(answer.status, 405, "{method} {path}");
            } else {
                assert_error(&answer, 405, "method_not_allowed");
                assert_eq!(answer.header("allow"), Some(allow));
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_route_is_not_found() {
    let backend = Backend::new().await;
    for path in ["/", "", "/session", &format!("/sessions/{FAMILY}/tokens"), "/sessions/revoke/all"] {
        assert_error(&backend.send(event("POST", path, ""), T0).await, 404, "route_not_found");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_or_too_large_is_malformed() {
    let backend = Backend::new().await;
    for path in ["/sessions", "/sessions/revoke"] {
        for body in ["", "{", "tenant=uniqos", "{\"tenant\":\"\u{0}\"", &format!("\"{}\"", "x".repeat(16 * 1024))] {
            let mut event = event("POST", path, "");
            event["body"] = json!(body);
            assert_error(&backend.send(event, T0).await, 400, "malformed_request");
        }
    }
}

#[tokio::test]
async fn every_wrong_field_of_an_opening_is_named_and_none_is_shown() {
    let backend = Backend::new().await;
    let wrong: [(&str, Vec<Value>); 8] = [
        ("body", vec![json!([]), json!("text"), json!(1), Value::Null]),
        ("tenant", vec![Value::Null, json!(""), json!("unknown"), json!("uniqos:project"), json!("replyke"), json!(5)]),
        ("user", vec![Value::Null, json!(""), json!("a\nb"), json!("x".repeat(129)), json!({"a": 1})]),
        ("client_token", vec![Value::Null, json!(""), json!("x".repeat(129)), json!(7)]),
        ("org", vec![json!(""), json!("x".repeat(129)), json!(["acme"])]),
        ("label", vec![json!(5), json!(["laptop"])]),
        ("ip", vec![json!("localhost"), json!("192.0.2.1:80"), json!("-"), json!(3_221_225_985_u32)]),
        ("user_agent", vec![json!(5), json!({})]),
    ];
    for (field, values) in wrong {
        for value in values {
            let body = if field == "body" {
                value.clone()
            } else {
                let mut body = opening("user-1", "t");
                body[field] = value.clone();
                body
            };
            let details = assert_error(&backend.post("/sessions", &body, T0).await, 422, "invalid_fields");
            let named: Vec<_> = details.as_array().unwrap().iter().map(|problem| problem["field"].clone()).collect();
            assert!(named.contains(&json!(field)), "{field} {value}: {details}");
            assert!(field == "body" || named.len() == 1, "{field} {value}: {details}");
        }
    }
    let answer = backend.post("/sessions", &json!({"s3cret": "s3cret", "user": "s3\ncret"}), T0).await;
    let details = assert_error(&answer, 422, "invalid_fields");
    let named: Vec<_> = details.as_array().unwrap().iter().map(|problem| problem["field"].as_str().unwrap()).collect();
    assert_eq!(named, ["body", "tenant", "user", "client_token"]);
    assert!(!format!("{} {:?}", answer.json(), answer.line).contains("s3"));
    assert_eq!(backend.faults.take_attempts(), Vec::<String>::new());
}

#[tokio::test]
async fn every_wrong_field_of_the_other_routes_is_named() {
    let backend = Backend::new().await;
    let owner = "tenant=uniqos&user=user-1";
    for (query, field) in [
        ("user=user-1", "tenant"),
        ("tenant=uniqos", "user"),
        ("tenant=uniqos&user=", "user"),
        (&format!("{owner}&limit=0"), "limit"),
        (&format!("{owner}&limit=101"), "limit"),
        (&format!("{owner}&limit=-1"), "limit"),
        (&format!("{owner}&limit=ten"), "limit"),
        (&format!("{owner}&limit="), "limit"),
        (&format!("{owner}&cursor=next"), "cursor"),
        (&format!("{owner}&cursor="), "cursor"),
        (&format!("{owner}&page=2"), "query"),
        (&format!("{owner}&user=user-2"), "query"),
    ] {
        let details = assert_error(&backend.send(event("GET", "/sessions", query), T0).await, 422, "invalid_fields");
        assert_eq!(details[0]["field"], field, "{query}: {details}");
    }
    for (query, field) in [("", "tenant"), ("tenant=uniqos&user=u&cause=operator", "query")] {
        let event = event("DELETE", &format!("/sessions/{FAMILY}"), query);
        assert_eq!(assert_error(&backend.send(event, T0).await, 422, "invalid_fields")[0]["field"], field);
    }
    for (field, value) in [
        ("except", json!("nothing")),
        ("except", json!("")),
        ("except", json!([FAMILY])),
        ("cause", json!("reuse")),
        ("cause", json!("unknown_generation")),
        ("cause", json!("suspended")),
        ("cause", json!(1)),
    ] {
        let mut body = json!({"tenant": "uniqos", "user": "user-1"});
        body[field] = value;
        let details = assert_error(&backend.post("/sessions/revoke", &body, T0).await, 422, "invalid_fields");
        assert_eq!(details[0]["field"], field);
    }
    assert_eq!(backend.faults.take_attempts(), Vec::<String>::new());
}

#[tokio::test]
async fn names_with_separators_stay_those_of_their_user() {
    let backend = Backend::new().await;
    let users = ["a#b", "a/b", "a b", "a%23b", "user@example.com", "Jos\u{e9}", &"#".repeat(128)];
    let mut families = Vec::new();
    for user in users {
        backend.put_user("uniqos", user, rondo_shared::store::item::AccountStatus::Active).await;
        families.push(opened(&backend.open(user, "t", T0).await).0);
    }
    for (user, family) in users.iter().zip(&families) {
        let encoded: String = user.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let listed = backend.list(&encoded, "", secs(1)).await.json();
        assert_eq!(listed["sessions"].as_array().unwrap().len(), 1, "{user}");
        assert_eq!(listed["sessions"][0]["family"], json!(family));
        assert_eq!(backend.revoke(&encoded, family, secs(1)).await.status, 200);
    }
}

#[test]
fn a_function_whose_keyring_has_keys_for_no_product_does_not_start() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let backend = runtime.block_on(Backend::new());
    let path = std::env::temp_dir().join(format!("rondo-sessions-empty-{}.json", std::process::id()));
    std::fs::write(&path, json!({"version": 1, "products": {}}).to_string()).unwrap();
    let path = path.display().to_string();
    let (common, policy, terms) = configure(reader(&backend.world, &[("KEYRING_FILE", &path)])).unwrap();
    let error = sessions::App::new(common, policy, terms, backend.store(), T0).unwrap_err();
    assert_eq!(error.to_string(), "the keyring holds no keys for uniqos, dreadnode, elastic, replyke");
}

#[tokio::test]
async fn a_product_without_keys_is_not_one_of_the_deployment() {
    let backend = Backend::new().await;
    let path = std::env::temp_dir().join(format!("rondo-sessions-one-{}.json", std::process::id()));
    std::fs::write(&path, rondo_tests::world::keyring_document().to_string()).unwrap();
    let path = path.display().to_string();
    let (common, policy, terms) = configure(reader(&backend.world, &[("KEYRING_FILE", &path)])).unwrap();
    let app = sessions::App::new(common, policy, terms, backend.store(), T0).unwrap();
    assert_eq!(send_to(&app, &post("/sessions", &opening("user-1", "t")), T0).await.status, 201);
    let mut body = opening("user-1", "t");
    body["tenant"] = json!("elastic");
    let details = assert_error(&send_to(&app, &post("/sessions", &body), T0).await, 422, "invalid_fields");
    assert_eq!(details[0]["field"], "tenant");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(json!("uniqos")),
        Just(json!("user-1")),
        Just(json!(FAMILY)),
        Just(json!("arn:aws:iam::1:user/x")),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z_]{0,12}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Calls that are right but for a few of their parts.
fn any_call() -> impl Strategy<Value = Value> {
    let pointers = prop::sample::select(vec![
        "/rawPath",
        "/rawQueryString",
        "/body",
        "/isBase64Encoded",
        "/headers",
        "/requestContext/http/method",
        "/requestContext/http/sourceIp",
        "/requestContext/stage",
        "/requestContext/authorizer",
        "/requestContext/authorizer/iam",
        "/requestContext/authorizer/iam/userArn",
    ]);
    let fields = prop::sample::select(vec![
        "tenant",
        "user",
        "org",
        "label",
        "client_token",
        "ip",
        "user_agent",
        "except",
        "cause",
        "limit",
        "cursor",
        "other",
    ]);
    // Mostly none: what is asked for by the query alone is else never asked for rightly.
    let query = prop::option::of("[a-z=&%#?+\u{e9} ]{1,40}");
    (
        0..4_usize,
        prop::collection::vec((pointers, any_json()), 0..3),
        prop::collection::vec((fields, any_json()), 0..4),
        query,
    )
        .prop_map(|(route, changes, fields, query)| {
            let mut event = routes()[route].clone();
            if let Some(body) = event["body"].as_str() {
                let mut body: Value = serde_json::from_str(body).unwrap();
                for (field, value) in fields {
                    body[field] = value;
                }
                event["body"] = json!(body.to_string());
            } else if let Some(query) = query {
                event["rawQueryString"] = json!(format!("{}&{query}", event["rawQueryString"].as_str().unwrap()));
            }
            for (pointer, value) in changes {
                if let Some(place) = event.pointer_mut(pointer) {
                    *place = value;
                }
            }
            event
        })
}

#[test]
fn whatever_an_event_holds_the_answer_is_one_of_the_contracts() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let backend = runtime.block_on(Backend::new());
    let mut runner = TestRunner::new(Config { cases: 1_000, failure_persistence: None, ..Config::default() });
    let seen = RefCell::new(BTreeMap::<u16, u32>::new());
    let checked = runner.run(&any_call(), |event| {
        // What is no event never reaches the function.
        let Ok(read) = Event::from_json(&event.to_string()) else { return Ok(()) };
        drop(read);
        let is_safe = *request(&event).method() == Method::GET;
        let answer: Answer = runtime.block_on(backend.send(event.clone(), T0));
        assert_common(&answer);
        *seen.borrow_mut().entry(answer.status).or_default() += 1;
        let arn = event.pointer("/requestContext/authorizer/iam/userArn").and_then(Value::as_str).unwrap_or_default();
        if !arn.starts_with("arn:") {
            prop_assert_eq!(answer.status, 403);
        }
        match answer.status {
            200 => {}
            201 => prop_assert!(!is_safe),
            400 | 403 | 404 | 405 | 409 | 422 => {
                let code = answer.json()["error"]["code"].as_str().unwrap().to_owned();
                assert_error(&answer, answer.status, &code);
            }
            other => prop_assert!(false, "{} for {}", other, event),
        }
        Ok(())
    });
    checked.unwrap();
    assert!(
        [200, 201, 403, 404, 422].iter().all(|status| seen.borrow().contains_key(status)),
        "{seen:?} is too little"
    );
    println!("{seen:?}");
}
