//! tests

mod kinesis;
