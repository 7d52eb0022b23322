//! Gateway events: any JSON, mended, makes a request or an error, and never a panic.

use rondo_shared::wire::{Event, client_of};

/// Reads an event and everything that every function reads of it.
pub fn run(data: &[u8]) {
    let text = crate::message::event(data, "good", "other");
    let Ok(event) = Event::from_json(&text) else { return };
    let request = event.into_request();
    assert!(request.uri().path().starts_with('/'), "{:?}", request.uri());
    let client = client_of(&request, None);
    let shown = client.user_agent();
    assert!(shown.len() <= rondo_shared::identity::USER_AGENT_MAX && shown.bytes().all(|b| (b' '..=b'~').contains(&b)));
    let _ = client.network();
    let _ = request.body().as_ref().len();
}
