//! What all endpoints of this kind share of HTTP: gateway events, cookies, the client's address, the cross-site rule,
//! CORS, and the headers that every answer carries. It knows no product and chooses no status.

pub mod client;
pub mod cookies;
pub mod cross_site;
pub mod event;
pub mod method;
pub mod reply;

pub use client::client_of;
pub use cross_site::CrossSitePolicy;
pub use event::{Event, serve, service};
pub use method::Method;
pub use reply::Reply;
