//! Faults between the SDK and the store, below the SDK's retries, so that retries, time-outs and nonces run for real.
//!
//! A test queues faults by operation (`PutItem`, `Query`, `UpdateItem`, …); each attempt of that operation takes one. Where
//! several calls of one operation are under way at once, a fault is queued for the one whose request holds a text.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use tokio::sync::Semaphore;

use crate::dynamo::plain_http;

/// What happens to one attempt.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing: it goes through.
    None,
    /// The connection is refused: not applied.
    Refused,
    /// Applied; the connection breaks before the answer.
    AppliedThenDropped,
    /// Applied; the answer never comes, and the attempt times out.
    AppliedThenHung,
    /// Not applied; the answer never comes, and the attempt times out.
    Hung,
    /// Applied; the answer is a 500.
    AppliedThenInternalError,
    /// Not applied; the service throttles.
    Throttled,
    /// Not applied; the service reports a conflict with a transaction.
    TransactionConflict,
    /// Not applied; the service cancels the transaction, for this reason at its first item.
    TransactionCancelled(&'static str),
    /// The connection breaks at once; the request is applied when the gate is opened.
    AppliedLate(Gate),
    /// Sent when the gate is opened.
    HeldBefore(Gate),
    /// Applied at once; answered when the gate is opened.
    HeldAfter(Gate),
}

/// A point that a call reaches, and at which it waits for the test.
#[derive(Clone, Debug)]
pub struct Gate {
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
    passed: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self { reached: closed(), open: closed(), passed: closed() }
    }
}

impl Gate {
    /// Waits until a call has come here.
    pub async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    /// Lets it go on.
    pub fn open(&self) {
        self.open.add_permits(1);
    }

    /// Waits until what was held has been applied.
    pub async fn passed(&self) {
        self.passed.acquire().await.unwrap().forget();
    }

    async fn wait(&self) {
        self.reached.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }
}

#[derive(Debug, Default)]
struct Script {
    queued: HashMap<String, VecDeque<Fault>>,
    placed: Vec<(String, String, Fault)>,
    attempts: Vec<String>,
}

/// The faults of one client, and a record of what it attempted.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Script>>);

impl Faults {
    /// Queues a fault for an attempt of `operation`.
    pub fn queue(&self, operation: &str, fault: Fault) {
        self.0.lock().unwrap().queued.entry(operation.to_owned()).or_default().push_back(fault);
    }

    /// Queues a fault for as many attempts of `operation` as one call makes, of the call whose request holds `text`: of an
    /// item's key, say.
    pub fn queue_for_all_attempts_at(&self, operation: &str, text: &str, fault: &Fault) {
        let placed = (operation.to_owned(), text.to_owned(), fault.clone());
        self.0.lock().unwrap().placed.extend(std::iter::repeat_n(placed, 3));
    }

    /// Queues the same fault for as many attempts as one operation makes.
    pub fn queue_for_all_attempts(&self, operation: &str, fault: &Fault) {
        for _ in 0..3 {
            self.queue(operation, fault.clone());
        }
    }

    /// The operations attempted since the last call, retries included, and forgets them.
    pub fn take_attempts(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().attempts)
    }

    /// Forgets the faults that have not happened: an operation that the SDK does not retry leaves some.
    pub fn clear(&self) {
        let mut script = self.0.lock().unwrap();
        script.queued.clear();
        script.placed.clear();
    }

    /// Whether every queued fault has happened.
    pub fn all_happened(&self) -> bool {
        let script = self.0.lock().unwrap();
        script.placed.is_empty() && script.queued.values().all(VecDeque::is_empty)
    }

    /// An HTTP client in which these faults happen.
    pub fn http(&self) -> SharedHttpClient {
        let (faults, inner) = (self.clone(), plain_http());
        http_client_fn(move |settings, components| {
            let inner = inner.http_connector(settings, components);
            SharedHttpConnector::new(FaultyConnector { faults: faults.clone(), inner })
        })
    }

    fn next(&self, operation: &str, request: &[u8]) -> Fault {
        let mut script = self.0.lock().unwrap();
        script.attempts.push(operation.to_owned());
        let holds = |text: &str| request.windows(text.len()).any(|part| part == text.as_bytes());
        if let Some(at) = script.placed.iter().position(|(of, text, _)| of == operation && holds(text)) {
            return script.placed.remove(at).2;
        }
        script.queued.get_mut(operation).and_then(VecDeque::pop_front).unwrap_or(Fault::None)
    }
}

#[derive(Debug)]
struct FaultyConnector {
    faults: Faults,
    inner: SharedHttpConnector,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let (fault, inner) = (self.faults.next(&operation, body), self.inner.clone());
        HttpConnectorFuture::new(async move {
            match fault {
                Fault::None => inner.call(request).await,
                Fault::Refused => Err(broken()),
                Fault::AppliedThenDropped => {
                    inner.call(request).await?;
                    Err(broken())
                }
                Fault::AppliedThenHung => {
                    inner.call(request).await?;
                    std::future::pending().await
                }
                Fault::Hung => std::future::pending().await,
                Fault::AppliedThenInternalError => {
                    inner.call(request).await?;
                    Ok(answer(500, "InternalServerError"))
                }
                Fault::Throttled => Ok(answer(400, "ThrottlingException")),
                Fault::TransactionConflict => Ok(answer(400, "TransactionConflictException")),
                Fault::TransactionCancelled(reason) => Ok(cancelled(reason)),
                Fault::AppliedLate(gate) => {
                    tokio::spawn(async move {
                        gate.wait().await;
                        inner.call(request).await.unwrap();
                        gate.passed.add_permits(1);
                    });
                    Err(broken())
                }
                Fault::HeldBefore(gate) => {
                    gate.wait().await;
                    inner.call(request).await
                }
                Fault::HeldAfter(gate) => {
                    let answer = inner.call(request).await;
                    gate.wait().await;
                    answer
                }
            }
        })
    }
}

fn broken() -> ConnectorError {
    ConnectorError::io("the connection broke".into())
}

fn answer(status: u16, code: &str) -> HttpResponse {
    respond(status, format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"injected"}}"#))
}

fn cancelled(reason: &str) -> HttpResponse {
    let code = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let reasons = format!(r#"[{{"Code":"{reason}"}},{{"Code":"None"}},{{"Code":"None"}}]"#);
    respond(400, format!(r#"{{"__type":"{code}","Message":"injected","CancellationReasons":{reasons}}}"#))
}

fn respond(status: u16, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
