//! Losses that the operator has accepted: `run --accept-loss`. Those of a replay are objects: see [`super::replay::loss`].

use std::fmt;
use std::str::FromStr;

use schemas::position::{Position, ShardId, Span};

/// What may be missing, by the operator's word.
///
/// Text: `SHARD` for a shard that the source no longer has at all; `SHARD:FROM-TO` for what stood behind position FROM and before
/// position TO, both as the message about the loss has them; `SHARD:FROM-` for whatever is missing behind FROM, where more goes
/// while one looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedLoss {
    shard: ShardId,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Shard,
    /// Neither end is lost.
    Between(Position, Option<Position>),
}

/// Text that names no loss.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {why}: write SHARD, SHARD:FROM-TO or SHARD:FROM-, as the message about the loss has it")]
pub struct BadLoss {
    text: String,
    why: &'static str,
}

impl AcceptedLoss {
    /// What stood behind `from` and before `to`.
    pub fn between(shard: ShardId, from: Position, to: Position) -> AcceptedLoss {
        AcceptedLoss { shard, what: What::Between(from, Some(to)) }
    }

    /// The shard that is given up as a whole, if one is.
    pub fn whole_shard(&self) -> Option<&ShardId> {
        matches!(self.what, What::Shard).then_some(&self.shard)
    }

    /// Whether everything between `after` and `first` may be missing; without `first`, everything there was behind `after`.
    pub fn covers(&self, shard: &ShardId, after: &Position, first: Option<&Position>) -> bool {
        match &self.what {
            What::Between(from, to) if self.shard == *shard && from <= after => {
                to.as_ref().is_none_or(|to| first.is_some_and(|first| first <= to))
            }
            _ => false,
        }
    }

    /// Whether some record of the span may be missing.
    pub fn touches(&self, shard: &ShardId, span: &Span) -> bool {
        match &self.what {
            What::Between(from, to) if self.shard == *shard => {
                *from < span.to && to.as_ref().is_none_or(|to| span.from < *to)
            }
            _ => false,
        }
    }
}

impl FromStr for AcceptedLoss {
    type Err = BadLoss;

    fn from_str(text: &str) -> Result<Self, BadLoss> {
        let bad = |why| BadLoss { text: text.to_string(), why };
        // A shard's name has colons of its own, and dashes; a position is digits and dots.
        let spanned = text.rsplit_once(':').filter(|(_, span)| span.starts_with(|c: char| c.is_ascii_digit()));
        let Some((shard, (from, to))) = spanned.and_then(|(shard, span)| Some((shard, span.split_once('-')?))) else {
            let named = !text.is_empty() && !text.ends_with(':');
            return if named {
                Ok(AcceptedLoss { shard: ShardId::new(text), what: What::Shard })
            } else {
                Err(bad("names no shard"))
            };
        };
        let position = |text: &str| text.parse::<Position>();
        let from = position(from).map_err(|_| bad("has no position before the dash"))?;
        let to =
            (!to.is_empty()).then(|| position(to)).transpose().map_err(|_| bad("has no position behind the dash"))?;
        if shard.is_empty() {
            return Err(bad("names no shard"));
        }
        if to.as_ref().is_some_and(|to| *to <= from) {
            return Err(bad("ends before it begins"));
        }
        Ok(AcceptedLoss { shard: ShardId::new(shard), what: What::Between(from, to) })
    }
}

impl fmt::Display for AcceptedLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Shard => write!(f, "{}", self.shard),
            What::Between(from, Some(to)) => write!(f, "{}:{from}-{to}", self.shard),
            What::Between(from, None) => write!(f, "{}:{from}-", self.shard),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: &str = "events:shardId-000000000000";

    fn loss(text: &str) -> AcceptedLoss {
        text.parse().expect(text)
    }

    fn at(text: &str) -> Position {
        text.parse().expect("test position")
    }

    #[test]
    fn each_form_is_read_and_written_back() {
        let whole = [SHARD, "intake:0123abcd", "s", "x:12"];
        assert!(whole.iter().all(|text| loss(text).whole_shard() == Some(&ShardId::new(*text))));
        for text in [format!("{SHARD}:5-9"), format!("{SHARD}:5.3.1-9"), format!("{SHARD}:0-9"), format!("{SHARD}:5-")]
        {
            assert_eq!(loss(&text).to_string(), text);
            assert_eq!(loss(&text).whole_shard(), None);
        }
    }

    #[test]
    fn what_names_no_loss_says_what_to_write() {
        for (text, why) in [
            ("", "names no shard"),
            ("events:", "names no shard"),
            (":5-9", "names no shard"),
            ("events:s0:5-x", "behind the dash"),
            ("events:s0:5.x-9", "before the dash"),
            ("events:s0:9-9", "ends before it begins"),
            ("events:s0:9-5", "ends before it begins"),
        ] {
            let error = text.parse::<AcceptedLoss>().expect_err(text).to_string();
            assert!(error.contains(why) && error.contains("write SHARD, SHARD:FROM-TO"), "{error}");
        }
    }

    #[test]
    fn a_loss_is_covered_when_nothing_of_it_lies_outside() {
        let (shard, other) = (ShardId::new(SHARD), ShardId::new("events:shardId-000000000001"));
        let accepted = loss(&format!("{SHARD}:5-9"));
        let covers = |after, first| accepted.covers(&shard, &at(after), Some(&at(first)));
        assert!(covers("5", "9") && covers("6", "8") && covers("5.1", "9"));
        assert!(!covers("4", "9") && !covers("5", "9.1") && !accepted.covers(&other, &at("5"), Some(&at("9"))));
        assert!(!accepted.covers(&shard, &at("5"), None), "where it ends is not known");
        let open = loss(&format!("{SHARD}:5-"));
        assert!(open.covers(&shard, &at("5"), None) && open.covers(&shard, &at("7"), Some(&at("900"))));
        assert!(!open.covers(&shard, &at("4"), None) && !loss(SHARD).covers(&shard, &at("5"), None));
    }

    #[test]
    fn a_span_is_touched_when_one_record_of_it_may_be_lost() {
        let shard = ShardId::new(SHARD);
        let accepted = loss(&format!("{SHARD}:5-9"));
        let touches = |from, to| accepted.touches(&shard, &Span::new(at(from), at(to)));
        assert!(touches("1", "6") && touches("5", "7") && touches("8", "20") && touches("1", "20"));
        assert!(!touches("1", "5") && !touches("9", "12"));
        assert!(!loss(SHARD).touches(&shard, &Span::new(at("1"), at("6"))));
    }
}
