//! A disk that is soon full: a file system in memory with a fixed size, which only
//! somebody with the right to mount can have.
//!
//! Owns the mount; dropping it unmounts. Mounts of processes that were killed are
//! removed by the next one that makes a disk.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment;

/// First part of the name of every mount; our process id and a number follow.
const PREFIX: &str = "disk-";
/// What fills the disk.
const BALLAST: &str = "ballast";
/// Bytes written at a time; the last ones go one by one.
const BLOCK_BYTES: usize = 64 * 1024;

/// A small disk.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of so many bytes.
    ///
    /// # Errors
    /// Why that is not allowed here.
    ///
    /// # Panics
    /// If the folder cannot be made.
    pub fn mount(bytes: u64) -> Result<Self, String> {
        let scratch = environment::scratch_folder();
        sweep(&scratch);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir_in(&scratch)
            .expect("the build's folder can be written");
        let mut mount = Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={bytes}"),
            "eddyline-test",
        ]);
        let output = mount.arg(folder.path()).output();
        match output {
            Ok(output) if output.status.success() => Ok(Self {
                path: folder.keep(),
            }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("mount: {error}")),
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it to the last byte.
    ///
    /// # Panics
    /// If that fails in another way than by its being full.
    pub fn fill(&self) {
        let mut file = File::create(self.path.join(BALLAST)).expect("a new file");
        for size in [BLOCK_BYTES, 1] {
            let block = vec![0; size];
            while match file.write_all(&block) {
                Ok(()) => true,
                Err(error) if error.kind() == ErrorKind::StorageFull => false,
                Err(error) => panic!("the ballast cannot be written: {error}"),
            } {}
        }
    }

    /// Makes room again.
    ///
    /// # Panics
    /// If it was not filled.
    pub fn free(&self) {
        fs::remove_file(self.path.join(BALLAST)).expect("the disk was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

/// Also where somebody has a file open: it goes when they end.
fn unmount(path: &Path) {
    let done = Command::new("umount").arg("-l").arg(path).status();
    if done.is_ok_and(|status| status.success()) {
        // What is left is an empty folder of the build.
        let _ = fs::remove_dir(path);
    }
}

fn sweep(scratch: &Path) {
    for entry in fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let owner = rest.and_then(|rest| rest.split('-').next());
        if owner.is_some_and(crate::process::is_gone) {
            unmount(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_until_there_is_room() {
        let disk = match SmallDisk::mount(1 << 20) {
            Ok(disk) => disk,
            Err(reason) => {
                assert!(!environment::requires_e2e(), "no small disk: {reason}");
                return eprintln!("SKIPPED: no small disk: {reason}");
            }
        };
        let file = disk.path().join("file");
        disk.fill();
        let refused = fs::write(&file, b"word").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        disk.free();
        fs::write(&file, b"word").unwrap();
        let path = disk.path().to_path_buf();
        drop(disk);
        assert!(!path.exists());
    }
}
