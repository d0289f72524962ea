//! What a request says, checked: parameters by name, with their types. Nothing here is passed on as text that another program
//! would read as more than a value.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::instant::{parse_date, parse_instant};
use schemas::problem::nearest;

use super::export::Format;
use super::routes::{Parameter, Route};
use crate::error::ReaderError;
use crate::history::Moment;
use crate::question::Attribute;
use crate::reference::Reference;

/// Longest value of a parameter, in bytes.
pub const VALUE_BYTES_MAX: usize = 8192;
/// Names in a list at most.
pub const NAMES_MAX: usize = 1000;

/// A request, as far as its route describes it.
#[derive(Debug, Default)]
pub struct Asked {
    given: BTreeMap<&'static str, String>,
    pub body: Bytes,
    /// The `Accept` header.
    pub accept: Option<String>,
    /// Milliseconds since the epoch.
    pub now: i64,
}

impl Asked {
    /// Takes the parameters that the route has; any other is refused.
    pub fn read(
        route: &'static Route,
        path: impl IntoIterator<Item = (String, String)>,
        query: &str,
    ) -> Result<Asked, ReaderError> {
        let mut asked = Asked::default();
        for (name, value) in path {
            asked.take(route, &name, value)?;
        }
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            asked.take(route, &name, value.into_owned())?;
        }
        let missing = |p: &&Parameter| p.required && !asked.given.contains_key(p.name);
        if let Some(parameter) = route.parameters.iter().find(missing) {
            return Err(ReaderError::question(parameter.name, format!("is missing: {}", parameter.doc)));
        }
        Ok(asked)
    }

    fn take(&mut self, route: &'static Route, name: &str, value: String) -> Result<(), ReaderError> {
        let Some(parameter) = route.parameters.iter().find(|known| known.name == name) else {
            let shown: String = name.chars().take(64).collect();
            let near = nearest(&shown, route.parameters.iter().map(|p| p.name));
            let instead = near.map_or_else(|| "leave it out".into(), |near| format!("write `{near}`"));
            return Err(ReaderError::question(&shown, format!("is no parameter of this question: {instead}")));
        };
        if value.is_empty() || value.len() > VALUE_BYTES_MAX {
            return Err(ReaderError::question(
                parameter.name,
                format!("is empty or has more than {VALUE_BYTES_MAX} bytes"),
            ));
        }
        if value.contains('\0') {
            return Err(ReaderError::question(parameter.name, "has a NUL character, which no column holds"));
        }
        if self.given.insert(parameter.name, value).is_some() {
            return Err(ReaderError::question(parameter.name, "is given twice: keep one"));
        }
        Ok(())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// A parameter that the route requires.
    pub fn required(&self, name: &str) -> Result<&str, ReaderError> {
        self.text(name).ok_or_else(|| ReaderError::question(name, "is missing"))
    }

    pub fn attribute(&self) -> Result<Attribute, ReaderError> {
        Ok(Attribute { entity: self.required("entity")?.to_string(), name: self.required("attribute")?.to_string() })
    }

    /// An instant, or the day it is: `end` says which end of the day is meant then.
    pub fn instant(&self, name: &str, end: DayEnd) -> Result<Option<i64>, ReaderError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let day = parse_date(text).map(|day| i64::from(day) * schemas::instant::DAY_MS);
        let at = match (day, end) {
            (Some(first), DayEnd::Last) => Some(first + schemas::instant::DAY_MS - 1),
            (Some(first), DayEnd::First) => Some(first),
            (None, _) => parse_instant(text).filter(|_| text.contains('-')),
        };
        let wrong =
            || ReaderError::question(name, "is no instant: write one such as 2026-05-17T19:12:54Z, or 2026-05-17");
        at.map(Some).ok_or_else(wrong)
    }

    pub fn moment(&self) -> Result<Moment, ReaderError> {
        Ok(Moment {
            as_of: self.instant("as_of", DayEnd::Last)?,
            known_as_of: self.instant("known_as_of", DayEnd::Last)?,
        })
    }

    pub fn day(&self, name: &str) -> Result<i32, ReaderError> {
        let wrong = || ReaderError::question(name, "is no date: write one such as 2026-05-17");
        parse_date(self.required(name)?).ok_or_else(wrong)
    }

    /// Names parted by commas.
    pub fn names(&self, name: &str) -> Result<Option<Vec<String>>, ReaderError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_string()).collect();
        if names.len() > NAMES_MAX || names.iter().any(String::is_empty) {
            return Err(ReaderError::question(name, format!("holds an empty name, or more than {NAMES_MAX}")));
        }
        Ok(Some(names))
    }

    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ReaderError> {
        match self.text(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(ReaderError::question(name, "is neither true nor false")),
        }
    }

    /// A whole number from 1 to `max`.
    pub fn count(&self, name: &str, default: usize, max: usize) -> Result<usize, ReaderError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| ReaderError::question(name, format!("is no whole number from 1 to {max}")))
    }

    pub fn cursor(&self) -> Result<Option<Reference>, ReaderError> {
        self.text("cursor").map(|text| Reference::parse(text, "cursor")).transpose()
    }

    /// By `format`, else by what is accepted.
    pub fn format(&self) -> Result<Format, ReaderError> {
        match self.text("format") {
            Some(name) => Format::named(name).ok_or_else(|| ReaderError::question("format", Format::WANT)),
            None => Ok(self.accept.as_deref().map_or(Format::Json, Format::accepted)),
        }
    }
}

/// Which end of a day is meant where a day stands for an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayEnd {
    First,
    Last,
}
