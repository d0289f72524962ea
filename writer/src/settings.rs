//! What an operator sets about buffers and places. Plain data, validated by whoever reads the configuration.

use std::time::Duration;

use schemas::log_entry::Output;

/// When the open buffer of a partition becomes a file: at the first of these limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferSettings {
    /// Bytes of the file as written, at about.
    pub size: u64,
    /// Since the buffer's first row.
    pub age: Duration,
    /// Since the buffer's last row.
    pub idle: Duration,
    /// Rows of one file.
    pub rows: u64,
    /// Bytes of memory over all buffers; a hard cap.
    pub memory: u64,
    /// The archive's own limits, in place of `size`, `age` and `idle`.
    pub archive: ArchiveSettings,
}

/// When the archive's open buffer becomes a file. It has no partitions, so it fills as fast as records come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveSettings {
    /// Bytes of the file as written, at about.
    pub size: u64,
    /// Since the buffer's first record.
    pub age: Duration,
}

impl Default for ArchiveSettings {
    fn default() -> Self {
        ArchiveSettings { size: 32 << 20, age: Duration::from_secs(300) }
    }
}

impl BufferSettings {
    /// The limits of one output's buffers.
    pub fn of(&self, output: Output) -> Limits {
        let (size, age, idle) = match output {
            Output::Table | Output::Errors => (self.size, self.age, self.idle),
            Output::Archive => (self.archive.size, self.archive.age, self.archive.age),
        };
        Limits { size, age, idle, rows: self.rows }
    }
}

/// The limits of one buffer, see [`BufferSettings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub size: u64,
    pub age: Duration,
    pub idle: Duration,
    pub rows: u64,
}

impl Default for BufferSettings {
    fn default() -> Self {
        BufferSettings {
            size: 128 << 20,
            age: Duration::from_secs(300),
            idle: Duration::from_secs(60),
            rows: 10_000_000,
            memory: 2 << 30,
            archive: ArchiveSettings::default(),
        }
    }
}

/// Where everything is stored. The places are URLs (`s3://bucket/prefix/`, `file:///folder/`) that end in `/`; none lies
/// inside another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeSettings {
    /// The table.
    pub url: String,
    /// Rejected records.
    pub errors: String,
    /// The writer log.
    pub state: String,
    /// Every record as it came; none: it is not kept.
    pub archive: Option<String>,
    /// Another S3 endpoint than the region's.
    pub endpoint_url: Option<String>,
    pub region: Option<String>,
    /// An `endpoint_url` without TLS is meant.
    pub allow_http: bool,
}
