//! Two processes on one stream: the second takes the shards over, the first finds itself sealed, and no event suffers.

use tests::alluvium::{Lake, Running, attribute_events};
use tests::kinesis::Stream;
use tests::{corpus, duck, emulator, log};

use crate::end_to_end::{entity, kinesis_source};

const BUFFER: &str = "[buffer]\nage = \"60 s\"\nidle = \"1 s\"\n";

/// Seconds until a process that writes nothing has looked whether it was sealed.
const NOTICED_SECONDS: u64 = 60;

/// First process, first half of the events; then the second process takes over.
fn taken_over(what: &str) -> (Stream, Lake, Running, Running) {
    let stream = Stream::new(emulator::ministack(), what, 2);
    stream.put(&corpus::sp500()[..500], entity);
    let lake = Lake::s3(what);
    let sections = format!("{}\n{}\n{BUFFER}", kinesis_source(&stream), attribute_events());
    let first = Running::start(&lake, &sections);
    lake.until_cut(500);
    let second = Running::start(&lake.beside(), &sections);
    (stream, lake, first, second)
}

#[test]
fn a_process_that_was_taken_over_ends_with_4_and_does_no_harm() {
    let (stream, lake, mut first, second) = taken_over("fenced");
    stream.put(&corpus::sp500()[500..1000], entity);
    assert_eq!(first.ended(NOTICED_SECONDS).code(), Some(4), "{}", first.log());
    assert!(first.log().contains("was sealed by"), "{}", first.log());
    lake.until_cut(1000);
    second.stop();
    let rows = duck::query(&format!(
        "select count(*) as rows, count(distinct event_id) as events from {}",
        duck::lake(&lake.table.url())
    ));
    assert_eq!(rows, [serde_json::json!({"rows": 1000, "events": 1000})]);
    assert_eq!(log::named_objects(&lake.state).into_iter().collect::<Vec<_>>(), lake.table.list());
}

#[test]
fn a_process_that_has_nothing_to_write_notices_too() {
    let (_stream, _lake, mut first, second) = taken_over("fenced-idle");
    assert_eq!(first.ended(NOTICED_SECONDS).code(), Some(4), "{}", first.log());
    second.stop();
}
