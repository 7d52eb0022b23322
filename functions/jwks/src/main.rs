//! Cold start only: boot once, then for each event read the clock and call `handle`.

use jwks::policy::FUNCTION;
use jwks::{App, BootError, configure, handle, response};
use rondo_shared::config::Reader;
use rondo_shared::log;
use rondo_shared::moment::{Moment, Timestamp};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    log::init();
    rondo_shared::boot::run(
        FUNCTION,
        boot,
        |app, moment, request| async move { handle(&app, &moment, &request).await },
        |_, _, request_id| response::not_started(request_id),
    )
    .await
}

/// Reads settings and keys, before the first event.
async fn boot() -> Result<App, BootError> {
    let (mut keyring, policy) = configure(Reader::from_environment())?;
    keyring.read_ahead().await?;
    let now = Moment::read().map_or(Timestamp::from_millis(0), |moment| moment.now);
    Ok(App::new(keyring, policy, now)?)
}
