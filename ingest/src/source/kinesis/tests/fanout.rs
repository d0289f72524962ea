//! Enhanced fan-out against the stream in memory, in paused time: five minutes pass at once.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::{Instant, sleep};

use super::*;
use crate::source::kinesis::ReaderSetting;
use crate::source::kinesis::service::ConsumerState;

const NAME: &str = "lake";

/// Virtual: longer than anything here may take, shorter than for ever.
const LONG: Duration = Duration::from_secs(4 * 3_600);

fn pushed(start: StartSetting) -> KinesisSettings {
    KinesisSettings { reader: ReaderSetting::FanOut { consumer: NAME.into() }, ..KinesisSettings::new("events", start) }
}

fn horizon() -> KinesisSettings {
    pushed(StartSetting::TrimHorizon)
}

fn stream(shards: &[&str]) -> Arc<FakeStream> {
    let fake = Arc::new(FakeStream::new(shards));
    fake.registered(NAME, ConsumerState::Active, 0);
    fake
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Numbers of a shard's records as they come, in batches that chain, until there are so many.
async fn take(run: &mut Running, id: &str, records: usize) -> Vec<u64> {
    let mut batches = Vec::new();
    while numbers(&batches, id).len() < records {
        let batch = timeout(LONG, run.batches.recv()).await.expect("records come").expect("the source runs");
        batches.push(Batch { permit: None, ..batch });
    }
    assert_chained(&batches);
    numbers(&batches, id)
}

async fn fails(run: Running) -> SourceError {
    timeout(LONG, run.done).await.expect("ends").expect("no panic").expect_err("an error")
}

fn after(n: u64) -> (String, ReadFrom) {
    ("s0".into(), ReadFrom::After(at(n)))
}

#[tokio::test(start_paused = true)]
async fn records_are_pushed_in_order_and_a_subscription_is_renewed_behind_its_continuation() {
    let fake = stream(&["s0", "s1"]);
    let first = fake.put("s0", 10);
    let mut run = start(&fake, horizon(), &[]);
    assert_eq!(take(&mut run, "s0", 10).await, first);
    fake.put("s1", 5);
    sleep(Duration::from_secs(301)).await;
    let second = fake.put("s0", 4);
    assert_eq!(take(&mut run, "s0", 4).await, second);
    let asked: Vec<_> = fake.subscriptions().into_iter().filter(|(id, _)| id == "s0").collect();
    assert_eq!(asked, [("s0".into(), ReadFrom::TrimHorizon), after(15)], "15 is a record of the other shard");
    let counters = run.source.counters();
    assert_eq!((count(&counters.subscriptions), count(&counters.renewals)), (4, 2));
    assert_eq!((count(&counters.in_use), count(&counters.unreachable)), (0, 0));
    assert_eq!(fake.calls(Call::Records), 0, "nobody polls");
    run.stopped().await.expect("a stop is no error");
}

#[tokio::test(start_paused = true)]
async fn a_shard_without_records_moves_on_and_its_span_does_not() {
    let fake = stream(&["s0", "s1"]);
    fake.put("s1", 7);
    let mut run = start(&fake, pushed(StartSetting::Latest), &[]);
    sleep(Duration::from_secs(1_000)).await;
    let of_s0 = |fake: &FakeStream| fake.subscriptions().into_iter().filter(|(id, _)| id == "s0").collect::<Vec<_>>();
    assert_eq!(of_s0(&fake), [("s0".into(), ReadFrom::At(1_000)), after(7), after(7), after(7)]);
    let put = fake.put("s0", 1);
    loop {
        let batch = timeout(LONG, run.batches.recv()).await.expect("a record comes").expect("the source runs");
        if batch.shard == shard("s0") && !batch.records.is_empty() {
            assert_eq!(batch.span, Span::new(Position::zero(), at(put[0])), "no continuation in a span");
            break;
        }
    }
    assert_eq!(run.source.counters().behind_ms().get(&shard("s0")), Some(&0));
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_resumed_after_its_position() {
    let fake = stream(&["s0"]);
    fake.put("s0", 9);
    let known = [("s0", resume(at(4), Start::TrimHorizon, false))];
    let mut run = start(&fake, horizon(), &known);
    assert_eq!(take(&mut run, "s0", 5).await, [5, 6, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_the_service_has_not_reached_is_waited_for() {
    let fake = stream(&["s0"]);
    fake.set_now(900);
    let mut run = start(&fake, pushed(StartSetting::Latest), &[]);
    while fake.calls(Call::Subscribe) < 3 {
        sleep(Duration::from_millis(10)).await;
    }
    fake.put("s0", 1);
    fake.set_now(1_000);
    let new = fake.put("s0", 1);
    assert_eq!(take(&mut run, "s0", 1).await, new);
}

#[tokio::test(start_paused = true)]
async fn a_shard_ends_with_its_children_and_they_are_read_after_it() {
    let fake = stream(&["s0"]);
    let parent = fake.put("s0", 7);
    let mut run = start(&fake, horizon(), &[]);
    let mut batches = run.take(7, 0).await;
    fake.reshard(&["s0"], &["s1", "s2"]);
    let (left, right) = (fake.put("s1", 4), fake.put("s2", 5));
    batches.extend(run.take(9, 1).await);
    assert_eq!([numbers(&batches, "s0"), numbers(&batches, "s1"), numbers(&batches, "s2")], [parent, left, right]);
    let end = index_of_last(&batches, "s0");
    assert!(index_of_first(&batches, "s1") > end && index_of_first(&batches, "s2") > end);
    assert_eq!(fake.subscriptions().iter().filter(|(id, _)| id == "s0").count(), 1, "an ended shard is left alone");
    assert_eq!(run.source.counters().behind_ms().get(&shard("s0")), None);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_no_event_tells_is_found_by_a_poll() {
    let fake = stream(&["s0"]);
    fake.endless();
    let parent = fake.put("s0", 7);
    let mut run = start(&fake, horizon(), &[]);
    let mut batches = run.take(7, 0).await;
    fake.reshard(&["s0"], &["s1", "s2"]);
    let children = [fake.put("s1", 4), fake.put("s2", 5)].concat();
    while batches.iter().map(|b| b.records.len()).sum::<usize>() < 16 {
        let batch = timeout(LONG, run.batches.recv()).await.expect("records come").expect("the source runs");
        batches.push(Batch { permit: None, ..batch });
    }
    assert_eq!(numbers(&batches, "s0"), parent);
    assert_eq!([numbers(&batches, "s1"), numbers(&batches, "s2")].concat(), children);
    assert_eq!(fake.calls(Call::Records), 1);
    run.stopped().await.expect("a stop is no error");
}

#[tokio::test(start_paused = true)]
async fn a_restart_exactly_at_a_split_reports_the_end_once_more() {
    let fake = stream(&["s0"]);
    fake.put("s0", 3);
    fake.reshard(&["s0"], &["s1"]);
    let child = fake.put("s1", 2);
    let mut run = start(&fake, horizon(), &[("s0", resume(at(3), Start::TrimHorizon, false))]);
    let batches = run.take(2, 1).await;
    assert!(batches[0].last && batches[0].records.is_empty() && batches[0].span == Span::new(at(3), at(3)));
    assert_eq!(numbers(&batches, "s1"), child);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_someone_else_took_is_asked_for_again_after_five_seconds_at_the_least() {
    let fake = stream(&["s0"]);
    let mut run = start(&fake, horizon(), &[]);
    let mut all = fake.put("s0", 2);
    assert_eq!(take(&mut run, "s0", 2).await, all);
    fake.take_over("s0");
    let taken = Instant::now();
    all = fake.put("s0", 5);
    assert_eq!(take(&mut run, "s0", 5).await, all, "nothing lost, nothing twice");
    assert!(taken.elapsed() >= Duration::from_secs(5), "{:?}", taken.elapsed());
    assert_eq!(count(&run.source.counters().in_use), 1);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_refused_as_in_use_is_waited_for_and_then_given_up() {
    let in_use = Failure::InUse("another one is active".into());
    let fake = stream(&["s0"]);
    fake.fail(Call::Subscribe, &in_use, 3);
    let put = fake.put("s0", 2);
    let mut run = start(&fake, horizon(), &[]);
    assert_eq!(take(&mut run, "s0", 2).await, put);
    assert_eq!(count(&run.source.counters().in_use), 3);

    let fake = stream(&["s0"]);
    fake.fail(Call::Subscribe, &in_use, 1_000);
    let began = Instant::now();
    let error = fails(start(&fake, horizon(), &[])).await;
    assert!(matches!(error, SourceError::Environment { .. }), "{error:?}");
    assert!(error.to_string().contains("another lake"), "{error}");
    assert!(began.elapsed() >= horizon().give_up && began.elapsed() < 2 * horizon().give_up);
    let calls = fake.calls(Call::Subscribe);
    assert!((8..=61).contains(&calls), "{calls} calls in five minutes");
}

#[tokio::test(start_paused = true)]
async fn a_silent_subscription_is_dropped_after_a_minute() {
    let fake = stream(&["s0"]);
    let mut run = start(&fake, horizon(), &[]);
    fake.put("s0", 3);
    take(&mut run, "s0", 3).await;
    fake.silence(true);
    let put = fake.put("s0", 3);
    sleep(Duration::from_secs(59)).await;
    assert_eq!(fake.subscriptions().len(), 1);
    sleep(Duration::from_secs(2)).await;
    fake.silence(false);
    assert_eq!(take(&mut run, "s0", 3).await, put);
    assert_eq!((fake.subscriptions().len(), count(&run.source.counters().unreachable)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_stays_silent_is_given_up_by_name() {
    let fake = stream(&["s0"]);
    fake.silence(true);
    let error = fails(start(&fake, horizon(), &[])).await;
    assert!(error.to_string().contains("read shard s0") && error.to_string().contains("no event for 60 s"), "{error}");
    assert!(error.to_string().contains("write reader = \"polling\""), "{error}");
}

#[tokio::test(start_paused = true)]
async fn failures_on_the_way_and_throttling_are_waited_out_without_loss() {
    let fake = stream(&["s0"]);
    let mut all = fake.put("s0", 3);
    fake.fail(Call::Consumer, &Failure::Throttled("slow down".into()), 2);
    fake.fail(Call::Subscribe, &Failure::Throttled("slow down".into()), 3);
    let mut run = start(&fake, horizon(), &[]);
    let mut got = take(&mut run, "s0", 3).await;
    fake.fail(Call::Event, &Failure::Unreachable("reset".into()), 2);
    fake.fail(Call::Event, &Failure::Throttled("kms".into()), 1);
    all.extend(fake.put("s0", 17));
    got.extend(take(&mut run, "s0", 17).await);
    assert_eq!(got, all);
    let counters = run.source.counters();
    assert_eq!((count(&counters.unreachable), count(&counters.throttled)), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_continuation_that_is_refused_gives_way_to_the_last_record() {
    let fake = stream(&["s0", "s1"]);
    fake.put("s0", 3);
    fake.put("s1", 4);
    let mut run = start(&fake, horizon(), &[("s1", resume(at(7), Start::TrimHorizon, true))]);
    take(&mut run, "s0", 3).await;
    sleep(Duration::from_secs(6)).await;
    fake.fail(Call::Event, &Failure::Unreachable("reset".into()), 1);
    fake.fail(Call::Subscribe, &Failure::InvalidArgument("foreign number".into()), 1);
    let put = fake.put("s0", 3);
    assert_eq!(take(&mut run, "s0", 3).await, put);
    assert_eq!(fake.subscriptions(), [("s0".into(), ReadFrom::TrimHorizon), ("s0".into(), ReadFrom::Record(at(3)))]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_vanishes_is_a_loss_with_its_position() {
    let fake = stream(&["s0"]);
    fake.put("s0", 3);
    let mut run = start(&fake, horizon(), &[]);
    take(&mut run, "s0", 3).await;
    fake.remove("s0");
    match fails(run).await {
        SourceError::Lost { shard: lost, after, .. } => assert_eq!((lost, after), (shard("s0"), at(3))),
        other => panic!("{other:?}"),
    }
    // The stream as a whole: there is nothing to register a consumer with either.
    let fake = stream(&["s0"]);
    let mut run = start(&fake, horizon(), &[]);
    fake.put("s0", 3);
    take(&mut run, "s0", 3).await;
    fake.fail(Call::Register, &Failure::NotFound("no stream".into()), 100);
    fake.deregister(NAME);
    fake.remove("s0");
    let gone = fails(run).await;
    assert!(matches!(&gone, SourceError::Lost { after, .. } if *after == at(3)), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_does_not_follow_the_one_before_stops_the_source() {
    let fake = stream(&["s0"]);
    fake.put_numbered("s0", 5);
    fake.put_numbered("s0", 5);
    let error = fails(start(&fake, horizon(), &[])).await;
    assert!(error.to_string().contains("is not greater"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_full_pipeline_holds_one_event_of_each_shard_and_idle_shards_hold_up_nobody() {
    let ids: Vec<String> = (0..40).map(|n| format!("s{n:02}")).collect();
    let fake = stream(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let mut run = start(&fake, horizon(), &[]);
    sleep(Duration::from_secs(1)).await;
    let (idle, asked) = (fake.events(), Instant::now());
    assert_eq!(idle, 40, "each has told that it is there");
    let busy: Vec<u64> = fake.put("s07", 300);
    let mut held = Vec::new();
    while held.len() < READ_AHEAD_BATCHES {
        held.push(run.next().await);
    }
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(timeout(Duration::from_secs(3), run.batches.recv()).await.is_err(), "all permits are out");
    assert_eq!(fake.events() - idle, READ_AHEAD_BATCHES + 1, "one more is in hand");
    let mut got = numbers(&held, "s07");
    drop(held);
    got.extend(take(&mut run, "s07", 300 - got.len()).await);
    assert_eq!(got, busy);
}

#[tokio::test(start_paused = true)]
async fn after_a_long_hold_up_the_last_record_is_asked_for_not_the_continuation() {
    let fake = stream(&["s0", "s1"]);
    fake.put("s1", 1);
    let all = fake.put("s0", 100);
    let mut run = start(&fake, horizon(), &[]);
    let mut held = Vec::new();
    while held.len() < READ_AHEAD_BATCHES {
        held.push(run.next().await);
    }
    sleep(Duration::from_secs(3_600)).await;
    let mut got = numbers(&held, "s0");
    drop(held);
    got.extend(take(&mut run, "s0", 100 - got.len()).await);
    assert_eq!(got, all);
    let of_s0: Vec<_> = fake.subscriptions().into_iter().filter(|(id, _)| id == "s0").collect();
    let ReadFrom::Record(from) = &of_s0[1].1 else { panic!("{of_s0:?}") };
    assert!(of_s0.len() == 2 && all.iter().any(|n| at(*n) == *from), "{of_s0:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_dropped_at_any_moment_loses_and_repeats_nothing() {
    let fake = stream(&["s0"]);
    let mut all = fake.put("s0", 200);
    let (mut last, mut got, mut stops) = (Position::zero(), Vec::new(), 0u64);
    while got.len() < all.len() {
        let mut run = start(&fake, horizon(), &[("s0", resume(last.clone(), Start::TrimHorizon, false))]);
        // The first subscription after a stop may be refused for five seconds, and waited for twenty.
        let life = Duration::from_millis(stops * 7_919 % 30_000);
        let mut batches = Vec::new();
        let end = Instant::now() + life;
        while let Ok(Some(batch)) = tokio::time::timeout_at(end, run.batches.recv()).await {
            batches.push(batch);
            if stops % 3 == 0 && batches.len() > 5 {
                break;
            }
        }
        run.stop.cancel();
        assert_chained(&batches);
        if let Some(batch) = batches.last() {
            assert_eq!(batches[0].span.from, last);
            last = batch.span.to.clone();
        }
        got.extend(numbers(&batches, "s0"));
        stops += 1;
        if stops % 5 == 0 && all.len() < 300 {
            all.extend(fake.put("s0", 20));
        }
        assert!(stops < 1_000, "{} of {}", got.len(), all.len());
    }
    assert_eq!(got, all);
    assert!(stops > 5, "{stops}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_source_while_it_waits_for_whatever_it_may() {
    for (call, failure) in [
        (Call::Subscribe, Failure::InUse("someone".into())),
        (Call::Subscribe, Failure::Throttled("slow down".into())),
        (Call::Consumer, Failure::InUse("someone".into())),
        (Call::Event, Failure::Unreachable("reset".into())),
    ] {
        let fake = stream(&["s0", "s1"]);
        fake.fail(call, &failure, 1_000_000);
        let run = start(&fake, horizon(), &[]);
        sleep(Duration::from_secs(7)).await;
        run.stopped().await.expect("a stop is no error");
    }
}

#[tokio::test(start_paused = true)]
async fn a_span_is_read_again_by_polling() {
    let fake = stream(&["s0"]);
    fake.put("s0", 20);
    let (out, mut batches) = mpsc::channel(100);
    let span = Span::new(at(4), at(11));
    source(&fake, horizon()).reread(&shard("s0"), &Start::TrimHorizon, &span, None, out).await.expect("all is there");
    let mut got = Vec::new();
    while let Some(batch) = batches.recv().await {
        got.push(batch);
    }
    assert_eq!(numbers(&got, "s0"), [5, 6, 7, 8, 9, 10, 11]);
    assert!(fake.subscriptions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_registered_if_it_is_not_there_and_waited_for() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    source(&fake, horizon()).check().await.expect("it can be registered");
    assert_eq!(fake.calls(Call::Register), 1);
    source(&fake, horizon()).check().await.expect("it is there");
    assert_eq!(fake.calls(Call::Register), 1);
    assert!(fake.subscriptions().is_empty(), "a check does not read");

    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.registered(NAME, ConsumerState::Deleting, 3);
    source(&fake, horizon()).check().await.expect("it goes, and is registered anew");
    assert_eq!(fake.calls(Call::Register), 1);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_two_register_at_once_is_shared() {
    let fake = Arc::new(FakeStream::new(&["s0", "s1"]));
    let (one, two) = (source(&fake, horizon()), source(&fake, horizon()));
    let (one, two) = tokio::join!(one.check(), two.check());
    one.and(two).expect("both have it");
    let put = fake.put("s0", 1);
    let mut run = start(&fake, horizon(), &[]);
    assert_eq!(take(&mut run, "s0", 1).await, put);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_whose_registration_is_taken_back_is_registered_again() {
    let fake = stream(&["s0", "s1"]);
    let mut run = start(&fake, horizon(), &[]);
    fake.put("s0", 2);
    take(&mut run, "s0", 2).await;
    fake.deregister(NAME);
    let put = fake.put("s0", 3);
    assert_eq!(take(&mut run, "s0", 3).await, put);
    let other = fake.put("s1", 3);
    assert_eq!(take(&mut run, "s1", 3).await, other);
    assert_eq!(fake.calls(Call::Register), 1, "by one of the two readers");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_registered_is_told_with_what_to_grant() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.fail(Call::Register, &Failure::Denied("no right to register".into()), 1);
    let denied = source(&fake, horizon()).check().await.expect_err("denied");
    assert!(matches!(&denied, SourceError::Config(_)), "{denied:?}");
    for part in ["register consumer `lake`", "no right to register", "grant kinesis:", "reader = \"polling\""] {
        assert!(denied.to_string().contains(part), "{denied}");
    }
    fake.fail(Call::Register, &Failure::Throttled("LimitExceededException: 20".into()), 1_000);
    let full = source(&fake, horizon()).check().await.expect_err("full");
    assert!(full.to_string().contains("at most 20 consumers"), "{full}");
    let without = Arc::new(FakeStream::new(&["s0"]));
    without.fail(Call::Consumer, &Failure::Fatal("UnknownOperationException".into()), 1);
    let unknown = source(&without, horizon()).check().await.expect_err("no such operation");
    assert!(unknown.to_string().contains("has no enhanced fan-out"), "{unknown}");
}
