//! One connection against a scripted daemon, state and stream: what is handed over, checkpointed, given up.

mod daemon;

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt;

use self::daemon::*;
use super::*;
use crate::source::Claimed;
use crate::source::kinesis::IDLE_WORD;

#[tokio::test]
async fn a_fresh_shard_is_read_from_where_the_daemon_begins_and_spans_chain() {
    let mut daemon = connect(world(vec![ours("0")]));
    daemon.initialize("TRIM_HORIZON").await;
    assert_eq!(daemon.world.happened(), [format!("claim {} TrimHorizon", shard())]);
    assert!(daemon.records([3, 5]).await.is_empty() && daemon.records([]).await.is_empty());
    daemon.records([8]).await;
    assert_eq!(daemon.happened(), ["0..5: 3 5", "5..8: 8"]);
    let (world, ended) = daemon.closed().await;
    assert!(ended.is_ok());
    assert_eq!(world.happened(), ["give up through 8"]);
}

#[tokio::test]
async fn what_the_state_holds_already_is_passed_over() {
    let mut daemon = connect(world(vec![ours("5")]));
    daemon.initialize("2").await;
    daemon.records([3, 4]).await;
    daemon.records([5, 6, 7]).await;
    assert_eq!(daemon.happened(), ["5..7: 6 7"]);
    assert_eq!(daemon.shared.counters.passed_over.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_daemon_that_begins_too_late_has_the_gap_read_from_the_stream() {
    let mut late = world(vec![ours("5")]);
    late.stream = (1..=10).map(|n| (n, NOW)).collect();
    let mut daemon = connect(late);
    daemon.initialize("LATEST").await;
    daemon.records([]).await;
    daemon.records([9, 10]).await;
    daemon.records([11]).await;
    assert_eq!(daemon.happened(), ["fetch 5..9", "5..9: 6 7 8 9", "9..10: 10", "10..11: 11"]);
    assert_eq!(daemon.shared.counters.gap_records.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn where_the_daemon_joins_what_is_stored_is_read_unless_it_gives_the_last_stored_record() {
    let mut ahead = world(vec![ours("5")]);
    ahead.stream = (1..=8).map(|n| (n, NOW)).collect();
    let mut daemon = connect(ahead);
    daemon.initialize("7").await;
    daemon.records([8]).await;
    assert_eq!(daemon.happened(), ["fetch 5..8", "5..8: 6 7 8"]);
    let seen = Resume { seen_at: Some(5), ..resume("7", Start::TrimHorizon) };
    let mut even = world(vec![Claimed::Ours(seen)]);
    even.stream = vec![(7, NOW), (8, NOW)];
    let mut daemon = connect(even);
    daemon.initialize("7").await;
    daemon.records([8, 9]).await;
    daemon.records([10]).await;
    assert_eq!(daemon.happened(), ["fetch 7..8, seen at 5", "7..8: 8", "8..9: 9", "9..10: 10"]);
    let mut daemon = connect(world(vec![ours("7")]));
    daemon.initialize("6").await;
    daemon.records([7, 8]).await;
    assert_eq!(daemon.happened(), ["7..8: 8"]);
}

#[tokio::test]
async fn a_daemon_that_lags_close_to_retention_is_not_trusted_to_have_missed_nothing() {
    let mut lagging = world(vec![ours("0")]);
    lagging.stream = (1..=9).map(|n| (n, NOW)).collect();
    let mut daemon = connect(lagging);
    daemon.initialize("TRIM_HORIZON").await;
    daemon.records([1, 2]).await;
    let mut late = records([(5, NOW), (6, NOW)]);
    late["millisBehindLatest"] = CLOSE_MS.into();
    daemon.act(late).await;
    daemon.records([7]).await;
    assert_eq!(daemon.happened(), ["0..2: 1 2", "fetch 2..5", "2..5: 3 4 5", "5..6: 6", "6..7: 7"]);
}

#[tokio::test]
async fn a_shard_without_records_is_seen_to_hold_nothing_more() {
    let mut daemon = connect(world(vec![ours("0")]));
    daemon.initialize("TRIM_HORIZON").await;
    for n in 1..=33 {
        daemon.records([n]).await;
    }
    assert_eq!(daemon.happened().last().map(String::as_str), Some("32..33: 33 tip"), "after as many as it may hold");
    tokio::time::pause();
    daemon.records([]).await;
    tokio::time::advance(IDLE_WORD).await;
    daemon.records([]).await;
    daemon.records([]).await;
    assert_eq!(daemon.happened(), ["33..33:  tip"], "now and then");
}

#[tokio::test]
async fn latest_is_an_instant_and_what_arrived_before_it_is_passed_over() {
    let mut fresh = world(vec![Claimed::Ours(resume("0", Start::At(NOW)))]);
    fresh.stream = vec![(1, NOW - 1), (2, NOW), (3, NOW)];
    let mut daemon = connect(fresh);
    daemon.initialize("LATEST").await;
    assert_eq!(daemon.world.happened(), [format!("claim {} At({NOW})", shard())]);
    // The daemon's own instant was a little earlier for record 1, and is the same for a second start of it.
    daemon.act(records([(1, NOW - 1), (3, NOW)])).await;
    assert_eq!(daemon.happened(), ["fetch 0..3", "0..3: 2 3"]);
}

#[tokio::test]
async fn a_place_that_the_protocol_does_not_tell_is_refused() {
    let mut daemon = connect(world(vec![ours("0")]));
    daemon.say(json!({"action": "initialize", "shardId": SHARD, "sequenceNumber": "AT_TIMESTAMP"})).await;
    let mut rest = String::new();
    daemon.hears.read_line(&mut rest).await.expect("closed");
    assert_eq!((rest.as_str(), daemon.happened().len()), ("", 0));
}

#[tokio::test]
async fn an_owner_is_waited_for_and_then_overruled() {
    let mut daemon = connect(world(vec![theirs(), theirs(), ours("5")]));
    daemon.initialize("5").await;
    assert!(daemon.happened().is_empty(), "given up in time");

    let mut stubborn = world(vec![theirs()]);
    stubborn.seizes = Mutex::new(vec![ours("6")]);
    let mut daemon = connect(stubborn);
    let began = tokio::time::Instant::now();
    daemon.initialize("5").await;
    assert!(began.elapsed() >= WAITS.handover);
    daemon.records([6, 7]).await;
    assert_eq!(daemon.happened(), [format!("seize {}", shard()), "6..7: 7".into()]);
    assert_eq!(daemon.shared.counters.seized.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn checkpoints_say_what_is_stored_and_are_never_ahead_of_it() {
    let mut daemon = connect(world(vec![ours("0")]));
    daemon.initialize("TRIM_HORIZON").await;
    assert!(daemon.records([1, 2, 3]).await.is_empty(), "nothing is stored");
    daemon.shared.note_stored(&shard(), &at("2"));
    assert_eq!(daemon.records([4]).await, ["2"]);
    daemon.shared.note_stored(&shard(), &at("3.0.1"));
    tokio::time::sleep(WAITS.checkpoint).await;
    assert!(daemon.records([]).await.is_empty(), "a place inside a record");
    daemon.shared.note_stored(&shard(), &at("4"));
    assert_eq!(daemon.records([]).await, ["4"]);
    daemon.shared.note_stored(&shard(), &at("9"));
    assert!(daemon.records([5]).await.is_empty(), "each costs a write: not so soon again");
    tokio::time::sleep(WAITS.checkpoint).await;
    assert_eq!(daemon.records([]).await, ["5"], "the daemon has not given 9");
    assert_eq!(daemon.shared.counters.checkpoints.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_refused_checkpoint_is_tried_again() {
    let mut daemon = connect(world(vec![ours("0")]));
    daemon.initialize("TRIM_HORIZON").await;
    daemon.shared.note_stored(&shard(), &at("1"));
    let message = records([(1, NOW)]);
    assert_eq!(daemon.act_with(message, Some("ThrottlingException")).await, ["1"]);
    tokio::time::sleep(WAITS.checkpoint).await;
    assert_eq!(daemon.records([]).await, ["1"]);
    assert_eq!(daemon.shared.counters.checkpoints_refused.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_graceful_hand_over_stores_all_and_checkpoints_it() {
    let mut daemon = connect(world(vec![ours("0")]));
    daemon.initialize("TRIM_HORIZON").await;
    daemon.records([1, 2]).await;
    assert_eq!(daemon.act(json!({"action": "shutdownRequested"})).await, ["2"]);
    assert_eq!(daemon.happened(), ["0..2: 1 2", "give up through 2"]);
    assert!(daemon.act(json!({"action": "leaseLost"})).await.is_empty());
    let (world, ended) = daemon.closed().await;
    assert!(ended.is_ok() && world.happened().is_empty(), "given up once");
}

#[tokio::test]
async fn a_hand_over_that_is_called_off_claims_again() {
    let mut again = world(vec![ours("0"), ours("2")]);
    again.stream = vec![(2, NOW), (3, NOW)];
    let mut daemon = connect(again);
    daemon.initialize("TRIM_HORIZON").await;
    daemon.records([1, 2]).await;
    daemon.act(json!({"action": "shutdownRequested"})).await;
    daemon.records([3]).await;
    assert_eq!(daemon.happened(), ["0..2: 1 2", "give up through 2", "fetch 2..3", "2..3: 3"]);
}

#[tokio::test]
async fn a_lost_lease_is_given_up_without_a_checkpoint() {
    let mut daemon = connect(world(vec![ours("0")]));
    daemon.initialize("TRIM_HORIZON").await;
    daemon.records([1]).await;
    assert!(daemon.act(json!({"action": "shutdown", "reason": "ZOMBIE"})).await.is_empty());
    assert_eq!(daemon.happened(), ["0..1: 1", "give up through 1"]);
}

#[tokio::test]
async fn the_end_of_a_shard_is_stored_before_it_is_checkpointed() {
    let mut daemon = connect(world(vec![ours("0")]));
    daemon.initialize("TRIM_HORIZON").await;
    daemon.records([1]).await;
    assert_eq!(daemon.act(json!({"action": "shardEnded"})).await, [Value::Null]);
    assert_eq!(daemon.happened(), ["0..1: 1", "1..1:  last", "give up through 1"]);
}

#[tokio::test]
async fn an_end_that_cannot_be_checkpointed_is_not_answered() {
    let mut daemon = connect(world(vec![ours("0")]));
    daemon.initialize("TRIM_HORIZON").await;
    daemon.say(json!({"action": "shardEnded"})).await;
    for _ in 0..5 {
        assert_eq!(daemon.hear().await, json!({"action": "checkpoint"}));
        daemon.say(json!({"action": "checkpoint", "error": "ThrottlingException"})).await;
    }
    let mut rest = String::new();
    daemon.hears.read_line(&mut rest).await.expect("closed");
    assert_eq!(rest, "");
}

#[tokio::test]
async fn a_shard_that_is_stored_to_its_end_only_has_that_checkpointed() {
    let ended = Resume { ended: true, ..resume("7", Start::TrimHorizon) };
    let mut daemon = connect(world(vec![Claimed::Ours(ended)]));
    daemon.initialize("3").await;
    daemon.records([4, 7]).await;
    assert_eq!(daemon.act(json!({"action": "shardEnded"})).await, [Value::Null]);
    assert_eq!(daemon.happened(), ["give up through 7"]);
}

#[tokio::test]
async fn a_shard_that_ends_before_the_gap_was_known_is_read_to_its_end() {
    let mut late = world(vec![ours("5")]);
    late.stream = (1..=8).map(|n| (n, NOW)).collect();
    let mut daemon = connect(late);
    daemon.initialize("LATEST").await;
    assert_eq!(daemon.act(json!({"action": "shardEnded"})).await, [Value::Null]);
    assert_eq!(daemon.happened(), ["fetch the rest after 5", "5..8: 6 7 8 last", "give up through 8"]);
}

#[tokio::test]
async fn a_second_connection_for_a_shard_waits_for_the_first() {
    let mut two = world(vec![ours("0"), ours("1")]);
    two.stream = vec![(1, NOW), (2, NOW)];
    let world = Arc::new(two);
    let shared = shared(&world);
    let mut first = connect_to(world.clone(), shared.clone());
    first.initialize("TRIM_HORIZON").await;
    first.records([1]).await;
    let mut second = connect_to(world.clone(), shared);
    let message = json!({"action": "initialize", "shardId": SHARD, "sequenceNumber": "TRIM_HORIZON"});
    second.say(message).await;
    tokio::time::sleep(WAITS.look * 10).await;
    assert_eq!(first.closed().await.0.happened().last().map(String::as_str), Some("give up through 1"));
    assert_eq!(second.hear().await, json!({"action": "status", "responseFor": "initialize"}));
    second.records([2]).await;
    assert_eq!(second.happened(), ["fetch 1..2", "1..2: 2"]);
}

#[tokio::test]
async fn records_out_of_order_and_nonsense_end_the_connection_and_give_the_shard_up() {
    for wrong in [records([(3, NOW), (2, NOW)]), json!({"action": "dance"}), json!({"action": "checkpoint"})] {
        let mut daemon = connect(world(vec![ours("0")]));
        daemon.initialize("TRIM_HORIZON").await;
        daemon.say(wrong).await;
        let mut rest = String::new();
        daemon.hears.read_line(&mut rest).await.expect("closed");
        assert_eq!((rest.as_str(), daemon.happened()), ("", vec!["give up through 0".to_string()]));
    }
}
