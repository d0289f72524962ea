//! Answers that are lists, as CSV, NDJSON or Parquet.
//!
//! CSV is made for spreadsheets, which take a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula:
//! such a cell gets an apostrophe in front, unless it is a number. The other formats hold the values as they are.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value};

use crate::error::ReaderError;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Ndjson,
    Csv,
    Parquet,
}

/// Rows of text, each as long as the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Format {
    pub const ALL: [(&'static str, Format, &'static str); 4] = [
        ("json", Format::Json, "application/json"),
        ("ndjson", Format::Ndjson, "application/x-ndjson"),
        ("csv", Format::Csv, "text/csv; charset=utf-8"),
        ("parquet", Format::Parquet, "application/vnd.apache.parquet"),
    ];
    /// What to write instead of an unknown one.
    pub const WANT: &'static str = "is unknown: write json, ndjson, csv or parquet";

    pub fn named(name: &str) -> Option<Format> {
        Format::ALL.iter().find(|(known, ..)| *known == name).map(|(_, format, _)| *format)
    }

    /// The first of the accepted types that there is; JSON if there is none.
    pub fn accepted(accept: &str) -> Format {
        let types = accept.split(',').map(|one| one.split(';').next().unwrap_or_default().trim());
        let of = |one: &str| Format::ALL.iter().find(|(.., media)| media.split(';').next() == Some(one));
        types.filter_map(of).map(|(_, format, _)| *format).next().unwrap_or(Format::Json)
    }

    pub fn media_type(self) -> &'static str {
        Format::ALL.iter().find(|(_, format, _)| *format == self).map_or("application/json", |(.., media)| media)
    }
}

impl Table {
    pub fn write(&self, format: Format) -> Result<Vec<u8>, ReaderError> {
        match format {
            Format::Csv => Ok(self.csv().into_bytes()),
            Format::Json | Format::Ndjson => Ok(self.ndjson().into_bytes()),
            Format::Parquet => self.parquet().map_err(|e| ReaderError::environment("write the answer as Parquet", e)),
        }
    }

    /// RFC 4180, with the guard against formulas.
    fn csv(&self) -> String {
        let mut out = String::new();
        let line = |out: &mut String, cells: &mut dyn Iterator<Item = &str>| {
            for (at, cell) in cells.enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_cell(out, cell);
            }
            out.push_str("\r\n");
        };
        line(&mut out, &mut self.columns.iter().copied());
        for row in &self.rows {
            line(&mut out, &mut row.iter().map(|cell| cell.as_deref().unwrap_or_default()));
        }
        out
    }

    fn ndjson(&self) -> String {
        let object = |row: &Vec<Option<String>>| {
            let members = self.columns.iter().zip(row);
            let text = |cell: &Option<String>| cell.clone().map_or(Value::Null, Value::String);
            let object: Map<String, Value> = members.map(|(name, cell)| (name.to_string(), text(cell))).collect();
            format!("{}\n", Value::Object(object))
        };
        self.rows.iter().map(object).collect()
    }

    fn parquet(&self) -> Result<Vec<u8>, parquet::errors::ParquetError> {
        let fields: Vec<Field> = self.columns.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        let column = |at: usize| -> ArrayRef {
            Arc::new(self.rows.iter().map(|row| row[at].as_deref()).collect::<StringArray>())
        };
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), (0..self.columns.len()).map(column).collect())?;
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None)?;
        writer.write(&batch)?;
        writer.into_inner()
    }
}

fn push_cell(out: &mut String, cell: &str) {
    let guard = if is_formula(cell) { "'" } else { "" };
    let quoted = cell.contains(['"', ',', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ');
    match quoted {
        true => {
            out.push('"');
            out.push_str(guard);
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        }
        false => {
            out.push_str(guard);
            out.push_str(cell);
        }
    }
}

/// Whether a spreadsheet would compute it.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && !is_number(cell)
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all(whole) && all(fraction)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(cells: &[&str]) -> Table {
        Table { columns: vec!["a"], rows: cells.iter().map(|cell| vec![Some(cell.to_string())]).collect() }
    }

    #[test]
    fn formulas_are_guarded_and_numbers_are_not() {
        let csv = table(&["=1+1", "-5.25", "-5+cmd|' /C calc'!A0", "@x", "+1", "\t=1", "a\"b,c\nd", " x"]).csv();
        let want =
            "a\r\n'=1+1\r\n-5.25\r\n'-5+cmd|' /C calc'!A0\r\n'@x\r\n+1\r\n'\t=1\r\n\"a\"\"b,c\nd\"\r\n\" x\"\r\n";
        assert_eq!(csv, want);
    }

    #[test]
    fn the_first_type_that_is_accepted_is_given() {
        assert_eq!(Format::accepted("text/html, text/csv;q=0.9, */*"), Format::Csv);
        assert_eq!((Format::accepted("*/*"), Format::named("xml")), (Format::Json, None));
    }

    proptest! {
        /// No cell that a spreadsheet would compute gets out, whatever stands in the table.
        #[test]
        fn no_cell_begins_as_a_formula(cell in "[=+@\t\r\n\\-]?[\\PC\"',]{0,20}") {
            let csv = table(&[&cell]).csv();
            let body = csv.strip_prefix("a\r\n").and_then(|rest| rest.strip_suffix("\r\n")).expect("one row");
            let inner = body.strip_prefix('"').map_or(body, |rest| &rest[..rest.len() - 1]);
            prop_assert!(is_number(inner) || !inner.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{:?}", body);
            let unquoted = if body.starts_with('"') { inner.replace("\"\"", "\"") } else { inner.to_string() };
            prop_assert_eq!(unquoted.strip_prefix('\'').filter(|_| is_formula(&cell)).unwrap_or(&unquoted), &cell);
        }

        #[test]
        fn parquet_holds_the_values_as_they_are(cells in proptest::collection::vec(".*", 0..4)) {
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            let bytes = bytes::Bytes::from(table(&cells).write(Format::Parquet).expect("written"));
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(bytes, 100).expect("read");
            let mut found = Vec::new();
            for batch in reader {
                let batch = batch.expect("rows");
                let column = arrow_array::cast::AsArray::as_string::<i32>(batch.column(0)).clone();
                found.extend(column.iter().flatten().map(str::to_string));
            }
            prop_assert_eq!(found, cells);
        }
    }
}
