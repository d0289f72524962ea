//! Places as they stand in a configuration, `s3://bucket/prefix/`, `file:///folder/` or a path, as one URL each.

use std::path::{Component, Path, PathBuf};

use url::Url;

const PLACE_WANT: &str = "write s3://bucket/prefix/, file:///absolute/folder/ or a path";

/// A place as a URL that ends in `/`.
pub fn place(text: &str, folder: &Path) -> Result<String, String> {
    match text.split_once("://") {
        _ if text.is_empty() => Err(format!("is empty; {PLACE_WANT}")),
        Some(("s3", rest)) => s3_place(rest),
        Some(("file", _)) => {
            let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
            let path =
                path.ok_or("is no folder of this machine; write file:///absolute/folder/, with three slashes")?;
            local_place(&path)
        }
        Some(_) => Err(format!("is in a store this version does not know; {PLACE_WANT}")),
        None => local_place(&folder.join(text)),
    }
}

/// Longest prefix of a bucket, in bytes: with the longest partition path and a file's name a key stays within S3's 1,024.
pub const S3_PREFIX_MAX: usize = 1024 - crate::hive::PATH_MAX - 64;

fn s3_place(rest: &str) -> Result<String, String> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() || !bucket.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
        return Err("names no bucket; write s3://bucket/prefix/".into());
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.is_empty() {
        return Ok(format!("s3://{bucket}/"));
    }
    if prefix.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("has an empty segment, `.` or `..` in its prefix; write s3://bucket/prefix/".into());
    }
    if prefix.chars().any(|c| c.is_control() || "?#\\%*{}".contains(c)) {
        return Err("has one of ?#\\%*{} or a control character in its prefix; write s3://bucket/prefix/".into());
    }
    if prefix.len() > S3_PREFIX_MAX {
        let length = prefix.len();
        return Err(format!(
            "has a prefix of {length} bytes; write one of at most {S3_PREFIX_MAX}: S3 keys end at 1,024"
        ));
    }
    Ok(format!("s3://{bucket}/{prefix}/"))
}

fn local_place(path: &Path) -> Result<String, String> {
    let url = Url::from_directory_path(without_dots(path)).map_err(|()| "is no absolute path".to_string())?;
    Ok(url.to_string())
}

/// The path with `.` and `..` resolved by their text: two spellings of one folder must compare equal.
fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}
