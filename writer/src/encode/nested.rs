//! Arrays, maps and structs under construction. Each holds the columns inside it.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::{NullBuffer, NullBufferBuilder};
use arrow_schema::{ArrowError, DataType as Arrow};
use schemas::column::{DataType, Field};

use super::columns::{Column, offset, start_offsets, take_offsets};
use super::cursor::{Broken, Kind, Lone, Member, Place, Value, items, members, unescape};
use super::misfit::Fault;
use super::names::{Names, Order};
use super::survey::Leaf;

fn not_a(kind: &str, arrow: &Arrow) -> ArrowError {
    ArrowError::SchemaError(format!("a {kind} column cannot become {arrow}"))
}

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

    pub(super) fn survey(&self, leaves: &mut Vec<Leaf>) {
        self.items.survey(leaves);
    }

    pub(super) fn finish(&mut self, arrow: &Arrow) -> Result<ArrayRef, ArrowError> {
        let Arrow::List(element) = arrow else { return Err(not_a("list", arrow)) };
        let items = self.items.finish(element.data_type())?;
        let offsets = take_offsets(&mut self.offsets);
        Ok(Arc::new(ListArray::try_new(Arc::clone(element), offsets, items, self.valid.finish())?))
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

    pub(super) fn survey(&self, leaves: &mut Vec<Leaf>) {
        self.keys.survey(leaves);
        self.values.survey(leaves);
    }

    pub(super) fn finish(&mut self, arrow: &Arrow) -> Result<ArrayRef, ArrowError> {
        let Arrow::Map(entry, _) = arrow else { return Err(not_a("map", arrow)) };
        let Arrow::Struct(pair) = entry.data_type() else { return Err(not_a("map", arrow)) };
        let [key, value] = pair.as_ref() else { return Err(not_a("map", arrow)) };
        let columns = vec![self.keys.finish(key.data_type())?, self.values.finish(value.data_type())?];
        let entries = StructArray::try_new(pair.clone(), columns, None)?;
        let offsets = take_offsets(&mut self.offsets);
        Ok(Arc::new(MapArray::try_new(Arc::clone(entry), offsets, entries, self.valid.finish(), false)?))
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

    pub(super) fn survey(&self, leaves: &mut Vec<Leaf>) {
        self.fields.iter().for_each(|(_, column)| column.survey(leaves));
    }

    pub(super) fn finish(&mut self, arrow: &Arrow) -> Result<ArrayRef, ArrowError> {
        let Arrow::Struct(fields) = arrow else { return Err(not_a("struct", arrow)) };
        let columns: Result<Vec<ArrayRef>, ArrowError> =
            self.fields.iter_mut().zip(fields).map(|((_, column), field)| column.finish(field.data_type())).collect();
        self.len = 0;
        let valid: Option<NullBuffer> = self.valid.finish();
        Ok(Arc::new(StructArray::try_new(fields.clone(), columns?, valid)?))
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
