//! Chunks are those that the parquet crate's own writer makes of the same rows, byte for byte, and the footer says the same of them.

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use ::parquet::basic::Compression as Codec;
use ::parquet::bloom_filter::Sbbf;
use ::parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use ::parquet::file::properties::EnabledStatistics;
use arrow_array::RecordBatch;
use proptest::prelude::*;
use schemas::table::{Compression, TableSpec};

use super::super::{Encoder, Row};
use super::*;

const SPEC: &str = r#"
version = 1
name = "t"
database = "d"
location = "s3://b/t/"
bloom = ["id", "n"]
metadata = false
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
name = "small"
type = "tinyint"
[[column]]
name = "yes"
type = "boolean"
[[column]]
name = "price"
type = "decimal(30,2)"
[[column]]
name = "cheap"
type = "decimal(5,2)"
[[column]]
name = "ratio"
type = "double"
[[column]]
name = "share"
type = "float"
[[column]]
name = "blob"
type = "binary"
[[column]]
name = "day"
type = "date"
[[column]]
name = "at"
type = "timestamp"
[[column]]
name = "tags"
type = "array<struct<name:string,score:double,more:array<array<int>>>>"
[[column]]
name = "names"
type = "map<string,struct<a:string,b:int>>"
[[column]]
name = "deep"
type = "struct<a:struct<b:struct<c:string>>,l:array<int>>"
[[column]]
name = "none"
type = "int"
[[partition]]
name = "p"
type = "string"
"#;

/// An event with something of everything, much of it missing.
fn event(n: usize) -> String {
    let mut members = vec![format!(r#""id":"{:016x} of some length""#, n.wrapping_mul(0x9e37_79b9_7f4a_7c15))];
    let mut add = |every: usize, member: String| {
        if !n.is_multiple_of(every) {
            members.push(member);
        }
    };
    add(5, format!(r#""kind":"kind {}""#, n % 7));
    add(2, format!(r#""n":{},"small":{}"#, n as i64 - 1000, n % 128));
    add(3, format!(r#""yes":{},"ratio":{}.25,"share":-{}.5"#, n % 4 == 1, n % 17, n % 5));
    add(4, format!(r#""price":"-{n}.25","cheap":{}.5,"blob":"AAEC/w==""#, n % 900));
    add(7, format!(r#""day":"2024-01-{:02}","at":{}"#, n % 28 + 1, 1_700_000_000 + n));
    let tag = |m: usize| match m % 3 {
        0 => format!(r#"{{"name":"tag {}","score":{m}.25}}"#, m * 7919 % 5000),
        1 => r#"{"more":[[1,2],[],null,[3]]}"#.to_string(),
        _ => "null".to_string(),
    };
    let tags: Vec<String> = (0..n % 4).map(|m| tag(n + m)).collect();
    add(6, format!(r#""tags":[{}]"#, tags.join(",")));
    add(3, format!(r#""names":{{"a":{{"a":"{}"}},"b":null}}"#, "x".repeat(n % 100)));
    add(2, r#""names":{}"#.to_string());
    add(4, format!(r#""deep":{{"a":{{"b":{}}},"l":[{n}]}}"#, ["null", "{}", r#"{"c":"c"}"#][n % 3]));
    format!("{{{}}}", members.join(","))
}

fn encode(lines: &[String], settings: &ParquetSettings) -> (Encoder, Bytes) {
    let spec = TableSpec::parse(SPEC, "t.toml").expect("a good spec");
    let encoder = Encoder::new(&spec, settings).expect("encodes");
    let row = |line: &'_ String| Row {
        shard: "s",
        sequence: "1",
        sub: 0,
        document: 0,
        arrived_at: 0,
        data: line.as_bytes().to_vec().leak(),
        outline: &[],
    };
    let rows: Vec<Row<'_>> = lines.iter().map(row).collect();
    let first = encoder.encode(&rows, &[]).expect("encodes");
    assert_eq!(first.rejects, []);
    let again = encoder.encode(&rows, &[]).expect("encodes");
    assert!(first.bytes == again.bytes, "what is used again leaves no trace");
    (encoder, first.bytes)
}

fn metadata(file: &Bytes) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(file)
        .expect("a parquet file")
}

fn batches(file: &Bytes) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).expect("a parquet file");
    reader.with_batch_size(1 << 20).build().expect("readable").map(|batch| batch.expect("readable")).collect()
}

/// The same rows, through the crate's own writer, with the decisions that `file` shows.
fn by_the_crate(encoder: &Encoder, file: &Bytes, settings: &ParquetSettings, paged: bool) -> Bytes {
    let batches = batches(file);
    let mut properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.into())
        .set_coerce_types(true)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(settings.row_group_rows))
        .set_statistics_enabled(if paged { EnabledStatistics::Page } else { EnabledStatistics::Chunk })
        .set_offset_index_disabled(!paged);
    for (column, bloom) in metadata(file).row_group(0).columns().iter().zip(&encoder.layout.bloom) {
        let path = column.column_path();
        // The footer does not say the level.
        let is_plain = column.compression() == Codec::UNCOMPRESSED;
        properties = properties
            .set_column_compression(
                path.clone(),
                if is_plain { Codec::UNCOMPRESSED } else { encoder.layout.codecs.codec() },
            )
            .set_column_dictionary_enabled(path.clone(), column.dictionary_page_offset().is_some());
        if *bloom {
            let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>().min(settings.row_group_rows);
            properties = properties
                .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
                .set_column_bloom_filter_max_ndv(path.clone(), rows as u64);
        }
    }
    let options = ArrowWriterOptions::new()
        .with_properties(properties.build())
        .with_parquet_schema(encoder.layout.parquet.clone())
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batches[0].schema(), options).expect("a writer");
    batches.iter().for_each(|batch| writer.write(batch).expect("written"));
    writer.into_inner().expect("a file").into()
}

/// A chunk's bytes.
fn bytes_of<'f>(file: &'f Bytes, column: &ColumnChunkMetaData) -> &'f [u8] {
    let (start, length) = column.byte_range();
    &file[start as usize..][..length as usize]
}

fn bloom_of(file: &Bytes, column: &ColumnChunkMetaData) -> Option<Vec<u8>> {
    let filter = Sbbf::read_from_column_chunk(column, file).expect("readable")?;
    let mut bytes = vec![];
    filter.write(&mut bytes).expect("written");
    Some(bytes)
}

fn same_as_by_the_crate(lines: &[String], settings: &ParquetSettings, paged: bool) {
    let (encoder, ours) = encode(lines, settings);
    let theirs = by_the_crate(&encoder, &ours, settings, paged);
    let (of_ours, of_theirs) = (metadata(&ours), metadata(&theirs));
    assert_eq!(of_ours.num_row_groups(), of_theirs.num_row_groups());
    for (number, (a, b)) in of_ours.row_groups().iter().zip(of_theirs.row_groups()).enumerate() {
        assert_eq!(a.num_rows(), b.num_rows());
        for (leaf, (a, b)) in a.columns().iter().zip(b.columns()).enumerate() {
            let name = format!("{} of {number}, {settings:?}", a.column_path());
            // The crate has one codec for a column of all row groups; a small chunk of ours is not compressed.
            if a.compression() == b.compression() {
                assert_eq!(bytes_of(&ours, a), bytes_of(&theirs, b), "{name}");
                assert_eq!(a.uncompressed_size(), b.uncompressed_size(), "{name}");
            }
            assert_eq!(a.statistics(), b.statistics(), "{name}");
            assert_eq!(bloom_of(&ours, a), bloom_of(&theirs, b), "{name}");
            assert_eq!(a.definition_level_histogram(), b.definition_level_histogram(), "{name}");
            assert_eq!(a.repetition_level_histogram(), b.repetition_level_histogram(), "{name}");
            assert_eq!(a.unencoded_byte_array_data_bytes(), b.unencoded_byte_array_data_bytes(), "{name}");
            assert_eq!(a.page_encoding_stats_mask(), b.page_encoding_stats_mask(), "{name}");
            assert_eq!(a.encodings_mask(), b.encodings_mask(), "{name}");
            assert_eq!(a.num_values(), b.num_values(), "{name}");
            let index = |of: &ParquetMetaData| of.column_index().map(|index| index[number][leaf].clone());
            // In repeated columns the crate takes a page for one of nulls alone if it has as many of them as rows.
            if paged && a.column_descr().max_rep_level() == 0 {
                assert_eq!(format!("{:?}", index(&of_ours)), format!("{:?}", index(&of_theirs)), "{name}");
            }
        }
    }
}

#[test]
fn chunks_are_those_of_the_crates_own_writer() {
    let lines: Vec<String> = (0..3000).map(event).collect();
    for compression in [
        Compression::Zstd(1),
        Compression::Zstd(7),
        Compression::Snappy,
        Compression::Lz4,
        Compression::Gzip(6),
        Compression::None,
    ] {
        for (count, row_group_rows) in [(3000, 1 << 20), (3000, 1100), (40, 1 << 20), (1, 1)] {
            let settings = ParquetSettings { compression, row_group_rows, ..ParquetSettings::default() };
            same_as_by_the_crate(&lines[..count], &settings, false);
        }
    }
    // With an index of pages: one page each, since the crate ends its pages elsewhere.
    let settings = ParquetSettings { row_group_rows: 500, page_bytes: 200_000, ..ParquetSettings::default() };
    same_as_by_the_crate(&lines, &settings, true);
}

#[test]
fn many_pages_and_full_dictionaries_are_read_back() {
    // Long values that repeat at first, so that a dictionary is begun, and then do not.
    let line = |n: usize| {
        let id = if n < 4000 { n % 9 } else { n };
        format!(r#"{{"id":"{}{id}","kind":"{}","n":{n},"tags":[{{"name":"{n}"}},null]}}"#, "long ".repeat(40), n % 11)
    };
    let lines: Vec<String> = (0..45_000).map(line).collect();
    let (_, file) = encode(&lines, &ParquetSettings::default());
    let of = metadata(&file);
    let chunk = of.row_group(0).column(0);
    assert!(
        chunk.dictionary_page_offset().is_some() && chunk.encodings().any(|e| e == ::parquet::basic::Encoding::PLAIN)
    );
    let offsets = &of.offset_index().expect("an index")[0][0];
    assert!(offsets.page_locations.len() > 8, "{} pages", offsets.page_locations.len());
    assert!(offsets.page_locations.iter().all(|page| page.compressed_page_size < 1 << 20));
    let rows: Vec<String> = batches(&file)
        .iter()
        .flat_map(|batch| {
            let (ids, numbers) = (batch.column(0), batch.column(2));
            let (ids, numbers) = (arrow_array::cast::AsArray::as_string::<i32>(ids).clone(), numbers.clone());
            let numbers = arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(&numbers).clone();
            (0..batch.num_rows())
                .map(move |row| format!("{} {}", ids.value(row), numbers.value(row)))
                .collect::<Vec<_>>()
        })
        .collect();
    let expected = |n: usize| format!("{}{} {n}", "long ".repeat(40), if n < 4000 { n % 9 } else { n });
    assert!(rows.iter().zip(0..).all(|(row, n)| *row == expected(n)) && rows.len() == lines.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_rows_give_the_crates_chunks(numbers in proptest::collection::vec(0usize..5000, 1..400), groups in 1usize..300) {
        let lines: Vec<String> = numbers.into_iter().map(event).collect();
        let settings = ParquetSettings { row_group_rows: groups, ..ParquetSettings::default() };
        same_as_by_the_crate(&lines, &settings, false);
    }
}
