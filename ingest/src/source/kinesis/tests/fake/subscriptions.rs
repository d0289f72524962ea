//! Consumers and subscriptions of the stream in memory, by tokio's clock: five minutes pass in no time where it is paused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::{Call, FakeStream, State, number, sequence};
use crate::source::kinesis::service::{Consumer, ConsumerState, Failure, Pushed, ReadFrom, Subscription};

/// As Amazon has them.
const LIFE: Duration = Duration::from_secs(300);
const HEARTBEAT: Duration = Duration::from_secs(5);
const TAKE_OVER: Duration = Duration::from_secs(5);

/// Between two looks of a subscription at its shard.
const LOOK: Duration = Duration::from_millis(20);

const EVENT_RECORDS: usize = 3;

#[derive(Debug, Default)]
pub(super) struct FanOut {
    consumers: BTreeMap<String, Registered>,
    /// Consumers are never the same again: each registration has another ARN.
    registrations: usize,
    /// By consumer and shard: who holds it, since when.
    held: BTreeMap<(String, String), (usize, Instant)>,
    holders: usize,
    asked: Vec<(String, ReadFrom)>,
    silent: bool,
    endless: bool,
    events: usize,
}

#[derive(Debug)]
struct Registered {
    arn: String,
    state: ConsumerState,
    /// Looks until it is active, or gone.
    looks: usize,
}

impl FanOut {
    pub(super) fn consumer(&mut self, name: &str) -> Option<Consumer> {
        let found = self.consumers.get_mut(name)?;
        match (found.looks, found.state) {
            (0, ConsumerState::Deleting) => {
                self.consumers.remove(name);
                return None;
            }
            (0, _) => found.state = ConsumerState::Active,
            _ => found.looks -= 1,
        }
        Some(Consumer { arn: found.arn.clone(), state: found.state })
    }

    pub(super) fn register(&mut self, name: &str) -> Result<(), Failure> {
        if self.consumers.contains_key(name) {
            return Err(Failure::InUse(format!("consumer {name} is there")));
        }
        self.registrations += 1;
        let arn = format!("arn:{name}:{}", self.registrations);
        self.consumers.insert(name.into(), Registered { arn, state: ConsumerState::Creating, looks: 2 });
        Ok(())
    }

    fn knows(&self, arn: &str) -> bool {
        self.consumers.values().any(|known| known.arn == arn)
    }

    fn hold(&mut self, arn: &str, id: &str) -> usize {
        self.holders += 1;
        self.held.insert((arn.into(), id.into()), (self.holders, Instant::now()));
        self.holders
    }
}

impl FakeStream {
    pub(super) fn subscribed(&self, arn: &str, id: &str, from: &ReadFrom) -> Result<Box<dyn Subscription>, Failure> {
        let mut state = self.state();
        state.called(Call::Subscribe)?;
        let after = state.after(id, from)?;
        if !state.fanout.knows(arn) {
            return Err(Failure::NotFound(format!("no consumer {arn}")));
        }
        let held = state.fanout.held.get(&(arn.to_string(), id.to_string()));
        if held.is_some_and(|(_, since)| since.elapsed() < TAKE_OVER) {
            return Err(Failure::InUse("another subscription is active".into()));
        }
        state.fanout.asked.push((id.to_string(), from.clone()));
        let holder = state.fanout.hold(arn, id);
        let (stream, arn, id) = (Arc::clone(&self.0), arn.to_string(), id.to_string());
        Ok(Box::new(FakeSubscription { stream, arn, id, holder, after, began: Instant::now(), last_event: None }))
    }

    /// A consumer that is there before anybody registers it.
    pub(in super::super) fn registered(&self, name: &str, state: ConsumerState, looks: usize) {
        let mut stream = self.state();
        stream.fanout.registrations += 1;
        let arn = format!("arn:{name}:{}", stream.fanout.registrations);
        stream.fanout.consumers.insert(name.into(), Registered { arn, state, looks });
    }

    /// Someone takes the consumer's registration back.
    pub(in super::super) fn deregister(&self, name: &str) {
        self.state().fanout.consumers.remove(name).expect("consumer of the test");
    }

    /// Another process subscribes with the same consumer.
    pub(in super::super) fn take_over(&self, id: &str) {
        let mut state = self.state();
        let arns: Vec<String> = state.fanout.consumers.values().map(|known| known.arn.clone()).collect();
        for arn in arns {
            state.fanout.hold(&arn, id);
        }
    }

    /// From now on, or no more, subscriptions give nothing and do not end: their connections are half open.
    pub(in super::super) fn silence(&self, silent: bool) {
        self.state().fanout.silent = silent;
    }

    /// From now on no event says that its shard has ended.
    pub(in super::super) fn endless(&self) {
        self.state().fanout.endless = true;
    }

    /// What each subscription that was taken asked for.
    pub(in super::super) fn subscriptions(&self) -> Vec<(String, ReadFrom)> {
        self.state().fanout.asked.clone()
    }

    /// Events that were given out.
    pub(in super::super) fn events(&self) -> usize {
        self.state().fanout.events
    }
}

#[derive(Debug)]
struct FakeSubscription {
    stream: Arc<Mutex<State>>,
    arn: String,
    id: String,
    holder: usize,
    after: u64,
    began: Instant,
    last_event: Option<Instant>,
}

#[async_trait]
impl Subscription for FakeSubscription {
    async fn next(&mut self) -> Result<Option<Pushed>, Failure> {
        loop {
            if let Some(next) = self.look() {
                return next;
            }
            sleep(LOOK).await;
        }
    }
}

impl FakeSubscription {
    /// None: nothing to tell yet.
    fn look(&mut self) -> Option<Result<Option<Pushed>, Failure>> {
        let stream = Arc::clone(&self.stream);
        let mut state = stream.lock().expect("no test panics holding it");
        if state.fanout.silent {
            return None;
        }
        if let Err(failure) = state.event() {
            return Some(Err(failure));
        }
        let holder = state.fanout.held.get(&(self.arn.clone(), self.id.clone())).map(|(holder, _)| *holder);
        if holder != Some(self.holder) {
            return Some(Err(Failure::InUse("the subscription was taken over".into())));
        }
        if !state.fanout.knows(&self.arn) {
            return Some(Err(Failure::NotFound(format!("no consumer {}", self.arn))));
        }
        if self.began.elapsed() >= LIFE {
            return Some(Ok(None));
        }
        let pushed = match state.pushed(&self.id, self.after) {
            Ok(pushed) => pushed,
            Err(failure) => return Some(Err(failure)),
        };
        let idle = pushed.records.is_empty() && !pushed.last;
        if idle && self.last_event.is_some_and(|at| at.elapsed() < HEARTBEAT) {
            return None;
        }
        self.last_event = Some(Instant::now());
        self.after = pushed.continuation.as_deref().map_or(self.after, number);
        state.fanout.events += 1;
        Some(Ok(Some(pushed)))
    }
}

impl State {
    /// A failure that a test has put in the way of the next event.
    fn event(&mut self) -> Result<(), Failure> {
        let at = self.failures.iter().position(|(failing, _)| *failing == Call::Event);
        at.and_then(|at| self.failures.remove(at)).map_or(Ok(()), |(_, failure)| Err(failure))
    }

    fn pushed(&self, id: &str, after: u64) -> Result<Pushed, Failure> {
        let shard = self.shard(id)?;
        let waiting: Vec<_> = shard.records.iter().skip_while(|(n, _)| *n <= after).collect();
        let taken = &waiting[..waiting.len().min(EVENT_RECORDS)];
        let more = waiting.len() > taken.len();
        // Caught up, the continuation is the stream's latest number: hardly ever that of a record of this shard.
        let continuation = if more { taken.last().map_or(after, |(n, _)| *n) } else { self.sequence.max(after) };
        let last = shard.closed && !more && !self.fanout.endless;
        Ok(Pushed {
            records: taken.iter().map(|(n, arrived_at)| self.raw(*n, *arrived_at)).collect(),
            continuation: (!last).then(|| sequence(continuation)),
            behind_ms: Some(if more { self.lag_ms } else { 0 }),
            last,
        })
    }
}
