//! The lake as it is read: the table's folders, the archive, the writer log. Nothing here writes.

mod local;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, Error, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use schemas::problem::causes;
use tokio::task::spawn_blocking;
use url::Url;

use crate::config::LakeSettings;
use crate::error::ReaderError;

/// Folders that one question has listed at a time, of S3 and of a local disk.
pub const LISTS_AT_ONCE: usize = 64;
const LOCAL_LISTS_AT_ONCE: usize = 512;

/// Tries at one request after the first, how long they may take altogether, and how long one may.
pub const RETRIES: usize = 4;
pub const RETRY_TIMEOUT: Duration = Duration::from_secs(15);
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// One place: a store, and the prefix below which everything of it lies.
#[derive(Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    url: String,
    /// Whether it is a folder of this machine, called by its whole path.
    local: bool,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.url)
    }
}

/// The places of one table.
#[derive(Debug, Clone)]
pub struct Lake {
    pub table: Place,
    pub state: Option<Place>,
    pub archive: Option<Place>,
}

impl Lake {
    pub fn open(settings: &LakeSettings) -> Result<Lake, ReaderError> {
        let open = |url: &Option<String>| url.as_ref().map(|url| Place::open(url, settings)).transpose();
        Ok(Lake {
            table: Place::open(&settings.url, settings)?,
            state: open(&settings.state)?,
            archive: open(&settings.archive)?,
        })
    }
}

impl Place {
    /// Any store below a prefix (`""` for its root). `url` is what messages call it.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str, url: &str) -> Place {
        Place { store, prefix: prefix.trim_matches('/').to_string(), url: url.to_string(), local: false }
    }

    /// `file:///folder/` or `s3://bucket/prefix/`.
    fn open(url: &str, settings: &LakeSettings) -> Result<Place, ReaderError> {
        let failed = |why: &dyn fmt::Display| ReaderError::environment(format!("open {url}"), why);
        let parsed = Url::parse(url).map_err(|e| failed(&e))?;
        if parsed.scheme() == "s3" {
            return Ok(Place::new(s3(&parsed, settings).map_err(|e| failed(&e))?, parsed.path(), url));
        }
        let folder = parsed.to_file_path().map_err(|()| failed(&"it is no folder of this machine"))?;
        // By its whole path, which need not exist: a reader may be there before the first file is.
        let path = folder.to_str().ok_or_else(|| failed(&"its name is no UTF-8"))?;
        Ok(Place { local: true, ..Place::new(Arc::new(LocalFileSystem::new()), path, url) })
    }

    /// Whether anything is there, as far as one request tells.
    pub async fn is_empty(&self) -> Result<bool, ReaderError> {
        let at = self.path("")?;
        let first = self.store.list(Some(&at)).try_next().await;
        Ok(first.map_err(|e| self.failed("list", "", &e))?.is_none())
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// `parse`, not `from`: hive escapes (`%2F`) are the folder's own name.
    fn path(&self, relative: &str) -> Result<Path, ReaderError> {
        let full = if self.prefix.is_empty() { relative.to_string() } else { format!("{}/{relative}", self.prefix) };
        Path::parse(full.trim_end_matches('/'))
            .map_err(|e| ReaderError::environment(format!("name {}{relative}", self.url), e))
    }

    /// A path of the store as it is below this place.
    pub fn relative<'a>(&self, location: &'a Path) -> &'a str {
        let below = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        location.as_ref().get(below..).unwrap_or_default()
    }

    fn failed(&self, doing: &str, relative: &str, cause: &Error) -> ReaderError {
        ReaderError::environment(format!("{doing} {}/{relative}", self.url.trim_end_matches('/')), causes(cause))
    }

    /// The objects in a folder that readers see: names that begin with `_` or `.` are hidden from every engine.
    pub async fn list(&self, folder: &str) -> Result<Vec<ObjectMeta>, ReaderError> {
        let path = self.path(folder)?;
        let listed: Result<Vec<ObjectMeta>, _> = self.store.list(Some(&path)).try_collect().await;
        listed.map(seen).map_err(|e| self.failed("list", folder, &e))
    }

    /// [`Place::list`] of several folders, in their order.
    pub async fn list_all(&self, folders: Vec<String>) -> Result<Vec<Vec<ObjectMeta>>, ReaderError> {
        if self.local {
            return self.list_local(folders).await;
        }
        // Boxed and owned: a future that borrows an item of the list is no `Send` for all lifetimes.
        let place = self.clone();
        let lists = folders.into_iter().map(move |folder| {
            let place = place.clone();
            async move { place.list(&folder).await }
        });
        stream::iter(lists).buffered(LISTS_AT_ONCE).try_collect().await
    }

    async fn list_local(&self, mut folders: Vec<String>) -> Result<Vec<Vec<ObjectMeta>>, ReaderError> {
        let mut found = Vec::with_capacity(folders.len());
        while !folders.is_empty() {
            let rest = folders.split_off(folders.len().min(LOCAL_LISTS_AT_ONCE));
            let (prefix, some) = (self.prefix.clone(), std::mem::replace(&mut folders, rest));
            let failed = |e: &dyn fmt::Display| ReaderError::environment(format!("list {}", self.url), e);
            let listed = spawn_blocking(move || local::list(&prefix, &some)).await.map_err(|e| failed(&e))?;
            found.extend(listed.map_err(|e| failed(&e))?.into_iter().map(seen));
        }
        Ok(found)
    }

    /// The names of the folders right below: one request for each thousand.
    pub async fn folders(&self) -> Result<Vec<String>, ReaderError> {
        let path = self.path("")?;
        let at = if path.as_ref().is_empty() { None } else { Some(&path) };
        let listed = self.store.list_with_delimiter(at).await.map_err(|e| self.failed("list", "", &e))?;
        Ok(listed.common_prefixes.iter().map(|p| self.relative(p).trim_end_matches('/').to_string()).collect())
    }

    /// An object's bytes; `None` if there is none.
    pub async fn get(&self, relative: &str) -> Result<Option<Bytes>, ReaderError> {
        let path = self.path(relative)?;
        let read = async { self.store.get(&path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read", relative, &e)),
        }
    }
}

/// What readers see of a folder's files, in order.
fn seen(mut files: Vec<ObjectMeta>) -> Vec<ObjectMeta> {
    files.retain(|file| file.size > 0 && !file.location.filename().unwrap_or_default().starts_with(['_', '.']));
    files.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    files
}

fn s3(url: &Url, settings: &LakeSettings) -> Result<Arc<dyn ObjectStore>, Error> {
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT, backoff: BackoffConfig::default() };
    let http = ClientOptions::new()
        .with_allow_http(settings.allow_http)
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(REQUEST_TIMEOUT);
    let bucket = url.host_str().unwrap_or_default();
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).with_client_options(http);
    if let Some(endpoint) = &settings.endpoint_url {
        builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
    }
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    Ok(Arc::new(builder.build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What hive escapes stays escaped on the disk, and what is hidden from engines is hidden here.
    #[tokio::test]
    async fn folders_of_hostile_values_are_found_and_hidden_files_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = schemas::hive::partition_path(&["k"], &["../a/%2F b"]);
        let partition = folder.path().join(&name);
        std::fs::create_dir_all(&partition).expect("a folder");
        for file in ["x.parquet", "_y.parquet", ".z.parquet"] {
            std::fs::write(partition.join(file), b"1").expect("a file");
        }
        std::fs::write(partition.join("empty.parquet"), b"").expect("a file");
        let store = LocalFileSystem::new_with_prefix(folder.path()).expect("a store");
        let place = Place::new(Arc::new(store), "", "file:///t/");
        let found = place.list(&name).await.expect("listed");
        let found: Vec<_> = found.iter().map(|object| place.relative(&object.location).to_string()).collect();
        assert_eq!(found, [format!("{name}/x.parquet")]);
        assert_eq!(place.folders().await.expect("listed"), [name]);
        assert!(place.list("k=none").await.expect("no such folder").is_empty());
    }

    /// What is written later is found without opening the place again.
    #[tokio::test]
    async fn a_folder_may_come_after_the_reader() {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = folder.path().join("la ke~%41");
        let url = Url::from_directory_path(&lake).expect("a path").to_string();
        let settings = LakeSettings {
            url: url.clone(),
            state: None,
            archive: None,
            endpoint_url: None,
            region: None,
            allow_http: false,
        };
        let place = Place::open(&url, &settings).expect("opened");
        assert!(place.is_empty().await.expect("asked"));
        assert!(place.folders().await.expect("listed").is_empty());
        assert_eq!(place.get("a/b").await.expect("asked"), None);
        std::fs::create_dir_all(lake.join("k=a%2Fb")).expect("a folder");
        std::fs::write(lake.join("k=a%2Fb/x.parquet"), b"1").expect("a file");
        assert!(!place.is_empty().await.expect("asked"));
        assert_eq!(place.folders().await.expect("listed"), ["k=a%2Fb"]);
        std::fs::write(lake.join("k=a%2Fb/_hidden.parquet"), b"1").expect("a file");
        std::fs::create_dir(lake.join("k=a%2Fb/deeper")).expect("a folder");
        std::fs::write(lake.join("k=a%2Fb/deeper/y.parquet"), b"12").expect("a file");
        let one = place.list("k=a%2Fb").await.expect("listed");
        let all = place.list_all(vec!["k=none".into(), "k=a%2Fb".into()]).await.expect("listed");
        let told = |all: &[ObjectMeta]| -> Vec<_> {
            all.iter().map(|file| (place.relative(&file.location).to_string(), file.size, file.last_modified)).collect()
        };
        assert_eq!((all[0].len(), told(&all[1])), (0, told(&one)), "as the object store lists it");
        let names: Vec<_> = told(&one).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["k=a%2Fb/deeper/y.parquet", "k=a%2Fb/x.parquet"]);
        assert!(place.get("k=a%2Fb/x.parquet").await.expect("read").is_some());
    }
}
