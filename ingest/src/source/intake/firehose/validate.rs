//! The constraints of Firehose's API and the texts in which it says that one is violated.

use super::ApiError;
use crate::source::intake::journal::RECORD_BYTES_MAX;

/// Most records of one PutRecordBatch.
pub(super) const BATCH_RECORDS_MAX: usize = 500;
/// Most bytes of data of one PutRecordBatch, before base64.
pub(super) const BATCH_BYTES_MAX: usize = 4 << 20;
pub(super) const BATCH_TOO_LARGE: &str = "Records size exceeds 4 MB limit";
const NAME_LENGTH_MAX: usize = 64;

/// Whether a delivery stream may have this name: `[a-zA-Z0-9_.-]{1,64}`.
pub(in crate::source::intake) fn is_stream_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_LENGTH_MAX && name.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// All that is wrong with one request; the service says it in one message.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<String>);

impl Violations {
    pub(super) fn add(&mut self, value: &str, place: &str, constraint: &str) {
        self.0.push(format!("Value {value}at '{place}' failed to satisfy constraint: Member must {constraint}"));
    }

    pub(super) fn missing(&mut self, place: &str) {
        self.add("null ", place, "not be null");
    }

    pub(super) fn stream_name(&mut self, name: Option<&str>) {
        let place = "deliveryStreamName";
        let Some(name) = name else { return self.missing(place) };
        let value = format!("'{name}' ");
        if name.is_empty() {
            self.add(&value, place, "have length greater than or equal to 1");
        }
        if name.len() > NAME_LENGTH_MAX {
            self.add(&value, place, "have length less than or equal to 64");
        }
        if !name.bytes().all(is_name_byte) {
            self.add(&value, place, "satisfy regular expression pattern: [a-zA-Z0-9_.-]+");
        }
    }

    pub(super) fn data_length(&mut self, length: usize, place: &str) {
        if length > RECORD_BYTES_MAX {
            self.add("", place, &format!("have length less than or equal to {RECORD_BYTES_MAX}"));
        }
    }

    pub(super) fn batch_length(&mut self, length: usize) {
        if length == 0 {
            self.add("'[]' ", "records", "have length greater than or equal to 1");
        }
        if length > BATCH_RECORDS_MAX {
            self.add("", "records", "have length less than or equal to 500");
        }
    }

    pub(super) fn limit(&mut self, limit: Option<i64>) {
        let Some(limit) = limit else { return };
        let value = format!("'{limit}' ");
        if limit < 1 {
            self.add(&value, "limit", "have value greater than or equal to 1");
        }
        if limit > 10_000 {
            self.add(&value, "limit", "have value less than or equal to 10000");
        }
    }

    pub(super) fn finish(self) -> Result<(), ApiError> {
        let errors = match self.0.len() {
            0 => return Ok(()),
            1 => "1 validation error".to_string(),
            n => format!("{n} validation errors"),
        };
        Err(ApiError::new("ValidationException", format!("{errors} detected: {}", self.0.join("; "))))
    }
}
