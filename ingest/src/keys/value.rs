//! The values that key programs work on, and the operations of jq on them.
//!
//! One implementation for both ways a program can run (the native plan and jaq), so that they cannot disagree about what an
//! operation does. Where jaq and jq 1.6 differ these operations follow jq: a slice of null is null, `%` truncates, an object has
//! no numeric index.

use std::cmp::Ordering;
use std::sync::Arc;

use super::budget::{self, VALUE_DEPTH_MAX, charge, charge_bytes};
use super::number::Num;

/// Insertion order, last value wins: jq's objects.
pub(crate) type Map = jaq_json::Map<Arc<str>, Value>;

/// The outcome of an operation, or what is wrong.
pub(crate) type Outcome = Result<Value, String>;

/// A JSON value. Cloning costs a step.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Num(Num),
    Str(Arc<str>),
    Arr(Arc<Array>),
    Obj(Arc<Object>),
}

/// Items and how deep they nest.
#[derive(Debug)]
pub(crate) struct Array {
    pub(crate) items: Vec<Value>,
    depth: usize,
}

/// Members and how deep they nest.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) members: Map,
    depth: usize,
}

impl Clone for Value {
    fn clone(&self) -> Self {
        charge(1);
        match self {
            Value::Null => Value::Null,
            Value::Bool(b) => Value::Bool(*b),
            Value::Num(n) => Value::Num(n.clone()),
            Value::Str(s) => Value::Str(s.clone()),
            Value::Arr(a) => Value::Arr(a.clone()),
            Value::Obj(o) => Value::Obj(o.clone()),
        }
    }
}

fn depth_over<'a>(children: impl Iterator<Item = &'a Value>) -> usize {
    let depth = 1 + children.map(Value::depth).max().unwrap_or(0);
    if depth > VALUE_DEPTH_MAX {
        budget::exceed();
    }
    depth
}

impl Value {
    pub(crate) fn str(text: &str) -> Value {
        charge_bytes(text.len());
        Value::Str(text.into())
    }

    pub(crate) fn int(value: usize) -> Value {
        Value::Num(Num::Int(value as i128))
    }

    pub(crate) fn array(items: Vec<Value>) -> Value {
        charge(1 + items.len());
        let depth = depth_over(items.iter());
        Value::Arr(Arc::new(Array { items, depth }))
    }

    pub(crate) fn object(members: Map) -> Value {
        charge(1 + members.len());
        let depth = depth_over(members.values());
        Value::Obj(Arc::new(Object { members, depth }))
    }

    fn depth(&self) -> usize {
        match self {
            Value::Arr(a) => a.depth,
            Value::Obj(o) => o.depth,
            _ => 0,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Num(_) => "number",
            Value::Str(_) => "string",
            Value::Arr(_) => "array",
            Value::Obj(_) => "object",
        }
    }

    /// Neither null nor false.
    pub(crate) fn is_true(&self) -> bool {
        !matches!(self, Value::Null | Value::Bool(false))
    }

    pub(crate) fn index(&self, key: &Value) -> Outcome {
        match (self, key) {
            (Value::Null, Value::Str(_) | Value::Num(_) | Value::Null) => Ok(Value::Null),
            (Value::Obj(object), Value::Str(name)) => {
                charge(1);
                Ok(object.members.get(name).cloned().unwrap_or(Value::Null))
            }
            (Value::Arr(array), Value::Num(at)) => Ok(array.at(at).cloned().unwrap_or(Value::Null)),
            (_, Value::Str(name)) => Err(format!("cannot index {} with \"{name}\"", self.kind())),
            (_, key) => Err(format!("cannot index {} with {}", self.kind(), key.kind())),
        }
    }

    /// `.[from:to]`, in code points for strings.
    pub(crate) fn slice(&self, from: Option<&Value>, to: Option<&Value>) -> Outcome {
        let bound = |value: Option<&Value>| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Num(n)) => Ok(Some(n.as_f64())),
            Some(other) => Err(format!("cannot slice with {}: bounds are numbers", other.kind())),
        };
        match self {
            Value::Null => Ok(Value::Null),
            Value::Str(text) => Ok(Value::str(slice_str(text, bound(from)?, bound(to)?))),
            Value::Arr(array) => {
                let (start, end) = clamp(bound(from)?, bound(to)?, array.items.len());
                Ok(Value::array(array.items[start..end].to_vec()))
            }
            other => Err(format!("cannot slice {}", other.kind())),
        }
    }

    pub(crate) fn add(self, other: Value) -> Outcome {
        match (self, other) {
            (Value::Null, value) | (value, Value::Null) => Ok(value),
            (Value::Num(a), Value::Num(b)) => Ok(Value::Num(a.add(&b))),
            (Value::Str(a), Value::Str(b)) => {
                charge_bytes(a.len() + b.len());
                Ok(Value::Str(format!("{a}{b}").into()))
            }
            (Value::Arr(a), Value::Arr(b)) => {
                charge(a.items.len() + b.items.len());
                Ok(Value::array(a.items.iter().chain(&b.items).cloned().collect()))
            }
            (Value::Obj(a), Value::Obj(b)) => {
                charge(a.members.len() + b.members.len());
                let all = a.members.iter().chain(&b.members);
                Ok(Value::object(all.map(|(k, v)| (k.clone(), v.clone())).collect()))
            }
            (a, b) => Err(format!("cannot add {} and {}", a.kind(), b.kind())),
        }
    }

    pub(crate) fn sub(self, other: Value) -> Outcome {
        match (self, other) {
            (Value::Num(a), Value::Num(b)) => Ok(Value::Num(a.sub(&b))),
            (Value::Arr(a), Value::Arr(b)) => {
                charge(a.items.len() * (1 + b.items.len()));
                Ok(Value::array(a.items.iter().filter(|item| !b.items.contains(item)).cloned().collect()))
            }
            (a, b) => Err(format!("cannot subtract {} from {}", b.kind(), a.kind())),
        }
    }

    pub(crate) fn mul(self, other: Value) -> Outcome {
        match (self, other) {
            (Value::Num(a), Value::Num(b)) => Ok(Value::Num(a.mul(&b))),
            (Value::Str(text), Value::Num(times)) | (Value::Num(times), Value::Str(text)) => repeat(&text, &times),
            (Value::Obj(a), Value::Obj(b)) => Ok(merge(&a.members, &b.members)),
            (a, b) => Err(format!("cannot multiply {} and {}", a.kind(), b.kind())),
        }
    }

    pub(crate) fn div(self, other: Value) -> Outcome {
        match (self, other) {
            (Value::Num(a), Value::Num(b)) => {
                a.div(&b).map(Value::Num).ok_or_else(|| format!("cannot divide {} by zero", a.text()))
            }
            (Value::Str(text), Value::Str(separator)) => Ok(split(&text, &separator)),
            (a, b) => Err(format!("cannot divide {} by {}", a.kind(), b.kind())),
        }
    }

    pub(crate) fn rem(self, other: Value) -> Outcome {
        match (self, other) {
            (Value::Num(a), Value::Num(b)) => {
                a.rem(&b).map(Value::Num).ok_or_else(|| format!("cannot take {} modulo zero", a.text()))
            }
            (a, b) => Err(format!("cannot take {} modulo {}", a.kind(), b.kind())),
        }
    }

    pub(crate) fn neg(self) -> Outcome {
        match self {
            Value::Num(n) => Ok(Value::Num(n.neg())),
            other => Err(format!("cannot negate {}", other.kind())),
        }
    }

    /// A string as it is, anything else as JSON.
    pub(crate) fn into_text(self) -> Value {
        match self {
            Value::Str(_) => self,
            other => Value::str(&other.to_json()),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        self.render(&mut out);
        out
    }

    fn render(&self, out: &mut String) {
        charge(1);
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Num(n) => out.push_str(&n.text()),
            Value::Str(s) => render_str(s, out),
            Value::Arr(a) => {
                out.push('[');
                for (i, item) in a.items.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    item.render(out);
                }
                out.push(']');
            }
            Value::Obj(o) => {
                out.push('{');
                for (i, (name, value)) in o.members.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    render_str(name, out);
                    out.push(':');
                    value.render(out);
                }
                out.push('}');
            }
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(false) => 1,
            Value::Bool(true) => 2,
            Value::Num(_) => 3,
            Value::Str(_) => 4,
            Value::Arr(_) => 5,
            Value::Obj(_) => 6,
        }
    }
}

impl Array {
    /// The item at an index; from the end if negative.
    pub(crate) fn at(&self, at: &Num) -> Option<&Value> {
        self.items.get(self.position(at)?)
    }

    pub(crate) fn position(&self, at: &Num) -> Option<usize> {
        let at = match at {
            Num::Int(at) => *at,
            other if other.is_nan() => return None,
            other => other.as_f64().floor() as i128,
        };
        let at = if at < 0 { at + self.items.len() as i128 } else { at };
        usize::try_from(at).ok().filter(|at| *at < self.items.len())
    }
}

fn render_str(text: &str, out: &mut String) {
    charge_bytes(text.len());
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// The part of a string between two code points.
pub(crate) fn slice_str(text: &str, from: Option<f64>, to: Option<f64>) -> &str {
    charge_bytes(text.len());
    if text.is_ascii() {
        let (start, end) = clamp(from, to, text.len());
        return &text[start..end];
    }
    let (start, end) = clamp(from, to, text.chars().count());
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    &text[at(start)..at(end)]
}

/// Bounds as jq takes them: from the end if negative, cut to what is there; fractions widen.
pub(crate) fn clamp(from: Option<f64>, to: Option<f64>, length: usize) -> (usize, usize) {
    let absolute = |at: f64| (if at < 0.0 { at + length as f64 } else { at }).clamp(0.0, length as f64);
    let start = from.map_or(0, |at| absolute(at).floor() as usize);
    let end = to.map_or(length, |at| absolute(at).ceil() as usize);
    (start, end.max(start))
}

fn repeat(text: &str, times: &Num) -> Outcome {
    let times = times.as_f64().ceil();
    if times.is_nan() || times <= 0.0 {
        return Ok(Value::Null);
    }
    charge_bytes(text.len().saturating_mul(times as usize));
    Ok(Value::Str(text.repeat(times as usize).into()))
}

/// `a * b` on objects: members that are objects on both sides are merged in turn.
fn merge(a: &Map, b: &Map) -> Value {
    let mut merged: Map = a.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    for (name, value) in b {
        let value = match (merged.get(name), value) {
            (Some(Value::Obj(old)), Value::Obj(new)) => merge(&old.members, &new.members),
            _ => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    Value::object(merged)
}

/// jq's `split/1`: no parts of the empty string, characters for an empty separator.
pub(crate) fn split(text: &str, separator: &str) -> Value {
    charge_bytes(text.len());
    if text.is_empty() {
        return Value::array(Vec::new());
    }
    if separator.is_empty() {
        return Value::array(text.chars().map(|c| Value::str(c.encode_utf8(&mut [0; 4]))).collect());
    }
    Value::array(text.split(separator).map(Value::str).collect())
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    /// jq's order: null, false, true, numbers, strings, arrays, objects.
    fn cmp(&self, other: &Self) -> Ordering {
        charge(1);
        match (self, other) {
            (Value::Num(a), Value::Num(b)) => a.order(b),
            (Value::Str(a), Value::Str(b)) => {
                charge_bytes(a.len().min(b.len()));
                a.cmp(b)
            }
            (Value::Arr(a), Value::Arr(b)) => a.items.cmp(&b.items),
            (Value::Obj(a), Value::Obj(b)) => compare_objects(&a.members, &b.members),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// First by the sorted names, then by the values in that order.
fn compare_objects(a: &Map, b: &Map) -> Ordering {
    charge(a.len() + b.len());
    let sorted = |map: &Map| {
        let mut names: Vec<Arc<str>> = map.keys().cloned().collect();
        names.sort();
        names
    };
    let (left, right) = (sorted(a), sorted(b));
    left.cmp(&right)
        .then_with(|| left.iter().map(|name| a[name].cmp(&b[name])).find(|o| o.is_ne()).unwrap_or(Ordering::Equal))
}
