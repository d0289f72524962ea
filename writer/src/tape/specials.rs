//! Where the bytes stand that cannot stand in a string by themselves (quotes, backslashes, control characters), one after the other.
//!
//! They are looked for in whole blocks, wherever strings begin and end, so that no look waits for what came of the one before.

use wide::u8x16;

/// See the module's text.
#[derive(Clone, Copy)]
pub(super) struct Specials<'t> {
    bytes: &'t [u8],
    /// Of the block at hand, those that were not given yet.
    left: u64,
    /// Where it begins.
    begin: usize,
    /// Where the next one begins.
    behind: usize,
}

/// Bytes of a text that are looked at together.
const BLOCK: usize = 64;

impl<'t> Specials<'t> {
    pub(super) fn of(bytes: &'t [u8]) -> Self {
        Specials { bytes, left: 0, begin: 0, behind: 0 }
    }

    /// The text's length if there is none left.
    #[inline(always)]
    pub(super) fn next(&mut self) -> usize {
        while self.left == 0 {
            if self.behind >= self.bytes.len() {
                return self.bytes.len();
            }
            self.block();
        }
        let at = self.begin + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        at
    }

    #[inline]
    fn block(&mut self) {
        self.begin = self.behind;
        self.behind += BLOCK;
        let rest = &self.bytes[self.begin..];
        self.left = match rest.first_chunk::<BLOCK>() {
            Some(block) => specials(block),
            None => {
                let mut block = [b' '; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                specials(&block)
            }
        };
    }
}

/// Which bytes of a block are special.
#[inline]
fn specials(block: &[u8; BLOCK]) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    let part = |number: usize| {
        let part = u8x16::new(parts[number]);
        let control = part.min(u8x16::splat(0x1f)).simd_eq(part);
        let special = control | part.simd_eq(u8x16::splat(b'"')) | part.simd_eq(u8x16::splat(b'\\'));
        u64::from(special.to_bitmask())
    };
    part(0) | part(1) << 16 | part(2) << 32 | part(3) << 48
}
