//! The secret that signs a stack's tokens: random, and kept with kept data, so
//! that tokens outlive a restart as long as the events do.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use auth::DEVELOPMENT_PREFIX;
use protocol::secret::Secret;
use rand::Rng;

use super::error::StackError;

/// Name of the file in the data folder.
const FILE: &str = "token-secret";

/// The secret of a data folder, made if there is none; a fresh one without a folder.
pub(super) fn load_or_make(data: Option<&Path>) -> Result<Secret, StackError> {
    let Some(folder) = data else {
        return Ok(Secret::new(random()));
    };
    let path = folder.join(FILE);
    let failed = |source| StackError::SecretFile {
        path: path.clone(),
        source,
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(Secret::new(text.trim())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    std::fs::create_dir_all(folder).map_err(failed)?;
    let secret = random();
    let mut options = OpenOptions::new();
    // Only its owner may read it.
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    file.write_all(secret.as_bytes()).map_err(failed)?;
    Ok(Secret::new(secret))
}

/// 256 random bits in hexadecimal, behind what marks them: a service that is not for
/// development takes no such secret.
fn random() -> String {
    let mut rng = rand::rng();
    let bits = (0..4).map(|_| format!("{:016x}", rng.random::<u64>()));
    [DEVELOPMENT_PREFIX.to_owned()]
        .into_iter()
        .chain(bits)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_with_a_folder_and_fresh_without() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("new");
        let first = load_or_make(Some(&data)).unwrap();
        assert_eq!(load_or_make(Some(&data)).unwrap(), first);
        assert_ne!(load_or_make(None).unwrap(), first);
        assert_eq!(first.expose().len(), DEVELOPMENT_PREFIX.len() + 64);
        assert!(auth::is_for_development(&first));
    }
}
