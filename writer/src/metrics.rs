//! The writer's metrics: names, help, units and labels, declared once.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::commit::cut::Made;

/// STAND-IN until the catalogue is merged.
#[derive(Debug, Default)]
pub struct WriterMetrics {
    pub cuts_unstored: Gauge,
    pub log_entries: Counter,
    pub partition_count: Gauge,
    pub buffer_memory: Gauge,
    pub freshness_ms: Gauge,
}

impl WriterMetrics {
    pub fn cut(&self, _files: &[Made]) {}
    pub fn stored(&self, _bytes: u64) {}
}
