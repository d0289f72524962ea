//! Reading streams of aggregates: positions inside records.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::aggregate::{aggregate, field, user, wrapped};
use super::*;
use crate::source::kinesis::tail::PIECE_RECORDS_MAX;

fn within(record: u64, sub: u64) -> Position {
    at(record).with_sub(sub)
}

fn of(texts: &[&str]) -> Bytes {
    aggregate(&texts.iter().map(|text| user("a", text.as_bytes())).collect::<Vec<_>>())
}

fn texts(batches: &[Batch]) -> Vec<(Position, String)> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    records.map(|r| (r.position.clone(), String::from_utf8_lossy(&r.data).into_owned())).collect()
}

/// Records 1 (three user records), 2 (plain), 3 (two).
fn mixed() -> Arc<FakeStream> {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.put_data("s0", of(&["a", "b", "c"]));
    fake.put_data("s0", Bytes::from_static(b"plain"));
    fake.put_data("s0", of(&["d", "e"]));
    fake
}

fn all() -> Vec<(Position, String)> {
    let positions = [within(1, 0), within(1, 1), within(1, 2), within(2, 0), within(3, 0), within(3, 1)];
    positions.into_iter().zip(["a", "b", "c", "plain", "d", "e"].map(String::from)).collect()
}

#[tokio::test]
async fn user_records_come_one_by_one_with_positions_of_their_own() {
    let fake = mixed();
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    assert_eq!(texts(&run.take(6, 0).await), all());
    let counters = run.source.counters();
    let count = [&counters.records, &counters.aggregates, &counters.user_records].map(|c| c.load(Ordering::Relaxed));
    assert_eq!(count, [3, 2, 5]);
}

/// Trap 1: whether a resume repeats or passes over the record of its position.
#[tokio::test]
async fn trap_1_a_resume_inside_a_record_gives_exactly_what_stands_behind_its_position() {
    let all = all();
    for read in 1..all.len() {
        let (fake, last) = (mixed(), &all[read - 1].0);
        let known = [("s0", resume(last.clone(), Start::TrimHorizon, false))];
        let mut run = start(&fake, settings(StartSetting::Latest), &known);
        let batches = run.take(all.len() - read, 0).await;
        assert_eq!(texts(&batches), all[read..], "after {last}");
        assert_eq!(&batches[0].span.from, last);
        assert_eq!(fake.iterators()[0].1, ReadFrom::Record(last.clone()));
    }
}

#[tokio::test]
async fn a_resume_behind_a_document_gives_its_record_again() {
    let fake = mixed();
    let known = [("s0", resume(at(2).with_document(1), Start::TrimHorizon, false))];
    let mut run = start(&fake, settings(StartSetting::Latest), &known);
    let batches = run.take(3, 0).await;
    assert_eq!(texts(&batches), all()[3..]);
    assert_eq!(batches[0].span.from, at(2).with_document(1));
}

#[tokio::test]
async fn any_span_of_user_records_is_read_again_exactly() {
    let all = all();
    for from in 0..all.len() {
        for to in from + 1..=all.len() {
            let before = from.checked_sub(1).map_or_else(Position::zero, |n| all[n].0.clone());
            let span = Span::new(before, all[to - 1].0.clone());
            assert_eq!(reread(&mixed(), &span).await, all[from..to], "{span:?}");
        }
    }
    let inside = Span::new(at(2).with_document(1), at(2).with_document(3));
    assert_eq!(reread(&mixed(), &inside).await, all[3..4], "the whole record");
}

async fn reread(fake: &Arc<FakeStream>, span: &Span) -> Vec<(Position, String)> {
    let source = source(fake, settings(StartSetting::Latest));
    let (out, mut batches) = mpsc::channel(100);
    let id = shard("s0");
    let reading = source.reread(&id, &Start::TrimHorizon, span, None, out);
    timeout(SOON, reading).await.expect("ends").expect("all is there");
    let mut taken = Vec::new();
    while let Some(batch) = batches.recv().await {
        taken.push(batch);
    }
    assert_eq!(taken.last().map(|batch| &batch.span.to), Some(&span.to));
    texts(&taken)
}

/// Trap 9: a last record that gives nothing must not hold the position back.
#[tokio::test]
async fn trap_9_an_empty_or_broken_record_moves_the_position_on() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    let broken = Bytes::from([&of(&["a"])[..], b"x"].concat());
    fake.put_data("s0", broken.clone());
    fake.put_data("s0", wrapped(&field(1, b"key")));
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    let batch = run.next().await;
    assert_eq!((batch.records.len(), &batch.records[0].data), (1, &broken), "delivered as it is");
    assert_eq!(batch.span, Span::new(Position::zero(), at(2)));
    assert_eq!(run.source.counters().broken_aggregates.load(Ordering::Relaxed), 1);
    fake.put_data("s0", wrapped(&field(1, b"key")));
    let batch = run.next().await;
    assert_eq!((batch.records.len(), batch.span), (0, Span::new(at(2), at(3))));
    // Whoever resumes behind it is given the next one.
    fake.put("s0", 1);
    let mut next = start(&fake, settings(StartSetting::Latest), &[("s0", resume(at(3), Start::TrimHorizon, false))]);
    assert_eq!(numbers(&next.take(1, 0).await, "s0"), [4]);
}

#[tokio::test]
async fn a_large_aggregate_comes_in_pieces_that_chain_and_any_of_them_can_be_resumed_behind() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    let many: Vec<_> = (0..2 * PIECE_RECORDS_MAX + 5).map(|n| user("", n.to_string().as_bytes())).collect();
    fake.put_data("s0", aggregate(&many));
    fake.put("s0", 1);
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    let batches = run.take(many.len() + 1, 0).await;
    assert_eq!(Vec::from_iter(batches.iter().map(|b| b.records.len())), [PIECE_RECORDS_MAX, PIECE_RECORDS_MAX, 6]);
    assert_eq!(batches.iter().map(|b| b.seen_at.is_some()).collect::<Vec<_>>(), [false, false, true]);
    let last = batches[0].span.to.clone();
    assert_eq!(last, within(1, PIECE_RECORDS_MAX as u64 - 1));
    let mut run = start(&fake, settings(StartSetting::Latest), &[("s0", resume(last, Start::TrimHorizon, false))]);
    let rest = run.take(many.len() + 1 - PIECE_RECORDS_MAX, 0).await;
    assert_eq!(texts(&rest), texts(&batches[1..]));
}

#[tokio::test]
async fn strays_are_delivered_and_counted_by_the_range_that_the_list_gives() {
    let fake = Arc::new(FakeStream::new(&["s0"]));
    fake.set_range("s0", 0, u128::MAX / 2);
    // MD5 of "a" lies in the lower half, of "b" in the upper one.
    fake.put_data("s0", aggregate(&[user("a", b"1"), user("b", b"2"), user("a", b"3")]));
    let mut run = start(&fake, settings(StartSetting::TrimHorizon), &[]);
    assert_eq!(numbers(&run.take(3, 0).await, "s0"), [1, 2, 3]);
    assert_eq!(run.source.counters().stray_user_records.load(Ordering::Relaxed), 1);
}
