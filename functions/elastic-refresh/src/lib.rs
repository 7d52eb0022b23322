//! Elastic Cloud Enterprise: `POST /api/v1/users/auth/_refresh`. One token that is both the access token and what is
//! rotated, a grace window that lasts until the successor is used, and sessions opened by name and password.
//!
//! [`handle`] is the whole function; `main` only boots it and reads the clock.

pub mod login;
pub mod password;
pub mod policy;
pub mod request;
pub mod response;

use lambda_http::{Body, Request, Response};
use rondo_shared::boot::Obstacle;
use rondo_shared::config::{Common, ConfigError, FrontDoorSecret, Reader};
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::{Keyring, KeyringSource};
use rondo_shared::limit::{Admission, AdmitError, LocalBuckets};
use rondo_shared::log::LogLine;
use rondo_shared::mint::{TokenPair, mint};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::{RotateError, Rotated, SealedFamilies, rotate};
use rondo_shared::session::Issuing;
use rondo_shared::store::{Meter, Store};
use rondo_shared::token::SigningError;
use rondo_shared::wire::client_of;

use crate::login::{LoginError, Logins};
use crate::password::{Argon2id, Verifier};
use crate::policy::{PRODUCT, Policy};
use crate::request::{Credentials, ExtractError, UnverifiedLogin, extract};

/// The function with everything that it keeps between requests.
#[derive(Debug)]
pub struct App<S, V = Argon2id> {
    policy: Policy,
    front_door_secret: Option<FrontDoorSecret>,
    keyring: Keyring,
    store: S,
    admission: Admission,
    addresses: LocalBuckets,
    logins: Logins<V>,
    sealed: SealedFamilies,
}

/// Why the function cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// The deployment has no session store or no keys for this product, and may well mean it so.
    #[error("not configured: {0}")]
    NotConfigured(&'static str),
    /// Variables are missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There are keys, and they are of no use.
    #[error(transparent)]
    Keyring(KeyringError),
}

impl Obstacle for BootError {
    fn may_pass(&self) -> bool {
        match self {
            // Keys can be made and mended without a deployment.
            Self::Keyring(_) | Self::NotConfigured(_) => true,
            Self::Config(_) => false,
        }
    }
}

impl From<KeyringError> for BootError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::NoKeys(_) => Self::NotConfigured("the keyring holds no keys for this product"),
            KeyringError::Absent(_) => Self::NotConfigured("there is no keyring yet: `rondo keys init` makes one"),
            KeyringError::Invalid(_) | KeyringError::Unreadable(_) => Self::Keyring(error),
        }
    }
}

/// Reads all settings of this function.
///
/// # Errors
/// [`BootError::NotConfigured`] where there is no store or no keyring to speak of, [`BootError::Config`] naming every bad
/// variable.
pub fn configure(mut reader: Reader) -> Result<(Common, Policy), BootError> {
    if reader.raw("TABLE_NAME").is_none() {
        return Err(BootError::NotConfigured("TABLE_NAME is not set"));
    }
    if !KeyringSource::is_named(&reader) {
        return Err(BootError::NotConfigured("KEYRING_SECRET_ID is not set, nor is KEYRING_FILE"));
    }
    let common = Common::read(&mut reader);
    let policy = Policy::read(&mut reader, &common);
    reader.finish()?;
    Ok((common, policy))
}

impl<S: Store> App<S> {
    /// Puts the function together over a store.
    ///
    /// # Errors
    /// [`BootError`] where the keyring has no usable keys.
    pub fn new(common: Common, policy: Policy, store: S, now: Timestamp) -> Result<Self, BootError> {
        Self::with_verifier(common, policy, store, Argon2id, now)
    }
}

impl<S: Store, V: Verifier> App<S, V> {
    /// The same with something else to try passwords by.
    ///
    /// # Errors
    /// [`BootError`] where the keyring has no usable keys.
    pub fn with_verifier(
        common: Common,
        policy: Policy,
        store: S,
        verifier: V,
        now: Timestamp,
    ) -> Result<Self, BootError> {
        Ok(Self {
            keyring: Keyring::open(common.keyring, PRODUCT, now)?,
            admission: Admission::new(policy.user_allowance),
            addresses: LocalBuckets::new(policy.address_allowance),
            logins: Logins::new(&policy, verifier),
            front_door_secret: common.front_door_secret,
            policy,
            store,
            sealed: SealedFamilies::default(),
        })
    }

    /// The function's settings.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// What a request got.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives per request")]
pub enum Granted {
    /// The next token of a session.
    Refreshed(Rotated, TokenPair),
    /// The first token of a session that was opened for it.
    Opened(TokenPair),
}

/// Why a request got no token.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It presented nothing.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// It was not admitted.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// It was not rotated.
    #[error(transparent)]
    Rotate(#[from] RotateError),
    /// It signed nobody in.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// A key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Answers one request, and says what the log line is to say of it.
pub async fn handle<S: Store, V: Verifier>(
    app: &App<S, V>,
    moment: &Moment,
    request: &Request,
) -> (Response<Body>, LogLine) {
    let meter = Meter::of_walk();
    let mut seen = None;
    let outcome = match response::Method::of(request) {
        response::Method::Post => response::Outcome::Walked(walk(app, moment, request, &meter, &mut seen).await),
        response::Method::Preflight => response::Outcome::Preflight,
        response::Method::Other => response::Outcome::MethodNotAllowed,
    };
    response::render(&outcome, &app.policy, request.headers(), moment, seen, meter.usage())
}

/// The walk: each line takes what the one before it made. A name and a password take one of their own.
async fn walk<S: Store, V: Verifier>(
    app: &App<S, V>,
    moment: &Moment,
    request: &Request,
    meter: &Meter,
    seen: &mut Option<response::Seen>,
) -> Result<Granted, Failure> {
    let client = client_of(request, app.front_door_secret.as_ref());
    let presented = match extract(request, &client, &app.policy, &app.keyring, &app.addresses, moment).await? {
        Credentials::Token(presented) => presented,
        // On the heap: the rarer walk is not to make every refresh's future larger.
        Credentials::Password(login) => return Box::pin(sign_in(app, moment, login, meter, seen)).await,
    };
    *seen = Some(response::Seen::of(&presented));
    let bucket = app.policy.bucket(&presented.claims().sub);
    let admitted = app.admission.admit(presented, &bucket, &app.sealed, &app.store, moment.now, meter).await?;
    let rotated = rotate(admitted, &app.policy.rotation, &app.sealed, &app.store, moment, meter).await?;
    let keys = app.keyring.current(moment.now).await;
    let pair = mint(&rotated, &keys, &app.policy.authority, &app.policy.access, moment)?;
    Ok(Granted::Refreshed(rotated, pair))
}

/// The walk of a name and password, likewise.
async fn sign_in<S: Store, V: Verifier>(
    app: &App<S, V>,
    moment: &Moment,
    login: UnverifiedLogin,
    meter: &Meter,
    seen: &mut Option<response::Seen>,
) -> Result<Granted, Failure> {
    let Policy { authority, rotation, access, .. } = &app.policy;
    let attempt = app.logins.admit(login, &app.policy, &app.store, moment.now, meter).await?;
    let verified = app.logins.verify(attempt, &app.policy, &app.store, meter).await?;
    let keys = app.keyring.current(moment.now).await;
    let issuing = Issuing { keys: &keys, authority, rotation, access };
    let (family, pair) = login::open(verified, &app.policy, issuing, &app.store, moment, meter).await?;
    *seen = Some(response::Seen::opened(family));
    Ok(Granted::Opened(pair))
}
