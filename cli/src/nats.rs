//! The way of a command to NATS itself: the one that is named, or that of a running
//! `dev`. Owns nothing.

use bus::Bus;
use service::settings::NatsSettings;

use crate::args::nats::NatsArgs;
use crate::config::{self, DevState, Which};
use crate::error::{CliError, EXIT_UNAVAILABLE, sentence};

/// As what a command is known to NATS.
const NAME: &str = "eddyline";

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
    let settings = NatsSettings {
        url,
        ..NatsSettings::default()
    };
    Bus::connect(&settings, NAME).await.map_err(|error| {
        CliError::new(EXIT_UNAVAILABLE, sentence(&error))
            .hint("is `eddyline dev` running? --nats names another address")
    })
}
