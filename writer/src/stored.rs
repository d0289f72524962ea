//! What lies in a lake, counted: rows of each partition by the footers of its files, lines of the errors output by its bytes. For a
//! check that believes neither the log nor the counters of whoever wrote it; the log says whose an object is, and no more.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use schemas::log_entry::{File, Target};

use crate::error::WriterError;
use crate::inventory;
use crate::store::{Lake, Store};

/// Requests at once.
const PARALLEL: usize = 32;
/// Errors files that are in memory at once.
const ERRORS_AT_ONCE: usize = 4;
/// The end of a file that is read first: nearly every footer fits.
const FOOTER: u64 = 64 << 10;

/// What lies there, of the objects that the log names and of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    pub files: u64,
    /// Rows in the files of each partition.
    pub rows: BTreeMap<String, u64>,
    /// Lines beside the files of each partition: rows that did not fit a column.
    pub unfit: BTreeMap<String, u64>,
    /// Lines in each folder of the errors output, without [`Stored::unfit`].
    pub rejects: BTreeMap<String, u64>,
    /// Objects that no log names, each with its place.
    pub foreign: Vec<String>,
}

/// Counts all that lies in the table and in the errors output.
pub async fn stored(lake: &Lake) -> Result<Stored, WriterError> {
    let named = Named::of(&inventory::files(&lake.state).await?);
    let mut stored = Stored::default();
    let files = listed(&lake.table).await?;
    let reads: Vec<_> = files.iter().map(|name| rows(&lake.table, name)).collect();
    let counts: Vec<u64> = stream::iter(reads).buffered(PARALLEL).try_collect().await?;
    for (name, rows) in files.iter().zip(counts) {
        stored.files += 1;
        *stored.rows.entry(partition(name).into()).or_default() += rows;
    }
    let errors = listed(&lake.errors).await?;
    let reads: Vec<_> = errors.iter().map(|name| lines(&lake.errors, name)).collect();
    let counts: Vec<u64> = stream::iter(reads).buffered(ERRORS_AT_ONCE).try_collect().await?;
    for (name, lines) in errors.iter().zip(counts) {
        let (counted, key) = match named.beside.get(name) {
            Some(partition) => (&mut stored.unfit, partition.as_str()),
            None => (&mut stored.rejects, partition(name)),
        };
        *counted.entry(key.into()).or_default() += lines;
    }
    stored.foreign = named.foreign(lake, &files, &errors);
    Ok(stored)
}

/// Objects of the table and the errors output that the log does not name.
pub async fn foreign(lake: &Lake) -> Result<Vec<String>, WriterError> {
    let named = Named::of(&inventory::files(&lake.state).await?);
    let (files, errors) = (listed(&lake.table).await?, listed(&lake.errors).await?);
    Ok(named.foreign(lake, &files, &errors))
}

/// Everything in a place that engines see: local files are staged in hidden folders.
pub async fn listed(store: &Store) -> Result<Vec<String>, WriterError> {
    let mut names = store.list("", None).await?;
    names.retain(|name| !name.split('/').any(|segment| segment.starts_with('.')));
    Ok(names)
}

/// What the log says is there.
#[derive(Debug, Default)]
struct Named {
    table: BTreeSet<String>,
    errors: BTreeSet<String>,
    /// Errors files by the partition whose rows they hold.
    beside: BTreeMap<String, String>,
}

impl Named {
    fn of(files: &[File]) -> Named {
        let mut named = Named::default();
        for file in files {
            let object = file.object.iter().map(|object| object.path.clone());
            match &file.target {
                Target::Table(_) => named.table.extend(object),
                _ => named.errors.extend(object),
            }
            if let Some(rejects) = &file.rejects {
                named.beside.insert(rejects.path.clone(), file.target.path().to_string());
            }
        }
        named
    }

    fn foreign(&self, lake: &Lake, files: &[String], errors: &[String]) -> Vec<String> {
        let place = |store: &Store, name: &String| format!("{}{name}", store.url());
        let strange = files.iter().filter(|name| !self.table.contains(*name)).map(|name| place(&lake.table, name));
        let in_errors = |name: &&String| !self.errors.contains(*name) && !self.beside.contains_key(*name);
        strange.chain(errors.iter().filter(in_errors).map(|name| place(&lake.errors, name))).collect()
    }
}

/// The folder of an object.
fn partition(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Rows of a file, as its footer says.
async fn rows(table: &Store, name: &str) -> Result<u64, WriterError> {
    let wrong =
        |e: &dyn std::fmt::Display| WriterError::Corrupt(format!("{}{name}: is no Parquet file: {e}", table.url()));
    let mut wanted = FOOTER;
    loop {
        let (tail, size) = table.tail(name, wanted).await?;
        let mut reader = ParquetMetaDataReader::new();
        match reader.try_parse_sized(&tail, size) {
            Ok(()) => {
                let metadata = reader.finish().map_err(|e| wrong(&e))?;
                return u64::try_from(metadata.file_metadata().num_rows()).map_err(|e| wrong(&e));
            }
            Err(ParquetError::NeedMoreData(more)) if wanted < size => wanted = (more as u64).max(2 * wanted),
            Err(e) => return Err(wrong(&e)),
        }
    }
}

async fn lines(errors: &Store, name: &str) -> Result<u64, WriterError> {
    let bytes = errors.get(name).await?.unwrap_or_default();
    Ok(memchr::memchr_iter(b'\n', &bytes).count() as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use object_store::memory::InMemory;
    use schemas::layout;
    use schemas::log_entry::{Body, Cut, Entry, FORMAT, FlushReason, Object};

    use super::*;

    fn lake() -> Lake {
        let place = |name: &str| Store::new(Arc::new(InMemory::new()), "", &format!("memory:///{name}/"));
        Lake { table: place("table"), errors: place("errors"), state: place("state"), archive: None }
    }

    /// A file of so many rows whose footer is longer than what is read at first.
    fn parquet(rows: i64, columns: usize) -> Bytes {
        let fields: Vec<_> = (0..columns)
            .map(|n| arrow_schema::Field::new(format!("column_{n}"), arrow_schema::DataType::Int64, true))
            .collect();
        let schema = Arc::new(arrow_schema::Schema::new(fields));
        let column: arrow_array::ArrayRef = Arc::new(arrow_array::Int64Array::from_iter_values(0..rows));
        let batch =
            arrow_array::RecordBatch::try_new(schema.clone(), vec![column; columns]).expect("columns of one length");
        let mut out = Vec::new();
        let mut writer = parquet::arrow::ArrowWriter::try_new(&mut out, schema, None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
        out.into()
    }

    async fn cut(lake: &Lake, number: u64, files: Vec<File>) {
        let body = Body::Cut(Cut { by: "w".into(), cut: number, rules: "r".into(), files });
        let entry =
            Entry { format: FORMAT, writer: "w".into(), number, at: 0, stored: 0, progress: BTreeMap::new(), body };
        let bytes = serde_json::to_vec(&entry).expect("an entry");
        lake.state.put(&layout::log_entry("w", number), bytes.into()).await.expect("in memory");
    }

    fn file(target: Target, object: Option<&str>, rejects: Option<&str>) -> File {
        // The log's own figures are wrong on purpose: they are not asked.
        let object_at = |path: &str| Object { path: path.into(), rows: 99, bytes: 99, crc32: 0 };
        let (object, rejects) = (object.map(object_at), rejects.map(object_at));
        File { target, object, rejects, reason: FlushReason::Age, data_bytes: 1, spans: BTreeMap::new() }
    }

    #[tokio::test]
    async fn what_lies_there_is_counted_by_its_own_bytes() {
        let lake = lake();
        let odd = "day=1/name=a%2Fb";
        cut(
            &lake,
            1,
            vec![
                file(
                    Target::Table(odd.into()),
                    Some("day=1/name=a%2Fb/1.parquet"),
                    Some("format-conversion-failed/1.ndjson"),
                ),
                file(
                    Target::Errors("metadata-extraction-failed".into()),
                    Some("metadata-extraction-failed/2.ndjson"),
                    None,
                ),
            ],
        )
        .await;
        lake.table.put("day=1/name=a%2Fb/1.parquet", parquet(7, 1_000)).await.expect("in memory");
        lake.table.put("day=1/name=a%2Fb/stranger.parquet", parquet(2, 1)).await.expect("in memory");
        lake.table.put(".staging/half", Bytes::from_static(b"PAR1")).await.expect("in memory");
        lake.errors.put("format-conversion-failed/1.ndjson", Bytes::from_static(b"{}\n{}\n")).await.expect("in memory");
        lake.errors.put("metadata-extraction-failed/2.ndjson", Bytes::from_static(b"{}\n")).await.expect("in memory");
        let found = stored(&lake).await.expect("it counts");
        assert_eq!((found.files, &found.rows), (2, &[(odd.to_string(), 9)].into()));
        assert_eq!(found.unfit, [(odd.to_string(), 2)].into());
        assert_eq!(found.rejects, [("metadata-extraction-failed".to_string(), 1)].into());
        assert_eq!(found.foreign, ["memory:///table/day=1/name=a%2Fb/stranger.parquet"]);
        assert_eq!(foreign(&lake).await.expect("it lists"), found.foreign);
    }
}
