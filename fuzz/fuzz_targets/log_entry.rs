//! See `src/log_entry.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::log_entry::run(data));
