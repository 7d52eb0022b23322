//! What is going to happen, drawn from a seed before anything does, so that steps can be left out one by one.

use rondo_tests::products::Product;

use super::dice::Dice;

/// Everything that happens to one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub seed: u64,
    pub product: Product,
    /// How far each instance's clock is off, in milliseconds.
    pub skews: Vec<i64>,
    pub settings: Settings,
    /// In the order of their times.
    pub steps: Vec<Step>,
}

/// What the operator has set, and how prompt TTL is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// No grace window.
    pub grace_off: bool,
    /// The amnesty: from and to, in whole seconds after the session was opened.
    pub amnesty: Option<(u64, u64)>,
    pub ttl: Option<Ttl>,
    /// Tokens that come in the cookie do not rotate: Replyke's default. Those of its bodies never do.
    pub keeps_tokens: bool,
}

/// Tokens whose time is short, and expired items that are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// How long a token lives unused, in seconds.
    pub idle: u64,
    /// How long after its time an item goes: zero is the earliest moment allowed.
    pub lag: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it begins, in milliseconds after the session was opened.
    pub at: u64,
    pub does: Does,
    /// What its chance latencies and randomness come from.
    pub seed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    /// A tab of the session's browser, or the thief, refreshes.
    Refresh { who: Who, instance: usize, trips: Vec<Trip> },
    /// The thief copies the cookie that the browser has now.
    Steal,
    /// An operator ends the session.
    Revoke { troubles: Vec<Trouble> },
    /// Items of the family are deleted, as soon as nothing is under way.
    Lose(Loss),
}

/// Which items go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    All,
    AllButSeal,
    /// One generation that is not the newest: the one that this number picks.
    OneOlder(usize),
    /// All generations up to one that is not the newest.
    Oldest(usize),
}

impl Loss {
    /// Whether no generation is left.
    pub const fn is_total(self) -> bool {
        match self {
            Self::All | Self::AllButSeal => true,
            Self::OneOlder(_) | Self::Oldest(_) => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    Browser,
    Thief,
}

/// One request on its way. Those after the first are made where the one before gave no answer or a failure of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// How long the client waits before it sends it.
    pub pause: u64,
    /// The token is in the body, where the product reads one there.
    pub in_body: bool,
    /// How long it takes to the function, and the answer back.
    pub there: u64,
    pub back: u64,
    /// The answer never arrives.
    pub lost: bool,
    /// What the attempts of its store calls meet, in the order in which they are made; those beyond meet nothing.
    pub troubles: Vec<Trouble>,
}

/// What one attempt of a store call meets, below the SDK's retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    Refused,
    ErrorBefore,
    AppliedThenDropped,
    AppliedThenHung,
    AppliedThenError,
    AppliedLate { after: u64 },
    Hung,
    Throttled,
    Conflict,
    Slow { by: u64 },
}

impl Trouble {
    /// What kind of trouble it is, if it is one.
    pub const fn kind(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Refused => Some("a fault: refused"),
            Self::ErrorBefore => Some("a fault: error before"),
            Self::AppliedThenDropped => Some("a fault: applied then dropped"),
            Self::AppliedThenHung => Some("a fault: applied then hung"),
            Self::AppliedThenError => Some("a fault: applied then 500"),
            Self::AppliedLate { .. } => Some("a fault: applied late"),
            Self::Hung => Some("a fault: hung"),
            Self::Throttled => Some("a fault: throttled"),
            Self::Conflict => Some("a fault: transaction conflict"),
            Self::Slow { .. } => Some("a fault: slow"),
        }
    }
}

/// About how long a retired token is believed, in milliseconds: what chance is to fall around.
pub const fn window(product: Product) -> u64 {
    match product {
        Product::Uniqos | Product::Dreadnode => 10_000,
        Product::Elastic => 300_000,
        Product::Replyke => 30_000,
    }
}

impl Schedule {
    pub fn draw(seed: u64, product: Product) -> Self {
        let mut dice = Dice::new(seed);
        let instances = dice.between(1, 3);
        let skews = (0..instances).map(|_| i64::try_from(dice.between(0, 100)).unwrap() - 50).collect();
        let window = window(product);
        // Some schedules are calm, some are all trouble; some know no thief and no operator.
        let (trouble, delay) = (dice.pick(&[0, 5, 15, 40]), dice.pick(&[0, 5, 20]));
        let (thief, operator, loss) = (dice.percent(50), dice.percent(25), dice.percent(30));
        let (keeps_tokens, in_body) = match product {
            Product::Replyke => (dice.percent(50), dice.pick(&[0, 30, 100])),
            Product::Dreadnode => (false, dice.pick(&[0, 30])),
            Product::Uniqos | Product::Elastic => (false, 0),
        };
        let chances = Chances { instances, window, trouble, delay, in_body };
        let ttl = dice.percent(20).then(|| Ttl { idle: dice.between(3_000, 9_000), lag: dice.pick(&[0, 0, 1, 3_600]) });
        let (mut at, mut steps, mut stolen) = (0, Vec::new(), false);
        for _ in 0..dice.between(3, 14) {
            // Mostly within a token's time, so that the family outlives its first generations.
            let far = ttl.filter(|_| dice.percent(50)).map(|ttl| dice.between(ttl.idle * 500, ttl.idle * 1_010));
            at += far.unwrap_or_default();
            at += match dice.between(0, 9) {
                0..=3 => dice.between(0, 60),
                4..=6 => dice.between(0, window / 4),
                7 => dice.between(window / 2, window),
                8 => window - 100 + dice.between(0, 200),
                _ => dice.between(window, 3 * window),
            };
            let does = match dice.between(0, 9) {
                0 if thief => Does::Steal,
                1 | 2 if stolen => refresh(Who::Thief, chances, &mut dice),
                3 if operator => Does::Revoke { troubles: troubles(trouble, window, &mut dice) },
                4 | 5 if loss => Does::Lose(loss_of(&mut dice)),
                _ => refresh(Who::Browser, chances, &mut dice),
            };
            stolen |= does == Does::Steal;
            steps.push(Step { at, does, seed: dice.next() });
        }
        let grace_off = dice.percent(20);
        let amnesty = dice.percent(25).then(|| {
            let from = dice.between(0, at / 1_000);
            (from, from + dice.between(1, 1 + at / 1_000))
        });
        Self { seed, product, skews, settings: Settings { grace_off, amnesty, ttl, keeps_tokens }, steps }
    }

    /// Everything that is a little simpler: without one of the steps, or with one of them made plainer.
    pub fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        for n in (0..self.steps.len()).rev() {
            let mut without = self.clone();
            without.steps.remove(n);
            simpler.push(without);
        }
        for n in 0..self.steps.len() {
            for does in plainer(&self.steps[n].does) {
                let mut changed = self.clone();
                changed.steps[n].does = does;
                simpler.push(changed);
            }
        }
        if self.skews.iter().any(|skew| *skew != 0) {
            simpler.push(Self { skews: vec![0; self.skews.len()], ..self.clone() });
        }
        let settings = || self.settings.clone();
        let plainer = [
            Settings { grace_off: false, ..settings() },
            Settings { amnesty: None, ..settings() },
            Settings { ttl: None, ..settings() },
            Settings { keeps_tokens: false, ..settings() },
        ];
        let plainer = plainer.into_iter().filter(|plainer| *plainer != self.settings);
        simpler.extend(plainer.map(|settings| Self { settings, ..self.clone() }));
        simpler
    }
}

/// What refreshes are drawn by; chances in percent.
#[derive(Clone, Copy)]
struct Chances {
    instances: u64,
    window: u64,
    trouble: u64,
    delay: u64,
    in_body: u64,
}

fn refresh(who: Who, chances: Chances, dice: &mut Dice) -> Does {
    let Chances { instances, window, trouble, delay, in_body } = chances;
    let way = |dice: &mut Dice| {
        if dice.percent(delay) { dice.between(0, window + window / 2) } else { dice.between(1, 40) }
    };
    let trips = (0..dice.between(1, 3)).map(|_| Trip {
        pause: dice.between(50, 2_000),
        in_body: dice.percent(in_body),
        there: way(dice),
        back: way(dice),
        lost: dice.percent(delay),
        troubles: troubles(trouble, window, dice),
    });
    Does::Refresh { who, trips: trips.collect(), instance: usize::try_from(dice.between(0, instances - 1)).unwrap() }
}

/// As often a loss that closes the family as one that leaves what is newest.
fn loss_of(dice: &mut Dice) -> Loss {
    let one = usize::try_from(dice.between(0, 100)).unwrap();
    dice.pick(&[Loss::All, Loss::AllButSeal, Loss::OneOlder(one), Loss::Oldest(one)])
}

fn troubles(chance: u64, window: u64, dice: &mut Dice) -> Vec<Trouble> {
    let one = |dice: &mut Dice| {
        let all = [
            Trouble::Refused,
            Trouble::ErrorBefore,
            Trouble::AppliedThenDropped,
            Trouble::AppliedThenDropped,
            Trouble::AppliedThenHung,
            Trouble::AppliedThenError,
            Trouble::AppliedLate { after: dice.between(10, 2 * window) },
            Trouble::AppliedLate { after: dice.between(10, 2_000) },
            Trouble::Hung,
            Trouble::Throttled,
            Trouble::Conflict,
            Trouble::Slow { by: dice.between(100, 1_500) },
        ];
        if dice.percent(chance) { dice.pick(&all) } else { Trouble::None }
    };
    // Nothing is retried more than twice, and a walk makes four calls at most.
    (0..12).map(|_| one(dice)).collect()
}

fn plainer(does: &Does) -> Vec<Does> {
    let calm = |troubles: &[Trouble]| -> Vec<Vec<Trouble>> {
        let changed = (0..troubles.len()).filter(|n| troubles[*n] != Trouble::None);
        changed.map(|n| [&troubles[..n], &[Trouble::None], &troubles[n + 1..]].concat()).collect()
    };
    match does {
        Does::Steal | Does::Lose(_) => Vec::new(),
        Does::Revoke { troubles } => calm(troubles).into_iter().map(|troubles| Does::Revoke { troubles }).collect(),
        Does::Refresh { who, instance, trips } => {
            let with = |trips: Vec<Trip>| Does::Refresh { who: *who, instance: *instance, trips };
            let mut plainer = Vec::new();
            if trips.len() > 1 {
                plainer.push(with(trips[..trips.len() - 1].to_vec()));
            }
            for (n, trip) in trips.iter().enumerate() {
                let changed = |trip: Trip| with([&trips[..n], &[trip], &trips[n + 1..]].concat());
                if trip.in_body {
                    plainer.push(changed(Trip { in_body: false, ..trip.clone() }));
                }
                if trip.lost {
                    plainer.push(changed(Trip { lost: false, ..trip.clone() }));
                }
                if (trip.there, trip.back) != (1, 1) {
                    plainer.push(changed(Trip { there: 1, back: 1, ..trip.clone() }));
                }
                let calmed = calm(&trip.troubles).into_iter();
                plainer.extend(calmed.map(|troubles| changed(Trip { troubles, ..trip.clone() })));
            }
            plainer
        }
    }
}
