//! A connection that does not wait for ever: for a request's head, for the next request, for the client to read.
//!
//! Bodies have their own bounds (`body.rs`), since only there is known how much has come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::counters::{Cut, IntakeCounters};
use super::settings::Limits;

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Waiting {
    /// A head whose first byte is due or here.
    Head,
    /// Nothing: a request is being worked on.
    Busy,
    /// The next request.
    Next,
}

/// What a connection is waiting for, as its requests and its stream see it.
#[derive(Debug, Clone)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    pub(super) fn begin() -> Phase {
        Phase(Arc::new(AtomicU8::new(Waiting::Head as u8)))
    }

    /// A head is here.
    pub(super) fn busy(&self) {
        self.set(Waiting::Busy);
    }

    /// A request is answered.
    pub(super) fn answered(&self) {
        self.set(Waiting::Next);
    }

    fn set(&self, waiting: Waiting) {
        self.0.store(waiting as u8, Ordering::Relaxed);
    }

    fn get(&self) -> Waiting {
        match self.0.load(Ordering::Relaxed) {
            0 => Waiting::Head,
            1 => Waiting::Busy,
            _ => Waiting::Next,
        }
    }
}

/// A stream with the bounds on it.
pub(super) struct Timed<S> {
    stream: S,
    phase: Phase,
    limits: Arc<Limits>,
    counters: Arc<IntakeCounters>,
    reading: Option<(Waiting, Pin<Box<Sleep>>)>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, phase: Phase, limits: Arc<Limits>, counters: Arc<IntakeCounters>) -> Timed<S> {
        Timed { stream, phase, limits, counters, reading: None, writing: None }
    }

    /// Nothing came: is the time for it over?
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiting = self.phase.get();
        let (limit, cut) = match waiting {
            Waiting::Head => (self.limits.header_timeout, Cut::Header),
            Waiting::Next => (self.limits.idle_timeout, Cut::Idle),
            Waiting::Busy => {
                self.reading = None;
                return Poll::Pending;
            }
        };
        if self.reading.as_ref().is_none_or(|(armed, _)| *armed != waiting) {
            self.reading = Some((waiting, sleep(limit)));
        }
        if let Some((_, sleep)) = &mut self.reading {
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(Err(self.end(cut)))
    }

    /// Something is written, or the client has not made room for it in time.
    fn poll_written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let limit = self.limits.write_timeout;
        ready!(self.writing.get_or_insert_with(|| sleep(limit)).as_mut().poll(cx));
        Poll::Ready(Err(self.end(Cut::Write)))
    }

    fn end(&self, cut: Cut) -> io::Error {
        self.counters.cut(cut);
        io::Error::new(io::ErrorKind::TimedOut, cut.name())
    }
}

fn sleep(limit: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep_until(Instant::now() + limit))
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.poll_late(cx),
            Poll::Ready(outcome) => {
                if buffer.filled().len() > before && self.phase.get() == Waiting::Next {
                    self.phase.set(Waiting::Head);
                    self.reading = None;
                }
                Poll::Ready(outcome)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.poll_written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.poll_written(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.poll_written(cx, ended)
    }
}
