//! The Kinesis source against emulators: resuming, starts, reading a span again. What changes under it: `resharding`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ingest::record::Batch;
use ingest::source::kinesis::{Access, KinesisSettings, KinesisSource, StartSetting};
use ingest::source::{Claimed, Claims, Request, Resume, Source, SourceError};
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tests::kinesis::Stream;
use tests::{block_on, emulator};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use writer::shared::Clock;

/// Seconds for anything an emulator does; a loaded machine has needed 10.
const SOON: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "the emulators stamp their records by the machine's clock")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the machine's clock is past 1970");
    i64::try_from(since.as_millis()).expect("the year 292 million is far")
}

pub(crate) fn settings(stream: &Stream, start: StartSetting) -> KinesisSettings {
    KinesisSettings {
        endpoint_url: Some(stream.endpoint.clone()),
        region: Some("us-east-1".into()),
        access: Access::Key { id: "test".into(), secret: "test".into() },
        // No round comes by itself in a test: children are found because their parent ended.
        discover_every: Duration::from_secs(3_600),
        idle_poll: Duration::from_millis(200),
        ..KinesisSettings::new(&stream.name, start)
    }
}

async fn connect(settings: KinesisSettings) -> Result<KinesisSource, SourceError> {
    KinesisSource::connect(settings, Clock::new(now)).await
}

pub(crate) type Known = Arc<Mutex<BTreeMap<ShardId, Resume>>>;

/// A source that runs, and the pipeline's end of it.
pub(crate) struct Reading {
    batches: mpsc::Receiver<Batch>,
    pub(crate) known: Known,
    stop: CancellationToken,
    done: JoinHandle<Result<(), SourceError>>,
}

impl Reading {
    /// `known` is what earlier runs left.
    #[expect(clippy::async_yields_async, reason = "the task runs on; who stops the reader awaits it")]
    pub(crate) fn start(settings: KinesisSettings, known: &Known) -> Reading {
        let (requests, claimed) = mpsc::channel(1);
        let (out, batches) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let left = known.lock().expect("nothing panics holding it");
        let unended = left.iter().filter(|(_, r)| !r.ended).map(|(shard, r)| (shard.clone(), r.after.clone()));
        let unended: Arc<[_]> = unended.collect();
        drop(left);
        let done = block_on(async {
            tokio::spawn(answer(claimed, Arc::clone(known)));
            let source = connect(settings).await.expect("the emulator is configured");
            let token = stop.clone();
            tokio::spawn(async move { source.run(Claims::new(requests, unended), out, token).await })
        });
        Reading { batches, known: Arc::clone(known), stop, done }
    }

    /// Batches until so many records came; what came is known afterwards.
    pub(crate) fn take(&mut self, records: usize) -> Vec<Batch> {
        let mut taken: Vec<Batch> = Vec::new();
        while taken.iter().map(|b| b.records.len()).sum::<usize>() < records {
            let next = block_on(async { timeout(SOON, self.batches.recv()).await });
            let mut batch = next.expect("records come").expect("the source runs");
            batch.permit = None;
            let mut known = self.known.lock().expect("nothing panics holding it");
            let shard = known.get_mut(&batch.shard).expect("a shard is claimed before it is read");
            assert_eq!(shard.after, batch.span.from, "spans of {} chain", batch.shard);
            assert!(batch.records.iter().all(|r| batch.span.contains(&r.position)));
            (shard.after, shard.ended) = (batch.span.to.clone(), batch.last);
            drop(known);
            taken.push(batch);
        }
        taken
    }

    pub(crate) fn stop(self) {
        self.stop.cancel();
        let done = block_on(async { timeout(Duration::from_secs(5), self.done).await });
        done.expect("stops promptly").expect("does not panic").expect("a stop is no failure");
    }
}

async fn answer(mut claimed: mpsc::Receiver<Request>, known: Known) {
    while let Some(asked) = claimed.recv().await {
        let Request::Claim { shard, first_start, reply, .. } = asked else { panic!("only claims: {asked:?}") };
        let fresh = Resume::fresh(first_start);
        let resume = known.lock().expect("nothing panics holding it").entry(shard).or_insert(fresh).clone();
        reply.send(Claimed::Ours(resume)).expect("the source waits for it");
    }
}

fn records(numbers: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    numbers.map(|n| n.to_string().into_bytes()).collect()
}

pub(crate) fn put(stream: &Stream, numbers: std::ops::Range<u32>) {
    stream.put(&records(numbers), |data| String::from_utf8_lossy(data).into_owned());
}

pub(crate) fn read(batches: &[Batch]) -> Vec<u32> {
    let data = batches.iter().flat_map(|b| &b.records).map(|r| String::from_utf8_lossy(&r.data).into_owned());
    let mut numbers: Vec<u32> = data.map(|text| text.parse().expect("the test's own data")).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_reader_stopped_anywhere_goes_on_after_its_last_batch() {
    for (name, emulator) in [("kinesis-local", emulator::kinesis_local()), ("ministack", emulator::ministack())] {
        let stream = Stream::new(emulator, "resume", 2);
        put(&stream, 0..100);
        let known = Known::default();
        let mut all = Vec::new();
        while all.len() < 100 {
            let few = KinesisSettings { records_per_read: 15, ..settings(&stream, StartSetting::TrimHorizon) };
            let mut reading = Reading::start(few, &known);
            all.extend(read(&reading.take(1)));
            reading.stop();
        }
        all.sort_unstable();
        assert_eq!(all, Vec::from_iter(0..100), "{name}");
    }
}

#[test]
fn a_start_at_an_instant_takes_what_arrived_from_then_on() {
    for emulator in [emulator::kinesis_local(), emulator::ministack()] {
        let stream = Stream::new(emulator, "instant", 2);
        put(&stream, 0..20);
        std::thread::sleep(Duration::from_millis(50));
        let instant = now();
        std::thread::sleep(Duration::from_millis(50));
        put(&stream, 20..40);
        let mut reading = Reading::start(settings(&stream, StartSetting::At(instant)), &Known::default());
        let batches = reading.take(20);
        reading.stop();
        assert_eq!(read(&batches), Vec::from_iter(20..40));
        assert!(batches.iter().flat_map(|b| &b.records).all(|r| r.arrived_at >= instant));
    }
}

#[test]
fn a_span_is_read_again_exactly_also_of_a_closed_shard() {
    let stream = Stream::new(emulator::kinesis_local(), "again", 1);
    put(&stream, 0..50);
    stream.split(&stream.open_shards()[0]);
    let mut reading = Reading::start(settings(&stream, StartSetting::TrimHorizon), &Known::default());
    let batches = reading.take(50);
    reading.stop();
    let all: Vec<_> = batches.iter().flat_map(|b| &b.records).collect();
    for (from, to) in [(0, 10), (10, 30), (30, 50), (49, 50)] {
        let start = if from == 0 { Position::zero() } else { all[from - 1].position.clone() };
        let span = Span::new(start, all[to - 1].position.clone());
        let again = reread(&stream, &batches[0].shard, &span).expect("the span is there");
        let got: Vec<_> = again.iter().flat_map(|b| &b.records).map(|r| (r.position.clone(), r.data.clone())).collect();
        let want: Vec<_> = all[from..to].iter().map(|r| (r.position.clone(), r.data.clone())).collect();
        assert_eq!(got, want, "{from}..{to}");
        assert_eq!(again.last().map(|b| &b.span.to), Some(&span.to));
    }
}

fn reread(stream: &Stream, shard: &ShardId, span: &Span) -> Result<Vec<Batch>, SourceError> {
    block_on(async {
        let few = KinesisSettings { records_per_read: 7, ..settings(stream, StartSetting::Latest) };
        let source = connect(few).await?;
        let (out, mut batches) = mpsc::channel(1);
        let gather = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(batch) = batches.recv().await {
                all.push(batch);
            }
            all
        });
        source.reread(shard, &Start::TrimHorizon, span, None, out).await?;
        Ok(gather.await.expect("does not panic"))
    })
}

#[test]
fn a_missing_stream_and_a_dead_endpoint_are_told_within_seconds() {
    let stream = Stream::new(emulator::ministack(), "told", 1);
    let error = run_once(KinesisSettings { stream: "absent".into(), ..settings(&stream, StartSetting::Latest) });
    assert!(matches!(&error, SourceError::Config(text) if text.contains("`absent`")), "{error:?}");
    let nobody = format!("http://127.0.0.1:{}", emulator::free_port());
    let dead = KinesisSettings { endpoint_url: Some(nobody.clone()), ..settings(&stream, StartSetting::Latest) };
    let error = run_once(dead);
    assert!(matches!(error, SourceError::Environment { .. }) && error.to_string().contains(&nobody), "{error:?}");
}

fn run_once(settings: KinesisSettings) -> SourceError {
    let reading = Reading::start(settings, &Known::default());
    let done = block_on(async { timeout(Duration::from_secs(20), reading.done).await });
    done.expect("told within 20 s").expect("does not panic").expect_err("it cannot run")
}
