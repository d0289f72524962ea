//! Mistakes that a valid spec can still make, and that nobody would notice: a row outside the projection is invisible without any
//! error. Codes P001 to P013; P008 and P013 need a look into the bucket and are not here.
//!
//! | code | says |
//! |---|---|
//! | P001 | a partition column has no projection |
//! | P002 | an enum value that engines render differently |
//! | P003 | too many enum values, too large table properties |
//! | P004 | an integer beyond 32 bits |
//! | P005 | a date rule outside what Athena and Trino both do |
//! | P006 | a location template that lacks a column, or is not needed |
//! | P007 | more partitions than one scan may have; the counts by query shape |
//! | P009 | an injected column that is no string |
//! | P010 | a partition column whose type, or whose key, does not give what the rule expects |
//! | P011 | a change under which stored rows become invisible or unreadable |
//! | P012 | LOCATION is not where the writer writes |

mod change;
mod shapes;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::column::DataType;
use crate::hive;
use crate::projection::{Bound, DateRule, Rule};
use crate::table::{PartitionColumn, TableSpec};

pub use change::compare;
pub use shapes::{PARTITIONS_MAX, QueryShape, query_shapes};

/// Most values an enum should have: Athena's guide advises "a few dozen or less".
const ENUM_VALUES_MAX: usize = 60;

/// Bytes of table properties above which is warned, and above which Glue may refuse the table (its limit is 1 MB, compressed;
/// these are counted uncompressed).
const PROPERTIES_WARN: usize = 512 * 1024;
const PROPERTIES_MAX: usize = 1024 * 1024;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For information.
    Info,
    /// Works, but not everywhere or not for long.
    Warn,
    /// Rows would be invisible, or queries fail.
    Error,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warn => "warning",
            Severity::Error => "error",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// `P001` to `P013`.
    pub code: &'static str,
    pub severity: Severity,
    /// What is wrong and what to write instead. Lower case, no full stop.
    pub message: String,
    /// 1-based line of the spec.
    pub line: Option<usize>,
}

/// What is known beside the spec.
#[derive(Debug, Clone, Copy, Default)]
pub struct LintContext<'a> {
    /// Milliseconds since the epoch.
    pub now: i64,
    /// `[lake] url`.
    pub writer_table_url: Option<&'a str>,
    /// Names of the key programs, in the order written; empty if not known.
    pub keys: &'a [&'a str],
    /// Keys that are `... | bucket(n)`, and their n.
    pub buckets: &'a [(&'a str, u64)],
}

/// Everything found, worst first, then by line.
pub fn lint(spec: &TableSpec, context: &LintContext<'_>) -> Vec<Lint> {
    let mut found = Findings { spec, lints: Vec::new() };
    for partition in &spec.partitions {
        lint_partition(&mut found, partition, context.now);
    }
    lint_missing_rules(&mut found);
    lint_properties(&mut found);
    lint_template(&mut found);
    lint_keys(&mut found, context);
    lint_location(&mut found, context);
    shapes::lint_partitions(&mut found, context.now);
    found.lints.sort_by_key(|lint| (std::cmp::Reverse(lint.severity), lint.line, lint.code));
    found.lints
}

struct Findings<'a> {
    spec: &'a TableSpec,
    lints: Vec<Lint>,
}

impl Findings<'_> {
    fn table(&mut self, code: &'static str, severity: Severity, message: impl Into<String>) {
        self.lints.push(Lint { code, severity, message: message.into(), line: None });
    }

    fn column(&mut self, code: &'static str, severity: Severity, column: &str, message: impl Into<String>) {
        self.lints.push(Lint { code, severity, message: message.into(), line: self.spec.line_of(column) });
    }
}

fn lint_partition(found: &mut Findings<'_>, partition: &PartitionColumn, now: i64) {
    let name = partition.name.as_str();
    let data_type = &partition.data_type;
    match &partition.projection {
        None => {}
        Some(Rule::Enum { values }) => {
            lint_enum(found, name, values);
            if *data_type != DataType::String {
                let message = format!("enum column `{name}` is `{data_type}`: write `type = \"string\"`");
                found.column("P010", Severity::Error, name, message);
            }
        }
        Some(Rule::Integer { from, to, interval, .. }) => lint_integer(found, partition, *from, *to, *interval),
        Some(Rule::Date(rule)) => lint_date(found, partition, rule, now),
        Some(Rule::Injected) if *data_type != DataType::String => {
            let message = format!("injected column `{name}` is `{data_type}`: write `type = \"string\"`");
            found.column("P009", Severity::Error, name, message);
        }
        Some(Rule::Injected) => {}
    }
}

fn lint_missing_rules(found: &mut Findings<'_>) {
    let spec = found.spec;
    let without: Vec<&str> =
        spec.partitions.iter().filter(|p| p.projection.is_none()).map(|p| p.name.as_str()).collect();
    let all = without.len() == spec.partitions.len();
    for name in without {
        let (severity, effect) = match all {
            true => (Severity::Warn, "partitions have to be registered by hand"),
            false => (Severity::Error, "one column without it turns projection off for the table"),
        };
        found.column("P001", severity, name, format!("partition column `{name}` has no projection: {effect}"));
    }
}

fn lint_enum(found: &mut Findings<'_>, name: &str, values: &[String]) {
    let mut by_case: HashMap<String, &str> = HashMap::new();
    for value in values {
        let shown = value.escape_debug();
        if value.contains([',', '/', '%', '=']) || value.chars().any(char::is_control) || value.is_empty() {
            let message = format!(
                "enum value `{shown}` of `{name}` is empty or has `,`, `/`, `%`, `=` or a control character: key by another value"
            );
            found.column("P002", Severity::Error, name, message);
        } else if value.trim() != value {
            let message =
                format!("enum value `{shown}` of `{name}` has a space at an end: athena keeps it, trino cuts it off");
            found.column("P002", Severity::Error, name, message);
        }
        if let Some(other) = by_case.insert(value.to_lowercase(), value) {
            let message = format!("enum values `{other}` and `{value}` of `{name}` differ by case alone: keep one");
            found.column("P002", Severity::Error, name, message);
        }
    }
    let escaped = |value: &&String| value.chars().any(hive::is_escaped) && !value.contains(['/', '%', '=']);
    if let Some(value) = values.iter().find(escaped) {
        let message = format!(
            "`{name}` has enum values that are escaped in paths, such as `{}`: query one before relying on all",
            value.escape_debug()
        );
        found.column("P002", Severity::Warn, name, message);
    }
    if values.len() > ENUM_VALUES_MAX {
        let message = format!(
            "enum `{name}` has {} values, more than {ENUM_VALUES_MAX}: key by a bucket, or make the column injected",
            values.len()
        );
        found.column("P003", Severity::Warn, name, message);
    }
}

fn lint_integer(found: &mut Findings<'_>, partition: &PartitionColumn, from: i64, to: i64, interval: u64) {
    let name = partition.name.as_str();
    // Trino counts in 32 bits and adds the interval once more after the last value.
    let last = i128::from(to) + i128::from(interval);
    if i32::try_from(from).is_err() || i32::try_from(last).is_err() {
        found.column(
            "P004",
            Severity::Warn,
            name,
            format!("integers of `{name}` reach beyond 32 bits, which trino refuses"),
        );
    }
    let fits = match partition.data_type {
        DataType::Int => i32::try_from(from).is_ok() && i32::try_from(to).is_ok(),
        DataType::Date => false,
        _ => true,
    };
    if !fits {
        let message =
            format!("range {from},{to} of `{name}` does not fit its type `{}`: write `bigint`", partition.data_type);
        found.column("P010", Severity::Error, name, message);
    }
}

fn lint_date(found: &mut Findings<'_>, partition: &PartitionColumn, rule: &DateRule, now: i64) {
    let name = partition.name.as_str();
    for unit in rule.units().into_iter().filter(|unit| !unit.is_portable()) {
        let message = format!("date rule of `{name}` uses {}, which trino refuses: write DAYS or HOURS", unit.as_str());
        found.column("P005", Severity::Warn, name, message);
    }
    let (from, to) = rule.window(now);
    if from > to {
        found.column(
            "P005",
            Severity::Error,
            name,
            format!("date range of `{name}` is empty now: no row would be visible"),
        );
    } else if from == to && matches!((&rule.from, &rule.to), (Bound::Fixed { .. }, Bound::Fixed { .. })) {
        found.column("P005", Severity::Warn, name, format!("date range of `{name}` is one value, which trino refuses"));
    }
    if rule.format.chars().any(|c| c != '\'' && hive::is_escaped(c)) {
        let message = format!(
            "format `{}` of `{name}` has characters that are escaped in paths: write one such as `yyyy-MM-dd`",
            rule.format
        );
        found.column("P005", Severity::Warn, name, message);
    }
    let readable = match partition.data_type {
        DataType::Date => rule.format == "yyyy-MM-dd",
        DataType::Int | DataType::BigInt => rule.format.chars().all(|c| c.is_ascii_alphabetic()),
        _ => true,
    };
    if !readable {
        let message =
            format!("format `{}` of `{name}` is not what `{}` reads: write `string`", rule.format, partition.data_type);
        found.column("P010", Severity::Error, name, message);
    }
}

fn lint_properties(found: &mut Findings<'_>) {
    let rules = found.spec.partitions.iter().filter_map(|p| Some(p.projection.as_ref()?.properties(&p.name))).flatten();
    let own = found.spec.properties.iter().map(|(name, value)| (name.clone(), value.clone()));
    let bytes: usize = rules.chain(own).map(|(name, value)| name.len() + value.len()).sum();
    if bytes <= PROPERTIES_WARN {
        return;
    }
    let severity = if bytes <= PROPERTIES_MAX { Severity::Warn } else { Severity::Error };
    found.table(
        "P003",
        severity,
        format!("table properties have {bytes} bytes, and glue takes about {PROPERTIES_MAX}: shorten the enums"),
    );
}

fn lint_template(found: &mut Findings<'_>) {
    let spec = found.spec;
    let Some(template) = spec.properties.get("storage.location.template") else {
        return;
    };
    for partition in &spec.partitions {
        let placeholder = format!("${{{}}}", partition.name);
        if !template.contains(&placeholder) {
            let message = format!("storage.location.template has no `{placeholder}`: add it, or remove the template");
            found.column("P006", Severity::Error, &partition.name, message);
        }
    }
    if !template.ends_with('/') {
        found.table("P006", Severity::Error, "storage.location.template does not end in `/`: add it");
    }
    if !template.starts_with(&spec.location) {
        let message =
            format!("storage.location.template is not below the location {}: no file would be found", spec.location);
        found.table("P012", Severity::Error, message);
    }
    if spec.layout.is_some() {
        return found.table("P006", Severity::Error, "storage.location.template is generated from `layout`: remove it");
    }
    let default: Vec<String> = spec.partitions.iter().map(|p| format!("{0}=${{{0}}}/", p.name)).collect();
    if *template == format!("{}{}", spec.location, default.concat()) {
        found.table("P006", Severity::Warn, "storage.location.template is the default layout: remove it");
    } else {
        let message =
            "storage.location.template is not the layout the writer writes (name=value/name=value/): remove it";
        found.table("P006", Severity::Error, message);
    }
}

fn lint_keys(found: &mut Findings<'_>, context: &LintContext<'_>) {
    let spec = found.spec;
    if !context.keys.is_empty() {
        for partition in spec.partitions.iter().filter(|p| !context.keys.contains(&p.name.as_str())) {
            let name = &partition.name;
            found.column(
                "P010",
                Severity::Error,
                name,
                format!("partition column `{name}` has no key: add `{name}` to [keys]"),
            );
        }
        for key in context.keys.iter().filter(|key| !spec.partitions.iter().any(|p| p.name == **key)) {
            found.table(
                "P010",
                Severity::Error,
                format!("key `{key}` has no partition column: add a `[[partition]]` or remove it"),
            );
        }
    }
    for (key, count) in context.buckets {
        let Some(partition) = spec.partitions.iter().find(|p| p.name == *key) else { continue };
        let last = i64::try_from(count.saturating_sub(1)).unwrap_or(i64::MAX);
        let covers = match &partition.projection {
            Some(Rule::Integer { from: 0, to, interval: 1, digits: None }) => *to == last,
            Some(Rule::Injected) | None => true,
            Some(_) => false,
        };
        if !covers {
            let message = format!(
                "key `{key}` gives buckets 0 to {last}, and its projection something else: write `range = \"0,{last}\"`"
            );
            found.column("P010", Severity::Error, key, message);
        }
    }
}

fn lint_location(found: &mut Findings<'_>, context: &LintContext<'_>) {
    let Some(url) = context.writer_table_url else {
        return;
    };
    let location = &found.spec.location;
    if same_place(url) == same_place(location) {
        return;
    }
    let message = format!("location `{location}` is not where the writer writes, `{url}`: make them the same");
    // A lake on a local disk is a trial; its definitions are generated with the place given.
    let severity = if url.starts_with("file:") { Severity::Info } else { Severity::Error };
    found.table("P012", severity, message);
}

/// `s3a://b/p` and `s3://b/p/` name the same objects.
fn same_place(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let scheme = if matches!(scheme, "s3a" | "s3n") { "s3" } else { scheme };
    format!("{scheme}://{}", rest.trim_end_matches('/'))
}
