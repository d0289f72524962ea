//! One connection against a scripted daemon, state and stream: what is handed over, checkpointed, given up.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::task::JoinHandle;

use super::lines::Lines;
use super::shard::Conversation;
use super::*;
use crate::record::Record;
use crate::source::{Claimed, Request};

const SHARD: &str = "shardId-000000000001";
const NOW: i64 = 1_000_000;

/// Long enough that a busy machine does not pass one by chance where a test relies on it not being passed.
const WAITS: Waits = Waits {
    handover: Duration::from_millis(800),
    look: Duration::from_millis(5),
    checkpoint: Duration::from_millis(700),
    end: Duration::ZERO,
};

fn at(text: &str) -> Position {
    text.parse().expect("test position")
}

fn shard() -> ShardId {
    ShardId::new(format!("events:{SHARD}"))
}

fn resume(after: &str, start: Start) -> Resume {
    Resume { after: at(after), ..Resume::fresh(start) }
}

fn ours(after: &str) -> Claimed {
    Claimed::Ours(resume(after, Start::TrimHorizon))
}

fn theirs() -> Claimed {
    Claimed::Theirs { writer: "other".into() }
}

/// The state, and everything that happened, in order.
#[derive(Debug, Default)]
struct World {
    claims: Mutex<Vec<Claimed>>,
    seizes: Mutex<Vec<Claimed>>,
    happened: Mutex<Vec<String>>,
    /// What the stream holds: sequence number and arrival.
    stream: Vec<(u64, i64)>,
}

impl World {
    fn happens(&self, what: String) {
        self.happened.lock().expect("no panic").push(what);
    }

    fn happened(&self) -> Vec<String> {
        std::mem::take(&mut *self.happened.lock().expect("no panic"))
    }

    fn answer(from: &Mutex<Vec<Claimed>>) -> Claimed {
        let mut answers = from.lock().expect("no panic");
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    }

    fn between(&self, start: &Start, span: &Span) -> Vec<Record> {
        let from = if let Start::At(millis) = start { *millis } else { 0 };
        let records = self.stream.iter().map(|(n, arrived)| record(*n, *arrived));
        records.filter(|r| span.contains(&r.position) && (!span.from.is_zero() || r.arrived_at >= from)).collect()
    }
}

fn record(n: u64, arrived_at: i64) -> Record {
    Record { position: Position::from_numbers(n, 0), arrived_at, data: Bytes::from(n.to_string()) }
}

/// The pipeline's end of what a source asks.
async fn answer_claims(world: Arc<World>, mut requests: mpsc::Receiver<Request>) {
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
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        self.happens(format!("fetch {}..{}", span.from, span.to));
        let (shard, records, span) = (shard.clone(), self.between(start, span), span.clone());
        let batch = Batch { shard, span, records, behind_ms: None, seen_at: None, last: false, permit: None };
        out.send(batch).await.map_err(|_| SourceError::Closed)
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
struct Daemon {
    world: Arc<World>,
    shared: Arc<Shared>,
    says: WriteHalf<DuplexStream>,
    hears: BufReader<ReadHalf<DuplexStream>>,
    talk: JoinHandle<Result<(), SourceError>>,
}

fn shared(world: &Arc<World>) -> Arc<Shared> {
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

fn connect(world: World) -> Daemon {
    let world = Arc::new(world);
    let shared = shared(&world);
    connect_to(world, shared)
}

fn connect_to(world: Arc<World>, shared: Arc<Shared>) -> Daemon {
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
            seen.happens(format!("{}..{}: {}{last}", batch.span.from, batch.span.to, records.join(" ")));
        }
    });
    Daemon { world, shared, says, hears: BufReader::new(hears), talk }
}

impl Daemon {
    async fn say(&mut self, message: Value) {
        self.says.write_all(format!("{message}\n").as_bytes()).await.expect("the child reads");
    }

    async fn hear(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.hears.read_line(&mut line).await.expect("the child writes") > 0, "closed");
            if !line.trim().is_empty() {
                return serde_json::from_str(&line).expect("JSON");
            }
        }
    }

    /// Says it, answers checkpoints with `error`, and gives them once the status has come.
    async fn act_with(&mut self, message: Value, error: Option<&str>) -> Vec<Value> {
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

    async fn act(&mut self, message: Value) -> Vec<Value> {
        self.act_with(message, None).await
    }

    async fn initialize(&mut self, checkpoint: &str) {
        let message =
            json!({"action": "initialize", "shardId": SHARD, "sequenceNumber": checkpoint, "subSequenceNumber": 0});
        assert_eq!(self.act(message).await, [] as [Value; 0]);
    }

    async fn records(&mut self, numbers: impl IntoIterator<Item = u64>) -> Vec<Value> {
        self.act(records(numbers.into_iter().map(|n| (n, NOW)))).await
    }

    /// Everything since the last call, the claim left out.
    fn happened(&self) -> Vec<String> {
        self.world.happened().into_iter().filter(|what| !what.starts_with("claim")).collect()
    }

    async fn closed(mut self) -> (Arc<World>, Result<(), SourceError>) {
        self.says.shutdown().await.expect("closes");
        (self.world, self.talk.await.expect("no panic"))
    }
}

fn records(numbers: impl IntoIterator<Item = (u64, i64)>) -> Value {
    let record = |(n, arrived): (u64, i64)| {
        json!({"action": "record", "data": "", "partitionKey": "p", "sequenceNumber": n.to_string(),
            "approximateArrivalTimestamp": arrived, "subSequenceNumber": 0})
    };
    let records: Vec<Value> = numbers.into_iter().map(record).collect();
    json!({"action": "processRecords", "records": records, "millisBehindLatest": 0})
}

fn world(claims: Vec<Claimed>) -> World {
    World { claims: Mutex::new(claims), seizes: Mutex::new(vec![ours("0")]), ..World::default() }
}

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
async fn a_checkpoint_ahead_of_the_state_is_a_gap_and_one_behind_it_is_none() {
    let mut ahead = world(vec![ours("5")]);
    ahead.stream = (1..=8).map(|n| (n, NOW)).collect();
    let mut daemon = connect(ahead);
    daemon.initialize("7").await;
    daemon.records([8]).await;
    assert_eq!(daemon.happened(), ["fetch 5..8", "5..8: 6 7 8"]);
    let mut daemon = connect(world(vec![ours("7")]));
    daemon.initialize("7").await;
    daemon.records([8]).await;
    assert_eq!(daemon.happened(), ["7..8: 8"]);
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
    let mut daemon = connect(world(vec![ours("0"), ours("2")]));
    daemon.initialize("TRIM_HORIZON").await;
    daemon.records([1, 2]).await;
    daemon.act(json!({"action": "shutdownRequested"})).await;
    daemon.records([3]).await;
    assert_eq!(daemon.happened(), ["0..2: 1 2", "give up through 2", "2..3: 3"]);
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
    let world = Arc::new(world(vec![ours("0"), ours("1")]));
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
    assert_eq!(second.happened(), ["1..2: 2"]);
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
