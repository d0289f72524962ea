//! The text of a raw object cut into records: the same records in whatever chunks it comes, in order, with nothing between them
//! but space; and objects that were put together come back one by one, torn off at the end or not.
//!
//! The first byte chooses shape and limits, four more the chunks.

use std::ops::Range;

use ingest::source::replay::cutter::{Cutter, Shape};

use super::input::Input;
use super::json::recognise;

/// What may stand between two objects; in an array, beside the comma.
const BETWEEN: [&[u8]; 4] = [b"", b"\n", b" \r\n", b"\n\n\t"];

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (choice, chunks) = (input.byte(), input.take(4));
    let text = input.0;
    for shape in [Shape::Lines, Shape::Documents, Shape::Records] {
        let whole = cut(Cutter::new(shape), text, &[]);
        assert_eq!(cut(Cutter::new(shape), text, chunks), whole, "{shape:?} in chunks of {chunks:?}");
        is_sound(shape, text, &whole);
        // Where records and pieces end by force, chunks decide, but nothing goes missing.
        let small = Cutter::with_limits(shape, 8 + usize::from(choice >> 4), 24 + usize::from(choice & 15));
        is_sound(shape, text, &cut(small, text, chunks));
    }
    let objects: Vec<&[u8]> =
        text.split(|byte| *byte == 0xff).map(<[u8]>::trim_ascii).filter(|o| is_object(o)).collect();
    come_apart(&objects, BETWEEN[usize::from(choice & 3)], usize::from(choice >> 2), chunks);
}

/// As an object is read: what is not done with stays, and the next chunk comes behind it. No chunks: all at once.
fn cut(mut cutter: Cutter, text: &[u8], chunks: &[u8]) -> Vec<Range<usize>> {
    let mut sizes = chunks.iter().cycle().map(|size| usize::from(*size) + 1);
    let (mut records, mut done, mut read) = (Vec::new(), 0, 0);
    loop {
        let more = sizes.next().unwrap_or(text.len() + 1);
        let ended = text.len() - read < more;
        read = text.len().min(read + more);
        let cuts = cutter.cut(&text[done..read], ended);
        records.extend(cuts.records.into_iter().map(|record| done + record.start..done + record.end));
        done += cuts.done;
        assert!(done <= read, "more is done than was there");
        if ended {
            assert_eq!(done, text.len(), "something is left at the end");
            return records;
        }
    }
}

fn is_sound(shape: Shape, text: &[u8], records: &[Range<usize>]) {
    let mut before = 0;
    let is_space = |between: &[u8]| between.iter().all(|byte| b" \t\r\n".contains(byte));
    for record in records {
        assert!(before <= record.start && record.start < record.end, "{record:?} after {before}");
        // What is around an array is no record.
        assert!(shape == Shape::Records || is_space(&text[before..record.start]), "lost before {record:?}");
        before = record.end;
    }
    assert!(shape == Shape::Records || is_space(&text[before..]), "lost at the end");
}

fn is_object(text: &[u8]) -> bool {
    recognise(text).is_some_and(|text| text.object)
}

fn come_apart(objects: &[&[u8]], between: &[u8], torn: usize, chunks: &[u8]) {
    let documents = objects.join(between);
    let (head, comma) = (b"{\"Records\" : [".as_slice(), [between, b",", between].concat());
    let array = [head, &objects.join(&*comma), between, b"]}"].concat();
    let lines: Vec<&[u8]> = objects.iter().copied().filter(|object| !object.contains(&b'\n')).collect();
    let texts = [
        (Shape::Documents, documents, objects),
        (Shape::Records, array.repeat(2), &objects.repeat(2)),
        (Shape::Lines, lines.join(&b'\n'), &lines),
    ];
    for (shape, text, objects) in texts {
        let records = cut(Cutter::new(shape), &text, chunks);
        let found: Vec<&[u8]> = records.iter().map(|record| &text[record.clone()]).collect();
        assert!(found == objects, "{shape:?}: {} objects, {} records", objects.len(), found.len());
        // Torn off, it is what ended before that, and perhaps a broken one.
        let text = &text[..text.len().saturating_sub(torn)];
        let records = cut(Cutter::new(shape), text, chunks);
        let ended = records.iter().zip(objects).take_while(|(record, object)| &text[(*record).clone()] == **object);
        assert!(ended.count() + 1 >= records.len(), "{shape:?}: more than the last one is broken");
    }
}
