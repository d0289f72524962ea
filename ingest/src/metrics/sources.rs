//! What the sources count themselves, read at the moment of a scrape.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use writer::metrics::MetricDoc;

use crate::source::intake::counters::{Cut, IntakeCounters, Refusal};
use crate::source::kinesis::KinesisCounters;

/// A number of `C`: what it is, and how it is read.
struct Number<C> {
    doc: MetricDoc,
    read: fn(&C) -> u64,
}

const fn number<C>(
    name: &'static str,
    kind: &'static str,
    unit: &'static str,
    help: &'static str,
    read: fn(&C) -> u64,
) -> Number<C> {
    Number { doc: MetricDoc { name, kind, unit, labels: "", help }, read }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

static KINESIS: &[Number<KinesisCounters>] = &[
    number("alluvium_get_records_requests", "counter", "requests", "GetRecords calls that gave an answer", |c| {
        load(&c.reads)
    }),
    number(
        "alluvium_data_read_from_kinesis_stream_records",
        "counter",
        "records",
        "Records read from the stream",
        |c| load(&c.records),
    ),
    number("alluvium_data_read_from_kinesis_stream_bytes", "counter", "bytes", "Bytes of data in those records", |c| {
        load(&c.bytes)
    }),
    number(
        "alluvium_throttled_get_records",
        "counter",
        "requests",
        "Calls that Kinesis refused for their rate, after the SDK's own attempts",
        |c| load(&c.throttled),
    ),
    number(
        "alluvium_kinesis_expired_iterators",
        "counter",
        "iterators",
        "Iterators that had expired and were asked for again",
        |c| load(&c.expired),
    ),
    number(
        "alluvium_kpl_aggregates",
        "counter",
        "records",
        "Records that held user records of the Kinesis Producer Library",
        |c| load(&c.aggregates),
    ),
    number("alluvium_kpl_user_records", "counter", "records", "User records in them", |c| load(&c.user_records)),
    number(
        "alluvium_kpl_stray_user_records",
        "counter",
        "records",
        "User records whose hash key is not their shard's: delivered, though Amazon's client library would drop them",
        |c| load(&c.stray_user_records),
    ),
    number(
        "alluvium_kpl_broken_aggregates",
        "counter",
        "records",
        "Records that begin like an aggregate and are none: delivered as they are",
        |c| load(&c.broken_aggregates),
    ),
    number(
        "alluvium_kinesis_lost_spans",
        "counter",
        "spans",
        "Spans that retention took before they were read, gone on without by --accept-loss; how many records, nobody knows",
        |c| load(&c.lost_spans),
    ),
    number(
        "alluvium_kinesis_retention_used_percent",
        "gauge",
        "percent",
        "Lag of the shard furthest behind as a share of the retention period; of 24 hours until it comes near that",
        |c| c.retention_used_percent(),
    ),
    number(
        "alluvium_kinesis_unreachable",
        "counter",
        "requests",
        "Calls that failed on the way, after the SDK's own attempts",
        |c| load(&c.unreachable),
    ),
    number(
        "alluvium_kinesis_fanout_events",
        "counter",
        "events",
        "Events that subscriptions gave, those without records included",
        |c| load(&c.events),
    ),
    number("alluvium_kinesis_subscriptions", "counter", "requests", "SubscribeToShard calls that were taken", |c| {
        load(&c.subscriptions)
    }),
    number(
        "alluvium_kinesis_subscription_renewals",
        "counter",
        "requests",
        "Those of them that followed an earlier one of the same shard: one in five minutes is as it should be",
        |c| load(&c.renewals),
    ),
    number(
        "alluvium_kinesis_subscription_in_use",
        "counter",
        "waits",
        "Waits because someone else held a shard's subscription",
        |c| load(&c.in_use),
    ),
];

const BEHIND: MetricDoc = MetricDoc {
    name: "alluvium_kinesis_millis_behind_latest",
    kind: "gauge",
    unit: "milliseconds",
    labels: "shard",
    help: "How far the last read was from the shard's tip",
};

static INTAKE: &[Number<IntakeCounters>] = &[
    number("alluvium_put_record_requests", "counter", "requests", "PutRecord requests", |c| {
        c.put_record_requests.get()
    }),
    number("alluvium_put_record_batch_requests", "counter", "requests", "PutRecordBatch requests", |c| {
        c.put_record_batch_requests.get()
    }),
    number(
        "alluvium_describe_delivery_stream_requests",
        "counter",
        "requests",
        "DescribeDeliveryStream requests",
        |c| c.describe_requests.get(),
    ),
    number("alluvium_list_delivery_streams_requests", "counter", "requests", "ListDeliveryStreams requests", |c| {
        c.list_requests.get()
    }),
    number("alluvium_events_requests", "counter", "requests", "POST /v1/events requests", |c| c.events_requests.get()),
    number("alluvium_intake_records", "counter", "records", "Records answered as accepted, by any operation", |c| {
        c.records.get()
    }),
    number("alluvium_intake_bytes", "counter", "bytes", "Bytes of data of those records", |c| c.bytes.get()),
    number("alluvium_intake_connections", "gauge", "connections", "Connections open to the intake", |c| {
        c.connections.get()
    }),
    number(
        "alluvium_intake_connections_full",
        "counter",
        "connections",
        "Times a new connection had to wait because max_connections were open",
        |c| c.connections_full.get(),
    ),
    number(
        "alluvium_intake_certificate_expires",
        "gauge",
        "seconds",
        "When the intake's TLS certificate ends, seconds since the epoch; 0 without TLS",
        |c| c.certificate_ends.get(),
    ),
    number("alluvium_journal_bytes", "gauge", "bytes", "Bytes of the journal on disk", |c| c.journal_bytes.get()),
    number(
        "alluvium_journal_limit_bytes",
        "gauge",
        "bytes",
        "Most bytes it may have ([source.intake] journal_size)",
        |c| c.journal_max_bytes.get(),
    ),
    number(
        "alluvium_journal_held_records",
        "gauge",
        "records",
        "Records in the journal's segments: accepted, and not deleted yet",
        |c| c.journal_held_records.get(),
    ),
    number(
        "alluvium_journal_syncs",
        "counter",
        "syncs",
        "Times the journal was made durable; one answers many requests",
        |c| c.journal_syncs.get(),
    ),
    number("alluvium_journal_appends", "counter", "requests", "Requests written to the journal", |c| {
        c.journal_appends.get()
    }),
    number(
        "alluvium_journal_failures",
        "counter",
        "groups",
        "Groups of requests rolled back because a write or a sync failed",
        |c| c.journal_failures.get(),
    ),
];

const REFUSED: MetricDoc = MetricDoc {
    name: "alluvium_intake_refused",
    kind: "counter",
    unit: "requests",
    labels: "reason: invalid, too_large, unknown, journal, forward, busy, slow, denied, throttled",
    help: "Requests that were not accepted",
};

const ENDED: MetricDoc = MetricDoc {
    name: "alluvium_intake_connections_ended",
    kind: "counter",
    unit: "connections",
    labels: "reason: address, handshake, header, idle, write",
    help: "Connections that the intake ended: too many from one address, TLS handshake failed or late, request's head late, \
           nothing more came, answer not read",
};

/// What the Kinesis source counts.
pub fn kinesis_docs() -> Vec<MetricDoc> {
    KINESIS.iter().map(|n| n.doc).chain([BEHIND]).collect()
}

/// What the intake counts.
pub fn intake_docs() -> Vec<MetricDoc> {
    INTAKE.iter().map(|n| n.doc).chain([REFUSED, ENDED]).collect()
}

/// Makes the Kinesis source's counters part of what the registry exposes.
pub fn register_kinesis(registry: &mut Registry, counters: Arc<KinesisCounters>) {
    registry.register_collector(Box::new(Kinesis(counters)));
}

/// Makes the intake's counters part of what the registry exposes.
pub fn register_intake(registry: &mut Registry, counters: Arc<IntakeCounters>) {
    registry.register_collector(Box::new(Intake(counters)));
}

#[derive(Debug)]
struct Kinesis(Arc<KinesisCounters>);

impl Collector for Kinesis {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        numbers(KINESIS, &self.0, &mut encoder)?;
        let lags = self.0.behind_ms().into_iter().map(|(shard, behind)| (shard.to_string(), behind));
        family(&BEHIND, "shard", lags.collect(), &mut encoder)
    }
}

#[derive(Debug)]
struct Intake(Arc<IntakeCounters>);

impl Collector for Intake {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        numbers(INTAKE, &self.0, &mut encoder)?;
        let refused = Refusal::ALL.map(|r| (r.name().to_string(), self.0.refused(r)));
        family(&REFUSED, "reason", refused.to_vec(), &mut encoder)?;
        let ended = Cut::ALL.map(|c| (c.name().to_string(), self.0.ended(c)));
        family(&ENDED, "reason", ended.to_vec(), &mut encoder)
    }
}

fn numbers<C>(numbers: &[Number<C>], counters: &C, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    for Number { doc, read } in numbers {
        let metric = metric(doc, read(counters));
        metric.encode(encoder.encode_descriptor(doc.name, doc.help, None, metric.metric_type())?)?;
    }
    Ok(())
}

fn family(
    doc: &MetricDoc,
    label: &str,
    members: Vec<(String, u64)>,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let Some((_, first)) = members.first() else { return Ok(()) };
    let metric_type = metric(doc, *first).metric_type();
    let mut family = encoder.encode_descriptor(doc.name, doc.help, None, metric_type)?;
    for (value, number) in &members {
        let labels = [(label, value.as_str())];
        metric(doc, *number).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn metric(doc: &MetricDoc, number: u64) -> Box<dyn EncodeMetric> {
    match doc.kind {
        "counter" => Box::new(ConstCounter::new(number)),
        _ => Box::new(ConstGauge::new(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(register: impl Fn(&mut Registry)) -> String {
        let mut registry = Registry::default();
        register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a String takes everything");
        text
    }

    #[test]
    fn what_a_source_counts_is_exposed_under_its_documented_name() {
        let counters = Arc::new(KinesisCounters::default());
        counters.records.store(7, Ordering::Relaxed);
        let kinesis = text(|r| register_kinesis(r, counters.clone()));
        assert!(kinesis.contains("alluvium_data_read_from_kinesis_stream_records_total 7\n"), "{kinesis}");
        let intake = text(|r| register_intake(r, Arc::default()));
        assert!(intake.contains("alluvium_intake_refused_total{reason=\"journal\"} 0\n"), "{intake}");
        for doc in intake_docs() {
            assert!(intake.contains(&format!("# TYPE {} {}\n", doc.name, doc.kind)), "{}", doc.name);
        }
    }
}
