//! Simulated buffers against what the limits say in words, and against the writer's own buffers row by row.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use writer::buffer::Buffers;
use writer::buffer::rope::{Rope, RowIn};

use super::*;
use crate::tune::sample::{Asked, Item};

fn settings(size: u64, age_s: u64, idle_s: u64) -> BufferSettings {
    let (age, idle) = (Duration::from_secs(age_s), Duration::from_secs(idle_s));
    BufferSettings { size, age, idle, ..BufferSettings::default() }
}

/// Items of 100 bytes, `places` in turn, one every `every` ms.
fn sample(count: usize, places: u32, every: i64) -> (Routed, Timeline) {
    let mut routed = Routed::default();
    (0..places).for_each(|place| _ = routed.place(Output::Table, &format!("k={place}"), &Asked::default()));
    routed.items = (0..count as u32).map(|n| Item { place: n % places, bytes: 100, stored: 140, rows: 1 }).collect();
    let at = (0..count as i64).map(|n| n * every).collect();
    (routed, Timeline { at, period: count as i64 * every })
}

fn run(routed: &Routed, timeline: &Timeline, settings: &BufferSettings, span: Span) -> Outcome {
    let input = Input { routed, timeline, settings, sizes: &SizeModel::default(), archive_ratio: 1.0 };
    simulate(input, span, &|_| {})
}

#[test]
fn once_is_every_row_in_a_file_and_the_rest_cut_at_the_end() {
    let (routed, timeline) = sample(1_000, 3, 1);
    let settings = BufferSettings { rows: 100, ..settings(1 << 30, 3_600, 3_600) };
    let outcome = run(&routed, &timeline, &settings, Span::Once);
    assert_eq!(outcome.by_reason, [(FlushReason::Rows, 9), (FlushReason::Shutdown, 3)].into());
    assert_eq!((outcome.rows, outcome.data_bytes, outcome.files.count()), (1_000, 100_000, 12));
    let median = outcome.files.percentile(50);
    assert!(median.abs_diff(10_000) <= 64, "100 rows of 100 bytes, within a bucket: {median}");
}

#[test]
fn age_cuts_a_busy_partition_once_an_age_and_no_row_waits_longer() {
    let (routed, timeline) = sample(1_000, 1, 100);
    let span = Span::Steady { warm_up: 60_000, measured: 600_000 };
    let outcome = run(&routed, &timeline, &settings(1 << 30, 60, 30), span);
    assert_eq!(outcome.by_reason.keys().collect::<Vec<_>>(), [&FlushReason::Age]);
    assert!((9..=10).contains(&outcome.files.count()), "{}", outcome.files.count());
    assert!(outcome.delays.max() <= 61_000 && outcome.delays.percentile(50) > 25_000);
    assert_eq!(outcome.open.percentile(50), 1);
}

#[test]
fn idle_cuts_what_gets_nothing_more() {
    // A row of each of 10 partitions in 100 s, then none for 900 s.
    let (routed, mut timeline) = sample(10, 10, 10_000);
    timeline.period = 1_000_000;
    let span = Span::Steady { warm_up: 0, measured: 2_000_000 };
    let outcome = run(&routed, &timeline, &settings(1 << 30, 300, 20), span);
    assert_eq!(outcome.by_reason, [(FlushReason::Idle, 20)].into());
    assert!((20_000..=21_000).contains(&outcome.delays.percentile(50)), "{}", outcome.delays.percentile(50));
}

#[test]
fn memory_cuts_the_largest_and_stays_below_its_mark() {
    let (routed, timeline) = sample(200_000, 5, 1);
    let limit = 16 << 20;
    let settings = BufferSettings { memory: limit, ..settings(1 << 30, 3_600, 3_600) };
    let outcome = run(&routed, &timeline, &settings, Span::Once);
    assert!(outcome.by_reason[&FlushReason::Memory] > 0);
    assert!(outcome.memory.max() <= limit / 100 * policy::MEMORY_HIGH_PERCENT + (1 << 20));
}

proptest! {
    /// The same rows through buffers that hold them, looked at after every tick without a short cut: the same files.
    #[test]
    fn figures_are_cut_when_rows_would_be(
        rows in prop::collection::vec((0u32..6, 1usize..3_000, 0i64..4_000), 1..300),
        size in 1_000u64..40_000, age in 1u64..40, idle in 1u64..20, most in 1u64..40,
    ) {
        let settings = BufferSettings { rows: most, ..settings(size, age, idle) };
        let (mut routed, mut timeline) = sample(6, 6, 1);
        routed.items.clear();
        timeline.at.clear();
        let mut now = 0;
        for (place, bytes, gap) in &rows {
            now += gap;
            timeline.at.push(now);
            routed.items.push(Item { place: *place, bytes: *bytes as u32, stored: *bytes as u32 + 40, rows: 1 });
        }
        timeline.period = now + 1;
        let outcome = run(&routed, &timeline, &settings, Span::Once);
        let real = with_rows(&rows, &routed, &timeline, &settings);
        prop_assert_eq!(outcome.by_reason, real.0);
        prop_assert_eq!(outcome.files.sum(), real.1);
        prop_assert_eq!(outcome.files.max(), real.2);
    }
}

/// Reasons, and the sum and the largest of the files' bytes.
type Files = (BTreeMap<FlushReason, u64>, u128, u64);

fn with_rows(rows: &[(u32, usize, i64)], routed: &Routed, timeline: &Timeline, settings: &BufferSettings) -> Files {
    let mut buffers: Buffers<Rope> = Buffers::default();
    let (mut ratio, mut files): (Ratio, Files) = (Ratio::default(), Files::default());
    let mut done = |cut: Vec<Cuttable<Rope>>, ratio: &mut Ratio| {
        for (buffer, reason) in cut {
            let bytes = buffer.rope.data_bytes();
            ratio.seen(bytes, bytes);
            *files.0.entry(reason).or_default() += 1;
            (files.1, files.2) = (files.1 + u128::from(bytes), files.2.max(bytes));
        }
    };
    let tick = policy::tick(settings).as_millis() as i64;
    let mut next = tick;
    let mut look = |until: i64,
                    buffers: &mut Buffers<Rope>,
                    ratio: &mut Ratio,
                    done: &mut dyn FnMut(Vec<Cuttable<Rope>>, &mut Ratio)| {
        while next <= until {
            let due = buffers.take_due_at(settings, [ratio.get(), 1.0, ratio.get()], next);
            done(due, ratio);
            next += tick;
        }
    };
    for (number, ((place, bytes, _), now)) in rows.iter().zip(&timeline.at).enumerate() {
        look(*now, &mut buffers, &mut ratio, &mut done);
        let (data, position) = (vec![b'x'; *bytes], Position::from_numbers(number as u64 + 1, 0));
        let row = RowIn { shard: 0, position: &position, arrived_at: *now, data: &data, outline: &[], origin: None };
        let path: Arc<str> = routed.places[*place as usize].path.clone();
        let pushed = buffers.push(Output::Table, &path, row, &Position::zero(), *now);
        let full = Full { limits: settings.of(Output::Table), ratio: ratio.get() };
        let full = buffers.take_full(Output::Table, &path, &pushed, full);
        done(full.into_iter().collect(), &mut ratio);
    }
    look(timeline.period - 1, &mut buffers, &mut ratio, &mut done);
    let all = buffers.take_due(|_| Some(FlushReason::Shutdown));
    done(all, &mut ratio);
    files
}
