//! `alluvium replay --rebuild`: the table written anew beside the live one, checked against its source, and what switches readers.
//!
//! On stdout stands SQL and nothing else: statements, and comments for people.

use std::io::Write;
use std::sync::Arc;

use schemas::ddl::{Dialect, generate, switch};
use writer::objects::Objects;
use writer::settings::LakeSettings;
use writer::store::{Lake, Store};
use writer::stored::stored;

use super::replay::{Done, Plans, read};
use super::replay_progress::Progress;
use super::{CliError, ReplayArgs};
use crate::catalog::{Catalog, CatalogError, Switched};
use crate::config::Config;
use crate::rebuild::compare::{Counts, Difference, differences};
use crate::rebuild::live::Live;
use crate::rebuild::marker::Marker;
use crate::rebuild::places;
use crate::rebuild::recount::Recount;
use crate::route::fingerprint;
use crate::source::replay::counters::ReplayCounters;
use crate::source::split::Task;

/// Differences that are told one by one.
const TOLD_MAX: usize = 100;
/// Shards of a live process that are named.
const NAMED_MAX: usize = 3;

/// A rebuild of the configured table.
#[derive(Debug)]
pub(super) struct Rebuild {
    /// The lake that readers see.
    live: LakeSettings,
}

impl Rebuild {
    /// Makes `config` that of the new table.
    pub(super) fn aside(args: &ReplayArgs, config: &mut Config, source: &str) -> Result<Rebuild, CliError> {
        let new = places::rebuilt(&config.lake, args.version.as_ref(), source).map_err(CliError::input)?;
        let live = std::mem::replace(&mut config.lake, new);
        tracing::info!(live = live.url, new = config.lake.url, state = config.lake.state, "the table is written anew");
        Ok(Rebuild { live })
    }

    /// Nothing else may lie there.
    pub(super) async fn begin(&self, config: &Config, source: &str) -> Result<(), CliError> {
        let marker = Marker::new(&fingerprint(&config.rules()), source, &self.live.url);
        Ok(marker.begin(&Lake::open(&config.lake)?).await?)
    }

    /// Reads what is left, then checks all and says what switches readers.
    pub(super) async fn run(
        &self,
        config: &Config,
        plans: Plans,
        apply: bool,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        let (objects, planned, task) = (plans.objects.clone(), plans.planned.clone(), plans.task);
        let accepted = plans.accepted.clone();
        let Done { summary, outcome } = read(config, plans).await?;
        let mut say = Say(out);
        say.comment(&format!("read now: {summary}"))?;
        outcome?;
        if task != Task::WHOLE {
            return say.comment(
                "when all tasks are through, run it without --task: it checks, and says what switches readers",
            );
        }
        let (state, rules) = (Store::open(&config.lake.state, &config.lake)?, config.rules());
        let counters = Arc::new(ReplayCounters::default());
        let recount = Recount { state: &state, objects: &objects, rules: &rules, accepted, counters: counters.clone() };
        let progress = Progress::start(counters, false);
        let counted = recount.run(planned).await;
        progress.end().await;
        check(config, &objects, &counted?, &mut say).await?;
        let live = Live::read(&Store::open(&self.live.state, &self.live)?).await?;
        self.tell_of_live(&live, &mut say)?;
        match apply {
            true => self.apply(config, &mut say).await?,
            false => self.statements(config, &live, &mut say)?,
        }
        let LakeSettings { url, errors, .. } = &config.lake;
        say.comment(&format!(
            "then, before the live process is started again, under [lake]: url = \"{url}\", errors = \"{errors}\"; state and archive stay"
        ))
    }

    fn tell_of_live(&self, live: &Live, say: &mut Say<'_, impl Write>) -> Result<(), CliError> {
        if live.held.is_empty() {
            return Ok(());
        }
        let named: Vec<&str> = live.held.iter().take(NAMED_MAX).map(String::as_str).collect();
        let more = if live.held.len() > NAMED_MAX { ", ..." } else { "" };
        say.comment(&format!(
            "the live table is still written: {}{more}; what comes from here on is not in the new one. Stop the process with SIGTERM, \
             run this again for what has come since, switch, and start it with the new places",
            named.join(", ")
        ))
    }

    fn statements(&self, config: &Config, live: &Live, say: &mut Say<'_, impl Write>) -> Result<(), CliError> {
        let before = live.before(&config.table);
        let switch = switch::switch(&config.table, before, &self.live.url, &config.lake.url);
        if before.is_none() {
            say.comment(
                "the live table's state does not say how it is defined: taken to be as it is now but for its root",
            )?;
        }
        if !switch.changed.is_empty() {
            say.comment(&format!(
                "more than the root changes ({}): all statements belong together, with no query in between; --apply makes it one \
                 request to glue",
                switch.changed.join("; ")
            ))?;
        }
        switch.statements.iter().try_for_each(|statement| say.line(statement))
    }

    async fn apply(&self, config: &Config, say: &mut Say<'_, impl Write>) -> Result<(), CliError> {
        let spec = switch::moved(&config.table, &self.live.url, &config.lake.url);
        let json = generate(&spec, Dialect::Glue, Some(&config.lake.url));
        let catalog = Catalog::connect(self.live.region.as_deref()).await?;
        let table = format!("{}.{}", spec.database, spec.name);
        let looked = catalog.look(&spec.database, &spec.name).await?;
        match looked.switch(&self.live.url, &json).await? {
            Switched::Already => say.comment(&format!("glue table {table} lies at {} already", config.lake.url)),
            Switched::From(version) => {
                let from = version.map(|version| format!(" (from its version {version})")).unwrap_or_default();
                say.comment(&format!("glue table {table} lies at {} now{from}", config.lake.url))
            }
        }
    }
}

/// Source against lake, by partition.
async fn check(
    config: &Config,
    objects: &Objects,
    source: &Counts,
    say: &mut Say<'_, impl Write>,
) -> Result<(), CliError> {
    let stored = stored(&Lake::open(&config.lake)?).await?;
    let differ = differences(source, &stored);
    for difference in differ.iter().take(TOLD_MAX) {
        say.comment(&told(difference))?;
    }
    let (new, url) = (&config.lake.url, objects.url());
    if !differ.is_empty() {
        return Err(CliError::input(format!(
            "{new} does not hold what {url} has: {} partitions or folders differ; readers stay where they are",
            differ.len()
        )));
    }
    if let [first, ..] = &*stored.foreign {
        return Err(CliError::input(format!("{first} came there meanwhile, and is not the rebuild's own")));
    }
    let (rows, unfit): (u64, u64) = (stored.rows.values().sum(), stored.unfit.values().sum());
    let rejects = unfit + stored.rejects.values().sum::<u64>();
    say.comment(&format!(
        "{new}: {rows} rows in {} files of {} partitions, and {rejects} rejects, are the {} events in {} objects of {url}",
        stored.files,
        stored.rows.len(),
        source.events(),
        source.objects
    ))
}

fn told(difference: &Difference) -> String {
    let Difference { place, events, rows, rejects } = difference;
    format!("differs: {place}: {events} events in the source, {rows} rows and {rejects} rejects in the lake")
}

/// Lines of SQL.
struct Say<'a, W>(&'a mut W);

impl<W: Write> Say<'_, W> {
    fn comment(&mut self, text: &str) -> Result<(), CliError> {
        self.line(&format!("-- {}", text.replace(['\n', '\r'], " ")))
    }

    fn line(&mut self, text: &str) -> Result<(), CliError> {
        writeln!(self.0, "{text}").and_then(|()| self.0.flush()).map_err(CliError::output)
    }
}

impl From<CatalogError> for CliError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Input(message) => CliError::input(message),
            CatalogError::Environment(message) => CliError { kind: super::Kind::Environment, message },
        }
    }
}
