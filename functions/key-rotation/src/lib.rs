//! Keys that rotate by themselves: published, promoted and retired as a schedule has it, with overlap, so that no token
//! suffers. A run takes one step with each product at most, in one edit of the ring, and each step is judged by the
//! times that the ring tells: a run that is missed, repeated or overtaken by another edit does no harm.
//!
//! [`run`] is the whole function; `main` only boots it and reads the clock. It is called by a schedule and serves no
//! endpoint.

use std::collections::BTreeMap;

use jwks::policy::Policy as JwksPolicy;
use rondo_shared::config::{Common, ConfigError, Reader};
use rondo_shared::keyring::generate::{NotGenerated, fresh};
use rondo_shared::keyring::lifecycle::{self, Refused, Schedule, Step};
use rondo_shared::keyring::secret::{Replaced, Secret};
use rondo_shared::keyring::source::KeyringSource;
use rondo_shared::keyring::{KeyringDocument, KeyringError, ProductDocument};
use rondo_shared::moment::{Moment, Timestamp};
use sessions::products;

/// How long a key signs, in days: as long as a session of the products may last, by default.
pub const PERIOD_DAYS: u64 = 90;
/// The shortest period: a key is kept until its last token has expired, and the ring has to fit into a secret.
const PERIOD_MIN_DAYS: u64 = 30;
/// The longest: a year.
const PERIOD_MAX_DAYS: u64 = 365;

/// The function with its settings.
#[derive(Debug)]
pub struct App {
    secret: Secret,
    /// For each product that this deployment knows.
    schedules: BTreeMap<&'static str, Schedule>,
}

/// Reads all settings of this function: `KEYRING_SECRET_ID`, `KEY_ROTATION_DAYS`, `JWKS_MAX_AGE_SECS`, and of each product
/// how long its tokens live.
///
/// # Errors
/// [`ConfigError`] naming every bad variable.
pub fn configure(mut reader: Reader) -> Result<App, ConfigError> {
    let common = Common::read(&mut reader);
    let period = reader.days("KEY_ROTATION_DAYS", PERIOD_DAYS, PERIOD_MIN_DAYS..=PERIOD_MAX_DAYS);
    let publication = lifecycle::publication(JwksPolicy::read(&mut reader).max_age);
    let schedule = |lifetimes| Schedule { period, publication, lifetimes };
    let terms = products::all(&mut reader, &common);
    let secret = match common.keyring {
        KeyringSource::Secret { secret, .. } => secret,
        KeyringSource::File(_) => {
            reader.problem("KEYRING_SECRET_ID", "must be set: a keyring in a file is rotated with `rondo keys`");
            Secret::new("", common.endpoint)
        }
    };
    reader.finish()?;
    Ok(App { secret, schedules: terms.iter().map(|terms| (terms.name, schedule(terms.lifetimes()))).collect() })
}

impl App {
    /// The function over another secret: for tests.
    #[must_use]
    pub fn over(self, secret: Secret) -> Self {
        Self { secret, ..self }
    }
}

/// Why no step was taken. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The ring cannot be read or written, or is of no use.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A step was due and was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No key could be made.
    #[error(transparent)]
    NotGenerated(#[from] NotGenerated),
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// These steps were taken.
    Took(Vec<(String, Step)>),
    /// None was due.
    NothingDue,
    /// Another edit came first; the next run looks again.
    Superseded,
}

/// Takes the steps that are due, and logs one line for each.
///
/// # Errors
/// [`Failure`]; the next run tries again.
pub async fn run(app: &App, moment: &Moment) -> Result<Ran, Failure> {
    let standing = app.secret.standing().await?;
    let Some(text) = &standing.text else {
        let what = "there is none in the secret yet: make one with `rondo keys init`";
        return Err(KeyringError::Unreadable(what.to_owned()).into());
    };
    let mut ring = KeyringDocument::parse(text.as_str())?;
    let taken = turn(&mut ring, &app.schedules, moment.now)?;
    if taken.is_empty() {
        tracing::info!("no step of the keys is due");
        return Ok(Ran::NothingDue);
    }
    match app.secret.replace(&standing, &ring.to_text()?, moment.request_id).await? {
        Replaced::Stored => {
            for (product, step) in &taken {
                tracing::info!(product, step = ?step, "keys");
            }
            Ok(Ran::Took(taken))
        }
        Replaced::Superseded => {
            tracing::warn!("the keyring was edited meanwhile: the next run looks again");
            Ok(Ran::Superseded)
        }
    }
}

fn turn(
    ring: &mut KeyringDocument,
    schedules: &BTreeMap<&'static str, Schedule>,
    now: Timestamp,
) -> Result<Vec<(String, Step)>, Failure> {
    let mut taken = Vec::new();
    for (name, product) in &mut ring.products {
        // How long the tokens of a product that nobody knows here live, nobody can tell.
        let Some(schedule) = schedules.get(name.as_str()) else { continue };
        let Some(step) = lifecycle::due(product, schedule, now)? else { continue };
        if let Some(after) = take(step, product, schedule, now)? {
            *product = after;
            taken.push((name.clone(), step));
        }
    }
    Ok(taken)
}

fn take(
    step: Step,
    product: &ProductDocument,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<Option<ProductDocument>, Failure> {
    match step {
        Step::Publish => Ok(lifecycle::publish(product, fresh(Some(product), now)?, now)),
        Step::Promote => Ok(Some(lifecycle::promote(product, schedule.publication, now)?)),
        Step::Retire => Ok(lifecycle::retire(product, schedule.lifetimes, now)?),
    }
}
