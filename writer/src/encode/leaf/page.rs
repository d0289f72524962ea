//! The open page of a leaf: levels and values since the last page was finished.

use std::ops::Range;

use ::parquet::basic::Encoding;
use ::parquet::bloom_filter::Sbbf;
use ::parquet::errors::ParquetError;
use arrow_buffer::NullBufferBuilder;

use super::bounds::Bounds;
use super::dictionary::Dictionary;
use super::fixed::{Fixed, Long};
use super::levels::Levels;
use super::{Physical, Plan, Shape, runs};

/// Bytes of a length in front of a value.
pub(in super::super) const LENGTH: usize = size_of::<u32>();

/// Values of a column under construction.
pub(in super::super) trait Values {
    /// Hands those of these slots that are valid to the page.
    fn write(&self, slots: Range<usize>, valid: &NullBufferBuilder, page: &mut Page);
}

/// See the module's text.
pub(in super::super) struct Page {
    physical: Physical,
    definition: Vec<u8>,
    repetition: Vec<u8>,
    rows: usize,
    held: Held,
    /// Bytes of values that differ in length, without their lengths.
    text_bytes: usize,
    bounds: Bounds,
    bloom: Option<Sbbf>,
    /// Of each of the dictionary's values, the page that had it last, if pages have bounds of their own.
    last_pages: Option<Vec<u32>>,
    number: u32,
}

/// The values.
enum Held {
    /// As they will stand in the page.
    Plain(Vec<u8>),
    Bits(Vec<u8>),
    Numbers(Dictionary, Vec<u32>),
}

impl Page {
    pub(super) fn new(physical: Physical) -> Page {
        Page {
            physical,
            definition: vec![],
            repetition: vec![],
            rows: 0,
            held: Held::new(physical, false),
            text_bytes: 0,
            bounds: Bounds::None,
            bloom: None,
            last_pages: None,
            number: 0,
        }
    }

    /// The first page of a chunk.
    pub(super) fn begin(&mut self, plan: Plan) -> Result<(), ParquetError> {
        self.held.begin(self.physical, plan.dictionary);
        self.clear();
        self.number = 0;
        self.last_pages = plan.paged.then(Vec::new);
        self.bloom = plan.bloom.map(|(distinct, passes)| Sbbf::new_with_ndv_fpp(distinct, passes)).transpose()?;
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.definition.clear();
        self.repetition.clear();
        self.held.clear();
        self.bounds = Bounds::None;
        (self.rows, self.text_bytes) = (0, 0);
        self.number += 1;
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Bytes of texts, if the values are some.
    pub(super) fn text_bytes(&self) -> Option<usize> {
        self.physical.is_bytes().then_some(self.text_bytes)
    }

    /// How often each level up to `max` occurs; none if there are no levels.
    pub(super) fn counts(&self, shape: &Shape) -> (Vec<usize>, Vec<usize>) {
        let count =
            |levels: &[u8], max| (0..=max).map(|l| levels.iter().filter(|level| **level == l).count()).collect();
        (count(&self.definition, shape.definition_max), count(&self.repetition, shape.repetition_max))
    }

    /// With nulls.
    pub(super) fn entries(&self) -> usize {
        self.definition.len()
    }

    /// Of the values alone.
    pub(super) fn bytes(&self) -> usize {
        match &self.held {
            Held::Plain(bytes) => bytes.len(),
            Held::Bits(bits) => bits.len() / 8,
            Held::Numbers(dictionary, numbers) => numbers.len() * width(dictionary) as usize / 8,
        }
    }

    pub(super) fn dictionary(&self) -> Option<&Dictionary> {
        if let Held::Numbers(dictionary, _) = &self.held { Some(dictionary) } else { None }
    }

    pub(super) fn dictionary_bytes(&self) -> usize {
        self.dictionary().map_or(0, |dictionary| dictionary.page().len())
    }

    pub(super) fn forget_dictionary(&mut self) {
        self.held = Held::new(self.physical, false);
    }

    pub(super) fn take_bloom(&mut self, plan: Option<(u64, f64)>) -> Option<Sbbf> {
        let mut bloom = self.bloom.take()?;
        if let Some((_, passes)) = plan {
            bloom.fold_to_target_fpp(passes);
        }
        Some(bloom)
    }

    pub(super) fn add_levels(
        &mut self,
        levels: &Levels,
        piece: &Range<usize>,
        first_slot: usize,
        valid: Option<&NullBufferBuilder>,
    ) {
        levels.write(piece, first_slot, valid, (&mut self.definition, &mut self.repetition));
        self.rows += levels.rows_in(piece);
    }

    /// Adds numbers.
    #[inline]
    pub(in super::super) fn fixed<V: Fixed>(&mut self, values: impl Iterator<Item = V> + Clone) {
        self.bounds.add(&Bounds::of(values.clone(), V::bounds));
        match (&mut self.held, &mut self.bloom) {
            (Held::Numbers(dictionary, numbers), bloom) => {
                for value in values {
                    let stored = value.stored();
                    let (number, is_new) = dictionary.number_of(stored.as_ref());
                    numbers.push(number);
                    if let Some(bloom) = bloom.as_mut().filter(|_| is_new) {
                        bloom.insert(stored.as_ref());
                    }
                }
            }
            (Held::Plain(bytes) | Held::Bits(bytes), None) => {
                values.for_each(|value| bytes.extend_from_slice(value.stored().as_ref()))
            }
            (Held::Plain(bytes) | Held::Bits(bytes), Some(bloom)) => {
                for value in values {
                    bytes.extend_from_slice(value.stored().as_ref());
                    bloom.insert(value.stored().as_ref());
                }
            }
        }
    }

    /// Adds decimals, which are stored as their precision asks for.
    pub(in super::super) fn decimals(&mut self, values: impl Iterator<Item = i128> + Clone) {
        match self.physical {
            Physical::Int32 => self.fixed(values.map(|value| value as i32)),
            Physical::Int64 => self.fixed(values.map(|value| value as i64)),
            Physical::Fixed(length) => self.fixed(values.map(|value| Long { value, length })),
            _ => unreachable!("the encoder has made the column for decimals"),
        }
    }

    /// Adds strings or binaries, each behind its length.
    #[inline]
    pub(in super::super) fn texts(&mut self, all: &[u8]) {
        let Page { held, bounds, bloom, last_pages, number: page, text_bytes, .. } = self;
        match held {
            Held::Numbers(dictionary, numbers) => {
                for value in Apart(all) {
                    *text_bytes += value.len();
                    let (number, is_new) = dictionary.number_of(value);
                    numbers.push(number);
                    if is_new || last_pages.as_ref().is_some_and(|last| last[number as usize] != *page) {
                        bounds.add_bytes(value);
                        remember(last_pages, number as usize, *page);
                    }
                    if let Some(bloom) = bloom.as_mut().filter(|_| is_new) {
                        bloom.insert(value);
                    }
                }
            }
            Held::Plain(bytes) | Held::Bits(bytes) => {
                bytes.extend_from_slice(all);
                for value in Apart(all) {
                    *text_bytes += value.len();
                    bounds.add_bytes(value);
                    if let Some(bloom) = bloom {
                        bloom.insert(value);
                    }
                }
            }
        }
    }

    /// Adds booleans.
    pub(in super::super) fn bits(&mut self, values: impl Iterator<Item = bool> + Clone) {
        self.bounds.add(&Bounds::of(values.clone(), Bounds::Boolean));
        if let Held::Bits(bits) = &mut self.held {
            bits.extend(values.map(u8::from));
        }
    }

    /// Appends all of it as the page has it.
    pub(super) fn write(&self, shape: &Shape, out: &mut Vec<u8>) -> Encoding {
        write_levels(&self.repetition, shape.repetition_max, out);
        write_levels(&self.definition, shape.definition_max, out);
        match &self.held {
            Held::Plain(bytes) => out.extend_from_slice(bytes),
            Held::Bits(bits) => {
                out.extend(bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit)))
            }
            Held::Numbers(dictionary, numbers) => {
                out.push(width(dictionary) as u8);
                runs::write(numbers, width(dictionary), out);
                return Encoding::RLE_DICTIONARY;
            }
        }
        Encoding::PLAIN
    }
}

/// Values that stand behind their lengths.
struct Apart<'v>(&'v [u8]);

impl<'v> Iterator for Apart<'v> {
    type Item = &'v [u8];

    #[inline(always)]
    fn next(&mut self) -> Option<&'v [u8]> {
        let (length, rest) = self.0.split_first_chunk::<LENGTH>()?;
        let (value, behind) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = behind;
        Some(value)
    }
}

fn remember(last_pages: &mut Option<Vec<u32>>, number: usize, page: u32) {
    let Some(last) = last_pages else { return };
    if number == last.len() {
        last.push(page);
    }
    last[number] = page;
}

/// With its length in front, if there is anything to say.
fn write_levels(levels: &[u8], max: u8, out: &mut Vec<u8>) {
    if max == 0 {
        return;
    }
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    runs::write(levels, runs::width_of(max.into()), out);
    let length = (out.len() - start - LENGTH) as u32;
    out[start..][..LENGTH].copy_from_slice(&length.to_le_bytes());
}

fn width(dictionary: &Dictionary) -> u32 {
    runs::width_of((dictionary.len() as u32).saturating_sub(1))
}

impl Held {
    fn new(physical: Physical, dictionary: bool) -> Held {
        match physical {
            Physical::Boolean => Held::Bits(vec![]),
            _ if dictionary => Held::Numbers(Dictionary::new(physical.is_bytes()), vec![]),
            _ => Held::Plain(vec![]),
        }
    }

    /// As new, in the memory of before where it is of the same kind.
    fn begin(&mut self, physical: Physical, dictionary: bool) {
        match self {
            Held::Numbers(before, _) if dictionary => before.clear(),
            Held::Plain(_) | Held::Bits(_) if !dictionary || physical == Physical::Boolean => {}
            _ => *self = Held::new(physical, dictionary),
        }
    }

    fn clear(&mut self) {
        match self {
            Held::Plain(bytes) | Held::Bits(bytes) => bytes.clear(),
            Held::Numbers(_, numbers) => numbers.clear(),
        }
    }
}
