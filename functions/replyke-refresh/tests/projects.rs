//! Projects that have an item of their own: named, removed, and malformed. One without is there as soon as it has users.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod world;

use rondo_shared::store::item::{Cause, Project, ProjectStatus};
use rondo_shared::store::{Item, Meter, Store as _};
use rondo_tests::{T0, secs};
use serde_json::json;
use world::{
    Answer, FOREIGN, NO_USER, NOT_RECOGNIZED, PROJECT, SERVER_ERROR, USER, World, assert_says, cookie_event,
    from_address, in_project, send_to, signed, token_event, with_claims,
};

const ELSEWHERE: &str = "project-2";

#[track_caller]
fn assert_removed(answer: &Answer) {
    assert_says(answer, 403, FOREIGN);
    assert_eq!((answer.line.outcome, answer.line.cause), ("refused", Some("project_removed")));
}

#[tokio::test]
async fn a_project_without_an_item_is_open_and_so_is_one_whose_item_says_so() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.by_cookie(&token, secs(1)).await.ok();
    world.put_project(PROJECT, ProjectStatus::Active).await;
    world.by_cookie(&token, secs(2)).await.ok();
    world.by_body(&token, secs(3)).await.ok();
}

#[tokio::test]
async fn every_refresh_that_begins_after_a_projects_removal_is_refused_by_every_instance() {
    for rotates in [false, true] {
        let world = if rotates { World::rotating().await } else { World::new().await };
        let (cookie, body) = (world.open(T0).await, world.open(T0).await);
        let instances = [world.another_instance(), world.another_instance()];
        for app in &instances {
            send_to(app, cookie_event(&cookie), secs(1)).await.ok();
            send_to(app, token_event(json!(body)), secs(1)).await.ok();
        }
        world.put_project(PROJECT, ProjectStatus::Removed).await;
        for app in &instances {
            assert_removed(&send_to(app, cookie_event(&cookie), secs(2)).await);
            assert_removed(&send_to(app, token_event(json!(body)), secs(2)).await);
        }
        // Nothing was sealed: a project that is had again has its sessions again.
        world.put_project(PROJECT, ProjectStatus::Active).await;
        for app in &instances {
            send_to(app, cookie_event(&cookie), secs(3)).await.ok();
            send_to(app, token_event(json!(body)), secs(3)).await.ok();
        }
    }
}

#[tokio::test]
async fn a_projects_removal_is_no_other_projects() {
    let world = World::new().await;
    world.put_user_of(ELSEWHERE, USER, |item| item).await;
    let here = world.open(T0).await;
    let (_, there) = world.open_for(ELSEWHERE, USER, T0).await;
    world.put_project(ELSEWHERE, ProjectStatus::Removed).await;
    assert_removed(&world.send(in_project(cookie_event(&there), ELSEWHERE), secs(1)).await);
    world.by_cookie(&here, secs(1)).await.ok();
}

#[tokio::test]
async fn a_session_that_has_ended_is_told_as_such_and_nothing_of_its_project() {
    for status in [ProjectStatus::Active, ProjectStatus::Removed] {
        let world = World::new().await;
        world.put_user("user-2", |item| item).await;
        let (signed_out, one) = world.open_for(PROJECT, USER, T0).await;
        let (gone, two) = world.open_for(PROJECT, "user-2", T0).await;
        world.seal(signed_out, Cause::SignOut, T0).await;
        world.seal(gone, Cause::AccountRemoved, T0).await;
        world.put_project(PROJECT, status).await;
        // From the store, and then from the instance's memory.
        for now in [1, 2] {
            assert_says(&world.by_cookie(&one, secs(now)).await, 403, NOT_RECOGNIZED);
            assert_says(&world.by_cookie(&two, secs(now)).await, 403, NO_USER);
        }
    }
}

#[tokio::test]
async fn in_a_removed_project_nothing_is_told_of_its_users() {
    let world = World::new().await;
    let token = world.open(T0).await;
    world.put_project(PROJECT, ProjectStatus::Removed).await;
    assert_removed(&world.by_cookie(&token, secs(1)).await);
    world.delete_user();
    assert_removed(&world.by_cookie(&token, secs(2)).await);
}

#[tokio::test]
async fn a_projects_item_that_cannot_be_read_is_an_error_of_ours_that_drops_no_token() {
    for rotates in [false, true] {
        let world = if rotates { World::rotating().await } else { World::new().await };
        let token = world.open(T0).await;
        let bare = Item::at(Project::key(&replyke_refresh::policy::tenant(PROJECT).unwrap()).unwrap());
        for malformed in
            [bare.clone(), bare.clone().text("status", "suspended".to_owned()), bare.clone().number("status", 1)]
        {
            world.store().replace(&malformed, &Meter::default()).await.unwrap();
            let answer = world.by_cookie(&token, secs(1)).await;
            assert_says(&answer, 500, SERVER_ERROR);
            assert_eq!((answer.line.outcome, answer.line.cause), ("failed", Some("project")));
        }
        // Nobody is shown a project's name, and so none that is no text locks anybody out.
        let named_oddly = bare.text("status", "active".to_owned()).json("name", json!(null));
        world.store().replace(&named_oddly, &Meter::default()).await.unwrap();
        world.by_cookie(&token, secs(2)).await.ok();
    }
}

/// What whoever sent it, and whoever reads the log, can see of an answer: all but the request's own id.
fn seen(mut answer: Answer) -> (u16, Vec<(String, String)>, String, String) {
    answer.line.request_id = ulid::Ulid::nil();
    let headers = answer.response.headers().iter().filter(|(name, _)| *name != "x-request-id");
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, headers.collect(), answer.text(), format!("{:?}", answer.line))
}

#[tokio::test]
async fn a_project_that_exists_answers_as_one_that_never_was_whoever_has_no_token_of_it() {
    let world = World::new().await;
    let good = world.open(T0).await;
    world.put_user_of("open", USER, |item| item).await;
    world.put_project("open", ProjectStatus::Active).await;
    world.put_user_of("closed", USER, |item| item).await;
    world.put_project("closed", ProjectStatus::Removed).await;
    let forged = |project: &str| {
        let claims = world::claims_of(&with_claims(&good, &json!({"ten": format!("replyke:{project}")})));
        signed(&world::part_of(&good, 0), &claims, &[9; 32])
    };
    let requests = |project: &str| {
        [
            world::event(json!({})),
            token_event(json!("a.b.c")),
            token_event(json!(7)),
            cookie_event(&good),
            token_event(json!(good)),
            cookie_event(&with_claims(&good, &json!({"exp": 1}))),
            cookie_event(&forged(project)),
            token_event(json!(forged(project))),
        ]
    };
    let mut told = Vec::new();
    for (m, project) in ["open", "closed", "never-was"].into_iter().enumerate() {
        let mut answers = Vec::new();
        for (n, request) in requests(project).into_iter().enumerate() {
            // Each from an address of its own, so that none tells what another has used up.
            let event = from_address(in_project(request, project), &format!("198.51.{n}.{m}"));
            answers.push(seen(world.send(event, secs(1)).await));
        }
        told.push(answers);
    }
    assert!(told.iter().all(|answers| *answers == told[0]), "{told:#?}");
    assert!(world.faults.take_attempts().is_empty(), "nothing was asked of the store");
}
