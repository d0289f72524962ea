//! The pipeline in this process: many partitions, partitions named by hostile values, a source that fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ingest::record::Batch;
use ingest::source::{Claims, Source, SourceError};
use object_store::memory::InMemory;
use schemas::log_entry::Start;
use schemas::position::{Position, ShardId, Span};
use schemas::rules::{ParquetSettings, Rules};
use schemas::table::TableSpec;
use tests::block_on;
use tests::listed_source::ListedSource;
use tests::pipeline::Run;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use writer::settings::{BufferSettings, LakeSettings};
use writer::store::{Lake, Store};

const SPEC: &str = r#"
version = 1
name = "t"
database = "d"
location = "s3://b/t/"
required_predicates = ["k"]

[[column]]
name = "id"
type = "bigint"

[[partition]]
name = "k"
type = "string"
projection = { type = "injected" }
"#;

fn rules() -> Rules {
    let spec = TableSpec::parse(SPEC, "t.toml").expect("the spec is right");
    Rules::new(vec![("k".into(), ".k".into())], &spec, ParquetSettings::default())
}

fn buffers(memory: u64) -> BufferSettings {
    let long = Duration::from_secs(3600);
    BufferSettings { size: 1 << 30, age: long, idle: long, rows: 1 << 30, memory, ..BufferSettings::default() }
}

fn events(keys: impl Iterator<Item = String>) -> Vec<Vec<u8>> {
    keys.enumerate().map(|(id, k)| serde_json::json!({ "id": id, "k": k }).to_string().into_bytes()).collect()
}

/// Files of the table that the log names.
async fn run(lake: Lake, source: ListedSource, memory: u64) -> Vec<schemas::log_entry::File> {
    let state = lake.state.clone();
    let run = Run { writer: "w".into(), lake, rules: rules(), buffers: buffers(memory) };
    run.to_the_end(&Arc::new(source)).await.expect("runs");
    writer::inventory::files(&state).await.expect("the log reads")
}

fn in_memory() -> Lake {
    let place = |prefix: &str| Store::new(Arc::new(InMemory::new()), prefix, "memory:///");
    Lake { table: place("table"), errors: place("errors"), state: place("state"), archive: None }
}

#[test]
fn ten_thousand_partitions_with_one_row_each_become_ten_thousand_files() {
    let source = ListedSource::new(vec![events((0..10_000).map(|n| format!("key {n}")))]);
    let lake = in_memory();
    let table = lake.table.clone();
    let files = block_on(run(lake, source, 256 << 20));
    assert_eq!(files.len(), 10_000);
    assert!(files.iter().all(|f| f.object.as_ref().is_some_and(|o| o.rows == 1)));
    assert_eq!(block_on(table.list("k=key 7", None)).expect("lists").len(), 1);
}

#[test]
fn a_small_cap_on_memory_cuts_early_and_refuses_nothing() {
    let source = ListedSource::new(vec![events((0..10_000).map(|n| format!("key {}", n % 3_000)))]);
    let files = block_on(run(in_memory(), source, 2 << 20));
    let rows: u64 = files.iter().filter_map(|f| f.object.as_ref()).map(|o| o.rows).sum();
    assert_eq!(rows, 10_000);
    assert!(files.iter().any(|f| f.reason == schemas::log_entry::FlushReason::Memory), "the cap was never reached");
}

/// Sends what it has and then fails; its senders are gone before it says so.
#[derive(Debug)]
struct Failing(ListedSource);

#[async_trait::async_trait]
impl Source for Failing {
    async fn run(&self, claims: Claims, out: mpsc::Sender<Batch>, _stop: CancellationToken) -> Result<(), SourceError> {
        let stop = CancellationToken::new();
        stop.cancel();
        self.0.run(claims, out, stop).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(SourceError::Environment { doing: "reading".into(), message: "the network is gone".into() })
    }

    async fn reread(
        &self,
        id: &ShardId,
        at: &Start,
        span: &Span,
        seen_at: Option<i64>,
        out: mpsc::Sender<Batch>,
    ) -> Result<(), SourceError> {
        self.0.reread(id, at, span, seen_at, out).await
    }

    async fn release(&self, shard: &ShardId, watermark: &Position) -> Result<(), SourceError> {
        self.0.release(shard, watermark).await
    }
}

#[test]
fn a_source_that_fails_is_an_error_and_what_it_gave_is_stored() {
    let lake = in_memory();
    let state = lake.state.clone();
    let source = Failing(ListedSource::new(vec![events((0..10).map(|n| format!("key {n}")))]));
    let run = Run { writer: "w".into(), lake, rules: rules(), buffers: buffers(64 << 20) };
    let never = [(ShardId::new("s:0"), Position::from_numbers(u64::MAX, 0))];
    let ended = block_on(run.until(Arc::new(source), &never)).expect_err("the source has failed");
    assert!(ended.to_string().contains("the network is gone"), "{ended}");
    assert_eq!(block_on(writer::inventory::files(&state)).expect("reads").len(), 10);
}

#[test]
fn hostile_values_never_leave_the_tables_folder() {
    let root = tempfile::tempdir().expect("a folder");
    let place = |name: &str| format!("file://{}/", root.path().join(name).display());
    let settings = LakeSettings {
        url: place("table"),
        errors: place("errors"),
        state: place("state"),
        archive: None,
        endpoint_url: None,
        region: None,
        allow_http: false,
    };
    let long = "x".repeat(1024);
    let hostile =
        ["/", "..", "../../up", "a/../b", "%2F", "..%2F", "=", "a=b", "\0", "\n", "\u{1F600}", ".", "~", "\\", " "];
    let rejected = ["", &long];
    let all = hostile.iter().chain(&rejected).map(|v| v.to_string());
    let lake = Lake::open(&settings).expect("opens");
    let files = block_on(run(lake, ListedSource::new(vec![events(all)]), 64 << 20));
    let table: BTreeSet<PathBuf> = walk(&root.path().join("table"));
    assert_eq!(table.len(), hostile.len(), "{table:?}");
    assert!(table.iter().all(|path| path.components().count() == 2), "one folder, one file: {table:?}");
    let rejects: u64 =
        files.iter().filter(|f| !f.target.is_table()).filter_map(|f| f.object.as_ref()).map(|o| o.rows).sum();
    assert_eq!(rejects, rejected.len() as u64);
    let beside: BTreeSet<_> =
        std::fs::read_dir(root.path()).expect("lists").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(beside.len(), 3, "nothing beside table, errors and state: {beside:?}");
}

/// Files below `folder`, relative to it.
fn walk(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("lists") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).expect("below").to_path_buf());
            }
        }
    }
    found
}
