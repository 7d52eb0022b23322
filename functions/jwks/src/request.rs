//! Wire to question: which document is asked for, and which one the caller already has.

use lambda_http::Request;
use lambda_http::http::{HeaderMap, Method, header};

use crate::document::Document;

/// Where the key set is, below whatever stage or mapping the gateway puts before it.
pub const KEYS_PATH: &str = "/.well-known/jwks.json";
/// Where OpenID Connect looks for the discovery document, and the HTTP API's authorizer with it.
pub const OPENID_PATH: &str = "/.well-known/openid-configuration";
/// Where RFC 8414 looks for the same.
pub const OAUTH_PATH: &str = "/.well-known/oauth-authorization-server";

/// A document that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The key set.
    Keys,
    /// The discovery document.
    Discovery,
}

/// What a request asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// For a document, unless the caller has it.
    Document(Question),
    /// Whether a browser may ask.
    Preflight,
}

/// A document asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which.
    pub wanted: Wanted,
    /// Whether the document itself is wanted, as by GET, or only what is said of it, as by HEAD.
    pub with_body: bool,
    /// The entity tags that the caller has, without their mark of weakness.
    known: Vec<String>,
}

impl Question {
    /// Whether the caller has this very document. Compares weakly, as RFC 9110 §13.1.2 has it: a cache on the way may
    /// have weakened the tag.
    #[must_use]
    pub fn knows(&self, document: &Document) -> bool {
        self.known.iter().any(|tag| tag == "*" || tag == document.etag())
    }
}

/// Why there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is here.
    #[error("nothing is served at this path")]
    NoSuchPath,
    /// Something is here, but not for this method.
    #[error("the method is not one that is answered")]
    MethodNotAllowed,
    /// Discovery, where nobody has said which issuer this is.
    #[error("JWKS_PUBLIC_URL is not set, so that no issuer can be described")]
    NoPublicUrl,
}

/// Reads a request's path, method and condition; nothing else of it matters.
///
/// # Errors
/// [`Refusal`] where no document is asked for.
pub fn read(request: &Request) -> Result<Asked, Refusal> {
    let path = request.uri().path();
    let wanted = if path.ends_with(KEYS_PATH) {
        Wanted::Keys
    } else if path.ends_with(OPENID_PATH) || path.ends_with(OAUTH_PATH) {
        Wanted::Discovery
    } else {
        return Err(Refusal::NoSuchPath);
    };
    let with_body = match *request.method() {
        Method::GET => true,
        Method::HEAD => false,
        Method::OPTIONS => return Ok(Asked::Preflight),
        _ => return Err(Refusal::MethodNotAllowed),
    };
    Ok(Asked::Document(Question { wanted, with_body, known: known(request.headers()) }))
}

/// The tags of all `If-None-Match`. A comma within a tag tears it, and neither piece is then a tag of ours.
fn known(headers: &HeaderMap) -> Vec<String> {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag).to_owned()).collect()
}
