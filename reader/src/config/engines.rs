//! Which engine answers, and what Athena has to be told.

use std::time::Duration;

use schemas::quantity::duration;
use schemas::table::TableSpec;

use super::LakeSettings;
use super::text::Text;

/// What turns questions into rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineSettings {
    /// In this process, over the lake's files.
    DataFusion,
    Athena(AthenaSettings),
}

/// How Athena is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AthenaSettings {
    pub workgroup: String,
    pub database: String,
    pub catalog: String,
    /// Where results go; none: where the workgroup says.
    pub output: Option<String>,
    /// How old an earlier result may be to stand for a new one; none: never.
    pub reuse: Option<Duration>,
    pub endpoint_url: Option<String>,
    /// Where the SDK's own chain names none.
    pub region: Option<String>,
}

/// Engines by name; the first is the default.
pub const ENGINES: [&str; 2] = ["datafusion", "athena"];
/// What Athena itself takes where nothing is said.
pub const WORKGROUP: &str = "primary";
pub const CATALOG: &str = "AwsDataCatalog";

/// Fields that mean something to Athena alone.
const ATHENAS: [&str; 6] =
    ["athena_workgroup", "athena_database", "athena_catalog", "athena_output", "athena_reuse", "athena_endpoint_url"];

/// `None` only where a problem has been said.
pub(super) fn read(typed: &mut Text<'_>, spec: &TableSpec, lake: &LakeSettings) -> Option<EngineSettings> {
    let engine = typed.string("reader", "engine").unwrap_or_else(|| ENGINES[0].into());
    match engine.as_str() {
        "datafusion" => without_athena(typed),
        "athena" => athena(typed, spec, lake),
        _ => {
            typed.say("reader", "engine", format!("`engine` is unknown; write one of {}", ENGINES.join(", ")));
            None
        }
    }
}

fn without_athena(typed: &mut Text<'_>) -> Option<EngineSettings> {
    let unused = typed.names("reader").into_iter().find(|name| ATHENAS.contains(&name.as_str()));
    let Some(name) = unused else { return Some(EngineSettings::DataFusion) };
    typed.say(
        "reader",
        &name,
        format!("`{name}` says nothing without engine = \"athena\"; write that too, or remove it"),
    );
    None
}

fn athena(typed: &mut Text<'_>, spec: &TableSpec, lake: &LakeSettings) -> Option<EngineSettings> {
    if !lake.url.starts_with("s3://") {
        typed.say("reader", "engine", "`engine` is athena, which reads S3 alone; write \"datafusion\" for this lake");
        return None;
    }
    let output = typed.string("reader", "athena_output");
    if output.as_ref().is_some_and(|output| !output.starts_with("s3://")) {
        typed.say("reader", "athena_output", "`athena_output` is no place in S3; write \"s3://bucket/prefix/\"");
        return None;
    }
    let mut name = |field: &str, default: &str| typed.string("reader", field).unwrap_or_else(|| default.into());
    let settings = AthenaSettings {
        workgroup: name("athena_workgroup", WORKGROUP),
        database: name("athena_database", &spec.database),
        catalog: name("athena_catalog", CATALOG),
        output: output.map(|output| format!("{}/", output.trim_end_matches('/'))),
        reuse: reuse(typed)?,
        endpoint_url: typed.string("reader", "athena_endpoint_url"),
        region: lake.region.clone(),
    };
    Some(EngineSettings::Athena(settings))
}

/// Whole minutes, a week at most: Athena counts no others.
fn reuse(typed: &mut Text<'_>) -> Option<Option<Duration>> {
    let text = typed.names("reader").iter().any(|name| name == "athena_reuse");
    if !text {
        return Some(None);
    }
    let read = typed.string("reader", "athena_reuse").map(|text| duration(&text))?;
    let wrong = match read {
        Ok(age) if age < Duration::from_secs(60) => "is too small; write \"1 min\" or more".to_string(),
        Ok(age) if age > Duration::from_secs(7 * 24 * 3600) => "is too large; write \"10080 min\" or less".into(),
        Ok(age) => return Some(Some(age)),
        Err(message) => message,
    };
    typed.say("reader", "athena_reuse", format!("`athena_reuse` {wrong}"));
    None
}
