//! The tools that `infra/local/setup` installs, found or installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::root;

/// The folder with the tools. The first call runs the setup script, which returns at once when all is there.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let setup = root().join("infra/local/setup");
        let done = Command::new("bash").arg(&setup).stdin(Stdio::null()).output().expect("bash starts");
        assert!(done.status.success(), "infra/local/setup failed:\n{}", String::from_utf8_lossy(&done.stderr));
        std::env::var_os("ALLUVIUM_TOOLS_DIR").map_or_else(|| root().join(".emu"), PathBuf::from)
    })
}

/// A program of the Python environment: `python`, `aws`, `sqlfluff`.
pub fn python(program: &str) -> PathBuf {
    folder().join("py/bin").join(program)
}

/// Runs a command to its end and gives its standard output; panics with its standard error if it fails.
pub fn output(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", done.status);
    stdout.into_owned()
}
