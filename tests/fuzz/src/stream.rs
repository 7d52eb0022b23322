//! The table's stream: whatever a batch holds, `events` reads it to its end, and what it publishes is of its schema and
//! tells none of what makes a token.

use std::future::Future;
use std::pin::pin;
use std::sync::{LazyLock, Mutex};
use std::task::{Context, Poll, Waker};

use ::events::bus::{Bus, NotPublished};
use ::events::event::{Event, Kind};
use ::events::handle;
use jsonschema::Validator;
use serde_json::{Value, json};

/// What stands for a secret: what a fuzzer makes up may be an event's own words.
const SECRET: &str = "8f1c0a7eb35d_kept_back";
/// What an item has and no event.
const KEPT_BACK: [&str; 4] = ["gid", "parent", "attempt", "label"];

static SCHEMAS: LazyLock<Vec<(Kind, Validator)>> = LazyLock::new(|| Kind::ALL.map(|kind| (kind, schema(kind))).into());

fn schema(kind: Kind) -> Validator {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/events");
    let text = std::fs::read_to_string(format!("{folder}/{}.json", kind.slug())).expect("a schema of each kind");
    let schema = serde_json::from_str(&text).expect("JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema")
}

/// A bus that keeps what it is given, and takes every other event alone.
#[derive(Default)]
struct Kept(Mutex<Vec<(Kind, Value)>>);

impl Bus for Kept {
    async fn publish(&self, events: &[&Event]) -> Vec<Result<(), NotPublished>> {
        self.0.lock().unwrap().extend(events.iter().map(|event| (event.kind(), event.detail().clone())));
        let taken = |n: usize| if n.is_multiple_of(2) { Ok(()) } else { Err(NotPublished("busy".to_owned())) };
        (0..events.len()).map(taken).collect()
    }
}

/// A batch as JSON, or one record of it.
pub fn run(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let mut batch = if value.get("Records").is_some() { value } else { json!({"Records": [value]}) };
    let known = batch.to_string().contains(SECRET);
    batch["Records"].as_array_mut().into_iter().flatten().for_each(keep_secrets);
    let bus = Kept::default();
    let handled = match pin!(handle(&batch, &bus)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(handled) => handled,
        Poll::Pending => unreachable!("nothing is waited for"),
    };
    let told = bus.0.into_inner().unwrap();
    let Some(records) = batch["Records"].as_array() else {
        assert!(handled.is_err() && told.is_empty(), "{batch} is no batch");
        return;
    };
    let handled = handled.unwrap();
    let published = told.len() - told.len() / 2;
    assert!(told.len() <= 2 * records.len() && handled.failures.len() <= told.len() - published);
    let numbers: Vec<&str> =
        records.iter().map(|record| record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default()).collect();
    assert!(handled.failures.iter().all(|failure| numbers.contains(&failure.sequence_number.as_str())));

    for (kind, detail) in &told {
        let (_, schema) = SCHEMAS.iter().find(|(of, _)| of == kind).unwrap();
        let faults: Vec<String> = schema.iter_errors(detail).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{kind:?}: {faults:?} in {detail}");
    }
    let tells = told.iter().any(|(_, detail)| detail.to_string().contains(SECRET));
    assert!(known || !tells, "a secret is told: {told:?}");
}

/// Has the record's item hold the secret wherever it holds one.
fn keep_secrets(record: &mut Value) {
    for name in KEPT_BACK {
        if let Some(Value::String(text)) = record.pointer_mut(&format!("/dynamodb/NewImage/{name}/S")) {
            SECRET.clone_into(text);
        }
    }
}
