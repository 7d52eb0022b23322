//! What obligations 1 to 5 take for granted: an item comes back as it was written, whatever text it holds.

use rondo_shared::store::{Item, Key, Meter, Query, Store as _};

use serde_json::json;

use crate::{Stores, all_of, found, fresh_key, put, standing};

/// Every character there is, one plane of Unicode to an item.
pub async fn text_comes_back_as_it_was_written_all_of_unicode(stores: &impl Stores) {
    let store = stores.store();
    let mut characters = 0;
    for plane in 0..=0x10_u32 {
        let text: String = (plane << 16..=plane << 16 | 0xFFFF).filter_map(char::from_u32).collect();
        characters += text.chars().count();
        let item = Item::at(fresh_key()).text("plane", text);
        put(&store, &item).await;
        assert!(standing(&store, &item.key).await == Some(item), "plane {plane}");
    }
    assert_eq!(characters, 0x11_0000 - 0x800, "every scalar value");
}

pub async fn empty_text_and_the_greatest_numbers_come_back(stores: &impl Stores) {
    let (store, key) = (stores.store(), fresh_key());
    let mut item = Item::at(key.clone()).text("empty", String::new()).text("quoted", r#""\u0000\"{}"#.to_owned());
    for (n, number) in [i64::MIN, i64::MIN + 1, -1, 0, 1, 10_000_000, i64::MAX - 1, i64::MAX].into_iter().enumerate() {
        item = item.number(&format!("number {n}"), number);
    }
    put(&store, &item).await;
    let bare = Item::at(Key { sk: "BARE".to_owned(), ..key.clone() });
    put(&store, &bare).await;
    assert_eq!(found(&store, &all_of(&key.pk)).await, [bare, item.clone()]);
    assert!(standing(&store, &key).await == Some(item), "a number or an empty text changed");
}

/// A name within a document is never empty: DynamoDB refuses that.
pub async fn documents_come_back_as_they_were_written(stores: &impl Stores) {
    let (store, key) = (stores.store(), fresh_key());
    let nested = json!({"empty": "", "é": [1, -1, 0.5, true, false, null, "", [], {}, {"a": {"b": [{"c": "d"}]}}]});
    let documents = [
        json!({}),
        json!([]),
        json!(null),
        json!(true),
        json!(0.5),
        json!([i64::MAX, i64::MIN]),
        nested.clone(),
        json!([nested]),
    ];
    let mut item = Item::at(key.clone());
    for (n, document) in documents.into_iter().enumerate() {
        item = item.json(&format!("document {n}"), document);
    }
    put(&store, &item).await;
    let found = standing(&store, &key).await.unwrap();
    for (name, document) in &item.attributes {
        assert!(found.attributes.get(name) == Some(document), "{name}");
    }
    assert_eq!(found, item);
}

pub async fn keys_may_hold_any_text(stores: &impl Stores) {
    let store = stores.store();
    let texts = ["\0", "a\0b", "\u{1}", "%23", "#", "a#b", "\"", "\\", "'", "é", "e\u{301}", "\u{FFFD}", "\u{1F512}"];
    for text in texts {
        let key = Key { pk: format!("{}{text}", fresh_key().pk), sk: format!("SK{text}") };
        let item = Item::at(key.clone()).text("text", text.to_owned());
        put(&store, &item).await;
        assert_eq!(standing(&store, &key).await.as_ref(), Some(&item), "{text:?}");
        let only = Query { from: key.sk.clone(), to: key.sk.clone(), ..all_of(&key.pk) };
        assert_eq!(found(&store, &only).await, [item], "{text:?}");
        assert!(store.put_if_absent(&Item::at(key), &Meter::default()).await.is_ok());
    }
}
