//! What Firehose does with records before it delivers them: the processors, one by one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::findings::Notes;
use super::node::Settings;

/// What the processors mean for keys.
#[derive(Debug, Default)]
pub(super) struct Processing {
    pub(super) query: Option<(String, String)>,
    pub(super) lambda: Option<String>,
}

/// Parameters by their names.
type Parameters = Vec<(String, String, String)>;

pub(super) fn read(s3: &mut Settings, notes: &mut Notes) -> Processing {
    let mut found = Processing::default();
    let Some(mut section) = s3.section("ProcessingConfiguration") else { return found };
    let at = section.name("Enabled");
    // Where it is left out, the service takes it for false on an update, and tools write it always.
    let enabled = section.flag("Enabled", notes).unwrap_or(true);
    notes.same(&at, enabled.to_string(), "", "whether the processors below are run");
    for mut processor in section.list("Processors") {
        if let Some(unknown) = processor.take("?") {
            let why = format!("is `{}`, which only its deployment knows: write the processors out", unknown.shown());
            notes.block(processor.name_of(), why);
            continue;
        }
        let kind = processor.text("Type", notes).unwrap_or_default();
        let parameters = parameters(&mut processor, notes);
        match enabled {
            true => read_one(&kind, processor.name_of(), &parameters, &mut found, notes),
            false => notes.same(processor.name_of(), kind, "", "is not run, since Enabled is false"),
        }
        processor.finish(notes);
    }
    section.finish(notes);
    found
}

/// Name, value, and where it stands.
fn parameters(processor: &mut Settings, notes: &mut Notes) -> Parameters {
    let mut all = Vec::new();
    for mut parameter in processor.list("Parameters") {
        let name = parameter.text("ParameterName", notes).unwrap_or_default();
        let at = parameter.name("ParameterValue");
        let value = parameter.text("ParameterValue", notes).unwrap_or_default();
        parameter.finish(notes);
        all.push((name, value, at));
    }
    all
}

fn read_one(kind: &str, at: &str, parameters: &Parameters, found: &mut Processing, notes: &mut Notes) {
    let value = |name: &str| parameters.iter().find(|(known, ..)| known == name).map(|(_, value, _)| value.as_str());
    let mut known: &[&str] = &[];
    match kind {
        "MetadataExtraction" => {
            known = &["MetadataExtractionQuery", "JsonParsingEngine"];
            extraction(at, parameters, found, notes);
        }
        "RecordDeAggregation" => {
            known = &["SubRecordType", "Delimiter"];
            deaggregation(at, value("SubRecordType").unwrap_or("JSON"), value("Delimiter"), notes);
        }
        "AppendDelimiterToRecord" => {
            known = &["Delimiter"];
            notes.different(at, kind, "", "parts records in a file of text; rows of Parquet need none");
        }
        "Decompression" => {
            known = &["CompressionFormat"];
            notes.better(
                at,
                kind,
                "[decode] decompress",
                "records that begin as gzip or zstd does are decompressed, and others taken as they are",
            );
        }
        "CloudWatchLogProcessing" => {
            known = &["DataMessageExtraction"];
            notes.block(
                at,
                "takes log messages out of the envelope of CloudWatch Logs (`logEvents[].message`), which Alluvium \
                 does not: the keys would be looked for in the envelope, and each record be rejected",
            );
        }
        "Lambda" => {
            known = &["LambdaArn", "NumberOfRetries", "RoleArn", "BufferSizeInMBs", "BufferIntervalInSeconds"];
            let arn = value("LambdaArn").unwrap_or_default();
            notes.unsupported(
                at,
                format!("Lambda {arn}"),
                "Alluvium calls no function on the way: records are taken as they are put. What it adds has to be \
                 put by the producers or worked out in [keys]; what it drops has to stay away",
            );
            found.lambda = Some(arn.to_string());
        }
        other => notes
            .block(at, format!("is a processor `{other}`, which is not known: what it does to records cannot be told")),
    }
    for (name, value, at) in parameters.iter().filter(|(name, ..)| !known.contains(&name.as_str())) {
        notes.unsupported(
            at,
            format!("{name} = {value}"),
            "no such parameter is known to this importer: nothing was made of it",
        );
    }
}

fn extraction(at: &str, parameters: &Parameters, found: &mut Processing, notes: &mut Notes) {
    for (name, value, at) in parameters {
        match name.as_str() {
            "JsonParsingEngine" if value == "JQ-1.6" => {
                notes.same(
                    at,
                    value,
                    "[decode] jq_compat",
                    "programs answer as jq 1.6 does; docs/import.md tells what still differs",
                );
            }
            "JsonParsingEngine" => notes.block(at, format!("is `{value}`: Firehose takes JQ-1.6 alone")),
            "MetadataExtractionQuery" if found.query.is_some() => {
                notes.block(at, "is a second query: Firehose takes exactly one");
            }
            "MetadataExtractionQuery" => found.query = Some((value.clone(), at.clone())),
            _ => {}
        }
    }
    if found.query.is_none() {
        notes.block(at, "has no MetadataExtractionQuery");
    }
}

fn deaggregation(at: &str, kind: &str, delimiter: Option<&str>, notes: &mut Notes) {
    let decoded = delimiter.map(|text| STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()));
    match (kind, decoded) {
        ("JSON", _) => notes.better(
            at,
            "JSON",
            "[decode] documents",
            "several objects in a record, on lines or one behind the other: up to 10,000, where Firehose fails the \
             whole record beyond 500",
        ),
        ("DELIMITED", Some(Some(text))) if !text.is_empty() && text.trim().is_empty() => {
            notes.same(
                at,
                format!("DELIMITED by {text:?}"),
                "[decode] documents",
                "whitespace parts the objects of a record",
            );
        }
        ("DELIMITED", Some(Some(text))) => notes.block(
            at,
            format!(
                "parts the objects of a record by `{}`: Alluvium takes them apart where nothing or whitespace stands \
             between them, so each such record would be rejected",
                text.escape_debug()
            ),
        ),
        ("DELIMITED", Some(None)) => notes.block(at, "has a Delimiter that is not base64 of a text"),
        ("DELIMITED", None) => notes.block(at, "is DELIMITED without a Delimiter, which Firehose refuses"),
        (other, _) => notes.block(at, format!("has the SubRecordType `{other}`: Firehose takes JSON and DELIMITED")),
    }
}
