//! Obligations 1 to 3, for puts: atomic absence, what stands is handed back, a lost write changes nothing.

use rondo_shared::store::{Item, Key, Meter, Put, Replaced, Store as _};
use serde_json::json;

use crate::{Stores, fresh_key, item_of, put, race, standing};

const RACERS: usize = 64;
const ROUNDS: usize = 20;

pub async fn of_64_racing_puts_one_is_stored_and_all_others_are_handed_it_whole(stores: &impl Stores) {
    let store = stores.store();
    for round in 0..ROUNDS {
        let key = fresh_key();
        let outcomes = race(RACERS, |racer| {
            let (store, item) = (store.clone(), item_of(racer, &key));
            async move { store.put_if_absent(&item, &Meter::default()).await.unwrap() }
        })
        .await;
        let winners: Vec<_> = (0..RACERS).filter(|&racer| outcomes[racer] == Put::Stored).collect();
        assert_eq!(winners.len(), 1, "round {round}: the winners are {winners:?}");
        let winner = item_of(winners[0], &key);
        for (racer, outcome) in outcomes.into_iter().enumerate().filter(|(racer, _)| *racer != winners[0]) {
            assert_eq!(outcome, Put::Standing(winner.clone()), "round {round}, racer {racer}");
        }
        assert_eq!(standing(&store, &key).await, Some(winner), "round {round}");
    }
}

pub async fn a_lost_put_hands_back_the_whole_item_and_changes_nothing(stores: &impl Stores) {
    let (store, key) = (stores.store(), fresh_key());
    let first = item_of(1, &key);
    put(&store, &first).await;
    let attempts = [
        item_of(2, &key),
        Item::at(key.clone()),
        first.clone(),
        Item::at(key.clone()).text("owner", "other".to_owned()).number("new", 1),
    ];
    for attempt in attempts {
        let outcome = store.put_if_absent(&attempt, &Meter::default()).await.unwrap();
        assert_eq!(outcome, Put::Standing(first.clone()));
        assert_eq!(standing(&store, &key).await.as_ref(), Some(&first));
    }
}

pub async fn an_item_stands_in_the_way_of_its_own_key_only(stores: &impl Stores) {
    let (store, key) = (stores.store(), fresh_key());
    let neighbours = [
        key.clone(),
        Key { sk: format!("{}#", key.sk), ..key.clone() },
        Key { sk: key.sk.to_lowercase(), ..key.clone() },
        Key { pk: format!("{}#", key.pk), ..key.clone() },
        Key { pk: format!("{}#{}", key.pk, key.sk), sk: key.sk.clone() },
    ];
    for (n, key) in neighbours.iter().enumerate() {
        put(&store, &item_of(n, key)).await;
    }
    for (n, key) in neighbours.iter().enumerate() {
        assert_eq!(standing(&store, key).await, Some(item_of(n, key)));
    }
}

pub async fn a_replacement_takes_the_place_of_the_whole_item(stores: &impl Stores) {
    let (store, key) = (stores.store(), fresh_key());
    let second = Item::at(key.clone()).text("owner", "second".to_owned());
    for item in [item_of(1, &key), second.clone(), second, item_of(2, &key)] {
        store.replace(&item, &Meter::default()).await.unwrap();
        assert_eq!(standing(&store, &key).await, Some(item));
    }
}

pub async fn an_item_that_was_changed_since_it_was_read_is_not_replaced(stores: &impl Stores) {
    let (store, key) = (stores.store(), fresh_key());
    let read = Item::at(key.clone())
        .text("status", "active".to_owned())
        .number("count", 7)
        .json("metadata", json!({"a": [1, 2.5, null], "b": {}}));
    let new = Item::at(key.clone()).text("status", "active".to_owned()).text("name", "Ada".to_owned());
    let meter = Meter::default();
    for changed in [
        read.clone().text("status", "suspended".to_owned()),
        read.clone().number("count", 8),
        read.clone().json("metadata", json!({"a": [1, 2.5, null], "b": {"c": 1}})),
        Item::at(key.clone()),
    ] {
        store.replace(&changed, &meter).await.unwrap();
        let before = meter.usage().write_units;
        assert_eq!(store.replace_if(Some(&read), &new, &meter).await, Ok(Replaced::Refused));
        assert!(meter.usage().write_units > before, "a refused write is charged");
        assert_eq!(standing(&store, &key).await, Some(changed));
    }
    store.replace(&read, &meter).await.unwrap();
    assert_eq!(store.replace_if(Some(&read), &new, &meter).await, Ok(Replaced::Done));
    assert_eq!(standing(&store, &key).await, Some(new));
}
