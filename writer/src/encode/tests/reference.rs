//! The encoder against a slow, obvious one, over generated events: each type, nested, with values that fit and values that do
//! not, duplicates, names in other cases, unread members, escapes and white space.

use proptest::prelude::*;
use schemas::instant::{parse_date, parse_instant};

use super::*;

/// JSON with its numbers as digits and exponent, from which both the text and the expected value are made.
#[derive(Debug, Clone)]
enum Node {
    Null,
    Bool(bool),
    /// mantissa * 10^exponent
    Number(i64, i32),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

fn write(node: &Node, out: &mut String) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Bool(b) => out.push_str(if *b { "true" } else { " false " }),
        Node::Number(m, e) => out.push_str(&number_text(*m, *e)),
        Node::Text(text) => write_text(text, out),
        Node::List(items) => write_all(items.iter(), ('[', ']'), out, write),
        Node::Object(members) => write_all(members.iter(), ('{', '}'), out, |(name, value), out| {
            write_text(name, out);
            out.push_str(" : ");
            write(value, out);
        }),
    }
}

fn write_all<T>(items: impl Iterator<Item = T>, ends: (char, char), out: &mut String, one: impl Fn(T, &mut String)) {
    out.push(ends.0);
    for (index, item) in items.enumerate() {
        out.push_str(if index == 0 { "\n" } else { "\t,  " });
        one(item, out);
    }
    out.push(ends.1);
}

/// In plain notation where the exponent is even, else scientific.
fn number_text(mantissa: i64, exponent: i32) -> String {
    match exponent {
        0 => mantissa.to_string(),
        1.. => format!("{mantissa}e{exponent}"),
        _ if exponent % 2 == 0 => {
            let places = exponent.unsigned_abs() as usize;
            let digits = format!("{:0width$}", mantissa.unsigned_abs(), width = places + 1);
            let (whole, fraction) = digits.split_at(digits.len() - places);
            format!("{}{whole}.{fraction}", if mantissa < 0 { "-" } else { "" })
        }
        _ => format!("{mantissa}E{exponent}"),
    }
}

/// Every third character escaped.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for (index, c) in text.chars().enumerate() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if index % 3 == 2 || c < ' ' => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04X}")));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn text_of(node: &Node) -> String {
    let mut out = String::new();
    write(node, &mut out);
    out
}

/// mantissa * 10^exponent * 10^scale, if that is whole and below 10^precision.
fn scaled(mantissa: i64, exponent: i32, precision: u8, scale: u8) -> Option<i128> {
    let mut value = i128::from(mantissa);
    for _ in 0..(exponent + i32::from(scale)).max(0) {
        value = value.checked_mul(10)?;
    }
    for _ in (exponent + i32::from(scale))..0 {
        value = if value % 10 == 0 { value / 10 } else { return None };
    }
    (value.unsigned_abs() < 10u128.pow(precision.into())).then_some(value)
}

fn integer(node: &Node) -> Option<i64> {
    match node {
        Node::Number(m, e) => scaled(*m, *e, 38, 0)?.try_into().ok(),
        Node::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn float(node: &Node) -> Option<String> {
    match node {
        Node::Number(m, e) => Some(format!("{m}e{e}")),
        Node::Text(text) if text.parse::<f64>().is_ok() => Some(text.clone()),
        _ => None,
    }
}

/// What the file holds for a value; none if it does not fit. The outer `Option` of nulls is [`Json::Null`].
fn expected(data_type: &DataType, node: &Node) -> Option<Json> {
    if matches!(node, Node::Null) {
        return Some(Json::Null);
    }
    match (data_type, node) {
        (DataType::Boolean, Node::Bool(b)) => Some(json!(b)),
        (DataType::Boolean, Node::Text(text)) => text.to_lowercase().parse::<bool>().ok().map(|b| json!(b)),
        (DataType::TinyInt, node) => integer(node).and_then(|n| i8::try_from(n).ok()).map(|n| json!(n)),
        (DataType::SmallInt, node) => integer(node).and_then(|n| i16::try_from(n).ok()).map(|n| json!(n)),
        (DataType::Int, node) => integer(node).and_then(|n| i32::try_from(n).ok()).map(|n| json!(n)),
        (DataType::BigInt, node) => integer(node).map(|n| json!(n)),
        (DataType::Float, node) => float(node)?.parse::<f32>().ok().filter(|f| f.is_finite()).map(|f| json!(f)),
        (DataType::Double, node) => float(node)?.parse::<f64>().ok().filter(|f| f.is_finite()).map(|f| json!(f)),
        (DataType::Decimal { precision, scale }, Node::Number(m, e)) => {
            scaled(*m, *e, *precision, *scale).map(|d| json!(d.to_string()))
        }
        (DataType::Decimal { precision, scale }, Node::Text(text)) => {
            scaled(text.parse().ok()?, 0, *precision, *scale).map(|d| json!(d.to_string()))
        }
        (DataType::String, Node::Text(text)) => Some(json!(text)),
        (DataType::String, node) => Some(json!(text_of(node).trim())),
        (DataType::Binary, Node::Text(text)) => STANDARD.decode(text).ok().map(|b| json!(STANDARD.encode(b))),
        (DataType::Date, Node::Text(text)) => {
            let day = parse_date(text).or_else(|| match text.parse::<f64>() {
                Ok(_) => None,
                Err(_) => Some(parse_instant(text)?.div_euclid(86_400_000) as i32),
            })?;
            Some(json!(day))
        }
        (DataType::Timestamp, Node::Text(text)) => parse_instant(text).map(|ms| json!(ms)),
        (DataType::Timestamp, Node::Number(m, e)) => parse_instant(&number_text(*m, *e)).map(|ms| json!(ms)),
        _ => expected_nested(data_type, node),
    }
}

fn expected_nested(data_type: &DataType, node: &Node) -> Option<Json> {
    match (data_type, node) {
        (DataType::Array(item), Node::List(items)) => {
            items.iter().map(|node| expected(item, node)).collect::<Option<Vec<_>>>().map(Json::Array)
        }
        (DataType::Map(key, value), Node::Object(members)) => {
            let key_of = |name: &String| expected(key, &Node::Text(name.clone()));
            let keys = members.iter().map(|(name, _)| key_of(name)).collect::<Option<Vec<_>>>()?;
            let live = (0..keys.len()).filter(|i| !keys[i + 1..].contains(&keys[*i]));
            let pair = |i: usize| Some(json!([keys[i], expected(value, &members[i].1)?]));
            live.map(pair).collect::<Option<Vec<_>>>().map(Json::Array)
        }
        (DataType::Struct(fields), Node::Object(members)) => {
            let field = |f: &Field| Some((f.name.clone(), expected(&f.data_type, member(members, &f.name))?));
            fields.iter().map(field).collect::<Option<_>>().map(Json::Object)
        }
        _ => None,
    }
}

/// The last member of exactly this name, else the last of it case aside.
fn member<'n>(members: &'n [(String, Node)], name: &str) -> &'n Node {
    let exact = members.iter().rev().find(|(n, _)| n == name);
    let found = exact.or_else(|| members.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(name)));
    found.map_or(&Node::Null, |(_, node)| node)
}

fn columns() -> Vec<(&'static str, DataType)> {
    use DataType::*;
    let inner = record(&[("n", SmallInt), ("text", String), ("tags", array(String))]);
    vec![
        ("flag", Boolean),
        ("tiny", TinyInt),
        ("small", SmallInt),
        ("int", Int),
        ("big", BigInt),
        ("float", Float),
        ("double", Double),
        ("price", decimal(12, 4)),
        ("text", String),
        ("bytes", Binary),
        ("day", Date),
        ("ts", Timestamp),
        ("list", array(inner.clone())),
        ("map", map(Int, array(Double))),
        ("names", map(String, inner.clone())),
        ("inner", inner),
    ]
}

fn anything() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Bool),
        (any::<i64>(), -25..25).prop_map(|(m, e)| Node::Number(m, e)),
        "\\PC{0,6}".prop_map(Node::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Node::List),
            prop::collection::vec(("[a-cN]{1,2}", inner), 0..4).prop_map(Node::Object),
        ]
    })
}

/// Mostly values that fit.
fn fitting(data_type: &DataType) -> BoxedStrategy<Node> {
    use DataType::*;
    let int = |bound: i64| (-bound..=bound, 0..1).prop_map(|(m, e)| Node::Number(m, e)).boxed();
    let base = match data_type {
        Boolean => prop_oneof![any::<bool>().prop_map(Node::Bool), Just(Node::Text("TRUE".into()))].boxed(),
        TinyInt => int(130),
        SmallInt => prop_oneof![int(33_000), Just(Node::Number(1200, -2))].boxed(),
        Int => prop_oneof![int(1 << 31), Just(Node::Text("12".into()))].boxed(),
        BigInt => any::<i64>().prop_map(|m| Node::Number(m, 0)).boxed(),
        Float | Double => (any::<i64>(), -40..30).prop_map(|(m, e)| Node::Number(m, e)).boxed(),
        Decimal { .. } => (-100_000i64..100_000, -4..4).prop_map(|(m, e)| Node::Number(m, e)).boxed(),
        String => "(\\PC|[\"\\\\\n\u{1}]){0,12}".prop_map(Node::Text).boxed(),
        Binary => prop::collection::vec(any::<u8>(), 0..9).prop_map(|b| Node::Text(STANDARD.encode(b))).boxed(),
        Date => "20[0-9]{2}-(0[1-9]|1[0-2])-[0-2][1-8]".prop_map(Node::Text).boxed(),
        Timestamp => prop_oneof![
            "20[0-9]{2}-0[1-9]-1[0-9]T1[0-9]:[0-5][0-9]:00(\\.[0-9]{1,4})?(Z|[+-]0[0-9]:30)".prop_map(Node::Text),
            (0i64..2_000_000_000_000, -4..1).prop_map(|(m, e)| Node::Number(m, e)),
        ]
        .boxed(),
        Array(item) => prop::collection::vec(fitting(item), 0..4).prop_map(Node::List).boxed(),
        Map(key, value) => {
            let names = if **key == Int { "0?[0-3]" } else { "[a-c]{1,2}" };
            prop::collection::vec((names, fitting(value)), 0..5).prop_map(Node::Object).boxed()
        }
        Struct(fields) => object(fields.iter().map(|f| (f.name.clone(), f.data_type.clone())).collect()),
    };
    prop_oneof![60 => base, 4 => Just(Node::Null), 1 => anything()].boxed()
}

/// Some of the members in some order, some twice, some in upper case, some unknown.
fn object(fields: Vec<(String, DataType)>) -> BoxedStrategy<Node> {
    let unknown = ("[x-z]{1,3}", anything()).boxed();
    let mut members: Vec<BoxedStrategy<(String, Node)>> = vec![unknown];
    for (name, data_type) in fields {
        let cased = prop_oneof![9 => Just(name.clone()), 1 => Just(name.to_uppercase())];
        members.push((cased, fitting(&data_type)).boxed());
    }
    let all = members.len();
    let picked = prop::sample::subsequence((0..all).collect::<Vec<_>>(), 0..=all);
    let again = prop::option::weighted(0.2, 0..all);
    (picked, again)
        .prop_flat_map(move |(picked, again)| {
            picked.into_iter().chain(again).map(|index| members[index].clone()).collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(Node::Object)
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn file_holds_what_the_slow_encoder_says(
        events in prop::collection::vec(object(columns().into_iter().map(|(n, t)| (n.to_string(), t)).collect()), 1..24),
    ) {
        let spec = table(columns().into_iter().map(|(name, data_type)| event(name, data_type)).collect());
        let lines: Vec<String> = events.iter().map(text_of).collect();
        let row = |node: &Node| match node {
            Node::Object(members) => columns()
                .iter()
                .map(|(name, data_type)| Some((name.to_string(), expected(data_type, member(members, name))?)))
                .collect::<Option<_>>()
                .map(Json::Object),
            _ => None,
        };
        let rows: Vec<Option<Json>> = events.iter().map(row).collect();
        let encoded = encode(&spec, &lines);
        let rejected: Vec<usize> = encoded.rejects.iter().map(|(index, _)| *index).collect();
        let misfits: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].is_none()).collect();
        prop_assert_eq!(rejected, misfits, "{:#?}", lines);
        prop_assert_eq!(read(&encoded), rows.into_iter().flatten().collect::<Vec<_>>(), "{:#?}", lines);
    }
}
