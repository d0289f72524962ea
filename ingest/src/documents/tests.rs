//! Records with several documents: what comes out is what was put in, broken ones reject no more than they must.

use std::io::Read;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn settings(documents: u32) -> DecodeSettings {
    DecodeSettings { documents, ..DecodeSettings::default() }
}

/// Document number, bytes, and why it is rejected, for each event.
fn split_up(record: &[u8], limit: u32) -> Vec<(u32, Vec<u8>, Option<Reason>)> {
    let position = Position::from_numbers(5, 0);
    let documents = Documents::of(record, &settings(limit));
    let events = documents.events(&position);
    let split: Vec<_> =
        events.map(|e| (e.position.document(), e.data.to_vec(), e.broken.map(|reject| reject.reason))).collect();
    assert_eq!(split.len(), documents.count());
    split
}

/// The events as text, rejects with their reason in front.
fn said(record: &str) -> Vec<String> {
    let text = |data: Vec<u8>| String::from_utf8_lossy(&data).into_owned();
    let events = split_up(record.as_bytes(), 100).into_iter();
    events.map(|(_, data, why)| why.map_or(String::new(), |w| format!("{}: ", w.as_str())) + &text(data)).collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzEncoder::new(plain, flate2::Compression::fast()).read_to_end(&mut out).expect("compresses");
    out
}

#[test]
fn a_record_of_one_document_keeps_its_bytes_and_position() {
    assert_eq!(split_up(b" {\"a\":1}\n", 1), [(0, b" {\"a\":1}\n".to_vec(), None)]);
    assert_eq!(split_up(b"[{},{}]", 1), [(0, b"[{},{}]".to_vec(), Some(Reason::NotObject))]);
    assert_eq!(split_up(b" \n\n", 1), [(0, b" \n\n".to_vec(), Some(Reason::NotJson))]);
    assert_eq!(split_up(b"{\"a\":", 1), [(0, b"{\"a\":".to_vec(), Some(Reason::NotJson))]);
}

#[test]
fn documents_stand_on_lines_or_behind_each_other() {
    for record in
        ["{\"a\":1}{\"b\":2}", "{\"a\":1}\n{\"b\":2}\n", "\r\n\n {\"a\":1} \r\n\r\n\t{\"b\":2}", "{\"a\":1} {\"b\":2}"]
    {
        assert_eq!(said(record), ["{\"a\":1}", "{\"b\":2}"], "{record}");
    }
    assert_eq!(split_up(b"{}{}", 2).iter().map(|(n, ..)| *n).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(said("{\n\"a\": [\n1\n]}\n{\n\"b\"\n:\n2\n}"), ["{\n\"a\": [\n1\n]}", "{\n\"b\"\n:\n2\n}"]);
    assert_eq!(said("{\"a\":1}\n{\"b\":2}{\"c\":3}\n"), ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
}

#[test]
fn a_broken_line_is_rejected_alone() {
    assert_eq!(said("{\"a\":1}\n{\"b\":\n{\"c\":3}").len(), 2, "a line may go on behind a colon");
    assert_eq!(said("{\"a\":1}\n{\"b\"\n{\"c\":3}"), ["{\"a\":1}", "not_json: {\"b\"", "{\"c\":3}"]);
    assert_eq!(said("{\"a\":1}\nnull\n{\"c\":3}"), ["{\"a\":1}", "not_object: null", "{\"c\":3}"]);
    assert_eq!(said("xyz\n{\"c\":3}{\"d\n"), ["not_json: xyz", "{\"c\":3}", "not_json: {\"d"]);
    assert_eq!(said("\u{FEFF}{\"a\":1}\n{\"b\":2}"), ["not_json: \u{FEFF}{\"a\":1}", "{\"b\":2}"]);
    let record = [b"{\"a\":1}\n{\"b\":\"\xff\"}\n".as_slice(), b"{\"c\":3}"].concat();
    let reasons: Vec<_> = split_up(&record, 10).into_iter().map(|(_, _, why)| why).collect();
    assert_eq!(reasons, [None, Some(Reason::NotJson), None]);
    let deep = format!("{{\"a\":1}}\n{{\"b\":{}{}}}\n{{\"c\":3}}", "[".repeat(200), "]".repeat(200));
    assert!(said(&deep)[1].starts_with("too_deep: ") && said(&deep)[2] == "{\"c\":3}");
}

#[test]
fn what_follows_a_break_between_lines_that_go_on_is_one_reject() {
    assert_eq!(said("{\"a\":1}{\"b\":2,}{\"c\":3}"), ["{\"a\":1}", "not_json: {\"b\":2,}{\"c\":3}"]);
    assert_eq!(said("{\"a\":1}5{\"c\":3}"), ["{\"a\":1}", "not_json: 5{\"c\":3}"]);
    let cut = "{\"Records\":[\n{\"x\":1},\n{\"x\":2}\n";
    assert_eq!(said(cut), [format!("not_json: {cut}")]);
    assert_eq!(said(&format!("{{\"a\":1}}\n{cut}")), ["{\"a\":1}".to_string(), format!("not_json: {}", cut.trim())]);
}

#[test]
fn more_documents_than_the_limit_are_one_reject() {
    let record = b"{}\n{}\nx\n{}";
    assert_eq!(split_up(record, 4).len(), 4);
    assert_eq!(split_up(record, 3), [(0, record.to_vec(), Some(Reason::TooManyDocuments))]);
    assert_eq!(split_up(b"{}{}", 1), [(0, b"{}{}".to_vec(), Some(Reason::TooManyDocuments))]);
}

#[test]
fn compressed_records_give_their_documents_and_reject_as_they_came() {
    let plain = b"{\"a\":1}\n{\"b\":2}";
    assert_eq!(split_up(&gzip(plain), 9), split_up(plain, 9));
    assert_eq!(split_up(&gzip(b"{\"a\":1}"), 9), [(0, b"{\"a\":1}".to_vec(), None)]);
    for plain in [b"".as_slice(), b"[1]", b"{\"a\"", &gzip(b"{}")] {
        let record = gzip(plain);
        let split = split_up(&record, 9);
        assert!(split[0].2.is_some() && split[0].1 == record && split.len() == 1, "{split:?}");
    }
    let broken = [gzip(b"{}").as_slice(), b"x"].concat();
    assert_eq!(split_up(&broken, 9), [(0, broken.clone(), Some(Reason::BrokenCompression))]);
}

#[test]
fn a_record_of_many_lines_or_brackets_takes_time_in_proportion() {
    // Each of these would take hours if a line, a blank or a bracket were looked at once for each other one.
    let size = 4 << 20;
    assert_eq!(split_up(&b"\n".repeat(size), 10).len(), 1);
    assert_eq!(split_up(&b"{\n".repeat(size / 2), 10).len(), 1);
    assert_eq!(split_up(&b"{\"a\"\n".repeat(size / 5), u32::MAX).len(), size / 5);
    assert_eq!(split_up(&b"[".repeat(size), 10).len(), 1);
    assert_eq!(split_up(&b"{\"a\":".repeat(size / 5), 10).len(), 1);
    assert_eq!(split_up(&b"{}".repeat(size / 2), 10)[0].2, Some(Reason::TooManyDocuments));
}

fn value() -> impl Strategy<Value = Value> {
    let text = "[{}\\[\\]\",:\\\\\n\r é😀a]{0,8}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-c{}\n]{0,3}", value(), 0..4).prop_map(|map| map.into_iter().collect())
}

fn texts(objects: &[Value], pretty: bool) -> Vec<String> {
    let text = |value: &Value| if pretty { format!("{value:#}") } else { value.to_string() };
    objects.iter().map(text).collect()
}

proptest! {
    #[test]
    fn joined_documents_come_out_as_they_were(
        objects in prop::collection::vec(object(), 2..8),
        between in "[ \t\r\n]{0,3}",
        pretty: bool,
    ) {
        let texts = texts(&objects, pretty);
        prop_assert_eq!(said(&texts.join(&between)), texts.clone());
        prop_assert_eq!(said(&(texts.join("\n") + "\n")), texts.clone());
        let record = texts.concat();
        let compressed = split_up(&gzip(record.as_bytes()), 100);
        prop_assert_eq!(compressed, split_up(record.as_bytes(), 100));
    }

    /// Cut anywhere, a line is one reject and takes no other line with it, unless it could go on in the next line.
    #[test]
    fn a_line_cut_short_takes_no_other_with_it(
        objects in prop::collection::vec(object(), 3..6),
        which: prop::sample::Index,
        at: prop::sample::Index,
    ) {
        let mut texts = texts(&objects, false);
        let which = which.index(texts.len());
        let cut = texts[which].char_indices().map(|(i, _)| i).skip(1).collect::<Vec<_>>();
        texts[which].truncate(cut[at.index(cut.len())]);
        prop_assume!(!texts[which].trim_end().ends_with(['{', '[', ',', ':']) && !texts[which].contains('\n'));
        let said = said(&texts.join("\n"));
        prop_assert_eq!(said.len(), texts.len());
        for (i, said) in said.iter().enumerate() {
            prop_assert_eq!(said, &if i == which { format!("not_json: {}", texts[i].trim_end()) } else { texts[i].clone() });
        }
    }

    /// What lies inside a broken document never passes for a document.
    #[test]
    fn no_event_comes_from_within_a_broken_document(inner in prop::collection::vec(object(), 1..5), at: prop::sample::Index) {
        let rows: Vec<String> = inner.iter().map(Value::to_string).collect();
        for whole in [
            format!("{{\"Records\":[\n{}\n]}}", rows.join(",\n")),
            format!("{:#}", serde_json::json!({ "Records": inner })),
        ] {
            let cuts: Vec<usize> = whole.char_indices().map(|(i, _)| i).skip(1).collect();
            let cut = cuts[at.index(cuts.len())];
            let events = split_up(&whole.as_bytes()[..cut], 100);
            prop_assert!(events.iter().all(|(_, _, why)| why.is_some()), "{events:?}");
            let next = whole[cut..].chars().next().map_or(0, char::len_utf8);
            let lacking = [&whole[..cut], &whole[cut + next..]].concat();
            let events = split_up(lacking.as_bytes(), 100);
            let starts_inside = |data: &[u8]| !data.starts_with(whole[..9].as_bytes());
            prop_assert!(!events.iter().any(|(_, data, why)| why.is_none() && starts_inside(data)) || cut < 9, "{events:?}");
        }
    }

    /// Every byte of a record is in its events, in order, but for whitespace between them.
    #[test]
    fn nothing_is_lost_whatever_the_bytes(record in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        "[\\[\\]{}\",:\\\\\n a1]{0,60}".prop_map(String::into_bytes),
    ], limit in 1u32..6) {
        prop_assume!(inflate::text(&record, &settings(limit)).as_deref() == Ok(record.as_slice()));
        let events = split_up(&record, limit);
        let is_space = |b: &u8| b" \t\r\n".contains(b);
        let solid = |bytes: &[u8]| bytes.iter().filter(|b| !is_space(b)).copied().collect::<Vec<u8>>();
        let together: Vec<u8> = events.iter().flat_map(|(_, data, _)| data.clone()).collect();
        prop_assert_eq!(solid(&together), solid(&record));
        prop_assert!(events.len() <= limit as usize && !events.is_empty());
        for (_, data, why) in &events {
            prop_assert_eq!(decode(data).is_ok(), why.is_none());
        }
    }
}
