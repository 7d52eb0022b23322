//! The sessions' clients, who keep every promise's account, and the misfortune that they meet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rondo_shared::identity::{Client, FamilyId, Subject};
use rondo_shared::moment::Moment;
use rondo_shared::rotation::family::history;
use rondo_shared::session::{self, NewSession};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, UserProfile};
use rondo_shared::store::table::TableDefinition;
use rondo_shared::store::{Meter, Store as _};
use rondo_shared::token::UnverifiedToken;
use rondo_tests::dynamo::{TABLE, plain_http};
use rondo_tests::world::{issuing, keys, refresh_event};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, RwLock};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use uniqos_refresh::policy::{COOKIE_NAME, Policy, tenant};

use crate::processes::{GRACE_SECS, Place, Process};

/// How long a client waits for an answer, as the gateway does.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits before it asks again, the first time; then twice that, and so on, up to the second. Clients that all ask
/// without a pause keep a store that comes back from coming back.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(2_400);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub sessions: u64,
    pub span: Duration,
    /// About how long a client is content with its tokens.
    pub pause: Duration,
    pub instances: usize,
}

/// What one client has seen.
#[derive(Default)]
struct Account {
    /// The generations that it was told are its own, with their `gid`.
    acknowledged: BTreeMap<u32, String>,
    outcomes: BTreeMap<String, u64>,
    /// Refused after an answer of its own was late by more than the window: the contract's named case.
    late: bool,
    /// Refused without that.
    lost: bool,
    slowest: Duration,
}

struct Town {
    functions: Vec<RwLock<Process>>,
    ended: AtomicBool,
}

/// Runs it all; whether every promise was kept.
pub async fn run(plan: &Plan) -> bool {
    let place = Place::new();
    let store = Mutex::new(place.start_store());
    let client = DynamoStore::over(plain_http(), &place.store_url(), TABLE);
    client.create_table(&TableDefinition::from_template().unwrap()).await.unwrap();
    let functions = (0..plan.instances).map(|_| RwLock::new(place.start_function())).collect();
    let town = Arc::new(Town { functions, ended: AtomicBool::new(false) });
    let (_, policy) = uniqos_refresh::configure(place.reader()).unwrap();

    let opening = Instant::now();
    let mut sessions = Vec::new();
    for n in 0..plan.sessions {
        sessions.push(open(n, &policy, &client).await);
    }
    println!("{} sessions opened in {:.1} s", plan.sessions, opening.elapsed().as_secs_f64());

    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for (n, (family, token)) in (0..).zip(sessions) {
        clients.spawn(live(n, family, token, town.clone(), plan.clone()));
    }
    let (troubles, resident) = misfortune(plan, &place, &town, &store, begun).await;
    town.ended.store(true, Ordering::Relaxed);
    let accounts = clients.join_all().await;
    let kept = judge(&accounts, &client, begun.elapsed()).await;
    println!("misfortune: {troubles}");
    kept && is_flat(&resident)
}

async fn open(n: u64, policy: &Policy, store: &DynamoStore) -> (FamilyId, String) {
    let (meter, moment) = (Meter::default(), Moment::read().unwrap());
    let subject = Subject::new(format!("user-{n}")).unwrap();
    let user = UserProfile { status: AccountStatus::Active, name: None, email: None }.to_item(&tenant(), &subject);
    store.replace(&user, &meter).await.unwrap();
    let client = Client::new(Some("192.0.2.1".parse().unwrap()), "browser");
    let new = NewSession { tenant: tenant(), subject, org: None, label: None, client };
    let keys = keys();
    let (family, pair) = session::open(&new, issuing(policy, &keys), store, &moment, &meter).await.unwrap();
    (family, pair.refresh_token().to_owned())
}

/// One client, until the end: refreshes now and then, and asks again until it is answered.
async fn live(n: u64, family: FamilyId, mut token: String, town: Arc<Town>, plan: Plan) -> (FamilyId, Account) {
    let mut account = Account::default();
    let grace = Duration::from_secs(GRACE_SECS.parse().unwrap());
    let pause = plan.pause.mul_f64(0.5 + f64::from(u32::try_from(n % 100).unwrap()) / 100.0);
    // Not all at once.
    let first = tokio::time::Instant::now() + plan.pause.mul_f64(f64::from(u32::try_from(n % 97).unwrap()) / 97.0);
    let mut turns = tokio::time::interval_at(first, pause);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut instance = usize::try_from(n).unwrap();
    while !town.ended.load(Ordering::Relaxed) {
        turns.tick().await;
        let first_asked = Instant::now();
        let mut wait = Duration::ZERO;
        loop {
            tokio::time::interval_at(tokio::time::Instant::now() + wait, PATIENCE).tick().await;
            wait = (wait * 2).clamp(RETRY_PAUSE, RETRY_PAUSE_MAX);
            instance = (instance + 1) % town.functions.len();
            let asked = Instant::now();
            let address = town.functions[instance].read().await.said.clone();
            let answer = tokio::time::timeout(PATIENCE, ask(&address, &token)).await.unwrap_or(None);
            account.slowest = account.slowest.max(asked.elapsed());
            let Some(answer) = answer else {
                *account.outcomes.entry("no answer".to_owned()).or_default() += 1;
                continue;
            };
            *account.outcomes.entry(answer["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
            if let Some(next) = token_in(&answer) {
                let claims = UnverifiedToken::parse(&next).unwrap().claims_unverified().unwrap();
                account.acknowledged.insert(claims.generation, claims.gid.as_str().to_owned());
                token = next;
                break;
            }
            if answer["status"] == 401 {
                account.late = first_asked.elapsed() >= grace;
                account.lost = !account.late;
                return (family, account);
            }
        }
    }
    (family, account)
}

fn token_in(answer: &Value) -> Option<String> {
    let set = answer["set_cookie"].as_str()?.strip_prefix(COOKIE_NAME)?.strip_prefix('=')?;
    set.split(';').next().filter(|value| !value.is_empty()).map(str::to_owned)
}

/// Sends the event; none where the instance dies of it, or was dead.
async fn ask(address: &str, token: &str) -> Option<Value> {
    let mut connection = BufReader::new(TcpStream::connect(address).await.ok()?);
    connection.get_mut().write_all(format!("{}\n", refresh_event(token)).as_bytes()).await.ok()?;
    let mut answer = String::new();
    connection.read_line(&mut answer).await.ok()?;
    serde_json::from_str(&answer).ok()
}

/// Kills and pauses, each in its turn, until the time is over. Returns what it did, and the memory of the one instance that
/// is spared.
async fn misfortune(
    plan: &Plan,
    place: &Place,
    town: &Town,
    store: &Mutex<Process>,
    begun: Instant,
) -> (String, Vec<u64>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let (mut killed, mut paused, mut store_killed, mut resident) = (0, 0, 0, Vec::new());
    for second in 0_u64.. {
        ticks.tick().await;
        if begun.elapsed() >= plan.span {
            break;
        }
        resident.extend(town.functions[0].read().await.resident_kb());
        match second % 12 {
            3 | 9 if town.functions.len() > 1 => {
                let victim = 1 + killed % (town.functions.len() - 1);
                let mut function = town.functions[victim].write().await;
                function.kill();
                *function = place.start_function();
                killed += 1;
            }
            5 => {
                store.lock().await.signal("STOP");
                paused += 1;
            }
            7 => store.lock().await.signal("CONT"),
            10 => {
                let mut store = store.lock().await;
                store.kill();
                *store = place.start_store();
                store_killed += 1;
            }
            _ => {}
        }
    }
    store.lock().await.signal("CONT");
    let did =
        format!("{killed} functions killed, the store paused {paused} times for 2 s and killed {store_killed} times");
    (did, resident)
}

/// Holds every account against the table.
async fn judge(accounts: &[(FamilyId, Account)], store: &DynamoStore, span: Duration) -> bool {
    let (mut outcomes, mut rotations, mut missing) = (BTreeMap::<&str, u64>::new(), 0, 0);
    for (family, account) in accounts {
        for (outcome, count) in &account.outcomes {
            *outcomes.entry(outcome).or_default() += count;
        }
        let stands = history(&tenant(), *family, store, &Meter::default()).await.unwrap();
        for (number, gid) in &account.acknowledged {
            rotations += 1;
            missing += u64::from(!stands.generations.iter().any(|it| it.number == *number && it.gid.as_str() == gid));
        }
    }
    let count = |of: fn(&Account) -> bool| accounts.iter().filter(|(_, account)| of(account)).count();
    let (lost, late) = (count(|account| account.lost), count(|account| account.late));
    let slowest = accounts.iter().map(|(_, account)| account.slowest).max().unwrap_or_default();
    println!("answers in {:.0} s: {outcomes:?}; the slowest {:.1} s", span.as_secs_f64(), slowest.as_secs_f64());
    println!("{rotations} acknowledged generations, of which the table lacks {missing}");
    println!("honest sessions lost: {lost}; refused for a retry delayed past the window: {late}");
    missing == 0 && lost == 0 && rotations > 0
}

/// Prints the memory over time, and whether the last third is where the middle one was: growth of a tenth, or of 4 MB, is
/// taken for noise.
fn is_flat(resident: &[u64]) -> bool {
    let third = resident.len() / 3;
    if third == 0 {
        println!("memory: this machine does not tell");
        return true;
    }
    let most = |of: &[u64]| of.iter().copied().max().unwrap_or_default();
    let [first, middle, last] = [&resident[..third], &resident[third..2 * third], &resident[2 * third..]].map(most);
    println!("memory of the instance that is spared, in kB, thirds of the time: {first}, {middle}, {last}");
    last <= middle + (middle / 10).max(4_096)
}
