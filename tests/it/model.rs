//! The protocol of "exactly once", taken through every order of its steps.
//!
//! Each request to the store is one step, and between any two of them any process may take a step, crash, or stay silent for as
//! long as it likes and then go on. What the processes decide is decided by production's own functions: the fold of a log, what a
//! log hands over, which shards to take and whom to seal, which cuts are stored, watermarks, marks.
//!
//! What makes it small enough, and hides no order:
//! - Nobody sees what a process does between two requests. So it reads when it cuts, and no further than to the last row of the
//!   cut; and encoding is no step.
//! - A PUT may arrive at any time once its entry exists, whatever has become of the process. That its answer is late, or lost, is
//!   the PUT arriving late.
//! - A create whose answer is lost is retried and finds itself. A create that outlives its process is the process being slow, and
//!   crashing then: the bound is on writers, not on processes alive, so another one may start meanwhile.
//! - The archive is a target like a partition: buffered, cut, marked and redone by the same steps, so it is not told apart here. That
//!   a record leaves a row in two targets at one position is no step of its own; simulated histories hold that
//!   (`simulation/verdict.rs`: every accepted record once in the archive, byte for byte).

mod folds;
mod ownership;
mod properties;
mod protocol;
mod state;
mod steps;
mod stream;

use stateright::{Checker, HasDiscoveries, Model};

use self::properties::{ACCEPTED, MARKS, NAMED, ONCE, ONE_OWNER, RECOVERS, WATERMARK};
use self::protocol::{Broken, Protocol};

/// Goes through all states. Few states would mean that something that may happen does not.
fn holds(model: Protocol, states_at_least: usize) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    let states = checker.unique_state_count();
    println!("{states} states, {} steps, {} deep", checker.state_count(), checker.max_depth());
    assert!(checker.is_done() && states >= states_at_least, "{states} states");
}

/// Finds a way to violate each of these properties.
fn is_caught(broken: Broken, violates: &[&'static str]) {
    let model = Protocol::new(["aba", "ba"], 2, 2).broken(broken);
    let all = HasDiscoveries::AllOf(violates.iter().copied().collect());
    let checker = model.checker().finish_when(all).spawn_bfs().join();
    for property in violates {
        let path = checker.discovery(property);
        let path = path.unwrap_or_else(|| panic!("{broken:?} goes unnoticed: \"{property}\" holds"));
        println!("{broken:?}, \"{property}\": {:?}", path.into_actions());
    }
}

/// With `ALLUVIUM_MODEL=large`, on a longer stream: four times the states.
#[test]
fn two_writers_two_shards_three_cuts() {
    let (second, states) = match std::env::var("ALLUVIUM_MODEL").as_deref() {
        Ok("large") => ("ba", 2_000_000),
        _ => ("b", 500_000),
    };
    holds(Protocol::new(["aba", second], 2, 3), states);
}

/// A static split that changes, and shards given up one by one.
#[test]
fn shards_change_hands_one_by_one() {
    holds(Protocol::new(["ab", "b"], 2, 2).releases(1).tasks(&[0b11, 0b10]), 800_000);
}

/// Whoever was fenced begins again with a new writer, and a third process comes.
#[test]
fn three_writers_one_after_the_other() {
    holds(Protocol::new(["a", "b"], 3, 1), 1_000_000);
}

#[test]
fn an_object_before_its_entry_is_caught() {
    is_caught(Broken::PutBeforeEntry, &[NAMED, RECOVERS]);
}

#[test]
fn a_takeover_without_a_seal_is_caught() {
    is_caught(Broken::NoSeal, &[ONE_OWNER, ONCE]);
}

#[test]
fn a_watermark_that_moves_with_the_entry_is_caught() {
    is_caught(Broken::WatermarkAtEntry, &[WATERMARK]);
}

#[test]
fn reading_on_from_the_highest_mark_is_caught() {
    is_caught(Broken::ResumeAtHighestMark, &[WATERMARK, RECOVERS]);
}

#[test]
fn reading_again_without_marks_is_caught() {
    is_caught(Broken::MarksIgnored, &[ONCE, RECOVERS]);
}

#[test]
fn an_epoch_before_the_entry_is_caught() {
    is_caught(Broken::EpochBeforeEntry, &[ACCEPTED, RECOVERS]);
}

#[test]
fn counting_stored_cuts_out_of_order_is_caught() {
    is_caught(Broken::StoredOutOfOrder, &[MARKS, RECOVERS]);
}
