//! A crash at every single store operation: the pipeline and the writer over a store in memory that dies at the n-th write,
//! before or after applying it, then a second process that takes over, perhaps to die as well. Records hold several documents for
//! several partitions, so that cuts end within a record too. Whatever happened: each document is once in the table or once in the
//! errors output, each record once in the archive, and nothing lies there that the log does not name.

mod archive;
mod documents;
mod dying_store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ingest::error::RunError;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::layout;
use schemas::log_entry::{Body, Entry};
use schemas::position::Span;
use schemas::rules::{ParquetSettings, Rules};
use schemas::table::TableSpec;
use tests::block_on;
use tests::listed_source::ListedSource;
use tests::pipeline::{Run, TABLE};
use writer::settings::{ArchiveSettings, BufferSettings};
use writer::store::{Lake, Store};

use documents::{DOCUMENTS, is_bad};
use dying_store::{Death, DyingStore};

fn source() -> ListedSource {
    let shard = |n| documents::of_shard(n).into_iter().map(|record| record.data).collect();
    ListedSource::new(vec![shard(0), shard(1)])
}

fn good_ids() -> Vec<i64> {
    (0..2 * DOCUMENTS).filter(|id| !is_bad(*id)).map(|id| id as i64).collect()
}

/// `"shard" "position"` of every document that no row can come of, sorted.
fn bad_places(source: &ListedSource) -> Vec<String> {
    let records = (0..2).flat_map(documents::of_shard);
    let bad = source.records().zip(records).flat_map(|((shard, listed), record)| {
        let places = record.places(&listed.position).into_iter().filter(|(id, _)| is_bad(*id));
        places.map(move |(_, position)| format!("\"{shard}\" \"{position}\""))
    });
    let mut places: Vec<String> = bad.collect();
    places.sort_unstable();
    places
}

/// How one process of a history ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// When everything is read: by SIGTERM, so to speak.
    Graceful,
    /// At a write to the store.
    Dies(u64, Death),
}

fn rules(key: &str) -> Rules {
    let spec = TableSpec::parse(TABLE, "t.toml").expect("the spec is right");
    Rules::new(vec![("k".into(), key.into())], &spec, ParquetSettings::default())
}

fn settings() -> BufferSettings {
    let long = Duration::from_secs(3600);
    BufferSettings {
        size: 1 << 20,
        age: long,
        idle: long,
        rows: 4,
        memory: 64 << 20,
        archive: ArchiveSettings { size: 1 << 20, age: long },
    }
}

/// One process: opens, takes over, reads everything, ends.
async fn process(
    number: u64,
    disk: &Arc<InMemory>,
    source: &Arc<ListedSource>,
    key: &str,
    end: End,
) -> Result<(), RunError> {
    process_with(number, disk, source, key, end, settings()).await
}

async fn process_with(
    number: u64,
    disk: &Arc<InMemory>,
    source: &Arc<ListedSource>,
    key: &str,
    end: End,
    buffers: BufferSettings,
) -> Result<(), RunError> {
    let lake = lake(disk, end);
    Run { writer: format!("w{number}"), lake, rules: rules(key), buffers }.to_the_end(source).await
}

fn lake(disk: &Arc<InMemory>, end: End) -> Lake {
    let store = Arc::new(match end {
        End::Graceful => DyingStore::immortal(disk.clone()),
        End::Dies(at, death) => DyingStore::new(disk.clone(), at, death),
    });
    let place = |prefix: &str| Store::new(store.clone(), prefix, &format!("memory:///{prefix}/"));
    Lake { table: place("table"), errors: place("errors"), state: place("state"), archive: Some(place("archive")) }
}

/// What is in the outputs, and what should be.
async fn check(disk: &InMemory, source: &ListedSource, history: &str) {
    let Outputs { ids, rejected, archived } = outputs(disk, history).await;
    assert_eq!(ids, good_ids(), "{history}: rows");
    assert_eq!(rejected, bad_places(source), "{history}: rejects");
    assert_eq!(archived, archive::expected(source), "{history}: archive");
}

/// What lies in the lake, each sorted.
struct Outputs {
    /// Of all rows.
    ids: Vec<i64>,
    /// `"shard" "position"` of all rejects.
    rejected: Vec<String>,
    archived: Vec<archive::Kept>,
}

async fn outputs(disk: &InMemory, history: &str) -> Outputs {
    let state = Store::new(Arc::new(disk.fork()), "state", "memory:///state/");
    let named = named(&state).await;
    let (mut ids, mut lines, mut archived, mut lying) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
    for name in list(disk).await {
        let bytes = disk.get(&Path::from(name.as_str())).await.expect("listed").bytes().await.expect("in memory");
        if name.starts_with("table/") {
            ids.extend(read_ids(bytes));
        } else if name.starts_with("archive/") {
            archived.extend(archive::read(&bytes));
        } else {
            let text = String::from_utf8(bytes.to_vec()).expect("JSON");
            lines.extend(text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")));
        }
        lying.insert(name);
    }
    assert_eq!(lying, named, "{history}: objects that lie there, and those the log names");
    ids.sort_unstable();
    archived.sort();
    let mut rejected: Vec<String> =
        lines.iter().map(|line| format!("{} {}", line["shard"], line["position"])).collect();
    rejected.sort_unstable();
    Outputs { ids, rejected, archived }
}

async fn named(state: &Store) -> BTreeSet<String> {
    let files = writer::inventory::files(state).await.expect("the log reads");
    let mut out = BTreeSet::new();
    for file in files {
        let home = file.target.output().as_str();
        out.extend(file.object.map(|o| format!("{home}/{}", o.path)));
        out.extend(file.rejects.map(|o| format!("errors/{}", o.path)));
    }
    out
}

async fn list(disk: &InMemory) -> Vec<String> {
    use futures::TryStreamExt;
    use object_store::ObjectStore;
    let metas: Vec<_> = disk.list(None).try_collect().await.expect("in memory");
    metas.iter().map(|m| m.location.to_string()).filter(|n| !n.starts_with("state/")).collect()
}

fn read_ids(bytes: bytes::Bytes) -> Vec<i64> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet").build().expect("Parquet");
    reader.flat_map(|batch| batch.expect("reads").column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// Plays a history of processes; the last one always ends gracefully.
fn play(ends: &[End], keys: &[&str]) -> bool {
    let history = format!("{ends:?} {keys:?}");
    block_on(async {
        let disk = Arc::new(InMemory::new());
        let source = Arc::new(source());
        let mut died = false;
        for (number, end) in ends.iter().chain([&End::Graceful]).enumerate() {
            let key = keys[number.min(keys.len() - 1)];
            let outcome = process(number as u64, &disk, &source, key, *end).await;
            died |= outcome.is_err();
            assert!(outcome.is_ok() || matches!(end, End::Dies(..)), "{history}: {outcome:?}");
        }
        check(&disk, &source, &history).await;
        died
    })
}

/// Every n until the process no longer reaches its n-th write.
fn every_crash(death: Death, then: &[End], keys: &[&str]) {
    let mut crashes = 0;
    for at in 0..500 {
        let ends: Vec<End> = [End::Dies(at, death)].iter().chain(then).copied().collect();
        if !play(&ends, keys) {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 15, "only {crashes} crash points: the history is too short to mean something");
    assert!(crashes < 500, "the process never got through");
}

#[test]
fn a_graceful_end_leaves_nothing_to_do_again() {
    assert!(!play(&[End::Graceful, End::Graceful], &[".k"]));
}

/// What the crash tests are about.
#[test]
fn files_begin_and_end_within_records() {
    let disk = Arc::new(InMemory::new());
    let spans: Vec<Span> = block_on(async {
        process(0, &disk, &Arc::new(source()), ".k", End::Graceful).await.expect("nothing fails");
        let mut spans = Vec::new();
        for number in 0.. {
            let name = Path::from(format!("state/{}", layout::log_entry("w0", number)));
            let Ok(object) = disk.get(&name).await else { break };
            let bytes = object.bytes().await.expect("in memory");
            let entry: Entry = serde_json::from_slice(&bytes).expect("an entry");
            let Body::Cut(cut) = entry.body else { continue };
            spans.extend(cut.files.into_iter().flat_map(|file| file.spans.into_values()));
        }
        spans
    });
    let begin = spans.iter().filter(|span| span.from.document() > 0).count();
    let end = spans.iter().filter(|span| span.to.document() > 0).count();
    assert!(begin > 3 && end > 3 && spans.len() > 10, "{begin} and {end} of {}", spans.len());
}

#[test]
fn a_crash_before_any_write_loses_and_repeats_nothing() {
    every_crash(Death::Before, &[], &[".k"]);
}

#[test]
fn a_crash_after_any_write_loses_and_repeats_nothing() {
    every_crash(Death::After, &[], &[".k"]);
}

#[test]
fn a_lost_answer_is_no_conflict() {
    let mut reached = 0;
    for at in 0..60 {
        // The process lives on: it finds its own object there and knows it.
        reached += u32::from(!play(&[End::Dies(at, Death::AnswerLost)], &[".k"]));
    }
    assert!(reached > 15, "{reached}");
}

#[test]
fn a_second_crash_while_taking_over_loses_and_repeats_nothing() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
    for _ in 0..150 {
        let ends: Vec<End> = (0..3)
            .map(|_| {
                let death = if rand::Rng::random(&mut random) { Death::Before } else { Death::After };
                End::Dies(rand::Rng::random_range(&mut random, 0..40), death)
            })
            .collect();
        play(&ends, &[".k"]);
    }
}

#[test]
fn a_crash_and_other_rules_afterwards_loses_and_repeats_nothing() {
    // The same rows under other rules go elsewhere: marks mean something only under the rules that made them.
    let other = r#"{"a":"b","b":"c","c":"a"}[.k]"#;
    every_crash(Death::Before, &[], &[".k", other]);
    every_crash(Death::After, &[End::Dies(9, Death::Before)], &[".k", other, ".k"]);
}

/// A crash within a record, and then a limit that the record is above: what was begun is finished by the rules it was begun by.
#[test]
fn a_record_is_told_apart_by_one_set_of_rules() {
    let (mut whole, mut refused) = (0, 0);
    for at in 0..60 {
        let (disk, source) = (Arc::new(InMemory::new()), Arc::new(source()));
        let Outputs { ids, rejected, archived } = block_on(async {
            let end = End::Dies(at, Death::After);
            let died = process(0, &disk, &source, ".k", end).await;
            let mut lower = rules(".k");
            lower.decode.documents = 2;
            let (writer, buffers) = ("w1".to_string(), settings());
            let run = Run { writer, lake: lake(&disk, End::Graceful), rules: lower, buffers };
            run.to_the_end(&source).await.unwrap_or_else(|e| panic!("{at} {died:?}: {e}"));
            outputs(&disk, &format!("{at} {died:?}")).await
        });
        assert_eq!(archived, archive::expected(&source), "{at}");
        let records = (0..2).flat_map(documents::of_shard);
        for ((shard, listed), record) in source.records().zip(records) {
            let place = |position| format!("\"{shard}\" \"{position}\"");
            let is_refused = rejected.contains(&place(listed.position.clone())) && record.ids.clone().count() > 1;
            assert!(!is_refused || record.ids.clone().count() > 2, "{at}: {}", listed.position);
            (whole, refused) = (whole + u32::from(!is_refused), refused + u32::from(is_refused));
            for (id, position) in record.places(&listed.position) {
                let (rows, rejects) =
                    (ids.iter().filter(|i| **i == id as i64).count(), rejected.contains(&place(position)));
                let once = (usize::from(!is_bad(id)), is_bad(id));
                let want = if is_refused { (0, false) } else { once };
                assert_eq!((rows, rejects), want, "{at}: document {id} of record {}", listed.position);
            }
        }
    }
    assert!(whole > 100 && refused > 100, "{whole} {refused}");
}

/// A log with as many entries as wanted: one row is one cut.
fn long_history(rows: u64, ends: &[End]) {
    let one_row = BufferSettings { rows: 1, ..settings() };
    let records = (0..rows).map(|id| format!("{{\"id\":{id},\"k\":\"a\"}}").into_bytes()).collect();
    let (disk, source) = (Arc::new(InMemory::new()), Arc::new(ListedSource::new(vec![records])));
    block_on(async {
        for (number, end) in ends.iter().chain([&End::Graceful]).enumerate() {
            let outcome = process_with(number as u64, &disk, &source, ".k", *end, one_row.clone()).await;
            assert!(outcome.is_ok() || matches!(end, End::Dies(..)), "{rows} rows, {ends:?}: {outcome:?}");
        }
        let mut ids = Vec::new();
        for name in list(&disk).await.into_iter().filter(|name| name.starts_with("table/")) {
            let object = disk.get(&Path::from(name.as_str())).await.expect("listed");
            ids.extend(read_ids(object.bytes().await.expect("in memory")));
        }
        ids.sort_unstable();
        assert_eq!(ids, (0..rows as i64).collect::<Vec<_>>(), "{rows} rows, {ends:?}");
    });
}

#[test]
fn a_release_at_any_entry_of_the_log_can_be_taken_over() {
    // A checkpoint falls due every 64 entries: also when the entry is the release.
    (50..72).for_each(|rows| long_history(rows, &[End::Graceful]));
}

#[test]
fn a_log_with_checkpoints_is_taken_over_from_its_last_one() {
    for at in (100..420).step_by(23) {
        long_history(150, &[End::Dies(at, Death::After)]);
    }
}

/// Counts what [`check`] compares, so that an empty source cannot pass for a clean one.
#[test]
fn the_source_has_rows_and_rejects_of_every_kind() {
    let source = source();
    let kinds: BTreeMap<bool, usize> = BTreeMap::from([(true, good_ids().len()), (false, bad_places(&source).len())]);
    assert!(kinds[&true] > 50 && kinds[&false] > 8, "{kinds:?}");
}
