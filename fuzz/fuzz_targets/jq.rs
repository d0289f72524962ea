//! See `src/jq.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    // A panic inside the interpreter is a reject, by design: only one that gets out of it ends the run.
    init: std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))),
    |data: &[u8]| fuzz::jq::run(data)
);
