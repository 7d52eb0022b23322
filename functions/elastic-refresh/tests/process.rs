//! The program that is deployed, as the Lambda service runs it: it polls the runtime API for events, whatever its
//! deployment has configured, and its log is what it writes to standard output.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_tests::Runtime;
use serde_json::{Value, json};
use world::{PASSWORD, World, basic, bearer, variables, with_method};

fn start(variables: &[(String, String)]) -> Runtime {
    Runtime::start(env!("CARGO_BIN_EXE_elastic-refresh"), variables)
}

fn body_of(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_signs_in_and_refreshes_and_its_log_tells_no_secret() {
    let world = World::new().await;
    let runtime = start(&variables(&world.dynamo));
    let opened = runtime.invoke(&basic("user-1", PASSWORD));
    assert_eq!(opened["statusCode"], 200, "{opened}");
    let first = body_of(&opened)["token"].as_str().unwrap().to_owned();
    let refreshed = runtime.invoke(&bearer(&first));
    assert_eq!(refreshed["statusCode"], 200, "{refreshed}");
    let second = body_of(&refreshed)["token"].as_str().unwrap().to_owned();
    let wrong = runtime.invoke(&basic("user-1", "battery horse"));
    assert_eq!(wrong["statusCode"], 401);
    assert_eq!(wrong["headers"]["x-cloud-error-codes"], "root.unauthorized");
    let log = runtime.log();
    let all: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(all.iter().all(|line| line.get("_aws").is_none()), "metrics without METRICS_NAMESPACE: {log}");
    let (keyring, lines) = all.split_first().unwrap();
    assert_eq!((&keyring["message"], &keyring["product"]), (&json!("keyring"), &json!("elastic")));
    let outcomes: Vec<_> = lines.iter().map(|line| (line["outcome"].as_str(), line["status"].as_i64())).collect();
    assert_eq!(outcomes, [(Some("opened"), Some(200)), (Some("rotated"), Some(200)), (Some("refused"), Some(401))]);
    assert_eq!(lines[0]["request_id"], opened["headers"]["x-request-id"]);
    for secret in [PASSWORD, "battery", &first, &second, "argon2"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_namespace_every_line_that_the_program_writes_is_a_whole_document_of_metrics() {
    let world = World::new().await;
    let mut variables = variables(&world.dynamo);
    variables.push(("METRICS_NAMESPACE".to_owned(), "Rondo/rondo".to_owned()));
    let runtime = start(&variables);
    assert_eq!(runtime.invoke(&basic("user-1", PASSWORD))["statusCode"], 200);
    let log = runtime.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let namespaces = lines.iter().map(|line| &line["_aws"]["CloudWatchMetrics"][0]["Namespace"]);
    assert_eq!(namespaces.collect::<Vec<_>>(), ["Rondo/rondo", "Rondo/rondo"], "{log}");
    assert_eq!((&lines[1]["Requests"], &lines[1]["outcome"]), (&json!(1.0), &json!("opened")));
    assert!(lines[0]["KeyAge"].as_f64().unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_not_there_or_of_another_schema_is_told_at_the_start_and_is_a_failure_of_ours() {
    let world = World::new().await;
    for table in [world.dynamo.with_other_keys().await, "not-there"] {
        let mut variables = variables(&world.dynamo);
        variables.push(("TABLE_NAME".to_owned(), table.to_owned()));
        let runtime = start(&variables);
        let answer = runtime.invoke(&basic("user-1", PASSWORD));
        assert_eq!(answer["statusCode"], 502, "{answer}");
        let log = runtime.log();
        let told: Vec<_> = log.lines().filter(|line| line.contains("infra/table.json")).collect();
        assert_eq!(told.len(), 1, "{log}");
        assert!(told[0].contains(table) && told[0].contains("TABLE_NAME"), "{log}");
    }
}

#[test]
fn the_program_starts_without_any_configuration_and_says_that_there_is_none() {
    let runtime = start(&[]);
    for event in [bearer("x.y.z"), basic("user-1", PASSWORD)] {
        let answer = runtime.invoke(&event);
        assert_eq!(answer["statusCode"], 501, "{answer}");
        assert_eq!(answer["headers"]["x-cloud-error-codes"], "authc.no_authentication_cluster");
        assert_eq!(answer["headers"]["cache-control"], "no-store");
        assert_eq!(
            body_of(&answer),
            json!({"errors": [{"code": "authc.no_authentication_cluster",
                "message": "The administrator needs to configure the authentication cluster."}]})
        );
    }
    let other = runtime.invoke(&with_method(bearer("x.y.z"), "GET"));
    assert_eq!((&other["statusCode"], &other["headers"]["allow"]), (&json!(405), &json!("POST, OPTIONS")));
    assert!(runtime.log().contains("TABLE_NAME is not set"));
}
