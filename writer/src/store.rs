//! The object stores behind the lake's URLs, and what we demand of them.
//!
//! Everything goes through `object_store`. Two things are added: local folders are made durable (staged outside the listing,
//! fsynced, renamed or linked into place), and a store that ignores `If-None-Match` is refused at start-up, because the writer
//! log would have two authors for one entry.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, RetryConfig,
};
use schemas::layout;
use schemas::log_entry::Output;
use schemas::problem::one_line;
use url::Url;

use crate::error::WriterError;
use crate::settings::LakeSettings;
use crate::store_local::LocalFolder;

/// Retries of one request to a remote store, and how long they may take altogether.
pub const REQUEST_RETRIES: usize = 10;
pub const RETRY_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a remote store may take to answer the first request of all (credentials, DNS, TLS included).
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// Objects from this size on, in bytes, have [`LARGE_TIMEOUT`] for one try instead of [`SMALL_TIMEOUT`].
pub const LARGE_FROM: usize = 4 << 20;
pub const SMALL_TIMEOUT: Duration = Duration::from_secs(30);
pub const LARGE_TIMEOUT: Duration = Duration::from_secs(600);

/// One URL: a store and the prefix below which everything lies.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    /// The same store with time for large objects.
    patient: Arc<dyn ObjectStore>,
    prefix: String,
    url: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.url)
    }
}

/// What became of a create-if-absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The object is there with exactly these bytes, by this call or by an earlier try of it.
    Ours,
    /// The object is someone else's; its bytes.
    Theirs(Bytes),
}

impl Store {
    /// Any store below a prefix (`""` for its root). `url` is what messages call it.
    pub fn new(inner: Arc<dyn ObjectStore>, prefix: &str, url: &str) -> Self {
        let patient = inner.clone();
        Store { inner, patient, prefix: prefix.trim_matches('/').to_string(), url: url.to_string() }
    }

    /// `file:///folder/` or `s3://bucket/prefix/`.
    pub fn open(url: &str, settings: &LakeSettings) -> Result<Store, WriterError> {
        let parsed = Url::parse(url).map_err(|e| WriterError::Config(format!("lake url `{url}`: {e}")))?;
        match parsed.scheme() {
            "file" => {
                let folder = parsed
                    .to_file_path()
                    .map_err(|()| WriterError::Config(format!("lake url `{url}`: write file:///absolute/path/")))?;
                Ok(Store::new(Arc::new(LocalFolder::open(folder)?), "", url))
            }
            "s3" => {
                let store = Store::new(s3(&parsed, settings, SMALL_TIMEOUT)?, parsed.path(), url);
                Ok(Store { patient: s3(&parsed, settings, LARGE_TIMEOUT)?, ..store })
            }
            other => Err(WriterError::Config(format!(
                "lake url `{url}`: `{other}` is no known scheme; write file:// or s3://"
            ))),
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    fn path(&self, relative: &str) -> Result<Path, WriterError> {
        let full = if self.prefix.is_empty() { relative.to_string() } else { format!("{}/{relative}", self.prefix) };
        // `parse`, not `from`: hive escapes (`%2F`) must reach the store as they are, not escaped a second time.
        Path::parse(&full).map_err(|e| WriterError::Corrupt(format!("object name `{full}`: {e}")))
    }

    fn failed(&self, doing: &str, relative: &str, cause: &Error) -> WriterError {
        let at = self.url.trim_end_matches('/');
        WriterError::environment(format!("cannot {doing} {at}/{relative}"), one_line(cause))
    }

    /// Writes or overwrites.
    pub async fn put(&self, relative: &str, bytes: Bytes) -> Result<(), WriterError> {
        let path = self.path(relative)?;
        let store = if bytes.len() < LARGE_FROM { &self.inner } else { &self.patient };
        store.put(&path, bytes.into()).await.map(|_| ()).map_err(|e| self.failed("write", relative, &e))
    }

    /// Writes unless there is such an object.
    ///
    /// A request may be applied although its answer is lost; the retry then finds the object there. So an object that is there
    /// is read and compared: our own bytes are our own success. (S3 may also answer 409 while another create is under way.)
    pub async fn create(&self, relative: &str, bytes: Bytes) -> Result<Created, WriterError> {
        let path = self.path(relative)?;
        let mut last = None;
        for _ in 0..CREATE_TRIES {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match self.inner.put_opts(&path, bytes.clone().into(), options).await {
                Ok(_) => return Ok(Created::Ours),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                Err(error) => last = Some(error),
            }
            match self.get(relative).await? {
                Some(there) if there == bytes => return Ok(Created::Ours),
                Some(there) => return Ok(Created::Theirs(there)),
                None => tokio::time::sleep(CREATE_PAUSE).await,
            }
        }
        let never = || Error::Generic { store: "store", source: "create neither succeeds nor finds an object".into() };
        Err(self.failed("create", relative, &last.unwrap_or_else(never)))
    }

    /// The object's bytes, `None` if there is none.
    pub async fn get(&self, relative: &str) -> Result<Option<Bytes>, WriterError> {
        let path = self.path(relative)?;
        let mut patience = ReadPatience::new();
        loop {
            let read = async { self.inner.get(&path).await?.bytes().await };
            match read.await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(e) if patience.ends() => return Err(self.failed("read", relative, &e)),
                Err(_) => tokio::time::sleep(READ_PAUSE).await,
            }
        }
    }

    /// The last bytes of an object, all of it if it has fewer; and its size.
    pub async fn tail(&self, relative: &str, bytes: u64) -> Result<(Bytes, u64), WriterError> {
        let path = self.path(relative)?;
        let mut patience = ReadPatience::new();
        loop {
            let options = GetOptions { range: Some(GetRange::Suffix(bytes)), ..GetOptions::default() };
            let read = async {
                let got = self.inner.get_opts(&path, options).await?;
                let size = got.meta.size;
                Ok::<_, Error>((got.bytes().await?, size))
            };
            match read.await {
                Ok(tail) => return Ok(tail),
                Err(e @ Error::NotFound { .. }) => return Err(self.failed("read", relative, &e)),
                Err(e) if patience.ends() => return Err(self.failed("read", relative, &e)),
                Err(_) => tokio::time::sleep(READ_PAUSE).await,
            }
        }
    }

    /// The object's size in bytes, `None` if there is none.
    pub async fn size(&self, relative: &str) -> Result<Option<u64>, WriterError> {
        match self.inner.head(&self.path(relative)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("look for", relative, &e)),
        }
    }

    /// Names below `folder` (relative to this store), in byte order, those after `after` if given.
    pub async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, WriterError> {
        let path = self.path(folder)?;
        let after = after.map(|name| self.path(name)).transpose()?;
        let mut patience = ReadPatience::new();
        let metas: Vec<ObjectMeta> = loop {
            let found: BoxStream<'_, _> = match &after {
                Some(after) => self.inner.list_with_offset(Some(&path), after),
                None => self.inner.list(Some(&path)),
            };
            match found.try_collect().await {
                Ok(metas) => break metas,
                Err(e) if patience.ends() => return Err(self.failed("list", folder, &e)),
                Err(_) => tokio::time::sleep(READ_PAUSE).await,
            }
        };
        let strip = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let mut names: Vec<String> = metas.iter().map(|m| m.location.as_ref()[strip..].to_string()).collect();
        names.sort_unstable();
        Ok(names)
    }

    pub async fn delete(&self, relative: &str) -> Result<(), WriterError> {
        let path = self.path(relative)?;
        match self.inner.delete(&path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed("delete", relative, &e)),
        }
    }

    /// Proves that the store answers and the bucket is there, without writing where readers look.
    pub async fn reach(&self) -> Result<(), WriterError> {
        let path = self.path("_alluvium-none")?;
        let answer = tokio::time::timeout(PROBE_TIMEOUT, self.inner.list_with_delimiter(Some(&path))).await;
        match answer {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(self.failed("list", "", &e)),
            Err(_) => Err(self.no_answer()),
        }
    }

    fn no_answer(&self) -> WriterError {
        let waited = format!("no answer within {} s", PROBE_TIMEOUT.as_secs());
        WriterError::environment(format!("cannot reach {}", self.url), waited)
    }

    /// Proves that the store can be written and that it keeps create-if-absent: creating the same name twice with different
    /// bytes must fail the second time.
    pub async fn probe(&self, name: &str) -> Result<(), WriterError> {
        let doubled = async {
            let first = self.create(name, Bytes::from_static(b"{\"probe\":1}")).await?;
            let second = self.create(name, Bytes::from_static(b"{\"probe\":2}")).await?;
            self.delete(name).await?;
            Ok::<_, WriterError>((first, second))
        };
        let answered = tokio::time::timeout(PROBE_TIMEOUT, doubled).await.map_err(|_| self.no_answer())?;
        match answered? {
            (Created::Ours, Created::Theirs(_)) => Ok(()),
            _ => Err(WriterError::Config(format!(
                "{} ignores If-None-Match (an object was created twice): two writers could commit the same log entry; \
                 use a store with conditional writes (Amazon S3, Ceph 16 or newer, R2)",
                self.url
            ))),
        }
    }
}

/// Tries at one read, and how long after its beginning no other is made.
const READ_TRIES: u32 = 5;
const READ_WITHIN: Duration = Duration::from_secs(30);
pub(crate) const READ_PAUSE: Duration = Duration::from_millis(200);

/// How often a read is tried again. The client beneath repeats requests, but not those whose answer breaks off in its body.
pub(crate) struct ReadPatience {
    left: u32,
    began: tokio::time::Instant,
}

impl ReadPatience {
    pub(crate) fn new() -> Self {
        ReadPatience { left: READ_TRIES, began: tokio::time::Instant::now() }
    }

    /// After a failure: whether it was the last one to be waited out.
    pub(crate) fn ends(&mut self) -> bool {
        self.left -= 1;
        self.left == 0 || self.began.elapsed() > READ_WITHIN
    }
}

const CREATE_TRIES: u32 = 5;
const CREATE_PAUSE: Duration = Duration::from_millis(200);

pub(crate) fn s3(url: &Url, settings: &LakeSettings, timeout: Duration) -> Result<Arc<dyn ObjectStore>, WriterError> {
    let retry =
        RetryConfig { max_retries: REQUEST_RETRIES, retry_timeout: RETRY_TIMEOUT, backoff: BackoffConfig::default() };
    let http = ClientOptions::new()
        .with_allow_http(settings.allow_http)
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(timeout);
    let bucket = url.host_str().unwrap_or_default();
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).with_client_options(http);
    if let Some(endpoint) = &settings.endpoint_url {
        builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
    }
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    let store = builder.build().map_err(|e| WriterError::Config(format!("lake url `{url}`: {}", one_line(&e))))?;
    Ok(Arc::new(store))
}

/// The lake: data files, errors output, state, and the archive where one is kept.
#[derive(Debug, Clone)]
pub struct Lake {
    pub table: Store,
    pub errors: Store,
    pub state: Store,
    pub archive: Option<Store>,
}

impl Lake {
    pub fn open(settings: &LakeSettings) -> Result<Lake, WriterError> {
        Ok(Lake {
            table: Store::open(&settings.url, settings)?,
            errors: Store::open(&settings.errors, settings)?,
            state: Store::open(&settings.state, settings)?,
            archive: settings.archive.as_ref().map(|url| Store::open(url, settings)).transpose()?,
        })
    }

    /// Where files of an output go.
    pub fn output(&self, output: Output) -> Result<&Store, WriterError> {
        match output {
            Output::Table => Ok(&self.table),
            Output::Errors => Ok(&self.errors),
            Output::Archive => self.archive.as_ref().ok_or_else(|| {
                WriterError::Config(
                    "files of the archive were cut and may not be stored yet: write `archive` under [lake] again, at least \
                     until a start with it has come to reading"
                        .into(),
                )
            }),
        }
    }

    /// Proves that all places answer, and that the state's store keeps create-if-absent. `name` is this process's alone.
    pub async fn probe(&self, name: &str) -> Result<(), WriterError> {
        self.state.probe(&layout::probe(name)).await?;
        self.table.reach().await?;
        self.errors.reach().await?;
        match &self.archive {
            Some(archive) => archive.reach().await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    /// Size and presence say nothing about whose an object is.
    #[tokio::test]
    async fn an_object_of_the_same_size_is_ours_only_if_its_bytes_are() {
        let store = Store::new(Arc::new(InMemory::new()), "", "memory:///");
        let (ours, theirs) = (Bytes::from_static(b"ours"), Bytes::from_static(b"else"));
        assert_eq!(store.create("entry", ours.clone()).await.expect("a store"), Created::Ours);
        assert_eq!(store.create("entry", ours.clone()).await.expect("a store"), Created::Ours, "the answer was lost");
        assert_eq!(store.create("entry", theirs).await.expect("a store"), Created::Theirs(ours.clone()));
        assert_eq!(store.get("entry").await.expect("a store"), Some(ours));
    }
}
