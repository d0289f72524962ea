//! Files are byte for byte those that the parquet crate would write without [`super::super::pages`].

use ::parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use schemas::table::TableSpec;

use super::super::rows::{Decoder, Found, find_members};
use super::super::{Encoder, Row, events::Events};
use super::*;

const SPEC: &str = r#"
version = 1
name = "t"
database = "d"
location = "s3://b/t/"
bloom = ["id"]
[[column]]
name = "id"
type = "string"
[[column]]
name = "kind"
type = "string"
[[column]]
name = "n"
type = "bigint"
[[column]]
name = "tags"
type = "array<struct<name:string,score:double>>"
[[column]]
name = "none"
type = "int"
[[partition]]
name = "p"
type = "string"
"#;

fn events(count: usize) -> Vec<String> {
    let tag = |n: usize| format!(r#"{{"name":"tag {}","score":{n}.25}}"#, n * 7919 % 5000);
    let line = |n: usize| {
        let tags: Vec<String> = (0..n % 4).map(|m| tag(n + m)).collect();
        let id = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!(r#"{{"id":"{id:016x} of some length","kind":"kind {}","n":{n},"tags":[{}]}}"#, n % 7, tags.join(","))
    };
    (0..count).map(line).collect()
}

/// The same batches and properties, through the crate's own writer.
fn by_the_crate(encoder: &Encoder, rows: &[Row<'_>], metadata: &[(String, String)]) -> Bytes {
    let mut events = Events::default();
    let mut decoder = Decoder::new(&encoder.plans.file, rows.len());
    let mut writer: Option<ArrowWriter<Vec<u8>>> = None;
    for (number, row) in rows.iter().enumerate() {
        events.fill(std::iter::once(*row));
        let mut found = Found::default();
        let event = find_members(&encoder.plans.file, *row, events.get(0), &mut found).expect("an event");
        decoder.push(*row, event, &found).expect("fits");
        if !decoder.is_full() && number + 1 < rows.len() {
            continue;
        }
        let mut leaves = decoder.survey();
        if number + 1 < rows.len() {
            leaves.iter_mut().for_each(|leaf| leaf.bytes = None);
        }
        let batch = decoder.take().expect("a batch");
        let writer = writer.get_or_insert_with(|| reference(&encoder.layout, rows, &leaves, metadata));
        writer.write(&batch).expect("written");
    }
    writer.expect("there are rows").into_inner().expect("a file").into()
}

fn reference(
    layout: &Layout,
    rows: &[Row<'_>],
    leaves: &[Leaf],
    metadata: &[(String, String)],
) -> ArrowWriter<Vec<u8>> {
    let size = Size { rows: rows.len(), text_bytes: rows.iter().map(|row| row.data.len()).sum() };
    let codecs: Vec<Codec> = leaves.iter().map(|leaf| layout.codec_of(leaf)).collect();
    let mut properties =
        layout.properties(size, leaves, &codecs, metadata).into_builder().set_compression(layout.codec);
    for (column, codec) in layout.parquet.columns().iter().zip(&codecs) {
        properties = properties.set_column_compression(column.path().clone(), *codec);
    }
    let options = ArrowWriterOptions::new()
        .with_properties(properties.build())
        .with_parquet_schema(layout.parquet.clone())
        .with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), layout.arrow.clone(), options).expect("a writer")
}

#[test]
fn bytes_are_those_of_the_crates_own_writer() {
    let spec = TableSpec::parse(SPEC, "t.toml").expect("a good spec");
    let metadata = [("alluvium.cut".to_string(), "w-1".to_string())];
    // Several batches, row groups and pages; one page; and columns of so few bytes that they are not compressed.
    for (count, row_group_rows, page_bytes) in
        [(9000, 2500, 4096), (9000, 1 << 20, 1 << 20), (500, 1 << 20, 1 << 20), (3, 2, 64)]
    {
        let lines = events(count);
        let rows: Vec<Row<'_>> = lines
            .iter()
            .map(|line| Row {
                shard: "s",
                sequence: "1",
                sub: 0,
                document: 0,
                arrived_at: 0,
                data: line.as_bytes(),
                outline: &[],
            })
            .collect();
        for compression in
            [Compression::Zstd(1), Compression::Zstd(7), Compression::Snappy, Compression::Gzip(6), Compression::None]
        {
            let settings = ParquetSettings { compression, row_group_rows, page_bytes, ..ParquetSettings::default() };
            let encoder = Encoder::new(&spec, &settings).expect("encodes");
            let expected = by_the_crate(&encoder, &rows, &metadata);
            for context in ["fresh", "used"] {
                let encoded = encoder.encode(&rows, &metadata).expect("encodes");
                assert!(encoded.bytes == expected, "{compression:?}, {count} rows, {context} context");
            }
        }
    }
}
