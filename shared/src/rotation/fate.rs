//! Whether a generation that stands in a family that has ended was given to anybody. A request puts the successor before
//! it knows that the family has ended, so that a refused one leaves its mark; taken for the session's last use it would
//! show a stranger's address, or a use after the sign-out.
//!
//! Told by evidence where there is any: generation numbers, `gid`s and request ids. Only the newest generation may be left
//! to clocks, which are those of different machines.

use std::time::Duration;

use crate::store::item::{Generation, ReissueNote, Seal};

/// What clocks are believed within: far more than machines that ask a time server differ. Within it nobody can tell which
/// of two events came first.
const CLOCKS_APART: Duration = Duration::from_secs(5);

/// What became of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A client was given its token.
    Given,
    /// It was put by a request that was refused: the family had ended.
    Refused,
    /// It was put as the family ended, and which came first is not on record.
    Unclear,
}

/// What became of a generation. `successor` is the next one, if it stands; `reissues` are the family's.
#[must_use]
pub fn fate_of(
    generation: &Generation,
    successor: Option<&Generation>,
    reissues: &[ReissueNote],
    seal: Option<&Seal>,
) -> Fate {
    let Some(seal) = seal else { return Fate::Given };
    if generation.request_id == seal.request_id {
        return Fate::Refused;
    }
    // Nobody presents a token, or goes on from one, that nobody was given.
    let was_used = successor.is_some_and(|next| next.parent.as_ref() == Some(&generation.gid));
    if was_used || generation.opening.is_some() {
        return Fate::Given;
    }
    // What the request that sealed saw standing, and what a retry was served after, was there before the seal.
    // An end without a token was written by whoever looked a moment before, when a request may have been under way that
    // put a generation and was refused: what stood then proves nothing.
    let was_seen = seal.evidence.filter(|seen| seen.presented.is_some()).map(|seen| generation.number <= seen.live);
    if was_seen == Some(true) || reissues.iter().any(|note| note.generation == generation.number) {
        return Fate::Given;
    }
    let (minted_at, sealed_at) = (generation.minted_at, seal.sealed_at);
    if minted_at.since(sealed_at) > CLOCKS_APART {
        Fate::Refused
    } else if was_seen.is_none() && sealed_at.since(minted_at) > CLOCKS_APART {
        Fate::Given
    } else {
        Fate::Unclear
    }
}

/// Of a family's newest generations, newest first, the last one that a client may have been given.
#[must_use]
pub fn last_given(newest: Vec<Generation>, reissues: &[ReissueNote], seal: Option<&Seal>) -> Option<Generation> {
    let mut successor = None;
    for generation in newest {
        if fate_of(&generation, successor.as_ref(), reissues, seal) != Fate::Refused {
            return Some(generation);
        }
        successor = Some(generation);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Client;
    use crate::moment::{Nonce, Timestamp};
    use crate::store::item::{Cause, Evidence};

    fn generation(number: u32, minted_at_secs: i64) -> Generation {
        Generation {
            number,
            gid: Nonce::from_text(format!("g{number}")),
            parent: number.checked_sub(1).map(|parent| Nonce::from_text(format!("g{parent}"))),
            attempt: Nonce::from_text("a"),
            minted_at: Timestamp::from_secs(minted_at_secs),
            token_expires_at: Timestamp::from_secs(9_999),
            client: Client::new(None, ""),
            request_id: format!("r{number}"),
            opening: None,
        }
    }

    fn sealed(by: &str, live: Option<u32>) -> Seal {
        Seal {
            sealed_at: Timestamp::from_secs(1_000),
            cause: Cause::Operator,
            evidence: live.map(|live| Evidence { presented: Some(0), live }),
            subject: None,
            client: Client::new(None, ""),
            request_id: by.to_owned(),
        }
    }

    fn fate(generation: &Generation, seal: &Seal) -> Fate {
        fate_of(generation, None, &[], Some(seal))
    }

    #[test]
    fn what_was_presented_or_seen_was_given_whatever_the_clocks_say() {
        let late = generation(3, 5_000);
        let seal = sealed("tool", None);
        assert_eq!(fate_of(&late, Some(&generation(4, 5_001)), &[], Some(&seal)), Fate::Given);
        assert_eq!(fate(&late, &sealed("r9", Some(3))), Fate::Given);
        let note = ReissueNote {
            generation: 3,
            reissued_at: Timestamp::from_secs(1),
            client: Client::new(None, ""),
            request_id: "n".to_owned(),
        };
        assert_eq!(fate_of(&late, None, &[note], Some(&seal)), Fate::Given);
        // A neighbour that is not of its line proves nothing.
        let stranger = Generation { parent: Some(Nonce::from_text("other")), ..generation(4, 5_001) };
        assert_eq!(fate_of(&late, Some(&stranger), &[], Some(&seal)), Fate::Refused);
    }

    #[test]
    fn what_the_sealing_request_put_was_refused_whatever_the_clocks_say() {
        assert_eq!(fate(&generation(3, 10), &sealed("r3", Some(3))), Fate::Refused);
    }

    #[test]
    fn what_stood_as_somebody_ended_the_session_may_have_been_refused() {
        let seal = Seal { evidence: Some(Evidence { presented: None, live: 3 }), ..sealed("tool", None) };
        assert_eq!([fate(&generation(3, 999), &seal), fate(&generation(3, 900), &seal)], [Fate::Unclear, Fate::Given]);
    }

    #[test]
    fn clocks_decide_only_where_they_are_far_enough_apart() {
        let seal = sealed("tool", None);
        let at = |secs| fate(&generation(3, secs), &seal);
        assert_eq!(
            [at(994), at(995), at(1_005), at(1_006)],
            [Fate::Given, Fate::Unclear, Fate::Unclear, Fate::Refused]
        );
        // The sealing request did not see it: it was put after that one looked, early as its clock may be.
        assert_eq!(fate(&generation(3, 10), &sealed("r9", Some(2))), Fate::Unclear);
    }

    #[test]
    fn the_last_use_of_an_ended_session_is_not_that_of_who_was_refused() {
        let newest = || vec![generation(3, 5_000), generation(2, 900)];
        let seal = sealed("tool", None);
        assert_eq!(last_given(newest(), &[], Some(&seal)).map(|last| last.number), Some(2));
        assert_eq!(last_given(newest(), &[], None).map(|last| last.number), Some(3));
    }
}
