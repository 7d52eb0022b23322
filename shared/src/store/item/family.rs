//! The items of a family, and a session's entry in its user's collection.

use std::time::Duration;

use super::{EXPIRES_AT, Fields, Item, with_client};
use crate::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use crate::moment::{Nonce, Timestamp};
use crate::store::StoreError;
use crate::store::keys::{self, Key};

/// One generation of a family: that it stands is what retires its predecessor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Position in the family, from 0.
    pub number: u32,
    /// Random identity, which the tokens of this generation carry.
    pub gid: Nonce,
    /// The `gid` of the generation before it; none for generation 0.
    pub parent: Option<Nonce>,
    /// Of the request that put it.
    pub attempt: Nonce,
    /// When it was put, by the clock of the request that put it.
    pub minted_at: Timestamp,
    /// The `exp` of every token of this generation.
    pub token_expires_at: Timestamp,
    /// Who rotated to it.
    pub client: Client,
    /// The request that put it.
    pub request_id: String,
    /// What generation 0 says about its session.
    pub opening: Option<Opening>,
}

/// What only generation 0 holds: whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The user.
    pub subject: Subject,
    /// The organization, where the product knows one.
    pub org: Option<OrgKey>,
    /// When the session ends whatever is refreshed.
    pub session_expires_at: Timestamp,
    /// What the opener called it (a device's name), up to 64 characters.
    pub label: Option<String>,
}

impl Generation {
    const KIND: &str = "generation";

    /// Whether this is the next generation after `before`, put by whoever presented a token of it.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        before.number.checked_add(1) == Some(self.number) && self.parent.as_ref() == Some(&before.gid)
    }

    /// As the family's item; `expires_at` must outlive every token that it retires or speaks for.
    #[must_use]
    pub fn to_item(&self, tenant: &Tenant, family: FamilyId, expires_at_secs: i64) -> Item {
        let key = Key { pk: keys::family(tenant, family), sk: keys::generation(self.number) };
        let opening = self.opening.as_ref();
        with_client(Item::at(key), &self.client)
            .text("gid", self.gid.as_str().to_owned())
            .text("parent", self.parent.as_ref().map(|gid| gid.as_str().to_owned()))
            .text("attempt", self.attempt.as_str().to_owned())
            .number("minted_at", self.minted_at.millis())
            .number("token_expires_at", self.token_expires_at.secs())
            .text("request_id", self.request_id.clone())
            .text("subject", opening.map(|o| o.subject.as_str().to_owned()))
            .text("org", opening.and_then(|o| o.org.as_ref()).map(|org| org.as_str().to_owned()))
            .number("session_expires_at", opening.map(|o| o.session_expires_at.secs()))
            .text("label", opening.and_then(|o| o.label.clone()))
            .number(EXPIRES_AT, expires_at_secs)
    }

    /// From the family's item.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] where an attribute is missing or of another form.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        let digits = item.key.sk.strip_prefix(keys::GENERATION_PREFIX).unwrap_or_default();
        let opening = match fields.number_if_any("session_expires_at")? {
            None => None,
            Some(session_expires_at) => Some(Opening {
                subject: fields.parsed("subject", fields.text("subject")?)?,
                org: fields.name_if_any("org")?,
                session_expires_at: Timestamp::from_secs(session_expires_at),
                label: fields.text_if_any("label")?.map(str::to_owned),
            }),
        };
        Ok(Self {
            number: fields.generation_number("sk", digits)?,
            gid: Nonce::from_text(fields.text("gid")?),
            parent: fields.text_if_any("parent")?.map(Nonce::from_text),
            attempt: Nonce::from_text(fields.text("attempt")?),
            minted_at: Timestamp::from_millis(fields.number("minted_at")?),
            token_expires_at: Timestamp::from_secs(fields.number("token_expires_at")?),
            client: fields.client()?,
            request_id: fields.text("request_id")?.to_owned(),
            opening,
        })
    }
}

/// Why a family ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A retired token came back after its grace window.
    Reuse,
    /// A token of ours whose generation the table does not have: deleted, or restored from an older copy.
    UnknownGeneration,
    /// The user, or the user's backend, ended the session.
    SignOut,
    /// An operator ended it.
    Operator,
    /// The user was suspended.
    AccountSuspended,
    /// The user was removed.
    AccountRemoved,
}

impl Cause {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::Reuse,
        Self::UnknownGeneration,
        Self::SignOut,
        Self::Operator,
        Self::AccountSuspended,
        Self::AccountRemoved,
    ];

    /// As items and log lines spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reuse => "reuse",
            Self::UnknownGeneration => "unknown_generation",
            Self::SignOut => "sign_out",
            Self::Operator => "operator",
            Self::AccountSuspended => "account_suspended",
            Self::AccountRemoved => "account_removed",
        }
    }
}

impl std::str::FromStr for Cause {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text).ok_or(())
    }
}

/// The item that ends a family. The first one stands for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// When.
    pub sealed_at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// Whose session it was, where the one who ended it knew; generation 0, which says so too, may have expired.
    pub subject: Option<Subject>,
    /// What was seen of the family's generations as it ended.
    pub evidence: Option<Evidence>,
    /// From where; an operator's own machine names no address.
    pub client: Client,
    /// By which request or tool.
    pub request_id: String,
}

/// The generations that an end is told from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The generation of the token whose presentation ended the family; none where somebody ended it without one.
    pub presented: Option<u32>,
    /// The newest generation that stood then.
    pub live: u32,
}

impl Seal {
    const KIND: &str = "seal";

    /// As the family's item.
    #[must_use]
    pub fn to_item(&self, tenant: &Tenant, family: FamilyId, expires_at_secs: i64) -> Item {
        let key = Key { pk: keys::family(tenant, family), sk: keys::SEAL.to_owned() };
        with_client(Item::at(key), &self.client)
            .number("sealed_at", self.sealed_at.millis())
            .text("cause", self.cause.as_str().to_owned())
            .text("subject", self.subject.as_ref().map(|subject| subject.as_str().to_owned()))
            .number("presented_generation", self.evidence.and_then(|e| e.presented).map(i64::from))
            .number("live_generation", self.evidence.map(|e| i64::from(e.live)))
            .text("request_id", self.request_id.clone())
            .number(EXPIRES_AT, expires_at_secs)
    }

    /// From the family's item.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] where an attribute is missing or of another form.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        let generation = |name: &str| -> Result<Option<u32>, StoreError> {
            Ok(fields.number_if_any(name)?.and_then(|number| u32::try_from(number).ok()))
        };
        let (presented, live) = (generation("presented_generation")?, generation("live_generation")?);
        Ok(Self {
            sealed_at: Timestamp::from_millis(fields.number("sealed_at")?),
            cause: fields.text("cause")?.parse().map_err(|()| fields.malformed("cause is unknown"))?,
            subject: fields.name_if_any("subject")?,
            evidence: live.map(|live| Evidence { presented, live }),
            client: fields.client()?,
            request_id: fields.text("request_id")?.to_owned(),
        })
    }
}

/// That a generation was reissued to a client other than the one that rotated to it: what a theft within the grace
/// window looks like, and an honest user on a train too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReissueNote {
    /// The successor whose predecessor's token was presented.
    pub generation: u32,
    /// When it first happened for this client.
    pub reissued_at: Timestamp,
    /// The other client.
    pub client: Client,
    /// The request that was served.
    pub request_id: String,
}

impl ReissueNote {
    const KIND: &str = "reissue note";

    /// As the family's item; one per generation and client.
    #[must_use]
    pub fn to_item(&self, tenant: &Tenant, family: FamilyId, client_hash: &str, expires_at_secs: i64) -> Item {
        let key = Key { pk: keys::family(tenant, family), sk: keys::reissue(self.generation, client_hash) };
        with_client(Item::at(key), &self.client)
            .number("reissued_at", self.reissued_at.millis())
            .text("request_id", self.request_id.clone())
            .number(EXPIRES_AT, expires_at_secs)
    }

    /// From the family's item.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] where an attribute is missing or of another form.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        let rest = item.key.sk.strip_prefix(keys::REISSUE_PREFIX).unwrap_or_default();
        let digits = rest.split_once('#').map_or(rest, |(digits, _)| digits);
        Ok(Self {
            generation: fields.generation_number("sk", digits)?,
            reissued_at: Timestamp::from_millis(fields.number("reissued_at")?),
            client: fields.client()?,
            request_id: fields.text("request_id")?.to_owned(),
        })
    }
}

/// No session is configured to last longer: the upper bound of the functions' `…_ABSOLUTE_SECS`. When one ends of which
/// nobody can tell; a seal that stands too long does no harm.
pub const SESSION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A session in its user's collection, written with generation 0 and never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEntry {
    /// The family of the session.
    pub family: FamilyId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ends whatever is refreshed.
    pub session_expires_at: Timestamp,
    /// What the opener called it.
    pub label: Option<String>,
}

impl SessionEntry {
    const KIND: &str = "session";

    /// As the user's item.
    #[must_use]
    pub fn to_item(&self, tenant: &Tenant, subject: &Subject, expires_at_secs: i64) -> Item {
        Item::at(Key { pk: keys::user(tenant, subject), sk: keys::session(self.family) })
            .number("opened_at", self.opened_at.millis())
            .number("session_expires_at", self.session_expires_at.secs())
            .text("label", self.label.clone())
            .number(EXPIRES_AT, expires_at_secs)
    }

    /// From the user's item, of whatever form its attributes are: no broken one may keep a session from being listed and
    /// ended. What cannot be read is as the key has it: a family's name holds the time at which it was opened, and none
    /// lasts longer than [`SESSION_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Malformed`] where not even the key names a family.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        let family = item.key.sk.strip_prefix(keys::SESSION_PREFIX).unwrap_or_default();
        let family: FamilyId = fields.parsed("sk", family)?;
        let at = |name| fields.number(name).ok();
        Ok(Self {
            family,
            opened_at: at("opened_at").map_or_else(|| family.opened_at(), Timestamp::from_millis),
            session_expires_at: at("session_expires_at")
                .map_or_else(|| family.opened_at().plus(SESSION_MAX), Timestamp::from_secs),
            label: fields.text_if_any("label").ok().flatten().map(str::to_owned),
        })
    }
}

/// That a session was opened under a client token, in its user's collection beside the session's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningReceipt {
    /// The family of the session.
    pub family: FamilyId,
    /// When it was opened.
    pub opened_at: Timestamp,
}

impl OpeningReceipt {
    const KIND: &str = "receipt";

    /// As the user's item, at the client token's key.
    #[must_use]
    pub fn to_item(&self, key: Key, expires_at_secs: i64) -> Item {
        Item::at(key)
            .text("family", self.family.to_string())
            .number("opened_at", self.opened_at.millis())
            .number(EXPIRES_AT, expires_at_secs)
    }

    /// From the user's item.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] where an attribute is missing or of another form.
    pub fn from_item(item: &Item) -> Result<Self, StoreError> {
        let fields = Fields { kind: Self::KIND, item };
        Ok(Self {
            family: fields.parsed("family", fields.text("family")?)?,
            opened_at: Timestamp::from_millis(fields.number("opened_at")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{NAME_MAX_BYTES, TENANT_MAX_BYTES};
    use ulid::Ulid;

    fn widest_client() -> Client {
        Client::new(Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap()), &"u".repeat(500))
    }

    fn widest_generation() -> Generation {
        let nonce = Nonce::from_bytes([255; 16]);
        Generation {
            number: u32::MAX,
            gid: nonce.clone(),
            parent: Some(nonce.clone()),
            attempt: nonce,
            minted_at: Timestamp::from_millis(i64::MAX),
            token_expires_at: Timestamp::from_secs(9_999_999_999),
            client: widest_client(),
            request_id: Ulid::max().to_string(),
            opening: Some(Opening {
                subject: Subject::new("s".repeat(NAME_MAX_BYTES)).unwrap(),
                org: Some(OrgKey::new("o".repeat(NAME_MAX_BYTES)).unwrap()),
                session_expires_at: Timestamp::from_secs(9_999_999_999),
                label: Some("l".repeat(64)),
            }),
        }
    }

    fn tenant() -> Tenant {
        Tenant::new("t".repeat(TENANT_MAX_BYTES)).unwrap()
    }

    #[test]
    fn every_item_of_a_family_stays_under_one_kilobyte_at_the_extremes_of_each_field() {
        let family = FamilyId::new(Ulid::max());
        let seal = Seal {
            sealed_at: Timestamp::from_millis(i64::MAX),
            cause: Cause::UnknownGeneration,
            subject: Some(Subject::new("s".repeat(NAME_MAX_BYTES)).unwrap()),
            evidence: Some(Evidence { presented: Some(u32::MAX), live: u32::MAX }),
            client: widest_client(),
            request_id: Ulid::max().to_string(),
        };
        let note = ReissueNote {
            generation: u32::MAX,
            reissued_at: Timestamp::from_millis(i64::MAX),
            client: widest_client(),
            request_id: Ulid::max().to_string(),
        };
        let session = SessionEntry {
            family,
            opened_at: Timestamp::from_millis(i64::MAX),
            session_expires_at: Timestamp::from_secs(9_999_999_999),
            label: Some("l".repeat(64)),
        };
        let subject = Subject::new("#".repeat(NAME_MAX_BYTES)).unwrap();
        let receipt = OpeningReceipt { family, opened_at: Timestamp::from_millis(i64::MAX) };
        let receipt_key = Key { pk: keys::user(&tenant(), &subject), sk: keys::receipt(&keys::digest(&["token"])) };
        for item in [
            widest_generation().to_item(&tenant(), family, i64::MAX),
            seal.to_item(&tenant(), family, i64::MAX),
            note.to_item(&tenant(), family, &"f".repeat(16), i64::MAX),
            session.to_item(&tenant(), &subject, i64::MAX),
            receipt.to_item(receipt_key, i64::MAX),
        ] {
            assert!(item.size_bytes() < 1024, "{} bytes at {}", item.size_bytes(), item.key.sk);
        }
    }

    #[test]
    fn a_generation_reads_back_as_it_was_written() {
        let family = FamilyId::new(Ulid::max());
        let written = widest_generation();
        assert_eq!(Generation::from_item(&written.to_item(&tenant(), family, 1)).unwrap(), written);
        let later = Generation { opening: None, parent: None, ..written };
        assert_eq!(Generation::from_item(&later.to_item(&tenant(), family, 1)).unwrap(), later);
    }

    #[test]
    fn a_malformed_item_is_named_without_its_values() {
        let item = Item::at(Key { pk: "FAMILY#x#y".into(), sk: keys::generation(3) }).text("gid", "secret".to_owned());
        let error = Generation::from_item(&item).unwrap_err();
        assert!(!error.to_string().contains("secret"));
        assert!(error.to_string().contains("attempt is missing"), "{error}");
        assert!(!format!("{item:?}").contains("secret"));
    }

    #[test]
    fn every_cause_reads_back_as_it_is_spelled() {
        for cause in Cause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(cause));
        }
    }
}
