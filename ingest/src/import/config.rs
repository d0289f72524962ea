//! The configuration of an import: source, keys, places, buffers. The places are chosen apart from each other, as the
//! configuration wants them.

use schemas::rules::JqCompat;

use super::findings::Notes;
use super::layout::Layout;
use super::prefix::{self, Piece};
use super::stream::{Source, Stream};
use super::table::quoted;
use crate::keys::{Budget, Keys};

/// Where everything lies: URLs that end in `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) table: String,
    errors: String,
    state: String,
    archive: Option<String>,
}

/// As the configuration has it: a variable would be looked up.
fn text(text: &str) -> String {
    quoted(&text.replace("${", "$${"))
}

/// Where the table lies, and all else beside it.
pub(super) fn places(stream: &Stream, layout: &Layout, notes: &mut Notes) -> Places {
    let at = |prefix: &str| format!("s3://{}/{prefix}", stream.bucket);
    let own = super::layout::plain(&stream.name);
    let mut table = at(&layout.lead);
    if layout.lead.is_empty() {
        table = at(&format!("{own}/"));
        let why = "the prefix begins with a partition: the table got a folder of its own, since in the bucket itself its \
             errors and its log would be among its rows";
        notes.different(&format!("{}.Prefix", stream.at), "(bucket)", &table, why);
    }
    let mut taken = vec![table.clone()];
    let state = apart(&at(&format!("_alluvium/{own}/")), &at(&format!("alluvium-state/{own}/")), &mut taken);
    let errors = errors(stream, &own, &mut taken, notes);
    let archive = stream.backup.as_ref().map(|backup| {
        let lead = prefix::parse(&backup.prefix).map(|pieces| prefix::lead(&pieces).trim_matches('/').to_string());
        let lead = lead.unwrap_or_default();
        let wanted = if lead.is_empty() { own.clone() } else { lead };
        let fallback = format!("s3://{}/raw-{own}/", backup.bucket);
        apart(&format!("s3://{}/{wanted}/", backup.bucket), &fallback, &mut taken)
    });
    Places { table, errors, state, archive }
}

fn errors(stream: &Stream, own: &str, taken: &mut Vec<String>, notes: &mut Notes) -> String {
    let setting = format!("{}.ErrorOutputPrefix", stream.at);
    let fallback = format!("s3://{}/alluvium-errors/{own}/", stream.bucket);
    let Some(template) = &stream.error_prefix else {
        let errors = apart(&format!("s3://{}/errors/{own}/", stream.bucket), &fallback, taken);
        notes.different(
            &setting,
            "(none)",
            &errors,
            "rejects have a place of their own; Firehose refuses a prefix with expressions and no error prefix, and \
             writes others below the prefix, where readers of the table find them",
        );
        return errors;
    };
    let pieces = match prefix::parse(template) {
        Ok(pieces) => pieces,
        Err(why) => {
            notes.block(&setting, format!("the prefix {why}"));
            return String::new();
        }
    };
    let lead = prefix::lead(&pieces).trim_matches('/').to_string();
    let wanted = if lead.is_empty() { format!("errors/{own}") } else { lead.clone() };
    let wanted = format!("s3://{}/{wanted}/", stream.bucket);
    let errors = apart(&wanted, &fallback, taken);
    told_of_errors(&setting, template, &pieces, notes);
    if errors != wanted {
        notes.different(
            &setting,
            template,
            &errors,
            "lies elsewhere, since readers of the table list all that is below it (HIVE_CURSOR_ERROR), or it lies \
             around another place",
        );
    } else if matches!(pieces.as_slice(), [Piece::Text(text)] if !text.ends_with('/')) {
        notes.different(
            &setting,
            template,
            &errors,
            "ends without a slash, so that Firehose glues the error's type to it: a folder was made of it",
        );
    } else if lead.is_empty() {
        notes.different(
            &setting,
            template,
            &errors,
            "begins with an expression: the errors output got a folder of its own",
        );
    } else {
        notes.same(&setting, template, &errors, "rejects lie in the same folder");
    }
    errors
}

fn told_of_errors(setting: &str, template: &str, pieces: &[Piece], notes: &mut Notes) {
    let has = |wanted: fn(&Piece) -> bool| pieces.iter().any(wanted);
    if has(|piece| matches!(piece, Piece::Query(_) | Piece::Lambda(_))) {
        notes.block(setting, "holds partition keys, which Firehose refuses in an error prefix");
    }
    match has(|piece| *piece == Piece::ErrorType) {
        true => notes.same(
            setting,
            "!{firehose:error-output-type}",
            "[lake] errors",
            "the first folder below is Firehose's type: metadata-extraction-failed for keys and records, \
             format-conversion-failed for columns",
        ),
        false if pieces.len() > 1 => notes.different(
            setting,
            template,
            "[lake] errors",
            "holds expressions and no !{firehose:error-output-type}, which Firehose refuses: the type is the first \
             folder below",
        ),
        false => notes.different(
            setting,
            template,
            "[lake] errors",
            "is followed by type and time of arrival in Firehose; here by the type alone",
        ),
    }
    if has(|piece| matches!(piece, Piece::Timestamp(_))) {
        notes.different(
            setting,
            "!{timestamp:...}",
            "",
            "no folders of time below the type: each line has its arrivalTimestamp, and a file's object its own",
        );
    }
    if has(|piece| *piece == Piece::Random) {
        notes.unsupported(setting, "!{firehose:random-string}", "is left out, as in the prefix");
    }
}

/// The wanted place if it neither holds nor lies in one that is taken, else the other one.
fn apart(wanted: &str, otherwise: &str, taken: &mut Vec<String>) -> String {
    let free = |place: &str, taken: &[String]| {
        taken.iter().all(|known| !known.starts_with(place) && !place.starts_with(known.as_str()))
    };
    let numbered = (2..).map(|n| format!("{}-{n}/", otherwise.trim_end_matches('/')));
    let mut candidates = [wanted.to_string(), otherwise.to_string()].into_iter().chain(numbered);
    let place = candidates.find(|place| free(place, taken)).expect("numbers do not end");
    taken.push(place.clone());
    place
}

/// Compiles the keys as the configuration will; each that does not is a problem.
pub(super) fn check_keys(layout: &Layout, stream: &Stream, notes: &mut Notes) {
    let keys: Vec<(String, String)> = layout.partitions.iter().map(|p| (p.name.clone(), p.program.clone())).collect();
    let at = stream.query.as_ref().map_or_else(|| format!("{}.Prefix", stream.at), |(_, at)| at.clone());
    if let Err(problems) = Keys::compile_as(&keys, JqCompat::V16, Budget::default(), &|_| (String::new(), None)) {
        problems.into_iter().for_each(|problem| notes.block(&at, problem.message));
    }
}

/// The configuration's text. `about`: what was imported.
pub(super) fn text_of(stream: &Stream, layout: &Layout, places: &Places, table_file: &str, about: &str) -> String {
    let mut out = format!("# Imported from {about} by `alluvium import firehose`.\nversion = 1\n\n");
    match &stream.source {
        Source::Direct => {
            let own = super::layout::plain(&stream.name);
            out += &format!("[source.intake]\njournal = {}\n", text(&format!("journal-{own}")));
            out += &format!("delivery_streams = [{}]\n", text(&stream.name));
        }
        Source::Kinesis { stream, region } => {
            out += &format!("[source.kinesis]\nstream = {}\nstart = \"latest\"\n", text(stream));
            if let Some(region) = region {
                out += &format!("region = {}\n", text(region));
            }
        }
    }
    out += "\n[keys]\n";
    for partition in &layout.partitions {
        out += &format!("{} = {}\n", partition.name, text(&partition.program));
    }
    out += &format!("\n[table]\nspec = {}\n\n[lake]\nurl = {}\n", text(table_file), text(&places.table));
    out += &format!("errors = {}\nstate = {}\n", text(&places.errors), text(&places.state));
    if let Some(archive) = &places.archive {
        out += &format!("archive = {}\n", text(archive));
    }
    if let Some(region) = &stream.region {
        out += &format!("region = {}\n", text(region));
    }
    out += "\n[decode]\njq_compat = \"1.6\"\n";
    let age = stream.seconds.max(1);
    out += &format!("\n[buffer]\nsize = \"{} MiB\"\nage = \"{age} s\"\nidle = \"{age} s\"\n", stream.size_mib);
    let conversion = stream.conversion.clone().unwrap_or_default();
    let page = conversion.page_bytes.map(|bytes| format!("page_size = \"{bytes} B\"\n"));
    let settings = [
        conversion.compression.map(|codec| format!("compression = \"{codec}\"\n")),
        page,
        conversion.dictionary.map(|dictionary| format!("dictionary = {dictionary}\n")),
    ];
    let settings: String = settings.into_iter().flatten().collect();
    if !settings.is_empty() {
        out += &format!("\n[parquet]\n{settings}");
    }
    out
}
