//! Every way to lose items of a small family, and every token that may come then: whether anything is minted that must
//! not be. The store is a map here; what `rotate` does around the decision is four lines.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Decision, Facts, Slot, decide, further_needed};
use super::{MINTED_AT, client, generation, gid, policy};
use crate::moment::{Nonce, Timestamp};
use crate::rotation::{Grace, RotationPolicy};
use crate::store::item::Generation;

/// Generations before anything is lost, at most: one more than are told apart by where the further one is found.
const FAMILY_MAX: u32 = 6;
/// Requests in a row, each of which dies before it can seal, so that what it put stays.
const REQUESTS: usize = 3;

/// What stands, by number.
type Standing = BTreeMap<u32, Generation>;

/// Which of the two calls ends first.
#[derive(Clone, Copy, Debug)]
enum First {
    Put,
    Query,
}

fn newest_two(standing: &Standing) -> Vec<Generation> {
    standing.values().rev().take(2).cloned().collect()
}

/// A request with the token of generation `number`, and what it decides.
fn present(standing: &mut Standing, number: u32, first: First, policy: &RotationPolicy, now: Timestamp) -> Decision {
    let successor = Generation {
        gid: Nonce::from_text(format!("put for {number} beside {}", standing.len())),
        minted_at: now,
        ..generation(number + 1)
    };
    let before = newest_two(standing);
    let slot = match standing.get(&successor.number) {
        Some(found) => Slot::Anothers(found.clone()),
        None => Slot::Ours(successor.clone()),
    };
    standing.entry(successor.number).or_insert(successor);
    let newest = match first {
        First::Put => newest_two(standing),
        First::Query => before,
    };
    let (presented, client) = (gid(number), client("first"));
    let facts =
        Facts { number, gid: &presented, client: &client, seal: None, slot: &slot, newest: &newest, further: None };
    let further = further_needed(&facts, policy, now).and_then(|number| standing.get(&number).cloned());
    decide(&Facts { further: further.as_ref(), ..facts }, policy, now)
}

/// Every sequence of so many tokens of a family of `family` generations.
fn sequences(family: u32) -> impl Iterator<Item = [u32; REQUESTS]> {
    (0..family).flat_map(move |a| (0..family).flat_map(move |b| (0..family).map(move |c| [a, b, c])))
}

#[test]
fn whatever_was_lost_a_retired_token_past_its_window_mints_nothing_but_from_the_newest_that_stands() {
    let window = Duration::from_secs(10);
    let now = MINTED_AT.plus(window);
    let graces = [Grace::Off, Grace::Window(window), Grace::UntilSuccessorUsed { at_most: window }];
    let (mut cases, mut minted) = (0, 0);
    for (family, grace) in (1..=FAMILY_MAX).flat_map(|family| graces.map(|grace| (family, grace))) {
        for lost in 0..1_u32 << family {
            let left: Standing =
                (0..family).filter(|n| lost & (1 << n) == 0).map(|number| (number, generation(number))).collect();
            let newest_left = left.keys().next_back().copied();
            for (sequence, first) in
                sequences(family).flat_map(|sequence| [First::Put, First::Query].map(|f| (sequence, f)))
            {
                let mut standing = left.clone();
                for number in sequence {
                    cases += 1;
                    match present(&mut standing, number, first, &policy(grace), now) {
                        // An older copy of the truth, which no store can tell: here the token of its newest.
                        Decision::Rotate | Decision::Reissue { .. } if newest_left == Some(number) => minted += 1,
                        Decision::Refuse(_) | Decision::Revoke(_) => {}
                        Decision::Rotate | Decision::Reissue { .. } => panic!(
                            "of {family} generations the set {lost:b} is lost; {number} of {sequence:?} mints, {first:?} first"
                        ),
                    }
                }
            }
        }
    }
    assert_eq!((cases, minted), (343_764, 49_194));
}
