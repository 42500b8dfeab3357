//! Keeps keys fresh: reads files and URLs when the cache says that it is time.
//!
//! Owns one task for each source. The only place of this crate that waits.

use std::path::Path;
use std::time::Duration;

use metrics::counter;
use service::fetch;
use service::shutdown::Shutdown;
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::keys::{DOCUMENT_BYTES_MAX, Keys};
use crate::settings::Place;
use crate::source::{Held, Reading, Source};
use crate::verifier::Verifier;

/// How long a read may take, from the look-up of its name to the last byte.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

impl Verifier {
    /// Reads keys, and again and again, until the process stops. Cancel safe: no keys are
    /// lost, and none are read any more.
    pub async fn follow(self, stop: Shutdown) {
        let mut tasks = JoinSet::new();
        for at in 0..self.sources.len() {
            let (verifier, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move {
                if let Some(source) = verifier.sources.get(at) {
                    // Cancel safe: a read that was cut off is begun again or not needed.
                    tokio::select! {
                        () = stop.triggered() => {}
                        () = keep(source) => {}
                    }
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    }
}

/// Reads one source for ever.
async fn keep(source: &Source) {
    let Held::Read(reading) = &source.held else {
        return;
    };
    let Reading {
        place,
        cache,
        sooner,
    } = reading.as_ref();
    loop {
        let due = cache.lock().due().unwrap_or_else(Instant::now);
        // Both are cancel safe; a read that was asked for is asked of the cache again.
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = sooner.notified() => continue,
        }
        cache.lock().begin(Instant::now());
        match read(place).await {
            Ok(keys) => {
                count("read");
                tracing::debug!(place = name(place), keys = keys.len(), "keys were read");
                cache.lock().succeeded(keys);
            }
            Err(problem) => {
                count("failed");
                tracing::warn!(place = name(place), problem, "keys cannot be read");
                cache.lock().failed();
            }
        }
    }
}

fn count(outcome: &'static str) {
    counter!("auth_key_reads_total", "outcome" => outcome).increment(1);
}

/// The source, for logs.
fn name(place: &Place) -> &str {
    match place {
        Place::Secret(_) => "secret",
        Place::File(path) => path.to_str().unwrap_or("file"),
        Place::Url(url) => url.as_str(),
    }
}

async fn read(place: &Place) -> Result<Keys, String> {
    let read = async {
        match place {
            Place::Secret(_) => Err("a secret is not read".to_owned()),
            Place::File(path) => file(path).await,
            Place::Url(url) => fetch::get(url, DOCUMENT_BYTES_MAX)
                .await
                .map_err(|error| error.to_string()),
        }
    };
    let document = tokio::time::timeout(READ_TIMEOUT, read).await;
    let document = document.map_err(|_| format!("no answer within {READ_TIMEOUT:?}"))??;
    Keys::of_document(&document).map_err(|error| error.to_string())
}

async fn file(path: &Path) -> Result<Vec<u8>, String> {
    let problem = |error: std::io::Error| error.to_string();
    let file = tokio::fs::File::open(path).await.map_err(problem)?;
    let mut document = Vec::new();
    let mut file = file.take(DOCUMENT_BYTES_MAX as u64 + 1);
    file.read_to_end(&mut document).await.map_err(problem)?;
    match document.len() > DOCUMENT_BYTES_MAX {
        true => Err(format!("it has more than {DOCUMENT_BYTES_MAX} bytes")),
        false => Ok(document),
    }
}
