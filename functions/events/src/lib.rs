//! What happened to sessions, told to whoever wants to know: the table's stream in, EventBridge events out.
//!
//! No event depends on the request that caused it: what stands in the table is told, at least once, in no order. Each
//! event carries its generation, and an `id` made of its item's key and its kind, so that who gets it twice can tell.
//! The schemas are in `infra/events/`. An item that DynamoDB deletes or that somebody replaces is no event.
//!
//! [`handle`] is the whole function; `main` only boots it.

pub mod bus;
pub mod event;
pub mod record;

use rondo_shared::aws::Endpoint;
use rondo_shared::config::Reader;
use serde::Serialize;
use serde_json::Value;

use crate::bus::Bus;
use crate::event::Event;
use crate::record::Record;

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `EVENT_BUS`: a name or an ARN; `default` is the account's own.
    pub bus: String,
    /// `AWS_ENDPOINT_URL_EVENTBRIDGE`: an emulator on this machine; `AWS_ENDPOINT_URL`: that of all services; unset on AWS.
    pub endpoint: Endpoint,
}

impl Settings {
    /// Reads the settings of this function; what is wrong is noted with the reader.
    pub fn read(reader: &mut Reader) -> Self {
        let endpoint = Endpoint::configured(reader, "AWS_ENDPOINT_URL_EVENTBRIDGE");
        Self { bus: reader.text("EVENT_BUS", "default"), endpoint }
    }
}

/// What was given is no batch of a stream, and nobody knows what to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no batch of a table's stream: it has no Records")]
pub struct NotABatch;

/// Which records the stream is to bring again: what Lambda reads as a partial batch response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Handled {
    /// One for each record whose events could not be published.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<ItemFailure>,
}

/// A record to bring again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemFailure {
    /// Its sequence number. An empty one has the whole batch brought again.
    #[serde(rename = "itemIdentifier")]
    pub sequence_number: String,
}

/// Publishes what a batch of the stream's records tells.
///
/// A record that cannot be read would be brought again until it expires and hold up what comes after it: it is published
/// as such, for the rule that sends it to the failure queue, and the batch goes on.
///
/// # Errors
/// [`NotABatch`], where there are no records at all.
pub async fn handle<B: Bus>(batch: &Value, bus: &B) -> Result<Handled, NotABatch> {
    let records = batch.get("Records").and_then(Value::as_array).ok_or(NotABatch)?;
    let mut told: Vec<(&str, Event)> = Vec::new();
    let mut unreadable = 0;
    for record in records.iter().map(Record::of) {
        let events = record.events().unwrap_or_else(|error| {
            unreadable += 1;
            tracing::error!(%error, sequence_number = record.sequence_number(), "a record of the stream cannot be read");
            vec![record.unreadable(&error)]
        });
        told.extend(events.into_iter().map(|event| (record.sequence_number(), event)));
    }
    let events: Vec<&Event> = told.iter().map(|(_, event)| event).collect();
    let mut failures: Vec<ItemFailure> = Vec::new();
    for ((sequence_number, event), published) in told.iter().zip(bus.publish(&events).await) {
        let Err(error) = published else { continue };
        tracing::warn!(%error, id = event.id(), sequence_number, "an event was not published and will be tried again");
        // One record may tell two events.
        if failures.last().is_none_or(|last| last.sequence_number != *sequence_number) {
            failures.push(ItemFailure { sequence_number: (*sequence_number).to_owned() });
        }
    }
    tracing::info!(records = records.len(), events = events.len(), unreadable, failed = failures.len(), "batch");
    Ok(Handled { failures })
}
