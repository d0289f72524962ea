//! Generated lives of a journal: appends, faults, restarts, releases, and what must be left of each.

use super::*;

/// One step of a random life of a journal.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<usize>),
    Reopen,
    /// A crash while an append of these lengths was written: so many of its bytes are there.
    Crash(Vec<usize>, prop::sample::Index),
    Fault(&'static str, usize),
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let lengths = || prop::collection::vec(0..300_usize, 1..6);
    prop_oneof![
        6 => lengths().prop_map(Step::Append),
        1 => Just(Step::Reopen),
        2 => (lengths(), any::<prop::sample::Index>()).prop_map(|(lengths, cut)| Step::Crash(lengths, cut)),
        2 => (prop::sample::select(vec!["write", "sync", "truncate"]), 1..3_usize).prop_map(|(call, n)| Step::Fault(call, n)),
        1 => Just(Step::Release),
    ]
}

/// Lives the steps and checks after each that exactly the acknowledged records are there, in order. After a restart one refused
/// append may be there too, whole: bytes that could be neither synced nor cut off.
async fn live(steps: Vec<Step>) {
    let directory = tempfile::tempdir().expect("directory");
    let settings = JournalSettings { segment_bytes: 1_500, ..settings(directory.path()) };
    let reopen = || {
        let faults = Faults::default();
        let disk = Box::new(FaultyDisk(faults.clone()));
        (Journal::open_on(disk, &settings, ID, Arc::default()).expect("opens"), faults)
    };
    let (mut journal, mut faults) = reopen();
    let (mut kept, mut accepted, mut next) = (Vec::<String>::new(), 0, 0_u64);
    let mut refused: Vec<Vec<String>> = Vec::new();
    let mut texts = |lengths: &[usize]| -> Vec<String> {
        let text = |length: &usize| {
            next += 1;
            format!("{next}:{}", "x".repeat(*length))
        };
        lengths.iter().map(text).collect()
    };
    for step in steps {
        match step {
            Step::Append(lengths) => {
                let texts = texts(&lengths);
                let data = texts.iter().map(|text| Bytes::from(text.clone())).collect();
                if journal.append(data, 0).await.is_ok() {
                    accepted += texts.len() as u64;
                    kept.extend(texts);
                    refused.clear();
                } else {
                    refused.push(texts);
                }
            }
            Step::Reopen => {
                drop(journal);
                (journal, faults) = reopen();
                let found = all(&journal).await;
                if let Some(left) = refused.drain(..).find(|left| found.get(kept.len()..) == Some(left)) {
                    accepted += left.len() as u64;
                    kept.extend(left);
                }
            }
            Step::Crash(lengths, cut) => {
                let tip = journal.tip().borrow().durable;
                drop(journal);
                let data: Vec<Bytes> = texts(&lengths).into_iter().map(Bytes::from).collect();
                let mut frames = Frames::build(frame::seed_of(&ID), &data, 0).expect("frames");
                frames.begin_group();
                let part = &frames.bytes()[..cut.index(frames.bytes().len())];
                let file = disk::open_for_writing(&path_of(directory.path(), tip.segment)).expect("opens");
                file.set_len(tip.offset).expect("cut");
                file.write_all_at(part, tip.offset).expect("writes");
                (journal, faults) = reopen();
                refused.clear();
            }
            Step::Fault(call, nth) => faults.fail(call, nth, io::ErrorKind::StorageFull),
            Step::Release => {
                let tip = *journal.tip().borrow();
                if journal.release(tip.durable).await.is_ok() {
                    let left = all(&journal).await.len();
                    kept.drain(..kept.len() - left);
                }
            }
        }
        assert_eq!(all(&journal).await, kept);
        assert_eq!(journal.accepted(), accepted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn acknowledged_records_survive_in_order_exactly_once(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(live(steps));
    }
}
