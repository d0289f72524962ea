//! Every state that a writer's log can fold to, once: a state of the model holds numbers of them, and what they are is
//! production's own type, made by production's own fold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use schemas::log_entry::{Carried, WriterState};

/// Number of a fold; 0 is the fold of no entries.
pub(super) type Fold = u32;

#[derive(Debug, Default)]
struct Kept {
    /// By their text: equal states have one number.
    numbers: HashMap<String, Fold>,
    states: Vec<Arc<WriterState>>,
}

#[derive(Debug)]
pub(super) struct Folds(Mutex<Kept>);

impl Folds {
    pub(super) fn new() -> Folds {
        let folds = Folds(Mutex::default());
        folds.keep(WriterState::default());
        folds
    }

    pub(super) fn get(&self, fold: Fold) -> Arc<WriterState> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.states[fold as usize].clone()
    }

    pub(super) fn keep(&self, state: WriterState) -> Fold {
        let text = format!("{state:?}");
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = kept.numbers.get(&text) {
            return *number;
        }
        let number = kept.states.len() as Fold;
        kept.states.push(Arc::new(state));
        kept.numbers.insert(text, number);
        number
    }

    pub(super) fn keep_carried(&self, carried: Carried) -> Fold {
        self.keep(WriterState { carried, ..WriterState::default() })
    }
}
