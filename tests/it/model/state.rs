//! What there is at one moment: the store, and what each writer has in memory.

use super::folds::Fold;
use super::stream::{Rows, SHARDS};

/// Of the store: each writer's log (in its [`Run`]), the epochs, the objects. Of the processes: the rest of each [`Run`].
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct State {
    pub(super) runs: Vec<Run>,
    /// For each shard the writers that its epochs name, from epoch 1.
    pub(super) epochs: [Vec<u8>; SHARDS],
    /// Objects below the table's prefix, sorted.
    pub(super) objects: Vec<Object>,
    /// Cuts whose entries exist, sorted. Their objects may be on their way until they are there, whatever became of the writer.
    pub(super) cuts: Vec<Named>,
    /// Shards given up one by one so far.
    pub(super) released: u8,
    /// Production would have stopped with this.
    pub(super) refused: Option<&'static str>,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    pub(super) by: u8,
    pub(super) cut: u8,
    pub(super) file: u8,
    pub(super) rows: Rows,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) by: u8,
    pub(super) cut: u8,
    pub(super) files: Vec<Rows>,
}

/// One writer: a log, and the process that writes it.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) log: Fold,
    pub(super) doing: Doing,
    /// Its part of the static split, one bit for each shard; so below.
    pub(super) wants: u8,
    /// The process's own earlier writers; whoever has none was started by an operator and takes by force.
    pub(super) former: u8,
    /// Shards known to have an owner.
    pub(super) had: u8,
    pub(super) owned: u8,
    /// How far each shard was read.
    pub(super) read: [u8; SHARDS],
    /// Rows in open buffers.
    pub(super) open: Rows,
    /// Files of a cut that were PUT although their entry does not exist: only where the order is broken.
    pub(super) unnamed: Vec<Rows>,
}

/// Where the process is.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) enum Doing {
    /// Reads and seals the former owners' logs.
    Inheriting(Inheriting),
    /// Creates epochs.
    Claiming {
        asked: Asked,
        /// The state that its `open`, `take` or `claim` entry hands on.
        carried: Fold,
        left: u8,
        /// Whether that entry exists.
        written: bool,
    },
    /// Another writer was faster: has to say that the shard is not its own.
    Lost {
        shard: u8,
    },
    /// Finishes what former owners have left.
    Settling {
        carried: Fold,
    },
    Running,
    /// It knows that it was ended, and has dropped everything.
    Fenced,
    Crashed,
    /// Stopped gracefully.
    Ended,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct Inheriting {
    pub(super) asked: Asked,
    /// The owners and epochs that were listed.
    pub(super) owners: [Option<(u8, u8)>; SHARDS],
    /// Owners whose logs were read: what they say, and which shards are taken from them.
    pub(super) left: Vec<(u8, Fold, u8)>,
    /// The last of them has to be sealed.
    pub(super) seal: bool,
}

/// What a writer becomes an owner by.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
pub(super) enum Asked {
    /// Its start: all shards there are.
    Start,
    /// A shard that nobody had owned.
    Fresh,
    /// A shard that somebody had owned.
    Take,
}

impl Run {
    pub(super) fn new(wants: u8, former: u8, doing: Doing) -> Run {
        let (read, unnamed) = ([0; SHARDS], Vec::new());
        Run { log: 0, doing, wants, former, had: 0, owned: 0, read, open: 0, unnamed }
    }

    /// Nothing is left of the process but its log; `wants` and `former` are its command line.
    pub(super) fn forget(&mut self, doing: Doing) {
        *self = Run { log: self.log, ..Run::new(self.wants, self.former, doing) };
        if self.doing != Doing::Fenced {
            (self.wants, self.former) = (0, 0);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.doing, Doing::Fenced | Doing::Crashed | Doing::Ended)
    }
}

impl State {
    pub(super) fn empty() -> State {
        let (runs, objects, cuts) = (Vec::new(), Vec::new(), Vec::new());
        State { runs, epochs: Default::default(), objects, cuts, released: 0, refused: None }
    }

    pub(super) fn has_object(&self, by: u8, cut: u8, file: u8) -> bool {
        self.objects.iter().any(|object| (object.by, object.cut, object.file) == (by, cut, file))
    }

    pub(super) fn named(&self, by: u8, cut: u8) -> Option<&Named> {
        self.cuts.iter().find(|named| (named.by, named.cut) == (by, cut))
    }

    /// PUT: whole, and over what was there.
    pub(super) fn put(&mut self, object: Object) {
        self.objects.retain(|old| (old.by, old.cut, old.file) != (object.by, object.cut, object.file));
        self.objects.push(object);
        self.objects.sort_unstable();
    }

    pub(super) fn stored(&self) -> Rows {
        self.objects.iter().fold(0, |rows, object| rows | object.rows)
    }

    pub(super) fn is_stored(&self, named: &Named) -> bool {
        (0..named.files.len()).all(|file| self.has_object(named.by, named.cut, file as u8))
    }

    pub(super) fn cuts_of(&self, writer: u8) -> impl Iterator<Item = &Named> {
        self.cuts.iter().filter(move |named| named.by == writer)
    }
}
