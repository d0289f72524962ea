//! Request bodies within bounds: of size, of time, and of memory over all requests.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory that all requests together may hold for bodies.
pub(super) const MEMORY_BYTES: usize = 512 << 20;
/// A body must be here within this.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Of a body that is too large, this much more is read and dropped: a client that still writes would see a reset connection
/// instead of the answer.
const DISCARD_BYTES: usize = 64 << 20;
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

/// Reads a whole body of at most `max` bytes.
pub(super) async fn read(body: Body, max: usize, loan: &mut Loan) -> Result<Vec<u8>, BodyError> {
    tokio::time::timeout(BODY_TIMEOUT, collect(body, max, loan)).await.unwrap_or(Err(BodyError::Slow))
}

async fn collect(body: Body, max: usize, loan: &mut Loan) -> Result<Vec<u8>, BodyError> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| BodyError::Broken(error.to_string()))?;
        let fits = if bytes.len() + chunk.len() > max { Err(BodyError::TooLarge) } else { loan.grow(chunk.len()) };
        if let Err(error) = fits {
            discard(&mut chunks).await;
            return Err(error);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn discard(chunks: &mut axum::body::BodyDataStream) {
    let mut dropped = 0;
    while dropped < DISCARD_BYTES {
        match chunks.next().await {
            Some(Ok(chunk)) => dropped += chunk.len(),
            Some(Err(_)) | None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_read() {
        let mut loan = Loan::new(memory());
        assert_eq!(read(Body::from(vec![7; 10]), 10, &mut loan).await, Ok(vec![7; 10]));
        assert_eq!(read(Body::from(vec![7; 11]), 10, &mut loan).await, Err(BodyError::TooLarge));
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
}
