//! What an operator sets about buffers and places. Plain data, validated by whoever reads the configuration.

use std::time::Duration;

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
}

impl Default for BufferSettings {
    fn default() -> Self {
        BufferSettings {
            size: 128 << 20,
            age: Duration::from_secs(300),
            idle: Duration::from_secs(60),
            rows: 10_000_000,
            memory: 2 << 30,
        }
    }
}

/// Where everything is stored. The three places are URLs (`s3://bucket/prefix/`, `file:///folder/`) that end in `/`; none lies
/// inside another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeSettings {
    /// The table.
    pub url: String,
    /// Rejected records.
    pub errors: String,
    /// The writer log.
    pub state: String,
    /// Another S3 endpoint than the region's.
    pub endpoint_url: Option<String>,
    pub region: Option<String>,
    /// An `endpoint_url` without TLS is meant.
    pub allow_http: bool,
}
