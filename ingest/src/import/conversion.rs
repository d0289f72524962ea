//! Record format conversion: which table's columns, how JSON becomes them, how files are written.

use super::findings::Notes;
use super::node::Settings;
use super::stream::Conversion;

/// `None`: the stream delivers JSON as it came.
pub(super) fn read(s3: &mut Settings, notes: &mut Notes) -> Option<Conversion> {
    let mut section = s3.section("DataFormatConversionConfiguration")?;
    let at = section.name("Enabled");
    let enabled = section.flag("Enabled", notes).unwrap_or(true);
    if !enabled {
        notes.different(&at, "false", "", "Firehose writes JSON text here, and Alluvium writes Parquet alone");
        section
            .say(&["SchemaConfiguration", "InputFormatConfiguration", "OutputFormatConfiguration"], |name, value| {
                notes.same(name, value, "", "has no effect while conversion is off")
            });
        section.finish(notes);
        return None;
    }
    notes.same(&at, "true", "[table] spec", "rows are Parquet with the table's columns");
    let mut conversion = Conversion::default();
    if let Some(schema) = section.section("SchemaConfiguration") {
        read_schema(schema, &mut conversion, notes);
    }
    if let Some(input) = section.section("InputFormatConfiguration") {
        read_input(input, &mut conversion, notes);
    }
    if let Some(output) = section.section("OutputFormatConfiguration") {
        read_output(output, &mut conversion, notes);
    }
    section.finish(notes);
    Some(conversion)
}

fn read_schema(mut schema: Settings, conversion: &mut Conversion, notes: &mut Notes) {
    let at = schema.name_of().to_string();
    // Names that only the deployment knows are no obstacle: the columns may be given beside it.
    let mut name =
        |field: &str| schema.take(field).and_then(|node| node.text().map(str::to_string)).unwrap_or_default();
    conversion.database = name("DatabaseName");
    conversion.table = name("TableName");
    conversion.region = Some(name("Region")).filter(|region| !region.is_empty());
    let table = format!("{}.{}", conversion.database, conversion.table);
    notes.same(
        &at,
        table,
        "[table] spec",
        "the columns are written down in the spec, and Glue's definition comes from it",
    );
    schema.say(&["VersionId"], |name, value| {
        notes.different(
            name,
            value,
            "[table] spec",
            "a change of the table in Glue is not picked up by itself: the spec is changed, and a restart takes it",
        );
    });
    schema.say(&["CatalogId"], |name, value| notes.same(name, value, "", "the catalog that the table is in"));
    super::stream::role(&mut schema, notes);
    schema.finish(notes);
}

fn read_input(mut input: Settings, conversion: &mut Conversion, notes: &mut Notes) {
    if let Some(mut deserializer) = input.section("Deserializer") {
        if let Some(mut openx) = deserializer.section("OpenXJsonSerDe") {
            let why = "unknown members are dropped and counted, values read by their column's type; RFC 3339 with any \
                 offset is a timestamp, and a value that does not fit rejects its event alone, with column and \
                 reason";
            notes.better(openx.name_of(), "", "[table] spec", why);
            openx.say(&["CaseInsensitive"], |name, value| match value.as_str() {
                "false" => notes.same(name, value, "[[column]] path", "names are matched as they are written"),
                _ => notes.different(
                    name,
                    value,
                    "[[column]] path",
                    "names are matched as they are written: a member `customerId` of a column `customerid` needs \
                     `path = \".customerId\"`",
                ),
            });
            openx.say(&["ConvertDotsInJsonKeysToUnderscores"], |name, value| match value.as_str() {
                "true" => notes.different(
                    name,
                    value,
                    "[[column]] path",
                    "a member with dots in its name needs `path = \".\\\"a.b\\\"\"`",
                ),
                _ => notes.same(name, value, "", "names with dots stay as they are"),
            });
            for (column, member) in
                openx.take("ColumnToJsonKeyMappings").iter().flat_map(|node| node.members().to_vec())
            {
                let at = openx.name(&format!("ColumnToJsonKeyMappings.{column}"));
                if let Some(member) = member.text() {
                    notes.same(&at, member, "[[column]] path", "the column reads this member");
                    conversion.mappings.push((column, member.to_string()));
                }
            }
            openx.finish(notes);
        }
        if let Some(mut hive) = deserializer.section("HiveJsonSerDe") {
            notes.different(
                hive.name_of(),
                "",
                "[table] spec",
                "names are matched as they are written, and values read by their column's type",
            );
            hive.say(&["TimestampFormats"], |name, value| {
                notes.different(
                    name,
                    value,
                    "[[column]] type",
                    "a timestamp is RFC 3339, `yyyy-MM-dd HH:mm:ss`, or epoch seconds or milliseconds; other forms \
                     are rejected with column and value: keep them as string",
                );
            });
            hive.finish(notes);
        }
        deserializer.finish(notes);
    }
    input.finish(notes);
}

fn read_output(mut output: Settings, conversion: &mut Conversion, notes: &mut Notes) {
    if let Some(mut serializer) = output.section("Serializer") {
        if let Some(parquet) = serializer.section("ParquetSerDe") {
            read_parquet(parquet, conversion, notes);
        }
        if let Some(mut orc) = serializer.section("OrcSerDe") {
            notes.different(
                orc.name_of(),
                "ORC",
                "[parquet]",
                "Alluvium writes Parquet, and engines do not read both in one table: begin a new one, or replay the \
                 raw records into it",
            );
            orc.say(
                &[
                    "StripeSizeBytes",
                    "BlockSizeBytes",
                    "RowIndexStride",
                    "EnablePadding",
                    "PaddingTolerance",
                    "Compression",
                    "BloomFilterColumns",
                    "BloomFilterFalsePositiveProbability",
                    "DictionaryKeyThreshold",
                    "FormatVersion",
                ],
                |name, value| {
                    notes.unsupported(
                        name,
                        value,
                        "is a setting of ORC files; `bloom` and `sort` of the table spec are Parquet's",
                    )
                },
            );
            orc.finish(notes);
        }
        serializer.finish(notes);
    }
    output.finish(notes);
}

fn read_parquet(mut parquet: Settings, conversion: &mut Conversion, notes: &mut Notes) {
    let at = parquet.name("Compression");
    match parquet.text("Compression", notes).as_deref() {
        None => conversion.compression = Some("snappy".into()),
        Some(codec @ ("SNAPPY" | "GZIP" | "UNCOMPRESSED")) => {
            let ours = match codec {
                "SNAPPY" => "snappy",
                "GZIP" => "gzip",
                _ => "none",
            };
            conversion.compression = Some(ours.to_string());
            notes.same(
                &at,
                codec,
                "[parquet] compression",
                "the same codec; `zstd(1)` makes smaller files for less work",
            );
        }
        Some(other) => notes.block(&at, format!("is `{other}`: Firehose takes SNAPPY, GZIP and UNCOMPRESSED")),
    }
    let at = parquet.name("PageSizeBytes");
    conversion.page_bytes = parquet.number("PageSizeBytes", notes);
    if let Some(bytes) = conversion.page_bytes {
        notes.same(&at, bytes.to_string(), "[parquet] page_size", "bytes of a page before compression, at about");
    }
    let at = parquet.name("EnableDictionaryCompression");
    conversion.dictionary = parquet.flag("EnableDictionaryCompression", notes);
    if let Some(dictionary) = conversion.dictionary {
        notes.same(&at, dictionary.to_string(), "[parquet] dictionary", "dictionaries are written, or not, as here");
    }
    parquet.say(&["BlockSizeBytes"], |name, value| {
        notes.different(
            name,
            value,
            "[parquet] row_group_rows",
            "a row group is counted in rows, not in bytes of HDFS blocks",
        );
    });
    parquet.say(&["MaxPaddingBytes"], |name, value| {
        notes.different(name, value, "", "pads to HDFS blocks, which an object store has none of");
    });
    parquet.say(&["WriterVersion"], |name, value| match value.as_str() {
        "V1" => notes.same(name, value, "", "pages are of version 1"),
        _ => notes.different(name, value, "", "pages are of version 1, which every engine reads"),
    });
    parquet.finish(notes);
}
