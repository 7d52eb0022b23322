//! The decision: pure, total, without a clock of its own. Everything that a refresh may do to a family is in
//! [`decide`], and the model checker calls this very function.

use super::policy::{CONFLICT_WINDOW, Grace, RotationPolicy};
use crate::identity::Client;
use crate::moment::{Nonce, Timestamp};
use crate::store::item::{Cause, Generation, Seal};

/// What stands at the presented generation's successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// What this request put.
    Ours(Generation),
    /// What another request put before.
    Anothers(Generation),
}

impl Slot {
    /// The generation that stands there, whoever put it.
    #[must_use]
    pub const fn generation(&self) -> &Generation {
        match self {
            Self::Ours(generation) | Self::Anothers(generation) => generation,
        }
    }
}

/// What one parallel round trip returned, and what was presented.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The presented token's generation.
    pub number: u32,
    /// The presented token's `gid`.
    pub gid: &'a Nonce,
    /// Who presented it.
    pub client: &'a Client,
    /// The family's seal, if it has one.
    pub seal: Option<&'a Seal>,
    /// What stands at `number + 1`.
    pub slot: &'a Slot,
    /// The family's newest generations as the query saw them, newest first: two at most.
    pub newest: &'a [Generation],
    /// What stands at `number + 2`, if it was read for its own sake: see [`further_needed`].
    pub further: Option<&'a Generation>,
}

/// The four Rs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Mint the successor that this request put.
    Rotate,
    /// Mint a further token of the live generation, with that generation's expiry.
    Reissue {
        /// The client is not the one that put the successor, or not the one that put the live generation.
        another_client: bool,
    },
    /// Say no and change nothing.
    Refuse(Refusal),
    /// Seal the family, then say no.
    Revoke(Revocation),
}

/// Why nothing is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The family has ended already.
    Sealed(Cause),
    /// The grace window is off and another request put the successor a moment ago: perhaps a tab, perhaps a thief; too
    /// early to tell.
    Conflict,
}

/// Why the family ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The token is ours, and the table does not know its line: deleted, partly deleted or restored data closes a
    /// family and never opens one.
    UnknownGeneration,
    /// A retired token came back after its window.
    Reuse(Lag),
}

impl Revocation {
    /// What the seal says.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::UnknownGeneration => Cause::UnknownGeneration,
            Self::Reuse(_) => Cause::Reuse,
        }
    }
}

/// How far behind the live generation a reused token was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// One: a late retry, or a thief who was quick.
    RecentPredecessor,
    /// More: the successor has been used since, so that somebody else went on.
    StaleLineage,
}

impl Lag {
    /// As log lines spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RecentPredecessor => "recent_predecessor",
            Self::StaleLineage => "stale_lineage",
        }
    }
}

impl<'a> Facts<'a> {
    /// The newest generation known to stand: the newer of the slot and of what the query saw, since the two calls may
    /// finish in either order with other requests between.
    #[must_use]
    pub fn live(&self) -> &'a Generation {
        let slot = self.slot.generation();
        self.newest.first().filter(|newest| newest.number > slot.number).unwrap_or(slot)
    }

    /// Whether the token's line to the live generation is unbroken, as far as it was seen. The slot must descend from the
    /// token's own generation; then either nothing lies further on, and that generation itself is there, or what lies
    /// further on is linked to its own predecessor, and what comes after the slot is linked to the slot. Without the last,
    /// a slot that is put where a generation was deleted would lead to a live generation that does not descend from it.
    fn is_known(&self) -> bool {
        let slot = self.slot.generation();
        if slot.parent.as_ref() != Some(self.gid) {
            return false;
        }
        if self.successor_is_unused() {
            return self.newest.iter().any(|g| g.number == self.number && g.gid == *self.gid);
        }
        match self.newest {
            [newest, before, ..] => {
                newest.follows(before) && self.after_slot().is_none_or(|generation| generation.follows(slot))
            }
            [_] | [] => false,
        }
    }

    /// What stands after the slot, where the query or a read of its own showed it.
    fn after_slot(&self) -> Option<&Generation> {
        let number = self.slot.generation().number.checked_add(1);
        self.newest.iter().chain(self.further).find(|generation| Some(generation.number) == number)
    }

    /// The live generation again. That another client is involved is told of whoever put the successor and of whoever put
    /// the live one: a thief who goes on from a victim's lost answer puts only the latter.
    fn reissue(&self) -> Decision {
        let others = [self.slot.generation(), self.live()];
        Decision::Reissue { another_client: others.iter().any(|generation| self.client != &generation.client) }
    }

    fn successor_is_unused(&self) -> bool {
        self.live().number == self.slot.generation().number
    }

    fn lag(&self) -> Lag {
        if self.successor_is_unused() { Lag::RecentPredecessor } else { Lag::StaleLineage }
    }
}

/// Decides what becomes of a presented token, at `now`, from what the store said. The window is anchored at the moment
/// at which the *slot* was put, so that replaying cannot slide it and each retired token has its own.
#[must_use]
pub fn decide(facts: &Facts<'_>, policy: &RotationPolicy, now: Timestamp) -> Decision {
    match further_needed(facts, policy, now) {
        // It was not read, or nothing stands there.
        Some(_) => Decision::Revoke(Revocation::UnknownGeneration),
        None => judge(facts, policy, now),
    }
}

/// The generation without which a token that all else speaks for is not reissued: the slot's own successor, which the
/// query does not show where the token is four or more behind. Whoever is told of one reads it, and asks again.
#[must_use]
pub fn further_needed(facts: &Facts<'_>, policy: &RotationPolicy, now: Timestamp) -> Option<u32> {
    let reissues = matches!(judge(facts, policy, now), Decision::Reissue { .. });
    let unseen = !facts.successor_is_unused() && facts.after_slot().is_none();
    facts.slot.generation().number.checked_add(1).filter(|_| reissues && unseen)
}

/// The decision, if the line is unbroken also where it was not seen.
fn judge(facts: &Facts<'_>, policy: &RotationPolicy, now: Timestamp) -> Decision {
    if let Some(seal) = facts.seal {
        return Decision::Refuse(Refusal::Sealed(seal.cause));
    }
    if !facts.is_known() {
        return Decision::Revoke(Revocation::UnknownGeneration);
    }
    let slot = match facts.slot {
        Slot::Ours(_) if facts.successor_is_unused() => return Decision::Rotate,
        // Others went on from ours while our query was under way.
        Slot::Ours(_) => return facts.reissue(),
        Slot::Anothers(slot) => slot,
    };
    let age = now.since(slot.minted_at);
    let believed = match policy.grace {
        Grace::Off if age < CONFLICT_WINDOW => return Decision::Refuse(Refusal::Conflict),
        Grace::Off => false,
        Grace::Window(window) => age < window,
        Grace::UntilSuccessorUsed { at_most } => facts.successor_is_unused() && age < at_most,
    };
    if believed || is_forgiven(facts, policy, now) {
        return facts.reissue();
    }
    Decision::Revoke(Revocation::Reuse(facts.lag()))
}

/// The operator's remedy after an outage in which writes landed and answers were lost (`REUSE_AMNESTY`): a successor
/// from that time which nobody ever used.
fn is_forgiven(facts: &Facts<'_>, policy: &RotationPolicy, now: Timestamp) -> bool {
    let slot = facts.slot.generation();
    facts.successor_is_unused()
        && now < slot.token_expires_at
        && policy.amnesty.is_some_and(|amnesty| amnesty.from <= slot.minted_at && slot.minted_at < amnesty.to)
}

#[cfg(test)]
mod tests {
    mod losses;

    use super::super::policy::Amnesty;
    use super::*;
    use std::time::Duration;

    const MINTED_AT: Timestamp = Timestamp::from_millis(1_000_000);

    fn client(user_agent: &str) -> Client {
        Client::new(Some("192.0.2.1".parse().unwrap()), user_agent)
    }

    fn gid(number: u32) -> Nonce {
        Nonce::from_text(format!("gid-{number}"))
    }

    fn generation(number: u32) -> Generation {
        Generation {
            number,
            gid: gid(number),
            parent: number.checked_sub(1).map(gid),
            attempt: Nonce::from_text("attempt"),
            minted_at: MINTED_AT,
            token_expires_at: MINTED_AT.plus(Duration::from_secs(1_000_000)),
            client: client("first"),
            request_id: String::new(),
            opening: None,
        }
    }

    fn seal() -> Seal {
        Seal {
            sealed_at: MINTED_AT,
            cause: Cause::SignOut,
            subject: None,
            evidence: None,
            client: client(""),
            request_id: String::new(),
        }
    }

    fn policy(grace: Grace) -> RotationPolicy {
        RotationPolicy { grace, idle: Duration::from_secs(100), absolute: Duration::from_secs(1_000), amnesty: None }
    }

    fn window(secs: u64) -> RotationPolicy {
        policy(Grace::Window(Duration::from_secs(secs)))
    }

    /// A token of generation 5 is presented by the client `who`, `age_millis` after the slot was put. Generation 7 stands, if
    /// it is needed.
    fn decided(
        seal: Option<&Seal>,
        slot: &Slot,
        newest: &[u32],
        policy: &RotationPolicy,
        age_millis: i64,
        who: &str,
    ) -> Decision {
        let newest: Vec<_> = newest.iter().map(|n| generation(*n)).collect();
        let now = Timestamp::from_millis(MINTED_AT.millis() + age_millis);
        let (presented, who) = (gid(5), client(who));
        let facts = Facts { client: &who, seal, ..facts(&presented, &who, slot, &newest) };
        let further = further_needed(&facts, policy, now).map(generation);
        decide(&Facts { further: further.as_ref(), ..facts }, policy, now)
    }

    /// A token of generation 5 is presented by `client`: no seal, and nothing read beside the round trip.
    fn facts<'a>(gid: &'a Nonce, client: &'a Client, slot: &'a Slot, newest: &'a [Generation]) -> Facts<'a> {
        Facts { number: 5, gid, client, seal: None, slot, newest, further: None }
    }

    fn ours() -> Slot {
        Slot::Ours(generation(6))
    }

    fn anothers() -> Slot {
        Slot::Anothers(generation(6))
    }

    const REISSUE: Decision = Decision::Reissue { another_client: false };
    const UNKNOWN: Decision = Decision::Revoke(Revocation::UnknownGeneration);

    const fn reuse(lag: Lag) -> Decision {
        Decision::Revoke(Revocation::Reuse(lag))
    }

    #[test]
    fn a_seal_refuses_whatever_else_is_true() {
        let sealed = Decision::Refuse(Refusal::Sealed(Cause::SignOut));
        for slot in [ours(), anothers()] {
            for newest in [[].as_slice(), &[6, 5], &[9], &[5, 4]] {
                assert_eq!(decided(Some(&seal()), &slot, newest, &window(10), 0, "first"), sealed);
            }
        }
    }

    #[test]
    fn the_first_to_put_the_successor_rotates_whichever_call_finished_first() {
        for newest in [[6, 5].as_slice(), &[5, 4], &[5]] {
            assert_eq!(decided(None, &ours(), newest, &window(10), 0, "first"), Decision::Rotate);
        }
    }

    #[test]
    fn a_rotation_overtaken_before_its_query_reissues_the_live_generation() {
        assert_eq!(decided(None, &ours(), &[7, 6], &window(10), 0, "first"), REISSUE);
        assert_eq!(decided(None, &ours(), &[9, 8], &window(10), 0, "first"), REISSUE);
    }

    #[test]
    fn a_retry_within_the_grace_window_is_reissued_whether_or_not_the_successor_was_used() {
        for newest in [[6, 5].as_slice(), &[5, 4], &[7, 6], &[42, 41]] {
            assert_eq!(decided(None, &anothers(), newest, &window(10), 9_999, "first"), REISSUE);
        }
    }

    #[test]
    fn the_grace_window_ends_to_the_millisecond() {
        let at = |age| decided(None, &anothers(), &[6, 5], &window(10), age, "first");
        assert_eq!(at(9_999), REISSUE);
        assert_eq!(at(10_000), reuse(Lag::RecentPredecessor));
        assert_eq!(at(10_001), reuse(Lag::RecentPredecessor));
    }

    #[test]
    fn a_clock_that_runs_behind_counts_as_no_time_at_all() {
        assert_eq!(decided(None, &anothers(), &[6, 5], &window(10), -60_000, "first"), REISSUE);
    }

    #[test]
    fn a_retired_token_after_its_window_ends_the_family_and_says_how_far_behind_it_was() {
        assert_eq!(decided(None, &anothers(), &[6, 5], &window(10), 20_000, "first"), reuse(Lag::RecentPredecessor));
        assert_eq!(decided(None, &anothers(), &[7, 6], &window(10), 20_000, "first"), reuse(Lag::StaleLineage));
    }

    #[test]
    fn a_reissue_to_another_client_is_told_apart() {
        let other = Decision::Reissue { another_client: true };
        assert_eq!(decided(None, &anothers(), &[6, 5], &window(10), 1, "second"), other);
    }

    #[test]
    fn a_reissue_of_what_another_client_put_is_told_apart_also_where_the_successor_is_our_own() {
        let thiefs = Generation { client: client("thief"), ..generation(7) };
        let newest = [thiefs, generation(6)];
        for slot in [ours(), anothers()] {
            let (presented, first) = (gid(5), client("first"));
            let decision = decide(&facts(&presented, &first, &slot, &newest), &window(10), MINTED_AT);
            assert_eq!(decision, Decision::Reissue { another_client: true });
        }
    }

    #[test]
    fn deleted_or_restored_data_closes_a_family_and_never_opens_one() {
        // Nothing is left but what we just put, or it is all that the query sees.
        assert_eq!(decided(None, &ours(), &[], &window(10), 0, "first"), UNKNOWN);
        assert_eq!(decided(None, &ours(), &[6], &window(10), 0, "first"), UNKNOWN);
        // An older copy: the newest that stands is older than the token.
        assert_eq!(decided(None, &ours(), &[6, 3], &window(10), 0, "first"), UNKNOWN);
        assert_eq!(decided(None, &ours(), &[3, 2], &window(10), 0, "first"), UNKNOWN);
        // A gap between the two newest.
        assert_eq!(decided(None, &anothers(), &[9, 7], &window(10), 0, "first"), UNKNOWN);
        assert_eq!(decided(None, &anothers(), &[9], &window(10), 0, "first"), UNKNOWN);
    }

    #[test]
    fn a_successor_of_another_generation_with_the_same_number_is_unknown() {
        let stranger = Slot::Anothers(Generation { parent: Some(Nonce::from_text("other")), ..generation(6) });
        assert_eq!(decided(None, &stranger, &[6, 5], &window(10), 0, "first"), UNKNOWN);
        let newest = [Generation { parent: Some(Nonce::from_text("other")), ..generation(8) }, generation(7)];
        let (presented, first) = (gid(5), client("first"));
        assert_eq!(decide(&facts(&presented, &first, &anothers(), &newest), &window(10), MINTED_AT), UNKNOWN);
    }

    /// A slot that is put where a generation was deleted is no part of the line, however whole what lies further on is.
    #[test]
    fn a_slot_from_which_the_line_does_not_go_on_is_unknown() {
        let (presented, first) = (gid(5), client("first"));
        let put = Generation { gid: Nonce::from_text("put in a gap"), ..generation(6) };
        let line = |numbers: &[u32]| numbers.iter().map(|n| generation(*n)).collect::<Vec<_>>();
        let real = generation(7);
        let of_the_gap = Generation { parent: Some(put.gid.clone()), ..generation(7) };
        let cases = [
            // Seven stands, and does not descend from what was put at six.
            (put.clone(), line(&[7, 6]), None, UNKNOWN),
            (put.clone(), line(&[8, 7]), None, UNKNOWN),
            (put.clone(), line(&[9, 8]), Some(&real), UNKNOWN),
            (put.clone(), line(&[42, 41]), Some(&real), UNKNOWN),
            // Nobody could say whether it stands, or it does not.
            (put.clone(), line(&[9, 8]), None, UNKNOWN),
            (generation(6), line(&[9, 8]), None, UNKNOWN),
            // Something else was read.
            (generation(6), line(&[9, 8]), Some(&generation(6)), UNKNOWN),
            (generation(6), line(&[9, 8]), Some(&of_the_gap), UNKNOWN),
            // The line is whole.
            (generation(6), line(&[7, 6]), None, REISSUE),
            (generation(6), line(&[8, 7]), None, REISSUE),
            (generation(6), line(&[9, 8]), Some(&real), REISSUE),
            (generation(6), line(&[42, 41]), Some(&real), REISSUE),
        ];
        for (slot, newest, further, expected) in cases {
            for slot in [Slot::Ours(slot.clone()), Slot::Anothers(slot)] {
                let facts = Facts { further, ..facts(&presented, &first, &slot, &newest) };
                let decision = decide(&facts, &window(10), MINTED_AT);
                assert_eq!(decision, expected, "{slot:?}, {newest:?}, {further:?}");
            }
        }
    }

    #[test]
    fn a_further_generation_is_read_only_for_a_token_from_far_behind_that_nothing_else_has_decided() {
        let (presented, first, sealed) = (gid(5), client("first"), seal());
        let (until_used, off) = (Grace::UntilSuccessorUsed { at_most: Duration::from_secs(10) }, policy(Grace::Off));
        let stranger = || Slot::Anothers(Generation { parent: Some(Nonce::from_text("other")), ..generation(6) });
        let needed = |slot: &Slot, newest: &[u32], seal, policy: &RotationPolicy, age_millis| {
            let newest: Vec<_> = newest.iter().map(|n| generation(*n)).collect();
            let facts = Facts { seal, ..facts(&presented, &first, slot, &newest) };
            further_needed(&facts, policy, Timestamp::from_millis(MINTED_AT.millis() + age_millis))
        };
        for slot in [ours(), anothers()] {
            assert_eq!(needed(&slot, &[9, 8], None, &window(10), 9_999), Some(7));
            for newest in [[8, 7].as_slice(), &[7, 6], &[6, 5], &[5, 4], &[9, 7], &[9]] {
                assert_eq!(needed(&slot, newest, None, &window(10), 0), None, "{newest:?}");
            }
            assert_eq!(needed(&slot, &[9, 8], Some(&sealed), &window(10), 0), None);
        }
        assert_eq!(needed(&anothers(), &[9, 8], None, &window(10), 10_000), None);
        assert_eq!(needed(&anothers(), &[9, 8], None, &policy(until_used), 0), None);
        assert_eq!(needed(&anothers(), &[9, 8], None, &off, 0), None);
        assert_eq!(needed(&stranger(), &[9, 8], None, &window(10), 0), None);
    }

    #[test]
    fn without_a_grace_window_a_race_is_a_conflict_for_two_seconds_and_reuse_after() {
        let off = policy(Grace::Off);
        let at = |age| decided(None, &anothers(), &[6, 5], &off, age, "first");
        assert_eq!(at(1_999), Decision::Refuse(Refusal::Conflict));
        assert_eq!(at(2_000), reuse(Lag::RecentPredecessor));
        assert_eq!(at(2_001), reuse(Lag::RecentPredecessor));
    }

    #[test]
    fn until_the_successor_is_used_a_retry_is_believed_for_five_minutes_at_most() {
        let until_used = policy(Grace::UntilSuccessorUsed { at_most: Duration::from_secs(300) });
        let at = |newest: &[u32], age| decided(None, &anothers(), newest, &until_used, age, "first");
        assert_eq!(at(&[6, 5], 299_999), REISSUE);
        assert_eq!(at(&[6, 5], 300_000), reuse(Lag::RecentPredecessor));
        assert_eq!(at(&[7, 6], 1), reuse(Lag::StaleLineage));
    }

    #[test]
    fn an_amnesty_forgives_a_successor_of_that_time_which_nobody_used() {
        let millis = Timestamp::from_millis;
        let with =
            |from, to| RotationPolicy { amnesty: Some(Amnesty { from: millis(from), to: millis(to) }), ..window(10) };
        let covering = with(1_000_000, 1_000_001);
        assert_eq!(decided(None, &anothers(), &[6, 5], &covering, 60_000, "first"), REISSUE);
        assert_eq!(decided(None, &anothers(), &[7, 6], &covering, 60_000, "first"), reuse(Lag::StaleLineage));
        for beside in [with(999_000, 1_000_000), with(1_000_001, 2_000_000)] {
            assert_eq!(decided(None, &anothers(), &[6, 5], &beside, 60_000, "first"), reuse(Lag::RecentPredecessor));
        }
        assert_eq!(
            decided(None, &anothers(), &[6, 5], &covering, 1_000_000_000, "first"),
            reuse(Lag::RecentPredecessor)
        );
    }
}
