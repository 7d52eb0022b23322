//! The store's side: an embedded DynamoDB in this thread, reached below the SDK's retries without a socket, so that
//! nothing but the schedule decides what comes first. Every write that is applied to a family is written down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use rondo_tests::T0;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::dice::Dice;
use super::schedule::Trouble;

/// A place in the one order of all that happens, and its time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    pub seq: u64,
    pub ms: u64,
}

/// A write that was applied to a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub at: At,
    pub key: String,
    pub item: Value,
}

/// An item of a family that was deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Removal {
    pub at: At,
    pub key: String,
    /// By its time; lost otherwise.
    pub expired: bool,
}

/// What happened, as it happened.
#[derive(Debug)]
pub struct Log {
    begun: Instant,
    seq: u64,
    pub writes: Vec<Write>,
    pub removals: Vec<Removal>,
    /// Writes that were lost on their way and have not landed.
    pub to_land: usize,
    pub story: Vec<(u64, String)>,
}

pub type SharedLog = Arc<Mutex<Log>>;

impl Log {
    pub fn new() -> SharedLog {
        let (writes, removals, story) = (Vec::new(), Vec::new(), Vec::new());
        Arc::new(Mutex::new(Self { begun: Instant::now(), seq: 0, writes, removals, to_land: 0, story }))
    }

    pub fn at(&mut self) -> At {
        self.seq += 1;
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap();
        At { seq: self.seq, ms }
    }

    /// The store's clock, in milliseconds.
    fn now(&self) -> i64 {
        T0.plus(self.begun.elapsed()).millis()
    }

    pub fn tell(&mut self, what: String) -> At {
        let at = self.at();
        self.story.push((at.ms, what));
        at
    }
}

/// What the store calls of one request meet.
#[derive(Debug)]
pub struct Caller {
    pub name: String,
    pub dice: Dice,
    pub troubles: VecDeque<Trouble>,
    pub attempts: Vec<Attempt>,
    /// What was sent, each once: the SDK's retries send the same again.
    sent: Vec<String>,
}

impl Caller {
    pub fn new(name: String, troubles: &[Trouble], dice: Dice) -> Arc<Mutex<Self>> {
        let (troubles, attempts, sent) = (troubles.iter().copied().collect(), Vec::new(), Vec::new());
        Arc::new(Mutex::new(Self { name, dice, troubles, attempts, sent }))
    }
}

/// One attempt of a store call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which of the request's calls, and whether it charges the bucket.
    pub call: usize,
    pub charges: bool,
    pub begun: At,
    pub trouble: Trouble,
    /// Whether the store's own answer arrived before the SDK gave the attempt up.
    pub answered: bool,
}

tokio::task_local! {
    /// Whose store calls these are. Calls of nobody meet nothing and take no time.
    pub static CALLER: Arc<Mutex<Caller>>;
}

/// Lets time pass, which is paused: the executor moves it on when nothing else is left to do.
pub async fn elapse(ms: u64) {
    let _ = tokio::time::timeout(Duration::from_millis(ms), std::future::pending::<()>()).await;
}

/// A client of `database`, which deletes expired items if `lag` says how long after their time, in seconds; less
/// than none is too early.
pub fn http(database: &Database, log: &SharedLog, lag: Option<i64>) -> SharedHttpClient {
    let wire = Wire { database: database.clone(), log: log.clone(), lag };
    http_client_fn(move |_, _| SharedHttpConnector::new(wire.clone()))
}

#[derive(Clone)]
struct Wire {
    database: Database,
    log: SharedLog,
    lag: Option<i64>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

/// An attempt that is to be made.
struct Attempted {
    who: String,
    trouble: Trouble,
    before: u64,
    after: u64,
    /// Where it is written down, if anybody asks: the caller, and which of its attempts this is.
    noted: Option<(Arc<Mutex<Caller>>, usize)>,
}

impl Attempted {
    fn next(log: &SharedLog, operation: &str, body: &str) -> Self {
        let (sent, charges) = (format!("{operation} {body}"), operation == "UpdateItem");
        let drawn = CALLER.try_with(|shared| {
            let mut caller = shared.lock().unwrap();
            let trouble = caller.troubles.pop_front().unwrap_or(Trouble::None);
            let call = caller.sent.iter().position(|before| *before == sent).unwrap_or(caller.sent.len());
            if call == caller.sent.len() {
                caller.sent.push(sent);
            }
            let begun = log.lock().unwrap().at();
            caller.attempts.push(Attempt { call, charges, begun, trouble, answered: false });
            let (before, after) = (caller.dice.between(1, 25), caller.dice.between(1, 25));
            let noted = Some((shared.clone(), caller.attempts.len() - 1));
            Self { who: caller.name.clone(), trouble, before, after, noted }
        });
        let setting = || "the setting".to_owned();
        drawn.unwrap_or_else(|_| Self { who: setting(), trouble: Trouble::None, before: 0, after: 0, noted: None })
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap();
        let (wire, attempt) = (self.clone(), Attempted::next(&self.log, &operation, &body));
        HttpConnectorFuture::new(async move { wire.meet(attempt, operation, body).await })
    }
}

impl Wire {
    async fn meet(self, attempt: Attempted, operation: String, body: String) -> Result<HttpResponse, ConnectorError> {
        let Attempted { who, trouble, before, after, noted } = attempt;
        let tell = |what: &str| {
            self.log.lock().unwrap().tell(format!("{who}: {operation} {what}"));
        };
        if before > 0 {
            elapse(before).await;
        }
        match trouble {
            Trouble::None => {}
            Trouble::Slow { by } => {
                tell("is slow");
                elapse(by).await;
            }
            Trouble::Refused => {
                tell("finds no connection");
                return Err(broken());
            }
            Trouble::ErrorBefore => {
                tell("fails in the store, not applied");
                return Ok(error(500, "InternalServerError"));
            }
            Trouble::Throttled => {
                tell("is throttled");
                return Ok(error(400, "ThrottlingException"));
            }
            Trouble::Conflict => {
                tell("meets a transaction");
                return Ok(error(400, "TransactionConflictException"));
            }
            Trouble::Hung => {
                tell("hangs, not applied");
                return std::future::pending().await;
            }
            Trouble::AppliedLate { after } => {
                tell("loses its connection, and will be applied later");
                let wire = self.clone();
                self.log.lock().unwrap().to_land += 1;
                tokio::spawn(async move {
                    elapse(after).await;
                    wire.apply(&format!("{who}, late"), &operation, &body);
                    wire.log.lock().unwrap().to_land -= 1;
                });
                return Err(broken());
            }
            Trouble::AppliedThenDropped => {
                self.apply(&who, &operation, &body);
                tell("was applied, and its answer is lost");
                return Err(broken());
            }
            Trouble::AppliedThenHung => {
                self.apply(&who, &operation, &body);
                tell("was applied, and its answer hangs");
                return std::future::pending().await;
            }
            Trouble::AppliedThenError => {
                self.apply(&who, &operation, &body);
                tell("was applied, and is answered with a 500");
                return Ok(error(500, "InternalServerError"));
            }
        }
        let answer = self.apply(&who, &operation, &body);
        if after > 0 {
            elapse(after).await;
        }
        if let Some((caller, attempt)) = noted {
            caller.lock().unwrap().attempts[attempt].answered = true;
        }
        Ok(answer)
    }

    fn apply(&self, who: &str, operation: &str, body: &str) -> HttpResponse {
        let database = &self.database;
        // Whoever looks finds that what has expired is gone: nobody can tell when it went.
        if let Some(lag) = self.lag.filter(|_| operation != "CreateTable" && operation != "UpdateTimeToLive") {
            self.expire(lag);
        }
        let answer = match operation {
            "PutItem" => run(body, |request| database.put_item(request)),
            "UpdateItem" => run(body, |request| database.update_item(request)),
            "Query" => run(body, |request| database.query(request)),
            "GetItem" => run(body, |request| database.get_item(request)),
            "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
            "CreateTable" => run(body, |request| database.create_table(request)),
            "UpdateTimeToLive" => run(body, |request| database.update_time_to_live(request)),
            other => panic!("the store does not know {other}"),
        };
        if answer.status().as_u16() == 200 && matches!(operation, "PutItem" | "TransactWriteItems") {
            let request: Value = serde_json::from_str(body).unwrap();
            let puts = request["TransactItems"].as_array().cloned().unwrap_or_default();
            let items = puts.iter().map(|put| &put["Put"]["Item"]).chain([&request["Item"]]);
            for item in items.filter(|item| item["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("FAMILY#"))) {
                let (mut log, key) = (self.log.lock().unwrap(), item["sk"]["S"].as_str().unwrap().to_owned());
                let at = log.tell(format!("{who}: {key} now stands"));
                log.writes.push(Write { at, key, item: item.clone() });
            }
        }
        answer
    }
}

impl Wire {
    fn expire(&self, lag: i64) {
        let now = self.log.lock().unwrap().now();
        let over = |item: &Value| {
            let expires_at: Option<i64> = item["expires_at"]["N"].as_str().and_then(|secs| secs.parse().ok());
            expires_at.is_some_and(|secs| now >= (secs + lag) * 1_000)
        };
        for item in families(&self.database).into_iter().filter(over) {
            remove(&self.database, &self.log, &item, true);
        }
    }
}

/// Deletes an item of a family.
pub fn remove(database: &Database, log: &SharedLog, item: &Value, expired: bool) {
    let key = json!({"pk": item["pk"], "sk": item["sk"]});
    let request = json!({"TableName": rondo_tests::dynamo::TABLE, "Key": key});
    database.delete_item(serde_json::from_value(request).unwrap()).unwrap();
    let (mut log, key) = (log.lock().unwrap(), item["sk"]["S"].as_str().unwrap().to_owned());
    let at = log.tell(format!("{key} {}", if expired { "has expired, and goes" } else { "is lost" }));
    log.removals.push(Removal { at, key, expired });
}

/// All items of families as they stand.
pub fn families(database: &Database) -> Vec<Value> {
    let request = json!({"TableName": rondo_tests::dynamo::TABLE, "ConsistentRead": true});
    let answer = database.scan(serde_json::from_value(request).unwrap()).unwrap();
    let items = serde_json::to_value(answer).unwrap()["Items"].as_array().unwrap().clone();
    items.into_iter().filter(|item| item["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("FAMILY#"))).collect()
}

fn run<Q: DeserializeOwned, A: Serialize>(body: &str, call: impl Fn(Q) -> dynoxide::Result<A>) -> HttpResponse {
    match call(serde_json::from_str(body).unwrap()) {
        Ok(answer) => respond(200, serde_json::to_string(&answer).unwrap()),
        Err(error) => respond(error.status_code(), error.to_json()),
    }
}

fn broken() -> ConnectorError {
    ConnectorError::io("the connection broke".into())
}

fn error(status: u16, code: &str) -> HttpResponse {
    respond(status, format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"injected"}}"#))
}

fn respond(status: u16, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
