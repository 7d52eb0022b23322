//! Users: putting, showing and removing them.

use std::io::{BufRead, Read as _};

use clap::{Args, Subcommand};
use elastic_refresh::password::{self, StoredHash};
use elastic_refresh::request::{PASSWORD_MAX_BYTES, Password};
use rondo_shared::directory;
use rondo_shared::identity::{FamilyId, Subject, Tenant};
use rondo_shared::moment::{Moment, NoEntropy};
use rondo_shared::session;
use rondo_shared::store::item::{AccountStatus, Cause, Credential, STATUS, Seal, UserProfile, is_tombstone, tombstone};
use rondo_shared::store::{Item, Meter, Store as _, StoreError};
use serde_json::{Value, json};

use super::attributes::{self, Source};
use super::{absent, overlaid, replace};
use crate::arguments::{OnInput, OnInputParser, TenantArgument};
use crate::failure::Failure;
use crate::product::Product;
use crate::report::{Report, pairs};
use crate::session::sealed;
use crate::target::Target;

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Put a user: a new one, or one of whom something changes.
    ///
    /// What is not given stays as it is; a new user is active. Suspending a user ends all of the user's sessions.
    Put(PutArguments),
    /// Show a user, and what of the user's items cannot be read: by such a password or profile nobody signs in, and no log
    /// line tells it from a wrong password.
    Show(UserArguments),
    /// Remove a user: end all sessions, and leave nothing but a mark that the user was removed.
    ///
    /// Name, e-mail address, attributes, password and memberships go. No session can be opened for the user until
    /// `user put --status active`.
    Remove(UserArguments),
}

/// A user, and what is to become of it.
#[derive(Args, Debug)]
pub struct PutArguments {
    /// Which user.
    #[command(flatten)]
    pub user: UserArguments,
    /// What to call the user.
    #[arg(long, value_parser = super::display_name)]
    pub name: Option<String>,
    /// The user's e-mail address.
    #[arg(long, value_parser = super::email)]
    pub email: Option<String>,
    /// Whether the account may be used.
    #[arg(long, value_enum)]
    pub status: Option<GivenStatus>,
    /// More attributes, from a file with a JSON object, or - to read one from standard input; null takes one away.
    ///
    /// For Replyke: `foreign_id`, `role`, `username`, `avatar`, `bio`, `location`, `birthdate`, `metadata`, `reputation`,
    /// `is_verified`, `is_active`, `last_active`, `suspensions`, `created_at`, `updated_at`, as
    /// functions/replyke-refresh/src/user.rs tells. Anything else is kept and never shown to clients, such as
    /// `secret_metadata`.
    #[arg(long, value_name = "FILE | -")]
    pub attributes: Option<Source>,
    /// The user's password, of a product whose users sign in by one: write - and give it on the first line of standard
    /// input. A password is never taken as an argument.
    #[arg(long, value_name = "-", value_parser = OnInputParser, allow_hyphen_values = true)]
    pub password: Option<OnInput>,
}

/// Which user is meant.
#[derive(Args, Debug)]
pub struct UserArguments {
    /// The user, by the identifier that the product gives: the `sub` of its tokens.
    #[arg(value_name = "ID")]
    pub user: Subject,
    /// Whose items are meant.
    #[command(flatten)]
    pub tenant: TenantArgument,
}

/// What an account's status may be put to. A removed one is `user remove`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GivenStatus {
    /// It may be used.
    Active,
    /// Not now.
    Suspended,
}

impl From<GivenStatus> for AccountStatus {
    fn from(given: GivenStatus) -> Self {
        match given {
            GivenStatus::Active => Self::Active,
            GivenStatus::Suspended => Self::Suspended,
        }
    }
}

/// Runs one of these commands.
///
/// # Errors
/// [`Failure`] where it was not done, or not in full: a status that was put stays put, and the command can be repeated.
pub async fn run(command: &UserCommand, target: &Target, input: &mut dyn BufRead) -> Result<Report, Failure> {
    match command {
        UserCommand::Put(arguments) => put(arguments, target, input).await,
        UserCommand::Show(arguments) => show(arguments, target).await,
        UserCommand::Remove(arguments) => remove(arguments, target).await,
    }
}

/// Writes the status first, so that no session can be opened any more, and then ends those that were.
async fn put(arguments: &PutArguments, target: &Target, input: &mut dyn BufRead) -> Result<Report, Failure> {
    let PutArguments { user: UserArguments { user, tenant }, name, email, status, attributes, password } = arguments;
    let (tenant, store, meter) = (&tenant.tenant, target.store(), Meter::default());
    if attributes == &Some(Source::Input) && password.is_some() {
        return Err(Failure::Misused("there is one standard input: give the attributes in a file"));
    }
    let given = attributes.as_ref().map(|source| source.read(input)).transpose()?.unwrap_or_default();
    attributes::check_bounds(&given).map_err(Failure::Attributes)?;
    let credential = password.map(|OnInput| new_credential(tenant, input)).transpose()?;

    let key = UserProfile::key(tenant, user);
    let standing = store.get(&key, true, &meter).await?;
    let was = standing.as_ref().map(UserProfile::from_item).transpose()?.map(|profile| profile.status);
    let status = match (*status, was) {
        (Some(given), _) => given.into(),
        (None, Some(AccountStatus::Removed)) => {
            return Err(Failure::Misused("this user was removed: say --status active to have the user again"));
        }
        (None, Some(was)) => was,
        (None, None) => AccountStatus::Active,
    };
    let mut item = standing.clone().filter(|item| !is_tombstone(item)).unwrap_or_else(|| Item::at(key.clone()));
    attributes::merge(&mut item, given);
    let named = Item::at(key).text("name", name.clone()).text("email", email.clone());
    let item = overlaid(Some(item), named.text(STATUS, status.as_str().to_owned()))?;
    let profile = UserProfile::from_item(&item)?;
    replace(standing.as_ref(), &item, ("user", user.as_str()), store, &meter).await?;
    if let Some(credential) = &credential {
        store.replace(&credential.to_item(tenant, user), &meter).await?;
    }
    let ended = match status {
        AccountStatus::Suspended => end_sessions(tenant, user, Cause::AccountSuspended, target, &meter).await?,
        AccountStatus::Active | AccountStatus::Removed => Vec::new(),
    };
    Ok(done(user, &profile, credential.is_some(), &ended))
}

/// The credential of the password on standard input's first line.
fn new_credential(tenant: &Tenant, input: &mut dyn BufRead) -> Result<Credential, Failure> {
    if !Product::of(tenant).is_some_and(Product::has_passwords) {
        return Err(Failure::Misused("only users of --tenant elastic sign in by a password"));
    }
    let mut line = String::new();
    // One byte too many tells a line that is too long; two more are its end.
    let most = u64::try_from(PASSWORD_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(3);
    input.take(most).read_line(&mut line).map_err(Failure::Input)?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let password = Password::new(text.to_owned());
    let password =
        password.ok_or(Failure::Misused("a password has 1 to 1024 bytes, on standard input's first line"))?;
    credential(&password)
}

/// The credential of a password, under a salt of its own.
pub(crate) fn credential(password: &Password) -> Result<Credential, Failure> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(NoEntropy::from)?;
    Ok(password::credential(password, salt)?)
}

async fn end_sessions(
    tenant: &Tenant,
    user: &Subject,
    cause: Cause,
    target: &Target,
    meter: &Meter,
) -> Result<Vec<(FamilyId, Seal)>, Failure> {
    let moment = Moment::read()?;
    Ok(session::revoke_all(tenant, user, cause, &target.client(), target.store(), &moment, meter).await?)
}

fn done(user: &Subject, profile: &UserProfile, password_set: bool, ended: &[(FamilyId, Seal)]) -> Report {
    let facts = pairs(&[
        ("user", Some(user.as_str().to_owned())),
        ("status", Some(profile.status.as_str().to_owned())),
        ("name", profile.name.clone()),
        ("email", profile.email.clone()),
        ("password", password_set.then(|| "set".to_owned())),
    ]);
    let sessions = sealed(ended);
    let text = if ended.is_empty() { facts } else { format!("{facts}\n\n{}", sessions.text()) };
    let json = json!({
        "user": user,
        "status": profile.status.as_str(),
        "name": profile.name,
        "email": profile.email,
        "password_set": password_set,
        "ended_sessions": sessions.json(),
    });
    Report::new(text, json)
}

async fn show(arguments: &UserArguments, target: &Target) -> Result<Report, Failure> {
    let UserArguments { user, tenant } = arguments;
    let (tenant, store, meter) = (&tenant.tenant, target.store(), Meter::default());
    let item = directory::profile(tenant, user, true, store, &meter).await?;
    let item = item.ok_or_else(|| absent("user", &user.as_str(), target))?;
    let credential = store.get(&Credential::key(tenant, user), true, &meter).await?;
    let has_password = credential.is_some();
    let unreadable = unreadable(&item, credential.as_ref());
    let orgs = directory::every_membership(tenant, user, store, &meter).await?;
    let orgs: Vec<&str> = orgs.iter().map(|membership| membership.org.as_str()).collect();
    let attributes = attributes::shown(&item);
    let told = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut facts = vec![("user", Some(user.as_str().to_owned()))];
    facts.extend(attributes.iter().map(|(name, value)| (name.as_str(), Some(told(value)))));
    facts.push(("password", has_password.then(|| "set".to_owned())));
    facts.push(("organizations", (!orgs.is_empty()).then(|| orgs.join(", "))));
    facts.extend(unreadable.iter().map(|what| ("unreadable", Some(what.clone()))));
    let json = json!({
        "user": user,
        "attributes": attributes,
        "has_password": has_password,
        "organizations": orgs,
        "unreadable": unreadable,
    });
    Ok(Report::new(pairs(&facts), json))
}

/// What of a user's items the functions cannot read, without what they hold.
fn unreadable(profile: &Item, credential: Option<&Item>) -> Vec<String> {
    let hash = |item| Credential::from_item(item).and_then(|credential| StoredHash::read(&credential));
    let errors = [UserProfile::from_item(profile).err(), credential.and_then(|item| hash(item).err())];
    errors.iter().flatten().map(StoreError::to_string).collect()
}

/// The tombstone first, as a suspension's status; what else is known of the user then goes, and a repeat finishes what was
/// begun.
async fn remove(arguments: &UserArguments, target: &Target) -> Result<Report, Failure> {
    let UserArguments { user, tenant } = arguments;
    let (tenant, store, meter) = (&tenant.tenant, target.store(), Meter::default());
    let standing = store.get(&UserProfile::key(tenant, user), true, &meter).await?;
    standing.ok_or_else(|| absent("user", &user.as_str(), target))?;
    // It stays: that a user was removed is told from never having been.
    let removed = UserProfile { status: AccountStatus::Removed, name: None, email: None };
    store.replace(&removed.to_item(tenant, user), &meter).await?;
    let ended = end_sessions(tenant, user, Cause::AccountRemoved, target, &meter).await?;
    if store.get(&Credential::key(tenant, user), true, &meter).await?.is_some() {
        store.replace(&nobodys_credential()?.to_item(tenant, user), &meter).await?;
    }
    let now = Moment::read()?.now;
    for item in directory::membership_items(tenant, user, store, &meter).await? {
        store.replace(&tombstone(item.key, now), &meter).await?;
    }
    Ok(done(user, &removed, false, &ended))
}

/// What is put in place of a removed user's password: the hash of one that nobody knows. An item without a hash would be
/// shown as one that cannot be read.
fn nobodys_credential() -> Result<Credential, Failure> {
    let drawn = Moment::read()?.gid;
    let password = Password::new(drawn.as_str().to_owned());
    credential(&password.ok_or(Failure::Misused("a nonce is no password"))?)
}
