//! A source whose records are lists, for tests that need every record to be where they put it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use ingest::record::{Batch, Record};
use ingest::source::{Claims, Source, SourceError};
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Shards `s:0`, `s:1`, ... with the records given.
#[derive(Debug)]
pub struct ListedSource {
    shards: BTreeMap<ShardId, Vec<Record>>,
    ends: BTreeMap<ShardId, Position>,
}

impl ListedSource {
    /// One shard for each list, none of them empty. Positions have gaps, as Kinesis has them.
    pub fn new(shards: Vec<Vec<Vec<u8>>>) -> Self {
        let record = |(i, data): (usize, Vec<u8>)| Record {
            position: Position::from_numbers(i as u64 * 7 + 3, 0),
            arrived_at: 1_700_000_000_000 + i as i64,
            data: Bytes::from(data),
        };
        let name = |n: usize| ShardId::new(format!("s:{n}"));
        let shards: BTreeMap<ShardId, Vec<Record>> = shards
            .into_iter()
            .enumerate()
            .map(|(n, records)| (name(n), records.into_iter().enumerate().map(record).collect()))
            .collect();
        let ends = shards.iter().map(|(s, r)| (s.clone(), r.last().expect("records").position.clone())).collect();
        ListedSource { shards, ends }
    }

    pub fn ends(&self) -> impl Iterator<Item = (&ShardId, &Position)> {
        self.ends.iter()
    }

    pub fn records(&self) -> impl Iterator<Item = (&ShardId, &Record)> {
        self.shards.iter().flat_map(|(shard, records)| records.iter().map(move |record| (shard, record)))
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
            out.push(Batch {
                shard: shard.clone(),
                span,
                records,
                behind_ms: None,
                seen_at: None,
                last: false,
                permit: None,
            });
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
            let resume = claims.claim_own(shard.clone(), Start::TrimHorizon).await?;
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
        _seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        self.send(shard, span, &out).await
    }

    async fn release(&self, _shard: &ShardId, _watermark: &Position) -> Result<(), SourceError> {
        Ok(())
    }
}
