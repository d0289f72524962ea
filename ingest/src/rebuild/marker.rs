//! Whose a new root is: written down before anything else, so that a rebuild goes on with its own work and touches no other's.

use bytes::Bytes;
use schemas::layout;
use serde::{Deserialize, Serialize};
use writer::commit::takeover;
use writer::store::{Created, Lake};
use writer::stored::{foreign, listed};

use crate::error::RunError;
use crate::source::replay::plan::is_replays;

/// Version of the marker.
const FORMAT: u32 = 1;
/// Foreign objects that are named.
const NAMED_MAX: usize = 5;

/// What a rebuild is made of: the same at each of its starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    format: u32,
    /// Fingerprint of the rules.
    pub rules: String,
    /// What is read.
    pub source: String,
    /// The live table's root.
    pub table: String,
}

impl Marker {
    pub fn new(rules: &str, source: &str, table: &str) -> Marker {
        Marker { format: FORMAT, rules: rules.into(), source: source.into(), table: table.into() }
    }

    /// Begins the rebuild in `lake`, or makes sure that it is this one that was begun, and that nothing else lies there.
    pub async fn begin(&self, lake: &Lake) -> Result<(), RunError> {
        // In this order: another process of the same rebuild may begin it between the two.
        if !listed(&lake.state).await?.is_empty() && lake.state.get(layout::REBUILD).await?.is_none() {
            return Err(RunError::Input(format!(
                "{} holds a state that is no rebuild's; name another version with --as",
                lake.state.url()
            )));
        }
        check_foreign(lake).await?;
        let bytes = serde_json::to_vec(self).expect("text and numbers serialise");
        if let Created::Theirs(theirs) = lake.state.create(layout::REBUILD, Bytes::from(bytes)).await? {
            self.check_same(&theirs, lake.state.url())?;
        }
        let owners = takeover::owners(&lake.state).await?;
        match owners.keys().find(|shard| !is_replays(shard)) {
            None => Ok(()),
            Some(shard) => Err(RunError::Input(format!(
                "{}: a live process has read shard {shard} into this table: the rebuild is over; name another version with --as",
                lake.state.url()
            ))),
        }
    }

    fn check_same(&self, theirs: &[u8], state: &str) -> Result<(), RunError> {
        let theirs: Marker = serde_json::from_slice(theirs)
            .map_err(|e| RunError::Environment(format!("{state}{} cannot be read: {e}", layout::REBUILD)))?;
        let differs = [
            ("set of rules", &theirs.rules, &self.rules),
            ("source", &theirs.source, &self.source),
            ("live table", &theirs.table, &self.table),
        ];
        match differs.into_iter().find(|(_, theirs, ours)| theirs != ours) {
            None if theirs.format == FORMAT => Ok(()),
            None => Err(RunError::Environment(format!(
                "{state}{} has format {}; this version reads {FORMAT}",
                layout::REBUILD,
                theirs.format
            ))),
            Some((what, theirs, ours)) => Err(RunError::Input(format!(
                "the rebuild in {state} was begun with another {what}: {theirs}, and this is {ours}; name another version with \
                 --as, or remove what was begun"
            ))),
        }
    }
}

/// Whatever lies in the new root stays there for readers.
async fn check_foreign(lake: &Lake) -> Result<(), RunError> {
    let foreign = foreign(lake).await?;
    if foreign.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = foreign.iter().take(NAMED_MAX).map(String::as_str).collect();
    Err(RunError::Input(format!(
        "{} objects lie there that are not the rebuild's own: {}{}; remove them, or name another version with --as",
        foreign.len(),
        named.join(", "),
        if foreign.len() > NAMED_MAX { ", ..." } else { "" }
    )))
}
