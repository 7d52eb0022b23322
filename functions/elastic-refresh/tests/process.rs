//! The program that is deployed, as the Lambda service runs it: it polls the runtime API for events, whatever its
//! deployment has configured, and its log is what it writes to standard output.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use world::{PASSWORD, World, basic, bearer, variables, with_method};

/// The runtime API's one client: a process of the function.
struct Runtime {
    listener: TcpListener,
    process: Child,
}

/// A request of the runtime API's client.
struct Polled {
    line: String,
    body: Vec<u8>,
    stream: TcpStream,
}

impl Runtime {
    fn start(variables: &[(String, String)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_elastic-refresh"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr().unwrap().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "elastic-refresh")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .envs(variables.iter().cloned())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { listener, process }
    }

    fn polled(&self) -> Polled {
        let stream = self.listener.accept().unwrap().0;
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                assert!(!name.eq_ignore_ascii_case("transfer-encoding"), "the answer is sent whole");
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap();
                }
            }
            head.push(line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        Polled { line: head[0].trim().to_owned(), body, stream }
    }

    /// Hands one event to the function, and returns what it answers to the gateway.
    fn invoke(&self, event: &Value) -> Value {
        let polled = self.polled();
        assert!(polled.line.starts_with("GET /2018-06-01/runtime/invocation/next"), "{}", polled.line);
        polled.answer("200 OK", &event.to_string());
        let answered = self.polled();
        assert!(answered.line.starts_with("POST /2018-06-01/runtime/invocation/r1/response"), "{}", answered.line);
        let answer = serde_json::from_slice(&answered.body).unwrap();
        answered.answer("202 Accepted", "{}");
        answer
    }

    /// Ends the process, and returns what it wrote.
    fn log(mut self) -> String {
        self.process.kill().unwrap();
        let mut log = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

/// A test that fails leaves no process behind either.
impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Polled {
    fn answer(mut self, status: &str, body: &str) {
        let head = format!(
            "HTTP/1.1 {status}\r\nLambda-Runtime-Aws-Request-Id: r1\r\nLambda-Runtime-Deadline-Ms: 9999999999999\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:elastic-refresh\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(head.as_bytes()).unwrap();
    }
}

fn body_of(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_signs_in_and_refreshes_and_its_log_tells_no_secret() {
    let world = World::new().await;
    let runtime = Runtime::start(&variables(&world.dynamo));
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
    let runtime = Runtime::start(&variables);
    assert_eq!(runtime.invoke(&basic("user-1", PASSWORD))["statusCode"], 200);
    let log = runtime.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let namespaces = lines.iter().map(|line| &line["_aws"]["CloudWatchMetrics"][0]["Namespace"]);
    assert_eq!(namespaces.collect::<Vec<_>>(), ["Rondo/rondo", "Rondo/rondo"], "{log}");
    assert_eq!((&lines[1]["Requests"], &lines[1]["outcome"]), (&json!(1.0), &json!("opened")));
    assert!(lines[0]["KeyAge"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_program_starts_without_any_configuration_and_says_that_there_is_none() {
    let runtime = Runtime::start(&[]);
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
