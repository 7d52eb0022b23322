//! The keyring: making it, and leading its keys through their life, in a file or in Secrets Manager. Every edit is a
//! step of [`lifecycle`], is checked as a function would check it, and loses against an edit that came first.

mod list;
mod place;

use std::collections::BTreeMap;

use clap::{Args, Subcommand, ValueEnum as _};
use jwks::policy::Policy as JwksPolicy;
use rondo_shared::config::{Common, Reader};
use rondo_shared::keyring::generate::fresh;
use rondo_shared::keyring::lifecycle::{self, Leaked, Lifetimes, Refused};
use rondo_shared::keyring::source::REREAD_INTERVAL;
use rondo_shared::keyring::{KeyringDocument, ProductDocument};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::session::Terms;
use serde_json::json;
use sessions::products;

use crate::arguments::TargetArguments;
use crate::failure::Failure;
use crate::keys::place::Place;
pub use crate::keys::place::secret;
use crate::product::Product;
use crate::report::Report;

/// What can be done with the keyring.
///
/// It is the file that --keyring names, the secret that --secret names, or that of the local stack that runs here.
/// JWKS_MAX_AGE_SECS and the products' lifetimes are read from the same environment variables as the functions'. For a
/// deployment that sets them, set them here too.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a keyring with keys for every product. One that stands is never overwritten.
    Init,
    /// List the keys, and when what can be done with each. Shows no key.
    List,
    /// Publish a next key of each kind, so that verifiers come to know it. Nothing is signed with it yet.
    Publish(ProductsArguments),
    /// Have the next keys sign. Refused until every verifier knows them.
    Promote(ProductsArguments),
    /// Forget retired keys whose last token has expired.
    Retire(ProductsArguments),
    /// Keys have leaked: replace them at once. Users have to sign in again; infra/runbooks/keys.md says what else to do.
    Revoke(RevokeArguments),
}

/// Whose keys are meant.
#[derive(Args, Debug)]
pub struct ProductsArguments {
    /// A product; may be given several times [default: all].
    #[arg(long = "product", value_enum)]
    pub products: Vec<Product>,
}

/// Which keys have leaked.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("whose").required(true)))]
pub struct RevokeArguments {
    /// A product whose keys have leaked; may be given several times.
    #[arg(long = "product", value_enum, group = "whose")]
    pub products: Vec<Product>,
    /// The keys of every product have leaked.
    #[arg(long, group = "whose")]
    pub every_product: bool,
    /// Only what signs access tokens has leaked: refresh tokens stay good.
    #[arg(long)]
    pub signing_only: bool,
}

/// What is known of the deployment that the keyring is for.
struct Deployment {
    /// How long a key has to have been published before it signs.
    publication: std::time::Duration,
    lifetimes: BTreeMap<&'static str, Lifetimes>,
}

/// Runs one of these commands.
///
/// # Errors
/// [`Failure`] where it was not done; nothing has changed then.
pub async fn run(command: &KeysCommand, arguments: &TargetArguments, reader: Reader) -> Result<Report, Failure> {
    let place = Place::find(arguments, &reader)?;
    let deployment = Deployment::read(reader)?;
    let now = Moment::read()?;
    match command {
        KeysCommand::Init => init(&place, &now).await,
        KeysCommand::List => {
            let ring = place.read().await?;
            list::report(&ring, &place, |product| deployment.lifetimes.get(product).copied(), deployment.publication)
        }
        KeysCommand::Publish(arguments) => publish(&place, &arguments.products, &deployment, &now).await,
        KeysCommand::Promote(arguments) => promote(&place, &arguments.products, &deployment, &now).await,
        KeysCommand::Retire(arguments) => retire(&place, &arguments.products, &deployment, &now).await,
        KeysCommand::Revoke(arguments) => revoke(&place, arguments, &deployment, &now).await,
    }
}

impl Deployment {
    fn read(reader: Reader) -> Result<Self, Failure> {
        // The products' settings are read with those of a table and a keyring, which do not matter here.
        let mut reader = reader.with("TABLE_NAME", "-").with("KEYRING_FILE", "-").with("KEYRING_SECRET_ID", "");
        let common = Common::read(&mut reader);
        let terms = products::all(&mut reader, &common);
        let max_age = JwksPolicy::read(&mut reader).max_age;
        reader.finish()?;
        let lifetimes = terms.iter().map(|terms| (terms.name, Terms::lifetimes(terms))).collect();
        Ok(Self { publication: lifecycle::publication(max_age), lifetimes })
    }
}

/// A ring with active keys for each of the products.
///
/// # Errors
/// [`Failure::NotGenerated`] where no key can be made.
pub fn generate(products: &[Product], now: Timestamp) -> Result<KeyringDocument, Failure> {
    let mut ring = KeyringDocument::default();
    for product in products {
        ring.products.insert(product.name().to_owned(), lifecycle::begin(fresh(None, now)?, now));
    }
    Ok(ring)
}

async fn init(place: &Place, now: &Moment) -> Result<Report, Failure> {
    let all = Product::value_variants();
    place
        .edit(now, |standing| match standing {
            Some(_) => Err(Failure::Misused("there is a keyring already: keys that are in use are never overwritten")),
            None => Ok(Some(generate(all, now.now)?)),
        })
        .await?;
    let names: Vec<_> = all.iter().map(|product| product.name()).collect();
    let text = format!("a keyring with keys for {} stands in {place}", names.join(", "));
    Ok(Report::new(text, json!({"keyring": place.to_string(), "products": names})))
}

async fn publish(place: &Place, chosen: &[Product], deployment: &Deployment, now: &Moment) -> Result<Report, Failure> {
    let done = change(place, chosen, now, |standing| match standing {
        // A product that the ring does not have yet has no token that could suffer.
        None => Ok(Some(lifecycle::begin(fresh(None, now.now)?, now.now))),
        Some(product) => Ok(lifecycle::publish(product, fresh(Some(product), now.now)?, now.now)),
    })
    .await?;
    let at = now.now.plus(deployment.publication).iso8601();
    Ok(done.report(place, "published", "has its next keys already", &format!("promote at {at} or later")))
}

async fn promote(place: &Place, chosen: &[Product], deployment: &Deployment, now: &Moment) -> Result<Report, Failure> {
    let step = |standing: Option<&ProductDocument>| match standing {
        None => Ok(None),
        Some(product) => match lifecycle::promote(product, deployment.publication, now.now) {
            Ok(after) => Ok(Some(after)),
            Err(Refused::NoNext) => Ok(None),
            Err(refused) => Err(Failure::KeyStep(refused)),
        },
    };
    let done = change(place, chosen, now, step).await?;
    if done.changed.is_empty() {
        return Err(Failure::KeyStep(Refused::NoNext));
    }
    let after = "instances sign with the new keys within five minutes; what the old ones signed stays good";
    Ok(done.report(place, "promoted", "has no next key", after))
}

async fn retire(place: &Place, chosen: &[Product], deployment: &Deployment, now: &Moment) -> Result<Report, Failure> {
    let by_name = |name: &str| deployment.lifetimes.get(name).copied();
    let done = change_named(place, chosen, now, |name, standing| {
        let Some((product, lifetimes)) = standing.zip(by_name(name)) else { return Ok(None) };
        Ok(lifecycle::retire(product, lifetimes, now.now)?)
    })
    .await?;
    Ok(done.report(place, "retired", "has no key that may be forgotten yet", "`rondo keys list` shows when others may"))
}

async fn revoke(
    place: &Place,
    arguments: &RevokeArguments,
    deployment: &Deployment,
    now: &Moment,
) -> Result<Report, Failure> {
    let leaked = if arguments.signing_only { Leaked::Signing } else { Leaked::All };
    let done = change(place, &arguments.products, now, |standing| match standing {
        None => Ok(None),
        Some(product) => Ok(Some(lifecycle::revoke(product, leaked, fresh(Some(product), now.now)?, now.now))),
    })
    .await?;
    let (instances, verifiers) = (now.now.plus(REREAD_INTERVAL), now.now.plus(deployment.publication));
    let after = format!(
        "instances that run refuse the old keys' tokens by {}, verifiers by {}: infra/runbooks/keys.md says how to be \
         faster",
        instances.iso8601(),
        verifiers.iso8601()
    );
    Ok(done.report(place, "replaced", "is not in the keyring", &after))
}

/// What was done to which products.
struct Done {
    changed: Vec<String>,
    unchanged: Vec<String>,
}

impl Done {
    fn report(&self, place: &Place, what: &str, why_not: &str, after: &str) -> Report {
        let mut lines: Vec<_> = self.changed.iter().map(|name| format!("{name}: {what}")).collect();
        lines.extend(self.unchanged.iter().map(|name| format!("{name}: {why_not}")));
        lines.push(after.to_owned());
        let json = json!({"keyring": place.to_string(), what: self.changed, "unchanged": self.unchanged});
        Report::new(lines.join("\n"), json)
    }
}

async fn change(
    place: &Place,
    chosen: &[Product],
    now: &Moment,
    step: impl Fn(Option<&ProductDocument>) -> Result<Option<ProductDocument>, Failure>,
) -> Result<Done, Failure> {
    change_named(place, chosen, now, |_, standing| step(standing)).await
}

/// Takes one step with each chosen product, in one edit: with all of them, or with none where one is refused.
async fn change_named(
    place: &Place,
    chosen: &[Product],
    now: &Moment,
    step: impl Fn(&str, Option<&ProductDocument>) -> Result<Option<ProductDocument>, Failure>,
) -> Result<Done, Failure> {
    let chosen = if chosen.is_empty() { Product::value_variants() } else { chosen };
    let mut done = Done { changed: Vec::new(), unchanged: Vec::new() };
    place
        .edit(now, |standing| {
            let mut ring =
                standing.ok_or(Failure::Misused("there is no keyring here: make one with `rondo keys init`"))?;
            for name in chosen.iter().map(|product| product.name()) {
                match step(name, ring.products.get(name))? {
                    Some(after) => {
                        ring.products.insert(name.to_owned(), after);
                        done.changed.push(name.to_owned());
                    }
                    None => done.unchanged.push(name.to_owned()),
                }
            }
            Ok((!done.changed.is_empty()).then_some(ring))
        })
        .await?;
    Ok(done)
}
