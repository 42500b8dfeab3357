//! Certificates of the tests' own: an authority that vouches for any name, and the files
//! in which a service finds what it shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge::TlsSettings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// Why this cannot fail.
const MADE: &str = "a certificate is made of fixed parts";
/// Why this can fail only with the machine.
const WRITTEN: &str = "a temporary folder takes a small file";

/// Who vouches for services.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub der: CertificateDer<'static>,
    certificate: String,
    key: String,
}

impl Authority {
    /// One that nobody knows yet.
    ///
    /// # Panics
    /// Never.
    #[expect(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect(MADE);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect(MADE);
        Self(CertifiedIssuer::self_signed(params, key).expect(MADE))
    }

    /// A certificate for these names that ends with a year.
    ///
    /// # Panics
    /// If a name is none.
    pub fn issue(&self, names: &[&str], until: i32) -> Issued {
        let key = KeyPair::generate().expect(MADE);
        let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
        let mut params = CertificateParams::new(names).expect("a test names valid names");
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.0).expect(MADE);
        Issued {
            der: certificate.der().clone(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Its own certificate, for clients that trust it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// TLS as a client speaks it who trusts it.
    ///
    /// # Panics
    /// Never.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect(MADE);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(versions).expect(MADE);
        builder.with_root_certificates(roots).with_no_client_auth()
    }
}

impl Issued {
    /// The same certificate beside the key of another one.
    #[must_use]
    pub fn with_key_of(&self, other: &Self) -> Self {
        let key = other.key.clone();
        Self {
            key,
            ..self.clone()
        }
    }
}

/// The files in which a service finds its pair.
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    /// A pair as two files.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn in_folder(folder: &Path, issued: &Issued) -> Self {
        let files = Self {
            certificate: folder.join("chain.pem"),
            key: folder.join("key.pem"),
        };
        files.write(issued);
        files
    }

    /// Where they are, as settings.
    pub fn settings(&self) -> TlsSettings {
        TlsSettings {
            certificate: Some(self.certificate.clone()),
            key: Some(self.key.clone()),
        }
    }

    /// Puts another pair in their place, one file after the other, as tools do.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn write(&self, issued: &Issued) {
        for (path, text) in [
            (&self.certificate, &issued.certificate),
            (&self.key, &issued.key),
        ] {
            let fresh = path.with_extension("new");
            std::fs::write(&fresh, text).expect(WRITTEN);
            std::fs::rename(&fresh, path).expect(WRITTEN);
        }
    }

    /// Takes the key away.
    ///
    /// # Panics
    /// If it is not there.
    pub fn remove_key(&self) {
        std::fs::remove_file(&self.key).expect("the key is there");
    }
}
