//! Projects: putting, showing and removing them. A project needs no item: it is there as soon as it has a user. An item
//! names it, and closes it once it is removed.

use clap::{Args, Subcommand};
use rondo_shared::store::item::{Project, ProjectStatus};
use rondo_shared::store::{Key, Meter, Store as _};
use serde_json::{Value, json};

use super::{absent, attributes, overlaid, replace};
use crate::failure::Failure;
use crate::product::{Product, ProductArguments};
use crate::report::{Report, pairs};
use crate::target::Target;

/// What can be done with projects.
#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Put a project's own item: a new one, or one of which something changes.
    ///
    /// A project needs none: it is there as soon as it has a user. What is not given stays as it is; a new one is active.
    Put(PutArguments),
    /// Show a project's own item.
    Show(ProjectArguments),
    /// Remove a project: no session is opened or refreshed in it any more.
    ///
    /// Its users and their sessions stay, to be refused, until `project put --status active`; its name, and whatever else
    /// its item says, is forgotten. Where cookies rotate, a
    /// session that was refused in the meantime may be over then: what was put for it counts as its successor.
    Remove(ProjectArguments),
}

/// A project, and what is to become of it.
#[derive(Args, Debug)]
pub struct PutArguments {
    /// Which project.
    #[command(flatten)]
    pub project: ProjectArguments,
    /// What to call it.
    #[arg(long, value_parser = super::display_name)]
    pub name: Option<String>,
    /// Whether it is open. Needed to have a removed one again.
    #[arg(long, value_enum)]
    pub status: Option<GivenStatus>,
}

/// What a project's status may be put to. A removed one is `project remove`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GivenStatus {
    /// It is.
    Active,
}

/// Which project is meant.
#[derive(Args, Debug)]
pub struct ProjectArguments {
    /// The project, as the product's paths name it.
    #[arg(value_name = "ID")]
    pub project: String,
    /// The product, of those that have projects.
    #[arg(long, value_enum, default_value_t = Product::Replyke)]
    pub product: Product,
}

impl ProjectArguments {
    fn key(&self) -> Result<Key, Failure> {
        let no_projects = Failure::Misused("this product has no projects");
        if !self.product.has_projects() {
            return Err(no_projects);
        }
        let arguments = ProductArguments { product: self.product, project: Some(self.project.clone()) };
        Project::key(&arguments.tenant()?).ok_or(no_projects)
    }
}

/// Runs one of these commands.
///
/// # Errors
/// [`Failure`] where it was not done.
pub async fn run(command: &ProjectCommand, target: &Target) -> Result<Report, Failure> {
    match command {
        ProjectCommand::Put(arguments) => put(arguments, target).await,
        ProjectCommand::Show(arguments) => show(arguments, target).await,
        ProjectCommand::Remove(arguments) => remove(arguments, target).await,
    }
}

async fn put(arguments: &PutArguments, target: &Target) -> Result<Report, Failure> {
    let PutArguments { project, name, status } = arguments;
    let (key, store, meter) = (project.key()?, target.store(), Meter::default());
    let standing = store.get(&key, true, &meter).await?;
    // Where a status is given, what stands need not be of any form.
    if let (None, Some(standing)) = (status, &standing) {
        match Project::from_item(standing)?.status {
            ProjectStatus::Active => {}
            ProjectStatus::Removed => {
                let again = "this project was removed: say --status active to have it again";
                return Err(Failure::Misused(again));
            }
        }
    }
    let new = Project { status: ProjectStatus::Active, name: name.clone() }.to_item(key);
    let item = overlaid(standing.clone(), new)?;
    let put = Project::from_item(&item)?;
    replace(standing.as_ref(), &item, ("project", &project.project), store, &meter).await?;
    Ok(done(project, &put))
}

async fn show(arguments: &ProjectArguments, target: &Target) -> Result<Report, Failure> {
    let item = target.store().get(&arguments.key()?, true, &Meter::default()).await?;
    let item = item.ok_or_else(|| absent("item of project", &arguments.project, target))?;
    let attributes = attributes::shown(&item);
    let told = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut facts = vec![("project", Some(arguments.project.clone()))];
    facts.extend(attributes.iter().map(|(name, value)| (name.as_str(), Some(told(value)))));
    Ok(Report::new(pairs(&facts), json!({"project": arguments.project, "attributes": attributes})))
}

/// Whatever stands, and whether or not anything does: a project without an item may have users. The item stays, since it
/// is what closes the project: no tombstone, which TTL would delete.
async fn remove(arguments: &ProjectArguments, target: &Target) -> Result<Report, Failure> {
    let removed = Project { status: ProjectStatus::Removed, name: None };
    target.store().replace(&removed.to_item(arguments.key()?), &Meter::default()).await?;
    Ok(done(arguments, &removed))
}

fn done(arguments: &ProjectArguments, project: &Project) -> Report {
    let text = pairs(&[
        ("project", Some(arguments.project.clone())),
        ("status", Some(project.status.as_str().to_owned())),
        ("name", project.name.clone()),
    ]);
    let json = json!({"project": arguments.project, "status": project.status.as_str(), "name": project.name});
    Report::new(text, json)
}
