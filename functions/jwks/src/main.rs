//! Cold start only: boot once, then for each event read the clock and call `handle`.

use std::sync::Arc;
use std::time::Instant;

use jwks::{App, BootError, configure, handle, response};
use lambda_http::{Body, Request, Response};
use rondo_shared::boot::Booted;
use rondo_shared::config::Reader;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::{log, wire};
use ulid::Ulid;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    log::init();
    let booted = Arc::new(Booted::default());
    // Before the first event; what fails is logged, and tried again at the first request.
    let _ = booted.app(boot).await;
    wire::serve(move |request| answer(booted.clone(), request)).await
}

/// Reads settings and keys, before the first event.
async fn boot() -> Result<App, BootError> {
    let (mut keyring, policy) = configure(Reader::from_environment())?;
    keyring.read_ahead().await?;
    let now = Moment::read().map_or(Timestamp::from_millis(0), |moment| moment.now);
    Ok(App::new(keyring, policy, now)?)
}

async fn answer(booted: Arc<Booted<App>>, request: Request) -> Response<Body> {
    let started = Instant::now();
    let moment = match Moment::read() {
        Ok(moment) => moment,
        Err(error) => {
            tracing::error!(%error, "no request can be answered without randomness");
            return response::not_started(Ulid::nil());
        }
    };
    let Ok(app) = booted.app(boot).await else { return response::not_started(moment.request_id) };
    let (response, line) = handle(&app, &moment, &request).await;
    line.emit(started.elapsed());
    response
}
