//! Small numbers as Parquet's hybrid of runs and bit-packed groups: levels and indexes into dictionaries are written so.
//!
//! Eight equal numbers where a group would begin are a run, which goes on as far as they stay equal; everything else is packed in
//! groups of eight. (parquet-format, Encodings.md, "RLE = 3"; where runs begin is as the parquet crate has it.)

/// Numbers of one group.
const GROUP: usize = 8;
/// Groups behind one header at most: so the header is one byte, which can be filled in afterwards.
const GROUPS_MAX: usize = 63;

/// Bits that hold every number up to `max`.
pub(super) fn width_of(max: u32) -> u32 {
    u32::BITS - max.leading_zeros()
}

/// Appends `numbers`, none of which needs more than `width` bits.
pub(super) fn write<N: Copy + PartialEq + Into<u32>>(numbers: &[N], width: u32, out: &mut Vec<u8>) {
    let mut packed = Packed { header: None, groups: 0, width };
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|number| *number == first).count();
        // What is left at the end is a run too, unless it has groups to join.
        if same >= GROUP || (same == rest.len() && packed.header.is_none()) {
            packed.end(out);
            write_run((*first).into(), same, width, out);
            rest = &rest[same..];
        } else {
            let (group, behind) = rest.split_at(rest.len().min(GROUP));
            packed.push(group, out);
            rest = behind;
        }
    }
    packed.end(out);
}

fn write_run(number: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    write_varint((count as u64) << 1, out);
    out.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Groups behind one header.
struct Packed {
    /// Where it stands.
    header: Option<usize>,
    groups: usize,
    width: u32,
}

impl Packed {
    /// A group of eight, or of fewer and zeros.
    #[inline]
    fn push<N: Copy + Into<u32>>(&mut self, group: &[N], out: &mut Vec<u8>) {
        if self.header.is_none() {
            self.header = Some(out.len());
            out.push(0);
        }
        let (mut bits, mut filled) = (0u64, 0);
        for place in 0..GROUP {
            let number: u32 = group.get(place).map_or(0, |number| (*number).into());
            bits |= u64::from(number) << filled;
            filled += self.width;
            while filled >= 8 {
                out.push(bits as u8);
                bits >>= 8;
                filled -= 8;
            }
        }
        self.groups += 1;
        if self.groups == GROUPS_MAX {
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut [u8]) {
        if let Some(header) = self.header.take() {
            out[header] = (self.groups << 1 | 1) as u8;
            self.groups = 0;
        }
    }
}

/// Groups of seven bits, the lowest first.
pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is written, read by the rules of the format.
    fn read(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut numbers = vec![];
        while numbers.len() < count {
            let (mut header, mut shift) = (0u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            let (runs, length) = ((header & 1 == 0), (header >> 1) as usize);
            let taken = if runs { width.div_ceil(8) as usize } else { length * width as usize };
            let bit = |at: usize| u32::from(bytes[at / 8] >> (at % 8) & 1);
            let number = |from: usize| (0..width as usize).map(|n| bit(from + n) << n).sum::<u32>();
            match runs {
                true => numbers.extend(std::iter::repeat_n(number(0), length)),
                false => numbers.extend((0..length * 8).map(|n| number(n * width as usize))),
            }
            bytes = &bytes[taken..];
        }
        assert!(bytes.is_empty(), "{} bytes too many", bytes.len());
        numbers.truncate(count);
        numbers
    }

    fn there_and_back(numbers: &[u32]) {
        let width = width_of(numbers.iter().copied().max().unwrap_or(0));
        let mut out = vec![];
        write(numbers, width, &mut out);
        assert_eq!(read(&out, width, numbers.len()), numbers);
    }

    #[test]
    fn runs_and_groups_as_the_format_has_them() {
        let mut out = vec![];
        write(&[1u8; 100], 1, &mut out);
        assert_eq!(out, [200, 1, 1], "one run of 100");
        out.clear();
        write(&[0u32, 1, 2, 3, 4, 5, 6, 7], 3, &mut out);
        assert_eq!(out, [3, 0b1000_1000, 0b1100_0110, 0b1111_1010], "one group, the example of the format");
        out.clear();
        write(&[5u32], 3, &mut out);
        assert_eq!(out, [2, 5], "a short run");
        there_and_back(&[]);
    }

    #[test]
    fn headers_stay_one_byte() {
        there_and_back(&(0..5000).collect::<Vec<u32>>());
    }

    proptest! {
        #[test]
        fn everything_comes_back(
            runs in proptest::collection::vec((0u32..1 << 20, 1usize..40), 0..60),
            shift in 0u32..20,
        ) {
            let numbers: Vec<u32> = runs.iter().flat_map(|(n, count)| std::iter::repeat_n(n >> shift, *count)).collect();
            there_and_back(&numbers);
        }
    }
}
