//! Rows to columns: one pass finds where each member of the event stands, then each column decodes its own value.
//!
//! Finding first makes duplicates simple: the last member of a name counts, and the earlier one is never decoded. A row that
//! does not fit is taken back from every column before the next one is looked at.

use hashbrown::HashSet;
use schemas::reject::{Reason, Reject};

use super::columns::Column;
use super::cursor::{Broken, Kind, Place, Value, members, readable};
use super::misfit::Fault;
use super::names::Order;
use super::nested::find;
use super::plan::{Node, Plan, ROOT, Source};
use super::spare::Spare;
use super::{Explained, Row};

/// Most rows of one batch: enough to fill vectors, few enough to stay in the second-level cache.
const CHUNK_ROWS: usize = 4096;
/// A batch is closed when its events' text has reached this many bytes.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;
/// Longest event, in bytes; keeps every offset within 31 bits. Sources allow far less.
const EVENT_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Up to this many unread members are compared with each other; more are hashed.
const COMPARED_MAX: usize = 16;

/// Where the value of a member in the tree of paths stands, and whether its name matched exactly.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    place: Option<Place>,
    exact: bool,
}

/// A top-level member that no column reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unread<'a> {
    name: Value<'a>,
    value: Value<'a>,
    place: Place,
    /// The slot it would fill case aside.
    slot: Option<usize>,
}

/// What was found in the row at hand.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    slots: Vec<Slot>,
    unread: Vec<Unread<'a>>,
    /// Of each object in the tree of paths.
    orders: Vec<Order>,
}

/// What was found in rows that are looked at once more, in another order.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// For each row whether its nodes are here.
    rows: Vec<bool>,
    /// For each row and slot the node; 0, which is the event itself, for none.
    nodes: Vec<u32>,
}

/// Columns under construction.
#[derive(Debug)]
pub(super) struct Decoder<'p> {
    plan: &'p Plan,
    columns: Vec<Column>,
    rows: usize,
    /// To be held at most.
    rows_max: usize,
    /// Of the events in this chunk.
    text_bytes: usize,
}

impl<'p> Decoder<'p> {
    /// `rows` is how many rows to make room for, 1 or more.
    pub(super) fn new(plan: &'p Plan, rows: usize) -> Self {
        let columns = plan.columns.iter().map(|c| Column::new(&c.data_type, rows.min(CHUNK_ROWS))).collect();
        Decoder { plan, columns, rows: 0, rows_max: rows.min(CHUNK_ROWS), text_bytes: 0 }
    }

    /// As new, with the columns that another of the same plan has left, if there are some.
    pub(super) fn again(plan: &'p Plan, rows: usize, spare: &Spare<Vec<Column>>) -> Self {
        match spare.take() {
            Some(columns) => Decoder { plan, columns, rows: 0, rows_max: rows.min(CHUNK_ROWS), text_bytes: 0 },
            None => Decoder::new(plan, rows),
        }
    }

    /// Leaves the columns to the next.
    pub(super) fn leave(mut self, spare: &Spare<Vec<Column>>) {
        self.clear(0);
        spare.give_back(self.columns);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The batch should be taken before the next row.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= self.rows_max || self.text_bytes >= CHUNK_BYTES
    }

    /// Adds one row to all columns, or to none. `found` is what [`find_members`] has found in its event.
    pub(super) fn push(&mut self, row: Row<'_>, event: Value<'_>, found: &Found<'_>) -> Result<(), Reject> {
        let Decoder { plan, columns, rows, .. } = self;
        for (column, plan) in columns.iter_mut().zip(&plan.columns) {
            if let Err(fault) = append(column, plan.source, event, found, &row) {
                columns.iter_mut().for_each(|c| c.truncate(*rows));
                return Err(fault.reject(&plan.name));
            }
        }
        self.rows += 1;
        self.text_bytes += row.data.len();
        Ok(())
    }

    /// What became of the members of a row.
    pub(super) fn explain(&self, event: Value<'_>, found: &Found<'_>) -> Explained {
        let is_null = |source| match source {
            Source::Slot(slot) => found.slots[slot].place.is_none_or(|place| event.at(place).is_null()),
            _ => false,
        };
        let nulls = self.plan.columns.iter().filter(|c| is_null(c.source)).map(|c| c.name.clone()).collect();
        Explained { nulls, unread: found.unread.iter().map(Unread::name).collect() }
    }

    /// Whether the first values of each leaf of the file repeat.
    pub(super) fn survey(&self) -> Vec<bool> {
        let mut repeats = vec![];
        self.columns.iter().for_each(|column| column.survey(&mut repeats));
        repeats
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Forgets the rows so far, and takes so many more at once.
    pub(super) fn clear(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(Column::clear);
        (self.rows, self.text_bytes) = (0, 0);
        self.rows_max = rows.min(CHUNK_ROWS);
    }
}

impl<'a> Found<'a> {
    /// Top-level members that no column reads, each name once.
    pub(super) fn unread(&self) -> &[Unread<'a>] {
        &self.unread
    }

    /// Keeps what was found in the next row, which is an event taken apart or none.
    pub(super) fn keep(&self, kept: &mut Kept) {
        let node = |slot: &Slot| match slot.place {
            Some(Place::Node(node)) => Some(node),
            Some(Place::Text { .. }) => None,
            None => Some(0),
        };
        let before = kept.nodes.len();
        kept.nodes.extend(self.slots.iter().map_while(node));
        kept.rows.push(self.unread.is_empty() && kept.nodes.len() - before == self.slots.len());
        kept.nodes.resize(before + self.slots.len(), 0);
    }

    /// Finds again what was kept of a row, if it was.
    pub(super) fn recall(&mut self, kept: &Kept, row: usize) -> bool {
        if !kept.rows.get(row).is_some_and(|kept| *kept) {
            return false;
        }
        let each = kept.nodes.len() / kept.rows.len();
        let place = |node: &u32| (*node != 0).then_some(Place::Node(*node));
        self.unread.clear();
        self.slots.clear();
        let nodes = &kept.nodes[row * each..][..each];
        self.slots.extend(nodes.iter().map(|node| Slot { place: place(node), exact: true }));
        true
    }
}

/// Finds the members of an event that columns read, and those that none reads.
pub(super) fn find_members<'a>(
    plan: &Plan,
    row: Row<'_>,
    event: Option<Value<'a>>,
    found: &mut Found<'a>,
) -> Result<Value<'a>, Reject> {
    let length = row.data.len();
    if length > EVENT_BYTES_MAX {
        let message = format!("the event has {length} bytes; want at most {EVENT_BYTES_MAX}");
        return Err(Reject::new(Reason::NotJson, message));
    }
    let event = event.ok_or_else(|| Fault::Broken.reject(""))?;
    found.slots.clear();
    found.slots.resize(plan.slots, Slot::default());
    found.unread.clear();
    found.orders.resize_with(plan.objects, Order::default);
    scan(&plan.root, event, found).map_err(|e| Fault::from(e).reject(""))?;
    let Found { slots, unread, .. } = found;
    unread.retain(|member| !member.is_read(slots));
    keep_last(unread);
    Ok(event)
}

fn append(
    column: &mut Column,
    source: Source,
    event: Value<'_>,
    found: &Found<'_>,
    row: &Row<'_>,
) -> Result<(), Fault> {
    match source {
        Source::Slot(slot) => match found.slots[slot].place {
            Some(place) => return column.append(event.at(place)),
            None => column.append_null(),
        },
        Source::Shard => column.append_with(|out| out.extend_from_slice(row.shard.as_bytes())),
        Source::Position => column.append_with(|out| write_position(row, out)),
        Source::ArrivedAt => column.append_millis(row.arrived_at),
        Source::Rest if found.unread.is_empty() => column.append_null(),
        Source::Rest => column.append_with(|out| write_rest(&found.unread, out)),
    }
    Ok(())
}

/// As [`schemas::position::Position`] is written.
fn write_position(row: &Row<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(row.sequence.as_bytes());
    if (row.sub, row.document) != (0, 0) {
        out.extend_from_slice(format!(".{}", row.sub).as_bytes());
    }
    if row.document != 0 {
        out.extend_from_slice(format!(".{}", row.document).as_bytes());
    }
}

fn write_rest(unread: &[Unread<'_>], out: &mut Vec<u8>) {
    for (index, member) in unread.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        out.extend_from_slice(member.name.text().as_bytes());
        out.push(b':');
        out.extend_from_slice(member.value.text().as_bytes());
    }
    out.push(b'}');
}

/// Notes the place of every member the tree reads. Recursion is as deep as the longest column path.
fn scan<'a>(node: &Node, object: Value<'a>, found: &mut Found<'a>) -> Result<(), Broken> {
    let Found { slots, unread, orders } = found;
    let order = &mut orders[node.number];
    order.begin();
    members(object, |member| {
        let found = find(&node.names, member, order);
        let slot = found.map(|f| node.members[f.index].slot);
        let exact = found.is_some_and(|f| f.exact);
        if let Some(slot) = slot.map(|index| &mut slots[index])
            && (exact || !slot.exact)
        {
            *slot = Slot { place: Some(member.value_place), exact };
        }
        if !exact && node.number == ROOT {
            unread.push(Unread { name: member.name(), value: member.value(), place: member.value_place, slot });
        }
        Ok::<_, Broken>(())
    })?;
    for member in &node.members {
        if let (Some(below), Some(place)) = (&member.below, found.slots[member.slot].place) {
            let value = object.at(place);
            if value.kind == Kind::Object {
                scan(below, value, found)?;
            }
        }
    }
    Ok(())
}

impl Unread<'_> {
    /// It was taken after all, case aside.
    fn is_read(&self, slots: &[Slot]) -> bool {
        self.slot.is_some_and(|slot| slots[slot].place == Some(self.place))
    }

    /// The name, readable.
    pub(super) fn name(&self) -> String {
        readable(self.name)
    }

    /// The name as written, if it is written without escapes.
    pub(super) fn plain_name(&self) -> Option<&str> {
        (self.name.kind == Kind::String).then(|| self.name.inner())
    }

    fn has_name_of(&self, other: &Unread<'_>) -> bool {
        match (self.plain_name(), other.plain_name()) {
            (Some(a), Some(b)) => a == b,
            _ => self.name() == other.name(),
        }
    }
}

/// Of members with the same name only the last stays. An event may have a million members, so this must not be quadratic.
fn keep_last(unread: &mut Vec<Unread<'_>>) {
    if unread.len() <= COMPARED_MAX {
        let mut index = 0;
        while index < unread.len() {
            let shadowed = unread[index + 1..].iter().any(|later| later.has_name_of(&unread[index]));
            if shadowed {
                unread.remove(index);
            } else {
                index += 1;
            }
        }
        return;
    }
    let mut seen = HashSet::with_capacity(unread.len());
    let mut last: Vec<bool> = unread.iter().rev().map(|member| seen.insert(member.name())).collect();
    unread.retain(|_| last.pop().unwrap_or(true));
}
