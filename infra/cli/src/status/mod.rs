//! The last hour in figures, by product: the same that the dashboard draws and the alarms watch.
//!
//! On AWS they come from CloudWatch. Locally they are counted from the log lines that the functions of the local stack
//! write, by the rule that makes the metrics of the same lines.

pub mod cloudwatch;
pub mod figures;
pub mod lines;

use std::time::Duration;

use clap::{Args, ValueEnum as _};
use rondo_shared::metrics::Namespace;
use rondo_shared::moment::{Moment, Timestamp};

use crate::failure::Failure;
use crate::product::Product;
use crate::report::Report;
use crate::target::{Place, Target};
use crate::workspace::Workspace;
use figures::Figures;

/// How far back the figures go.
const SPAN: Duration = Duration::from_hours(1);
/// The functions beside the products'.
const OTHER_FUNCTIONS: [&str; 2] = ["sessions", "jwks"];

/// Which figures are wanted.
#[derive(Args, Clone, Debug)]
pub struct StatusArguments {
    /// With --aws: the namespace of the metrics [default: `Rondo/` and the table's name].
    #[arg(long, value_name = "NAME", value_parser = |name: &str| Namespace::new(name).ok_or("no namespace"))]
    pub namespace: Option<Namespace>,
}

/// What the figures' columns are for.
#[must_use]
pub fn functions() -> Vec<&'static str> {
    Product::value_variants().iter().map(|product| product.name()).chain(OTHER_FUNCTIONS).collect()
}

/// Shows the figures.
///
/// # Errors
/// [`Failure`] where the local stack's log or CloudWatch cannot be read.
pub async fn run(arguments: &StatusArguments, target: &Target) -> Result<Report, Failure> {
    let to = Moment::read()?.now;
    let from = Timestamp::from_millis(to.millis().saturating_sub(rondo_shared::moment::millis_of(SPAN)));
    match target.place() {
        Place::Local(_) => {
            let figures = lines::figures(&lines::read(&Workspace::find()?)?, from);
            Ok(report(&figures, from, &target.place().to_string(), None))
        }
        Place::Aws { table } => {
            let default = || Namespace::new(&format!("Rondo/{table}"));
            let namespace = arguments.namespace.clone().or_else(default);
            let namespace =
                namespace.ok_or(Failure::Misused("the table's name makes no namespace: give --namespace"))?;
            let figures = cloudwatch::figures(&namespace, from, to).await?;
            let place = format!("{}, metrics of {}", target.place(), namespace.as_str());
            Ok(report(&figures, from, &place, Some(ANOTHER_NAMESPACE)))
        }
    }
}

/// What to do about a stack of which CloudWatch says nothing, whatever is asked of it.
const ANOTHER_NAMESPACE: &str =
    "where the stack's parameter MetricsNamespace is not Rondo: --namespace NAMESPACE/TABLE asks for its metrics";

/// `else_try` says what to do where there are no figures.
fn report(figures: &Figures, from: Timestamp, place: &str, else_try: Option<&str>) -> Report {
    let advice = else_try.filter(|_| figures.is_empty()).map(|advice| format!("; {advice}")).unwrap_or_default();
    let text = format!("since {} at {place}\n\n{}{advice}", from.iso8601(), figures.text());
    let json = serde_json::json!({"since": from.iso8601(), "functions": figures.json()});
    Report::new(text, json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_are_not_there_may_be_in_another_namespace() {
        let (at, mut figures) = (Timestamp::from_secs(0), Figures::default());
        let text = |figures: &Figures| report(figures, at, "there", Some(ANOTHER_NAMESPACE)).text().to_owned();
        assert!(text(&figures).contains("--namespace"));
        figures.put("one", &figures::ROWS[0], Some(1.0));
        assert!(!text(&figures).contains("--namespace"));
        assert!(!report(&Figures::default(), at, "here", None).text().contains("--namespace"));
    }
}
