//! Cold start only: boot once, then for each event read the clock and call `handle`.

use elastic_refresh::policy::{PRODUCT, cross_site};
use elastic_refresh::{App, BootError, configure, handle, response};
use rondo_shared::boot::NotServing;
use rondo_shared::config::Reader;
use rondo_shared::log;
use rondo_shared::moment::Moment;
use rondo_shared::store::dynamo::DynamoStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    log::init();
    let cross_site = cross_site(&mut Reader::from_environment());
    rondo_shared::boot::run(
        PRODUCT,
        boot,
        |app, moment, request| async move { handle(&app, &moment, &request).await },
        move |why, request, request_id| match why {
            NotServing::NotStarted(error) => response::not_started(error, &cross_site, request, request_id),
            NotServing::WithoutRandomness => response::without_randomness(&cross_site, request),
        },
    )
    .await
}

/// Reads settings and keys and opens the store's connection, before the first event.
async fn boot() -> Result<App<DynamoStore>, BootError> {
    let (mut common, policy) = configure(Reader::from_environment())?;
    let store = DynamoStore::connect(&common.endpoint, &common.table).await;
    let ((), read) = tokio::join!(store.warm_up(), common.keyring.read_ahead());
    read?;
    let now = Moment::read().map_or(rondo_shared::moment::Timestamp::from_millis(0), |moment| moment.now);
    App::new(common, policy, store, now)
}
