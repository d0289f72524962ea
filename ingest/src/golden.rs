//! Generated files and message texts against the ones that are committed. `UPDATE_GOLDEN=1` rewrites them.

use std::path::Path;

/// Fails unless the file (relative to the package) holds exactly `actual`.
pub(crate) fn check(file: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("below the package")).expect("folder of golden files");
        std::fs::write(&path, actual).expect("golden file is writable");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(expected.as_str(), actual);
    let text = diff.unified_diff().header("committed", "generated").to_string();
    assert!(expected == actual, "{file} differs; UPDATE_GOLDEN=1 rewrites it\n{text}");
}
