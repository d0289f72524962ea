//! What is read from an event and where it goes: worked out once from the table's spec.
//!
//! The paths of all columns form a tree, so that members shared by several columns are walked once. Each member of the tree has
//! a slot that holds its value while a row is decoded; a column reads one slot. A member may be read whole by one column and
//! inside by others.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use schemas::column::{Column, ColumnSource, DECIMAL_PRECISION_MAX, DataType};
use schemas::table::TableSpec;

use super::DEPTH_MAX;
use super::names::Names;
use crate::error::WriterError;

/// How rows of one table are decoded.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) root: Arc<Node>,
    /// Number of slots in the tree.
    pub(super) slots: usize,
    /// Number of objects in the tree.
    pub(super) objects: usize,
    /// In file order.
    pub(super) columns: Vec<ColumnPlan>,
    pub(super) schema: SchemaRef,
}

/// What a spec asks for, worked out.
#[derive(Debug)]
pub(super) struct Plans {
    pub(super) file: Plan,
    /// Only the columns rows are sorted by, the most significant first, of the same tree; none if rows stay in arrival order.
    pub(super) keys: Option<Plan>,
    /// The same columns by their index in the file.
    pub(super) sort: Vec<usize>,
    /// Columns with a bloom filter, by index in the file.
    pub(super) bloom: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct ColumnPlan {
    pub(super) name: String,
    pub(super) data_type: DataType,
    pub(super) source: Source,
}

/// What fills a column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Slot(usize),
    Shard,
    Position,
    ArrivedAt,
    Rest,
}

/// Number of the event itself among the objects of the tree.
pub(super) const ROOT: usize = 0;

/// An object some of whose members are read.
#[derive(Debug)]
pub(super) struct Node {
    /// Which object of the tree it is.
    pub(super) number: usize,
    pub(super) names: Names,
    /// As in `names`.
    pub(super) members: Vec<NodeMember>,
}

#[derive(Debug)]
pub(super) struct NodeMember {
    pub(super) slot: usize,
    /// What is read inside it.
    pub(super) below: Option<Node>,
}

/// What is left of a path below some node, and the index of its column; what partitions hold comes after the stored columns.
type Tail<'s> = (&'s [String], usize);

impl Plans {
    pub(super) fn new(spec: &TableSpec) -> Result<Plans, WriterError> {
        let stored = spec.stored_columns();
        stored.iter().try_for_each(check_column)?;
        let sort = named(&stored, &spec.sort, "sort")?;
        let bloom = named(&stored, &spec.bloom, "bloom")?;
        let held: Vec<&[String]> = spec.partitions.iter().filter_map(|p| p.path.as_deref()).collect();
        let file = Plan::new(&stored, &held, schemas::arrow::arrow_schema(spec));
        let keys = if sort.is_empty() { None } else { Some(file.of_columns(&sort)) };
        Ok(Plans { file, keys, sort, bloom })
    }
}

impl Plan {
    /// `held` are paths that no column reads but partitions hold: they are in the tree so that they count as read.
    fn new(stored: &[Column], held: &[&[String]], schema: Schema) -> Plan {
        let events = stored.iter().enumerate().filter(|(_, c)| c.source == ColumnSource::Event);
        let mut tails: Vec<Tail<'_>> = events.map(|(index, c)| (c.path.as_slice(), index)).collect();
        tails.extend(held.iter().enumerate().map(|(n, path)| (*path, stored.len() + n)));
        let mut slots = Slots { next: 0, objects: 0, of_column: vec![0; stored.len() + held.len()] };
        let root = Arc::new(node(&tails, &mut slots));
        let columns = stored.iter().zip(&slots.of_column).map(|(c, slot)| column_plan(c, *slot)).collect();
        Plan { root, slots: slots.next, objects: slots.objects, columns, schema: Arc::new(schema) }
    }

    /// Some columns of the same tree.
    fn of_columns(&self, indexes: &[usize]) -> Plan {
        let fields: Vec<_> = indexes.iter().map(|index| self.schema.fields()[*index].clone()).collect();
        Plan {
            root: self.root.clone(),
            columns: indexes.iter().map(|index| self.columns[*index].clone()).collect(),
            schema: Arc::new(Schema::new(fields)),
            ..*self
        }
    }

    /// Whether unread members are kept.
    pub(super) fn keeps_rest(&self) -> bool {
        self.columns.iter().any(|c| c.source == Source::Rest)
    }
}

/// Hands out slots while the tree grows.
struct Slots {
    next: usize,
    objects: usize,
    of_column: Vec<usize>,
}

fn node(tails: &[Tail<'_>], slots: &mut Slots) -> Node {
    let number = slots.objects;
    slots.objects += 1;
    let mut heads: Vec<&str> = vec![];
    for head in tails.iter().filter_map(|(path, _)| path.first()) {
        if !heads.contains(&head.as_str()) {
            heads.push(head);
        }
    }
    let members = heads.iter().map(|head| node_member(head, tails, slots)).collect();
    Node { number, names: Names::new(heads.iter().copied()), members }
}

fn node_member(head: &str, tails: &[Tail<'_>], slots: &mut Slots) -> NodeMember {
    let slot = slots.next;
    slots.next += 1;
    let mut deeper = vec![];
    for (path, column) in tails.iter().filter(|(path, _)| path.first().is_some_and(|first| first == head)) {
        match &path[1..] {
            [] => slots.of_column[*column] = slot,
            rest => deeper.push((rest, *column)),
        }
    }
    NodeMember { slot, below: if deeper.is_empty() { None } else { Some(node(&deeper, slots)) } }
}

fn column_plan(column: &Column, slot: usize) -> ColumnPlan {
    let source = match column.source {
        ColumnSource::Event => Source::Slot(slot),
        ColumnSource::Shard => Source::Shard,
        ColumnSource::Position => Source::Position,
        ColumnSource::ArrivedAt => Source::ArrivedAt,
        ColumnSource::Rest => Source::Rest,
    };
    ColumnPlan { name: column.name.clone(), data_type: column.data_type.clone(), source }
}

fn check_column(column: &Column) -> Result<(), WriterError> {
    let wanted = match column.source {
        ColumnSource::Event => None,
        ColumnSource::ArrivedAt => Some(DataType::Timestamp),
        ColumnSource::Shard | ColumnSource::Position | ColumnSource::Rest => Some(DataType::String),
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != column.data_type) {
        return refuse(column, &format!("is filled by the writer and must be {wanted}, not {}", column.data_type));
    }
    if column.source == ColumnSource::Event && !(1..=DEPTH_MAX).contains(&column.path.len()) {
        return refuse(column, &format!("has a path of {} members; want 1 to {DEPTH_MAX}", column.path.len()));
    }
    check_type(column, &column.data_type, DEPTH_MAX)
}

/// Decoding recurses as deep as the type does, so the type's depth is bounded like the event's.
fn check_type(column: &Column, data_type: &DataType, levels: usize) -> Result<(), WriterError> {
    let Some(below) = levels.checked_sub(1) else {
        return refuse(column, &format!("has a type nested deeper than {DEPTH_MAX} levels"));
    };
    match data_type {
        DataType::Decimal { precision, scale }
            if !(1..=DECIMAL_PRECISION_MAX).contains(precision) || scale > precision =>
        {
            refuse(column, &format!("has type {data_type}; want a precision of 1 to 38 and a scale not above it"))
        }
        DataType::Array(item) => check_type(column, item, below),
        DataType::Map(key, _) if !is_primitive(key) => {
            refuse(column, &format!("has type {data_type}; want a map with primitive keys"))
        }
        DataType::Map(_, value) => check_type(column, value, below),
        DataType::Struct(fields) if fields.is_empty() => refuse(column, "is a struct without members"),
        DataType::Struct(fields) => fields.iter().try_for_each(|f| check_type(column, &f.data_type, below)),
        _ => Ok(()),
    }
}

fn refuse(column: &Column, why: &str) -> Result<(), WriterError> {
    Err(WriterError::Config(format!("column {} {why}", column.name)))
}

fn is_primitive(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Array(_) | DataType::Map(_, _) | DataType::Struct(_))
}

/// The indexes of columns a setting names.
fn named(stored: &[Column], names: &[String], setting: &str) -> Result<Vec<usize>, WriterError> {
    let bad = |name: &str, why: &str| WriterError::Config(format!("{setting} names column {name}, which {why}"));
    let index = |name: &String| {
        let index = stored.iter().position(|c| c.name == *name).ok_or_else(|| bad(name, "the table does not have"))?;
        let data_type = &stored[index].data_type;
        if setting == "bloom" && *data_type == DataType::Boolean {
            return Err(bad(name, "is boolean: a bloom filter cannot help there"));
        }
        if is_primitive(data_type) { Ok(index) } else { Err(bad(name, "is an array, a map or a struct")) }
    };
    names.iter().map(index).collect()
}
