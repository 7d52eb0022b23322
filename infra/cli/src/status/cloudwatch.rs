//! CloudWatch: the only file that names its SDK. One question for all figures, with the credentials of a person.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use rondo_shared::aws::{Endpoint, Patience};
use rondo_shared::metrics::Namespace;
use rondo_shared::moment::Timestamp;

use super::figures::{Figures, ROWS, Row};
use super::functions;
use crate::failure::Failure;

/// The period of the figures, in seconds: all of the hour in one, or in two where it is cut at the full hour.
const PERIOD_SECS: i32 = 3_600;

/// A person waits for it.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(3),
    attempt: Duration::from_secs(10),
    operation: Duration::from_secs(30),
    attempts_max: 3,
    initial_backoff: Duration::from_millis(200),
};

/// The figures between two instants.
///
/// # Errors
/// [`Failure::CloudWatch`] where there are no credentials, no permission (`cloudwatch:GetMetricData`) or no answer.
pub async fn figures(namespace: &Namespace, from: Timestamp, to: Timestamp) -> Result<Figures, Failure> {
    figures_by(&Client::new(&Endpoint::Person.config(PATIENCE).await), namespace, from, to).await
}

async fn figures_by(
    client: &Client,
    namespace: &Namespace,
    from: Timestamp,
    to: Timestamp,
) -> Result<Figures, Failure> {
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
        let page =
            page.map_err(|error| Failure::CloudWatch(error.code().map_or_else(|| root_of(&error), str::to_owned)))?;
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

/// The innermost cause: what an SDK's error says itself is that there was one.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;

    /// A text as CBOR (RFC 8949 §3.1), which is what CloudWatch speaks.
    fn text(text: &str) -> Vec<u8> {
        let mut bytes = vec![0x78, u8::try_from(text.len()).unwrap()];
        bytes.extend(text.as_bytes());
        bytes
    }

    /// One result: its id, and two values.
    fn result(id: &str, values: [f64; 2]) -> Vec<u8> {
        let mut bytes = vec![0xa2];
        bytes.extend([text("Id"), text(id), text("Values"), vec![0x82]].concat());
        for value in values {
            bytes.push(0xfb);
            bytes.extend(value.to_be_bytes());
        }
        bytes
    }

    /// Answers one call with a body, and returns what was asked.
    async fn answer_once(status: u16, body: Vec<u8>) -> (Client, std::thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::local(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let config = endpoint.config(PATIENCE).await;
        let asked = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let (mut reader, mut length) = (BufReader::new(stream.try_clone().unwrap()), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut asked = vec![0; length];
            reader.read_exact(&mut asked).unwrap();
            let head = "content-type: application/cbor\r\nsmithy-protocol: rpc-v2-cbor\r\nconnection: close";
            write!(stream, "HTTP/1.1 {status} X\r\n{head}\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
            stream.write_all(&body).unwrap();
            asked
        });
        (Client::new(&config), asked)
    }

    async fn asked_of(client: &Client) -> Result<Figures, Failure> {
        let (from, to) = (Timestamp::from_secs(0), Timestamp::from_secs(3_600));
        figures_by(client, &Namespace::new("Rondo/rondo").unwrap(), from, to).await
    }

    #[tokio::test]
    async fn an_hour_that_cloudwatch_cuts_in_two_is_one_figure() {
        let p99 = ROWS.iter().position(|row| row.name == "latency p99, ms").unwrap();
        let results = [result("q0", [3.0, 4.0]), result(&id(p99), [20.0, 12.5])].concat();
        let body = [vec![0xa1], text("MetricDataResults"), vec![0x82], results].concat();
        let (client, asked) = answer_once(200, body).await;
        let figures = asked_of(&client).await.unwrap();
        let first = functions()[0];
        assert_eq!((figures.get(first, "rotated"), figures.get(first, "latency p99, ms")), (Some(7.0), Some(20.0)));
        assert_eq!(figures.get(first, "reuses"), None);
        let asked = asked.join().unwrap();
        let holds = |text: &str| asked.windows(text.len()).any(|window| window == text.as_bytes());
        for text in ["Rondo/rondo", "Requests", "outcome", "rotated", "p99", "KeyAge", "sessions"] {
            assert!(holds(text), "{text} is not asked for");
        }
    }

    #[tokio::test]
    async fn what_cloudwatch_refuses_is_told_in_a_word() {
        let body = [vec![0xa1], text("__type"), text("com.amazonaws.cloudwatch#AccessDeniedException")].concat();
        let (client, _) = answer_once(403, body).await;
        let refused = asked_of(&client).await.unwrap_err().to_string();
        assert_eq!(refused, "CloudWatch gave no figures: AccessDeniedException");
    }
}
