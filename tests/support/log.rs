//! The writer logs as they are stored, read with the format's own types, and what they name.

use std::collections::BTreeSet;

use schemas::log_entry::{Body, Cut, Entry, Output, Target};

use crate::alluvium::Place;

/// All objects of the table that any cut in any log names, as paths below the table's URL.
pub fn named_objects(state: &Place) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for path in state.list().iter().filter(|path| is_entry(path)) {
        let entry: Entry = serde_json::from_slice(&state.read(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        for cut in cuts(entry.body) {
            let table = cut.files.into_iter().filter(|f| matches!(f.target, Target::Table(_)));
            named.extend(table.filter_map(|f| f.object).map(|o| o.path));
        }
    }
    named
}

/// `writers/<writer>/<twelve digits>.json`
fn is_entry(path: &str) -> bool {
    let Some(name) = path.strip_prefix("writers/").and_then(|p| p.rsplit('/').next()) else { return false };
    name.strip_suffix(".json").is_some_and(|number| number.len() == 12 && number.bytes().all(|b| b.is_ascii_digit()))
}

fn cuts(body: Body) -> Vec<Cut> {
    match body {
        Body::Cut(cut) => vec![cut],
        Body::Open { state, .. } | Body::Take { state, .. } | Body::Checkpoint(state) => state.unfinished,
        Body::Claim { .. } | Body::Stored | Body::Redone | Body::Release { .. } | Body::Seal { .. } => vec![],
    }
}

/// Rows of the table and of the errors output that all cuts together name, without the archive's. An inherited cut counts once.
pub fn cut_rows(state: &Place) -> u64 {
    let mut seen = BTreeSet::new();
    let mut rows = 0;
    for path in state.list().iter().filter(|path| is_entry(path)) {
        let Ok(entry) = serde_json::from_slice::<Entry>(&state.read(path)) else { continue };
        for cut in cuts(entry.body) {
            if seen.insert((cut.by.clone(), cut.cut)) {
                let files = cut.files.iter().filter(|f| f.target.output() != Output::Archive);
                let objects = files.flat_map(|f| f.object.iter().chain(&f.rejects));
                rows += objects.map(|o| o.rows).sum::<u64>();
            }
        }
    }
    rows
}
