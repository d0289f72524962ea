//! What the intake counts, for the metrics endpoint to export.

use std::sync::atomic::{AtomicU64, Ordering};

/// One number that many threads change and one reads.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn less(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    pub(super) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(super) fn raise(&self, n: u64) {
        self.0.fetch_max(n, Ordering::Relaxed);
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request itself is wrong: sending it again cannot help.
    Invalid,
    /// Body, line or number of lines over a limit.
    TooLarge,
    /// No such delivery stream, operation or path.
    Unknown,
    /// Journal or disk full, or the disk failed.
    Journal,
    /// The stream that is forwarded to refused or failed.
    Forward,
    /// Too many requests at once.
    Busy,
    /// The body did not come, or came too slowly.
    Slow,
    /// Not signed, wrongly signed, or not allowed.
    Denied,
    /// More requests or bytes than one credential may send.
    Throttled,
}

impl Refusal {
    pub const ALL: [Refusal; 9] = [
        Refusal::Invalid,
        Refusal::TooLarge,
        Refusal::Unknown,
        Refusal::Journal,
        Refusal::Forward,
        Refusal::Busy,
        Refusal::Slow,
        Refusal::Denied,
        Refusal::Throttled,
    ];

    /// Label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Invalid => "invalid",
            Refusal::TooLarge => "too_large",
            Refusal::Unknown => "unknown",
            Refusal::Journal => "journal",
            Refusal::Forward => "forward",
            Refusal::Busy => "busy",
            Refusal::Slow => "slow",
            Refusal::Denied => "denied",
            Refusal::Throttled => "throttled",
        }
    }
}

/// Why a connection was ended that its client did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Too many from one address.
    Address,
    /// The TLS handshake failed, or took too long.
    Handshake,
    /// The head of a request did not come in time.
    Header,
    /// No further request came. Nothing is wrong.
    Idle,
    /// The client did not read its answer.
    Write,
}

impl Cut {
    pub const ALL: [Cut; 5] = [Cut::Address, Cut::Handshake, Cut::Header, Cut::Idle, Cut::Write];

    /// Label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Cut::Address => "address",
            Cut::Handshake => "handshake",
            Cut::Header => "header",
            Cut::Idle => "idle",
            Cut::Write => "write",
        }
    }
}

/// Counted since the process started, except where it says "now".
#[derive(Debug, Default)]
pub struct IntakeCounters {
    pub put_record_requests: Count,
    pub put_record_batch_requests: Count,
    pub describe_requests: Count,
    pub list_requests: Count,
    pub events_requests: Count,
    /// Records answered as accepted.
    pub records: Count,
    /// Bytes of data of those records.
    pub bytes: Count,
    refused: [Count; Refusal::ALL.len()],
    cut: [Count; Cut::ALL.len()],
    /// Connections open now.
    pub connections: Count,
    /// Times a connection had to wait for one of all places.
    pub connections_full: Count,
    /// When the TLS certificate ends, seconds since the epoch; 0 without TLS.
    pub certificate_ends: Count,
    /// Bytes in the journal's segments now.
    pub journal_bytes: Count,
    pub journal_max_bytes: Count,
    /// Records in the journal's segments now: accepted and not yet deleted.
    pub journal_held_records: Count,
    /// Syncs that succeeded: `journal_appends / journal_syncs` is the mean group.
    pub journal_syncs: Count,
    pub journal_appends: Count,
    /// The largest group so far.
    pub journal_group_appends_max: Count,
    /// Groups rolled back because a write or a sync failed.
    pub journal_failures: Count,
}

impl IntakeCounters {
    /// Requests refused for this reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize].get()
    }

    pub(super) fn refuse(&self, refusal: Refusal) {
        self.refused[refusal as usize].add(1);
    }

    /// Connections ended for this reason.
    pub fn ended(&self, cut: Cut) -> u64 {
        self.cut[cut as usize].get()
    }

    pub(super) fn cut(&self, cut: Cut) {
        self.cut[cut as usize].add(1);
    }

    pub(super) fn accept(&self, records: u64, bytes: u64) {
        self.records.add(records);
        self.bytes.add(bytes);
    }
}
