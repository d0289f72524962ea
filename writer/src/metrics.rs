//! The writer's metrics: names, help, units and labels, declared once; and the macro that declares them.
//!
//! Names follow Amazon Data Firehose's in snake case where it has one, so that dashboards carry over. Handles are plain atomics,
//! meant to be bumped per batch or per file. `docs/metrics.md` is generated from the same declarations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use schemas::log_entry::{FlushReason, Output};
use schemas::reject::Reason;

/// What a metric is, for the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricDoc {
    /// As exposed, but for a counter's `_total`.
    pub name: &'static str,
    pub kind: &'static str,
    pub unit: &'static str,
    /// Empty: none.
    pub labels: &'static str,
    pub help: &'static str,
}

impl MetricDoc {
    /// The name as it stands in `/metrics`.
    pub fn exposed_name(&self) -> String {
        let total = if self.kind == "counter" { "_total" } else { "" };
        format!("{}{total}", self.name)
    }
}

impl MetricDoc {
    /// What a query may name of it.
    pub fn series(&self) -> Vec<String> {
        let name = self.exposed_name();
        match self.kind {
            "histogram" => ["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")).into(),
            _ => vec![name],
        }
    }
}

/// A family whose members are there from the start, at 0: the first one of a kind is an increase, too.
pub fn members<L: Clone + Eq + std::hash::Hash>(labels: impl IntoIterator<Item = L>) -> Family<L, Counter> {
    let family = Family::default();
    for label in labels {
        drop(family.get_or_create(&label));
    }
    family
}

/// A gauge that takes fractions.
pub type FloatGauge = Gauge<f64, std::sync::atomic::AtomicU64>;

/// Declares a struct of metrics, its `register`, and the `DOCS` that the documentation is made of.
#[macro_export]
macro_rules! declare_metrics {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $field:ident: $type:ty = $init:expr, $kind:literal, $unit:literal, $labels:literal, $help:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $( #[doc = $help] pub $field: $type, )*
        }

        impl $name {
            /// What there is, in the order of declaration.
            pub const DOCS: &'static [$crate::metrics::MetricDoc] = &[
                $( $crate::metrics::MetricDoc {
                    name: concat!("alluvium_", stringify!($field)),
                    kind: $kind,
                    unit: $unit,
                    labels: $labels,
                    help: $help,
                }, )*
            ];

            /// Makes them part of what the registry exposes.
            pub fn register(&self, registry: &mut ::prometheus_client::registry::Registry) {
                $( registry.register(concat!("alluvium_", stringify!($field)), $help, self.$field.clone()); )*
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $( $field: $init, )* }
            }
        }
    };
}

/// The label `reason`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    pub reason: &'static str,
}

/// The label `output`: `table`, `errors` or `archive`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutputLabel {
    pub output: &'static str,
}

/// The label `field`: a member of the event that no column reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FieldLabel {
    pub field: String,
}

/// The labels `column` and `value`: of a partition column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LagLabel {
    pub column: String,
    pub value: String,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

fn bytes() -> Histogram {
    Histogram::new(exponential_buckets(1024.0, 4.0, 11))
}

declare_metrics! {
    /// Metrics of the writer. Cheap to clone: clones share their values.
    pub struct WriterMetrics {
        delivery_to_s3_records: Counter = Counter::default(), "counter", "rows", "",
            "Rows in stored files of the table";
        delivery_to_s3_bytes: Counter = Counter::default(), "counter", "bytes", "",
            "Bytes of stored files of the table";
        delivery_to_s3_object_count: Family<OutputLabel, Counter> = members(Output::ALL.map(|o| OutputLabel { output: o.as_str() })), "counter", "objects", "output: table, errors, archive",
            "Objects stored";
        delivery_to_s3_success: Counter = Counter::default(), "counter", "requests", "",
            "PUTs of data, errors and archive objects that succeeded; over attempts it is Firehose's DeliveryToS3.Success";
        delivery_to_s3_attempts: Counter = Counter::default(), "counter", "requests", "",
            "PUTs of data, errors and archive objects that were begun";
        delivery_to_s3_data_freshness_seconds: FloatGauge = FloatGauge::default(), "gauge", "seconds", "",
            "Age of the oldest record that was read and is not stored; 0 if there is none";
        partition_lag_seconds: Family<LagLabel, FloatGauge> = Family::default(), "gauge", "seconds", "column, value: of a partition column, but for dates; beyond 100 values of one `...`",
            "Age of the oldest row that is not stored, of all partitions with this value; looked at every 5 s";
        buffer_age_limit_seconds: FloatGauge = FloatGauge::default(), "gauge", "seconds", "",
            "Age at which every buffer is cut ([buffer] age, or [archive] age if that is longer)";
        delivery_to_s3_duration_seconds: Histogram = seconds(), "histogram", "seconds", "",
            "Time to store one object, retries included";
        delivery_to_s3_object_bytes: Histogram = bytes(), "histogram", "bytes", "",
            "Sizes of stored files of the table";
        partition_count: Gauge = Gauge::default(), "gauge", "partitions", "",
            "Open buffers: partitions with rows that are not cut";
        succeed_conversion_records: Counter = Counter::default(), "counter", "rows", "",
            "Rows encoded to Parquet";
        succeed_conversion_bytes: Counter = Counter::default(), "counter", "bytes", "",
            "Bytes of JSON of rows encoded to Parquet";
        failed_conversion_records: Family<ReasonLabel, Counter> = members([ReasonLabel { reason: Reason::Column.as_str() }]), "counter", "records", "reason: see rejects",
            "Rows that do not fit the table's columns; they go to the errors output";
        flushes: Family<ReasonLabel, Counter> = members(FlushReason::ALL.map(|r| ReasonLabel { reason: r.as_str() })), "counter", "files", "reason: size, rows, age, idle, memory, rules, release, shutdown",
            "Files cut, by why";
        buffer_memory_bytes: Gauge = Gauge::default(), "gauge", "bytes", "",
            "Memory of all buffers and of what is being encoded and stored";
        buffer_memory_limit_bytes: Gauge = Gauge::default(), "gauge", "bytes", "",
            "The cap on it ([buffer] memory)";
        cuts: Counter = Counter::default(), "counter", "cuts", "",
            "Cuts written down in the writer log";
        cuts_unstored: Gauge = Gauge::default(), "gauge", "cuts", "",
            "Cuts written down whose objects are not all stored";
        log_entries: Counter = Counter::default(), "counter", "entries", "",
            "Entries appended to the writer log";
        dropped_fields: DroppedFields = DroppedFields::default(), "counter", "values", "field: name; beyond 100 names `...`",
            "Top-level members that no column reads and that were dropped";
    }
}

impl WriterMetrics {
    /// One more file cut.
    pub fn count_flush(&self, reason: FlushReason) {
        self.flushes.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }
}

/// Most names that [`DroppedFields`] counts apart over the life of the process: names come from the input.
pub const DROPPED_NAMES_MAX: usize = 100;

/// Counters by name of member; beyond [`DROPPED_NAMES_MAX`] names under `...`.
#[derive(Debug, Clone, Default)]
pub struct DroppedFields {
    family: Family<FieldLabel, Counter>,
    names: Arc<AtomicUsize>,
}

impl DroppedFields {
    /// `count` more values of a dropped member.
    pub fn count(&self, field: &str, count: u64) {
        let label = FieldLabel { field: field.to_string() };
        if let Some(counter) = self.family.get(&label) {
            counter.inc_by(count);
            return;
        }
        // Two threads with one new name take two places: the bound holds, and that is what it is for.
        let room = self.names.fetch_add(1, Ordering::Relaxed) < DROPPED_NAMES_MAX;
        let label = if room { label } else { FieldLabel { field: "...".into() } };
        self.family.get_or_create(&label).inc_by(count);
    }
}

impl EncodeMetric for DroppedFields {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.family.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.family.metric_type()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn every_metric_is_exposed_under_its_documented_name() {
        let metrics = WriterMetrics::default();
        metrics.count_flush(FlushReason::Age);
        metrics.dropped_fields.count("colour", 2);
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).expect("a String takes everything");
        for reason in FlushReason::ALL {
            let labels = WriterMetrics::DOCS.iter().find(|d| d.name == "alluvium_flushes").map_or("", |d| d.labels);
            assert!(labels.contains(reason.as_str()), "{labels}");
        }
        // A family without members is not exposed.
        for doc in WriterMetrics::DOCS.iter().filter(|d| d.labels.is_empty()) {
            assert!(text.contains(&format!("# TYPE {} {}", doc.name, doc.kind)), "{}", doc.name);
        }
        assert!(text.contains("alluvium_flushes_total{reason=\"age\"} 1"), "{text}");
        assert!(text.contains("alluvium_dropped_fields_total{field=\"colour\"} 2"), "{text}");
    }

    #[test]
    fn names_of_dropped_fields_are_bounded() {
        let metrics = WriterMetrics::default();
        for n in 0..10 * DROPPED_NAMES_MAX {
            metrics.dropped_fields.count(&format!("field{n}"), 1);
        }
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).expect("a String takes everything");
        assert_eq!(text.matches("alluvium_dropped_fields_total{").count(), DROPPED_NAMES_MAX + 1);
        assert!(text.contains("{field=\"...\"} 900\n"), "{text}");
    }
}
