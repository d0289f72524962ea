//! A disk that is full soon: a small tmpfs of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `size` (as `mount` takes it: `1m`) over `folder`, which is made. Needs the right to mount, as root and CI
    /// have; without it the test fails and says so.
    pub fn mount(folder: &Path, size: &str) -> SmallDisk {
        std::fs::create_dir_all(folder).expect("the folder can be made");
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], folder);
        SmallDisk { folder: folder.to_path_buf() }
    }

    /// Makes it larger, with all that is on it.
    pub fn grow(&self, size: &str) {
        mount(&["-o", &format!("remount,size={size}")], &self.folder);
    }
}

fn mount(options: &[&str], folder: &Path) {
    let mut command = as_root("mount");
    let done = command.args(options).arg(folder).output().expect("mount starts");
    assert!(done.status.success(), "a small disk needs the right to mount: {}", String::from_utf8_lossy(&done.stderr));
}

fn am_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id starts");
    id.stdout.trim_ascii() == b"0"
}

/// A program that needs the rights of root: as we are, or by `sudo -n`.
pub fn as_root(program: &str) -> Command {
    if am_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        match as_root("umount").arg("--lazy").arg(&self.folder).status() {
            Ok(status) if status.success() => {}
            other => eprintln!("umount {}: {other:?}", self.folder.display()),
        }
    }
}
