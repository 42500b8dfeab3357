//! What ends a command, with its exit code and advice. Owns no state.

use client::ClientError;
use demo::DemoError;
use local::StackError;
pub use local::sentence;

/// Something was checked and does not hold, or a request was refused for good.
pub const EXIT_FAILED: u8 = 1;
/// Settings or input files cannot be used (EX_USAGE of sysexits.h, as the services use it).
pub const EXIT_SETTINGS: u8 = 64;
/// Something that is needed is missing or cannot be reached (EX_UNAVAILABLE).
pub const EXIT_UNAVAILABLE: u8 = 69;
/// Ended by Ctrl-C or SIGTERM, as shells report it.
pub const EXIT_INTERRUPTED: u8 = 130;

/// The failure of a command: one sentence, and a hint where one helps.
#[derive(Debug)]
pub struct CliError {
    /// The exit code.
    pub code: u8,
    /// What went wrong, for people; empty if there is nothing to say.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CliError {
    /// A failure with an exit code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// The user ended the command.
    pub fn interrupted() -> Self {
        Self::new(EXIT_INTERRUPTED, "")
    }

    /// Whoever read the output has gone, as in `sub | head`: not a failure.
    pub fn output_closed() -> Self {
        Self::new(0, "")
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<StackError> for CliError {
    fn from(error: StackError) -> Self {
        let failure = Self::new(EXIT_UNAVAILABLE, sentence(&error));
        match error {
            StackError::Function { .. } => {
                failure.hint("run `make functions`, or name their folder with --functions")
            }
            StackError::Port { .. } => {
                failure.hint("choose other ports with --port and --grpc-port; 0 takes a free one")
            }
            _ => failure,
        }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let text = sentence(&error);
        match error {
            ClientError::Address { .. }
            | ClientError::Roots { .. }
            | ClientError::NotJson
            | ClientError::TooLarge { .. } => Self::new(EXIT_SETTINGS, text),
            ClientError::Unreachable { .. } | ClientError::Silent { .. } | ClientError::Lost => {
                Self::new(EXIT_UNAVAILABLE, text)
                    .hint("is `eddyline dev` running? --edge names another address")
            }
            _ => Self::new(EXIT_FAILED, text),
        }
    }
}

impl From<DemoError> for CliError {
    fn from(error: DemoError) -> Self {
        let text = sentence(&error);
        match error {
            DemoError::Trace(_) => Self::new(EXIT_SETTINGS, text),
            DemoError::Client { source, .. } => {
                let failure = Self::from(source);
                Self {
                    message: text,
                    ..failure
                }
            }
            _ => Self::new(EXIT_FAILED, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        let io = std::io::Error::other("no such luck");
        let port = StackError::Port {
            port: 8001,
            source: io,
        };
        let failure = CliError::from(port);
        assert_eq!(failure.message, "port 8001 cannot be used: no such luck");
        assert_eq!(failure.code, EXIT_UNAVAILABLE);
        assert!(failure.hint.is_some_and(|hint| hint.contains("--port")));
    }
}
