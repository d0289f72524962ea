//! How large a file becomes of so many bytes of events: measured by encoding a part of the sample with the writer's own encoder, at
//! sizes that double, and interpolated in between.
//!
//! A file's bytes are no fixed share of its events': footer, pages and dictionaries cost about the same whatever they hold, and
//! more rows compress better. So each partition that is kept is encoded as a file of its first row, of its first 2, 4, 8, ... and of
//! all that was kept of it. The points are averaged within half powers of two; between those averages the line is straight in
//! logarithms, beyond the last one each further byte costs as much as the last ones did. A partition that was encoded itself keeps
//! its own distance from that line: what one channel or attribute holds compresses quite otherwise than another's.
//!
//! Kept are two kinds of partitions, so that both ends of the curve stand on data: a share of all of them (by the hash of their
//! path, so that few and many rows are as likely as in the sample), up to [`FEW_BYTES`] each; and the first [`LARGE_PLACES`] that
//! grow beyond that, up to [`LARGE_BYTES`] each.

use std::collections::HashMap;

use schemas::log_entry::{FlushReason, Output};
use schemas::position::{Position, ShardId};
use writer::buffer::Buffer;
use writer::buffer::rope::{RowIn, RowOut};
use writer::commit::cut::{FileRules, Naming, make};
use writer::error::WriterError;

/// Bytes of events kept of one of the many partitions, and of all of them.
pub const FEW_BYTES: u64 = 256 << 10;
pub const MANY_BYTES: u64 = 16 << 20;
/// Partitions of which more is kept, and how many bytes of each.
pub const LARGE_PLACES: usize = 4;
pub const LARGE_BYTES: u64 = 8 << 20;
/// Partitions that are encoded, of those that are kept.
pub const ENCODED_PLACES_MAX: usize = 600;

/// Averages are taken of points within a factor of the square root of 2.
const BINS_PER_OCTAVE: f64 = 2.0;
/// What the curve's last slope is measured over: about two powers of two.
const LAST_SLOPE_BINS: usize = 4;

/// One file that was encoded, or that the log names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Point {
    pub rows: u64,
    pub data_bytes: u64,
    pub file_bytes: u64,
}

/// The curve.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct SizeModel {
    /// Ascending in both: bytes of events, bytes of the file.
    knots: Vec<(f64, f64)>,
    /// Of places that were encoded themselves: bytes of events, ascending, and the file's share of what the curve says.
    #[serde(skip)]
    own: HashMap<u32, Vec<(f64, f64)>>,
}

impl SizeModel {
    /// Goes through the averages of these points; without any, a file is as large as its events.
    pub fn through(points: &[Point]) -> SizeModel {
        let mut bins: HashMap<i64, (f64, f64, f64)> = HashMap::new();
        for point in points.iter().filter(|point| point.data_bytes > 0 && point.file_bytes > 0) {
            let (x, y) = ((point.data_bytes as f64).ln(), (point.file_bytes as f64).ln());
            let bin = (x * BINS_PER_OCTAVE / std::f64::consts::LN_2).floor() as i64;
            let sums = bins.entry(bin).or_default();
            *sums = (sums.0 + x, sums.1 + y, sums.2 + 1.0);
        }
        let mut knots: Vec<(f64, f64)> =
            bins.into_values().map(|(x, y, count)| ((x / count).exp(), (y / count).exp())).collect();
        knots.sort_by(|a, b| a.0.total_cmp(&b.0));
        // More events never make a smaller file by this curve, whatever chance says.
        for at in 1..knots.len() {
            knots[at].1 = knots[at].1.max(knots[at - 1].1);
        }
        SizeModel { knots, own: HashMap::new() }
    }

    /// As [`SizeModel::through`] all of them, and by place what its own files were.
    pub fn of(measured: &Measured) -> SizeModel {
        let mut model = SizeModel::through(&measured.points);
        let share = |point: &Point| {
            let curve = model.file_bytes(point.data_bytes).max(1) as f64;
            (point.data_bytes.max(1) as f64, point.file_bytes as f64 / curve)
        };
        let own = |(place, points): (&u32, &Vec<Point>)| (*place, points.iter().map(share).collect());
        model.own = measured.own.iter().map(own).collect();
        model
    }

    /// Bytes of a place's file of so many bytes of events.
    pub fn file_bytes_of(&self, place: u32, data_bytes: u64) -> u64 {
        let curve = self.file_bytes(data_bytes);
        let Some((first, last)) = self.own.get(&place).and_then(|own| Some((own.first()?, own.last()?))) else {
            return curve;
        };
        let (x, own) = (data_bytes.max(1) as f64, &self.own[&place]);
        let at = own.partition_point(|(data, _)| *data < x);
        let share = match (at.checked_sub(1).map(|before| own[before]), own.get(at)) {
            (None, _) => first.1,
            (_, None) => last.1,
            (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (x / a.0).ln() / (b.0 / a.0).ln(),
        };
        (curve as f64 * share) as u64
    }

    /// Bytes of a file of so many bytes of events.
    pub fn file_bytes(&self, data_bytes: u64) -> u64 {
        let x = data_bytes.max(1) as f64;
        let (Some(first), Some(last)) = (self.knots.first(), self.knots.last()) else { return data_bytes };
        if x <= first.0 {
            // Mostly what each file has, however little is in it.
            return (first.1 * (x / first.0).powf(self.slope(0))) as u64;
        }
        if x >= last.0 {
            return (last.1 + (x - last.0) * self.last_cost()) as u64;
        }
        let at = self.knots.partition_point(|knot| knot.0 < x);
        let (a, b) = (self.knots[at - 1], self.knots[at]);
        let share = (x / a.0).ln() / (b.0 / a.0).ln();
        (a.1 * (b.1 / a.1).powf(share)) as u64
    }

    /// In logarithms, behind this knot.
    fn slope(&self, at: usize) -> f64 {
        match (self.knots.get(at), self.knots.get(at + 1)) {
            (Some(a), Some(b)) => ((b.1 / a.1).ln() / (b.0 / a.0).ln()).clamp(0.0, 1.0),
            _ => 1.0,
        }
    }

    /// Bytes of the file for each further byte of events.
    fn last_cost(&self) -> f64 {
        let last = self.knots.len() - 1;
        let (a, b) = (self.knots[last.saturating_sub(LAST_SLOPE_BINS)], self.knots[last]);
        if last == 0 { b.1 / b.0 } else { (b.1 - a.1) / (b.0 - a.0) }
    }

    pub fn knots(&self) -> &[(f64, f64)] {
        &self.knots
    }
}

/// What came of encoding.
#[derive(Debug, Default)]
pub struct Measured {
    pub points: Vec<Point>,
    /// The same by place, ascending.
    pub own: HashMap<u32, Vec<Point>>,
    /// Rows of the largest file of each partition, and how many of them did not fit a column.
    pub rows: u64,
    pub misfits: u64,
    pub first_misfit: Option<String>,
}

/// Rows that are kept while the sample is read.
#[derive(Debug)]
pub struct Kept {
    many: HashMap<u32, Buffer>,
    large: HashMap<u32, Buffer>,
    /// Bytes of events that came so far, by place.
    seen: Vec<u64>,
    /// Places whose hash is below this are kept.
    below: u32,
    many_bytes: u64,
    limits: Limits,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub many_bytes: u64,
    pub large_places: usize,
    pub encoded_places: usize,
}

impl Limits {
    pub const CONFIGURED: Limits =
        Limits { many_bytes: MANY_BYTES, large_places: LARGE_PLACES, encoded_places: ENCODED_PLACES_MAX };
    /// A quarter of it: there are several other layouts.
    pub const OTHER: Limits =
        Limits { many_bytes: MANY_BYTES / 4, large_places: 1, encoded_places: ENCODED_PLACES_MAX / 4 };
}

impl Kept {
    pub fn new(limits: Limits) -> Kept {
        let (many, large) = (HashMap::new(), HashMap::new());
        Kept { many, large, seen: Vec::new(), below: u32::MAX, many_bytes: 0, limits }
    }

    /// A row of a partition of the table.
    pub fn add(&mut self, place: u32, path: &str, row: RowIn<'_>) {
        let (index, bytes) = (place as usize, row.data.len() as u64);
        if self.seen.len() <= index {
            self.seen.resize(index + 1, 0);
        }
        self.seen[index] += bytes;
        let seen = self.seen[index];
        let new = || Buffer::new(Output::Table.target(path.into()), 0);
        if self.large.contains_key(&place) || (seen > FEW_BYTES && self.large.len() < self.limits.large_places) {
            let buffer = self.large.entry(place).or_insert_with(new);
            if buffer.rope.data_bytes() < LARGE_BYTES {
                buffer.rope.push(row);
            }
        } else if seen <= FEW_BYTES && hash(path) <= self.below {
            self.many.entry(place).or_insert_with(new).rope.push(row);
            self.many_bytes += bytes;
            self.thin_out();
        }
    }

    fn thin_out(&mut self) {
        while self.many_bytes > self.limits.many_bytes && self.many.len() > 1 {
            self.below /= 2;
            let below = self.below;
            self.many.retain(|_, buffer| hash(buffer.target.path()) <= below);
            self.many_bytes = self.many.values().map(|buffer| buffer.rope.data_bytes()).sum();
        }
    }

    /// Encodes what is kept.
    pub fn measure(&self, rules: &FileRules, shard: &ShardId) -> Result<Measured, WriterError> {
        let mut many: Vec<(&u32, &Buffer)> = self.many.iter().collect();
        many.sort_by_key(|(_, buffer)| hash(buffer.target.path()));
        many.truncate(self.limits.encoded_places);
        let mut measured = Measured::default();
        for (place, buffer) in self.large.iter().chain(many) {
            measure(*place, buffer, rules, shard, &mut measured)?;
        }
        Ok(measured)
    }
}

fn hash(path: &str) -> u32 {
    crc32fast::hash(path.as_bytes())
}

fn measure(
    place: u32,
    buffer: &Buffer,
    rules: &FileRules,
    shard: &ShardId,
    measured: &mut Measured,
) -> Result<(), WriterError> {
    let rows: Vec<RowOut<'_>> = buffer.rope.iter().collect();
    let mut count = 1;
    loop {
        let part = first_rows(buffer, &rows[..count.min(rows.len())]);
        let naming = Naming { writer: "tune", cut: 1, file: 0, reason: FlushReason::Size };
        let made = make(&part, std::slice::from_ref(shard), rules, naming)?;
        if let Some(object) = &made.file.object {
            let (rows, data_bytes) = (part.rope.rows(), part.rope.data_bytes());
            let point = Point { rows, data_bytes, file_bytes: object.bytes };
            measured.points.push(point);
            measured.own.entry(place).or_default().push(point);
        }
        if count >= rows.len() {
            measured.rows += rows.len() as u64;
            measured.misfits += made.rejected;
            if made.rejected > 0 && measured.first_misfit.is_none() {
                measured.first_misfit = Some(first_message(&made.rejects));
            }
            return Ok(());
        }
        count *= 2;
    }
}

/// Of the first line of the errors output.
fn first_message(lines: &[u8]) -> String {
    let line = lines.split(|b| *b == b'\n').next().unwrap_or_default();
    let line: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    line["errorMessage"].as_str().unwrap_or("a value does not fit its column").into()
}

fn first_rows(of: &Buffer, rows: &[RowOut<'_>]) -> Buffer {
    let mut buffer: Buffer = Buffer::new(of.target.clone(), 0);
    buffer.before.insert(0, Position::zero());
    for row in rows {
        let (position, RowOut { arrived_at, data, outline, .. }) = (row.place.position(), *row);
        buffer.rope.push(RowIn { shard: 0, position: &position, arrived_at, data, outline, origin: None });
    }
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(data_bytes: u64, file_bytes: u64) -> Point {
        Point { rows: 1, data_bytes, file_bytes }
    }

    #[test]
    fn the_curve_goes_through_its_points_and_on_in_a_straight_line() {
        let law = |data: u64| 3_000 + data / 8;
        let points: Vec<Point> = (9..24).map(|power| point(1 << power, law(1 << power))).collect();
        let model = SizeModel::through(&points);
        for data in [600, 5_000, 70_000, 1 << 20, 100 << 20, 1 << 32] {
            let off = model.file_bytes(data) as f64 / law(data) as f64 - 1.0;
            assert!(off.abs() < 0.05, "{data}: {} of {}", model.file_bytes(data), law(data));
        }
        assert_eq!(SizeModel::default().file_bytes(77), 77);
        assert_eq!(SizeModel::through(&[point(1_000, 100)]).file_bytes(10_000), 1_000);
    }

    #[test]
    fn a_place_that_was_encoded_keeps_its_distance_from_the_curve() {
        let points = vec![point(1_000, 100), point(4_000, 400), point(1_000, 300), point(4_000, 1_600)];
        let own = HashMap::from([(3, points[..2].to_vec()), (4, points[2..].to_vec())]);
        let model = SizeModel::of(&Measured { points, own, ..Measured::default() });
        for (data, first, second) in [(1_000, 100, 300), (4_000, 400, 1_600)] {
            assert!(model.file_bytes_of(3, data).abs_diff(first) <= 2, "{}", model.file_bytes_of(3, data));
            assert!(model.file_bytes_of(4, data).abs_diff(second) <= 2, "{}", model.file_bytes_of(4, data));
        }
        assert_eq!(model.file_bytes_of(9, 2_000), model.file_bytes(2_000));
        assert!(model.file_bytes_of(3, 16_000) < model.file_bytes(16_000));
    }

    #[test]
    fn points_of_one_size_are_averaged_and_the_curve_never_falls() {
        let model = SizeModel::through(&[point(1_000, 50), point(1_000, 200), point(4_000, 80)]);
        let (small, large) = (model.file_bytes(1_000), model.file_bytes(4_000));
        assert!((99..=100).contains(&small) && small == large, "{small} {large}");
    }

    #[test]
    fn what_is_kept_stays_within_its_bounds_and_holds_large_partitions() {
        let mut kept = Kept::new(Limits { many_bytes: 20_000, large_places: 1, encoded_places: 10 });
        let data = vec![b'x'; 1_000];
        let push = |place: u32, kept: &mut Kept| {
            let position = Position::from_numbers(1, 1);
            let row = RowIn { shard: 0, position: &position, arrived_at: 0, data: &data, outline: &[], origin: None };
            kept.add(place, &format!("kind={place}"), row);
        };
        (0..500).for_each(|place| push(place, &mut kept));
        (0..10_000).for_each(|_| push(7, &mut kept));
        (0..10_000).for_each(|_| push(8, &mut kept));
        assert!(kept.many_bytes <= 20_000 && !kept.many.is_empty(), "{}", kept.many_bytes);
        assert_eq!(kept.large.keys().copied().collect::<Vec<_>>(), [7]);
        assert!(kept.large[&7].rope.data_bytes() <= LARGE_BYTES + 1_000);
    }
}
