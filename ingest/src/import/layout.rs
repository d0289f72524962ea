//! A prefix and the keys of a query as Alluvium has them: where the table lies, its partition columns with the program of each, and
//! the folders below, by name and value where the prefix has them so.
//!
//! A prefix is taken apart into folders. Those before the first expression are the table's place. In each of the others a key of
//! the query, or the times that stand side by side, become one partition column.

use schemas::column::check_name;
use schemas::table::Folders;

use super::findings::Notes;
use super::folders::{Atom, folders, take_lead};
use super::glue::GlueTable;
use super::prefix::{self, Piece};
use super::query;
use super::stream::{Partitioning, Stream};

/// A partition column to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) name: String,
    pub(super) program: String,
    /// The folder is `name=value` in the prefix, whatever the case of its name.
    hive: Option<String>,
    /// Its values may hold slashes.
    slashes: bool,
}

/// See the module's text.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    /// The table's folder in the bucket, with a slash at its end; empty: the bucket itself.
    pub(super) lead: String,
    pub(super) partitions: Vec<Partition>,
    /// What a spec's `layout` says; `None`: `name=value` folders.
    pub(super) layout: Option<String>,
}

/// Where a prefix stands, for notes.
pub(super) struct Place<'s> {
    pub(super) stream: &'s Stream,
    /// Programs by the operator, for keys that the description has none of.
    pub(super) given: &'s [(String, String)],
    pub(super) glue: Option<&'s GlueTable>,
}

impl Place<'_> {
    fn at(&self, setting: &str) -> String {
        format!("{}.{setting}", self.stream.at)
    }
}

pub(super) fn of(place: &Place<'_>, notes: &mut Notes) -> Option<Layout> {
    let keys = query_keys(place, notes);
    let pieces = pieces(place, &keys, notes)?;
    check_namespaces(place, &pieces, notes);
    let programs = programs(place, &pieces, keys, notes);
    let mut folders = folders(&pieces);
    let lead = take_lead(&mut folders);
    if folders.iter().any(Vec::is_empty) {
        let why = "an empty folder name (two slashes, or a slash at the begin) is left out: engines and stores do not \
             agree on it";
        notes.different(&place.at("Prefix"), "//", "layout", why);
        folders.retain(|folder| !folder.is_empty());
    }
    let mut partitions = partitions(&folders, &programs, &place.stream.zone);
    if let Some(glue) = place.glue {
        named_as_in_glue(&mut partitions, glue, notes);
    }
    if !notes.problems.is_empty() {
        return None;
    }
    let layout = laid_out(place, &folders, &partitions, notes)?;
    Some(Layout { lead, partitions, layout })
}

/// The query's keys, with the clock they read as the record's arrival.
fn query_keys(place: &Place<'_>, notes: &mut Notes) -> Vec<(String, String)> {
    let Some((text, at)) = &place.stream.query else { return Vec::new() };
    let query = match query::parse(text) {
        Ok(query) => query,
        Err(why) => {
            notes.block(at, format!("the query {why}"));
            return Vec::new();
        }
    };
    notes.same(at, text, "[keys]", "each member of the object is the program of a key");
    for repair in &query.repairs {
        notes.different(at, text, "[keys]", repair);
    }
    let mut keys = query.keys;
    for (name, program) in &mut keys {
        if let Some(pattern) = query::arrival_pattern(program) {
            notes.better(
                at,
                program.as_str(),
                &format!("[keys] {name}"),
                "a key reads no clock: the record's arrival stands in for `now`, and a replay gives the same folders",
            );
            // jq's clock is in UTC, whatever the prefix's zone.
            *program = arrival(&pattern, "UTC");
        }
    }
    keys
}

fn arrival(pattern: &str, zone: &str) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match zone {
        "UTC" => format!("arrived_at({})", quoted(pattern)),
        zone => format!("arrived_at({}; {})", quoted(pattern), quoted(zone)),
    }
}

/// The prefix, or what stands in for one.
fn pieces(place: &Place<'_>, keys: &[(String, String)], notes: &mut Notes) -> Option<Vec<Piece>> {
    let at = place.at("Prefix");
    let Some(template) = &place.stream.prefix else {
        if keys.is_empty() {
            notes.same(&at, "(none)", "[keys]", "the service's own folders: year, month, day and hour of arrival");
            return Some(vec![Piece::Timestamp("yyyy/MM/dd/HH/".into())]);
        }
        notes.different(
            &at,
            "(none)",
            "[keys]",
            "there is a query and no prefix, which Firehose refuses: each key became a `name=value` folder, in the \
             query's order",
        );
        let folder = |(name, _): &(String, String)| {
            [Piece::Text(format!("{name}=")), Piece::Query(name.clone()), Piece::Text("/".into())]
        };
        return Some(keys.iter().flat_map(folder).collect());
    };
    let mut pieces = match prefix::parse(template) {
        Ok(pieces) => pieces,
        Err(why) => {
            notes.block(&at, format!("the prefix {why}"));
            return None;
        }
    };
    notes.same(
        &at,
        template,
        "[lake] url, [keys], [[partition]]",
        "folders before the first expression are the table's place, the others its partitions",
    );
    if let [Piece::Text(_)] = pieces.as_slice() {
        // The service appends these, and puts no slash in between.
        notes.same(
            &at,
            template,
            "[keys]",
            "a prefix without an expression is followed by year, month, day and hour of arrival",
        );
        pieces.push(Piece::Timestamp("yyyy/MM/dd/HH/".into()));
    }
    told_of(&at, &pieces, place.stream, notes);
    Some(pieces)
}

fn told_of(at: &str, pieces: &[Piece], stream: &Stream, notes: &mut Notes) {
    if pieces.iter().any(|piece| matches!(piece, Piece::Timestamp(_))) {
        notes.better(
            at,
            "!{timestamp:...}",
            "[keys] arrived_at",
            "each record goes by its own arrival, in Firehose all of an object by the arrival of its oldest: none is \
             in the folder of the hour before",
        );
    }
    if pieces.contains(&Piece::Random) {
        notes.unsupported(
            at,
            "!{firehose:random-string}",
            "is left out: a folder that nobody can work out cannot be looked for, and S3 parts prefixes by itself \
             since 2018",
        );
    }
    let text = stream.prefix.as_deref().unwrap_or_default();
    if pieces.len() > 1
        && !text.ends_with('/')
        && !matches!(pieces.last(), Some(Piece::Timestamp(pattern)) if pattern.ends_with('/'))
    {
        notes.different(
            at,
            text,
            "layout",
            "ends without a slash, so that Firehose glues the object's name to the last value and there is no folder \
             to look into: a folder was made of it",
        );
    }
}

/// Namespaces where they may not stand.
fn check_namespaces(place: &Place<'_>, pieces: &[Piece], notes: &mut Notes) {
    let at = place.at("Prefix");
    if pieces.contains(&Piece::ErrorType) {
        notes.block(&at, "holds !{firehose:error-output-type}, which Firehose takes in ErrorOutputPrefix alone");
    }
    let dynamic = pieces.iter().any(|piece| matches!(piece, Piece::Query(_) | Piece::Lambda(_)));
    match (dynamic, place.stream.partitioning) {
        (true, Partitioning::Unsaid) => notes.different(
            &at,
            "",
            "[keys]",
            "holds keys, and DynamicPartitioningConfiguration is missing, without which Firehose refuses them: read \
             as if it were there",
        ),
        (true, Partitioning::Off) => notes
            .block(&at, "holds keys while DynamicPartitioningConfiguration.Enabled is false, which Firehose refuses"),
        (false, Partitioning::On) => notes.different(
            &at,
            "",
            "[keys]",
            "holds no key while dynamic partitioning is on, which Firehose refuses: folders go by arrival alone",
        ),
        _ => {}
    }
}

/// The programs of the prefix's keys; those the prefix does not name are told.
fn programs(
    place: &Place<'_>,
    pieces: &[Piece],
    keys: Vec<(String, String)>,
    notes: &mut Notes,
) -> Vec<(String, String)> {
    let at = place.at("Prefix");
    let mut programs: Vec<(String, String)> = Vec::new();
    let (mut missing, mut by_lambda) = (Vec::new(), Vec::new());
    for piece in pieces {
        let (Piece::Query(name) | Piece::Lambda(name)) = piece else { continue };
        let of =
            |all: &[(String, String)]| all.iter().find(|(known, _)| known == name).map(|(_, program)| program.clone());
        let from_query = if matches!(piece, Piece::Query(_)) { of(&keys) } else { None };
        match of(place.given).or(from_query) {
            Some(program) if of(&programs).is_none() => programs.push((name.clone(), program)),
            Some(_) => {}
            None if matches!(piece, Piece::Query(_)) => missing.push(name.as_str()),
            None => by_lambda.push(name.as_str()),
        }
    }
    if !missing.is_empty() {
        let why = match (&place.stream.query, &place.stream.lambda) {
            (Some(_), _) => "which the query never makes: every record would fail".to_string(),
            (None, Some(_)) => {
                "and there is no MetadataExtraction to make them, but a Lambda processor: partitionKeyFromLambda may \
                 be meant; give their programs with --key NAME=JQ"
                    .to_string()
            }
            (None, None) => "and there is no MetadataExtraction to make them".to_string(),
        };
        notes.block(&at, format!("names {} by partitionKeyFromQuery, {why}", missing.join(", ")));
    }
    if !by_lambda.is_empty() {
        let why = "by partitionKeyFromLambda: a function outside of the description makes them, and Alluvium calls none; \
             give their programs with --key NAME=JQ";
        notes.block(&at, format!("names {} {why}", by_lambda.join(", ")));
    }
    for (name, program) in keys.iter().filter(|(name, _)| !programs.iter().any(|(known, _)| known == name)) {
        let setting = place.stream.query.as_ref().map_or(String::new(), |(_, at)| format!("{at} {name}"));
        notes.different(
            &setting,
            program,
            "",
            "the prefix does not name this key, which Firehose refuses: no folder is made of it",
        );
    }
    programs
}

fn partitions(folders: &[Vec<Atom>], programs: &[(String, String)], zone: &str) -> Vec<Partition> {
    let mut partitions: Vec<Partition> = Vec::new();
    for folder in folders {
        let hive = match folder.as_slice() {
            [Atom::Text(text), _] => text.strip_suffix('=').filter(|name| !name.contains('=')).map(str::to_string),
            _ => None,
        };
        for atom in folder {
            let (name, program) = match atom {
                Atom::Text(_) | Atom::Random => continue,
                Atom::Time(pattern) => (time_name(pattern), arrival(pattern, zone)),
                Atom::Key(key) => {
                    let program = programs.iter().find(|(known, _)| known == key).map(|(_, program)| program.clone());
                    (key.clone(), program.unwrap_or_else(|| "null".to_string()))
                }
            };
            let name = unique(&plain(hive.as_deref().unwrap_or(&name)), &partitions);
            let slashes = has_slash(&program);
            partitions.push(Partition { name, program, hive: hive.clone(), slashes });
        }
    }
    partitions
}

/// Takes the names of the catalog's partition keys, if they are those of the prefix in its order.
fn named_as_in_glue(partitions: &mut [Partition], glue: &GlueTable, notes: &mut Notes) {
    let at = format!("{}.{} partition keys", glue.database, glue.name);
    let names: Vec<String> = glue.partitions.iter().map(|key| plain(&key.name)).collect();
    let fits =
        |(partition, name): (&Partition, &String)| partition.hive.as_ref().is_none_or(|hive| plain(hive) == *name);
    let ours: Vec<&str> = partitions.iter().map(|partition| partition.name.as_str()).collect();
    if names.len() != partitions.len() || !partitions.iter().zip(&names).all(fits) {
        let why = format!(
            "the prefix has other folders, {}: its own names were taken, and the catalog's table does not fit \
                 what Firehose writes either",
            ours.join("/")
        );
        notes.different(&at, names.join("/"), "[[partition]]", why);
        return;
    }
    notes.same(&at, names.join("/"), "[[partition]]", "the prefix's folders, in their order");
    for (partition, name) in partitions.iter_mut().zip(names) {
        partition.name = name;
    }
}

/// What a column of this time is called where the prefix has no name for it.
fn time_name(pattern: &str) -> String {
    let names = [("yyyy", "year"), ("MM", "month"), ("dd", "day"), ("HH", "hour"), ("mm", "minute")];
    let named = names.iter().find(|(run, _)| *run == pattern).map(|(_, name)| name.to_string());
    named.unwrap_or_else(|| match pattern.contains("HH") {
        false if pattern.contains("dd") => "arrived_date".to_string(),
        _ => "arrived".to_string(),
    })
}

/// As every catalog keeps it.
pub(super) fn plain(name: &str) -> String {
    let lower = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let mut plain: String = name.chars().map(lower).take(100).collect();
    if plain.is_empty() || plain.starts_with(|c: char| c.is_ascii_digit()) {
        plain.insert(0, '_');
    }
    debug_assert!(check_name(&plain).is_ok(), "{plain}");
    plain
}

fn unique(name: &str, partitions: &[Partition]) -> String {
    let taken = |name: &str| {
        partitions.iter().any(|known| known.name == name) || schemas::table::RESERVED_COLUMNS.contains(&name)
    };
    if !taken(name) {
        return name.to_string();
    }
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    numbered.into_iter().find(|name| !taken(name)).expect("numbers do not end")
}

/// Does a program make slashes, as far as its own text tells?
fn has_slash(program: &str) -> bool {
    !program.starts_with("arrived_at") && program.split('"').skip(1).step_by(2).any(|text| text.contains('/'))
}

/// The spec's `layout`, unless folders are `name=value` with nothing that Hive's escapes would change.
fn laid_out(
    place: &Place<'_>,
    folders: &[Vec<Atom>],
    partitions: &[Partition],
    notes: &mut Notes,
) -> Option<Option<String>> {
    let at = place.at("Prefix");
    if partitions.is_empty() {
        notes.block(&at, "holds no key and no time: a table has at least one partition column");
        return None;
    }
    if partitions.iter().all(|p| p.hive.as_deref() == Some(p.name.as_str()) && !p.slashes)
        && folders.len() == partitions.len()
    {
        notes.different(
            &at,
            "",
            "name=value folders",
            "`/ : = % # ? * \" ' \\ { [ ] ^` and control characters of a value are escaped as Hive does (`%2F`), so \
             that no value leaves its folder; Firehose writes them as they are",
        );
        return Some(None);
    }
    let star = partitions.iter().rposition(|p| p.slashes);
    let mut next = 0..;
    let mut texts = Vec::new();
    for folder in folders {
        let mut text = String::new();
        for atom in folder {
            match atom {
                Atom::Text(part) => text.push_str(part),
                _ => {
                    let at = next.next().unwrap_or_default();
                    let slashes = if Some(at) == star { "*" } else { "" };
                    text.push_str(&format!("{{{slashes}{}}}", partitions[at].name));
                }
            }
        }
        texts.push(text);
    }
    let layout = texts.join("/");
    let names: Vec<&str> = partitions.iter().map(|p| p.name.as_str()).collect();
    if let Err(why) = Folders::parse(&layout, &names) {
        notes.block(&at, format!("cannot be laid out: {why}"));
        return None;
    }
    notes.different(
        &at,
        &layout,
        "layout",
        "values stand in folders as they are, as in Firehose; one that would leave its folder (a slash, `..`, a \
         control character) is a reject with its reason. `{*name}` alone may hold slashes. Partitions are found by \
         `storage.location.template`, and alluvium-reader does not read such a table",
    );
    Some(Some(layout))
}
