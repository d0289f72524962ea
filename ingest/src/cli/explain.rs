//! `alluvium explain`: for each event where it would go and why, by the stages that `run` uses. A line stands for a record.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use schemas::position::Position;
use schemas::reject::{Reason, Reject};
use serde::ser::{Serialize, SerializeMap, Serializer};
use writer::encode::{Encoder, Row};

use super::{CliError, ExplainArgs};
use crate::clock;
use crate::config::Config;
use crate::documents::{Documents, Event};
use crate::guard::Guard;
use crate::keys::Keys;

/// Longest event that is read; a source gives at most 10 MiB.
const LINE_BYTES_MAX: usize = 16 << 20;

/// What is said of one event.
#[derive(Debug, Default, serde::Serialize)]
struct Explanation<'a> {
    /// 1-based.
    line: u64,
    /// Which document of the line, 1-based, if it holds several.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<u32>,
    /// One strict JSON object.
    parsed: bool,
    keys: KeyValues<'a>,
    /// Partition path, if it got one.
    path: Option<&'a str>,
    /// Readers will see it.
    projected: bool,
    reject: Option<RejectLine<'a>>,
    /// Columns that will be null.
    null_columns: Vec<String>,
    /// Top-level members that no column reads.
    dropped: Vec<String>,
}

/// Names and values, in partition order. After a reject: those that were worked out.
#[derive(Debug, Default)]
struct KeyValues<'a> {
    names: &'a [(String, String)],
    values: &'a [String],
}

impl Serialize for KeyValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for ((name, _), value) in self.names.iter().zip(self.values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(Debug, serde::Serialize)]
struct RejectLine<'a> {
    reason: &'a str,
    message: &'a str,
    key: Option<&'a str>,
    column: Option<&'a str>,
}

impl<'a> From<&'a Reject> for RejectLine<'a> {
    fn from(reject: &'a Reject) -> Self {
        RejectLine {
            reason: reject.reason.as_str(),
            message: &reject.message,
            key: reject.key.as_deref(),
            column: reject.column.as_deref(),
        }
    }
}

/// Explains the events of the file, or of stdin.
pub(super) fn run(args: &ExplainArgs, out: &mut impl Write) -> Result<(), CliError> {
    let config = super::load(&args.config)?;
    match args.file.as_deref().filter(|f| *f != Path::new("-")) {
        None => explain(&config, std::io::stdin().lock(), "stdin", out),
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|e| CliError::input(format!("{name}: cannot be read: {e}")))?;
            explain(&config, BufReader::new(file), &name, out)
        }
    }
}

pub(super) fn explain(
    config: &Config,
    mut input: impl BufRead,
    name: &str,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let stages = Stages::new(config)?;
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        let read =
            next_line(&mut input, &mut line).map_err(|e| CliError::input(format!("{name}: cannot be read: {e}")))?;
        number += 1;
        match read {
            Line::End => break,
            Line::Whole if line.trim_ascii().is_empty() => continue,
            Line::Whole => stages.explain(number, &line, out),
            Line::TooLong => stages.too_long(number, out),
        }
        .map_err(CliError::output)?;
    }
    out.flush().map_err(CliError::output)
}

enum Line {
    Whole,
    /// Longer than the limit; the rest of it was skipped.
    TooLong,
    End,
}

/// One line without its line feed into `line`; memory is bounded by [`LINE_BYTES_MAX`].
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Line> {
    line.clear();
    let limit = LINE_BYTES_MAX as u64 + 1;
    let read = input.by_ref().take(limit).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Line::Whole);
    }
    if read as u64 == limit {
        input.skip_until(b'\n')?;
        return Ok(Line::TooLong);
    }
    Ok(if read == 0 { Line::End } else { Line::Whole })
}

/// The stages of the pipeline that decide about one record.
struct Stages<'a> {
    config: &'a Config,
    keys: Keys,
    guard: Guard,
    encoder: Encoder,
    now: i64,
}

impl<'a> Stages<'a> {
    fn new(config: &'a Config) -> Result<Self, CliError> {
        Ok(Stages {
            config,
            keys: config.compile_keys()?,
            guard: Guard::new(&config.table),
            encoder: Encoder::new(&config.table, &config.parquet)?,
            now: clock::now_ms(),
        })
    }

    fn explain(&self, line: u64, record: &[u8], out: &mut impl Write) -> std::io::Result<()> {
        let documents = Documents::of(record, &self.config.decode);
        let position = Position::from_numbers(line, 0);
        documents.events(&position).try_for_each(|event| self.explain_event(line, &event, out))
    }

    fn explain_event(&self, line: u64, event: &Event<'_>, out: &mut impl Write) -> std::io::Result<()> {
        let (mut values, mut path) = (Vec::new(), String::new());
        let document = Some(event.position.document()).filter(|number| *number > 0);
        let mut said = Explanation { line, document, ..Explanation::default() };
        let outcome = self.stages(event, &mut said, &mut values, &mut path);
        said.keys = KeyValues { names: &self.config.keys, values: &values };
        said.path = said.projected.then_some(path.as_str());
        said.reject = outcome.as_ref().err().map(RejectLine::from);
        write_line(&said, out)
    }

    /// In the pipeline's order; ends at the first reject.
    fn stages(
        &self,
        event: &Event<'_>,
        said: &mut Explanation<'_>,
        values: &mut Vec<String>,
        path: &mut String,
    ) -> Result<(), Reject> {
        if let Some(reject) = event.broken {
            return Err(reject.clone());
        }
        said.parsed = true;
        if let Err(reject) = self.keys.evaluate_arrived(event.data, Some(self.now), values) {
            // What stands at the failed key and behind it means nothing.
            let named = |(name, _): &(String, String)| reject.key.as_deref() == Some(name);
            values.truncate(self.config.keys.iter().position(named).unwrap_or(0));
            return Err(reject);
        }
        self.guard.path(values, self.now, path)?;
        said.projected = true;
        let (sequence, document) = (event.position.sequence(), event.position.document());
        let row =
            Row { shard: "explain", sequence, sub: 0, document, arrived_at: self.now, data: event.data, outline: &[] };
        let explained = self.encoder.explain(row)?;
        said.null_columns = explained.nulls;
        said.dropped = explained.unread;
        Ok(())
    }

    fn too_long(&self, line: u64, out: &mut impl Write) -> std::io::Result<()> {
        let message = format!("the line has more than {LINE_BYTES_MAX} bytes");
        let reject = Reject::new(Reason::NotJson, message);
        write_line(&Explanation { line, reject: Some((&reject).into()), ..Explanation::default() }, out)
    }
}

fn write_line(said: &Explanation<'_>, out: &mut impl Write) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, said)?;
    out.write_all(b"\n")
}
