//! Copies what the sources count into the metrics, once a second: sources count with plain atomics and know no registry.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::metrics::{IngestMetrics, ReasonLabel, ShardLabel};
use crate::source::READ_AHEAD_BATCHES;
use crate::source::intake::counters::{IntakeCounters, Refusal};
use crate::source::kinesis::KinesisCounters;

/// Between two copies.
const EVERY: Duration = Duration::from_secs(1);

/// Counters of the sources that run.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    pub kinesis: Option<Arc<KinesisCounters>>,
    pub intake: Option<Arc<IntakeCounters>>,
}

/// Copies until `stop`.
pub async fn run(counters: Counters, metrics: IngestMetrics, stop: CancellationToken) {
    metrics.source_queue_limit_batches.set(READ_AHEAD_BATCHES as i64);
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        if let Some(kinesis) = &counters.kinesis {
            copy_kinesis(kinesis, &metrics);
        }
        if let Some(intake) = &counters.intake {
            copy_intake(intake, &metrics);
        }
    }
}

fn copy_kinesis(from: &KinesisCounters, to: &IngestMetrics) {
    raise(&to.get_records_requests, from.reads.load(Ordering::Relaxed));
    raise(&to.data_read_from_kinesis_stream_records, from.records.load(Ordering::Relaxed));
    raise(&to.data_read_from_kinesis_stream_bytes, from.bytes.load(Ordering::Relaxed));
    raise(&to.throttled_get_records, from.throttled.load(Ordering::Relaxed));
    let lags = from.behind_ms();
    to.shards_owned.set(lags.len() as i64);
    for (shard, lag) in lags {
        let label = ShardLabel { shard: shard.to_string() };
        to.kinesis_millis_behind_latest.get_or_create(&label).set(lag as i64);
    }
}

fn copy_intake(from: &IntakeCounters, to: &IngestMetrics) {
    raise(&to.put_record_requests, from.put_record_requests.get());
    raise(&to.put_record_batch_requests, from.put_record_batch_requests.get());
    raise(&to.events_requests, from.events_requests.get());
    raise(&to.intake_records, from.records.get());
    raise(&to.intake_bytes, from.bytes.get());
    raise(&to.journal_syncs, from.journal_syncs.get());
    to.journal_bytes.set(from.journal_bytes.get() as i64);
    to.journal_limit_bytes.set(from.journal_max_bytes.get() as i64);
    to.journal_held_records.set(from.journal_held_records.get() as i64);
    for refusal in Refusal::ALL {
        let label = ReasonLabel { reason: refusal.name() };
        raise(&to.intake_refused.get_or_create(&label), from.refused(refusal));
    }
}

/// Brings a counter up to a total kept elsewhere.
fn raise(counter: &prometheus_client::metrics::counter::Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
