//! What one file has used and the next can use again: memory that is given back to the system and asked for anew costs more
//! than filling it.

use std::sync::{Mutex, PoisonError};

/// Things kept at most: as many as there are encoders at work.
const KEPT_MAX: usize = 4;

/// Things that no file uses at the moment.
pub(super) struct Spare<T> {
    kept: Mutex<Vec<T>>,
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Spare { kept: Mutex::default() }
    }
}

impl<T> std::fmt::Debug for Spare<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spare").finish_non_exhaustive()
    }
}

impl<T> Spare<T> {
    pub(super) fn take(&self) -> Option<T> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(super) fn give_back(&self, thing: T) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(thing);
        }
    }
}
