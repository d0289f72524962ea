//! The production code of source, pipeline and writer in simulated time: several processes on one stream and one lake, all of whose
//! answers may fail, be late or be lost; processes die, freeze, wake up, take over from each other while shards split and merge.
//! A seed decides all of it, and the same seed gives the same end, object by object.
//!
//! However it went, in the end each record that the stream accepted is once in the table or once in the errors output, and where an
//! archive is kept once in that, byte for byte; and the objects lying there are those the logs name. At every moment no object lies there before a log names it, and none is replaced
//! by other bytes.
//!
//! `ALLUVIUM_SIM_SEEDS=10000 ALLUVIUM_SIM_FIRST=0 cargo test -p tests --test it simulation::seeds` plays others (`just sim`).
//! With `ALLUVIUM_SIM_DUMP=folder`, what a failed history has left is written there.

mod notes;
mod plan;
mod process;
mod producer;
mod verdict;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use verdict::End;
use world::World;

/// Seeds that every run of the tests plays.
const SEEDS: u64 = 200;

/// Plays one history; a panic is a failure of its seed.
fn play(seed: u64, sin: Option<Sin>) -> Result<End, String> {
    let played = std::panic::catch_unwind(|| simulate(seed, sin));
    played.unwrap_or_else(|_| Err(format!("seed {seed}: panicked, see above")))
}

/// In a runtime of its own, on this thread alone and in no time at all.
fn simulate(seed: u64, sin: Option<Sin>) -> Result<End, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime starts");
    runtime.block_on(async {
        let world = World::new(seed);
        if sin == Some(Sin::ForgetsPut) {
            world.bucket.forget_put(3);
        }
        let outcome = world.play().await;
        outcome.map_err(|wrong| format!("seed {seed}: {wrong}\n{}", world.notes.text()))
    })
}

/// What a store does that no store may, to prove that it would be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sin {
    ForgetsPut,
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}: {text}")))
}

/// Plays seeds on as many threads as there are processors; gives what went wrong, and the sum of what happened.
fn play_all(first: u64, count: u64) -> (Vec<String>, BTreeMap<String, u64>) {
    let (next, wrong, sum) = (AtomicU64::new(first), Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    match play(seed, None) {
                        Ok(end) => {
                            let mut sum = sum.lock().expect("no thread panics holding it");
                            end.happened.into_iter().for_each(|(what, n)| *sum.entry(what).or_default() += n);
                        }
                        Err(text) => wrong.lock().expect("no thread panics holding it").push(text),
                    }
                }
            });
        }
    });
    (wrong.into_inner().expect("the threads have ended"), sum.into_inner().expect("the threads have ended"))
}

#[test]
fn seeds() {
    let (first, count) = (number("ALLUVIUM_SIM_FIRST", 0), number("ALLUVIUM_SIM_SEEDS", SEEDS));
    let (wrong, happened) = play_all(first, count);
    println!("{count} seeds from {first}: {happened:#?}");
    let again = "play one again with `just sim 1 SEED`";
    assert!(wrong.is_empty(), "{} of {count} seeds failed; {again}\n{}", wrong.len(), wrong.join("\n\n"));
    if count >= SEEDS {
        // A history in which nothing happens proves nothing.
        for what in world::MUST_HAPPEN {
            assert!(happened.get(*what).is_some_and(|n| *n > count / 20), "{what} hardly ever: {happened:#?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_end() {
    let mut ends = Vec::new();
    for seed in 0..12 {
        let (one, other) = (play(seed, None), play(seed, None));
        assert_eq!(one, other, "seed {seed}");
        ends.push(one.map(|end| end.digest));
    }
    ends.dedup();
    assert_eq!(ends.len(), 12, "each seed has an end of its own");
}

#[test]
fn a_store_that_forgets_what_it_has_acknowledged_is_found_out() {
    let found: Vec<u64> = (0..12).filter(|seed| play(*seed, Some(Sin::ForgetsPut)).is_err()).collect();
    // In a history whose writer dies before it has said that the object is stored, the next one looks for it and stores it again.
    assert!(found.len() >= 10, "an object is missing and nobody says so, but for seeds {found:?}");
}
