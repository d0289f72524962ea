//! Where everything lies below the lake's URLs: one function per kind of object.
//!
//! `<url>` holds data files and nothing else: whoever lists a partition sees only rows that count. `<errors>` holds rejects,
//! `<archive>` the raw records, `<state>` the writer log.

use crate::position::ShardId;

/// Name of a data file: a function of the cut alone, so that storing it again overwrites the same rows.
pub fn data_object(partition: &str, writer: &str, cut: u64, file: usize) -> String {
    format!("{partition}/{writer}-{cut:08}-{file:05}.parquet")
}

/// Name of a file in the errors output, below the folder of its kind.
pub fn errors_object(folder: &str, writer: &str, cut: u64, file: usize) -> String {
    format!("{folder}/{writer}-{cut:08}-{file:05}.ndjson")
}

/// Name of a file in the archive, below the folder of its day.
pub fn archive_object(folder: &str, writer: &str, cut: u64, file: usize) -> String {
    format!("{folder}/{writer}-{cut:08}-{file:05}.ndjson.zst")
}

/// The writer's log, one object per entry.
pub fn log_entry(writer: &str, number: u64) -> String {
    format!("{}/{number:012}.json", log_folder(writer))
}

/// All writers' logs.
pub const WRITERS: &str = "writers";

/// The folder of one writer's log.
pub fn log_folder(writer: &str) -> String {
    format!("{WRITERS}/{writer}")
}

/// Name of the hint beside a log's entries.
pub const CHECKPOINT_HINT: &str = "checkpoint.json";

/// A hint (never more) at the number of the last checkpoint entry of a log.
pub fn checkpoint_hint(writer: &str) -> String {
    format!("{}/{CHECKPOINT_HINT}", log_folder(writer))
}

/// The ownership chain of a shard, one object per epoch.
pub fn epoch(shard: &ShardId, epoch: u64) -> String {
    format!("{}/{epoch:012}.json", epochs(shard))
}

/// The folder of a shard's ownership chain.
pub fn epochs(shard: &ShardId) -> String {
    format!("{SHARDS}/{shard}")
}

/// All shards this table has ever had.
pub const SHARDS: &str = "shards";

/// The rules with this fingerprint.
pub fn rules(fingerprint: &str) -> String {
    format!("configs/{fingerprint}.json")
}

/// One page of what replays read.
pub fn replay_page(number: u64) -> String {
    format!("replay/{number:06}.ndjson.zst")
}

/// What a table written anew is made of, beside its log.
pub const REBUILD: &str = "rebuild.json";

/// Counts of the source of a table written anew: of the objects whose numbers follow `after`.
pub fn recounted(after: u64) -> String {
    format!("rebuild/{after:012}.json.zst")
}

/// What the start-up probe writes, and removes.
pub fn probe(writer: &str) -> String {
    format!("probe/{writer}.json")
}
