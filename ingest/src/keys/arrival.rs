//! The one program that reads no record: `arrived_at("yyyy/MM/dd")`, when the source took it, as a java.time pattern has it.
//!
//! A record keeps its arrival wherever it is read again, so such a key is as repeatable as any other. It is UTC unless a second
//! argument names another zone of the IANA database, `arrived_at("HH"; "Asia/Seoul")`; the zones come with this program.

use jaq_core::load::parse::Term;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::check::{Node, children};
use super::reads::literal;

/// What the program is called.
pub(crate) const NAME: &str = "arrived_at";

/// A pattern that is known, and the zone it is told in.
#[derive(Debug)]
pub(crate) struct Arrival {
    parts: Vec<Part>,
    zone: TimeZone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A letter of java.time's patterns, and how often it stands.
    Field(char, usize),
}

/// The arrival a program is, if it is one. It stands alone: within another program it is refused.
pub(crate) fn of(term: &Node<'_>) -> Result<Option<Arrival>, String> {
    let Term::Call(NAME, args) = term else {
        let within = |term: &Node<'_>| mentions(term);
        let alone = format!("`{NAME}` stands alone, such as `{NAME}(\"yyyy-MM-dd\")`: it reads no record");
        return if within(term) { Err(alone) } else { Ok(None) };
    };
    let texts: Option<Vec<String>> = args.iter().map(literal).collect();
    match texts.as_deref() {
        Some([pattern]) => Arrival::new(pattern, "UTC").map(Some),
        Some([pattern, zone]) => Arrival::new(pattern, zone).map(Some),
        _ => Err(format!("`{NAME}` takes a pattern and, if it is not UTC, a zone: `{NAME}(\"HH\"; \"Asia/Seoul\")`")),
    }
}

fn mentions(term: &Node<'_>) -> bool {
    matches!(term, Term::Call(NAME, _)) || children(term).into_iter().any(mentions)
}

impl Arrival {
    pub(crate) fn new(pattern: &str, zone: &str) -> Result<Arrival, String> {
        let parts = parts(pattern)?;
        let zone = match zone {
            "UTC" => TimeZone::UTC,
            name => TimeZoneDatabase::bundled()
                .get(name)
                .map_err(|_| format!("there is no time zone `{name}`: write one such as `Europe/Berlin`"))?,
        };
        Ok(Arrival { parts, zone })
    }

    /// The arrival, milliseconds since the epoch, as text; nothing where it is no instant of the years 0 to 9999.
    pub(crate) fn text(&self, arrived_at: i64) -> Option<String> {
        let at = Timestamp::from_millisecond(arrived_at).ok()?.to_zoned(self.zone.clone());
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field('y' | 'u', 2) => out.push_str(&format!("{:02}", at.year().rem_euclid(100))),
                Part::Field('M', 3) => out.push_str(&at.strftime("%b").to_string()),
                Part::Field('M', 4) => out.push_str(&at.strftime("%B").to_string()),
                Part::Field('E', count) => out.push_str(&at.strftime(if *count < 4 { "%a" } else { "%A" }).to_string()),
                Part::Field(letter, count) => {
                    let number = match letter {
                        'y' | 'u' => i64::from(at.year()),
                        'M' => i64::from(at.month()),
                        'd' => i64::from(at.day()),
                        'D' => i64::from(at.day_of_year()),
                        'H' => i64::from(at.hour()),
                        'm' => i64::from(at.minute()),
                        _ => i64::from(at.second()),
                    };
                    out.push_str(&format!("{number:0count$}"));
                }
            }
        }
        (at.year() >= 0).then_some(out)
    }
}

/// How often each letter may stand. `Y` (the year of the week) is left out on purpose: at a turn of the year it is another one.
const LETTERS: [(char, usize); 9] =
    [('y', 4), ('u', 4), ('M', 4), ('d', 2), ('D', 3), ('H', 2), ('m', 2), ('s', 2), ('E', 4)];

fn parts(pattern: &str) -> Result<Vec<Part>, String> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (text, behind) =
                quoted(rest).ok_or_else(|| format!("pattern `{pattern}` has a `'` without its other one"))?;
            parts.push(Part::Text(text));
            rest = behind;
            continue;
        }
        let same =
            |c: char| if first.is_ascii_alphabetic() { c == first } else { !c.is_ascii_alphabetic() && c != '\'' };
        let end = rest.find(|c| !same(c)).unwrap_or(rest.len());
        let run = &rest[..end];
        rest = &rest[end..];
        if !first.is_ascii_alphabetic() {
            parts.push(Part::Text(run.to_string()));
        } else if LETTERS.iter().any(|(letter, most)| *letter == first && run.len() <= *most) {
            parts.push(Part::Field(first, run.len()));
        } else {
            return Err(format!(
                "`{run}` in pattern `{pattern}` is not known: write yyyy, MM, dd, HH, mm, ss, D, E and text in \
                     single quotes"
            ));
        }
    }
    let told = parts.iter().any(|part| matches!(part, Part::Field(..)));
    if told { Ok(parts) } else { Err(format!("pattern `{pattern}` tells no time: write one such as `yyyy/MM/dd`")) }
}

/// `'T'` is T, `''` one quote, also within quoted text.
fn quoted(text: &str) -> Option<(String, &str)> {
    if let Some(behind) = text.strip_prefix("''") {
        return Some(("'".to_string(), behind));
    }
    let mut out = String::new();
    let mut rest = &text[1..];
    loop {
        let end = rest.find('\'')?;
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(behind) => {
                out.push('\'');
                rest = behind;
            }
            None => return Some((out, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-01T23:05:09Z, a Sunday.
    const AT: i64 = 1_772_406_309_000;

    fn text(pattern: &str, zone: &str) -> String {
        Arrival::new(pattern, zone).unwrap_or_else(|e| panic!("{e}")).text(AT).expect("an instant")
    }

    #[test]
    fn patterns_are_javas() {
        for (pattern, expected) in [
            ("yyyy/MM/dd/HH", "2026/03/01/23"),
            ("yyyy'-'MM'-'dd", "2026-03-01"),
            ("'year='yyyy'/month='MM", "year=2026/month=03"),
            ("yy-M-d'T'HH:mm:ss", "26-3-1T23:05:09"),
            ("DDD EEE MMM 'o''clock' ''", "060 Sun Mar o'clock '"),
            ("uuuu", "2026"),
        ] {
            assert_eq!(text(pattern, "UTC"), expected, "{pattern}");
        }
    }

    #[test]
    fn zones_are_those_of_the_iana_database() {
        assert_eq!(text("yyyy-MM-dd HH", "Asia/Seoul"), "2026-03-02 08");
        assert_eq!(text("yyyy-MM-dd HH", "America/New_York"), "2026-03-01 18");
        assert!(Arrival::new("HH", "Mars/Base").expect_err("no zone").contains("no time zone"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["", "x", "YYYY", "yyyyy", "'yyyy", "--", "'a'", "hh"] {
            assert!(Arrival::new(pattern, "UTC").is_err(), "{pattern}");
        }
    }
}
