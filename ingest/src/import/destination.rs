//! The S3 destination of a stream: place, buffers, format, backup, and what Firehose does with records on the way.

use super::conversion;
use super::findings::Notes;
use super::node::Settings;
use super::processing;
use super::stream::{BucketPlace, Partitioning, Source, Stream, role};

/// What the service takes where nothing is said: MiB and seconds.
const SIZE_MIB: u64 = 5;
const SIZE_MIB_LARGE: u64 = 128;
const SECONDS: u64 = 300;
/// Most of each that it takes.
const SIZE_MIB_MAX: u64 = 128;
const SECONDS_MAX: u64 = 900;

/// Where the destination stands, and with it the stream but for its name and source.
pub(super) fn read(settings: &mut Settings, notes: &mut Notes) -> Option<Stream> {
    let (extended, plain) =
        (settings.section("ExtendedS3DestinationConfiguration"), settings.section("S3DestinationConfiguration"));
    let mut s3 = match (extended, plain) {
        (Some(extended), Some(plain)) => {
            notes.same(
                plain.name_of(),
                "",
                "",
                "the older form of the same destination, which the service tells beside it",
            );
            extended
        }
        (Some(extended), None) => extended,
        (None, Some(plain)) => {
            if plain.has("DynamicPartitioningConfiguration") || plain.has("ProcessingConfiguration") {
                notes.different(
                    plain.name_of(),
                    "",
                    "",
                    "Firehose takes partitioning and processors in ExtendedS3DestinationConfiguration alone, and \
                     refuses this: they were read as if they stood there",
                );
            }
            plain
        }
        (None, None) => {
            if notes.problems.is_empty() {
                notes.block(
                    "ExtendedS3DestinationConfiguration",
                    "is missing: the stream has no S3 destination, and Alluvium writes to no other",
                );
            }
            return None;
        }
    };
    let stream = s3_stream(&mut s3, notes);
    s3.finish(notes);
    stream
}

fn s3_stream(s3: &mut Settings, notes: &mut Notes) -> Option<Stream> {
    let at = s3.name_of().to_string();
    let bucket = bucket(s3, notes);
    let (prefix, error_prefix) = (s3.text("Prefix", notes), s3.text("ErrorOutputPrefix", notes));
    let partitioning = partitioning(s3, notes);
    let found = processing::read(s3, notes);
    let conversion = conversion::read(s3, notes);
    let large = conversion.is_some() || partitioning == Partitioning::On;
    let (size_mib, seconds) = buffering(s3, large, notes);
    let zone = zone(s3, notes);
    role(s3, notes);
    format(s3, conversion.is_some(), notes);
    encryption_and_logs(s3, "[lake] url", notes);
    let backup = backup(s3, notes);
    Some(Stream {
        name: String::new(),
        region: None,
        source: Source::Direct,
        bucket: bucket?,
        prefix: prefix.filter(|prefix| !prefix.is_empty()),
        error_prefix: error_prefix.filter(|prefix| !prefix.is_empty()),
        at,
        zone,
        size_mib,
        seconds,
        partitioning,
        query: found.query,
        lambda: found.lambda,
        backup,
        conversion,
    })
}

fn bucket(s3: &mut Settings, notes: &mut Notes) -> Option<String> {
    let at = s3.name("BucketARN");
    if !s3.has("BucketARN") {
        notes.block(&at, "is missing: it says which bucket the table lies in");
        return None;
    }
    let arn = s3.text("BucketARN", notes)?;
    let name = arn.rsplit(":::").next().unwrap_or_default().trim_matches('/').to_string();
    let good = (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if !good {
        notes.block(&at, format!("`{arn}` names no bucket: `arn:aws:s3:::name` does"));
        return None;
    }
    notes.same(&at, arn, "[lake] url", "the table lies in the same bucket");
    Some(name)
}

fn partitioning(s3: &mut Settings, notes: &mut Notes) -> Partitioning {
    let Some(mut section) = s3.section("DynamicPartitioningConfiguration") else { return Partitioning::Unsaid };
    let at = section.name("Enabled");
    let on = section.flag("Enabled", notes).unwrap_or(true);
    match on {
        true => notes.better(
            &at,
            "true",
            "[keys]",
            "any number of partitions may be open within [buffer] memory, where Firehose diverts records beyond 500 \
             to the errors output; keys and layout may change later",
        ),
        false => notes.same(&at, "false", "", "records are not partitioned by content"),
    }
    section.say(&["RetryOptions"], |name, value| {
        notes.different(
            name,
            value,
            "",
            "a failing store is retried until it ends the process with exit code 3; nothing is given up, and a start \
             goes on where it was",
        );
    });
    section.finish(notes);
    if on { Partitioning::On } else { Partitioning::Off }
}

fn buffering(s3: &mut Settings, large: bool, notes: &mut Notes) -> (u64, u64) {
    let (size, seconds) = (if large { SIZE_MIB_LARGE } else { SIZE_MIB }, SECONDS);
    let Some(mut hints) = s3.section("BufferingHints") else {
        let value = format!("{size} MiB, {seconds} s (defaults)");
        let why = "a buffer is one partition's, cut by size or age as in Firehose; size counts bytes of the file as \
             written, where Firehose counts the JSON that came in, so files become larger";
        notes.different(&s3.name("BufferingHints"), value, "[buffer] size, age", why);
        return (size, seconds);
    };
    let (at_size, at_seconds) = (hints.name("SizeInMBs"), hints.name("IntervalInSeconds"));
    let size = hints.number("SizeInMBs", notes).unwrap_or(size);
    let seconds = hints.number("IntervalInSeconds", notes).unwrap_or(seconds);
    if !(1..=SIZE_MIB_MAX).contains(&size) {
        notes.block(&at_size, format!("is {size}: Firehose takes 1 to {SIZE_MIB_MAX}"));
    }
    if seconds > SECONDS_MAX {
        notes.block(&at_seconds, format!("is {seconds}: Firehose takes 0 to {SECONDS_MAX}"));
    }
    notes.different(
        &at_size,
        size.to_string(),
        "[buffer] size",
        "counts bytes of the file as written, where Firehose counts the JSON that came in: files become larger; any \
         size from 1 KiB may be written",
    );
    match seconds {
        0 => notes.different(
            &at_seconds,
            "0",
            "[buffer] age",
            "Firehose delivers within a few seconds; `age` is 1 s here, and may be 100 ms",
        ),
        seconds => notes.same(
            &at_seconds,
            seconds.to_string(),
            "[buffer] age, idle",
            "a buffer's oldest row waits so long at most, and is not cut earlier for being idle",
        ),
    }
    hints.finish(notes);
    (size, seconds)
}

fn zone(s3: &mut Settings, notes: &mut Notes) -> String {
    let at = s3.name("CustomTimeZone");
    let zone = s3.text("CustomTimeZone", notes).filter(|zone| !zone.is_empty());
    if let Some(zone) = &zone {
        notes.same(&at, zone, "[keys]", "the keys that tell a record's arrival tell it in this zone");
    }
    zone.unwrap_or_else(|| "UTC".to_string())
}

fn format(s3: &mut Settings, converts: bool, notes: &mut Notes) {
    s3.say(&["CompressionFormat"], |name, value| match (converts, value.as_str()) {
        (true, _) => notes.same(name, value, "[parquet] compression", "files are Parquet, compressed inside"),
        (false, _) => notes.different(
            name,
            value,
            "[parquet] compression",
            "Firehose writes JSON text here, and Alluvium writes Parquet alone, compressed inside; the archive holds \
             the JSON, in zstd",
        ),
    });
    s3.say(&["FileExtension"], |name, value| match value.as_str() {
        "" | ".parquet" => notes.same(name, value, "", "files end in .parquet"),
        _ => notes.different(name, value, "", "files end in .parquet, whatever is written here: that is what they are"),
    });
}

pub(super) fn encryption_and_logs(settings: &mut Settings, place: &str, notes: &mut Notes) {
    settings.say(&["EncryptionConfiguration"], |name, value| match value.contains("NoEncryption") {
        true => notes.same(name, value, place, "objects are encrypted as the bucket says"),
        false => notes.unsupported(
            name,
            value,
            "no KMS key is named with a PUT: make it the bucket's default encryption, and objects have it",
        ),
    });
    settings.say(&["CloudWatchLoggingOptions"], |name, value| match value.contains("Enabled: false") {
        true => {
            notes.better(name, value, "", "logs go to stderr, rejects with reason and position to the errors output")
        }
        false => notes.different(
            name,
            value,
            "",
            "logs go to stderr as text or JSON, for whatever collects the container's logs; each reject is in the \
             errors output, none is sampled away",
        ),
    });
}

fn backup(s3: &mut Settings, notes: &mut Notes) -> Option<BucketPlace> {
    let at = s3.name("S3BackupMode");
    let mode = s3.text("S3BackupMode", notes);
    let section = s3.section("S3BackupConfiguration");
    match (mode.as_deref(), section) {
        (Some("Enabled"), Some(mut section)) => {
            notes.better(
                &at,
                "Enabled",
                "[lake] archive",
                "every record as it came, exactly once, with its position, for `alluvium replay`",
            );
            let bucket = bucket(&mut section, notes);
            let prefix = section.text("Prefix", notes).unwrap_or_default();
            notes.different(
                &section.name("Prefix"),
                &prefix,
                "[lake] archive",
                "folders below the text before the first expression are `date=` by the UTC day of arrival",
            );
            told_of_backup(&mut section, notes);
            section.finish(notes);
            Some(BucketPlace { bucket: bucket?, prefix })
        }
        (Some("Enabled"), None) => {
            notes.block(&at, "is Enabled, and S3BackupConfiguration is missing");
            None
        }
        (mode, section) => {
            if let Some(mode) = mode {
                notes.same(&at, mode, "", "records are not kept; `[lake] archive` would keep them");
            }
            if let Some(section) = section {
                notes.same(section.name_of(), "", "", "has no effect while S3BackupMode is not Enabled");
            }
            None
        }
    }
}

fn told_of_backup(section: &mut Settings, notes: &mut Notes) {
    role(section, notes);
    section.say(&["BufferingHints"], |name, value| {
        notes.different(
            name,
            value,
            "[archive] size, age",
            "the archive's own limits hold: 32 MiB of compressed file, 300 s",
        );
    });
    section.say(&["CompressionFormat"], |name, value| {
        notes.different(name, value, "[lake] archive", "the archive is NDJSON in zstd");
    });
    section.say(&["ErrorOutputPrefix"], |name, value| {
        notes.different(name, value, "[lake] errors", "there is one errors output");
    });
    encryption_and_logs(section, "[lake] archive", notes);
}
