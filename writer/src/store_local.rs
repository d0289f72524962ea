//! A local folder as an object store that survives a power cut.
//!
//! `object_store`'s own local store stages a file beside its final name and does not sync it: a kill leaves `name#1` where
//! readers look, and a power cut may leave an empty file behind an entry that says it is stored. Here a file is staged under
//! `.staging/` (hidden from every engine's listing), synced, moved into place, and the folders that changed are synced too.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::error::WriterError;

/// Where files are staged, below the store's root.
pub const STAGING: &str = ".staging";

/// See the module's text.
#[derive(Debug)]
pub struct LocalFolder {
    inner: LocalFileSystem,
    root: PathBuf,
    staged: AtomicU64,
}

impl fmt::Display for LocalFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalFolder({})", self.root.display())
    }
}

impl LocalFolder {
    /// Makes the folder if it is not there. Leftovers of a killed process under `.staging/` are named by its pid and are
    /// overwritten or cleared by [`LocalFolder::clear_staging`].
    pub fn open(root: PathBuf) -> std::result::Result<LocalFolder, WriterError> {
        let failed =
            |e: &dyn fmt::Display| WriterError::environment(format!("cannot open folder {}", root.display()), e);
        fs::create_dir_all(&root).map_err(|e| failed(&e))?;
        let inner = LocalFileSystem::new_with_prefix(&root).map_err(|e| failed(&e))?;
        clear_staging(&root.join(STAGING)).map_err(|e| failed(&e))?;
        Ok(LocalFolder { inner, root: root.clone(), staged: AtomicU64::new(0) })
    }

    fn staging_file(&self) -> PathBuf {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        self.root.join(STAGING).join(format!("{}-{number}", std::process::id()))
    }
}

/// Removes what processes that are gone have left.
fn clear_staging(folder: &FsPath) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        let pid = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.split('-').next());
        if pid.is_some_and(|pid| !FsPath::new("/proc").join(pid).exists()) {
            fs::remove_file(&path)?;
        }
    }
    // Fails while another process stages: then it stays.
    fs::remove_dir(folder).or(Ok(()))
}

fn place(staged: &FsPath, target: &FsPath, root: &FsPath, payload: &PutPayload, mode: &PutMode) -> io::Result<()> {
    fs::create_dir_all(root.join(STAGING))?;
    let mut file = File::create(staged)?;
    payload.iter().try_for_each(|bytes| file.write_all(bytes))?;
    file.sync_all()?;
    drop(file);
    let parent = target.parent().unwrap_or(root);
    let made = make_folders(parent)?;
    match mode {
        PutMode::Create => {
            fs::hard_link(staged, target)?;
            fs::remove_file(staged)?;
        }
        _ => fs::rename(staged, target)?,
    }
    sync_folder(parent)?;
    made.iter().try_for_each(|folder| sync_folder(folder))
}

/// Makes `folder` and whatever is missing above it; gives the folders whose listing changed.
fn make_folders(folder: &FsPath) -> io::Result<Vec<PathBuf>> {
    let mut changed = Vec::new();
    let mut missing = folder;
    while !missing.exists() {
        let Some(above) = missing.parent() else { break };
        changed.push(above.to_path_buf());
        missing = above;
    }
    if !changed.is_empty() {
        fs::create_dir_all(folder)?;
    }
    Ok(changed)
}

fn sync_folder(folder: &FsPath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[async_trait]
impl ObjectStore for LocalFolder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if matches!(opts.mode, PutMode::Update(_)) {
            return self.inner.put_opts(location, payload, opts).await;
        }
        let target = self.inner.path_to_filesystem(location)?;
        let (staged, root) = (self.staging_file(), self.root.clone());
        let name = location.to_string();
        let written = tokio::task::spawn_blocking(move || {
            let placed = place(&staged, &target, &root, &payload, &opts.mode);
            if placed.is_err() {
                // Best effort: the next start clears the folder.
                drop(fs::remove_file(&staged));
            }
            placed
        });
        match written.await? {
            Ok(()) => Ok(PutResult { e_tag: None, version: None }),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::AlreadyExists { path: name, source: e.into() })
            }
            Err(e) => Err(Error::Generic { store: "LocalFolder", source: e.into() }),
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;

    fn create() -> PutOptions {
        PutOptions { mode: PutMode::Create, ..PutOptions::default() }
    }

    #[tokio::test]
    async fn create_is_refused_the_second_time_and_nothing_is_left_in_staging() {
        let root = tempfile::tempdir().expect("tempdir");
        let store = LocalFolder::open(root.path().to_path_buf()).expect("opens");
        let at = Path::parse("a=1/b=x%2Fy/f.json").expect("path");
        store.put_opts(&at, "one".into(), create()).await.expect("first");
        let again = store.put_opts(&at, "two".into(), create()).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        assert_eq!(store.get(&at).await.expect("there").bytes().await.expect("read"), "one");
        assert!(root.path().join("a=1/b=x%2Fy/f.json").is_file(), "the escape stays as it is on disk");
        assert_eq!(fs::read_dir(root.path().join(STAGING)).expect("staging").count(), 0);
    }

    #[tokio::test]
    async fn leftovers_of_a_dead_process_are_cleared_at_open() {
        let root = tempfile::tempdir().expect("tempdir");
        let staging = root.path().join(STAGING);
        fs::create_dir_all(&staging).expect("folder");
        fs::write(staging.join("999999999-1"), b"half").expect("leftover");
        LocalFolder::open(root.path().to_path_buf()).expect("opens");
        assert!(!staging.exists());
    }
}
