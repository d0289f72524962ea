//! The writer as the pipeline sees it: own shards, take spans in row by row, cut what is due.

mod intake;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use schemas::layout;
use schemas::log_entry::{Body, Carried, Cut, FlushReason, Output, Progress, ShardState, Start};
use schemas::position::{Position, ShardId};
use schemas::rules::Rules;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::buffer::{Buffer, Buffers, policy};
use crate::commit::committer::{Committer, ORDERS_MAX, Order};
use crate::commit::cut::{FileRules, Frozen};
use crate::commit::log::Log;
use crate::commit::others::{Others, ShardStanding};
use crate::commit::redo::{self, MayMiss, Redo};
use crate::commit::takeover::{self, Taking};
use crate::error::WriterError;
use crate::settings::BufferSettings;
use crate::shared::Shared;
use crate::store::{Created, Lake};
pub use intake::{Given, Intake, is_cut};

/// See the module's text.
#[derive(Debug)]
pub struct Writer {
    id: String,
    lake: Lake,
    settings: BufferSettings,
    rules: FileRules,
    shared: Arc<Shared>,
    buffers: Buffers,
    /// Taken out of `buffers`, not ordered yet.
    frozen: Vec<(Buffer, FlushReason)>,
    /// Shards that rows refer to by index: owned ones, those whose rows an inherited cut holds, and those that rows of a replay
    /// were first taken from.
    names: Arc<Vec<ShardId>>,
    index: HashMap<ShardId, u32>,
    /// Shards that have or had an owner, as far as we know.
    had: BTreeSet<ShardId>,
    others: Others,
    orders: mpsc::Sender<Order>,
    committer: Option<JoinHandle<Result<(), WriterError>>>,
    next_cut: u64,
}

/// Which shards of the state a writer takes over at its start, and how far it goes for them.
pub struct Scope<'a> {
    pub wants: &'a (dyn Fn(&ShardId) -> bool + Send + Sync),
    pub taking: Taking,
}

impl Scope<'_> {
    /// Every shard there is, by force: one process that owns the table.
    pub fn all() -> Scope<'static> {
        Scope { wants: &|_| true, taking: Taking::Force }
    }
}

impl std::fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scope {{ taking: {:?} }}", self.taking)
    }
}

/// What asking for a shard came to.
#[derive(Debug)]
pub enum Taken {
    /// It is this writer's, with what its former owner has left (to be settled before it is read).
    Ours(Box<Carried>),
    /// It belongs to another writer.
    Theirs { writer: String },
}

/// What was found at the start, for the pipeline to finish.
#[derive(Debug)]
pub struct Opened {
    pub writer: Writer,
    pub carried: Carried,
    /// Shards that were wanted and are another writer's.
    pub theirs: BTreeMap<ShardId, String>,
    /// Watermarks that are written down, of every shard that has moved.
    pub written: watch::Receiver<BTreeMap<ShardId, Progress>>,
}

impl Writer {
    /// Proves the stores, ends former owners, takes their shards over as far as `scope` says. `id` must never have been used
    /// before.
    pub async fn open(
        id: &str,
        lake: Lake,
        settings: BufferSettings,
        rules: FileRules,
        document: &Rules,
        shared: Arc<Shared>,
        scope: &Scope<'_>,
    ) -> Result<Opened, WriterError> {
        lake.probe(id).await?;
        keep_rules(&lake, &rules.fingerprint, document).await?;
        let mut owners = takeover::owners(&lake.state).await?;
        let had: BTreeSet<ShardId> = owners.keys().cloned().collect();
        owners.retain(|shard, _| (scope.wants)(shard));
        let mut left = takeover::inherit(&lake.state, id, owners, &scope.taking, shared.clock.now()).await?;
        left.carried.shards.values_mut().for_each(|state| state.epoch += 1);
        let mut log = Log::new(lake.state.clone(), id);
        let open = Body::Open { after: left.after, state: left.carried.clone() };
        log.append(takeover::entry(shared.clock.now(), 0, open)).await?;
        let epochs = left.carried.shards.iter().map(|(shard, state)| (shard.clone(), state.epoch));
        takeover::claim(&lake.state, id, epochs.collect::<Vec<_>>()).await?;
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let (said, written) = watch::channel(BTreeMap::new());
        shared.lags.set_columns(&rules.lag_columns);
        let committer = Committer::new(lake.clone(), log, shared.clone(), said);
        let mut writer = Writer {
            id: id.to_string(),
            lake,
            settings,
            rules,
            shared,
            buffers: Buffers::default(),
            frozen: Vec::new(),
            names: Arc::default(),
            index: HashMap::new(),
            had,
            others: Others::default(),
            orders,
            committer: Some(tokio::spawn(committer.run(received))),
            next_cut: 0,
        };
        writer.own(&left.carried);
        Ok(Opened { writer, carried: left.carried, theirs: left.theirs, written })
    }

    fn own(&mut self, carried: &Carried) {
        for (shard, state) in &carried.shards {
            self.shared.shards.own(shard, state);
            self.know(shard);
        }
        carried.foreign.keys().for_each(|shard| self.know(shard));
    }

    /// Rows of the shard may be named by index from here on.
    fn know(&mut self, shard: &ShardId) {
        if !self.index.contains_key(shard) {
            self.index.insert(shard.clone(), self.names.len() as u32);
            Arc::make_mut(&mut self.names).push(shard.clone());
        }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub fn settings(&self) -> &BufferSettings {
        &self.settings
    }

    /// Other limits from here on, for what is open too: whatever is due by them is cut at the next look.
    pub fn set_settings(&mut self, settings: BufferSettings) {
        self.shared.budget.set_limit(settings.memory);
        self.settings = settings;
    }

    /// Whether records are kept as they came.
    pub fn keeps_archive(&self) -> bool {
        self.lake.archive.is_some()
    }

    pub fn owns(&self, shard: &ShardId) -> bool {
        self.shared.shards.is_owned(shard)
    }

    /// Makes a shard this writer's own, if it may be had. One that nobody has owned begins at `start`. A sealed or released
    /// owner's work is in the answer, and has to be settled.
    pub async fn take(&mut self, shard: &ShardId, start: Start, taking: &Taking) -> Result<Taken, WriterError> {
        if !self.had.contains(shard) && self.claim(shard, start.clone()).await? {
            let state = ShardState::new(start, &self.rules.fingerprint);
            let shards = BTreeMap::from([(shard.clone(), state)]);
            return Ok(self.taken(Carried { shards, ..Carried::default() }));
        }
        let owners = takeover::owners_of(&self.lake.state, std::slice::from_ref(shard)).await?;
        let mut left = takeover::inherit(&self.lake.state, &self.id, owners, taking, self.shared.clock.now()).await?;
        if let Some(writer) = left.theirs.remove(shard) {
            return Ok(Taken::Theirs { writer });
        }
        let Some(state) = left.carried.shards.get_mut(shard) else {
            return Err(WriterError::Corrupt(format!(
                "shard {shard}: another process has an epoch of it that is gone"
            )));
        };
        state.epoch += 1;
        let epoch = state.epoch;
        let body = Body::Take { after: left.after, state: left.carried.clone() };
        match self.ask_to_own(shard, epoch, body).await? {
            Some(writer) => Ok(Taken::Theirs { writer }),
            None => Ok(self.taken(left.carried)),
        }
    }

    fn taken(&mut self, carried: Carried) -> Taken {
        self.had.extend(carried.shards.keys().cloned());
        self.own(&carried);
        Taken::Ours(Box::new(carried))
    }

    /// Whether a shard that we have not seen an owner of is ours from here on.
    async fn claim(&mut self, shard: &ShardId, start: Start) -> Result<bool, WriterError> {
        let state = ShardState::new(start, &self.rules.fingerprint);
        let body = Body::Claim { shards: BTreeMap::from([(shard.clone(), state)]) };
        let faster = self.ask_to_own(shard, 1, body).await?;
        self.had.insert(shard.clone());
        Ok(faster.is_none())
    }

    async fn ask_to_own(&mut self, shard: &ShardId, epoch: u64, body: Body) -> Result<Option<String>, WriterError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Own { shard: shard.clone(), epoch, body: Box::new(body), reply }).await?;
        match answer.await {
            Ok(faster) => Ok(faster),
            Err(_) => Err(self.why_stopped().await),
        }
    }

    /// Cuts what is open of a shard, stores it and gives the shard up: anyone may take it without a seal. Every batch of it must
    /// have been taken in.
    pub async fn release_shard(&mut self, shard: &ShardId) -> Result<(), WriterError> {
        let index = self.index_of(shard)?;
        let of = |buffer: &Buffer| buffer.before.contains_key(&index).then_some(FlushReason::Release);
        let open = self.buffers.take_due(of);
        self.frozen.extend(open);
        self.cut_frozen().await?;
        let shard = shard.clone();
        self.ask(|reply| Order::ReleaseShard { shard, reply }).await
    }

    /// What other writers' logs say of these shards.
    pub async fn standing(&mut self, shards: &[ShardId]) -> Result<BTreeMap<ShardId, ShardStanding>, WriterError> {
        self.others.standing(&self.lake.state, shards).await
    }

    /// Waits until the memory cap leaves room for another batch.
    pub async fn room(&mut self) -> Result<(), WriterError> {
        while self.shared.budget.is_overdrawn() {
            let shared = self.shared.clone();
            tokio::select! {
                biased;
                () = shared.budget.freed() => {}
                error = self.why_stopped() => return Err(error),
            }
        }
        Ok(())
    }

    /// Cuts every buffer whose time has come.
    pub async fn cut_due(&mut self) -> Result<(), WriterError> {
        let now = self.shared.clock.now();
        let ratios = Output::ALL.map(|output| self.shared.ratio(output));
        let due = self.buffers.take_due_at(&self.settings, ratios, now);
        self.frozen.extend(due);
        self.observe(now);
        self.cut_frozen().await
    }

    /// Cuts everything that is open.
    pub async fn cut_all(&mut self, reason: FlushReason) -> Result<(), WriterError> {
        let all = self.buffers.take_due(|_| Some(reason));
        self.frozen.extend(all);
        self.cut_frozen().await
    }

    fn observe(&self, now: i64) {
        let metrics = &self.shared.metrics;
        metrics.partition_count.set(self.buffers.len() as i64);
        metrics.buffer_memory_bytes.set(self.shared.budget.used() as i64);
        metrics.buffer_memory_limit_bytes.set(self.shared.budget.limit() as i64);
        let oldest = self.buffers.oldest().into_iter().chain(self.shared.oldest_unstored()).min();
        let freshness = oldest.map_or(0, |opened| now - opened);
        metrics.delivery_to_s3_data_freshness_seconds.set(freshness as f64 / 1000.0);
        let archive_age = self.settings.archive.age;
        let age = if self.keeps_archive() { self.settings.age.max(archive_age) } else { self.settings.age };
        metrics.buffer_age_limit_seconds.set(age.as_secs_f64());
        if self.shared.lags.is_due(now) {
            self.shared.lags.observe(self.shared.lags.waiting(self.buffers.of_table()), now, metrics);
        }
    }

    async fn cut_frozen(&mut self) -> Result<(), WriterError> {
        while !self.frozen.is_empty() {
            let buffers = self.next_cut_buffers();
            let frozen = Frozen { cut: self.next_cut, rules: self.rules.clone(), buffers, shards: self.names.clone() };
            self.next_cut += 1;
            self.order(Order::Cut(Box::new(frozen))).await?;
        }
        Ok(())
    }

    /// The first of the frozen buffers, within the bounds of one cut.
    fn next_cut_buffers(&mut self) -> Vec<(Buffer, FlushReason)> {
        let count = policy::of_next_cut(self.frozen.iter().map(|(buffer, _)| buffer.rope.data_bytes()));
        self.frozen.drain(..count).collect()
    }

    /// Waits until everything cut so far is stored and written down.
    pub async fn settle(&mut self) -> Result<(), WriterError> {
        self.ask(|reply| Order::Settle { reply }).await
    }

    /// Stores what is cut, then gives all shards up: the end of a graceful run. Nothing may be open.
    pub async fn release(&mut self) -> Result<(), WriterError> {
        debug_assert!(self.buffers.is_empty(), "cut before release");
        self.ask(|reply| Order::Release { reply }).await?;
        self.join().await
    }

    /// Files of unfinished cuts made under these rules that are not stored, to be filled by reading their spans again, in groups
    /// that fit the memory that open buffers may take.
    pub async fn redo(&self, carried: &Carried, fingerprint: &str) -> Result<Vec<Redo>, WriterError> {
        let memory = self.settings.memory / 100 * policy::MEMORY_LOW_PERCENT;
        let cuts: Vec<&Cut> = carried.unfinished.iter().filter(|cut| cut.rules == fingerprint).collect();
        Ok(redo::groups(&redo::missing(&self.lake, &cuts).await?, &self.names, memory))
    }

    /// Stores the files of `redo`. A file may hold fewer rows than it had where rows of a span of it `may_miss`.
    pub async fn store_redo(&self, redo: Redo, may_miss: &MayMiss<'_>) -> Result<usize, WriterError> {
        redo.store(&self.lake, &self.names, &self.rules, may_miss).await
    }

    /// Writes down that all inherited cuts are stored.
    pub async fn redone(&mut self) -> Result<(), WriterError> {
        self.ask(|reply| Order::Redone { reply }).await
    }

    /// Keeps a shard's watermark where it is until [`Writer::let_go`].
    pub fn hold(&self, shard: &ShardId, at: &Position) {
        self.shared.shards.hold(shard, at);
    }

    pub fn let_go(&self, shard: &ShardId, at: &Position) {
        self.shared.shards.let_go([(shard, at)]);
    }

    /// The rules files are made by from here on. Nothing may be open.
    pub fn set_rules(&mut self, rules: FileRules) {
        assert!(self.buffers.is_empty() && self.frozen.is_empty(), "rules change between cuts only");
        self.shared.lags.set_columns(&rules.lag_columns);
        self.rules = rules;
    }

    /// Goes on under other rules, with what was taken in under the old ones cut and stored. They are written down before any
    /// cut names them; a process that dies in between has stored files under the old rules, and nothing above them.
    pub async fn follow(&mut self, rules: FileRules, document: &Rules) -> Result<(), WriterError> {
        keep_rules(&self.lake, &rules.fingerprint, document).await?;
        self.cut_all(FlushReason::Rules).await?;
        self.settle().await?;
        self.set_rules(rules);
        Ok(())
    }

    pub fn rules(&self) -> &FileRules {
        &self.rules
    }

    /// The rules document that a former owner's cuts were made under.
    pub async fn load_rules(&self, fingerprint: &str) -> Result<Rules, WriterError> {
        let name = layout::rules(fingerprint);
        let bytes = self.lake.state.get(&name).await?;
        let bytes = bytes.ok_or_else(|| WriterError::Corrupt(format!("rules {name} are not in the state folder")))?;
        serde_json::from_slice(&bytes).map_err(|e| WriterError::Corrupt(format!("rules {name} cannot be read: {e}")))
    }

    async fn ask(&mut self, order: impl FnOnce(oneshot::Sender<()>) -> Order) -> Result<(), WriterError> {
        let (reply, answer) = oneshot::channel();
        self.order(order(reply)).await?;
        match answer.await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.why_stopped().await),
        }
    }

    async fn order(&mut self, order: Order) -> Result<(), WriterError> {
        match self.orders.send(order).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.why_stopped().await),
        }
    }

    /// Resolves when the committer has stopped, which it does by itself only when something has failed for good.
    pub async fn failed(&mut self) -> WriterError {
        self.why_stopped().await
    }

    async fn why_stopped(&mut self) -> WriterError {
        match self.join().await {
            Err(error) => error,
            Ok(()) => WriterError::Corrupt("the committer stopped although it had orders".into()),
        }
    }

    async fn join(&mut self) -> Result<(), WriterError> {
        let Some(committer) = &mut self.committer else {
            return Err(WriterError::Corrupt("the committer has stopped before".into()));
        };
        let ended = committer.await;
        self.committer = None;
        ended.unwrap_or_else(|e| Err(WriterError::Corrupt(format!("the committer stopped: {e}"))))
    }
}

async fn keep_rules(lake: &Lake, fingerprint: &str, document: &Rules) -> Result<(), WriterError> {
    let name = layout::rules(fingerprint);
    match lake.state.create(&name, document.to_json().into()).await? {
        Created::Ours => Ok(()),
        Created::Theirs(_) => {
            Err(WriterError::Corrupt(format!("rules {name} hold other text than their fingerprint says")))
        }
    }
}
