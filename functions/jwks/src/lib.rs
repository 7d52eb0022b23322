//! The public keys: `GET /.well-known/jwks.json`, and the discovery document that leads to it.
//!
//! One set for all products, so that any verifier of any product's access tokens can be pointed at one address. It
//! shows what everybody may know and asks nobody who they are; it has no store, and needs the keyring alone.
//! [`handle`] is the whole function; `main` only boots it and reads the clock.

pub mod document;
pub mod policy;
pub mod request;
pub mod response;

use lambda_http::{Body, Request, Response};
use rondo_shared::config::{ConfigError, Reader};
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::{KeyringSource, PublishedKeys};
use rondo_shared::log::LogLine;
use rondo_shared::moment::{Moment, Timestamp};

use crate::document::Document;
use crate::policy::Policy;
use crate::request::{Asked, Refusal, Wanted, read};
use crate::response::Outcome;

/// The function with everything that it keeps between requests.
#[derive(Debug)]
pub struct App {
    policy: Policy,
    keys: PublishedKeys,
}

/// Why the function cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// Variables are missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There are no keys that can be published.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// Reads all settings of this function.
///
/// # Errors
/// [`ConfigError`] naming every bad variable.
pub fn configure(mut reader: Reader) -> Result<(KeyringSource, Policy), ConfigError> {
    let keyring = KeyringSource::configured(&mut reader);
    let policy = Policy::read(&mut reader);
    reader.finish()?;
    Ok((keyring, policy))
}

impl App {
    /// Puts the function together.
    ///
    /// # Errors
    /// [`KeyringError`] where the keyring cannot be published: better no answer, after which verifiers keep the set
    /// that they have, than a set with which they refuse good tokens.
    pub fn new(keyring: KeyringSource, policy: Policy, now: Timestamp) -> Result<Self, KeyringError> {
        Ok(Self { policy, keys: PublishedKeys::open_published(keyring, now)? })
    }
}

/// Answers one request, and says what the log line is to say of it.
pub async fn handle(app: &App, moment: &Moment, request: &Request) -> (Response<Body>, LogLine) {
    let outcome = answer(app, moment, request).await.unwrap_or_else(Outcome::Refused);
    response::render(&outcome, &app.policy, moment)
}

async fn answer(app: &App, moment: &Moment, request: &Request) -> Result<Outcome, Refusal> {
    let question = match read(request)? {
        Asked::Preflight => return Ok(Outcome::Preflight),
        Asked::Document(question) => question,
    };
    let keys = app.keys.current(moment.now).await;
    let document = match question.wanted {
        Wanted::Keys => Document::of_keys(&keys),
        Wanted::Discovery => Document::of_discovery(&keys, app.policy.public_url.as_ref().ok_or(Refusal::NoPublicUrl)?),
    };
    if question.knows(&document) {
        return Ok(Outcome::NotModified(document));
    }
    Ok(Outcome::Served { document, with_body: question.with_body })
}
