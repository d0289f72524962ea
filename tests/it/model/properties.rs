//! What has to hold in every state, and what has to be seen at least once for the rest to mean anything.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::PoisonError;

use schemas::log_entry::{Target, WriterState};
use schemas::position::Position;
use stateright::Property;

use super::protocol::{Action, Protocol};
use super::state::{Doing, Object, State};
use super::steps::number_of;
use super::stream::{Rows, SHARDS};

pub(super) const ONCE: &str = "no row lies in two objects";
pub(super) const NAMED: &str = "an entry names every object";
pub(super) const WATERMARK: &str = "everything at or below a watermark is stored";
pub(super) const MARKS: &str = "everything at or below a mark is stored or in an unfinished cut";
pub(super) const ONE_OWNER: &str = "one writer at most can commit rows of a shard";
pub(super) const ACCEPTED: &str = "production never stops over a state that it has made itself";
pub(super) const FINISHED: &str = "a graceful end leaves every row it had read in one object";
pub(super) const RECOVERS: &str = "one more writer, undisturbed, brings every record into one object";

pub(super) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(ONCE, |_, state: &State| is_disjoint(state.objects.iter().map(|object| object.rows))),
        Property::always(NAMED, |_, state: &State| {
            state.objects.iter().all(|object| {
                let named = state.named(object.by, object.cut);
                named.is_some_and(|named| named.files.get(usize::from(object.file)) == Some(&object.rows))
            })
        }),
        Property::always(WATERMARK, Protocol::watermarks_hold),
        Property::always(MARKS, Protocol::marks_hold),
        Property::always(ONE_OWNER, Protocol::has_one_owner),
        Property::always(ACCEPTED, |_, state: &State| state.refused.is_none()),
        Property::always(FINISHED, |_, state: &State| {
            // Whatever is still on its way is named; at the end of a graceful run nothing of its own is.
            let ended = |writer: &u8| state.runs[usize::from(*writer)].doing == Doing::Ended;
            let own = (0..state.runs.len() as u8).filter(ended);
            own.flat_map(|writer| state.cuts_of(writer)).all(|cut| state.is_stored(cut))
        }),
        Property::always(RECOVERS, Protocol::recovers),
        Property::sometimes("everything is stored and given up", |model: &Protocol, state: &State| {
            state.stored() == model.stream.all() && state.runs.last().is_some_and(|run| run.doing == Doing::Ended)
        }),
        Property::sometimes("a PUT of a sealed writer is on its way", |model: &Protocol, state: &State| {
            let sealed = |writer: u8| model.folds.get(state.runs[usize::from(writer)].log).sealed.is_some();
            state.cuts.iter().any(|cut| sealed(cut.by) && !state.is_stored(cut))
        }),
        Property::sometimes(
            "a former owner's cut is unfinished while its new owner settles",
            |model: &Protocol, state: &State| {
                let settles = |doing: &Doing| match doing {
                    Doing::Settling { carried } => !model.folds.get(*carried).carried.unfinished.is_empty(),
                    _ => false,
                };
                state.runs.iter().any(|run| settles(&run.doing))
            },
        ),
        Property::sometimes("a writer is fenced", |_, state: &State| {
            state.runs.iter().any(|run| run.doing == Doing::Fenced)
        }),
    ]
}

fn is_disjoint(sets: impl Iterator<Item = Rows>) -> bool {
    let mut seen = 0;
    for rows in sets {
        if seen & rows != 0 {
            return false;
        }
        seen |= rows;
    }
    true
}

impl Protocol {
    fn watermarks_hold(&self, state: &State) -> bool {
        let stored = state.stored();
        state.runs.iter().all(|run| {
            let log = self.folds.get(run.log);
            let known = log.carried.shards.iter().chain(&log.carried.released);
            known.into_iter().all(|(id, known)| {
                let shard = self.stream.number_of(id);
                let below = self.stream.select(|record| record.shard == shard && record.position <= known.watermark);
                below & !stored == 0
            })
        })
    }

    /// By the log of the shard's owner, whoever takes the shard next passes these rows over.
    fn marks_hold(&self, state: &State) -> bool {
        let stored = state.stored();
        (0..SHARDS).all(|shard| {
            let Some(owner) = state.epochs[shard].last() else { return true };
            let log = self.folds.get(state.runs[usize::from(*owner)].log);
            let id = &self.stream.shards[shard];
            let Some(known) = log.carried.shards.get(id).or_else(|| log.carried.released.get(id)) else { return true };
            let marked = |target: &Target, at: &Position| known.marks.get(target).is_some_and(|mark| at <= mark);
            let passed = self.stream.select(|record| {
                record.shard == shard && marked(&self.stream.targets[record.target], &record.position)
            });
            passed & !stored & !self.unfinished(state, &log) == 0
        })
    }

    fn unfinished(&self, state: &State, log: &WriterState) -> Rows {
        let cuts = log.carried.unfinished.iter().filter_map(|cut| state.named(number_of(&cut.by), cut.cut as u8));
        cuts.flat_map(|named| &named.files).fold(0, |rows, file| rows | file)
    }

    fn has_one_owner(&self, state: &State) -> bool {
        let can_commit = state.runs.iter().filter(|run| self.folds.get(run.log).sealed.is_none());
        let mut seen = 0;
        for run in can_commit {
            if seen & run.owned != 0 {
                return false;
            }
            seen |= run.owned;
        }
        true
    }

    /// Depends on the store alone, so states with the same store share the answer.
    fn recovers(&self, state: &State) -> bool {
        let mut hasher = DefaultHasher::new();
        let logs: Vec<u32> = state.runs.iter().map(|run| run.log).collect();
        (logs, &state.epochs, &state.objects, &state.cuts, state.refused).hash(&mut hasher);
        let key = hasher.finish();
        let known = self.recoveries.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        known.unwrap_or_else(|| {
            let recovers = self.recover(state);
            self.recoveries.lock().unwrap_or_else(PoisonError::into_inner).insert(key, recovers);
            recovers
        })
    }

    /// One more writer does all there is to do, and nobody else takes a step. Objects that other writers may still PUT count: they
    /// would come too.
    fn recover(&self, from: &State) -> bool {
        let mut state = from.clone();
        state.runs.iter_mut().filter(|run| !run.is_over()).for_each(|run| run.forget(Doing::Crashed));
        let writer = state.runs.len() as u8;
        self.act(&mut state, Action::Start { wants: 0b11 });
        for _ in 0..100 {
            let over = state.runs[usize::from(writer)].is_over();
            if over || state.refused.is_some() {
                break;
            }
            let action = self.diligently(&state, writer);
            self.act(&mut state, action);
        }
        // Nothing may depend on what others still PUT, and nothing may be wrong with it.
        let complete = state.stored() == self.stream.all();
        let late = state.cuts.clone().into_iter().flat_map(|cut| {
            cut.files.into_iter().enumerate().map(move |(file, rows)| Object {
                by: cut.by,
                cut: cut.cut,
                file: file as u8,
                rows,
            })
        });
        late.for_each(|object| state.put(object));
        let ended = state.runs[usize::from(writer)].doing == Doing::Ended && state.refused.is_none();
        ended && is_disjoint(state.objects.iter().map(|object| object.rows)) && complete
    }

    /// What comes next for a writer that is alone.
    fn diligently(&self, state: &State, writer: u8) -> Action {
        let run = &state.runs[usize::from(writer)];
        if !run.unnamed.is_empty() {
            return Action::Name { writer };
        }
        if run.doing != Doing::Running {
            return Action::Go { writer };
        }
        if let Some(shard) = (0..SHARDS as u8).find(|shard| run.owned & (1 << shard) == 0) {
            return Action::Ask { writer, shard };
        }
        let read = std::array::from_fn(|shard| self.stream.length(shard));
        let open = self.opened(run, read);
        let targets =
            (0..2).filter(|target| open & self.stream.of_target(*target) != 0).fold(0, |all, t| all | (1 << t));
        if targets != 0 {
            return Action::Cut { writer, read, targets };
        }
        for named in state.cuts_of(writer) {
            let mut files = 0..named.files.len() as u8;
            if let Some(file) = files.find(|file| !state.has_object(writer, named.cut, *file)) {
                return Action::Put { by: writer, cut: named.cut, file };
            }
        }
        if self.tracks(state, writer).has_moved() { Action::Say { writer } } else { Action::End { writer } }
    }
}
