//! Log entries as text, and the fold over any sequence of them.

use schemas::log_entry::{Entry, Epoch, WriterState};
use schemas::rules::Rules;

pub fn run(data: &[u8]) {
    let mut fold = WriterState::default();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(entry) = serde_json::from_slice::<Entry>(line) {
            comes_back(&entry);
            follows(&mut fold, entry);
        }
        if let Ok(epoch) = serde_json::from_slice::<Epoch>(line) {
            let json = serde_json::to_vec(&epoch).expect("serialises");
            assert_eq!(serde_json::from_slice::<Epoch>(&json).expect("comes back"), epoch);
        }
        if let Ok(rules) = serde_json::from_slice::<Rules>(line) {
            assert_eq!(serde_json::from_slice::<Rules>(&rules.to_json()).expect("comes back"), rules);
        }
    }
}

fn comes_back(entry: &Entry) {
    let json = serde_json::to_vec(entry).expect("serialises");
    let back: Entry = serde_json::from_slice(&json).expect("comes back");
    assert_eq!(&back, entry);
    assert_eq!(serde_json::to_vec(&back).expect("serialises"), json, "the same bytes each time");
}

/// After a seal nothing counts, and each entry leaves a fold that a checkpoint can carry.
fn follows(fold: &mut WriterState, entry: Entry) {
    let before = fold.clone();
    fold.apply(entry);
    if before.sealed.is_some() {
        assert_eq!((&fold.carried, &fold.sealed), (&before.carried, &before.sealed));
    }
    for state in fold.carried.shards.values() {
        assert!(*state.highest_mark() >= state.watermark);
    }
    let json = serde_json::to_vec(&fold.carried).expect("serialises");
    let carried: schemas::log_entry::Carried = serde_json::from_slice(&json).expect("comes back");
    assert_eq!(carried, fold.carried);
}
