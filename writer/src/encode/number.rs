//! Numbers from their text, exactly: 64-bit integers, decimals of up to 38 digits, floats.
//!
//! Accepted is JSON's grammar and, since strings reach numeric columns as well, a leading `+`, leading zeros, and a point
//! without digits on one of its sides. `NaN` and infinities are no numbers.

/// Most significant digits that fit an `i128` whatever they are.
const DIGITS_MAX: usize = 38;

/// A number's text taken apart. `digits` are around the point: `12.5` is `("12", "5", 0)`.
#[derive(Debug, Clone, Copy)]
struct Parts<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Parts<'a>> {
        let mut rest = text.as_bytes();
        let negative = rest.first() == Some(&b'-');
        if let [b'-' | b'+', tail @ ..] = rest {
            rest = tail;
        }
        let (whole, mut rest) = digits(rest);
        let mut fraction = &rest[..0];
        if let [b'.', tail @ ..] = rest {
            (fraction, rest) = digits(tail);
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        Some(Parts { negative, whole, fraction, exponent: exponent(rest)? })
    }
}

/// The digits at the front, and what follows them.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()))
}

/// `e` and its number, or nothing; an exponent beyond 64 bits is as good as the largest.
fn exponent(text: &[u8]) -> Option<i64> {
    let [b'e' | b'E', signed @ ..] = text else { return text.is_empty().then_some(0) };
    let (negative, unsigned) = match signed {
        [b'-', tail @ ..] => (true, tail),
        [b'+', tail @ ..] => (false, tail),
        _ => (false, signed),
    };
    let (number, rest) = digits(unsigned);
    if number.is_empty() || !rest.is_empty() {
        return None;
    }
    let value = number.iter().fold(0i64, |n, b| n.saturating_mul(10).saturating_add(i64::from(b - b'0')));
    Some(if negative { -value } else { value })
}

/// An integer: `7`, `7.0`, `70e-1`; none if the text is no number, has a fraction, or is beyond 64 bits.
pub(super) fn integer(text: &str) -> Option<i64> {
    plain_integer(text.as_bytes()).or_else(|| i64::try_from(decimal(text, DIGITS_MAX as u8, 0)?).ok())
}

/// The common case: an optional minus and up to 18 digits, which cannot overflow.
fn plain_integer(text: &[u8]) -> Option<i64> {
    let (negative, number) = match text {
        [b'-', tail @ ..] => (true, tail),
        _ => (false, text),
    };
    if number.is_empty() || number.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    for byte in number {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// The number times 10^scale; none if that is no whole number or has more than `precision` digits.
pub(super) fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let parts = Parts::of(text)?;
    let significant = Significant::of(&parts);
    if significant.count() == 0 {
        return Some(0);
    }
    let shift = parts.exponent.checked_add(significant.shift)?.checked_add(i64::from(scale))?;
    let zeros = usize::try_from(shift).ok()?;
    if significant.count().checked_add(zeros)? > usize::from(precision).min(DIGITS_MAX) {
        return None;
    }
    let value = significant.digits().fold(0i128, |n, digit| n * 10 + i128::from(digit - b'0'));
    let value = value * 10i128.pow(u32::try_from(zeros).ok()?);
    Some(if parts.negative { -value } else { value })
}

/// A number's digits without zeros in front and behind: value = digits * 10^shift.
#[derive(Debug)]
struct Significant<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    shift: i64,
}

impl<'a> Significant<'a> {
    fn of(parts: &Parts<'a>) -> Significant<'a> {
        let fraction = trim_end(parts.fraction);
        let whole = trim_start(parts.whole);
        if fraction.is_empty() {
            let trimmed = trim_end(whole);
            return Significant { whole: trimmed, fraction, shift: (whole.len() - trimmed.len()) as i64 };
        }
        let shift = -(fraction.len() as i64);
        Significant { whole, fraction: if whole.is_empty() { trim_start(fraction) } else { fraction }, shift }
    }

    fn count(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }
}

fn trim_start(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().position(|b| *b != b'0').unwrap_or(digits.len())..]
}

fn trim_end(digits: &[u8]) -> &[u8] {
    &digits[..digits.iter().rposition(|b| *b != b'0').map_or(0, |last| last + 1)]
}

/// The nearest double; none if the text is no number or beyond the largest double.
pub(super) fn double(text: &str) -> Option<f64> {
    Parts::of(text)?;
    text.parse::<f64>().ok().filter(|v| v.is_finite())
}

/// The nearest float; none if the text is no number or beyond the largest float.
pub(super) fn float(text: &str) -> Option<f32> {
    Parts::of(text)?;
    text.parse::<f32>().ok().filter(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_to_their_bounds() {
        for (text, value) in [
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("9007199254740993", 9_007_199_254_740_993),
            ("9223372036854775807.000", i64::MAX),
            ("1.0", 1),
            ("1e3", 1000),
            ("120e-1", 12),
            ("-0", 0),
            ("-0.0e99", 0),
            ("0e999999999999999999999", 0),
            ("007", 7),
            ("+7", 7),
            ("9.223372036854775807e18", i64::MAX),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        for text in [
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
            "1.5",
            "1e-1",
            "1e400",
            "1e99999999999999999999",
            "",
            "-",
            "+",
            ".",
            "e5",
            "1e",
            "1e+",
            "1x",
            " 1",
            "1 ",
            "0x10",
            "1_000",
            "NaN",
            "--1",
            "1.2.3",
        ] {
            assert_eq!(integer(text), None, "{text:?}");
        }
    }

    #[test]
    fn decimals_keep_every_digit() {
        for (text, precision, scale, value) in [
            ("1234567890123456789012345678.0123456789", 38, 10, 12_345_678_901_234_567_890_123_456_780_123_456_789),
            ("-0.0000000001", 38, 10, -1),
            ("1.50", 4, 1, 15),
            ("12e2", 6, 2, 120_000),
            ("0.001e3", 1, 0, 1),
            ("99.99", 4, 2, 9999),
            ("99999999999999999999999999999999999999", 38, 0, 10i128.pow(38) - 1),
            (".5", 2, 1, 5),
            ("5.", 2, 1, 50),
            ("0.00", 1, 0, 0),
        ] {
            assert_eq!(decimal(text, precision, scale), Some(value), "{text}");
        }
    }

    #[test]
    fn decimals_are_never_rounded_or_cut() {
        for (text, precision, scale) in
            [("1.255", 5, 2), ("100", 4, 2), ("1e38", 38, 0), ("1e-11", 38, 10), ("1e37", 38, 10), ("99.995", 4, 2)]
        {
            assert_eq!(decimal(text, precision, scale), None, "{text}");
        }
    }

    #[test]
    fn floats_are_nearest_and_finite() {
        assert_eq!(double("0.1"), Some(0.1));
        assert_eq!(double("1.7976931348623157e308"), Some(f64::MAX));
        assert_eq!(double("-0").map(f64::to_bits), Some((-0.0f64).to_bits()));
        assert_eq!(double("1e-400"), Some(0.0));
        assert_eq!(float("16777217"), Some(16_777_216.0));
        for text in ["1e400", "-1e400", "inf", "NaN", "infinity", "", "abc", "1f"] {
            assert_eq!(double(text), None, "{text}");
        }
        assert_eq!(float("1e39"), None);
    }
}
