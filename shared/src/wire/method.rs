//! What a request's method asks of an endpoint that takes POST alone.

use lambda_http::{Request, http};

/// What a request's method asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// What the endpoint is for.
    Post,
    /// A browser asking whether it may.
    Preflight,
    /// Something that is not there.
    Other,
}

impl Method {
    /// Of a request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        match *request.method() {
            http::Method::POST => Self::Post,
            http::Method::OPTIONS => Self::Preflight,
            _ => Self::Other,
        }
    }
}
