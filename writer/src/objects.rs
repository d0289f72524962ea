//! Objects of others, to be read: what lies below a URL, told apart by version, and its bytes in blocks. Nothing is written.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use schemas::problem::one_line;
use url::Url;

use crate::error::WriterError;
use crate::settings::LakeSettings;
use crate::store::{LARGE_TIMEOUT, READ_PAUSE, ReadPatience, s3};

/// One version of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// In its store: for a local file its absolute path without the first slash.
    pub path: String,
    pub size: u64,
    /// What the store calls this version.
    pub etag: String,
    /// Milliseconds since the epoch.
    pub modified: i64,
}

/// What became of reading a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    Bytes(Bytes),
    /// There is another version of the object now.
    Changed,
    /// There is no such object any more.
    Gone,
}

/// A bucket or the local disk, seen below one URL.
#[derive(Clone)]
pub struct Objects {
    inner: Arc<dyn ObjectStore>,
    /// Of the store: `s3://bucket/` or `file:///`.
    root: String,
    /// Below it, without slashes at its ends.
    prefix: String,
    spare: Arc<Spare>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.url())
    }
}

impl Objects {
    /// `s3://bucket/prefix`, `file:///folder` or a path: of a folder, or of one object. `settings` say how buckets are reached.
    pub fn open(text: &str, settings: &LakeSettings) -> Result<Objects, WriterError> {
        let parsed = match Url::parse(text) {
            Ok(url) => url,
            Err(_) => from_path(text)?,
        };
        match parsed.scheme() {
            "s3" => Ok(Objects {
                inner: s3(&parsed, settings, LARGE_TIMEOUT)?,
                root: format!("s3://{}/", parsed.host_str().unwrap_or_default()),
                prefix: parsed.path().trim_matches('/').to_string(),
                spare: Arc::default(),
            }),
            "file" => {
                let wrong = || WriterError::Config(format!("`{text}`: write file:///absolute/path or a path"));
                let path = parsed.to_file_path().map_err(|()| wrong())?;
                let prefix = Path::from_absolute_path(&path).map_err(|_| wrong())?.to_string();
                Ok(Objects {
                    inner: Arc::new(LocalFileSystem::new()),
                    root: "file:///".into(),
                    prefix,
                    spare: Arc::default(),
                })
            }
            other => Err(WriterError::Config(format!(
                "`{text}`: `{other}` is no known scheme; write s3://, file:// or a path"
            ))),
        }
    }

    /// Any store, for tests.
    pub fn new(inner: Arc<dyn ObjectStore>, root: &str, prefix: &str) -> Objects {
        Objects { inner, root: root.into(), prefix: prefix.into(), spare: Arc::default() }
    }

    /// The same for every way of writing it.
    pub fn url(&self) -> String {
        self.url_of(&self.prefix)
    }

    pub fn url_of(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    /// Of the store that paths lie in.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// A path without what the URL names of it.
    pub fn below_url<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&*self.prefix).unwrap_or(path).trim_start_matches('/')
    }

    /// All objects, in byte order of their paths. Names that begin with `.` or `_` are passed over, as engines do.
    pub async fn list(&self) -> Result<Vec<Listed>, WriterError> {
        let prefix = self.path(&self.prefix)?;
        let mut found = Vec::new();
        match self.inner.head(&prefix).await {
            Ok(meta) if !self.prefix.is_empty() => found.push(meta),
            _ => found = self.below(&prefix).await?,
        }
        let skip = if self.prefix.is_empty() { 0 } else { self.prefix.len() };
        let is_hidden = |meta: &ObjectMeta| {
            let below = meta.location.as_ref().get(skip..).unwrap_or_default();
            below.split('/').any(|segment| segment.starts_with(['.', '_']))
        };
        let mut listed: Vec<Listed> = found.iter().filter(|meta| !is_hidden(meta)).map(listed).collect();
        listed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(listed)
    }

    async fn below(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, WriterError> {
        let mut patience = ReadPatience::new();
        loop {
            match self.inner.list(Some(prefix)).try_collect().await {
                Ok(metas) => return Ok(metas),
                Err(Error::NotFound { .. }) => return Ok(Vec::new()),
                Err(e) if patience.ends() => return Err(self.failed("list", &self.prefix, &e)),
                Err(_) => tokio::time::sleep(READ_PAUSE).await,
            }
        }
    }

    /// A piece of one version of an object.
    pub async fn block(&self, path: &str, etag: &str, range: Range<u64>) -> Result<Block, WriterError> {
        let at = self.path(path)?;
        let mut patience = ReadPatience::new();
        loop {
            let options = GetOptions {
                range: Some(range.clone().into()),
                // A version that is made of size and time is ours alone.
                if_match: (!etag.starts_with(UNNAMED)).then(|| etag.to_string()),
                ..GetOptions::default()
            };
            let read = async {
                let got = self.inner.get_opts(&at, options).await?;
                let same = version(&got.meta) == etag;
                Ok::<_, Error>((same, self.bytes_of(got).await?))
            };
            match read.await {
                Ok((true, bytes)) => return Ok(Block::Bytes(bytes)),
                Ok((false, _)) | Err(Error::Precondition { .. }) => return Ok(Block::Changed),
                Err(Error::NotFound { .. }) => return Ok(Block::Gone),
                Err(e) if patience.ends() => return Err(self.failed("read", path, &e)),
                Err(_) => tokio::time::sleep(READ_PAUSE).await,
            }
        }
    }

    /// What a store has answered with. Files are read here: the store would read them into fresh memory that it has filled with
    /// zeros before.
    async fn bytes_of(&self, got: GetResult) -> Result<Bytes, Error> {
        let (range, spare) = (got.range.clone(), self.spare.clone());
        let file = match got.payload {
            GetResultPayload::File(file, _) => file,
            payload => return GetResult { payload, ..got }.bytes().await,
        };
        let read = tokio::task::spawn_blocking(move || read_file(file, range, spare)).await;
        let failed = |error| Error::Generic { store: "local files", source: Box::new(error) };
        read.map_err(std::io::Error::other).flatten().map_err(failed)
    }

    fn path(&self, path: &str) -> Result<Path, WriterError> {
        Path::parse(path).map_err(|e| WriterError::Config(format!("object name `{path}`: {e}")))
    }

    fn failed(&self, doing: &str, path: &str, cause: &Error) -> WriterError {
        WriterError::environment(format!("cannot {doing} {}", self.url_of(path)), one_line(cause))
    }
}

/// Memory that blocks of files were in, for the next ones: the system's fresh memory costs more than reading does.
#[derive(Debug, Default)]
struct Spare(Mutex<Vec<Vec<u8>>>);

/// Blocks of memory that are kept.
const SPARE_MAX: usize = 8;

impl Spare {
    fn blocks(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A block of a file, whose memory is used again when all that refer to it are gone.
struct Lent {
    bytes: Vec<u8>,
    spare: Arc<Spare>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut blocks = self.spare.blocks();
        if blocks.len() < SPARE_MAX {
            blocks.push(std::mem::take(&mut self.bytes));
        }
    }
}

fn read_file(mut file: File, range: Range<u64>, spare: Arc<Spare>) -> std::io::Result<Bytes> {
    let mut bytes = spare.blocks().pop().unwrap_or_default();
    bytes.clear();
    bytes.reserve((range.end - range.start) as usize);
    file.seek(SeekFrom::Start(range.start))?;
    file.take(range.end - range.start).read_to_end(&mut bytes)?;
    Ok(Bytes::from_owner(Lent { bytes, spare }))
}

/// Versions of a store that names none.
const UNNAMED: &str = "unnamed:";

fn version(meta: &ObjectMeta) -> String {
    let unnamed = || format!("{UNNAMED}{}-{}", meta.size, meta.last_modified.timestamp_micros());
    meta.e_tag.clone().unwrap_or_else(unnamed)
}

fn listed(meta: &ObjectMeta) -> Listed {
    let path = meta.location.to_string();
    Listed { path, size: meta.size, etag: version(meta), modified: meta.last_modified.timestamp_millis() }
}

fn from_path(text: &str) -> Result<Url, WriterError> {
    let absolute = std::path::absolute(text).and_then(|path| std::fs::canonicalize(&path).or(Ok::<PathBuf, _>(path)));
    let url = absolute.ok().and_then(|path| Url::from_file_path(path).ok());
    url.ok_or_else(|| WriterError::Config(format!("`{text}` is no path; write s3://bucket/prefix or a path")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> LakeSettings {
        LakeSettings {
            url: String::new(),
            errors: String::new(),
            state: String::new(),
            archive: None,
            endpoint_url: None,
            region: None,
            allow_http: false,
        }
    }

    #[tokio::test]
    async fn a_folder_and_a_file_of_it_are_listed_and_read_in_blocks_of_one_version() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.json", "a/c d=%2F.json", ".staging/x", "_tmp/y"] {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().expect("above it")).expect("made");
            std::fs::write(file, "0123456789").expect("written");
        }
        let text = folder.path().to_str().expect("text");
        let objects = Objects::open(text, &settings()).expect("opens");
        let listed = objects.list().await.expect("lists");
        let names: Vec<&str> = listed.iter().map(|l| l.path.rsplit('/').next().expect("a name")).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(names[1], "b.json");
        let one = Objects::open(&format!("file://{text}/b.json"), &settings()).expect("opens");
        assert_eq!(one.list().await.expect("lists"), listed[1..]);
        assert_eq!(one.url_of(&listed[1].path), one.url());
        for object in &listed {
            let read = objects.block(&object.path, &object.etag, 3..7).await.expect("reads");
            assert_eq!(read, Block::Bytes(Bytes::from_static(b"3456")));
        }
        std::fs::write(folder.path().join("b.json"), "another text").expect("written");
        let block = one.block(&listed[1].path, &listed[1].etag, 0..4).await.expect("reads");
        assert_eq!(block, Block::Changed);
        std::fs::remove_file(folder.path().join("b.json")).expect("removed");
        assert_eq!(one.block(&listed[1].path, &listed[1].etag, 0..4).await.expect("reads"), Block::Gone);
    }
}
