//! `[intake] forward = "kinesis"`: a Firehose client's records go to the stream, and from there to the lake like any others.

use tests::alluvium::{Lake, Running, attribute_events, loopback};
use tests::firehose::Firehose;
use tests::kinesis::Stream;
use tests::{corpus, duck, emulator};

use crate::clients::STREAM;
use crate::end_to_end::kinesis_source;

#[test]
fn what_a_firehose_client_puts_goes_through_the_stream_into_the_lake() {
    let (stream, lake, listen) = (Stream::new(emulator::ministack(), "forward", 2), Lake::local(), loopback());
    let intake = format!("[intake]\nlisten = \"{listen}\"\nforward = \"kinesis\"\ndelivery_streams = [\"{STREAM}\"]\n");
    let buffer = "[buffer]\nage = \"60 s\"\nidle = \"1 s\"\n";
    let sections = format!("{}\n{intake}\n{}\n{buffer}", kinesis_source(&stream), attribute_events());
    let running = Running::start(&lake, &sections);
    Firehose::new(&listen, STREAM).put(&corpus::sp500()[..600]);
    lake.until_cut(600);
    running.stop();
    let found = duck::query(&format!(
        "select count(*) as rows, count(distinct event_id) as events, count(distinct split_part(_shard, ':', 1)) as sources \
         from {}",
        duck::lake(&lake.table.url())
    ));
    assert_eq!(found, [serde_json::json!({"rows": 600, "events": 600, "sources": 1})]);
}
