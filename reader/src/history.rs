//! The questions that people have, in terms of one table: which rows they need, and when there are enough of them.

use std::sync::Arc;

use schemas::instant::DAY_MS;
use schemas::problem::nearest;
use schemas::projection::Rule;

use crate::config::{Columns, Limits};
use crate::engine::Engine;
use crate::error::ReaderError;
use crate::plan::Layout;
use crate::plan::columns::scalar;
use crate::predicate::{Predicate, Scalar};
use crate::question::{Attribute, DryRun, Found, Question, Stop, of_attribute};
use crate::reference::Reference;
use crate::time::{day_text, instant_text};
use crate::timeline::{Version, versions};

/// When something was so, and when we knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Only what took effect by then.
    pub as_of: Option<i64>,
    /// Only what had arrived by then.
    pub known_as_of: Option<i64>,
}

/// Answers questions over one table.
#[derive(Debug, Clone)]
pub struct History {
    pub engine: Arc<dyn Engine>,
    pub layout: Arc<Layout>,
    pub columns: Columns,
    pub limits: Limits,
}

/// Which part of a history is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Page<'p> {
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub known_as_of: Option<i64>,
    pub changes_only: bool,
    pub limit: usize,
    /// What was shown last.
    pub after: Option<&'p Reference>,
}

impl History {
    /// What an attribute was at a moment: its change that holds then and the one before it.
    pub async fn explain(&self, of: &Attribute, moment: Moment, now: i64) -> Result<Found, ReaderError> {
        self.current(vec![of.clone()], moment, now).await
    }

    /// What several attributes were at a moment, of one entity or of many.
    pub async fn current(&self, of: Vec<Attribute>, moment: Moment, now: i64) -> Result<Found, ReaderError> {
        self.check_range(moment.as_of, now)?;
        let filter = self.filter(&of, None, moment.as_of, moment.known_as_of)?;
        let stop = Stop::Changes { of, each: 2, before: None };
        self.engine.events(&Question::all(filter, now).until(stop)).await
    }

    /// All attributes of an entity, or those named.
    pub fn attributes_of(&self, entity: &str, names: Option<&[String]>) -> Result<Vec<Attribute>, ReaderError> {
        let names = match (names, self.attribute_names()) {
            (Some(names), _) => names.to_vec(),
            (None, Some(all)) => all.to_vec(),
            (None, None) => {
                let message = "is needed: the table does not list its attributes";
                return Err(ReaderError::question("attributes", message));
            }
        };
        names.iter().try_for_each(|name| self.check_attribute(name))?;
        Ok(names.into_iter().map(|name| Attribute { entity: entity.to_string(), name }).collect())
    }

    /// The names of all attributes, where the table's rules list them.
    pub fn attribute_names(&self) -> Option<&[String]> {
        let column = self.layout.spec.partitions.iter().find(|p| p.name == self.columns.attribute)?;
        match &column.projection {
            Some(Rule::Enum { values }) => Some(values),
            _ => None,
        }
    }

    /// Refuses an attribute that the table cannot have.
    pub fn check_attribute(&self, name: &str) -> Result<(), ReaderError> {
        let Some(all) = self.attribute_names() else { return Ok(()) };
        if all.iter().any(|known| known == name) {
            return Ok(());
        }
        let shown: String = name.chars().take(64).collect();
        let nearest = nearest(&shown, all.iter().map(String::as_str)).map(str::to_string);
        Err(ReaderError::UnknownAttribute { name: shown, nearest })
    }

    /// A time before all that the table can hold tells nothing, and is not the same as never having had a value.
    fn check_range(&self, at: Option<i64>, now: i64) -> Result<(), ReaderError> {
        let (Some(at), Some((first, last))) = (at, self.range(now)) else { return Ok(()) };
        if at >= first { Ok(()) } else { Err(outside(at, (first, last))) }
    }

    /// A day behind the range holds nothing either: unlike "as of", it asks for what happened then.
    fn check_day(&self, at: i64, now: i64) -> Result<(), ReaderError> {
        match self.range(now) {
            Some(range) if at < range.0 || at > range.1 => Err(outside(at, range)),
            _ => Ok(()),
        }
    }

    /// First and last instant that the table's days cover at `now`.
    pub fn range(&self, now: i64) -> Option<(i64, i64)> {
        let day = self.layout.day_of(&self.columns.at)?;
        match &self.layout.spec.partitions.iter().find(|p| p.name == day)?.projection {
            Some(Rule::Date(rule)) => {
                let (first, last) = rule.window(now);
                Some((first, last + DAY_MS - 1))
            }
            _ => None,
        }
    }

    /// Versions of one attribute, newest first, one more than asked for where there are more; and the statistics of it.
    pub async fn page(&self, of: &Attribute, page: Page<'_>, now: i64) -> Result<(Vec<Version>, Found), ReaderError> {
        self.check_span(page.from, page.to)?;
        let to = [page.to, page.after.map(|after| after.at)].into_iter().flatten().min();
        let filter = self.filter(std::slice::from_ref(of), None, to, page.known_as_of)?;
        let each = page.limit.saturating_add(2);
        let stop = match page.changes_only {
            true => Stop::Changes { of: vec![of.clone()], each, before: page.from },
            false => Stop::Rows { wanted: each, before: page.from },
        };
        let question = Question { behind: page.after.cloned(), ..Question::all(filter, now).until(stop) };
        let found = self.engine.events(&question).await?;
        let mut all = versions(&of_attribute(&found.events, of), page.changes_only);
        if let (Some(after), Some(last)) = (page.after, all.last_mut()) {
            last.until = Some(after.at);
        }
        all.reverse();
        if !found.complete {
            // The oldest one may have begun earlier than what was read.
            all.pop();
        }
        all.retain(|version| page.from.is_none_or(|from| version.event.at >= from));
        all.truncate(page.limit.saturating_add(1));
        Ok((all, found))
    }

    /// Everything that is known of an entity's attributes up to `to`, at least back to `from`.
    pub async fn between(
        &self,
        of: Vec<Attribute>,
        (from, to): (i64, i64),
        known_as_of: Option<i64>,
        now: i64,
    ) -> Result<Found, ReaderError> {
        self.check_span(Some(from), Some(to))?;
        self.check_range(Some(from), now)?;
        let filter = self.filter(&of, None, Some(to), known_as_of)?;
        let stop = Stop::Changes { of, each: usize::MAX, before: Some(from.saturating_add(1)) };
        self.engine.events(&Question::all(filter, now).until(stop)).await
    }

    /// The changes of an attribute on a day, of all entities.
    pub async fn day(
        &self,
        attribute: &str,
        day: i32,
        known_as_of: Option<i64>,
        now: i64,
    ) -> Result<Found, ReaderError> {
        self.check_attribute(attribute)?;
        let first = i64::from(day) * DAY_MS;
        self.check_day(first, now)?;
        let time = self.time(Some(first), Some(first + DAY_MS - 1), known_as_of)?;
        let of = self.value(&self.columns.attribute, attribute)?;
        let filter = Predicate::And(vec![Predicate::equal(&self.columns.attribute, of), time]);
        self.engine.events(&Question::all(filter, now)).await
    }

    /// The last event before a day of each of an attribute's entities; nothing if no day of the table is before it.
    pub async fn before(
        &self,
        of: Vec<Attribute>,
        day: i32,
        known_as_of: Option<i64>,
        now: i64,
    ) -> Result<Option<Found>, ReaderError> {
        let last = i64::from(day) * DAY_MS - 1;
        if of.is_empty() || self.check_range(Some(last), now).is_err() {
            return Ok(None);
        }
        let filter = self.filter(&of, None, Some(last), known_as_of)?;
        let stop = Stop::Changes { of, each: 1, before: None };
        self.engine.events(&Question::all(filter, now).until(stop)).await.map(Some)
    }

    /// One event.
    pub async fn version(&self, of: &Attribute, reference: &Reference, now: i64) -> Result<Found, ReaderError> {
        let filter = self.filter(std::slice::from_ref(of), Some(reference.at), Some(reference.at), None)?;
        let mut found = self.engine.events(&Question::all(filter, now)).await?;
        found.events.retain(|event| reference.is_of(event));
        Ok(found)
    }

    /// What a question would read.
    pub async fn plan(&self, asked: &Planned<'_>, now: i64) -> Result<DryRun, ReaderError> {
        self.check_span(asked.from, asked.to)?;
        let mut all = vec![self.time(asked.from, asked.to, None)?];
        if let Some(entity) = asked.entity {
            all.push(Predicate::equal(&self.columns.entity, self.value(&self.columns.entity, entity)?));
        }
        if let Some(names) = asked.attributes {
            names.iter().try_for_each(|name| self.check_attribute(name))?;
            let values: Result<Vec<_>, _> =
                names.iter().map(|name| self.value(&self.columns.attribute, name)).collect();
            all.push(Predicate::any_of(&self.columns.attribute, values?));
        }
        self.engine.plan(&Question::all(Predicate::And(all), now)).await
    }

    fn filter(
        &self,
        of: &[Attribute],
        from: Option<i64>,
        to: Option<i64>,
        known_as_of: Option<i64>,
    ) -> Result<Predicate, ReaderError> {
        of.iter().try_for_each(|attribute| self.check_attribute(&attribute.name))?;
        let any = |column: &str, all: Vec<&String>| -> Result<Predicate, ReaderError> {
            let mut values = all.into_iter().map(|text| self.value(column, text)).collect::<Result<Vec<_>, _>>()?;
            values.sort();
            values.dedup();
            Ok(Predicate::any_of(column, values))
        };
        Ok(Predicate::And(vec![
            any(&self.columns.entity, of.iter().map(|attribute| &attribute.entity).collect())?,
            any(&self.columns.attribute, of.iter().map(|attribute| &attribute.name).collect())?,
            self.time(from, to, known_as_of)?,
        ]))
    }

    fn time(&self, from: Option<i64>, to: Option<i64>, known_as_of: Option<i64>) -> Result<Predicate, ReaderError> {
        let mut all = vec![Predicate::between(&self.columns.at, from.map(Scalar::Instant), to.map(Scalar::Instant))];
        if let Some(known) = known_as_of {
            if !self.layout.spec.metadata {
                let message = "cannot be told: the table does not say when its rows arrived";
                return Err(ReaderError::question("known_as_of", message));
            }
            all.push(Predicate::between("_arrived_at", None, Some(Scalar::Instant(known))));
        }
        Ok(Predicate::And(all))
    }

    /// A text from a question as a value of a column.
    fn value(&self, column: &str, text: &str) -> Result<Scalar, ReaderError> {
        let stored = self.layout.spec.columns.iter().find(|c| c.name == column).map(|c| &c.data_type);
        let partition = || self.layout.spec.partitions.iter().find(|p| p.name == column).map(|p| &p.data_type);
        let data_type = stored.or_else(partition);
        let value = data_type.and_then(|data_type| scalar(text, data_type));
        value.ok_or_else(|| ReaderError::question(column, "is no value of this column: it holds whole numbers"))
    }

    fn check_span(&self, from: Option<i64>, to: Option<i64>) -> Result<(), ReaderError> {
        let (Some(from), Some(to)) = (from, to) else { return Ok(()) };
        if from > to {
            return Err(ReaderError::question("from", "lies behind `to`: write the earlier one first"));
        }
        let limit = i64::try_from(self.limits.span_days).unwrap_or(i64::MAX);
        let days = (to - from) / DAY_MS;
        if days <= limit {
            return Ok(());
        }
        let at_most = day_text(crate::time::day_of(to).saturating_sub(limit as i32));
        Err(ReaderError::question(
            "from",
            format!("lies {days} days before `to`, {limit} is the limit: begin at {at_most}"),
        ))
    }
}

fn outside(at: i64, (first, last): (i64, i64)) -> ReaderError {
    let [at, first, last] = [at, first, last].map(instant_text);
    ReaderError::OutsideRange { at, first, last }
}

/// What a dry run is of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Planned<'p> {
    pub entity: Option<&'p str>,
    pub attributes: Option<&'p [String]>,
    pub from: Option<i64>,
    pub to: Option<i64>,
}
