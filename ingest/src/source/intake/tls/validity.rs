//! From when to when a certificate is good: the one thing of X.509 that a server has to know of its own.
//!
//! RFC 5280, 4.1: `Certificate { tbsCertificate { [0] version?, serial, algorithm, issuer, validity { notBefore, notAfter } ...`.

use schemas::instant;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Fields of a certificate between version and validity: serial number, algorithm, issuer.
const FIELDS_BEFORE: usize = 3;

/// First and last instant, in milliseconds since the epoch.
pub(super) fn of(der: &[u8]) -> Option<(i64, i64)> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut fields, _) = take(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        (_, _, fields) = element(fields)?;
    }
    for _ in 0..FIELDS_BEFORE {
        (_, _, fields) = element(fields)?;
    }
    let (validity, _) = take(fields, SEQUENCE)?;
    let (tag, from, rest) = element(validity)?;
    let begins_at = time(tag, from)?;
    let (tag, to, _) = element(rest)?;
    Some((begins_at, time(tag, to)?))
}

/// The content of the first element, which must have this tag, and what follows it.
fn take(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(der)?;
    (tag == wanted).then_some((content, rest))
}

/// Tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match usize::from(first) {
        short @ 0..=0x7f => (short, rest),
        long @ 0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `yyMMddHHmmssZ`, of the years 1950 to 2049, or `yyyyMMddHHmmssZ`.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let full = match tag {
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_string(),
        _ => return None,
    };
    let part = |range| full.get(range);
    let (date, time) = (format!("{}-{}-{}", part(0..4)?, part(4..6)?, part(6..8)?), part(8..14)?);
    instant::parse_instant(&format!("{date}T{}:{}:{}{}", &time[..2], &time[2..4], &time[4..], part(14..15)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A certificate as far as it is read, of version 3 unless `old`.
    fn certificate(old: bool, from: (u8, &str), to: (u8, &str)) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| match u8::try_from(content.len()) {
            Ok(short) if short < 0x80 => [&[tag, short], content].concat(),
            _ => [&[tag, 0x82], &u16::try_from(content.len()).expect("short").to_be_bytes()[..], content].concat(),
        };
        let version = if old { vec![] } else { wrap(VERSION, &[2, 1, 2]) };
        let validity = [wrap(from.0, from.1.as_bytes()), wrap(to.0, to.1.as_bytes())].concat();
        let issuer = wrap(SEQUENCE, &[0; 200]);
        let before = [version, wrap(2, &[7]), wrap(SEQUENCE, &[]), issuer].concat();
        wrap(SEQUENCE, &wrap(SEQUENCE, &[before, wrap(SEQUENCE, &validity)].concat()))
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for old in [false, true] {
            let der = certificate(old, (UTC_TIME, "700101000001Z"), (GENERALIZED_TIME, "20500101000000Z"));
            assert_eq!(of(&der), Some((1_000, 2_524_608_000_000)));
        }
        let der = certificate(false, (UTC_TIME, "491231235959Z"), (UTC_TIME, "500101000000Z"));
        assert_eq!(of(&der), Some((2_524_607_999_000, -631_152_000_000)));
    }

    proptest! {
        /// Whatever the file holds, it is no panic.
        #[test]
        fn any_bytes_are_read_or_not(at in 0usize..300, byte: u8, cut in 0usize..300) {
            let mut der = certificate(false, (UTC_TIME, "700101000001Z"), (GENERALIZED_TIME, "20500101000000Z"));
            let length = der.len();
            der[at % length] = byte;
            der.truncate(cut.max(1));
            let _read: Option<(i64, i64)> = of(&der);
        }
    }
}
