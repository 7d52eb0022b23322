//! Timelines of families that never stood in a table.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use rondo::timeline::{Ending, StepKind, Timeline};
use rondo_shared::identity::{Client, FamilyId, Subject};
use rondo_shared::moment::{Nonce, Timestamp};
use rondo_shared::rotation::family::History;
use rondo_shared::store::item::{Cause, Evidence, Generation, Opening, ReissueNote, Seal};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_795_305_600 + secs)
}

fn client(ip: &str, user_agent: &str) -> Client {
    Client::new(Some(ip.parse().unwrap()), user_agent)
}

fn owner() -> Client {
    client("192.0.2.1", "browser")
}

fn thief() -> Client {
    client("203.0.113.9", "script")
}

fn generation(number: u32, minted_at: i64, request_id: &str) -> Generation {
    let opening = Opening {
        subject: Subject::new("ada").unwrap(),
        org: None,
        session_expires_at: at(1_000_000),
        label: Some("laptop".to_owned()),
    };
    Generation {
        number,
        gid: Nonce::from_text(format!("g{number}")),
        parent: number.checked_sub(1).map(|parent| Nonce::from_text(format!("g{parent}"))),
        attempt: Nonce::from_text(format!("a{number}")),
        minted_at: at(minted_at),
        token_expires_at: at(minted_at + 1_000),
        client: owner(),
        request_id: request_id.to_owned(),
        opening: (number == 0).then_some(opening),
    }
}

fn seal(cause: Cause, sealed_at: i64, evidence: Option<(u32, u32)>) -> Seal {
    Seal {
        sealed_at: at(sealed_at),
        cause,
        subject: None,
        evidence: evidence.map(|(presented, live)| Evidence { presented: Some(presented), live }),
        client: thief(),
        request_id: "r-seal".to_owned(),
    }
}

fn family() -> FamilyId {
    "01JD0000000000000000000000".parse().unwrap()
}

#[test]
fn the_timeline_of_a_reuse_names_both_clients_and_the_moment() {
    let history = History {
        generations: vec![generation(0, 0, "r0"), generation(1, 100, "r1"), generation(2, 200, "r2")],
        reissues: Vec::new(),
        seal: Some(seal(Cause::Reuse, 130, Some((0, 2)))),
    };
    let timeline = Timeline::of(family(), &history);
    let Some(Ending::Reuse { rotated: Some(rotated), replayed, .. }) = &timeline.ending else {
        panic!("{:?}", timeline.ending)
    };
    assert_eq!((&rotated.client, rotated.at), (&owner(), at(100)), "who rotated the presented generation 0");
    assert_eq!((&replayed.client, replayed.at), (&thief(), at(130)), "who presented it again");
    let text = timeline.text();
    for named in
        ["192.0.2.1 (browser)", "203.0.113.9 (script)", "30.0 s before", &at(130).iso8601(), "generation 2 was live"]
    {
        assert!(text.contains(named), "{named}: {text}");
    }
    let json = timeline.json();
    assert_eq!(json["ending"]["rotated_by"]["ip"], "192.0.2.1");
    assert_eq!(json["ending"]["replayed_by"]["user_agent"], "script");
}

#[test]
fn a_reuse_whose_successor_has_left_the_table_still_names_who_replayed() {
    let history = History {
        generations: vec![generation(7, 700, "r7")],
        reissues: Vec::new(),
        seal: Some(seal(Cause::Reuse, 800, Some((2, 7)))),
    };
    let timeline = Timeline::of(family(), &history);
    assert!(matches!(&timeline.ending, Some(Ending::Reuse { rotated: None, .. })));
    assert!(timeline.text().contains("203.0.113.9 (script) presented generation 2"));
    assert_eq!(timeline.opening, None);
}

#[test]
fn reissues_to_other_clients_stand_with_their_generation_in_the_order_of_time() {
    let note = |generation, reissued_at, ip| ReissueNote {
        generation,
        reissued_at: at(reissued_at),
        client: client(ip, "browser"),
        request_id: format!("n{reissued_at}"),
    };
    let history = History {
        generations: vec![generation(0, 0, "r0"), generation(1, 100, "r1"), generation(2, 200, "r2")],
        reissues: vec![note(1, 105, "192.0.2.5"), note(1, 103, "192.0.2.3"), note(2, 204, "192.0.2.4")],
        seal: None,
    };
    let timeline = Timeline::of(family(), &history);
    let told: Vec<_> = timeline.steps.iter().map(|step| (step.generation, step.act.at)).collect();
    assert_eq!(told, [(0, at(0)), (1, at(100)), (1, at(103)), (1, at(105)), (2, at(200)), (2, at(204))]);
    assert_eq!(timeline.live(), Some(2));
    assert!(timeline.text().contains("it has not been ended"));
}

#[test]
fn what_refused_requests_have_put_is_told_from_rotations() {
    let history = History {
        generations: vec![generation(0, 0, "r0"), generation(1, 100, "r-seal"), generation(2, 300, "r2")],
        reissues: Vec::new(),
        seal: Some(seal(Cause::UnknownGeneration, 100, Some((0, 1)))),
    };
    let timeline = Timeline::of(family(), &history);
    let kinds: Vec<_> = timeline.steps.iter().map(|step| step.kind).collect();
    assert_eq!(kinds, [StepKind::Opened, StepKind::PutAfterTheEnd, StepKind::PutAfterTheEnd]);
    assert_eq!(timeline.live(), Some(0));
}

#[test]
fn an_operators_seal_is_told_with_its_cause() {
    let history = History {
        generations: vec![generation(0, 0, "r0")],
        reissues: Vec::new(),
        seal: Some(seal(Cause::Operator, 5, None)),
    };
    let text = Timeline::of(family(), &history).text();
    assert!(text.contains("sealed: operator") && text.contains("ended by operator"), "{text}");
    assert!(text.contains("of ada, \"laptop\""), "{text}");
}

#[test]
fn a_generation_that_went_on_was_given_out_though_its_clock_says_it_was_after_the_end() {
    // The rotating machine's clock is an hour ahead of the operator's.
    let history = History {
        generations: vec![generation(0, 0, "r0"), generation(1, 3_700, "r1"), generation(2, 3_800, "r2")],
        reissues: Vec::new(),
        seal: Some(seal(Cause::Reuse, 200, Some((0, 2)))),
    };
    let timeline = Timeline::of(family(), &history);
    let kinds: Vec<_> = timeline.steps.iter().map(|step| step.kind).collect();
    assert_eq!(kinds, [StepKind::Opened, StepKind::Rotated, StepKind::Rotated]);
    assert_eq!(timeline.live(), Some(2));
    assert!(timeline.text().contains("had been rotated shortly before"), "{}", timeline.text());
}

#[test]
fn what_was_put_as_an_operator_ended_the_family_is_told_as_that() {
    let history = History {
        generations: vec![generation(0, 0, "r0"), generation(1, 101, "r1")],
        reissues: Vec::new(),
        seal: Some(seal(Cause::Operator, 100, None)),
    };
    let timeline = Timeline::of(family(), &history);
    assert_eq!(timeline.steps[1].kind, StepKind::PutAboutTheEnd);
    assert_eq!(timeline.live(), Some(0));
    assert!(timeline.text().contains("given out only if it came first"));
}
