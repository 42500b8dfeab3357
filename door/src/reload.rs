//! Keeps the certificate fresh: reads its files again, and shows what they hold once it
//! fits.
//!
//! Owns what was read last, so that each change is judged, counted and logged once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tokio_rustls::rustls::sign::CertifiedKey;
use xxhash_rust::xxh3::Xxh3;

use super::certificate::{CertificateFault, Files, Pair, fault};
use super::tls::Shown;

/// How often the files are looked at. They are small, and an authority that renews
/// certificates has days.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a read may take: the files may lie in a network.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of each file: the longest chain of the longest certificates.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// What the files held, or why they could not be read.
type Content = Result<(Vec<u8>, Vec<u8>), CertificateFault>;
/// The same, short.
type Seen = Result<u128, CertificateFault>;

/// Follows the files of the pair that is shown.
pub struct Reload {
    files: Files,
    shown: Arc<Shown>,
    last: Seen,
}

impl Reload {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// [`CertificateFault`]: they cannot be read, or do not fit.
    pub async fn start(files: Files) -> Result<(Self, Arc<Shown>), CertificateFault> {
        describe();
        let content = read(&files).await;
        let last = seen(&content);
        let pair = judged(&files, content)?;
        let shown = Arc::new(Shown::new(shown(pair)));
        let reload = Self {
            files,
            shown: shown.clone(),
            last,
        };
        Ok((reload, shown))
    }

    /// Goes on until the node stops.
    pub async fn run(mut self, stop: Shutdown) {
        loop {
            // Cancel safe: a read that was cut off is not needed.
            tokio::select! {
                () = stop.triggered() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            let content = read(&self.files).await;
            let now = seen(&content);
            if now != self.last {
                self.last = now;
                self.take(content);
            }
        }
    }

    fn take(&self, content: Content) {
        match judged(&self.files, content) {
            Ok(pair) => {
                tracing::info!(ends_at = pair.ends_at, "another certificate is shown");
                self.shown.show(shown(pair));
            }
            Err(problem) => {
                count("refused");
                tracing::warn!(%problem, "the certificate stays as it was");
            }
        }
    }
}

fn describe() {
    describe_counter!(
        "certificate_reads_total",
        "changes of the certificate's files, by outcome"
    );
    describe_gauge!(
        "certificate_expires_timestamp_seconds",
        "when the certificate that is shown ends, seconds since 1970"
    );
}

fn count(outcome: &'static str) {
    counter!("certificate_reads_total", "outcome" => outcome).increment(1);
}

/// Counts a pair that is shown from now on.
fn shown(pair: Pair) -> Arc<CertifiedKey> {
    count("read");
    gauge!("certificate_expires_timestamp_seconds").set(pair.ends_at as f64);
    pair.signer
}

fn judged(files: &Files, content: Content) -> Result<Pair, CertificateFault> {
    let (certificate, key) = content?;
    Pair::read(files, &certificate, &key, now_us() / 1_000_000)
}

fn seen(content: &Content) -> Seen {
    let (certificate, key) = content.as_ref().map_err(Clone::clone)?;
    let mut hash = Xxh3::new();
    hash.update(&certificate.len().to_le_bytes());
    hash.update(certificate);
    hash.update(key);
    Ok(hash.digest128())
}

async fn read(files: &Files) -> Content {
    Ok((file(&files.certificate).await?, file(&files.key).await?))
}

async fn file(path: &Path) -> Result<Vec<u8>, CertificateFault> {
    let mut bytes = Vec::new();
    let whole = async {
        let file = tokio::fs::File::open(path).await?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).await
    };
    match timeout(READ_TIMEOUT, whole).await {
        Err(_) => Err(fault(path, format!("was not read within {READ_TIMEOUT:?}"))),
        Ok(Err(error)) => Err(fault(path, format!("cannot be read: {error}"))),
        Ok(Ok(read)) if read as u64 > FILE_BYTES_MAX => {
            Err(fault(path, format!("has more than {FILE_BYTES_MAX} bytes")))
        }
        Ok(Ok(_)) => Ok(bytes),
    }
}
