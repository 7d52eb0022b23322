//! Where the clients live: function instances of every product over one store, and the misfortune that they meet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rondo_shared::moment::Moment;
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::table::TableDefinition;
use rondo_tests::dynamo::{TABLE, create_table, plain_http};
use rondo_tests::products::{Function, PRODUCTS, Product};
use tokio::sync::{Mutex, RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::account::{is_flat, judge};
use crate::client::Honest;
use crate::processes::{Place, Process};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub sessions: u32,
    pub span: Duration,
    /// About how long a client is content with its tokens.
    pub pause: Duration,
    /// Of each product.
    pub instances: usize,
}

pub struct Town {
    /// By product.
    functions: Vec<Vec<RwLock<Process>>>,
    /// Functions with the same settings that answer nobody: sessions are opened by them.
    openers: Vec<Function<DynamoStore>>,
    pub client: DynamoStore,
    /// Whether the trouble is over.
    pub over: watch::Sender<bool>,
}

impl Town {
    pub fn instances(&self, product: Product) -> &[RwLock<Process>] {
        &self.functions[index(product)]
    }

    pub fn opener(&self, product: Product) -> &Function<DynamoStore> {
        &self.openers[index(product)]
    }
}

fn index(product: Product) -> usize {
    PRODUCTS.iter().position(|it| *it == product).unwrap()
}

/// Runs it all; whether every promise was kept.
pub async fn run(plan: &Plan) -> bool {
    // Shorter than the run, so that every client meets the end of its session.
    let place = Place::new((plan.span * 3 / 4).as_secs().max(20));
    let store = Mutex::new(place.start_store());
    let client = DynamoStore::over(plain_http(), &place.store_url(), TABLE);
    create_table(&place.store_url(), TABLE, &TableDefinition::from_template().unwrap()).await;
    let of_product =
        |product: Product| (0..plan.instances).map(|_| RwLock::new(place.start_function(product))).collect();
    let now = Moment::read().unwrap().now;
    let opener = |product: Product| Function::boot(product, place.reader(), client.clone(), now);
    let town = Arc::new(Town {
        functions: PRODUCTS.map(of_product).into(),
        openers: PRODUCTS.map(opener).into(),
        client: client.clone(),
        over: watch::Sender::new(false),
    });

    let opening = Instant::now();
    let mut people = Vec::new();
    for n in 0..plan.sessions {
        let mut honest = Honest::new(n);
        let held = honest.sign_in(&town).await;
        people.push((honest, held));
    }
    println!("{} sessions opened in {:.1} s", plan.sessions, opening.elapsed().as_secs_f64());

    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for (honest, held) in people {
        let (town, pause) = (town.clone(), plan.pause);
        clients.spawn(async move { honest.live(held, &town, pause).await });
    }
    let (troubles, resident) = misfortune(plan, &place, &town, &store, begun).await;
    town.over.send_replace(true);
    let accounts = clients.join_all().await;
    // What is read now, after all that trouble, is to be read once and whole.
    let unhurried = DynamoStore::over_unhurried(plain_http(), &place.store_url(), TABLE);
    let mut kept = judge(&accounts, &unhurried, begun.elapsed()).await;
    println!("misfortune: {troubles}");
    for (product, resident) in PRODUCTS.into_iter().zip(&resident) {
        kept &= is_flat(product, resident);
    }
    println!("{}", if kept { "every promise was kept" } else { "a promise was broken" });
    kept
}

/// Kills and pauses, each in its turn, until the time is over. Returns what it did, and the memory of the one instance of
/// each product that is spared.
async fn misfortune(
    plan: &Plan,
    place: &Place,
    town: &Town,
    store: &Mutex<Process>,
    begun: Instant,
) -> (String, Vec<Vec<u64>>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    // Where starting a process took long, what was due meanwhile is not made up for all at once: a pause is to last.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut killed, mut paused, mut store_killed) = (0, 0, 0);
    let mut resident = vec![Vec::new(); PRODUCTS.len()];
    for second in 0_u64.. {
        ticks.tick().await;
        if begun.elapsed() >= plan.span {
            break;
        }
        for (product, resident) in PRODUCTS.into_iter().zip(&mut resident) {
            resident.extend(town.instances(product)[0].read().await.resident_kb());
        }
        if second % 3 == 1 && plan.instances > 1 {
            let product = PRODUCTS[killed % PRODUCTS.len()];
            let victim = 1 + killed / PRODUCTS.len() % (plan.instances - 1);
            let mut function = town.instances(product)[victim].write().await;
            function.kill();
            *function = place.start_function(product);
            killed += 1;
        }
        match second % 12 {
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
