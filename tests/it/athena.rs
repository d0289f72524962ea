//! Athena as the engine: the answers are those of the engine in the reader's own process, nothing that is asked gets out of its
//! literal, and no statement is left running.
//!
//! The statements run for real, through the SDK and ministack's API, in DuckDB over the table's objects: ministack runs DuckDB's
//! SQL, so a proxy in front of it has sqlglot translate from Athena's. What ministack cannot show (statements that last, fail,
//! are cut off) is a scripted API's.

mod conformance;
mod ends;
mod lake;
mod texts;
