//! Request bodies within bounds: of size, of time, and of memory over all requests.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Memory that all requests together may hold for bodies.
pub(super) const MEMORY_BYTES: usize = 512 << 20;
/// A body's rate is looked at once in this time: a pause may be as long.
const RATE_WINDOW: Duration = Duration::from_secs(5);
/// Of a body that is too large, this much more is read and dropped: a client that still writes would see a reset connection
/// instead of the answer.
const DISCARD_BYTES: u64 = 64 << 20;
/// Memory is lent in units of this.
const UNIT_BYTES: usize = 4 << 10;

/// Why there is no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    Slow,
    /// The memory of all requests is lent out.
    Busy,
    Broken(String),
}

pub(super) fn memory() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MEMORY_BYTES / UNIT_BYTES))
}

/// Memory lent to one request, given back when dropped. Never waits: two requests that wait for each other's memory would
/// wait for ever.
#[derive(Debug)]
pub(super) struct Loan {
    memory: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    used: usize,
}

impl Loan {
    pub(super) fn new(memory: Arc<Semaphore>) -> Loan {
        Loan { memory, permit: None, used: 0 }
    }

    pub(super) fn give_back(&mut self) {
        *self = Loan::new(self.memory.clone());
    }

    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.used += bytes;
        let lent = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = self.used.div_ceil(UNIT_BYTES).saturating_sub(lent);
        if missing == 0 {
            return Ok(());
        }
        let units = u32::try_from(missing).map_err(|_| BodyError::Busy)?;
        let more = self.memory.clone().try_acquire_many_owned(units).map_err(|_| BodyError::Busy)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

/// What a body may take: bytes, time, and the rate below which it is not waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: usize,
    pub(super) timeout: Duration,
    /// Bytes per second.
    pub(super) min_rate: u64,
}

/// Whether a body comes fast enough. In each window it must bring its share: what came fast at first buys no pause later, or a
/// client could hold much memory by sending much and then next to nothing.
#[derive(Debug)]
struct Pace {
    min_rate: u64,
    ends: Instant,
    window_ends: Instant,
    in_window: u64,
}

impl Pace {
    fn new(bounds: &Bounds, now: Instant) -> Pace {
        Pace { min_rate: bounds.min_rate, ends: now + bounds.timeout, window_ends: now + RATE_WINDOW, in_window: 0 }
    }

    /// When to look again, if nothing comes before.
    fn look_at(&self) -> Instant {
        self.ends.min(self.window_ends)
    }

    fn came(&mut self, bytes: usize) {
        self.in_window += bytes as u64;
    }

    /// Whether to go on waiting.
    fn look(&mut self, now: Instant) -> Result<(), BodyError> {
        if now >= self.ends {
            return Err(BodyError::Slow);
        }
        if now >= self.window_ends {
            if self.in_window < self.min_rate * RATE_WINDOW.as_secs() {
                return Err(BodyError::Slow);
            }
            (self.window_ends, self.in_window) = (now + RATE_WINDOW, 0);
        }
        Ok(())
    }
}

/// A body's next bytes, in time; none at its end.
async fn next(chunks: &mut BodyDataStream, pace: &mut Pace) -> Result<Option<Bytes>, BodyError> {
    loop {
        pace.look(Instant::now())?;
        match tokio::time::timeout_at(pace.look_at(), chunks.next()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(chunk))) => {
                pace.came(chunk.len());
                return Ok(Some(chunk));
            }
            Ok(Some(Err(error))) => return Err(BodyError::Broken(error.to_string())),
            Err(_) => {}
        }
    }
}

/// Reads a whole body within the bounds.
pub(super) async fn read(body: Body, bounds: &Bounds, loan: &mut Loan) -> Result<Vec<u8>, BodyError> {
    let (mut chunks, mut pace) = (body.into_data_stream(), Pace::new(bounds, Instant::now()));
    let mut bytes = Vec::new();
    while let Some(chunk) = next(&mut chunks, &mut pace).await? {
        let fits =
            if bytes.len() + chunk.len() > bounds.bytes { Err(BodyError::TooLarge) } else { loan.grow(chunk.len()) };
        if let Err(error) = fits {
            drop(bytes);
            loan.give_back();
            drain(&mut chunks, &mut pace).await;
            return Err(error);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads a body that nobody wants, and keeps nothing of it.
pub(super) async fn discard(body: Body, bounds: &Bounds) {
    drain(&mut body.into_data_stream(), &mut Pace::new(bounds, Instant::now())).await;
}

async fn drain(chunks: &mut BodyDataStream, pace: &mut Pace) {
    let mut dropped = 0;
    while dropped < DISCARD_BYTES {
        match next(chunks, pace).await {
            Ok(Some(chunk)) => dropped += chunk.len() as u64,
            Ok(None) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 10, timeout: Duration::from_secs(60), min_rate: 100 };

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_read() {
        let mut loan = Loan::new(memory());
        assert_eq!(read(Body::from(vec![7; 10]), &BOUNDS, &mut loan).await, Ok(vec![7; 10]));
        assert_eq!(read(Body::from(vec![7; 11]), &BOUNDS, &mut loan).await, Err(BodyError::TooLarge));
        assert!(loan.permit.is_none(), "what is refused holds no memory");
    }

    #[test]
    fn memory_is_bounded_over_all_loans_and_given_back() {
        let memory = memory();
        let mut first = Loan::new(memory.clone());
        first.grow(1).expect("room");
        first.grow(MEMORY_BYTES - 1).expect("all of it");
        assert_eq!(Loan::new(memory.clone()).grow(1), Err(BodyError::Busy));
        drop(first);
        Loan::new(memory).grow(MEMORY_BYTES).expect("given back");
    }

    /// How a body ends that brings `amounts`, one a second, and after how many seconds.
    fn paced(amounts: &[usize]) -> (Result<(), BodyError>, u64) {
        let begun = Instant::now();
        let mut pace = Pace::new(&BOUNDS, begun);
        for (second, bytes) in (1..).zip(amounts) {
            if let Err(error) = pace.look(begun + Duration::from_secs(second)) {
                return (Err(error), second);
            }
            pace.came(*bytes);
        }
        (Ok(()), amounts.len() as u64)
    }

    #[test]
    fn a_slow_body_is_cut_off_after_one_window_whatever_came_before() {
        assert_eq!(paced(&[1; 1_000]), (Err(BodyError::Slow), 5));
        let mut burst_then_drops = [1; 1_000];
        burst_then_drops[0] = 500_000;
        assert_eq!(paced(&burst_then_drops), (Err(BodyError::Slow), 10));
    }

    #[test]
    fn a_body_at_the_least_rate_is_read_until_the_whole_time_is_over() {
        assert_eq!(paced(&[130; 50]), (Ok(()), 50));
        assert_eq!(paced(&[130; 100]), (Err(BodyError::Slow), 60));
    }

    #[test]
    fn a_pause_shorter_than_the_window_is_no_end() {
        assert_eq!(paced(&[600, 0, 0, 0, 600, 0, 0, 0, 600]), (Ok(()), 9));
    }
}
