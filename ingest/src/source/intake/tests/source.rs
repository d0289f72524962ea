//! The journal as a source: spans chain, any span can be read again, what is released goes.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

use super::super::*;
use super::{open, settings};
use crate::source::{Claimed, Request, Resume};

/// A source that runs, and what the pipeline would hold of it.
struct Running {
    source: Arc<IntakeSource>,
    batches: Receiver<Batch>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), SourceError>>,
}

fn run(source: IntakeSource, after: Position) -> Running {
    let known = [(source.shard().clone(), after.clone())];
    run_knowing(source, after, known.into())
}

fn run_knowing(source: IntakeSource, after: Position, known: Arc<[(ShardId, Position)]>) -> Running {
    let source = Arc::new(source);
    let (requests, mut asked) = mpsc::channel::<Request>(1);
    tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            let Request::Claim { first_start, reply, .. } = request else { panic!("only claims: {request:?}") };
            let resume = Resume { after: after.clone(), ..Resume::fresh(first_start) };
            reply.send(Claimed::Ours(resume)).expect("someone waits");
        }
    });
    let (out, batches) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let (running, token) = (source.clone(), stop.clone());
    let task = tokio::spawn(async move { running.run(Claims::new(requests, known), out, token).await });
    Running { source, batches, stop, task }
}

impl Running {
    async fn append(&self, texts: &[&str]) {
        let records = texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
        assert_eq!(self.source.journal.append(records, 1_000).await.expect("appended").ends.len(), texts.len());
    }

    /// Texts of the next batches, until there are `n`; checks that their spans chain from `from`.
    async fn next(&mut self, n: usize, from: &mut Position) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < n {
            let batch = tokio::time::timeout(Duration::from_secs(10), self.batches.recv());
            let batch = batch.await.expect("in time").expect("running");
            assert_eq!(batch.span.from, *from);
            assert!(batch.permit.is_some() && batch.records.iter().all(|r| batch.span.contains(&r.position)));
            *from = batch.span.to;
            texts.extend(batch.records.iter().map(|r| String::from_utf8_lossy(&r.data).into_owned()));
        }
        texts
    }

    async fn end(self) -> Result<(), SourceError> {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.task).await.expect("in time").expect("no panic")
    }
}

async fn reread(source: &IntakeSource, span: &Span) -> Result<(Vec<String>, Position), SourceError> {
    let (out, mut batches) = mpsc::channel(64);
    source.reread(source.shard(), &Start::TrimHorizon, span, None, out).await?;
    let (mut texts, mut at) = (Vec::new(), span.from.clone());
    while let Some(batch) = batches.recv().await {
        assert_eq!(batch.span.from, at);
        at = batch.span.to;
        texts.extend(batch.records.iter().map(|r| String::from_utf8_lossy(&r.data).into_owned()));
    }
    Ok((texts, at))
}

fn small(directory: &std::path::Path) -> IntakeSource {
    open(IntakeSettings { segment_bytes: 200, ..settings(directory) }).expect("opens")
}

#[tokio::test]
async fn the_tail_follows_the_journal_over_segments_and_resumes_after_what_was_stored() {
    let directory = tempfile::tempdir().expect("directory");
    let mut running = run(small(directory.path()), Position::zero());
    let mut at = Position::zero();
    for n in 0..20 {
        let text = format!("{n}{}", "x".repeat(50));
        running.append(&[&text]).await;
        assert_eq!(running.next(1, &mut at).await, [text]);
    }
    running.append(&["unread", "too"]).await;
    running.end().await.expect("stops");
    let mut again = run(small(directory.path()), at.clone());
    assert_eq!(again.next(2, &mut at).await, ["unread", "too"]);
    assert_eq!(again.source.accepted(), 22);
    again.end().await.expect("stops");
}

#[tokio::test]
async fn any_span_can_be_read_again_exactly() {
    let directory = tempfile::tempdir().expect("directory");
    let source = small(directory.path());
    let mut ends = vec![Position::zero()];
    for n in 0..8 {
        let records = vec![Bytes::from(format!("{n}")), Bytes::from(vec![b'x'; 70])];
        let appended = source.journal.append(records, 1_000).await.expect("appended");
        ends.extend(appended.ends.iter().map(|end| Position::from_numbers(appended.segment, *end)));
    }
    for from in 0..ends.len() {
        for to in from..ends.len() {
            let span = Span::new(ends[from].clone(), ends[to].clone());
            let (texts, end) = reread(&source, &span).await.expect("reads");
            assert_eq!((texts.len(), end), (to - from, ends[to].clone()), "{from}..{to}");
            // From within a record: that record once more.
            let within = Span::new(ends[from].with_document(2), ends[to].clone());
            let again = if from == 0 { continue } else { to - from + 1 };
            let (texts, end) = reread(&source, &within).await.expect("reads");
            assert_eq!((texts.len(), end), (again, ends[to].clone()), "{within:?}");
        }
    }
}

#[tokio::test]
async fn the_beginning_of_any_record_is_found() {
    let directory = tempfile::tempdir().expect("directory");
    let source = open(settings(directory.path())).expect("opens");
    // More than a chunk has, by number and by bytes.
    let mut records = vec![Bytes::from_static(b"{}"); 12_000];
    records.extend(vec![Bytes::from(vec![b'x'; 900_000]); 10]);
    let appended = source.journal.append(records, 1_000).await.expect("appended");
    let at = |n: usize| At::of(&Position::from_numbers(appended.segment, appended.ends[n])).expect("a place");
    for n in [1, 2, 4_999, 5_000, 5_001, 9_999, 10_000, 11_999, 12_000, 12_001, 12_004, 12_009] {
        assert_eq!(source.journal.begin_of(at(n)).await.expect("found"), at(n - 1), "{n}");
    }
    let inside = At::of(&Position::from_numbers(appended.segment, appended.ends[7] + 1)).expect("a place");
    assert!(matches!(source.journal.begin_of(inside).await, Err(JournalError::Damaged { .. })));
}

#[tokio::test]
async fn a_record_stored_in_part_is_not_released() {
    let directory = tempfile::tempdir().expect("directory");
    let mut running = run(small(directory.path()), Position::zero());
    let (mut at, long) = (Position::zero(), "x".repeat(150));
    let mut ends = Vec::new();
    for _ in 0..4 {
        running.append(&[&long]).await;
        running.next(1, &mut at).await;
        ends.push(at.clone());
    }
    let source = running.source.clone();
    source.release(source.shard(), &ends[1].with_document(3)).await.expect("released");
    let rest = Span::new(ends[1].with_document(3), ends[3].clone());
    assert_eq!(reread(&source, &rest).await.expect("reads").0.len(), 3, "the record itself and two more");
    let before = Span::new(ends[0].with_document(3), ends[3].clone());
    assert!(matches!(reread(&source, &before).await, Err(SourceError::Lost { .. })));
    source.release(source.shard(), &ends[1]).await.expect("released");
    assert!(matches!(reread(&source, &rest).await, Err(SourceError::Lost { .. })));
    running.end().await.expect("stops");
}

#[tokio::test]
async fn what_is_released_is_deleted_and_then_missed_loudly() {
    let directory = tempfile::tempdir().expect("directory");
    let mut running = run(small(directory.path()), Position::zero());
    let (mut at, long) = (Position::zero(), "x".repeat(150));
    running.append(&[&long]).await;
    running.next(1, &mut at).await;
    let first = at.clone();
    running.append(&[&long]).await;
    running.append(&[&long]).await;
    running.next(2, &mut at).await;
    running.source.release(running.source.shard(), &first).await.expect("released");
    let kept = Span::new(first.clone(), at.clone());
    assert_eq!(reread(&running.source, &kept).await.expect("reads").0.len(), 2);
    running.source.release(running.source.shard(), &at).await.expect("released");
    assert!(matches!(reread(&running.source, &kept).await, Err(SourceError::Lost { .. })));
    assert!(matches!(run(small_elsewhere(), first).task.await, Ok(Err(SourceError::Lost { .. }))));
    running.end().await.expect("stops");
}

/// A journal that never had what another one's positions name.
fn small_elsewhere() -> IntakeSource {
    let directory = tempfile::tempdir().expect("directory").keep();
    small(&directory)
}

#[tokio::test]
async fn a_journal_that_ends_before_what_was_stored_is_an_error() {
    let directory = tempfile::tempdir().expect("directory");
    let outcome = run(small(directory.path()), Position::from_numbers(3, 100)).task.await.expect("no panic");
    let error = outcome.expect_err("replaced").to_string();
    assert!(error.contains("the journal ends at 1.64"), "{error}");
}

#[tokio::test]
async fn nothing_is_taken_before_the_position_to_read_on_from_is_checked() {
    let directory = tempfile::tempdir().expect("directory");
    let source = Arc::new(small(directory.path()));
    let (requests, mut asked) = mpsc::channel::<Request>(1);
    let (out, _batches) = mpsc::channel(4);
    let running = source.clone();
    let task =
        tokio::spawn(
            async move { running.run(Claims::new(requests, Arc::new([])), out, CancellationToken::new()).await },
        );
    let Some(Request::Claim { first_start, reply, .. }) = asked.recv().await else { panic!("a claim comes") };
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(*source.bound().borrow(), None, "a record taken now would hide that the journal ends too early");
    let resume = Resume { after: Position::from_numbers(1, 100), ..Resume::fresh(first_start) };
    reply.send(Claimed::Ours(resume)).expect("someone waits");
    assert!(matches!(task.await, Ok(Err(SourceError::Lost { .. }))));
}

#[tokio::test]
async fn a_state_that_knows_another_journal_is_refused_with_the_ways_on() {
    for (shard, way_on) in [("intake:00", "--accept-loss intake:00"), ("events:s0", "another state url")] {
        let directory = tempfile::tempdir().expect("directory");
        let source = small(directory.path());
        let own = (source.shard().clone(), Position::zero());
        let known = Arc::new([own, (ShardId::new(shard), Position::from_numbers(1, 100))]);
        let error = run_knowing(source, Position::zero(), known).task.await.expect("no panic").expect_err("refused");
        assert!(matches!(&error, SourceError::Config(text) if text.contains(way_on)), "{error}");
        let path = directory.path().display().to_string();
        assert!(!shard.starts_with("intake") || error.to_string().contains(&path), "{error}");
    }
}

#[tokio::test]
async fn an_instant_to_start_at_passes_over_what_arrived_before() {
    let directory = tempfile::tempdir().expect("directory");
    let source = small(directory.path());
    for arrived_at in [10, 20, 15] {
        let records = vec![Bytes::from(arrived_at.to_string())];
        source.journal.append(records, arrived_at).await.expect("appended").ends.clear();
    }
    let to = Position::from(source.journal.tip().borrow().durable);
    let (out, mut batches) = mpsc::channel(4);
    let span = Span::new(Position::zero(), to.clone());
    source.reread(source.shard(), &Start::At(20), &span, None, out).await.expect("reads");
    let batch = batches.recv().await.expect("a batch");
    assert_eq!((batch.span.to, batch.records.len()), (to, 2));
}

#[tokio::test]
async fn another_journals_shard_is_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let source = small(directory.path());
    let error = source.release(&ShardId::new("intake:00"), &Position::zero()).await.expect_err("not here");
    assert!(error.to_string().contains("intake:00 is not in journal"), "{error}");
}

#[tokio::test]
async fn stop_ends_the_endpoint_and_the_tail_while_the_pipeline_is_stuck() {
    let directory = tempfile::tempdir().expect("directory");
    let running = run(small(directory.path()), Position::zero());
    for _ in 0..40 {
        running.append(&[&"x".repeat(150)]).await;
    }
    let mut bound = running.source.bound();
    let address = bound.wait_for(Option::is_some).await.expect("running").expect("address");
    tokio::net::TcpStream::connect(address).await.expect("listens");
    let source = running.source.clone();
    running.end().await.expect("stops");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert_eq!(*source.bound().borrow(), None);
}
