//! A question and its plan to one statement of Athena. Pure.
//!
//! Names come from the table's definition, values are [`Literal`]s. The same question gives the same text, whatever order its parts
//! are in: only then does Athena answer it from an earlier result. Each partition column has a predicate of its own, made of the
//! planner's values: Athena prunes by literals, not by what follows from other columns.

use schemas::column::DataType;
use schemas::projection::Rule;
use schemas::table::{PartitionColumn, TableSpec};

use super::literal::{Literal, identifier};
use crate::error::ReaderError;
use crate::plan::Plan;
use crate::plan::columns::{ColumnValues, scalar};
use crate::predicate::{Comparison, Predicate, Scalar};

/// Longest statement that Athena takes, in bytes.
const STATEMENT_BYTES_MAX: usize = 262_144;

/// From so many values of a partition column on, its first and last stand for all between them. What lies between and is not meant
/// is left out by the question's own filter.
const RANGE_FROM: usize = 16;

/// Hive's column that says in which object a row lies.
const PATH: &str = "$path";

/// The statement; nothing where the plan comes to no folder and there is nothing to ask.
pub fn statement(
    spec: &TableSpec,
    database: &str,
    filter: &Predicate,
    plan: &Plan,
) -> Result<Option<String>, ReaderError> {
    if plan.projected() == 0 {
        return Ok(None);
    }
    let selected: Vec<String> =
        columns(spec).map(|(name, data_type)| selected(name, data_type)).chain([identifier(PATH)]).collect();
    let mut predicates = Vec::new();
    for (column, values) in spec.partitions.iter().zip(plan.columns()) {
        predicates.push(partition(column, values)?);
    }
    let mut more = Vec::new();
    Where { spec }.conjuncts(filter, &mut more)?;
    more.sort();
    more.dedup();
    more.retain(|one| !predicates.contains(one));
    predicates.extend(more);
    let (from, all) = (format!("{}.{}", identifier(database), identifier(&spec.name)), predicates.join("\n  AND "));
    let text = format!("SELECT {}\nFROM {from}\nWHERE {all}", selected.join(", "));
    if text.len() > STATEMENT_BYTES_MAX {
        let instead = "ask for fewer entities or attributes at a time";
        return Err(ReaderError::TooMuch {
            what: "bytes of the statement",
            limit: STATEMENT_BYTES_MAX as u64,
            instead,
        });
    }
    Ok(Some(text))
}

/// Columns in the order they are selected in: stored ones, then the partition's. The object's path comes behind them.
pub(super) fn columns(spec: &TableSpec) -> impl Iterator<Item = (String, DataType)> {
    let stored = spec.stored_columns().into_iter().map(|column| (column.name.clone(), column.data_type.clone()));
    let stored: Vec<_> = stored.collect();
    let partitions: Vec<_> = spec.partitions.iter().map(|p| (p.name.clone(), p.data_type.clone())).collect();
    stored.into_iter().chain(partitions)
}

/// A column in a form that comes back the same through the API, where all values are text.
fn selected(name: String, data_type: DataType) -> String {
    let name = identifier(&name);
    match data_type {
        DataType::Timestamp => format!("CAST({name} AS varchar)"),
        DataType::Binary => format!("lower(to_hex({name}))"),
        DataType::Array(_) | DataType::Map(..) | DataType::Struct(_) => format!("json_format(CAST({name} AS json))"),
        _ => name,
    }
}

/// What the planner left of a partition column.
fn partition(column: &PartitionColumn, values: &ColumnValues) -> Result<String, ReaderError> {
    let name = identifier(&column.name);
    let mut of: Vec<Scalar> = values.values.iter().filter_map(|text| scalar(text, &column.data_type)).collect();
    of.sort();
    of.dedup();
    let is_range = matches!(of.first(), Some(Scalar::Int(_) | Scalar::Day(_))) || values.is_time;
    let sql = |value: &Scalar| literal(column, value);
    if let (true, [first, .., last]) = (is_range && of.len() >= RANGE_FROM, of.as_slice()) {
        return Ok(format!("{name} BETWEEN {} AND {}", sql(first)?, sql(last)?));
    }
    let of = of.iter().map(sql).collect::<Result<Vec<_>, _>>()?;
    Ok(is_one_of(&name, &of))
}

fn literal(column: &PartitionColumn, value: &Scalar) -> Result<String, ReaderError> {
    let literal = match (value, &column.projection) {
        (Scalar::Text(text), Some(Rule::Enum { values })) if values.contains(text) => Some(Literal::Listed(text)),
        _ => Literal::of(value, &column.data_type),
    };
    literal.map_or_else(|| Ok("NULL".into()), |literal| literal.sql(&column.name))
}

fn is_one_of(name: &str, values: &[String]) -> String {
    match values {
        [] => "FALSE".into(),
        [one] => format!("{name} = {one}"),
        all => format!("{name} IN ({})", all.join(", ")),
    }
}

/// Filters over a table's columns.
struct Where<'s> {
    spec: &'s TableSpec,
}

impl Where<'_> {
    /// What has to be true at the same time, one by one.
    fn conjuncts(&self, filter: &Predicate, found: &mut Vec<String>) -> Result<(), ReaderError> {
        match filter {
            Predicate::And(all) => all.iter().try_for_each(|one| self.conjuncts(one, found)),
            Predicate::Other => Ok(()),
            one => {
                found.push(self.sql(one)?);
                Ok(())
            }
        }
    }

    fn sql(&self, filter: &Predicate) -> Result<String, ReaderError> {
        match filter {
            Predicate::Compare { column, is, value } => self.compared(column, *is, value),
            Predicate::In { column, values } => self.one_of(column, values),
            Predicate::And(_) => {
                let mut all = Vec::new();
                self.conjuncts(filter, &mut all)?;
                Ok(joined(all, " AND ", "TRUE"))
            }
            Predicate::Or(any) => {
                let any = any.iter().map(|one| self.sql(one)).collect::<Result<Vec<_>, _>>()?;
                Ok(joined(any, " OR ", "FALSE"))
            }
            Predicate::Other => Ok("TRUE".into()),
        }
    }

    /// What cannot be of the column's type is true of no row.
    fn compared(&self, column: &str, is: Comparison, value: &Scalar) -> Result<String, ReaderError> {
        let Some(literal) = self.type_of(column).and_then(|data_type| Literal::of(value, &data_type)) else {
            return Ok("FALSE".into());
        };
        let operator = match is {
            Comparison::Equal => "=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        };
        Ok(format!("{} {operator} {}", identifier(column), literal.sql(column)?))
    }

    fn one_of(&self, column: &str, values: &[Scalar]) -> Result<String, ReaderError> {
        let Some(data_type) = self.type_of(column) else { return Ok("FALSE".into()) };
        let mut values: Vec<&Scalar> = values.iter().collect();
        values.sort();
        values.dedup();
        let literals = values.into_iter().filter_map(|value| Literal::of(value, &data_type));
        let literals = literals.map(|literal| literal.sql(column)).collect::<Result<Vec<_>, _>>()?;
        Ok(is_one_of(&identifier(column), &literals))
    }

    fn type_of(&self, name: &str) -> Option<DataType> {
        columns(self.spec).find(|(column, _)| column == name).map(|(_, data_type)| data_type)
    }
}

fn joined(mut parts: Vec<String>, by: &str, of_none: &str) -> String {
    parts.sort();
    parts.dedup();
    match parts.as_slice() {
        [] => of_none.into(),
        [one] => one.clone(),
        all => format!("({})", all.join(by)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Layout;

    const TABLE: &str = include_str!("../../../../schemas/tables/attribute_events.toml");

    /// 2026-11-22.
    const NOW: i64 = 1_795_305_600_000;

    fn layout() -> Layout {
        let keys = [("created_date", ".created_at | utc_date"), ("entity_id_mod", ".entity_id | bucket(10)")];
        let keys: Vec<_> = keys.iter().map(|(name, program)| (name.to_string(), program.to_string())).collect();
        Layout::new(TableSpec::parse(TABLE, "t.toml").expect("the table of the repository"), &keys)
    }

    fn conditions(filter: Predicate) -> Vec<String> {
        let layout = layout();
        let plan = layout.plan(&filter, NOW).expect("planned");
        let text = statement(&layout.spec, "lake", &filter, &plan).expect("a statement").expect("folders");
        let (head, conditions) = text.split_once("\nWHERE ").expect("a filter");
        assert!(head.ends_with("\"entity_id_mod\", \"$path\"\nFROM \"lake\".\"attribute_events\""), "{head}");
        conditions.split("\n  AND ").map(str::to_string).collect()
    }

    fn at(text: &str) -> Option<Scalar> {
        schemas::instant::parse_instant(text).map(Scalar::Instant)
    }

    #[test]
    fn every_partition_column_has_its_literals_though_the_question_names_none() {
        let filter = Predicate::And(vec![
            Predicate::between("created_at", at("2026-02-27T12:00:00Z"), at("2026-03-01T00:00:00Z")),
            Predicate::any_of("entity_id", [Scalar::Text("us:O'Reilly".into())]),
            Predicate::text("attribute_name", "cik"),
        ]);
        let bucket = schemas::bucket::bucket_str("us:O'Reilly", 10);
        let want = [
            "\"created_date\" IN ('2026-02-27', '2026-02-28', '2026-03-01')".to_string(),
            "\"attribute_name\" = 'cik'".into(),
            format!("\"entity_id_mod\" = {bucket}"),
            "\"created_at\" <= TIMESTAMP '2026-03-01 00:00:00.000'".into(),
            "\"created_at\" >= TIMESTAMP '2026-02-27 12:00:00.000'".into(),
            "\"entity_id\" = 'us:O''Reilly'".into(),
        ];
        assert_eq!(conditions(filter), want);
    }

    #[test]
    fn many_days_are_a_range_and_no_folder_is_no_statement() {
        let wide = conditions(Predicate::text("entity_id", "e"));
        assert_eq!(wide[0], "\"created_date\" BETWEEN '2012-01-01' AND '2026-11-23'");
        assert!(wide[1].starts_with("\"attribute_name\" IN ('cik', 'company', "), "{wide:?}");
        let layout = layout();
        let never = Predicate::text("attribute_name", "no such attribute");
        let plan = layout.plan(&never, NOW).expect("planned");
        assert_eq!(statement(&layout.spec, "lake", &never, &plan).expect("nothing"), None);
    }

    #[test]
    fn the_order_of_a_questions_parts_says_nothing() {
        let one = || Predicate::text("entity_id", "a");
        let other = || Predicate::any_of("op", ["x", "y", "x"].map(|t| Scalar::Text(t.into())));
        let either = |parts| conditions(Predicate::And(vec![Predicate::Or(parts), Predicate::text("value", "v")]));
        assert_eq!(either(vec![one(), other()]), either(vec![other(), one(), one()]));
        let turned = conditions(Predicate::And(vec![one(), other()]));
        assert_eq!(turned, conditions(Predicate::And(vec![other(), Predicate::And(vec![one()])])));
    }

    #[test]
    fn too_long_a_statement_is_refused_before_athena_sees_it() {
        let many = (0..40_000).map(|n| Scalar::Text(format!("entity {n:08}")));
        let filter = Predicate::any_of("entity_id", many);
        let layout = layout();
        let plan = layout.plan(&filter, NOW).expect("planned");
        let refused = statement(&layout.spec, "lake", &filter, &plan);
        assert!(matches!(refused, Err(ReaderError::TooMuch { what: "bytes of the statement", .. })), "{refused:?}");
    }
}
