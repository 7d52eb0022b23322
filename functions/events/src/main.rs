//! Cold start only: boot once, then hand each batch of the stream to `handle`.

use std::sync::Arc;

use events::bus::EventBridge;
use events::{Handled, Settings, handle};
use lambda_runtime::{LambdaEvent, service_fn};
use rondo_shared::config::Reader;
use rondo_shared::log;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log::init();
    let mut reader = Reader::from_environment();
    let settings = Settings::read(&mut reader);
    // Unlike a client's request a batch can wait: an instance that cannot start ends, and the stream keeps its records.
    reader
        .finish()
        .inspect_err(|error| tracing::error!(%error, "the function cannot serve: mend its configuration"))?;
    let bus = Arc::new(EventBridge::connect(&settings).await);
    lambda_runtime::run(service_fn(move |event| answer(Arc::clone(&bus), event))).await
}

async fn answer(bus: Arc<EventBridge>, event: LambdaEvent<Value>) -> Result<Handled, lambda_runtime::Error> {
    let handled = handle(&event.payload, &*bus).await;
    Ok(handled.inspect_err(|error| tracing::error!(%error, "nothing was published"))?)
}
