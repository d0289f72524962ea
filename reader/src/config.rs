//! Configuration: the file that `alluvium run` takes, of which the reader uses `[keys]`, `[table]`, `[lake]` and `[reader]`.
//!
//! The other sections are the writer's and are looked at by it; here only their names are checked, so that a section with a slip
//! in its name does not pass for one of another program. `docs/config.md` lists the fields of `[reader]`.

mod columns;
mod engines;
mod settings;
mod text;

use std::io::Read;
use std::path::Path;

use schemas::env::Lookup;
use schemas::place::place;
use schemas::problem::{Problem, nearest};
use schemas::table::TableSpec;

use crate::error::ReaderError;
use crate::plan::Layout;
pub use columns::Columns;
pub use engines::{AthenaSettings, CATALOG, ENGINES, EngineSettings, WORKGROUP};
pub use settings::{Access, FIELDS, LISTEN, Limits, ReaderSettings};
use text::Text;

/// Version of the configuration that this program reads.
pub const VERSION: &str = "1";

/// Sections of the file that are the writer's alone.
const WRITERS: [&str; 9] =
    ["source", "intake", "credentials", "archive", "decode", "buffer", "parquet", "admin", "log"];

/// Longest file that is read as configuration or table spec, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Where the lake lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeSettings {
    pub url: String,
    pub state: Option<String>,
    pub archive: Option<String>,
    pub endpoint_url: Option<String>,
    pub region: Option<String>,
    pub allow_http: bool,
}

/// What runs.
#[derive(Debug, Clone)]
pub struct Config {
    pub layout: Layout,
    pub lake: LakeSettings,
    pub reader: ReaderSettings,
    pub engine: EngineSettings,
}

/// Reads the configuration at `path` and the table spec it names.
pub fn load(path: &Path, lookup: Lookup<'_>) -> Result<Config, ReaderError> {
    let file = path.display().to_string();
    let alone = |message: String| ReaderError::Config(vec![Problem::new(&file, None, message)]);
    let text = read_text(path).map_err(|e| alone(format!("{e}; name an existing file")))?;
    let absolute = std::path::absolute(path).map_err(|e| alone(format!("cannot resolve its folder: {e}")))?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let mut typed = Text::parse(&text, &file, lookup).map_err(ReaderError::Config)?;
    let config = build(&mut typed, folder, path.parent().unwrap_or(Path::new("")));
    let problems = typed.problems();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ if problems.is_empty() => Err(alone("is incomplete; see docs/config.md".into())),
        _ => Err(ReaderError::Config(problems)),
    }
}

/// `None` only where a problem has been said.
fn build(typed: &mut Text<'_>, folder: &Path, beside: &Path) -> Option<Config> {
    check_sections(typed);
    let mut keys = typed.members("keys");
    // Of doubles, integers beyond 2^53 lie in another bucket than the one that an exact integer leads to.
    if typed.string("decode", "jq_compat").as_deref() == Some("1.6") {
        keys.retain(|(_, program)| !program.contains("bucket"));
    }
    let lake = read_lake(typed, folder);
    let spec = read_table(typed, beside);
    let reader = settings::read(typed, spec.as_ref());
    let (spec, lake) = (spec?, lake?);
    let engine = engines::read(typed, &spec, &lake);
    Some(Config { layout: Layout::new(spec, &keys), lake, reader: reader?, engine: engine? })
}

fn check_sections(typed: &mut Text<'_>) {
    if typed.root_integer("version").as_deref() != Some(VERSION) {
        typed.say(
            "version",
            "",
            format!("this program reads version {VERSION} of the configuration; write version = {VERSION}"),
        );
    }
    let known = ["version", "keys", "table", "lake", "reader"];
    for name in typed.roots() {
        let names = || known.iter().chain(&WRITERS).copied();
        if names().any(|known| known == name) {
            continue;
        }
        let meant = nearest(&name, names()).map_or_else(|| "remove it".into(), |near| format!("write `{near}`"));
        typed.say(&name, "", format!("unknown section `{name}`; {meant}"));
    }
    for required in ["table", "lake"] {
        if !typed.has(required) {
            typed.say("", "", format!("section [{required}] is missing; see docs/config.md"));
        }
    }
}

fn read_lake(typed: &mut Text<'_>, folder: &Path) -> Option<LakeSettings> {
    let at = |typed: &mut Text<'_>, field: &str| {
        let text = typed.string("lake", field)?;
        match place(&text, folder) {
            Ok(url) => Some(url),
            Err(message) => {
                typed.say("lake", field, format!("`{field}` {message}"));
                None
            }
        }
    };
    let url = at(typed, "url");
    if url.is_none() && typed.has("lake") && typed.string("lake", "url").is_none() {
        typed.say("lake", "", "[lake] needs `url`; write url = \"s3://company-lake/attribute_events/\"");
    }
    Some(LakeSettings {
        state: at(typed, "state"),
        archive: at(typed, "archive"),
        endpoint_url: typed.string("lake", "endpoint_url"),
        region: typed.string("lake", "region"),
        allow_http: typed.flag("lake", "allow_http"),
        url: url?,
    })
}

fn read_table(typed: &mut Text<'_>, beside: &Path) -> Option<TableSpec> {
    let Some(name) = typed.string("table", "spec") else {
        if typed.has("table") {
            typed.say("table", "", "[table] needs `spec`; write spec = \"attribute_events.toml\"");
        }
        return None;
    };
    let path = beside.join(name);
    let text = match read_text(&path) {
        Ok(text) => text,
        Err(message) => {
            typed.say(
                "table",
                "spec",
                format!("table spec `{}` {message}; name a file beside this one", path.display()),
            );
            return None;
        }
    };
    let spec = TableSpec::parse(&text, &path.display().to_string()).map_err(|wrong| typed.say_all(wrong)).ok()?;
    if spec.layout.is_some() {
        let message = "table spec has a `layout`: this reader looks for name=value folders alone; ask an engine of `alluvium ddl`";
        typed.say("table", "spec", message);
        return None;
    }
    Some(spec)
}

/// Reads no more than the limit, whatever the length claims: a device has none.
fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => "cannot be read: no such file".to_string(),
        std::io::ErrorKind::PermissionDenied => "cannot be read: permission denied".to_string(),
        _ => format!("cannot be read: {e}"),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("has more than {FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "cannot be read: is not UTF-8 text".to_string())
}

/// Environment variables of this process.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("../../schemas/tables/attribute_events.toml");

    fn read(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("t.toml"), TABLE).expect("written");
        let file = folder.path().join("alluvium.toml");
        std::fs::write(&file, text).expect("written");
        let lookup = |name: &str| (name == "TOKEN").then(|| "0123456789abcdef0123".to_string());
        let shown = |error: ReaderError| error.to_string().replace(&file.display().to_string(), "alluvium.toml");
        load(&file, &lookup).map_err(shown)
    }

    const GOOD: &str = "version = 1\n[source.intake]\nlisten = \"x\"\n[keys]\nentity_id_mod = '.entity_id | bucket(10)'\n\
        [table]\nspec = \"t.toml\"\n[lake]\nurl = \"lake/\"\nerrors = \"errors/\"\nstate = \"state/\"\n[buffer]\nage = \"1 s\"\n";

    #[test]
    fn the_writers_file_is_read_as_it_is() {
        let config = read(GOOD).expect("read");
        assert!(config.lake.url.starts_with("file:///") && config.lake.url.ends_with("/lake/"), "{}", config.lake.url);
        assert_eq!(config.lake.archive, None);
        assert_eq!(config.layout.generated.len(), 1);
        assert_eq!(config.reader.listen, "127.0.0.1:9470".parse().expect("an address"));
        assert!(matches!(config.reader.access, Access::Open));
    }

    #[test]
    fn a_bucket_of_doubles_does_not_narrow_a_plan() {
        let config = read(&format!("{GOOD}[decode]\njq_compat = \"1.6\"\n")).expect("read");
        assert!(config.layout.generated.is_empty());
    }

    #[test]
    fn a_table_with_folders_of_its_own_is_refused_and_not_found_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = "layout = \"{created_date}/{attribute_name}/{entity_id_mod}\"\nunknown_fields";
        std::fs::write(folder.path().join("t.toml"), TABLE.replacen("unknown_fields", layout, 1)).expect("written");
        let file = folder.path().join("alluvium.toml");
        std::fs::write(&file, GOOD).expect("written");
        let told = load(&file, &|_| None).expect_err("refused").to_string();
        assert!(told.contains("looks for name=value folders alone"), "{told}");
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        let text =
            GOOD.replace("[buffer]", "[bufer]") + "[reader]\nlisten = \"0.0.0.0:1\"\ntimeout = \"0 s\"\nrow = 5\n";
        let told = read(&text).expect_err("wrong");
        for want in [
            "alluvium.toml:12: unknown section `bufer`; write `buffer`",
            "alluvium.toml:15: `listen` is open to other machines",
            "alluvium.toml:16: `timeout` is too small; write \"100 ms\" or more",
            "alluvium.toml:17: unknown field `row` in [reader]; write `rows`",
        ] {
            assert!(told.contains(want), "{want} in:\n{told}");
        }
    }

    #[test]
    fn a_token_opens_the_door_to_other_machines_and_is_never_shown() {
        let config =
            read(&(GOOD.to_string() + "[reader]\nlisten = \"0.0.0.0:1\"\ntoken = \"${TOKEN}\"\n")).expect("read");
        assert!(matches!(config.reader.access, Access::Token(_)));
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
        let short = read(&(GOOD.to_string() + "[reader]\ntoken = \"short\"\n")).expect_err("too short");
        assert!(short.contains("`token` is shorter than 16") && !short.contains("short\""), "{short}");
    }

    #[test]
    fn athena_is_asked_only_of_s3_and_its_fields_say_nothing_elsewhere() {
        let at_s3 = GOOD.replace("\"lake/\"", "\"s3://company-lake/t/\"");
        let asked = |text: &str, more: &str| read(&format!("{text}[reader]\n{more}")).map(|config| config.engine);
        let output = "engine = \"athena\"\nathena_output = \"s3://results/a\"\nathena_reuse = \"10 min\"\n";
        let Ok(EngineSettings::Athena(settings)) = asked(&at_s3, output) else { panic!("not read") };
        assert_eq!((settings.database.as_str(), settings.workgroup.as_str()), ("company_lake", "primary"));
        assert_eq!(settings.output.as_deref(), Some("s3://results/a/"));
        assert_eq!(settings.reuse, Some(std::time::Duration::from_secs(600)));
        assert_eq!(asked(&at_s3, ""), Ok(EngineSettings::DataFusion));
        for (text, more, want) in [
            (GOOD, "engine = \"athena\"\n", "`engine` is athena, which reads S3 alone"),
            (at_s3.as_str(), "engine = \"trino\"\n", "`engine` is unknown; write one of datafusion, athena"),
            (at_s3.as_str(), "athena_workgroup = \"w\"\n", "`athena_workgroup` says nothing without engine"),
            (at_s3.as_str(), "engine = \"athena\"\nathena_output = \"/tmp\"\n", "`athena_output` is no place in S3"),
            (at_s3.as_str(), "engine = \"athena\"\nathena_reuse = \"5 s\"\n", "`athena_reuse` is too small"),
        ] {
            let told = asked(text, more).expect_err("wrong");
            assert!(told.contains(want), "{want} in:\n{told}");
        }
    }

    #[test]
    fn a_table_without_the_columns_of_a_history_is_refused_by_name() {
        let told = read(&(GOOD.to_string() + "[reader]\nentity = \"id\"\n")).expect_err("no such column");
        assert!(told.contains("`entity` names `id`, which is no column of table `attribute_events`"), "{told}");
    }
}
