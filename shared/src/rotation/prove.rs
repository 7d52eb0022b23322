//! Proving a session without rotating it, for a product whose clients keep one refresh token: the same query, no put. A
//! session lives until it is sealed or expires, and every call asks the store.

use super::policy::{Grace, RotationPolicy};
use super::{SealedFamilies, family};
use crate::limit::Admitted;
use crate::moment::{Moment, Timestamp};
use crate::store::item::{Cause, Evidence, Generation, Seal};
use crate::store::{Meter, Store, StoreError};
use crate::token::Claims;

/// A session that the store knows to be live: what stands in for `Rotated` where nothing is rotated.
///
/// Only [`prove`] makes one.
///
/// ```compile_fail,E0451
/// # fn skip(admitted: rondo_shared::limit::Admitted) {
/// let proven = rondo_shared::rotation::prove::Proven { admitted }; // the field is private
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Proven {
    admitted: Admitted,
}

impl Proven {
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
    /// The family was rotated after all, by a client that keeps its token in a cookie, and this token's window is over:
    /// the family is sealed now.
    #[error("the family was revoked")]
    Reused,
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the newest generations say of a token that is not to be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Live,
    Reused,
    Unknown,
}

/// Proves an admitted token: 1 RRU, and 1 WRU where a reuse is found.
///
/// # Errors
/// [`ProveError`]; only [`ProveError::Store`] may pass.
pub async fn prove<S: Store>(
    admitted: Admitted,
    policy: &RotationPolicy,
    sealed: &SealedFamilies,
    store: &S,
    moment: &Moment,
    meter: &Meter,
) -> Result<Proven, ProveError> {
    let claims = admitted.presented().claims();
    let newest = store.query(&family::newest_two(&claims.tenant, claims.sid), meter).await?;
    let (seal, generations) = family::read_newest(&newest)?;
    if let Some(seal) = seal {
        sealed.remember(claims.sid, seal.cause);
        return Err(ProveError::Sealed(seal.cause));
    }
    match judge(claims, &generations, policy, moment.now) {
        Standing::Live => Ok(Proven { admitted }),
        Standing::Unknown => Err(ProveError::Unknown),
        Standing::Reused => {
            let live = generations.first().map_or(claims.generation, |newest| newest.number);
            let seal = Seal {
                sealed_at: moment.now,
                cause: Cause::Reuse,
                evidence: Some(Evidence { presented: claims.generation, live }),
                client: admitted.presented().client().clone(),
                request_id: moment.request_id.to_string(),
            };
            let session_expires_at = Timestamp::from_secs(claims.session_expires_at);
            family::seal(&claims.tenant, claims.sid, &seal, session_expires_at, store, meter).await?;
            sealed.remember(claims.sid, Cause::Reuse);
            Err(ProveError::Reused)
        }
    }
}

/// The newest generation must be the token's own, or its successor within the window. Of an older one nothing tells
/// whether its line is unbroken, and its window may be over: it is taken for a reuse.
fn judge(claims: &Claims, newest: &[Generation], policy: &RotationPolicy, now: Timestamp) -> Standing {
    match newest {
        [live, ..] if live.number == claims.generation && live.gid == claims.gid => Standing::Live,
        [live, before, ..] if before.number == claims.generation && before.gid == claims.gid => {
            let window = match policy.grace {
                Grace::Off => std::time::Duration::ZERO,
                Grace::Window(window) | Grace::UntilSuccessorUsed { at_most: window } => window,
            };
            if now.since(live.minted_at) < window { Standing::Live } else { Standing::Reused }
        }
        [live, ..] if live.number > claims.generation => Standing::Reused,
        [_, ..] | [] => Standing::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Client, FamilyId, Subject, Tenant};
    use crate::moment::Nonce;
    use std::time::Duration;
    use ulid::Ulid;

    const MINTED_AT: Timestamp = Timestamp::from_millis(1_000_000);

    fn generation(number: u32) -> Generation {
        Generation {
            number,
            gid: Nonce::from_text(format!("gid-{number}")),
            parent: None,
            attempt: Nonce::from_text("a"),
            minted_at: MINTED_AT,
            token_expires_at: MINTED_AT,
            client: Client::new(None, ""),
            request_id: String::new(),
            opening: None,
        }
    }

    fn judged(newest: &[Generation], age_millis: i64) -> Standing {
        let claims = Claims {
            iss: String::new(),
            aud: String::new(),
            sub: Subject::new("u").unwrap(),
            exp: 0,
            iat: 0,
            nbf: None,
            jti: Nonce::from_text("j"),
            sid: FamilyId::new(Ulid::nil()),
            generation: 3,
            gid: Nonce::from_text("gid-3"),
            tenant: Tenant::new("t").unwrap(),
            org: None,
            client_id: None,
            session_expires_at: 0,
        };
        let policy = RotationPolicy {
            grace: Grace::Window(Duration::from_secs(30)),
            idle: Duration::ZERO,
            absolute: Duration::ZERO,
            amnesty: None,
        };
        judge(&claims, newest, &policy, Timestamp::from_millis(MINTED_AT.millis() + age_millis))
    }

    #[test]
    fn a_session_is_live_while_the_tokens_own_generation_is_the_newest() {
        assert_eq!(judged(&[generation(3)], 0), Standing::Live);
        assert_eq!(judged(&[generation(3), generation(2)], i64::MAX / 2), Standing::Live);
    }

    #[test]
    fn a_token_that_was_rotated_is_believed_within_its_window_and_a_reuse_after() {
        let newest = [generation(4), generation(3)];
        let at = |age| judged(&newest, age);
        assert_eq!([at(29_999), at(30_000), at(30_001)], [Standing::Live, Standing::Reused, Standing::Reused]);
        assert_eq!(judged(&[generation(5), generation(4)], 0), Standing::Reused);
    }

    #[test]
    fn a_generation_that_does_not_stand_is_unknown() {
        let stranger = Generation { gid: Nonce::from_text("other"), ..generation(3) };
        for newest in [vec![], vec![generation(2)], vec![stranger]] {
            assert_eq!(judged(&newest, 0), Standing::Unknown);
        }
    }
}
