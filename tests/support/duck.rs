//! DuckDB as an independent reader of what was written: SQL in, JSON rows out.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{emulator, file, tools};

/// Runs statements (separated by `;` at a line's end) and gives the rows of the last one, one JSON object each. `s3://` URLs
/// lead to the emulator.
pub fn query(sql: &str) -> Vec<Value> {
    let mut command = Command::new(tools::python("python"));
    command.arg(file("tests/support/duck.py"));
    if sql.contains("s3://") {
        command.arg(emulator::ministack().address());
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python starts");
    child.stdin.take().expect("piped").write_all(sql.as_bytes()).expect("python reads its input");
    let done = child.wait_with_output().expect("python ends");
    assert!(done.status.success(), "{}\nin:\n{sql}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("duck.py prints a JSON array")
}

/// The one number in the one row that `sql` gives.
pub fn number(sql: &str) -> i64 {
    let rows = query(sql);
    let only = rows.first().and_then(Value::as_object).and_then(|row| row.values().next()).and_then(Value::as_i64);
    only.unwrap_or_else(|| panic!("no single number from {sql}: {rows:?}"))
}

/// Asserts that `sql` gives no row; shows the first rows it gave.
pub fn none(what: &str, sql: &str) {
    let rows = query(sql);
    assert!(rows.is_empty(), "{what}: {} rows, the first: {:#?}", rows.len(), &rows[..rows.len().min(3)]);
}

/// SQL that reads all Parquet files below a `file://` or `s3://` URL, partition columns as text.
pub fn lake(url: &str) -> String {
    let folder = url.strip_prefix("file://").unwrap_or(url);
    format!(
        "read_parquet('{}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false)",
        folder.trim_end_matches('/')
    )
}

/// SQL that reads an NDJSON file of the S&P's shape; `value` and `previous_value` as the text a `string` column holds.
pub fn sp500_events(path: &Path) -> String {
    format!(
        "(select event_id, entity_id, attribute_name, op, value->>'$' as value, previous_value->>'$' as previous_value,
            created_at::timestamp as created_at, source
          from read_json('{}', format = 'newline_delimited', columns = {{
            event_id: 'varchar', entity_id: 'varchar', attribute_name: 'varchar', op: 'varchar', value: 'json',
            previous_value: 'json', created_at: 'varchar', source: 'json'}}))",
        path.display()
    )
}
