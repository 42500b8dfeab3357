//! Where keys come from, and what the tokens that they sign must say. Owns nothing at
//! run time.

use std::path::PathBuf;
use std::time::Duration;

use protocol::name::Tenant;
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::cache::Timing;
use crate::claims::{Demands, Times};
use crate::limits::SECRET_BYTES_MIN;

/// What the secret of a development stack begins with. Whoever has read a manual can
/// find one on some machine; a node that is not for development takes none.
pub const DEVELOPMENT_PREFIX: &str = "eddyline-development-";
/// Most sources of keys: each may be asked for each token.
pub const SOURCES_MAX: usize = 64;
/// How far the clocks of issuer and verifier may differ, in milliseconds: machines that
/// keep their clocks at all keep them within seconds.
pub const LEEWAY_MS_DEFAULT: u64 = 30_000;
/// The most of it: beyond, the end of a token would mean little.
const LEEWAY_MS_MAX: u64 = 300_000;
/// How often keys are read from a URL, milliseconds: an issuer announces a key hours
/// before it signs with it.
const REFRESH_MS_DEFAULT: u64 = 300_000;
/// The least between two reads from a URL, milliseconds: what tokens with made-up key
/// names can cost an issuer.
const REFRESH_MIN_MS_DEFAULT: u64 = 10_000;
/// How long keys are believed that cannot be read again, milliseconds: long enough to
/// mend an issuer, short enough for a key that was withdrawn meanwhile.
const STALE_MAX_MS_DEFAULT: u64 = 3_600_000;
/// How often a file is looked at, and the least between two looks.
const FILE_INTERVAL: Duration = Duration::from_secs(1);

/// How tokens are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Where keys come from, beside `token_secret`.
    pub keys: Vec<KeySource>,
    /// How far the clocks of issuer and verifier may differ, milliseconds; a token is
    /// served until its `exp` and this.
    pub leeway_ms: u64,
    /// Longest lifetime of a token, from `iat` to `exp`, milliseconds; 0: any.
    pub lifetime_max_ms: u64,
    /// How often keys are read again from a URL, milliseconds.
    pub refresh_ms: u64,
    /// The least between two reads of a URL, milliseconds: a token that names an unknown
    /// key makes one due, but never sooner.
    pub refresh_min_ms: u64,
    /// How long keys are believed that cannot be read again, milliseconds. Past it their
    /// tokens are refused for now.
    pub stale_max_ms: u64,
    /// Whether this is a stack for development, whose secret others may know.
    pub dev: bool,
    /// Keys of tickets, the same on all nodes: the first one signs, all of them count. To
    /// change it, put the new one behind the old on every node, then before it, then leave the
    /// old one out once tokens of that time have ended. None: there are no tickets.
    pub ticket_keys: Vec<Secret>,
}

/// One source of keys: exactly one of `file`, `url` and `secret`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeySource {
    /// A file with a JWK set; read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The URL of a JWK set: https, or http to this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A secret of HS256 tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The tenants whose tokens it may sign; empty: all of them.
    pub tenants: Vec<Tenant>,
    /// What `iss` of its tokens must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What `aud` of its tokens must be or hold. Without it, a token that names an
    /// audience is refused (RFC 7519, 4.1.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            leeway_ms: LEEWAY_MS_DEFAULT,
            lifetime_max_ms: 0,
            refresh_ms: REFRESH_MS_DEFAULT,
            refresh_min_ms: REFRESH_MIN_MS_DEFAULT,
            stale_max_ms: STALE_MAX_MS_DEFAULT,
            dev: false,
            ticket_keys: Vec::new(),
        }
    }
}

/// A setting that is not accepted; only another one helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("setting {field} {problem}")]
pub struct SettingFault {
    /// Which.
    pub field: String,
    /// What is wrong with it; never a secret.
    pub problem: String,
}

fn fault(field: impl Into<String>, problem: impl Into<String>) -> SettingFault {
    SettingFault {
        field: field.into(),
        problem: problem.into(),
    }
}

/// Where keys are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A secret, which is the key.
    Secret(Secret),
    /// A file.
    File(PathBuf),
    /// A URL.
    Url(Url),
}

/// Whether a secret is one of a development stack.
pub fn is_for_development(secret: &Secret) -> bool {
    secret.expose().starts_with(DEVELOPMENT_PREFIX)
}

impl AuthSettings {
    /// Checks what the types do not say, with the secret that stands beside them.
    ///
    /// # Errors
    /// [`SettingFault`] names the first setting that is not accepted.
    pub fn check(&self, token_secret: &Secret) -> Result<(), SettingFault> {
        if token_secret.expose().is_empty() && self.keys.is_empty() {
            let problem = "is missing, and auth.keys is empty: no token could be checked";
            return Err(fault("token_secret", problem));
        }
        if !token_secret.expose().is_empty() {
            self.check_secret("token_secret", token_secret)?;
        }
        if self.keys.len() > SOURCES_MAX {
            let problem = format!("has {} sources, more than {SOURCES_MAX}", self.keys.len());
            return Err(fault("auth.keys", problem));
        }
        for (at, source) in self.keys.iter().enumerate() {
            let place = source.place(at)?;
            if let Place::Secret(secret) = &place {
                self.check_secret(&format!("auth.keys[{at}].secret"), secret)?;
            }
        }
        for (at, key) in self.ticket_keys.iter().enumerate() {
            self.check_secret(&format!("auth.ticket_keys[{at}]"), key)?;
        }
        self.check_times()
    }

    fn check_secret(&self, field: &str, secret: &Secret) -> Result<(), SettingFault> {
        let bytes = secret.expose().len();
        if bytes < SECRET_BYTES_MIN {
            let problem = format!("has {bytes} bytes, at least {SECRET_BYTES_MIN} are needed");
            return Err(fault(field, problem));
        }
        if is_for_development(secret) && !self.dev {
            let problem = "is the secret of a development stack, and auth.dev is not set";
            return Err(fault(field, problem));
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), SettingFault> {
        let least = |field: &str, value: u64, min: u64| match value < min {
            true => Err(fault(
                field,
                format!("is {value}, at least {min} is needed"),
            )),
            false => Ok(()),
        };
        if self.leeway_ms > LEEWAY_MS_MAX {
            let problem = format!("is {}, at most {LEEWAY_MS_MAX} is taken", self.leeway_ms);
            return Err(fault("auth.leeway_ms", problem));
        }
        least("auth.refresh_min_ms", self.refresh_min_ms, 100)?;
        least("auth.refresh_ms", self.refresh_ms, self.refresh_min_ms)?;
        least("auth.stale_max_ms", self.stale_max_ms, self.refresh_ms)
    }

    pub(crate) fn times(&self) -> Times {
        let max = Duration::from_millis(self.lifetime_max_ms);
        Times {
            leeway: Duration::from_millis(self.leeway_ms),
            lifetime_max: (!max.is_zero()).then_some(max),
        }
    }

    pub(crate) fn timing(&self, place: &Place) -> Timing {
        let stale_max = Duration::from_millis(self.stale_max_ms);
        match place {
            Place::Secret(_) | Place::File(_) => Timing {
                interval: FILE_INTERVAL,
                least: FILE_INTERVAL,
                stale_max,
            },
            Place::Url(_) => Timing {
                interval: Duration::from_millis(self.refresh_ms),
                least: Duration::from_millis(self.refresh_min_ms),
                stale_max,
            },
        }
    }
}

impl KeySource {
    /// Where it reads; `at` is its place in the list.
    pub(crate) fn place(&self, at: usize) -> Result<Place, SettingFault> {
        let field = format!("auth.keys[{at}]");
        match (&self.file, &self.url, &self.secret) {
            (Some(file), None, None) => Ok(Place::File(file.clone())),
            (None, Some(url), None) => checked(url)
                .map(Place::Url)
                .map_err(|problem| fault(format!("{field}.url"), problem)),
            (None, None, Some(secret)) => Ok(Place::Secret(secret.clone())),
            _ => Err(fault(field, "needs exactly one of file, url and secret")),
        }
    }

    pub(crate) fn demands(&self) -> Demands {
        Demands {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
        }
    }
}

/// Keys that somebody on the way could have exchanged are worth nothing.
fn checked(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("names a user; keys are public, and settings are shown");
    }
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" if url.host().is_some() => Ok(url),
        "http" if local => Ok(url),
        _ => Err("is not https, and not http to this machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(secret: &str, change: impl FnOnce(&mut AuthSettings)) -> String {
        let mut settings = AuthSettings::default();
        change(&mut settings);
        let checked = settings.check(&Secret::new(secret));
        checked.err().map(|fault| fault.field).unwrap_or_default()
    }

    fn url(text: &str) -> KeySource {
        KeySource {
            url: Some(text.into()),
            ..KeySource::default()
        }
    }

    fn secret(text: &str) -> KeySource {
        KeySource {
            secret: Some(Secret::new(text)),
            ..KeySource::default()
        }
    }

    #[test]
    fn something_must_be_there_to_check_tokens_with() {
        assert_eq!(refused("", |_| ()), "token_secret");
        assert_eq!(
            refused("", |s| s.keys.push(url("https://id.example.org/keys"))),
            ""
        );
        assert_eq!(refused(&"s".repeat(32), |_| ()), "");
        assert_eq!(refused(&"s".repeat(31), |_| ()), "token_secret");
        assert_eq!(
            refused("", |s| s.keys.push(secret("short"))),
            "auth.keys[0].secret"
        );
    }

    #[test]
    fn a_development_secret_needs_a_development_stack() {
        let known = format!("{DEVELOPMENT_PREFIX}{}", "0".repeat(64));
        assert_eq!(refused(&known, |_| ()), "token_secret");
        assert_eq!(refused(&known, |s| s.dev = true), "");
        let keys = |s: &mut AuthSettings| s.keys.push(secret(&known));
        assert_eq!(refused("", keys), "auth.keys[0].secret");
    }

    #[test]
    fn urls_that_nobody_on_the_way_can_answer() {
        let of = |text: &str| refused("", |s| s.keys.push(url(text)));
        for fine in [
            "https://id.example.org/.well-known/jwks.json",
            "http://127.0.0.1:8080/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            assert_eq!(of(fine), "", "{fine}");
        }
        for wrong in [
            "http://id.example.org/keys",
            "http://10.0.0.1/keys",
            "http://localhost.example.org/keys",
            "ftp://127.0.0.1/keys",
            "file:///keys",
            "https://user:pass@id.example.org/",
            "keys",
            "",
        ] {
            assert_eq!(of(wrong), "auth.keys[0].url", "{wrong}");
        }
    }

    #[test]
    fn a_source_has_one_place() {
        let both = KeySource {
            file: Some("keys.json".into()),
            ..url("https://id.example.org/")
        };
        assert_eq!(refused("", |s| s.keys.push(both)), "auth.keys[0]");
        assert_eq!(
            refused("", |s| s.keys.push(KeySource::default())),
            "auth.keys[0]"
        );
        let many = |n: usize| refused("", |s| s.keys = vec![url("https://a.example.org"); n]);
        assert_eq!(many(SOURCES_MAX), "");
        assert_eq!(many(SOURCES_MAX + 1), "auth.keys");
    }

    #[test]
    fn times_within_and_beyond_their_limits() {
        let secret = "s".repeat(32);
        let of = |change: fn(&mut AuthSettings)| refused(&secret, change);
        assert_eq!(of(|s| s.leeway_ms = 300_000), "");
        assert_eq!(of(|s| s.leeway_ms = 300_001), "auth.leeway_ms");
        assert_eq!(of(|s| s.refresh_min_ms = 99), "auth.refresh_min_ms");
        assert_eq!(
            of(|s| s.refresh_ms = s.refresh_min_ms - 1),
            "auth.refresh_ms"
        );
        assert_eq!(
            of(|s| s.stale_max_ms = s.refresh_ms - 1),
            "auth.stale_max_ms"
        );
        assert_eq!(of(|s| s.stale_max_ms = s.refresh_ms), "");
    }

    #[test]
    fn settings_survive_serde_and_hide_secrets() {
        let settings = AuthSettings {
            keys: vec![url("https://id.example.org/keys"), secret("hunter2")],
            ..AuthSettings::default()
        };
        assert!(!format!("{settings:?}").contains("hunter2"));
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(
            serde_json::from_str::<AuthSettings>(&text).unwrap(),
            settings
        );
        assert!(serde_json::from_str::<AuthSettings>(r#"{"leway_ms":1}"#).is_err());
        let source = r#"{"keys":[{"url":"https://a","tenant":["acme"]}]}"#;
        assert!(serde_json::from_str::<AuthSettings>(source).is_err());
    }
}
