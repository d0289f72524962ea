//! The nodes of a text in short, nearly always a byte for each: what it is and how long. So an event that was checked and taken
//! apart once, and then lay in a buffer, is not looked at a second time to be taken apart again.
//!
//! Only texts with something in them and without space between their parts have one, as most programs write them: there one byte stands behind each value and
//! name (a colon, a comma, a closing bracket), and where a node begins is known by those before it. Who has a text and no outline
//! of it takes it apart.

use super::{Kind, NONE, Node, NotTaken};

/// A byte holds a kind and a length below this, or this, and then the length follows: in a byte, or behind 255 in four.
const LONG: usize = 31;
/// A container with something inside has no length: its nodes follow, and then [`CLOSE`].
const OPEN: u8 = 0;
/// No value is without a length.
const CLOSE: u8 = 0;

/// By what they are as numbers.
const KINDS: [Kind; 8] =
    [Kind::Null, Kind::False, Kind::True, Kind::Number, Kind::String, Kind::EscapedString, Kind::Object, Kind::Array];

/// A value or a name, or a container without anything inside.
#[inline(always)]
pub(super) fn push(kind: Kind, length: usize, out: &mut Vec<u8>) {
    if length < LONG {
        out.push((kind as u8) << 5 | length as u8);
    } else {
        push_long(kind, length as u32, out);
    }
}

#[inline(never)]
fn push_long(kind: Kind, length: u32, out: &mut Vec<u8>) {
    let head = (kind as u8) << 5 | LONG as u8;
    if length < u8::MAX.into() {
        out.extend_from_slice(&[head, length as u8]);
    } else {
        out.extend_from_slice(&[head, u8::MAX]);
        out.extend_from_slice(&length.to_le_bytes());
    }
}

pub(super) fn open(kind: Kind, out: &mut Vec<u8>) {
    out.push((kind as u8) << 5 | OPEN);
}

pub(super) fn close(out: &mut Vec<u8>) {
    out.push(CLOSE);
}

/// Appends the nodes of the text that has this outline. If no text of this length has it, they are as before.
pub fn append(outline: &[u8], length: usize, nodes: &mut Vec<Node>) -> Result<(), NotTaken> {
    let before = nodes.len();
    let fits = u32::try_from(length.max(before + outline.len())).is_ok();
    if fits && read(outline, nodes) == Some(length) {
        return Ok(());
    }
    nodes.truncate(before);
    Err(NotTaken)
}

/// Reads the object that the outline is of; gives where its text ends. Places may be wrong until then, and are right if that is.
fn read(outline: &[u8], nodes: &mut Vec<Node>) -> Option<usize> {
    // No byte makes more than one.
    nodes.reserve(outline.len());
    let (mut at, mut open) = (0, NONE);
    let mut heads = outline.iter();
    loop {
        let head = *heads.next()?;
        let mut length = usize::from(head) & LONG;
        if head == CLOSE {
            open = ended(nodes, open, at)?;
            if open == NONE {
                return heads.as_slice().is_empty().then_some(at);
            }
            at += 1;
            continue;
        }
        let (kind, start) = (KINDS[usize::from(head >> 5)], at as u32);
        if length == usize::from(OPEN) {
            let around = std::mem::replace(&mut open, nodes.len() as u32);
            nodes.push(Node { start, end: around, span: 1, kind });
            at += 1;
            continue;
        }
        if length == LONG {
            length = long(&mut heads)?;
        }
        at += length;
        nodes.push(Node { start, end: at as u32, span: 1, kind });
        at += 1;
    }
}

fn long(heads: &mut std::slice::Iter<'_, u8>) -> Option<usize> {
    match heads.next()? {
        &u8::MAX => {
            let (number, rest) = heads.as_slice().split_first_chunk::<4>()?;
            *heads = rest.iter();
            Some(u32::from_le_bytes(*number) as usize)
        }
        byte => Some(usize::from(*byte)),
    }
}

/// Closes the container of this number where the text is at `end`; gives the number of the one around it, which stood in place of
/// its end.
fn ended(nodes: &mut [Node], open: u32, end: usize) -> Option<u32> {
    let count = nodes.len() as u32;
    let container = nodes.get_mut(open as usize)?;
    container.span = count - open;
    Some(std::mem::replace(&mut container.end, end as u32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Tape, read_with_outline};
    use super::*;

    fn outline_of(text: &str) -> Vec<u8> {
        let mut outline = vec![1];
        read_with_outline(text, &mut Vec::new(), &mut outline).expect("an object");
        outline
    }

    #[test]
    fn nodes_come_back_from_the_outline() {
        let long = "x".repeat(254);
        let longer = format!(r#"{{"{long}":"{long}y","":[{}]}}"#, vec!["-1.5e3"; 300].join(","));
        for text in [
            r#"{"a":{}}"#,
            r#"{"a":[],"b":[[],{}],"c":null}"#,
            r#"{"a":{"b":{"c":[1,true,false]}},"d\n":"é","e":"0123456789012345678901234567890"}"#,
            longer.as_str(),
        ] {
            let (mut nodes, mut again) = (Vec::new(), Vec::new());
            let tape = Tape::read(text, &mut nodes).expect("an object");
            again.push(tape.nodes()[0]);
            assert_eq!(append(&outline_of(text), text.len(), &mut again), Ok(()), "{text}");
            assert_eq!(again[1..], nodes, "{text}");
        }
    }

    #[test]
    fn a_text_with_space_between_its_parts_has_none() {
        for text in [
            "{}",
            " {}",
            "{} ",
            "{ }",
            r#" {"a":1}"#,
            r#"{"a":1} "#,
            r#"{"a": 1}"#,
            r#"{"a" :1}"#,
            r#"{"a":1, "b":2}"#,
            r#"{"a":[1 ]}"#,
            "{}\n",
        ] {
            assert!(outline_of(text).is_empty(), "{text}");
        }
        assert!(!outline_of(r#"{"a b":" , "}"#).is_empty());
        assert_eq!(append(&[], 2, &mut Vec::new()), Err(NotTaken));
    }

    proptest! {
        #[test]
        fn whatever_an_outline_holds_nodes_stay_within_the_text(
            outline in prop::collection::vec(
                prop::sample::select(vec![0u8, 4, 0x62, 0x83, 0x9f, 0xc0, 0xc2, 0xe0, 0xe2, 0xdf, 0xff, 2, 7]), 0..12),
            length in 0usize..40,
        ) {
            let mut nodes = Vec::new();
            if append(&outline, length, &mut nodes).is_ok() {
                let of = |node: &Node| node.start <= node.end && node.end as usize <= length;
                prop_assert!(nodes.iter().all(of));
            } else {
                prop_assert!(nodes.is_empty());
            }
        }
    }
}
