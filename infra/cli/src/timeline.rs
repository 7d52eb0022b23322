//! What happened to a family, generation by generation, and how it ended: a value made of what the table holds, for a
//! person who has to tell an innocent retry from a theft.

use std::time::Duration;

use rondo_shared::identity::{Client, FamilyId};
use rondo_shared::moment::Timestamp;
use rondo_shared::rotation::family::History;
use rondo_shared::rotation::{Fate, fate_of};
use rondo_shared::store::item::{Cause, Evidence, Generation, Opening, Seal};
use serde_json::{Value, json};

use crate::report::table;

/// A family's story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// Which family.
    pub family: FamilyId,
    /// Whose it is; not known any more once generation 0 has left the table.
    pub opening: Option<Opening>,
    /// What happened, generation by generation.
    pub steps: Vec<Step>,
    /// How it ended, if it did.
    pub ending: Option<Ending>,
}

/// Something that a client did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// Which client.
    pub client: Client,
    /// By which request.
    pub request_id: String,
}

/// One step of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The generation that it led to.
    pub generation: u32,
    /// What it was.
    pub kind: StepKind,
    /// Who did it.
    pub act: Act,
}

/// Kinds of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// The session was opened.
    Opened,
    /// The predecessor's token was presented for the first time.
    Rotated,
    /// The predecessor's token came back within the grace window, from a client other than the one that rotated.
    ReissuedToAnotherClient,
    /// A token was presented as the family ended: the slot was taken, and whether a token was given is not on record.
    PutAboutTheEnd,
    /// A token was presented after the family's end, or brought the end about: the slot was taken and no token given.
    PutAfterTheEnd,
}

impl StepKind {
    /// As the timeline spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Rotated => "rotated",
            Self::ReissuedToAnotherClient => "reissued to another client",
            Self::PutAboutTheEnd => "put as the family ended: given out only if it came first",
            Self::PutAfterTheEnd => "refused: the family had ended",
        }
    }
}

/// How a family ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A retired token came back after its window.
    Reuse {
        /// The generation of the token that came back.
        presented: u32,
        /// The newest one that stood then.
        live: u32,
        /// Who had rotated the presented generation to its successor, if that still stands.
        rotated: Option<Act>,
        /// Who presented the retired token, and when.
        replayed: Act,
    },
    /// For any other cause.
    Sealed {
        /// Which.
        cause: Cause,
        /// The generations seen as it ended.
        evidence: Option<Evidence>,
        /// Who ended it.
        by: Act,
    },
}

impl Timeline {
    /// Tells the story of what the table holds.
    #[must_use]
    pub fn of(family: FamilyId, history: &History) -> Self {
        let mut steps = Vec::new();
        let successors = history.generations.iter().skip(1).map(Some).chain([None]);
        for (generation, successor) in history.generations.iter().zip(successors) {
            let kind = match fate_of(generation, successor, &history.reissues, history.seal.as_ref()) {
                _ if generation.opening.is_some() => StepKind::Opened,
                Fate::Given => StepKind::Rotated,
                Fate::Unclear => StepKind::PutAboutTheEnd,
                Fate::Refused => StepKind::PutAfterTheEnd,
            };
            steps.push(Step { generation: generation.number, kind, act: act_of(generation) });
            let notes = history.reissues.iter().filter(|note| note.generation == generation.number);
            let mut notes: Vec<Step> = notes
                .map(|note| Step {
                    generation: note.generation,
                    kind: StepKind::ReissuedToAnotherClient,
                    act: Act { at: note.reissued_at, client: note.client.clone(), request_id: note.request_id.clone() },
                })
                .collect();
            // They stand in the order of their clients' hashes.
            notes.sort_by_key(|step| step.act.at);
            steps.append(&mut notes);
        }
        let opening = history.generations.iter().find_map(|generation| generation.opening.clone());
        let ending = history.seal.as_ref().map(|seal| ending_of(seal, &history.generations));
        Self { family, opening, steps, ending }
    }

    /// The generation that is live, or was when the family ended.
    #[must_use]
    pub fn live(&self) -> Option<u32> {
        let is_given = |step: &&Step| !matches!(step.kind, StepKind::PutAboutTheEnd | StepKind::PutAfterTheEnd);
        let given = self.steps.iter().filter(is_given);
        given.map(|step| step.generation).max()
    }

    /// The story as a table, with a sentence for its end.
    #[must_use]
    pub fn text(&self) -> String {
        let (after, before): (Vec<_>, Vec<_>) =
            self.steps.iter().partition(|step| step.kind == StepKind::PutAfterTheEnd);
        let told = |step: &Step| row(&step.generation.to_string(), step.kind.as_str(), &step.act);
        let end = self.ending.iter().map(|ending| match ending {
            Ending::Reuse { replayed, .. } => row("", "sealed: reuse", replayed),
            Ending::Sealed { cause, by, .. } => row("", &format!("sealed: {}", cause.as_str()), by),
        });
        let rows = before.into_iter().map(told).chain(end).chain(after.into_iter().map(told));
        let header = ["generation", "what", "when", "ip", "user agent", "request"];
        let ending = self.ending.as_ref().map_or_else(|| "it has not been ended".to_owned(), Ending::sentence);
        format!("{}\n\n{}\n\n{ending}", self.heading(), table(&header, rows))
    }

    fn heading(&self) -> String {
        let family = self.family;
        let Some(Opening { subject, org, session_expires_at, label }) = &self.opening else {
            return format!("family {family}");
        };
        let org = org.as_ref().map(|org| format!(" for {}", org.as_str())).unwrap_or_default();
        let label = label.as_ref().map(|label| format!(", \"{label}\"")).unwrap_or_default();
        let until = session_expires_at.iso8601();
        format!("family {family} of {}{org}{label}, until {until} at most", subject.as_str())
    }

    /// The story as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "family": self.family,
            "opened_at": self.family.opened_at().iso8601(),
            "user": self.opening.as_ref().map(|opening| &opening.subject),
            "org": self.opening.as_ref().and_then(|opening| opening.org.as_ref()),
            "label": self.opening.as_ref().and_then(|opening| opening.label.as_ref()),
            "ends_at": self.opening.as_ref().map(|opening| opening.session_expires_at.iso8601()),
            "live_generation": self.live(),
            "steps": self.steps.iter().map(|step| json!({
                "generation": step.generation,
                "what": step.kind.as_str(),
                "by": step.act.json(),
            })).collect::<Vec<_>>(),
            "ending": self.ending.as_ref().map(Ending::json),
        })
    }
}

fn row(generation: &str, what: &str, act: &Act) -> Vec<String> {
    let Act { at, client, request_id } = act;
    let cells = [generation, what, &at.iso8601(), &client.ip(), client.user_agent(), request_id];
    cells.map(str::to_owned).to_vec()
}

fn act_of(generation: &Generation) -> Act {
    let Generation { minted_at, client, request_id, .. } = generation;
    Act { at: *minted_at, client: client.clone(), request_id: request_id.clone() }
}

fn ending_of(seal: &Seal, generations: &[Generation]) -> Ending {
    let by = Act { at: seal.sealed_at, client: seal.client.clone(), request_id: seal.request_id.clone() };
    match (seal.cause, seal.evidence) {
        (Cause::Reuse, Some(Evidence { presented: Some(presented), live })) => {
            let successor = presented.saturating_add(1);
            let rotated = generations.iter().find(|generation| generation.number == successor).map(act_of);
            Ending::Reuse { presented, live, rotated, replayed: by }
        }
        (cause, evidence) => Ending::Sealed { cause, evidence, by },
    }
}

impl Act {
    fn json(&self) -> Value {
        json!({
            "at": self.at.iso8601(),
            "ip": self.client.ip(),
            "user_agent": self.client.user_agent(),
            "request_id": self.request_id,
        })
    }

    fn who(&self) -> String {
        format!("{} ({})", self.client.ip(), self.client.user_agent())
    }
}

impl Ending {
    /// The end as a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Reuse { presented, live, rotated, replayed } => {
                let (at, thief) = (replayed.at.iso8601(), replayed.who());
                let before = rotated.as_ref().map_or_else(
                    || "had been rotated before, by a client that the table names no more".to_owned(),
                    |act| {
                        // Two requests, two clocks: that it was before is known from the table, how long is not.
                        let ago = match replayed.at.since(act.at) {
                            Duration::ZERO => "shortly".to_owned(),
                            ago => seconds(ago),
                        };
                        format!("had been rotated {ago} before, at {}, by {}", act.at.iso8601(), act.who())
                    },
                );
                let alike = rotated.as_ref().is_some_and(|act| act.client == replayed.client);
                let verdict = if alike {
                    "both look like one client: a retry that came too late, or a thief who imitates it"
                } else {
                    "one of the two clients holds a token that is not its own, or its address or user agent changed"
                };
                format!(
                    "ended by reuse at {at}: {thief} presented generation {presented}, which {before}; \
                     generation {live} was live\n{verdict}"
                )
            }
            Self::Sealed { cause: Cause::UnknownGeneration, evidence, by } => {
                let presented = evidence.and_then(|seen| seen.presented);
                let which = presented.map_or_else(String::new, |presented| format!(" {presented}"));
                let (at, who) = (by.at.iso8601(), by.who());
                format!(
                    "ended by unknown_generation at {at}: {who} presented a token of ours for generation{which}, \
                     whose line the table does not have: items were deleted, or restored from an older copy"
                )
            }
            Self::Sealed { cause, by, .. } => {
                format!("ended by {} at {}, through {}", cause.as_str(), by.at.iso8601(), by.who())
            }
        }
    }

    fn json(&self) -> Value {
        let seen = |evidence: &Evidence| json!({"presented": evidence.presented, "live": evidence.live});
        match self {
            Self::Reuse { presented, live, rotated, replayed } => json!({
                "cause": Cause::Reuse.as_str(),
                "generations": seen(&Evidence { presented: Some(*presented), live: *live }),
                "rotated_by": rotated.as_ref().map(Act::json),
                "replayed_by": replayed.json(),
            }),
            Self::Sealed { cause, evidence, by } => json!({
                "cause": cause.as_str(),
                "generations": evidence.as_ref().map(seen),
                "by": by.json(),
            }),
        }
    }
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}
