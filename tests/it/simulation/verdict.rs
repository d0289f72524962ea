//! What is there in the end, and what should be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::archive::Line;
use tests::faulty_store::bucket::STATE;
use tests::kinesis_fake::Record;
use writer::store::Store;

use super::producer::row_id;
use super::world::{STREAM, World};

/// The end of a history.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Of all objects' names and bytes.
    pub(super) digest: u32,
    pub(super) happened: BTreeMap<String, u64>,
}

/// Judges, and writes down what a failed history has left where `ALLUVIUM_SIM_DUMP` names a folder.
pub(super) async fn judge(world: &World, happened: BTreeMap<String, u64>) -> Result<End, String> {
    let verdict = compare(world, happened).await;
    if let (Err(_), Ok(folder)) = (&verdict, std::env::var("ALLUVIUM_SIM_DUMP")) {
        dump(world, Path::new(&folder)).await;
    }
    verdict
}

/// All objects, and the records that were accepted, a line each: shard, sequence number, arrival, data.
async fn dump(world: &World, folder: &Path) {
    for (name, bytes) in objects(world).await {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder to write to");
        std::fs::write(path, bytes).expect("a folder to write to");
    }
    let mut lines = String::new();
    for (shard, records) in world.kinesis.accepted(STREAM) {
        for record in records {
            let data = String::from_utf8_lossy(&record.data);
            lines += &format!("{shard} {} {} {data}\n", record.sequence, record.arrived_at);
        }
    }
    std::fs::write(folder.join("accepted"), lines).expect("a folder to write to");
}

async fn compare(world: &World, happened: BTreeMap<String, u64>) -> Result<End, String> {
    let broken = world.bucket.broken();
    if !broken.is_empty() {
        return Err(broken.join("\n"));
    }
    let objects = objects(world).await;
    let (mut rows, mut rejects, mut archived, mut lying) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
    for (name, bytes) in objects.iter().filter(|(name, _)| !name.starts_with(STATE)) {
        if name.starts_with("table/") {
            rows.extend(ids(bytes.clone()));
        } else if name.starts_with("archive/") {
            archived.extend(records(bytes));
        } else {
            rejects.extend(places(bytes));
        }
        lying.insert(name.clone());
    }
    let named = named(world).await?;
    same("objects lying there, and those the logs name", lying, named)?;
    let (good, bad) = accepted(world);
    rows.sort_unstable();
    rejects.sort_unstable();
    same("rows in the table, and those accepted", rows, good)?;
    same("rejects, and records that can be nothing else", rejects, bad)?;
    let kept = if world.plan.archive.is_some() { all(world) } else { Vec::new() };
    same("records in the archive, and those accepted", archived, kept)?;
    let mut digest = crc32fast::Hasher::new();
    for (name, bytes) in &objects {
        digest.update(name.as_bytes());
        digest.update(bytes);
    }
    Ok(End { digest: digest.finalize(), happened })
}

/// Equal, or what only one side has.
fn same<T: Ord + std::fmt::Debug>(
    what: &str,
    found: impl IntoIterator<Item = T>,
    expected: impl IntoIterator<Item = T>,
) -> Result<(), String> {
    let mut balance: BTreeMap<T, i64> = BTreeMap::new();
    found.into_iter().for_each(|item| *balance.entry(item).or_default() += 1);
    expected.into_iter().for_each(|item| *balance.entry(item).or_default() -= 1);
    balance.retain(|_, times| *times != 0);
    if balance.is_empty() { Ok(()) } else { Err(format!("{what}: too often (+) or too rarely (-): {balance:?}")) }
}

/// Ids of all rows that must be there, and `"shard" "position"` of all rejects, sorted.
fn accepted(world: &World) -> (Vec<i64>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (shard, records) in world.kinesis.accepted(STREAM) {
        for record in records {
            match row_id(&String::from_utf8_lossy(&record.data)) {
                Some(id) => good.push(id),
                None => bad.push(format!("\"{STREAM}:{shard}\" \"{}\"", record.sequence)),
            }
        }
    }
    good.sort_unstable();
    bad.sort_unstable();
    (good, bad)
}

/// Every record as the stream has it: shard, sequence number, arrival, bytes.
fn all(world: &World) -> Vec<Archived> {
    let shards = world.kinesis.accepted(STREAM).into_iter();
    let of = |(shard, records): (String, Vec<Record>)| -> Vec<Archived> {
        let of = |r: Record| (format!("{STREAM}:{shard}"), r.sequence, r.arrived_at, r.data);
        records.into_iter().map(of).collect()
    };
    shards.flat_map(of).collect()
}

type Archived = (String, String, i64, Vec<u8>);

/// The records in a file of the archive.
fn records(bytes: &Bytes) -> Vec<Archived> {
    let text = zstd::decode_all(&bytes[..]).expect("zstd");
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let record = |line: &[u8]| {
        let line = Line::parse(line).expect("a line of the archive");
        let data = match (line.record, line.raw_data) {
            (Some(object), _) => object.get().as_bytes().to_vec(),
            (None, text) => STANDARD.decode(text.expect("one of the two")).expect("base64"),
        };
        (line.shard.to_string(), line.position.to_string(), line.arrived_at, data)
    };
    lines.map(record).collect()
}

async fn objects(world: &World) -> BTreeMap<String, Bytes> {
    let store = world.bucket.objects();
    let metas: Vec<ObjectMeta> = store.list(None).try_collect().await.expect("in memory");
    let mut out = BTreeMap::new();
    for meta in metas {
        let bytes = store.get(&meta.location).await.expect("listed").bytes().await.expect("in memory");
        out.insert(meta.location.to_string(), bytes);
    }
    out
}

async fn named(world: &World) -> Result<BTreeSet<String>, String> {
    let state = Store::new(Arc::new(world.bucket.objects().fork()), "state", "memory:///state/");
    let files = writer::inventory::files(&state).await.map_err(|e| e.to_string())?;
    let mut out = BTreeSet::new();
    for file in files {
        let home = file.target.output().as_str();
        out.extend(file.object.map(|object| format!("{home}/{}", object.path)));
        out.extend(file.rejects.map(|object| format!("errors/{}", object.path)));
    }
    Ok(out)
}

fn ids(bytes: Bytes) -> Vec<i64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet").build().expect("Parquet");
    reader.flat_map(|batch| batch.expect("reads").column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn places(bytes: &Bytes) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    text.lines().map(line).map(|line| format!("{} {}", line["shard"], line["position"])).collect()
}
