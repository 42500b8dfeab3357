//! The way of a command to NATS itself: the one that is named, or that of a running
//! `dev`. Owns nothing.

use std::str::FromStr;

use bus::{Bus, BusError};
use control::{ControlError, Deployer, Landscape};
use protocol::name::NameError;
use running::{DevState, Which};
use service::settings::NatsSettings;

use crate::args::nats::NatsArgs;
use crate::config;
use crate::error::{CliError, EXIT_FAILED, EXIT_SETTINGS, EXIT_UNAVAILABLE, sentence};
use crate::output::Output;

/// As what a command is known to NATS.
const NAME: &str = "eddyline";
/// The user who may deploy, unless the address names one.
const OPERATOR: &str = "operator";

/// Connects.
///
/// # Errors
/// No NATS is named and no `dev` runs, or it cannot be reached.
pub async fn connect(args: &NatsArgs) -> Result<Bus, CliError> {
    let which = Which {
        name: args.dev.as_deref(),
        address: None,
    };
    let running = |state: DevState| state.nats;
    let url = config::given_or_running(args.nats.as_deref(), "--nats", which, running)?;
    let mut settings = NatsSettings::of_address(&url);
    settings.tls.ca = args.nats_ca.clone();
    settings.credentials = args.nats_credentials.clone();
    settings.nkey = args.nats_nkey.clone();
    if settings.user.is_none() && (settings.credentials.is_some() || settings.nkey.is_some()) {
        // Replies come under the name that the user's permissions have.
        settings.user = Some(OPERATOR.to_owned());
    }
    Bus::connect(&settings, NAME)
        .await
        .map_err(|error| match error {
            BusError::Setting { problem } => CliError::new(EXIT_SETTINGS, problem),
            error => CliError::new(EXIT_UNAVAILABLE, sentence(&error))
                .hint("is `eddyline dev` running? --nats names another address"),
        })
}

/// Connects as somebody who deploys.
///
/// # Errors
/// As [`connect`].
pub async fn deployer(args: &NatsArgs) -> Result<Deployer, CliError> {
    let bus = connect(args).await?;
    let who = args.by.clone().unwrap_or_else(running::who);
    Ok(Deployer::new(&bus, who).compiled(running::compiled()))
}

/// Reads a name of the command line.
///
/// # Errors
/// It is none.
pub fn name<T: FromStr<Err = NameError>>(text: &str) -> Result<T, CliError> {
    text.parse()
        .map_err(|error: NameError| CliError::new(EXIT_SETTINGS, format!("{text:?}: {error}")))
}

/// Tells of specs that this program cannot read: they are not in any list.
pub fn tell_unreadable(land: &Landscape, output: &Output) {
    for (key, problem) in &land.unreadable {
        output.note(&format!("note: {key} is not readable: {problem}"));
    }
}

impl From<ControlError> for CliError {
    fn from(error: ControlError) -> Self {
        let text = sentence(&error);
        match error {
            ControlError::Bus(error) => error.into(),
            ControlError::Conflict { .. } => {
                Self::new(EXIT_FAILED, text).hint("look at what they did, then do it again")
            }
            ControlError::Mirror(error) if error.temporary => Self::new(EXIT_UNAVAILABLE, text),
            _ => Self::new(EXIT_FAILED, text),
        }
    }
}

impl From<BusError> for CliError {
    fn from(error: BusError) -> Self {
        let text = format!("nats: {}", sentence(&error));
        match error {
            BusError::NotFound => Self::new(EXIT_UNAVAILABLE, text)
                .hint("is this the NATS of a deployment whose bootstrap has run?"),
            error if error.temporary() => Self::new(EXIT_UNAVAILABLE, text),
            _ => Self::new(EXIT_FAILED, text),
        }
    }
}
