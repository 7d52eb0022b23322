//! A function instance's process: the shipped Uniqos function, configured by variables and reading the clock, as `main`
//! has it.

use std::sync::Arc;

use lambda_http::Request;
use rondo_shared::config::Reader;
use rondo_shared::moment::Moment;
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::wire::Event;
use rondo_tests::dynamo::TABLE;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use uniqos_refresh::{App, configure, handle};

/// Serves until it is killed; prints its address first.
pub async fn serve(store: &str) {
    let (common, policy) = configure(Reader::from_environment()).unwrap();
    let store = DynamoStore::over(rondo_tests::dynamo::plain_http(), store, TABLE);
    let app = Arc::new(App::new(common, policy, store, Moment::read().unwrap().now).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(app.clone(), connection));
    }
}

/// Answers one event.
async fn answer(app: Arc<App<DynamoStore>>, connection: TcpStream) {
    let (mut events, mut event) = (BufReader::new(connection), String::new());
    if events.read_line(&mut event).await.is_err() {
        return;
    }
    let request: Request = Event::from_json(&event).expect("an event").into_request();
    let (response, line) = handle(&app, &Moment::read().unwrap(), &request).await;
    let set = response.headers().get("set-cookie").and_then(|set| set.to_str().ok());
    let answer = json!({"status": line.status, "outcome": line.outcome, "cause": line.cause, "set_cookie": set});
    // A client that has given up reads nothing.
    let _ = events.get_mut().write_all(format!("{answer}\n").as_bytes()).await;
}
