//! How far a replay is, on stderr: a bar for people, a line now and then for logs.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::source::replay::counters::ReplayCounters;

/// How often the bar moves, and how often there is a line without one.
const GLANCE: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(5);

const BAR: &str = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left, {msg}";

/// Shows it until it is told to end.
#[derive(Debug)]
pub(super) struct Progress {
    stop: CancellationToken,
    shown: JoinHandle<()>,
}

impl Progress {
    /// `stores`: what is read is stored too, and lags behind.
    pub(super) fn start(counters: Arc<ReplayCounters>, stores: bool) -> Progress {
        let stop = CancellationToken::new();
        let (stopped, terminal) = (stop.clone(), std::io::stderr().is_terminal());
        let shown = tokio::spawn(async move {
            match terminal {
                true => bar(&counters, stores, &stopped).await,
                false => lines(&counters, if stores { "replay" } else { "counting" }, &stopped).await,
            }
        });
        Progress { stop, shown }
    }

    pub(super) async fn end(self) {
        self.stop.cancel();
        if self.shown.await.is_err() {
            tracing::debug!("the progress line stopped before the end");
        }
    }
}

/// How far it is.
struct Figures {
    bytes: u64,
    bytes_in_all: u64,
    objects: u64,
    objects_in_all: u64,
    /// Objects that were read and of which not everything is stored.
    lag: u64,
}

fn figures(counters: &ReplayCounters) -> Figures {
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let objects = get(&counters.objects);
    Figures {
        bytes: get(&counters.bytes),
        bytes_in_all: get(&counters.bytes_in_all),
        objects,
        objects_in_all: get(&counters.objects_in_all),
        lag: objects.saturating_sub(get(&counters.objects_stored)),
    }
}

async fn bar(counters: &ReplayCounters, stores: bool, stop: &CancellationToken) {
    let begin = figures(counters);
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(begin.bytes_in_all).with_style(style).with_position(begin.bytes);
    bar.reset_eta();
    while stop.run_until_cancelled(tokio::time::sleep(GLANCE)).await.is_some() {
        let Figures { bytes, bytes_in_all, objects, objects_in_all, lag } = figures(counters);
        bar.set_length(bytes_in_all);
        bar.set_position(bytes);
        let lag = if stores { format!(", lag {lag}") } else { String::new() };
        bar.set_message(format!("{objects} of {objects_in_all} objects{lag}"));
    }
    bar.finish_and_clear();
}

async fn lines(counters: &ReplayCounters, what: &str, stop: &CancellationToken) {
    let (mut before, mut at) = (figures(counters).bytes, Instant::now());
    while stop.run_until_cancelled(tokio::time::sleep(LINE_EVERY)).await.is_some() {
        let Figures { bytes, bytes_in_all, objects, objects_in_all, lag } = figures(counters);
        let rate = (bytes.saturating_sub(before)) as f64 / at.elapsed().as_secs_f64().max(0.001);
        (before, at) = (bytes, Instant::now());
        let left = left(bytes_in_all.saturating_sub(bytes), rate);
        let rate = rate as u64;
        tracing::info!(bytes, bytes_in_all, objects, objects_in_all, lag, bytes_per_second = rate, left, "{what}");
    }
}

fn left(bytes: u64, rate: f64) -> String {
    match rate > 0.0 {
        true => format!("{} s", (bytes as f64 / rate).ceil() as u64),
        false => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_a_time_or_unknown() {
        assert_eq!(left(1_000, 300.0), "4 s");
        assert_eq!(left(1_000, 0.0), "unknown");
    }
}
