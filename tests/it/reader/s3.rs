//! The same over S3: the emulator's bucket, the archive, and what it cost.

use tests::alluvium::Lake;
use tests::corpus;
use tests::reader::attribute;

use super::lake::Asked;

/// Events of the log that go into the bucket.
const EVENTS: usize = 1_200;

#[test]
fn a_bucket_answers_as_a_folder_does_and_says_what_it_cost() {
    let asked = Asked::new(Lake::s3("reader").with_archive(), &corpus::sp500()[..EVENTS], 10, "");
    for ((entity, name), events) in asked.histories.iter().step_by(173) {
        let told = asked.reader.get(&attribute(entity, name));
        let (op, value) = events.last().expect("events").state();
        assert_eq!((told["state"].as_str(), told["value"].as_str()), (Some(op), value), "{entity} {name}");
        let took = &told["statistics"];
        let (lists, files) = (took["lists"].as_f64().expect("a number"), took["files"].as_f64().expect("a number"));
        let want = lists * 0.005 / 1000.0 + files * 2.0 * 0.0004 / 1000.0;
        let cost = took["cost_usd"].as_f64().expect("a number");
        assert!((cost - want).abs() < 1e-12 && cost > 0.0 && files > 0.0, "{took}");
        let record = asked.reader.ask(told["links"]["record"].as_str().expect("a link"), &[]);
        let (_, since) = super::logged::current(events);
        assert_eq!((record.status, record.body.as_slice()), (200, since.line));
    }
}
