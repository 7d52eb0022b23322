//! What operators see is what functions say: every metric that the dashboard and the alarms name is in a line that a
//! function writes here, with those dimensions, and every metric that functions write is looked at by one of them. Every
//! alarm has its runbook.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rondo_shared::identity::FamilyId;
use rondo_shared::log::{KeyringLine, LogLine};
use rondo_shared::metrics::{ALL, Namespace};
use rondo_tests::faults::Fault;
use rondo_tests::world::{T0, World, keys, refresh_event, secs, send_to, thiefs_event};
use serde_json::Value as Json;
use serde_yaml_ng::Value as Yaml;

/// A metric, and the names of the dimensions that it is told apart by.
type Named = (String, BTreeSet<String>);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn observability() -> Yaml {
    serde_yaml_ng::from_str(&std::fs::read_to_string(root().join("infra/observability.yaml")).unwrap()).unwrap()
}

/// A value without the tags (`!Ref`, `!Sub`) of CloudFormation.
fn plain(value: &Yaml) -> &Yaml {
    match value {
        Yaml::Tagged(tagged) => &tagged.value,
        other => other,
    }
}

fn resources(of_type: &str) -> BTreeMap<String, Yaml> {
    let template = observability();
    let resources = template["Resources"].as_mapping().unwrap().iter();
    let wanted = resources.filter(|(_, resource)| resource["Type"].as_str() == Some(of_type));
    wanted.map(|(name, resource)| (name.as_str().unwrap().to_owned(), resource["Properties"].clone())).collect()
}

fn is_ours(namespace: &Yaml) -> bool {
    plain(namespace).as_str() == Some("Namespace")
}

/// A metric of ours as an alarm writes it, itself or within its `Metrics`.
fn of_alarm(metric: &Yaml) -> Option<Named> {
    let name = metric.get("MetricName")?.as_str()?.to_owned();
    let dimensions = metric.get("Dimensions").and_then(Yaml::as_sequence);
    let dimensions = dimensions.into_iter().flatten().map(|one| one["Name"].as_str().unwrap().to_owned());
    is_ours(&metric["Namespace"]).then(|| (name, dimensions.collect()))
}

fn named_in_alarms() -> BTreeSet<Named> {
    let mut named = BTreeSet::new();
    for alarm in resources("AWS::CloudWatch::Alarm").values() {
        named.extend(of_alarm(alarm));
        let stats = alarm.get("Metrics").and_then(Yaml::as_sequence).into_iter().flatten();
        named.extend(stats.filter_map(|one| of_alarm(one.get("MetricStat")?.get("Metric")?)));
    }
    named
}

/// Its widgets' metrics, each as CloudWatch takes it.
fn widgets() -> Vec<Json> {
    let dashboards = resources("AWS::CloudWatch::Dashboard");
    let body = plain(&dashboards["Dashboard"]["DashboardBody"]).as_str().unwrap();
    let body: Json = serde_json::from_str(body).unwrap();
    body["widgets"].as_array().unwrap().iter().map(|widget| widget["properties"]["metrics"].clone()).collect()
}

/// `SEARCH('{"${Namespace}",product,outcome} MetricName="Requests"', …)`.
fn of_search(expression: &str) -> Named {
    let inner = expression.strip_prefix(r#"SEARCH('{"${Namespace}","#).expect("a search of our namespace");
    let (dimensions, rest) = inner.split_once("} MetricName=\"").unwrap();
    (rest.split_once('"').unwrap().0.to_owned(), dimensions.split(',').map(str::to_owned).collect())
}

fn named_in_dashboard() -> BTreeSet<Named> {
    let mut named = BTreeSet::new();
    for metric in widgets().iter().flat_map(|metrics| metrics.as_array().unwrap()) {
        let metric = metric.as_array().unwrap();
        if let Some(expression) = metric[0].get("expression") {
            named.insert(of_search(expression.as_str().unwrap()));
        } else if metric[0] == "${Namespace}" {
            let texts: Vec<_> = metric[1..].iter().filter_map(Json::as_str).collect();
            let dimensions = texts[1..].iter().step_by(2).map(|name| (*name).to_owned());
            named.insert((texts[0].to_owned(), dimensions.collect()));
        }
    }
    named
}

/// The values of a line's metrics, each under every set of dimensions that it is told apart by.
fn emitted(line: &str) -> Vec<(Named, f64)> {
    let line: Json = serde_json::from_str(line).unwrap();
    let mut found = Vec::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().expect("a document of the format") {
        for (set, metric) in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| {
            directive["Metrics"].as_array().unwrap().iter().map(move |metric| (set.as_array().unwrap(), metric))
        }) {
            let name = metric["Name"].as_str().unwrap();
            let dimensions = set.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
            found.push(((name.to_owned(), dimensions), line[name].as_f64().unwrap()));
        }
    }
    found
}

fn text(line: &LogLine) -> String {
    line.text(Duration::from_millis(12), Namespace::new("Rondo/rondo").as_ref())
}

/// The lines of a function to which everything happens once that is counted.
async fn lines() -> Vec<String> {
    let mut world = World::with(&[("UNIQOS_RATE_LIMIT", "10"), ("UNIQOS_ADDRESS_RATE_LIMIT", "1")]).await;
    let mut lines = Vec::new();
    let first = world.open(secs(0)).await;
    // Rotated, reissued, reissued to another client, revoked.
    for (event, at) in [(refresh_event(&first), 1), (refresh_event(&first), 2), (thiefs_event(&first), 3)] {
        lines.push(world.send(event, secs(at)).await.line);
    }
    lines.push(world.refresh(&first, secs(60)).await.line);
    // A generation that is gone.
    let lost = world.open(secs(100)).await;
    let family = world.dynamo.items("FAMILY#").into_iter().filter(|item| item["request_id"]["S"] != "");
    let newest = family.max_by_key(|item| item["pk"]["S"].as_str().unwrap().to_owned()).unwrap();
    let id: FamilyId = newest["pk"]["S"].as_str().unwrap().rsplit('#').next().unwrap().parse().unwrap();
    world.dynamo.delete(&world.dynamo.items(&format!("FAMILY#uniqos#{id}")));
    lines.push(world.refresh(&lost, secs(101)).await.line);
    // A throttled table, and one that reports contention.
    let other = world.open(secs(200)).await;
    for fault in [Fault::Throttled, Fault::TransactionConflict] {
        world.faults.queue_for_all_attempts("UpdateItem", &fault);
        lines.push(world.refresh(&other, secs(201)).await.line);
        world.faults.clear();
    }
    // A limit.
    for _ in 0..2 {
        lines.push(world.refresh("no token", secs(300)).await.line);
    }
    // With the grace window off, somebody in the way.
    world.restart_with(&[("UNIQOS_GRACE_SECS", "0")]);
    let (_, elsewhere) = world.another_instance();
    send_to(&elsewhere, refresh_event(&other), secs(400)).await.ok();
    lines.push(world.refresh(&other, secs(401)).await.line);

    let mut texts: Vec<_> = lines.iter().map(text).collect();
    let keyring = KeyringLine::of("uniqos", &keys(), T0);
    texts.push(keyring.text(Namespace::new("Rondo/rondo").as_ref()));
    texts
}

#[tokio::test]
async fn everything_that_is_looked_at_is_said_and_everything_that_is_said_is_looked_at() {
    let said: Vec<(Named, f64)> = lines().await.iter().flat_map(|line| emitted(line)).collect();
    let (alarms, dashboard) = (named_in_alarms(), named_in_dashboard());
    assert!(
        alarms.len() > 5 && dashboard.len() > 12,
        "this test no longer finds what is named: {alarms:?} {dashboard:?}"
    );
    for named in alarms.iter().chain(&dashboard) {
        let has_value = said.iter().any(|(metric, value)| metric == named && *value > 0.0);
        assert!(has_value, "{named:?} is looked at, and no function said it");
    }
    let looked_at: BTreeSet<_> = alarms.iter().chain(&dashboard).map(|(name, _)| name.as_str()).collect();
    let names: BTreeSet<_> = said.iter().map(|((name, _), _)| name.as_str()).collect();
    let all: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names, looked_at, "said on the left, looked at on the right");
    assert_eq!(names, all, "said on the left, declared in shared/src/metrics.rs on the right");
    let sets: BTreeSet<_> = said.iter().map(|(named, _)| named).collect();
    let dimensions: BTreeSet<_> = sets.iter().flat_map(|(_, dimensions)| dimensions).map(String::as_str).collect();
    assert_eq!(dimensions, ["cause", "outcome", "product"].into(), "each value of a dimension is a metric to pay for");
}

#[tokio::test]
async fn what_happened_is_what_is_counted() {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for ((name, dimensions), value) in lines().await.iter().flat_map(|line| emitted(line)) {
        if dimensions.is_empty() || name == "Requests" {
            *sums.entry(name).or_default() += value;
        }
    }
    for (name, sum) in [
        ("Requests", 10.0),
        ("Reissues", 2.0),
        ("ReissuesToAnotherClient", 1.0),
        ("Reuses", 1.0),
        ("UnknownGenerations", 1.0),
        ("Conflicts", 1.0),
        ("Limits", 1.0),
        ("Failures", 2.0),
        ("StoreThrottles", 1.0),
        ("StoreConflicts", 1.0),
        ("KeyAge", f64::from(21 * 86_400 + 10 * 3_600)),
    ] {
        assert_eq!(sums.get(name), Some(&sum), "{name}");
    }
    assert_eq!(sums["Latency"], 120.0);
    assert!(sums["StoreLatency"] > 0.0);
}

#[tokio::test]
async fn the_metrics_that_a_deployment_pays_for_are_those_that_the_document_counts() {
    let said: BTreeSet<Named> = lines().await.iter().flat_map(|line| emitted(line)).map(|(named, _)| named).collect();
    let by = |wanted: &[&str]| said.iter().filter(|(_, names)| names.iter().eq(wanted)).count();
    let (of_all, of_a_product) = (by(&[]), by(&["product"]));
    assert_eq!(of_all, of_a_product);
    let document = std::fs::read_to_string(root().join("infra/deploying.md")).unwrap();
    let document = document.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut counted = vec![format!("{of_all} of the whole deployment, the same {of_a_product} of each product")];
    for (products, have) in [(1, "One product has"), (4, "four products have")] {
        let metrics = of_all + products * of_a_product;
        // At 0.30 USD each.
        let cents = metrics * 30;
        counted.push(format!("{have} {metrics} metrics, {}.{:02} USD a month", cents / 100, cents % 100));
    }
    for sentence in counted {
        println!("{sentence}");
        assert!(document.contains(&sentence), "infra/deploying.md does not say: {sentence}");
    }
}

#[test]
fn every_alarm_names_its_runbook() {
    let alarms = resources("AWS::CloudWatch::Alarm");
    assert!(alarms.len() > 8, "this test no longer finds the alarms");
    for (name, alarm) in &alarms {
        let description = alarm["AlarmDescription"].as_str().unwrap_or_else(|| panic!("{name} has no description"));
        let path = description.split_whitespace().find(|word| word.starts_with("infra/runbooks/"));
        let path = path.unwrap_or_else(|| panic!("{name} names no runbook in infra/runbooks/"));
        let runbook = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(runbook.contains(&format!("`{name}`")), "{path} does not say that it is that of `{name}`");
        for part in ["## What it means", "## What to look at", "## What to do"] {
            assert!(runbook.contains(part), "{path} lacks the part {part}");
        }
    }
}

#[test]
fn every_alarm_tells_somebody_and_tells_when_it_is_over() {
    for (name, alarm) in resources("AWS::CloudWatch::Alarm") {
        for action in ["AlarmActions", "OKActions"] {
            assert!(alarm.get(action).is_some(), "{name} has no {action}");
        }
        assert_eq!(alarm["TreatMissingData"].as_str(), Some("notBreaching"), "{name}: at night nobody refreshes");
    }
}
