//! source/kinesis
