//! Dreadnode: `POST /api/v1/auth/refresh`. A rotating token in a cookie or a body, organizations, FastAPI's errors.
//!
//! [`handle`] is the whole function; `main` only boots it and reads the clock.

pub mod json;
pub mod policy;
pub mod request;
pub mod response;

use lambda_http::{Body, Request, Response};
use rondo_shared::config::{Common, ConfigError, FrontDoorSecret, Reader};
use rondo_shared::directory;
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::Keyring;
use rondo_shared::limit::{Admission, AdmitError, Admitted, LocalBuckets};
use rondo_shared::log::LogLine;
use rondo_shared::mint::{TokenPair, mint};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::{RotateError, Rotated, SealedFamilies, rotate};
use rondo_shared::store::item::Membership;
use rondo_shared::store::{Meter, Store, StoreError};
use rondo_shared::token::SigningError;
use rondo_shared::wire::client_of;

use crate::policy::{PRODUCT, Policy};
use crate::request::{ExtractError, extract};

/// The function with everything that it keeps between requests.
#[derive(Debug)]
pub struct App<S> {
    policy: Policy,
    front_door_secret: Option<FrontDoorSecret>,
    keyring: Keyring,
    store: S,
    admission: Admission,
    addresses: LocalBuckets,
    sealed: SealedFamilies,
}

/// Why the function cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// Variables are missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There are no keys.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// Reads all settings of this function.
///
/// # Errors
/// [`ConfigError`] naming every bad variable.
pub fn configure(mut reader: Reader) -> Result<(Common, Policy), ConfigError> {
    let common = Common::read(&mut reader);
    let policy = Policy::read(&mut reader, &common);
    reader.finish()?;
    Ok((common, policy))
}

impl<S: Store> App<S> {
    /// Puts the function together over a store.
    ///
    /// # Errors
    /// [`KeyringError`] where the keyring has no usable keys.
    pub fn new(common: Common, policy: Policy, store: S, now: Timestamp) -> Result<Self, KeyringError> {
        Ok(Self {
            keyring: Keyring::open(common.keyring, PRODUCT, now)?,
            admission: Admission::new(policy.user_allowance),
            addresses: LocalBuckets::new(policy.address_allowance),
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
pub struct Granted {
    /// The rotation that holds.
    pub rotated: Rotated,
    /// The tokens that were minted from it.
    pub pair: TokenPair,
    /// The user's organizations, which the answer shows.
    pub memberships: Vec<Membership>,
}

/// Why a request got no tokens.
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
    /// It was rotated, and what the answer shows beside the tokens could not be read. The client's retry is reissued.
    #[error("the token was rotated, and the user's organizations could not be read: {0}")]
    Memberships(StoreError),
    /// A key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Answers one request, and says what the log line is to say of it.
pub async fn handle<S: Store>(app: &App<S>, moment: &Moment, request: &Request) -> (Response<Body>, LogLine) {
    let meter = Meter::of_walk();
    let mut seen = None;
    let outcome = match response::Method::of(request) {
        // Boxed: three calls in one round trip make a future of some 24 kB.
        response::Method::Post => {
            response::Outcome::Walked(Box::pin(walk(app, moment, request, &meter, &mut seen)).await)
        }
        response::Method::Preflight => response::Outcome::Preflight,
        response::Method::Other => response::Outcome::MethodNotAllowed,
    };
    response::render(&outcome, &app.policy, request.headers(), moment, seen, meter.usage())
}

/// The walk: each line takes what the one before it made.
async fn walk<S: Store>(
    app: &App<S>,
    moment: &Moment,
    request: &Request,
    meter: &Meter,
    seen: &mut Option<response::Seen>,
) -> Result<Granted, Failure> {
    let client = client_of(request, app.front_door_secret.as_ref());
    let presented = extract(request, &client, &app.policy, &app.keyring, &app.addresses, moment).await?;
    *seen = Some(response::Seen::of(&presented));
    let bucket = app.policy.bucket(&presented.claims().sub);
    let admitted = app.admission.admit(presented, &bucket, &app.sealed, &app.store, moment.now, meter).await?;
    let (rotated, memberships) = rotate_and_show(app, moment, admitted, meter).await?;
    let keys = app.keyring.current(moment.now).await;
    let pair = mint(&rotated, &keys, &app.policy.authority, &app.policy.access, moment)?;
    Ok(Granted { rotated, pair, memberships })
}

/// Rotates and reads the user's organizations in one round trip. What the rotation says comes first: an ended session
/// is told as such, whether or not the organizations could be read.
async fn rotate_and_show<S: Store>(
    app: &App<S>,
    moment: &Moment,
    admitted: Admitted,
    meter: &Meter,
) -> Result<(Rotated, Vec<Membership>), Failure> {
    let subject = admitted.presented().claims().sub.clone();
    let (rotated, memberships) = tokio::join!(
        rotate(admitted, &app.policy.rotation, &app.sealed, &app.store, moment, meter),
        directory::memberships(&app.policy.tenant, &subject, &app.store, meter),
    );
    Ok((rotated?, memberships.map_err(Failure::Memberships)?))
}
