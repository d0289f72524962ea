//! What the writer is configured with. Text, defaults and limits for people stand in the config's table.

use std::time::Duration;

/// Limits of a buffer, and of all of them together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferSettings {
    /// Bytes of the file, as written.
    pub size: u64,
    /// Longest time from a buffer's first row to its cut.
    pub age: Duration,
    /// Longest time from a buffer's last row to its cut.
    pub idle: Duration,
    /// Most rows of a file.
    pub rows: u64,
    /// Bytes of memory over all buffers.
    pub memory: u64,
}

/// Where the lake is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LakeSettings {
    /// Partition directories lie below it; `file:///...` or `s3://...`.
    pub url: String,
    pub errors: String,
    pub state: String,
    /// S3 API other than Amazon's.
    pub endpoint_url: Option<String>,
    pub region: Option<String>,
    /// Allow an endpoint without TLS.
    pub allow_http: bool,
}
