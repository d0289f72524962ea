//! What the integration tests stand on: real emulators, the real binary, and independent answers to compare with.
//!
//! Nothing here knows how Alluvium works inside. Whatever cannot be started panics with the tail of its log: a test that did
//! not run is a failure, never a pass.

pub mod alluvium;
pub mod athena;
pub mod browser;
pub mod bundle;
pub mod corpus;
pub mod duck;
pub mod emulator;
pub mod faulty_proxy;
pub mod faulty_store;
pub mod firehose;
pub mod gate;
pub mod glue;
pub mod golden;
pub mod http;
pub mod jq16;
pub mod kcl;
pub mod kinesis;
pub mod kinesis_fake;
pub mod lambda;
pub mod listed_source;
pub mod log;
pub mod loose_store;
pub mod numbered;
pub mod pipeline;
pub mod prometheus;
pub mod reader;
pub mod s3;
pub mod tmpfs;
pub mod tools;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Root of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the project's root")
}

/// A file of the project.
pub fn file(path: &str) -> PathBuf {
    root().join(path)
}

/// Runs a future on the runtime that all tests share: emulators and processes outlive single tests, and so do clients.
pub fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
    });
    runtime.block_on(future)
}

/// A name that no other test in this process has: `<what>-<number>`, fit for buckets and streams.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Polls `look` every 50 ms until it gives something; panics after `seconds`, saying what was awaited.
pub fn wait_for<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..seconds * 20 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("waited {seconds} s for {what} in vain");
}
