//! Where events go. EventBridge behind one small port: the only file here that names the AWS SDK.

use std::future::Future;
use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use rondo_shared::aws::Patience;

use crate::Settings;
use crate::event::Event;

/// What all events here say of where they come from.
pub const SOURCE: &str = "rondo";
/// As many as EventBridge takes at once.
pub const AT_ONCE: usize = 10;
/// The stream brings again what was not published, so that there is no need for more.
const PATIENCE: Patience = Patience {
    connect: Duration::from_millis(700),
    attempt: Duration::from_millis(1_000),
    operation: Duration::from_millis(2_500),
    attempts_max: 3,
    initial_backoff: Duration::from_millis(30),
};

/// An event was not published, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPublished(pub String);

/// Takes events.
pub trait Bus: Send + Sync {
    /// Publishes events, and says of each, in their order, whether it was.
    fn publish(&self, events: &[&Event]) -> impl Future<Output = Vec<Result<(), NotPublished>>> + Send;
}

/// A bus of EventBridge.
#[derive(Clone, Debug)]
pub struct EventBridge {
    client: Client,
    bus: String,
}

impl EventBridge {
    /// Prepares a client with the credentials of a function; the first call connects.
    pub async fn connect(settings: &Settings) -> Self {
        let client = Client::new(&settings.endpoint.config(PATIENCE).await);
        Self { client, bus: settings.bus.clone() }
    }

    async fn put(&self, events: &[&Event]) -> Vec<Result<(), NotPublished>> {
        let entries = events.iter().map(|event| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.bus)
                .source(SOURCE)
                .detail_type(event.kind().detail_type())
                .detail(event.detail().to_string())
                .set_time(event.at().map(|at| DateTime::from_millis(at.millis())))
                .build()
        });
        let answered = self.client.put_events().set_entries(Some(entries.collect())).send().await;
        let answered = answered.map_err(|error| match &error {
            SdkError::ServiceError(refused) => NotPublished(refused.err().code().unwrap_or("refused").to_owned()),
            SdkError::TimeoutError(_) => NotPublished("no answer in time".to_owned()),
            SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
                NotPublished("the bus is not available".to_owned())
            }
            SdkError::ConstructionFailure(_) => NotPublished("the call cannot be built".to_owned()),
            _ => NotPublished("an error that the SDK does not name".to_owned()),
        });
        match answered {
            Ok(output) => {
                let of_entry = |n: usize| match output.entries().get(n) {
                    Some(entry) => entry.error_code().map_or(Ok(()), |code| Err(NotPublished(code.to_owned()))),
                    None => Err(NotPublished("the answer does not tell".to_owned())),
                };
                (0..events.len()).map(of_entry).collect()
            }
            Err(error) => vec![Err(error); events.len()],
        }
    }
}

impl Bus for EventBridge {
    async fn publish(&self, events: &[&Event]) -> Vec<Result<(), NotPublished>> {
        let mut published = Vec::with_capacity(events.len());
        for some in events.chunks(AT_ONCE) {
            // A bus that does not answer is not asked again and again while the function's time runs out.
            let down = published.last().and_then(|last: &Result<(), NotPublished>| last.clone().err());
            match down.filter(|_| published.iter().rev().take(AT_ONCE).all(Result::is_err)) {
                Some(error) => published.extend(vec![Err(error); some.len()]),
                None => published.extend(self.put(some).await),
            }
        }
        published
    }
}
