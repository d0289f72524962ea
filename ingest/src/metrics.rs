//! The service's metrics: names, help, units and labels, declared once. The writer's are beside them in `/metrics`; what the
//! sources count themselves is read when it is asked for ([`sources`]).

mod firehose;
pub mod sources;

use std::fmt::Write as _;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use schemas::reject::Reason;
use writer::metrics::members;
pub use writer::metrics::{MetricDoc, ReasonLabel, WriterMetrics};

use crate::late::{self, Late};

/// The label `by`: how late at most.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LateLabel {
    pub by: &'static str,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 4.0, 10))
}

writer::declare_metrics! {
    /// Metrics of sources and pipeline. Cheap to clone: clones share their values.
    pub struct IngestMetrics {
        incoming_records: Counter = Counter::default(), "counter", "records", "",
            "Records taken into the pipeline";
        incoming_bytes: Counter = Counter::default(), "counter", "bytes", "",
            "Bytes of records taken into the pipeline";
        documents: Counter = Counter::default(), "counter", "documents", "",
            "Events in the records taken into the pipeline: JSON documents, and what was no document";
        rejects: Family<ReasonLabel, Counter> = members(Reason::ALL.map(|r| ReasonLabel { reason: r.as_str() })), "counter", "records", "reason: see below",
            "Records that went to the errors output before they reached a buffer, by why";
        late_records: Family<LateLabel, Counter> = members(late::LABELS.map(|by| LateLabel { by })), "counter", "records", "by: 1h, 1d, 7d, 30d, longer",
            "Rows that arrived after the period of their partition was over (its first column of dates), by how long after";
        jq_processing_duration_seconds: Histogram = seconds(), "histogram", "seconds", "",
            "Time to decode one batch, work out its keys and put its rows into their buffers";
        source_queue_batches: Gauge = Gauge::default(), "gauge", "batches", "",
            "Batches read and waiting for the pipeline";
        source_queue_limit_batches: Gauge = Gauge::default(), "gauge", "batches", "",
            "Most batches that may wait";
        shards_owned: Gauge = Gauge::default(), "gauge", "shards", "",
            "Shards this process reads";
        writer_restarts: Counter = Counter::default(), "counter", "restarts", "",
            "Times another process took shards of ours, so that this one went on with the others as a new writer";
    }
}

impl IngestMetrics {
    /// `count` more records rejected for `reason`.
    pub fn count_rejects(&self, reason: Reason, count: u64) {
        self.rejects.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc_by(count);
    }
}

impl IngestMetrics {
    /// More rows that came late.
    pub fn count_late(&self, late: &Late) {
        for (by, count) in late.by_label().filter(|(_, count)| *count > 0) {
            self.late_records.get_or_create(&LateLabel { by }).inc_by(count);
        }
    }
}

/// Everything the process exposes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub ingest: IngestMetrics,
    pub writer: WriterMetrics,
}

impl Metrics {
    /// A registry that exposes them.
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        self.ingest.register(&mut registry);
        self.writer.register(&mut registry);
        registry
    }
}

const INTRO: &str = "\
# Metrics

Generated from `ingest/src/metrics.rs` and `writer/src/metrics.rs`. `/metrics` of the admin endpoint (`[admin] listen`) gives them as
OpenMetrics text. Names are Amazon Data Firehose's in snake case where it has one.
";

fn sections() -> [(&'static str, Vec<MetricDoc>); 5] {
    [
        ("Pipeline", IngestMetrics::DOCS.to_vec()),
        ("Writer", WriterMetrics::DOCS.to_vec()),
        ("Kinesis source", sources::kinesis_docs()),
        ("Kinesis Client Library", sources::kcl_docs()),
        ("Intake", sources::intake_docs()),
    ]
}

/// `docs/metrics.md`.
pub fn markdown() -> String {
    let mut out = INTRO.to_string();
    for (title, docs) in sections() {
        line(
            &mut out,
            format_args!("\n## {title}\n\n| name | kind | unit | labels | |\n| --- | --- | --- | --- | --- |"),
        );
        for doc in &docs {
            let name = doc.exposed_name();
            line(&mut out, format_args!("| `{name}` | {} | {} | {} | {}. |", doc.kind, doc.unit, doc.labels, doc.help));
        }
    }
    let reasons: Vec<String> = Reason::ALL.iter().map(|r| format!("`{}`", r.as_str())).collect();
    line(&mut out, format_args!("\nReasons of rejects: {}.", reasons.join(", ")));
    out.push_str(&firehose::markdown());
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_metrics_share_a_name() {
        let all: Vec<&str> = sections().into_iter().flat_map(|(_, docs)| docs).map(|d| d.name).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn rejects_are_counted_by_reason() {
        let metrics = Metrics::default();
        metrics.ingest.count_rejects(Reason::KeyMissing, 3);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics.registry()).expect("a String takes everything");
        assert!(text.contains("alluvium_rejects_total{reason=\"key_missing\"} 3"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_generated_page_is_the_committed_one() {
        crate::golden::check("../docs/metrics.md", &markdown());
    }
}
