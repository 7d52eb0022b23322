//! Proving a session without rotating it, for a product whose clients keep one refresh token: the same query, no put. A
//! session lives until it is sealed or expires, and every call asks the store.
//!
//! A family may have been rotated all the same, by a client that keeps its token in a cookie. Then what is presented here
//! is a retired token, and [`decide`] judges it as it does there: believed for its own window, and no longer.

use super::decide::{Decision, Facts, Refusal, Revocation, Slot, decide};
use super::policy::RotationPolicy;
use super::{Ending, SealedFamilies, end_family, family, note_reissue, read_further};
use crate::limit::Admitted;
use crate::moment::Moment;
use crate::store::item::{Cause, Generation};
use crate::store::{Meter, Store, StoreError};
use crate::token::Claims;

/// A session that the store knows to be live: what stands in for `Rotated` where nothing is rotated.
///
/// Only [`prove`] makes one.
///
/// ```compile_fail,E0451
/// # fn skip(admitted: rondo_shared::limit::Admitted) {
/// // the fields are private
/// let proven = rondo_shared::rotation::prove::Proven { admitted, another_client: false };
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Proven {
    admitted: Admitted,
    another_client: bool,
}

impl Proven {
    /// What admitted the request.
    #[must_use]
    pub const fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// Whether the token was a retired one of a family that was rotated, believed within its window, and its client is not
    /// the one that put the successor or the live generation: reported, as in a rotation.
    #[must_use]
    pub const fn another_client(&self) -> bool {
        self.another_client
    }

    /// What the presented token said.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        self.admitted.presented().claims()
    }
}

/// Why a session was not proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The family is sealed.
    #[error("the family is sealed")]
    Sealed(Cause),
    /// The store does not know the token's generation. Nothing is written: without rotation nobody can have gone on.
    #[error("the session is unknown")]
    Unknown,
    /// The family was rotated after all, and the return of this retired token has just ended it.
    #[error("the family was revoked")]
    Revoked(Revocation),
    /// The family was rotated a moment ago, by this very token, and the grace window is off; nothing was changed.
    #[error("another request is rotating this token")]
    Conflict,
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Proves an admitted token: 1 RRU. A retired one of a family that was rotated costs 1 RRU more where it is three or more
/// generations behind, another where it is served from four or more behind, and 1 WRU where it ends the family or is served
/// to another client than the one that rotated.
///
/// # Errors
/// [`ProveError`]; only [`ProveError::Conflict`] and [`ProveError::Store`] may pass.
pub async fn prove<S: Store>(
    admitted: Admitted,
    policy: &RotationPolicy,
    sealed: &SealedFamilies,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Proven, ProveError> {
    let claims = admitted.presented().claims();
    let items = store.query(&family::newest_two(&claims.tenant, claims.sid), meter).await?;
    let (seal, newest) = family::read_newest(&items)?;
    if let Some(seal) = seal {
        sealed.remember(claims.sid, seal.cause);
        return Err(ProveError::Sealed(seal.cause));
    }
    let live = match newest.first() {
        Some(live) if live.number > claims.generation => live.number,
        Some(live) if live.number == claims.generation && live.gid == claims.gid => {
            return Ok(Proven { admitted, another_client: false });
        }
        Some(_) | None => return Err(ProveError::Unknown),
    };
    let decision = match successor(claims, &newest, store, meter).await? {
        Some(slot) => {
            let facts = Facts {
                number: claims.generation,
                gid: &claims.gid,
                client: admitted.presented().client(),
                seal: None,
                slot: &Slot::Anothers(slot),
                newest: &newest,
                further: None,
            };
            let further = read_further(&facts, claims, policy, store, moment, meter).await?;
            decide(&Facts { further: further.as_ref(), ..facts }, policy, moment.now)
        }
        // A gap in the line: somebody deleted what was there.
        None => Decision::Revoke(Revocation::UnknownGeneration),
    };
    match decision {
        Decision::Reissue { another_client } => {
            if another_client {
                note_reissue(&admitted, store, moment, meter).await?;
            }
            Ok(Proven { admitted, another_client })
        }
        Decision::Refuse(Refusal::Sealed(cause)) => Err(ProveError::Sealed(cause)),
        // Never: nothing was put, so that no slot is ours.
        Decision::Rotate => Err(ProveError::Unknown),
        Decision::Refuse(Refusal::Conflict) => Err(ProveError::Conflict),
        Decision::Revoke(revocation) => {
            match end_family(&admitted, revocation.cause(), live, sealed, store, moment, meter).await? {
                Ending::Ours => Err(ProveError::Revoked(revocation)),
                Ending::Anothers(cause) => Err(ProveError::Sealed(cause)),
            }
        }
    }
}

/// What retired the token, and anchors its window: among the newest two, or read for it.
async fn successor<S: Store>(
    claims: &Claims,
    newest: &[Generation],
    store: &S,
    meter: &Meter,
) -> Result<Option<Generation>, StoreError> {
    let number = claims.generation.saturating_add(1);
    if let Some(found) = newest.iter().find(|generation| generation.number == number) {
        return Ok(Some(found.clone()));
    }
    family::generation(&claims.tenant, claims.sid, number, store, meter).await
}
