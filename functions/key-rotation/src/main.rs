//! Cold start only: boot once, then for each event of the schedule read the clock and call `run`.

use key_rotation::{App, configure, run};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use rondo_shared::config::Reader;
use rondo_shared::log;
use rondo_shared::moment::Moment;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::init();
    let app = configure(Reader::from_environment()).inspect_err(|error| {
        tracing::error!(%error, "no key is rotated: mend the function's configuration and deploy again");
    })?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| answer(&app, event))).await
}

/// What the event says does not matter: what is due is judged by the ring and the clock. An error has the schedule's
/// event tried again, which does no harm.
async fn answer(app: &App, _event: LambdaEvent<Value>) -> Result<(), Error> {
    let moment = Moment::read()?;
    run(app, &moment).await.inspect_err(|error| tracing::error!(%error, "no key was rotated"))?;
    Ok(())
}
