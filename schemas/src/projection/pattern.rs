//! The subset of java.time's date patterns that projections use: `yyyy MM dd HH mm ss`, each once, and literals.
//!
//! Patterns are walked where they are used: a value is checked for every record, so nothing here allocates but rendering.

use super::Unit;
use super::civil::{Civil, plus};

/// Fields from coarse to fine; a pattern uses a prefix of this list.
const FIELDS: [(&str, Unit); 6] = [
    ("yyyy", Unit::Years),
    ("MM", Unit::Months),
    ("dd", Unit::Days),
    ("HH", Unit::Hours),
    ("mm", Unit::Minutes),
    ("ss", Unit::Seconds),
];

enum Part<'a> {
    Field(Unit),
    Literal(&'a str),
    /// Not in the subset.
    Unknown(&'a str),
}

/// The pattern's parts in order.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let first = self.0.chars().next()?;
        if first == '\'' {
            return Some(self.quoted());
        }
        if first.is_ascii_alphabetic() {
            let run = self.take(|c| c == first);
            let field = FIELDS.iter().find(|(letters, _)| *letters == run);
            return Some(field.map_or(Part::Unknown(run), |(_, unit)| Part::Field(*unit)));
        }
        if reserved(first) {
            return Some(Part::Unknown(self.take(reserved)));
        }
        Some(Part::Literal(self.take(|c| !c.is_ascii_alphabetic() && c != '\'' && !reserved(c))))
    }
}

/// java.time keeps these for itself; a comma would end the range.
fn reserved(c: char) -> bool {
    matches!(c, '{' | '}' | '[' | ']' | '#' | ',')
}

impl<'a> Parts<'a> {
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !wanted(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// `'T'` is T, `''` is one quote; a quote inside quoted text is not in the subset.
    fn quoted(&mut self) -> Part<'a> {
        let whole = self.0;
        let Some(end) = whole[1..].find('\'') else {
            self.0 = "";
            return Part::Unknown(whole);
        };
        self.0 = &whole[end + 2..];
        match &whole[1..=end] {
            "" => Part::Literal("'"),
            text if self.0.starts_with('\'') || text.contains(',') => Part::Unknown(&whole[..end + 2]),
            text => Part::Literal(text),
        }
    }
}

/// The finest field of the pattern; the error says what to write instead.
pub(super) fn precision(format: &str) -> Result<Unit, String> {
    let want = "write a pattern of yyyy, MM, dd, HH, mm, ss and literals, such as `yyyy-MM-dd`";
    let mut seen = [false; FIELDS.len()];
    for part in Parts(format) {
        match part {
            Part::Unknown(run) => return Err(format!("`{run}` in format `{format}` is not understood: {want}")),
            Part::Field(unit) => {
                let (index, (letters, _)) =
                    FIELDS.iter().enumerate().find(|(_, f)| f.1 == unit).expect("a field of ours");
                if std::mem::replace(&mut seen[index], true) {
                    return Err(format!("`{letters}` stands twice in format `{format}`: {want}"));
                }
            }
            Part::Literal(_) => {}
        }
    }
    let count = seen.iter().take_while(|s| **s).count();
    if let Some(missing) = (0..FIELDS.len()).find(|i| !seen[*i]).filter(|i| seen[*i..].contains(&true) || *i == 0) {
        return Err(format!("format `{format}` has no `{}`: {want}", FIELDS[missing].0));
    }
    Ok(FIELDS[count - 1].1)
}

/// The start of the period that `text` names; `None` unless it is exactly what [`render`] writes for it.
pub(super) fn parse(format: &str, text: &str) -> Option<i64> {
    let mut civil = Civil { year: 1, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
    let mut rest = text;
    for part in Parts(format) {
        match part {
            Part::Field(unit) => {
                let width = if unit == Unit::Years { 4 } else { 2 };
                let digits = rest.get(..width).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
                *field(&mut civil, unit) = digits.parse().ok()?;
                rest = &rest[width..];
            }
            Part::Literal(literal) => rest = rest.strip_prefix(literal)?,
            Part::Unknown(_) => return None,
        }
    }
    if !rest.is_empty() || civil.year == 0 {
        return None;
    }
    civil.instant()
}

pub(super) fn render(format: &str, at: i64) -> String {
    let mut civil = Civil::new(at);
    let mut out = String::with_capacity(format.len());
    for part in Parts(format) {
        match part {
            Part::Field(Unit::Years) => out.push_str(&format!("{:04}", civil.year)),
            Part::Field(unit) => out.push_str(&format!("{:02}", field(&mut civil, unit))),
            Part::Literal(text) | Part::Unknown(text) => out.push_str(text),
        }
    }
    out
}

/// The start of the year, month, day, ... that holds `at`.
pub(super) fn truncate(at: i64, precision: Unit) -> i64 {
    let fixed = |unit: i64| at.div_euclid(unit) * unit;
    match precision {
        Unit::Years | Unit::Months => {
            let mut civil = Civil { day: 1, hour: 0, minute: 0, second: 0, ..Civil::new(at) };
            if precision == Unit::Years {
                civil.month = 1;
            }
            civil.instant().expect("the first of a month is a date")
        }
        unit => fixed(super::civil::millis(unit)),
    }
}

/// The start of the next period.
pub(super) fn next(at: i64, precision: Unit) -> i64 {
    plus(at, 1, precision)
}

fn field(civil: &mut Civil, unit: Unit) -> &mut i64 {
    match unit {
        Unit::Years => &mut civil.year,
        Unit::Months => &mut civil.month,
        Unit::Hours => &mut civil.hour,
        Unit::Minutes => &mut civil.minute,
        Unit::Seconds => &mut civil.second,
        Unit::Weeks | Unit::Days | Unit::Milliseconds => &mut civil.day,
    }
}
