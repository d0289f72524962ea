//! Alluvium from outside: the real binary, real emulators, real clients, real data, and answers that others have worked out.
//!
//! A module is a promise; what belongs to none of them is a unit test of its crate.

mod aggregates;
mod athena;
mod benchmarks;
mod clients;
mod conformance;
mod contained;
mod crash_points;
mod ddl;
mod demo;
mod documents;
mod end_to_end;
mod failures;
mod fanout;
mod forward;
mod fuzz_corpus;
mod house;
mod import;
mod infra;
mod instruments;
mod json_test_suite;
mod kcl;
mod kill;
mod kinesis;
mod lambda;
mod model;
mod monitoring;
mod page;
mod partitions;
mod poison;
mod reader;
mod rebuild;
mod reload;
mod replay;
mod replay_losses;
mod resharding;
mod secured;
mod simulation;
mod split;
mod takeover;
mod torture;
mod traps;
mod tune;
