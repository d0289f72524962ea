//! Objects that the operator goes on without: `replay --accept-loss`.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::str::FromStr;

use writer::objects::Listed;

use super::plan::{Planned, shard};
use crate::source::loss::AcceptedLoss;

/// What may be missing, by the operator's word: an object as messages name it, or whatever is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostObject {
    All,
    /// Its URL, or its path below what is read.
    Named(String),
}

impl FromStr for LostObject {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "all" { LostObject::All } else { LostObject::Named(text.to_string()) })
    }
}

/// Numbers of the objects that may be missing, all of which were when it began: one that goes later stops its shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted(BTreeSet<u64>);

impl Accepted {
    /// Of the planned objects those that are asked for and that `listed`, all there is, has no longer as they were planned.
    /// `names` gives what an object may be called.
    pub fn of(
        asked: &[LostObject],
        planned: &[Planned],
        listed: &[Listed],
        names: &dyn Fn(&str) -> [String; 2],
    ) -> Result<Accepted, String> {
        let there: BTreeMap<&str, &str> = listed.iter().map(|l| (l.path.as_str(), l.etag.as_str())).collect();
        let is_missing = |object: &&Planned| there.get(object.path.as_str()) != Some(&object.etag.as_str());
        let mut accepted = BTreeSet::new();
        for asked in asked {
            match asked {
                LostObject::All => accepted.extend(planned.iter().filter(is_missing).map(|object| object.number)),
                LostObject::Named(name) => {
                    let known = planned.iter().find(|object| names(&object.path).contains(name));
                    let object = known.ok_or_else(|| {
                        format!("--accept-loss {name}: no such object was planned; write its URL, as the message about the loss has it")
                    })?;
                    if !is_missing(&object) {
                        return Err(format!(
                            "--accept-loss {name}: it is there as it was planned, and nothing of it is lost"
                        ));
                    }
                    accepted.insert(object.number);
                }
            }
        }
        Ok(Accepted(accepted))
    }

    pub fn has(&self, number: u64) -> bool {
        self.0.contains(&number)
    }

    /// The same as spans of the shards they are read in.
    pub fn losses(&self, replay: &str, planned: &[Planned]) -> Vec<AcceptedLoss> {
        let missing = planned.iter().filter(|object| self.has(object.number));
        missing.map(|o| AcceptedLoss::between(shard(replay, o.lane), o.position(0), o.end())).collect()
    }
}

#[cfg(test)]
mod tests {
    use schemas::position::Span;

    use super::*;

    fn planned(number: u64, path: &str) -> Planned {
        Planned { number, lane: 3, path: path.into(), etag: "a".into(), size: 10, modified: 0 }
    }

    fn listed(path: &str, etag: &str) -> Listed {
        Listed { path: path.into(), size: 10, etag: etag.into(), modified: 0 }
    }

    fn of(asked: &[&str]) -> Result<Accepted, String> {
        let planned = [planned(1, "raw/same"), planned(2, "raw/gone"), planned(3, "raw/other")];
        let listed = [listed("raw/same", "a"), listed("raw/other", "b"), listed("raw/new", "a")];
        let asked: Vec<LostObject> = asked.iter().map(|text| text.parse().unwrap_or(LostObject::All)).collect();
        Accepted::of(&asked, &planned, &listed, &|path| [format!("s3://b/{path}"), path.replace("raw/", "")])
    }

    #[test]
    fn what_is_missing_and_named_may_be_missing() {
        assert_eq!(of(&[]), Ok(Accepted::default()));
        assert_eq!(of(&["s3://b/raw/gone"]), Ok(Accepted([2].into())));
        assert_eq!(of(&["gone", "other"]), of(&["all"]));
        assert!(of(&["s3://b/raw/same"]).expect_err("it is there").contains("as it was planned"));
        assert!(of(&["new"]).expect_err("nobody reads it").contains("no such object was planned"));
    }

    #[test]
    fn an_object_is_a_span_of_its_lane() {
        let object = planned(2, "raw/gone");
        let losses = Accepted([2].into()).losses("r", std::slice::from_ref(&object));
        let touches = |from, to| losses[0].touches(&shard("r", 3), &Span::new(from, to));
        assert!(
            touches(object.position(4), object.position(7)) && touches(planned(1, "x").position(9), object.position(1))
        );
        assert!(!touches(planned(1, "x").position(1), planned(1, "x").end()));
        assert!(!touches(object.end(), planned(3, "x").position(1)));
    }
}
