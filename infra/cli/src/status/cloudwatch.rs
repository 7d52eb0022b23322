//! CloudWatch: the only file that names its SDK. One question for all figures, with the credentials of a person.

use std::collections::HashMap;

use aws_config::BehaviorVersion;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_smithy_http_client::tls;
use rondo_shared::metrics::Namespace;
use rondo_shared::moment::Timestamp;

use super::figures::{Figures, ROWS, Row};
use super::functions;
use crate::failure::Failure;

/// The period of the figures, in seconds: all of the hour in one, or in two where it is cut at the full hour.
const PERIOD_SECS: i32 = 3_600;

/// The figures between two instants.
///
/// # Errors
/// [`Failure::CloudWatch`] where there are no credentials, no permission (`cloudwatch:GetMetricData`) or no answer.
pub async fn figures(namespace: &Namespace, from: Timestamp, to: Timestamp) -> Result<Figures, Failure> {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let client = Client::new(&config);
    let asked: Vec<(&str, &Row)> =
        functions().into_iter().flat_map(|function| ROWS.iter().map(move |row| (function, row))).collect();
    let queries = asked.iter().enumerate().map(|(n, (function, row))| query(n, namespace, function, row));
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries.collect()))
        .start_time(DateTime::from_millis(from.millis()))
        .end_time(DateTime::from_millis(to.millis()))
        .into_paginator()
        .send();
    let mut values: HashMap<String, Vec<f64>> = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            let said = error.as_service_error().and_then(|refused| refused.code().map(str::to_owned));
            Failure::CloudWatch(said.unwrap_or_else(|| DisplayErrorContext(&error).to_string()))
        })?;
        for result in page.metric_data_results() {
            values.entry(result.id().unwrap_or_default().to_owned()).or_default().extend(result.values());
        }
    }
    let mut figures = Figures::default();
    for (n, (function, row)) in asked.into_iter().enumerate() {
        figures.put(function, row, values.get(&id(n)).and_then(|values| row.how.of(values)));
    }
    Ok(figures)
}

fn id(n: usize) -> String {
    format!("q{n}")
}

fn query(n: usize, namespace: &Namespace, function: &str, row: &Row) -> MetricDataQuery {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let metric = Metric::builder()
        .namespace(namespace.as_str())
        .metric_name(row.metric.name)
        .dimensions(dimension("product", function));
    let metric = match row.outcome {
        Some(outcome) => metric.dimensions(dimension("outcome", outcome)),
        None => metric,
    };
    let stat = MetricStat::builder().metric(metric.build()).period(PERIOD_SECS).stat(row.how.statistic()).build();
    MetricDataQuery::builder().id(id(n)).metric_stat(stat).build()
}
