//! Numbers: integers are exact at any length, everything else is a double.
//!
//! That is so unless jq 1.6's numbers are asked for ([`with_doubles`]). jq 1.6 has doubles only, jaq keeps what was written. A partition key needs one text per number, so here a number that is
//! integral is an integer however it is written (`1.0`, `1e3`), and arithmetic on integers is exact as long as 128 bits hold it.

use std::cell::Cell;
use std::cmp::Ordering;
use std::sync::Arc;

thread_local! {
    static DOUBLES: Cell<bool> = const { Cell::new(false) };
}

/// Smallest integer that has a neighbour no double tells from it.
const EXACT_LIMIT: i128 = 1 << 53;

/// Runs `evaluate` with jq 1.6's numbers, if `doubles`, else with ours. Where they are jq's, what is integral and below 2^53 is an
/// integer all the same (it has the same text and the same sums), and everything else a double.
pub(crate) fn with_doubles<T>(doubles: bool, evaluate: impl FnOnce() -> T) -> T {
    struct Restored(bool);
    impl Drop for Restored {
        fn drop(&mut self) {
            DOUBLES.set(self.0);
        }
    }
    // An evaluation may be left by unwinding.
    let _restored = Restored(DOUBLES.replace(doubles));
    evaluate()
}

/// Whether numbers are jq 1.6's on this thread.
pub(crate) fn are_doubles() -> bool {
    DOUBLES.get()
}

/// Longest integer, in digits, that an exponent may write out; beyond it the number is a double (`1e1000` the largest one).
const DIGITS_MAX: usize = 400;

/// Largest power of two below which a double that is integral becomes an integer.
const INT_LIMIT: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

/// Never an integral double below 2^127; where numbers are doubles, no integer from 2^53 on, and the double `-0.0`.
#[derive(Debug, Clone)]
pub(crate) enum Num {
    Int(i128),
    /// Integer beyond 128 bits: sign and digits, no leading zeros.
    Big(Arc<str>),
    Float(f64),
}

impl Num {
    /// A number written as JSON (checked by whoever calls).
    pub(crate) fn parse(text: &str) -> Num {
        if are_doubles() {
            // What is too large is infinite in sums, and the largest double as text.
            return Num::from_f64(text.parse().unwrap_or(f64::NAN));
        }
        if let Ok(value) = text.parse::<i64>() {
            return Num::Int(i128::from(value));
        }
        integral(text).unwrap_or_else(|| {
            let value: f64 = text.parse().unwrap_or(f64::NAN);
            Num::from_f64(value.clamp(f64::MIN, f64::MAX))
        })
    }

    pub(crate) fn from_f64(value: f64) -> Num {
        let limit = if are_doubles() { EXACT_LIMIT as f64 } else { INT_LIMIT };
        let negative_zero = are_doubles() && value == 0.0 && value.is_sign_negative();
        let whole = value.fract() == 0.0 && value.abs() < limit && !negative_zero;
        if whole { Num::Int(value as i128) } else { Num::Float(value) }
    }

    /// The outcome of exact arithmetic.
    fn whole(value: i128) -> Num {
        let rounded = are_doubles() && value.unsigned_abs() >= EXACT_LIMIT.unsigned_abs();
        if rounded { Num::Float(value as f64) } else { Num::Int(value) }
    }

    pub(crate) fn as_f64(&self) -> f64 {
        match self {
            Num::Int(value) => *value as f64,
            Num::Big(digits) => digits.parse().unwrap_or(f64::NAN),
            Num::Float(value) => *value,
        }
    }

    /// Towards zero; what is too large is the largest.
    pub(crate) fn truncated(&self) -> i128 {
        match self {
            Num::Int(value) => *value,
            other => other.as_f64() as i128,
        }
    }

    pub(crate) fn is_nan(&self) -> bool {
        matches!(self, Num::Float(value) if value.is_nan())
    }

    pub(crate) fn add(&self, other: &Num) -> Num {
        self.exact(other, i128::checked_add, |a, b| a + b)
    }

    pub(crate) fn sub(&self, other: &Num) -> Num {
        self.exact(other, i128::checked_sub, |a, b| a - b)
    }

    pub(crate) fn mul(&self, other: &Num) -> Num {
        self.exact(other, i128::checked_mul, |a, b| a * b)
    }

    fn exact(&self, other: &Num, int: fn(i128, i128) -> Option<i128>, float: fn(f64, f64) -> f64) -> Num {
        let exact = match (self, other) {
            (Num::Int(a), Num::Int(b)) => int(*a, *b),
            _ => None,
        };
        exact.map_or_else(|| Num::from_f64(float(self.as_f64(), other.as_f64())), Num::whole)
    }

    /// `None`: the divisor is zero.
    pub(crate) fn div(&self, other: &Num) -> Option<Num> {
        match (self, other) {
            (_, Num::Int(0)) => None,
            (Num::Int(a), Num::Int(b)) if a.checked_rem(*b) == Some(0) => a.checked_div(*b).map(Num::Int),
            _ => Some(Num::from_f64(self.as_f64() / other.as_f64())),
        }
    }

    /// jq's `%`: both sides truncated to integers, sign of the dividend. `None`: the divisor is zero.
    pub(crate) fn rem(&self, other: &Num) -> Option<Num> {
        if are_doubles() {
            let (left, right) = (self.machine_word(), other.machine_word());
            return (right != 0).then(|| Num::whole(i128::from(left.checked_rem(right).unwrap_or(0))));
        }
        if self.is_nan() || other.is_nan() {
            return Some(Num::Float(f64::NAN));
        }
        let divisor = other.truncated();
        if divisor == 0 {
            return None;
        }
        Some(Num::Int(match self {
            Num::Big(digits) if divisor.unsigned_abs() < 1 << 120 => rem_digits(digits, divisor.unsigned_abs()),
            _ => self.truncated().checked_rem(divisor).unwrap_or(0),
        }))
    }

    /// As a processor makes 64 bits of a double: what does not fit is the least there is.
    fn machine_word(&self) -> i64 {
        let value = self.as_f64().trunc();
        let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
        if fits { value as i64 } else { i64::MIN }
    }

    pub(crate) fn neg(&self) -> Num {
        match self {
            _ if are_doubles() => Num::from_f64(-self.as_f64()),
            Num::Big(digits) => {
                Num::Big(digits.strip_prefix('-').map_or_else(|| format!("-{digits}"), str::to_string).into())
            }
            _ => Num::Int(0).sub(self),
        }
    }

    /// The text of the number, as a key and in JSON: digits for an integer, the shortest that reads back for a double, with an
    /// exponent where jq 1.6 writes one. The infinities are the largest doubles; NaN has no text.
    pub(crate) fn text(&self) -> String {
        match self {
            Num::Int(value) => value.to_string(),
            Num::Big(digits) => digits.to_string(),
            Num::Float(value) => float_text(value.clamp(f64::MIN, f64::MAX)),
        }
    }

    /// Total: NaN is below everything and equal to itself.
    pub(crate) fn order(&self, other: &Num) -> Ordering {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => a.cmp(b),
            _ => {
                let (a, b) = (self.as_f64(), other.as_f64());
                a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
            }
        }
    }
}

/// The number as an integer, if it is one of reasonable length.
fn integral(text: &str) -> Option<Num> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let point = whole.len() as i64 + i64::from(exponent);
    let significant = digits.trim_end_matches('0').len();
    if significant == 0 {
        return Some(Num::Int(0));
    }
    if (significant as i64) > point || point > DIGITS_MAX as i64 && exponent != 0 {
        return None;
    }
    digits.truncate(point.min(digits.len() as i64) as usize);
    digits.extend(std::iter::repeat_n('0', point as usize - digits.len()));
    let text = format!("{sign}{}", digits.trim_start_matches('0'));
    Some(text.parse().map_or_else(|_| Num::Big(text.as_str().into()), Num::Int))
}

fn rem_digits(digits: &str, divisor: u128) -> i128 {
    let unsigned = digits.trim_start_matches('-');
    let rest = unsigned.bytes().fold(0u128, |rest, b| (rest * 10 + u128::from(b - b'0')) % divisor) as i128;
    if unsigned.len() < digits.len() { -rest } else { rest }
}

/// As David Gay's `g_fmt` (which jq 1.6 uses) lays a double out.
fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "null".to_string();
    }
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes an integer exponent");
    let mut digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if are_doubles() {
        half_to_even(value, &mut digits);
    }
    let point = exponent + 1;
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if point <= -4 || point > digits.len() as i32 + 15 {
        let rest = if digits.len() > 1 { format!(".{}", &digits[1..]) } else { String::new() };
        let direction = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{}{rest}e{direction}{:02}", &digits[..1], exponent.abs());
    }
    if point <= 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(-point as usize));
    }
    let point = point as usize;
    if point >= digits.len() {
        return format!("{sign}{digits}{}", "0".repeat(point - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..point], &digits[point..])
}

/// Where two texts of one length are equally near to a double, Rust takes the greater and Gay the even one.
fn half_to_even(value: f64, digits: &mut String) {
    /// More digits than a double half-way between two shortest texts has.
    const EXACT: usize = 40;
    let exact: String =
        format!("{:.EXACT$e}", value.abs()).chars().take_while(|c| *c != 'e').filter(char::is_ascii_digit).collect();
    let Some(odd) = digits.pop() else { return };
    let even = if (odd as u8).is_multiple_of(2) { odd } else { char::from(odd as u8 - 1) };
    let rest = exact
        .strip_prefix(digits.as_str())
        .and_then(|rest| rest.strip_prefix(even))
        .and_then(|rest| rest.strip_prefix('5'));
    digits.push(if rest.is_some_and(|rest| rest.bytes().all(|b| b == b'0')) { even } else { odd });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_has_one_text_however_it_is_written() {
        for (written, text) in [
            ("1.0", "1"),
            ("1e3", "1000"),
            ("1.50", "1.5"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0.1", "0.1"),
            ("1.10", "1.1"),
            ("9007199254740993", "9007199254740993"),
            ("9007199254740993.0", "9007199254740993"),
            ("18446744073709551615", "18446744073709551615"),
            ("1200e-2", "12"),
            ("0.00012", "0.00012"),
            ("1.5e-7", "1.5e-07"),
            ("1e1000", "1.7976931348623157e+308"),
            ("-1e1000", "-1.7976931348623157e+308"),
            ("1e-1000", "0"),
            ("-1234567890123456789012345678901234567890", "-1234567890123456789012345678901234567890"),
        ] {
            assert_eq!(Num::parse(written).text(), text, "{written}");
        }
        assert_eq!(Num::parse("1e45").text(), format!("1{}", "0".repeat(45)));
    }

    #[test]
    fn jq_16s_numbers_are_doubles_written_as_it_writes_them() {
        for (written, text) in [
            ("1.0", "1"),
            ("-0", "-0"),
            ("1.50", "1.5"),
            ("9007199254740991", "9007199254740991"),
            ("9007199254740993", "9007199254740992"),
            ("10000000000000000", "1e+16"),
            ("123456789012345678", "123456789012345680"),
            ("12345678901234567890", "12345678901234567000"),
            ("100000000000000000000", "1e+20"),
            ("1e1000", "1.7976931348623157e+308"),
            ("0.00001", "1e-05"),
            ("2044316615246285.25", "2044316615246285.2"),
            ("2044316615246285.75", "2044316615246285.8"),
        ] {
            assert_eq!(with_doubles(true, || Num::parse(written).text()), text, "{written}");
        }
        let rest = |a: &str| with_doubles(true, || Num::parse(a).rem(&Num::parse("16")).expect("not zero").text());
        assert_eq!(rest("12345678901234567"), "8");
        assert_eq!(rest("1e20"), "0");
        let sum = with_doubles(true, || Num::parse("9007199254740991").add(&Num::Int(2)).text());
        assert_eq!(sum, "9007199254740992");
    }

    #[test]
    fn remainder_truncates_like_jq_and_is_exact() {
        for (a, b, rest) in [
            ("123.9", "10", "3"),
            ("-0.5", "10", "0"),
            ("1.0", "10", "1"),
            ("1e3", "10", "0"),
            ("6", "2.5", "0"),
            ("-123", "10", "-3"),
            ("123", "-10", "3"),
            ("9007199254740993", "10", "3"),
            ("18446744073709551615", "10", "5"),
            ("-123456789012345678901234567890123456789012345678901", "10", "-1"),
        ] {
            let result = Num::parse(a).rem(&Num::parse(b)).expect("divisor is not zero");
            assert_eq!(result.text(), rest, "{a} % {b}");
        }
        assert!(Num::parse("5").rem(&Num::parse("0.5")).is_none());
    }
}
