//! The pipeline in this process, over any lake and a listed source: for what a real process cannot be made to do on demand.

use std::sync::Arc;
use std::time::Duration;

use ingest::error::RunError;
use ingest::metrics::Metrics;
use ingest::pipeline::Pipeline;
use ingest::route::Router;
use ingest::source::Source;
use schemas::position::{Position, ShardId};
use schemas::rules::Rules;
use tokio_util::sync::CancellationToken;
use writer::settings::BufferSettings;
use writer::shared::{Clock, Shared};
use writer::store::Lake;
use writer::{Scope, Writer};

use crate::listed_source::ListedSource;

/// A table whose rows are told apart by their ids, in three partitions: what histories are played on.
pub const TABLE: &str = r#"
version = 1
name = "t"
database = "d"
location = "s3://b/t/"

[[column]]
name = "id"
type = "bigint"

[[partition]]
name = "k"
type = "string"
projection = { type = "enum", values = ["a", "b", "c"] }
"#;

/// One process's worth of work.
#[derive(Debug)]
pub struct Run {
    /// Never used before in this lake.
    pub writer: String,
    pub lake: Lake,
    pub rules: Rules,
    pub buffers: BufferSettings,
}

impl Run {
    /// Opens, takes over what is there, reads everything, stops gracefully.
    pub async fn to_the_end(self, source: &Arc<ListedSource>) -> Result<(), RunError> {
        let ends: Vec<_> = source.ends().map(|(shard, end)| (shard.clone(), end.clone())).collect();
        self.until(source.clone(), &ends).await
    }

    /// The same with any source, stopping when it was read through `ends`.
    pub async fn until(self, source: Arc<dyn Source>, ends: &[(ShardId, Position)]) -> Result<(), RunError> {
        let router = Router::compile(&self.rules, "rules")?;
        let (metrics, clock) = (Metrics::default(), Clock::new(|| 1_000));
        let shared = Arc::new(Shared::new(self.buffers.memory, clock, Arc::new(metrics.writer.clone())));
        let files = router.file_rules().clone();
        let scope = Scope::all();
        let opened =
            Writer::open(&self.writer, self.lake, self.buffers, files, &self.rules, shared.clone(), &scope).await?;
        let pipeline = Pipeline::open(opened, router, source, metrics.ingest.clone(), &[]).await?;
        let stop = CancellationToken::new();
        let mut running = tokio::spawn(pipeline.run(stop.clone()));
        loop {
            if ends.iter().all(|(shard, end)| shared.shards.read_through(shard).is_some_and(|at| at >= *end)) {
                stop.cancel();
            }
            if let Ok(ended) = tokio::time::timeout(Duration::from_millis(1), &mut running).await {
                return ended.expect("the pipeline does not panic");
            }
        }
    }
}
