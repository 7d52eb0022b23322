//! The store on DynamoDB: the only file that names its SDK.
//!
//! It turns the port's calls into operations and the service's answers into facts. A failed condition is an outcome;
//! everything else that is not an answer is a [`StoreError`], told apart operation by operation, with no blanket
//! conversion.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, CancellationReason, ConditionCheck, ConsumedCapacity,
    KeySchemaElement, KeyType, Put as PutRequest, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TimeToLiveSpecification, TransactWriteItem,
};
use serde_json::Value as Json;

use super::item::{ACTIVE, EXPIRES_AT, STATUS, TAT};
use super::table::{KeyKind, TableDefinition};
use super::{Charge, Charged, Checks, Item, Key, Meter, Opened, Put, Query, Replaced, Store, StoreError, Value};
pub use crate::aws::Endpoint;
use crate::aws::{self, Patience};
use crate::moment::Timestamp;

/// One operation with its retries: time for two attempts that are not answered. A walk makes several in sequence, and
/// what bounds them together is [`WALK_TIME`](super::WALK_TIME), which this stays well below.
const PATIENCE: Patience = Patience {
    // Opening a connection takes longer than this only where there is nobody to answer.
    connect: Duration::from_millis(700),
    // The service's own p99 is two orders below; a lost packet costs one retry, not the request.
    attempt: Duration::from_millis(1_200),
    // Time for two attempts that are not answered.
    operation: Duration::from_millis(2_800),
    attempts_max: 3,
    initial_backoff: Duration::from_millis(30),
};
/// For a store on a machine that has other things to do, to whose every operation one attempt is wanted: what times out
/// and is asked again may have been applied, and then a race has no winner.
const UNHURRIED: Patience =
    Patience { attempt: Duration::from_secs(30), operation: Duration::from_secs(60), ..PATIENCE };
const _: () = assert!(PATIENCE.operation.as_millis() < super::WALK_TIME.as_millis());

/// The store on one DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    client: Client,
    table: String,
}

impl DynamoStore {
    /// Prepares a client; the first call connects. Time-outs and retries are this file's constants.
    pub async fn connect(endpoint: &Endpoint, table: &str) -> Self {
        Self { client: Client::new(&endpoint.config(PATIENCE).await), table: table.to_owned() }
    }

    /// Over a given HTTP client, at a given address: for the local stack, and for tests that lose answers below the
    /// SDK's retries.
    #[must_use]
    pub fn over(http: SharedHttpClient, url: &str, table: &str) -> Self {
        Self::over_with(PATIENCE, http, url, table)
    }

    /// The same with half a minute for each attempt: for tests that count what one attempt does, on stores that are slow.
    #[must_use]
    pub fn over_unhurried(http: SharedHttpClient, url: &str, table: &str) -> Self {
        Self::over_with(UNHURRIED, http, url, table)
    }

    fn over_with(patience: Patience, http: SharedHttpClient, url: &str, table: &str) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(&aws::over(http, url, patience));
        // The SDK's quota of retries is the process's; here it is each store's, so that one test does not use up another's.
        let config = config.retry_partition(RetryPartition::new(url.to_owned()));
        Self { client: Client::from_conf(config.build()), table: table.to_owned() }
    }

    /// Opens the connection, so that the first request finds it warm. A table that is not there, has other keys or may not
    /// be read is told in a log line, for whoever has just deployed: each request then fails for itself. What may pass is
    /// of no interest here.
    pub async fn warm_up(&self) {
        let nowhere = Key { pk: "WARM".to_owned(), sk: "UP".to_owned() };
        if let Err(StoreError::Misconfigured(code)) = self.get(&nowhere, false, &Meter::default()).await {
            let table = &self.table;
            tracing::error!(
                table,
                code,
                "the table cannot be used: TABLE_NAME must name one of the keys pk and sk, as infra/table.json has it, \
                 which the function's role may read"
            );
        }
    }

    /// Creates the table as its definition says, and switches expiry on. For the local stack and for tests: a
    /// deployment's table is created by its template.
    ///
    /// # Errors
    /// [`StoreError`] where the store refuses; a table that stands already is no error.
    pub async fn create_table(&self, definition: &TableDefinition) -> Result<(), StoreError> {
        let mut request = self.client.create_table().table_name(&self.table).billing_mode(BillingMode::PayPerRequest);
        for key in &definition.keys {
            let attribute = AttributeDefinition::builder()
                .attribute_name(&key.attribute)
                .attribute_type(ScalarAttributeType::from(key.attribute_type.as_str()));
            let schema = KeySchemaElement::builder().attribute_name(&key.attribute).key_type(match key.kind {
                KeyKind::Hash => KeyType::Hash,
                KeyKind::Range => KeyType::Range,
            });
            request = request
                .attribute_definitions(attribute.build().map_err(build_error)?)
                .key_schema(schema.build().map_err(build_error)?);
        }
        match request.send().await {
            Ok(_) => {}
            Err(error) if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) => {}
            Err(error) => return Err(classify(&error)),
        }
        let ttl = TimeToLiveSpecification::builder().attribute_name(&definition.ttl_attribute).enabled(true);
        let switched = self
            .client
            .update_time_to_live()
            .table_name(&self.table)
            .time_to_live_specification(ttl.build().map_err(build_error)?)
            .send()
            .await;
        match switched.map_err(|error| classify(&error)) {
            // A table whose expiry is on already refuses to have it switched on.
            Ok(_) | Err(StoreError::Misconfigured(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn build_error(error: aws_sdk_dynamodb::error::BuildError) -> StoreError {
    StoreError::Misconfigured(error.to_string())
}

impl Store for DynamoStore {
    async fn put_if_absent(&self, item: &Item, meter: &Meter) -> Result<Put, StoreError> {
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_attributes(item)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match meter.operation(request.send()).await? {
            Ok(output) => {
                meter.write(units(output.consumed_capacity()));
                Ok(Put::Stored)
            }
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    meter.write(FAILED_WRITE_UNITS);
                    Ok(Put::Standing(from_attributes(failed.item())?))
                }
                Some(_) | None => Err(meter.failed(classify(&error))),
            },
        }
    }

    async fn charge(
        &self,
        bucket: &Key,
        charge: Charge,
        expires_at_secs: i64,
        meter: &Meter,
    ) -> Result<Charged, StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(to_key(bucket)))
            .expression_attribute_names("#tat", TAT)
            .expression_attribute_names("#exp", EXPIRES_AT)
            .expression_attribute_values(":exp", number(expires_at_secs))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let request = match charge {
            Charge::Idle { now, to } => request
                .update_expression("SET #tat = :to, #exp = :exp")
                .condition_expression("attribute_not_exists(#tat) OR #tat <= :now")
                .expression_attribute_values(":now", number(now.millis()))
                .expression_attribute_values(":to", number(to.millis())),
            Charge::Busy { now, up_to, by_millis } => request
                .update_expression("SET #tat = #tat + :by, #exp = :exp")
                .condition_expression("#tat > :now AND #tat <= :up_to")
                .expression_attribute_values(":now", number(now.millis()))
                .expression_attribute_values(":by", number(by_millis))
                .expression_attribute_values(":up_to", number(up_to.millis())),
            Charge::Broken { stood, to } => request
                .update_expression("SET #tat = :to, #exp = :exp")
                .condition_expression("#tat = :stood")
                .expression_attribute_values(":stood", number(stood.millis()))
                .expression_attribute_values(":to", number(to.millis())),
        };
        match meter.operation(request.send()).await? {
            Ok(output) => {
                meter.write(units(output.consumed_capacity()));
                Ok(Charged::Applied { tat: tat_of(output.attributes().unwrap_or(&HashMap::new()))? })
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    meter.write(FAILED_WRITE_UNITS);
                    let stood = failed.item().filter(|item| !item.is_empty());
                    stood.map(tat_of).transpose().map(|tat| Charged::Failed { tat })
                }
                Some(_) | None => Err(meter.failed(classify(&error))),
            },
        }
    }

    async fn query(&self, query: &Query, meter: &Meter) -> Result<Vec<Item>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(&query.pk))
            .expression_attribute_values(":from", text(&query.from))
            .expression_attribute_values(":to", text(&query.to))
            .scan_index_forward(!query.newest_first)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let (mut items, mut start) = (Vec::new(), None);
        // The service ends a page at 1 MB, whatever the limit; each page brings one item at least.
        loop {
            let missing = i32::from(query.limit).saturating_sub(i32::try_from(items.len()).unwrap_or(i32::MAX));
            let page = request.clone().limit(missing).set_exclusive_start_key(start).send();
            let page = meter.operation(page).await?.map_err(|error| meter.failed(classify(&error)))?;
            meter.read(units(page.consumed_capacity()));
            for item in page.items() {
                items.push(from_attributes(Some(item))?);
            }
            start = page.last_evaluated_key;
            if start.is_none() || items.len() >= usize::from(query.limit) {
                return Ok(items);
            }
        }
    }

    async fn get(&self, key: &Key, consistent: bool, meter: &Meter) -> Result<Option<Item>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(to_key(key)))
            .consistent_read(consistent)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = meter.operation(request.send()).await?.map_err(|error| meter.failed(classify(&error)))?;
        meter.read(units(output.consumed_capacity()));
        output.item().map(|item| from_attributes(Some(item))).transpose()
    }

    async fn open(&self, checks: Checks<'_>, items: &[Item], meter: &Meter) -> Result<Opened, StoreError> {
        let mut request = self.client.transact_write_items().return_consumed_capacity(ReturnConsumedCapacity::Total);
        let active = (checks.active, "#status = :active");
        let active_if_any = checks.active_if_any.map(|key| (key, "attribute_not_exists(pk) OR #status = :active"));
        for (key, condition) in std::iter::once(active).chain(active_if_any) {
            let check = ConditionCheck::builder()
                .table_name(&self.table)
                .set_key(Some(to_key(key)))
                .condition_expression(condition)
                .expression_attribute_names("#status", STATUS)
                .expression_attribute_values(":active", text(ACTIVE))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .build()
                .map_err(build_error)?;
            request = request.transact_items(TransactWriteItem::builder().condition_check(check).build());
        }
        for item in items {
            let put = PutRequest::builder()
                .table_name(&self.table)
                .set_item(Some(to_attributes(item)))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .map_err(build_error)?;
            request = request.transact_items(TransactWriteItem::builder().put(put).build());
        }
        match meter.operation(request.send()).await? {
            Ok(output) => {
                meter.write(output.consumed_capacity().iter().map(|c| units(Some(c))).sum());
                Ok(Opened::Stored)
            }
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    // Each item of a transaction is written twice, and charged so, also where the conditions fail.
                    cancelled.cancellation_reasons().iter().for_each(|_| meter.write(2.0 * FAILED_WRITE_UNITS));
                    refused(checks, cancelled.cancellation_reasons()).map_err(|error| meter.failed(error))
                }
                Some(_) | None => Err(meter.failed(classify(&error))),
            },
        }
    }

    async fn replace_if(&self, read: Option<&Item>, item: &Item, meter: &Meter) -> Result<Replaced, StoreError> {
        let mut request = self.client.put_item().table_name(&self.table).set_item(Some(to_attributes(item)));
        let mut conditions = Vec::new();
        for (n, (name, value)) in read.map(to_attributes).into_iter().flatten().enumerate() {
            conditions.push(format!("#a{n} = :a{n}"));
            request = request.expression_attribute_names(format!("#a{n}"), name);
            request = request.expression_attribute_values(format!(":a{n}"), value);
        }
        let request = request.set_condition_expression(read.map(|_| conditions.join(" AND ")));
        let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
        match meter.operation(request.send()).await? {
            Ok(output) => {
                meter.write(units(output.consumed_capacity()));
                Ok(Replaced::Done)
            }
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                meter.write(FAILED_WRITE_UNITS);
                Ok(Replaced::Refused)
            }
            Err(error) => Err(meter.failed(classify(&error))),
        }
    }
}

/// A write whose condition failed is charged like the write, and the failure's answer carries no figure. Our items
/// stay under 1 KB, so that is one unit.
const FAILED_WRITE_UNITS: f64 = 1.0;

/// Whether a cancelled transaction was refused by its conditions (a fact) or stood in another's way (an error). There is a
/// reason for each item, in the transaction's order.
fn refused(checks: Checks<'_>, reasons: &[CancellationReason]) -> Result<Opened, StoreError> {
    const FAILED: Option<&str> = Some("ConditionalCheckFailed");
    let fine = |reason: &&CancellationReason| !matches!(reason.code(), None | Some("None" | "ConditionalCheckFailed"));
    if let Some(other) = reasons.iter().find(fine) {
        let code = other.code().unwrap_or_default().to_owned();
        return Err(match code.as_str() {
            "ThrottlingError" | "ProvisionedThroughputExceeded" => StoreError::Throttled(code),
            "AccessDenied" | "ValidationError" | "ItemCollectionSizeLimitExceeded" => StoreError::Misconfigured(code),
            _ => StoreError::Contended(code),
        });
    }
    let mut reasons = reasons.iter();
    let mut failed_check = || {
        let reason = reasons.next().filter(|reason| reason.code() == FAILED);
        let item = reason.and_then(CancellationReason::item).filter(|item| !item.is_empty());
        item.map(|item| from_attributes(Some(item))).transpose()
    };
    let checked = failed_check()?;
    let closed = if checks.active_if_any.is_some() { failed_check()? } else { None };
    Ok(Opened::Refused { checked, closed, standing: reasons.any(|reason| reason.code() == FAILED) })
}

/// What kind of failure an error is. Only the code and the service's message go into it: an error's `Debug` may carry
/// the raw answer, and that may carry an item.
fn classify<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> StoreError {
    match error {
        SdkError::TimeoutError(_) => StoreError::TimedOut("time-out".to_owned()),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            StoreError::TimedOut("connect time-out".to_owned())
        }
        SdkError::DispatchFailure(failure) => {
            let what = failure.as_connector_error().map(root_of).unwrap_or_default();
            StoreError::Unavailable(what)
        }
        SdkError::ResponseError(_) => StoreError::Unavailable("an answer that cannot be read".to_owned()),
        SdkError::ServiceError(service) => of_service(service.err().code(), service.raw().status().as_u16()),
        SdkError::ConstructionFailure(_) => StoreError::Misconfigured("the request cannot be built".to_owned()),
        _ => StoreError::Unavailable("an error that the SDK does not name".to_owned()),
    }
}

fn root_of(error: &aws_sdk_dynamodb::error::ConnectorError) -> String {
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

fn of_service(code: Option<&str>, status: u16) -> StoreError {
    let what = code.unwrap_or("an answer without a code").to_owned();
    match code {
        Some(
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "LimitExceededException",
        ) => StoreError::Throttled(what),
        Some(
            "TransactionConflictException" | "TransactionInProgressException" | "ReplicatedWriteConflictException",
        ) => StoreError::Contended(what),
        Some("InternalServerError" | "ServiceUnavailable") | None => StoreError::Unavailable(what),
        Some(_) if status >= 500 => StoreError::Unavailable(what),
        Some(_) => StoreError::Misconfigured(what),
    }
}

fn units(consumed: Option<&ConsumedCapacity>) -> f64 {
    consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or_default()
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn tat_of(attributes: &HashMap<String, AttributeValue>) -> Result<Timestamp, StoreError> {
    let tat = attributes.get(TAT).and_then(|value| value.as_n().ok()).and_then(|tat| tat.parse().ok());
    let malformed = || StoreError::Malformed { kind: "bucket", what: "tat is not a whole number".to_owned() };
    tat.map(Timestamp::from_millis).ok_or_else(malformed)
}

fn to_key(key: &Key) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))])
}

fn to_attributes(item: &Item) -> HashMap<String, AttributeValue> {
    let mut attributes = to_key(&item.key);
    attributes.extend(item.attributes.iter().map(|(name, value)| {
        let value = match value {
            Value::S(value) => text(value),
            Value::N(value) => number(*value),
            Value::Json(value) => from_json(value),
        };
        (name.clone(), value)
    }));
    attributes
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enumeration is not exhaustive")]
fn from_attributes(attributes: Option<&HashMap<String, AttributeValue>>) -> Result<Item, StoreError> {
    let malformed = |what: &str| StoreError::Malformed { kind: "item", what: what.to_owned() };
    let attributes = attributes.ok_or_else(|| malformed("the store did not hand back what stands"))?;
    let key = |name: &str| match attributes.get(name) {
        Some(AttributeValue::S(value)) => Ok(value.clone()),
        Some(_) | None => Err(malformed("its key is not text")),
    };
    let mut item = Item::at(Key { pk: key("pk")?, sk: key("sk")? });
    for (name, value) in attributes.iter().filter(|(name, _)| !matches!(name.as_str(), "pk" | "sk")) {
        item = match value {
            AttributeValue::S(value) => item.text(name, value.clone()),
            AttributeValue::N(value) if value.parse::<i64>().is_ok() => item.number(name, value.parse::<i64>().ok()),
            other => item.json(name, to_json(other)),
        };
    }
    Ok(item)
}

/// Sets and binaries, which no item of ours uses, become null: a team's own system may keep more on an item.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enumeration is not exhaustive")]
fn to_json(value: &AttributeValue) -> Json {
    match value {
        AttributeValue::S(value) => Json::from(value.as_str()),
        AttributeValue::N(value) => serde_json::from_str(value).unwrap_or(Json::Null),
        AttributeValue::Bool(value) => Json::from(*value),
        AttributeValue::L(values) => values.iter().map(to_json).collect(),
        AttributeValue::M(values) => values.iter().map(|(name, value)| (name.clone(), to_json(value))).collect(),
        _ => Json::Null,
    }
}

fn from_json(value: &Json) -> AttributeValue {
    match value {
        Json::Null => AttributeValue::Null(true),
        Json::Bool(value) => AttributeValue::Bool(*value),
        Json::Number(value) => AttributeValue::N(value.to_string()),
        Json::String(value) => text(value),
        Json::Array(values) => AttributeValue::L(values.iter().map(from_json).collect()),
        Json::Object(values) => {
            AttributeValue::M(values.iter().map(|(name, value)| (name.clone(), from_json(value))).collect())
        }
    }
}
