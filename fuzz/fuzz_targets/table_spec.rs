//! See `src/table_spec.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::table_spec::run(data));
