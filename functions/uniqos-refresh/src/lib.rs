//! Uniqos: `POST /v1/auth/refresh`. A rotating cookie, a grace window, family revocation, rate and quota headers.
//!
//! [`handle`] is the whole function; `main` only boots it and reads the clock.

pub mod policy;
pub mod quota;
pub mod request;
pub mod response;

use lambda_http::{Body, Request, Response};
use rondo_shared::config::{Common, ConfigError, FrontDoorSecret, Reader};
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::Keyring;
use rondo_shared::limit::{Admission, AdmitError, LocalBuckets};
use rondo_shared::log::LogLine;
use rondo_shared::mint::{TokenPair, mint};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::{RotateError, Rotated, SealedFamilies, rotate};
use rondo_shared::store::item::Quota;
use rondo_shared::store::{Meter, Store};
use rondo_shared::token::{Presented, SigningError};
use rondo_shared::wire::client_of;

use crate::policy::{PRODUCT, Policy};
use crate::quota::QuotaMemory;
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
    quotas: QuotaMemory,
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
            admission: Admission::new(policy.org_allowance),
            addresses: LocalBuckets::new(policy.address_allowance),
            front_door_secret: common.front_door_secret,
            policy,
            store,
            sealed: SealedFamilies::default(),
            quotas: QuotaMemory::default(),
        })
    }

    /// The function's settings.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// Why a request got no tokens.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It presented nothing.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// It was not admitted.
    #[error("{error}")]
    Admit {
        /// Why.
        error: AdmitError,
        /// The organization's quota, where a limit is to be told.
        quota: Option<Quota>,
    },
    /// It was not rotated.
    #[error(transparent)]
    Rotate(#[from] RotateError),
    /// A key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Answers one request, and says what the log line is to say of it.
pub async fn handle<S: Store>(app: &App<S>, moment: &Moment, request: &Request) -> (Response<Body>, LogLine) {
    let meter = Meter::of_walk();
    let mut seen = None;
    let outcome = match response::Method::of(request) {
        response::Method::Post => response::Outcome::Walked(walk(app, moment, request, &meter, &mut seen).await),
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
) -> Result<(Rotated, TokenPair), Failure> {
    let client = client_of(request, app.front_door_secret.as_ref());
    let presented = extract(request, &client, &app.policy, &app.keyring, &app.addresses, moment).await?;
    *seen = Some(response::Seen::of(&presented));
    let admitted = admit(app, moment, presented, meter).await?;
    let rotated = rotate(admitted, &app.policy.rotation, &app.sealed, &app.store, moment, meter).await?;
    let keys = app.keyring.current(moment.now).await;
    let pair = mint(&rotated, &keys, &app.policy.authority, &app.policy.access, moment)?;
    Ok((rotated, pair))
}

/// Admits by the organization's bucket; where that is empty, finds the quota that the answer shows.
async fn admit<S: Store>(
    app: &App<S>,
    moment: &Moment,
    presented: Presented,
    meter: &Meter,
) -> Result<rondo_shared::Admitted, Failure> {
    let claims = presented.claims();
    let org = claims.org.clone();
    let bucket = app.policy.bucket(org.as_ref(), &claims.sub);
    let admitted = app.admission.admit(presented, &bucket, &app.sealed, &app.store, moment.now, meter).await;
    match (admitted, org) {
        (Ok(admitted), _) => Ok(admitted),
        (Err(error @ AdmitError::Limited { .. }), Some(org)) => {
            let quota = app.quotas.show(&app.policy.tenant, &org, moment.now, &app.store, meter).await;
            Err(Failure::Admit { error, quota })
        }
        (Err(error), _) => Err(Failure::Admit { error, quota: None }),
    }
}
