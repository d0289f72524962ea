//! `alluvium replay --rebuild`: a table with another number of buckets, written anew under kills from the archive of the live one,
//! is the same rows, counted against their source; and readers find it by one change of the catalog.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;
use tests::alluvium::{self, Lake, Place, Running, loopback, rules};
use tests::bundle::zstd;
use tests::emulator::ministack;
use tests::firehose::Firehose;
use tests::glue::{Catalog, with_a_change_before_update};
use tests::{corpus, duck, file};

use crate::clients::{STREAM, intake_source};
use crate::replay::killed;

/// Kills of a rebuild, and its longest life.
const KILLS: u32 = 10;
const LIFE_MS_MAX: u64 = 1_200;

const BUFFER: &str = "[buffer]\nage = \"300 ms\"\nidle = \"150 ms\"\nrows = 200\n\n[archive]\nage = \"200 ms\"\n";

/// A live table, and the configuration that it is to be written anew by.
struct Live {
    lake: Lake,
    listen: String,
    catalog: String,
}

impl Live {
    fn new(lake: Lake, catalog: &str) -> Live {
        Live { lake: lake.with_archive(), listen: loopback(), catalog: catalog.into() }
    }

    /// The attribute history's spec with this many buckets, in the catalog's database.
    fn spec(&self, buckets: u32) -> PathBuf {
        let text = std::fs::read_to_string(file("schemas/tables/attribute_events.toml")).expect("the spec is there");
        assert!(text.contains("range = \"0,9\"") && text.contains("\"company_lake\""), "the spec has changed");
        let text = text.replace("range = \"0,9\"", &format!("range = \"0,{}\"", buckets - 1));
        let path = self.lake.file(&format!("spec-{buckets}.toml"));
        std::fs::write(&path, text.replace("\"company_lake\"", &format!("\"{}\"", self.catalog))).expect("written");
        path
    }

    fn sections(&self, buckets: u32) -> String {
        let bucket = format!(".entity_id | bucket({buckets})");
        let keys = [
            ("created_date", ".created_at | utc_date"),
            ("attribute_name", ".attribute_name"),
            ("entity_id_mod", bucket.as_str()),
        ];
        let rules = rules(&self.spec(buckets).display().to_string(), &keys);
        format!("{}\n{rules}\n{BUFFER}", intake_source(&self.lake, &self.listen))
    }

    fn config(&self, buckets: u32) -> String {
        self.lake.config(&self.sections(buckets)).display().to_string()
    }

    /// Runs it, puts these events and stops it when there are so many in all: what a journal still holds at a stop is for the
    /// next start.
    fn ingest(&self, events: &[Vec<u8>], in_all: usize) {
        let running = Running::start(&self.lake, &self.sections(10));
        Firehose::new(&self.listen, STREAM).put(events);
        self.lake.until_cut(in_all);
        running.stop();
    }

    fn archive(&self) -> String {
        self.lake.archive.as_ref().expect("it has one").url()
    }

    fn rebuild(&self, config: &str, more: &[&str]) -> Output {
        command(config, &self.archive(), more).output().expect("alluvium starts")
    }

    /// Where the next version of one of its places is.
    fn beside(&self, place: &Place) -> Place {
        match place {
            Place::Folder(folder) => Place::Folder(PathBuf::from(format!("{}_v2", folder.display()))),
            Place::Prefix(bucket, prefix) => Place::Prefix(bucket.clone(), format!("{prefix}_v2")),
        }
    }

    fn new_table(&self) -> Place {
        self.beside(&self.lake.table)
    }
}

fn command(config: &str, url: &str, more: &[&str]) -> Command {
    let mut command = alluvium::command();
    command.env("AWS_ENDPOINT_URL_GLUE", ministack().url());
    command.args(["replay", "--rebuild", "--config", config, url]).args(more).current_dir(tests::root());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it has said on stdout; it must have succeeded.
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Its message; it must have failed like this, and have named no statement.
fn refused(output: &Output, code: i32) -> String {
    let (out, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{told}");
    assert!(!out.contains("ALTER TABLE"), "{out}");
    told
}

/// Both tables hold the same rows, but for the bucket that each is in.
fn same_rows(old: &Place, new: &Place, rows: usize) {
    let columns = "* exclude (entity_id_mod)";
    let (old, new) = (duck::lake(&old.url()), duck::lake(&new.url()));
    assert_eq!(duck::number(&format!("select count(*) from {new}")), i64::try_from(rows).expect("few"));
    duck::none("rows that were lost", &format!("select {columns} from {old} except all select {columns} from {new}"));
    duck::none("rows that came", &format!("select {columns} from {new} except all select {columns} from {old}"));
}

#[test]
fn a_table_with_more_buckets_is_written_anew_under_kills_and_readers_find_it() {
    let catalog = Catalog::new("rebuild");
    let live = Live::new(Lake::local(), &catalog.database);
    let events = corpus::sp500();
    let (first, later) = events.split_at(9_000);
    live.ingest(first, first.len());
    let made = live.lake.file("table.json");
    std::fs::write(&made, alluvium::run(&["ddl", "--config", &live.config(10), "--dialect", "glue"]).stdout)
        .expect("written");
    catalog.create(&made);

    let config = live.config(16);
    killed(KILLS, LIFE_MS_MAX, || command(&config, &live.archive(), &[]));
    let said = done(&live.rebuild(&config, &[]));
    assert!(said.contains("9000 rows") && said.contains("and 0 rejects, are the 9000 events"), "{said}");
    let statement =
        format!("ALTER TABLE `{}`.`attribute_events` SET LOCATION '{}';", catalog.database, live.new_table().url());
    assert!(said.contains(&statement), "{said}");
    assert!(said.contains("projection.entity_id_mod.range: 0,9 -> 0,15"), "{said}");
    assert!(said.contains("SET TBLPROPERTIES ('projection.entity_id_mod.range' = '0,15');"), "{said}");
    assert!(said.lines().all(|line| line.starts_with("-- ") || line.starts_with("ALTER TABLE ")), "{said}");
    same_rows(&live.lake.table, &live.new_table(), first.len());

    // What comes in the meantime is in the archive; the same command brings it over, and nothing else.
    live.ingest(later, events.len());
    let said = done(&live.rebuild(&live.config(16), &["--apply"]));
    assert!(said.contains("\"records\":1355"), "{said}");
    assert!(said.contains("are the 10355 events"), "{said}");
    same_rows(&live.lake.table, &live.new_table(), events.len());
    duck::none(
        "rows in another bucket than jq's",
        &format!("select * from {} where entity_id_mod::int >= 16", duck::lake(&live.new_table().url())),
    );
    let table = catalog.table("attribute_events");
    assert_eq!(table["StorageDescriptor"]["Location"], live.new_table().url());
    assert_eq!(table["Parameters"]["projection.entity_id_mod.range"], "0,15");

    let files = live.new_table().list();
    let said = done(&live.rebuild(&live.config(16), &["--apply"]));
    assert!(said.contains("already") && said.contains("\"records\":0"), "{said}");
    assert_eq!(live.new_table().list(), files);
    refuses_what_is_not_its_own(&live, &config);
    goes_on_in_the_new_table(&live, &config);
}

/// The live process with the new places and rules, and its own state: what comes from now on is in the new table, once; and the
/// rebuild is over.
fn goes_on_in_the_new_table(live: &Live, config: &str) {
    let (table, errors) = (live.new_table(), live.beside(&live.lake.errors));
    let moved = Lake { table, errors, ..live.lake.beside() };
    let (old, more) = (live.lake.table.list(), &corpus::sp500()[..300]);
    let running = Running::start(&moved, &live.sections(16));
    Firehose::new(&live.listen, STREAM).put(more);
    moved.until_cut(corpus::sp500().len() + more.len());
    running.stop();
    let rows = duck::number(&format!("select count(*) from {}", duck::lake(&moved.table.url())));
    assert_eq!(usize::try_from(rows), Ok(corpus::sp500().len() + more.len()));
    assert_eq!((moved.rejects(), live.lake.table.list()), (vec![], old));
    let told = refused(&live.rebuild(config, &[]), 1);
    assert!(told.contains("are not the rebuild's own"), "{told}");
}

/// A rebuild that is there, and what it has to refuse.
fn refuses_what_is_not_its_own(live: &Live, config: &str) {
    live.config(10);
    let told = refused(&live.rebuild(config, &[]), 1);
    assert!(told.contains("was begun with another set of rules"), "{told}");
    live.config(16);
    let Place::Folder(table) = live.new_table() else { panic!("a lake on the disk") };
    let lost = table.join(&live.new_table().list()[3]);
    let kept = std::fs::read(&lost).expect("there");
    std::fs::remove_file(&lost).expect("removed");
    let short = live.rebuild(config, &[]);
    let told = refused(&short, 1);
    assert!(told.contains("1 partitions or folders differ"), "{told}");
    let partition = lost.parent().and_then(|p| p.strip_prefix(&table).ok()).expect("below it").display().to_string();
    assert!(text(&short.stdout).contains(&format!("differs: {partition}: ")), "{}", text(&short.stdout));

    let stranger = lost.with_file_name("stranger.parquet");
    std::fs::write(&stranger, &kept).expect("written");
    std::fs::write(&lost, kept).expect("written");
    let told = refused(&live.rebuild(config, &[]), 1);
    assert!(told.contains("1 objects lie there that are not the rebuild's own") && told.contains("stranger"), "{told}");
    std::fs::remove_file(stranger).expect("removed");
}

#[test]
fn tasks_share_a_rebuild_in_a_bucket_and_rejects_are_counted() {
    let live = Live::new(Lake::s3("rebuild"), "none");
    let Place::Prefix(bucket, _) = &live.lake.table else { panic!("a lake in a bucket") };
    // The emulator is slow with many files, and these are of a few days.
    let events = &corpus::sp500()[..600];
    for (n, part) in events.chunks(events.len().div_ceil(20)).enumerate() {
        let lines: Vec<String> = part.iter().map(|event| text(event)).collect();
        let broken = "{\"created_at\":\"2015-01-02T00:00:00Z\",\"entity_id\":\"A\",\"attribute_name\":\"name\",\"rule_version\":\"x\"}";
        bucket.put(&format!("archive/{n:02}"), zstd(format!("{}\nno json\n{broken}\n", lines.join("\n")).as_bytes()));
    }
    let config = live.config(4);
    let tasks: Vec<_> = ["0/2", "1/2"].map(|task| command(&config, &live.archive(), &["--task", task])).into();
    let tasks: Vec<_> =
        tasks.into_iter().map(|mut task| thread::spawn(move || task.output().expect("alluvium starts"))).collect();
    for task in tasks {
        let said = done(&task.join().expect("it ends"));
        assert!(said.contains("run it without --task") && !said.contains("ALTER TABLE"), "{said}");
    }
    let said = done(&live.rebuild(&config, &[]));
    let counted = format!("{} rows in ", events.len());
    assert!(said.contains(&counted), "{said}");
    assert!(said.contains(&format!("and 40 rejects, are the {} events in 20 objects", events.len() + 40)), "{said}");
    assert!(said.contains("does not say how it is defined"), "{said}");
    assert_eq!(live.beside(&live.lake.errors).list().len(), live.lake_rejects());
    let stored = duck::number(&format!("select count(*) from {}", duck::lake(&live.new_table().url())));
    assert_eq!(usize::try_from(stored), Ok(events.len()));

    // A live process on the new places is the end of the rebuild.
    let own = Lake { table: live.new_table(), errors: live.beside(&live.lake.errors), ..live.lake.beside() };
    let own = Lake { state: live.beside(&live.lake.state), archive: None, ..own };
    Running::start(&own, &live.sections(4)).stop();
    let told = refused(&live.rebuild(&config, &[]), 1);
    assert!(told.contains("a live process has read shard"), "{told}");
}

impl Live {
    /// Files in the new errors output.
    fn lake_rejects(&self) -> usize {
        self.beside(&self.lake.errors).list().iter().filter(|name| name.ends_with(".ndjson")).count()
    }
}

#[test]
fn a_change_of_the_catalog_at_the_same_moment_is_refused() {
    let catalog = Catalog::new("concurrent");
    let live = Live::new(Lake::local(), &catalog.database);
    let made = live.lake.file("table.json");
    let json = alluvium::run(&["ddl", "--config", &live.config(10), "--dialect", "glue"]).stdout;
    std::fs::write(&made, &json).expect("written");
    catalog.create(&made);
    live.ingest(&corpus::sp500()[..50], 50);

    let moved = live.lake.file("moved.json");
    let mut input: Value = serde_json::from_slice(&json).expect("JSON");
    input["StorageDescriptor"]["Location"] = "s3://elsewhere/t/".into();
    std::fs::write(&moved, input.to_string()).expect("written");
    catalog.update(&moved);
    let told = refused(&live.rebuild(&live.config(10), &["--apply"]), 1);
    assert!(told.contains("lies at s3://elsewhere/t/") && told.contains("somebody else has moved it"), "{told}");

    // Between a look at the table and its change.
    input["StorageDescriptor"]["Location"] = live.lake.table.url().into();
    input["Parameters"]["owner_note"] = "kept".into();
    std::fs::write(&moved, input.to_string()).expect("written");
    let (database, change) = (catalog.database.clone(), moved.clone());
    let way = with_a_change_before_update(move || Catalog { database: database.clone() }.update(&change));
    catalog.update(&moved);
    let mut late = command(&live.config(10), &live.archive(), &["--apply"]);
    let told = refused(&late.env("AWS_ENDPOINT_URL_GLUE", way).output().expect("alluvium starts"), 3);
    assert!(told.contains("somebody else has changed the table at the same moment"), "{told}");
    done(&live.rebuild(&live.config(10), &["--apply"]));
    let table = catalog.table("attribute_events");
    assert_eq!(table["StorageDescriptor"]["Location"], live.new_table().url());
    assert_eq!(table["Parameters"]["owner_note"], "kept");
}
