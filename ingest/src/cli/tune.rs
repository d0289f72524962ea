//! `alluvium tune`: what other buffers and layouts would come to, from a sample.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use writer::inventory;
use writer::objects::Objects;
use writer::store::Store;

use super::CliError;
use super::replay_progress::Progress;
use crate::config::{Config, fields, value};
use crate::source::replay::counters::ReplayCounters;
use crate::source::replay::dates::{Day, Days};
use crate::tune::cost::{Prices, Question};
use crate::tune::layout::Layout;
use crate::tune::logged::from_log;
use crate::tune::read::{Reader, archive_ratio, time_program};
use crate::tune::recommend::{Grid, Promise, Search, search};
use crate::tune::report::{Once, Report, SampleTold, SizesTold, html, name, rows, table};
use crate::tune::sample::{Asked, Rate, Sample, TimeSource, Timeline};
use crate::tune::sizes::{Point, SizeModel};
use crate::tune::trial::{Bench, Setting};

/// Events of a sample if `--events` does not say otherwise: about 120 bytes of memory each.
const EVENTS: u64 = 1_000_000;
/// Files that are read of a lake's log.
const LOGGED_FILES_MAX: usize = 500_000;
/// Days that the counted question asks for, and questions a day.
const QUESTION_DAYS: f64 = 30.0;
const QUESTIONS: f64 = 1_000.0;
/// What is tried beside what is configured: bytes, seconds, seconds.
const SIZES: [u64; 3] = [32 << 20, 128 << 20, 256 << 20];
const AGES: [u64; 4] = [60, 300, 900, 3_600];
const IDLES: [u64; 3] = [15, 60, 300];

/// Arguments of `tune`.
#[derive(Debug, Args)]
pub struct TuneArgs {
    /// The configuration file; its source is not read
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// What to learn from: raw objects or the archive (s3://bucket/prefix/, file:///folder/ or a path), or the lake itself
    /// (the URL of its table or of its state), of which the log is read
    #[arg(long, value_name = "URL")]
    pub sample: String,
    /// Only objects of this day (UTC) or later
    #[arg(long, value_name = "DATE")]
    pub from: Option<Day>,
    /// Only objects of this day or earlier
    #[arg(long, value_name = "DATE")]
    pub to: Option<Day>,
    /// Events of the sample at most
    #[arg(long, value_name = "COUNT", default_value_t = EVENTS, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    pub events: u64,
    /// How fast records come to one process: 500/s, "20 MB/s"; left out, as the sample's own times say
    #[arg(long, value_name = "RATE")]
    pub rate: Option<Rate>,
    /// jq program that gives an event's time, where records do not say when they arrived; left out, what the key of days is made of,
    /// else the first timestamp column
    #[arg(long, value_name = "JQ", conflicts_with = "rate")]
    pub time: Option<String>,
    /// Sizes to try, with commas between them
    #[arg(long, value_name = "SIZES", value_delimiter = ',', value_parser = buffer_size)]
    pub size: Vec<u64>,
    /// Ages to try
    #[arg(long, value_name = "TIMES", value_delimiter = ',', value_parser = buffer_age)]
    pub age: Vec<Duration>,
    /// Idle times to try
    #[arg(long, value_name = "TIMES", value_delimiter = ',', value_parser = buffer_idle)]
    pub idle: Vec<Duration>,
    /// Numbers of buckets to try, for each key with bucket(n); 0: none
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    pub buckets: Vec<u32>,
    /// Keys to try to do without; left out, each but those of time; `none`: no key
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    pub without: Vec<String>,
    /// Within which 99 of 100 rows have to be cut; left out, the configured age
    #[arg(long, value_name = "TIME", value_parser = schemas::quantity::duration)]
    pub freshness: Option<Duration>,
    /// Keys that a typical question names one value each of; left out, each but those of time
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    pub question: Option<Vec<String>>,
    /// Days that a typical question asks for
    #[arg(long, value_name = "DAYS", default_value_t = QUESTION_DAYS)]
    pub days: f64,
    /// Questions a day
    #[arg(long, value_name = "COUNT", default_value_t = QUESTIONS)]
    pub questions: f64,
    /// All figures as JSON, in place of the table
    #[arg(long)]
    pub json: bool,
    /// Write a page with plots too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

fn buffer_size(text: &str) -> Result<u64, String> {
    match of_field("size", text)? {
        value::Value::Size(bytes) => Ok(bytes),
        _ => Err("is no size".into()),
    }
}

fn buffer_age(text: &str) -> Result<Duration, String> {
    buffer_time("age", text)
}

fn buffer_idle(text: &str) -> Result<Duration, String> {
    buffer_time("idle", text)
}

fn buffer_time(field: &str, text: &str) -> Result<Duration, String> {
    match of_field(field, text)? {
        value::Value::Time(time) => Ok(time),
        _ => Err("is no time".into()),
    }
}

/// As `[buffer]` takes it, with its bounds.
fn of_field(name: &str, text: &str) -> Result<value::Value, String> {
    let section = fields::SECTIONS.iter().find(|section| section.name == "buffer");
    let field = section.and_then(|section| section.fields.iter().find(|field| field.name == name));
    let field = field.ok_or_else(|| format!("[buffer] has no {name}"))?;
    value::parse(field.kind, text, Path::new("/"))
}

/// Reads the sample, tries settings, tells what they come to.
pub(super) async fn run(args: TuneArgs, out: &mut impl Write) -> Result<(), CliError> {
    let config = super::load(&args.config)?;
    let layouts = layouts(&config, &args)?;
    let question = question(&layouts[0], &args)?;
    let objects = Objects::open(&args.sample, &config.lake)?;
    let own = [&config.lake.state, &config.lake.url];
    let is_own = own.iter().any(|place| objects.url().trim_end_matches('/') == place.trim_end_matches('/'));
    let learned = match is_own {
        true => Box::pin(from_lake(&config, layouts, &question.asked, &args)).await?,
        false => Box::pin(from_objects(&config, &objects, layouts, &question.asked, &args)).await?,
    };
    let report = tokio::task::spawn_blocking({
        let (config, url) = (config.clone(), objects.url());
        let asked = Asking { question, freshness: args.freshness, rate: args.rate };
        let grid = (args.size.clone(), args.age.clone(), args.idle.clone());
        move || report(&config, url, learned, asked, grid)
    });
    let report = report.await.map_err(|e| CliError::environment("simulating", e))??;
    if let Some(path) = &args.html {
        let told = |e: std::io::Error| CliError::environment(format!("writing {}", path.display()), e);
        std::fs::write(path, html::page(&report)).map_err(told)?;
        tracing::info!("the page is {}", path.display());
    }
    let text = match args.json {
        true => serde_json::to_string_pretty(&report).map_err(|e| CliError::environment("making JSON", e))? + "\n",
        false => table::text(&report),
    };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output)
}

/// The configured layout first.
fn layouts(config: &Config, args: &TuneArgs) -> Result<Vec<Layout>, CliError> {
    let base = Layout::configured(config);
    let names: Vec<&str> = base.keys.iter().map(|(name, _)| name.as_str()).collect();
    let mut named = args.without.iter().chain(args.question.iter().flatten()).filter(|key| *key != "none");
    if let Some(key) = named.find(|key| !key.is_empty() && !names.contains(&key.as_str())) {
        return Err(CliError::input(format!("there is no key `{key}`; the keys are {}", names.join(", "))));
    }
    let counts = |n: u32| match args.buckets.as_slice() {
        [] => vec![n / 4, n / 2, n.saturating_mul(2), n.saturating_mul(4)],
        given => given.to_vec(),
    };
    let time = base.time_keys();
    let dropped: Vec<&str> = match args.without.as_slice() {
        [] => names.iter().copied().filter(|name| !time.iter().any(|t| t == name)).collect(),
        given => given.iter().map(String::as_str).collect(),
    };
    let mut layouts = vec![base.clone()];
    let buckets = base.buckets();
    for (key, n) in &buckets {
        layouts.extend(counts(*n).into_iter().filter_map(|to| base.with_buckets(key, to)));
    }
    layouts.extend(dropped.into_iter().filter_map(|key| base.without(key)));
    let mut seen = BTreeSet::new();
    layouts.retain(|layout| seen.insert(layout.change.text()));
    Ok(layouts)
}

fn question(base: &Layout, args: &TuneArgs) -> Result<Question, CliError> {
    let time = base.time_keys();
    let of_table = base.keys.iter().map(|(name, _)| name.clone()).filter(|name| !time.contains(name));
    let named = args.question.clone().unwrap_or_else(|| of_table.collect());
    let named: Vec<String> = named.into_iter().filter(|key| !key.is_empty() && key != "none").collect();
    let time = time.into_iter().filter(|key| !named.contains(key)).collect();
    let days_can_be = args.days > 0.0 && args.days <= 100_000.0;
    if !days_can_be || !(0.0..=1e12).contains(&args.questions) {
        return Err(CliError::input("--days and --questions: write numbers that can be, such as 30 and 1000"));
    }
    Ok(Question { asked: Asked { named, time }, days: args.days, per_day: args.questions })
}

/// What a sample has taught.
struct Learned {
    sample: Sample,
    kind: &'static str,
    layouts: Vec<Layout>,
    /// Of the configured layout.
    points: Vec<Point>,
    sizes: Vec<SizeModel>,
    archive_ratio: f64,
    misfits_per_1000: f64,
    times: TimeSource,
    notes: Vec<String>,
}

async fn from_objects(
    config: &Config,
    objects: &Objects,
    layouts: Vec<Layout>,
    asked: &Asked,
    args: &TuneArgs,
) -> Result<Learned, CliError> {
    let mut listed = objects.list().await?;
    if listed.is_empty() {
        return Err(CliError::input(format!("{}: there is no object", objects.url())));
    }
    let days = Days { from: args.from, to: args.to };
    listed.retain(|object| days.has(object));
    if listed.is_empty() {
        return Err(CliError::input(format!("{}: there is no object of these days", objects.url())));
    }
    let time = args.time.clone().or_else(|| time_program(&layouts[0]));
    let reader = Reader::new(config, &layouts, asked.clone(), time.as_deref(), args.events)?;
    let counters = Arc::new(ReplayCounters::default());
    counters.bytes_in_all.store(listed.iter().map(|object| object.size).sum(), Ordering::Relaxed);
    counters.objects_in_all.store(listed.len() as u64, Ordering::Relaxed);
    let progress = Progress::start(counters.clone(), false);
    let read = reader.run(objects, &listed, &counters).await;
    progress.end().await;
    let (mut read, routers) = read?;
    usable(&read.sample, objects, args)?;
    read.sample.finish(args.rate.is_none());
    tracing::info!(events = read.sample.events, "the sample is read; encoding a part of it");
    let measuring = tokio::task::spawn_blocking(move || {
        let rules = routers.iter().map(|router| router.file_rules().clone());
        let measured = read.kept.iter().zip(rules).map(|(kept, rules)| kept.measure(&rules, &read.shard));
        (measured.collect::<Result<Vec<_>, _>>(), read.sample, read.archive_text)
    });
    let (measured, sample, archive_text) = measuring.await.map_err(|e| CliError::environment("encoding", e))?;
    let measured = measured?;
    let first = &measured[0];
    if first.misfits > 0 && first.misfits == first.rows {
        let why = first.first_misfit.as_deref().unwrap_or("no reason");
        return Err(CliError::input(format!("no row that was encoded fits the table's columns; the first: {why}")));
    }
    let times = match sample.arrivals {
        0 => TimeSource::Event,
        all if all == sample.events => TimeSource::Arrival,
        _ => TimeSource::Both,
    };
    let mut notes = notes_of(&sample, args);
    if first.misfits > 0 {
        let (of, why) = (first.misfits as f64 * 100.0 / first.rows as f64, first.first_misfit.as_deref());
        notes.push(format!(
            "{of:.1} % of the rows do not fit a column and are counted as rows; the first: {}",
            why.unwrap_or_default()
        ));
    }
    Ok(Learned {
        sample,
        kind: "raw objects",
        layouts,
        points: first.points.clone(),
        misfits_per_1000: first.misfits as f64 * 1000.0 / first.rows.max(1) as f64,
        sizes: measured.iter().map(SizeModel::of).collect(),
        archive_ratio: archive_ratio(&archive_text),
        times,
        notes,
    })
}

/// What a sample must have.
fn usable(sample: &Sample, objects: &Objects, args: &TuneArgs) -> Result<(), CliError> {
    if sample.events == 0 {
        let why = sample.broken.first().map_or(String::new(), |first| format!(" ({first})"));
        return Err(CliError::input(format!("{}: its {} objects hold no record{why}", objects.url(), sample.objects)));
    }
    if sample.rejected() == sample.events {
        let reasons: Vec<String> = sample.rejects.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        let first = sample.first_reject.as_deref().unwrap_or_default();
        return Err(CliError::input(format!(
            "every event of the sample is rejected ({}); the first: {first}; `alluvium explain` tells it of each",
            reasons.join(", ")
        )));
    }
    if args.rate.is_none() && sample.untimed == sample.events {
        return Err(CliError::input(
            "the sample does not say when its events came; give a rate (--rate 500/s), or the program of their time (--time)",
        ));
    }
    Ok(())
}

fn notes_of(sample: &Sample, args: &TuneArgs) -> Vec<String> {
    let mut notes: Vec<String> = sample.ended_early.iter().cloned().collect();
    notes.extend(sample.broken.iter().map(|what| format!("{what}; what stands before that is used")));
    if args.rate.is_none() && sample.untimed > 0 {
        notes.push(format!("{} events do not tell their time and have that of the event before", sample.untimed));
    }
    notes
}

async fn from_lake(config: &Config, layouts: Vec<Layout>, asked: &Asked, args: &TuneArgs) -> Result<Learned, CliError> {
    if args.from.is_some() || args.to.is_some() {
        return Err(CliError::input("--from and --to choose raw objects; a lake's log is read as a whole"));
    }
    let state = Store::open(&config.lake.state, &config.lake)?;
    let (cuts, is_all) = inventory::cuts(&state, LOGGED_FILES_MAX).await?;
    if cuts.is_empty() {
        return Err(CliError::input(format!("{}: its log names no file yet", config.lake.state)));
    }
    let age = i64::try_from(config.buffer.age.as_millis()).unwrap_or(i64::MAX);
    let learned = from_log(cuts, &layouts, asked, age);
    if learned.sample.events == 0 {
        return Err(CliError::input(format!("{}: its log names no file of the table", config.lake.state)));
    }
    let mut notes = vec![
        "a log says when files were cut, not when rows came: those are taken to have come evenly within the configured age".into(),
    ];
    if !is_all {
        notes.push(format!("the first {LOGGED_FILES_MAX} files of the log are used"));
    }
    let names: Vec<String> = learned.unknown.iter().map(|at| layouts[*at].change.text()).collect();
    if !names.is_empty() {
        notes
            .push(format!("not tried, since paths do not tell it: {}; a sample of raw objects does", names.join(", ")));
    }
    let known = |at: &usize| !learned.unknown.contains(at);
    let mut sample = learned.sample;
    let mut at = 0..;
    sample.layouts.retain(|_| at.next().is_some_and(|at| known(&at)));
    let layouts: Vec<Layout> = (0..).zip(layouts).filter(|(at, _)| known(at)).map(|(_, layout)| layout).collect();
    let model = SizeModel::through(&learned.points);
    Ok(Learned {
        sample,
        kind: "the lake's log",
        sizes: vec![model; layouts.len()],
        layouts,
        points: learned.points,
        archive_ratio: learned.archive_ratio.unwrap_or(1.0),
        misfits_per_1000: 0.0,
        times: TimeSource::Log,
        notes,
    })
}

/// What is asked of the settings.
struct Asking {
    question: Question,
    freshness: Option<Duration>,
    rate: Option<Rate>,
}

type Given = (Vec<u64>, Vec<Duration>, Vec<Duration>);

fn report(config: &Config, url: String, learned: Learned, asking: Asking, given: Given) -> Result<Report, CliError> {
    let Learned { sample, kind, layouts, points, sizes, archive_ratio, misfits_per_1000, times, notes } = learned;
    let timeline = match asking.rate {
        Some(rate) => Timeline::at_rate(&sample.layouts[0], rate),
        None => Timeline::own(&sample)
            .ok_or_else(|| CliError::input("all events of the sample have one time; give a rate (--rate 500/s)"))?,
    };
    let told = told(&sample, &timeline, url, kind, misfits_per_1000, asking.rate.is_none().then_some(times));
    let (buffer, prices) = (config.buffer.clone(), Prices::listed());
    let grid = grid(given, &asking, layouts.len());
    let bench = Bench { sample, layouts, timeline, sizes, archive_ratio, buffer, question: asking.question, prices };
    let freshness = asking.freshness.unwrap_or(config.buffer.age);
    let promise = Promise { freshness_ms: freshness.as_millis() as u64, memory_bytes: bench.memory_mark() };
    let Search { trials, recommended } = tried(&bench, &grid, &promise);
    let once = Once::of(&bench.once(&Setting::of(&bench.buffer)));
    let rows = rows(&bench, &trials, &promise);
    let chosen = trials.iter().find(|trial| trial.setting == recommended.setting);
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        config: config.file.clone(),
        sample: told,
        question: bench.question.clone(),
        promise,
        once,
        sizes: SizesTold::of(&bench.sizes[0], &points),
        recommended_name: chosen.map_or(String::new(), |trial| name(&Setting::of(&bench.buffer), trial)),
        trials: rows,
        recommended,
        notes,
        prices: bench.prices.clone(),
    };
    report.notes.extend(notes_of_sizes(&report));
    report.notes.extend(note_of_days(&bench));
    Ok(report)
}

fn tried(bench: &Bench, grid: &Grid, promise: &Promise) -> Search {
    let style = ProgressStyle::with_template("{spinner} simulating, {human_pos} events, {per_sec}, {elapsed}");
    let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    tracing::info!(events = bench.timeline.at.len(), layouts = bench.layouts.len(), "simulating");
    let search = search(bench, grid, promise, &|items| bar.inc(items));
    bar.finish_and_clear();
    tracing::info!(settings = search.trials.len(), "simulated");
    search
}

fn grid((sizes, ages, idles): Given, asking: &Asking, layouts: usize) -> Grid {
    let seconds = |all: &[u64]| all.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>();
    let mut ages = if ages.is_empty() { seconds(&AGES) } else { ages };
    ages.extend(asking.freshness);
    Grid {
        sizes: if sizes.is_empty() { SIZES.to_vec() } else { sizes },
        ages,
        idles: if idles.is_empty() { seconds(&IDLES) } else { idles },
        layouts: (0..layouts).collect(),
    }
}

fn told(
    sample: &Sample,
    timeline: &Timeline,
    url: String,
    kind: &'static str,
    misfits_per_1000: f64,
    times: Option<TimeSource>,
) -> SampleTold {
    let seconds = timeline.period as f64 / 1000.0;
    SampleTold {
        url,
        kind,
        objects: sample.objects,
        records: sample.records,
        events: sample.events,
        event_bytes: sample.event_bytes,
        rejects: sample.rejects.clone(),
        misfits_per_1000,
        partitions: sample.layouts[0].partitions(),
        seconds,
        records_per_second: sample.events as f64 / seconds,
        bytes_per_second: sample.event_bytes as f64 / seconds,
        times,
    }
}

/// Files that are larger than what was encoded.
fn notes_of_sizes(report: &Report) -> Option<String> {
    let (data, file) = report.sizes.curve.knots().last().copied()?;
    let largest = report.chosen()?.trial.told()?.file_bytes.p95;
    let size = crate::tune::recommend::size;
    (largest as f64 > 2.0 * file).then(|| {
        format!(
            "files of {} are extrapolated: the largest that were encoded have {} of {} of events",
            size(largest),
            size(file as u64),
            size(data as u64)
        )
    })
}

/// A history at a rate opens partitions that live records would not.
fn note_of_days(bench: &Bench) -> Option<String> {
    let (values, days) = (bench.sample.layouts[0].time_values, bench.timeline.period as f64 / 86_400_000.0);
    (values as f64 > 3.0 + 2.0 * days).then(|| {
        format!(
            "the sample has {values} values of {} in {:.1} days: a history opens more partitions at once than live records do; an hour \
             or a day of the archive says more of those",
            bench.question.asked.time.join(", "),
            days
        )
    })
}
