//! Obligations 4 and 5: reads see acknowledged writes, and queries keep order, bounds and limit.

use rondo_shared::rotation::family::newest_two;
use rondo_shared::store::item::{AccountStatus, TAT};
use rondo_shared::store::{Charge, Checks, Item, Key, Meter, Opened, Query, Store as _, Value, keys};
use rondo_tests::{T0, secs};

use crate::{
    Stores, all_of, found, fresh_family, fresh_key, fresh_subject, item_of, profile, profile_key, put, put_user, race,
    session_items, standing, tenant,
};

pub async fn a_read_begun_after_a_put_was_acknowledged_sees_it(stores: &impl Stores) {
    let (writer, reader) = (stores.store(), stores.store());
    let family = keys::family(&tenant(), fresh_family());
    race(8, |racer| {
        let (writer, reader) = (writer.clone(), reader.clone());
        let pk = format!("{family}#{racer}");
        async move {
            for number in 0..25 {
                let item = item_of(racer, &Key { pk: pk.clone(), sk: keys::generation(number) });
                put(&writer, &item).await;
                assert_eq!(standing(&reader, &item.key).await.as_ref(), Some(&item));
                let query = Query { pk: pk.clone(), ..newest_two(&tenant(), fresh_family()) };
                assert_eq!(found(&reader, &query).await.first(), Some(&item));
            }
        }
    })
    .await;
}

pub async fn a_read_begun_after_any_other_write_was_acknowledged_sees_it(stores: &impl Stores) {
    let (writer, reader, meter) = (stores.store(), stores.store(), Meter::default());
    for _ in 0..20 {
        let subject = fresh_subject();
        put_user(&writer, &subject, AccountStatus::Active).await;
        assert_eq!(
            standing(&reader, &profile_key(&subject)).await,
            Some(profile(&subject, AccountStatus::Active)),
            "a replacement"
        );

        let family = fresh_family();
        let items = session_items(&subject, family, &rondo_tests::world::moment(T0));
        assert_eq!(writer.open(Checks::active(&profile_key(&subject)), &items, &meter).await, Ok(Opened::Stored));
        for item in &items {
            assert_eq!(standing(&reader, &item.key).await.as_ref(), Some(item), "an opened session");
        }
        assert_eq!(found(&reader, &newest_two(&tenant(), family)).await, items[..1]);

        let bucket = fresh_key();
        for n in 1..4 {
            let charge = Charge::Idle { now: secs(10 * n), to: secs(10 * n + 5) };
            writer.charge(&bucket, charge, 10 * n, &meter).await.unwrap();
            let stands = standing(&reader, &bucket).await.unwrap();
            assert!(stands.attributes[TAT] == Value::N(secs(10 * n + 5).millis()), "a charge");
        }
    }
}

/// Sort keys of every length and alphabet, among them two that order differently by UTF-16 than by UTF-8.
const SORT_KEYS: [&str; 12] = [
    "SEAL",
    "GEN#0000000010",
    "\u{10000}",
    "a",
    "GEN#0000000009",
    "A",
    "~",
    "CLIENT#0000000010#ff",
    "\u{FFFD}",
    "GEN#",
    "é",
    "GEN#4294967295",
];

async fn put_sort_keys(store: &impl rondo_shared::store::Store) -> (String, Vec<String>) {
    let pk = fresh_key().pk;
    for (n, sk) in SORT_KEYS.iter().enumerate() {
        put(store, &item_of(n, &Key { pk: pk.clone(), sk: (*sk).to_owned() })).await;
    }
    let mut sorted: Vec<_> = SORT_KEYS.map(str::to_owned).to_vec();
    sorted.sort();
    (pk, sorted)
}

fn sort_keys_of(items: Vec<Item>) -> Vec<String> {
    items.into_iter().map(|item| item.key.sk).collect()
}

pub async fn items_come_in_the_byte_order_of_their_sort_keys_bounds_included(stores: &impl Stores) {
    let store = stores.store();
    let (pk, sorted) = put_sort_keys(&store).await;
    for from in 0..sorted.len() {
        for to in from..sorted.len() {
            for newest_first in [false, true] {
                let bounds = (sorted[from].clone(), sorted[to].clone());
                let query = Query { pk: pk.clone(), from: bounds.0, to: bounds.1, newest_first, limit: 100 };
                let mut expected = sorted[from..=to].to_vec();
                if newest_first {
                    expected.reverse();
                }
                assert_eq!(sort_keys_of(found(&store, &query).await), expected, "{query:?}");
            }
        }
    }
}

pub async fn no_more_items_come_than_the_limit_and_from_the_end_asked_for(stores: &impl Stores) {
    let store = stores.store();
    let (pk, sorted) = put_sort_keys(&store).await;
    let count = sorted.len();
    let bounds = (sorted[0].clone(), sorted[count - 1].clone());
    for limit in 1..=count + 1 {
        let query = |newest_first| Query {
            pk: pk.clone(),
            from: bounds.0.clone(),
            to: bounds.1.clone(),
            newest_first,
            limit: u16::try_from(limit).unwrap(),
        };
        let most = limit.min(count);
        assert_eq!(sort_keys_of(found(&store, &query(false)).await), sorted[..most]);
        let newest: Vec<_> = sorted.iter().rev().take(most).cloned().collect();
        assert_eq!(sort_keys_of(found(&store, &query(true)).await), newest);
    }
}

/// How a long collection is read on: from the last key seen, and a zero byte more.
pub async fn the_least_key_after_an_item_leaves_that_item_out(stores: &impl Stores) {
    let store = stores.store();
    let (pk, sorted) = put_sort_keys(&store).await;
    for n in 0..sorted.len() - 1 {
        let after = format!("{}\0", sorted[n]);
        let to = sorted[sorted.len() - 1].clone();
        let query = Query { pk: pk.clone(), from: after, to, newest_first: false, limit: 100 };
        assert_eq!(sort_keys_of(found(&store, &query).await), sorted[n + 1..]);
    }
}

pub async fn a_collection_ends_where_its_partition_key_ends(stores: &impl Stores) {
    let (store, key) = (stores.store(), fresh_key());
    let item = item_of(0, &key);
    put(&store, &item).await;
    for pk in [format!("{}0", key.pk), format!("{}#", key.pk), key.pk.to_lowercase()] {
        put(&store, &item_of(1, &Key { pk, sk: key.sk.clone() })).await;
    }
    assert_eq!(found(&store, &all_of(&key.pk)).await, [item]);
}

/// What reading a whole family relies on: a page that is shorter than its limit is the last one.
pub async fn a_page_of_500_items_of_one_kilobyte_comes_whole(stores: &impl Stores) {
    let (store, pk) = (stores.store(), fresh_key().pk);
    let item = |number| {
        let bare = Item::at(Key { pk: pk.clone(), sk: keys::generation(number) });
        let padding = 1023 - bare.size_bytes() - "padding".len();
        bare.text("padding", "x".repeat(padding))
    };
    race(10, |racer| {
        let (store, first) = (store.clone(), u32::try_from(racer).unwrap() * 50);
        let items: Vec<_> = (first..first + 50).map(item).collect();
        async move {
            for item in items {
                put(&store, &item).await;
            }
        }
    })
    .await;
    let items = found(&store, &all_of(&pk)).await;
    assert_eq!(items.len(), 500);
    assert!(items.iter().zip(0..).all(|(found, number)| *found == item(number)));
}

pub async fn where_nothing_stands_reads_find_nothing(stores: &impl Stores) {
    let (store, key) = (stores.store(), fresh_key());
    assert_eq!(standing(&store, &key).await, None);
    assert_eq!(store.get(&key, false, &Meter::default()).await, Ok(None));
    assert_eq!(found(&store, &all_of(&key.pk)).await, []);
    put(&store, &item_of(0, &key)).await;
    let beside = Query { from: "ITEM0".to_owned(), ..all_of(&key.pk) };
    assert_eq!(found(&store, &beside).await, []);
}
