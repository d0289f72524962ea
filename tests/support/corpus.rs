//! The real data under `tests/corpus/` (its README says where it is from).

use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

use crate::file;

/// Dates the published S&P list is committed for: file `constituents_<date>.csv`, and the instant of the commit it is.
pub const SP500_DATES: [(&str, &str); 4] = [
    ("2015-09-22", "2015-09-22 14:54:35"),
    ("2018-04-02", "2018-04-02 20:58:25"),
    ("2024-01-01", "2024-01-01 00:33:06"),
    ("latest", "2100-01-01 00:00:00"),
];

/// The attribute history of the S&P 500's companies.
pub fn sp500_path() -> PathBuf {
    file("ingest/data/sp500/events.ndjson.gz")
}

/// Its events, one JSON text each, in file order.
pub fn sp500() -> &'static [Vec<u8>] {
    static EVENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    EVENTS.get_or_init(|| lines(&sp500_path()))
}

/// A day of Wikipedia edits.
pub fn wikipedia_path() -> PathBuf {
    file("tests/corpus/wikipedia/edits_2016-06-27.ndjson.gz")
}

/// Its events, one JSON text each, in file order.
pub fn wikipedia() -> &'static [Vec<u8>] {
    static EVENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    EVENTS.get_or_init(|| lines(&wikipedia_path()))
}

/// History of the CNCF landscape, one JSON text each, in file order.
pub fn cncf() -> &'static [Vec<u8>] {
    static EVENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    EVENTS.get_or_init(|| lines(&file("tests/corpus/cncf/landscape_events.ndjson.gz")))
}

/// What two companies have filed, one JSON text each, in file order.
pub fn sec() -> &'static [Vec<u8>] {
    static EVENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    EVENTS.get_or_init(|| lines(&file("tests/corpus/sec/companyfacts_AAPL_SNOW.ndjson.gz")))
}

/// The JSONTestSuite's texts by file name: `y_` must parse, `n_` must not, `i_` either.
pub fn json_test_suite() -> Vec<(String, Vec<u8>)> {
    let folder = file("tests/corpus/JSONTestSuite/test_parsing");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut texts: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("the folder lists");
            let bytes = std::fs::read(entry.path()).expect("a file of the suite");
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    texts.sort();
    texts
}

fn lines(path: &PathBuf) -> Vec<Vec<u8>> {
    let packed = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut text).expect("the corpus is gzip");
    text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}
