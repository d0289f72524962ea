//! `alluvium bench`: a local file through the whole path, for `tests/bench`. The configured source is not opened.

use std::sync::Arc;

use super::{BenchArgs, CliError};
use crate::assemble::{self, Ownership, Share};
use crate::metrics::Metrics;
use crate::source::file::FileSource;
use crate::source::split::Task;

/// Feeds the file through decode, keys, guard, buffers, encode, log and store, then ends.
pub async fn run(args: BenchArgs) -> Result<(), CliError> {
    let config = super::load(&args.config)?;
    let (metrics, clock) = (Metrics::default(), assemble::wall_clock());
    let source = Arc::new(FileSource::new(&args.file, clock.now()));
    let stop = tokio_util::sync::CancellationToken::new();
    super::run::stop_on_signals(stop.clone())?;
    let ownership = Ownership::at_start(Share::Task(Task::WHOLE));
    let (pipeline, _) = assemble::pipeline(&config, source, &metrics, &clock, &[], &ownership).await?;
    pipeline.run(stop).await?;
    let (records, bytes) = (metrics.ingest.incoming_records.get(), metrics.ingest.incoming_bytes.get());
    let objects = metrics.writer.delivery_to_s3_success.get();
    super::print(&format!("{{\"records\":{records},\"bytes\":{bytes},\"objects\":{objects}}}\n"))
}
