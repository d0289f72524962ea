//! The other ends of a connection: the daemon as a script, the stream, the state, and a pipeline that takes everything in.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::task::JoinHandle;

use super::super::lines::Lines;
use super::super::shard::Conversation;
use super::super::*;
use crate::record::Record;
use crate::source::{Claimed, Request};

pub(super) const SHARD: &str = "shardId-000000000001";
pub(super) const NOW: i64 = 1_000_000;

/// So far behind, records may be trimmed before they are read.
pub(super) const CLOSE_MS: u64 = 80_000_000;

/// Long enough that a busy machine does not pass one by chance where a test relies on it not being passed.
pub(super) const WAITS: Waits = Waits {
    handover: Duration::from_millis(800),
    look: Duration::from_millis(5),
    checkpoint: Duration::from_millis(700),
    end: Duration::ZERO,
};

pub(super) fn at(text: &str) -> Position {
    text.parse().expect("test position")
}

pub(super) fn shard() -> ShardId {
    ShardId::new(format!("events:{SHARD}"))
}

pub(super) fn resume(after: &str, start: Start) -> Resume {
    Resume { after: at(after), ..Resume::fresh(start) }
}

pub(super) fn ours(after: &str) -> Claimed {
    Claimed::Ours(resume(after, Start::TrimHorizon))
}

pub(super) fn theirs() -> Claimed {
    Claimed::Theirs { writer: "other".into() }
}

/// The state, and everything that happened, in order.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) claims: Mutex<Vec<Claimed>>,
    pub(super) seizes: Mutex<Vec<Claimed>>,
    pub(super) happened: Mutex<Vec<String>>,
    /// What the stream holds: sequence number and arrival.
    pub(super) stream: Vec<(u64, i64)>,
}

impl World {
    pub(super) fn happens(&self, what: String) {
        self.happened.lock().expect("no panic").push(what);
    }

    pub(super) fn happened(&self) -> Vec<String> {
        std::mem::take(&mut *self.happened.lock().expect("no panic"))
    }

    pub(super) fn answer(from: &Mutex<Vec<Claimed>>) -> Claimed {
        let mut answers = from.lock().expect("no panic");
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    }

    pub(super) fn between(&self, start: &Start, span: &Span) -> Vec<Record> {
        let from = if let Start::At(millis) = start { *millis } else { 0 };
        let records = self.stream.iter().map(|(n, arrived)| record(*n, *arrived));
        records.filter(|r| span.contains(&r.position) && (!span.from.is_zero() || r.arrived_at >= from)).collect()
    }
}

pub(super) fn record(n: u64, arrived_at: i64) -> Record {
    Record { position: Position::from_numbers(n, 0), arrived_at, data: Bytes::from(n.to_string()) }
}

/// The pipeline's end of what a source asks.
pub(super) async fn answer_claims(world: Arc<World>, mut requests: mpsc::Receiver<Request>) {
    while let Some(request) = requests.recv().await {
        let heard = match request {
            Request::Claim { shard, first_start, force: false, reply } => {
                world.happens(format!("claim {shard} {first_start:?}"));
                reply.send(World::answer(&world.claims)).is_ok()
            }
            Request::Claim { shard, force: true, reply, .. } => {
                world.happens(format!("seize {shard}"));
                reply.send(World::answer(&world.seizes)).is_ok()
            }
            Request::GiveUp { through, reply, .. } => {
                world.happens(format!("give up through {through}"));
                reply.send(()).is_ok()
            }
            Request::Standing { .. } => panic!("the library knows the order of shards"),
        };
        assert!(heard, "a connection asked and went");
    }
}

#[async_trait]
impl Stream for World {
    async fn span(
        &self,
        shard: &ShardId,
        start: &Start,
        span: &Span,
        seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        let seen = seen_at.map(|at| format!(", seen at {at}")).unwrap_or_default();
        self.happens(format!("fetch {}..{}{seen}", span.from, span.to));
        let (shard, records, span) = (shard.clone(), self.between(start, span), span.clone());
        let batch = Batch { shard, span, records, behind_ms: None, seen_at: None, last: false, permit: None };
        out.send(batch).await.map_err(|_| SourceError::Closed)
    }

    async fn is_close_to_retention(&self, behind_ms: Option<u64>) -> Result<bool, SourceError> {
        Ok(behind_ms.is_some_and(|behind| behind >= CLOSE_MS))
    }

    async fn rest(&self, shard: &ShardId, resume: Resume, out: mpsc::Sender<Batch>) -> Result<(), SourceError> {
        self.happens(format!("fetch the rest after {}", resume.after));
        let span = Span::new(resume.after, Position::from_numbers(u64::MAX, 0));
        let records = self.between(&resume.start, &span);
        let batch =
            Batch { shard: shard.clone(), span, records, behind_ms: None, seen_at: None, last: true, permit: None };
        out.send(batch).await.map_err(|_| SourceError::Closed)
    }
}

/// The daemon's end of one connection, and a pipeline that takes everything in.
pub(super) struct Daemon {
    pub(super) world: Arc<World>,
    pub(super) shared: Arc<Shared>,
    pub(super) says: WriteHalf<DuplexStream>,
    pub(super) hears: BufReader<ReadHalf<DuplexStream>>,
    pub(super) talk: JoinHandle<Result<(), SourceError>>,
}

pub(super) fn shared(world: &Arc<World>) -> Arc<Shared> {
    Arc::new(Shared {
        stream_name: "events".into(),
        waits: WAITS,
        stream: world.clone(),
        counters: Arc::default(),
        lags: Arc::default(),
        permits: Arc::new(Semaphore::new(READ_AHEAD_BATCHES)),
        clock: Clock::new(|| NOW),
        served: Mutex::default(),
        stored: Mutex::default(),
    })
}

pub(super) fn connect(world: World) -> Daemon {
    let world = Arc::new(world);
    let shared = shared(&world);
    connect_to(world, shared)
}

pub(super) fn connect_to(world: Arc<World>, shared: Arc<Shared>) -> Daemon {
    let (ours, theirs) = duplex(1 << 16);
    let ((from, to), (hears, says)) = (split(theirs), split(ours));
    let (out, mut batches) = mpsc::channel::<Batch>(READ_AHEAD_BATCHES);
    let lines = Lines::new(BufReader::new(from), 1 << 20);
    let (ask, asked) = mpsc::channel(1);
    tokio::spawn(answer_claims(world.clone(), asked));
    let claims = Claims::new(ask, Arc::new([]));
    let talk = tokio::spawn(Conversation::new(shared.clone(), claims, out, lines, to).hold());
    let seen = world.clone();
    tokio::spawn(async move {
        while let Some(batch) = batches.recv().await {
            let records: Vec<String> = batch.records.iter().map(|r| r.position.to_string()).collect();
            let last = if batch.last { " last" } else { "" };
            let tip = if batch.seen_at.is_some() { " tip" } else { "" };
            seen.happens(format!("{}..{}: {}{last}{tip}", batch.span.from, batch.span.to, records.join(" ")));
        }
    });
    Daemon { world, shared, says, hears: BufReader::new(hears), talk }
}

impl Daemon {
    pub(super) async fn say(&mut self, message: Value) {
        self.says.write_all(format!("{message}\n").as_bytes()).await.expect("the child reads");
    }

    pub(super) async fn hear(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.hears.read_line(&mut line).await.expect("the child writes") > 0, "closed");
            if !line.trim().is_empty() {
                return serde_json::from_str(&line).expect("JSON");
            }
        }
    }

    /// Says it, answers checkpoints with `error`, and gives them once the status has come.
    pub(super) async fn act_with(&mut self, message: Value, error: Option<&str>) -> Vec<Value> {
        let action = message["action"].clone();
        self.say(message).await;
        let mut checkpoints = Vec::new();
        loop {
            let heard = self.hear().await;
            if heard["action"] == "status" {
                assert_eq!(heard["responseFor"], action);
                return checkpoints;
            }
            assert_eq!(heard["action"], "checkpoint");
            self.say(json!({"action": "checkpoint", "sequenceNumber": heard["sequenceNumber"], "error": error})).await;
            checkpoints.push(heard["sequenceNumber"].clone());
        }
    }

    pub(super) async fn act(&mut self, message: Value) -> Vec<Value> {
        self.act_with(message, None).await
    }

    pub(super) async fn initialize(&mut self, checkpoint: &str) {
        let message =
            json!({"action": "initialize", "shardId": SHARD, "sequenceNumber": checkpoint, "subSequenceNumber": 0});
        assert_eq!(self.act(message).await, [] as [Value; 0]);
    }

    pub(super) async fn records(&mut self, numbers: impl IntoIterator<Item = u64>) -> Vec<Value> {
        self.act(records(numbers.into_iter().map(|n| (n, NOW)))).await
    }

    /// Everything since the last call, the claim left out.
    pub(super) fn happened(&self) -> Vec<String> {
        self.world.happened().into_iter().filter(|what| !what.starts_with("claim")).collect()
    }

    pub(super) async fn closed(mut self) -> (Arc<World>, Result<(), SourceError>) {
        self.says.shutdown().await.expect("closes");
        (self.world, self.talk.await.expect("no panic"))
    }
}

pub(super) fn records(numbers: impl IntoIterator<Item = (u64, i64)>) -> Value {
    let record = |(n, arrived): (u64, i64)| {
        json!({"action": "record", "data": "", "partitionKey": "p", "sequenceNumber": n.to_string(),
            "approximateArrivalTimestamp": arrived, "subSequenceNumber": 0})
    };
    let records: Vec<Value> = numbers.into_iter().map(record).collect();
    json!({"action": "processRecords", "records": records, "millisBehindLatest": 0})
}

pub(super) fn world(claims: Vec<Claimed>) -> World {
    World { claims: Mutex::new(claims), seizes: Mutex::new(vec![ours("0")]), ..World::default() }
}
