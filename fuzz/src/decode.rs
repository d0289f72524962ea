//! Bytes of a record through decode, keys and guard.
//!
//! Decode, and what takes an event apart, say what an independent JSON recogniser says; an event that has a partition lies in it and
//! nowhere else.

use std::cell::RefCell;

use ingest::decode::{decode, take_apart};
use ingest::route::Router;
use object_store::path::Path;
use schemas::hive;
use schemas::layout::data_object;
use schemas::position::Position;
use schemas::reject::Reason;
use schemas::rules::{ParquetSettings, Rules};
use schemas::table::TableSpec;
use writer::encode::DEPTH_MAX;
use writer::tape::{NODES_MAX, Tape, outline};

use super::json::recognise;

const NOW: i64 = 1_779_045_174_594;

/// Partition columns of every type; `name` and `note` hold whatever a record holds.
const TABLE: &str = r#"
version = 1
name = "t"
location = "s3://b/t/"

[[column]]
name = "value"
type = "string"

[[partition]]
name = "day"
type = "string"
projection = { type = "date", format = "yyyy-MM-dd", range = "2012-01-01,NOW+1DAYS" }

[[partition]]
name = "name"
type = "string"

[[partition]]
name = "bucket"
type = "int"
projection = { type = "integer", range = "0,9" }

[[partition]]
name = "note"
type = "string"

[[partition]]
name = "number"
type = "bigint"

[[partition]]
name = "date"
type = "date"
"#;

/// One program for each way a key can run.
const KEYS: [(&str, &str); 6] = [
    ("day", ".day | utc_date"),
    ("name", ".name"),
    ("bucket", ".name | bucket(10)"),
    ("note", ".note | @text \"n\\(.)\""),
    ("number", "(.number // (. | length)) | tostring"),
    ("date", "if .date then .date | tostring | .[0:10] else \"2026-05-17\" end"),
];

fn router() -> Router {
    let spec = TableSpec::parse(TABLE, "table").expect("a good spec");
    let keys = KEYS.map(|(name, program)| (name.to_string(), program.to_string()));
    Router::compile(&Rules::new(keys.to_vec(), &spec, ParquetSettings::default()), "rules").expect("good rules")
}

thread_local! {
    static ROUTER: RefCell<Router> = RefCell::new(router());
}

pub fn run(data: &[u8]) {
    let reason = decode(data).err().map(|reject| reject.reason);
    let expected = match recognise(data) {
        None => Some(Reason::NotJson),
        Some(text) if text.depth > DEPTH_MAX => Some(Reason::TooDeep),
        Some(text) if !text.object => Some(Reason::NotObject),
        Some(_) => None,
    };
    assert_eq!(reason, expected);
    comes_apart(data, expected.is_none());
    ROUTER.with_borrow_mut(|router| {
        let documents = router.documents(data);
        for event in documents.events(&Position::zero()) {
            match router.route(&event, NOW) {
                Ok(path) => lies_below_the_table(path),
                Err(reject) => assert!(reject.reason.as_str() != "column" && !reject.message.is_empty()),
            }
        }
    });
}

/// An event is taken apart, nothing else is, and each of its nodes is a JSON text of its own.
fn comes_apart(data: &[u8], is_event: bool) {
    let (mut nodes, mut outline) = (Vec::new(), Vec::new());
    let text = take_apart(data, &mut nodes, &mut outline);
    // Every node takes a byte or more.
    assert!(text.is_some() == is_event || data.len() > NODES_MAX);
    let Some(text) = text else { return };
    let tape = Tape::of(text, &nodes);
    assert_eq!(nodes[0].span as usize, nodes.len());
    let mut again = Vec::new();
    assert!(outline.is_empty() || outline::append(&outline, text.len(), &mut again).is_ok() && again == nodes);
    for (number, node) in nodes.iter().enumerate() {
        assert!(recognise(tape.text_of(node).as_bytes()).is_some() && number + node.span as usize <= nodes.len());
    }
    let members = tape.members().map(|(_, value)| 1 + value.span as usize);
    assert_eq!(1 + members.sum::<usize>(), nodes.len(), "nodes that are in no member");
}

fn lies_below_the_table(path: &str) {
    let columns = hive::parse_partition_path(path).expect("a partition path");
    assert!(columns.iter().map(|(name, _)| name.as_str()).eq(KEYS.iter().map(|(name, _)| *name)), "{path}");
    assert!(hive::fits(path) && !path.chars().any(|c| c.is_ascii_control()), "{path}");
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{path}");
    let object = data_object(path, "writer", 1, 1);
    assert_eq!(Path::parse(&object).expect("an object's name").as_ref(), object);
    let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    assert_eq!(hive::partition_path(&names, &values), path, "one path for each set of values");
}
