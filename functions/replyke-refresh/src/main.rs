//! Cold start only: boot once, then for each event read the clock and call `handle`.

use replyke_refresh::policy::{PRODUCT, allowance, cross_site};
use replyke_refresh::{App, BootError, configure, handle, response};
use rondo_shared::config::Reader;
use rondo_shared::log;
use rondo_shared::moment::Moment;
use rondo_shared::store::dynamo::DynamoStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    log::init();
    let mut reader = Reader::from_environment();
    let (cross_site, allowance) = (cross_site(&mut reader), allowance(&mut reader));
    rondo_shared::boot::run(
        PRODUCT,
        boot,
        |app, moment, request| async move { handle(&app, &moment, &request).await },
        move |_, request, request_id| response::not_started(&cross_site, allowance, request, request_id),
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
    Ok(App::new(common, policy, store, now)?)
}
