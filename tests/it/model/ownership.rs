//! How a writer comes to own shards, and what it finishes before it reads on.

use std::collections::BTreeMap;

use schemas::log_entry::{Body, Carried, Cut, Entry, FORMAT, File, ShardState, Start};
use schemas::position::ShardId;
use writer::commit::takeover::{Taking, choose};

use super::folds::Fold;
use super::protocol::{Broken, Protocol};
use super::state::{Asked, Doing, Inheriting, Object, Run, State};
use super::steps::{name, number_of, run};
use super::stream::{Rows, SHARDS, number, shards_of};

/// Long after every seal: that a seal reserves its shards for a while only saves work.
const NOW: i64 = i64::MAX;

impl Protocol {
    /// A process begins by listing the owners. `former` are its own earlier writers.
    pub(super) fn start(&self, state: &mut State, wants: u8, former: u8) {
        let owners = list_owners(state, wants);
        let had = (0..SHARDS).filter(|shard| !state.epochs[*shard].is_empty()).fold(0, |had, shard| had | (1 << shard));
        let doing = Doing::Inheriting(Inheriting { asked: Asked::Start, owners, left: Vec::new(), seal: false });
        state.runs.push(Run { had, ..Run::new(wants, former, doing) });
    }

    pub(super) fn ask(&self, state: &mut State, writer: u8, shard: usize) {
        let bit = 1 << shard;
        if run(state, writer).had & bit != 0 {
            let owners = list_owners(state, bit);
            let inheriting = Inheriting { asked: Asked::Take, owners, left: Vec::new(), seal: false };
            run(state, writer).doing = Doing::Inheriting(inheriting);
            return;
        }
        run(state, writer).had |= bit;
        let fresh = ShardState::new(Start::TrimHorizon, self.rules());
        let shards = BTreeMap::from([(self.stream.shards[shard].clone(), fresh)]);
        self.announce_and_claim(state, writer, Asked::Fresh, Carried { shards, ..Carried::default() });
    }

    /// The next request of what it is doing.
    pub(super) fn go(&self, state: &mut State, writer: u8) {
        match run(state, writer).doing.clone() {
            Doing::Inheriting(inheriting) => self.inherit(state, writer, inheriting),
            Doing::Claiming { asked, carried, left, written } => {
                self.claim_next(state, writer, asked, carried, left, written);
            }
            Doing::Lost { shard } => {
                let shards = vec![self.stream.shards[usize::from(shard)].clone()];
                if self.append(state, writer, Body::Release { shards }) {
                    run(state, writer).doing = Doing::Running;
                }
            }
            Doing::Settling { carried } => self.settle(state, writer, carried),
            done => unreachable!("nothing is under way in {done:?}"),
        }
    }

    fn inherit(&self, state: &mut State, writer: u8, mut inheriting: Inheriting) {
        let owners = inheriting.owners.iter().flatten().map(|(owner, _)| *owner);
        let is_read = |owner: &u8| inheriting.left.iter().any(|(read, ..)| read == owner);
        if inheriting.seal {
            self.try_to_seal(state, writer, &mut inheriting);
        } else if let Some(owner) = owners.filter(|owner| !is_read(owner)).min() {
            let (chosen, seal) = self.look_at(state, writer, owner, &inheriting);
            if inheriting.asked == Asked::Take && chosen == 0 {
                run(state, writer).doing = Doing::Running;
                return;
            }
            inheriting.left.push((owner, state.runs[usize::from(owner)].log, chosen));
            inheriting.seal = seal && !self.is(Broken::NoSeal);
        } else {
            self.gather(state, writer, &inheriting);
            return;
        }
        run(state, writer).doing = Doing::Inheriting(inheriting);
    }

    /// Which shards to take from an owner, and whether it has to be sealed, by what its log says now.
    fn look_at(&self, state: &State, writer: u8, owner: u8, inheriting: &Inheriting) -> (u8, bool) {
        let wanted: Vec<ShardId> = (0..SHARDS)
            .filter(|shard| inheriting.owners[*shard].is_some_and(|(of, _)| of == owner))
            .map(|shard| self.stream.shards[shard].clone())
            .collect();
        let left = self.folds.get(state.runs[usize::from(owner)].log);
        let former = state.runs[usize::from(writer)].former;
        let taking = match former {
            0 if inheriting.asked == Asked::Start => Taking::Force,
            _ => Taking::Gentle { former: (0..8).filter(|of| former & (1 << of) != 0).map(name).collect() },
        };
        let (chosen, seal) = choose(&name(owner), &wanted, &left, &name(writer), &taking, NOW);
        (chosen.iter().fold(0, |mask, shard| mask | (1 << self.stream.number_of(shard))), seal)
    }

    /// Creates the seal behind the last entry that was read; if the owner was faster, reads on.
    fn try_to_seal(&self, state: &mut State, writer: u8, inheriting: &mut Inheriting) {
        let (owner, known, chosen) = inheriting.left.last_mut().expect("only what was read is sealed");
        let log = &mut state.runs[usize::from(*owner)].log;
        if log == known {
            let mut fold = (*self.folds.get(*log)).clone();
            let takes = shards_of(*chosen).map(|shard| self.stream.shards[shard].clone()).collect();
            fold.apply(Entry {
                format: FORMAT,
                writer: name(*owner),
                number: fold.next_entry,
                at: 0,
                stored: 0,
                progress: BTreeMap::new(),
                body: Body::Seal { by: name(writer), takes },
            });
            *log = self.folds.keep(fold);
        }
        *known = *log;
        inheriting.seal = self.folds.get(*known).sealed.is_none();
    }

    /// All former owners are read: what they have left becomes the first entry, or a `take`.
    fn gather(&self, state: &mut State, writer: u8, inheriting: &Inheriting) {
        let mut carried = Carried::default();
        for (_, fold, chosen) in inheriting.left.iter().filter(|(_, _, chosen)| *chosen != 0) {
            let shards: Vec<ShardId> = shards_of(*chosen).map(|shard| self.stream.shards[shard].clone()).collect();
            match self.folds.get(*fold).hand_over(&shards) {
                Some(left) => carried.add(left),
                None => {
                    state.refused = Some("an epoch names a writer whose log does not have the shard");
                    return;
                }
            }
        }
        for (id, left) in &mut carried.shards {
            let (_, epoch) = inheriting.owners[self.stream.number_of(id)].expect("taken from an owner");
            left.epoch = u64::from(epoch) + 1;
        }
        let theirs = inheriting.left.iter().any(|(_, _, chosen)| *chosen == 0);
        let nothing_left = carried.shards.is_empty() && theirs;
        self.announce_and_claim(state, writer, inheriting.asked, carried);
        if nothing_left && run(state, writer).doing == Doing::Running {
            run(state, writer).forget(Doing::Ended);
        }
    }

    /// The entry first: whoever finds this writer named by an epoch finds the shard's state in its log.
    fn announce_and_claim(&self, state: &mut State, writer: u8, asked: Asked, carried: Carried) {
        let left = carried.shards.keys().fold(0, |mask, id| mask | (1 << self.stream.number_of(id)));
        let carried = self.folds.keep_carried(carried);
        let written = left == 0 || !self.is(Broken::EpochBeforeEntry);
        if written && !self.announce(state, writer, asked, carried) {
            return;
        }
        run(state, writer).doing = Doing::Claiming { asked, carried, left, written };
        if left == 0 {
            self.own(state, writer, carried);
        }
    }

    fn announce(&self, state: &mut State, writer: u8, asked: Asked, carried: Fold) -> bool {
        let carried = self.folds.get(carried).carried.clone();
        let after = Vec::new();
        let body = match asked {
            Asked::Start => Body::Open { after, state: carried },
            Asked::Fresh => Body::Claim { shards: carried.shards },
            Asked::Take => Body::Take { after, state: carried },
        };
        self.append(state, writer, body)
    }

    /// Creates one epoch.
    fn claim_next(&self, state: &mut State, writer: u8, asked: Asked, carried: Fold, left: u8, written: bool) {
        let shard = shards_of(left).next().expect("one is left to claim");
        let epoch = self.folds.get(carried).carried.shards[&self.stream.shards[shard]].epoch;
        if state.epochs[shard].len() as u64 + 1 != epoch {
            // Somebody was faster.
            match asked {
                Asked::Start => run(state, writer).forget(Doing::Fenced),
                Asked::Fresh | Asked::Take => run(state, writer).doing = Doing::Lost { shard: shard as u8 },
            }
            return;
        }
        state.epochs[shard].push(writer);
        let left = left & !(1 << shard);
        run(state, writer).doing = Doing::Claiming { asked, carried, left, written };
        if left == 0 && (written || self.announce(state, writer, asked, carried)) {
            self.own(state, writer, carried);
        }
    }

    fn own(&self, state: &mut State, writer: u8, carried: Fold) {
        let run = run(state, writer);
        let fold = self.folds.get(carried);
        for (id, left) in &fold.carried.shards {
            let shard = self.stream.number_of(id);
            run.owned |= 1 << shard;
            run.had |= 1 << shard;
            let at = if self.is(Broken::ResumeAtHighestMark) { left.highest_mark() } else { &left.watermark };
            run.read[shard] = number(at);
        }
        let begun = fold.carried.shards.values().any(|left| !left.begun().is_empty());
        let settled = fold.carried.unfinished.is_empty() && (!begun || self.is(Broken::ResumeAtHighestMark));
        run.doing = if settled { Doing::Running } else { Doing::Settling { carried } };
    }

    /// Stores one file of the inherited cuts; or, if none is missing, reads again what was read, and says so.
    fn settle(&self, state: &mut State, writer: u8, carried: Fold) {
        let fold = self.folds.get(carried);
        let cuts = &fold.carried.unfinished;
        let mut files =
            cuts.iter().flat_map(|cut| cut.files.iter().enumerate().map(move |(file, made)| (cut, file, made)));
        let is_missing =
            |(cut, file, _): &(&Cut, usize, &File)| !state.has_object(number_of(&cut.by), cut.cut as u8, *file as u8);
        if let Some((cut, file, made)) = files.find(is_missing) {
            let object = self.made_again(cut, file, made);
            let wanted = made.object.as_ref().map_or(0, |object| object.rows);
            if u64::from(object.rows.count_ones()) != wanted {
                state.refused = Some("a file made again has other rows than its entry says");
            }
            state.put(object);
            return;
        }
        let all = std::array::from_fn(|shard| {
            let left = fold.carried.shards.get(&self.stream.shards[shard]);
            let run = &state.runs[usize::from(writer)];
            left.map_or(run.read[shard], |left| number(&left.begun().to).max(run.read[shard]))
        });
        let settling = run(state, writer);
        settling.open = self.opened(settling, all);
        settling.read = all;
        if fold.carried.unfinished.is_empty() || self.append(state, writer, Body::Redone) {
            run(state, writer).doing = Doing::Running;
        }
    }

    /// The rows that reading the file's spans again gives.
    fn made_again(&self, cut: &Cut, file: usize, made: &File) -> Object {
        let rows: Rows = self.stream.select(|record| {
            self.stream.targets[record.target] == made.target
                && made.holds(&self.stream.shards[record.shard], &record.position)
        });
        Object { by: number_of(&cut.by), cut: cut.cut as u8, file: file as u8, rows }
    }
}

fn list_owners(state: &State, wants: u8) -> [Option<(u8, u8)>; SHARDS] {
    std::array::from_fn(|shard| {
        let epochs = &state.epochs[shard];
        let owner = epochs.last().filter(|_| wants & (1 << shard) != 0)?;
        Some((*owner, epochs.len() as u8))
    })
}
