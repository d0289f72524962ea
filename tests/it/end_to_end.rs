//! Real logs through Kinesis and the real process to S3: each event exactly once, where jq 1.6 says, with the values it came with.

use std::path::PathBuf;

use tests::alluvium::{self, Lake, Running, attribute_events, rules};
use tests::kinesis::Stream;
use tests::{corpus, duck, emulator, jq16, log, wait_for};

/// Buffers that close soon after the last record, so that a test sees its rows without waiting.
const BUFFER: &str = "[buffer]\nage = \"60 s\"\nidle = \"1 s\"\n";

pub(crate) fn kinesis_source(stream: &Stream) -> String {
    let (name, endpoint) = (&stream.name, &stream.endpoint);
    format!("[source.kinesis]\nstream = \"{name}\"\nendpoint_url = \"{endpoint}\"\nregion = \"us-east-1\"\n")
}

/// The member of an event that spreads it over shards; the whole text if it has none.
pub(crate) fn entity(event: &[u8]) -> String {
    let event: serde_json::Value = serde_json::from_slice(event).expect("the corpus is JSON");
    let id = event.get("entity_id").or_else(|| event.get("page")).and_then(|v| v.as_str()).unwrap_or("none");
    id.chars().take(100).collect()
}

/// jq 1.6's partitions of the S&P log as an NDJSON file.
pub(crate) fn sp500_partitions(lake: &Lake) -> PathBuf {
    let out = lake.file("jq16.ndjson");
    let program = "{event_id, created_date: .created_at[0:10], attribute_name, bucket_of: .entity_id}";
    jq16::run(program, &corpus::sp500_path(), &out);
    out
}

#[test]
fn sp500_log_through_kinesis_to_s3_is_each_event_once_in_its_partition() {
    let stream = Stream::new(emulator::ministack(), "sp500", 4);
    stream.put(corpus::sp500(), entity);
    let lake = Lake::s3("sp500");
    let running = Running::start(&lake, &format!("{}\n{}\n{BUFFER}", kinesis_source(&stream), attribute_events()));
    lake.until_cut(corpus::sp500().len());
    running.stop();

    assert_eq!(lake.rejects(), Vec::<serde_json::Value>::new());
    check_sp500(&lake);
    assert_eq!(log::named_objects(&lake.state).into_iter().collect::<Vec<_>>(), lake.table.list());
}

/// All that has to hold of a lake with the whole S&P log in it.
pub(crate) fn check_sp500(lake: &Lake) {
    let url = lake.table.url();
    let rows =
        duck::query(&format!("select count(*) as rows, count(distinct event_id) as events from {}", duck::lake(&url)));
    assert_eq!(rows, [serde_json::json!({"rows": 10_355, "events": 10_355})]);
    duck::none("rows that jq 1.6 puts elsewhere", &partition_differences(&url, &sp500_partitions(lake)));
    duck::none("rows with other values than their event", &value_differences(&url));
    for (date, instant) in corpus::SP500_DATES {
        duck::none(&format!("constituents at {date}"), &sp500_fold(&lake_events(&url), date, instant));
    }
    assert_eq!(duck::number(&format!("{}\nselect count(*) from attribute_events", duckdb_view(lake))), 10_355);
}

/// The view that `alluvium ddl` writes for this lake.
fn duckdb_view(lake: &Lake) -> String {
    let config = lake.file("alluvium.toml").display().to_string();
    let done = alluvium::run(&["ddl", "--config", &config, "--dialect", "duckdb"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("SQL is text")
}

fn partition_differences(url: &str, jq: &std::path::Path) -> String {
    format!(
        "select * from (select event_id, created_date, attribute_name, entity_id_mod from {}) lake
         full join read_json('{}', format = 'newline_delimited', columns = {{event_id: 'varchar', created_date: 'varchar',
             attribute_name: 'varchar', entity_id_mod: 'varchar'}}) jq
           using (event_id, created_date, attribute_name, entity_id_mod)
         where lake.event_id is null or jq.event_id is null",
        duck::lake(url),
        jq.display()
    )
}

/// Every column of the lake against the member of the event it comes from.
fn value_differences(url: &str) -> String {
    format!(
        "with event as {}, stored as {}
         select event.*, stored.* from event full join stored using (event_id)
         where event.entity_id is distinct from stored.entity_id or event.op is distinct from stored.op
            or event.attribute_name is distinct from stored.attribute_name or event.value is distinct from stored.value
            or event.previous_value is distinct from stored.previous_value
            or event.created_at is distinct from stored.created_at
            or (event.source->>'$.type') is distinct from stored.source.type
            or (event.source->>'$.repo') is distinct from stored.source.repo
            or (event.source->>'$.path') is distinct from stored.source.path
            or (event.source->>'$.commit') is distinct from stored.source_commit
            or (event.source->>'$.author') is distinct from stored.source.author
            or (event.source->>'$.message') is distinct from stored.source.message",
        duck::sp500_events(&corpus::sp500_path()),
        lake_events(url)
    )
}

fn lake_events(url: &str) -> String {
    format!("(select * replace (created_at::timestamptz at time zone 'UTC' as created_at) from {})", duck::lake(url))
}

/// Folds events up to an instant into the list of constituents and gives what differs from the published list, either way.
fn sp500_fold(events: &str, date: &str, instant: &str) -> String {
    let (published, folded) = if date < "2023" {
        ("Symbol, Name, Sector", "symbol, name, industry")
    } else {
        (
            "Symbol, Security, \"GICS Sector\", \"GICS Sub-Industry\", \"Headquarters Location\", \"Date added\", CIK, Founded",
            "symbol, name, industry, sub_industry, headquarters, date_added, cik, founded_year",
        )
    };
    let attribute = |name: &str| format!("max(value) filter (attribute_name = '{name}') as {name}");
    let names =
        ["sp500_member", "name", "industry", "sub_industry", "headquarters", "date_added", "cik", "founded_year"];
    let attributes = names.map(attribute).join(",\n    ");
    let csv = tests::file(&format!("tests/corpus/sp500/constituents_{date}.csv"));
    format!(
        "with events as {events},
         latest as (
           select entity_id, attribute_name, max_by(op, created_at) as op, max_by({{v: value}}, created_at).v as value
           from events where created_at <= timestamp '{instant}' group by entity_id, attribute_name),
         wide as (
           select substr(entity_id, 4) as symbol, {attributes} from latest where op = 'set' group by entity_id),
         folded as (select {folded} from wide where sp500_member = 'true'),
         published as (select {published} from read_csv('{}', all_varchar = true))
         (select 'only in the lake' as side, * from (from folded except all from published))
         union all (select 'only in the list', * from (from published except all from folded))",
        csv.display()
    )
}

/// The fold is right if it gives the published lists from the log itself: then a difference over the lake is the lake's.
#[test]
fn folding_the_sp500_log_itself_gives_the_published_lists() {
    for (date, instant) in corpus::SP500_DATES {
        let sql = sp500_fold(&duck::sp500_events(&corpus::sp500_path()), date, instant);
        duck::none(&format!("constituents at {date}"), &sql);
    }
}

/// As `schemas/tables/wikipedia_edits.toml` says: its columns, and the member of the edit each comes from. Edits have no id of
/// their own and some are the same in all of this, so they are compared as a multiset.
const EDIT: &[(&str, &str, &str)] = &[
    ("edited_at", "timestamp", "varchar"),
    ("page", "page", "varchar"),
    ("namespace", "namespace", "varchar"),
    ("user", "user", "varchar"),
    ("comment", "comment", "varchar"),
    ("comment_length", "commentLength", "int"),
    ("diff_url", "diffUrl", "varchar"),
    ("flags", "flags", "varchar"),
    ("added", "added", "bigint"),
    ("deleted", "deleted", "bigint"),
    ("delta", "delta", "bigint"),
    ("delta_bucket", "deltaBucket", "double"),
    ("is_anonymous", "isAnonymous", "boolean"),
    ("is_minor", "isMinor", "boolean"),
    ("is_new", "isNew", "boolean"),
    ("is_robot", "isRobot", "boolean"),
    ("is_unpatrolled", "isUnpatrolled", "boolean"),
    ("city_name", "cityName", "varchar"),
    ("country_name", "countryName", "varchar"),
    ("country_iso_code", "countryIsoCode", "varchar"),
    ("region_name", "regionName", "varchar"),
    ("region_iso_code", "regionIsoCode", "varchar"),
    ("metro_code", "metroCode", "int"),
];

const EDIT_KEYS: &[(&str, &str)] = &[("edit_date", ".timestamp | utc_date"), ("channel", ".channel")];

/// What jq 1.6 says of the partition, beside enough of the edit to tell edits apart.
const EDIT_JQ: &str = "{edit_date: .timestamp[0:10], channel, page, user, diff_url: .diffUrl, delta}";

#[test]
fn wikipedia_edits_survive_a_split_in_the_middle() {
    let edits = &corpus::wikipedia()[..2_000];
    let stream = Stream::new(emulator::kinesis_local(), "edits", 2);
    stream.put(&edits[..1_000], entity);
    let lake = Lake::s3("edits");
    let running = start_edits(&lake, &stream);
    lake.until_cut(500);
    stream.split(&stream.open_shards()[0]);
    stream.put(&edits[1_000..], entity);
    lake.until_cut(edits.len());
    running.stop();

    assert_eq!(stream.open_shards().len(), 3);
    let input = lake.file("edits.ndjson");
    std::fs::write(&input, edits.join(&b'\n')).expect("a temporary file");
    check_edits(&lake, &input);
}

#[test]
fn wikipedia_log_through_kinesis_to_s3_is_each_edit_once_in_its_partition() {
    let stream = Stream::new(emulator::ministack(), "wikipedia", 4);
    stream.put(corpus::wikipedia(), entity);
    let lake = Lake::s3("wikipedia");
    let running = start_edits(&lake, &stream);
    lake.until_cut(corpus::wikipedia().len());
    running.stop();
    check_edits(&lake, &corpus::wikipedia_path());

    let jq = lake.file("jq16.ndjson");
    jq16::run(EDIT_JQ, &corpus::wikipedia_path(), &jq);
    let columns = "edit_date, channel, page, \"user\", diff_url, delta";
    let ours = format!("(select {columns} from {})", duck::lake(&lake.table.url()));
    let types = "{edit_date: 'varchar', channel: 'varchar', page: 'varchar', user: 'varchar', diff_url: 'varchar', delta: 'bigint'}";
    let theirs = format!(
        "(select {columns} from read_json('{}', format = 'newline_delimited', columns = {types}))",
        jq.display()
    );
    same_rows("partitions of jq 1.6", &ours, &theirs);
}

/// Idle time cuts, not the next record.
#[test]
fn what_was_taken_is_stored_although_nothing_more_comes() {
    let stream = Stream::new(emulator::kinesis_local(), "silence", 1);
    let edit = &corpus::wikipedia()[..1];
    stream.put(edit, entity);
    let lake = Lake::local();
    let running = start_edits(&lake, &stream);
    lake.until_cut(1);
    let stored = wait_for("the file of the only edit", 30, || lake.table.list().pop());
    assert!(lake.table.read(&stored).starts_with(b"PAR1"));
    running.stop();
}

fn start_edits(lake: &Lake, stream: &Stream) -> Running {
    let table = rules("schemas/tables/wikipedia_edits.toml", EDIT_KEYS);
    Running::start(lake, &format!("{}\n{table}\n{BUFFER}", kinesis_source(stream)))
}

/// The lake holds the edits of an NDJSON file, every column as the member it comes from, and nothing else.
fn check_edits(lake: &Lake, input: &std::path::Path) {
    assert_eq!(lake.rejects(), Vec::<serde_json::Value>::new());
    let types: Vec<String> = EDIT.iter().map(|(_, member, kind)| format!("'{member}': '{kind}'")).collect();
    let value = |column: &str, name: &str| match column {
        "edited_at" => format!("\"{name}\"::timestamptz at time zone 'UTC'"),
        _ => format!("\"{name}\""),
    };
    let ours: Vec<String> = EDIT.iter().map(|(column, _, _)| value(column, column)).collect();
    let theirs: Vec<String> = EDIT.iter().map(|(column, member, _)| value(column, member)).collect();
    let ours = format!("(select {} from {})", ours.join(", "), duck::lake(&lake.table.url()));
    let theirs = format!(
        "(select {} from read_json('{}', format = 'newline_delimited', columns = {{{}}}))",
        theirs.join(", "),
        input.display(),
        types.join(", ")
    );
    same_rows("edits", &ours, &theirs);
}

/// The same rows, each as often.
fn same_rows(what: &str, ours: &str, theirs: &str) {
    duck::none(
        &format!("{what}: stored, but not put or not so often"),
        &format!("from {ours} except all from {theirs}"),
    );
    duck::none(
        &format!("{what}: put, but not stored or not so often"),
        &format!("from {theirs} except all from {ours}"),
    );
}
