//! The user object of an answer, from the user's item. Shown is what is named here and nothing else, so that whatever
//! more a team keeps on the item (`secret_metadata`, `password_hash`) is not.
//!
//! | field | attribute | type |
//! |---|---|---|
//! | `id` | – | the token's `sub` |
//! | `foreignId`, `role`, `email`, `username`, `name`, `avatar`, `bio` | `foreign_id`, `role`, … | text |
//! | `location` | `location` | map: `type` = `Point`, `coordinates` = list of longitude and latitude |
//! | `birthdate` | `birthdate` | text, as it is to be shown |
//! | `metadata` | `metadata` | map, shown whole |
//! | `reputation` | `reputation` | number |
//! | `isVerified`, `isActive` | `is_verified`, `is_active` | truth value, or 0 and 1 |
//! | `lastActive`, `createdAt`, `updatedAt` | `last_active`, `created_at`, `updated_at` | text (RFC 3339), as it is |
//! | `suspensions` | `suspensions` | list of maps: `reason`, `start_date`, `end_date` (texts; RFC 3339) |
//!
//! An attribute that is missing or of another type counts as unset: such a field is null. A suspension is active from
//! its start until before its end, or for good if it has none; one whose times cannot be read is not shown, and where
//! none is active the list is empty.

use rondo_shared::identity::Subject;
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::{AccountStatus, STATUS};
use rondo_shared::store::{Item, Value as Attribute};
use serde::Serialize;
use serde_json::{Map, Value};

/// What an answer shows of a user; the fields in the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    id: String,
    foreign_id: Option<String>,
    role: Option<String>,
    email: Option<String>,
    username: Option<String>,
    name: Option<String>,
    avatar: Option<String>,
    bio: Option<String>,
    location: Option<Point>,
    birthdate: Option<String>,
    metadata: Option<Map<String, Value>>,
    reputation: Option<Value>,
    is_verified: Option<bool>,
    is_active: Option<bool>,
    last_active: Option<String>,
    suspensions: Vec<Suspension>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

/// A GeoJSON point (RFC 7946 §3.1.2).
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Point {
    #[serde(rename = "type")]
    kind: &'static str,
    coordinates: [Value; 2],
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Suspension {
    reason: Option<String>,
    start_date: String,
    end_date: Option<String>,
}

/// Whether an item is a user's, and not the tombstone of one who was removed.
#[must_use]
pub fn is_there(item: &Item) -> bool {
    text(item, STATUS).as_deref() != Some(AccountStatus::Removed.as_str())
}

impl User {
    /// As the item says at `now`.
    #[must_use]
    pub fn from_item(subject: &Subject, item: &Item, now: Timestamp) -> Self {
        Self {
            id: subject.as_str().to_owned(),
            foreign_id: text(item, "foreign_id"),
            role: text(item, "role"),
            email: text(item, "email"),
            username: text(item, "username"),
            name: text(item, "name"),
            avatar: text(item, "avatar"),
            bio: text(item, "bio"),
            location: json(item, "location").and_then(Point::from_json),
            birthdate: text(item, "birthdate"),
            metadata: json(item, "metadata").and_then(Value::as_object).cloned(),
            reputation: number(item, "reputation"),
            is_verified: truth(item, "is_verified"),
            is_active: truth(item, "is_active"),
            last_active: text(item, "last_active"),
            suspensions: active_suspensions(item, now),
            created_at: text(item, "created_at"),
            updated_at: text(item, "updated_at"),
        }
    }

    /// The user's role, which access tokens name too.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }
}

impl Point {
    fn from_json(value: &Value) -> Option<Self> {
        let kind = value.get("type").and_then(Value::as_str).filter(|kind| *kind == "Point");
        let coordinates = value.get("coordinates").and_then(Value::as_array).map(Vec::as_slice);
        match (kind, coordinates) {
            (Some(_), Some([longitude @ Value::Number(_), latitude @ Value::Number(_)])) => {
                Some(Self { kind: "Point", coordinates: [longitude.clone(), latitude.clone()] })
            }
            (_, Some(_) | None) => None,
        }
    }
}

fn active_suspensions(item: &Item, now: Timestamp) -> Vec<Suspension> {
    let listed = json(item, "suspensions").and_then(Value::as_array).into_iter().flatten();
    listed.filter_map(|suspension| Suspension::from_json(suspension, now)).collect()
}

impl Suspension {
    /// Of a suspension that is active at `now`.
    fn from_json(value: &Value, now: Timestamp) -> Option<Self> {
        let field = |name| value.get(name).filter(|value| !value.is_null());
        let start = Timestamp::parse(field("start_date")?.as_str()?)?;
        let end = match field("end_date") {
            Some(end) => Some(Timestamp::parse(end.as_str()?)?),
            None => None,
        };
        let is_active = start <= now && end.is_none_or(|end| now < end);
        is_active.then(|| Self {
            reason: field("reason").and_then(Value::as_str).map(str::to_owned),
            // Told in one form, whichever of those that `parse` takes they were written in.
            start_date: start.iso8601(),
            end_date: end.map(Timestamp::iso8601),
        })
    }
}

fn text(item: &Item, name: &str) -> Option<String> {
    match item.attributes.get(name) {
        Some(Attribute::S(text)) => Some(text.clone()),
        Some(Attribute::N(_) | Attribute::Json(_)) | None => None,
    }
}

fn json<'a>(item: &'a Item, name: &str) -> Option<&'a Value> {
    match item.attributes.get(name) {
        Some(Attribute::Json(value)) => Some(value),
        Some(Attribute::S(_) | Attribute::N(_)) | None => None,
    }
}

fn number(item: &Item, name: &str) -> Option<Value> {
    match item.attributes.get(name) {
        Some(Attribute::N(number)) => Some(Value::from(*number)),
        Some(Attribute::Json(value)) => Some(value.clone()).filter(Value::is_number),
        Some(Attribute::S(_)) | None => None,
    }
}

fn truth(item: &Item, name: &str) -> Option<bool> {
    match item.attributes.get(name) {
        Some(Attribute::N(0)) => Some(false),
        Some(Attribute::N(1)) => Some(true),
        Some(Attribute::Json(value)) => value.as_bool(),
        Some(Attribute::S(_) | Attribute::N(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondo_shared::store::Key;
    use serde_json::json;

    const NOW: &str = "2026-11-22T10:00:00Z";

    fn item() -> Item {
        Item::at(Key { pk: "USER#replyke:p#u".to_owned(), sk: "PROFILE".to_owned() })
    }

    fn shown(item: &Item) -> Value {
        let user = User::from_item(&Subject::new("u").unwrap(), item, Timestamp::parse(NOW).unwrap());
        serde_json::to_value(user).unwrap()
    }

    fn is_active(start: &Value, end: &Value) -> bool {
        let suspensions = json!([{"reason": "spam", "start_date": start, "end_date": end}]);
        shown(&item().json("suspensions", suspensions))["suspensions"] != json!([])
    }

    #[test]
    fn a_suspension_is_active_from_its_start_until_before_its_end() {
        let (before, after) = (json!("2026-11-22T09:59:59.999Z"), json!("2026-11-22T10:00:00.001Z"));
        for (active, start, end) in [
            (true, &before, &after),
            (true, &before, &Value::Null),
            (true, &json!(NOW), &after),
            (false, &after, &Value::Null),
            (false, &before, &json!(NOW)),
            (false, &before, &before),
            (true, &json!("2026-11-22T11:59:59+02:00"), &after),
        ] {
            assert_eq!(is_active(start, end), active, "{start} to {end}");
        }
    }

    #[test]
    fn the_times_of_a_suspension_are_shown_in_one_form_however_they_were_written() {
        let suspensions = json!([{"start_date": "2026-01-01 02:00:00+02", "end_date": "2027-01-01T00:00:00Z"}]);
        let shown = &shown(&item().json("suspensions", suspensions))["suspensions"][0];
        assert_eq!(shown["startDate"], "2026-01-01T00:00:00.000Z");
        assert_eq!(shown["endDate"], "2027-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_suspension_whose_times_cannot_be_read_is_not_shown() {
        for (start, end) in [
            (json!("yesterday"), Value::Null),
            (Value::Null, Value::Null),
            (json!(NOW), json!(1)),
            (json!(0), Value::Null),
        ] {
            assert!(!is_active(&start, &end), "{start} to {end}");
        }
        let odd = shown(&item().json("suspensions", json!([1, null, "x", []])));
        assert_eq!(odd["suspensions"], json!([]));
    }

    #[test]
    fn an_attribute_of_another_type_counts_as_unset() {
        let odd = item()
            .number("name", 7)
            .text("reputation", "9".to_owned())
            .number("is_active", 2)
            .json("is_verified", json!(["yes"]))
            .json("metadata", json!([1]))
            .json("email", json!(null));
        for location in [json!({"type": "Point"}), json!({"type": "Line", "coordinates": [1, 2]}), json!([1, 2])] {
            let shown = shown(&odd.clone().json("location", location));
            for field in ["name", "reputation", "isActive", "isVerified", "metadata", "email", "location"] {
                assert_eq!(shown[field], Value::Null, "{field}");
            }
        }
        for coordinates in [json!([1]), json!([1, 2, 3]), json!(["1", "2"])] {
            let location = json!({"type": "Point", "coordinates": coordinates});
            assert_eq!(shown(&item().json("location", location))["location"], Value::Null);
        }
    }

    #[test]
    fn truth_values_may_be_kept_as_numbers() {
        let shown = shown(&item().number("is_active", 1).number("is_verified", 0));
        assert_eq!((&shown["isActive"], &shown["isVerified"]), (&json!(true), &json!(false)));
    }

    #[test]
    fn the_tombstone_of_a_removed_user_is_nobody() {
        assert!(is_there(&item()) && is_there(&item().text(STATUS, "suspended".to_owned())));
        assert!(!is_there(&item().text(STATUS, "removed".to_owned())));
    }
}
