//! `alluvium import firehose`: an Amazon Data Firehose stream as a configuration and a table spec, with a list of what is the same,
//! better, different or unsupported.
//!
//! A description goes through these steps, all of them pure:
//! 1. its text to a tree of settings in the shape of `CreateDeliveryStream` ([`describe`] the API's JSON, [`cloudformation`] over
//!    [`yaml`] or JSON, [`terraform`] over [`hcl`]);
//! 2. the settings to a [`stream::Stream`], each taken once, by [`destination`], [`processing`] and [`conversion`]; what nobody
//!    takes is told;
//! 3. prefix ([`prefix`], [`folders`]) and query ([`query`]) to a [`layout`]: the table's place, partition columns, a program for each;
//! 4. all of it to a [`config`] and a [`table`] spec.

mod cloudformation;
mod config;
mod conversion;
mod describe;
mod destination;
pub mod findings;
mod folders;
mod glue;
mod hcl;
mod layout;
mod node;
pub mod prefix;
mod processing;
pub mod query;
mod stream;
mod table;
mod terraform;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::Path;

use serde::Serialize;

pub use cloudformation::Variables;
pub use describe::Described;
use findings::{Finding, Notes, Problem};
pub use glue::{GlueColumn, GlueTable};
use node::Node;

use crate::config::typed;

/// What the configuration's file is called.
pub const CONFIG: &str = "alluvium.toml";

/// What a description is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The API's JSON, or CloudFormation's.
    Json,
    Yaml,
    Terraform,
}

impl Format {
    /// By the file's name, else by how its text begins.
    pub fn of(name: &str, text: &str) -> Format {
        let begin = text.trim_start();
        match name.rsplit('.').next() {
            Some("tf") => Format::Terraform,
            Some("yaml" | "yml") => Format::Yaml,
            Some("json") => Format::Json,
            _ if begin.starts_with('{') => Format::Json,
            _ if text.contains("resource \"") => Format::Terraform,
            _ => Format::Yaml,
        }
    }
}

/// What somebody says beside the description.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Which of several streams: by its name, its logical id or its resource's name.
    pub stream: Option<String>,
    pub variables: Variables,
    /// Programs of keys that the description has none of.
    pub keys: Vec<(String, String)>,
    pub glue: Option<GlueTable>,
    /// Milliseconds since the epoch.
    pub now: i64,
}

/// A stream imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    pub stream: String,
    /// Text of `alluvium.toml`.
    pub config: String,
    pub table_file: String,
    pub table: String,
    pub findings: Vec<Finding>,
}

/// A stream that cannot be imported, and everything that keeps it from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub stream: String,
    pub problems: Vec<Problem>,
    pub findings: Vec<Finding>,
}

/// The streams that a text describes.
pub fn described(text: &str, format: Format, variables: &Variables) -> Result<Described, String> {
    let tree = match format {
        Format::Terraform => return some(terraform::streams(text, variables)?),
        Format::Yaml => yaml::parse(text)?,
        Format::Json => {
            let json = serde_json::from_str(text).map_err(|e| format!("line {}: not JSON: {e}", e.line()))?;
            Node::from_json(&json)
        }
    };
    match tree.get("Resources") {
        Some(_) => some(cloudformation::streams(&tree, variables)?),
        None => some(describe::stream(&tree)?),
    }
}

fn some(described: Described) -> Result<Described, String> {
    match described.streams.is_empty() {
        true => Err("describes no Firehose delivery stream".into()),
        false => Ok(described),
    }
}

/// A Glue table of what `GetTable` answers.
pub fn glue_table(text: &str) -> Result<GlueTable, String> {
    let json = serde_json::from_str(text).map_err(|e| format!("line {}: not JSON: {e}", e.line()))?;
    GlueTable::read(&Node::from_json(&json)).ok_or_else(|| "is no table as `aws glue get-table` prints it".to_string())
}

/// Why there is no import: what was asked for does not stand there, or cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    Choice(String),
    Refused(Box<Refused>),
}

/// Imports a stream. `about`: what it was described in, for the configuration's first line.
pub fn import(described: Described, wanted: &Wanted, about: &str) -> Result<Imported, Failure> {
    let (name, node) = chosen(&described, wanted.stream.as_deref()).map_err(Failure::Choice)?;
    let mut notes = Notes::default();
    for (setting, value) in described.beside.iter().filter(|(setting, _)| setting.split('.').any(|part| part == name)) {
        notes.same(setting, value, "", "is the deployment's, and nothing of the stream's");
    }
    let imported = import_one(&name, node, &described.tables, wanted, about, &mut notes);
    imported.map(|imported| Imported { findings: std::mem::take(&mut notes).sorted(), ..imported }).ok_or_else(|| {
        let problems = std::mem::take(&mut notes.problems);
        Failure::Refused(Box::new(Refused { stream: name, problems, findings: notes.sorted() }))
    })
}

/// The table that a stream's conversion names: its database and name, and its region.
pub fn table_of(described: &Described, stream: Option<&str>) -> Option<(String, String, Option<String>)> {
    let (_, node) = chosen(described, stream).ok()?;
    let conversion = stream::read(node, &mut Notes::default())?.conversion?;
    let named = !conversion.database.is_empty() && !conversion.table.is_empty();
    named.then_some((conversion.database, conversion.table, conversion.region))
}

fn chosen(described: &Described, wanted: Option<&str>) -> Result<(String, Node), String> {
    let names: Vec<&str> = described.streams.iter().map(|(name, _)| name.as_str()).collect();
    let called = |node: &Node| node.get("DeliveryStreamName").and_then(Node::text).map(str::to_string);
    let of = |wanted: &str| {
        described.streams.iter().find(|(name, node)| name == wanted || called(node).as_deref() == Some(wanted)).cloned()
    };
    match (wanted, described.streams.as_slice()) {
        (None, [one]) => Ok(one.clone()),
        (None, _) => Err(format!("describes {} streams: name one with --resource: {}", names.len(), names.join(", "))),
        (Some(wanted), _) => {
            of(wanted).ok_or_else(|| format!("describes no stream `{wanted}`: it has {}", names.join(", ")))
        }
    }
}

fn import_one(
    name: &str,
    node: Node,
    tables: &[GlueTable],
    wanted: &Wanted,
    about: &str,
    notes: &mut Notes,
) -> Option<Imported> {
    let mut stream = stream::read(node, notes)?;
    if stream.name.is_empty() {
        stream.name = name.to_string();
    }
    let of_stream =
        |table: &&GlueTable| stream.conversion.as_ref().is_some_and(|conversion| table.name == conversion.table);
    let glue = wanted.glue.as_ref().or_else(|| tables.iter().find(of_stream));
    let layout = layout::of(&layout::Place { stream: &stream, given: &wanted.keys, glue }, notes)?;
    config::check_keys(&layout, &stream, notes);
    let places = config::places(&stream, &layout, notes);
    if let Some(location) = glue.and_then(|glue| glue.location.as_deref()) {
        told_of_location(location, &places.table, notes);
    }
    let (table_name, table) = table::spec(
        &table::Wanted {
            name: &stream.name,
            location: &places.table,
            layout: &layout,
            conversion: stream.conversion.as_ref(),
            glue,
            now: wanted.now,
        },
        notes,
    )?;
    let table_file = format!("{table_name}.toml");
    let config = config::text_of(&stream, &layout, &places, &table_file, about);
    let (_, problems) = typed::read(&config, CONFIG, Path::new("/"), &|_| None);
    problems.into_iter().for_each(|problem| {
        notes.block(CONFIG, format!("what was made of the description is refused: {}", problem.message))
    });
    notes.problems.is_empty().then(|| Imported { stream: stream.name, config, table_file, table, findings: Vec::new() })
}

fn told_of_location(location: &str, table: &str, notes: &mut Notes) {
    match location.trim_end_matches('/') == table.trim_end_matches('/') {
        true => notes.same("StorageDescriptor.Location", location, "location", "where the table lies"),
        false => notes.different(
            "StorageDescriptor.Location",
            location,
            "location",
            format!(
                "the prefix writes to {table}, and so does this: the catalog's table has to be told (`alluvium ddl`)"
            ),
        ),
    }
}
