//! Cold start only: boot once, then for each event read the clock and call `handle`.

use std::future::ready;
use std::time::Instant;

use jwks::{App, BootError, configure, handle, response};
use lambda_http::{Body, Request, Response};
use rondo_shared::config::Reader;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::{log, wire};
use ulid::Ulid;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    log::init();
    let app = boot().inspect_err(|error| {
        tracing::error!(%error, "the function cannot serve: mend its configuration and deploy again");
    });
    wire::serve(move |request| ready(answer(app.as_ref(), &request))).await
}

/// Reads settings and keys, before the first event.
fn boot() -> Result<App, BootError> {
    let (keyring, policy) = configure(Reader::from_environment())?;
    let now = Moment::read().map_or(Timestamp::from_millis(0), |moment| moment.now);
    Ok(App::new(keyring, policy, now)?)
}

fn answer(app: Result<&App, &BootError>, request: &Request) -> Response<Body> {
    let started = Instant::now();
    let moment = match Moment::read() {
        Ok(moment) => moment,
        Err(error) => {
            tracing::error!(%error, "no request can be answered without randomness");
            return response::not_started(Ulid::nil());
        }
    };
    let Ok(app) = app else { return response::not_started(moment.request_id) };
    let (response, line) = handle(app, &moment, request);
    line.emit(started.elapsed());
    response
}
