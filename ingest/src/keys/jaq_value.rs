//! [`Value`] as a type that jaq's interpreter can run on. Nothing is decided here: every operation is the one of [`super::value`].

use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Range, Rem, Sub};
use std::sync::Arc;

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::{Error, Exn, ValR, ValX};

use super::budget::charge;
use super::number::Num;
use super::value::{Map, Outcome, Value, clamp};

fn valr(outcome: Outcome) -> ValR<Value> {
    outcome.map_err(Error::str)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Str(text) => f.write_str(text),
            other => f.write_str(&other.to_json()),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<isize> for Value {
    fn from(value: isize) -> Self {
        Value::Num(Num::Int(value as i128))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Value::int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Num(Num::from_f64(value))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::str(&text)
    }
}

impl From<Range<Option<Value>>> for Value {
    fn from(range: Range<Option<Value>>) -> Self {
        let bound = |value: Option<Value>| value.unwrap_or(Value::Null);
        let members = [("start", range.start), ("end", range.end)];
        Value::object(members.into_iter().map(|(name, value)| (Arc::from(name), bound(value))).collect())
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        Value::array(items.into_iter().inspect(|_| charge(1)).collect())
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident) => {
        impl $trait for Value {
            type Output = ValR<Value>;
            fn $method(self, other: Value) -> ValR<Value> {
                charge(1);
                valr(Value::$method(self, other))
            }
        }
    };
}
operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);
operator!(Rem, rem);

impl Neg for Value {
    type Output = ValR<Value>;
    fn neg(self) -> ValR<Value> {
        valr(Value::neg(self))
    }
}

/// Applies `f` to a value and takes its first output.
fn first<'a, I: Iterator<Item = ValX<'a, Value>>>(
    value: Value,
    f: &impl Fn(Value) -> I,
) -> Result<Option<Value>, Exn<'a, Value>> {
    f(value).next().transpose()
}

fn refuse<'a>(opt: Opt, value: Value, message: String) -> ValX<'a, Value> {
    opt.fail(value, |_| Exn::from(Error::str(message)))
}

impl jaq_core::ValT for Value {
    fn from_num(text: &str) -> ValR<Self> {
        Ok(Value::Num(Num::parse(text)))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(pairs: I) -> ValR<Self> {
        let mut members = Map::default();
        for (name, value) in pairs {
            charge(1);
            match name {
                Value::Str(name) => members.insert(name, value),
                other => return Err(Error::str(format!("the name of a member is a string, not {}", other.kind()))),
            };
        }
        Ok(Value::object(members))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self {
            Value::Arr(array) => {
                Box::new((0..array.items.len()).map(move |i| Ok((Value::int(i), array.items[i].clone()))))
            }
            Value::Obj(object) => Box::new((0..object.members.len()).map(move |i| {
                let (name, value) = object.members.get_index(i).expect("within the length");
                Ok((Value::Str(name.clone()), value.clone()))
            })),
            other => box_once(Err(Error::str(format!("cannot iterate over {}", other.kind())))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self {
            Value::Arr(array) => Box::new((0..array.items.len()).map(move |i| Ok(array.items[i].clone()))),
            Value::Obj(object) => Box::new((0..object.members.len()).map(move |i| Ok(object.members[i].clone()))),
            other => box_once(Err(Error::str(format!("cannot iterate over {}", other.kind())))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        valr(Value::index(&self, index))
    }

    fn range(self, range: Range<Option<&Self>>) -> ValR<Self> {
        valr(self.slice(range.start, range.end))
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        match self {
            Value::Arr(array) => {
                let outputs = array.items.iter().flat_map(|item| f(item.clone()));
                Ok(Value::array(outputs.collect::<Result<_, _>>()?))
            }
            Value::Obj(object) => {
                let mut members = Map::default();
                for (name, value) in &object.members {
                    if let Some(value) = first(value.clone(), &f)? {
                        members.insert(name.clone(), value);
                    }
                }
                Ok(Value::object(members))
            }
            other => {
                let message = format!("cannot iterate over {}", other.kind());
                refuse(opt, other, message)
            }
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (&self, index) {
            (Value::Null | Value::Obj(_), Value::Str(name)) => {
                let mut members = match &self {
                    Value::Obj(object) => object.members.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
                    _ => Map::default(),
                };
                match first(members.get(name).cloned().unwrap_or(Value::Null), &f)? {
                    Some(value) => members.insert(name.clone(), value),
                    None => members.shift_remove(name),
                };
                Ok(Value::object(members))
            }
            (Value::Arr(array), Value::Num(at)) if array.position(at).is_some() => {
                let at = array.position(at).expect("just looked up");
                let mut items = array.items.clone();
                match first(items[at].clone(), &f)? {
                    Some(value) => items[at] = value,
                    None => drop(items.remove(at)),
                }
                Ok(Value::array(items))
            }
            (Value::Arr(_), Value::Num(_)) => refuse(opt, self, "index out of bounds".to_string()),
            _ => {
                let message = format!("cannot update {} at {}", self.kind(), index.kind());
                refuse(opt, self, message)
            }
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let (Value::Arr(array), Ok(bounds)) = (&self, bounds(&range)) else {
            let message = format!("cannot update a slice of {}", self.kind());
            return refuse(opt, self, message);
        };
        let (start, end) = clamp(bounds.0, bounds.1, array.items.len());
        let new = match first(Value::array(array.items[start..end].to_vec()), &f)? {
            Some(Value::Arr(new)) => new.items.clone(),
            Some(other) => {
                return Err(Exn::from(Error::str(format!("a slice is replaced by an array, not {}", other.kind()))));
            }
            None => Vec::new(),
        };
        let (head, tail) = (array.items[..start].iter(), array.items[end..].iter());
        Ok(Value::array(head.chain(&new).chain(tail).cloned().collect()))
    }

    fn as_bool(&self) -> bool {
        self.is_true()
    }

    fn into_string(self) -> Self {
        self.into_text()
    }
}

fn bounds(range: &Range<Option<&Value>>) -> Result<(Option<f64>, Option<f64>), ()> {
    let bound = |value: Option<&Value>| match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Num(n)) => Ok(Some(n.as_f64())),
        Some(_) => Err(()),
    };
    Ok((bound(range.start)?, bound(range.end)?))
}

impl jaq_std::ValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Value::Arr(array) => Ok(array.items.iter().cloned().collect()),
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Value::Num(Num::Int(_) | Num::Big(_)))
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Value::Num(Num::Int(value)) => isize::try_from(*value).ok(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Num(n) => Some(n.as_f64()),
            _ => None,
        }
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Value::Str(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Str(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        Value::str(&String::from_utf8_lossy(sub))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Value::str(&String::from_utf8_lossy(bytes.as_ref()))
    }
}
