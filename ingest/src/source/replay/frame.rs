//! How a replayed record carries its origin through the pipeline: in front of its bytes.

use crate::record::{Origin, Unpacked};

/// What a packed record begins with. One that begins otherwise is the record as it is.
const PACKED: u8 = 0;

/// Whether a record without an origin has to be packed, so as not to be taken for a packed one.
pub fn looks_packed(data: &[u8]) -> bool {
    data.first() == Some(&PACKED)
}

/// Appends a record: length and text of shard and position, or nothing for both, then the bytes.
pub fn pack(out: &mut Vec<u8>, data: &[u8], origin: Option<&Origin<'_>>) {
    out.push(PACKED);
    let position = origin.map(|origin| origin.position.to_string()).unwrap_or_default();
    for text in [origin.map_or("", |origin| origin.shard), &position] {
        // No shard has a longer name: a record that says so is known by where it is read.
        let length = u16::try_from(text.len()).unwrap_or(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&text.as_bytes()[..length.into()]);
    }
    out.extend_from_slice(data);
}

/// What [`pack`] has packed, or what needed none.
pub fn unpack(record: &[u8]) -> Unpacked<'_> {
    let whole = Unpacked { data: record, origin: None };
    let Some((&PACKED, packed)) = record.split_first() else { return whole };
    let Some((shard, rest)) = text(packed) else { return whole };
    let Some((position, data)) = text(rest) else { return whole };
    // Most have none, and then there is no position to make out either.
    let position = if shard.is_empty() { None } else { position.parse().ok() };
    Unpacked { data, origin: position.map(|position| Origin { shard, position }) }
}

fn text(packed: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = packed.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_with_its_origin() {
        let position = "49590338271490256608559692538361571095921575989136588898.2.1".parse().expect("a position");
        let origin = Origin { shard: "s:shardId-0", position };
        for origin in [Some(origin), None] {
            for data in [&b"{\"a\":1}"[..], b"", b"\0\0\xff"] {
                let mut out = Vec::new();
                pack(&mut out, data, origin.as_ref());
                let back = unpack(&out);
                assert_eq!((back.data, back.origin), (data, origin.clone()));
                let as_it_is = unpack(data);
                assert!(looks_packed(data) || (as_it_is.data, as_it_is.origin) == (data, None));
            }
        }
    }
}
