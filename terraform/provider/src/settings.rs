//! The provider's own configuration: which NATS, as whom, in whose name.
//!
//! Owns nothing. What the configuration does not say, the environment may.

use std::path::PathBuf;

use protocol::secret::Secret;
use running::{RunningError, Which};
use service::settings::NatsSettings;

use crate::diagnostic::Diagnostic;
use crate::environment;
use crate::schema::{Attribute, Kind, Schema};
use crate::value::Value;

/// The user who may deploy, where a key says who it is.
const OPERATOR: &str = "operator";

/// Where NATS is, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Something that it follows from is known only when that has been applied.
    Unknown,
    /// That of a running `eddyline dev`: of this name, or of the only one.
    Dev(Option<String>),
    /// These settings.
    Given(NatsSettings),
}

/// The configuration, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where NATS is.
    pub way: Way,
    /// In whose name things are written.
    pub by: String,
}

/// The provider's attributes.
pub fn schema() -> Schema {
    Schema {
        description: "Which NATS to go to, as whom, and in whose name. Nothing of it is ever \
                      kept in a state.",
        attributes: vec![
            Attribute::optional(
                "dev",
                Kind::Bool,
                "Go to the `eddyline dev` that runs on this machine. It may be started after \
                 the plan is made.",
            ),
            Attribute::optional(
                "dev_name",
                Kind::Text,
                "Which one, where several run; or the variable `EDDYLINE_DEV`.",
            ),
            Attribute::optional(
                "servers",
                Kind::texts(),
                "Addresses of NATS (`nats://HOST:PORT`); or the variable `EDDYLINE_NATS_URL`, \
                 in which they are separated by commas and the first may name the user \
                 (`nats://USER:PASSWORD@HOST:PORT`).",
            ),
            Attribute::optional(
                "user",
                Kind::Text,
                "The NATS user that may deploy; or the variable `EDDYLINE_NATS_USER`.",
            ),
            Attribute::optional(
                "password",
                Kind::Text,
                "That user's password; or the variable `EDDYLINE_NATS_PASSWORD`.",
            )
            .sensitive(),
            Attribute::optional(
                "ca",
                Kind::Text,
                "A PEM file with the authorities that vouch for a NATS with TLS, the machine's \
                 own unless said; or the variable `EDDYLINE_NATS_CA`. TLS is also spoken where an \
                 address begins with `tls://`.",
            ),
            Attribute::optional(
                "credentials",
                Kind::Text,
                "A file with the user's JWT and seed (`.creds`), in place of a password; or the \
                 variable `EDDYLINE_NATS_CREDENTIALS`.",
            ),
            Attribute::optional(
                "nkey",
                Kind::Text,
                "A file with the seed of the user's nkey, in place of a password; or the \
                 variable `EDDYLINE_NATS_NKEY`.",
            ),
            Attribute::optional(
                "by",
                Kind::Text,
                "Who does it, as it is recorded beside what is written; USER@HOST unless said.",
            ),
        ],
    }
}

/// Reads the configuration. `variable` reads the environment.
///
/// # Errors
/// What is contradictory or missing.
pub fn read(
    config: &Value,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Settings, Diagnostic> {
    let text = |name: &str| config.get(name).as_text().map(str::to_owned);
    let by = text("by").unwrap_or_else(running::who);
    let way = way(config, variable)?;
    Ok(Settings { way, by })
}

fn way(config: &Value, variable: impl Fn(&str) -> Option<String>) -> Result<Way, Diagnostic> {
    let text = |name: &str| config.get(name).as_text().map(str::to_owned);
    let (dev, servers) = (config.get("dev"), config.get("servers"));
    if dev.is_true() {
        if !servers.is_null() {
            let detail =
                "Say one of the two: dev = true goes to the `eddyline dev` that runs here.";
            return Err(Diagnostic::error("dev and servers are both said", detail).at("servers"));
        }
        return Ok(Way::Dev(
            text("dev_name").or_else(|| variable(environment::DEV)),
        ));
    }
    let used = [
        "dev",
        "servers",
        "user",
        "password",
        "ca",
        "credentials",
        "nkey",
    ];
    if used.iter().any(|name| !config.get(name).is_known()) {
        return Ok(Way::Unknown);
    }
    let mut settings = match servers {
        Value::List(all) if !all.is_empty() => {
            let all: Vec<&str> = all.iter().filter_map(Value::as_text).collect();
            NatsSettings {
                url: all.join(","),
                ..NatsSettings::default()
            }
        }
        _ => match variable(environment::SERVERS) {
            Some(address) => NatsSettings::of_address(&address),
            None => {
                let detail = "Set servers, or dev = true for the `eddyline dev` that runs here, \
                              or the variable EDDYLINE_NATS_URL.";
                return Err(
                    Diagnostic::error("which NATS is meant is not said", detail).at("servers")
                );
            }
        },
    };
    let user = text("user").or_else(|| variable(environment::USER));
    settings.user = user.or(settings.user);
    let password = text("password").or_else(|| variable(environment::PASSWORD));
    settings.password = password.map(Secret::new).or(settings.password);
    let file = |name: &str, of: &str| text(name).or_else(|| variable(of)).map(PathBuf::from);
    settings.tls.ca = file("ca", environment::CA);
    settings.credentials = file("credentials", environment::CREDENTIALS);
    settings.nkey = file("nkey", environment::NKEY);
    if settings.user.is_none() && (settings.credentials.is_some() || settings.nkey.is_some()) {
        // Replies come under the name that the user's permissions have.
        settings.user = Some(OPERATOR.to_owned());
    }
    match settings.problem() {
        Some(_) => {
            let detail = "Say one of password, credentials and nkey, here or by variables.";
            let summary = "several ways to be known to NATS are said";
            Err(Diagnostic::error(summary, detail).at("password"))
        }
        None => Ok(Way::Given(settings)),
    }
}

/// The NATS of a running `dev`.
///
/// # Errors
/// None runs, or it is not clear which is meant.
pub fn of_dev(name: Option<&str>) -> Result<NatsSettings, Diagnostic> {
    let which = Which {
        name,
        address: None,
    };
    let found = running::find(&running::cache(), which);
    let found = found.map_err(|error| {
        let detail = match &error {
            RunningError::Several { .. } => {
                "Say which with dev_name, or the variable EDDYLINE_DEV.".to_owned()
            }
            RunningError::NoSuch { running, .. } if !running.is_empty() => {
                format!("These run: {running}.")
            }
            _ => String::new(),
        };
        Diagnostic::error(error.to_string(), detail)
    })?;
    let nats = found.and_then(|state| state.nats);
    nats.map(|address| NatsSettings::of_address(&address))
        .ok_or_else(|| {
            let detail = "Start one with `eddyline dev`, and apply again.";
            Diagnostic::error("no `eddyline dev` is running here", detail)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::conform;
    use crate::value::json::from_json;

    fn given(json: serde_json::Value, variables: &[(&str, &str)]) -> Result<Way, Diagnostic> {
        let config = conform::object(&schema().attributes, from_json(&json));
        let read = read(&config, |name| {
            let found = variables.iter().find(|(given, _)| *given == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        read.map(|settings| settings.way)
    }

    #[test]
    fn what_is_said_goes_before_the_environment() {
        let variables = [
            (environment::SERVERS, "nats://ann:a@h:1"),
            (environment::PASSWORD, "b"),
        ];
        let Ok(Way::Given(from_variables)) = given(serde_json::json!({}), &variables) else {
            panic!("it is said")
        };
        assert_eq!(from_variables.url, "nats://h:1");
        assert_eq!(from_variables.user.as_deref(), Some("ann"));
        assert_eq!(from_variables.password.unwrap().expose(), "b");
        let said = serde_json::json!({"servers": ["nats://g:1", "nats://g:2"], "user": "joe"});
        let Ok(Way::Given(said)) = given(said, &variables) else {
            panic!("it is said")
        };
        assert_eq!(
            (said.url.as_str(), said.user.as_deref()),
            ("nats://g:1,nats://g:2", Some("joe"))
        );
    }

    #[test]
    fn a_key_stands_in_place_of_a_password() {
        let said = serde_json::json!({"servers": ["tls://h:1"], "ca": "ca.pem", "nkey": "o.nk"});
        let Ok(Way::Given(keyed)) = given(said.clone(), &[]) else {
            panic!("it is said")
        };
        assert_eq!(keyed.user.as_deref(), Some("operator"));
        assert_eq!(keyed.nkey, Some("o.nk".into()));
        assert_eq!(keyed.tls.ca, Some("ca.pem".into()));
        let both = given(said, &[(environment::PASSWORD, "b")]).unwrap_err();
        assert_eq!(both.attribute.as_deref(), Some("password"));
    }

    #[test]
    fn what_is_meant_must_be_clear() {
        let nothing = given(serde_json::json!({}), &[]).unwrap_err();
        assert!(nothing.detail.contains("dev = true"), "{nothing:?}");
        let both = given(
            serde_json::json!({"dev": true, "servers": ["nats://h:1"]}),
            &[],
        );
        assert_eq!(both.unwrap_err().attribute.as_deref(), Some("servers"));
        let dev = given(serde_json::json!({"dev": true, "dev_name": "two"}), &[]);
        assert_eq!(dev, Ok(Way::Dev(Some("two".into()))));
        let mut later = conform::object(&schema().attributes, from_json(&serde_json::json!({})));
        if let Value::Map(all) = &mut later {
            all.insert("servers".into(), Value::Unknown);
        }
        let later = read(&later, |_| None).map(|settings| settings.way);
        assert_eq!(later, Ok(Way::Unknown));
    }
}
