//! EventBridge as far as it is spoken to, over HTTP: calls of ten, answers entry by entry.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use events::Settings;
use events::bus::{Bus as _, EventBridge};
use events::event::{Event, Session};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, Subject, Tenant};
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::{Cause, Seal};
use serde_json::{Value, json};

/// So many events, each of a session of its own.
fn events(count: u64) -> Vec<Event> {
    let event = |n: u64| {
        let family = format!("01JD000000000000000000{n:04}").parse().unwrap();
        let session = Session { tenant: Tenant::new("uniqos").unwrap(), family, sk: "SEAL".to_owned() };
        let seal = Seal {
            sealed_at: Timestamp::from_secs(1_795_341_600),
            cause: Cause::SignOut,
            subject: Some(Subject::new("user-1").unwrap()),
            evidence: None,
            client: Client::new(None, ""),
            request_id: "r".to_owned(),
        };
        Event::ended(&session, &seal)
    };
    (0..count).map(event).collect()
}

/// A bus that answers each call with what `answer` makes of its entries, and keeps the calls.
struct Server {
    url: String,
    calls: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn start(answer: fn(&[Value]) -> (u16, Value)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                while let Some(call) = stream.as_ref().ok().and_then(read) {
                    let (status, body) = answer(call["Entries"].as_array().unwrap());
                    kept.lock().unwrap().push(call);
                    write(stream.as_ref().unwrap(), status, &body);
                }
            }
        });
        Self { url, calls }
    }

    async fn publish(&self, events: &[Event]) -> Vec<Option<String>> {
        publish(&self.url, events).await
    }
}

async fn publish(url: &str, events: &[Event]) -> Vec<Option<String>> {
    let variables = [("AWS_ENDPOINT_URL_EVENTBRIDGE", url), ("EVENT_BUS", "sessions")];
    let mut reader = Reader::new(variables);
    let settings = Settings::read(&mut reader);
    reader.finish().unwrap();
    let bus = EventBridge::connect(&settings).await;
    let events: Vec<_> = events.iter().collect();
    bus.publish(&events).await.into_iter().map(|published| published.err().map(|error| error.to_string())).collect()
}

fn read(stream: &TcpStream) -> Option<Value> {
    let (mut reader, mut length) = (BufReader::new(stream), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn write(mut stream: &TcpStream, status: u16, body: &Value) {
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}", body.len());
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
}

fn all_taken(entries: &[Value]) -> (u16, Value) {
    let taken: Vec<_> = entries.iter().map(|_| json!({"EventId": "1"})).collect();
    (200, json!({"FailedEntryCount": 0, "Entries": taken}))
}

#[tokio::test]
async fn events_go_to_the_bus_ten_at_a_time_with_their_own_time_and_kind() {
    let server = Server::start(all_taken);
    assert_eq!(server.publish(&events(21)).await, vec![None; 21]);
    let calls = server.calls.lock().unwrap();
    let sizes: Vec<_> = calls.iter().map(|call| call["Entries"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [10, 10, 1]);
    let first = &calls[0]["Entries"][0];
    assert_eq!(first["EventBusName"], "sessions");
    assert_eq!((&first["Source"], &first["DetailType"]), (&"rondo".into(), &"session ended".into()));
    assert_eq!(first["Time"].as_f64(), Some(1_795_341_600.0));
    let detail: Value = serde_json::from_str(first["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(&detail, events(1)[0].detail());
}

#[tokio::test]
async fn of_a_call_that_was_taken_in_part_only_the_refused_events_are_told_as_not_published() {
    let server = Server::start(|entries| {
        let taken = entries.iter().enumerate().map(|(n, _)| match n {
            1 => json!({"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}),
            _ => json!({"EventId": "1"}),
        });
        (200, json!({"FailedEntryCount": 1, "Entries": taken.collect::<Vec<_>>()}))
    });
    let refused = Some("InternalFailure".to_owned());
    assert_eq!(server.publish(&events(3)).await, [None, refused, None]);
}

#[tokio::test]
async fn a_call_that_is_refused_publishes_none_of_its_events_and_names_the_code() {
    let server = Server::start(|_| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
    assert_eq!(server.publish(&events(2)).await, vec![Some("AccessDeniedException".to_owned()); 2]);
}

#[tokio::test]
async fn a_bus_that_takes_nothing_is_not_asked_again_for_the_rest_of_a_batch() {
    let server = Server::start(|_| (400, json!({"__type": "AccessDeniedException"})));
    assert!(server.publish(&events(35)).await.iter().all(Option::is_some));
    assert_eq!(server.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_bus_that_is_not_there_publishes_nothing() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(publish(&format!("http://{nobody}"), &events(11)).await.iter().all(Option::is_some));
}

#[test]
fn the_bus_is_on_aws_or_on_this_machine() {
    let mut reader = Reader::new([("AWS_ENDPOINT_URL_EVENTBRIDGE", "http://example.com:80")]);
    Settings::read(&mut reader);
    assert!(reader.finish().unwrap_err().to_string().contains("AWS_ENDPOINT_URL_EVENTBRIDGE"));
}
