//! A stream in memory: reshards, throttles, expires and trims on command, which no emulator does.

mod subscriptions;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use crate::source::kinesis::kpl::HashRange;
use crate::source::kinesis::service::{
    Consumer, Failure, RawRecord, ReadFrom, RecordPage, Service, ShardPage, Subscription,
};
use crate::source::kinesis::tree::ListedShard;

/// Real numbers have 56 digits.
pub(super) fn sequence(n: u64) -> String {
    format!("4959033827149025660855969253836157109592157598913{n:07}")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    List,
    Iterator,
    Records,
    Retention,
    Consumer,
    Register,
    Subscribe,
    /// The next event of a subscription.
    Event,
}

#[derive(Debug, Default)]
struct Shard {
    parents: Vec<String>,
    records: Vec<(u64, i64)>,
    closed: bool,
    /// So many lists are older than the shard.
    listed_after: usize,
    gone: bool,
    range: Option<HashRange>,
}

#[derive(Debug)]
struct State {
    shards: BTreeMap<String, Shard>,
    sequence: u64,
    /// What records hold that do not hold their number.
    data: BTreeMap<u64, Bytes>,
    now: i64,
    /// What a read says that does not reach the tip.
    lag_ms: u64,
    retention_hours: i32,
    list_page: usize,
    stalled: bool,
    calls: Vec<Call>,
    iterators: Vec<(String, ReadFrom)>,
    failures: VecDeque<(Call, Failure)>,
    fanout: subscriptions::FanOut,
}

#[derive(Debug)]
pub(super) struct FakeStream(Arc<Mutex<State>>);

impl FakeStream {
    pub(super) fn new(shards: &[&str]) -> Self {
        let shards = shards.iter().map(|id| (id.to_string(), Shard::default())).collect();
        FakeStream(Arc::new(Mutex::new(State {
            shards,
            sequence: 0,
            data: BTreeMap::new(),
            now: 1_000,
            lag_ms: 500,
            retention_hours: 24,
            list_page: 1_000,
            stalled: false,
            calls: Vec::new(),
            iterators: Vec::new(),
            failures: VecDeque::new(),
            fanout: subscriptions::FanOut::default(),
        })))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics holding it")
    }

    /// Adds records that arrive now; gives back their numbers.
    pub(super) fn put(&self, id: &str, count: u64) -> Vec<u64> {
        let mut state = self.state();
        let (first, now) = (state.sequence + 1, state.now);
        state.sequence += count;
        let shard = state.shards.get_mut(id).expect("shard of the test");
        assert!(!shard.closed, "put to a closed shard");
        shard.records.extend((first..first + count).map(|n| (n, now)));
        (first..first + count).collect()
    }

    /// Adds one record that holds this; gives back its number.
    pub(super) fn put_data(&self, id: &str, data: Bytes) -> u64 {
        let number = self.put(id, 1)[0];
        self.state().data.insert(number, data);
        number
    }

    pub(super) fn set_lag(&self, lag_ms: u64) {
        self.state().lag_ms = lag_ms;
    }

    pub(super) fn set_retention(&self, hours: i32) {
        self.state().retention_hours = hours;
    }

    pub(super) fn set_range(&self, id: &str, first: u128, last: u128) {
        self.state().shards.get_mut(id).expect("shard of the test").range = Some(HashRange { first, last });
    }

    /// A record with any number, as a broken server would give it.
    pub(super) fn put_numbered(&self, id: &str, n: u64) {
        let mut state = self.state();
        let now = state.now;
        state.shards.get_mut(id).expect("shard of the test").records.push((n, now));
    }

    /// A split (one parent) or a merge (two).
    pub(super) fn reshard(&self, parents: &[&str], children: &[&str]) {
        let mut state = self.state();
        for parent in parents {
            state.shards.get_mut(*parent).expect("parent of the test").closed = true;
        }
        for child in children {
            let parents = parents.iter().map(|p| p.to_string()).collect();
            state.shards.insert(child.to_string(), Shard { parents, ..Shard::default() });
        }
    }

    pub(super) fn set_now(&self, now: i64) {
        self.state().now = now;
    }

    pub(super) fn set_list_page(&self, page: usize) {
        self.state().list_page = page;
    }

    /// Every read from now on finds nothing, although more is there.
    pub(super) fn stall(&self) {
        self.state().stalled = true;
    }

    /// The next `times` calls of this kind fail.
    pub(super) fn fail(&self, call: Call, failure: &Failure, times: usize) {
        self.state().failures.extend(std::iter::repeat_n((call, failure.clone()), times));
    }

    /// Retention has passed, or the shard's first records have.
    pub(super) fn trim(&self, id: &str, keep: usize) {
        let mut state = self.state();
        let shard = state.shards.get_mut(id).expect("shard of the test");
        let drop = shard.records.len() - keep;
        shard.records.drain(..drop);
    }

    pub(super) fn remove(&self, id: &str) {
        self.state().shards.get_mut(id).expect("shard of the test").gone = true;
    }

    /// The first `lists` lists leave the shard out.
    pub(super) fn list_late(&self, id: &str, lists: usize) {
        self.state().shards.get_mut(id).expect("shard of the test").listed_after = lists;
    }

    pub(super) fn iterators(&self) -> Vec<(String, ReadFrom)> {
        self.state().iterators.clone()
    }

    pub(super) fn calls(&self, call: Call) -> usize {
        self.state().calls.iter().filter(|c| **c == call).count()
    }
}

impl State {
    fn called(&mut self, call: Call) -> Result<(), Failure> {
        self.calls.push(call);
        match self.failures.iter().position(|(failing, _)| *failing == call) {
            Some(at) => Err(self.failures.remove(at).expect("it was just found").1),
            None => Ok(()),
        }
    }

    fn shard(&self, id: &str) -> Result<&Shard, Failure> {
        let found = self.shards.get(id).filter(|shard| !shard.gone);
        found.ok_or_else(|| Failure::NotFound(format!("no shard {id}")))
    }

    fn raw(&self, n: u64, arrived_at: i64) -> RawRecord {
        let data = self.data.get(&n).cloned().unwrap_or_else(|| Bytes::from(n.to_string()));
        RawRecord { sequence_number: sequence(n), arrived_at, data }
    }

    /// The number that reading from there begins after.
    fn after(&self, id: &str, from: &ReadFrom) -> Result<u64, Failure> {
        let records = &self.shard(id)?.records;
        Ok(match from {
            ReadFrom::TrimHorizon => 0,
            ReadFrom::At(at) if *at > self.now => {
                return Err(Failure::InvalidArgument("instant in the future".into()));
            }
            ReadFrom::At(at) => records.iter().find(|(_, arrived)| arrived >= at).map_or(self.sequence, |(n, _)| n - 1),
            // A trimmed one is no error: what is left begins behind it.
            ReadFrom::Record(position) => number(position.sequence()) - 1,
            ReadFrom::After(position) => number(position.sequence()),
        })
    }
}

#[async_trait]
impl Service for FakeStream {
    fn place(&self) -> &str {
        "stream `events` at fake"
    }

    async fn list_shards(&self, token: Option<String>) -> Result<ShardPage, Failure> {
        let mut state = self.state();
        state.called(Call::List)?;
        let skip: usize = token.map_or(0, |t| t.parse().expect("our own token"));
        let calls = state.calls.iter().filter(|call| **call == Call::List).count();
        let listed = state.shards.iter().filter(|(_, shard)| !shard.gone && calls > shard.listed_after);
        let mut shards: Vec<ListedShard> = listed
            .map(|(id, shard)| ListedShard { id: id.clone(), parents: shard.parents.clone(), range: shard.range })
            .skip(skip)
            .collect();
        let more = shards.len() > state.list_page;
        shards.truncate(state.list_page);
        Ok(ShardPage { next: more.then(|| (skip + shards.len()).to_string()), shards })
    }

    async fn iterator(&self, id: &str, from: &ReadFrom) -> Result<String, Failure> {
        let mut state = self.state();
        state.called(Call::Iterator)?;
        state.iterators.push((id.to_string(), from.clone()));
        Ok(format!("{id} {}", state.after(id, from)?))
    }

    async fn records(&self, iterator: &str, limit: i32) -> Result<RecordPage, Failure> {
        let mut state = self.state();
        state.called(Call::Records)?;
        let (id, after) = iterator.split_once(' ').expect("our own iterator");
        let mut after: u64 = after.parse().expect("our own iterator");
        let shard = state.shard(id)?;
        if state.stalled {
            return Ok(RecordPage {
                records: Vec::new(),
                next: Some(iterator.to_string()),
                behind_ms: Some(state.lag_ms),
            });
        }
        let waiting: Vec<_> = shard.records.iter().skip_while(|(n, _)| *n <= after).collect();
        let taken = &waiting[..waiting.len().min(limit as usize)];
        after = taken.last().map_or(after, |(n, _)| *n);
        let more = waiting.len() > taken.len();
        Ok(RecordPage {
            records: taken.iter().map(|(n, arrived_at)| state.raw(*n, *arrived_at)).collect(),
            next: (more || !shard.closed).then(|| format!("{id} {after}")),
            behind_ms: Some(if more { state.lag_ms } else { 0 }),
        })
    }

    async fn retention_hours(&self) -> Result<i32, Failure> {
        let mut state = self.state();
        state.called(Call::Retention)?;
        Ok(state.retention_hours)
    }

    async fn consumer(&self, name: &str) -> Result<Option<Consumer>, Failure> {
        let mut state = self.state();
        state.called(Call::Consumer)?;
        Ok(state.fanout.consumer(name))
    }

    async fn register(&self, name: &str) -> Result<(), Failure> {
        let mut state = self.state();
        state.called(Call::Register)?;
        state.fanout.register(name)
    }

    async fn subscribe(&self, arn: &str, id: &str, from: &ReadFrom) -> Result<Box<dyn Subscription>, Failure> {
        self.subscribed(arn, id, from)
    }
}

fn number(text: &str) -> u64 {
    text[text.len() - 7..].parse().expect("our own number")
}
