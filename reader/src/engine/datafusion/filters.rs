//! Our filters and DataFusion's expressions, either way.

use arrow_schema::{DataType, Schema, TimeUnit};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator, lit};
use schemas::table::TableSpec;

use crate::predicate::{Comparison, Predicate, Scalar};

/// What an expression says; [`Predicate::Other`] where it says what no domain can.
pub(super) fn predicate(expr: &Expr, schema: &Schema) -> Predicate {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Predicate::And(vec![predicate(left, schema), predicate(right, schema)])
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Predicate::Or(vec![predicate(left, schema), predicate(right, schema)])
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => compared(left, *op, right, schema),
        Expr::Between(Between { expr, negated: false, low, high }) => Predicate::And(vec![
            compared(expr, Operator::GtEq, low, schema),
            compared(expr, Operator::LtEq, high, schema),
        ]),
        Expr::InList(InList { expr, list, negated: false }) => {
            let equal = list.iter().map(|item| compared(expr, Operator::Eq, item, schema));
            Predicate::Or(equal.collect())
        }
        Expr::Literal(ScalarValue::Boolean(Some(false)), _) => Predicate::Or(Vec::new()),
        _ => Predicate::Other,
    }
}

/// A column against a literal of its own type, on either side.
fn compared(left: &Expr, op: Operator, right: &Expr, schema: &Schema) -> Predicate {
    let (column, op, value) = match (left, right) {
        (Expr::Column(column), Expr::Literal(value, _)) => (column, Some(op), value),
        (Expr::Literal(value, _), Expr::Column(column)) => (column, op.swap(), value),
        _ => return Predicate::Other,
    };
    let kind = schema.field_with_name(&column.name).ok().and_then(|field| kind(field.data_type()));
    let value = typed(value).filter(|value| kind == Some(std::mem::discriminant(value)));
    let (Some(value), Some(op)) = (value, op) else { return Predicate::Other };
    let to = |is| Predicate::Compare { column: column.name.clone(), is, value: value.clone() };
    match op {
        Operator::Eq => to(Comparison::Equal),
        Operator::Lt => to(Comparison::Less),
        Operator::LtEq => to(Comparison::LessOrEqual),
        Operator::Gt => to(Comparison::Greater),
        Operator::GtEq => to(Comparison::GreaterOrEqual),
        Operator::NotEq => Predicate::Or(vec![to(Comparison::Less), to(Comparison::Greater)]),
        _ => Predicate::Other,
    }
}

/// Which of our values a column's are.
fn kind(data_type: &DataType) -> Option<std::mem::Discriminant<Scalar>> {
    let example = match data_type {
        DataType::Utf8 => Scalar::Text(String::new()),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Scalar::Int(0),
        DataType::Date32 => Scalar::Day(0),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Scalar::Instant(0),
        _ => return None,
    };
    Some(std::mem::discriminant(&example))
}

fn typed(value: &ScalarValue) -> Option<Scalar> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
            text.clone().map(Scalar::Text)
        }
        ScalarValue::Int8(value) => value.map(|v| Scalar::Int(v.into())),
        ScalarValue::Int16(value) => value.map(|v| Scalar::Int(v.into())),
        ScalarValue::Int32(value) => value.map(|v| Scalar::Int(v.into())),
        ScalarValue::Int64(value) => value.map(Scalar::Int),
        ScalarValue::Date32(value) => value.map(Scalar::Day),
        ScalarValue::TimestampMillisecond(value, _) => value.map(Scalar::Instant),
        _ => None,
    }
}

/// Whether the folders of a table hold only rows that this is true of: it looks at one partition column, and says all it means.
pub(super) fn is_of_partitions(predicate: &Predicate, spec: &TableSpec) -> bool {
    let columns = predicate.columns();
    let of_one = columns.windows(2).all(|pair| pair[0] == pair[1]);
    let partition = |column: &&str| spec.partitions.iter().any(|p| p.name == *column && p.projection.is_some());
    of_one && columns.first().is_some_and(partition) && !says_less(predicate)
}

fn says_less(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::Other => true,
        Predicate::And(all) | Predicate::Or(all) => all.iter().any(says_less),
        _ => false,
    }
}

/// Our filter as an expression. What cannot be of the column's type is true of no row.
pub(super) fn expression(predicate: &Predicate, schema: &Schema) -> Expr {
    match predicate {
        Predicate::Compare { column, is, value } => match literal(column, value, schema) {
            Some(value) => Expr::BinaryExpr(BinaryExpr::new(Box::new(named(column)), operator(*is), Box::new(value))),
            None => lit(false),
        },
        Predicate::In { column, values } => {
            let values = values.iter().filter_map(|value| literal(column, value, schema)).collect();
            Expr::InList(InList::new(Box::new(named(column)), values, false))
        }
        Predicate::And(all) => all.iter().map(|one| expression(one, schema)).reduce(Expr::and).unwrap_or(lit(true)),
        Predicate::Or(all) => all.iter().map(|one| expression(one, schema)).reduce(Expr::or).unwrap_or(lit(false)),
        Predicate::Other => lit(true),
    }
}

/// By its exact name: a dot in it parts nothing.
fn named(column: &str) -> Expr {
    Expr::Column(Column::new_unqualified(column))
}

fn operator(is: Comparison) -> Operator {
    match is {
        Comparison::Equal => Operator::Eq,
        Comparison::Less => Operator::Lt,
        Comparison::LessOrEqual => Operator::LtEq,
        Comparison::Greater => Operator::Gt,
        Comparison::GreaterOrEqual => Operator::GtEq,
    }
}

fn literal(column: &str, value: &Scalar, schema: &Schema) -> Option<Expr> {
    let data_type = schema.field_with_name(column).ok()?.data_type();
    let value = match (value, data_type) {
        (Scalar::Text(text), DataType::Utf8) => ScalarValue::Utf8(Some(text.clone())),
        (Scalar::Int(value), DataType::Int32) => ScalarValue::Int32(Some(i32::try_from(*value).ok()?)),
        (Scalar::Int(value), DataType::Int64) => ScalarValue::Int64(Some(*value)),
        (Scalar::Day(day), DataType::Date32) => ScalarValue::Date32(Some(*day)),
        (Scalar::Instant(at), DataType::Timestamp(TimeUnit::Millisecond, zone)) => {
            ScalarValue::TimestampMillisecond(Some(*at), zone.clone())
        }
        _ => return None,
    };
    Some(Expr::Literal(value, None))
}
