//! `aws_kinesis_firehose_delivery_stream` of a Terraform file in the shape of `CreateDeliveryStream`.

use super::cloudformation::Variables;
use super::describe::Described;
use super::glue::{GlueColumn, GlueTable};
use super::hcl::File;
use super::node::{DEPTH_MAX, Members, Node};

const STREAM: &str = "aws_kinesis_firehose_delivery_stream";
const TABLE: &str = "aws_glue_catalog_table";

/// What Terraform does with a resource, which is nothing of the stream's.
const META: [&str; 7] = ["depends_on", "lifecycle", "provider", "timeouts", "count", "for_each", "region"];

/// Names that are not the API's in another spelling.
const NAMES: &[(&str, &str)] = &[
    ("name", "DeliveryStreamName"),
    ("bucket_arn", "BucketARN"),
    ("role_arn", "RoleARN"),
    ("kinesis_source_configuration", "KinesisStreamSourceConfiguration"),
    ("kinesis_stream_arn", "KinesisStreamARN"),
    ("msk_source_configuration", "MSKSourceConfiguration"),
    ("extended_s3_configuration", "ExtendedS3DestinationConfiguration"),
    ("s3_configuration", "S3DestinationConfiguration"),
    ("s3_backup_mode", "S3BackupMode"),
    ("s3_backup_configuration", "S3BackupConfiguration"),
    ("cloudwatch_logging_options", "CloudWatchLoggingOptions"),
    ("open_x_json_ser_de", "OpenXJsonSerDe"),
    ("hive_json_ser_de", "HiveJsonSerDe"),
    ("parquet_ser_de", "ParquetSerDe"),
    ("orc_ser_de", "OrcSerDe"),
    ("server_side_encryption", "DeliveryStreamEncryptionConfigurationInput"),
    ("key_arn", "KeyARN"),
    ("redshift_configuration", "RedshiftDestinationConfiguration"),
    ("elasticsearch_configuration", "ElasticsearchDestinationConfiguration"),
    ("opensearch_configuration", "AmazonopensearchserviceDestinationConfiguration"),
    ("opensearchserverless_configuration", "AmazonOpenSearchServerlessDestinationConfiguration"),
    ("splunk_configuration", "SplunkDestinationConfiguration"),
    ("http_endpoint_configuration", "HttpEndpointDestinationConfiguration"),
    ("snowflake_configuration", "SnowflakeDestinationConfiguration"),
    ("iceberg_configuration", "IcebergDestinationConfiguration"),
];

/// The streams of a file, each under its resource's name, and its Glue tables.
pub(super) fn streams(text: &str, variables: &Variables) -> Result<Described, String> {
    let file = File::parse(text, variables)?;
    let repeats = |name: &str| matches!(name, "processors" | "parameters");
    let mut described = Described::default();
    for (name, node) in file.described(STREAM, &repeats) {
        let mut settings = match node {
            Node::Map(members) => members,
            _ => Vec::new(),
        };
        let meta = settings.iter().filter(|(known, _)| META.contains(&known.as_str()));
        described.beside.extend(meta.map(|(known, node)| (format!("{STREAM}.{name}.{known}"), node.shown())));
        settings.retain(|(known, _)| !META.contains(&known.as_str()));
        // Which of the blocks is meant; they are told apart by their names.
        settings.retain(|(known, node)| known != "destination" || !matches!(node.text(), Some("extended_s3" | "s3")));
        described.streams.push((name, Node::Map(in_words_of_the_api(settings, 0))));
    }
    let repeats = |name: &str| matches!(name, "columns" | "partition_keys");
    described.tables = file.described(TABLE, &repeats).iter().filter_map(|(_, node)| table(node)).collect();
    Ok(described)
}

fn in_words_of_the_api(members: Members, depth: usize) -> Members {
    let mut out: Members = Vec::new();
    for (name, node) in members {
        // Terraform has these flat, and the API in a group of their own.
        let group = match name.as_str() {
            "buffering_size" | "buffer_size" => Some(("BufferingHints", "SizeInMBs")),
            "buffering_interval" | "buffer_interval" => Some(("BufferingHints", "IntervalInSeconds")),
            "retry_duration" => Some(("RetryOptions", "DurationInSeconds")),
            "kms_key_arn" => Some(("EncryptionConfiguration", "AWSKMSKeyARN")),
            _ => None,
        };
        match group {
            Some((group, name)) => grouped(&mut out, group, name, node),
            None => out.push((name_of(&name), inner(&name, node, depth))),
        }
    }
    out
}

fn grouped(out: &mut Members, group: &str, name: &str, node: Node) {
    match out.iter_mut().find(|(known, _)| known == group) {
        Some((_, Node::Map(members))) => members.push((name.to_string(), node)),
        _ => out.push((group.to_string(), Node::Map(vec![(name.to_string(), node)]))),
    }
}

fn inner(name: &str, node: Node, depth: usize) -> Node {
    match node {
        // Names of columns and tags are somebody's own.
        node if matches!(name, "column_to_json_key_mappings" | "tags" | "tags_all") || depth >= DEPTH_MAX => node,
        Node::Map(members) => Node::Map(in_words_of_the_api(members, depth + 1)),
        Node::List(items) => Node::List(items.into_iter().map(|item| inner(name, item, depth + 1)).collect()),
        other => other,
    }
}

/// `custom_time_zone` is `CustomTimeZone`.
fn name_of(name: &str) -> String {
    if let Some((_, api)) = NAMES.iter().find(|(known, _)| *known == name) {
        return api.to_string();
    }
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    name.split('_').map(word).collect()
}

fn table(node: &Node) -> Option<GlueTable> {
    let text = |node: &Node, name: &str| node.get(name).and_then(Node::text).map(str::to_string);
    let columns = |node: &Node, name: &str| {
        let column = |node: &Node| {
            let data_type = text(node, "type").unwrap_or_else(|| "string".into());
            Some(GlueColumn { name: text(node, "name")?, data_type, comment: text(node, "comment") })
        };
        node.get(name).map(Node::items).unwrap_or_default().iter().filter_map(column).collect::<Vec<_>>()
    };
    let storage = node.get("storage_descriptor")?;
    let parameters = node.get("parameters").map(Node::members).unwrap_or_default();
    let parameters = parameters.iter().filter_map(|(name, value)| Some((name.clone(), value.text()?.to_string())));
    Some(GlueTable {
        name: text(node, "name")?,
        database: text(node, "database_name").unwrap_or_default(),
        comment: text(node, "description"),
        location: text(storage, "location"),
        columns: columns(storage, "columns"),
        partitions: columns(node, "partition_keys"),
        parameters: parameters.collect(),
    })
}
