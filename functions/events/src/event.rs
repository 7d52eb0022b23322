//! What is told, and what is kept back.
//!
//! An event names the family, the user and the organization, which its consumers need and the table has. The address and
//! the user agent are personal data about whoever presented a token: they are in the two events that are evidence, and in
//! no other. A token, a `gid` and a session's label are in none.

use rondo_shared::identity::{Client, FamilyId, Tenant};
use rondo_shared::moment::Timestamp;
use rondo_shared::store::item::{Generation, Opening, ReissueNote, Seal};
use serde_json::{Value, json};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session was opened.
    Opened,
    /// A session ended before its time, whatever the cause.
    Ended,
    /// A retired token came back after its window, which has ended its session.
    Reuse,
    /// A retired token came back within its window from another client, which was served.
    Reissued,
    /// A record of the stream tells something that nobody understands.
    Unreadable,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Opened, Self::Ended, Self::Reuse, Self::Reissued, Self::Unreadable];

    /// As EventBridge's `detail-type` has it.
    #[must_use]
    pub const fn detail_type(self) -> &'static str {
        match self {
            Self::Opened => "session opened",
            Self::Ended => "session ended",
            Self::Reuse => "reuse detected",
            Self::Reissued => "reissued to another client",
            Self::Unreadable => "stream record unreadable",
        }
    }

    /// As its schema's file and its events' ids have it.
    #[must_use]
    pub fn slug(self) -> String {
        self.detail_type().replace(' ', "-")
    }
}

/// Which session, and which of its items tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose namespace.
    pub tenant: Tenant,
    /// Which family.
    pub family: FamilyId,
    /// The item's sort key.
    pub sk: String,
}

/// Something to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    kind: Kind,
    at: Option<Timestamp>,
    detail: Value,
}

impl Event {
    pub(crate) fn new(kind: Kind, id: String, at: Option<Timestamp>, detail: Value) -> Self {
        let mut detail = detail;
        if let Some(members) = detail.as_object_mut() {
            members.insert("id".to_owned(), Value::String(id));
        }
        Self { kind, at, detail }
    }

    fn of(kind: Kind, session: &Session, at: Timestamp, detail: Value) -> Self {
        let Session { tenant, family, sk } = session;
        let mut detail = detail;
        if let Some(members) = detail.as_object_mut() {
            members.insert("tenant".to_owned(), Value::from(tenant.as_str()));
            members.insert("family".to_owned(), Value::from(family.to_string()));
            members.insert("at".to_owned(), Value::from(at.iso8601()));
        }
        Self::new(kind, format!("{tenant}/{family}/{sk}/{}", kind.slug()), Some(at), detail)
    }

    /// By its first generation.
    #[must_use]
    pub fn opened(session: &Session, first: &Generation, opening: &Opening) -> Self {
        let detail = json!({
            "user": opening.subject.as_str(),
            "org": opening.org.as_ref().map(rondo_shared::identity::OrgKey::as_str),
            "generation": first.number,
            "session_expires_at": opening.session_expires_at.iso8601(),
            "request_id": first.request_id,
        });
        Self::of(Kind::Opened, session, first.minted_at, detail)
    }

    /// By its seal.
    #[must_use]
    pub fn ended(session: &Session, seal: &Seal) -> Self {
        let detail = json!({
            "user": seal.subject.as_ref().map(rondo_shared::identity::Subject::as_str),
            "cause": seal.cause.as_str(),
            "generation": seal.evidence.map(|evidence| evidence.live),
            "request_id": seal.request_id,
        });
        Self::of(Kind::Ended, session, seal.sealed_at, detail)
    }

    /// By a seal whose cause is a reuse.
    #[must_use]
    pub fn reuse(session: &Session, seal: &Seal) -> Self {
        let detail = json!({
            "user": seal.subject.as_ref().map(rondo_shared::identity::Subject::as_str),
            "generation": seal.evidence.and_then(|evidence| evidence.presented),
            "live_generation": seal.evidence.map(|evidence| evidence.live),
            "client": shown(&seal.client),
            "request_id": seal.request_id,
        });
        Self::of(Kind::Reuse, session, seal.sealed_at, detail)
    }

    /// By its note.
    #[must_use]
    pub fn reissued(session: &Session, note: &ReissueNote) -> Self {
        let detail = json!({
            "generation": note.generation,
            "client": shown(&note.client),
            "request_id": note.request_id,
        });
        Self::of(Kind::Reissued, session, note.reissued_at, detail)
    }

    /// What happened.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// When, where that is known.
    #[must_use]
    pub const fn at(&self) -> Option<Timestamp> {
        self.at
    }

    /// What is told of it.
    #[must_use]
    pub const fn detail(&self) -> &Value {
        &self.detail
    }

    /// The same each time that the same thing is told, and no other thing's.
    #[must_use]
    pub fn id(&self) -> &str {
        self.detail.get("id").and_then(Value::as_str).unwrap_or_default()
    }
}

fn shown(client: &Client) -> Value {
    json!({"ip": client.ip(), "user_agent": client.user_agent()})
}
