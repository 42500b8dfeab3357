//! What Terraform and a plugin say to each other before they speak gRPC: by the environment
//! and by one line on standard output.
//!
//! Pure; the environment is handed in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::path::Path;

/// The variable by which whoever starts a plugin says that it knows what it does.
const COOKIE_VARIABLE: &str = "TF_PLUGIN_MAGIC_COOKIE";
/// What it holds, for every provider of Terraform.
const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
/// The variable that holds the certificate by which the other side knows itself; where it
/// is, TLS is spoken.
const CLIENT_CERTIFICATE_VARIABLE: &str = "PLUGIN_CLIENT_CERT";
/// The variable that names the versions of the protocol that the other side speaks.
const VERSIONS_VARIABLE: &str = "PLUGIN_PROTOCOL_VERSIONS";
/// Version of the plugin library's own protocol.
const CORE_VERSION: u32 = 1;
/// Version of Terraform's protocol that this provider speaks.
const VERSION: u32 = 6;

/// What the other side wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Whether it wants TLS.
    pub tls: bool,
}

/// Why this program ends before it has begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// A person has started it.
    #[error(
        "this is the Eddyline provider of Terraform, and no program of its own: write \
         `provider \"eddyline\" {{}}` and run `terraform apply`"
    )]
    Cookie,
    /// Terraform is too old.
    #[error(
        "Terraform 1.11 or newer is needed: this one speaks the versions {versions} of the plugin protocol, not {VERSION}"
    )]
    Version {
        /// What it speaks.
        versions: String,
    },
}

/// Reads what the other side wants. `variable` reads the environment.
///
/// # Errors
/// [`HandshakeError`].
pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Wanted, HandshakeError> {
    if variable(COOKIE_VARIABLE).as_deref() != Some(COOKIE) {
        return Err(HandshakeError::Cookie);
    }
    if let Some(versions) = variable(VERSIONS_VARIABLE) {
        let mut all = versions.split(',').map(|version| version.trim().parse());
        if !all.any(|version| version == Ok(VERSION)) {
            return Err(HandshakeError::Version { versions });
        }
    }
    let certificate = variable(CLIENT_CERTIFICATE_VARIABLE);
    Ok(Wanted {
        tls: certificate.is_some_and(|certificate| !certificate.is_empty()),
    })
}

/// The line that says where the provider listens, and by which certificate it is known.
pub fn line(socket: &Path, certificate: Option<&[u8]>) -> String {
    let socket = socket.display();
    let certificate = certificate.map_or_else(String::new, |der| STANDARD_NO_PAD.encode(der));
    format!("{CORE_VERSION}|{VERSION}|unix|{socket}|grpc|{certificate}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(all: &[(&str, &str)]) -> Result<Wanted, HandshakeError> {
        read(|name| {
            let found = all.iter().find(|(given, _)| *given == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nobody_without_the_cookie_is_served() {
        for none in [
            &[][..],
            &[(COOKIE_VARIABLE, "")],
            &[(COOKIE_VARIABLE, "d602")],
        ] {
            assert_eq!(given(none), Err(HandshakeError::Cookie));
        }
        assert_eq!(
            given(&[(COOKIE_VARIABLE, COOKIE)]),
            Ok(Wanted { tls: false })
        );
        let with_tls = [
            (COOKIE_VARIABLE, COOKIE),
            (CLIENT_CERTIFICATE_VARIABLE, "-----"),
        ];
        assert_eq!(given(&with_tls), Ok(Wanted { tls: true }));
    }

    #[test]
    fn only_who_speaks_the_version_is_served() {
        let speaks = |versions| given(&[(COOKIE_VARIABLE, COOKIE), (VERSIONS_VARIABLE, versions)]);
        assert!(speaks("5,6").is_ok() && speaks("6").is_ok());
        let told = speaks("4,5").unwrap_err().to_string();
        assert!(told.contains("1.11") && told.contains("4,5"), "{told}");
    }

    #[test]
    fn the_line_has_six_parts() {
        let told = line(Path::new("/tmp/x/s"), Some(&[1, 2]));
        assert_eq!(told, "1|6|unix|/tmp/x/s|grpc|AQI");
        assert_eq!(line(Path::new("/s"), None), "1|6|unix|/s|grpc|");
    }
}
