//! Certificates of the tests' own: an authority that vouches for any name, and the files
//! in which a node finds what it shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge::TlsSettings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// Who vouches for nodes.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
#[derive(Clone)]
pub struct Issued {
    pub der: CertificateDer<'static>,
    certificate: String,
    key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for these names that ends with a year.
    pub fn issue(&self, names: &[&str], until: i32) -> Issued {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap();
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
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap();
        builder.with_root_certificates(roots).with_no_client_auth()
    }
}

impl Issued {
    /// The same certificate beside the key of another one.
    pub fn with_key_of(&self, other: &Self) -> Self {
        let key = other.key.clone();
        Self {
            key,
            ..self.clone()
        }
    }
}

/// The files in which a node finds its pair.
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    pub fn in_folder(folder: &Path, issued: &Issued) -> Self {
        let files = Self {
            certificate: folder.join("chain.pem"),
            key: folder.join("key.pem"),
        };
        files.write(issued);
        files
    }

    pub fn settings(&self) -> TlsSettings {
        TlsSettings {
            certificate: Some(self.certificate.clone()),
            key: Some(self.key.clone()),
        }
    }

    /// Puts another pair in their place, one file after the other, as tools do.
    pub fn write(&self, issued: &Issued) {
        for (path, text) in [
            (&self.certificate, &issued.certificate),
            (&self.key, &issued.key),
        ] {
            let fresh = path.with_extension("new");
            std::fs::write(&fresh, text).unwrap();
            std::fs::rename(&fresh, path).unwrap();
        }
    }

    /// Takes the key away.
    pub fn remove_key(&self) {
        std::fs::remove_file(&self.key).unwrap();
    }
}
