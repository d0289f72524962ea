//! Date rules: reading them, and which dates they give.

use super::civil::{self, Civil};
use super::{Bound, DateRule, EXPAND_MAX, STEPS_MAX, Unit, pattern};

impl DateRule {
    /// A rule as typed. `interval` and `unit` may be left out together when the format ends at the day or the month.
    pub fn parse(format: &str, range: &str, interval: Option<u64>, unit: Option<Unit>) -> Result<DateRule, String> {
        let precision = pattern::precision(format)?;
        let (from, to) = range.split_once(',').ok_or_else(|| {
            format!("date range `{range}` has no comma: write two ends such as `2012-01-01,NOW+1DAYS`, both inclusive")
        })?;
        let (from, to) = (Bound::parse(from, format)?, Bound::parse(to, format)?);
        if let (Bound::Fixed { at: first, text: f }, Bound::Fixed { at: last, text: t }) = (&from, &to)
            && first > last
        {
            return Err(format!("date range `{range}` ends before it begins: write `{t},{f}`"));
        }
        let (interval, unit) = steps(precision, interval, unit)?;
        if let (Bound::Fixed { at, text }, Unit::Months | Unit::Years) = (&from, unit)
            && Civil::new(*at).day > 28
        {
            return Err(format!("steps of {} cannot begin on `{text}`: begin on the 1st to the 28th", unit.as_str()));
        }
        Ok(DateRule { format: format.to_string(), from, to, interval, unit })
    }

    pub(super) fn admits(&self, value: &str, now: i64) -> Result<(), String> {
        let format = &self.format;
        let (from, to) = self.window(now);
        let Some(start) = pattern::parse(format, value) else {
            let example = pattern::render(format, from);
            return Err(format!("is no date as the projection's format `{format}` writes it, such as `{example}`"));
        };
        if start < from || start > to {
            let (first, last) = (pattern::render(format, from), pattern::render(format, to));
            return Err(format!(
                "is outside the projection's range `{},{}`, now {first} to {last}",
                self.from, self.to
            ));
        }
        let step = self.first_step_at_or_after(from, start);
        if step > to || step >= pattern::next(start, self.precision()) {
            let (interval, unit) = (self.interval, self.unit.as_str());
            let first = pattern::render(format, from);
            return Err(format!("is between the steps of the projection: every {interval} {unit} from {first}"));
        }
        Ok(())
    }

    /// When the period that a value names is over; none if it is no value of the rule's format.
    pub fn end_of(&self, value: &str) -> Option<i64> {
        let start = pattern::parse(&self.format, value)?;
        Some(pattern::next(start, self.precision()).max(civil::plus(start, self.step(), self.unit)))
    }

    /// First and last instant of the range at `now`. A relative end is cut to what the format can say, as both Athena and Trino
    /// do by formatting it and reading it back.
    pub fn window(&self, now: i64) -> (i64, i64) {
        let precision = self.precision();
        let end = |bound: &Bound| match bound {
            Bound::Fixed { at, .. } => *at,
            Bound::Now { offset, unit } => pattern::truncate(civil::plus(now, *offset, *unit), precision),
        };
        (end(&self.from), end(&self.to))
    }

    /// Length of the blocks of time, counted from the epoch, within each of which [`DateRule::window`] says the same. Offsets and
    /// precisions are whole multiples of each other up to the day, and nothing moves within a day that is counted in longer ones.
    pub fn steady_millis(&self) -> i64 {
        let block = |unit| civil::millis(unit).min(civil::DAY);
        let moves = |bound: &Bound| match bound {
            Bound::Fixed { .. } => None,
            Bound::Now { offset: 0, .. } => Some(block(self.precision())),
            Bound::Now { unit, .. } => Some(block(*unit).min(block(self.precision()))),
        };
        [&self.from, &self.to].into_iter().filter_map(moves).min().unwrap_or(i64::MAX)
    }

    /// The units the rule uses: of its steps, and of `NOW` offsets.
    pub fn units(&self) -> Vec<Unit> {
        let offset = |bound: &Bound| match bound {
            Bound::Now { offset, unit } if *offset != 0 => Some(*unit),
            _ => None,
        };
        [Some(self.unit), offset(&self.from), offset(&self.to)].into_iter().flatten().collect()
    }

    pub(super) fn count(&self, now: i64) -> u64 {
        let (from, to) = self.window(now);
        if to < from {
            return 0;
        }
        let calendar = |unit| matches!(unit, Unit::Years | Unit::Months);
        let precision = self.precision();
        let (step, period) = (self.step_millis(), civil::millis(precision));
        if calendar(precision) || calendar(self.unit) || (step < period && period % step != 0) {
            let walked = self.values(now).take(EXPAND_MAX).count();
            if walked < EXPAND_MAX {
                return walked as u64;
            }
        }
        // Steps shorter than the period give each period once. Beyond a million values an estimate will do.
        ((to - from) / step.max(period) + 1) as u64
    }

    pub(super) fn values(&self, now: i64) -> impl Iterator<Item = String> + use<'_> {
        let (from, to) = self.window(now);
        let precision = self.precision();
        let mut at = Some(from).filter(|from| *from <= to);
        std::iter::from_fn(move || {
            let value = pattern::render(&self.format, at?);
            // The first step in a later period than this one.
            let start = pattern::next(pattern::truncate(at?, precision), precision);
            at = Some(self.first_step_at_or_after(from, start)).filter(|next| *next <= to && *next >= start);
            Some(value)
        })
    }

    fn precision(&self) -> Unit {
        pattern::precision(&self.format).unwrap_or(Unit::Days)
    }

    fn step_millis(&self) -> i64 {
        civil::millis(self.unit).saturating_mul(self.step())
    }

    fn step(&self) -> i64 {
        self.interval.clamp(1, STEPS_MAX) as i64
    }

    /// The first `from + k * interval`, k >= 0, that is not before `at`.
    fn first_step_at_or_after(&self, from: i64, at: i64) -> i64 {
        let months = match self.unit {
            Unit::Years => 12,
            Unit::Months => 1,
            _ => {
                let step = self.step_millis();
                let steps = (at - from).max(0).saturating_add(step - 1) / step;
                return from.saturating_add(steps.saturating_mul(step));
            }
        };
        let passed = Civil::new(at).months() - Civil::new(from).months();
        let guess = (passed / (self.step() * months)).max(0);
        // The month of `at` may hold its step before or after `at`: one more step is enough.
        let nth = |k: i64| civil::plus(from, k.saturating_mul(self.step()), self.unit);
        (guess..guess + 2).map(nth).find(|step| *step >= at).unwrap_or_else(|| nth(guess + 2))
    }
}

fn steps(precision: Unit, interval: Option<u64>, unit: Option<Unit>) -> Result<(u64, Unit), String> {
    match (interval, unit) {
        (Some(interval @ 1..=STEPS_MAX), Some(unit)) => Ok((interval, unit)),
        (Some(interval), Some(_)) => Err(format!("interval {interval} is out of range: write 1 to {STEPS_MAX}")),
        (None, None) if matches!(precision, Unit::Days | Unit::Months) => Ok((1, precision)),
        _ => {
            let unit = precision.as_str();
            Err(format!("interval and unit are needed together: write `interval = 1, unit = \"{unit}\"`"))
        }
    }
}

impl Bound {
    /// `NOW`, `NOW+1DAYS`, or a date in the rule's format.
    pub fn parse(text: &str, format: &str) -> Result<Bound, String> {
        let text = text.trim();
        if let Some(offset) = text.strip_prefix("NOW") {
            return Bound::parse_offset(offset.trim()).map_err(|what| format!("`{text}` {what}"));
        }
        let example = pattern::render(format, 1_325_376_000_000);
        let at = pattern::parse(format, text).ok_or_else(|| {
            format!("`{text}` is neither NOW nor a date as format `{format}` writes it: write one such as `{example}`")
        })?;
        Ok(Bound::Fixed { text: text.to_string(), at })
    }

    fn parse_offset(text: &str) -> Result<Bound, String> {
        if text.is_empty() {
            return Ok(Bound::Now { offset: 0, unit: Unit::Days });
        }
        let want = "is no relative date: write one such as `NOW+1DAYS` or `NOW-3YEARS`";
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let rest = text.strip_prefix(['+', '-']).ok_or(want)?.trim_start();
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(want)?;
        let count: u64 = rest[..digits].parse().map_err(|_| want.to_string())?;
        if count > STEPS_MAX {
            return Err(format!("is too far from now: at most {STEPS_MAX} units"));
        }
        let unit = Unit::parse(rest[digits..].trim()).map_err(|what| format!("has an {what}"))?;
        if unit == Unit::Milliseconds {
            return Err("is relative by MILLISECONDS, which no engine reads: write SECONDS or a longer unit".into());
        }
        Ok(Bound::Now { offset: sign * count as i64, unit })
    }
}
