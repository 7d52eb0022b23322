//! Sessions: opening, listing, showing and ending them.

use clap::{Args, Subcommand};
use rondo_shared::identity::{FamilyId, OrgKey, Subject};
use rondo_shared::keyring::KeyringError;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::family::{self, History};
use rondo_shared::session::{self, Begun, ClientToken, LIVE, NewSession, OpeningPolicy, SessionState, Terms, state_of};
use rondo_shared::store::item::{Cause, Generation, SESSION_MAX, Seal};
use rondo_shared::store::{Key, Meter, Store as _, keys};
use rondo_shared::token::TokenAuthority;
use serde_json::{Value, json};
use sessions::products::FirstTokens;

use crate::arguments::{FamilyParser, TenantArgument};
use crate::directory::absent;
use crate::failure::Failure;
use crate::product::ProductArguments;
use crate::report::{Report, pairs, table};
use crate::target::{Place, Target};

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Open a session and print its tokens.
    ///
    /// For a product whose tokens travel in cookies, each is printed as the exact Set-Cookie too; Elastic's one token is
    /// both.
    ///
    /// The product's settings (issuer, audience, idle and absolute times, ...) are read from the same environment
    /// variables as the function's, UNIQOS_ISSUER and so on. On AWS they must be those of the deployment, or the
    /// function will not accept the token; on the local stack they are taken from it.
    Open(OpenArguments),
    /// List a user's sessions.
    List(UserArguments),
    /// Show one session.
    Show(ShowArguments),
    /// End one session.
    Revoke(RevokeArguments),
    /// End every session of a user.
    RevokeAll(RevokeAllArguments),
}

/// Whose session is to be opened.
#[derive(Args, Debug)]
pub struct OpenArguments {
    /// The user, who must have been put and be active.
    #[arg(long)]
    pub user: Subject,
    /// The organization that the session acts for.
    #[arg(long)]
    pub org: Option<OrgKey>,
    /// What to call the session, for its owner.
    #[arg(long)]
    pub label: Option<String>,
    /// What the session is for.
    #[command(flatten)]
    pub product: ProductArguments,
}

/// Whose sessions are meant.
#[derive(Args, Debug)]
pub struct UserArguments {
    /// The user.
    #[arg(long)]
    pub user: Subject,
    /// Whose items are meant.
    #[command(flatten)]
    pub tenant: TenantArgument,
}

/// Which session is meant.
#[derive(Args, Debug)]
pub struct ShowArguments {
    /// The session, by the name of its family.
    #[arg(value_parser = FamilyParser)]
    pub family: FamilyId,
    /// Whose items are meant.
    #[command(flatten)]
    pub tenant: TenantArgument,
}

/// Which session is to end, and why.
#[derive(Args, Debug)]
pub struct RevokeArguments {
    /// Which session is meant.
    #[command(flatten)]
    pub session: ShowArguments,
    /// Why, for whoever looks at the session later.
    #[arg(long, value_enum, default_value_t = GivenCause::Operator)]
    pub cause: GivenCause,
}

/// Whose sessions are to end, and why.
#[derive(Args, Debug)]
pub struct RevokeAllArguments {
    /// Whose sessions are meant.
    #[command(flatten)]
    pub user: UserArguments,
    /// Why, for whoever looks at the sessions later.
    #[arg(long, value_enum, default_value_t = GivenCause::Operator)]
    pub cause: GivenCause,
}

/// The causes that a person may give; all others are found by the service itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum GivenCause {
    /// An operator ends it.
    Operator,
    /// The user asked for it.
    SignOut,
}

impl From<GivenCause> for Cause {
    fn from(given: GivenCause) -> Self {
        match given {
            GivenCause::Operator => Self::Operator,
            GivenCause::SignOut => Self::SignOut,
        }
    }
}

/// Runs one of these commands.
///
/// # Errors
/// [`Failure`] where it was not done, or not in full.
pub async fn run(command: &SessionCommand, target: &Target) -> Result<Report, Failure> {
    match command {
        SessionCommand::Open(arguments) => open_and_print(arguments, target).await,
        SessionCommand::List(arguments) => list(arguments, target).await,
        SessionCommand::Show(arguments) => show(arguments, target).await,
        SessionCommand::Revoke(arguments) => revoke(arguments, target).await,
        SessionCommand::RevokeAll(arguments) => revoke_all(arguments, target).await,
    }
}

/// An opened session.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub begun: Begun,
    /// Its first tokens, in the product's own form.
    pub tokens: FirstTokens,
    /// What they were minted by.
    pub terms: Terms,
}

impl Opened {
    /// The session's family.
    #[must_use]
    pub const fn family(&self) -> FamilyId {
        self.begun.family()
    }

    /// When the refresh token expires.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.begun.first().token_expires_at
    }

    /// The refresh cookie as a client sends it, its name and the token; the token alone where there is no cookie.
    #[must_use]
    pub fn cookie(&self) -> String {
        let name = self.terms.refresh_cookie.as_ref().map(|cookie| format!("{}=", cookie.name));
        format!("{}{}", name.unwrap_or_default(), self.tokens.refresh_token)
    }
}

/// Opens a session, as the function `sessions` does for a backend.
///
/// # Errors
/// [`Failure::Open`] where the user is not there or not active; others where keys, settings or table are of no use.
pub async fn open(arguments: &OpenArguments, target: &Target) -> Result<Opened, Failure> {
    let tenant = arguments.product.tenant()?;
    let products = target.products().await?;
    let product =
        products.of(&tenant).ok_or_else(|| KeyringError::NoKeys(arguments.product.product.name().to_owned()))?;
    let new = NewSession {
        tenant,
        subject: arguments.user.clone(),
        org: arguments.org.clone(),
        label: arguments.label.clone(),
        client: target.client(),
    };
    let Terms { authority, rotation, .. } = product.terms();
    // No cap: an operator knows what for.
    let policy = OpeningPolicy { authority, rotation, live_max: None };
    let (moment, meter) = (Moment::read()?, Meter::default());
    // Of this one opening: it is not asked for twice.
    let client_token = ClientToken::of(moment.attempt.as_str());
    let begun = session::open_once(&new, &client_token, policy, target.store(), &moment, &meter).await?;
    let tokens = product.mint(&begun, target.store(), &moment, &meter).await?;
    Ok(Opened { begun, tokens, terms: product.terms().clone() })
}

async fn open_and_print(arguments: &OpenArguments, target: &Target) -> Result<Report, Failure> {
    let opened = open(arguments, target).await?;
    let (tokens, expires_at) = (&opened.tokens, opened.expires_at().iso8601());
    let Terms { authority: TokenAuthority { issuer, .. }, rotation, .. } = &opened.terms;
    let (idle_secs, absolute_secs) = (rotation.idle.as_secs(), rotation.absolute.as_secs());
    let is_both = tokens.access_token == tokens.refresh_token;
    let separate = |text: &str| (!is_both).then(|| text.to_owned());
    let text = pairs(&[
        ("family", Some(opened.family().to_string())),
        ("user", Some(arguments.user.as_str().to_owned())),
        ("token", is_both.then(|| tokens.refresh_token.clone())),
        ("refresh token", separate(&tokens.refresh_token)),
        ("expires at", Some(expires_at.clone())),
        ("Set-Cookie", tokens.set_cookie.clone()),
        ("access token", separate(&tokens.access_token)),
        ("expires in", separate(&format!("{} s", tokens.expires_in.as_secs()))),
        ("Set-Cookie", tokens.set_access_cookie.clone()),
        // Where they are not the deployment's, its function refuses the token.
        ("issuer", on_aws(target).then(|| format!("{issuer}, by this environment"))),
        (
            "lives",
            on_aws(target).then(|| format!("{idle_secs} s unused, {absolute_secs} s in all, by this environment")),
        ),
    ]);
    let json = json!({
        "family": opened.family(),
        "user": arguments.user,
        "org": arguments.org,
        "refresh_token": tokens.refresh_token,
        "refresh_expires_at": expires_at,
        "set_cookie": tokens.set_cookie,
        "access_token": tokens.access_token,
        "access_expires_in": tokens.expires_in.as_secs(),
        "set_access_cookie": tokens.set_access_cookie,
        "issuer": issuer,
        "idle_secs": idle_secs,
        "absolute_secs": absolute_secs,
    });
    Ok(Report::new(text, json))
}

/// Whether settings were read from the tool's own environment: the local stack says its own.
const fn on_aws(target: &Target) -> bool {
    matches!(target.place(), Place::Aws { .. })
}

async fn list(arguments: &UserArguments, target: &Target) -> Result<Report, Failure> {
    let UserArguments { user, tenant } = arguments;
    let now = Moment::read()?.now;
    let sessions = session::list(&tenant.tenant, user, target.store(), &Meter::default()).await?;
    if sessions.is_empty() {
        return Ok(Report::new(format!("{} has no sessions at {}", user.as_str(), target.place()), json!([])));
    }
    let row = |state: &SessionState| {
        let last = state.last.as_ref();
        vec![
            state.entry.family.to_string(),
            state.state_at(now).to_owned(),
            state.entry.label.clone().unwrap_or_default(),
            state.entry.opened_at.iso8601(),
            last.map(|last| last.number.to_string()).unwrap_or_default(),
            last.map(|last| last.minted_at.iso8601()).unwrap_or_default(),
            last.map(|last| last.client.ip()).unwrap_or_default(),
            last.map(|last| last.client.user_agent().to_owned()).unwrap_or_default(),
            state.entry.session_expires_at.iso8601(),
        ]
    };
    let header = ["family", "state", "label", "opened", "generation", "minted", "ip", "user agent", "ends"];
    let json = sessions.iter().map(|state| session_json(state, now)).collect();
    Ok(Report::new(table(&header, sessions.iter().map(row)), Value::Array(json)))
}

fn session_json(state: &SessionState, now: Timestamp) -> Value {
    let last = state.last.as_ref().map(|last| {
        json!({
            "generation": last.number,
            "minted_at": last.minted_at.iso8601(),
            "expires_at": last.token_expires_at.iso8601(),
            "ip": last.client.ip(),
            "user_agent": last.client.user_agent(),
        })
    });
    json!({
        "family": state.entry.family,
        "state": state.state_at(now),
        "label": state.entry.label,
        "opened_at": state.entry.opened_at.iso8601(),
        "ends_at": state.entry.session_expires_at.iso8601(),
        "live": last.as_ref().filter(|_| state.state_at(now) == LIVE),
        "last": last,
        "sealed_at": state.seal.as_ref().map(|seal| seal.sealed_at.iso8601()),
    })
}

async fn show(arguments: &ShowArguments, target: &Target) -> Result<Report, Failure> {
    let history = history(arguments, target).await?;
    let now = Moment::read()?.now;
    let opening = history.generations.iter().find_map(|generation| generation.opening.as_ref());
    let last = history.last_given();
    let ends_at = opening.map(|opening| opening.session_expires_at);
    let state = state_of(history.seal.as_ref(), last.as_ref(), ends_at, now);
    let facts = [
        ("family", Some(arguments.family.to_string())),
        ("state", Some(state.to_owned())),
        ("user", opening.map(|opening| opening.subject.as_str().to_owned())),
        ("org", opening.and_then(|opening| Some(opening.org.as_ref()?.as_str().to_owned()))),
        ("label", opening.and_then(|opening| opening.label.clone())),
        ("opened_at", Some(arguments.family.opened_at().iso8601())),
        ("ends_at", ends_at.map(Timestamp::iso8601)),
        ("generation", last.as_ref().map(|last| last.number.to_string())),
        ("minted_at", last.as_ref().map(|last| last.minted_at.iso8601())),
        ("expires_at", last.as_ref().map(|last| last.token_expires_at.iso8601())),
        ("ip", last.as_ref().map(|last| last.client.ip())),
        ("user_agent", last.as_ref().map(|last| last.client.user_agent().to_owned())),
        ("sealed_at", history.seal.as_ref().map(|seal| seal.sealed_at.iso8601())),
    ];
    let json = facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    Ok(Report::new(pairs(&facts), Value::Object(json)))
}

async fn revoke(arguments: &RevokeArguments, target: &Target) -> Result<Report, Failure> {
    let ShowArguments { family, tenant } = &arguments.session;
    let family = *family;
    let ends_at = ends_at(&arguments.session, target).await?;
    let seal = session::revoke(
        &tenant.tenant,
        family,
        arguments.cause.into(),
        ends_at,
        target.client(),
        target.store(),
        &Moment::read()?,
        &Meter::default(),
    )
    .await?;
    Ok(sealed(&[(family, seal)]))
}

/// When a session ends whatever is refreshed, for its seal to outlive it. An operator must always be able to end one, so
/// that nothing depends on items of any form: where generation 0 cannot be read, or has left the table with its token,
/// the seal stands for as long as any session can last.
async fn ends_at(arguments: &ShowArguments, target: &Target) -> Result<Timestamp, Failure> {
    let ShowArguments { family, tenant } = arguments;
    let (tenant, store, meter) = (&tenant.tenant, target.store(), Meter::default());
    let first = Key { pk: keys::family(tenant, *family), sk: keys::generation(0) };
    let first = store.get(&first, true, &meter).await?;
    if first.is_none() && store.query(&family::newest_two(tenant, *family), &meter).await?.is_empty() {
        return Err(absent("session", family, target));
    }
    let opening = first.and_then(|item| Generation::from_item(&item).ok()?.opening);
    let longest = || family.opened_at().plus(SESSION_MAX);
    Ok(opening.map_or_else(longest, |opening| opening.session_expires_at))
}

async fn revoke_all(arguments: &RevokeAllArguments, target: &Target) -> Result<Report, Failure> {
    let UserArguments { user, tenant } = &arguments.user;
    let (cause, moment, meter) = (arguments.cause.into(), Moment::read()?, Meter::default());
    let client = target.client();
    let ended = session::revoke_all(&tenant.tenant, user, cause, &client, target.store(), &moment, &meter).await?;
    if ended.is_empty() {
        return Ok(Report::new(format!("{} has no sessions at {}", user.as_str(), target.place()), json!([])));
    }
    Ok(sealed(&ended))
}

/// How sessions stand sealed.
#[must_use]
pub fn sealed(sessions: &[(FamilyId, Seal)]) -> Report {
    let row = |(family, seal): &(FamilyId, Seal)| {
        vec![family.to_string(), seal.cause.as_str().to_owned(), seal.sealed_at.iso8601()]
    };
    let json = sessions.iter().map(
        |(family, seal)| json!({"family": family, "cause": seal.cause.as_str(), "sealed_at": seal.sealed_at.iso8601()}),
    );
    let json = json.collect();
    Report::new(table(&["family", "ended by", "at"], sessions.iter().map(row)), Value::Array(json))
}

async fn history(arguments: &ShowArguments, target: &Target) -> Result<History, Failure> {
    let ShowArguments { family, tenant } = arguments;
    let history = family::history(&tenant.tenant, *family, target.store(), &Meter::default()).await?;
    if history.generations.is_empty() && history.seal.is_none() {
        return Err(absent("session", family, target));
    }
    Ok(history)
}
