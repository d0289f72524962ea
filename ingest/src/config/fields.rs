//! Every section and field of the configuration, declared once: kind, default, limits, documentation.
//!
//! Reading, checking, `docs/config.md`, the sample file and the JSON schema all come from [`SECTIONS`]; a field that is not
//! here does not exist.

mod intake;
mod kcl;
mod reader;

use Fallback::{Absent, Default, Required};

/// A section, `[name]` in the file.
#[derive(Debug)]
pub struct Section {
    pub name: &'static str,
    pub need: Need,
    /// Markdown, whole sentences.
    pub doc: &'static str,
    pub fields: &'static [Field],
}

/// Whether a section has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Required,
    /// Left out, its defaults hold.
    Optional,
    /// Exactly one of the sections with this need is there.
    Source,
    /// Left out, what it describes is off.
    Switch,
    /// Any number of `[section.<name>]`, with names of the operator's.
    Named,
    /// Planned; refused with this text.
    NotYet(&'static str),
}

/// A field of a section.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub fallback: Fallback,
    /// As it would stand in the file, for the documentation and for problems.
    pub example: &'static str,
    /// Markdown, whole sentences.
    pub doc: &'static str,
}

/// What holds when a field is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// It has to be there.
    Required,
    /// Nothing: the feature is off, or someone else decides.
    Absent,
    /// This, written as in the file but without quotes.
    Default(&'static str),
    /// Planned; refused with this text.
    NotYet(&'static str),
}

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Text that is shown nowhere.
    Secret,
    /// A file or folder; relative to the folder of the config file.
    Path,
    /// `http://` or `https://`.
    HttpUrl,
    /// `s3://bucket/prefix/`, `file:///folder/` or a path.
    Place,
    /// `ip:port`, or `off` where `off` is set.
    Address {
        off: bool,
    },
    Flag,
    Count {
        min: u64,
        max: u64,
    },
    /// Bytes.
    Size {
        min: &'static str,
        max: &'static str,
    },
    Time {
        min: &'static str,
        max: &'static str,
    },
    Choice(&'static [&'static str]),
    /// `latest`, `trim-horizon` or an RFC 3339 instant.
    Start,
    /// A list of names.
    Names,
    Compression,
}

const fn field(name: &'static str, kind: Kind, fallback: Fallback, example: &'static str, doc: &'static str) -> Field {
    Field { name, kind, fallback, example, doc }
}

/// The version this program reads.
pub const VERSION: i64 = 1;

/// All sections, in the order in which the sample shows them.
pub static SECTIONS: &[Section] = &[
    Section {
        name: "source.kinesis",
        need: Need::Source,
        doc: "Read a Kinesis data stream, all shards. Credentials come from the AWS SDK's own chain (environment, profile, \
              container or instance role).",
        fields: &[
            field("stream", Kind::Text, Required, "attribute-events", "Name of the stream."),
            field(
                "start",
                Kind::Start,
                Default("trim-horizon"),
                "2026-01-31T00:00:00Z",
                "Where to begin with a shard that was never read: `trim-horizon` (the oldest record there is), `latest` (what \
                 arrives from now on) or an instant (RFC 3339). A shard that was read before goes on where it was, whatever \
                 stands here; a shard born of a split or merge begins where its parents did.",
            ),
            field(
                "reader",
                Kind::Choice(&["polling", "fan-out"]),
                Default("polling"),
                "polling",
                "`polling` shares the shard's 2 MiB/s and 5 calls/s with all who poll the stream. `fan-out` has 2 MiB/s of each \
                 shard pushed to it alone, within about 70 ms instead of a poll's second, and is billed by shard-hour and GB: \
                 see the runbook for when it pays. It needs `kinesis:DescribeStreamSummary`, `DescribeStreamConsumer`, \
                 `RegisterStreamConsumer` and `SubscribeToShard`.",
            ),
            field(
                "consumer",
                Kind::Text,
                Absent,
                "alluvium-attribute-events",
                "With `fan-out`: name of the consumer. It is registered at the start if it is not there, shared by all processes \
                 of one lake, and left registered at the end. Left out, it is `alluvium-` and 16 hex digits made of `[lake] \
                 state`: two lakes on one stream need two consumers.",
            ),
            field("region", Kind::Text, Absent, "eu-central-1", "AWS region. Left out, the SDK's own chain decides."),
            field(
                "endpoint_url",
                Kind::HttpUrl,
                Absent,
                "http://127.0.0.1:4567",
                "Another endpoint than the region's: an emulator, or a VPC endpoint.",
            ),
            field(
                "discover_every",
                Kind::Time { min: "100 ms", max: "1 h" },
                Default("60 s"),
                "30 s",
                "Between two lists of the stream's shards; they are also listed when a shard ends.",
            ),
            field(
                "give_up",
                Kind::Time { min: "1 s", max: "24 h" },
                Default("5 min"),
                "1 h",
                "A call that fails for so long without one success ends the process with exit code 3.",
            ),
            field(
                "idle_poll",
                Kind::Time { min: "10 ms", max: "1 min" },
                Default("1 s"),
                "250 ms",
                "Between two reads of a shard that holds no more for now.",
            ),
            field(
                "records_per_read",
                Kind::Count { min: 1, max: 10_000 },
                Default("10000"),
                "1000",
                "Records of one read at most; the service takes up to 10,000.",
            ),
            field(
                "reads_per_second",
                Kind::Count { min: 1, max: 1_000 },
                Default("5"),
                "2",
                "Reads of one shard in a second. The service's limit is 5 over all readers of the stream: leave room for others.",
            ),
            field(
                "bytes_per_second",
                Kind::Size { min: "1 KiB", max: "1 GiB" },
                Default("2 MiB"),
                "1 MiB",
                "Bytes of one shard in a second. The service's limit is 2 MiB over all readers of the stream.",
            ),
        ],
    },
    Section {
        name: "source.intake",
        need: Need::Source,
        doc: "Take events over HTTP: the Amazon Data Firehose API (`PutRecord`, `PutRecordBatch`, `DescribeDeliveryStream`, \
              `ListDeliveryStreams`) for SDKs that only change their endpoint URL, and `POST /v1/events` with NDJSON. A request is \
              answered when its records are on disk in the journal.",
        fields: intake::SOURCE,
    },
    kcl::SECTION,
    Section {
        name: "source.replay",
        need: Need::NotYet(
            "replay is a command, `alluvium replay --config F URL`; leave the source that `run` has, or write one",
        ),
        doc: "Refused: `alluvium replay --config F URL` reads raw objects with the rules of any configuration, whatever its source.",
        fields: &[],
    },
    Section {
        name: "intake",
        need: Need::Switch,
        doc: "With `[source.kinesis]` only: take events over HTTP as `[source.intake]` does, and put them to the stream. A request \
              is answered when Kinesis has taken its records.",
        fields: intake::FORWARDING,
    },
    Section { name: "credentials", need: Need::Named, doc: intake::CREDENTIALS_DOC, fields: intake::CREDENTIALS },
    Section {
        name: "keys",
        need: Need::Required,
        doc: "One line for each partition column of the table: its name and a jq expression over the record that gives exactly \
              one scalar. A record whose key cannot be worked out goes to the errors output. The order is the table's.",
        fields: &[],
    },
    Section {
        name: "table",
        need: Need::Required,
        doc: "What the rows look like.",
        fields: &[field("spec", Kind::Path, Required, "attribute_events.toml", "File of the table spec.")],
    },
    Section {
        name: "lake",
        need: Need::Required,
        doc: "Where everything is stored. A place is `s3://bucket/prefix/`, `file:///absolute/folder/` or a path. None of \
              them may lie inside another: whoever reads the table must see rows only. S3 credentials come from the environment \
              or the container or instance role.",
        fields: &[
            field(
                "url",
                Kind::Place,
                Required,
                "s3://company-lake/attribute_events/",
                "The table; partitions lie below it.",
            ),
            field(
                "errors",
                Kind::Place,
                Required,
                "s3://company-lake/errors/attribute_events/",
                "Rejected records, NDJSON with Firehose's error-record fields and ours.",
            ),
            field(
                "state",
                Kind::Place,
                Required,
                "s3://company-lake/_alluvium/attribute_events/",
                "The writer log. Nobody else's hand in it, one place for each table.",
            ),
            field(
                "archive",
                Kind::Place,
                Absent,
                "s3://company-lake/raw/attribute_events/",
                "Every record as it came, accepted or rejected, once: NDJSON, compressed with zstd, with shard, position and arrival \
                 time, in `date=` folders by the UTC date of arrival. `alluvium replay` reads it. Left out, records are not kept.",
            ),
            field(
                "region",
                Kind::Text,
                Absent,
                "eu-central-1",
                "Region of the buckets. Left out, `AWS_REGION` decides.",
            ),
            field(
                "endpoint_url",
                Kind::HttpUrl,
                Absent,
                "http://127.0.0.1:9000",
                "Another S3 endpoint than the region's: MinIO, Ceph, an emulator.",
            ),
            field("allow_http", Kind::Flag, Default("false"), "true", "Allow an `endpoint_url` without TLS."),
        ],
    },
    Section {
        name: "archive",
        need: Need::Optional,
        doc: "When the open buffer of the archive becomes a file, where `[lake] archive` is set. Until then the source is not told \
              to forget.",
        fields: &[
            field(
                "size",
                Kind::Size { min: "1 KiB", max: "1 GiB" },
                Default("32 MiB"),
                "64 MiB",
                "Bytes of the file, as written (after compression), at about. Its records take several times as much memory, out \
                 of `[buffer] memory`.",
            ),
            field(
                "age",
                Kind::Time { min: "100 ms", max: "24 h" },
                Default("300 s"),
                "15 min",
                "Time since the buffer's first record. Must be shorter than the stream's retention.",
            ),
        ],
    },
    Section {
        name: "decode",
        need: Need::Optional,
        doc: "How a record becomes events: it is one JSON object, or several, on lines of their own or one behind the other, plain \
              or compressed with gzip or zstd.",
        fields: &[
            field(
                "documents",
                Kind::Count { min: 1, max: 1_000_000 },
                Default("10000"),
                "500",
                "JSON objects in one record at most. A record with more goes to the errors output whole, with the reason \
                 `too_many_documents`. Firehose takes 500; the default holds a record of 1 MiB with objects of 100 bytes.",
            ),
            field(
                "decompress",
                Kind::Choice(&["auto", "off"]),
                Default("auto"),
                "off",
                "`auto` decompresses records that begin as gzip or zstd does, which no JSON text does. Once: what is in it is not \
                 decompressed again.",
            ),
            field(
                "decompressed_size",
                Kind::Size { min: "1 KiB", max: "1 GiB" },
                Default("64 MiB"),
                "256 MiB",
                "Bytes of one record after decompression at most. A larger one goes to the errors output as it came, with the \
                 reason `too_large`.",
            ),
            field(
                "jq_compat",
                Kind::Choice(&["off", "1.6"]),
                Default("off"),
                "1.6",
                "Whose answers the programs of `[keys]` give where this program and jq differ. `off`: integers are exact, dates have \
                 fractions and offsets. `1.6`, as in Amazon Data Firehose: numbers are doubles and written as jq 1.6 writes them, \
                 `fromdate` takes `2026-01-31T00:00:00Z` and no other form. docs/import.md tells what still differs.",
            ),
        ],
    },
    Section {
        name: "buffer",
        need: Need::Optional,
        doc: "When the open buffer of a partition becomes a file: at the first of these limits. Every file's reason is in the \
              log, in the metrics and in the writer log.",
        fields: &[
            field(
                "size",
                Kind::Size { min: "1 KiB", max: "1 GiB" },
                Default("128 MiB"),
                "256 MiB",
                "Bytes of the file, as written (after compression), at about.",
            ),
            field(
                "age",
                Kind::Time { min: "100 ms", max: "24 h" },
                Default("300 s"),
                "15 min",
                "Time since the buffer's first row: how late a row may be visible, at about. Must be shorter than the stream's \
                 retention.",
            ),
            field(
                "idle",
                Kind::Time { min: "100 ms", max: "24 h" },
                Default("60 s"),
                "2 min",
                "Time since the buffer's last row. Longer than `age`, it has no effect.",
            ),
            field(
                "rows",
                Kind::Count { min: 1, max: 1_000_000_000 },
                Default("10000000"),
                "1000000",
                "Rows of one file.",
            ),
            field(
                "memory",
                Kind::Size { min: "16 MiB", max: "4 TiB" },
                Default("2 GiB"),
                "8 GiB",
                "A hard cap over all buffers and what is being encoded and stored. When open buffers take 60 % of it, the largest \
                 are cut early; at the cap reading waits; nothing is refused.",
            ),
        ],
    },
    Section {
        name: "parquet",
        need: Need::Optional,
        doc: "How files are written. Sort order and bloom filters are the table spec's.",
        fields: &[
            field(
                "compression",
                Kind::Compression,
                Default("zstd(1)"),
                "zstd(3)",
                "`zstd`, `zstd(1)` to `zstd(22)`, `snappy`, `gzip`, `gzip(1)` to `gzip(9)`, `lz4` (LZ4_RAW) or `none`.",
            ),
            field(
                "row_group_rows",
                Kind::Count { min: 1, max: 100_000_000 },
                Default("1048576"),
                "250000",
                "Rows of one row group at most.",
            ),
            field(
                "page_size",
                Kind::Size { min: "1 KiB", max: "64 MiB" },
                Default("1 MiB"),
                "64 KiB",
                "Bytes of one data page before compression, at about.",
            ),
            field(
                "dictionary",
                Kind::Flag,
                Default("true"),
                "false",
                "Write dictionaries for columns whose values repeat.",
            ),
            field(
                "page_index",
                Kind::Flag,
                Default("true"),
                "false",
                "Write statistics by page (column and offset index).",
            ),
        ],
    },
    Section {
        name: "admin",
        need: Need::Optional,
        doc: "`/healthz`, `/metrics` (OpenMetrics) and `/config` (what runs, without secrets). `alluvium reload` asks it, from this \
              machine alone.",
        fields: &[field(
            "listen",
            Kind::Address { off: true },
            Default("127.0.0.1:9464"),
            "0.0.0.0:9464",
            "Address and port, or `off`. For other machines it is read-only; open it to them only where that is wanted.",
        )],
    },
    Section {
        name: "log",
        need: Need::Optional,
        doc: "What `alluvium run` tells on stderr.",
        fields: &[field(
            "filter",
            Kind::Text,
            Default(crate::logs::DEFAULT_FILTER),
            "info,writer=debug",
            "Levels by part of the program: `error`, `warn`, `info`, `debug`, `trace`, alone or as `part=level`, parted by \
             commas. The environment variable `ALLUVIUM_LOG` is stronger.",
        )],
    },
    reader::SECTION,
];

/// The section of this name, or the one that `section.<name>` is one of.
pub fn section(name: &str) -> Option<&'static Section> {
    let of = |s: &Section| s.need == Need::Named && name.strip_prefix(s.name).is_some_and(|rest| rest.starts_with('.'));
    SECTIONS.iter().find(|s| s.name == name || of(s))
}

impl Section {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}
