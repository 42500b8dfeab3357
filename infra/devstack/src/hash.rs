//! Pinned files: lists of sha256 hashes, and the check that a folder holds
//! exactly what such a list names. Owns no state and fetches nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{DevstackError, Result};

/// Bytes read from a file at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Length of a sha256 in hexadecimal.
const HEX_LENGTH: usize = 64;

/// File names with the sha256 that each must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinList(BTreeMap<String, String>);

impl PinList {
    /// Reads the format of `sha256sum`: one `hash  name` a line.
    ///
    /// # Errors
    /// [`DevstackError::BadHashList`] with the number of the first bad line.
    pub fn parse(text: &str) -> Result<PinList> {
        let mut pins = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let bad = DevstackError::BadHashList { line: index + 1 };
            match line.split_once("  ") {
                Some((hash, name)) if is_hash(hash) && is_plain_name(name) => {
                    pins.insert(name.to_owned(), hash.to_owned());
                }
                _ => return Err(bad),
            }
        }
        Ok(PinList(pins))
    }

    /// Number of pinned files.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is pinned.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `name` is pinned.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The pinned names and hashes, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, hash)| (&**name, &**hash))
    }

    /// Checks one fetched file against the list.
    ///
    /// # Errors
    /// A name that is not pinned, a hash that differs, or an unreadable file.
    pub fn verify_file(&self, path: &Path) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(expected) = self.0.get(name.as_ref()) else {
            return Err(DevstackError::UnexpectedFile {
                file: name.into_owned(),
                reason: "it is not in the list of pinned files",
            });
        };
        let found = sha256_file(path)?;
        if found == *expected {
            return Ok(());
        }
        Err(DevstackError::HashMismatch {
            file: name.into_owned(),
            expected: expected.clone(),
            found,
        })
    }

    /// Checks that `folder` holds every pinned file and no other.
    ///
    /// # Errors
    /// The first file that is missing, unknown or different.
    pub fn verify_folder(&self, folder: &Path) -> Result<()> {
        let read = DevstackError::io("list", folder);
        let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        for entry in entries.map_err(read)? {
            self.verify_file(&entry.path())?;
        }
        match self.0.keys().find(|name| !folder.join(name).is_file()) {
            None => Ok(()),
            Some(name) => Err(DevstackError::UnexpectedFile {
                file: name.clone(),
                reason: "it is pinned but was not delivered",
            }),
        }
    }
}

/// The sha256 of a file, lower-case hexadecimal.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(DevstackError::io("open", path))?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = file
            .read(&mut chunk)
            .map_err(DevstackError::io("read", path))?;
        if length == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&chunk[..length]);
    }
}

/// The sha256 of some bytes, lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn is_hash(text: &str) -> bool {
    text.len() == HEX_LENGTH && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A name that stays inside its folder.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != ".." && !name.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_lists_are_refused_with_the_line() {
        let hash = sha256(b"");
        for bad in [
            "short  a.jar".to_owned(),
            format!("{hash} a.jar"),
            format!("{hash}  ../a.jar"),
            String::new(),
        ] {
            let text = format!("{hash}  good.jar\n{bad}\n");
            assert!(matches!(
                PinList::parse(&text),
                Err(DevstackError::BadHashList { line: 2 })
            ));
        }
    }

    #[test]
    fn a_folder_must_hold_every_pinned_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let pins = PinList::parse(&format!("{}  a.jar\n", sha256(b"a"))).unwrap();
        let missing = pins.verify_folder(folder.path()).unwrap_err();
        assert!(missing.to_string().contains("a.jar"), "{missing}");

        std::fs::write(folder.path().join("a.jar"), b"a").unwrap();
        pins.verify_folder(folder.path()).unwrap();

        std::fs::write(folder.path().join("b.jar"), b"b").unwrap();
        let extra = pins.verify_folder(folder.path()).unwrap_err();
        assert!(extra.to_string().contains("b.jar"), "{extra}");
    }
}
