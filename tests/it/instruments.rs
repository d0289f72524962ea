//! The instruments themselves: what the other tests measure with has to be able to see what it is meant to see.

use std::process::{Command, Stdio};

use tests::alluvium::Lake;
use tests::kinesis::Stream;
use tests::s3::Bucket;
use tests::{corpus, duck, emulator, http, loose_store, root, wait_for};

use crate::end_to_end::sp500_partitions;

#[test]
fn kinesis_local_keeps_the_parents_of_a_split_and_a_merge() {
    let stream = Stream::new(emulator::kinesis_local(), "lineage", 1);
    stream.split(&stream.open_shards()[0]);
    let children = stream.open_shards();
    assert_eq!((stream.shards().len(), children.len()), (3, 2));
    stream.merge(&children[0], &children[1]);
    let merged = &stream.open_shards()[0];
    assert_eq!(stream.shards().len(), 4);
    assert!(merged.parent_shard_id().is_some() && merged.adjacent_parent_shard_id().is_some());
}

#[test]
fn ministack_refuses_to_create_what_exists_and_the_loose_store_does_not() {
    let bucket = Bucket::new("conditions");
    let create = |address: &str, path: &str| {
        let answer = http::request(address, "PUT", path, &[("if-none-match", "*")], b"x");
        answer.expect("the store answers").0
    };
    let (address, path) = (emulator::ministack().address(), format!("/{}/key", bucket.name));
    assert_eq!((create(&address, &path), create(&address, &path)), (200, 412));
    assert_eq!((bucket.list(""), bucket.get("key")), (vec!["key".to_string()], b"x".to_vec()));
    let loose = loose_store::start();
    let address = loose.trim_start_matches("http://");
    assert_eq!((create(address, "/loose/key"), create(address, "/loose/key")), (200, 200));
}

#[test]
fn jq_1_6_gives_each_sp500_event_a_partition() {
    let lake = Lake::local();
    let out = sp500_partitions(&lake);
    let sql = format!(
        "select count(*) as events, count(distinct (created_date, attribute_name, entity_id_mod)) as partitions,
                count(distinct entity_id_mod) as buckets
         from read_json('{}', format = 'newline_delimited')",
        out.display()
    );
    let found = duck::query(&sql);
    assert_eq!((&found[0]["events"], &found[0]["buckets"]), (&10_355.into(), &10.into()));
    assert!(found[0]["partitions"].as_u64().is_some_and(|n| n > 1_000), "{found:?}");
}

#[test]
fn duckdb_reads_parquet_from_the_bucket() {
    let lake = Lake::s3("duck");
    let file = lake.table.url() + "created_date=2024-01-01/a.parquet";
    duck::query(&format!("copy (select 7 as n) to '{file}' (format parquet);\nselect 1 as done"));
    assert_eq!(duck::number(&format!("select n from {}", duck::lake(&lake.table.url()))), 7);
    assert_eq!(lake.table.list(), ["created_date=2024-01-01/a.parquet"]);
}

#[test]
fn corpora_are_whole() {
    assert_eq!((corpus::sp500().len(), corpus::wikipedia().len()), (10_355, 24_433));
}

/// What `with-parent` runs does not outlive the process that started it, nor does what that has started.
#[test]
fn emulators_end_when_their_parent_is_gone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pids = folder.path().join("pids");
    let script = format!("sleep 1000 & echo $! $$ > {}; wait", pids.display());
    let mut wrapper = Command::new(root().join("infra/local/with-parent"));
    let mut wrapper = wrapper.args(["bash", "-c", &script]).stdin(Stdio::piped()).spawn().expect("bash starts");
    let text =
        wait_for("the children to start", 20, || std::fs::read_to_string(&pids).ok().filter(|t| t.ends_with('\n')));
    let alive = |pid: &str| std::path::Path::new("/proc").join(pid).join("cwd").read_link().is_ok();
    assert!(text.split_whitespace().all(alive), "{text}");

    drop(wrapper.stdin.take());
    wait_for("the children to end", 20, || (!text.split_whitespace().any(alive)).then_some(()));
    wrapper.wait().expect("the wrapper ends");
}
