//! Rotation: one parallel round trip, one pure decision, and at most one write more; for a token that is four or more
//! generations behind one read more.
//!
//! Rotating *is* putting the successor generation if it is absent; revoking *is* putting a seal. [`decide`] judges what
//! the round trip brought back. Nothing here reads a clock, and nothing is minted unless the decision was made on
//! facts: a call whose outcome is unknown is a [`StoreError`], and the client's retry finds what was written.
//! RFC 9700 §4.14.2 is the rule kept; `ARCHITECTURE.md` walks through it.

pub mod decide;
pub mod family;
pub mod fate;
pub mod policy;
pub mod prove;
pub mod sealed;

pub use decide::{Decision, Facts, Lag, Refusal, Revocation, Slot, decide, further_needed};
pub use fate::{Fate, fate_of};
pub use policy::{Grace, RotationPolicy};
pub use prove::{ProveError, Proven, prove};
pub use sealed::SealedFamilies;

use crate::identity::Client;
use crate::limit::Admitted;
use crate::moment::{Moment, Nonce, Timestamp};
use crate::store::item::{Cause, Evidence, Generation, ReissueNote, Seal};
use crate::store::{Meter, Put, Store, StoreError};
use crate::token::Claims;

/// A rotation that was decided and holds: the third room of the walk, and the only thing that tokens are minted from.
///
/// Only [`rotate`] makes one.
///
/// ```compile_fail,E0451
/// # fn skip(admitted: rondo_shared::limit::Admitted, live: rondo_shared::store::item::Generation) {
/// // the fields are private
/// let rotated = rondo_shared::rotation::Rotated { admitted, live, how: rondo_shared::rotation::How::Rotated };
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rotated {
    admitted: Admitted,
    live: Generation,
    how: How,
}

/// How the live generation was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// This request put it.
    Rotated,
    /// Another request did, and this one is believed to be its retry, or another tab.
    Reissued {
        /// The client is not the one that put the successor or the live generation: reported, for it is what a theft
        /// within the window looks like.
        another_client: bool,
    },
}

impl Rotated {
    /// What admitted the request.
    #[must_use]
    pub const fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// What the presented token said.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        self.admitted.presented().claims()
    }

    /// The generation that the new token is to speak for.
    #[must_use]
    pub const fn live(&self) -> &Generation {
        &self.live
    }

    /// How it was come by.
    #[must_use]
    pub const fn how(&self) -> How {
        self.how
    }
}

/// Why nothing was rotated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotateError {
    /// The family was sealed before.
    #[error("the family is sealed")]
    Sealed(Cause),
    /// The token's return has just ended the family.
    #[error("the family was revoked")]
    Revoked(Revocation),
    /// The grace window is off and another request is rotating this very token; nothing was changed.
    #[error("another request is rotating this token")]
    Conflict,
    /// The store gave no answer, so that nothing is known to be true.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rotates an admitted token: the put and the query in parallel, the decision, and what it asks to be written.
///
/// Costs 1 WRU and 1 RRU; a reissue to another client, a reuse and an unknown generation 1 WRU more, and a token that is
/// to be reissued from four or more generations behind 1 RRU more.
///
/// # Errors
/// [`RotateError`]; only [`RotateError::Store`] may pass.
pub async fn rotate<S: Store>(
    admitted: Admitted,
    policy: &RotationPolicy,
    sealed: &SealedFamilies,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Rotated, RotateError> {
    let claims = admitted.presented().claims();
    let client = admitted.presented().client();
    let successor = successor_of(claims, client, policy, moment);
    let item = successor.to_item(&claims.tenant, claims.sid, family::generation_expires_at(&successor, claims.exp));
    let newest_two = family::newest_two(&claims.tenant, claims.sid);
    let (put, newest) = tokio::join!(store.put_if_absent(&item, meter), store.query(&newest_two, meter));
    let slot = match put? {
        Put::Stored => Slot::Ours(successor),
        Put::Standing(item) => Slot::standing(Generation::from_item(&item)?, &moment.attempt),
    };
    let (seal, generations) = family::read_newest(&newest?)?;
    let facts = Facts {
        number: claims.generation,
        gid: &claims.gid,
        client,
        seal: seal.as_ref(),
        slot: &slot,
        newest: &generations,
        further: None,
    };
    let further = read_further(&facts, claims, policy, store, moment, meter).await?;
    let facts = Facts { further: further.as_ref(), ..facts };

    match decide(&facts, policy, moment.now) {
        Decision::Rotate => Ok(Rotated { live: slot.into_generation(), admitted, how: How::Rotated }),
        Decision::Reissue { another_client } => {
            if another_client {
                note_reissue(&admitted, store, moment, meter).await?;
            }
            let live = facts.live().clone();
            Ok(Rotated { live, admitted, how: How::Reissued { another_client } })
        }
        Decision::Refuse(Refusal::Sealed(cause)) => {
            sealed.remember(claims.sid, cause);
            Err(RotateError::Sealed(cause))
        }
        Decision::Refuse(Refusal::Conflict) => Err(RotateError::Conflict),
        Decision::Revoke(revocation) => {
            let live = facts.live().number;
            match end_family(&admitted, revocation.cause(), live, sealed, store, moment, meter).await? {
                Ending::Ours => Err(RotateError::Revoked(revocation)),
                Ending::Anothers(cause) => Err(RotateError::Sealed(cause)),
            }
        }
    }
}

/// Reads the one generation that a decision may need beside the round trip: none, for all but a token from far behind.
async fn read_further<S: Store>(
    facts: &Facts<'_>,
    claims: &Claims,
    policy: &RotationPolicy,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Option<Generation>, StoreError> {
    match further_needed(facts, policy, moment.now) {
        Some(number) => family::generation(&claims.tenant, claims.sid, number, store, meter).await,
        None => Ok(None),
    }
}

/// Whose seal ended a family.
enum Ending {
    /// The one that this request put.
    Ours,
    /// One that stood before: the family ended for that one's cause.
    Anothers(Cause),
}

/// Ends the family of an admitted token, unless another has, and remembers why it ended. `live` is the newest generation
/// known to stand.
async fn end_family<S: Store>(
    admitted: &Admitted,
    cause: Cause,
    live: u32,
    sealed: &SealedFamilies,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Ending, StoreError> {
    let claims = admitted.presented().claims();
    let seal = Seal {
        sealed_at: moment.now,
        cause,
        subject: Some(claims.sub.clone()),
        evidence: Some(Evidence { presented: Some(claims.generation), live }),
        client: admitted.presented().client().clone(),
        request_id: moment.request_id.to_string(),
    };
    let session_expires_at = Timestamp::from_secs(claims.session_expires_at);
    let standing = family::seal(&claims.tenant, claims.sid, &seal, session_expires_at, store, meter).await?;
    sealed.remember(claims.sid, standing.cause);
    // Ours may be found standing too, where the SDK retried the put and its first answer was lost.
    Ok(if standing.request_id == seal.request_id { Ending::Ours } else { Ending::Anothers(standing.cause) })
}

/// The generation that this request would put.
fn successor_of(claims: &Claims, client: &Client, policy: &RotationPolicy, moment: &Moment) -> Generation {
    let session_expires_at = Timestamp::from_secs(claims.session_expires_at);
    Generation {
        number: claims.generation.saturating_add(1),
        gid: moment.gid.clone(),
        parent: Some(claims.gid.clone()),
        attempt: moment.attempt.clone(),
        minted_at: moment.now,
        token_expires_at: policy.token_expires_at(moment.now, session_expires_at),
        client: client.clone(),
        request_id: moment.request_id.to_string(),
        opening: None,
    }
}

/// Writes down, once per generation and client, that the answer went to a client other than the one that rotated. It
/// stands before the answer goes out: the promise is that *every* such replay is reported.
async fn note_reissue<S: Store>(
    admitted: &Admitted,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<(), StoreError> {
    let claims = admitted.presented().claims();
    let client = admitted.presented().client();
    let note = ReissueNote {
        generation: claims.generation.saturating_add(1),
        reissued_at: moment.now,
        client: client.clone(),
        request_id: moment.request_id.to_string(),
    };
    let expires_at = family::until_session_ends(Timestamp::from_secs(claims.session_expires_at));
    let item = note.to_item(&claims.tenant, claims.sid, &family::client_hash(client), expires_at);
    match store.put_if_absent(&item, meter).await? {
        Put::Stored | Put::Standing(_) => Ok(()),
    }
}

impl Slot {
    /// What a lost put found: ours after all if it carries our attempt's nonce (the SDK retried a put whose first
    /// answer was lost), another request's otherwise.
    #[must_use]
    pub fn standing(generation: Generation, attempt: &Nonce) -> Self {
        if generation.attempt == *attempt { Self::Ours(generation) } else { Self::Anothers(generation) }
    }

    fn into_generation(self) -> Generation {
        match self {
            Self::Ours(generation) | Self::Anothers(generation) => generation,
        }
    }
}
