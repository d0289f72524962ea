//! Tests of the cutter: every shape, broken and whole, in blocks of any size.

use proptest::prelude::*;

use super::*;

/// The records of a text that comes in blocks.
fn in_blocks(shape: Shape, text: &[u8], block: usize) -> Vec<String> {
    let (mut cutter, mut buffer, mut records) = (Cutter::new(shape), Vec::new(), Vec::new());
    let blocks: Vec<&[u8]> = text.chunks(block).collect();
    for (index, block) in blocks.iter().enumerate() {
        buffer.extend_from_slice(block);
        let cuts = cutter.cut(&buffer, index + 1 == blocks.len());
        records.extend(cuts.records.into_iter().map(|r| String::from_utf8_lossy(&buffer[r]).into_owned()));
        buffer.drain(..cuts.done);
    }
    records
}

fn cut(shape: Shape, text: &str) -> Vec<String> {
    let whole = in_blocks(shape, text.as_bytes(), text.len().max(1));
    for block in [1, 2, 3, 7, 64] {
        assert_eq!(in_blocks(shape, text.as_bytes(), block), whole, "{text} in blocks of {block}");
    }
    whole
}

#[test]
fn documents_stand_on_lines_or_one_behind_the_other() {
    let (a, b, c) = (r#"{"a":"}{"}"#, r#"{"b":{"c":[1,2]}}"#, r#"{"c":"\"{\\"}"#);
    for between in ["", "\n", "\r\n", " ", "\n\n"] {
        let text = [a, b, c].join(between);
        let found = cut(Shape::Documents, &text);
        // Objects with only spaces between them are told apart here as well.
        assert_eq!(found, [a, b, c], "{between:?}");
        assert_eq!(cut(Shape::Documents, &format!("\n{text}\n")), [a, b, c]);
    }
}

#[test]
fn an_object_may_go_over_lines() {
    let pretty = "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}";
    assert_eq!(cut(Shape::Documents, &format!("{pretty}\n{pretty}\n{{\"c\":1}}")), [pretty, pretty, "{\"c\":1}"]);
    assert_eq!(cut(Shape::Documents, &format!("{pretty}{pretty}")), [pretty, pretty]);
}

#[test]
fn what_is_broken_ends_with_its_line() {
    let text = "{\"a\":1}\n{\"a\":\n{\"id\":5\n{\"b\":\"x\n{\"c\":1}{\"d\"\n5\n{\"e\":1}";
    let found = cut(Shape::Documents, text);
    assert_eq!(found.first().map(String::as_str), Some("{\"a\":1}"));
    assert_eq!(found[found.len() - 4..], ["{\"c\":1}", "{\"d\"", "5", "{\"e\":1}"]);
}

#[test]
fn lines_are_lines() {
    assert_eq!(cut(Shape::Lines, "{}{}\n\n [1]\r\nx"), ["{}{}", "[1]", "x"]);
    // What is no space to JSON is part of its record, and wrong there.
    assert_eq!(cut(Shape::Lines, "{}\x0c\nx \x0c"), ["{}\x0c", "x \x0c"]);
}

#[test]
fn records_are_the_items_of_each_array() {
    let text = "{ \"Records\" : [ {\"a\":[{}]}, {\"b\":\"]\"}\n,5,{\"c\":1} ] , \"x\":1}\n{\"Records\":[]}{\"Records\":[{\"d\":2}]}";
    assert_eq!(cut(Shape::Records, text), ["{\"a\":[{}]}", "{\"b\":\"]\"}", "5", "{\"c\":1}", "{\"d\":2}"]);
    assert_eq!(cut(Shape::Records, "{\"Records\":[{\"a\":1},{\"b\":"), ["{\"a\":1}", "{\"b\":"]);
    assert_eq!(head(b"{\"Record"), Head::May);
    assert_eq!(head(b"{\"records\":["), Head::IsNot);
    // Space without end would be kept in memory.
    let spaced = |spaces: usize| [b"{".as_slice(), &b" ".repeat(spaces), b"\"Records\":["].concat();
    assert_eq!((head(&spaced(60_000)), head(&spaced(70_000))), (Head::Is(60_012), Head::IsNot));
}

#[test]
fn a_long_piece_is_cut_before_its_end_is_known_and_the_same_way() {
    let object = format!("{{\"a\":\"{}\"}}", "x".repeat(900));
    let text = object.repeat(1_500);
    for block in [1 << 20, 100_000, 300_001] {
        let found = in_blocks(Shape::Documents, text.as_bytes(), block);
        assert!(found.len() == 1_500 && found.iter().all(|f| *f == object), "{} in blocks of {block}", found.len());
    }
}

#[test]
fn what_has_no_end_is_cut_at_the_limit() {
    let text = vec![b'"'; RECORD_BYTES_MAX + 100];
    let mut cutter = Cutter::new(Shape::Documents);
    assert_eq!(cutter.cut(&text[..RECORD_BYTES_MAX - 1], false), Cuts::default());
    assert_eq!(cutter.cut(&text, false).done, RECORD_BYTES_MAX);
}

proptest! {
    #[test]
    fn any_text_gives_the_same_in_any_blocks(
        parts in prop::collection::vec(
            prop::sample::select(vec!["{", "}", "[", "]", "\"", "\\", ",", ":", "\n", " ", "a", "1", "{}", "{\"a\":1}", "{\"Records\":["]),
            0..40,
        ),
        block in 1usize..20,
        shape in prop::sample::select(vec![Shape::Lines, Shape::Documents, Shape::Records]),
    ) {
        let text = parts.concat();
        let whole = in_blocks(shape, text.as_bytes(), text.len().max(1));
        prop_assert_eq!(in_blocks(shape, text.as_bytes(), block), whole.clone());
        let space = |t: &str| t.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>();
        if shape != Shape::Records {
            prop_assert_eq!(space(&whole.concat()), space(&text));
        }
    }
}
