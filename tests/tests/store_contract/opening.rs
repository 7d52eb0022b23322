//! Obligations 3 and 7, for sessions: all items or none, and only while the user is active.

use rondo_shared::identity::{FamilyId, Subject};
use rondo_shared::store::item::AccountStatus;
use rondo_shared::store::{Checks, Item, Key, Meter, Opened, Store, StoreError, keys};
use rondo_tests::T0;
use rondo_tests::world::moment;

use crate::{
    Stores, found, fresh_family, fresh_key, fresh_subject, item_of, profile, profile_key, put, put_user, race,
    session_items, standing,
};

const RACERS: usize = 64;
/// How often one racer opens at most, where another is to put an end to it: enough for any store, and few enough that all
/// together fit into one listing, however late the end comes.
const OPENS_EACH_MAX: usize = 1_000;

async fn open<S: Store>(store: &S, subject: &Subject, items: &[Item]) -> Opened {
    store.open(Checks::active(&profile_key(subject)), items, &Meter::default()).await.unwrap()
}

async fn assert_none_stands<S: Store>(store: &S, items: &[Item]) {
    for item in items {
        assert_eq!(standing(store, &item.key).await, None, "{} was written by a refused open", item.key.sk);
    }
}

pub async fn a_session_opens_for_an_active_user_only(stores: &impl Stores) {
    let (store, subject) = (stores.store(), fresh_subject());
    let items = session_items(&subject, fresh_family(), &moment(T0));

    assert_eq!(open(&store, &subject, &items).await, Opened::Refused { checked: None, closed: None, standing: false });
    assert_none_stands(&store, &items).await;

    let no_status = Item::at(profile_key(&subject)).text("name", "of no status".to_owned());
    let inactive = [
        profile(&subject, AccountStatus::Suspended),
        profile(&subject, AccountStatus::Removed),
        no_status.clone(),
        no_status.text("status", "Active".to_owned()),
    ];
    for user in inactive {
        store.replace(&user, &Meter::default()).await.unwrap();
        let refused = Opened::Refused { checked: Some(user.clone()), closed: None, standing: false };
        assert_eq!(open(&store, &subject, &items).await, refused);
        assert_none_stands(&store, &items).await;
        assert_eq!(standing(&store, &user.key).await, Some(user));
    }

    put_user(&store, &subject, AccountStatus::Active).await;
    assert_eq!(open(&store, &subject, &items).await, Opened::Stored);
    for item in &items {
        assert_eq!(standing(&store, &item.key).await.as_ref(), Some(item));
    }
    let user = standing(&store, &profile_key(&subject)).await;
    assert_eq!(user, Some(profile(&subject, AccountStatus::Active)), "a check changed what it checked");
}

pub async fn a_session_opens_in_a_project_that_is_active_or_has_no_item(stores: &impl Stores) {
    let (store, subject, project) = (stores.store(), fresh_subject(), fresh_key());
    put_user(&store, &subject, AccountStatus::Active).await;
    let user = profile_key(&subject);
    let checks = Checks { active: &user, active_if_any: Some(&project) };
    let open = async |items: &[Item]| store.open(checks, items, &Meter::default()).await.unwrap();
    let with_status = |status: &str| Item::at(project.clone()).text("status", status.to_owned());

    let items = session_items(&subject, fresh_family(), &moment(T0));
    assert_eq!(open(&items).await, Opened::Stored, "without an item");
    assert_eq!(standing(&store, &project).await, None, "a check wrote what it checked");

    for closed in [with_status("removed"), with_status("Active"), Item::at(project.clone()).number("status", 1)] {
        store.replace(&closed, &Meter::default()).await.unwrap();
        let items = session_items(&subject, fresh_family(), &moment(T0));
        let refused = Opened::Refused { checked: None, closed: Some(closed.clone()), standing: false };
        assert_eq!(open(&items).await, refused);
        assert_none_stands(&store, &items).await;
        assert_eq!(standing(&store, &project).await, Some(closed));
    }

    // Each of several reasons is told.
    let closed = with_status("removed");
    store.replace(&closed, &Meter::default()).await.unwrap();
    put_user(&store, &subject, AccountStatus::Suspended).await;
    let items = session_items(&subject, fresh_family(), &moment(T0));
    put(&store, &item_of(7, &items[1].key)).await;
    let checked = Some(profile(&subject, AccountStatus::Suspended));
    assert_eq!(open(&items).await, Opened::Refused { checked, closed: Some(closed), standing: true });
    assert_none_stands(&store, &items[..1]).await;

    store.replace(&with_status("active"), &Meter::default()).await.unwrap();
    put_user(&store, &subject, AccountStatus::Active).await;
    let items = session_items(&subject, fresh_family(), &moment(T0));
    assert_eq!(open(&items).await, Opened::Stored);
}

/// As of a suspension: what the removal's own reading finds is all that was opened.
pub async fn a_projects_removal_that_races_opens_leaves_no_session_behind_it(stores: &impl Stores) {
    let store = stores.store();
    for _ in 0..5 {
        let (subject, project) = (fresh_subject(), fresh_key());
        put_user(&store, &subject, AccountStatus::Active).await;
        let listed = race(9, |racer| {
            let (store, subject, project) = (store.clone(), subject.clone(), project.clone());
            async move {
                let removed = Item::at(project.clone()).text("status", "removed".to_owned());
                if racer == 0 {
                    replace(&store, &removed).await;
                    return Some(sessions(&store, &subject).await);
                }
                let user = profile_key(&subject);
                let checks = Checks { active: &user, active_if_any: Some(&project) };
                for _ in 0..OPENS_EACH_MAX {
                    let items = session_items(&subject, fresh_family(), &moment(T0));
                    match store.open(checks, &items, &Meter::default()).await {
                        Ok(Opened::Stored) => {}
                        Ok(Opened::Refused { closed, .. }) => {
                            assert_eq!(closed, Some(removed));
                            break;
                        }
                        Err(error) => assert!(matches!(error, StoreError::Contended(_)), "{error}"),
                    }
                }
                None
            }
        })
        .await;
        let at_removal = listed.into_iter().flatten().next().unwrap();
        assert_eq!(at_removal, sessions(&store, &subject).await, "a session was opened after the removal");
    }
}

pub async fn nothing_is_opened_where_an_item_stands_already(stores: &impl Stores) {
    let (store, subject) = (stores.store(), fresh_subject());
    put_user(&store, &subject, AccountStatus::Active).await;
    for in_the_way in 0..2 {
        let items = session_items(&subject, fresh_family(), &moment(T0));
        let already = item_of(7, &items[in_the_way].key);
        put(&store, &already).await;
        let outcome = open(&store, &subject, &items).await;
        assert!(matches!(outcome, Opened::Refused { standing: true, .. }), "{outcome:?}");
        assert_eq!(standing(&store, &already.key).await, Some(already));
        assert_none_stands(&store, &items[1 - in_the_way..][..1]).await;
    }

    // Both reasons at once: the user's is the one that must be told.
    let items = session_items(&subject, fresh_family(), &moment(T0));
    put(&store, &item_of(7, &items[0].key)).await;
    put_user(&store, &subject, AccountStatus::Suspended).await;
    let suspended = profile(&subject, AccountStatus::Suspended);
    let outcome = open(&store, &subject, &items).await;
    assert!(matches!(outcome, Opened::Refused { checked: Some(user), .. } if user == suspended));
    assert_none_stands(&store, &items[1..]).await;
}

/// Concurrent transactions may be told of one another instead of what stands: contention, an error.
fn lost_or_contended(outcome: &Result<Opened, StoreError>) -> bool {
    matches!(outcome, Ok(Opened::Refused { standing: true, .. }) | Err(StoreError::Contended(_)))
}

pub async fn of_64_racing_opens_of_one_family_one_is_stored(stores: &impl Stores) {
    let (store, subject) = (stores.store(), fresh_subject());
    put_user(&store, &subject, AccountStatus::Active).await;
    for _ in 0..5 {
        let family = fresh_family();
        let attempts: Vec<_> = (0..RACERS).map(|_| session_items(&subject, family, &moment(T0))).collect();
        let outcomes = race(RACERS, |racer| {
            let (store, check, items) = (store.clone(), profile_key(&subject), attempts[racer].clone());
            async move { store.open(Checks::active(&check), &items, &Meter::default()).await }
        })
        .await;
        let winners: Vec<_> = (0..RACERS).filter(|&racer| outcomes[racer] == Ok(Opened::Stored)).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        for (racer, outcome) in outcomes.iter().enumerate().filter(|(racer, _)| *racer != winners[0]) {
            assert!(lost_or_contended(outcome), "racer {racer}: {outcome:?}");
        }
        for item in &attempts[winners[0]] {
            assert_eq!(standing(&store, &item.key).await.as_ref(), Some(item));
        }
    }
}

/// What one racer of the next test did.
enum Did {
    /// It opened these before it was refused.
    Opened(Vec<FamilyId>),
    /// It suspended the user, and found these sessions thereafter.
    Suspended(Vec<String>),
}

pub async fn a_suspension_that_races_opens_leaves_no_session_behind_it(stores: &impl Stores) {
    let store = stores.store();
    for _ in 0..5 {
        let subject = fresh_subject();
        put_user(&store, &subject, AccountStatus::Active).await;
        let did = race(17, |racer| {
            let (store, subject) = (store.clone(), subject.clone());
            async move {
                match racer {
                    0 => {
                        open_until_refused(&store, &subject, 3).await;
                        suspend(&store, &subject).await;
                        Did::Suspended(sessions(&store, &subject).await)
                    }
                    _ => Did::Opened(open_until_refused(&store, &subject, OPENS_EACH_MAX).await),
                }
            }
        })
        .await;

        let after_all = sessions(&store, &subject).await;
        for did in did {
            match did {
                Did::Opened(families) => {
                    for family in families {
                        assert!(after_all.contains(&keys::session(family)), "a session that was opened is not listed");
                    }
                }
                Did::Suspended(listed) => {
                    assert_eq!(listed, after_all, "a session was opened after the suspension was acknowledged");
                }
            }
        }
        let late = session_items(&subject, fresh_family(), &moment(T0));
        let suspended = profile(&subject, AccountStatus::Suspended);
        let refused = Opened::Refused { checked: Some(suspended), closed: None, standing: false };
        assert_eq!(open(&store, &subject, &late).await, refused);
        assert_none_stands(&store, &late).await;
    }
}

async fn open_until_refused<S: Store>(store: &S, subject: &Subject, most: usize) -> Vec<FamilyId> {
    let mut opened = Vec::new();
    while opened.len() < most {
        let family = fresh_family();
        let items = session_items(subject, family, &moment(T0));
        match store.open(Checks::active(&profile_key(subject)), &items, &Meter::default()).await {
            Ok(Opened::Stored) => opened.push(family),
            Ok(Opened::Refused { checked, closed, standing }) => {
                let suspended = Some(profile(subject, AccountStatus::Suspended));
                assert_eq!((checked, closed, standing), (suspended, None, false));
                break;
            }
            Err(error) => assert!(matches!(error, StoreError::Contended(_)), "{error}"),
        }
    }
    opened
}

async fn suspend<S: Store>(store: &S, subject: &Subject) {
    replace(store, &profile(subject, AccountStatus::Suspended)).await;
}

async fn replace<S: Store>(store: &S, item: &Item) {
    // Those who stand in the way do so a bounded number of times.
    while let Err(error) = store.replace(item, &Meter::default()).await {
        assert!(matches!(error, StoreError::Contended(_)), "{error}");
    }
}

async fn sessions<S: Store>(store: &S, subject: &Subject) -> Vec<String> {
    let Key { pk, .. } = profile_key(subject);
    let from = keys::SESSION_PREFIX.to_owned();
    let to = format!("{from}{}", keys::AFTER);
    let query = rondo_shared::store::Query { pk, from, to, newest_first: false, limit: u16::MAX };
    let listed = found(store, &query).await;
    assert!(listed.len() < usize::from(u16::MAX), "more sessions than one listing holds");
    listed.into_iter().map(|item| item.key.sk).collect()
}
