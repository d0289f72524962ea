//! The server's side of the faulty store: what is there, what happens to requests on their way, and two rules that must hold at
//! every moment and not only in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::oneshot;

/// What lies below it is log entries, epochs and rules; beside it is only data.
pub const STATE: &str = "state/";

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    None,
    /// 503 SlowDown, or 500: not applied.
    Refused,
    /// 500 after it was applied.
    RefusedLate,
    /// Applied, and the connection breaks before the answer.
    AnswerLost,
    /// The connection breaks before it arrives.
    NeverArrived,
    /// It arrives long after the client has given it up, perhaps after the process has died.
    Stalled,
    /// 409: another conditional write is under way.
    Conflict,
}

const FAULTS: [Fault; 6] =
    [Fault::Refused, Fault::RefusedLate, Fault::AnswerLost, Fault::NeverArrived, Fault::Stalled, Fault::Conflict];

/// How long a stalled request takes, milliseconds: around the client's timeout of 30 s, and beyond.
const STALL_MS: std::ops::Range<u64> = 10_000..90_000;

/// One bucket, shared by all processes.
#[derive(Debug, Clone)]
pub struct Bucket(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    objects: InMemory,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: StdRng,
    /// Of a thousand requests, so many meet a fault.
    permille: u32,
    /// The way of a request, milliseconds; now and then thirty times as long.
    way_ms: u64,
    in_flight: usize,
    injected: BTreeMap<Fault, u64>,
    /// Paths of data that an entry of a log names.
    named: BTreeSet<String>,
    /// What must never happen and did.
    broken: Vec<String>,
    /// Puts that are acknowledged and not kept: for proving that it would be noticed.
    forgets: Option<u64>,
}

impl Bucket {
    pub fn new(seed: u64, permille: u32, way_ms: u64) -> Self {
        let state = State {
            random: StdRng::seed_from_u64(seed),
            permille,
            way_ms,
            in_flight: 0,
            injected: BTreeMap::new(),
            named: BTreeSet::new(),
            broken: Vec::new(),
            forgets: None,
        };
        Bucket(Arc::new(Inside { objects: InMemory::new(), state: Mutex::new(state) }))
    }

    pub fn objects(&self) -> &InMemory {
        &self.0.objects
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("nothing panics holding it")
    }

    /// From now on nothing goes wrong, except with what is under way.
    pub fn heal(&self) {
        self.state().permille = 0;
    }

    /// The n-th put of data from now on is acknowledged and not kept.
    pub fn forget_put(&self, n: u64) {
        self.state().forgets = Some(n);
    }

    pub fn injected(&self) -> BTreeMap<Fault, u64> {
        self.state().injected.clone()
    }

    /// Requests that have been sent and are not answered yet.
    pub fn in_flight(&self) -> usize {
        self.state().in_flight
    }

    /// Objects that were stored before a log named them, or replaced by other bytes.
    pub fn broken(&self) -> Vec<String> {
        self.state().broken.clone()
    }

    /// Sends a request, `conditional` if it is a create: it goes its way, also when nobody waits for the answer any more.
    pub(super) fn send<T: Send + 'static>(
        &self,
        request: BoxFuture<'static, Result<T>>,
        conditional: bool,
    ) -> impl Future<Output = Result<Result<T>, Fault>> + use<T> {
        let (fault, there, back) = self.state().decide(conditional);
        self.state().in_flight += 1;
        let (reply, answer) = oneshot::channel();
        let bucket = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(there).await;
            let outcome = match fault {
                Fault::Refused | Fault::NeverArrived => Err(fault),
                Fault::Conflict => Ok(Err(conflict())),
                Fault::RefusedLate | Fault::AnswerLost => {
                    drop(request.await);
                    Err(fault)
                }
                Fault::None | Fault::Stalled => Ok(request.await),
            };
            tokio::time::sleep(back).await;
            bucket.state().in_flight -= 1;
            // Whoever asked may be gone.
            drop(reply.send(outcome));
        });
        async move {
            match answer.await {
                Ok(Err(Fault::RefusedLate)) => Err(Fault::Refused),
                Ok(outcome) => outcome,
                Err(_) => std::future::pending().await,
            }
        }
    }

    pub(super) async fn put(&self, location: Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let bytes = Bytes::from(payload.clone());
        let name = location.to_string();
        let data = !name.starts_with(STATE);
        if data && self.state().forgets_this() {
            return Ok(PutResult { e_tag: None, version: None });
        }
        if data {
            let before = match self.objects().get(&location).await {
                Ok(there) => Some(there.bytes().await?),
                Err(_) => None,
            };
            self.state().check_data(&name, &bytes, before.as_ref());
        }
        let creates = opts.mode == PutMode::Create;
        let done = self.objects().put_opts(&location, payload, opts).await?;
        if creates && !data {
            self.state().note_entry(&name, &bytes);
        }
        Ok(done)
    }
}

fn conflict() -> Error {
    Error::AlreadyExists { path: "409".into(), source: "ConditionalRequestConflict".into() }
}

impl State {
    fn decide(&mut self, conditional: bool) -> (Fault, Duration, Duration) {
        let hit = self.random.random_range(0..1_000) < self.permille;
        // The last one is for conditional writes alone.
        let kinds = if conditional { FAULTS.len() } else { FAULTS.len() - 1 };
        let fault = if hit { FAULTS[self.random.random_range(0..kinds)] } else { Fault::None };
        if hit {
            *self.injected.entry(fault).or_default() += 1;
        }
        let there = if fault == Fault::Stalled { self.random.random_range(STALL_MS) } else { self.way() };
        (fault, Duration::from_millis(there), Duration::from_millis(self.way()))
    }

    fn way(&mut self) -> u64 {
        let slow = if self.random.random_range(0..25) == 0 { 30 } else { 1 };
        self.random.random_range(1..=self.way_ms.max(1)) * slow
    }

    fn forgets_this(&mut self) -> bool {
        let Some(left) = &mut self.forgets else { return false };
        *left = left.wrapping_sub(1);
        *left == u64::MAX
    }

    /// Written down first, and the same rows at the same name for ever.
    fn check_data(&mut self, name: &str, bytes: &Bytes, before: Option<&Bytes>) {
        if !self.named.contains(name) {
            self.broken.push(format!("{name} was stored before any log named it"));
        }
        if before.is_some_and(|before| before != bytes) {
            self.broken.push(format!("{name} was replaced by other bytes"));
        }
    }

    fn note_entry(&mut self, name: &str, bytes: &Bytes) {
        if !name.starts_with("state/writers/") {
            return;
        }
        let entry: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        for file in entry["files"].as_array().into_iter().flatten() {
            // `table/...`, `errors/...`, `archive/...`: places are called what targets begin with.
            let home = file["target"].as_str().and_then(|t| t.split_once('/')).map_or("errors", |(home, _)| home);
            let path = |object: &serde_json::Value| object["path"].as_str().map(str::to_string);
            self.named.extend(path(&file["object"]).map(|path| format!("{home}/{path}")));
            self.named.extend(path(&file["rejects"]).map(|path| format!("errors/{path}")));
        }
    }
}
