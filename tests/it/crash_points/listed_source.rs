//! A source of two shards whose records are a list: good rows, broken JSON, keys outside the projection, values that do not fit.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use ingest::record::{Batch, Record};
use ingest::source::{Claims, Source, SourceError};
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Records of one shard.
const RECORDS: u64 = 40;

#[derive(Debug)]
pub(super) struct ListedSource {
    shards: BTreeMap<ShardId, Vec<Record>>,
    ends: BTreeMap<ShardId, Position>,
}

/// Every eighth record is one of three kinds of reject.
fn text(id: u64) -> String {
    let key = ["a", "b", "c", "a"][(id % 4) as usize];
    match (id % 8, id % 3) {
        (5, 0) => format!("{{\"id\":{id}"),
        (5, 1) => format!("{{\"id\":{id},\"k\":\"elsewhere\"}}"),
        (5, _) => format!("{{\"id\":\"x{id}\",\"k\":\"{key}\"}}"),
        _ => format!("{{\"id\":{id},\"k\":\"{key}\"}}"),
    }
}

impl ListedSource {
    pub(super) fn new() -> Self {
        let mut shards = BTreeMap::new();
        for shard in 0..2 {
            let record = |i: u64| Record {
                // Gaps between positions, as Kinesis has them.
                position: Position::from_numbers(i * 7 + 3, 0),
                arrived_at: 1_000 + i as i64,
                data: Bytes::from(text(shard * RECORDS + i)),
            };
            shards.insert(ShardId::new(format!("s:{shard}")), (0..RECORDS).map(record).collect::<Vec<_>>());
        }
        let ends = shards.iter().map(|(s, r)| (s.clone(), r.last().expect("records").position.clone())).collect();
        ListedSource { shards, ends }
    }

    pub(super) fn ends(&self) -> impl Iterator<Item = (&ShardId, &Position)> {
        self.ends.iter()
    }

    pub(super) fn good_ids(&self) -> Vec<i64> {
        (0..2 * RECORDS).filter(|id| id % 8 != 5).map(|id| id as i64).collect()
    }

    /// `"shard" "position"` of every record that no row can come of, sorted.
    pub(super) fn rejected(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (n, (shard, records)) in self.shards.iter().enumerate() {
            for (i, record) in records.iter().enumerate() {
                if (n as u64 * RECORDS + i as u64) % 8 == 5 {
                    out.push(format!("\"{shard}\" \"{}\"", record.position));
                }
            }
        }
        out.sort_unstable();
        out
    }

    /// Batches of one to six records that cover `span` and chain.
    fn batches(&self, shard: &ShardId, span: &Span) -> Vec<Batch> {
        let inside: Vec<Record> = self.shards[shard].iter().filter(|r| span.contains(&r.position)).cloned().collect();
        let (mut out, mut from, mut at) = (Vec::new(), span.from.clone(), 0);
        while at < inside.len() {
            let records = inside[at..(at + 1 + at % 6).min(inside.len())].to_vec();
            at += records.len();
            let to = records.last().expect("at least one").position.clone();
            let span = Span::new(std::mem::replace(&mut from, to.clone()), to);
            out.push(Batch { shard: shard.clone(), span, records, behind_ms: None, last: false, permit: None });
        }
        out
    }

    async fn send(&self, shard: &ShardId, span: &Span, out: &mpsc::Sender<Batch>) -> Result<(), SourceError> {
        for batch in self.batches(shard, span) {
            out.send(batch).await.map_err(|_| SourceError::Closed)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Source for ListedSource {
    async fn run(&self, claims: Claims, out: mpsc::Sender<Batch>, stop: CancellationToken) -> Result<(), SourceError> {
        for (shard, end) in &self.ends {
            let resume = claims.claim(shard.clone(), Start::TrimHorizon).await?;
            self.send(shard, &Span::new(resume.after, end.clone()), &out).await?;
        }
        stop.cancelled().await;
        Ok(())
    }

    async fn reread(
        &self,
        shard: &ShardId,
        _start: &Start,
        span: &Span,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        self.send(shard, span, &out).await
    }

    async fn release(&self, _shard: &ShardId, _watermark: &Position) -> Result<(), SourceError> {
        Ok(())
    }
}
