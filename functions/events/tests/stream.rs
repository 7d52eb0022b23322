//! Records as DynamoDB's streams bring them, and the events that they become, held to the schemas of `infra/events/`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

use std::path::Path;
use std::sync::Mutex;

use events::bus::{Bus, NotPublished};
use events::event::{Event, Kind};
use events::{NotABatch, handle};
use rondo_shared::store::item::AccountStatus;
use rondo_tests::world::{World, secs, thiefs_event};
use serde_json::{Value, json};

const FAMILY: &str = "01JD0000000000000000000000";

/// A captured record of the stream, from `tests/records/`.
fn captured(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/records/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))).unwrap()
}

/// The same record under another number.
fn numbered(mut record: Value, number: u32) -> Value {
    record["dynamodb"]["SequenceNumber"] = Value::from(number.to_string());
    record
}

/// A bus that keeps what it is given, and refuses the events that it is told to.
#[derive(Default)]
struct Kept {
    details: Mutex<Vec<(Kind, Value)>>,
    refuses: Option<fn(&Event) -> bool>,
}

impl Bus for Kept {
    async fn publish(&self, events: &[&Event]) -> Vec<Result<(), NotPublished>> {
        let refused = |event: &Event| self.refuses.is_some_and(|refuses| refuses(event));
        let publish = |event: &&Event| {
            if refused(event) {
                return Err(NotPublished("ThrottlingException".to_owned()));
            }
            self.details.lock().unwrap().push((event.kind(), event.detail().clone()));
            Ok(())
        };
        events.iter().map(publish).collect()
    }
}

/// What became of a batch: the events, and the numbers of the records to bring again.
struct Told {
    events: Vec<(Kind, Value)>,
    failures: Value,
}

impl Told {
    fn kinds(&self) -> Vec<Kind> {
        self.events.iter().map(|(kind, _)| *kind).collect()
    }
}

async fn told_by(bus: Kept, records: Vec<Value>) -> Told {
    let handled = handle(&json!({"Records": records}), &bus).await.unwrap();
    let failures = serde_json::to_value(&handled).unwrap()["batchItemFailures"].clone();
    let events = bus.details.into_inner().unwrap();
    for (kind, detail) in &events {
        hold_to_schema(*kind, detail);
    }
    Told { events, failures }
}

async fn told(records: Vec<Value>) -> Told {
    told_by(Kept::default(), records).await
}

fn schema(kind: Kind) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../infra/events/{}.json", kind.slug()));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

#[track_caller]
fn hold_to_schema(kind: Kind, detail: &Value) {
    let schema = schema(kind);
    assert_eq!(schema["title"], kind.detail_type());
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let faults: Vec<_> = validator.iter_errors(detail).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{kind:?}: {faults:?}\n{detail:#}");
}

#[tokio::test]
async fn an_opened_session_is_told_with_its_user_and_without_where_from() {
    let told = told(vec![captured("insert_generation_0")]).await;
    assert_eq!(told.kinds(), [Kind::Opened]);
    assert_eq!(
        told.events[0].1,
        json!({
            "id": format!("uniqos/{FAMILY}/GEN#0000000000/session-opened"),
            "tenant": "uniqos",
            "family": FAMILY,
            "user": "user-1",
            "org": "acme",
            "generation": 0,
            "at": "2026-11-22T10:00:00.000Z",
            "session_expires_at": "2027-02-20T10:00:00.000Z",
            "request_id": "01KAND7A40041061050R3GG28A",
        })
    );
    assert_eq!(told.failures, json!([]));
}

#[tokio::test]
async fn a_session_that_its_user_ended_is_told_with_the_cause() {
    let told = told(vec![captured("insert_seal_sign_out")]).await;
    assert_eq!(told.kinds(), [Kind::Ended]);
    let detail = &told.events[0].1;
    assert_eq!(
        (&detail["cause"], &detail["generation"], &detail["user"]),
        (&"sign_out".into(), &2.into(), &"user-1".into())
    );
}

#[tokio::test]
async fn a_reuse_is_told_as_the_end_of_its_session_and_with_its_evidence() {
    let told = told(vec![captured("insert_seal_reuse")]).await;
    assert_eq!(told.kinds(), [Kind::Ended, Kind::Reuse]);
    let (ended, reuse) = (&told.events[0].1, &told.events[1].1);
    assert_eq!((&ended["cause"], &ended["generation"]), (&"reuse".into(), &7.into()));
    assert_eq!((&reuse["generation"], &reuse["live_generation"]), (&4.into(), &7.into()));
    assert_eq!(reuse["client"], json!({"ip": "203.0.113.9", "user_agent": "curl/8.5.0"}));
    assert_ne!(ended["id"], reuse["id"]);
}

#[tokio::test]
async fn a_seal_of_lost_data_is_an_end_and_no_reuse() {
    let mut record = captured("insert_seal_reuse");
    record["dynamodb"]["NewImage"]["cause"]["S"] = "unknown_generation".into();
    let told = told(vec![record]).await;
    assert_eq!(told.kinds(), [Kind::Ended]);
    // A token's return was the end, so that it is known how far the family was.
    assert_eq!(told.events[0].1["generation"], 7);
}

#[tokio::test]
async fn a_seal_that_names_no_user_is_told_all_the_same() {
    let mut record = captured("insert_seal_reuse");
    record["dynamodb"]["NewImage"].as_object_mut().unwrap().remove("subject");
    let told = told(vec![record]).await;
    assert_eq!(told.kinds(), [Kind::Ended, Kind::Reuse]);
    assert!(told.events.iter().all(|(_, detail)| detail["user"].is_null()));
}

#[tokio::test]
async fn a_reissue_to_another_client_is_told_with_that_client() {
    let told = told(vec![captured("insert_reissue_note")]).await;
    assert_eq!(told.kinds(), [Kind::Reissued]);
    let detail = &told.events[0].1;
    assert_eq!((&detail["generation"], &detail["client"]["ip"]), (&5.into(), &"198.51.100.7".into()));
}

#[tokio::test]
async fn what_expires_or_is_replaced_or_merely_goes_on_is_no_event() {
    let mut other = captured("insert_generation_0");
    other["dynamodb"]["Keys"] = json!({"pk": {"S": "USER#uniqos#user-1"}, "sk": {"S": "PROFILE"}});
    let quiet = vec![
        captured("remove_seal_by_ttl"),
        captured("remove_by_hand"),
        captured("modify_seal"),
        captured("insert_generation_1"),
        other,
    ];
    let told = told(quiet).await;
    assert_eq!((told.kinds(), told.failures), (vec![], json!([])));
}

#[tokio::test]
async fn the_same_record_brought_twice_is_told_under_the_same_id() {
    let told = told(vec![captured("insert_seal_reuse"), numbered(captured("insert_seal_reuse"), 9)]).await;
    assert_eq!(told.events[..2], told.events[2..]);
}

#[tokio::test]
async fn every_kind_and_every_item_has_an_id_of_its_own() {
    let mut elsewhere = captured("insert_reissue_note");
    elsewhere["dynamodb"]["Keys"]["sk"]["S"] = "CLIENT#0000000005#AAAAAAAAAAAAAAAAAAAAAA".into();
    let names = ["insert_generation_0", "insert_seal_reuse", "insert_reissue_note"];
    let records = names.into_iter().map(captured).chain([elsewhere]).collect();
    let mut ids: Vec<_> = told(records).await.events.iter().map(|(_, detail)| detail["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn nothing_that_a_token_could_be_made_of_is_told() {
    let names = ["insert_generation_0", "insert_seal_reuse", "insert_seal_sign_out", "insert_reissue_note"];
    let told = told(names.into_iter().map(captured).collect()).await;
    let image = &captured("insert_generation_0")["dynamodb"]["NewImage"];
    for (kind, detail) in &told.events {
        for secret in ["gid", "attempt", "label"] {
            let value = image[secret]["S"].as_str().unwrap();
            assert!(!detail.to_string().contains(value), "{kind:?} tells the {secret}");
        }
        let is_evidence = matches!(kind, Kind::Reuse | Kind::Reissued);
        assert_eq!(detail.to_string().contains("ip\""), is_evidence, "{kind:?}");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_told_as_such_and_holds_up_no_other() {
    let spoiled = |spoil: fn(&mut Value)| {
        let mut record = captured("insert_seal_reuse");
        spoil(&mut record);
        record
    };
    let noted = |sk: &str| {
        let mut record = captured("insert_reissue_note");
        record["dynamodb"]["Keys"]["sk"]["S"] = sk.into();
        record
    };
    let records = [
        spoiled(|record| record["dynamodb"]["NewImage"]["cause"]["S"] = "hacked".into()),
        spoiled(|record| record["dynamodb"]["NewImage"]["sealed_at"] = json!({"S": "now"})),
        spoiled(|record| drop(record["dynamodb"].as_object_mut().unwrap().remove("NewImage"))),
        spoiled(|record| drop(record["dynamodb"].as_object_mut().unwrap().remove("Keys"))),
        spoiled(|record| record["dynamodb"]["Keys"]["pk"]["S"] = "FAMILY#uniqos#not-a-ulid".into()),
        spoiled(|record| record["eventName"] = "UPSERT".into()),
        spoiled(|record| drop(record.as_object_mut().unwrap().remove("eventName"))),
        json!("not a record at all"),
        // Times that no event can tell: of before 1970, and of the year 9999's last day, after which there is none.
        spoiled(|record| record["dynamodb"]["NewImage"]["sealed_at"]["N"] = "-1".into()),
        spoiled(|record| record["dynamodb"]["NewImage"]["sealed_at"]["N"] = "253402300400000".into()),
        spoiled(|record| record["dynamodb"]["NewImage"]["sealed_at"]["N"] = i64::MAX.to_string().into()),
        // A note under a key that no client's digest makes.
        noted("CLIENT#0000000005#q1w2e3r4t5y6u7i8o9p\u{41d}B"),
        noted("CLIENT#5#q1w2e3r4t5y6u7i8o9p0aB"),
        noted("CLIENT#0000000005#"),
    ];
    let count = records.len();
    for (n, record) in records.into_iter().enumerate() {
        let told = told(vec![captured("insert_generation_0"), record, captured("insert_seal_sign_out")]).await;
        assert_eq!(told.kinds(), [Kind::Opened, Kind::Unreadable, Kind::Ended], "record {n} of {count}");
        assert_eq!(told.failures, json!([]), "record {n} would be brought again, for ever");
        let shown = told.events[1].1.to_string();
        assert!(!shown.contains("hacked") && !shown.contains("203.0.113.9"), "{shown}");
    }
}

#[tokio::test]
async fn the_records_whose_events_were_not_published_are_brought_again_once_each() {
    let bus = Kept { refuses: Some(|event| event.kind() != Kind::Opened), ..Kept::default() };
    let records = vec![
        numbered(captured("insert_generation_0"), 1),
        numbered(captured("insert_seal_reuse"), 2),
        numbered(captured("insert_generation_0"), 3),
        numbered(captured("insert_seal_sign_out"), 4),
    ];
    let told = told_by(bus, records).await;
    assert_eq!(told.kinds(), [Kind::Opened, Kind::Opened]);
    assert_eq!(told.failures, json!([{"itemIdentifier": "2"}, {"itemIdentifier": "4"}]));
}

#[tokio::test]
async fn a_record_without_a_number_whose_event_was_not_published_has_the_whole_batch_brought_again() {
    let bus = Kept { refuses: Some(|_| true), ..Kept::default() };
    let told = told_by(bus, vec![json!({"eventName": "INSERT"})]).await;
    assert_eq!(told.failures, json!([{"itemIdentifier": ""}]));
}

#[tokio::test]
async fn what_is_no_batch_is_refused() {
    assert_eq!(handle(&json!({"detail": {}}), &Kept::default()).await, Err(NotABatch));
}

#[test]
fn every_kind_has_its_schema_and_no_schema_is_of_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/events");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut schemas: Vec<_> = files.map(|path| path.file_stem().unwrap().display().to_string()).collect();
    schemas.sort();
    let mut kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
    kinds.sort();
    assert_eq!(schemas, kinds);
}

#[test]
fn a_schema_finds_a_member_that_it_does_not_know() {
    let validator = jsonschema::validator_for(&schema(Kind::Unreadable)).unwrap();
    let good =
        json!({"id": "stream/1/stream-record-unreadable", "sequence_number": "1", "pk": null, "sk": null, "what": "x"});
    assert!(validator.is_valid(&good));
    let mut bad = good;
    bad["gid"] = "x".into();
    assert!(!validator.is_valid(&bad));
}

/// The item as the stream would bring it, had it just been put.
fn inserted(item: &Value) -> Value {
    json!({
        "eventName": "INSERT",
        "dynamodb": {
            "Keys": {"pk": item["pk"], "sk": item["sk"]},
            "NewImage": item,
            "SequenceNumber": "1",
            "StreamViewType": "NEW_IMAGE",
        },
    })
}

#[tokio::test]
async fn what_the_walk_writes_is_what_is_read_here() {
    let world = World::new().await;
    world.put_user("user-2", AccountStatus::Active).await;
    let stolen = world.open(secs(0)).await;
    world.refresh(&stolen, secs(10)).await.ok();
    world.send(thiefs_event(&stolen), secs(11)).await.ok();
    assert_eq!(world.refresh(&stolen, secs(60)).await.status, 401);
    let (family, _) = world.open_for("user-2", None, secs(0)).await;
    world.sign_out(family, secs(5)).await;

    let told = told(world.dynamo.items("FAMILY#").iter().map(inserted).collect()).await;
    let mut kinds: Vec<_> =
        told.events.iter().map(|(kind, detail)| (kind.detail_type(), detail["user"].as_str())).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            ("reissued to another client", None),
            ("reuse detected", Some("user-1")),
            ("session ended", None),
            ("session ended", Some("user-1")),
            ("session opened", Some("user-1")),
            ("session opened", Some("user-2")),
        ]
    );
    assert!(told.events.iter().all(|(_, detail)| detail["generation"].is_u64()), "{:?}", told.events);
    assert_eq!(told.failures, json!([]));
}
