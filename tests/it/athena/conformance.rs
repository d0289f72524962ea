//! The same questions to both engines over one lake: the same rows, the same refusals.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reader::clock::now_ms;
use reader::error::ReaderError;
use reader::history::{Moment, Page};
use reader::predicate::{Comparison, Predicate, Scalar};
use reader::question::{Attribute, Found, Question};
use serde_json::Value;
use tests::block_on;

use super::lake::Both;

/// Questions made up at random.
const RANDOM: usize = 24;

/// An event as the log has it.
struct Line {
    entity: String,
    attribute: String,
    at: i64,
}

fn lines(both: &Both) -> Vec<Line> {
    let read = |line: &Vec<u8>| {
        let event: Value = serde_json::from_slice(line).expect("a log is JSON");
        let text = |name: &str| event[name].as_str().expect("text").to_string();
        let at = schemas::instant::parse_instant(&text("created_at")).expect("an instant");
        Line { entity: text("entity_id"), attribute: text("attribute_name"), at }
    };
    both.events.iter().map(read).collect()
}

/// Both answers to a question; they have to be the same events.
fn same(both: &Both, what: &str, filter: Predicate) -> [Found; 2] {
    let question = Question::all(filter, now_ms());
    let answers = both.engines(|_| ()).map(|engine| {
        let found = block_on(engine.events(&question));
        found.unwrap_or_else(|e| panic!("{what}: {}: {e}", engine.name()))
    });
    let [ours, theirs] = &answers;
    assert_eq!(ours.events.len(), theirs.events.len(), "{what}");
    for (one, other) in ours.events.iter().zip(&theirs.events) {
        assert_eq!(one, other, "{what}");
    }
    answers
}

fn at(millis: i64) -> Option<Scalar> {
    Some(Scalar::Instant(millis))
}

#[test]
fn each_kind_of_question_has_the_same_answer() {
    let both = Both::sp500();
    let lines = lines(both);
    let (one, other, last) = (&lines[0], &lines[lines.len() / 2], &lines[lines.len() - 1]);
    let entity = Predicate::text("entity_id", &one.entity);
    let attribute = Predicate::text("attribute_name", &other.attribute);
    let time = Predicate::between("created_at", at(one.at), at(other.at));
    let day = reader::time::day_text(reader::time::day_of(last.at));
    let texts = |all: &[&str]| all.iter().map(|text| Scalar::Text(text.to_string())).collect::<Vec<_>>();
    let cases = [
        ("one entity", entity.clone(), true),
        ("one attribute, more than a page", attribute.clone(), true),
        ("both, in a span", Predicate::And(vec![entity.clone(), attribute.clone(), time.clone()]), false),
        ("either", Predicate::Or(vec![entity.clone(), Predicate::text("entity_id", &last.entity)]), true),
        ("some of them", Predicate::any_of("entity_id", texts(&[&one.entity, &other.entity, "no such one"])), true),
        ("a day, by its folder", Predicate::text("created_date", &day), true),
        ("a bucket", Predicate::And(vec![Predicate::equal("entity_id_mod", Scalar::Int(3)), time.clone()]), true),
        ("an instant", Predicate::equal("created_at", Scalar::Instant(one.at)), true),
        ("none", Predicate::And(vec![entity.clone(), Predicate::Or(Vec::new())]), false),
        ("of another type", Predicate::equal("entity_id", Scalar::Int(1)), false),
        ("arrived by then", Predicate::And(vec![time, Predicate::between("_arrived_at", None, at(now_ms()))]), true),
        ("a column that may be null", Predicate::And(vec![entity, Predicate::text("op", "unset")]), false),
        ("an injection", Predicate::text("entity_id", "' OR 1 = 1 -- \\' \"; DROP TABLE t; /*"), false),
    ];
    for (what, filter, has_rows) in cases {
        let [ours, _] = same(both, what, filter);
        assert!(!has_rows || !ours.events.is_empty(), "{what}: no row");
    }
}

#[test]
fn random_questions_have_the_same_answers() {
    let both = Both::sp500();
    let lines = lines(both);
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for number in 0..RANDOM {
        let filter = Predicate::And(vec![predicate(&mut random, &lines, 2), compared(&mut random, &lines)]);
        same(both, &format!("seed {seed}, question {number}: {filter:?}"), filter.clone());
    }
}

fn predicate(random: &mut StdRng, lines: &[Line], depth: u32) -> Predicate {
    let parts = |random: &mut StdRng| (0..2).map(|_| predicate(random, lines, depth - 1)).collect();
    match random.random_range(0..4) {
        0 if depth > 0 => Predicate::And(parts(random)),
        1 if depth > 0 => Predicate::Or(parts(random)),
        _ => compared(random, lines),
    }
}

fn compared(random: &mut StdRng, lines: &[Line]) -> Predicate {
    let line = &lines[random.random_range(0..lines.len())];
    let is = match random.random_range(0..7) {
        0 => Comparison::Less,
        1 => Comparison::LessOrEqual,
        2 => Comparison::Greater,
        3 => Comparison::GreaterOrEqual,
        _ => Comparison::Equal,
    };
    let day = reader::time::day_text(reader::time::day_of(line.at));
    let (column, value) = match random.random_range(0..5) {
        0 => ("attribute_name", Scalar::Text(line.attribute.clone())),
        1 => ("created_at", Scalar::Instant(line.at)),
        2 => ("created_date", Scalar::Text(day)),
        3 => ("entity_id_mod", Scalar::Int(random.random_range(0..10))),
        _ => ("entity_id", Scalar::Text(line.entity.clone())),
    };
    Predicate::Compare { column: column.into(), is, value }
}

/// One engine stops early, the other reads all: what is told of it is the same.
#[test]
fn explanations_and_pages_are_the_same() {
    let both = Both::sp500();
    let lines = lines(both);
    let [ours, theirs] = both.histories();
    for line in lines.iter().step_by(lines.len() / 6) {
        let of = Attribute { entity: line.entity.clone(), name: line.attribute.clone() };
        let moment = Moment { as_of: Some(line.at), known_as_of: None };
        let told = |history: &reader::history::History| {
            let found = block_on(history.explain(&of, moment, now_ms())).expect("answered");
            let mut versions = reader::timeline::versions(&found.events, true);
            versions.reverse();
            versions.truncate(1);
            versions
        };
        assert_eq!(told(&ours), told(&theirs), "{of:?}");
        let page = Page { from: None, to: None, known_as_of: None, changes_only: true, limit: 3, after: None };
        let paged =
            |history: &reader::history::History| block_on(history.page(&of, page, now_ms())).expect("answered").0;
        assert_eq!(paged(&ours), paged(&theirs), "{of:?}");
    }
}

#[test]
fn what_is_too_much_is_refused_by_both_and_dry_runs_are_the_same() {
    let both = Both::sp500();
    let line = &lines(both)[0];
    let filter = Predicate::text("entity_id", &line.entity);
    let question = Question::all(filter, now_ms());
    let dry = both.engines(|_| ()).map(|engine| block_on(engine.plan(&question)).expect("planned"));
    assert_eq!((&dry[0].folders, dry[0].athena_usd), (&dry[1].folders, dry[1].athena_usd));
    for engine in both.engines(|config| config.reader.limits.rows = 1) {
        let refused = block_on(engine.events(&question));
        assert!(matches!(refused, Err(ReaderError::TooMuch { what: "rows to hold", limit: 1, .. })), "{refused:?}");
    }
    for engine in both.engines(|config| config.reader.limits.bytes = 1) {
        let refused = block_on(engine.events(&question));
        let is_so = matches!(refused, Err(ReaderError::TooMuch { what: "bytes of the files to read", limit: 1, .. }));
        assert!(is_so, "{refused:?}");
    }
    for engine in both.engines(|config| config.reader.limits.folders = 1) {
        let refused = block_on(engine.events(&question));
        assert!(matches!(refused, Err(ReaderError::TooWide(_))), "{refused:?}");
    }
}

#[test]
fn athenas_statistics_say_what_it_scanned_and_what_that_costs() {
    let both = Both::sp500();
    let [_, found] = same(both, "statistics", Predicate::text("entity_id", &lines(both)[0].entity));
    let took = &found.statistics;
    assert_eq!((took.engine, took.rows), ("athena", found.events.len() as u64));
    assert!(took.bytes_scanned > 0 && took.folders_projected > 1_000 && took.lists >= 1, "{took:?}");
    let lists = took.lists as f64 * 0.005 / 1000.0;
    assert!((took.cost_usd - lists - 10e6 / 1e12 * 5.0).abs() < 1e-12, "{took:?}");
}
