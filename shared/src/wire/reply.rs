//! An answer under construction. Whatever its status, it is never stored by a cache and names its request.

use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde::Serialize;
use ulid::Ulid;

/// An answer under construction.
#[derive(Debug)]
pub struct Reply(Response<Body>);

impl Reply {
    /// An answer without a body.
    #[must_use]
    pub fn new(status: StatusCode, request_id: Ulid) -> Self {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = status;
        Self(response).header("cache-control", "no-store").header("x-request-id", &request_id.to_string())
    }

    /// With a header; a second one of the same name is kept beside the first. A value that is no header value is left
    /// out: every value set by us is one.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().append(HeaderName::from_static(name), value);
        }
        self
    }

    /// With several headers.
    #[must_use]
    pub fn headers(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        for (name, value) in headers {
            self.0.headers_mut().append(name, value);
        }
        self
    }

    /// With a JSON body. What answers are made of always serializes.
    #[must_use]
    pub fn json<T: Serialize>(self, body: &T) -> Response<Body> {
        self.text("application/json", serde_json::to_string(body).unwrap_or_default())
    }

    /// With a text of another kind for its body.
    #[must_use]
    pub fn text(mut self, content_type: &'static str, body: String) -> Response<Body> {
        self.0.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        *self.0.body_mut() = Body::Text(body);
        self.0
    }

    /// Without a body.
    #[must_use]
    pub fn empty(self) -> Response<Body> {
        self.0
    }
}
