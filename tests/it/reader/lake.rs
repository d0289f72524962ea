//! Lakes of the real logs, each written by the real `alluvium` with an archive, each with a reader over it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tests::alluvium::{Lake, Running, loopback, rules};
use tests::firehose::Firehose;
use tests::reader::Reader;
use tests::{corpus, file};

use super::logged::{Histories, histories};
use crate::clients::{STREAM, intake_source};

/// All is cut when the process stops.
const BUFFER: &str = "[buffer]\nage = \"600 s\"\nidle = \"600 s\"\n\n[archive]\nage = \"600 s\"\n";

/// A log in a lake, with a reader.
pub(crate) struct Asked {
    pub(crate) lake: Lake,
    pub(crate) reader: Reader,
    pub(super) histories: Histories,
}

impl Asked {
    /// Writes these events and starts a reader; `more` are further fields of `[reader]`.
    pub(crate) fn new(lake: Lake, events: &'static [Vec<u8>], buckets: u32, more: &str) -> Asked {
        let (listen, address) = (loopback(), loopback());
        let spec = table(&lake, events, buckets);
        let bucket = format!(".entity_id | bucket({buckets})");
        let keys = [
            ("created_date", ".created_at | utc_date"),
            ("attribute_name", ".attribute_name"),
            ("entity_id_mod", bucket.as_str()),
        ];
        let sections = format!(
            "{}\n{}\n{BUFFER}\n[reader]\nlisten = \"{address}\"\n{more}",
            intake_source(&lake, &listen),
            rules(&spec.display().to_string(), &keys)
        );
        let running = Running::start(&lake, &sections);
        Firehose::new(&listen, STREAM).put(events);
        running.until_taken_in(events.len());
        running.stop();
        assert_eq!(lake.rejects(), Vec::<serde_json::Value>::new());
        let reader = Reader::start(&lake, &address);
        Asked { lake, reader, histories: histories(events) }
    }

    /// One for all tests that run at the time: the last one to end takes it away.
    pub(super) fn sp500() -> Arc<Asked> {
        static SHARED: Mutex<Weak<Asked>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = shared.upgrade() {
            return asked;
        }
        let asked = Arc::new(Asked::new(Lake::local().with_archive(), corpus::sp500(), 10, ""));
        *shared = Arc::downgrade(&asked);
        asked
    }

    pub(super) fn cncf() -> Asked {
        Asked::new(Lake::local().with_archive(), corpus::cncf(), 2, "")
    }

    pub(super) fn sec() -> Asked {
        Asked::new(Lake::local().with_archive(), corpus::sec(), 2, "")
    }
}

/// The attribute history's table with the attributes of this log, and as many buckets.
fn table(lake: &Lake, events: &'static [Vec<u8>], buckets: u32) -> PathBuf {
    let text = std::fs::read_to_string(file("schemas/tables/attribute_events.toml")).expect("the table is there");
    let names: BTreeSet<String> = histories(events).into_keys().map(|(_, attribute)| attribute).collect();
    let names: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    let (head, rest) = text.split_once("values = [").expect("an enum");
    let (_, tail) = rest.split_once(']').expect("its end");
    let range = format!("range = \"0,{}\"", buckets - 1);
    let text = format!("{head}values = [{}]{tail}", names.join(", ")).replace("range = \"0,9\"", &range);
    let text = text.replace("2012-01-01,NOW+1DAYS", "2009-01-01,NOW+1DAYS");
    let path = lake.file("table.toml");
    std::fs::write(&path, text).expect("writable");
    path
}
