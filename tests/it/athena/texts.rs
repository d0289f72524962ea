//! Text in statements, read by parsers that are not ours: it is what was asked for, and ends where its literal ends.

use std::process::Command;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reader::engine::athena::{Literal, statement};
use reader::plan::Layout;
use reader::predicate::{Predicate, Scalar};
use schemas::table::TableSpec;
use tests::alluvium::Lake;
use tests::{athena, tools};

/// Texts made up at random, and statements with them.
const TEXTS: usize = 400;
const STATEMENTS: usize = 12;

/// 2026-11-22.
const NOW: i64 = 1_795_305_600_000;

/// What statements are broken with.
const PIECES: [&str; 24] = [
    "'",
    "''",
    "\\",
    "\\'",
    "\"",
    "`",
    ";",
    "--",
    "/*",
    "*/",
    "?",
    "%",
    "_",
    "${x}",
    "{{x}}",
    "$$",
    "U&'",
    "X'",
    " OR 1=1",
    "); DROP TABLE t",
    "\u{2019}",
    "\u{ff07}",
    "🦀",
    "us:MMM",
];

fn hostile(random: &mut StdRng) -> String {
    let count = random.random_range(0..8);
    (0..count).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect()
}

fn random() -> StdRng {
    let seed = rand::random();
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

#[test]
fn any_text_comes_back_from_parser_and_engine() {
    let mut random = random();
    let texts: Vec<String> = (0..TEXTS).map(|_| hostile(&mut random)).collect();
    let sql = |text: &String| Literal::Text(text).sql("entity_id").expect("no control character is in it");
    let read = athena::texts(&texts.iter().map(sql).collect::<Vec<_>>());
    assert_eq!(read.len(), texts.len());
    for (text, (parsed, executed)) in texts.iter().zip(read) {
        assert_eq!((&parsed, &executed), (text, text));
    }
}

/// sqlfluff takes a backslash for an escape, which it is not in Athena's SQL: texts with one are the other test's.
#[test]
fn statements_pass_a_strict_parser_whatever_they_ask_for() {
    let spec = include_str!("../../../schemas/tables/attribute_events.toml");
    let spec = TableSpec::parse(spec, "t.toml").expect("the table of the repository");
    let layout = Layout::new(spec, &[("entity_id_mod".into(), ".entity_id | bucket(10)".into())]);
    let (mut random, lake) = (random(), Lake::local());
    let folder = lake.file("statements");
    std::fs::create_dir(&folder).expect("writable");
    for number in 0..STATEMENTS {
        let text = |random: &mut StdRng| Scalar::Text(hostile(random).replace('\\', "/"));
        let texts = [text(&mut random), text(&mut random)];
        let filter = Predicate::And(vec![
            Predicate::any_of("entity_id", texts.clone()),
            Predicate::Or(texts.map(|text| Predicate::equal("value", text)).to_vec()),
            Predicate::between("created_at", Some(Scalar::Instant(NOW - 86_400_000)), Some(Scalar::Instant(NOW))),
        ]);
        let plan = layout.plan(&filter, NOW).expect("planned");
        let sql = statement(&layout.spec, "company_lake", &filter, &plan).expect("a statement").expect("folders");
        std::fs::write(folder.join(format!("{number}.sql")), sql + "\n").expect("writable");
    }
    let mut command = Command::new(tools::python("python"));
    command.args(["-m", "sqlfluff", "parse", "--dialect", "athena", "--templater", "raw", "--nocolor"]).arg(&folder);
    let tree = tools::output(&mut command);
    assert!(!tree.contains("unparsable"), "{tree}");
    assert_eq!(tree.matches("select_statement:").count(), STATEMENTS, "one statement each");
}
