//! A local folder as an object store that survives a power cut.
//!
//! `object_store`'s own local store stages a file beside its final name and does not sync it: a kill leaves `name#1` where
//! readers look, and a power cut may leave an empty file behind an entry that says it is stored. Here a file is staged under
//! `.staging/` (hidden from every engine's listing), synced, moved into place, and the folders that changed are synced too.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path as FsPath, PathBuf};
use std::time::Duration;

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

/// Age at which a staged file is a leftover: far longer than any write takes.
pub const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

/// See the module's text.
#[derive(Debug)]
pub struct LocalFolder {
    inner: LocalFileSystem,
    root: PathBuf,
}

impl fmt::Display for LocalFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalFolder({})", self.root.display())
    }
}

impl LocalFolder {
    /// Makes the folder if it is not there, and clears leftovers of processes that were killed.
    pub fn open(root: PathBuf) -> std::result::Result<LocalFolder, WriterError> {
        let failed =
            |e: &dyn fmt::Display| WriterError::environment(format!("cannot open folder {}", root.display()), e);
        fs::create_dir_all(root.join(STAGING)).map_err(|e| failed(&e))?;
        let inner = LocalFileSystem::new_with_prefix(&root).map_err(|e| failed(&e))?;
        clear_leftovers(&root.join(STAGING)).map_err(|e| failed(&e))?;
        Ok(LocalFolder { inner, root: root.clone() })
    }
}

/// Removes what is so old that nobody can still be writing it.
///
/// Not what "belongs to no running process": two containers with one volume see each other's files and not each other's pids.
fn clear_leftovers(folder: &FsPath) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let age = entry.metadata().and_then(|m| m.modified()).map(|at| at.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age > LEFTOVER_AGE) {
            fs::remove_file(entry.path()).or_else(gone_is_fine)?;
        }
    }
    Ok(())
}

fn gone_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// A new file under `.staging/`, at a name that no other process has or has had.
///
/// Never a name used before: a kill between link and remove leaves a staged file that is the same file as a committed object,
/// and writing to that name again would empty the object.
fn new_staged(root: &FsPath) -> io::Result<(File, PathBuf)> {
    let named = tempfile::Builder::new().prefix("put-").rand_bytes(12).tempfile_in(root.join(STAGING))?;
    let (file, path) = named.keep().map_err(|e| e.error)?;
    Ok((file, path))
}

fn place(target: &FsPath, root: &FsPath, payload: &PutPayload, mode: &PutMode) -> io::Result<()> {
    let (file, staged) = new_staged(root)?;
    let placed = write_and_move(file, &staged, target, root, payload, mode);
    if placed.is_err() {
        // Best effort: it is cleared when it is old.
        drop(fs::remove_file(&staged));
    }
    placed
}

fn write_and_move(
    mut file: File,
    staged: &FsPath,
    target: &FsPath,
    root: &FsPath,
    payload: &PutPayload,
    mode: &PutMode,
) -> io::Result<()> {
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
        let (root, name) = (self.root.clone(), location.to_string());
        let written = tokio::task::spawn_blocking(move || place(&target, &root, &payload, &opts.mode));
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
    async fn old_leftovers_are_cleared_at_open_and_young_files_are_left() {
        let root = tempfile::tempdir().expect("tempdir");
        let staging = root.path().join(STAGING);
        fs::create_dir_all(&staging).expect("folder");
        let old = File::create(staging.join("old")).expect("leftover");
        old.set_modified(std::time::UNIX_EPOCH).expect("dated");
        File::create(staging.join("young")).expect("another process's");
        LocalFolder::open(root.path().to_path_buf()).expect("opens");
        assert!(!staging.join("old").exists() && staging.join("young").exists());
    }

    #[tokio::test]
    async fn a_leftover_that_is_a_committed_object_is_never_written_to() {
        let root = tempfile::tempdir().expect("tempdir");
        let store = LocalFolder::open(root.path().to_path_buf()).expect("opens");
        let at = Path::parse("log/1.json").expect("path");
        store.put_opts(&at, "committed".into(), create()).await.expect("first");
        // As a kill between link and remove leaves it.
        fs::hard_link(root.path().join("log/1.json"), root.path().join(STAGING).join("left")).expect("linked");
        for n in 2..40 {
            let next = Path::parse(format!("log/{n}.json")).expect("path");
            store.put_opts(&next, "other".into(), create()).await.expect("created");
        }
        assert_eq!(store.get(&at).await.expect("there").bytes().await.expect("read"), "committed");
    }
}
