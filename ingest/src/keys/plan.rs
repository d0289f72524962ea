//! Key programs that run straight on the text of the record: no parsed record, no interpreter.
//!
//! A plan is the program's own syntax tree, cut down to the forms that give at most one output: paths with constant steps, pipes,
//! literals, arithmetic, comparisons, `//`, `and`, `or`, `if`, string interpolation, `?`, and the functions of
//! [`super::builtins`] with literal arguments. Operations are those jaq runs on ([`super::value`]); what is decided here is only
//! the order in which they run and what an error or a missing output does, as jaq does it. A differential test keeps it so.

use std::fmt::Write;
use std::sync::Arc;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::ops::{Cmp, Math};
use jaq_core::path::{Opt, Part};

use super::budget;
use super::builtins::{self, Function, Function1};
use super::check::Node;
use super::number::{Num, are_doubles};
use super::reads::literal;
use super::scan;
use super::value::{Value, slice_str};

/// A compiled plan.
#[derive(Debug)]
pub(crate) enum Plan {
    Input,
    Constant(Value),
    /// A top-level field, by its place among the scanned ones.
    Field(usize),
    Step(Box<Plan>, Step, Opt),
    Pipe(Box<Plan>, Box<Plan>),
    Math(Box<Plan>, Math, Box<Plan>),
    Compare(Box<Plan>, Cmp, Box<Plan>),
    Negate(Box<Plan>),
    Or(Box<Plan>, Box<Plan>),
    And(Box<Plan>, Box<Plan>),
    Alternative(Box<Plan>, Box<Plan>),
    If(Vec<(Plan, Plan)>, Box<Plan>),
    Text(Vec<Plan>),
    Try(Box<Plan>),
    Call(Function),
    Call1(Function1, Value),
    Date,
    Bucket(u32),
}

/// One step of a path.
#[derive(Debug)]
pub(crate) enum Step {
    Name(Value, Arc<str>),
    Index(Value),
    Slice(Option<Value>, Option<Value>),
}

/// A value on its way: as text of the record as long as nothing needs more.
#[derive(Debug)]
pub(crate) enum Lazy<'a> {
    /// JSON text.
    Json(&'a str),
    /// The content of a string.
    Text(&'a str),
    Value(Value),
}

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum Fail {
    Error(String),
    /// No output (`.a?` where there is no `.a`).
    Nothing,
}

type Result<'a> = std::result::Result<Lazy<'a>, Fail>;

/// The plan of a program, if it has one. Top-level fields are looked up in, and added to, `fields`.
pub(crate) fn compile(term: &Node<'_>, fields: &mut Vec<Arc<str>>) -> Option<Plan> {
    Compiler { fields }.plan(term, true)
}

struct Compiler<'f> {
    fields: &'f mut Vec<Arc<str>>,
}

impl Compiler<'_> {
    /// `top`: the input is the record itself.
    fn plan(&mut self, term: &Node<'_>, top: bool) -> Option<Plan> {
        Some(match term {
            Term::Id => Plan::Input,
            Term::Num(text) => Plan::Constant(Value::Num(Num::parse(text))),
            Term::Str(None, parts) => self.text(parts, top)?,
            Term::Neg(inner) => Plan::Negate(self.boxed(inner, top)?),
            Term::Path(of, path) => self.path(of, &path.0, top)?,
            Term::TryCatch(body, None) => Plan::Try(self.boxed(body, top)?),
            Term::BinOp(left, op, right) => self.operation(left, op, right, top)?,
            Term::IfThenElse(branches, otherwise) => {
                let mut plans = Vec::new();
                for (test, then) in branches {
                    plans.push((self.plan(test, top)?, self.plan(then, top)?));
                }
                let otherwise = otherwise.as_deref().map_or(Some(Plan::Input), |term| self.plan(term, top))?;
                Plan::If(plans, Box::new(otherwise))
            }
            Term::Call(name, args) => call(name, args)?,
            _ => return None,
        })
    }

    fn boxed(&mut self, term: &Node<'_>, top: bool) -> Option<Box<Plan>> {
        self.plan(term, top).map(Box::new)
    }

    fn operation(&mut self, left: &Node<'_>, op: &BinaryOp<&str>, right: &Node<'_>, top: bool) -> Option<Plan> {
        if let BinaryOp::Pipe(None) = op {
            let same = top && matches!(left, Term::Id);
            return Some(Plan::Pipe(self.boxed(left, top)?, self.boxed(right, same)?));
        }
        let (left, right) = (self.boxed(left, top)?, self.boxed(right, top)?);
        Some(match op {
            BinaryOp::Alt => Plan::Alternative(left, right),
            BinaryOp::Or => Plan::Or(left, right),
            BinaryOp::And => Plan::And(left, right),
            BinaryOp::Math(op) => Plan::Math(left, *op, right),
            BinaryOp::Cmp(op) => Plan::Compare(left, *op, right),
            _ => return None,
        })
    }

    fn text(&mut self, parts: &[StrPart<&str, Node<'_>>], top: bool) -> Option<Plan> {
        let mut plans = Vec::new();
        for part in parts {
            plans.push(match part {
                StrPart::Str(text) => Plan::Constant(Value::str(text)),
                StrPart::Char(c) => Plan::Constant(Value::str(c.encode_utf8(&mut [0; 4]))),
                StrPart::Term(term) => self.plan(term, top)?,
            });
        }
        Some(Plan::Text(plans))
    }

    fn path(&mut self, of: &Node<'_>, parts: &[(Part<Node<'_>>, Opt)], top: bool) -> Option<Plan> {
        let mut steps = parts.iter();
        let mut plan = match (of, parts.first()) {
            // A field of the record. It is an object, so that `?` changes nothing here.
            (Term::Id, Some((Part::Index(index), _))) if top && literal(index).is_some() => {
                steps.next();
                Plan::Field(self.field(&literal(index)?))
            }
            _ => self.plan(of, top)?,
        };
        for (part, opt) in steps {
            plan = Plan::Step(Box::new(plan), step(part)?, *opt);
        }
        Some(plan)
    }

    fn field(&mut self, name: &str) -> usize {
        let known = self.fields.iter().position(|field| **field == *name);
        known.unwrap_or_else(|| {
            self.fields.push(name.into());
            self.fields.len() - 1
        })
    }
}

fn step(part: &Part<Node<'_>>) -> Option<Step> {
    Some(match part {
        Part::Index(index) => match constant(index)? {
            Value::Str(name) => Step::Name(Value::Str(name.clone()), name),
            index => Step::Index(index),
        },
        Part::Range(None, None) => return None,
        Part::Range(from, to) => {
            let bound = |term: &Option<Node<'_>>| match term {
                Some(term) => constant(term).map(Some),
                None => Some(None),
            };
            Step::Slice(bound(from)?, bound(to)?)
        }
    })
}

fn constant(term: &Node<'_>) -> Option<Value> {
    match term {
        Term::Num(text) => Some(Value::Num(Num::parse(text))),
        Term::Neg(inner) => constant(inner)?.neg().ok(),
        other => literal(other).map(|text| Value::str(&text)),
    }
}

fn call(name: &str, args: &[Node<'_>]) -> Option<Plan> {
    Some(match (name, args) {
        ("utc_date", []) => Plan::Date,
        ("null", []) => Plan::Constant(Value::Null),
        ("true", []) => Plan::Constant(Value::Bool(true)),
        ("false", []) => Plan::Constant(Value::Bool(false)),
        ("bucket", [count]) => {
            let count = constant(count)?;
            match builtins::bucket_count(&count) {
                Ok(n) => Plan::Bucket(n),
                Err(_) => Plan::Call1(builtins::function1(name)?, count),
            }
        }
        (_, []) => Plan::Call(builtins::function(name)?),
        (_, [arg]) => Plan::Call1(builtins::function1(name)?, constant(arg)?),
        _ => return None,
    })
}

/// What a plan runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanned<'a, 'f> {
    pub(crate) record: &'a str,
    pub(crate) fields: &'f [Option<&'a str>],
}

impl Plan {
    /// The value for a record. Call within a budget.
    pub(crate) fn run<'a>(&self, scanned: Scanned<'a, '_>) -> Result<'a> {
        self.eval(scanned, &Lazy::Json(scanned.record))
    }

    /// Writes the value of a usual program (a field, its UTC day, its bucket, a slice of it) if the field stands in the record
    /// as the program wants it; `digits`: so many of them an integer may have to be one. False says nothing of the program's value: then [`Plan::run`] has to work it out.
    pub(crate) fn write_plain(&self, scanned: Scanned<'_, '_>, digits: usize, out: &mut String) -> bool {
        match self {
            Plan::Field(at) => {
                scanned.fields[*at].and_then(|json| plain_scalar(json, digits)).map(|text| out.push_str(text)).is_some()
            }
            Plan::Pipe(left, right) => match (&**left, &**right) {
                (Plan::Field(at), Plan::Date) => write_date(scanned.fields[*at], out).is_some(),
                (Plan::Field(at), Plan::Bucket(n)) => write_bucket(scanned.fields[*at], *n, digits, out).is_some(),
                _ => false,
            },
            Plan::Step(of, Step::Slice(from, to), _) => match &**of {
                Plan::Field(at) => write_slice(scanned.fields[*at], from, to, out).is_some(),
                _ => false,
            },
            _ => false,
        }
    }

    fn eval<'a>(&self, scanned: Scanned<'a, '_>, input: &Lazy<'a>) -> Result<'a> {
        match self {
            Plan::Input => Ok(input.share()),
            Plan::Constant(value) => Ok(Lazy::Value(value.clone())),
            Plan::Field(at) => Ok(scanned.fields[*at].map_or(Lazy::Value(Value::Null), Lazy::Json)),
            Plan::Step(of, step, opt) => match (step.take(of.eval(scanned, input)?), opt) {
                (Err(Fail::Error(_)), Opt::Optional) => Err(Fail::Nothing),
                (result, _) => result,
            },
            Plan::Pipe(left, right) => {
                let middle = left.eval(scanned, input)?;
                right.eval(scanned, &middle)
            }
            Plan::Math(left, op, right) => {
                let (l, r) = both(left.eval(scanned, input), || right.eval(scanned, input))?;
                lift(op.run::<_, jaq_core::ValR<Value>>(l.into_value(), r.into_value()).map_err(|e| e.to_string()))
            }
            Plan::Compare(left, op, right) => {
                let (l, r) = both(left.eval(scanned, input), || right.eval(scanned, input))?;
                Ok(Lazy::Value(Value::Bool(op.run(&l.into_value(), &r.into_value()))))
            }
            Plan::Negate(inner) => lift(inner.eval(scanned, input)?.into_value().neg()),
            Plan::Or(left, right) => logic(left.eval(scanned, input)?, true, || right.eval(scanned, input)),
            Plan::And(left, right) => logic(left.eval(scanned, input)?, false, || right.eval(scanned, input)),
            Plan::Alternative(left, right) => match left.eval(scanned, input) {
                Ok(value) if !value.is_true() => right.eval(scanned, input),
                Err(Fail::Nothing) => right.eval(scanned, input),
                result => result,
            },
            Plan::If(branches, otherwise) => {
                for (test, then) in branches {
                    if test.eval(scanned, input)?.is_true() {
                        return then.eval(scanned, input);
                    }
                }
                otherwise.eval(scanned, input)
            }
            Plan::Text(parts) => interpolate(parts, scanned, input),
            Plan::Try(inner) => match inner.eval(scanned, input) {
                Err(Fail::Error(_)) => Err(Fail::Nothing),
                result => result,
            },
            Plan::Call(function) => lift(function(input.share().into_value())),
            Plan::Call1(function, argument) => lift(function(input.share().into_value(), argument)),
            Plan::Date => input.date().map_err(Fail::Error),
            Plan::Bucket(n) => input.bucket(*n).map_err(Fail::Error),
        }
    }
}

/// The text of a string without escapes, or of an integer that has one way of being written.
fn plain_scalar(json: &str, digits: usize) -> Option<&str> {
    scan::plain_str(json).or_else(|| plain_digits(json, digits).map(|_| json))
}

/// An integer in plain digits: at most so many of them, and no sign, since `-0` is written `0`.
fn plain_digits(json: &str, most: usize) -> Option<i64> {
    let digits = (1..=most).contains(&json.len()) && json.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| json.bytes().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

fn write_date(field: Option<&str>, out: &mut String) -> Option<()> {
    let text = scan::plain_str(field?)?;
    match schemas::instant::utc_day(text) {
        Some(day) => out.push_str(day),
        None => out.push_str(std::str::from_utf8(&builtins::date_of_str(text).ok()?).expect("digits")),
    }
    Some(())
}

fn write_bucket(field: Option<&str>, n: u32, digits: usize, out: &mut String) -> Option<()> {
    let json = field?;
    let bucket = match scan::plain_str(json) {
        Some(text) => schemas::bucket::bucket_str(text, n),
        None => schemas::bucket::bucket_i64(plain_digits(json, digits)?, n),
    };
    match u8::try_from(bucket) {
        Ok(bucket @ 0..10) => out.push(char::from(b'0' + bucket)),
        _ => write!(out, "{bucket}").ok()?,
    }
    Some(())
}

fn write_slice(field: Option<&str>, from: &Option<Value>, to: &Option<Value>, out: &mut String) -> Option<()> {
    out.push_str(slice_str(scan::plain_str(field?)?, bound(from)?, bound(to)?));
    Some(())
}

fn lift<'a>(outcome: std::result::Result<Value, String>) -> Result<'a> {
    outcome.map(Lazy::Value).map_err(Fail::Error)
}

/// Both operands, the right one worked out even if the left one failed: no output on either side is no output at all.
fn both<'a>(left: Result<'a>, right: impl FnOnce() -> Result<'a>) -> std::result::Result<(Lazy<'a>, Lazy<'a>), Fail> {
    if let Err(Fail::Nothing) = left {
        return Err(Fail::Nothing);
    }
    match (left, right()) {
        (_, Err(Fail::Nothing)) => Err(Fail::Nothing),
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Ok(left), Ok(right)) => Ok((left, right)),
    }
}

fn logic<'a>(left: Lazy<'a>, stop: bool, right: impl FnOnce() -> Result<'a>) -> Result<'a> {
    let result = if left.is_true() == stop { stop } else { right()?.is_true() };
    Ok(Lazy::Value(Value::Bool(result)))
}

fn interpolate<'a>(parts: &[Plan], scanned: Scanned<'a, '_>, input: &Lazy<'a>) -> Result<'a> {
    let mut text = String::new();
    let mut failed = None;
    for part in parts {
        match part.eval(scanned, input) {
            Ok(value) => value.push_text(&mut text),
            Err(Fail::Nothing) => return Err(Fail::Nothing),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or_else(|| Ok(Lazy::Value(Value::str(&text))), Err)
}

impl Step {
    fn take<'a>(&self, of: Lazy<'a>) -> Result<'a> {
        match (self, of) {
            (Step::Name(_, name), Lazy::Json(json)) if json.starts_with('{') => {
                Ok(scan::member(json, name).map_or(Lazy::Value(Value::Null), Lazy::Json))
            }
            (Step::Slice(from, to), of) => match (of.plain_text(), bound(from), bound(to)) {
                (Some(text), Some(from), Some(to)) => Ok(Lazy::Text(slice_str(text, from, to))),
                _ => lift(of.into_value().slice(from.as_ref(), to.as_ref())),
            },
            (Step::Name(key, _) | Step::Index(key), of) => lift(of.into_value().index(key)),
        }
    }
}

/// A bound that is a number or left out.
fn bound(value: &Option<Value>) -> Option<Option<f64>> {
    match value {
        None => Some(None),
        Some(Value::Num(n)) => Some(Some(n.as_f64())),
        Some(_) => None,
    }
}

impl<'a> Lazy<'a> {
    fn share(&self) -> Lazy<'a> {
        match self {
            Lazy::Json(json) => Lazy::Json(json),
            Lazy::Text(text) => Lazy::Text(text),
            Lazy::Value(value) => Lazy::Value(value.clone()),
        }
    }

    /// A string's content, if it stands in the record as it is.
    pub(crate) fn plain_text(&self) -> Option<&'a str> {
        match self {
            Lazy::Text(text) => Some(text),
            Lazy::Json(json) => scan::plain_str(json),
            Lazy::Value(_) => None,
        }
    }

    /// An integer that stands in the record in plain digits.
    fn plain_integer(&self) -> Option<i64> {
        match self {
            Lazy::Json(json) if !json.starts_with('"') && !are_doubles() => json.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn into_value(self) -> Value {
        match self {
            // What the record holds is paid for by the record's length.
            Lazy::Json(json) => budget::free(|| scan::parse(json)),
            Lazy::Text(text) => Value::str(text),
            Lazy::Value(value) => value,
        }
    }

    fn is_true(&self) -> bool {
        match self {
            Lazy::Json(json) => !matches!(*json, "null" | "false"),
            Lazy::Text(_) => true,
            Lazy::Value(value) => value.is_true(),
        }
    }

    fn push_text(self, out: &mut String) {
        match self.plain_text() {
            Some(text) => {
                budget::charge_bytes(text.len());
                out.push_str(text);
            }
            None => match self.into_value().into_text() {
                Value::Str(text) => {
                    budget::charge_bytes(text.len());
                    out.push_str(&text);
                }
                other => out.push_str(&other.to_json()),
            },
        }
    }

    fn date(&self) -> std::result::Result<Lazy<'a>, String> {
        if let Some(text) = self.plain_text() {
            return builtins::date_of_str(text).map(|date| Lazy::Value(builtins::date_value(date)));
        }
        let utc_date = builtins::function("utc_date").expect("in the table");
        utc_date(self.share().into_value()).map(Lazy::Value)
    }

    fn bucket(&self, n: u32) -> std::result::Result<Lazy<'a>, String> {
        let bucket = match (self.plain_text(), self.plain_integer()) {
            (Some(text), _) => {
                budget::charge_bytes(text.len());
                schemas::bucket::bucket_str(text, n)
            }
            (_, Some(integer)) => schemas::bucket::bucket_i64(integer, n),
            _ => {
                let bucket = builtins::function1("bucket").expect("in the table");
                return bucket(self.share().into_value(), &Value::int(n as usize)).map(Lazy::Value);
            }
        };
        Ok(Lazy::Value(Value::int(bucket as usize)))
    }
}
