//! Plays a schedule against the real function, the real SDK and the embedded store, alone in its thread, in time that
//! is paused: the same schedule plays the same way each time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynoxide::Database;
use rondo_shared::identity::{Client, FamilyId};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::RotationPolicy;
use rondo_shared::session;
use rondo_shared::store::Meter;
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::Cause;
use rondo_shared::store::table::TableDefinition;
use rondo_shared::token::UnverifiedToken;
use rondo_tests::T0;
use rondo_tests::dynamo::TABLE;
use rondo_tests::products::{Function, Product};
use serde_json::Value;

use super::broken::{Broken, Mutant};
use super::dice::Dice;
use super::function::{has_access_token, instant, reader, request};
use super::schedule::{Does, Loss, Schedule, Settings, Step, Trip, Trouble, Who, window};
use super::wire::{At, Attempt, CALLER, Caller, Log, Removal, SharedLog, Write, elapse, families, http, remove};

/// How long a client waits for an answer that does not come.
const PATIENCE: u64 = 3_000;

/// After the opening: when the session ends, as far as the operator knows.
pub const OPERATORS_ENDS: Duration = Duration::from_hours(100 * 24);

/// What a refresh token says, as far as the checker cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub generation: u32,
    pub gid: String,
    pub exp: i64,
    pub session_expires_at: i64,
}

impl Token {
    fn of(text: &str) -> Self {
        let claims = UnverifiedToken::parse(text).unwrap().claims_unverified().unwrap();
        let gid = claims.gid.as_str().to_owned();
        Self { generation: claims.generation, gid, exp: claims.exp, session_expires_at: claims.session_expires_at }
    }
}

/// One request and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub who: Who,
    pub presented: Token,
    /// The session is only proven: the token is one that does not rotate.
    pub proves: bool,
    pub in_body: bool,
    /// When the client sent it, when the function began with it and ended, and what its clock said.
    pub sent: At,
    pub begun: At,
    pub ended: At,
    pub now: Timestamp,
    pub request_id: String,
    pub status: u16,
    pub outcome: &'static str,
    pub cause: Option<&'static str>,
    pub another_client: bool,
    pub minted: Option<Token>,
    pub has_access_token: bool,
    pub sets_cookies: bool,
    /// What its store calls met.
    pub attempts: Vec<Attempt>,
    /// When the answer arrived at the client, if it did.
    pub delivered: Option<At>,
}

impl Asked {
    pub fn troubles_met(&self) -> u64 {
        self.attempts.iter().filter(|attempt| attempt.trouble != Trouble::None).count() as u64
    }
}

/// An operator's attempt to end the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub begun: At,
    pub ended: At,
    pub now: Timestamp,
    pub request_id: String,
    /// The request id of the seal by which the session has ended, as the operator is told.
    pub acknowledged: Option<String>,
    pub attempts: Vec<Attempt>,
}

/// Items that went while nothing was under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub at: At,
    pub loss: Loss,
    /// What went, and whether the seal stood.
    pub keys: BTreeSet<String>,
    pub sealed: bool,
}

/// All that happened.
#[derive(Debug, PartialEq)]
pub struct History {
    pub product: Product,
    /// As the function is set; the amnesty as it should be.
    pub rotation: RotationPolicy,
    /// Of a successor put from the one to the other, by the clock of who put it, in milliseconds.
    pub amnesty: Option<(i64, i64)>,
    pub settings: Settings,
    pub family: FamilyId,
    pub asked: Vec<Asked>,
    pub revoked: Vec<Revoked>,
    pub writes: Vec<Write>,
    pub removals: Vec<Removal>,
    pub lost: Vec<Lost>,
    /// The family's items in the end.
    pub items: Vec<Value>,
    pub story: Vec<(u64, String)>,
}

/// What tabs share, and what the thief has.
#[derive(Default)]
struct Pockets {
    jar: Option<String>,
    stolen: Vec<String>,
}

struct Stage {
    product: Product,
    skews: Vec<i64>,
    instances: Vec<Function<Mutant<DynamoStore>>>,
    store: Mutant<DynamoStore>,
    family: FamilyId,
    log: SharedLog,
    pockets: Mutex<Pockets>,
    asked: Mutex<Vec<Asked>>,
    revoked: Mutex<Vec<Revoked>>,
    lost: Mutex<Vec<Lost>>,
    keeps_tokens: bool,
    /// Requests that have begun and not ended.
    under_way: AtomicU64,
    database: Database,
}

/// Plays it over a store that breaks what `broken` says.
pub fn play(schedule: &Schedule, broken: Broken) -> History {
    // The SDK jitters its retries by this thread's generator.
    fastrand::seed(schedule.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(play_paused(schedule, broken))
}

async fn play_paused(schedule: &Schedule, broken: Broken) -> History {
    let (database, log) = (Database::memory().unwrap(), Log::new());
    let stage = Arc::new(set(schedule, broken, &database, &log).await);
    let steps = schedule.steps.iter().cloned().map(|step| {
        let stage = stage.clone();
        tokio::spawn(async move {
            elapse(step.at).await;
            stage.act(&step).await;
        })
    });
    for step in steps.collect::<Vec<_>>() {
        step.await.unwrap();
    }
    // An honest client whom nothing hinders, at once and when all that was late has landed.
    stage.act(&stage.calm_refresh(!schedule.seed)).await;
    elapse(3 * window(schedule.product)).await;
    stage.act(&stage.calm_refresh(!schedule.seed - 1)).await;

    let rotation = *stage.instances[0].rotation();
    let (asked, revoked) = (stage.asked.lock().unwrap().clone(), stage.revoked.lock().unwrap().clone());
    let log = log.lock().unwrap();
    let lost = stage.lost.lock().unwrap().clone();
    History {
        product: schedule.product,
        rotation,
        amnesty: schedule.settings.amnesty.map(|(from, to)| (instant(from).millis(), instant(to).millis())),
        settings: schedule.settings.clone(),
        family: stage.family,
        asked,
        revoked,
        writes: log.writes.clone(),
        removals: log.removals.clone(),
        lost,
        items: families(&database),
        story: log.story.clone(),
    }
}

async fn set(schedule: &Schedule, broken: Broken, database: &Database, log: &SharedLog) -> Stage {
    // An address of its own for each play: the SDK keeps one quota of retries for each.
    static PLAYS: AtomicU64 = AtomicU64::new(0);
    let url = format!("http://play-{}.test", PLAYS.fetch_add(1, Ordering::Relaxed));
    // Too early by the slack of an hour and nine tenths of a token's time.
    let early =
        |idle: u64| if broken == Broken::ExpiresEarly { -3_600 - i64::try_from(idle / 10 * 9).unwrap() } else { 0 };
    let lag = schedule.settings.ttl.map(|ttl| i64::try_from(ttl.lag).unwrap() + early(ttl.idle));
    let plain = DynamoStore::over(http(database, log, lag), &url, TABLE);
    plain.create_table(&TableDefinition::from_template().unwrap()).await.unwrap();
    let (product, store) = (schedule.product, Mutant::new(plain.clone(), broken));
    let boot = |_: &i64| Function::boot(product, reader(product, &schedule.settings, broken), store.clone(), T0);
    let instances: Vec<_> = schedule.skews.iter().map(boot).collect();
    let moment = Moment::from_parts(T0, &Dice::new(schedule.seed).entropy());
    let whole = Mutant::new(plain, Broken::Nothing);
    let org = (product == Product::Uniqos).then_some("acme");
    let (family, token) = instances[0].open("user-1", org, Who::Browser.client(), &moment, &whole).await.unwrap();
    Stage {
        product,
        skews: schedule.skews.clone(),
        instances,
        store,
        family,
        log: log.clone(),
        pockets: Mutex::new(Pockets { jar: Some(token), stolen: Vec::new() }),
        asked: Mutex::default(),
        revoked: Mutex::default(),
        lost: Mutex::default(),
        keeps_tokens: schedule.settings.keeps_tokens,
        under_way: AtomicU64::new(0),
        database: database.clone(),
    }
}

impl Stage {
    fn tell(&self, what: String) -> At {
        self.log.lock().unwrap().tell(what)
    }

    fn calm_refresh(&self, seed: u64) -> Step {
        let trip = Trip { pause: 0, in_body: false, there: 1, back: 1, lost: false, troubles: Vec::new() };
        Step { at: 0, does: Does::Refresh { who: Who::Browser, instance: 0, trips: vec![trip] }, seed }
    }

    async fn act(&self, step: &Step) {
        match &step.does {
            Does::Refresh { who, instance, trips } => self.refresh(*who, *instance, trips, step.seed).await,
            Does::Revoke { troubles } => self.revoke(troubles, step.seed).await,
            Does::Lose(loss) => self.lose(*loss).await,
            Does::Steal => {
                let mut pockets = self.pockets.lock().unwrap();
                if let Some(token) = pockets.jar.clone() {
                    self.tell(format!("the thief copies generation {}", Token::of(&token).generation));
                    pockets.stolen.push(token);
                }
            }
        }
    }

    /// Nothing may be under way: what is lost under a request is not promised to be noticed.
    async fn lose(&self, loss: Loss) {
        while self.under_way.load(Ordering::Relaxed) > 0 || self.log.lock().unwrap().to_land > 0 {
            elapse(7).await;
        }
        let items = families(&self.database);
        let key = |item: &Value| item["sk"]["S"].as_str().unwrap().to_owned();
        let standing: BTreeSet<_> = items.iter().map(key).collect();
        let mut older: Vec<_> = standing.iter().filter(|key| key.starts_with("GEN#")).cloned().collect();
        older.pop();
        let nth = |nth: usize| if older.is_empty() { 0 } else { nth % older.len() };
        let keys: BTreeSet<_> = match loss {
            Loss::All => standing.clone(),
            Loss::AllButSeal => standing.iter().filter(|key| *key != "SEAL").cloned().collect(),
            Loss::OneOlder(one) => older.iter().skip(nth(one)).take(1).cloned().collect(),
            Loss::Oldest(last) => older.iter().take(nth(last) + 1).cloned().collect(),
        };
        for item in items.iter().filter(|item| keys.contains(&key(item))) {
            remove(&self.database, &self.log, item, false);
        }
        let at = self.log.lock().unwrap().at();
        self.lost.lock().unwrap().push(Lost { at, loss, keys, sealed: standing.contains("SEAL") });
    }

    async fn refresh(&self, who: Who, instance: usize, trips: &[Trip], seed: u64) {
        let mut dice = Dice::new(seed);
        for (n, trip) in trips.iter().enumerate() {
            if n > 0 {
                elapse(trip.pause).await;
            }
            let token = {
                let pockets = self.pockets.lock().unwrap();
                match who {
                    Who::Browser => pockets.jar.clone(),
                    Who::Thief if pockets.stolen.is_empty() => None,
                    Who::Thief => Some(dice.pick(&pockets.stolen)),
                }
            };
            let Some(token) = token else { return };
            if self.ask(who, instance, &token, trip, &mut dice).await {
                return;
            }
        }
    }

    /// One request; whether its client is content with the answer.
    async fn ask(&self, who: Who, instance: usize, token: &str, trip: &Trip, dice: &mut Dice) -> bool {
        let presented = Token::of(token);
        let name = format!("{who:?}'s generation {}", presented.generation);
        let in_body = if trip.in_body { " in the body" } else { "" };
        let sent = self.tell(format!("{who:?} sends generation {}{in_body}", presented.generation));
        elapse(trip.there).await;
        let begun = self.log.lock().unwrap().at();
        let now = Timestamp::from_millis(T0.millis() + self.skews[instance]).plus(Duration::from_millis(begun.ms));
        let moment = Moment::from_parts(now, &dice.entropy());
        let request = request(self.product, token, who, trip.in_body);
        let caller = Caller::new(name, &trip.troubles, Dice::new(dice.next()));
        let function = &self.instances[instance];
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let (response, line) = CALLER.scope(caller.clone(), function.handle(&moment, &request)).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let token = self.product.token_of(&response);
        let minted = token.as_deref().map(Token::of);
        let ended = self.tell(format!(
            "{who:?}'s generation {} is answered {}: {}{}{}{}",
            presented.generation,
            line.status,
            line.outcome,
            line.cause.map(|cause| format!(", {cause}")).unwrap_or_default(),
            minted.as_ref().map(|minted| format!(", generation {}", minted.generation)).unwrap_or_default(),
            if trip.lost { "; the answer is lost" } else { "" },
        ));
        let attempts = caller.lock().unwrap().attempts.clone();
        let index = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(Asked {
                who,
                presented,
                proves: self.product == Product::Replyke && (trip.in_body || self.keeps_tokens),
                in_body: trip.in_body,
                sent,
                begun,
                ended,
                now,
                request_id: moment.request_id.to_string(),
                status: line.status,
                outcome: line.outcome,
                cause: line.cause,
                another_client: line.another_client,
                minted,
                has_access_token: has_access_token(&response),
                sets_cookies: response.headers().contains_key("set-cookie"),
                attempts,
                delivered: None,
            });
            asked.len() - 1
        };
        if trip.lost {
            elapse(PATIENCE).await;
            return false;
        }
        elapse(trip.back).await;
        let delivered = self.log.lock().unwrap().at();
        self.asked.lock().unwrap()[index].delivered = Some(delivered);
        let mut pockets = self.pockets.lock().unwrap();
        match (who, token) {
            (Who::Browser, Some(token)) => pockets.jar = Some(token),
            (Who::Thief, Some(token)) => pockets.stolen.push(token),
            // What a refusal takes away; a client without cookies drops its token likewise.
            (Who::Browser, None) if line.status == self.product.refusal() => pockets.jar = None,
            (Who::Browser | Who::Thief, None) => {}
        }
        !matches!((line.outcome, line.cause), ("failed" | "limited", _) | (_, Some("conflict")))
    }

    async fn revoke(&self, troubles: &[Trouble], seed: u64) {
        let mut dice = Dice::new(seed);
        let begun = self.tell("an operator ends the session".to_owned());
        let now = T0.plus(Duration::from_millis(begun.ms));
        let (moment, meter) = (Moment::from_parts(now, &dice.entropy()), Meter::default());
        let caller = Caller::new("the operator".to_owned(), troubles, Dice::new(dice.next()));
        let (tenant, client) = (self.product.tenant(), Client::new(None, ""));
        let ends = T0.plus(OPERATORS_ENDS);
        let revoking =
            session::revoke(&tenant, self.family, Cause::SignOut, ends, client, &self.store, &moment, &meter);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let acknowledged = CALLER.scope(caller.clone(), revoking).await.ok().map(|seal| seal.request_id);
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let said = if acknowledged.is_some() { "it has ended" } else { "perhaps; the store gave no answer" };
        let ended = self.tell(format!("the operator is told: {said}"));
        let (attempts, request_id) = (caller.lock().unwrap().attempts.clone(), moment.request_id.to_string());
        self.revoked.lock().unwrap().push(Revoked { begun, ended, now, request_id, acknowledged, attempts });
    }
}
