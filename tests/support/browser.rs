//! A real Chromium, driven by playwright-core: `tests/page/run.mjs` plays a scenario and says what was not as it should be.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{file, root, tools};

/// Where `infra/page/setup` has put the library, and the browser.
#[derive(Debug, Clone)]
pub struct Browser {
    library: PathBuf,
    chromium: PathBuf,
}

/// The browser.
///
/// Where there is none: panics with the reason if `ALLUVIUM_PAGE=required`, else prints it and gives nothing.
pub fn browser(test: &str) -> Option<Browser> {
    let library = tools::folder().join("browser/node_modules/playwright-core");
    let chromium =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser"].map(PathBuf::from).into_iter().find(|p| p.exists());
    match chromium.filter(|_| library.is_dir()) {
        Some(chromium) => Some(Browser { library, chromium }),
        None => {
            let reason = format!(
                "{test} DID NOT RUN: no Chromium, or no {}; `bash infra/page/setup` fetches them",
                library.display()
            );
            assert!(!required(), "{reason}");
            eprintln!("{reason}");
            None
        }
    }
}

/// Whether the caller asked for these tests: `just page` does.
pub fn required() -> bool {
    std::env::var("ALLUVIUM_PAGE").is_ok_and(|value| value == "required")
}

impl Browser {
    /// Plays the scenario of this name, with what it has to know; panics with all it says if anything is wrong.
    pub fn play(&self, scenario: &str, facts: &Value) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("facts.json");
        std::fs::write(&path, facts.to_string()).expect("the folder is writable");
        let done = self.command(&path, scenario).output().expect("node starts");
        let (out, wrong) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        print!("{out}");
        assert!(done.status.success(), "page: {scenario}\n{out}{wrong}");
    }

    fn command(&self, facts: &Path, scenario: &str) -> Command {
        let mut node = Command::new("node");
        node.arg(file("tests/page/run.mjs")).arg(scenario).arg(facts).current_dir(root()).stdin(Stdio::null());
        node.env("PLAYWRIGHT", &self.library).env("CHROMIUM", &self.chromium);
        node
    }
}
