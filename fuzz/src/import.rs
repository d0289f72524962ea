//! A description of a Firehose stream in any format: it ends, and what is imported is a configuration that loads.
//!
//! The first byte chooses: the API's JSON or CloudFormation's, YAML, Terraform, a prefix, a query.

use ingest::import::{Format, Variables, Wanted, described, import, prefix, query};
use schemas::table::TableSpec;

use super::input::text;

const NOW: i64 = 1_772_406_309_000;

pub fn run(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let Some(text) = text(rest) else { return };
    match choice % 5 {
        0 => whole(text, Format::Json),
        1 => whole(text, Format::Yaml),
        2 => whole(text, Format::Terraform),
        3 => {
            if let Ok(pieces) = prefix::parse(text) {
                assert!(text.starts_with(prefix::lead(&pieces)));
                let again: String = pieces.iter().map(written).collect();
                assert_eq!(again, text, "a prefix is what its pieces say");
            }
        }
        _ => {
            if let Ok(query) = query::parse(text) {
                assert!(!query.keys.is_empty());
                assert!(query.keys.iter().all(|(_, program)| !program.is_empty()));
            }
        }
    }
}

fn written(piece: &prefix::Piece) -> String {
    match piece {
        prefix::Piece::Text(text) => text.clone(),
        prefix::Piece::Timestamp(pattern) => format!("!{{timestamp:{pattern}}}"),
        prefix::Piece::Random => "!{firehose:random-string}".into(),
        prefix::Piece::ErrorType => "!{firehose:error-output-type}".into(),
        prefix::Piece::Query(name) => format!("!{{partitionKeyFromQuery:{name}}}"),
        prefix::Piece::Lambda(name) => format!("!{{partitionKeyFromLambda:{name}}}"),
    }
}

fn whole(text: &str, format: Format) {
    let variables = Variables::new();
    let Ok(described) = described(text, format, &variables) else { return };
    let wanted = Wanted { variables, now: NOW, ..Wanted::default() };
    if let Ok(imported) = import(described, &wanted, "fuzz") {
        TableSpec::parse(&imported.table, "t.toml").unwrap_or_else(|p| panic!("{p:?}\n{}", imported.table));
        let folder = std::path::Path::new("/fuzz");
        let (_, problems) = ingest::config::typed::read(&imported.config, "c.toml", folder, &|_| None);
        assert!(problems.is_empty(), "{problems:?}\n{}", imported.config);
    }
}
