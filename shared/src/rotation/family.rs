//! A family as an item collection: what is asked of it, how its seal is put, and how long its items stand.
//!
//! DynamoDB deletes expired items late or not at all, and never decides anything: what matters is only that nothing is
//! deleted too early. A generation outlives every token that its presence retires or speaks for, and the seal outlives
//! the session. The functions here compute every `expires_at` of a family, and a property test holds them.

use std::time::Duration;

use crate::identity::{Client, FamilyId, Tenant};
use crate::moment::Timestamp;
use crate::store::item::{Generation, ReissueNote, Seal};
use crate::store::{Item, Meter, Put, Query, Store, StoreError, keys};

/// Added to every `expires_at`: more than clocks differ and than any grace window lasts.
pub const EXPIRY_SLACK: Duration = Duration::from_hours(1);
/// Items read at once when a whole family is read: under 1 MB, since each is under 1 KB.
const PAGE: u16 = 500;

/// Asks for the seal, if there is one, and the newest generations: two items, newest first, over `GEN#` and `SEAL`. The
/// seal sorts last, so that it comes first.
#[must_use]
pub fn newest_two(tenant: &Tenant, family: FamilyId) -> Query {
    Query {
        pk: keys::family(tenant, family),
        from: keys::GENERATION_PREFIX.to_owned(),
        to: keys::SEAL.to_owned(),
        newest_first: true,
        limit: 2,
    }
}

/// Tells the seal from the generations in what [`newest_two`] returned.
///
/// # Errors
/// [`StoreError::Malformed`] where an item is not of its kind's form.
pub fn read_newest(items: &[Item]) -> Result<(Option<Seal>, Vec<Generation>), StoreError> {
    let seal = items.iter().find(|item| item.key.sk == keys::SEAL).map(Seal::from_item).transpose()?;
    let generations = items.iter().filter(|item| item.key.sk != keys::SEAL).map(Generation::from_item);
    Ok((seal, generations.collect::<Result<_, _>>()?))
}

/// Reads one generation: 1 RRU, whether or not it stands. By a query, since that is what the functions that refresh may
/// do in a family: their roles let them get nothing there.
///
/// # Errors
/// [`StoreError`] where nobody can tell.
pub async fn generation<S: Store>(
    tenant: &Tenant,
    family: FamilyId,
    number: u32,
    store: &S,
    meter: &Meter,
) -> Result<Option<Generation>, StoreError> {
    let sk = keys::generation(number);
    let query = Query { pk: keys::family(tenant, family), from: sk.clone(), to: sk, newest_first: true, limit: 1 };
    store.query(&query, meter).await?.first().map(Generation::from_item).transpose()
}

/// Puts the seal, once and for all: a family sealed already keeps the seal that it has, which is returned.
///
/// # Errors
/// [`StoreError`]: the family may or may not be sealed now, and the caller may not say that it is.
pub async fn seal<S: Store>(
    tenant: &Tenant,
    family: FamilyId,
    seal: &Seal,
    session_expires_at: Timestamp,
    store: &S,
    meter: &Meter,
) -> Result<Seal, StoreError> {
    let item = seal.to_item(tenant, family, until_session_ends(session_expires_at));
    match store.put_if_absent(&item, meter).await? {
        Put::Stored => Ok(seal.clone()),
        Put::Standing(item) => Seal::from_item(&item),
    }
}

/// The `expires_at` of a generation: after its own tokens and after the one whose presentation put it
/// (`presented_exp`, a NumericDate), which its presence retires.
#[must_use]
pub fn generation_expires_at(generation: &Generation, presented_exp: i64) -> i64 {
    generation.token_expires_at.max(Timestamp::from_secs(presented_exp)).plus(EXPIRY_SLACK).secs_rounded_up()
}

/// The `expires_at` of a seal and of a reissue note: after the last token that the session can have.
#[must_use]
pub fn until_session_ends(session_expires_at: Timestamp) -> i64 {
    session_expires_at.plus(EXPIRY_SLACK).secs_rounded_up()
}

/// A client's place among the reissue notes of a generation.
#[must_use]
pub fn client_hash(client: &Client) -> String {
    keys::digest(&[&client.ip(), client.user_agent()])
}

/// Everything that stands of a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Oldest first.
    pub generations: Vec<Generation>,
    /// By generation.
    pub reissues: Vec<ReissueNote>,
    /// How it ended, if it did.
    pub seal: Option<Seal>,
}

impl History {
    /// The last generation that a client was given, as far as anybody can tell: see [`fate`](super::fate).
    #[must_use]
    pub fn last_given(&self) -> Option<Generation> {
        let newest = self.generations.iter().rev().cloned().collect();
        super::fate::last_given(newest, &self.reissues, self.seal.as_ref())
    }
}

/// Reads a whole family, page by page: for a person who wants to know what happened. The walk never does.
///
/// # Errors
/// [`StoreError`] where a page cannot be read.
pub async fn history<S: Store>(
    tenant: &Tenant,
    family: FamilyId,
    store: &S,
    meter: &Meter,
) -> Result<History, StoreError> {
    let mut history = History::default();
    for item in whole_collection(keys::family(tenant, family), keys::REISSUE_PREFIX, keys::SEAL, store, meter).await? {
        if item.key.sk == keys::SEAL {
            history.seal = Some(Seal::from_item(&item)?);
        } else if item.key.sk.starts_with(keys::REISSUE_PREFIX) {
            history.reissues.push(ReissueNote::from_item(&item)?);
        } else {
            history.generations.push(Generation::from_item(&item)?);
        }
    }
    Ok(history)
}

/// Reads all of a collection between two sort keys, oldest first.
pub(crate) async fn whole_collection<S: Store>(
    pk: String,
    from: &str,
    to: &str,
    store: &S,
    meter: &Meter,
) -> Result<Vec<Item>, StoreError> {
    let mut query = Query { pk, from: from.to_owned(), to: to.to_owned(), newest_first: false, limit: PAGE };
    let mut items = Vec::new();
    loop {
        let page = store.query(&query, meter).await?;
        let Some(last) = page.last().filter(|_| page.len() >= usize::from(PAGE)) else {
            items.extend(page);
            return Ok(items);
        };
        query.from = after(&last.key.sk);
        items.extend(page);
    }
}

/// The least sort key after this one.
pub(crate) fn after(sk: &str) -> String {
    format!("{sk}\0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Nonce;
    use crate::rotation::policy::{Grace, RotationPolicy};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_item_of_a_family_expires_before_the_tokens_that_need_it(
            idles in prop::collection::vec(60_u64..10_000_000, 1..20),
            gaps in prop::collection::vec(0_i64..10_000_000_000, 20),
            absolute in 60_u64..100_000_000,
        ) {
            let mut now = Timestamp::from_millis(1_700_000_000_123);
            let session_expires_at = now.plus(Duration::from_secs(absolute));
            let mut presented_exp = now.secs();
            // The idle time may be set anew at any rotation, and be shorter than it was.
            for (number, (idle, gap)) in idles.into_iter().zip(gaps).enumerate() {
                now = Timestamp::from_millis(now.millis() + gap);
                let policy = RotationPolicy {
                    grace: Grace::Off, idle: Duration::from_secs(idle), absolute: Duration::ZERO, amnesty: None,
                };
                let generation = Generation {
                    number: u32::try_from(number).unwrap(),
                    gid: Nonce::from_text("g"), parent: None, attempt: Nonce::from_text("a"),
                    minted_at: now,
                    token_expires_at: policy.token_expires_at(now, session_expires_at),
                    client: Client::new(None, ""), request_id: String::new(), opening: None,
                };
                let expires_at = generation_expires_at(&generation, presented_exp);
                prop_assert!(expires_at > presented_exp);
                prop_assert!(expires_at > generation.token_expires_at.secs());
                prop_assert!(until_session_ends(session_expires_at) > generation.token_expires_at.secs());
                presented_exp = generation.token_expires_at.secs();
            }
        }
    }

    #[test]
    fn clients_that_differ_in_address_or_agent_have_notes_of_their_own() {
        let hash = |ip: &str, agent: &str| client_hash(&Client::new(Some(ip.parse().unwrap()), agent));
        let one = hash("192.0.2.1", "a");
        assert_eq!(one.len(), 22);
        assert!(one != hash("192.0.2.2", "a") && one != hash("192.0.2.1", "b"));
    }
}
