//! Another configuration while events flow: it holds, it is told, what cannot hold is refused, and no row is lost or doubled,
//! whatever dies in the middle of it.

use std::path::Path;
use std::process::Output;
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tests::alluvium::{self, Lake, Running, loopback, rules};
use tests::firehose::Firehose;
use tests::numbered::{PUT_EVENTS, Producer, check, event};
use tests::{duck, http, root, wait_for};

use crate::clients::{STREAM, intake_source};

const TABLE: &str = "schemas/tables/attribute_events.toml";

/// Kills, each with a reload around it.
const ROUNDS: u32 = 16;

/// The table as it is in the repository, or without one of its columns.
fn write_table(lake: &Lake, with_value: bool) {
    let text = std::fs::read_to_string(root().join(TABLE)).expect("the spec is there");
    let start = text.find("[[column]]\nname = \"value\"").expect("the column is there");
    let end = start + 1 + text[start + 1..].find("[[column]]").expect("another one follows");
    let text = if with_value { text } else { format!("{}{}", &text[..start], &text[end..]) };
    // A process may be reading it.
    std::fs::write(lake.file("table.new"), text).expect("the folder is writable");
    std::fs::rename(lake.file("table.new"), lake.file("table.toml")).expect("the folder is writable");
}

fn sections(lake: &Lake, listen: &str, more: &str) -> String {
    let spec = lake.file("table.toml");
    let keys = [
        ("created_date", ".created_at | utc_date"),
        ("attribute_name", ".attribute_name"),
        ("entity_id_mod", ".entity_id | bucket(10)"),
    ];
    let rules = rules(spec.to_str().expect("the path is text"), &keys);
    format!("{}\n{rules}\n{more}", intake_source(lake, listen))
}

fn reload(config: &Path) -> Output {
    alluvium::run(&["reload", "--config", config.to_str().expect("the path is text")])
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn events(numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    // Every twentieth is broken: those are another test's.
    numbers.filter(|number| number % 20 != 19).map(event).collect()
}

#[test]
fn file_settings_and_a_column_hold_for_the_next_files_and_ages_at_once() {
    let (lake, listen) = (Lake::local(), loopback());
    write_table(&lake, false);
    let long = "[buffer]\nage = \"1 h\"\nidle = \"1 h\"\n";
    let running = Running::start(&lake, &sections(&lake, &listen, long));
    let client = Firehose::new(&listen, STREAM);
    client.put(&events(200..240));
    running.until_taken_in(38);

    write_table(&lake, true);
    let config = lake.config(&sections(&lake, &listen, &format!("{long}[parquet]\ncompression = \"snappy\"\n")));
    let said = told(&reload(&config));
    assert!(said.contains("[parquet] compression: zstd(1) -> snappy (for files begun from now on)"), "{said}");
    assert!(said.contains("table.toml: with value (for files begun from now on)"), "{said}");
    assert_eq!(tests::log::cut_rows(&lake.state), 38, "what was open is stored when the reload has answered");
    client.put(&events(240..280));
    running.until_taken_in(76);

    // By the signal this time, of which the log tells.
    lake.config(&sections(&lake, &listen, "[buffer]\nage = \"100 ms\"\n[parquet]\ncompression = \"snappy\"\n"));
    running.signal("HUP");
    lake.until_cut(76);
    assert!(running.log().contains("reload: changed"), "{}", running.log());
    let (_, shown) = http::get(&lake.admin, "/config").expect("it answers");
    assert!(shown.contains("\"age\":\"100 ms\""), "{shown}");
    running.stop();

    let table = lake.table.url();
    let folder = table.trim_start_matches("file://");
    let codecs = format!(
        "select distinct compression as c, f from (select compression, file_name as f from parquet_metadata('{folder}**/*.parquet'))"
    );
    let count = |codec: &str| duck::number(&format!("select count(distinct f) from ({codecs}) where c = '{codec}'"));
    let codecs = (count("ZSTD"), count("SNAPPY"));
    assert!(codecs.0 > 0 && codecs.1 > 0, "{codecs:?}");
    let rows = format!("read_parquet('{folder}**/*.parquet', union_by_name = true)");
    let numbers = "cast(substr(event_id, 2) as int)";
    let wrong = format!("select event_id, value from {rows} where (value is null) != ({numbers} < 240)");
    duck::none("rows of before without a value, rows behind it with theirs", &wrong);
    assert_eq!(duck::number(&format!("select count(*) from {rows}")), 76);
}

#[test]
fn reloads_under_load_with_kills_around_them_lose_and_double_nothing() {
    let (lake, listen) = (Lake::local(), loopback());
    let client = Firehose::new(&listen, STREAM);
    let producer = Producer::start(move |events| client.put_call(events).is_ok());
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let settings = |n: u32| {
        let (codec, age) = (["snappy", "zstd(1)", "zstd(3)", "none"][n as usize % 4], 100 + n % 3 * 150);
        format!(
            "[buffer]\nage = \"{age} ms\"\nidle = \"{age} ms\"\nrows = {}\n[parquet]\ncompression = \"{codec}\"\n",
            50 + n
        )
    };
    write_table(&lake, false);
    for round in 0..ROUNDS {
        let before = sections(&lake, &listen, &settings(round));
        let mut running = Running::spawn(&lake, &before);
        if round % 4 != 3 {
            wait_for("it to be healthy", 60, || {
                matches!(http::get(&lake.admin, "/healthz"), Ok((200, _))).then_some(())
            });
        }
        write_table(&lake, round % 2 == 0 || round >= ROUNDS / 2);
        let config = lake.config(&sections(&lake, &listen, &settings(round + 1)));
        let asked = thread::spawn(move || reload(&config));
        thread::sleep(Duration::from_millis(random.random_range(0..600)));
        assert!(running.is_alive(), "round {round}, seed {seed}: ended by itself:\n{}", running.log());
        running.kill();
        asked.join().expect("the command ends");
    }
    let last = Running::start(&lake, &sections(&lake, &listen, &settings(0)));
    let put = producer.stop();
    assert!(put.known.len() > PUT_EVENTS, "the intake answered {} events only", put.known.len());
    lake.until_cut(put.known.len());
    last.stop();
    check(&lake, &put);
}

#[test]
fn what_cannot_hold_is_refused_with_the_reason_and_nothing_of_it_holds() {
    let (lake, listen) = (Lake::local(), loopback());
    write_table(&lake, true);
    let buffer = "[buffer]\nage = \"200 ms\"\n";
    let running = Running::start(&lake, &sections(&lake, &listen, buffer));
    let refused = |text: &str, why: &str| {
        std::fs::write(lake.file("alluvium.toml"), text).expect("the folder is writable");
        let output = reload(&lake.file("alluvium.toml"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    };
    let good = std::fs::read_to_string(lake.config(&sections(&lake, &listen, buffer))).expect("written");
    refused(
        &good.replace("bucket(10)", "bucket(5)").replace("200 ms", "1 s"),
        "[keys] entity_id_mod: needs a restart: it sends rows elsewhere",
    );
    refused(&good.replace("200 ms", "200"), "alluvium.toml:");
    refused(&good.replace("/errors/", "/errors2/"), "[lake] errors: needs a restart");
    write_table(&lake, false);
    refused(&good, "column `value` is gone");
    write_table(&lake, true);
    std::fs::write(lake.file("alluvium.toml"), &good).expect("the folder is writable");
    assert_eq!(told(&reload(&lake.file("alluvium.toml"))), "nothing has changed\n");
    let (_, shown) = http::get(&lake.admin, "/config").expect("it answers");
    assert!(shown.contains("\"age\":\"200 ms\"") && shown.contains("bucket(10)"), "{shown}");
    Firehose::new(&listen, STREAM).put(&events(0..10));
    lake.until_cut(10);
    running.stop();
    let gone = reload(&lake.file("alluvium.toml"));
    assert_eq!(gone.status.code(), Some(3), "{}", String::from_utf8_lossy(&gone.stderr));
}

#[test]
fn rates_of_the_intake_hold_at_once() {
    let (lake, listen) = (Lake::local(), loopback());
    write_table(&lake, true);
    let limited =
        |rate: u32| sections(&lake, &listen, "").replace("[keys]", &format!("requests_per_second = {rate}\n[keys]"));
    let running = Running::start(&lake, &limited(1));
    let put = || http::request(&listen, "POST", "/v1/events", &[], b"{}\n").expect("it answers").0;
    assert!((0..5).any(|_| put() == 429), "one a second");
    let said = told(&reload(&lake.config(&limited(1_000))));
    assert!(said.contains("[source.intake] requests_per_second: 1 -> 1000 (at once)"), "{said}");
    // What was owed is paid off first.
    wait_for("the new rate", 10, || (put() == 200).then_some(()));
    assert!((0..20).all(|_| put() == 200));
    running.stop();
}
