//! Spans read again, and those that cannot be.

use super::*;

async fn reread(fake: &Arc<FakeStream>, from: Position, to: u64) -> (Vec<Batch>, Result<(), SourceError>) {
    let source = source(fake, settings(StartSetting::Latest));
    let (out, mut batches) = mpsc::channel(1_000);
    let (id, span) = (shard("s0"), Span::new(from, at(to)));
    let outcome = timeout(SOON, source.reread(&id, &Start::TrimHorizon, &span, None, out)).await.expect("ends");
    let mut taken = Vec::new();
    while let Some(batch) = batches.recv().await {
        taken.push(batch);
    }
    assert_chained(&taken);
    (taken, outcome)
}

#[tokio::test]
async fn a_span_is_read_again_exactly() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 20);
    fake.fail(Call::Records, &Failure::Throttled("slow down".into()), 2);
    let (batches, outcome) = reread(&fake, at(4), 11).await;
    outcome.expect("all is there");
    assert_eq!(numbers(&batches, "s0"), [5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(batches.last().map(|b| &b.span.to), Some(&at(11)));
    let (batches, outcome) = reread(&fake, Position::zero(), 2).await;
    outcome.expect("all is there");
    assert_eq!(numbers(&batches, "s0"), [1, 2]);
    let (batches, outcome) = reread(&fake, at(7), 7).await;
    outcome.expect("an empty span is there");
    assert!(batches.is_empty());
}

#[tokio::test]
async fn a_span_whose_end_is_gone_is_a_loss() {
    let trimmed = Arc::new(FakeStream::new(&["s0"]));
    trimmed.put("s0", 20);
    trimmed.trim("s0", 5);
    let short = Arc::new(FakeStream::new(&["s0"]));
    short.put("s0", 3);
    let ended = Arc::new(FakeStream::new(&["s0"]));
    ended.put("s0", 3);
    ended.reshard(&["s0"], &["s1"]);
    for fake in [trimmed, short, ended] {
        let (_, outcome) = reread(&fake, at(2), 10).await;
        assert!(matches!(outcome, Err(SourceError::Lost { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_span_is_given_up_when_reads_stay_empty_for_too_long() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put("s0", 20);
    fake.stall();
    let impatient = KinesisSettings { give_up: Duration::from_millis(50), ..settings(StartSetting::Latest) };
    let source = source(&fake, impatient);
    let (out, _batches) = mpsc::channel(1);
    let span = Span::new(at(4), at(11));
    let outcome =
        timeout(SOON, source.reread(&shard("s0"), &Start::TrimHorizon, &span, None, out)).await.expect("ends");
    assert!(matches!(&outcome, Err(SourceError::Lost { after, .. }) if *after == at(4)), "{outcome:?}");
    assert!(fake.calls(Call::Records) > 3, "not as quickly as at the tip");
}

#[tokio::test]
async fn a_shard_of_another_stream_is_refused() {
    let source = source(&Arc::new(FakeStream::new(&[])), settings(StartSetting::Latest));
    let (out, _batches) = mpsc::channel(1);
    let span = Span::new(Position::zero(), at(1));
    let outcome = source.reread(&ShardId::new("other:s0"), &Start::TrimHorizon, &span, None, out).await;
    assert!(matches!(outcome, Err(SourceError::Config(_))), "{outcome:?}");
}
