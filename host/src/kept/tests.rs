//! The folder of compiled code with real modules.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::engine;
use crate::module::Modules;
use crate::tests::{digest, guest};

/// A folder that is not there yet, inside one that is removed in the end.
fn fresh() -> (TempDir, PathBuf) {
    let around = tempfile::tempdir().unwrap();
    let folder = around.path().join("compiled");
    (around, folder)
}

/// What a process does with a folder: how many modules it found compiled, and how many not.
fn process(folder: &Path, names: &[&str]) -> (usize, usize) {
    used(Kept::open(folder).unwrap(), names)
}

fn used(kept: Kept, names: &[&str]) -> (usize, usize) {
    let cache = kept.cache();
    let engine = engine::on_demand(Some(cache.clone())).unwrap();
    let modules = Modules::keeping(&engine, Some(kept)).unwrap();
    for name in names {
        let wasm = guest(name);
        modules.get(&digest(&wasm), &wasm).unwrap();
    }
    (cache.cache_hits(), cache.cache_misses())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.path().is_dir() {
            true => files.extend(self::files(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}

fn code(folder: &Path) -> Vec<PathBuf> {
    let mut files = files(&folder.join(CODE).join("modules"));
    files.retain(|path| path.extension().is_none());
    files
}

#[test]
fn compiled_code_is_kept_for_the_next_process() {
    let (_around, folder) = fresh();
    assert_eq!(process(&folder, &["single", "probe"]), (0, 2));
    assert_eq!(process(&folder, &["probe", "single"]), (2, 0));
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// Whether a check before a deployment, or the pool of a worker: one compilation.
#[test]
fn every_engine_finds_the_same_code() {
    let (_around, folder) = fresh();
    assert_eq!(process(&folder, &["single"]), (0, 1));
    let kept = Kept::open(&folder).unwrap();
    let cache = kept.cache();
    let engine = engine::pooled(Some(cache.clone())).unwrap();
    let modules = Modules::keeping(&engine, Some(kept)).unwrap();
    let wasm = guest("single");
    modules.get(&digest(&wasm), &wasm).unwrap();
    assert_eq!((cache.cache_hits(), cache.cache_misses()), (1, 0));
}

#[test]
fn what_is_damaged_is_compiled_again() {
    let (_around, folder) = fresh();
    assert_eq!(process(&folder, &["single"]), (0, 1));
    // A byte in the middle: what is unpacked is as long as before.
    let path = code(&folder).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(process(&folder, &["single"]), (0, 1));
    assert_eq!(process(&folder, &["single"]), (1, 0));
    std::fs::write(&path, "").unwrap();
    assert_eq!(process(&folder, &["single"]), (0, 1));
    // What nobody has sealed is not trusted once its writer has had its time.
    std::fs::remove_file(&files(&folder.join("seals"))[0]).unwrap();
    assert_eq!(process(&folder, &["single"]), (1, 0), "just written");
    let file = File::options().append(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(61))
        .unwrap();
    assert_eq!(process(&folder, &["single"]), (0, 1));
}

/// What can be unpacked, and would be run.
#[test]
fn the_code_of_another_module_is_not_taken_for_its_own() {
    let (_around, folder) = fresh();
    assert_eq!(process(&folder, &["single", "probe"]), (0, 2));
    let both = code(&folder);
    std::fs::copy(&both[0], &both[1]).unwrap();
    assert_eq!(process(&folder, &["single", "probe"]), (1, 1));
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(folder.path(), mode(0o770)).unwrap();
    let refused = Kept::open(folder.path());
    assert!(
        matches!(refused, Err(KeptError::Shared { .. })),
        "{refused:?}"
    );
    assert!(or_without(Some(folder.path())).is_none());
    std::fs::set_permissions(folder.path(), mode(0o700)).unwrap();
    assert!(or_without(Some(folder.path())).is_some());
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(Kept::open(&file), Err(KeptError::Io { .. })));
}

#[test]
fn the_folder_holds_so_many_bytes_and_no_more() {
    let (_around, folder) = fresh();
    let names = ["single", "probe", "first"];
    assert_eq!(process(&folder, &names), (0, 3));
    let size = |folder: &Path| -> u64 {
        let sizes = code(folder)
            .into_iter()
            .map(|path| path.metadata().unwrap().len());
        sizes.sum()
    };
    let all = size(&folder);
    assert_eq!(
        process(&folder, &names),
        (3, 0),
        "they are within the bound"
    );
    // Another one comes, and there is less room than there was.
    let room = all / 4 * 3;
    let small = Kept::bounded(&folder, room).unwrap();
    assert_eq!(used(small, &["document-gate"]), (0, 1));
    assert!(size(&folder) <= room);
    assert!(size(&folder) > 0);
    assert_eq!(
        process(&folder, &["document-gate"]),
        (1, 0),
        "the newest stays"
    );
    assert_eq!(files(&folder.join("seals")).len(), code(&folder).len());
}

#[test]
fn several_at_once_compile_a_module_once() {
    let (_around, folder) = fresh();
    let results: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let each = || scope.spawn(|| process(&folder, &["single"]));
        let threads: Vec<_> = std::iter::repeat_with(each).take(4).collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let misses: usize = results.iter().map(|(_, misses)| misses).sum();
    assert_eq!(misses, 1, "{results:?}");
}
