//! The whole program under an owned clock, a directed database and a simulated Meta: one run per seed, thousands of seeds.
//!
//! `SIM_SEEDS=100000 cargo test --release --test sim` runs that many, `SIM_FROM=…` begins elsewhere, and `SIM_SEED=1234` runs
//! one and prints what happened in it. A seed that fails prints its number; the same number gives the same run. With
//! `SIM_BROKEN=AnswersFirst`, `SettlesFirst` or `Unfenced`, a promise is broken on purpose.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod answers;
mod dice;
mod fate;
mod judge;
mod ledger;
mod meta;
mod operator;
mod silence;
mod stage;
mod world;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use fate::Broken;
use world::Report;

/// Seeds of one run of the tests, where nothing else is said.
const SEEDS: u64 = 150;
/// Seeds that are run twice.
const SAME_SEEDS: u64 = 15;
/// Seeds in which a broken promise has to be noticed.
const BROKEN_SEEDS: u64 = 300;
/// What the judge says of each broken promise, among other things.
const BROKEN: [(Broken, &str); 3] = [
    (Broken::AnswersFirst, "acknowledged and lost"),
    (Broken::SettlesFirst, "messages of ours"),
    (Broken::Unfenced, "version of conversation"),
];
/// Failing seeds that are shown.
const SHOWN_MAX: usize = 5;
/// Seeds that have failed once, and are run whatever else is.
const ONCE_FAILED: [u64; 11] =
    [2_367, 2_818, 4_271, 4_590, 20_958, 165_603, 202_328, 238_047, 293_103, 299_706, 303_721];
/// Seeds after which a long run says how far it is.
const TOLD_EVERY: u64 = 1_000;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The promise that is to be broken in these runs.
fn broken() -> Option<Broken> {
    let name = std::env::var("SIM_BROKEN").ok()?;
    let known = BROKEN.map(|(broken, _)| broken);
    let found = known.into_iter().find(|broken| format!("{broken:?}") == name);
    Some(found.unwrap_or_else(|| panic!("SIM_BROKEN is one of {known:?}")))
}

/// The connections of all runs live here.
fn database() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// What the simulation breaks on purpose is not worth a line.
fn hush() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let told = panic.payload().downcast_ref::<String>().map(String::as_str);
        let told = told.or_else(|| panic.payload().downcast_ref::<&str>().copied()).unwrap_or_default();
        if !told.starts_with("simulated") {
            before(panic);
        }
    }));
}

#[test]
fn the_promises_hold_in_every_run() {
    hush();
    let database = database();
    if let Some(seed) = setting("SIM_SEED") {
        let place = world::place(database.handle());
        let report = world::run(seed, &place, broken());
        println!("{}", report.trace);
        assert!(report.wrongs.is_empty(), "seed {seed}:\n  {}", report.wrongs.join("\n  "));
        return;
    }
    let (from, seeds) = (setting("SIM_FROM").unwrap_or(0), setting("SIM_SEEDS").unwrap_or(SEEDS));
    let next = AtomicU64::new(from);
    let (deaths, doubled) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed: Mutex<Vec<(u64, Report)>> = Mutex::default();
    let threads = setting("SIM_THREADS").map_or(2, |threads| usize::try_from(threads).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let place = world::place(database.handle());
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        break;
                    }
                    if seed > from && (seed - from).is_multiple_of(TOLD_EVERY) {
                        println!("{} of {seeds} seeds", seed - from);
                    }
                    let report = world::run(seed, &place, broken());
                    deaths.fetch_add(report.deaths, Ordering::Relaxed);
                    doubled.fetch_add(report.doubled, Ordering::Relaxed);
                    if !report.wrongs.is_empty() {
                        // A long run may not see its end.
                        println!("SIM_SEED={seed} fails: {}", report.wrongs.join("; "));
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push((seed, report));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_by_key(|(seed, _)| *seed);
    println!(
        "{seeds} seeds from {from}: {} failed; {} deaths, {} messages reached Meta more than once",
        failed.len(),
        deaths.load(Ordering::Relaxed),
        doubled.load(Ordering::Relaxed)
    );
    for (seed, report) in failed.iter().take(SHOWN_MAX) {
        println!("SIM_SEED={seed}\n  {}", report.wrongs.join("\n  "));
    }
    assert!(failed.is_empty(), "{} of {seeds} seeds failed", failed.len());
}

#[test]
fn what_failed_once_holds() {
    hush();
    let database = database();
    let place = world::place(database.handle());
    for seed in ONCE_FAILED {
        let wrongs = world::run(seed, &place, None).wrongs;
        assert!(wrongs.is_empty(), "seed {seed}: {wrongs:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    hush();
    let database = database();
    let place = world::place(database.handle());
    for seed in 0..SAME_SEEDS {
        let (one, other) = (world::run(seed, &place, None), world::run(seed, &place, None));
        let differs = one.trace.lines().zip(other.trace.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.trace.len(), other.trace.len(), "seed {seed}");
    }
}

#[test]
fn the_judge_notices_a_broken_promise() {
    hush();
    let database = database();
    let place = world::place(database.handle());
    for (broken, told) in BROKEN {
        let noticed = (0..BROKEN_SEEDS).find_map(|seed| {
            let wrongs = world::run(seed, &place, Some(broken)).wrongs;
            wrongs.into_iter().find(|wrong| wrong.contains(told)).map(|wrong| (seed, wrong))
        });
        let (seed, wrong) =
            noticed.unwrap_or_else(|| panic!("{broken:?} is not noticed in {BROKEN_SEEDS} seeds"));
        println!("{broken:?}, seed {seed}: {wrong}");
        let wrongs = world::run(seed, &place, None).wrongs;
        assert!(wrongs.is_empty(), "seed {seed} fails with every promise kept: {wrongs:?}");
    }
}
