//! Another configuration in the middle of a run: what differs, whether all of it may hold, and the way there.
//!
//! All or nothing: a change that cannot hold as a whole is refused as a whole, before anything is touched. Then, in this order:
//! 1. the pipeline takes in what was routed under the old rules, cuts and stores it, and goes on under the new ones;
//! 2. rates and log levels follow, which cannot fail.
//!
//! A process that dies between the two has done what a restart with the new file would do.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use schemas::lint;
use schemas::problem::Problem;
use schemas::rules::Rules;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use crate::config::reload::{When, when};
use crate::config::{self, Config, SourceConfig};
use crate::logs;
use crate::pipeline::Change;
use crate::route::Router;
use crate::source::intake::server::Intake;
use crate::source::{Rate, Source};

/// One field that is another now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// `[buffer] age`.
    pub field: String,
    /// As written, or the default; nothing where there is none.
    pub from: Option<String>,
    pub to: Option<String>,
    pub holds: Holds,
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    AtOnce,
    NextFiles,
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Holds::AtOnce => "at once",
            Holds::NextFiles => "for files begun from now on",
        })
    }
}

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Unchanged,
    Changed { changes: Vec<Difference> },
    Refused { problems: Vec<String> },
}

/// What differs; or why it cannot hold.
pub fn compare(old: &Config, new: &Config) -> Result<Vec<Difference>, Vec<String>> {
    let (mut changes, mut problems) = (Vec::new(), Vec::new());
    let empty = Map::new();
    let (before, after) = (old.shown().as_object().unwrap_or(&empty), new.shown().as_object().unwrap_or(&empty));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for section in names {
        let of = |all: &Map<String, Value>| all.get(section).and_then(Value::as_object).cloned().unwrap_or_default();
        for (field, from, to) in differing(&of(before), &of(after)) {
            let named = format!("[{section}] {field}");
            match when(section, &field) {
                When::AtOnce => changes.push(Difference { field: named, from, to, holds: Holds::AtOnce }),
                When::NextFiles => changes.push(Difference { field: named, from, to, holds: Holds::NextFiles }),
                When::Restart(why) => problems.push(format!("{named}: needs a restart: {why}")),
                When::Elsewhere(why) => {
                    problems.push(format!("{named}: nothing to do here: {why}; put it back to reload the rest"))
                }
            }
        }
    }
    compare_tables(old, new, &mut changes, &mut problems);
    if problems.is_empty() { Ok(changes) } else { Err(problems) }
}

/// Fields that stand otherwise, by name.
fn differing(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<(String, Option<String>, Option<String>)> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let text =
        |value: Option<&Value>| value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_string));
    let differs = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differs.map(|name| (name.clone(), text(before.get(name)), text(after.get(name)))).collect()
}

/// The table may grow: rows that are stored stay where readers look, and as what they are read.
fn compare_tables(old: &Config, new: &Config, changes: &mut Vec<Difference>, problems: &mut Vec<String>) {
    if old.table.text == new.table.text {
        return;
    }
    let file = new.table_file.display().to_string();
    if old.table.name != new.table.name {
        problems.push(format!(
            "{file}: is of table `{}`, and `{}` is running: it needs a restart",
            new.table.name, old.table.name
        ));
    }
    let lost = lint::compare(&old.table, &new.table);
    problems.extend(lost.iter().map(|found| match found.line {
        Some(line) => format!("{file}:{line}: {}", found.message),
        None => format!("{file}: {}", found.message),
    }));
    let had: Vec<&str> = old.table.columns.iter().map(|column| column.name.as_str()).collect();
    let added: Vec<&str> =
        new.table.columns.iter().map(|column| column.name.as_str()).filter(|name| !had.contains(name)).collect();
    let what = if added.is_empty() { "changed".to_string() } else { format!("with {}", added.join(", ")) };
    changes.push(Difference { field: file, from: None, to: Some(what), holds: Holds::NextFiles });
}

/// Reloads the configuration of a process that runs. One at a time.
#[derive(Debug)]
pub struct Reloader {
    path: PathBuf,
    current: Mutex<Arc<Config>>,
    pipeline: mpsc::Sender<Change>,
    source: Arc<dyn Source>,
    /// The endpoint that forwards to the stream, where there is one.
    forward: Option<Arc<Intake>>,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl Reloader {
    /// Changes go to whoever has the other end.
    pub fn new(
        path: PathBuf,
        config: Config,
        source: Arc<dyn Source>,
        forward: Option<Arc<Intake>>,
    ) -> (Arc<Reloader>, mpsc::Receiver<Change>) {
        let (pipeline, changes) = mpsc::channel(1);
        let current = Mutex::new(Arc::new(config));
        let one_at_a_time = tokio::sync::Mutex::default();
        (Arc::new(Reloader { path, current, pipeline, source, forward, one_at_a_time }), changes)
    }

    /// What runs now.
    pub fn current(&self) -> Arc<Config> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again and follows it.
    pub async fn reload(&self) -> Outcome {
        let _alone = self.one_at_a_time.lock().await;
        let outcome = self.follow().await.unwrap_or_else(|problems| Outcome::Refused { problems });
        match &outcome {
            Outcome::Unchanged => tracing::info!("reload: nothing has changed"),
            Outcome::Refused { problems } => {
                tracing::error!(problems = problems.join("; "), "reload: refused, the old configuration goes on")
            }
            Outcome::Changed { changes } => {
                for Difference { field, from, to, holds } in changes {
                    tracing::info!(field, from, to, %holds, "reload: changed");
                }
            }
        }
        outcome
    }

    async fn follow(&self) -> Result<Outcome, Vec<String>> {
        let old = self.current();
        let told = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        let new = config::load(&self.path, &config::process_env).map_err(told)?;
        let changes = compare(&old, &new)?;
        if changes.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let rules = new.rules();
        let rules = match rules == old.rules() {
            true => None,
            false => Some((Router::compile(&rules, &new.file).map_err(told)?, rules)),
        };
        self.change_pipeline(&new, rules).await?;
        self.change_rates(&new.source);
        logs::follow(&new.log_filter);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(Outcome::Changed { changes })
    }

    async fn change_pipeline(&self, new: &Config, rules: Option<(Router, Rules)>) -> Result<(), Vec<String>> {
        let (done, held) = oneshot::channel();
        let change = Change { buffer: new.buffer.clone(), rules, done };
        let stopping = || vec!["the process is stopping, or starting again: try once more".to_string()];
        self.pipeline.send(change).await.map_err(|_| stopping())?;
        held.await.map_err(|_| stopping())
    }

    fn change_rates(&self, source: &SourceConfig) {
        if let Some(rate) = source.rate() {
            self.source.set_rate(rate);
        }
        if let (Some(intake), Some(rate)) = (&self.forward, source.forward_rate()) {
            intake.set_rates(rate);
        }
    }
}

impl SourceConfig {
    /// How fast the source takes records, where it has such a limit.
    fn rate(&self) -> Option<Rate> {
        match self {
            SourceConfig::Kinesis { settings, .. } => Some(settings.rate()),
            SourceConfig::Intake(settings) => Some(settings.endpoint.limits.rate()),
            SourceConfig::Kcl(_) => None,
        }
    }

    fn forward_rate(&self) -> Option<Rate> {
        match self {
            SourceConfig::Kinesis { forward, .. } => forward.as_ref().map(|endpoint| endpoint.limits.rate()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("../../schemas/tables/attribute_events.toml");
    const REST: &str = "[keys]\ncreated_date = '.created_at | utc_date'\nattribute_name = '.attribute_name'\n\
        entity_id_mod = '.entity_id | bucket(10)'\n[table]\nspec = \"table.toml\"\n[lake]\nurl = \"lake\"\nerrors = \"errors\"\n\
        state = \"state\"\n";

    fn config(source: &str, table: &str, more: &str) -> Config {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("alluvium.toml");
        let text = format!("version = 1\n[source.intake]\njournal = \"/journal\"\n{source}{REST}{more}");
        let text = ["lake", "errors", "state"]
            .iter()
            .fold(text, |text, name| text.replace(&format!("\"{name}\""), &format!("\"/{name}/\"")));
        std::fs::write(&file, text).expect("written");
        std::fs::write(folder.path().join("table.toml"), table).expect("written");
        config::load(&file, &|_| None).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn told(source: &str, table: &str, more: &str) -> Result<Vec<String>, Vec<String>> {
        let changes = compare(&config("", TABLE, ""), &config(source, table, more))?;
        let line = |d: &Difference| {
            format!(
                "{} {}: {}",
                d.field.rsplit('/').next().unwrap_or_default(),
                d.holds,
                d.to.clone().unwrap_or_default()
            )
        };
        Ok(changes.iter().map(line).collect())
    }

    #[test]
    fn buffers_rates_and_levels_hold_at_once_and_file_settings_for_the_next_files() {
        assert_eq!(told("", TABLE, ""), Ok(Vec::new()));
        let more = "[buffer]\nage = \"5 s\"\n[log]\nfilter = \"debug\"\n[parquet]\ncompression = \"snappy\"\n[archive]\nage = \"9 s\"\n";
        let want = [
            "[archive] age at once: 9 s",
            "[buffer] age at once: 5 s",
            "[log] filter at once: debug",
            "[parquet] compression for files begun from now on: snappy",
            "[source.intake] bytes_per_second at once: 1 MiB",
        ];
        assert_eq!(told("bytes_per_second = \"1 MiB\"\n", TABLE, more), Ok(want.map(str::to_string).to_vec()));
    }

    #[test]
    fn a_table_may_grow_and_not_shrink() {
        let grown = TABLE.replacen("[[column]]", "[[column]]\nname = \"extra\"\ntype = \"string\"\n\n[[column]]", 1);
        assert_eq!(told("", &grown, ""), Ok(vec!["table.toml for files begun from now on: with extra".to_string()]));
        let problems = compare(&config("", &grown, ""), &config("", TABLE, "")).expect_err("a column is gone");
        assert!(problems[0].contains("column `extra` is gone"), "{problems:?}");
    }

    #[test]
    fn what_needs_a_restart_is_refused_with_the_reason_and_takes_the_rest_with_it() {
        let problems = told("listen = \"127.0.0.1:9\"\n", TABLE, "[buffer]\nage = \"5 s\"\n[reader]\nrows = 5\n")
            .expect_err("refused");
        assert!(problems[0].starts_with("[reader]") && problems.len() >= 2, "{problems:?}");
        let listen = problems.last().expect("two");
        assert_eq!(listen, "[source.intake] listen: needs a restart: the source is opened at the start");
    }
}
