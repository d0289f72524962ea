//! The commit protocol: cut first, then store, then say so.
//!
//! - [`log`]: a writer's log of create-only entries.
//! - [`takeover`]: seal the former owners' logs, take their shards over.
//! - [`cut`]: frozen buffers to encoded files and the entry that names them.
//! - [`committer`]: the one task that writes entries, in order, and stores what they name.
//! - [`redo`]: finish what a former owner had cut but perhaps not stored.

pub mod committer;
pub mod cut;
pub mod log;
pub mod others;
pub mod redo;
pub mod takeover;
