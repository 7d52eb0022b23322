//! The user object of an answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_shared::moment::Timestamp;
use rondo_shared::store::Item;
use rondo_tests::{T0, secs};
use serde_json::{Value, json};
use world::{USER, World, claims_of};

fn whole(item: Item) -> Item {
    item.text("foreign_id", "f-7".to_owned())
        .text("role", "admin".to_owned())
        .text("email", "ada@example.com".to_owned())
        .text("username", "ada".to_owned())
        .text("name", "Ada \"the first\" Lövelace".to_owned())
        .text("avatar", "https://img.example.com/a.png".to_owned())
        .text("bio", "counts".to_owned())
        .json("location", json!({"type": "Point", "coordinates": [-0.1276, 51]}))
        .text("birthdate", "1815-12-10".to_owned())
        .json("metadata", json!({"theme": "dark", "nested": {"list": [1, null, true]}}))
        .json("secret_metadata", json!({"plan": "SECRET-1"}))
        .text("password_hash", "SECRET-2".to_owned())
        .text("password", "SECRET-3".to_owned())
        .json("secretMetadata", json!({"a": "SECRET-4"}))
        .number("reputation", 42)
        .json("is_verified", json!(true))
        .json("is_active", json!(false))
        .text("last_active", "2026-11-22T09:59:00.000Z".to_owned())
        .json("suspensions", json!([]))
        .text("created_at", "2026-01-01T00:00:00.000Z".to_owned())
        .text("updated_at", "2026-06-01T00:00:00.000Z".to_owned())
}

/// The answer's user, as text.
async fn shown(world: &World, now: Timestamp) -> String {
    let token = world.open(T0).await;
    let answer = world.by_cookie(&token, now).await;
    let access = answer.ok();
    let text = answer.text();
    let beginning = format!(r#"{{"success":true,"accessToken":"{access}","user":"#);
    let user = text.strip_prefix(&beginning).and_then(|rest| rest.strip_suffix('}'));
    user.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[tokio::test]
async fn a_user_of_whom_everything_is_known_is_shown_whole_in_the_products_order() {
    let world = World::new().await;
    world.put_user(USER, whole).await;
    let expected = concat!(
        r#"{"id":"user-1","foreignId":"f-7","role":"admin","email":"ada@example.com","username":"ada","#,
        r#""name":"Ada \"the first\" Lövelace","avatar":"https://img.example.com/a.png","bio":"counts","#,
        r#""location":{"type":"Point","coordinates":[-0.1276,51]},"birthdate":"1815-12-10","#,
        r#""metadata":{"nested":{"list":[1,null,true]},"theme":"dark"},"reputation":42,"isVerified":true,"#,
        r#""isActive":false,"lastActive":"2026-11-22T09:59:00.000Z","suspensions":[],"#,
        r#""createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-06-01T00:00:00.000Z"}"#
    );
    assert_eq!(shown(&world, secs(1)).await, expected);
}

#[tokio::test]
async fn of_a_user_of_whom_nothing_is_known_everything_is_null() {
    let world = World::new().await;
    let expected = concat!(
        r#"{"id":"user-1","foreignId":null,"role":null,"email":null,"username":null,"name":null,"avatar":null,"#,
        r#""bio":null,"location":null,"birthdate":null,"metadata":null,"reputation":null,"isVerified":null,"#,
        r#""isActive":null,"lastActive":null,"suspensions":[],"createdAt":null,"updatedAt":null}"#
    );
    assert_eq!(shown(&world, secs(1)).await, expected);
}

#[tokio::test]
async fn what_is_not_the_products_to_show_is_never_shown() {
    let world = World::new().await;
    world.put_user(USER, whole).await;
    let token = world.open(T0).await;
    let answer = world.by_cookie(&token, secs(1)).await;
    let told = format!("{} {:?} {:?}", answer.text(), answer.response.headers(), answer.line);
    assert!(!told.contains("SECRET") && !told.to_lowercase().contains("password"), "{told}");
    assert!(!answer.text().contains("status"), "the directory's own attributes stay there");
    assert!(!claims_of(&answer.ok()).to_string().contains("SECRET"));
}

#[tokio::test]
async fn suspensions_are_shown_while_they_are_active_at_the_time_of_the_request() {
    let world = World::new().await;
    let at = |seconds: i64| secs(seconds).iso8601();
    let suspensions = json!([
        {"reason": "over", "start_date": at(-100), "end_date": at(10)},
        {"reason": "ahead", "start_date": at(20), "end_date": null},
        {"reason": null, "start_date": at(-100), "moderator": "SECRET"},
    ]);
    world.put_user(USER, |item| item.json("suspensions", suspensions)).await;
    let token = world.open(T0).await;
    let for_good = json!({"reason": null, "startDate": at(-100), "endDate": null});
    let over = json!({"reason": "over", "startDate": at(-100), "endDate": at(10)});
    let ahead = json!({"reason": "ahead", "startDate": at(20), "endDate": null});
    for (now, expected) in
        [(9, json!([over, for_good])), (10, json!([for_good])), (19, json!([for_good])), (20, json!([ahead, for_good]))]
    {
        let answer = world.by_cookie(&token, secs(now)).await;
        answer.ok();
        assert_eq!(answer.json()["user"]["suspensions"], expected, "{now}");
        assert!(!answer.text().contains("SECRET"));
    }
}

#[tokio::test]
async fn a_change_of_the_directory_is_in_the_next_answer() {
    let world = World::new().await;
    let token = world.open(T0).await;
    assert_eq!(world.by_cookie(&token, secs(1)).await.json()["user"]["role"], Value::Null);
    world.put_user(USER, |item| item.text("role", "visitor".to_owned())).await;
    let answer = world.by_cookie(&token, secs(2)).await;
    assert_eq!(answer.json()["user"]["role"], "visitor");
    assert_eq!(claims_of(&answer.ok())["role"], "visitor");
}

#[tokio::test]
async fn numbers_are_shown_as_they_stand() {
    let world = World::new().await;
    let fill = |item: Item| {
        item.json("reputation", json!(1.5))
            .json("metadata", json!({"large": 9_007_199_254_740_993_i64, "small": -0.25}))
    };
    world.put_user(USER, fill).await;
    let user: Value = serde_json::from_str(&shown(&world, secs(1)).await).unwrap();
    assert_eq!(user["reputation"], 1.5);
    assert_eq!(user["metadata"], json!({"large": 9_007_199_254_740_993_i64, "small": -0.25}));
}
