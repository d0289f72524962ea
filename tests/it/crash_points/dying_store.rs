//! A store that dies at its n-th write, as a process does: from then on nothing comes through.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// The write is not applied.
    Before,
    /// The write is applied and nobody hears of it.
    After,
    /// The same, but only this one answer is lost; the store lives on.
    AnswerLost,
}

#[derive(Debug)]
pub(super) struct DyingStore {
    inner: Arc<InMemory>,
    writes: AtomicU64,
    at: u64,
    death: Death,
}

impl DyingStore {
    pub(super) fn new(inner: Arc<InMemory>, at: u64, death: Death) -> Self {
        DyingStore { inner, writes: AtomicU64::new(0), at, death }
    }

    pub(super) fn immortal(inner: Arc<InMemory>) -> Self {
        DyingStore::new(inner, u64::MAX, Death::Before)
    }

    fn is_dead(&self) -> bool {
        self.death != Death::AnswerLost && self.writes.load(Ordering::SeqCst) > self.at
    }

    fn alive(&self) -> Result<()> {
        if self.is_dead() { Err(gone()) } else { Ok(()) }
    }
}

fn gone() -> Error {
    Error::Generic { store: "dying", source: "the process is dead".into() }
}

impl fmt::Display for DyingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DyingStore")
    }
}

#[async_trait]
impl ObjectStore for DyingStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.alive()?;
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        if number < self.at || (self.death == Death::AnswerLost && number > self.at) {
            return self.inner.put_opts(location, payload, opts).await;
        }
        if self.death != Death::Before {
            self.inner.put_opts(location, payload, opts).await?;
        }
        Err(gone())
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.alive()?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.alive()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.alive() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.alive()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
