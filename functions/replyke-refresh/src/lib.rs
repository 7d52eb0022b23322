//! Replyke v6: `POST /api/v6/{projectId}/auth/request-new-access-token`. A session that is proven and not rotated,
//! unless a deployment turns rotation on for cookies; the user as the answer shows one; the product's own words for
//! what is wrong with a token.
//!
//! [`handle`] is the whole function; `main` only boots it and reads the clock.

pub mod policy;
pub mod request;
pub mod response;
pub mod user;

use std::time::Duration;

use lambda_http::{Body, Request, Response};
pub use rondo_shared::boot::BootError;
use rondo_shared::config::{Common, ConfigError, FrontDoorSecret, Reader};
use rondo_shared::directory;
use rondo_shared::identity::{Client, Subject, Tenant};
use rondo_shared::keyring::source::Keyring;
use rondo_shared::keyring::{KeyringError, ProductKeys};
use rondo_shared::limit::{Admission, AdmitError, Admitted, Balance, LocalBuckets};
use rondo_shared::log::LogLine;
use rondo_shared::mint::{access_token, mint};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::{How, ProveError, Proven, RotateError, Rotated, SealedFamilies, prove, rotate};
use rondo_shared::session::{Begun, Terms};
use rondo_shared::store::item::ProjectStatus;
use rondo_shared::store::{Item, Meter, Store, StoreError};
use rondo_shared::token::{Claims, SigningError};
use rondo_shared::wire::client_of;
use serde::Serialize;

use crate::policy::{PRODUCT, Policy, project_of};
use crate::request::{Credential, Delivery, ExtractError, extract};
use crate::user::{User, is_there};

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
            admission: Admission::new(policy.allowance),
            addresses: LocalBuckets::new(policy.allowance),
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

/// A session that was found to hold.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives per request")]
pub enum Session {
    /// Its client keeps the token that it has.
    Proven(Proven),
    /// Its client is given a successor.
    Rotated(Rotated),
}

impl Session {
    /// What the presented token said.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        match self {
            Self::Proven(proven) => proven.claims(),
            Self::Rotated(rotated) => rotated.claims(),
        }
    }

    /// Whether a retired token was served to another client than the one that went on: what a theft looks like.
    #[must_use]
    pub fn another_client(&self) -> bool {
        match self {
            Self::Proven(proven) => proven.another_client(),
            Self::Rotated(rotated) => rotated.how() == How::Reissued { another_client: true },
        }
    }
}

/// What a request got.
#[derive(Debug)]
pub struct Granted {
    /// The session that holds.
    pub session: Session,
    /// Its user, as the answer shows one.
    pub user: User,
    /// What was minted from it.
    pub tokens: Tokens,
}

/// The tokens of an answer. `Debug` shows none.
pub struct Tokens {
    /// The access token.
    pub access_token: String,
    /// The refresh token and how long its cookie is kept, where one was rotated.
    pub successor: Option<(String, Duration)>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
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
    /// Its session was not proven.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// Its session was not rotated.
    #[error(transparent)]
    Rotate(#[from] RotateError),
    /// Its session holds, in a project that was removed.
    #[error("the session's project was removed")]
    ProjectRemoved,
    /// Its session holds, and its project could not be read.
    #[error("the session holds, and its project could not be read: {0}")]
    Project(StoreError),
    /// Its session holds, and there is no such user.
    #[error("the session's user is not in the directory")]
    NoSuchUser,
    /// Its session holds, and its user could not be read.
    #[error("the session holds, and its user could not be read: {0}")]
    Profile(StoreError),
    /// A key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// What became known of a request on its walk, however far it came.
#[derive(Debug, Default)]
struct Notes {
    seen: Option<response::Seen>,
    balance: Option<Balance>,
}

/// Answers one request, and says what the log line is to say of it.
pub async fn handle<S: Store>(app: &App<S>, moment: &Moment, request: &Request) -> (Response<Body>, LogLine) {
    let meter = Meter::of_walk();
    let mut notes = Notes::default();
    let client = client_of(request, app.front_door_secret.as_ref());
    let outcome = match response::Method::of(request) {
        response::Method::Post => {
            response::Outcome::Walked(walk(app, moment, request, &client, &meter, &mut notes).await)
        }
        response::Method::Preflight => response::Outcome::Preflight,
        response::Method::Other => response::Outcome::MethodNotAllowed,
    };
    let known = || match notes.seen {
        Some(_) => app.admission.balance(&app.policy.bucket(&client), moment.now),
        None => app.addresses.balance(&client.network(), moment.now),
    };
    let balance = notes.balance.unwrap_or_else(known);
    response::render(&outcome, &app.policy, request.headers(), moment, notes.seen, balance, meter.usage())
}

/// The walk: each line takes what the one before it made.
async fn walk<S: Store>(
    app: &App<S>,
    moment: &Moment,
    request: &Request,
    client: &Client,
    meter: &Meter,
    notes: &mut Notes,
) -> Result<Granted, Failure> {
    let Credential { presented, delivery } = extract_or_charge(app, moment, request, client, notes).await?;
    notes.seen = Some(response::Seen::of(&presented));
    let bucket = app.policy.bucket(client);
    let admitted = app.admission.admit(presented, &bucket, &app.sealed, &app.store, moment.now, meter).await;
    notes.balance = balance_of(&admitted);
    let (session, user) = hold_and_show(app, moment, admitted?, delivery, meter).await?;
    let tokens = tokens(app, moment, &session, &user).await?;
    Ok(Granted { session, user, tokens })
}

/// Extracts the presented token. A request that presents none is charged to its address, in memory.
async fn extract_or_charge<S: Store>(
    app: &App<S>,
    moment: &Moment,
    request: &Request,
    client: &Client,
    notes: &mut Notes,
) -> Result<Credential, ExtractError> {
    let extracted = extract(request, client, &app.policy, &app.keyring, moment).await;
    if matches!(extracted, Ok(_) | Err(ExtractError::Keys(_))) {
        return extracted;
    }
    match app.addresses.charge(&client.network(), moment.now) {
        Ok(balance) => {
            notes.balance = Some(balance);
            extracted
        }
        Err(limited) => {
            notes.balance = Some(limited.balance());
            Err(ExtractError::AddressLimited(limited))
        }
    }
}

/// What is left in the bucket that was charged, where it is known to have been.
const fn balance_of(admitted: &Result<Admitted, AdmitError>) -> Option<Balance> {
    match admitted {
        Ok(admitted) => Some(admitted.balance()),
        Err(AdmitError::Limited { limited, .. }) => Some(limited.balance()),
        Err(AdmitError::Sealed(_) | AdmitError::Store(_)) => None,
    }
}

/// Finds out whether the session holds, whether its project was removed, and who its user is, in one round trip. What is
/// said of the session comes first: an ended one is told as such, whatever became of its project and its user, so that a
/// token that is good no longer tells nothing of them.
async fn hold_and_show<S: Store>(
    app: &App<S>,
    moment: &Moment,
    admitted: Admitted,
    delivery: Delivery,
    meter: &Meter,
) -> Result<(Session, User), Failure> {
    let claims = admitted.presented().claims();
    let (tenant, subject) = (claims.tenant.clone(), claims.sub.clone());
    let (session, profile, project) = tokio::join!(
        // Boxed, since it is larger than all the rest of the walk.
        Box::pin(hold(app, moment, admitted, delivery, meter)),
        directory::profile(&tenant, &subject, false, &app.store, meter),
        directory::project(&tenant, &app.store, meter),
    );
    let session = session?;
    if project.map_err(Failure::Project)?.is_some_and(|project| project.status == ProjectStatus::Removed) {
        return Err(Failure::ProjectRemoved);
    }
    let item = match profile.map_err(Failure::Profile)?.filter(is_there) {
        Some(item) => item,
        None => item_read_strongly(app, &tenant, &subject, meter).await?,
    };
    Ok((session, User::from_item(&subject, &item, moment.now)))
}

async fn hold<S: Store>(
    app: &App<S>,
    moment: &Moment,
    admitted: Admitted,
    delivery: Delivery,
    meter: &Meter,
) -> Result<Session, Failure> {
    let (policy, sealed, store) = (&app.policy.rotation, &app.sealed, &app.store);
    match delivery {
        Delivery::Cookie if app.policy.rotate_cookies => {
            Ok(Session::Rotated(rotate(admitted, policy, sealed, store, moment, meter).await?))
        }
        Delivery::Cookie | Delivery::Body => {
            Ok(Session::Proven(prove(admitted, policy, sealed, store, moment, meter).await?))
        }
    }
}

/// A user is called missing only by a read that sees every acknowledged write.
async fn item_read_strongly<S: Store>(
    app: &App<S>,
    tenant: &Tenant,
    subject: &Subject,
    meter: &Meter,
) -> Result<Item, Failure> {
    let profile = directory::profile(tenant, subject, true, &app.store, meter).await;
    profile.map_err(Failure::Profile)?.filter(is_there).ok_or(Failure::NoSuchUser)
}

/// What an access token of the product says beside whom it is for, by whom and for how long: these claims and no other.
#[derive(Debug, Serialize)]
pub struct OwnClaims<'a> {
    /// The project, which the session's tenant names.
    #[serde(rename = "projectId")]
    pub project_id: &'a str,
    /// The user's role.
    pub role: Option<&'a str>,
}

/// Mints the access token that a session begins with, as [`Terms::access_token_of_user`] has it: the user's role is in it.
pub(crate) fn access_token_of_user(
    terms: &Terms,
    begun: &Begun,
    user: Option<&Item>,
    keys: &ProductKeys,
    moment: &Moment,
) -> Result<String, SigningError> {
    let claims = begun.claims();
    let user = user.map(|item| User::from_item(&claims.sub, item, moment.now));
    let own = OwnClaims { project_id: project_of(&claims.tenant), role: user.as_ref().and_then(User::role) };
    access_token(begun, &own, keys, &terms.authority, &terms.access, moment)
}

/// Mints the access token of a session that holds, and the successor of a refresh token that was rotated.
async fn tokens<S: Store>(
    app: &App<S>,
    moment: &Moment,
    session: &Session,
    user: &User,
) -> Result<Tokens, SigningError> {
    let Policy { authority, access, .. } = &app.policy;
    let own = OwnClaims { project_id: project_of(&session.claims().tenant), role: user.role() };
    let keys = app.keyring.current(moment.now).await;
    match session {
        Session::Proven(proven) => {
            let access_token = access_token(proven, &own, &keys, authority, access, moment)?;
            Ok(Tokens { access_token, successor: None })
        }
        Session::Rotated(rotated) => {
            let pair = mint(rotated, &keys, authority, access, moment)?;
            // The cookie's age is the product's constant; how long its token lives, the token says.
            let successor = (pair.refresh_token().to_owned(), app.policy.rotation.idle);
            let access_token = access_token(rotated, &own, &keys, authority, access, moment)?;
            Ok(Tokens { access_token, successor: Some(successor) })
        }
    }
}
