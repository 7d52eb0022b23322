//! What clients were told, held against the table.

use std::collections::BTreeMap;
use std::time::Duration;

use rondo_shared::identity::FamilyId;
use rondo_shared::rotation::family::history;
use rondo_shared::store::Meter;
use rondo_shared::store::dynamo::DynamoStore;
use rondo_tests::products::{PRODUCTS, Product};

/// A session as its client was told of it.
struct Session {
    family: FamilyId,
    /// The generations that it was told are its own, with their `gid`.
    acknowledged: BTreeMap<u32, String>,
    /// Refused after a retry was late by more than the window: the contract's named case.
    late: bool,
}

/// What one client has seen.
pub struct Account {
    product: Product,
    sessions: Vec<Session>,
    pub outcomes: BTreeMap<String, u64>,
    /// Refreshes that it was granted.
    pub granted: u64,
    /// Sessions whose own time was over, after which it signed in anew.
    pub expired: u64,
    late: u64,
    /// Refused, or answered what the contract does not know, without either.
    pub lost: u64,
    pub slowest: Duration,
}

impl Account {
    pub fn new(product: Product) -> Self {
        Self {
            product,
            sessions: Vec::new(),
            outcomes: BTreeMap::new(),
            granted: 0,
            expired: 0,
            late: 0,
            lost: 0,
            slowest: Duration::ZERO,
        }
    }

    pub fn opened(&mut self, family: FamilyId) {
        self.sessions.push(Session { family, acknowledged: BTreeMap::new(), late: false });
    }

    pub fn was_told(&mut self, number: u32, gid: String) {
        self.sessions.last_mut().unwrap().acknowledged.insert(number, gid);
    }

    pub fn was_late(&mut self) {
        self.late += 1;
        self.may_be_sealed();
    }

    /// A retry of its last session was late by more than the window.
    pub fn may_be_sealed(&mut self) {
        self.sessions.last_mut().unwrap().late = true;
    }
}

/// What the table says of one product's sessions.
#[derive(Default)]
struct Found {
    acknowledged: u64,
    missing: u64,
    /// Honest sessions that stand sealed, and Replyke's that were rotated though nobody asked for it.
    sealed: u64,
    unasked: u64,
}

async fn find(account: &Account, store: &DynamoStore, found: &mut Found) {
    let tenant = account.product.tenant();
    for session in &account.sessions {
        let stands = history(&tenant, session.family, store, &Meter::default()).await.unwrap();
        for (number, gid) in &session.acknowledged {
            found.acknowledged += 1;
            let is_it = |it: &rondo_shared::store::item::Generation| it.number == *number && it.gid.as_str() == gid;
            found.missing += u64::from(!stands.generations.iter().any(is_it));
        }
        found.sealed += u64::from(stands.seal.is_some() && !session.late);
        found.unasked += u64::from(account.product == Product::Replyke && stands.generations.len() > 1);
    }
}

/// Holds every account against the table, product by product; whether every promise was kept.
pub async fn judge(accounts: &[Account], store: &DynamoStore, span: Duration) -> bool {
    let slowest = accounts.iter().map(|account| account.slowest).max().unwrap_or_default();
    println!("{:.0} s of refreshing, the slowest answer {:.1} s", span.as_secs_f64(), slowest.as_secs_f64());
    let mut kept = true;
    for product in PRODUCTS {
        let of_it: Vec<_> = accounts.iter().filter(|account| account.product == product).collect();
        let (mut outcomes, mut found) = (BTreeMap::<&str, u64>::new(), Found::default());
        for account in &of_it {
            for (outcome, count) in &account.outcomes {
                *outcomes.entry(outcome).or_default() += count;
            }
            find(account, store, &mut found).await;
        }
        let sum = |of: fn(&Account) -> u64| of_it.iter().map(|account| of(account)).sum::<u64>();
        let (granted, expired) = (sum(|it| it.granted), sum(|it| it.expired));
        let (late, lost) = (sum(|it| it.late), sum(|it| it.lost));
        let limited = outcomes.get("limited").copied().unwrap_or_default();
        println!("{}: {} clients, {granted} refreshes granted: {outcomes:?}", product.name(), of_it.len());
        let Found { acknowledged, missing, sealed, unasked } = found;
        println!(
            "  {acknowledged} acknowledged generations, of which the table lacks {missing}; honest sessions lost: {lost}; \
             sealed: {sealed}; refused for a retry delayed past the window: {late}; over by their own time, and opened \
             anew: {expired}"
        );
        kept &= missing == 0 && lost == 0 && sealed == 0 && limited == 0 && unasked == 0 && granted > 0;
        if unasked > 0 || limited > 0 {
            println!("  rotated though nobody asked for it: {unasked}; honest clients limited: {limited} times");
        }
    }
    kept
}

/// Fewer readings than this tell nothing of a third of the time.
const READINGS_MIN: usize = 5;

/// Prints the memory of one instance over time, and whether the last third is where the middle one was: growth of a tenth, or
/// of 4 MB, is taken for noise. Of each third the middle reading counts: what piles up while the store is paused, or while
/// the machine has no time for us, is a peak, and what leaks stays.
pub fn is_flat(product: Product, resident: &[u64]) -> bool {
    let third = resident.len() / 3;
    if third < READINGS_MIN {
        println!("{}: {} readings of memory are too few to tell", product.name(), resident.len());
        return true;
    }
    let [first, middle, last] = [&resident[..third], &resident[third..2 * third], &resident[2 * third..]].map(median);
    println!("{}: memory of the instance that is spared, in kB, thirds: {first}, {middle}, {last}", product.name());
    last <= middle + (middle / 10).max(4_096)
}

fn median(readings: &[u64]) -> u64 {
    let mut readings = readings.to_vec();
    readings.sort_unstable();
    readings[readings.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_found_and_a_peak_is_none() {
        let flat = |resident: &[u64]| is_flat(Product::Uniqos, resident);
        let steady = vec![30_000; 40];
        assert!(flat(&steady));
        let mut peak = steady.clone();
        peak[32..37].fill(60_000);
        assert!(flat(&peak), "the store was paused for a third of the last third");
        let leaking: Vec<u64> = (0..40).map(|second| 30_000 + 400 * second).collect();
        assert!(!flat(&leaking));
        let mut grown = steady;
        grown[27..].fill(34_200);
        assert!(!flat(&grown));
    }
}
