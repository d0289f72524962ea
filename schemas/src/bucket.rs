//! Buckets: a bounded number of partitions out of an unbounded set of ids, in a way every SQL engine can compute too.
//!
//! - An integer goes to its floor-modulus, never negative, exact however long it is: `((id % n) + n) % n` in every engine.
//!   A number that is integral is the integer it is, however it is written (`5.0`, `1e3`).
//! - A string goes to the CRC-32 (IEEE, as in zip and gzip) of its UTF-8 bytes, modulo n. A string of digits is a string.
//!
//! Anything else (fractions, booleans, null, arrays, objects) has no bucket.
//!
//! | engine | integers | strings |
//! | --- | --- | --- |
//! | Athena, Trino | `((id % n) + n) % n` | `crc32(to_utf8(id)) % n` |
//! | Spark, Hive | `pmod(id, n)` | `crc32(id) % n` (a string's bytes are UTF-8) |
//! | DuckDB | `((id % n) + n) % n`; a `BIGINT` near its end needs `id::HUGEINT` | [`DUCKDB_CRC32`], then `crc32(id) % n` |

/// The macro that gives DuckDB (which has no `crc32`) the CRC-32 of a string's UTF-8 bytes, bit by bit over the reversed
/// polynomial.
pub const DUCKDB_CRC32: &str = "\
CREATE OR REPLACE MACRO crc32(s) AS xor(4294967295::UBIGINT, list_reduce(
  list_prepend(4294967295::UBIGINT, [('0x' || h)::UBIGINT for h in regexp_extract_all(hex(encode(s)), '..')]),
  lambda c, b: list_reduce(list_prepend(xor(c, b), range(8)::UBIGINT[]), lambda r, i: xor(r >> 1, (r & 1) * 3988292384::UBIGINT))
))";

/// The bucket of an integer among `n`.
pub fn bucket_i64(value: i64, n: u32) -> u32 {
    assert_some(n);
    value.rem_euclid(i64::from(n)) as u32
}

/// The bucket of an unsigned integer among `n`.
pub fn bucket_u64(value: u64, n: u32) -> u32 {
    assert_some(n);
    (value % u64::from(n)) as u32
}

/// The bucket of a 128-bit integer among `n`.
pub fn bucket_i128(value: i128, n: u32) -> u32 {
    assert_some(n);
    value.rem_euclid(i128::from(n)) as u32
}

/// The bucket of a string among `n`.
pub fn bucket_str(value: &str, n: u32) -> u32 {
    assert_some(n);
    crc32fast::hash(value.as_bytes()) % n
}

/// The bucket of a number written as JSON, if it is integral: `-?digits[.digits][e[+-]digits]`, of any length.
pub fn bucket_number(text: &str, n: u32) -> Option<u32> {
    assert_some(n);
    if let Ok(value) = text.parse::<i64>() {
        return if text.starts_with('+') { None } else { Some(bucket_i64(value, n)) };
    }
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let number = Decimal::parse(unsigned)?;
    let rest = number.modulo(u64::from(n))?;
    Some(if negative && rest > 0 { n - rest as u32 } else { rest as u32 })
}

fn assert_some(n: u32) {
    assert!(n > 0, "a bucket count is at least 1: the compiler of keys has checked");
}

/// An unsigned decimal number: its digits without leading and trailing zeros, times ten to the `exponent`.
struct Decimal<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Decimal<'a>> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !fraction.is_none_or(digits) {
            return None;
        }
        Some(Decimal { whole: whole.as_bytes(), fraction: fraction.unwrap_or_default().as_bytes(), exponent })
    }

    /// Modulo `n`, if integral.
    fn modulo(&self, n: u64) -> Option<u64> {
        let digits: Vec<u8> = self.whole.iter().chain(self.fraction).map(|b| b - b'0').collect();
        let Some(last) = digits.iter().rposition(|d| *d != 0) else {
            return Some(0);
        };
        // Ten to this many times the digits up to the last one that is not zero.
        let zeros =
            self.exponent.checked_sub(self.fraction.len() as i64)?.checked_add((digits.len() - 1 - last) as i64)?;
        if zeros < 0 {
            return None;
        }
        let significant = digits[..=last].iter().fold(0, |rest, d| (rest * 10 + u64::from(*d)) % n);
        Some(significant * power_of_ten(zeros as u64, n) % n)
    }
}

/// Exponents beyond this many digits are no number anyone means.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn power_of_ten(mut exponent: u64, n: u64) -> u64 {
    let (mut result, mut base) = (1 % n, 10 % n);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % n;
        }
        base = base * base % n;
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_are_exact_at_every_length() {
        for (text, n, bucket) in [
            ("0", 10, 0),
            ("-0", 10, 0),
            ("-7", 10, 3),
            ("-10", 10, 0),
            ("9007199254740993", 10, 3),
            ("9223372036854775807", 10, 7),
            ("-9223372036854775808", 10, 2),
            ("18446744073709551615", 10, 5),
            ("123456789012345678901234567890123456789012345678901234567893", 10, 3),
            ("-123456789012345678901234567890123456789012345678901234567893", 10, 7),
            ("5.0", 3, 2),
            ("1e3", 7, 6),
            ("1.5e1", 10, 5),
            ("1200e-2", 10, 2),
            ("-1.5E+1", 10, 5),
            ("0.000", 10, 0),
            ("0e99999999999", 10, 0),
            ("1e1000000000000", 7, 4),
        ] {
            assert_eq!(bucket_number(text, n), Some(bucket), "{text}");
        }
    }

    #[test]
    fn fractions_and_what_is_no_number_have_no_bucket() {
        for text in [
            "1.5",
            "15e-1",
            "1e-1",
            "",
            "-",
            "+1",
            "a",
            "1.",
            ".1",
            "1e",
            "1e+",
            "0x1",
            "1 ",
            "NaN",
            "1e99999999999999999999",
        ] {
            assert_eq!(bucket_number(text, 10), None, "{text}");
        }
    }

    #[test]
    fn strings_go_by_crc32_of_their_bytes() {
        // Check value of CRC-32/ISO-HDLC: crc32("123456789") = 0xCBF43926.
        assert_eq!(bucket_str("123456789", u32::MAX), 0xCBF4_3926);
        assert_eq!(bucket_str("", 10), 0);
        assert_eq!(bucket_str("é", u32::MAX), crc32fast::hash(&[0xC3, 0xA9]));
    }

    proptest! {
        #[test]
        fn text_and_integer_agree(value: i64, n in 1u32..) {
            prop_assert_eq!(bucket_number(&value.to_string(), n), Some(bucket_i64(value, n)));
            prop_assert_eq!(bucket_number(&format!("{value}.0"), n), Some(bucket_i64(value, n)));
            prop_assert_eq!(bucket_number(&format!("{value}e0"), n), Some(bucket_i64(value, n)));
            prop_assert_eq!(bucket_i128(i128::from(value), n), bucket_i64(value, n));
        }

        #[test]
        fn text_and_unsigned_agree(value: u64, n in 1u32..) {
            prop_assert_eq!(bucket_number(&value.to_string(), n), Some(bucket_u64(value, n)));
        }
    }
}
