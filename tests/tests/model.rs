//! The model: every order of steps that clients, function, store, operator and misfortune can take with one family,
//! explored whole within small bounds. Its decisions are the shipped `decide`'s, and its `exp` and `expires_at` the
//! shipped arithmetic's; nothing of the table in the design is restated here.
//!
//! Modelled: tabs that share one cookie jar, whose transport sends again; a thief who may present any token ever minted,
//! at once, whether or not its answer arrived; an operator who seals; a request's put and query as two steps in either
//! order with others between; the read that a token from far behind costs, the note and the seal as steps of their own; the
//! SDK's retry of a put or a note whose answer was lost; crashes, time-outs and lost answers before and after each step; one
//! put, one seal and one note that land after their requests have timed out; what an instance remembers; an operator's
//! amnesty; delayed requests and answers; instances whose clocks differ, and DynamoDB's clock with them; TTL deletion of
//! generations and of the seal at the earliest moment that their `expires_at` allows; the deletion of all items, of all but
//! the seal, of the seal alone and of generations before the newest; and a table taken back to any earlier time of the family.
//!
//! Clocks that differ: each request is begun by an instance whose clock reads the true time or up to `skew` ticks more,
//! each time anew, so that any two clocks differ by `skew` at most and any one may be set back by as much. The promises
//! that are measured in time hold in true time with that allowance: a retired token never mints once its window and the
//! skew are over, an honest client is refused only after a delay past the window less the skew, a token is good for its
//! idle time give or take the skew. All others hold as they stand. One test takes the allowance away and finds each of
//! the three broken, so that none is wider than it must be.
//!
//! One test shows what is *not* guaranteed: a family that loses everything under a request that has queried and not yet
//! put goes on from there. Without deletion under way the promises hold.
//!
//! Abstracted away or left out: what `rotate` does around `decide` is restated as steps (`tests/tests/rotation.rs` and
//! the fault schedules run the real thing); tokens verify and nonces never collide; what cannot be refreshed any more is
//! forgotten without an answer (an expired token); notes stay, since theirs is the session's end; rotation settings that
//! change on the way; one family alone, so that nothing reaches another. The slack of `expires_at`, an hour, is left off
//! and taken to outlast every request and write under way, and what clocks differ. Tabs have one client: an honest user
//! whose address changes is the thief's equal here, as it is for the function. Bounds are the numbers in each
//! configuration: what happens only with more requests, ticks or late writes is not seen. The rate bucket has a model of
//! its own, `tests/tests/model_bucket.rs`.

use std::time::{Duration, Instant};

use rondo_shared::rotation::Grace;
use stateright::{Checker, Model};

mod model {
    pub mod judge;
    pub mod moves;
    pub mod promises;
    pub mod search;
    pub mod state;
    pub mod walk;
    pub mod world;
}

use model::judge::{Judge, Mutation};
use model::promises;
use model::search::counterexample;
use model::world::{Damage, World};

const WINDOW: Grace = Grace::Window(Duration::from_secs(2));
const SHORT_WINDOW: Grace = Grace::Window(Duration::from_secs(1));
/// Longer than any clock here.
const NEVER_IDLE: u8 = 100;

/// Two tabs, a thief, an operator, and everything that can fail.
fn everyone() -> World {
    let properties = promises::all_and_sights;
    World { tabs: 2, thief: true, operator: true, faults: true, late: true, properties, ..world(WINDOW, 2, 3) }
}

/// Two tabs, and everything that can fail.
fn honest() -> World {
    World { tabs: 2, faults: true, late: true, properties: promises::all_and_delays, ..world(WINDOW, 3, 3) }
}

/// Two tabs and one request more, so that answers can overtake one another.
fn overtaking() -> World {
    World { tabs: 2, properties: promises::all_and_overtaking, ..world(WINDOW, 4, 2) }
}

/// A tab, a thief and an operator, and requests enough for one after the operator's seal. No time passes, so that there is
/// no other.
fn revoked() -> World {
    World { thief: true, operator: true, faults: true, ..world(WINDOW, 3, 0) }
}

/// A tab and a thief over a longer time.
fn theft() -> World {
    World { thief: true, ..world(WINDOW, 4, 3) }
}

/// A tab and a thief, where the answers on which the tab depends may be lost to the thief.
fn lost_to_a_thief() -> World {
    World { thief: true, faults: true, ..world(WINDOW, 3, 0) }
}

/// Two tabs with the grace window off.
fn without_grace() -> World {
    let properties = promises::all_and_conflict;
    World { tabs: 2, faults: true, late: true, properties, ..world(Grace::Off, 3, 2) }
}

/// Two tabs and a thief with Elastic's window.
fn until_used() -> World {
    let grace = Grace::UntilSuccessorUsed { at_most: Duration::from_secs(2) };
    World { tabs: 2, thief: true, properties: promises::all_and_outrun, ..world(grace, 3, 2) }
}

/// A tab and a thief, tokens that expire, and TTL at its promptest.
fn expiry() -> World {
    let judge = Judge::new(Grace::Window(Duration::from_secs(1)), 3).until(4);
    World { thief: true, faults: true, ttl: true, properties: promises::all_and_expiry, ..World::new(judge, 3, 4) }
}

/// The same over instances whose clocks differ, and a table whose clock does.
fn expiry_apart() -> World {
    let judge = Judge::new(Grace::Window(Duration::from_secs(1)), 2).until(3);
    apart(World { thief: true, ttl: true, properties: promises::all_and_expiry, ..World::new(judge, 3, 3) })
}

/// Two tabs over instances whose clocks differ by half a window.
fn honest_apart() -> World {
    apart(World { tabs: 2, faults: true, ..world(WINDOW, 3, 1) })
}

/// A tab and a thief over such instances.
fn theft_apart() -> World {
    apart(World { thief: true, properties: promises::all_and_skew, ..world(WINDOW, 3, 3) })
}

fn apart(world: World) -> World {
    World { skew: 1, allowance: 1, ..world }
}

/// A tab and a thief, and notes of which nobody knows whether they stand.
fn late_notes() -> World {
    let properties = promises::all_and_notes;
    World { thief: true, faults: true, late_notes: true, properties, ..world(WINDOW, 3, 1) }
}

/// A tab and a thief, a window short enough for a seal to stand, and items lost once while nothing is under way.
fn losses() -> World {
    const DAMAGE: &[Damage] = &[
        Damage::All,
        Damage::AllButSeal,
        Damage::Seal,
        Damage::RestoredTo(0),
        Damage::RestoredTo(1),
        Damage::RestoredTo(2),
    ];
    let properties = promises::all_and_older_copies;
    World { thief: true, faults: true, damage: DAMAGE, properties, ..world(SHORT_WINDOW, 3, 1) }
}

/// A tab and a thief who presents tokens of any age, and generations lost before the newest.
fn gaps() -> World {
    let damage = &[Damage::Without(1), Damage::Without(2), Damage::Older(0), Damage::Older(1)];
    World { thief: true, damage, properties: promises::all_and_gaps, ..world(SHORT_WINDOW, 4, 1) }
}

/// Two tabs, and requests enough that one falls four generations behind.
fn far_behind() -> World {
    World { tabs: 2, faults: true, properties: promises::all_and_far_behind, ..world(WINDOW, 5, 0) }
}

/// The same, under a request.
fn loss_under_way() -> World {
    let damage = &[Damage::All];
    World { damage, damage_under_way: true, properties: promises::closed, ..world(WINDOW, 2, 0) }
}

/// A tab and a thief, seals that land late, and an instance that remembers those that it was told of.
fn late_seals() -> World {
    let properties = promises::all_and_memory;
    World { thief: true, late_seals: true, memory: true, faults: true, properties, ..world(WINDOW, 3, 2) }
}

/// A tab and a thief, an outage in the first two ticks, and an operator who forgives it.
fn amnesty() -> World {
    let judge = Judge::new(Grace::Window(Duration::from_secs(1)), NEVER_IDLE).with_amnesty(0, 2);
    World { thief: true, faults: true, properties: promises::all_and_forgiven, ..World::new(judge, 3, 3) }
}

fn world(grace: Grace, requests: u8, clock: u8) -> World {
    World::new(Judge::new(grace, NEVER_IDLE), requests, clock)
}

/// Explores a configuration to its end, asserts that it keeps what it promises, and that it is as large as it was.
fn holds(name: &str, world: World, states: usize) {
    let begun = Instant::now();
    let done = world.checker().threads(2).spawn_bfs().join();
    let (found, depth, took) = (done.unique_state_count(), done.max_depth(), begun.elapsed());
    println!("{name}: {found} states, {depth} steps deep, {took:.1?}");
    done.assert_properties();
    assert_eq!(found, states, "the model of `{name}` has changed");
}

#[test]
fn two_tabs_a_thief_and_an_operator_keep_every_promise_whatever_fails() {
    holds("everyone", everyone(), 212_610);
}

#[test]
fn an_honest_client_is_refused_only_after_a_delay_past_the_window() {
    holds("honest", honest(), 224_311);
}

#[test]
fn an_honest_client_is_refused_also_after_an_overtaken_answer() {
    holds("overtaking", overtaking(), 39_511);
}

#[test]
fn nothing_is_minted_by_a_request_begun_after_a_seal_was_acknowledged() {
    holds("revoked", revoked(), 32_621);
}

#[test]
fn a_thief_and_a_victim_both_continue_only_inside_windows_and_are_reported() {
    holds("theft", theft(), 419_253);
}

#[test]
fn with_the_grace_window_off_a_token_sent_once_is_never_refused() {
    holds("without grace", without_grace(), 68_258);
}

#[test]
fn with_a_window_until_the_successor_is_used_no_retired_token_mints_past_it() {
    holds("until used", until_used(), 114_608);
}

#[test]
fn ttl_deletes_nothing_that_a_promise_needs() {
    holds("expiry", expiry(), 398_684);
}

#[test]
fn a_family_that_lost_its_items_stays_closed_and_only_an_older_copy_of_the_truth_goes_on() {
    holds("losses", losses(), 240_422);
}

#[test]
fn a_family_with_a_gap_serves_no_token_whose_successor_is_gone_and_none_past_its_window() {
    holds("gaps", gaps(), 130_462);
}

#[test]
fn an_honest_client_is_served_from_however_far_behind() {
    holds("far behind", far_behind(), 32_170);
}

#[test]
fn a_seal_that_lands_late_or_is_remembered_breaks_no_promise() {
    holds("late seals", late_seals(), 104_843);
}

#[test]
fn an_amnesty_forgives_unused_successors_of_its_time_and_nothing_else() {
    holds("amnesty", amnesty(), 276_014);
}

#[test]
fn clocks_that_differ_cost_an_honest_client_no_more_of_its_window_than_they_differ() {
    holds("honest, clocks apart", honest_apart(), 67_668);
}

#[test]
fn clocks_that_differ_give_a_thief_no_more_than_a_window_and_what_they_differ() {
    holds("theft, clocks apart", theft_apart(), 384_728);
}

#[test]
fn ttl_deletes_nothing_that_a_promise_needs_where_clocks_differ() {
    holds("expiry, clocks apart", expiry_apart(), 257_266);
}

/// What the allowance is for: without it, each promise that is measured in time is broken.
#[test]
fn where_clocks_differ_windows_and_lifetimes_are_no_sharper_than_that() {
    let unallowed = [
        (theft_apart(), promises::WINDOW, 8),
        (honest_apart(), promises::HONEST, 9),
        (expiry_apart(), promises::LIFETIME, 2),
    ];
    let mut rows = Vec::new();
    for (world, promise, length) in unallowed {
        let found = counterexample(&World { allowance: 0, ..world }).map(|(promise, steps)| (promise, steps.len()));
        rows.push(format!("no allowance for clocks that differ | {promise} | {length}"));
        assert_eq!(found, Some((promise, length)));
    }
    println!("{}", rows.join("\n"));
}

#[test]
fn no_replay_is_served_before_its_note_is_known_to_stand_however_the_note_fares() {
    holds("late notes", late_notes(), 35_844);
}

/// Not guaranteed: the request had seen its generation before it went, and its successor then stands alone, unsuspected.
#[test]
fn a_family_deleted_under_a_request_goes_on_from_what_that_request_puts() {
    let (promise, steps) = counterexample(&loss_under_way()).unwrap();
    println!("{promise}: {steps:?}");
    assert_eq!((promise, steps.len()), (promises::CLOSED, 10));
}

/// Found by this model: the retry's slot is the victim's own, and `decide` once looked at no other client than its.
#[test]
fn a_retry_that_is_served_what_a_thief_put_from_its_lost_answer_is_reported() {
    holds("lost to a thief", lost_to_a_thief(), 5_303);
}

#[test]
fn every_mutation_is_caught() {
    let mutants = [
        (Mutation::PutWithoutCondition, honest(), promises::ONE_LIVE, 8),
        (Mutation::NoQuery, everyone(), promises::SEALED, 5),
        (Mutation::NoQuery, honest(), promises::NEWEST, 12),
        (Mutation::SealIgnored, everyone(), promises::SEALED, 5),
        (Mutation::LineIgnored, losses(), promises::CLOSED, 4),
        (Mutation::LineUncheckedFurtherOn, gaps(), promises::CLOSED, 13),
        (Mutation::LineUncheckedFurtherOn, World { properties: promises::only_window, ..gaps() }, promises::WINDOW, 14),
        (Mutation::FurtherUnread, far_behind(), promises::HONEST, 24),
        (Mutation::NonceIgnored, without_grace(), promises::HONEST, 5),
        (Mutation::WindowSlides, honest(), promises::WINDOW, 13),
        (Mutation::TtlTooEarly, expiry(), promises::ONE_LIVE, 8),
        (Mutation::RemembersTheUnwritten, late_seals(), promises::REMEMBERED, 9),
        (Mutation::AmnestyOfTheUsed, amnesty(), promises::COLLISION, 10),
        (Mutation::ReissuesTheSlot, theft(), promises::NEWEST, 9),
        (Mutation::NotesTheSlotsClientAlone, lost_to_a_thief(), promises::COLLISION, 10),
        (Mutation::NotesOncePerFamily, theft(), promises::COLLISION, 10),
        (Mutation::RefusesWithoutItsSeal, everyone(), promises::FOUND, 8),
        (Mutation::SuccessorsUseIgnored, until_used(), promises::WINDOW, 9),
        (Mutation::AnswersWithoutItsNote, late_notes(), promises::REPORTED, 7),
        (Mutation::SealExpiresWithItsToken, expiry(), promises::SEALED, 15),
        (Mutation::NegativeAgeIsOld, honest_apart(), promises::HONEST, 8),
        (Mutation::SlackUnderSkew, expiry_apart(), promises::ONE_LIVE, 8),
    ];
    let (mut rows, mut missed) = (String::from("mutation | property | steps"), Vec::new());
    for (mutation, mut world, promise, length) in mutants {
        world.judge.mutation = Some(mutation);
        let found = counterexample(&world).map(|(promise, steps)| (promise, steps.len()));
        let (broken, steps) = found.unwrap_or(("none", 0));
        rows.push_str(&format!("\n{mutation:?} | {broken} | {steps}"));
        if found != Some((promise, length)) {
            missed.push((mutation, found));
        }
    }
    // At once, so that no other test's line comes between.
    println!("{rows}");
    assert!(missed.is_empty(), "caught otherwise than expected: {missed:?}");
}
