//! What goes wrong with a call: decided from a seed, call by call.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A list of shards may be so much older than the stream, milliseconds.
const LIST_LAG_MS: i64 = 4_000;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    None,
    /// Refused for its rate, before anything is done.
    Throttled,
    /// The server failed before it did anything: 500.
    Failed,
    /// The server is not available: 503.
    Unavailable,
    /// Applied, and nobody hears of it: a producer that tries again puts a record twice.
    AnswerLost,
    /// The iterator is refused as too old, early.
    Expired,
    /// No records although there are some.
    EmptyRead,
    /// Some records of a PutRecords are refused: those whose bit is set.
    Partial(u64),
    /// The list is some seconds old: children are not in it yet.
    OldList,
}

impl Fault {
    /// Status and code of calls that fail before anything is done.
    pub(super) fn refusal(self) -> Option<(u16, &'static str)> {
        match self {
            Fault::Throttled => Some((400, "ProvisionedThroughputExceededException")),
            Fault::Failed => Some((500, "InternalFailureException")),
            Fault::Unavailable => Some((503, "ServiceUnavailable")),
            _ => None,
        }
    }

    pub(super) fn fails_record(self, n: usize) -> bool {
        matches!(self, Fault::Partial(bits) if bits >> (n % 64) & 1 == 1)
    }

    pub(super) fn list_is_as_of(self, now: i64) -> i64 {
        if self == Fault::OldList { now - LIST_LAG_MS } else { now }
    }
}

/// A fault, and how long the call takes there and back.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) fault: Fault,
    pub(super) there: Duration,
    pub(super) back: Duration,
}

/// How often calls fail, and how slow they are.
#[derive(Debug)]
pub struct Faults {
    random: StdRng,
    /// Of a hundred calls, so many meet a fault.
    percent: u32,
    /// The way of a call, milliseconds; now and then ten times as long.
    way_ms: u64,
    injected: BTreeMap<Fault, u64>,
}

impl Faults {
    /// Nothing goes wrong and nothing takes time.
    pub fn none() -> Self {
        Faults::seeded(0, 0, 0)
    }

    pub fn seeded(seed: u64, percent: u32, way_ms: u64) -> Self {
        Faults { random: StdRng::seed_from_u64(seed), percent, way_ms, injected: BTreeMap::new() }
    }

    pub(super) fn heal(&mut self) {
        self.percent = 0;
    }

    pub(super) fn injected(&self) -> &BTreeMap<Fault, u64> {
        &self.injected
    }

    pub(super) fn decide(&mut self, call: &str) -> Verdict {
        let fault = if self.random.random_range(0..100) < self.percent { self.fault(call) } else { Fault::None };
        if fault != Fault::None {
            let kind = if matches!(fault, Fault::Partial(_)) { Fault::Partial(0) } else { fault };
            *self.injected.entry(kind).or_default() += 1;
        }
        Verdict { fault, there: self.way(), back: self.way() }
    }

    fn fault(&mut self, call: &str) -> Fault {
        let own = match call {
            "GetRecords" => [Fault::Expired, Fault::EmptyRead],
            "PutRecords" => [Fault::Partial(self.random.random()), Fault::AnswerLost],
            "ListShards" => [Fault::OldList; 2],
            _ => [Fault::Throttled, Fault::AnswerLost],
        };
        let any = [Fault::Throttled, Fault::Failed, Fault::Unavailable, Fault::AnswerLost, own[0], own[1]];
        any[self.random.random_range(0..any.len())]
    }

    fn way(&mut self) -> Duration {
        if self.way_ms == 0 {
            return Duration::ZERO;
        }
        let slow = if self.random.random_range(0..20) == 0 { 10 } else { 1 };
        Duration::from_millis(self.random.random_range(1..=self.way_ms) * slow)
    }
}
