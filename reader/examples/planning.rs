//! Planning beside DataFusion's own listing table, over one table on disk: `planning FOLDER` makes the tables below the folder,
//! asks the same question of both and prints a line of JSON for each. `tests/bench/reader.py` runs it, and DuckDB beside it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray, new_null_array};
use arrow_schema::DataType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionContext, col, lit};
use parquet::arrow::ArrowWriter;
use reader::config::{Columns, LakeSettings, Limits};
use reader::engine::Engine;
use reader::engine::datafusion::LakeEngine;
use reader::lake::Lake;
use reader::plan::Layout;
use reader::predicate::{Predicate, Scalar};
use reader::question::Question;
use reader::time::day_text;
use schemas::bucket::bucket_str;
use schemas::hive::partition_path;
use schemas::table::TableSpec;
use serde_json::json;
use tokio::time::Instant;

const TABLE: &str = include_str!("../../schemas/tables/attribute_events.toml");

/// 2020-01-01, in days since the epoch.
const FIRST_DAY: i32 = 18_262;
const DAY_MS: i64 = 86_400_000;
/// Folders that exist at most, whatever the rules come to.
const EXISTING: usize = 20_000;
/// How often each question is asked; the median counts.
const ROUNDS: usize = 9;

/// A table: so many days, attributes and buckets by its rules.
#[derive(Clone, Copy)]
struct Shape {
    days: i32,
    attributes: u32,
    buckets: u32,
}

const SHAPES: [Shape; 3] = [
    Shape { days: 100, attributes: 10, buckets: 1 },
    Shape { days: 1_000, attributes: 10, buckets: 10 },
    Shape { days: 2_000, attributes: 20, buckets: 50 },
];

impl Shape {
    fn projected(self) -> usize {
        self.days as usize * self.attributes as usize * self.buckets as usize
    }

    fn layout(self) -> Result<Layout, Box<dyn Error>> {
        let names: Vec<String> = (0..self.attributes).map(|n| format!("\"a{n}\"")).collect();
        let (head, rest) = TABLE.split_once("values = [").ok_or("no enum")?;
        let (_, tail) = rest.split_once(']').ok_or("no end of the enum")?;
        let last = day_text(FIRST_DAY + self.days - 1);
        let text = format!("{head}values = [{}]{tail}", names.join(", "))
            .replace("range = \"0,9\"", &format!("range = \"0,{}\"", self.buckets - 1))
            .replace("2012-01-01,NOW+1DAYS", &format!("2020-01-01,{last}"));
        let spec = TableSpec::parse(&text, "table").map_err(|problems| format!("{problems:?}"))?;
        let keys = [
            ("created_date".to_string(), ".created_at | utc_date".to_string()),
            ("entity_id_mod".to_string(), format!(".entity_id | bucket({})", self.buckets)),
        ];
        Ok(Layout::new(spec, &keys))
    }

    /// Folders that exist: evenly over all, and always those of the question.
    fn write(self, layout: &Layout, root: &Path) -> Result<usize, Box<dyn Error>> {
        let step = self.projected().div_ceil(EXISTING);
        let (mut number, mut written) = (0, 0);
        for day in 0..self.days {
            let file = parquet(layout, day)?;
            for attribute in 0..self.attributes {
                for bucket in 0..self.buckets {
                    number += 1;
                    let asked = attribute == 1 && bucket == self.bucket();
                    if number % step == 0 || asked {
                        let values = [day_text(FIRST_DAY + day), format!("a{attribute}"), bucket.to_string()];
                        let folder =
                            root.join(partition_path(&["created_date", "attribute_name", "entity_id_mod"], &values));
                        std::fs::create_dir_all(&folder)?;
                        std::fs::write(folder.join("w-00000001-00000.parquet"), &file)?;
                        written += 1;
                    }
                }
            }
        }
        Ok(written)
    }

    fn bucket(self) -> u32 {
        bucket_str("e1", self.buckets)
    }

    /// The week that is asked for, in the middle.
    fn week(self) -> (i32, i32) {
        let first = FIRST_DAY + self.days / 2;
        (first, first + 6)
    }
}

/// One row of entity `e1` on a day.
fn parquet(layout: &Layout, day: i32) -> Result<Vec<u8>, Box<dyn Error>> {
    let schema = Arc::new(schemas::arrow::arrow_schema(&layout.spec));
    let at = i64::from(FIRST_DAY + day) * DAY_MS;
    let column = |name: &str, data_type: &DataType| -> ArrayRef {
        match name {
            "entity_id" => Arc::new(StringArray::from(vec!["e1"])),
            "value" => Arc::new(StringArray::from(vec![day.to_string()])),
            "event_id" => Arc::new(StringArray::from(vec![format!("id{day}")])),
            "created_at" => Arc::new(TimestampMillisecondArray::from(vec![at]).with_timezone("UTC")),
            _ => new_null_array(data_type, 1),
        }
    };
    let columns = schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect();
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None)?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// What one way of asking took, in the median.
struct Took {
    planning_ms: f64,
    total_ms: f64,
    rows: u64,
    lists: u64,
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_micros() as f64 / 1000.0
}

async fn ours(shape: Shape, root: &Path) -> Result<Took, Box<dyn Error>> {
    let layout = Arc::new(shape.layout()?);
    let (first, last) = shape.week();
    let filter = Predicate::And(vec![
        Predicate::text("entity_id", "e1"),
        Predicate::text("attribute_name", "a1"),
        Predicate::between(
            "created_at",
            Some(Scalar::Instant(i64::from(first) * DAY_MS)),
            Some(Scalar::Instant(i64::from(last) * DAY_MS + DAY_MS - 1)),
        ),
    ]);
    let question = Question::all(filter, i64::from(FIRST_DAY + shape.days) * DAY_MS);
    let (mut planning, mut total, mut rows, mut lists) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..ROUNDS {
        let engine = LakeEngine::new(layout.clone(), lake(root)?, columns(), Limits::default())?;
        let began = Instant::now();
        let found = engine.events(&question).await?;
        total.push(milliseconds(began));
        planning.push(found.statistics.planning_ms + found.statistics.listing_ms);
        (rows, lists) = (found.events.len() as u64, found.statistics.lists);
    }
    Ok(Took { planning_ms: median(planning), total_ms: median(total), rows, lists })
}

fn lake(root: &Path) -> Result<Lake, Box<dyn Error>> {
    let url = format!("file://{}/", root.display());
    let none = None::<String>;
    let settings = LakeSettings {
        url,
        state: none.clone(),
        archive: none.clone(),
        endpoint_url: none.clone(),
        region: none,
        allow_http: false,
    };
    Ok(Lake::open(&settings)?)
}

fn columns() -> Columns {
    Columns {
        entity: "entity_id".into(),
        attribute: "attribute_name".into(),
        at: "created_at".into(),
        value: "value".into(),
        operation: Some("op".into()),
        event: Some("event_id".into()),
        rule: None,
        evidence: None,
    }
}

/// The listing table of DataFusion, with its partition columns declared and a filter on each.
async fn listing_table(shape: Shape, root: &Path) -> Result<Took, Box<dyn Error>> {
    let layout = shape.layout()?;
    let (first, last) = shape.week();
    let (mut planning, mut total, mut rows) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS.min(3) {
        let context = SessionContext::new();
        let partitions =
            [("created_date", DataType::Utf8), ("attribute_name", DataType::Utf8), ("entity_id_mod", DataType::Int32)];
        let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
            .with_file_extension(".parquet")
            .with_table_partition_cols(partitions.map(|(name, of)| (name.to_string(), of)).to_vec());
        let url = ListingTableUrl::parse(format!("file://{}/", root.display()))?;
        let config = ListingTableConfig::new(url)
            .with_listing_options(options)
            .with_schema(Arc::new(schemas::arrow::arrow_schema(&layout.spec)));
        let table = Arc::new(ListingTable::try_new(config)?);
        let filter = col("created_date")
            .between(lit(day_text(first)), lit(day_text(last)))
            .and(col("attribute_name").eq(lit("a1")))
            .and(col("entity_id_mod").eq(lit(shape.bucket() as i32)))
            .and(col("entity_id").eq(lit("e1")));
        let began = Instant::now();
        let plan = context.read_table(table)?.filter(filter)?.create_physical_plan().await?;
        planning.push(milliseconds(began));
        let found = collect(plan, context.task_ctx()).await?;
        rows = found.iter().map(RecordBatch::num_rows).sum::<usize>() as u64;
        total.push(milliseconds(began));
    }
    Ok(Took { planning_ms: median(planning), total_ms: median(total), rows, lists: 0 })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("planning FOLDER")?);
    for shape in SHAPES {
        let root = std::path::absolute(folder.join(shape.projected().to_string()))?;
        let existing = shape.write(&shape.layout()?, &root)?;
        let (first, last) = shape.week();
        for (engine, took) in
            [("alluvium", ours(shape, &root).await?), ("listing-table", listing_table(shape, &root).await?)]
        {
            let lists = if took.lists > 0 { took.lists } else { (existing as u64).div_ceil(1000) };
            let line = json!({
                "engine": engine, "projected": shape.projected(), "existing": existing, "root": root,
                "planning_ms": took.planning_ms, "total_ms": took.total_ms, "rows": took.rows, "lists": lists,
                "first": day_text(first), "last": day_text(last), "bucket": shape.bucket(),
            });
            println!("{line}");
        }
    }
    Ok(())
}
