//! Golden files: texts that users see, committed under `tests/golden/` and compared byte for byte.
//!
//! `just golden` writes them anew; the diff is then the reviewer's.

use crate::file;

/// Compares `text` with `tests/golden/<name>`, or writes it if `UPDATE_GOLDEN` is set.
pub fn check(name: &str, text: &str) {
    let path = file("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("a golden file lies in a folder"))
            .expect("the folder is writable");
        std::fs::write(&path, text).expect("the golden file is writable");
        return;
    }
    let want = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; `just golden` writes it. It would be:\n{text}", path.display()));
    assert!(
        want == text,
        "{} differs.\n--- committed\n{want}\n--- now\n{text}\n(`just golden` takes it over)",
        path.display()
    );
}
