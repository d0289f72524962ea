//! How deep each value of a column stands, and where it repeats: Parquet's definition and repetition levels (after Dremel,
//! Melnik and others, VLDB 2010).
//!
//! The levels of a column are worked out from those of what it stands in. An entry is a value, or the place where one is missing
//! because something around it is null or empty; only entries at or above `present` have a value in the column below.

use std::ops::Range;

use arrow_buffer::NullBufferBuilder;

/// The levels of the entries of one column.
#[derive(Debug, Clone)]
pub(in super::super) struct Levels {
    entries: usize,
    /// Definition levels; empty if all are `full`.
    definition: Vec<u8>,
    /// Repetition levels; empty if there is no repetition.
    repetition: Vec<u8>,
    /// The definition level of an entry where nothing is missing so far.
    full: u8,
    /// Entries from this level on have a value in the column.
    present: u8,
    /// The repetition level within the innermost list.
    depth: u8,
}

impl Levels {
    /// Of so many rows.
    pub(in super::super) fn rows(rows: usize) -> Levels {
        Levels { entries: rows, definition: vec![], repetition: vec![], full: 0, present: 0, depth: 0 }
    }

    /// The definition level of an entry where nothing is missing so far.
    pub(super) fn full(&self) -> u8 {
        self.full
    }

    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// The levels of what may be null: one more where it is `valid`.
    pub(in super::super) fn optional(&self, valid: &NullBufferBuilder) -> Levels {
        let mut levels = Levels { full: self.full + 1, ..self.clone() };
        if self.definition.is_empty() && valid.as_slice().is_none() {
            return levels;
        }
        if levels.definition.is_empty() {
            levels.definition = vec![self.full; self.entries];
        }
        raise(&mut levels.definition, self.present, 0, valid);
        levels
    }

    /// The levels of the items of lists (or entries of maps) that end at `offsets` and may be null or empty.
    pub(in super::super) fn repeated(&self, offsets: &[i32], valid: &NullBufferBuilder) -> Levels {
        let items = offsets[offsets.len() - 1] as usize;
        let mut levels = Levels {
            entries: 0,
            definition: Vec::with_capacity(self.entries + items),
            repetition: Vec::with_capacity(self.entries + items),
            full: self.full + 2,
            present: self.full + 2,
            depth: self.depth + 1,
        };
        let mut slot = 0;
        for entry in 0..self.entries {
            let (definition, repetition) = (self.definition_of(entry), self.repetition_of(entry));
            if definition < self.present {
                levels.push(definition, repetition);
                continue;
            }
            let count = offsets[slot + 1] - offsets[slot];
            if count == 0 {
                levels.push(definition + u8::from(valid.is_valid(slot)), repetition);
            }
            for item in 0..count {
                levels.push(self.full + 2, if item == 0 { repetition } else { self.depth + 1 });
            }
            slot += 1;
        }
        levels
    }

    fn push(&mut self, definition: u8, repetition: u8) {
        self.definition.push(definition);
        self.repetition.push(repetition);
        self.entries += 1;
    }

    #[inline]
    fn definition_of(&self, entry: usize) -> u8 {
        self.definition.get(entry).copied().unwrap_or(self.full)
    }

    #[inline]
    fn repetition_of(&self, entry: usize) -> u8 {
        self.repetition.get(entry).copied().unwrap_or(0)
    }

    /// The end of a piece that begins at `from`, has about `entries` of them, and ends with a row.
    pub(super) fn piece(&self, from: usize, entries: usize) -> Range<usize> {
        let mut end = self.entries.min(from + entries);
        while self.repetition_of(end) > 0 {
            end += 1;
        }
        from..end
    }

    /// How many of these entries have a value in the column.
    pub(super) fn slots(&self, piece: &Range<usize>) -> usize {
        match self.definition.get(piece.clone()) {
            Some(levels) if self.present > 0 => levels.iter().filter(|level| **level >= self.present).count(),
            _ => piece.len(),
        }
    }

    /// How many rows begin among these entries.
    pub(super) fn rows_in(&self, piece: &Range<usize>) -> usize {
        match self.repetition.get(piece.clone()) {
            Some(levels) if self.depth > 0 => levels.iter().filter(|level| **level == 0).count(),
            _ => piece.len(),
        }
    }

    /// Appends the levels of these entries: to `definition` those that [`Levels::optional`] would give, if there is something that
    /// may be null.
    pub(super) fn write(
        &self,
        piece: &Range<usize>,
        first_slot: usize,
        valid: Option<&NullBufferBuilder>,
        (definition, repetition): (&mut Vec<u8>, &mut Vec<u8>),
    ) {
        let before = definition.len();
        match self.definition.get(piece.clone()) {
            Some(levels) if !self.definition.is_empty() => definition.extend_from_slice(levels),
            _ => definition.resize(before + piece.len(), self.full),
        }
        if let Some(levels) = self.repetition.get(piece.clone()).filter(|_| self.depth > 0) {
            repetition.extend_from_slice(levels);
        }
        let Some(valid) = valid else { return };
        raise(&mut definition[before..], self.present, first_slot, valid);
    }
}

/// One more for each level that has a value, where the value is valid.
fn raise(levels: &mut [u8], present: u8, first_slot: usize, valid: &NullBufferBuilder) {
    if valid.as_slice().is_none() && present == 0 {
        levels.iter_mut().for_each(|level| *level += 1);
        return;
    }
    let all = valid.as_slice().is_none();
    for (level, slot) in levels.iter_mut().filter(|level| **level >= present).zip(first_slot..) {
        *level += u8::from(all || valid.is_valid(slot));
    }
}
