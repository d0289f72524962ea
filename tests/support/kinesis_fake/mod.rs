//! A Kinesis of our own: the service's state machine, spoken to in the service's real protocol (JSON 1.1 over HTTP).
//!
//! - `stream` holds shards and records, `calls` answers calls, `listing` and `reading` the two that are more than a look-up.
//!   All of it is pure: a call, a body and the time go in, a status and a body come out.
//! - `faults` decides, from a seed, what goes wrong with a call.
//! - `server` answers over TCP, for processes and SDKs; `connector` in memory beneath the AWS SDK, for simulated time.
//!
//! `tests/it/conformance.rs` holds it and kinesis-local to the same behaviour.

mod calls;
pub mod connector;
pub mod faults;
mod listing;
mod reading;
pub mod server;
mod stream;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use self::calls::Service;
use self::faults::{Fault, Faults, Verdict};
pub use self::stream::Record;

/// Milliseconds since the epoch.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What every call's name begins with in the header `x-amz-target`.
pub const TARGET: &str = "Kinesis_20131202.";

/// An answer as HTTP carries it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// One service with all its streams.
#[derive(Clone)]
pub struct KinesisFake {
    state: Arc<Mutex<State>>,
    now: Now,
}

#[derive(Debug)]
struct State {
    service: Service,
    faults: Faults,
}

impl fmt::Debug for KinesisFake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KinesisFake")
    }
}

impl KinesisFake {
    /// Without faults. A stream that is being changed is busy for `change_takes`.
    pub fn new(now: Now, change_takes: Duration) -> Self {
        let service = Service::new(i64::try_from(change_takes.as_millis()).expect("a short while"));
        KinesisFake { state: Arc::new(Mutex::new(State { service, faults: Faults::none() })), now }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics holding it")
    }

    /// From here on calls fail as `faults` say.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// From here on nothing goes wrong; what was injected stays counted.
    pub fn heal(&self) {
        self.state().faults.heal();
    }

    /// How often each kind of fault was injected since they were set.
    pub fn injected(&self) -> BTreeMap<Fault, u64> {
        self.state().faults.injected().clone()
    }

    /// One call (`GetRecords`, ...) at once and without faults.
    pub fn call(&self, name: &str, body: &[u8]) -> Answer {
        self.state().service.handle(name, body, (self.now)(), Fault::None)
    }

    /// One call with its way there and back, and with whatever goes wrong on it. `None`: the answer got lost.
    pub async fn exchange(&self, name: &str, body: &[u8]) -> Option<Answer> {
        let Verdict { fault, there, back } = self.state().faults.decide(name);
        wait(there).await;
        let answer = self.state().service.handle(name, body, (self.now)(), fault);
        wait(back).await;
        (fault != Fault::AnswerLost).then_some(answer)
    }

    /// All records that a stream has ever accepted and not trimmed, by the name of their shard.
    pub fn accepted(&self, stream: &str) -> BTreeMap<String, Vec<Record>> {
        self.state().service.accepted(stream)
    }
}

async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
