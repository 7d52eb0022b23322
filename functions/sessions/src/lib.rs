//! Sessions, for trusted backends: opening one, listing a user's, ending one, all but one, or all.
//!
//! | route | answers |
//! |---|---|
//! | `POST /sessions` | a new session's tokens, or again those of the one that the same client token opened |
//! | `GET /sessions` | a page of a user's sessions, newest first |
//! | `DELETE /sessions/{family}` | how the session stands sealed |
//! | `POST /sessions/revoke` | the sessions that it ended |
//!
//! Whoever may call this can sign in as anybody. So it serves only what the gateway has authorized by IAM, and refuses
//! every event without an IAM identity by itself, however its routes are configured. It serves all products, and
//! [`products`] is all that it knows of them.
//!
//! [`handle`] is the whole function; `main` only boots it and reads the clock.

pub mod fields;
pub mod policy;
pub mod products;
pub mod request;
pub mod response;

use lambda_http::{Body, Request, Response};
pub use rondo_shared::boot::BootError;
use rondo_shared::config::{Common, ConfigError, FrontDoorSecret, Reader};
use rondo_shared::directory;
use rondo_shared::identity::{Client, FamilyId};
use rondo_shared::keyring::KeyringError;
use rondo_shared::log::LogLine;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::session::{self, Begun, Ended, OpenOnceError, OpeningPolicy, Page, Terms};
use rondo_shared::store::item::{AccountStatus, Cause, Seal, UserProfile};
use rondo_shared::store::{Meter, Store, StoreError};
use rondo_shared::token::SigningError;
use rondo_shared::wire::client_of;

use crate::policy::Policy;
use crate::products::{FirstTokens, MintError, Products};
use crate::request::{Asked, ExtractError, Listing, Opening, Owner, extract};

/// The function with everything that it keeps between requests.
#[derive(Debug)]
pub struct App<S> {
    policy: Policy,
    products: Products,
    front_door_secret: Option<FrontDoorSecret>,
    store: S,
}

/// Reads all settings of this function, and of each product those that opening a session asks for.
///
/// # Errors
/// [`ConfigError`] naming every bad variable.
pub fn configure(mut reader: Reader) -> Result<(Common, Policy, Vec<Terms>), ConfigError> {
    let common = Common::read(&mut reader);
    let policy = Policy::read(&mut reader, &common);
    let terms = products::all(&mut reader, &common);
    reader.finish()?;
    Ok((common, policy, terms))
}

impl<S: Store> App<S> {
    /// Puts the function together over a store.
    ///
    /// # Errors
    /// [`KeyringError`] where the keyring has usable keys for no product.
    pub fn new(
        common: Common,
        policy: Policy,
        terms: Vec<Terms>,
        store: S,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        Ok(Self {
            products: Products::open(terms, &common.keyring, now)?,
            front_door_secret: common.front_door_secret,
            policy,
            store,
        })
    }
}

/// What a request came to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives per request")]
pub enum Done {
    /// A session was opened, or found as it was opened.
    Opened {
        /// The session.
        begun: Begun,
        /// Its tokens.
        tokens: FirstTokens,
    },
    /// Sessions were listed.
    Listed {
        /// Which.
        page: Page,
        /// Sessions opened earlier are over.
        not_before: Option<Timestamp>,
    },
    /// One session has ended.
    RevokedOne {
        /// Which.
        family: FamilyId,
        /// How it stands sealed.
        seal: Seal,
    },
    /// Several sessions have ended.
    RevokedAll(Vec<(FamilyId, Seal)>),
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It asked for nothing that can be done.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// No session was opened.
    #[error(transparent)]
    Open(#[from] OpenOnceError),
    /// The directory has no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// The user has no such session.
    #[error("the user has no such session")]
    NoSuchSession,
    /// All sessions were to end for a status that the user does not have: opened ones could slip in.
    #[error("the user's status is {}, and not what the sessions are to end for", .0.as_str())]
    StatusNotWritten(AccountStatus),
    /// The session stands, and its tokens could not be signed.
    #[error(transparent)]
    Signing(SigningError),
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<MintError> for Failure {
    fn from(error: MintError) -> Self {
        match error {
            MintError::Signing(error) => Self::Signing(error),
            MintError::Store(error) => Self::Store(error),
        }
    }
}

/// Answers one request, and says what the log line is to say of it: here also who asked, since whoever may ask can sign
/// in as anybody.
pub async fn handle<S: Store>(app: &App<S>, moment: &Moment, request: &Request) -> (Response<Body>, LogLine) {
    let meter = Meter::default();
    let outcome = walk(app, moment, request, &meter).await;
    let (response, line) = response::render(&outcome, moment, meter.usage());
    (response, LogLine { caller: request::caller(request), ..line })
}

/// The walk: what is asked for, by whom it may be asked, and the one thing that is done.
async fn walk<S: Store>(app: &App<S>, moment: &Moment, request: &Request, meter: &Meter) -> Result<Done, Failure> {
    let caller = client_of(request, app.front_door_secret.as_ref());
    match extract(request, &app.policy, &app.products)? {
        Asked::Open(opening) => open(app, moment, opening, meter).await,
        Asked::List(listing) => list(app, listing, meter).await,
        Asked::RevokeOne { owner, family } => revoke_one(app, moment, &owner, family, caller, meter).await,
        Asked::RevokeAll { owner, kept, cause } => revoke_all(app, moment, &owner, kept, cause, &caller, meter).await,
    }
}

async fn open<S: Store>(app: &App<S>, moment: &Moment, opening: Opening<'_>, meter: &Meter) -> Result<Done, Failure> {
    let Opening { product, new, client_token } = opening;
    let Terms { authority, rotation, .. } = product.terms();
    let policy = OpeningPolicy { authority, rotation, live_max: app.policy.sessions_per_user_max };
    let begun = session::open_once(&new, &client_token, policy, &app.store, moment, meter).await?;
    let tokens = product.mint(&begun, &app.store, moment, meter).await?;
    Ok(Done::Opened { begun, tokens })
}

async fn list<S: Store>(app: &App<S>, listing: Listing<'_>, meter: &Meter) -> Result<Done, Failure> {
    let Listing { owner, from, limit } = listing;
    let page = session::page(&owner.tenant, &owner.subject, from, limit, &app.store, meter).await?;
    if page.sessions.is_empty() {
        must_be_known(app, &owner, meter).await?;
    }
    Ok(Done::Listed { page, not_before: owner.product.terms().authority.sessions_not_before })
}

async fn revoke_one<S: Store>(
    app: &App<S>,
    moment: &Moment,
    owner: &Owner<'_>,
    family: Option<FamilyId>,
    caller: Client,
    meter: &Meter,
) -> Result<Done, Failure> {
    let family = family.ok_or(Failure::NoSuchSession)?;
    let Owner { tenant, subject, .. } = owner;
    let cause = Cause::SignOut;
    let seal = session::revoke_of_user(tenant, subject, family, cause, caller, &app.store, moment, meter).await?;
    Ok(Done::RevokedOne { family, seal: seal.ok_or(Failure::NoSuchSession)? })
}

async fn revoke_all<S: Store>(
    app: &App<S>,
    moment: &Moment,
    owner: &Owner<'_>,
    kept: Option<FamilyId>,
    cause: Cause,
    caller: &Client,
    meter: &Meter,
) -> Result<Done, Failure> {
    let Owner { tenant, subject, .. } = owner;
    if let Some(status) = AccountStatus::that_ends_sessions_by(cause) {
        must_have(app, owner, status, meter).await?;
    }
    match session::revoke_all_but(tenant, subject, kept, cause, caller, &app.store, moment, meter).await? {
        Ended::Sessions(sealed) => Ok(Done::RevokedAll(sealed)),
        Ended::KeptIsNotTheirs => Err(Failure::NoSuchSession),
        Ended::NoSessions => {
            must_be_known(app, owner, meter).await?;
            match kept {
                Some(_) => Err(Failure::NoSuchSession),
                None => Ok(Done::RevokedAll(Vec::new())),
            }
        }
    }
}

/// The status first: from then on no session is opened, so that none slips in between those that end. It is read
/// consistently, as what was just written.
async fn must_have<S: Store>(
    app: &App<S>,
    owner: &Owner<'_>,
    status: AccountStatus,
    meter: &Meter,
) -> Result<(), Failure> {
    let item = directory::profile(&owner.tenant, &owner.subject, true, &app.store, meter).await?;
    let profile = match item {
        Some(item) => UserProfile::from_item(&item)?,
        // No session is opened for a user who is not there.
        None if status == AccountStatus::Removed => return Ok(()),
        None => return Err(Failure::NoSuchUser),
    };
    if profile.status == status { Ok(()) } else { Err(Failure::StatusNotWritten(profile.status)) }
}

/// A user of whom there is nothing to tell is told from one whom nobody knows. One who has sessions is known.
async fn must_be_known<S: Store>(app: &App<S>, owner: &Owner<'_>, meter: &Meter) -> Result<(), Failure> {
    let profile = directory::profile(&owner.tenant, &owner.subject, true, &app.store, meter).await?;
    profile.map(|_| ()).ok_or(Failure::NoSuchUser)
}
