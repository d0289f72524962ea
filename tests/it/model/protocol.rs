//! The model as stateright sees it: which actions there are in a state. What they do is in `steps.rs` and `ownership.rs`.

use std::collections::HashMap;
use std::sync::Mutex;

use stateright::{Model, Property};

use super::folds::Folds;
use super::state::{Asked, Doing, Run, State};
use super::stream::{SHARDS, Stream, shards_of};

/// A rule of the protocol that is not kept, to see that this is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// Objects are PUT before the entry that names them.
    PutBeforeEntry,
    /// A live owner's log is read and not sealed.
    NoSeal,
    /// A cut lets go of the watermark when its entry exists, not when its objects do.
    WatermarkAtEntry,
    /// Who takes a shard reads on behind the highest mark, and not again what lies below it.
    ResumeAtHighestMark,
    /// Who takes a shard reads again from the watermark on as if nothing were cut.
    MarksIgnored,
    /// The epoch is created before the entry with the shard's state.
    EpochBeforeEntry,
    /// `stored` counts the last cut that is stored, whatever is still missing before it.
    StoredOutOfOrder,
}

/// The protocol on a stream, with bounds.
#[derive(Debug)]
pub(super) struct Protocol {
    pub(super) stream: Stream,
    /// Writers that are ever started.
    pub(super) writers: usize,
    /// Cut entries, over all writers.
    pub(super) cuts: usize,
    /// Shards given up one by one.
    pub(super) releases: u8,
    /// Parts of a static split that processes are started with, one bit for each shard.
    pub(super) tasks: Vec<u8>,
    pub(super) broken: Option<Broken>,
    pub(super) folds: Folds,
    /// Whether a new writer can finish from there, by what the store holds.
    pub(super) recoveries: Mutex<HashMap<u64, bool>>,
}

/// One step of one process, or one request that arrives at the store.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) enum Action {
    /// A process is started; it lists who owns what.
    Start { wants: u8 },
    /// A process that was fenced begins again with a new writer.
    Restart { process_of: u8 },
    /// The next request of taking shards over or of settling.
    Go { writer: u8 },
    /// Reads on so far, cuts the open buffers of these targets: the entry is created.
    Cut { writer: u8, read: [u8; SHARDS], targets: u8 },
    /// The entry of what was PUT too early.
    Name { writer: u8 },
    /// A PUT that its cut's writer has sent arrives.
    Put { by: u8, cut: u8, file: u8 },
    /// An entry with nothing but progress.
    Say { writer: u8 },
    /// A running writer wants one more shard.
    Ask { writer: u8, shard: u8 },
    /// Gives one shard up.
    Release { writer: u8, shard: u8 },
    /// Stops gracefully.
    End { writer: u8 },
    /// An append meets a seal.
    Fence { writer: u8 },
    /// Loses its memory.
    Crash { writer: u8 },
}

impl Protocol {
    pub(super) fn new(shards: [&str; SHARDS], writers: usize, cuts: usize) -> Protocol {
        Protocol {
            stream: Stream::new(shards),
            writers,
            cuts,
            releases: 0,
            tasks: vec![0b11],
            broken: None,
            folds: Folds::new(),
            recoveries: Mutex::default(),
        }
    }

    pub(super) fn releases(self, releases: u8) -> Protocol {
        Protocol { releases, ..self }
    }

    pub(super) fn tasks(self, tasks: &[u8]) -> Protocol {
        Protocol { tasks: tasks.to_vec(), ..self }
    }

    pub(super) fn broken(self, broken: Broken) -> Protocol {
        Protocol { broken: Some(broken), ..self }
    }

    pub(super) fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    fn actions_of(&self, state: &State, writer: u8, out: &mut Vec<Action>) {
        let run = &state.runs[usize::from(writer)];
        if run.is_over() {
            if run.doing == Doing::Fenced && state.runs.len() < self.writers && !is_restarted(state, writer) {
                out.push(Action::Restart { process_of: writer });
            }
            return;
        }
        out.push(Action::Crash { writer });
        if !run.unnamed.is_empty() {
            out.push(Action::Name { writer });
            return;
        }
        if run.doing != Doing::Running {
            out.push(Action::Go { writer });
        }
        if !commits(run) {
            return;
        }
        if self.folds.get(run.log).sealed.is_some() {
            out.push(Action::Fence { writer });
            return;
        }
        self.cut_actions(state, writer, out);
        if self.tracks(state, writer).has_moved() {
            out.push(Action::Say { writer });
        } else if run.doing == Doing::Running && state.cuts_of(writer).all(|cut| state.is_stored(cut)) {
            self.release_actions(state, writer, out);
        }
        if run.doing == Doing::Running {
            // One by one, in their order.
            let wanted = shards_of(run.wants & !run.owned).find(|shard| self.may_have(state, run, *shard));
            out.extend(wanted.map(|shard| Action::Ask { writer, shard: shard as u8 }));
        }
    }

    /// Everything that is cut is stored and written down.
    fn release_actions(&self, state: &State, writer: u8, out: &mut Vec<Action>) {
        let run = &state.runs[usize::from(writer)];
        if run.open == 0 {
            out.push(Action::End { writer });
        }
        if state.released < self.releases {
            let closed = |shard: &usize| run.open & self.stream.rows_of_shard(*shard) == 0;
            out.extend(shards_of(run.owned).filter(closed).map(|shard| Action::Release { writer, shard: shard as u8 }));
        }
    }

    /// Asking for what is held by somebody else changes nothing.
    fn may_have(&self, state: &State, run: &Run, shard: usize) -> bool {
        let Some(owner) = state.epochs[shard].last() else { return run.had & (1 << shard) == 0 };
        let left = self.folds.get(state.runs[usize::from(*owner)].log);
        left.sealed.is_some() || left.carried.released.contains_key(&self.stream.shards[shard])
    }

    /// Every cut that the writer could make now. It reads no further than to the last row that goes into the cut: reading is seen
    /// by nobody, so what is read beyond it may as well be read later.
    pub(super) fn cut_actions(&self, state: &State, writer: u8, out: &mut Vec<Action>) {
        if state.cuts.len() >= self.cuts {
            return;
        }
        let run = &state.runs[usize::from(writer)];
        let limits: [u8; SHARDS] = std::array::from_fn(|shard| self.readable(run, shard));
        for first in run.read[0]..=limits[0] {
            for second in run.read[1]..=limits[1] {
                let read = [first, second];
                let open = self.opened(run, read);
                out.extend(
                    (1..=0b11).filter(|targets| self.is_a_cut(run, read, open, *targets)).map(|targets| Action::Cut {
                        writer,
                        read,
                        targets,
                    }),
                );
            }
        }
    }

    fn is_a_cut(&self, run: &Run, read: [u8; SHARDS], open: u16, targets: u8) -> bool {
        let in_cut = shards_of(targets).fold(0, |rows, target| rows | (open & self.stream.of_target(target)));
        let each_has_rows = shards_of(targets).all(|target| open & self.stream.of_target(target) != 0);
        let reads_for_it = |shard: usize| {
            read[shard] == run.read[shard]
                || self.stream.of_shard(shard).any(|(bit, record)| record.at == read[shard] && in_cut & bit != 0)
        };
        each_has_rows && (0..SHARDS).all(reads_for_it)
    }
}

/// Whether its committer may append entries of its own accord. While a shard is being claimed, and before the start is done, it
/// does nothing else.
fn commits(run: &Run) -> bool {
    match &run.doing {
        Doing::Inheriting(inheriting) => inheriting.asked != Asked::Start,
        Doing::Settling { .. } | Doing::Running => true,
        _ => false,
    }
}

fn is_restarted(state: &State, writer: u8) -> bool {
    state.runs.iter().any(|run| run.former & (1 << writer) != 0)
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::empty()]
    }

    fn actions(&self, state: &State, out: &mut Vec<Action>) {
        if state.refused.is_some() {
            return;
        }
        if state.runs.len() < self.writers {
            out.extend(self.tasks.iter().map(|wants| Action::Start { wants: *wants }));
        }
        for writer in 0..state.runs.len() as u8 {
            self.actions_of(state, writer, out);
        }
        for named in &state.cuts {
            let files = (0..named.files.len() as u8).filter(|file| !state.has_object(named.by, named.cut, *file));
            out.extend(files.map(|file| Action::Put { by: named.by, cut: named.cut, file }));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.act(&mut state, action);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Protocol>> {
        super::properties::all()
    }
}
