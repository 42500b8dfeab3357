//! A certificate and its key, out of two PEM files (RFC 7468).
//!
//! Pure: bytes in, a pair that fits and counts now, or what is wrong with which file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};

use super::expiry;

/// Most certificates of a chain: a client follows no more than some.
pub const CHAIN_MAX: usize = 16;

/// TLS on the listener of clients; off unless both files are named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// A PEM file with the certificate, and after it those that lead to an authority
    /// which clients know; read again when it changes.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the certificate's private key; read again when it changes.
    pub key: Option<PathBuf>,
}

/// Why a pair is not taken. Another file helps; for the files of a running node, also
/// time, if they are being replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} {problem}")]
pub struct CertificateFault {
    /// Which file, or which setting.
    pub file: String,
    /// What is wrong with it; never what it holds.
    pub problem: String,
}

/// A fault of a file.
pub fn fault(file: &Path, problem: impl Into<String>) -> CertificateFault {
    CertificateFault {
        file: file.display().to_string(),
        problem: problem.into(),
    }
}

/// The two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl TlsSettings {
    /// The files, if TLS is wanted.
    ///
    /// # Errors
    /// [`CertificateFault`]: one is named without the other.
    pub fn files(&self) -> Result<Option<Files>, CertificateFault> {
        let alone = |setting: &str, other: &str| {
            Err(CertificateFault {
                file: setting.into(),
                problem: format!("is set, and {other} is not"),
            })
        };
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(_), None) => alone("tls.certificate", "tls.key"),
            (None, Some(_)) => alone("tls.key", "tls.certificate"),
            (Some(certificate), Some(key)) => Ok(Some(Files {
                certificate: certificate.clone(),
                key: key.clone(),
            })),
        }
    }
}

/// A certificate with its chain and its key.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What rustls signs with.
    pub signer: Arc<CertifiedKey>,
    /// When the first certificate of the chain ends that does, seconds since 1970.
    pub ends_at: u64,
}

/// The provider of cryptography: named, because a process may hold several.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

impl Pair {
    /// Reads what the files hold; `now` is seconds since 1970.
    ///
    /// # Errors
    /// [`CertificateFault`]: no PEM, too long a chain, a chain that has ended, no key, or
    /// the key of another certificate.
    pub fn read(
        files: &Files,
        certificate: &[u8],
        key: &[u8],
        now: u64,
    ) -> Result<Self, CertificateFault> {
        let chain_file = files.certificate.as_path();
        let chain: Result<Vec<CertificateDer<'static>>, pem::Error> =
            CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|error| fault(chain_file, format!("is no PEM: {error}")))?;
        if chain.is_empty() {
            return Err(fault(chain_file, "holds no certificate"));
        }
        if chain.len() > CHAIN_MAX {
            let problem = format!("holds {} certificates, more than {CHAIN_MAX}", chain.len());
            return Err(fault(chain_file, problem));
        }
        let ends: Option<Vec<u64>> = chain.iter().map(|der| expiry::ends_at(der)).collect();
        let ends_at = ends.and_then(|ends| ends.into_iter().min());
        let ends_at = ends_at.ok_or_else(|| fault(chain_file, "holds what is no certificate"))?;
        if ends_at < now {
            let problem = format!("ended {} seconds ago", now - ends_at);
            return Err(fault(chain_file, problem));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => fault(&files.key, "holds no private key"),
            error => fault(&files.key, format!("is no PEM: {error}")),
        })?;
        let signer = CertifiedKey::from_der(chain, key, &provider());
        let signer = Arc::new(signer.map_err(|error| refused(files, &error))?);
        Ok(Self { signer, ends_at })
    }
}

fn refused(files: &Files, error: &Error) -> CertificateFault {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            let chain = files.certificate.display();
            let problem = format!("is not the key of the first certificate in {chain}");
            fault(&files.key, problem)
        }
        Error::InvalidCertificate(_) => {
            fault(&files.certificate, format!("cannot be used: {error}"))
        }
        _ => fault(&files.key, format!("cannot be used: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// Long before every certificate here ends.
    const NOW: u64 = 1_764_000_000;
    /// 2100-01-01.
    const END: u64 = 4_102_444_800;

    fn files() -> Files {
        Files {
            certificate: "chain.pem".into(),
            key: "key.pem".into(),
        }
    }

    /// A certificate that ends with a year, and its key.
    fn pair(until: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["edge.example.org".to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn problem(certificate: &str, key: &str) -> String {
        let read = Pair::read(&files(), certificate.as_bytes(), key.as_bytes(), NOW);
        read.unwrap_err().to_string()
    }

    #[test]
    fn a_pair_that_fits_is_taken_until_it_ends() {
        let (certificate, key) = pair(2100);
        let read = |now| Pair::read(&files(), certificate.as_bytes(), key.as_bytes(), now);
        assert_eq!(read(NOW).unwrap().ends_at, END);
        assert!(read(END).is_ok());
        let ended = read(END + 5).unwrap_err().to_string();
        assert_eq!(ended, "chain.pem ended 5 seconds ago");
    }

    #[test]
    fn the_first_certificate_to_end_counts_and_chains_have_a_limit() {
        let (certificate, key) = pair(2100);
        let (middle, _) = pair(2099);
        let chain = |others: usize| certificate.clone() + &middle.repeat(others);
        let read = |chain: String| Pair::read(&files(), chain.as_bytes(), key.as_bytes(), NOW);
        assert_eq!(read(chain(1)).unwrap().ends_at, 4_070_908_800);
        assert!(read(chain(CHAIN_MAX - 1)).is_ok());
        let long = read(chain(CHAIN_MAX)).unwrap_err().problem;
        assert_eq!(long, "holds 17 certificates, more than 16");
    }

    #[test]
    fn what_does_not_fit_names_its_file() {
        let ((certificate, key), (other, other_key)) = (pair(2100), pair(2100));
        let foreign = problem(&certificate, &other_key);
        assert_eq!(
            foreign,
            "key.pem is not the key of the first certificate in chain.pem"
        );
        assert!(problem(&(other + &certificate), &key).starts_with("key.pem is not the key"));
        assert_eq!(problem("", &key), "chain.pem holds no certificate");
        assert_eq!(problem(&key, &key), "chain.pem holds no certificate");
        assert_eq!(problem(&certificate, ""), "key.pem holds no private key");
        let cut = &certificate[..certificate.len() / 2];
        assert!(problem(cut, &key).starts_with("chain.pem "), "{cut}");
        let nothing = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let nothing = problem(nothing, &key);
        assert_eq!(nothing, "chain.pem holds what is no certificate");
        let nothing = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(problem(&certificate, nothing).starts_with("key.pem cannot be used"));
    }

    #[test]
    fn one_file_without_the_other_is_refused() {
        let settings = |certificate: Option<&str>, key: Option<&str>| TlsSettings {
            certificate: certificate.map(PathBuf::from),
            key: key.map(PathBuf::from),
        };
        assert_eq!(settings(None, None).files(), Ok(None));
        let both = settings(Some("chain.pem"), Some("key.pem")).files();
        assert_eq!(both, Ok(Some(files())));
        let alone = |settings: TlsSettings| settings.files().unwrap_err().to_string();
        let only = alone(settings(Some("chain.pem"), None));
        assert_eq!(only, "tls.certificate is set, and tls.key is not");
        assert!(alone(settings(None, Some("key.pem"))).starts_with("tls.key "));
    }
}
