//! One record of the stream, and what it tells.
//!
//! Records are read one by one out of plain JSON: a typed batch would be refused as a whole for one record that is not of
//! the type, and hold up all the others with it.

use std::collections::BTreeMap;

use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::{Cause, Generation, Item, ReissueNote, Seal};
use rondo_shared::store::{Key, StoreError, keys};
use serde_json::{Value, json};

use crate::event::{Event, Kind, Session};

/// A record as the stream brought it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a>(&'a Value);

/// Why a record tells nothing although it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A member that every record has is missing.
    #[error("the record has no {0}")]
    Lacks(&'static str),
    /// The record is of a change that no stream has.
    #[error("the record is of no known change")]
    UnknownChange,
    /// The collection's key is not that of a family.
    #[error("the key is not that of a family")]
    Key,
    /// The sort key of a note is not made of a generation and a client's digest.
    #[error("the sort key is not that of a note")]
    NoteKey,
    /// The item does not have the form that its key promises.
    #[error(transparent)]
    Item(#[from] StoreError),
    /// A time of the item is before 1970, or beyond the last that can be written: the end of the year 9999.
    #[error("a time of the item is none that can be told")]
    Time,
    /// The first generation does not say whose session it is.
    #[error("generation 0 does not say whose session it is")]
    NoOpening,
}

impl<'a> Record<'a> {
    /// A record as the stream brought it.
    #[must_use]
    pub const fn of(record: &'a Value) -> Self {
        Self(record)
    }

    /// By what the stream knows it; empty where it does not say.
    #[must_use]
    pub fn sequence_number(self) -> &'a str {
        self.text("/dynamodb/SequenceNumber").unwrap_or_default()
    }

    /// What it tells: nothing, where an item was replaced or deleted (by DynamoDB when it expired, or by hand), or where
    /// it is of a kind that ends and begins nothing.
    ///
    /// # Errors
    /// [`Unreadable`], where it should tell something and cannot be understood.
    pub fn events(self) -> Result<Vec<Event>, Unreadable> {
        match self.text("/eventName") {
            Some("INSERT") => {}
            Some("MODIFY" | "REMOVE") => return Ok(Vec::new()),
            Some(_) => return Err(Unreadable::UnknownChange),
            None => return Err(Unreadable::Lacks("eventName")),
        }
        let key = self.key().ok_or(Unreadable::Lacks("key"))?;
        if !key.pk.starts_with("FAMILY#") {
            return Ok(Vec::new());
        }
        if key.sk == keys::SEAL {
            let (item, session) = self.item(key)?;
            let seal = Seal::from_item(&item)?;
            tellable(seal.sealed_at)?;
            let mut events = vec![Event::ended(&session, &seal)];
            events.extend((seal.cause == Cause::Reuse).then(|| Event::reuse(&session, &seal)));
            return Ok(events);
        }
        if key.sk.starts_with(keys::REISSUE_PREFIX) {
            let (item, session) = self.item(key)?;
            let note = ReissueNote::from_item(&item)?;
            tellable(note.reissued_at)?;
            let client = session.sk.rsplit_once('#').map_or("", |(_, client)| client);
            let is_digest = client.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if client.is_empty() || !is_digest || session.sk != keys::reissue(note.generation, client) {
                return Err(Unreadable::NoteKey);
            }
            return Ok(vec![Event::reissued(&session, &note)]);
        }
        if key.sk == keys::generation(0) {
            let (item, session) = self.item(key)?;
            let first = Generation::from_item(&item)?;
            let opening = first.opening.as_ref().ok_or(Unreadable::NoOpening)?;
            tellable(first.minted_at)?;
            tellable(opening.session_expires_at)?;
            return Ok(vec![Event::opened(&session, &first, opening)]);
        }
        Ok(Vec::new())
    }

    /// That it cannot be read, as an event: what, and where it is found, but nothing of the item.
    #[must_use]
    pub fn unreadable(self, error: &Unreadable) -> Event {
        let key = self.key().filter(|key| keys::family_of(&key.pk).is_some());
        Event::new(
            Kind::Unreadable,
            format!("stream/{}/{}", self.sequence_number(), Kind::Unreadable.slug()),
            None,
            json!({
                "sequence_number": self.sequence_number(),
                "pk": key.as_ref().map(|key| &key.pk),
                "sk": key.as_ref().map(|key| &key.sk),
                "what": error.to_string(),
            }),
        )
    }

    fn text(self, pointer: &str) -> Option<&'a str> {
        self.0.pointer(pointer)?.as_str()
    }

    fn key(self) -> Option<Key> {
        let part = |name: &str| self.text(&format!("/dynamodb/Keys/{name}/S")).map(str::to_owned);
        Some(Key { pk: part("pk")?, sk: part("sk")? })
    }

    /// The new item as the walk knows it, and which session it is of.
    fn item(self, key: Key) -> Result<(Item, Session), Unreadable> {
        let (tenant, family) = keys::family_of(&key.pk).ok_or(Unreadable::Key)?;
        let session = Session { tenant, family, sk: key.sk.clone() };
        let image = self.0.pointer("/dynamodb/NewImage").and_then(Value::as_object);
        let image = image.ok_or(Unreadable::Lacks("NewImage"))?;
        let item = image.iter().filter(|(name, _)| !matches!(name.as_str(), "pk" | "sk"));
        Ok((
            item.fold(Item { key, attributes: BTreeMap::new() }, |item, (name, value)| attribute(item, name, value)),
            session,
        ))
    }
}

/// Whether it can be written as the schemas have it, with a year of four digits.
fn tellable(at: Timestamp) -> Result<(), Unreadable> {
    if at.is_told_as_it_is() { Ok(()) } else { Err(Unreadable::Time) }
}

/// Adds an attribute as DynamoDB spells it. Kinds that no item of a family has are left out.
fn attribute(item: Item, name: &str, value: &Value) -> Item {
    let text = |kind: &str| value.get(kind).and_then(Value::as_str).map(str::to_owned);
    match (text("S"), text("N")) {
        (Some(text), _) => item.text(name, text),
        (None, Some(number)) => item.number(name, number.parse::<i64>().ok()),
        (None, None) => item,
    }
}
