//! Obligation 11: every call is metered, exactly, the failed ones too; and every item of a family costs one unit.

use std::sync::Arc;

use rondo_shared::identity::{Client, FamilyId, NAME_MAX_BYTES, OrgKey, Subject, TENANT_MAX_BYTES, Tenant};
use rondo_shared::moment::{Nonce, Timestamp};
use rondo_shared::rotation::family::{client_hash, newest_two};
use rondo_shared::session::LABEL_MAX_CHARS;
use rondo_shared::store::item::{
    ACTIVE, AccountStatus, Cause, Evidence, Generation, Opening, OpeningReceipt, ReissueNote, STATUS, Seal,
    SessionEntry, UserProfile,
};
use rondo_shared::store::{Charge, Charged, Checks, Item, Key, Meter, Opened, Put, Store, Usage, keys};
use rondo_tests::world::moment;
use rondo_tests::{Fault, T0, secs};

use crate::{
    Stores, all_of, fresh_family, fresh_key, fresh_subject, item_of, profile_key, put, put_user, race, session_items,
    tenant,
};

fn cost(calls: u32, read_units: f64, write_units: f64) -> Usage {
    Usage::of(calls, read_units, write_units)
}

pub async fn a_write_costs_one_unit_whether_its_condition_holds_or_not(stores: &impl Stores) {
    let store = stores.store();
    let one_write = cost(1, 0.0, 1.0);

    let item = item_of(1, &fresh_key());
    for expected in [Put::Stored, Put::Standing(item.clone())] {
        let meter = Meter::default();
        assert_eq!(store.put_if_absent(&item, &meter).await, Ok(expected));
        assert_eq!(meter.usage(), one_write);
    }

    let (bucket, absent) = (fresh_key(), fresh_key());
    let idle = Charge::Idle { now: T0, to: secs(1) };
    let busy = |up_to| Charge::Busy { now: T0, up_to, by_millis: 1_000 };
    let charges = [
        (&bucket, idle, Charged::Applied { tat: secs(1) }),
        (&bucket, idle, Charged::Failed { tat: Some(secs(1)) }),
        (&bucket, busy(secs(1)), Charged::Applied { tat: secs(2) }),
        (&bucket, busy(secs(1)), Charged::Failed { tat: Some(secs(2)) }),
        (&absent, busy(secs(1)), Charged::Failed { tat: None }),
    ];
    for (bucket, charge, expected) in charges {
        let meter = Meter::default();
        assert_eq!(store.charge(bucket, charge, T0.secs(), &meter).await, Ok(expected));
        assert_eq!(meter.usage(), one_write, "{charge:?}");
    }

    let meter = Meter::default();
    store.replace(&item, &meter).await.unwrap();
    assert_eq!(meter.usage(), one_write);
}

pub async fn a_strongly_consistent_read_costs_one_unit_and_any_other_half(stores: &impl Stores) {
    let (store, family) = (stores.store(), fresh_family());
    let pk = keys::family(&tenant(), family);
    for number in 0..4 {
        put(&store, &item_of(1, &Key { pk: pk.clone(), sk: keys::generation(number) })).await;
    }

    let meter = Meter::default();
    assert_eq!(store.query(&newest_two(&tenant(), family), &meter).await.unwrap().len(), 2);
    assert_eq!(meter.usage(), cost(1, 1.0, 0.0));

    for (consistent, units) in [(true, 1.0), (false, 0.5)] {
        for key in [Key { pk: pk.clone(), sk: keys::generation(3) }, fresh_key()] {
            let meter = Meter::default();
            store.get(&key, consistent, &meter).await.unwrap();
            assert_eq!(meter.usage(), cost(1, units, 0.0), "consistent: {consistent}");
        }
    }
}

/// Two units for each of three items, the checked one included, and the same where it is refused.
pub async fn an_opened_session_costs_six_units(stores: &impl Stores) {
    let (store, subject) = (stores.store(), fresh_subject());
    put_user(&store, &subject, AccountStatus::Active).await;
    let user = profile_key(&subject);
    let items = session_items(&subject, fresh_family(), &moment(T0));
    let meter = Meter::default();
    assert_eq!(store.open(Checks::active(&user), &items, &meter).await, Ok(Opened::Stored));
    assert_eq!(meter.usage(), cost(1, 0.0, 6.0));

    let meter = Meter::default();
    let again = store.open(Checks::active(&user), &items, &meter).await;
    assert!(matches!(again, Ok(Opened::Refused { .. })));
    assert_eq!(meter.usage(), cost(1, 0.0, 6.0));
}

/// Whether or not the item that need not stand does, and where its check fails.
pub async fn a_session_opened_under_a_second_check_costs_two_units_more(stores: &impl Stores) {
    let (store, subject, project) = (stores.store(), fresh_subject(), fresh_key());
    put_user(&store, &subject, AccountStatus::Active).await;
    let user = profile_key(&subject);
    let checks = Checks { active: &user, active_if_any: Some(&project) };
    let bare = Item::at(project.clone());
    for (standing, opens) in [
        (None, true),
        (Some(bare.clone().text(STATUS, ACTIVE.to_owned())), true),
        (Some(bare.text(STATUS, "removed".to_owned())), false),
    ] {
        if let Some(standing) = standing {
            store.replace(&standing, &Meter::default()).await.unwrap();
        }
        let meter = Meter::default();
        let items = session_items(&subject, fresh_family(), &moment(T0));
        let outcome = store.open(checks, &items, &meter).await.unwrap();
        assert_eq!(outcome == Opened::Stored, opens, "{outcome:?}");
        assert_eq!(meter.usage(), cost(1, 0.0, 8.0));
    }
}

pub async fn the_attempts_of_one_call_count_as_one(stores: &impl Stores) {
    let (faults, store) = stores.store_with_faults();
    let (item, meter) = (item_of(1, &fresh_key()), Meter::default());
    faults.queue("PutItem", Fault::Refused);
    faults.queue("PutItem", Fault::Throttled);
    assert_eq!(store.put_if_absent(&item, &meter).await, Ok(Put::Stored));
    assert_eq!(meter.usage(), cost(1, 0.0, 1.0));
    assert_eq!(faults.take_attempts().len(), 3);
}

pub async fn a_call_that_fails_is_counted_too(stores: &impl Stores) {
    let (faults, store) = stores.store_with_faults();
    for operation in ["PutItem", "UpdateItem", "Query", "GetItem", "TransactWriteItems"] {
        faults.queue_for_all_attempts(operation, &Fault::TransactionConflict);
    }
    let (key, meter) = (fresh_key(), Meter::default());
    let item = item_of(1, &key);
    let idle = Charge::Idle { now: T0, to: secs(1) };
    assert!(store.put_if_absent(&item, &meter).await.is_err());
    assert!(store.charge(&key, idle, T0.secs(), &meter).await.is_err());
    assert!(store.query(&all_of(&key.pk), &meter).await.is_err());
    assert!(store.get(&key, true, &meter).await.is_err());
    assert!(store.open(Checks::active(&key), std::slice::from_ref(&item), &meter).await.is_err());
    assert_eq!(meter.usage(), Usage { contended: 5, ..cost(5, 0.0, 0.0) });
    assert!(meter.usage().slowest_call_millis > 0.0);

    faults.clear();
    faults.queue_for_all_attempts("GetItem", &Fault::Throttled);
    let meter = Meter::default();
    assert!(store.get(&key, true, &meter).await.is_err());
    assert_eq!(meter.usage(), Usage { throttled: 1, ..cost(1, 0.0, 0.0) });
}

pub async fn racing_calls_on_one_meter_are_all_counted(stores: &impl Stores) {
    let (store, key, meter) = (stores.store(), fresh_key(), Arc::new(Meter::default()));
    race(32, |racer| {
        let (store, item, meter) = (store.clone(), item_of(racer, &key), meter.clone());
        async move {
            store.put_if_absent(&item, &meter).await.unwrap();
            store.get(&item.key, false, &meter).await.unwrap();
        }
    })
    .await;
    assert_eq!(meter.usage(), cost(64, 16.0, 32.0));
}

/// Everything that stands in a family, its session's entry and the receipt of its opening, at the extremes of each field.
fn widest_items(family: FamilyId) -> [Item; 6] {
    let end_of_time = Timestamp::from_secs(253_402_300_799);
    let client = Client::new(Some("2001:db80:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap()), &"u".repeat(500));
    let tenant = Tenant::new("t".repeat(TENANT_MAX_BYTES)).unwrap();
    let subject = Subject::new("#".repeat(NAME_MAX_BYTES)).unwrap();
    let label = Some("l".repeat(LABEL_MAX_CHARS));
    let request_id = family.to_string();
    let nonce = Nonce::from_bytes([255; 16]);
    let generation = Generation {
        number: u32::MAX,
        gid: nonce.clone(),
        parent: Some(nonce.clone()),
        attempt: nonce,
        minted_at: end_of_time,
        token_expires_at: end_of_time,
        client: client.clone(),
        request_id: request_id.clone(),
        opening: None,
    };
    let opening = Opening {
        subject: subject.clone(),
        org: Some(OrgKey::new("o".repeat(NAME_MAX_BYTES)).unwrap()),
        session_expires_at: end_of_time,
        label: label.clone(),
    };
    let first = Generation { number: 0, opening: Some(opening), ..generation.clone() };
    let evidence = Some(Evidence { presented: Some(u32::MAX), live: u32::MAX });
    let cause = Cause::UnknownGeneration;
    let seal = Seal {
        sealed_at: end_of_time,
        cause,
        subject: Some(subject.clone()),
        evidence,
        client: client.clone(),
        request_id: request_id.clone(),
    };
    let hash = client_hash(&client);
    let note = ReissueNote { generation: u32::MAX, reissued_at: end_of_time, client, request_id };
    let entry = SessionEntry { family, opened_at: end_of_time, session_expires_at: end_of_time, label };
    let receipt = OpeningReceipt { family, opened_at: end_of_time };
    // By a digest, as every client token is: none is wider than another.
    let receipt_key =
        Key { pk: keys::user(&tenant, &subject), sk: keys::receipt(&keys::digest(&[&family.to_string()])) };
    [
        generation.to_item(&tenant, family, i64::MAX),
        first.to_item(&tenant, family, i64::MAX),
        seal.to_item(&tenant, family, i64::MAX),
        note.to_item(&tenant, family, &hash, i64::MAX),
        entry.to_item(&tenant, &subject, i64::MAX),
        receipt.to_item(receipt_key, i64::MAX),
    ]
}

pub async fn the_widest_items_of_a_family_cost_one_unit(stores: &impl Stores) {
    let store = stores.store();
    for item in widest_items(fresh_family()) {
        let meter = Meter::default();
        assert_eq!(store.put_if_absent(&item, &meter).await, Ok(Put::Stored));
        assert_eq!(meter.usage(), cost(1, 0.0, 1.0), "{}: {} bytes", item.key.sk, item.size_bytes());
        assert!(item.size_bytes() < 1024, "{}: {} bytes", item.key.sk, item.size_bytes());
    }

    let [_, first, _, _, entry, _] = widest_items(fresh_family());
    let subject = fresh_subject();
    put_user(&store, &subject, AccountStatus::Active).await;
    let (check, meter) = (UserProfile::key(&tenant(), &subject), Meter::default());
    assert_eq!(store.open(Checks::active(&check), &[first, entry], &meter).await, Ok(Opened::Stored));
    assert_eq!(meter.usage(), cost(1, 0.0, 6.0));
}

/// At the edge of a unit: an item that we count as 1,024 bytes costs one, and one byte more costs two.
pub async fn our_count_of_an_items_bytes_is_the_stores(stores: &impl Stores) {
    let store = stores.store();
    for (character, bytes) in [('x', 1), ('é', 2), ('\u{10000}', 4)] {
        for (size, units) in [(1024, 1.0), (1025, 2.0)] {
            let bare = Item::at(fresh_key()).text("wide", String::new()).text("rest", String::new());
            let free = size - bare.size_bytes();
            let item =
                bare.text("wide", character.to_string().repeat(free / bytes)).text("rest", "x".repeat(free % bytes));
            assert_eq!(item.size_bytes(), size);
            let meter = Meter::default();
            assert_eq!(store.put_if_absent(&item, &meter).await, Ok(Put::Stored));
            assert_eq!(meter.usage(), cost(1, 0.0, units), "{size} bytes of {character:?}");
        }
    }

    // Numbers are counted at their widest, so that ours is never the smaller count.
    let bare = Item::at(fresh_key()).text("wide", String::new()).number("least", i64::MIN).number("most", i64::MAX);
    let item = bare.clone().text("wide", "x".repeat(1024 - bare.size_bytes()));
    let meter = Meter::default();
    assert_eq!(store.put_if_absent(&item, &meter).await, Ok(Put::Stored));
    assert_eq!(meter.usage(), cost(1, 0.0, 1.0));
}
