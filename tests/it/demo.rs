//! `alluvium demo`: the main job on real data, and running it twice doubles nothing.

use std::path::Path;
use std::process::Output;

use tests::alluvium::command;
use tests::duck;

fn demo(folder: &Path) -> Output {
    let done = command().arg("demo").current_dir(folder).env("HOME", folder).output().expect("alluvium starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done
}

#[test]
fn demo_twice_leaves_each_event_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = demo(folder.path());
    let summary = format!("{}{}", String::from_utf8_lossy(&first.stdout), String::from_utf8_lossy(&first.stderr));
    assert!(summary.contains("10355") || summary.contains("10,355"), "{summary}");
    let once = counts(folder.path());
    demo(folder.path());
    assert_eq!(counts(folder.path()), once);
    assert_eq!(once, [serde_json::json!({"rows": 10_355, "events": 10_355})]);
}

fn counts(folder: &Path) -> Vec<serde_json::Value> {
    let files = format!("read_parquet('{}/alluvium-demo/**/*.parquet')", folder.display());
    duck::query(&format!("select count(*) as rows, count(distinct event_id) as events from {files}"))
}
