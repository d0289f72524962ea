//! Folders of a local disk, many of them listed in one go: a question may look into a thousand, and going through a pool of threads
//! for each, as the object store does, takes five times as long as the listing.

use std::fs::{self, DirEntry};
use std::io::{Error, ErrorKind, Result};
use std::path::Path as Folder;

use object_store::ObjectMeta;
use object_store::path::Path;

/// The files in each of these folders below `prefix`, at any depth, in no order; none where there is no such folder.
pub(super) fn list(prefix: &str, folders: &[String]) -> Result<Vec<Vec<ObjectMeta>>> {
    let of = |folder: &String| {
        let (mut found, name) = (Vec::new(), format!("{prefix}/{folder}"));
        collect(&name, &mut found).map(|()| found)
    };
    folders.iter().map(of).collect()
}

fn collect(name: &str, found: &mut Vec<ObjectMeta>) -> Result<()> {
    let entries = match fs::read_dir(Folder::new("/").join(name)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let file = entry.file_name().into_string().map_err(|name| Error::other(format!("{name:?} is no UTF-8")))?;
        let name = format!("{name}/{file}");
        let Some(meta) = metadata(&entry)? else { continue };
        if meta.is_dir() {
            collect(&name, found)?;
        } else {
            let location = Path::parse(&name).map_err(Error::other)?;
            let last_modified = meta.modified()?.into();
            found.push(ObjectMeta { location, last_modified, size: meta.len(), e_tag: None, version: None });
        }
    }
    Ok(())
}

/// Nothing if the file has gone since its folder was read.
fn metadata(entry: &DirEntry) -> Result<Option<fs::Metadata>> {
    let followed = if entry.file_type()?.is_symlink() { fs::metadata(entry.path()) } else { entry.metadata() };
    match followed {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
