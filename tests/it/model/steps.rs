//! What the actions of a running writer do: cut, store, say so, give up. The decisions are production's.

use schemas::log_entry::{Body, Cut, Entry, FORMAT, File, FlushReason, Object as Made};
use schemas::position::Span;
use writer::commit::in_order::InOrder;
use writer::is_cut;
use writer::progress::Shards;

use super::protocol::{Action, Broken, Protocol};
use super::state::{Doing, Named, Object, Run, State};
use super::stream::{Rows, SHARDS, number, position, shards_of};

const RULES: &str = "rules";

pub(super) fn name(writer: u8) -> String {
    format!("w{writer}")
}

pub(super) fn number_of(writer: &str) -> u8 {
    writer.trim_start_matches('w').parse().expect("a writer of the model")
}

impl Protocol {
    pub(super) fn act(&self, state: &mut State, action: Action) {
        match action {
            Action::Start { wants } => self.start(state, wants, 0),
            Action::Restart { process_of } => {
                let Run { wants, former, .. } = state.runs[usize::from(process_of)];
                self.start(state, wants, former | (1 << process_of));
            }
            Action::Go { writer } => self.go(state, writer),
            Action::Cut { writer, read, targets } => self.cut(state, writer, read, targets),
            Action::Name { writer } => {
                let files = std::mem::take(&mut run(state, writer).unnamed);
                self.write_down(state, writer, files);
            }
            Action::Put { by, cut, file } => {
                let rows = state.named(by, cut).expect("a PUT comes after its entry").files[usize::from(file)];
                state.put(Object { by, cut, file, rows });
            }
            Action::Say { writer } => {
                self.append(state, writer, Body::Stored);
            }
            Action::Ask { writer, shard } => self.ask(state, writer, usize::from(shard)),
            Action::Release { writer, shard } => {
                state.released += 1;
                self.release(state, writer, 1 << shard);
            }
            Action::End { writer } => {
                let owned = run(state, writer).owned;
                if self.release(state, writer, owned) {
                    run(state, writer).forget(Doing::Ended);
                }
            }
            Action::Fence { writer } => run(state, writer).forget(Doing::Fenced),
            Action::Crash { writer } => run(state, writer).forget(Doing::Crashed),
        }
    }

    /// Appends to the writer's own log. At a seal, the process drops everything.
    pub(super) fn append(&self, state: &mut State, writer: u8, body: Body) -> bool {
        let log = self.folds.get(run(state, writer).log);
        if log.sealed.is_some() {
            run(state, writer).forget(Doing::Fenced);
            return false;
        }
        let entry = Entry {
            format: FORMAT,
            writer: name(writer),
            number: log.next_entry,
            at: 0,
            stored: self.stored_below(state, writer),
            progress: self.tracks(state, writer).moved(),
            body,
        };
        let mut log = (*log).clone();
        log.apply(entry);
        run(state, writer).log = self.folds.keep(log);
        true
    }

    /// The number below which all cuts of the writer are stored, as its committer counts.
    fn stored_below(&self, state: &State, writer: u8) -> u64 {
        let stored = state.cuts_of(writer).filter(|cut| state.is_stored(cut)).map(|cut| u64::from(cut.cut));
        if self.is(Broken::StoredOutOfOrder) {
            return stored.max().map_or(0, |last| last + 1);
        }
        let mut in_order = InOrder::default();
        stored.for_each(|cut| {
            in_order.add(cut);
        });
        in_order.below()
    }

    /// The writer's account of watermarks, made from what it holds in memory.
    pub(super) fn tracks(&self, state: &State, writer: u8) -> Shards {
        let (shards, run) = (Shards::default(), &state.runs[usize::from(writer)]);
        let log = self.folds.get(run.log);
        let mut spans = Vec::new();
        for shard in shards_of(run.owned) {
            let id = &self.stream.shards[shard];
            let logged = log.carried.shards.get(id).expect("the log has what the writer owns");
            shards.own(id, logged);
            if number(&logged.watermark) < run.read[shard] {
                let span = Span::new(logged.watermark.clone(), position(run.read[shard]));
                shards.enter(id, &span).expect("follows what was read");
                spans.push((id, span));
            }
        }
        let open = (0..self.stream.targets.len()).map(|target| run.open & self.stream.of_target(target));
        open.chain(self.unstored(state, writer)).for_each(|rows| self.hold(&shards, run.owned, rows));
        if let Doing::Settling { carried } = run.doing {
            let carried = self.folds.get(carried);
            carried.carried.shards.iter().for_each(|(id, state)| shards.hold(id, &state.watermark));
        }
        spans.iter().for_each(|(id, span)| shards.entered(id, span, false));
        shards
    }

    /// Files of the cuts that still hold watermarks.
    fn unstored(&self, state: &State, writer: u8) -> Vec<Rows> {
        if self.is(Broken::WatermarkAtEntry) {
            return Vec::new();
        }
        let below = self.stored_below(state, writer);
        let in_order = !self.is(Broken::StoredOutOfOrder);
        let waits = |cut: &&Named| if in_order { u64::from(cut.cut) >= below } else { !state.is_stored(cut) };
        state.cuts_of(writer).filter(waits).flat_map(|cut| cut.files.clone()).collect()
    }

    /// A buffer holds each shard before its first row of it.
    fn hold(&self, shards: &Shards, owned: u8, rows: Rows) {
        for shard in shards_of(owned) {
            if let Some((first, _)) = self.stream.bounds(rows, shard) {
                shards.hold(&self.stream.shards[shard], &position(first - 1));
            }
        }
    }

    /// How far the shard may be read at most.
    pub(super) fn readable(&self, run: &Run, shard: usize) -> u8 {
        if run.owned & (1 << shard) == 0 {
            return run.read[shard];
        }
        if let Doing::Settling { carried } = run.doing
            && let Some(state) = self.folds.get(carried).carried.shards.get(&self.stream.shards[shard])
        {
            return number(&state.begun().to).max(run.read[shard]);
        }
        self.stream.length(shard)
    }

    /// The open rows after reading so far. While settling, rows that a cut already has are passed over.
    pub(super) fn opened(&self, run: &Run, read: [u8; SHARDS]) -> Rows {
        let carried = match run.doing {
            Doing::Settling { carried } if !self.is(Broken::MarksIgnored) => Some(self.folds.get(carried)),
            _ => None,
        };
        let mut open = run.open;
        for (bit, record) in self.stream.numbered() {
            let state = carried.as_ref().and_then(|fold| fold.carried.shards.get(&self.stream.shards[record.shard]));
            let target = &self.stream.targets[record.target];
            let done = state.is_some_and(|state| is_cut(&state.marks, target, &record.position));
            if (run.read[record.shard] + 1..=read[record.shard]).contains(&record.at) && !done {
                open |= bit;
            }
        }
        open
    }

    fn cut(&self, state: &mut State, writer: u8, read: [u8; SHARDS], targets: u8) {
        let run = run(state, writer);
        run.open = self.opened(run, read);
        run.read = read;
        let rows = |target: usize| run.open & self.stream.of_target(target);
        let files: Vec<Rows> = shards_of(targets).map(rows).collect();
        run.open &= files.iter().fold(Rows::MAX, |rest, rows| rest & !rows);
        if !self.is(Broken::PutBeforeEntry) {
            self.write_down(state, writer, files);
            return;
        }
        run.unnamed.clone_from(&files);
        let cut = state.cuts_of(writer).count() as u8;
        for (file, rows) in files.into_iter().enumerate() {
            state.put(Object { by: writer, cut, file: file as u8, rows });
        }
    }

    /// The entry of a cut.
    fn write_down(&self, state: &mut State, writer: u8, files: Vec<Rows>) {
        let cut = state.cuts_of(writer).count() as u8;
        let made = files.iter().map(|rows| self.file(*rows)).collect();
        let body = Body::Cut(Cut { by: name(writer), cut: u64::from(cut), rules: RULES.into(), files: made });
        // Before the entry says how far the watermark is, the cut holds it.
        state.cuts.push(Named { by: writer, cut, files });
        state.cuts.sort_unstable();
        if !self.append(state, writer, body) {
            state.cuts.retain(|named| (named.by, named.cut) != (writer, cut));
        }
    }

    fn file(&self, rows: Rows) -> File {
        let spans = (0..SHARDS).filter_map(|shard| {
            let (first, last) = self.stream.bounds(rows, shard)?;
            Some((self.stream.shards[shard].clone(), Span::new(position(first - 1), position(last))))
        });
        let object = Made { path: String::new(), rows: u64::from(rows.count_ones()), bytes: 0, crc32: 0 };
        File {
            target: self.stream.targets[self.stream.target_of(rows)].clone(),
            object: Some(object),
            rejects: None,
            reason: FlushReason::Size,
            data_bytes: 0,
            spans: spans.collect(),
        }
    }

    fn release(&self, state: &mut State, writer: u8, shards: u8) -> bool {
        let names = shards_of(shards).map(|shard| self.stream.shards[shard].clone()).collect();
        let appended = self.append(state, writer, Body::Release { shards: names });
        if appended {
            let run = run(state, writer);
            run.owned &= !shards;
            shards_of(shards).for_each(|shard| run.read[shard] = 0);
        }
        appended
    }

    pub(super) fn rules(&self) -> &'static str {
        RULES
    }
}

pub(super) fn run(state: &mut State, writer: u8) -> &mut Run {
    &mut state.runs[usize::from(writer)]
}
