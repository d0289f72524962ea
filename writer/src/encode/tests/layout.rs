//! The file itself: types as engines read them, order, dictionaries, indexes, metadata, and that the same rows give the same bytes.

use std::sync::Arc;

use ::parquet::basic::{Compression as Codec, Encoding};
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use ::parquet::file::properties::ReaderProperties;
use ::parquet::file::reader::FileReader;
use ::parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
use ::parquet::schema::printer::print_schema;
use schemas::table::Compression;

use super::*;

fn every_type() -> Vec<Column> {
    use DataType::*;
    vec![
        event("b", Boolean),
        event("i8", TinyInt),
        event("i16", SmallInt),
        event("i32", Int),
        event("i64", BigInt),
        event("f32", Float),
        event("f64", Double),
        event("d", decimal(38, 10)),
        event("s", String),
        event("x", Binary),
        event("day", Date),
        event("ts", Timestamp),
        event("l", array(Int)),
        event("m", map(String, Double)),
        event("r", record(&[("a", Int), ("l", array(String))])),
    ]
}

fn lines(count: usize) -> Vec<String> {
    let line = |n: usize| {
        format!(
            r#"{{"i64":{n},"s":"{}","x":"AAEC","i32":{},"ts":{},"l":[{n}],"m":{{"k":{n}}},"r":{{"a":1}},"d":"{n}.5"}}"#,
            n * 7919 % 200,
            n % 3,
            1_700_000_000 + n
        )
    };
    (0..count).map(line).collect()
}

fn metadata(encoded: &Encoded) -> Arc<ParquetMetaData> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(encoded.bytes.clone()).expect("a parquet file");
    reader.metadata().clone()
}

fn chunk<'m>(metadata: &'m ParquetMetaData, path: &str) -> &'m ColumnChunkMetaData {
    let group = metadata.row_group(0);
    group.columns().iter().find(|c| c.column_path().string() == path).expect("the column is in the file")
}

#[test]
fn parquet_types_are_those_the_engines_agree_on() {
    let encoded = encode(&table(every_type()), &["{}"]);
    let mut text = vec![];
    print_schema(&mut text, metadata(&encoded).file_metadata().schema());
    let expected = "\
message schema {
  OPTIONAL BOOLEAN b;
  OPTIONAL INT32 i8 (INTEGER(8,true));
  OPTIONAL INT32 i16 (INTEGER(16,true));
  OPTIONAL INT32 i32;
  OPTIONAL INT64 i64;
  OPTIONAL FLOAT f32;
  OPTIONAL DOUBLE f64;
  OPTIONAL FIXED_LEN_BYTE_ARRAY (16) d (DECIMAL(38,10));
  OPTIONAL BYTE_ARRAY s (STRING);
  OPTIONAL BYTE_ARRAY x;
  OPTIONAL INT32 day (DATE);
  OPTIONAL INT64 ts (TIMESTAMP(MILLIS,true));
  OPTIONAL group l (LIST) {
    REPEATED group list {
      OPTIONAL INT32 element;
    }
  }
  OPTIONAL group m (MAP) {
    REPEATED group key_value {
      REQUIRED BYTE_ARRAY key (STRING);
      OPTIONAL DOUBLE value;
    }
  }
  OPTIONAL group r {
    OPTIONAL INT32 a;
    OPTIONAL group l (LIST) {
      REPEATED group list {
        OPTIONAL BYTE_ARRAY element (STRING);
      }
    }
  }
}
";
    assert_eq!(String::from_utf8(text).expect("text"), expected);
}

#[test]
fn same_rows_give_the_same_bytes_and_other_rows_do_not() {
    let mut spec = table(every_type());
    spec.sort = vec!["s".into(), "i64".into()];
    spec.bloom = vec!["s".into()];
    let pairs = [("alluvium.cut".to_string(), "7".to_string())];
    let encode = |lines: &[String]| encoder(&spec).encode(&rows(lines), &pairs).expect("encodes").bytes;
    let lines = lines(5000);
    let once = encode(&lines);
    assert!(once == encode(&lines) && once != encode(&lines[1..]));
    let shared = encoder(&spec);
    let on_thread = || shared.encode(&rows(&lines), &pairs).expect("encodes").bytes;
    assert!(std::thread::scope(|s| s.spawn(on_thread).join().expect("no panic")) == once);
}

#[test]
fn rows_are_sorted_nulls_first_and_otherwise_in_the_order_they_came() {
    let mut spec = table(vec![event("a", DataType::Int), event("b", DataType::String), event("n", DataType::Int)]);
    spec.sort = vec!["b".into(), "a".into()];
    let encoded = encode(
        &spec,
        &[
            r#"{"a":2,"b":"x","n":0}"#,
            r#"{"a":1,"b":"x","n":1}"#,
            r#"{"a":1,"n":2}"#,
            r#"{"a":"bad"}"#,
            r#"{"b":"x","n":4}"#,
            r#"{"a":1,"b":"x","n":5}"#,
            r#"{"n":"bad","b":"a"}"#,
            r#"{"a":-1,"b":"","n":6}"#,
        ],
    );
    let order: Vec<i64> = read(&encoded).iter().filter_map(|row| row["n"].as_i64()).collect();
    assert_eq!(order, [2, 6, 4, 1, 5, 0]);
    assert_eq!(encoded.rejects.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [3, 6]);
    let metadata = metadata(&encoded);
    let sorting = metadata.row_group(0).sorting_columns().expect("declared");
    assert_eq!(
        sorting.iter().map(|s| (s.column_idx, s.descending, s.nulls_first)).collect::<Vec<_>>(),
        [(1, false, true), (0, false, true),]
    );
}

#[test]
fn sorting_spans_batches_and_keeps_nested_values_with_their_rows() {
    let mut spec = table(every_type());
    spec.sort = vec!["s".into()];
    let read = read(&encode(&spec, &lines(9000)));
    assert!(read.len() == 9000 && read.is_sorted_by_key(|row| row["s"].as_str().map(str::to_string)));
    for row in &read {
        let n = row["i64"].as_i64().expect("a number");
        assert_eq!((&row["l"], &row["d"]), (&json!([n]), &json!((n * 10 + 5).to_string() + "000000000")));
    }
}

#[test]
fn dictionaries_are_for_columns_that_repeat() {
    let metadata = metadata(&encode(&table(every_type()), &lines(3000)));
    let has = |path| chunk(&metadata, path).dictionary_page_offset().is_some();
    assert!(has("s") && has("i32") && has("x") && has("m.key_value.key"));
    assert!(!has("i64") && !has("ts") && !has("l.list.element") && !has("m.key_value.value") && !has("b"));
    let settings = ParquetSettings { dictionary: false, ..ParquetSettings::default() };
    let plain = Encoder::new(&table(every_type()), &settings).expect("good");
    let metadata = self::metadata(&plain.encode(&rows(&lines(3000)), &[]).expect("encodes"));
    assert!(chunk(&metadata, "s").dictionary_page_offset().is_none());
    assert!(chunk(&metadata, "s").encodings().any(|e| e == Encoding::PLAIN));
}

#[test]
fn columns_of_a_few_bytes_are_not_compressed() {
    let codec = |count, path| chunk(&metadata(&encode(&table(every_type()), &lines(count))), path).compression();
    assert_eq!((codec(5, "i64"), codec(5, "x")), (Codec::UNCOMPRESSED, Codec::UNCOMPRESSED));
    assert!(matches!(codec(100, "i64"), Codec::ZSTD(_)) && codec(100, "x") == Codec::UNCOMPRESSED);
    assert!(matches!(codec(5000, "i64"), Codec::ZSTD(_)) && codec(5000, "x") == Codec::UNCOMPRESSED, "one value");
    assert!(matches!(codec(5000, "s"), Codec::ZSTD(_)), "a dictionary");
}

#[test]
fn page_index_is_written_where_there_are_several_pages() {
    let settings = ParquetSettings { page_bytes: 8192, ..ParquetSettings::default() };
    let file = |settings: &ParquetSettings, count| {
        let encoder = Encoder::new(&table(every_type()), settings).expect("good");
        metadata(&encoder.encode(&rows(&lines(count)), &[]).expect("encodes"))
    };
    let indexed = |m: &ParquetMetaData| {
        let chunk = chunk(m, "i64");
        (chunk.column_index_offset().is_some(), chunk.offset_index_offset().is_some())
    };
    assert_eq!(indexed(&file(&settings, 5000)), (true, true));
    assert_eq!(indexed(&file(&settings, 10)), (false, false));
    assert_eq!(indexed(&file(&ParquetSettings { page_index: false, ..settings }, 5000)), (false, false));
}

#[test]
fn bloom_filter_knows_what_is_there() {
    let mut spec = table(every_type());
    spec.bloom = vec!["i64".into()];
    let encoded = encode(&spec, &lines(2000));
    let options = ReadOptionsBuilder::new()
        .with_reader_properties(ReaderProperties::builder().set_read_bloom_filter(true).build())
        .build();
    let reader = SerializedFileReader::new_with_options(encoded.bytes, options).expect("a parquet file");
    let group = reader.get_row_group(0).expect("a row group");
    let filter = group.get_column_bloom_filter(4).expect("asked for");
    assert!((0..2000i64).all(|n| filter.check(&n)));
    assert!((2000..3000i64).filter(|n| filter.check(n)).count() < 50);
    assert!(group.get_column_bloom_filter(3).is_none());
}

#[test]
fn metadata_row_groups_and_every_codec() {
    for codec in [Compression::Zstd(3), Compression::Snappy, Compression::Gzip(6), Compression::Lz4, Compression::None]
    {
        let settings = ParquetSettings { compression: codec, row_group_rows: 700, ..ParquetSettings::default() };
        let encoder = Encoder::new(&table(every_type()), &settings).expect("good");
        let pairs = [("alluvium.cut".to_string(), "w/7".to_string())];
        let encoded = encoder.encode(&rows(&lines(1500)), &pairs).expect("encodes");
        let metadata = metadata(&encoded);
        let groups: Vec<i64> = metadata.row_groups().iter().map(|g| g.num_rows()).collect();
        assert_eq!(groups, [700, 700, 100]);
        assert_eq!(metadata.file_metadata().created_by(), Some("alluvium version 3"));
        let stored = metadata.file_metadata().key_value_metadata().expect("given");
        assert_eq!(
            (stored.len(), stored[0].key.as_str(), stored[0].value.as_deref()),
            (1, "alluvium.cut", Some("w/7"))
        );
        assert_eq!(read(&encoded).len(), 1500);
    }
}

#[test]
fn what_parquet_cannot_do_is_refused_up_front() {
    let refused = |spec: TableSpec| match Encoder::new(&spec, &ParquetSettings::default()) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("accepted"),
    };
    let with = |column: Column| table(vec![column]);
    assert_eq!(refused(with(event("e", record(&[])))), "column e is a struct without members");
    assert!(
        refused(with(event("m", map(array(DataType::Int), DataType::Int)))).ends_with("want a map with primitive keys")
    );
    assert!(refused(with(event("d", decimal(39, 0)))).starts_with("column d has type decimal(39,0); want"));
    let mut sorted = with(event("l", array(DataType::Int)));
    sorted.sort = vec!["l".into()];
    assert_eq!(refused(sorted), "sort names column l, which is an array, a map or a struct");
    let mut bloomed = with(event("l", DataType::Int));
    bloomed.bloom = vec!["k".into()];
    assert_eq!(refused(bloomed), "bloom names column k, which the table does not have");
    let settings = ParquetSettings { compression: Compression::Zstd(99), ..ParquetSettings::default() };
    let error = Encoder::new(&with(event("a", DataType::Int)), &settings).expect_err("no such level");
    assert_eq!(error.to_string(), "parquet: zstd has levels 1 to 22");
}
