//! What the engine finds is what going through every row would find, and what it lists is what it computed.

mod counted;
mod lake;

use std::sync::Arc;

use datafusion::prelude::{SessionContext, col, lit};
use datafusion::scalar::ScalarValue;
use proptest::prelude::*;

use super::*;
use crate::engine::Engine;
use crate::event::Event;
use crate::predicate::{Comparison, Predicate, Scalar};
use crate::question::{Attribute, of_attribute};
use crate::timeline::versions;
use lake::{Row, TestLake, now, rows};

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime").block_on(future)
}

fn question(filter: Predicate, stop: Stop) -> Question {
    Question::all(filter, now()).until(stop)
}

fn told(events: &[Event]) -> Vec<(String, String, i64, Option<String>)> {
    events.iter().map(|e| (e.entity.clone(), e.attribute.clone(), e.at, e.id.clone())).collect()
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual),
    ]
}

fn compared() -> impl Strategy<Value = Predicate> {
    let to = |column: &'static str| {
        move |(is, value): (Comparison, Scalar)| Predicate::Compare { column: column.into(), is, value }
    };
    let text = |of: &'static str| (0u8..6).prop_map(move |n| Scalar::Text(format!("{of}{n}")));
    let at = (0i64..15 * 24).prop_map(|hours| Scalar::Instant(lake::FIRST + hours * 3_600_000));
    let day = (0i32..16).prop_map(|day| Scalar::Text(crate::time::day_text(lake::FIRST_DAY + day)));
    prop_oneof![
        (comparison(), text("e")).prop_map(to("entity_id")),
        (comparison(), text("a")).prop_map(to("attribute_name")),
        (comparison(), at).prop_map(to("created_at")),
        (comparison(), day).prop_map(to("created_date")),
        (comparison(), (0i64..10).prop_map(Scalar::Int)).prop_map(to("entity_id_mod")),
        proptest::collection::vec(text("e"), 0..3).prop_map(|values| Predicate::any_of("entity_id", values)),
    ]
}

fn predicate() -> impl Strategy<Value = Predicate> {
    compared().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..3).prop_map(Predicate::And),
            proptest::collection::vec(inner, 1..3).prop_map(Predicate::Or),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Neither pruning by folders nor by statistics loses a row, or lets one through.
    #[test]
    fn what_is_found_is_what_every_row_would_say(rows in rows(), filter in predicate()) {
        let lake = TestLake::new(&rows);
        let engine = lake.engine();
        let ask = |filter: &Predicate| block_on(engine.events(&question(filter.clone(), Stop::Never))).expect("answered");
        let all: Vec<Event> = rows.iter().filter(|row| row.matches(&filter)).map(Row::event).collect();
        let all = told(&ordered(all));
        let first = ask(&filter);
        prop_assert_eq!(told(&first.events), all.clone());
        // With what was remembered of some files, and then of all.
        prop_assert_eq!(told(&ask(&filter).events), all.clone());
        ask(&Predicate::And(Vec::new()));
        let last = ask(&filter);
        prop_assert_eq!(told(&last.events), all);
        prop_assert!(last.statistics.files_opened <= first.statistics.files_opened);
    }

    /// Reading newest first and stopping gives the same last versions as reading all.
    #[test]
    fn stopping_early_changes_nothing_of_what_was_asked(rows in rows(), entity in 0u8..6, attribute in 0u8..3, each in 1usize..4) {
        let lake = TestLake::new(&rows);
        let of = Attribute { entity: format!("e{entity}"), name: format!("a{attribute}") };
        let filter = Predicate::And(vec![
            Predicate::text("entity_id", &of.entity),
            Predicate::text("attribute_name", &of.name),
        ]);
        let stop = Stop::Changes { of: vec![of.clone()], each: each + 1, before: None };
        let engine = lake.engine();
        let early = block_on(engine.events(&question(filter.clone(), stop))).expect("answered");
        let all = block_on(engine.events(&question(filter, Stop::Never))).expect("answered");
        let last = |found: &Found| {
            let mut versions = versions(&of_attribute(&found.events, &of), true);
            versions.reverse();
            versions.truncate(each);
            versions
        };
        prop_assert_eq!(last(&early), last(&all));
        prop_assert!(early.statistics.folders_listed <= all.statistics.folders_listed);
    }
}

/// One request for the days there are, and one for each folder that the question needs: whatever else the table holds.
#[test]
fn a_question_lists_the_folders_it_computed_and_nothing_else() {
    let rows: Vec<Row> = (0..300).map(|n| Row::new(n % 6, n % 3, i64::from(n) * 3_600_000, n)).collect();
    let lake = TestLake::new(&rows);
    let filter = Predicate::And(vec![
        Predicate::text("entity_id", "e1"),
        Predicate::text("attribute_name", "a1"),
        Predicate::between(
            "created_at",
            Some(Scalar::Instant(lake::FIRST)),
            Some(Scalar::Instant(lake::FIRST + 2 * 86_400_000)),
        ),
    ]);
    let found = block_on(lake.engine().events(&question(filter, Stop::Never))).expect("answered");
    assert_eq!((found.statistics.folders_projected, lake.lists()), (3, 3));
    assert!(found.statistics.rows > 0 && found.complete);

    let lake = TestLake::new(&rows);
    let forever = Predicate::And(vec![Predicate::text("entity_id", "e1"), Predicate::text("attribute_name", "a1")]);
    let found = block_on(lake.engine().events(&question(forever, Stop::Never))).expect("answered");
    let days = 13;
    assert_eq!(
        (lake.lists(), found.statistics.lists),
        (days + 1, days + 1),
        "the days there are, and the question which"
    );
    assert!(found.statistics.folders_projected > 5_000);
}

#[test]
fn too_wide_a_question_is_refused_by_the_predicate_that_is_missing() {
    let lake = TestLake::new(&[Row::new(1, 1, 0, 1)]);
    let engine = lake.limited(Limits { folders: 8, ..Limits::default() });
    let refused = block_on(engine.events(&question(Predicate::text("attribute_name", "a1"), Stop::Never)));
    let Err(ReaderError::TooWide(refused)) = refused else { panic!("{refused:?}") };
    assert!(refused.to_string().contains("add a predicate on `entity_id_mod`"), "{refused}");
    let engine = lake.limited(Limits { bytes: 10, ..Limits::default() });
    let refused = block_on(engine.events(&question(Predicate::text("entity_id", "e1"), Stop::Never)));
    assert!(matches!(refused, Err(ReaderError::TooMuch { .. })), "{refused:?}");
    let engine = lake.limited(Limits { rows: 0, ..Limits::default() });
    let refused = block_on(engine.events(&question(Predicate::text("entity_id", "e1"), Stop::Never)));
    assert!(matches!(refused, Err(ReaderError::TooMuch { what: "rows to hold", .. })), "{refused:?}");
}

/// The second time, a file whose bounds leave the entity out is not opened.
#[test]
fn files_that_cannot_hold_the_answer_are_opened_once() {
    let rows: Vec<Row> = (0..300).map(|n| Row::new(n % 6, n % 3, i64::from(n) * 3_600_000, n)).collect();
    let lake = TestLake::new(&rows);
    let engine = lake.engine();
    let ask = |entity: &str| {
        let filter =
            Predicate::And(vec![Predicate::text("entity_id", entity), Predicate::text("attribute_name", "a1")]);
        block_on(engine.events(&question(filter, Stop::Never))).expect("answered")
    };
    let first = ask("e1");
    let second = ask("e1");
    assert_eq!((told(&second.events), second.statistics.files), (told(&first.events), first.statistics.files));
    assert_eq!(first.statistics.files_opened, first.statistics.files);
    let none = ask("e1x");
    assert_eq!((none.events.len(), none.statistics.rows), (0, 0));
    let again = ask("e1x");
    assert!(again.statistics.files == 0 || again.statistics.files_opened == 0, "{:?}", again.statistics);
}

/// The provider by itself, as any other program of DataFusion's would use it: filters come from its optimizer.
#[test]
fn the_provider_prunes_by_filters_that_datafusion_hands_down() {
    let rows: Vec<Row> = (0..300).map(|n| Row::new(n % 6, n % 3, i64::from(n) * 3_600_000, n)).collect();
    let lake = TestLake::new(&rows);
    let table = LakeTable::projected(lake.layout(), lake.place(), now(), 1_000);
    let context = SessionContext::new();
    context.register_object_store(super::table::STORE.as_ref(), lake.place().store());
    let first = ScalarValue::TimestampMillisecond(Some(lake::FIRST), Some("UTC".into()));
    let last = ScalarValue::TimestampMillisecond(Some(lake::FIRST + 86_400_000 - 1), Some("UTC".into()));
    let filter = col("entity_id")
        .in_list(vec![lit("e1"), lit("e4")], false)
        .and(col("attribute_name").eq(lit("a1")).or(col("attribute_name").eq(lit("a9"))))
        .and(col("created_at").between(lit(first), lit(last)));
    let frame = context.read_table(Arc::new(table.clone())).and_then(|frame| frame.filter(filter)).expect("planned");
    let counted = block_on(frame.count()).expect("counted");
    let want = rows.iter().filter(|r| [1, 4].contains(&r.entity) && r.attribute == 1 && r.at < 86_400_000).count();
    assert_eq!(counted, want);
    assert!(lake.lists() <= 2, "{} lists for one day, one attribute, two buckets", lake.lists());

    let wide = context.read_table(Arc::new(table)).expect("planned");
    let refused = block_on(wide.count()).expect_err("the whole table").to_string();
    assert!(refused.contains("add a predicate on"), "{refused}");
}
