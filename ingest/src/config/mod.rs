//! Configuration in two steps: what was typed ([`typed`], checked without IO) and what runs ([`Config`]).
//!
//! Every problem is reported, each as `file:line: what is wrong; what to write instead`. Fields are declared in [`fields`].

pub mod docs;
pub mod fields;
mod intake;
pub mod reload;
mod source;
#[cfg(test)]
mod tests;
pub mod typed;
pub mod value;

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemas::problem::{Problem, nearest};
use schemas::rules::{DecodeSettings, JqCompat, ParquetSettings, Rules};
use schemas::table::TableSpec;
use writer::settings::{ArchiveSettings, BufferSettings, LakeSettings};

use crate::keys::{Budget, Keys};
use crate::logs;
pub use schemas::env::Lookup;
pub use source::SourceConfig;
use typed::{Key, Typed};
use value::Value;

/// What runs: validated, resolved, data only.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from, as the user named it.
    pub file: String,
    pub source: SourceConfig,
    /// Key name and jq program, in the table's partition order.
    pub keys: Vec<(String, String)>,
    /// Line of each key in `file`.
    pub key_lines: Vec<usize>,
    pub table: TableSpec,
    /// The file of the table spec.
    pub table_file: PathBuf,
    pub lake: LakeSettings,
    pub buffer: BufferSettings,
    pub parquet: ParquetSettings,
    pub decode: DecodeSettings,
    pub jq_compat: JqCompat,
    /// Where the admin endpoint listens; `None`: off.
    pub admin: Option<SocketAddr>,
    /// What is logged, see [`crate::logs`].
    pub log_filter: String,
    shown: serde_json::Value,
}

impl Config {
    /// Everything that decides which file a record goes to and what that file's bytes are.
    pub fn rules(&self) -> Rules {
        let rules = Rules::new(self.keys.clone(), &self.table, self.parquet.clone());
        Rules { decode: self.decode.clone(), jq_compat: self.jq_compat, ..rules }
    }

    /// Compiles the keys; problems name the line in the config file.
    pub fn compile_keys(&self) -> Result<Keys, Vec<Problem>> {
        compile(&self.keys, self.jq_compat, &self.key_lines, &self.file)
    }

    /// What runs, for people, without secrets: environment variables stand as `${NAME}`.
    pub fn shown(&self) -> &serde_json::Value {
        &self.shown
    }
}

fn compile(keys: &[(String, String)], compat: JqCompat, lines: &[usize], file: &str) -> Result<Keys, Vec<Problem>> {
    Keys::compile_as(keys, compat, Budget::default(), &|n| (file.to_string(), lines.get(n).copied()))
}

/// What is wrong with a program quotes it, and what a variable in it holds may be a secret.
fn without_values(problem: Problem, typed: &Typed) -> Problem {
    let about = |key: &&Key| problem.message.starts_with(&format!("key `{}`:", key.name));
    match typed.keys.iter().filter(|key| key.typed != key.program).find(about) {
        None => problem,
        Some(Key { name, .. }) => {
            let message =
                format!("key `{name}`: is no program once its variables are filled in; write it without them");
            Problem { message, ..problem }
        }
    }
}

/// The process's environment.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads and checks the configuration at `path` and the table spec it names. Reads files, nothing else.
pub fn load(path: &Path, lookup: Lookup<'_>) -> Result<Config, Vec<Problem>> {
    let file = path.display().to_string();
    let text = read_text(path).map_err(|e| vec![Problem::new(&file, None, format!("{e}; name an existing file"))])?;
    let folder =
        folder_of(path).map_err(|e| vec![Problem::new(&file, None, format!("cannot resolve its folder: {e}"))])?;
    let (typed, mut problems) = typed::read(&text, &file, &folder, lookup);
    check_together(&typed, &file, &folder, &mut problems);
    let beside = path.parent().unwrap_or(Path::new(""));
    let table = read_table(&typed, &file, beside, &mut problems);
    let keys = match &table {
        Some((spec, _)) => order_keys(&typed, spec, &file, &mut problems),
        None => typed.keys.clone(),
    };
    let (named, lines): (Vec<_>, Vec<_>) = keys.into_iter().map(|k| ((k.name, k.program), k.line)).unzip();
    match compile(&named, jq_compat(&typed), &lines, &file) {
        Err(wrong) if !named.is_empty() => problems.extend(wrong.into_iter().map(|p| without_values(p, &typed))),
        _ => {}
    }
    let built = table.and_then(|(spec, table_file)| {
        let shown = docs::shown(&typed);
        build(&typed, &folder, Parts { file: file.clone(), keys: named, key_lines: lines, spec, table_file, shown })
    });
    match built {
        Some(config) if problems.is_empty() => Ok(config),
        _ if problems.is_empty() => Err(vec![Problem::new(&file, None, "is incomplete; see docs/config.md")]),
        _ => Err(in_order(problems, &file)),
    }
}

/// The config file's own problems first, by line.
fn in_order(mut problems: Vec<Problem>, file: &str) -> Vec<Problem> {
    problems.sort_by(|a, b| (a.file != file, &a.file, a.line).cmp(&(b.file != file, &b.file, b.line)));
    problems.dedup();
    problems
}

/// Longest file that is read as configuration or table spec.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads no more than that, whatever the length claims: a device has none.
fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |e: std::io::Error| format!("cannot be read: {}", plain(&e));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("has more than {FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "cannot be read: is not UTF-8 text".to_string())
}

/// The operating system's words in lower case, without its number.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::IsADirectory => "is a folder".into(),
        std::io::ErrorKind::InvalidData => "is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

fn folder_of(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    Ok(absolute.parent().unwrap_or(Path::new("/")).to_path_buf())
}

fn read_table(typed: &Typed, file: &str, beside: &Path, problems: &mut Vec<Problem>) -> Option<(TableSpec, PathBuf)> {
    let path = beside.join(typed.text("table", "spec")?);
    let text = match read_text(&path) {
        Ok(text) => text,
        Err(message) => {
            let message = format!("table spec `{}` {message}; name a file beside this one", path.display());
            problems.push(Problem::new(file, typed.line("table", "spec"), message));
            return None;
        }
    };
    match TableSpec::parse(&text, &path.display().to_string()) {
        Ok(spec) => Some((spec, path)),
        Err(wrong) => {
            problems.extend(wrong);
            None
        }
    }
}

/// The keys in the order of the table's partition columns; each column has one, and there are no others.
fn order_keys(typed: &Typed, spec: &TableSpec, file: &str, problems: &mut Vec<Problem>) -> Vec<Key> {
    if !typed.has("keys") {
        return Vec::new();
    }
    let columns: Vec<&str> = spec.partitions.iter().map(|p| p.name.as_str()).collect();
    for key in typed.keys.iter().filter(|k| !columns.contains(&k.name.as_str())) {
        let hint = match nearest(&key.name, columns.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its partition columns are {}", columns.join(", ")),
        };
        let message = format!("key `{}` is no partition column of table `{}`; {hint}", key.name, spec.name);
        problems.push(Problem::new(file, Some(key.line), message));
    }
    let mut ordered = Vec::new();
    for column in columns {
        match typed.keys.iter().find(|k| k.name == column) {
            Some(key) => ordered.push(key.clone()),
            None if typed.wrong_keys.iter().any(|k| k == column) => {}
            None => {
                let message =
                    format!("partition column `{column}` has no key; write {column} = '<jq expression>' under [keys]");
                problems.push(Problem::new(file, typed.section_line("keys"), message));
            }
        }
    }
    ordered
}

/// What concerns several fields.
fn check_together(typed: &Typed, file: &str, folder: &Path, problems: &mut Vec<Problem>) {
    let mut problem = |line: Option<usize>, message: String| problems.push(Problem::new(file, line, message));
    let consumer = typed.text("source.kinesis", "consumer");
    if let Some(Err(message)) = consumer.map(|name| source::check_consumer(&name)) {
        problem(typed.line("source.kinesis", "consumer"), message);
    }
    if typed.has("intake") && !typed.has("source.kinesis") {
        let message =
            "[intake] forwards to the stream of [source.kinesis], which is not there; use [source.intake] alone";
        problem(typed.section_line("intake"), message.into());
    }
    intake::check(typed, folder, &mut problem);
    if typed.text("lake", "endpoint_url").is_some_and(|u| u.starts_with("http:")) && !typed.flag("lake", "allow_http") {
        let message = "`endpoint_url` is without TLS; write allow_http = true if that is meant";
        problem(typed.line("lake", "endpoint_url"), message.into());
    }
    if let Some(Err(message)) = typed.text("log", "filter").map(|filter| logs::check(&filter)) {
        problem(typed.line("log", "filter"), message);
    }
    check_places(typed, &mut problem);
}

/// A reader of the table lists everything below `url`: all else must lie elsewhere, and apart from each other.
fn check_places(typed: &Typed, problem: &mut dyn FnMut(Option<usize>, String)) {
    let pairs = [("errors", "url"), ("state", "url"), ("archive", "url"), ("state", "errors")];
    for (a, b) in pairs.into_iter().chain([("archive", "errors"), ("archive", "state")]) {
        let (Some(first), Some(second)) = (typed.text("lake", a), typed.text("lake", b)) else { continue };
        let why = if b == "url" { ", where readers of the table would see it" } else { "" };
        let line = typed.line("lake", a);
        if first == second {
            problem(line, format!("`{a}` and `{b}` are the same place{why}; write one beside the other"));
        } else if first.starts_with(&second) {
            problem(line, format!("`{a}` lies inside `{b}`{why}; write a place beside it"));
        } else if second.starts_with(&first) {
            problem(line, format!("`{b}` lies inside `{a}`; write places beside each other"));
        }
    }
}

struct Parts {
    file: String,
    keys: Vec<(String, String)>,
    key_lines: Vec<usize>,
    spec: TableSpec,
    table_file: PathBuf,
    shown: serde_json::Value,
}

/// `None` only where a problem has been reported.
fn build(typed: &Typed, folder: &Path, parts: Parts) -> Option<Config> {
    Some(Config {
        source: source::build(typed, folder)?,
        lake: lake(typed)?,
        buffer: buffer(typed)?,
        parquet: parquet(typed)?,
        decode: decode(typed)?,
        jq_compat: jq_compat(typed),
        admin: typed.address("admin", "listen"),
        log_filter: typed.text("log", "filter")?,
        file: parts.file,
        keys: parts.keys,
        key_lines: parts.key_lines,
        table: parts.spec,
        table_file: parts.table_file,
        shown: parts.shown,
    })
}

fn lake(typed: &Typed) -> Option<LakeSettings> {
    Some(LakeSettings {
        url: typed.text("lake", "url")?,
        errors: typed.text("lake", "errors")?,
        state: typed.text("lake", "state")?,
        archive: typed.text("lake", "archive"),
        endpoint_url: typed.text("lake", "endpoint_url"),
        region: typed.text("lake", "region"),
        allow_http: typed.flag("lake", "allow_http"),
    })
}

fn buffer(typed: &Typed) -> Option<BufferSettings> {
    Some(BufferSettings {
        size: typed.number("buffer", "size")?,
        age: typed.time("buffer", "age")?,
        idle: typed.time("buffer", "idle")?,
        rows: typed.number("buffer", "rows")?,
        memory: typed.number("buffer", "memory")?,
        archive: ArchiveSettings { size: typed.number("archive", "size")?, age: typed.time("archive", "age")? },
    })
}

fn parquet(typed: &Typed) -> Option<ParquetSettings> {
    let Value::Compression(compression) = typed.value("parquet", "compression")? else { return None };
    Some(ParquetSettings {
        compression,
        row_group_rows: usize::try_from(typed.number("parquet", "row_group_rows")?).ok()?,
        page_bytes: usize::try_from(typed.number("parquet", "page_size")?).ok()?,
        dictionary: typed.flag("parquet", "dictionary"),
        page_index: typed.flag("parquet", "page_index"),
    })
}

fn jq_compat(typed: &Typed) -> JqCompat {
    if typed.text("decode", "jq_compat").as_deref() == Some("1.6") { JqCompat::V16 } else { JqCompat::Off }
}

fn decode(typed: &Typed) -> Option<DecodeSettings> {
    Some(DecodeSettings {
        documents: u32::try_from(typed.number("decode", "documents")?).ok()?,
        decompress: typed.text("decode", "decompress")? == "auto",
        decompressed_bytes: typed.number("decode", "decompressed_size")?,
    })
}
