//! The writer log as an index: which cut put which positions into a file of the archive.

use std::collections::HashMap;

use schemas::layout::{log_entry, log_folder};
use schemas::log_entry::{Body, Cut, Entry};

use crate::error::ReaderError;
use crate::lake::Place;

/// Entries that are read to find one record at most.
pub(super) const ENTRIES_MAX: usize = 2_000;

/// Looks cuts up by their number.
#[derive(Debug)]
pub(super) struct Log<'l> {
    state: &'l Place,
    /// Of each writer, the numbers of its entries.
    numbers: HashMap<String, Vec<u64>>,
    entries: HashMap<(String, u64), Option<Cut>>,
}

impl<'l> Log<'l> {
    pub(super) fn new(state: &'l Place) -> Log<'l> {
        Log { state, numbers: HashMap::new(), entries: HashMap::new() }
    }

    /// A writer's cut. Cuts are numbered in the order of their entries, among which there are others: so it is searched for by
    /// halves, and where an entry is no cut, the next one that is tells which half.
    pub(super) async fn cut(&mut self, writer: &str, cut: u64) -> Result<Option<Cut>, ReaderError> {
        let numbers = self.numbers(writer).await?;
        let (mut low, mut high) = (0, numbers.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let mut at = middle;
            let found = loop {
                if at == high {
                    break None;
                }
                match self.entry(writer, numbers[at]).await? {
                    Some(found) => break Some(found),
                    None => at += 1,
                }
            };
            match found {
                Some(found) if found.cut == cut => return Ok(Some(found)),
                Some(found) if found.cut < cut => low = at + 1,
                _ => high = middle,
            }
        }
        Ok(None)
    }

    async fn numbers(&mut self, writer: &str) -> Result<Vec<u64>, ReaderError> {
        if !self.numbers.contains_key(writer) {
            let files = self.state.list(&log_folder(writer)).await?;
            let number =
                |file: &object_store::ObjectMeta| file.location.filename()?.strip_suffix(".json")?.parse().ok();
            let mut numbers: Vec<u64> = files.iter().filter_map(number).collect();
            numbers.sort_unstable();
            self.numbers.insert(writer.to_string(), numbers);
        }
        Ok(self.numbers[writer].clone())
    }

    /// The cut that an entry is, if it is one.
    async fn entry(&mut self, writer: &str, number: u64) -> Result<Option<Cut>, ReaderError> {
        let key = (writer.to_string(), number);
        if let Some(known) = self.entries.get(&key) {
            return Ok(known.clone());
        }
        if self.entries.len() >= ENTRIES_MAX {
            let instead = "read the archive itself: `alluvium replay` tells where each record stands";
            return Err(ReaderError::TooMuch { what: "entries of the writer log", limit: ENTRIES_MAX as u64, instead });
        }
        let bytes = self.state.get(&log_entry(writer, number)).await?;
        let cut = match bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            Some(Entry { body: Body::Cut(cut), .. }) => Some(cut),
            _ => None,
        };
        self.entries.insert(key, cut.clone());
        Ok(cut)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::*;

    fn entry(number: u64, body: Body) -> Entry {
        Entry { format: 1, writer: "w".into(), number, at: 0, stored: 0, progress: BTreeMap::new(), body }
    }

    /// Cuts lie among entries that are none, however many.
    #[tokio::test]
    async fn each_cut_of_a_log_is_found_and_no_other() {
        let store = Arc::new(InMemory::new());
        let mut cuts = 0;
        for number in 0..60 {
            let cut = |cut| Body::Cut(Cut { by: "w".into(), cut, rules: String::new(), files: Vec::new() });
            let body = if number % 3 == 0 || (20..30).contains(&number) { Body::Stored } else { cut(cuts) };
            cuts += u64::from(matches!(body, Body::Cut(_)));
            let bytes = serde_json::to_vec(&entry(number, body)).expect("serialises");
            store.put(&Path::from(log_entry("w", number)), bytes.into()).await.expect("stored");
        }
        let place = Place::new(store as Arc<dyn ObjectStore>, "", "memory:///");
        let mut log = Log::new(&place);
        for cut in 0..cuts {
            assert_eq!(log.cut("w", cut).await.expect("read").map(|found| found.cut), Some(cut));
        }
        assert_eq!((log.cut("w", cuts).await.expect("read"), log.cut("v", 0).await.expect("read")), (None, None));
    }
}
