//! Which shards may be read now, and from where. Pure: fed with lists of shards and with what was read to its end.
//!
//! A split or merge closes its parents and opens children; a key's records go on in a child. So a child waits until all its
//! parents (two after a merge) were read to their end. A parent that is no longer listed has nothing left to read.
//!
//! A shard may be another process's to read: because the split says so ([`Task`]), or because it was refused when it was claimed.
//! Of those that hold up a child of ours, the supervisor finds out how far they are read.
//!
//! One list is not the last word: a list may be older than the one before it, so a shard missing from it may come back. It is
//! forgotten only when several lists in a row are without it. Forgotten at once and come back, it would be claimed a second
//! time in the middle of what the first reader sent.

use std::collections::{BTreeMap, BTreeSet};

use schemas::log_entry::Start;

use super::kpl::HashRange;

/// Lists in a row without a shard before it counts as gone.
pub(super) const GONE_AFTER_LISTS: u32 = 3;

/// A shard as the service lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedShard {
    pub(super) id: String,
    /// None at the stream's creation, one after a split, two after a merge.
    pub(super) parents: Vec<String>,
    /// Its hash keys, where the service gives them.
    pub(super) range: Option<HashRange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Reading,
    /// Another process reads it, or will.
    Elsewhere,
    Drained,
}

#[derive(Debug)]
struct Node {
    parents: Vec<String>,
    state: State,
    /// Where its first read began, in this run or an earlier one; known once it is claimed.
    start: Option<Start>,
    /// Lists in a row without it.
    missed: u32,
}

pub(super) struct ShardTree {
    nodes: BTreeMap<String, Node>,
    configured: Start,
    /// Which shards, by name, this process is to read.
    ours: Ours,
}

/// See [`ShardTree::new`].
pub(super) type Ours = Box<dyn Fn(&str) -> bool + Send + Sync>;

impl ShardTree {
    /// `configured` is where a shard begins that continues no other; `ours` tells the shards that this process is to read.
    pub(super) fn new(configured: Start, ours: Ours) -> Self {
        ShardTree { nodes: BTreeMap::new(), configured, ours }
    }

    /// Takes in a whole list of the stream's shards. Gives those that are gone before their turn to be read came.
    pub(super) fn list(&mut self, listing: Vec<ListedShard>) -> Vec<String> {
        self.nodes.values_mut().for_each(|node| node.missed = node.missed.saturating_add(1));
        for ListedShard { id, parents, .. } in listing {
            let state = if (self.ours)(&id) { State::Waiting } else { State::Elsewhere };
            let fresh = Node { parents, state, start: None, missed: 0 };
            self.nodes.entry(id).or_insert(fresh).missed = 0;
        }
        let gone = |node: &Node| node.state == State::Waiting && node.missed >= GONE_AFTER_LISTS;
        let unread = self.nodes.iter().filter(|(_, node)| gone(node)).map(|(id, _)| id.clone()).collect();
        self.forget();
        unread
    }

    /// Shards to claim and read now, those without a parent first.
    pub(super) fn ready(&self) -> Vec<String> {
        let begins = |node: &Node| node.state == State::Waiting && node.missed == 0 && self.may_begin(node);
        let waiting = self.nodes.iter().filter(|(_, node)| begins(node));
        let mut ready: Vec<_> = waiting.map(|(id, node)| (!node.parents.is_empty(), id.clone())).collect();
        ready.sort();
        ready.into_iter().map(|(_, id)| id).collect()
    }

    /// Where to begin with a shard that nobody has read.
    ///
    /// A child begins where its parents began: from `TrimHorizon` it has everything, and from `At(t)` parents and child together
    /// have all that arrived since `t`. It must never begin at the moment it was found: what arrived between the reshard and
    /// that moment would be skipped.
    ///
    /// Without a known parent (the first shards of a stream; or retention has removed the parents while nobody read) it is
    /// the earliest start known, for the same reason: `latest`, said again at a restart, is later than the first one.
    pub(super) fn first_start(&self, id: &str) -> Start {
        let parents = self.nodes.get(id).map(|node| node.parents.as_slice()).unwrap_or_default();
        let inherited = parents.iter().filter_map(|parent| self.nodes.get(parent)?.start.as_ref());
        let anywhere = self.nodes.values().filter_map(|node| node.start.as_ref()).chain([&self.configured]);
        earliest(inherited).or_else(|| earliest(anywhere)).unwrap_or(Start::TrimHorizon)
    }

    /// The shard is claimed; its first read ever began, or begins, at `start`.
    pub(super) fn claimed(&mut self, id: &str, start: Start) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.state = State::Reading;
            node.start = Some(start);
        }
    }

    /// Another process owns it.
    pub(super) fn refused(&mut self, id: &str) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.state = State::Elsewhere;
        }
    }

    /// Shards of ours that were refused may be claimed once more: their owner may have gone.
    pub(super) fn claim_again(&mut self) {
        for (id, node) in &mut self.nodes {
            if node.state == State::Elsewhere && (self.ours)(id) {
                node.state = State::Waiting;
            }
        }
    }

    /// Shards read elsewhere that a shard of ours waits for.
    pub(super) fn awaited(&self) -> Vec<String> {
        let waiting = self.nodes.values().filter(|node| node.state == State::Waiting && node.missed == 0);
        let parents: BTreeSet<&String> = waiting.flat_map(|node| &node.parents).collect();
        let elsewhere = |id: &&String| self.nodes.get(*id).is_some_and(|node| node.state == State::Elsewhere);
        parents.into_iter().filter(elsewhere).cloned().collect()
    }

    /// What is known of a shard read elsewhere.
    pub(super) fn heard(&mut self, id: &str, start: Start, drained: bool) {
        if let Some(node) = self.nodes.get_mut(id).filter(|node| node.state == State::Elsewhere) {
            node.start = Some(start);
            if drained {
                node.state = State::Drained;
            }
        }
    }

    /// The shard was read to its end.
    pub(super) fn drained(&mut self, id: &str) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.state = State::Drained;
        }
    }

    fn may_begin(&self, node: &Node) -> bool {
        node.parents.iter().all(|parent| self.nodes.get(parent).is_none_or(|p| p.state == State::Drained))
    }

    /// Drops what the service no longer lists, except what is still being read and what a waiting child inherits from. So the
    /// tree stays as large as the list, however often a stream is resharded.
    fn forget(&mut self) {
        let waiting = self.nodes.values().filter(|node| node.missed == 0 && node.state == State::Waiting);
        let inherited: BTreeSet<String> = waiting.flat_map(|node| node.parents.clone()).collect();
        self.nodes.retain(|id, node| {
            node.missed < GONE_AFTER_LISTS
                || match node.state {
                    State::Waiting | State::Elsewhere => false,
                    State::Reading => true,
                    State::Drained => inherited.contains(id),
                }
        });
    }
}

impl std::fmt::Debug for ShardTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(&self.nodes).finish()
    }
}

fn earliest<'a>(starts: impl Iterator<Item = &'a Start>) -> Option<Start> {
    starts
        .min_by_key(|start| match start {
            Start::TrimHorizon => i64::MIN,
            Start::At(millis) => *millis,
        })
        .cloned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shard(id: &str, parents: &[&str]) -> ListedShard {
        ListedShard { id: id.into(), parents: parents.iter().map(|p| p.to_string()).collect(), range: None }
    }

    fn tree(start: Start, shards: &[ListedShard]) -> ShardTree {
        let mut tree = ShardTree::new(start, Box::new(|_| true));
        tree.list(shards.to_vec());
        tree
    }

    fn read_out(tree: &mut ShardTree, id: &str) {
        let start = tree.first_start(id);
        tree.claimed(id, start);
        tree.drained(id);
    }

    #[test]
    fn children_of_a_split_wait_for_the_parent() {
        let mut tree = tree(Start::TrimHorizon, &[shard("0", &[]), shard("1", &["0"]), shard("2", &["0"])]);
        assert_eq!(tree.ready(), ["0"]);
        tree.claimed("0", Start::TrimHorizon);
        assert!(tree.ready().is_empty(), "claimed is not drained");
        tree.drained("0");
        assert_eq!(tree.ready(), ["1", "2"]);
    }

    #[test]
    fn the_child_of_a_merge_waits_for_both_parents() {
        let mut tree = tree(Start::TrimHorizon, &[shard("0", &[]), shard("1", &[]), shard("2", &["0", "1"])]);
        read_out(&mut tree, "0");
        assert_eq!(tree.ready(), ["1"]);
        read_out(&mut tree, "1");
        assert_eq!(tree.ready(), ["2"]);
    }

    #[test]
    fn a_child_waits_for_a_parent_that_another_process_reads() {
        let mut tree = ShardTree::new(Start::At(9), Box::new(|id| id != "1"));
        tree.list(vec![shard("0", &[]), shard("1", &[]), shard("2", &["0", "1"])]);
        assert_eq!(tree.ready(), ["0"]);
        read_out(&mut tree, "0");
        assert_eq!((tree.ready(), tree.awaited()), (vec![], vec!["1".to_string()]));
        tree.heard("1", Start::At(3), false);
        assert!(tree.ready().is_empty());
        tree.heard("1", Start::At(3), true);
        assert_eq!(
            (tree.ready(), tree.awaited(), tree.first_start("2")),
            (vec!["2".to_string()], vec![], Start::At(3))
        );
    }

    #[test]
    fn a_refused_shard_is_claimed_again_when_told_so() {
        let mut tree = ShardTree::new(Start::TrimHorizon, Box::new(|id| id != "1"));
        tree.list(vec![shard("0", &[]), shard("1", &[])]);
        tree.refused("0");
        assert!(tree.ready().is_empty());
        tree.claim_again();
        assert_eq!(tree.ready(), ["0"]);
    }

    #[test]
    fn a_parent_that_is_no_longer_listed_holds_nobody_up() {
        let mut tree = tree(Start::TrimHorizon, &[shard("7", &["3", "4"]), shard("8", &["7"])]);
        assert_eq!(tree.ready(), ["7"]);
        read_out(&mut tree, "7");
        assert_eq!(tree.ready(), ["8"]);
    }

    #[test]
    fn a_parent_still_being_read_holds_its_child_up_also_when_unlisted() {
        let mut tree = tree(Start::TrimHorizon, &[shard("0", &[])]);
        tree.claimed("0", Start::TrimHorizon);
        tree.list(vec![shard("1", &["0"])]);
        assert!(tree.ready().is_empty());
        tree.drained("0");
        assert_eq!(tree.ready(), ["1"]);
    }

    #[test]
    fn a_child_begins_where_its_parents_began_and_never_when_it_was_found() {
        let mut tree = tree(Start::At(500), &[shard("0", &[]), shard("1", &[])]);
        tree.claimed("0", Start::At(300));
        tree.claimed("1", Start::At(400));
        tree.drained("0");
        tree.drained("1");
        tree.list(vec![shard("2", &["0", "1"])]);
        assert_eq!(tree.first_start("2"), Start::At(300));
        read_out(&mut tree, "2");
        tree.list(vec![shard("3", &["2"])]);
        assert_eq!(tree.first_start("3"), Start::At(300));
    }

    #[test]
    fn a_child_of_a_shard_read_from_trim_horizon_has_everything() {
        let mut tree = tree(Start::At(500), &[shard("0", &[]), shard("1", &[])]);
        tree.claimed("0", Start::TrimHorizon);
        tree.claimed("1", Start::At(400));
        tree.list(vec![shard("0", &[]), shard("1", &[]), shard("2", &["1", "0"])]);
        assert_eq!(tree.first_start("2"), Start::TrimHorizon);
    }

    #[test]
    fn without_a_known_parent_the_earliest_start_known_counts() {
        let mut tree = tree(Start::At(900), &[shard("0", &[]), shard("5", &["gone"])]);
        assert_eq!(tree.first_start("5"), Start::At(900));
        assert_eq!(tree.ready(), ["0", "5"], "those without parents are claimed first and say when reading once began");
        tree.claimed("0", Start::At(100));
        assert_eq!(tree.first_start("5"), Start::At(100));
    }

    #[test]
    fn what_is_neither_listed_nor_needed_is_forgotten() {
        let mut tree = tree(Start::TrimHorizon, &[shard("0", &[])]);
        read_out(&mut tree, "0");
        tree.list(vec![shard("1", &["0"])]);
        assert_eq!(tree.nodes.len(), 2, "the child still inherits from it");
        tree.claimed("1", Start::TrimHorizon);
        for _ in 0..GONE_AFTER_LISTS {
            tree.list(vec![shard("1", &["0"])]);
        }
        assert_eq!(tree.nodes.len(), 1);
    }

    #[test]
    fn a_shard_missing_from_one_list_is_neither_read_twice_nor_passed_over_by_its_child() {
        let family = [shard("0", &[]), shard("1", &["0"]), shard("2", &["1"])];
        let mut tree = tree(Start::TrimHorizon, &family);
        read_out(&mut tree, "0");
        tree.list(vec![shard("2", &["1"])]);
        assert!(tree.ready().is_empty(), "an older list left out 1, which is unread");
        tree.list(family.to_vec());
        assert_eq!(tree.ready(), ["1"], "0 was read and 2 still waits");
    }

    #[test]
    fn an_unread_parent_that_stays_away_is_gone() {
        let mut tree = tree(Start::TrimHorizon, &[shard("1", &["0"]), shard("2", &["1"])]);
        let gone: Vec<_> = (0..=GONE_AFTER_LISTS).map(|_| tree.list(vec![shard("2", &["1"])])).collect();
        assert_eq!(gone, [vec![], vec![], vec!["1".to_string()], vec![]], "told once");
        assert_eq!(tree.ready(), ["2"]);
    }

    /// One reshard: a split of an open shard, or a merge of two.
    fn reshard(all: &mut Vec<ListedShard>, open: &mut Vec<String>, merge: bool, pick: usize) {
        let next = |all: &Vec<ListedShard>| format!("shard-{:05}", all.len());
        let first = open.remove(pick % open.len());
        if merge && !open.is_empty() {
            let second = open.remove(pick % open.len());
            let child = next(all);
            all.push(ListedShard { id: child.clone(), parents: vec![first, second], range: None });
            open.push(child);
        } else {
            for _ in 0..2 {
                let child = next(all);
                all.push(ListedShard { id: child.clone(), parents: vec![first.clone()], range: None });
                open.push(child);
            }
        }
    }

    proptest! {
        /// Whatever is resharded, listed, trimmed and drained in whatever order: every shard is read once, after its parents.
        #[test]
        fn every_shard_is_read_once_and_after_its_parents(
            roots in 1usize..4,
            steps in prop::collection::vec((any::<bool>(), any::<usize>(), any::<bool>(), any::<usize>(), any::<bool>()), 0..40),
        ) {
            let mut all: Vec<ListedShard> = (0..roots).map(|n| shard(&format!("shard-{n:05}"), &[])).collect();
            let mut open: Vec<String> = all.iter().map(|s| s.id.clone()).collect();
            let mut tree = ShardTree::new(Start::At(7), Box::new(|_| true));
            let (mut reading, mut drained): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
            let mut trimmed: Vec<String> = Vec::new();
            for (merge, pick, list, drain, trim) in steps {
                reshard(&mut all, &mut open, merge, pick);
                if trim {
                    trimmed.clone_from(&drained);
                }
                if list {
                    tree.list(all.iter().filter(|s| !trimmed.contains(&s.id)).cloned().collect());
                }
                begin(&mut tree, &all, &mut reading, &drained)?;
                let closed: Vec<usize> = (0..reading.len()).filter(|n| !open.contains(&reading[*n])).collect();
                if let Some(n) = closed.get(drain % closed.len().max(1)) {
                    let id = reading.remove(*n);
                    tree.drained(&id);
                    drained.push(id);
                }
            }
            let mut rounds = 0;
            while drained.len() < all.len() {
                tree.list(all.iter().filter(|s| !drained.contains(&s.id)).cloned().collect());
                begin(&mut tree, &all, &mut reading, &drained)?;
                for id in reading.drain(..) {
                    tree.drained(&id);
                    drained.push(id);
                }
                rounds += 1;
                prop_assert!(rounds <= all.len() + 1, "stuck at {} of {}", drained.len(), all.len());
            }
        }
    }

    fn begin(
        tree: &mut ShardTree,
        all: &[ListedShard],
        reading: &mut Vec<String>,
        drained: &[String],
    ) -> Result<(), TestCaseError> {
        for id in tree.ready() {
            prop_assert!(!reading.contains(&id) && !drained.contains(&id), "{} twice", id);
            let shard = all.iter().find(|s| s.id == id).expect("ready shards were listed");
            prop_assert!(shard.parents.iter().all(|p| drained.contains(p)), "{} before its parents", id);
            let start = tree.first_start(&id);
            prop_assert_eq!(&start, &Start::At(7));
            tree.claimed(&id, start);
            reading.push(id);
        }
        Ok(())
    }
}
