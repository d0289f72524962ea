//! The source against a stream in memory.

mod aggregate;
mod aggregates;
mod fake;
mod fanout;
mod known;
mod kpl;
mod reread;
mod retention;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::fake::{Call, FakeStream, sequence};
use super::service::{Failure, ReadFrom};
use writer::shared::Clock;

use super::{KinesisSettings, KinesisSource, StartSetting};
use crate::record::Batch;
use crate::source::{Claimed, Claims, READ_AHEAD_BATCHES, Request, Resume, Source, SourceError};

/// Generous: a passing test never waits for it.
const SOON: Duration = Duration::from_secs(20);

fn settings(start: StartSetting) -> KinesisSettings {
    KinesisSettings {
        discover_every: Duration::from_millis(20),
        give_up: Duration::from_secs(10),
        records_per_read: 3,
        reads_per_second: 1_000,
        bytes_per_second: 1 << 30,
        idle_poll: Duration::from_millis(1),
        backoff_base: Duration::from_millis(1),
        backoff_cap: Duration::from_millis(5),
        ..KinesisSettings::new("events", start)
    }
}

fn source(fake: &Arc<FakeStream>, settings: KinesisSettings) -> KinesisSource {
    KinesisSource::over(Arc::clone(fake) as _, settings, Clock::new(|| 1_000))
}

fn shard(id: &str) -> ShardId {
    ShardId::new(format!("events:{id}"))
}

fn at(n: u64) -> Position {
    Position::new(sequence(n), 0).expect("digits")
}

fn resume(after: Position, start: Start, ended: bool) -> Resume {
    Resume { after, start, ended, seen_at: None }
}

/// What the pipeline knows of each shard.
type Known = Arc<Mutex<BTreeMap<ShardId, Resume>>>;

struct Running {
    batches: mpsc::Receiver<Batch>,
    known: Known,
    stop: CancellationToken,
    done: JoinHandle<Result<(), SourceError>>,
    source: Arc<KinesisSource>,
}

fn start(fake: &Arc<FakeStream>, settings: KinesisSettings, known: &[(&str, Resume)]) -> Running {
    start_over(fake, settings, known.iter().map(|(id, r)| (shard(id), r.clone())).collect())
}

fn start_over(fake: &Arc<FakeStream>, settings: KinesisSettings, known: BTreeMap<ShardId, Resume>) -> Running {
    let unended = known.iter().filter(|(_, r)| !r.ended).map(|(shard, r)| (shard.clone(), r.after.clone())).collect();
    let known: Known = Arc::new(Mutex::new(known));
    let (requests, mut claimed) = mpsc::channel(1);
    let answers = Arc::clone(&known);
    tokio::spawn(async move {
        while let Some(asked) = claimed.recv().await {
            let Request::Claim { shard, first_start, reply, .. } = asked else { panic!("only claims: {asked:?}") };
            let fresh = resume(Position::zero(), first_start, false);
            let answer = answers.lock().expect("no panic holding it").entry(shard).or_insert(fresh).clone();
            assert!(reply.send(Claimed::Ours(answer)).is_ok() || claimed.is_closed() || claimed.is_empty());
        }
    });
    let (out, batches) = mpsc::channel(1_000);
    let (stop, source) = (CancellationToken::new(), Arc::new(source(fake, settings)));
    let (running, token) = (Arc::clone(&source), stop.clone());
    let done = tokio::spawn(async move { running.run(Claims::new(requests, unended), out, token).await });
    Running { batches, known, stop, done, source }
}

impl Running {
    async fn next(&mut self) -> Batch {
        timeout(SOON, self.batches.recv()).await.expect("a batch comes").expect("the source runs")
    }

    /// Batches until so many records came and so many shards ended.
    async fn take(&mut self, records: usize, ends: usize) -> Vec<Batch> {
        let (mut taken, mut missing, mut open) = (Vec::new(), records, ends);
        while missing > 0 || open > 0 {
            let mut batch = self.next().await;
            batch.permit = None;
            missing = missing.checked_sub(batch.records.len()).expect("not more than were put");
            open = open.checked_sub(usize::from(batch.last)).expect("not more ends than were made");
            taken.push(batch);
        }
        assert_chained(&taken);
        taken
    }

    async fn stopped(self) -> Result<(), SourceError> {
        self.stop.cancel();
        timeout(Duration::from_secs(5), self.done).await.expect("stops promptly").expect("no panic")
    }

    async fn error(self) -> SourceError {
        timeout(SOON, self.done).await.expect("ends").expect("no panic").expect_err("an error")
    }

    fn first_start(&self, id: &str) -> Start {
        self.known.lock().expect("no panic holding it")[&shard(id)].start.clone()
    }
}

fn assert_chained(batches: &[Batch]) {
    let mut ends: BTreeMap<&ShardId, &Position> = BTreeMap::new();
    for batch in batches {
        if let Some(end) = ends.insert(&batch.shard, &batch.span.to) {
            assert_eq!(*end, batch.span.from, "spans of {} chain", batch.shard);
        }
        assert!(batch.records.iter().all(|r| batch.span.contains(&r.position)));
        assert!(batch.records.is_sorted_by(|a, b| a.position < b.position));
        assert_eq!(batch.records.last().map_or(&batch.span.from, |r| &r.position), &batch.span.to);
    }
}

fn numbers(batches: &[Batch], id: &str) -> Vec<u64> {
    let of_shard = batches.iter().filter(|b| b.shard == shard(id));
    of_shard
        .flat_map(|b| &b.records)
        .map(|r| String::from_utf8_lossy(&r.data).parse().expect("the test's own data"))
        .collect()
}

fn index_of_last(batches: &[Batch], id: &str) -> usize {
    batches.iter().position(|b| b.last && b.shard == shard(id)).expect("the shard ended")
}

fn index_of_first(batches: &[Batch], id: &str) -> usize {
    batches.iter().position(|b| b.shard == shard(id)).expect("the shard was read")
}

#[tokio::test]
async fn a_split_parent_is_read_to_its_end_before_its_children() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    let parent = fake.put("s0", 10);
    fake.reshard(&["s0"], &["s1", "s2"]);
    let (left, right) = (fake.put("s1", 4), fake.put("s2", 5));
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    let batches = run.take(19, 1).await;
    assert_eq!([numbers(&batches, "s0"), numbers(&batches, "s1"), numbers(&batches, "s2")], [parent, left, right]);
    let end = index_of_last(&batches, "s0");
    assert!(index_of_first(&batches, "s1") > end && index_of_first(&batches, "s2") > end);
    run.stopped().await.expect("a stop is no error");
}

#[tokio::test]
async fn the_child_of_a_merge_waits_for_the_slower_parent() {
    let fake = Arc::new(FakeStream::new(&["s0", "s1"]));
    fake.put("s0", 30);
    fake.put("s1", 1);
    fake.reshard(&["s0", "s1"], &["s2"]);
    fake.put("s2", 2);
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    let batches = run.take(33, 2).await;
    let first = index_of_first(&batches, "s2");
    assert!(first > index_of_last(&batches, "s0") && first > index_of_last(&batches, "s1"));
}

#[tokio::test]
async fn children_of_a_shard_that_ends_are_found_without_waiting_for_the_next_round() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 2);
    let hourly = KinesisSettings { discover_every: Duration::from_secs(3_600), ..settings(StartSetting::Latest) };
    let mut run = start(&fake, hourly, &[]);
    run.take(2, 0).await;
    fake.set_now(5_000);
    fake.reshard(&["s0"], &["s1", "s2"]);
    let (left, right) = (fake.put("s1", 4), fake.put("s2", 3));
    let batches = run.take(7, 1).await;
    assert_eq!([numbers(&batches, "s1"), numbers(&batches, "s2")], [left, right]);
    assert_eq!(run.first_start("s1"), Start::At(1_000), "as its parent, not when it was found");
}

#[tokio::test]
async fn latest_takes_nothing_old_and_loses_nothing_new_over_closed_shards() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.set_now(500);
    fake.put("s0", 5);
    fake.reshard(&["s0"], &["s1"]);
    fake.put("s1", 5);
    fake.set_now(1_000);
    let new = fake.put("s1", 4);
    let mut run = start(&fake, settings(StartSetting::Latest), &[]);
    let batches = run.take(4, 1).await;
    assert_eq!(numbers(&batches, "s1"), new);
    assert!(fake.iterators().iter().all(|(_, from)| *from == ReadFrom::At(1_000)));
}

#[tokio::test]
async fn a_shard_is_resumed_after_its_position_and_an_ended_one_is_not_read() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 3);
    fake.reshard(&["s0"], &["s1"]);
    fake.put("s1", 7);
    let known = [("s0", resume(at(3), Start::TrimHorizon, true)), ("s1", resume(at(6), Start::TrimHorizon, false))];
    let mut run = start(&fake, settings(StartSetting::Latest), &known);
    let batches = run.take(4, 0).await;
    assert_eq!(numbers(&batches, "s1"), [7, 8, 9, 10]);
    assert_eq!(batches[0].span.from, at(6));
    assert_eq!(fake.iterators(), [("s1".to_string(), ReadFrom::Record(at(6)))]);
}

#[tokio::test]
async fn a_restart_exactly_at_a_split_reports_the_end_once_more_and_goes_on_with_the_children() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 3);
    fake.reshard(&["s0"], &["s1", "s2"]);
    let left = fake.put("s1", 2);
    let mut run = start(&fake, settings(StartSetting::Latest), &[("s0", resume(at(3), Start::TrimHorizon, false))]);
    let batches = run.take(2, 1).await;
    assert!(batches[0].last && batches[0].records.is_empty() && batches[0].span == Span::new(at(3), at(3)));
    assert_eq!(numbers(&batches, "s1"), left);
    assert_eq!(run.first_start("s2"), Start::TrimHorizon);
}

#[tokio::test]
async fn trap_6_an_iterator_that_expires_before_any_record_goes_back_to_the_same_instant() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.fail(Call::Records, &Failure::Expired("five minutes".into()), 2);
    let mut run = start(&fake, settings(StartSetting::Latest), &[]);
    fake.set_now(2_000);
    let put = fake.put("s0", 2);
    assert_eq!(numbers(&run.take(2, 0).await, "s0"), put);
    let asked: Vec<_> = fake.iterators().into_iter().map(|(_, from)| from).collect();
    assert_eq!(asked, vec![ReadFrom::At(1_000); 3]);
    assert_eq!(run.source.counters().expired.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_iterator_that_expires_later_goes_on_after_the_last_record() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 3);
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    run.take(3, 0).await;
    fake.fail(Call::Records, &Failure::Expired("five minutes".into()), 1);
    while fake.iterators().len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fake.put("s0", 2);
    assert_eq!(numbers(&run.take(2, 0).await, "s0"), [4, 5]);
    assert_eq!(fake.iterators()[1].1, ReadFrom::Record(at(3)));
}

#[tokio::test]
async fn throttling_and_a_failing_network_are_waited_out_without_loss() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    let put = fake.put("s0", 9);
    fake.fail(Call::List, &Failure::Throttled("slow down".into()), 2);
    fake.fail(Call::Iterator, &Failure::Unreachable("reset".into()), 2);
    fake.fail(Call::Records, &Failure::Throttled("slow down".into()), 5);
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    assert_eq!(numbers(&run.take(9, 0).await, "s0"), put);
    assert_eq!(run.source.counters().throttled.load(std::sync::atomic::Ordering::Relaxed), 5);
    assert_eq!(run.source.counters().unreachable.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_call_that_keeps_failing_ends_the_source_naming_shard_and_stream() {
    let fake = Arc::new(FakeStream::new(&["s0", "s1"]));
    fake.fail(Call::Records, &Failure::Throttled("slow down".into()), 1_000_000);
    let impatient = KinesisSettings { give_up: Duration::from_millis(30), ..settings(StartSetting::TrimHorizon) };
    let error = start(&fake, impatient, &[]).error().await;
    assert!(matches!(error, SourceError::Environment { .. }), "{error:?}");
    assert!(error.to_string().starts_with("read shard s"), "{error}");
    assert!(error.to_string().ends_with("of stream `events` at fake: throttled: slow down"), "{error}");
}

#[tokio::test]
async fn a_dead_endpoint_and_a_missing_stream_are_told_at_once() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.fail(Call::List, &Failure::Unreachable("connection refused".into()), 100);
    let error = start(&fake, settings(StartSetting::Latest), &[]).error().await;
    assert!(matches!(error, SourceError::Environment { .. }), "{error:?}");
    assert_eq!(error.to_string(), "list the shards of stream `events` at fake: connection refused");
    assert_eq!(fake.calls(Call::List), 1);

    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.fail(Call::List, &Failure::NotFound("no stream events".into()), 1);
    let error = start(&fake, settings(StartSetting::Latest), &[]).error().await;
    assert!(matches!(error, SourceError::Config(_)), "{error:?}");
}

#[tokio::test]
async fn a_shard_that_vanishes_while_it_is_read_is_a_loss_with_its_position() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 3);
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    run.take(3, 0).await;
    fake.remove("s0");
    match run.error().await {
        SourceError::Lost { shard: lost, after, .. } => assert_eq!((lost, after), (shard("s0"), at(3))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_old_shard_that_retention_removed_after_its_end_harms_nobody() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 3);
    fake.reshard(&["s0"], &["s1"]);
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    run.take(3, 1).await;
    fake.remove("s0");
    let lists = fake.calls(Call::List);
    while fake.calls(Call::List) < lists + 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let put = fake.put("s1", 2);
    assert_eq!(numbers(&run.take(2, 0).await, "s1"), put);
}

#[tokio::test]
async fn every_page_of_the_list_is_read() {
    let ids: Vec<String> = (0..250).map(|n| format!("s{n:03}")).collect();
    let fake = Arc::new(FakeStream::new(&ids.iter().map(String::as_str).collect::<Vec<_>>()));
    fake.set_list_page(100);
    ids.iter().for_each(|id| drop(fake.put(id, 1)));
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    let batches = run.take(250, 0).await;
    assert!(ids.iter().all(|id| numbers(&batches, id).len() == 1));
}

#[tokio::test]
async fn a_start_that_the_service_has_not_reached_is_waited_for() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.set_now(900);
    let mut run = start(&fake, settings(StartSetting::Latest), &[]);
    while fake.iterators().len() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fake.put("s0", 1);
    fake.set_now(1_000);
    let new = fake.put("s0", 1);
    assert_eq!(numbers(&run.take(1, 0).await, "s0"), new);
}

#[tokio::test]
async fn a_position_that_the_service_refuses_says_what_may_have_happened() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.fail(Call::Iterator, &Failure::InvalidArgument("foreign number".into()), 1);
    let known = [("s0", resume(at(3), Start::TrimHorizon, false))];
    let error = start(&fake, settings(StartSetting::Latest), &known).error().await;
    assert!(matches!(&error, SourceError::Config(text) if text.contains("deleted and made again")), "{error:?}");
}

#[tokio::test]
async fn a_record_that_does_not_follow_the_one_before_stops_the_source() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put_numbered("s0", 5);
    fake.put_numbered("s0", 5);
    let error = start(&fake, settings(StartSetting::TrimHorizon), &[]).error().await;
    assert!(error.to_string().contains("is not greater"), "{error}");
}

#[tokio::test]
async fn not_more_than_the_named_number_of_batches_is_read_ahead() {
    let fake = Arc::new(FakeStream::new(&["s0", "s1", "s2"]));
    for id in ["s0", "s1", "s2"] {
        fake.put(id, 300);
    }
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    let mut held = Vec::new();
    while held.len() < READ_AHEAD_BATCHES {
        held.push(run.next().await);
    }
    assert!(timeout(Duration::from_millis(50), run.batches.recv()).await.is_err(), "all permits are out");
    held.pop();
    run.next().await;
}

#[tokio::test]
async fn a_stop_ends_the_source_while_it_backs_off_or_waits_for_the_pipeline() {
    let fake = Arc::new(FakeStream::new(&["s0", "s1"]));
    fake.fail(Call::Records, &Failure::Unreachable("reset".into()), 1_000_000);
    let slow = Duration::from_secs(3_600);
    let patient =
        KinesisSettings { give_up: slow, backoff_base: slow, backoff_cap: slow, ..settings(StartSetting::TrimHorizon) };
    let run = start(&fake, patient, &[]);
    while fake.calls(Call::Records) < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    run.stopped().await.expect("a stop is no error");

    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 300);
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    let held = run.next().await;
    run.stopped().await.expect("a stop is no error");
    drop(held);
}

#[tokio::test]
async fn a_pipeline_that_is_gone_ends_the_source() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 3);
    let Running { batches, done, .. } = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    drop(batches);
    let outcome = timeout(SOON, done).await.expect("ends").expect("no panic");
    assert!(matches!(outcome, Err(SourceError::Closed)), "{outcome:?}");
}

#[tokio::test]
async fn the_lag_of_an_open_shard_is_reported_also_by_empty_reads() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 4);
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    assert_eq!(run.next().await.behind_ms, Some(500));
    run.next().await;
    let counters = run.source.counters();
    while counters.behind_ms().get(&shard("s0")) != Some(&0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
