//! Chaos: random schedules of tabs, a thief, an operator, the store's troubles, items that expire and items that are lost,
//! against the real functions over the real SDK and the embedded DynamoDB. After each, a checker decides whether a history
//! that the promises allow explains every answer, and holds every item against the request that wrote it. A schedule is a
//! seed; what fails is shrunk and told.
//!
//! `cargo test` plays some hundreds; `make chaos` ten thousand, or what `ARGS="seed=7 count=100"` says.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

mod chaos {
    pub mod broken;
    pub mod check;
    pub mod dice;
    pub mod function;
    pub mod play;
    pub mod schedule;
    pub mod wire;
}

use chaos::broken::Broken;
use chaos::check::{SIGHTS, sights, violations};
use chaos::play::{Asked, History, play};
use chaos::schedule::Schedule;
use rondo_tests::products::PRODUCTS;

/// How many `cargo test` plays.
const SHORT: u64 = 300;

fn drawn(seed: u64) -> Schedule {
    Schedule::draw(seed, PRODUCTS[usize::try_from(seed).unwrap() % PRODUCTS.len()])
}

/// The number that `CHAOS` gives a name, as in `seed=7 count=100`.
#[expect(clippy::disallowed_methods, reason = "how `make chaos` says what to play")]
fn asked_for(name: &str, otherwise: u64) -> u64 {
    let chaos = std::env::var("CHAOS").unwrap_or_default();
    let mut words = chaos.split_whitespace().filter_map(|word| word.split_once('='));
    // The last one counts: it is the one that was typed.
    words.rfind(|(named, _)| *named == name).map_or(otherwise, |(_, number)| number.parse().expect("a number"))
}

/// Each obligation broken, and what the checker says then.
const MUTATIONS: &[(Broken, &str)] = &[
    (Broken::PutsReplace, "written over"),
    (Broken::EveryPutWins, "does not stand"),
    (Broken::LostPutsGetTheirOwn, "does not stand"),
    (Broken::WindowsSlide, "a retired token was believed"),
    (Broken::QueriesAreStale, "nothing was ever taken away"),
    (Broken::SealsAreUnseen, "the family's end was acknowledged"),
    (Broken::QueriesMissTheNewest, "nothing was ever taken away"),
    (Broken::UnknownPutsCount, "does not stand"),
    (Broken::FailedQueriesFindNothing, "nothing was ever taken away"),
    (Broken::SealsAreForgotten, "the family was not sealed"),
    (Broken::NotesAreForgotten, "not written down"),
    // With the window off, with an amnesty, with items that expire, with items that are lost.
    (Broken::WindowsSlide, "which is no race"),
    (Broken::AmnestyIsEndless, "a retired token was believed"),
    (Broken::AmnestyIsForgotten, "the amnesty forgives it"),
    (Broken::ExpiresEarly, "nothing was ever taken away"),
    (Broken::ExpiresEarly, "had expired, and was put again"),
    (Broken::QueriesAreStale, "went on after its items were lost"),
    (Broken::GapsAreBridged, "a retired token was believed"),
    // In a product that does not rotate.
    (Broken::SealsAreUnseen, "served, and the family's end was acknowledged"),
    (Broken::NotesAreForgotten, "served to another client, and not written down"),
    // What items say.
    (Broken::PutsAreStampedLate, "its minted_at is"),
    (Broken::PutsAreStampedLate, "its sealed_at is"),
    (Broken::TokensLiveTooLong, "its token_expires_at is"),
    (Broken::PutsNameAnother, "its user_agent is"),
    (Broken::ItemsAreShortLived, "it expires at"),
    (Broken::NotesAreBlank, "its user_agent is"),
    (Broken::RotationsAreNoted, "was not served as another client's: rotated"),
    (Broken::SealsLackEvidence, "its presented_generation is"),
    (Broken::SealsNameTheDead, "was live, and it was not"),
    // What answers say.
    (Broken::LostPutsAreNoted, "told to try again, and wrote"),
    (Broken::SealsAreDoubted, "an operator got no answer"),
    (Broken::SealsAreForgotten, "an operator was told that the session has ended"),
    (Broken::SlowIsFailed, "failed, and nothing had gone wrong"),
];
/// Seeds within which each mutation must be found.
const MUTANT_SEEDS: u64 = 10_000;

#[test]
fn the_checker_tells_of_each_obligation_that_a_store_breaks() {
    let next = AtomicU64::new(0);
    let table = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((broken, says)) =
                    MUTATIONS.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap())
                {
                    let told = |seed: &u64| {
                        let schedule = drawn(*seed);
                        let found = || violations(&play(&schedule, *broken));
                        broken.shows_in(&schedule) && found().iter().any(|it| it.contains(says))
                    };
                    table.lock().unwrap().push((*broken, says, (1..MUTANT_SEEDS).find(told)));
                }
            });
        }
    });
    let table = table.into_inner().unwrap();
    for (broken, says, seed) in &table {
        println!("{broken:?}: seed {seed:?}: {says}");
    }
    let missed: Vec<_> = table.iter().filter(|(_, _, seed)| seed.is_none()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn a_seed_plays_the_same_way_each_time() {
    for seed in 1..=12 {
        assert_eq!(play(&drawn(seed), Broken::Nothing), play(&drawn(seed), Broken::Nothing), "seed {seed}");
    }
}

#[test]
fn a_failing_schedule_is_shrunk_to_the_steps_that_matter() {
    let fails = |seed: &u64| !violations(&play(&drawn(*seed), Broken::SealsAreUnseen)).is_empty();
    let seed = (1..MUTANT_SEEDS).find(fails).expect("a schedule that fails");
    let smallest = shrunk(drawn(seed), Broken::SealsAreUnseen);
    let history = play(&smallest, Broken::SealsAreUnseen);
    let told = format!("{}=> {}", story(&smallest, &history), violations(&history).join("\n=> "));
    println!("{told}");
    assert!(smallest.steps.len() <= 4 && told.contains("now stands"), "{told}");
}

/// Plays simpler and simpler schedules, as long as they still fail.
fn shrunk(schedule: Schedule, broken: Broken) -> Schedule {
    let fails = |candidate: &Schedule| !violations(&play(candidate, broken)).is_empty();
    let mut smallest = schedule;
    while let Some(simpler) = smallest.simpler().into_iter().find(&fails) {
        smallest = simpler;
    }
    smallest
}

/// What happened, in the order in which it did.
fn story(schedule: &Schedule, history: &History) -> String {
    let mut story = format!(
        "seed {}, {}, {:?}, clocks off by {:?} ms\n",
        schedule.seed,
        schedule.product.name(),
        schedule.settings,
        schedule.skews
    );
    for (ms, what) in &history.story {
        story += &format!("{:>9.3} s  {what}\n", std::time::Duration::from_millis(*ms).as_secs_f64());
    }
    story
}

#[test]
fn a_history_that_the_promises_allow_explains_whatever_happens() {
    let (first, count) = (asked_for("seed", 1), asked_for("count", SHORT));
    let (begun, next, failed) = (Instant::now(), AtomicU64::new(first), Mutex::new(Vec::new()));
    let totals = Mutex::new(BTreeMap::<String, u64>::new());
    let seen = Mutex::new(SIGHTS.map(|sight| (sight, 0_u64)).into_iter().collect::<BTreeMap<_, _>>());
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let history = play(&drawn(seed), Broken::Nothing);
                    for sight in sights(&history) {
                        *seen.lock().unwrap().get_mut(sight).unwrap() += 1;
                    }
                    let mut totals = totals.lock().unwrap();
                    for asked in &history.asked {
                        *totals.entry(asked.outcome.to_owned()).or_default() += 1;
                    }
                    *totals.entry("troubles met".to_owned()).or_default() +=
                        history.asked.iter().map(Asked::troubles_met).sum::<u64>();
                    if !violations(&history).is_empty() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    println!(
        "{count} schedules from seed {first} in {:.1} minutes: {:?}",
        begun.elapsed().as_secs_f64() / 60.0,
        totals.lock().unwrap()
    );
    let seen = seen.into_inner().unwrap();
    println!("schedules with: {seen:?}");

    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    let mut smallest: Vec<_> = failed.iter().take(20).map(|seed| shrunk(drawn(*seed), Broken::Nothing)).collect();
    smallest.sort_by_key(|schedule| schedule.steps.len());
    for schedule in smallest.iter().take(3) {
        let history = play(schedule, Broken::Nothing);
        println!("{}=> {}\n", story(schedule, &history), violations(&history).join("\n=> "));
    }
    assert!(failed.is_empty(), "seeds that fail: {failed:?}");
    // What else is asked for may be too little, or too much of one kind.
    let is_default = first == 1 && count >= SHORT;
    assert!(!is_default || seen.values().all(|schedules| *schedules > 0), "some kind never occurs: {seen:?}");
}
