//! Records of several documents, plain and compressed, put by Amazon's SDKs: each event once, where jq 1.6 says.

use tests::alluvium::{Lake, Running, attribute_events, loopback};
use tests::bundle::bundle;
use tests::firehose::Firehose;
use tests::kinesis::Stream;
use tests::{corpus, emulator, log};

use crate::clients::{STREAM, intake_source};
use crate::end_to_end::{check_sp500, kinesis_source};

/// Files end by their rows, in the midst of records.
const BUFFER: &str = "[buffer]\nage = \"60 s\"\nidle = \"1 s\"\nrows = 10\n";

/// Far fewer records than events, each way of sending among them.
fn records() -> Vec<Vec<u8>> {
    let records = bundle(corpus::sp500());
    assert!(records.len() * 5 < corpus::sp500().len());
    for begin in [b"{".as_slice(), b"\x1f\x8b", b"\x28\xb5\x2f\xfd"] {
        assert!(records.iter().filter(|record| record.starts_with(begin)).count() > 100, "{begin:?}");
    }
    records
}

fn check(lake: &Lake) {
    assert_eq!(lake.rejects(), Vec::<serde_json::Value>::new());
    check_sp500(lake);
    assert_eq!(log::named_objects(&lake.state).into_iter().collect::<Vec<_>>(), lake.table.list());
}

#[test]
fn sp500_log_in_bundles_through_kinesis_is_each_event_once() {
    let stream = Stream::new(emulator::ministack(), "bundles", 3);
    stream.put(&records(), |data| format!("{:?}", data.len() % 11));
    let lake = Lake::local();
    let running = Running::start(&lake, &format!("{}\n{}\n{BUFFER}", kinesis_source(&stream), attribute_events()));
    lake.until_cut(corpus::sp500().len());
    running.stop();
    check(&lake);
}

#[test]
fn sp500_log_in_bundles_through_the_firehose_api_is_each_event_once() {
    let (lake, listen) = (Lake::local(), loopback());
    let sections = format!("{}\n{}\n{BUFFER}", intake_source(&lake, &listen), attribute_events());
    let running = Running::start(&lake, &sections);
    Firehose::new(&listen, STREAM).put(&records());
    lake.until_cut(corpus::sp500().len());
    running.stop();
    check(&lake);
}
