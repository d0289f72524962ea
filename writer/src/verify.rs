//! Whether two tables hold the same rows, by shard and position, in memory that does not grow with them.
//!
//! Each row has a number of 128 bits made of its partition and all its columns, and falls into one of [`BUCKETS`] by where it says that
//! it is from. A table comes to the sum of its rows' numbers in each bucket, in whatever order and files they stand. Where the sums
//! of two tables differ, the rows of some such buckets are looked at one by one.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_row::{RowConverter, SortField};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::WriterError;
use crate::objects::{Block, Listed, Objects};

/// Buckets of a table.
const BUCKETS: usize = 1 << 16;
/// Buckets whose rows are looked at one by one.
const LOOKED_AT: usize = 16;
/// Differences that are told.
pub const TOLD_MAX: usize = 20;

/// What a table comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    pub files: u64,
    pub rows: u64,
    buckets: Vec<(u64, u128)>,
}

/// A row by where it is from; one of [`TOLD_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub shard: String,
    pub position: String,
    /// Rows of this place in the first table and in the second one.
    pub rows: (usize, usize),
}

/// Reads a whole table.
pub async fn sums(table: &Objects) -> Result<Sums, WriterError> {
    let mut sums = Sums { files: 0, rows: 0, buckets: vec![(0, 0); BUCKETS] };
    for file in files(table).await? {
        let bytes = whole(table, &file).await?;
        sums.files += 1;
        each_row(table, &file, bytes, &mut |row| {
            sums.rows += 1;
            let (count, sum) = &mut sums.buckets[row.bucket()];
            *count += 1;
            *sum = sum.wrapping_add(row.number);
        })?;
    }
    Ok(sums)
}

/// Some rows that make two tables differ: none if nothing does.
pub async fn differences(a: (&Objects, &Sums), b: (&Objects, &Sums)) -> Result<Vec<Difference>, WriterError> {
    let differ = a.1.buckets.iter().zip(&b.1.buckets).enumerate().filter(|(_, (a, b))| a != b);
    let looked_at: Vec<usize> = differ.map(|(bucket, _)| bucket).take(LOOKED_AT).collect();
    if looked_at.is_empty() {
        return Ok(Vec::new());
    }
    let (first, second) = (rows_in(a.0, &looked_at).await?, rows_in(b.0, &looked_at).await?);
    let places = first.keys().chain(second.keys().filter(|place| !first.contains_key(*place)));
    let none = Vec::new();
    let differ = places.filter_map(|place| {
        let (a, b) = (first.get(place).unwrap_or(&none), second.get(place).unwrap_or(&none));
        let (shard, position) = place.clone();
        (a != b).then_some(Difference { shard, position, rows: (a.len(), b.len()) })
    });
    Ok(differ.take(TOLD_MAX).collect())
}

type Places = BTreeMap<(String, String), Vec<u128>>;

async fn rows_in(table: &Objects, buckets: &[usize]) -> Result<Places, WriterError> {
    let mut out = Places::new();
    for file in files(table).await? {
        let bytes = whole(table, &file).await?;
        each_row(table, &file, bytes, &mut |row| {
            if buckets.contains(&row.bucket()) {
                out.entry((row.shard.into(), row.position.into())).or_default().push(row.number);
            }
        })?;
    }
    out.values_mut().for_each(|numbers| numbers.sort_unstable());
    Ok(out)
}

async fn files(table: &Objects) -> Result<Vec<Listed>, WriterError> {
    let mut files = table.list().await?;
    files.retain(|file| file.path.ends_with(".parquet"));
    Ok(files)
}

/// One file is in memory at a time.
async fn whole(table: &Objects, file: &Listed) -> Result<Bytes, WriterError> {
    match table.block(&file.path, &file.etag, 0..file.size).await? {
        Block::Bytes(bytes) => Ok(bytes),
        Block::Changed | Block::Gone => Err(WriterError::environment(
            format!("reading {}", table.url_of(&file.path)),
            "it was replaced or removed meanwhile; try again when nothing does that",
        )),
    }
}

/// One row as it is compared.
struct Row<'a> {
    shard: &'a str,
    position: &'a str,
    number: u128,
}

impl Row<'_> {
    fn bucket(&self) -> usize {
        hash(&(self.shard, self.position)) as usize % BUCKETS
    }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn each_row(table: &Objects, file: &Listed, bytes: Bytes, each: &mut dyn FnMut(Row<'_>)) -> Result<(), WriterError> {
    let failed = |e: &dyn std::fmt::Display| WriterError::Corrupt(format!("{}: {e}", table.url_of(&file.path)));
    let partition = table.below_url(&file.path).rsplit_once('/').map_or("", |(partition, _)| partition);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.build());
    for batch in reader.map_err(|e| failed(&e))? {
        let batch = batch.map_err(|e| failed(&e))?;
        rows_of(&batch, partition, each).map_err(|e| failed(&e))?;
    }
    Ok(())
}

fn rows_of(
    batch: &RecordBatch,
    partition: &str,
    each: &mut dyn FnMut(Row<'_>),
) -> Result<(), arrow_schema::ArrowError> {
    let fields = batch.schema_ref().fields().iter();
    let names: Vec<&str> = batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    let converter = RowConverter::new(fields.map(|field| SortField::new(field.data_type().clone())).collect())?;
    let rows = converter.convert_columns(batch.columns())?;
    let column = |name| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let (shards, positions) = (column("_shard"), column("_position"));
    for index in 0..batch.num_rows() {
        let text = |column: Option<&'_ arrow_array::StringArray>| -> String {
            column.filter(|c| c.is_valid(index)).map_or(String::new(), |c| c.value(index).to_string())
        };
        let data = rows.row(index);
        let bytes: &[u8] = data.as_ref();
        let (low, high) = (hash(&(0, partition, &names, bytes)), hash(&(1, partition, &names, bytes)));
        let number = u128::from(low) | u128::from(high) << 64;
        let (shard, position) = (text(shards), text(positions));
        each(Row { shard: &shard, position: &position, number });
    }
    Ok(())
}
