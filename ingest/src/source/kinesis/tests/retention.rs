//! Positions that retention has trimmed: which are a loss, and how to go on.

use std::sync::atomic::Ordering;

use super::*;

const HOUR: i64 = 3_600_000;
/// What the clock of these tests says.
const NOW: i64 = 1_000;

fn resumed(n: u64, seen_at: Option<i64>) -> [(&'static str, Resume); 1] {
    [("s0", Resume { seen_at, ..resume(at(n), Start::TrimHorizon, false) })]
}

fn accepting(loss: &str) -> KinesisSettings {
    let accepted_loss = vec![loss.parse().expect("a loss")];
    KinesisSettings { accepted_loss, ..settings(StartSetting::Latest) }
}

/// Ten records, of which the first six are gone.
fn trimmed() -> Arc<FakeStream> {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 10);
    fake.trim("s0", 4);
    fake
}

fn lost(error: SourceError) -> (Position, Option<Position>, String) {
    match error {
        SourceError::Lost { shard: lost, after, first, message } => {
            assert_eq!(lost, shard("s0"));
            (after, first, message)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_trimmed_position_is_a_loss_with_its_exact_span_and_the_way_on() {
    let fake = trimmed();
    let error = start(&fake, settings(StartSetting::Latest), &resumed(3, None)).error().await;
    let (after, first, message) = lost(error);
    assert_eq!((&after, first), (&at(3), Some(at(7))));
    let way_on = format!("start with --accept-loss events:s0:{}-{} to go on", at(3), at(7));
    assert!(message.contains(&way_on), "{message}");
    assert_eq!(fake.calls(Call::Retention), 0, "without a look at the shard the period does not matter");
}

#[tokio::test]
async fn an_idle_shard_may_be_trimmed_behind_its_reader() {
    for (hours, unseen, is_lost) in [(24, 23, false), (24, 24, true), (48, 30, false), (48, 49, true)] {
        let fake = trimmed();
        fake.set_retention(hours);
        let mut run = start(&fake, settings(StartSetting::Latest), &resumed(3, Some(NOW - unseen * HOUR)));
        if is_lost {
            assert_eq!(lost(run.error().await).0, at(3), "{unseen} h of {hours}");
        } else {
            let batches = run.take(4, 0).await;
            assert_eq!(numbers(&batches, "s0"), [7, 8, 9, 10], "{unseen} h of {hours}");
            assert_eq!(batches[0].span.from, at(3));
            assert_eq!(run.source.counters().lost_spans.load(Ordering::Relaxed), 0);
        }
        assert_eq!(fake.calls(Call::Retention), 1);
    }
}

#[tokio::test]
async fn where_the_retention_period_may_not_be_asked_for_it_counts_as_the_least_there_is() {
    for (unseen, is_lost) in [(23, false), (30, true)] {
        let fake = trimmed();
        fake.set_retention(48);
        fake.fail(Call::Retention, &Failure::Throttled("slow down".into()), 2);
        fake.fail(Call::Retention, &Failure::Denied("no right".into()), 1);
        let mut run = start(&fake, settings(StartSetting::Latest), &resumed(3, Some(NOW - unseen * HOUR)));
        match is_lost {
            true => drop(lost(run.error().await)),
            false => assert_eq!(numbers(&run.take(4, 0).await, "s0"), [7, 8, 9, 10]),
        }
        assert_eq!(fake.calls(Call::Retention), 3);
    }
}

#[tokio::test]
async fn an_accepted_loss_is_gone_on_from_and_counted() {
    for loss in [format!("events:s0:{}-{}", at(3), at(7)), format!("events:s0:{}-", at(1))] {
        let fake = trimmed();
        let mut run = start(&fake, accepting(&loss), &resumed(3, None));
        let batches = run.take(4, 0).await;
        assert_eq!(numbers(&batches, "s0"), [7, 8, 9, 10]);
        assert_eq!(batches[0].span.from, at(3), "the chain does not break");
        assert_eq!(run.source.counters().lost_spans.load(Ordering::Relaxed), 1);
    }
    for loss in [format!("events:s0:{}-{}", at(3), at(6)), format!("events:s1:{}-", at(3)), "events:s0".into()] {
        let error = start(&trimmed(), accepting(&loss), &resumed(3, None)).error().await;
        assert_eq!(lost(error).1, Some(at(7)), "{loss}");
    }
}

#[tokio::test]
async fn a_closed_shard_of_which_nothing_is_left_is_a_loss_without_an_end() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 10);
    fake.reshard(&["s0"], &["s1"]);
    fake.trim("s0", 0);
    let error = start(&fake, settings(StartSetting::Latest), &resumed(3, None)).error().await;
    let (after, first, message) = lost(error);
    assert_eq!((&after, first), (&at(3), None));
    assert!(message.contains(&format!("--accept-loss events:s0:{}- to go on", at(3))), "{message}");
    fake.put("s1", 1);
    let mut run = start(&fake, accepting(&format!("events:s0:{}-", at(3))), &resumed(3, None));
    assert_eq!(numbers(&run.take(1, 1).await, "s1"), [11]);
    // One that was looked at lately had nothing more to lose.
    let mut run = start(&fake, settings(StartSetting::Latest), &resumed(3, Some(NOW - HOUR)));
    run.take(1, 1).await;
}

#[tokio::test]
async fn an_open_shard_of_which_nothing_is_left_is_weighed_at_its_tip() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 10);
    fake.trim("s0", 0);
    assert_eq!(lost(start(&fake, settings(StartSetting::Latest), &resumed(3, None)).error().await).1, None);
    let mut run = start(&fake, settings(StartSetting::Latest), &resumed(3, Some(NOW - HOUR)));
    while fake.calls(Call::Retention) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fake.put("s0", 1);
    assert_eq!(numbers(&run.take(1, 0).await, "s0"), [11]);
}

#[tokio::test]
async fn a_reader_far_behind_makes_sure_of_each_record_and_sees_retention_overtake_it() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 300);
    fake.set_lag(22 * HOUR as u64);
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    let mut read = Vec::new();
    // As far as it gets with nobody taking its batches in, then retention passes it.
    while read.len() < READ_AHEAD_BATCHES {
        read.push(run.next().await);
    }
    let last = *numbers(&read, "s0").last().expect("records came");
    let asked: Vec<_> = fake.iterators().into_iter().map(|(_, from)| from).collect();
    let ends = read.iter().map(|batch| ReadFrom::Record(batch.span.to.clone()));
    let wanted: Vec<_> = [ReadFrom::TrimHorizon].into_iter().chain(ends).collect();
    assert!(wanted.starts_with(&asked) && asked.len() >= READ_AHEAD_BATCHES, "{asked:?}");
    fake.trim("s0", 100);
    drop(read);
    let (after, first, _) = lost(run.error().await);
    assert_eq!((after, first), (at(last), Some(at(201))));
    assert_eq!(fake.calls(Call::Retention), 1, "the answer is kept for a while");
}

#[tokio::test]
async fn a_reader_within_a_longer_retention_goes_on_by_its_iterator() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 30);
    fake.set_lag(22 * HOUR as u64);
    fake.set_retention(168);
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    let first = run.next().await;
    assert_eq!(run.source.counters().retention_used_percent(), 22 * 100 / 168);
    drop(first);
    run.take(27, 0).await;
    assert_eq!((fake.iterators().len(), fake.calls(Call::Retention)), (1, 1));
}

#[tokio::test]
async fn a_position_that_is_refused_gives_way_to_the_oldest_record_where_that_loss_is_accepted() {
    let fake = trimmed();
    fake.fail(Call::Iterator, &Failure::InvalidArgument("no such number".into()), 1);
    let mut run = start(&fake, accepting(&format!("events:s0:{}-", at(3))), &resumed(3, None));
    assert_eq!(numbers(&run.take(4, 0).await, "s0"), [7, 8, 9, 10]);
    let asked: Vec<_> = fake.iterators().into_iter().map(|(_, from)| from).collect();
    assert_eq!(asked, [ReadFrom::TrimHorizon]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_shard_tells_now_and_then_that_nothing_came() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 2);
    let mut run =
        start(&fake, KinesisSettings { idle_poll: Duration::from_secs(1), ..settings(StartSetting::TrimHorizon) }, &[]);
    let batch = run.next().await;
    assert_eq!((batch.records.len(), batch.seen_at), (2, Some(NOW)), "it was the tip");
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        let batch = timeout(Duration::from_secs(70), run.batches.recv()).await.expect("a word").expect("it runs");
        assert_eq!((batch.records.len(), &batch.span, batch.seen_at), (0, &Span::new(at(2), at(2)), Some(NOW)));
    }
    assert!(began.elapsed() >= Duration::from_secs(180), "{:?}", began.elapsed());
}

async fn reread(
    fake: &Arc<FakeStream>,
    settings: KinesisSettings,
    to: u64,
    seen_at: Option<i64>,
) -> (Vec<u64>, Result<Position, SourceError>) {
    let source = source(fake, settings);
    let (out, mut batches) = mpsc::channel(100);
    let span = Span::new(at(3), at(to));
    let outcome = timeout(SOON, source.reread(&shard("s0"), &Start::TrimHorizon, &span, seen_at, out)).await;
    let mut taken = Vec::new();
    while let Some(batch) = batches.recv().await {
        taken.push(batch);
    }
    let chained = taken.windows(2).all(|two| two[0].span.to == two[1].span.from);
    assert!(chained && taken.first().is_none_or(|batch| batch.span.from == at(3)));
    let end = taken.last().map(|batch| batch.span.to.clone()).unwrap_or_else(|| at(3));
    (numbers(&taken, "s0"), outcome.expect("ends").map(|()| end))
}

#[tokio::test]
async fn a_span_that_begins_at_a_trimmed_record_is_a_loss_unless_nothing_came_after_it() {
    let latest = || settings(StartSetting::Latest);
    let (read, outcome) = reread(&trimmed(), latest(), 9, None).await;
    let (after, first, _) = lost(outcome.expect_err("a loss"));
    assert_eq!((read, after, first), (vec![], at(3), Some(at(7))));
    let (read, outcome) = reread(&trimmed(), latest(), 9, Some(NOW - HOUR)).await;
    assert_eq!((read, outcome.expect("nothing is lost")), (vec![7, 8, 9], at(9)));
}

#[tokio::test]
async fn a_span_whose_loss_is_accepted_is_read_as_far_as_it_is_there_and_ends_where_it_should() {
    let accepted = || accepting(&format!("events:s0:{}-{}", at(3), at(7)));
    let (read, outcome) = reread(&trimmed(), accepted(), 9, None).await;
    assert_eq!((read, outcome.expect("accepted")), (vec![7, 8, 9], at(9)));
    let (read, outcome) = reread(&trimmed(), accepted(), 5, None).await;
    assert_eq!((read, outcome.expect("accepted")), (vec![], at(5)), "all of it is gone");
}
