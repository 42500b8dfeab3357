//! Settings: a type's defaults, then a JSON file, then the environment.
//!
//! Owns no state. Knows no service: each has its own settings type and calls
//! [`load`] once, at start.

use std::path::{Path, PathBuf};

use figment::providers::{Env, Format, Json, Serialized};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use protocol::secret::Secret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Prefix of every environment variable that is a setting.
pub const ENV_PREFIX: &str = "EDDYLINE_";
/// Separates the levels of a nested setting in a variable's name.
pub const ENV_SEPARATOR: &str = "__";
/// Variables with the prefix that are no settings of a service, so that they may be
/// set in the same shell: the log filter, read by [`super::telemetry`] before settings
/// exist, and what the command line, the development servers and the tests read.
const ENV_IGNORED: &[&str] = &[
    "log",
    "edge",
    "token",
    "roots",
    "cache",
    "nats_url",
    "nats_user",
    "nats_password",
    "nats_ca",
    "nats_credentials",
    "nats_nkey",
    "kafka_bootstrap",
    "require_e2e",
    "seed",
];

/// Where NATS listens unless settings say otherwise.
pub const NATS_URL_DEFAULT: &str = "nats://127.0.0.1:4222";

/// How to reach NATS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsSettings {
    /// One or several addresses separated by commas.
    pub url: String,
    /// The service's own NATS user; none connects without authentication. With a key or
    /// credentials it is the name under which replies come, as the user's permissions
    /// have it.
    pub user: Option<String>,
    /// That user's password.
    pub password: Option<Secret>,
    /// A file with the seed of the user's nkey, in place of a password.
    pub nkey: Option<PathBuf>,
    /// A file with the user's JWT and seed (`.creds`), in place of a password.
    pub credentials: Option<PathBuf>,
    /// TLS; also spoken where the address begins with `tls://` or the server demands it.
    pub tls: NatsTls,
}

/// TLS with NATS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsTls {
    /// Never without it, whatever the server offers.
    pub required: bool,
    /// A PEM file with the authorities that vouch for the servers; the machine's own
    /// unless given.
    pub ca: Option<PathBuf>,
    /// A PEM file with the service's own certificate, for servers that ask for one.
    pub certificate: Option<PathBuf>,
    /// A PEM file with that certificate's private key.
    pub key: Option<PathBuf>,
}

impl NatsSettings {
    /// The settings that exclude each other, or of which one is missing; `None`: there are
    /// none.
    pub fn problem(&self) -> Option<&'static str> {
        let ways = [
            self.password.is_some(),
            self.nkey.is_some(),
            self.credentials.is_some(),
        ];
        if ways.into_iter().filter(|set| *set).count() > 1 {
            return Some("nats.password, nats.nkey and nats.credentials exclude each other");
        }
        match (&self.tls.certificate, &self.tls.key) {
            (Some(_), None) => Some("nats.tls.certificate is set, and nats.tls.key is not"),
            (None, Some(_)) => Some("nats.tls.key is set, and nats.tls.certificate is not"),
            _ => None,
        }
    }
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            url: NATS_URL_DEFAULT.into(),
            user: None,
            password: None,
            nkey: None,
            credentials: None,
            tls: NatsTls::default(),
        }
    }
}

impl NatsSettings {
    /// The settings that an address stands for, such as people write it; the name and
    /// password in it, if there are, are not sent as a part of it.
    pub fn of_address(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
        let Some((who, host)) = rest.rsplit_once('@') else {
            return Self {
                url: url.to_owned(),
                ..Self::default()
            };
        };
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        Self {
            url: format!("{scheme}://{host}"),
            user: Some(user.to_owned()),
            password: Some(Secret::new(password)),
            ..Self::default()
        }
    }
}

/// Why settings were refused; names the file or the setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A named file does not exist or cannot be read.
    #[error("settings file {path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A setting has the wrong type, is unknown or is missing.
    #[error("settings: {0}")]
    Value(#[source] Box<figment::Error>),
}

/// Reads settings: `T::default()`, overridden by a JSON file, overridden by
/// `EDDYLINE_*` variables with nested keys joined by `__`
/// (`EDDYLINE_NATS__URL`).
///
/// # Errors
/// [`SettingsError`] names the file, or the key and what was expected of it.
pub fn load<T>(file: Option<&Path>) -> Result<T, SettingsError>
where
    T: DeserializeOwned + Serialize + Default,
{
    let mut figment = Figment::from(Serialized::defaults(T::default()));
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::File {
            path: path.into(),
            source,
        })?;
        figment = figment.merge(Json::string(&text));
    }
    figment
        .merge(Environment)
        .extract()
        .map_err(|error| SettingsError::Value(Box::new(error)))
}

/// The environment as a layer. figment's own one turns `0012` into the number 12;
/// this one keeps as text whatever does not survive being read as something else.
struct Environment;

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment variables EDDYLINE_*")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut dict = Dict::new();
        for (key, text) in Env::prefixed(ENV_PREFIX)
            .split(ENV_SEPARATOR)
            .ignore(ENV_IGNORED)
            .iter()
        {
            insert(&mut dict, key.as_str(), faithful(&text));
        }
        Ok(Profile::Default.collect(dict))
    }
}

fn faithful(text: &str) -> Value {
    let value: Value = text
        .parse()
        .unwrap_or_else(|never: std::convert::Infallible| match never {});
    let back = match &value {
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => number
            .to_u128()
            .map(|n| n.to_string())
            .or_else(|| number.to_i128().map(|n| n.to_string()))
            .or_else(|| number.to_f64().map(|n| n.to_string()))
            .unwrap_or_default(),
        _ => return value,
    };
    if back == text {
        value
    } else {
        Value::from(text)
    }
}

fn insert(dict: &mut Dict, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            dict.insert(path.into(), value);
        }
        Some((head, rest)) => {
            let entry = dict
                .entry(head.into())
                .or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_be_known_exclude_each_other() {
        let file = || Some(PathBuf::from("f"));
        let mut settings = NatsSettings {
            nkey: file(),
            ..NatsSettings::default()
        };
        assert_eq!(settings.problem(), None);
        settings.tls.certificate = file();
        assert!(settings.problem().unwrap().contains("nats.tls.key is not"));
        settings.tls.key = file();
        assert_eq!(settings.problem(), None);
        settings.password = Some(Secret::new("p"));
        assert!(settings.problem().unwrap().contains("exclude"));
    }

    #[test]
    fn secrets_are_not_printed() {
        let settings = NatsSettings {
            password: Some(Secret::new("hunter2")),
            ..NatsSettings::default()
        };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn the_user_is_read_from_the_address() {
        let own = NatsSettings::of_address("nats://operator:s3cret@127.0.0.1:4");
        assert_eq!(own.url, "nats://127.0.0.1:4");
        assert_eq!(own.user.as_deref(), Some("operator"));
        assert_eq!(own.password.unwrap().expose(), "s3cret");
        let open = NatsSettings::of_address("nats://127.0.0.1:4");
        assert_eq!((open.url.as_str(), open.user), ("nats://127.0.0.1:4", None));
    }

    #[test]
    fn a_secret_of_digits_stays_what_it_is() {
        for text in [
            "0012",
            "12",
            "true",
            "1.5",
            "1.50",
            "1e3",
            "340282366920938463463374607431768211455000",
        ] {
            let mut dict = Dict::new();
            insert(&mut dict, "nats.password", faithful(text));
            let settings: NatsSettings =
                Figment::from(Serialized::defaults(NatsSettings::default()))
                    .merge(Serialized::defaults(dict.get("nats").unwrap().clone()))
                    .extract()
                    .unwrap();
            assert_eq!(settings.password.unwrap().expose(), text);
        }
    }

    #[test]
    fn a_file_overrides_defaults_and_errors_name_the_key() {
        let dir = std::env::temp_dir().join(format!("eddyline-settings-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("settings.json");
        std::fs::write(&file, r#"{"url":"nats://h:1"}"#).unwrap();
        assert_eq!(load::<NatsSettings>(Some(&file)).unwrap().url, "nats://h:1");
        std::fs::write(&file, r#"{"urll":"nats://h:1"}"#).unwrap();
        assert!(
            load::<NatsSettings>(Some(&file))
                .unwrap_err()
                .to_string()
                .contains("urll")
        );
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(matches!(
            load::<NatsSettings>(Some(&file)),
            Err(SettingsError::File { .. })
        ));
    }
}
