//! Glue: the `TableInput` of `CreateTable` and `UpdateTable`, as the AWS CLI takes it with `--table-input file://`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{athena, properties};
use crate::table::TableSpec;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TableInput<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    table_type: &'static str,
    parameters: BTreeMap<String, String>,
    partition_keys: Vec<GlueColumn>,
    storage_descriptor: StorageDescriptor<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StorageDescriptor<'a> {
    columns: Vec<GlueColumn>,
    location: &'a str,
    input_format: &'static str,
    output_format: &'static str,
    compressed: bool,
    serde_info: SerdeInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SerdeInfo {
    serialization_library: &'static str,
    parameters: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GlueColumn {
    name: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

pub(super) fn generate(spec: &TableSpec, location: &str) -> String {
    let mut parameters: BTreeMap<String, String> = properties(spec, location).into_iter().collect();
    parameters.insert("EXTERNAL".into(), "TRUE".into());
    let stored = spec.stored_columns().into_iter();
    let partitions = spec.partitions.iter();
    let input = TableInput {
        name: &spec.name,
        description: spec.comment.as_deref(),
        table_type: "EXTERNAL_TABLE",
        parameters,
        partition_keys: partitions
            .map(|p| GlueColumn { name: p.name.clone(), r#type: p.data_type.to_string(), comment: p.comment.clone() })
            .collect(),
        storage_descriptor: StorageDescriptor {
            columns: stored
                .map(|c| GlueColumn { name: c.name, r#type: c.data_type.to_string(), comment: c.comment })
                .collect(),
            location,
            input_format: athena::INPUT_FORMAT,
            output_format: athena::OUTPUT_FORMAT,
            compressed: false,
            serde_info: SerdeInfo {
                serialization_library: athena::SERDE,
                parameters: BTreeMap::from([("serialization.format", "1")]),
            },
        },
    };
    let mut json = serde_json::to_string_pretty(&input).expect("strings and booleans serialise");
    json.push('\n');
    json
}
