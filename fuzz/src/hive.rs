//! Partition paths: escaping and parsing.

use schemas::column::DataType;
use schemas::hive::{escape, fits, is_escaped, parse_partition_path, partition_path, unescape};

use super::input::text;

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let escaped = escape_one(text);
    assert!(!escaped.replace('%', "").contains(is_escaped), "{escaped}");
    assert_eq!(unescape(&escaped), text);
    // What is parsed may be any folder: of Hive, of a person. What comes of it is escaped one way only.
    let meant = unescape(text);
    assert_eq!(unescape(&escape_one(&meant)), meant);
    if let Some(columns) = parse_partition_path(text) {
        let (names, values): (Vec<_>, Vec<_>) = columns.iter().cloned().unzip();
        let path = partition_path(&names, &values);
        assert_eq!(parse_partition_path(&path), Some(columns));
        assert!(path.len() < 768 || !fits(&path) || path.len() == 768);
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let names: Vec<String> = (0..lines.len()).map(|n| format!("c{n}")).collect();
    let path = partition_path(&names, &lines);
    if !lines.is_empty() {
        let back = parse_partition_path(&path).expect("a partition path");
        assert!(back.iter().map(|(_, value)| value).eq(&lines), "{path}");
    }
    if let Ok(data_type) = DataType::parse(text) {
        assert_eq!(DataType::parse(&data_type.to_string()), Ok(data_type));
    }
}

fn escape_one(text: &str) -> String {
    let mut out = String::new();
    escape(text, &mut out);
    out
}
