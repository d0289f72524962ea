//! Aggregates: Amazon's own, any, and hostile ones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::aggregate::{User, aggregate, field, index, message, user, varint, wrapped};
use crate::source::kinesis::kpl::{Content, HashRange, UserRecord, content};

const WHOLE: HashRange = HashRange { first: 0, last: u128::MAX };
const NOTHING: HashRange = HashRange { first: 1, last: 0 };

fn users(data: &Bytes, range: HashRange) -> Vec<UserRecord> {
    match content(data, Some(range)) {
        Content::Aggregate(aggregate) => {
            let left = aggregate.left();
            let users: Vec<_> = aggregate.collect();
            assert_eq!(left, users.len() as u64);
            users
        }
        other => panic!("no aggregate: {other:?}"),
    }
}

fn is_broken(data: &Bytes) -> bool {
    matches!(content(data, Some(WHOLE)), Content::Broken)
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("text")).expect("base64")
}

#[test]
fn amazons_own_aggregates_give_their_user_records_in_order() {
    let corpus = std::fs::read_to_string("../tests/corpus/kpl/kpl_vectors.jsonl").expect("the corpus");
    let mut seen = 0;
    for vector in corpus.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        let expected = vector["expected"].as_array().expect("a list");
        let found = users(&bytes(&vector["data_base64"]).into(), WHOLE);
        let want = (0..).zip(expected).map(|(sub, user)| (sub, Bytes::from(bytes(&user["data_base64"])), false));
        assert_eq!(Vec::from_iter(found.into_iter().map(|u| (u.sub, u.data, u.stray))), Vec::from_iter(want));
        // Cut off or changed anywhere, it is one plain record.
        let data = bytes(&vector["data_base64"]);
        for at in [20, 21, data.len() / 2, data.len() - 1] {
            assert!(!matches!(content(&Bytes::copy_from_slice(&data[..at]), None), Content::Aggregate(_)));
            let mut changed = data.clone();
            changed[at] ^= 1;
            assert!(is_broken(&changed.into()));
        }
        seen += expected.len();
    }
    assert_eq!(seen, 112);
}

#[test]
fn what_is_short_or_begins_otherwise_is_plain() {
    for data in [&b""[..], b"{}", &[0xF3, 0x89, 0x9A], &[0xF3, 0x89, 0x9A, 0xC2], &[7; 100]] {
        assert!(matches!(content(&Bytes::copy_from_slice(data), Some(WHOLE)), Content::Plain));
    }
    // KCL asks for more than magic and checksum: the empty message, checksum and all, is no aggregate.
    assert!(matches!(content(&wrapped(b""), Some(WHOLE)), Content::Plain));
}

#[test]
fn a_message_that_is_none_is_delivered_as_it_is() {
    let record = [index(1, 0), field(3, b"x")].concat();
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("a varint that is cut off", vec![0x08 | 2, 0x80]),
        ("a varint of eleven bytes", [&[0x08][..], &[0x80; 10], &[0]].concat()),
        ("a length beyond the end", [varint(3 << 3 | 2), varint(1_000), vec![0; 9]].concat()),
        ("a negative length", [varint(3 << 3 | 2), varint(0xFFFF_FFFF), vec![0; 9]].concat()),
        ("field number 0", vec![0x02, 0]),
        ("wire type 6", vec![0x0E, 0]),
        ("wire type 7", vec![0x0F, 0]),
        ("an end without a group", vec![0x0C]),
        ("a group without an end", vec![0x2B, 0x08, 1]),
        ("a group with another's end", vec![0x2B, 0x34]),
        ("groups without end", vec![0x2B; 1_000]),
        ("no partition key index", field(3, &field(3, b"x"))),
        ("no data", field(3, &index(1, 0))),
        ("a tag without a key", field(3, &[record.clone(), field(4, &field(2, b"v"))].concat())),
        ("a record that is no message", field(3, b"\xFF")),
        ("one good record and a broken one", [field(3, &record), field(3, &index(1, 0))].concat()),
    ];
    for (what, message) in hostile {
        assert!(is_broken(&wrapped(&message)), "{what}");
    }
}

#[test]
fn unknown_fields_and_tags_are_passed_over_and_the_last_value_counts() {
    let group = [vec![0x2B], index(9, 1), vec![0x33, 0x34], vec![0x2C]].concat();
    let tag = field(4, &[field(1, b"k"), field(2, b"v")].concat());
    let fixed = [vec![0x39], vec![1; 8], vec![0x3D], vec![1; 4]].concat();
    let record = [index(1, 0), field(3, b"old"), tag, group.clone(), fixed.clone(), field(3, b"new")].concat();
    let other_type = index(3, 7);
    let data = wrapped(&[fixed, field(1, b"a"), group, other_type, field(3, &record), index(15, 3)].concat());
    let found = users(&data, WHOLE);
    assert_eq!(found, [UserRecord { sub: 0, data: Bytes::from_static(b"new"), stray: false }]);
}

#[test]
fn an_aggregate_of_nothing_has_no_records() {
    assert_eq!(users(&wrapped(&field(1, b"key")), WHOLE), []);
}

#[test]
fn strays_are_delivered_and_known() {
    let explicit = |hash: &str| User { explicit: Some(hash.into()), ..user("k", b"x") };
    // MD5 of "a" is 0cc175b9..., of "b" 92eb5ffe...: one in each half.
    let low = HashRange { first: 0, last: u128::MAX / 2 };
    let sent = [user("a", b"1"), user("b", b"2"), explicit("5"), explicit(&u128::MAX.to_string()), explicit("-1")];
    let found = users(&aggregate(&sent), low);
    assert_eq!(Vec::from_iter(found.iter().map(|u| u.stray)), [false, true, false, true, true]);
    assert_eq!(found.len(), sent.len(), "none is dropped");
    let Content::Aggregate(unknown) = content(&aggregate(&sent), None) else { panic!("an aggregate") };
    assert!(unknown.into_iter().all(|user| !user.stray), "where the shard's range is not known");
}

#[test]
fn an_index_beyond_its_table_is_a_stray_with_its_data() {
    let record = |indices: &[Vec<u8>]| field(3, &[indices.concat(), field(3, b"x")].concat());
    let far = [index(1, u64::MAX)];
    let explicit = [index(1, 0), index(2, 0)];
    let data = wrapped(&[field(1, b"a"), record(&far), record(&explicit), record(&[index(1, 0)])].concat());
    let found = users(&data, WHOLE);
    assert_eq!(
        Vec::from_iter(found.iter().map(|u| (u.stray, &u.data[..]))),
        [(true, &b"x"[..]), (true, b"x"), (false, b"x")]
    );
}

#[test]
fn ten_mebibytes_of_the_worst_take_a_moment() {
    let empty = field(3, &[index(1, 0), field(3, b"")].concat());
    let keys = field(1, b"");
    for (what, unit) in [("empty records", empty), ("empty keys", keys), ("empty groups", vec![0x2B, 0x2C])] {
        let data = wrapped(&unit.repeat((10 << 20) / unit.len()));
        let began = tokio::time::Instant::now();
        let Content::Aggregate(aggregate) = content(&data, Some(NOTHING)) else { panic!("{what}: an aggregate") };
        let (expected, found) = (aggregate.left(), aggregate.count());
        assert_eq!(expected, found as u64, "{what}");
        // A second or so without optimisation; quadratic time would be hours.
        assert!(began.elapsed().as_secs() < 60, "{what} took {:?}", began.elapsed());
    }
}

fn any_user() -> impl Strategy<Value = User> {
    let data = proptest::collection::vec(any::<u8>(), 0..300);
    ("\\PC{0,20}", proptest::option::of(any::<u128>()), data).prop_map(|(key, explicit, data)| User {
        key,
        explicit: explicit.map(|hash| hash.to_string()),
        data,
    })
}

proptest! {
    #[test]
    fn whatever_is_aggregated_comes_back(sent in proptest::collection::vec(any_user(), 1..40)) {
        let found = users(&aggregate(&sent), WHOLE);
        prop_assert!(found.iter().map(|u| &u.data[..]).eq(sent.iter().map(|u| &u.data[..])));
        prop_assert!(found.iter().zip(0..).all(|(u, n)| u.sub == n && !u.stray));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Content::Aggregate(aggregate) = content(&wrapped(&bytes), Some(WHOLE)) {
            let expected = aggregate.left();
            prop_assert_eq!(aggregate.count() as u64, expected);
        }
    }

    #[test]
    fn a_changed_message_is_read_whole_or_not_at_all(
        sent in proptest::collection::vec(any_user(), 1..5), at in any::<usize>(), to in any::<u8>(),
    ) {
        let mut bytes = message(&sent);
        let at = at % bytes.len();
        bytes[at] = to;
        if let Content::Aggregate(aggregate) = content(&wrapped(&bytes), Some(WHOLE)) {
            let expected = aggregate.left();
            prop_assert_eq!(aggregate.count() as u64, expected);
        }
    }
}
