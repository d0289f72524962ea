//! Deterministic events in the shape of the table `attribute_events`: what the benchmarks read.
//!
//! `full` is about 900 bytes an event (a nested source, a list of evidence), `small` about 300 (no evidence). Ids are integers, so
//! that every engine can compute the bucket (`entity_id % 10`) at full speed. Days x 6 attributes x 10 buckets are the partitions,
//! and an event may fall into any of them, as late as it likes: nothing is sorted.

use std::fmt::Write;

/// Days that give 600 partitions.
pub(crate) const DAYS: usize = 10;

const SEED: u64 = 20_240_101;
/// The last of the days, since 1970: 2024-01-10.
const LAST_DAY: i64 = 19_732;
const ATTRIBUTES: [&str; 6] = ["cik", "date_added", "headquarters", "industry", "name", "sub_industry"];
const WORDS: [&str; 16] = [
    "revenue",
    "filing",
    "annual",
    "report",
    "quarter",
    "company",
    "board",
    "update",
    "published",
    "sector",
    "index",
    "market",
    "list",
    "change",
    "insurance",
    "headquarters",
];

/// One event after the other.
pub(crate) struct Events {
    numbers: Numbers,
    full: bool,
    days: Vec<String>,
    number: usize,
    text: String,
}

impl Events {
    pub(crate) fn new(full: bool, days: usize) -> Events {
        let first = LAST_DAY + 1 - days as i64;
        let days = (0..days as i64).map(|day| date(first + day)).collect();
        Events { numbers: Numbers(SEED), full, days, number: 0, text: String::new() }
    }

    /// The next event's text, without an end of line.
    pub(crate) fn next_event(&mut self) -> &str {
        self.text.clear();
        self.append().expect("text grows");
        self.number += 1;
        &self.text
    }

    fn append(&mut self) -> std::fmt::Result {
        let (text, numbers, number) = (&mut self.text, &mut self.numbers, self.number);
        let (id, name) = (numbers.below(5_000_000), numbers.of(&ATTRIBUTES));
        write!(
            text,
            r#"{{"event_id":"{number:020x}","entity_id":{id},"attribute_name":"{name}","op":"set","value":""#
        )?;
        numbers.words(3, text);
        *text += r#"","previous_value":"#;
        let before_previous = text.len();
        *text += "\"";
        numbers.words(3, text);
        *text += "\"";
        if number.is_multiple_of(4) {
            text.truncate(before_previous);
            *text += "null";
        }
        let mut time = || (numbers.below(self.days.len()), numbers.below(24), numbers.below(60));
        let ((day, hour, minute), observed) = (time(), time());
        write!(text, r#","created_at":"{}T{hour:02}:{minute:02}:07.{:03}Z""#, self.days[day], number % 1000)?;
        *text += r#","source":{"type":"git","#;
        let (commit, url) = (numbers.next() >> 16, numbers.next());
        if self.full {
            *text += r#""repo":"datasets/s-and-p-500-companies","path":"data/constituents.csv","author":"sector","#;
        }
        write!(text, r#""commit":"{commit:012x}","message":""#)?;
        numbers.words(if self.full { 12 } else { 4 }, text);
        *text += "\"}";
        if self.full {
            evidence(numbers, url, (&self.days[observed.0], observed.1, observed.2), text)?;
        }
        *text += "}";
        Ok(())
    }
}

fn evidence(numbers: &mut Numbers, url: u64, observed: (&str, usize, usize), text: &mut String) -> std::fmt::Result {
    let source = numbers.of(&["filing", "press", "registry"]);
    write!(text, r#","evidence":[{{"source":"{source}","url":"https://example.org/{url:016x}","excerpt":""#)?;
    numbers.words(40, text);
    let (score, (day, hour, minute)) = (numbers.below(10_000) as f64 / 1e4, observed);
    write!(text, r#"","score":{score},"observed_at":"{day}T{hour:02}:{minute:02}:00Z"}}]"#)
}

/// `yyyy-MM-dd` of a day since 1970, after 2000.
fn date(mut day: i64) -> String {
    // From 1 March 2000, where leap days are at the end of years, of four years and of 400 years.
    day -= 11_017;
    let (four, rest) = (day / 1461, day % 1461);
    let of_four = (rest / 365).min(3);
    let of_year = rest - of_four * 365;
    let month = (5 * of_year + 2) / 153;
    let year = 2000 + four * 4 + of_four + i64::from(month >= 10);
    format!("{year}-{:02}-{:02}", (month + 2) % 12 + 1, of_year - (153 * month + 2) / 5 + 1)
}

/// splitmix64: the same numbers everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn words(&mut self, count: usize, text: &mut String) {
        for number in 0..count {
            *text += if number > 0 { " " } else { "" };
            *text += self.of(&WORDS);
        }
    }
}
