//! The store's process: the embedded DynamoDB over a file, so that it survives being killed.

use std::net::TcpListener;

use dynoxide::Database;

/// Serves `file` on `address` until it is killed.
pub fn serve(file: &str, address: &str) {
    let database = Database::new(file).unwrap();
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        println!("ready");
        dynoxide::server::serve_on(listener, database).await;
    });
}
