//! Arrays, maps and structs under construction. Each holds the columns inside it.

use ::parquet::errors::ParquetError;
use arrow_buffer::NullBufferBuilder;
use schemas::column::{DataType, Field};

use super::columns::{Column, Leaves};
use super::cursor::{Broken, Kind, Lone, Member, Place, Value, items, members, unescape};
use super::leaf::Levels;
use super::misfit::Fault;
use super::names::{Names, Order};
use super::scalars::{offset, start_offsets};

#[derive(Debug)]
pub(super) struct Lists {
    /// Where each array ends in `items`; starts with 0.
    offsets: Vec<i32>,
    items: Column,
    valid: NullBufferBuilder,
}

impl Lists {
    pub(super) fn new(item: &DataType, rows: usize) -> Self {
        Lists { offsets: start_offsets(rows), items: Column::new(item, rows), valid: NullBufferBuilder::new(rows) }
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(super) fn push(&mut self, value: Value<'_>) -> Result<bool, Fault> {
        if value.kind != Kind::Array {
            return Ok(false);
        }
        items(value, |item| self.items.append(item).map_err(|fault| fault.inside("[]")))?;
        self.offsets.push(offset(self.items.len()));
        self.valid.append_non_null();
        Ok(true)
    }

    pub(super) fn append_null(&mut self) {
        self.offsets.push(offset(self.items.len()));
        self.valid.append_null();
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        self.items.truncate(self.offsets[self.offsets.len() - 1] as usize);
        if len < self.valid.len() {
            self.valid.truncate(len);
        }
    }

    pub(super) fn survey(&self, repeats: &mut Vec<bool>) {
        self.items.survey(repeats);
    }

    pub(super) fn write(&self, levels: &Levels, leaves: &mut Leaves<'_>) -> Result<(), ParquetError> {
        self.items.write(&levels.repeated(&self.offsets, &self.valid), leaves)
    }

    pub(super) fn clear(&mut self) {
        self.offsets.truncate(1);
        self.items.clear();
        self.valid.finish();
    }
}

#[derive(Debug)]
pub(super) struct Maps {
    /// Where each map ends in `keys` and `values`; starts with 0.
    offsets: Vec<i32>,
    keys: Column,
    values: Column,
    valid: NullBufferBuilder,
    /// Members of the map at hand: name and value.
    entries: Vec<(Place, Place)>,
    /// Scratch for finding duplicate keys.
    order: Vec<usize>,
}

impl Maps {
    pub(super) fn new(key: &DataType, value: &DataType, rows: usize) -> Self {
        Maps {
            offsets: start_offsets(rows),
            keys: Column::new(key, rows),
            values: Column::new(value, rows),
            valid: NullBufferBuilder::new(rows),
            entries: vec![],
            order: vec![],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(super) fn push(&mut self, value: Value<'_>) -> Result<bool, Fault> {
        if value.kind != Kind::Object {
            return Ok(false);
        }
        self.push_keys(value)?;
        for (_, place) in &self.entries {
            self.values.append(value.at(*place)).map_err(|fault| fault.inside("{}"))?;
        }
        self.offsets.push(offset(self.keys.len()));
        self.valid.append_non_null();
        Ok(true)
    }

    /// Appends the keys, and leaves in `entries` the members that count: of two with the same key, the last.
    fn push_keys(&mut self, object: Value<'_>) -> Result<(), Fault> {
        self.entries.clear();
        let base = self.keys.len();
        let Maps { keys, entries, .. } = self;
        members(object, |member| {
            keys.append(member.name()).map_err(|fault| fault.inside("{key}"))?;
            entries.push((member.name_place, member.value_place));
            Ok::<_, Fault>(())
        })?;
        if !self.drop_shadowed(base) {
            return Ok(());
        }
        self.keys.truncate(base);
        for (name, _) in &self.entries {
            self.keys.append(object.at(*name))?;
        }
        Ok(())
    }

    /// Whether any entry was dropped for a later one with the same key.
    fn drop_shadowed(&mut self, base: usize) -> bool {
        if self.entries.len() < 2 {
            return false;
        }
        let Maps { keys, order, entries, .. } = self;
        order.clear();
        order.extend(0..entries.len());
        order.sort_unstable_by(|a, b| keys.compare(base + a, base + b).then(a.cmp(b)));
        // After sorting, all but the last of a run of equal keys are shadowed.
        let shadowed: Vec<usize> =
            order.windows(2).filter(|w| keys.compare(base + w[0], base + w[1]).is_eq()).map(|w| w[0]).collect();
        if shadowed.is_empty() {
            return false;
        }
        let mut live = vec![true; entries.len()];
        shadowed.iter().for_each(|index| live[*index] = false);
        let mut live = live.into_iter();
        entries.retain(|_| live.next().unwrap_or(true));
        true
    }

    pub(super) fn append_null(&mut self) {
        self.offsets.push(offset(self.keys.len()));
        self.valid.append_null();
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        let entries = self.offsets[self.offsets.len() - 1] as usize;
        self.keys.truncate(entries);
        self.values.truncate(entries);
        if len < self.valid.len() {
            self.valid.truncate(len);
        }
    }

    pub(super) fn survey(&self, repeats: &mut Vec<bool>) {
        self.keys.survey(repeats);
        self.values.survey(repeats);
    }

    pub(super) fn write(&self, levels: &Levels, leaves: &mut Leaves<'_>) -> Result<(), ParquetError> {
        let levels = levels.repeated(&self.offsets, &self.valid);
        self.keys.write(&levels, leaves)?;
        self.values.write(&levels, leaves)
    }

    pub(super) fn clear(&mut self) {
        self.offsets.truncate(1);
        self.keys.clear();
        self.values.clear();
        self.valid.finish();
    }
}

#[derive(Debug)]
pub(super) struct Structs {
    names: Names,
    order: Order,
    fields: Vec<(String, Column)>,
    len: usize,
    valid: NullBufferBuilder,
    /// For each field, where its value stands in the struct at hand, and whether its name matched exactly.
    places: Vec<Option<(Place, bool)>>,
}

impl Structs {
    pub(super) fn new(fields: &[Field], rows: usize) -> Self {
        Structs {
            names: Names::new(fields.iter().map(|f| f.name.as_str())),
            order: Order::default(),
            fields: fields.iter().map(|f| (f.name.clone(), Column::new(&f.data_type, rows))).collect(),
            len: 0,
            valid: NullBufferBuilder::new(rows),
            places: vec![],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, value: Value<'_>) -> Result<bool, Fault> {
        if value.kind != Kind::Object {
            return Ok(false);
        }
        self.find_members(value)?;
        for ((name, column), place) in self.fields.iter_mut().zip(&self.places) {
            match place {
                Some((place, _)) => column.append(value.at(*place)).map_err(|fault| fault.inside_member(name))?,
                None => column.append_null(),
            }
        }
        self.len += 1;
        self.valid.append_non_null();
        Ok(true)
    }

    /// All members first, values afterwards: the last of two members with one name counts, and the first leaves no trace.
    fn find_members(&mut self, object: Value<'_>) -> Result<(), Broken> {
        self.places.clear();
        self.places.resize(self.fields.len(), None);
        let Structs { names, order, places, .. } = self;
        order.begin();
        members(object, |member| {
            if let Some(found) = find(names, member, order) {
                let place = &mut places[found.index];
                if found.exact || !place.is_some_and(|(_, exact)| exact) {
                    *place = Some((member.value_place, found.exact));
                }
            }
            Ok(())
        })
    }

    pub(super) fn append_null(&mut self) {
        self.fields.iter_mut().for_each(|(_, column)| column.append_null());
        self.len += 1;
        self.valid.append_null();
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.fields.iter_mut().for_each(|(_, column)| column.truncate(len));
        if len < self.len {
            self.len = len;
            self.valid.truncate(len);
        }
    }

    pub(super) fn survey(&self, repeats: &mut Vec<bool>) {
        self.fields.iter().for_each(|(_, column)| column.survey(repeats));
    }

    pub(super) fn write(&self, levels: &Levels, leaves: &mut Leaves<'_>) -> Result<(), ParquetError> {
        let levels = levels.optional(&self.valid);
        self.fields.iter().try_for_each(|(_, column)| column.write(&levels, leaves))
    }

    pub(super) fn clear(&mut self) {
        self.fields.iter_mut().for_each(|(_, column)| column.clear());
        self.len = 0;
        self.valid.finish();
    }
}

/// The name as it is written in nearly every event, else decoded first.
#[inline]
pub(super) fn find(names: &Names, member: &Member<'_, '_>, order: &mut Order) -> Option<super::names::Found> {
    match member.plain_name() {
        Some(name) => names.find_next(name, order),
        None => find_escaped(names, member.name()),
    }
}

fn find_escaped(names: &Names, name: Value<'_>) -> Option<super::names::Found> {
    let mut decoded = Vec::new();
    unescape(name.inner(), Lone::Refuse, &mut decoded).ok()?;
    names.find(&decoded)
}
