//! A delivery stream as this importer knows it, read out of its settings. What has a place in the result goes into [`Stream`];
//! what has none is noted with the reason, and what cannot be left out is a problem.

use super::destination;
use super::findings::Notes;
use super::node::{Node, Settings};

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// `PutRecord` and `PutRecordBatch`.
    Direct,
    Kinesis {
        stream: String,
        region: Option<String>,
    },
}

/// Records that hold several documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partitioning {
    Off,
    On,
    /// Keys are there, and what switches them on is not.
    Unsaid,
}

/// Columns of the rows, if the stream writes a columnar format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conversion {
    pub(super) database: String,
    pub(super) table: String,
    pub(super) region: Option<String>,
    /// As `[parquet]` writes it.
    pub(super) compression: Option<String>,
    pub(super) page_bytes: Option<u64>,
    pub(super) dictionary: Option<bool>,
    /// Columns that are called otherwise in the events: column, member.
    pub(super) mappings: Vec<(String, String)>,
}

/// A bucket and a prefix in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BucketPlace {
    pub(super) bucket: String,
    pub(super) prefix: String,
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) region: Option<String>,
    pub(super) source: Source,
    pub(super) bucket: String,
    pub(super) prefix: Option<String>,
    pub(super) error_prefix: Option<String>,
    /// Where the settings of the destination stand.
    pub(super) at: String,
    pub(super) zone: String,
    pub(super) size_mib: u64,
    pub(super) seconds: u64,
    pub(super) partitioning: Partitioning,
    /// The query, and where it stands.
    pub(super) query: Option<(String, String)>,
    /// A Lambda function changes records before they are delivered.
    pub(super) lambda: Option<String>,
    pub(super) backup: Option<BucketPlace>,
    pub(super) conversion: Option<Conversion>,
}

/// Longest name of a stream.
const NAME_MAX: usize = 64;

/// Sources and destinations that are another product's.
const NOT_READ: &[(&str, &str)] = &[
    (
        "MSKSourceConfiguration",
        "the stream reads Kafka (MSK): Alluvium reads Kinesis data streams, HTTP and stored objects",
    ),
    (
        "DatabaseSourceConfiguration",
        "the stream reads a database's changes: Alluvium reads Kinesis data streams, HTTP and stored objects",
    ),
    (
        "RedshiftDestinationConfiguration",
        "the stream delivers to Redshift: Alluvium writes Parquet to S3, which Redshift Spectrum or COPY can read",
    ),
    ("ElasticsearchDestinationConfiguration", "the stream delivers to Elasticsearch: Alluvium writes Parquet to S3"),
    (
        "AmazonopensearchserviceDestinationConfiguration",
        "the stream delivers to OpenSearch: Alluvium writes Parquet to S3",
    ),
    (
        "AmazonOpenSearchServerlessDestinationConfiguration",
        "the stream delivers to OpenSearch: Alluvium writes Parquet to S3",
    ),
    ("SplunkDestinationConfiguration", "the stream delivers to Splunk: Alluvium writes Parquet to S3"),
    ("HttpEndpointDestinationConfiguration", "the stream delivers to an HTTP endpoint: Alluvium writes Parquet to S3"),
    ("SnowflakeDestinationConfiguration", "the stream delivers to Snowflake: Alluvium writes Parquet to S3"),
    (
        "IcebergDestinationConfiguration",
        "the stream writes an Iceberg table: Alluvium writes plain Hive tables of Parquet",
    ),
];

/// What `DescribeDeliveryStream` tells beside settings.
const STATE: [&str; 8] = [
    "DeliveryStreamStatus",
    "FailureDescription",
    "VersionId",
    "CreateTimestamp",
    "LastUpdateTimestamp",
    "DestinationId",
    "Arn",
    "HasMoreDestinations",
];

/// Reads the settings; problems are among the notes.
pub(super) fn read(node: Node, notes: &mut Notes) -> Option<Stream> {
    let mut settings = Settings::new("", node);
    let name = settings.text("DeliveryStreamName", notes).unwrap_or_else(|| "imported".to_string());
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(plain) {
        notes.block(
            "DeliveryStreamName",
            format!(
                "is `{}`: a name has 1 to {NAME_MAX} letters, digits, `_`, `.` and `-`",
                super::node::shorten(&name)
            ),
        );
    }
    notes.same("DeliveryStreamName", &name, "", "names the stream; files are named after writer and cut, not after it");
    let mut region = None;
    settings.say(&["DeliveryStreamARN"], |name, arn| {
        region = region_of(&arn);
        notes.same(name, arn, "[lake] region", "tells the stream's account and region");
    });
    settings
        .say(&STATE, |name, value| notes.same(name, value, "", "tells of the stream's state; there is nothing to set"));
    for (name, why) in NOT_READ {
        if settings.has(name) {
            settings.take(name);
            notes.block(name, *why);
        }
    }
    let source = source(&mut settings, notes);
    told_and_left(&mut settings, notes);
    let stream = destination::read(&mut settings, notes).map(|found| Stream { name, region, source, ..found });
    settings.finish(notes);
    stream.filter(|_| notes.problems.is_empty())
}

fn source(settings: &mut Settings, notes: &mut Notes) -> Source {
    let kind = settings.text("DeliveryStreamType", notes);
    let Some(mut kinesis) = settings.section("KinesisStreamSourceConfiguration") else {
        if kind.as_deref() == Some("KinesisStreamAsSource") {
            notes.block(
                "KinesisStreamSourceConfiguration",
                "is missing, and the stream's type says that it reads Kinesis",
            );
        }
        let becomes = "[source.intake]";
        notes.better(
            "DeliveryStreamType",
            kind.as_deref().unwrap_or("DirectPut"),
            becomes,
            "PutRecord and PutRecordBatch are answered at an endpoint of your own, when the records are on disk in \
             its journal",
        );
        if let Some(direct) = settings.take("DirectPutSourceConfiguration") {
            notes.different(
                "DirectPutSourceConfiguration",
                direct.shown(),
                "",
                "a hint for scaling Firehose; [source.intake] has limits of its own",
            );
        }
        return Source::Direct;
    };
    if let Some(kind) = kind {
        notes.same("DeliveryStreamType", kind, "[source.kinesis]", "the same stream is read");
    }
    let at = kinesis.name("KinesisStreamARN");
    let arn = kinesis.text("KinesisStreamARN", notes).unwrap_or_default();
    let stream = arn.rsplit_once(":stream/").map_or(arn.as_str(), |(_, name)| name).to_string();
    if stream.is_empty() {
        notes.block(&at, "names no Kinesis data stream");
    }
    notes.better(
        &at,
        &arn,
        "[source.kinesis] stream",
        "read by `start = \"latest\"` as Firehose does; `trim-horizon` or an instant begin earlier, and a restart \
         goes on where it was",
    );
    kinesis.say(&["DeliveryStartTimestamp"], |name, value| {
        notes.same(name, value, "", "tells of the stream's state; there is nothing to set");
    });
    role(&mut kinesis, notes);
    kinesis.finish(notes);
    Source::Kinesis { region: region_of(&arn), stream }
}

/// `arn:aws:kinesis:eu-west-1:...`.
fn region_of(arn: &str) -> Option<String> {
    let region = arn.split(':').nth(3)?;
    let plain = !region.is_empty() && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    plain.then(|| region.to_string())
}

pub(super) fn role(settings: &mut Settings, notes: &mut Notes) {
    settings.say(&["RoleARN"], |name, value| {
        notes.different(
            name,
            value,
            "",
            "Alluvium assumes no role: credentials come from the SDK's own chain, such as the role of its container \
             or instance",
        );
    });
}

fn told_and_left(settings: &mut Settings, notes: &mut Notes) {
    settings.say(&["DeliveryStreamEncryptionConfigurationInput"], |name, value| {
        let off = value.contains("DISABLED") || value.contains("Enabled: false");
        match off {
            true => notes.same(name, value, "", "records at rest in the stream are not encrypted by it"),
            false => notes.different(
                name,
                value,
                "",
                "Firehose encrypts what it buffers; the journal is files on your disk: encrypt the volume",
            ),
        }
    });
    settings.say(&["Tags", "TagsAll"], |name, value| {
        notes.different(
            name,
            value,
            "",
            "there is no delivery stream left to tag; tag the task, the bucket and the table",
        );
    });
}
