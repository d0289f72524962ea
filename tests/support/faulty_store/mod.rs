//! An object store that fails as S3 does, with a client that tries again as `object_store`'s S3 client does.
//!
//! A request is sent by a process and then on its own: whatever becomes of the process, it is applied when it arrives. The client
//! tries again after 5xx, and after a broken connection or its timeout where a repetition does no harm; a create is none of those.
//! Multipart uploads are not there, since nothing here makes any.

pub mod bucket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::time::{Instant, timeout};

use self::bucket::{Bucket, Fault};
use crate::gate::Gate;

/// The client's patience, as the writer sets it: for one try, in number of repetitions, and over all of them.
const TRY_TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: u32 = 10;
const RETRY_TIMEOUT: Duration = Duration::from_secs(120);

/// The pause before the first repetition; it doubles up to the longest one. Without the jitter of the real one.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// One process's way to the bucket.
#[derive(Debug, Clone)]
pub struct FaultyStore {
    bucket: Bucket,
    gate: Gate,
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

/// May the client send it again when it does not know what became of it?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Always,
    /// Only when the server has said that it failed.
    AfterRefusal,
}

impl FaultyStore {
    /// All requests and answers pass `gate`.
    pub fn new(bucket: Bucket, gate: Gate) -> Self {
        FaultyStore { bucket, gate }
    }

    /// A request with its repetitions.
    async fn call<T: Send + 'static>(
        &self,
        again: Again,
        request: impl Fn(Bucket) -> BoxFuture<'static, Result<T>> + Send,
    ) -> Result<T> {
        let began = Instant::now();
        let mut pause = BACKOFF;
        for _ in 0..=RETRIES {
            self.gate.pass().await;
            let mut answer = Box::pin(self.bucket.send(request(self.bucket.clone()), again == Again::AfterRefusal));
            let mut outcome = timeout(TRY_TIMEOUT, &mut answer).await;
            self.gate.pass().await;
            // A process that was paused finds the answer waiting, however late it is.
            if outcome.is_err()
                && let Some(waiting) = answer.now_or_never()
            {
                outcome = Ok(waiting);
            }
            match outcome {
                Ok(Ok(answer)) => return answer,
                Ok(Err(Fault::Refused)) => {}
                Ok(Err(_)) | Err(_) if again == Again::Always => {}
                Ok(Err(_)) | Err(_) => return Err(failed("no answer came")),
            }
            if began.elapsed() > RETRY_TIMEOUT {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF_MAX);
        }
        Err(failed("the server kept failing"))
    }
}

fn failed(why: &str) -> Error {
    Error::Generic { store: "faulty", source: why.into() }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let again = if opts.mode == PutMode::Create { Again::AfterRefusal } else { Again::Always };
        let request = |bucket: Bucket| -> BoxFuture<'static, Result<PutResult>> {
            let (location, payload, opts) = (location.clone(), payload.clone(), opts.clone());
            Box::pin(async move { bucket.put(location, payload, opts).await })
        };
        self.call(again, request).await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(failed("no multipart uploads here"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let request = |bucket: Bucket| -> BoxFuture<'static, Result<GetResult>> {
            let (location, options) = (location.clone(), options.clone());
            Box::pin(async move { bucket.objects().get_opts(&location, options).await })
        };
        self.call(Again::Always, request).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Path| {
            let store = store.clone();
            async move {
                let request = |bucket: Bucket| -> BoxFuture<'static, Result<Path>> {
                    let one = stream::iter([Ok(location.clone())]).boxed();
                    Box::pin(async move {
                        bucket.objects().delete_stream(one).next().await.unwrap_or(Err(failed("nothing deleted")))
                    })
                };
                store.call(Again::Always, request).await
            }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            let request = |bucket: Bucket| -> BoxFuture<'static, Result<Vec<ObjectMeta>>> {
                let prefix = prefix.clone();
                Box::pin(async move { bucket.objects().list(prefix.as_ref()).try_collect().await })
            };
            store.call(Again::Always, request).await.map(|metas| stream::iter(metas.into_iter().map(Ok)))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let request = |bucket: Bucket| -> BoxFuture<'static, Result<ListResult>> {
            let prefix = prefix.cloned();
            Box::pin(async move { bucket.objects().list_with_delimiter(prefix.as_ref()).await })
        };
        self.call(Again::Always, request).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(failed("nothing is copied here"))
    }
}

/// A store as the writer takes it.
pub fn shared(bucket: &Bucket, gate: &Gate) -> Arc<dyn ObjectStore> {
    Arc::new(FaultyStore::new(bucket.clone(), gate.clone()))
}
