//! The journal under crashes, failing disks, damage and full disks.

mod lives;

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use proptest::prelude::*;

use super::segment::{HEADER, path_of};
use super::*;

const ID: [u8; 16] = [7; 16];

fn settings(directory: &Path) -> JournalSettings {
    JournalSettings { directory: directory.to_path_buf(), max_bytes: MAX_BYTES_LEAST, segment_bytes: 1 << 20 }
}

fn open(directory: &Path) -> Result<Journal, JournalError> {
    Journal::open(&settings(directory), ID, Arc::default())
}

fn open_small(directory: &Path, segment_bytes: u64) -> Journal {
    let settings = JournalSettings { segment_bytes, ..settings(directory) };
    Journal::open(&settings, ID, Arc::default()).expect("opens")
}

fn records(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
}

/// Everything the journal holds, as text.
async fn all(journal: &Journal) -> Vec<String> {
    let tip = *journal.tip().borrow();
    let (mut after, mut texts) = (tip.released, Vec::new());
    while let Some(chunk) = journal.read(after, tip.durable).await.expect("reads") {
        assert!(chunk.to > after && !chunk.records.is_empty());
        texts.extend(chunk.records.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned()));
        after = chunk.to;
    }
    texts
}

/// What a script says shall fail, by the number of the call.
#[derive(Debug, Default, Clone)]
struct Faults(Arc<Mutex<FaultPlan>>);

#[derive(Debug, Default)]
struct FaultPlan {
    calls: HashMap<&'static str, usize>,
    failing: HashMap<(&'static str, usize), io::ErrorKind>,
}

impl Faults {
    /// Makes the `nth` call of this kind from now on fail, counted from 1.
    fn fail(&self, call: &'static str, nth: usize, kind: io::ErrorKind) {
        let mut plan = self.0.lock().expect("unpoisoned");
        let at = plan.calls.get(call).copied().unwrap_or(0) + nth;
        plan.failing.insert((call, at), kind);
    }

    fn check(&self, call: &'static str) -> io::Result<()> {
        let mut plan = self.0.lock().expect("unpoisoned");
        let count = plan.calls.entry(call).or_default();
        *count += 1;
        let key = (call, *count);
        plan.failing.remove(&key).map_or(Ok(()), |kind| Err(kind.into()))
    }
}

/// Writes half of what a failing write was given, as a full disk does.
#[derive(Debug)]
struct FaultyDisk(Faults);

impl Disk for FaultyDisk {
    fn write(&mut self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let failure = self.0.check("write");
        let written = if failure.is_ok() { bytes.len() } else { bytes.len() / 2 };
        OsDisk.write(file, &bytes[..written], offset)?;
        failure
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        self.0.check("sync")?;
        OsDisk.sync(file)
    }

    fn truncate(&mut self, file: &File, length: u64) -> io::Result<()> {
        self.0.check("truncate")?;
        OsDisk.truncate(file, length)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.0.check("remove")?;
        OsDisk.remove(path)
    }
}

fn open_faulty(directory: &Path) -> (Journal, Faults) {
    let faults = Faults::default();
    let disk = Box::new(FaultyDisk(faults.clone()));
    (Journal::open_on(disk, &settings(directory), ID, Arc::default()).expect("opens"), faults)
}

#[tokio::test]
async fn records_come_back_in_order_with_arrival_and_position_after_reopening() {
    let directory = tempfile::tempdir().expect("directory");
    let journal = open(directory.path()).expect("opens");
    let first = journal.append(records(&["a", "", "c"]), 11).await.expect("appended");
    assert_eq!(first, Appended { segment: 1, ends: vec![HEADER + 17, HEADER + 33, HEADER + 50] });
    let (id, accepted) = (journal.id(), journal.accepted());
    drop(journal);
    let journal = Journal::open(&settings(directory.path()), [9; 16], Arc::default()).expect("opens");
    assert_eq!((journal.id(), journal.accepted(), accepted), (id, 3, 3));
    journal.append(records(&["d"]), 12).await.expect("appended").ends.clear();
    let tip = journal.tip().borrow().durable;
    let chunk = journal.read(At::new(1, HEADER + 17), tip).await.expect("reads").expect("records");
    let found: Vec<_> = chunk.records.iter().map(|r| (r.position.to_string(), r.arrived_at, r.data.clone())).collect();
    let expected = [(97, 11, ""), (114, 11, "c"), (131, 12, "d")];
    assert_eq!(found, expected.map(|(end, at, text)| (format!("1.{end}"), at, Bytes::from(text))));
}

#[tokio::test]
async fn missing_directories_are_made_and_strange_files_left_alone() {
    let directory = tempfile::tempdir().expect("directory");
    let deep = directory.path().join("a/b/journal");
    drop(open(&deep).expect("opens"));
    let (notes, left_over) = (deep.join("notes.new"), deep.join(format!("{:020}.new", 2)));
    std::fs::write(&notes, "mine").expect("written");
    std::fs::write(&left_over, "half a header").expect("written");
    drop(open(&deep).expect("opens"));
    assert!(notes.exists() && !left_over.exists());
}

#[tokio::test]
async fn two_journals_cannot_share_a_directory() {
    let directory = tempfile::tempdir().expect("directory");
    let held = open(directory.path()).expect("opens");
    let error = open(directory.path()).expect_err("held").to_string();
    assert!(error.contains(&directory.path().display().to_string()) && error.contains("in use"), "{error}");
    drop(held);
    open(directory.path()).expect("free again");
}

#[tokio::test]
async fn appends_that_wait_share_a_sync() {
    let directory = tempfile::tempdir().expect("directory");
    let counters = Arc::new(IntakeCounters::default());
    let journal = Journal::open(&settings(directory.path()), ID, counters.clone()).expect("opens");
    let appends = (0..200).map(|n| journal.append(records(&[&n.to_string()]), 0));
    for outcome in futures::future::join_all(appends).await {
        assert_eq!(outcome.expect("appended").ends.len(), 1);
    }
    assert_eq!((journal.accepted(), counters.journal_appends.get()), (200, 200));
    assert!(counters.journal_syncs.get() < 200, "{} syncs", counters.journal_syncs.get());
}

#[tokio::test]
async fn segments_roll_and_are_deleted_when_released_never_the_active_one() {
    let directory = tempfile::tempdir().expect("directory");
    let journal = open_small(directory.path(), 100);
    let mut ends = Vec::new();
    for n in 0..5 {
        let appended = journal.append(records(&[&format!("{n}{}", "x".repeat(60))]), 0).await.expect("appended");
        ends.push(At::new(appended.segment, appended.ends[0]));
    }
    assert_eq!(ends.iter().map(|at| at.segment).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    journal.release(At::new(3, ends[2].offset - 1)).await.expect("released");
    assert!(!path_of(directory.path(), 2).exists() && path_of(directory.path(), 3).exists());
    assert_eq!(journal.tip().borrow().released, ends[1]);
    assert_eq!(all(&journal).await.len(), 3);
    drop(journal);
    let journal = open_small(directory.path(), 1 << 20);
    assert_eq!((journal.tip().borrow().released, journal.accepted()), (ends[1], 5));
    journal.release(ends[4]).await.expect("released");
    assert!(path_of(directory.path(), 5).exists() && !path_of(directory.path(), 4).exists());
    assert_eq!(all(&journal).await.len(), 1);
}

#[tokio::test]
async fn a_full_journal_refuses_until_released_and_nothing_is_lost() {
    let directory = tempfile::tempdir().expect("directory");
    let journal = open(directory.path()).expect("opens");
    let record = vec![Bytes::from(vec![b'x'; 1_000_000])];
    let mut last = At::default();
    let full = loop {
        match journal.append(record.clone(), 0).await {
            Ok(appended) => last = At::new(appended.segment, appended.ends[0]),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, JournalError::Full { .. }), "{full}");
    let accepted = journal.accepted();
    assert_eq!(all(&journal).await.len() as u64, accepted);
    journal.release(last).await.expect("released");
    journal.append(record, 0).await.expect("room again").ends.clear();
    assert_eq!(journal.accepted(), accepted + 1);
}

#[tokio::test]
async fn one_append_that_fills_the_journal_does_not_hold_it_for_ever() {
    let directory = tempfile::tempdir().expect("directory");
    let journal = open(directory.path()).expect("opens");
    let large = vec![Bytes::from(vec![b'x'; 1_000_000]); 12];
    let appended = journal.append(large.clone(), 0).await.expect("appended");
    assert!(matches!(journal.append(large.clone(), 0).await, Err(JournalError::Full { .. })));
    journal.release(At::new(appended.segment, *appended.ends.last().expect("ends"))).await.expect("released");
    assert_eq!(journal.append(large, 0).await.expect("room again").ends.len(), 12);
}

#[tokio::test]
async fn the_longest_append_fits_beside_a_segment_that_is_released_but_kept() {
    let directory = tempfile::tempdir().expect("directory");
    let journal = open_small(directory.path(), u64::MAX);
    // The active segment stays, however little of it is not released: nearly half of its size.
    let half = MAX_BYTES_LEAST / 4 / 2 - 1_000;
    let small = vec![Bytes::from(vec![b'x'; half as usize / 3]); 3];
    let appended = journal.append(small, 0).await.expect("appended");
    journal.release(At::new(appended.segment, appended.ends[2])).await.expect("released");
    let longest = (MAX_BYTES_LEAST - MAX_BYTES_LEAST / 4 - HEADER) as usize;
    let records = |bytes: usize| {
        let mut records = vec![Bytes::from(vec![b'x'; 1_000_000]); bytes / 1_000_016];
        records.push(Bytes::from(vec![b'x'; bytes % 1_000_016 - 16]));
        records
    };
    let error = journal.append(records(longest + 1), 0).await.expect_err("never fits");
    assert!(matches!(error, JournalError::AppendTooLong { max_bytes, .. } if max_bytes == longest as u64), "{error}");
    assert!(!journal.append(records(longest), 0).await.expect("fits").ends.is_empty());
}

#[tokio::test]
async fn a_disk_that_fills_up_refuses_the_append_and_rolls_it_back() {
    let directory = tempfile::tempdir().expect("directory");
    let (journal, faults) = open_faulty(directory.path());
    journal.append(records(&["before"]), 0).await.expect("appended").ends.clear();
    faults.fail("write", 1, io::ErrorKind::StorageFull);
    let error = journal.append(records(&["lost", "too"]), 0).await.expect_err("disk full");
    assert!(matches!(error, JournalError::DiskFull { .. }) && error.to_string().contains("no space left"), "{error}");
    journal.append(records(&["after"]), 0).await.expect("appended").ends.clear();
    assert_eq!((all(&journal).await, journal.accepted()), (vec!["before".into(), "after".into()], 2));
    assert_eq!(journal.tip().borrow().durable.segment, 1);
    drop(journal);
    assert_eq!(all(&open(directory.path()).expect("opens")).await, ["before", "after"]);
}

#[tokio::test]
async fn after_a_failed_sync_the_file_is_left_for_a_new_segment() {
    let directory = tempfile::tempdir().expect("directory");
    let (journal, faults) = open_faulty(directory.path());
    journal.append(records(&["before"]), 0).await.expect("appended").ends.clear();
    faults.fail("sync", 1, io::ErrorKind::Other);
    assert!(matches!(journal.append(records(&["lost"]), 0).await, Err(JournalError::Io { .. })));
    assert_eq!(journal.append(records(&["after"]), 0).await.expect("appended").segment, 2);
    assert_eq!((all(&journal).await, journal.accepted()), (vec!["before".into(), "after".into()], 2));
}

#[tokio::test]
async fn a_file_that_cannot_even_be_cut_is_closed_at_its_last_good_offset() {
    let directory = tempfile::tempdir().expect("directory");
    let (journal, faults) = open_faulty(directory.path());
    journal.append(records(&["before"]), 0).await.expect("appended").ends.clear();
    faults.fail("sync", 1, io::ErrorKind::Other);
    faults.fail("truncate", 1, io::ErrorKind::Other);
    assert!(journal.append(records(&["whole in the file, but refused"]), 0).await.is_err());
    journal.append(records(&["after"]), 0).await.expect("appended").ends.clear();
    let length = std::fs::metadata(path_of(directory.path(), 1)).expect("segment").len();
    assert!(length > HEADER + 22, "the refused record is still in the file");
    assert_eq!(all(&journal).await, ["before", "after"]);
    drop(journal);
    let journal = open(directory.path()).expect("opens");
    assert_eq!((all(&journal).await, journal.accepted()), (vec!["before".into(), "after".into()], 2));
}

#[tokio::test]
async fn while_no_segment_can_be_begun_appends_are_refused_and_then_go_on() {
    let directory = tempfile::tempdir().expect("directory");
    let (journal, faults) = open_faulty(directory.path());
    journal.append(records(&["before"]), 0).await.expect("appended").ends.clear();
    faults.fail("sync", 1, io::ErrorKind::Other);
    faults.fail("write", 2, io::ErrorKind::StorageFull);
    faults.fail("sync", 2, io::ErrorKind::Other);
    for _ in 0..3 {
        assert!(journal.append(records(&["refused"]), 0).await.is_err());
    }
    journal.append(records(&["after"]), 0).await.expect("appended").ends.clear();
    drop(journal);
    assert_eq!(all(&open(directory.path()).expect("opens")).await, ["before", "after"]);
}

#[tokio::test]
async fn a_refused_append_that_could_be_neither_synced_nor_cut_off_may_be_there_after_a_restart_whole() {
    let directory = tempfile::tempdir().expect("directory");
    let (journal, faults) = open_faulty(directory.path());
    journal.append(records(&["before"]), 0).await.expect("appended").ends.clear();
    faults.fail("sync", 1, io::ErrorKind::Other);
    faults.fail("truncate", 1, io::ErrorKind::Other);
    assert!(journal.append(records(&["refused", "with it"]), 0).await.is_err());
    assert_eq!(all(&journal).await, ["before"]);
    drop(journal);
    let journal = open(directory.path()).expect("opens");
    assert_eq!(
        (all(&journal).await, journal.accepted()),
        (["before", "refused", "with it"].map(String::from).to_vec(), 3)
    );
}

#[tokio::test]
async fn a_failed_removal_is_an_error_and_leaves_no_gap() {
    let directory = tempfile::tempdir().expect("directory");
    let faults = Faults::default();
    let settings = JournalSettings { segment_bytes: 100, ..settings(directory.path()) };
    let journal = Journal::open_on(Box::new(FaultyDisk(faults.clone())), &settings, ID, Arc::default()).expect("opens");
    for _ in 0..4 {
        journal.append(records(&[&"x".repeat(60)]), 0).await.expect("appended").ends.clear();
    }
    let tip = journal.tip().borrow().durable;
    faults.fail("remove", 2, io::ErrorKind::PermissionDenied);
    assert!(journal.release(tip).await.is_err());
    drop(journal);
    let journal = open(directory.path()).expect("opens without a gap");
    assert_eq!((all(&journal).await.len(), journal.accepted()), (3, 4));
}

/// Two appends; the second, of three records, was never synced. `spoil` gets the file and the second one's range.
async fn torn(spoil: impl Fn(&File, std::ops::Range<u64>)) -> Result<Vec<String>, JournalError> {
    let directory = tempfile::tempdir().expect("directory");
    let journal = open(directory.path()).expect("opens");
    let kept = journal.append(records(&["kept", "too"]), 0).await.expect("appended");
    let last = journal.append(records(&["x", "yy", "zzz"]), 0).await.expect("appended");
    drop(journal);
    let file = disk::open_for_writing(&path_of(directory.path(), 1)).expect("opens");
    spoil(&file, kept.ends[1]..last.ends[2]);
    drop(file);
    let journal = open(directory.path())?;
    let found = all(&journal).await;
    assert_eq!(journal.accepted(), found.len() as u64);
    journal.append(records(&["next"]), 0).await.expect("appended").ends.clear();
    drop(journal);
    assert_eq!(all(&open(directory.path()).expect("opens")).await.len(), found.len() + 1);
    Ok(found)
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut_off_whole() {
    for cut in 0..(17 + 18 + 19) {
        let found = torn(|file, tail| file.set_len(tail.start + cut).expect("cut")).await.expect("opens");
        assert_eq!(found, ["kept", "too"], "cut at {cut}");
    }
}

#[tokio::test]
async fn a_tail_with_any_byte_wrong_is_cut_off_whole() {
    for at in 0..(17 + 18 + 19) {
        let flip = |file: &File, tail: std::ops::Range<u64>| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, tail.start + at).expect("reads");
            file.write_all_at(&[byte[0] ^ 0x55], tail.start + at).expect("writes");
        };
        assert_eq!(torn(flip).await.expect("opens"), ["kept", "too"], "wrong at {at}");
    }
}

#[tokio::test]
async fn zeroes_and_noise_after_the_tail_are_cut_off() {
    for noise in [[0; 5_000], [0x40; 5_000], [0xff; 5_000]] {
        let found = torn(|file, tail| file.write_all_at(&noise, tail.end).expect("writes")).await.expect("opens");
        assert_eq!(found, ["kept", "too", "x", "yy", "zzz"]);
    }
}

#[tokio::test]
async fn a_broken_record_that_was_acknowledged_is_an_error_with_file_and_offset() {
    let directory = tempfile::tempdir().expect("directory");
    let journal = open(directory.path()).expect("opens");
    let first = journal.append(records(&["one"]), 0).await.expect("appended").ends[0];
    journal.append(records(&["two"]), 0).await.expect("appended").ends.clear();
    journal.append(records(&["three"]), 0).await.expect("appended").ends.clear();
    drop(journal);
    let path = path_of(directory.path(), 1);
    disk::open_for_writing(&path).expect("opens").write_all_at(b"!", first + 17).expect("writes");
    let error = open(directory.path()).expect_err("damaged").to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains(&format!("offset {first}")), "{error}");
}

#[tokio::test]
async fn a_broken_record_of_an_older_segment_is_an_error_when_it_is_read() {
    let directory = tempfile::tempdir().expect("directory");
    let journal = open_small(directory.path(), 100);
    for _ in 0..3 {
        journal.append(records(&[&"x".repeat(60)]), 0).await.expect("appended").ends.clear();
    }
    let path = path_of(directory.path(), 2);
    disk::open_for_writing(&path).expect("opens").write_all_at(b"!", HEADER + 20).expect("writes");
    let tip = journal.tip().borrow().durable;
    let first = journal.read(At::default(), tip).await.expect("reads").expect("records");
    let error = journal.read(first.to, tip).await.expect_err("damaged").to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("offset 64"), "{error}");
}

#[tokio::test]
async fn a_missing_segment_or_a_strange_file_is_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let journal = open_small(directory.path(), 100);
    for _ in 0..3 {
        journal.append(records(&[&"x".repeat(60)]), 0).await.expect("appended").ends.clear();
    }
    drop(journal);
    std::fs::remove_file(path_of(directory.path(), 2)).expect("removed");
    assert!(open(directory.path()).expect_err("gap").to_string().contains("segment 2 before it is missing"));
    std::fs::write(path_of(directory.path(), 2), [b'x'; 200]).expect("written");
    assert!(open(directory.path()).expect_err("strange").to_string().contains("this is no journal segment"));
}

#[tokio::test]
async fn a_record_too_long_and_a_journal_too_small_are_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let journal = open(directory.path()).expect("opens");
    let long = vec![Bytes::from(vec![0; RECORD_BYTES_MAX + 1])];
    assert!(matches!(journal.append(long, 0).await, Err(JournalError::RecordTooLong(1_024_001))));
    assert_eq!(journal.append(Vec::new(), 0).await.expect("nothing to do").ends, Vec::<u64>::new());
    let small = JournalSettings { max_bytes: 1, ..settings(&directory.path().join("other")) };
    assert!(matches!(Journal::open(&small, ID, Arc::default()), Err(JournalError::Settings(_))));
}
