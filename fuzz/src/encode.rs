//! Events, one a line, into a file with columns of every type: each is a row of the file or a reject.

use ingest::decode::decode;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::rules::ParquetSettings;
use schemas::table::{Compression, TableSpec};
use writer::encode::{Encoded, Encoder, Row};

const TABLE: &str = include_str!("../../schemas/tables/business_events.toml");
const LINES: usize = 64;

thread_local! {
    static ENCODER: Encoder = encoder();
}

fn encoder() -> Encoder {
    let spec = TableSpec::parse(TABLE, "table").expect("a good spec");
    let settings = ParquetSettings { compression: Compression::None, ..ParquetSettings::default() };
    Encoder::new(&spec, &settings).expect("a good spec")
}

pub fn run(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n').take(LINES);
    let events: Vec<&[u8]> = lines.filter(|line| decode(line).is_ok()).collect();
    let rows: Vec<Row<'_>> = events.iter().enumerate().map(|(n, data)| row(n, data)).collect();
    ENCODER.with(|encoder| {
        let encoded = encoder.encode(&rows, &[]).expect("encodes");
        is_whole(&rows, &encoded);
        let rejected = |n: usize| encoded.rejects.iter().any(|(at, _)| *at == n);
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(encoder.explain(*row).is_err(), rejected(n), "row {n}");
        }
        // A cut that is done again has the same bytes.
        assert_eq!(encoder.encode(&rows, &[]).expect("encodes").bytes, encoded.bytes);
    });
}

fn row(n: usize, data: &[u8]) -> Row<'_> {
    let sequence = ["1", "2", "3", "5", "8", "13"][n % 6];
    Row { shard: "s:0", sequence, sub: n as u64, document: 0, arrived_at: 1_779_045_174_594, data, outline: &[] }
}

fn is_whole(rows: &[Row<'_>], encoded: &Encoded) {
    assert_eq!(encoded.rows as usize + encoded.rejects.len(), rows.len());
    assert!(encoded.rejects.iter().all(|(_, reject)| reject.column.is_some() && !reject.message.is_empty()));
    if encoded.rows == 0 {
        return assert!(encoded.bytes.is_empty());
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(encoded.bytes.clone()).expect("a parquet file");
    let read: usize = reader.build().expect("readable").map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(read as u64, encoded.rows);
}
