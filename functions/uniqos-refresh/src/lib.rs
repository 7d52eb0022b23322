//! Uniqos: `POST /v1/auth/refresh`. A rotating cookie, a grace window, family revocation, rate and quota headers.
//!
//! [`handle`] is the whole function; `main` only boots it and reads the clock.

pub mod policy;
pub mod quota;
pub mod request;
pub mod response;

use lambda_http::{Body, Request, Response};
pub use rondo_shared::boot::BootError;
use rondo_shared::config::{Common, ConfigError, FrontDoorSecret, Reader};
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::Keyring;
use rondo_shared::limit::{Admission, AdmitError, LocalBuckets};
use rondo_shared::log::LogLine;
use rondo_shared::mint::{TokenPair, mint};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::{Revocation, RotateError, Rotated, SealedFamilies, rotate};
use rondo_shared::store::item::Quota;
use rondo_shared::store::{Meter, Store, StoreError};
use rondo_shared::token::{Presented, SigningError};
use rondo_shared::wire::client_of;

use crate::policy::{PRODUCT, Policy};
use crate::quota::QuotaMemory;
use crate::request::{Credentials, ExtractError, Extracted, SettleError, extract, settle};

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
    /// It presented several sessions, and which one is meant could not be found out.
    #[error("which of several sessions is meant could not be found out: {0}")]
    Settle(StoreError),
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
    /// The session that it presented is over, and a cookie beside it, which may be the good one, could not be judged.
    #[error("the session is over, and a cookie beside it could not be judged: {error}")]
    Undecided {
        /// Why it could not.
        error: KeyringError,
        /// What this request ended.
        revoked: Option<Revocation>,
    },
    /// A key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl Failure {
    /// The same where a cookie beside what was presented could not be judged: that the client has no good one, nobody can
    /// say then.
    fn beside(self, undecided: KeyringError) -> Self {
        let revoked = match &self {
            Self::Rotate(RotateError::Revoked(revocation)) => Some(*revocation),
            Self::Rotate(RotateError::Sealed(_)) | Self::Admit { error: AdmitError::Sealed(_), .. } => None,
            Self::Extract(_)
            | Self::Settle(_)
            | Self::Admit { .. }
            | Self::Rotate(RotateError::Conflict | RotateError::Store(_))
            | Self::Undecided { .. }
            | Self::Signing(_) => return self,
        };
        Self::Undecided { error: undecided, revoked }
    }
}

impl From<SettleError> for Failure {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Unsettled(error) => Self::Extract(error),
            SettleError::Sealed(cause) => Self::Admit { error: AdmitError::Sealed(cause), quota: None },
            SettleError::Store(error) => Self::Settle(error),
        }
    }
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
    let extracted = extract(request, &client, &app.policy, &app.keyring, &app.addresses, moment).await?;
    let Extracted { credentials, undecided } = extracted;
    let walked = walk_on(app, moment, credentials, meter, seen).await;
    match undecided {
        Some(error) => walked.map_err(|failure| failure.beside(error)),
        None => walked,
    }
}

/// The walk from what verifies.
async fn walk_on<S: Store>(
    app: &App<S>,
    moment: &Moment,
    credentials: Credentials,
    meter: &Meter,
    seen: &mut Option<response::Seen>,
) -> Result<(Rotated, TokenPair), Failure> {
    let presented = settle(credentials, &app.sealed, &app.store, meter).await?;
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
