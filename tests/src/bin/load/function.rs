//! A function instance's process: a product's shipped function, configured by variables and reading the clock, as `main`
//! has it.

use std::sync::Arc;

use lambda_http::Request;
use rondo_shared::config::Reader;
use rondo_shared::moment::Moment;
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::wire::Event;
use rondo_tests::dynamo::TABLE;
use rondo_tests::products::{Function, Product};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Serves until it is killed; prints its address first.
pub async fn serve(product: &str, store: &str) {
    let product = Product::named(product).expect("a product");
    let store = DynamoStore::over(rondo_tests::dynamo::plain_http(), store, TABLE);
    let now = Moment::read().unwrap().now;
    let function = Arc::new(Function::boot(product, Reader::from_environment(), store, now));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(function.clone(), connection));
    }
}

/// Answers one event.
async fn answer(function: Arc<Function<DynamoStore>>, connection: TcpStream) {
    let (mut events, mut event) = (BufReader::new(connection), String::new());
    if events.read_line(&mut event).await.is_err() {
        return;
    }
    let request: Request = Event::from_json(&event).expect("an event").into_request();
    let (response, line) = function.handle(&Moment::read().unwrap(), &request).await;
    let header = |name| response.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
    let answer = json!({
        "status": response.status().as_u16(), "outcome": line.outcome,
        "cookies": header("set-cookie").collect::<Vec<_>>(), "retry_after": header("retry-after").next(),
        "body": String::from_utf8_lossy(response.body().as_ref()),
    });
    // A client that has given up reads nothing.
    let _ = events.get_mut().write_all(format!("{answer}\n").as_bytes()).await;
}
