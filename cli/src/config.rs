//! What a command works with: what it is told, or what a running `dev` says. Owns nothing.

use std::net::SocketAddr;

use running::{DevState, RunningError, Which};

use crate::error::{CliError, EXIT_SETTINGS, EXIT_UNAVAILABLE};

/// An option, or what the running `dev` says.
///
/// # Errors
/// Neither is there, or it is not clear which `dev` is meant.
pub fn given_or_running(
    given: Option<&str>,
    option: &str,
    which: Which<'_>,
    from: impl FnOnce(DevState) -> Option<String>,
) -> Result<String, CliError> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let Some(state) = running::find(&running::cache(), which)? else {
        let failure = CliError::new(EXIT_UNAVAILABLE, "no `eddyline dev` is running here");
        return Err(failure.hint(format!("start one, or name another stack with {option}")));
    };
    let name = state.name.clone();
    from(state).ok_or_else(|| {
        let lack = match option {
            "--grpc" => "runs without a mirror",
            _ => "does not say where it is",
        };
        let text = format!("the `eddyline dev` named {name} {lack}");
        let hint = format!("name another stack with {option}");
        CliError::new(EXIT_UNAVAILABLE, text).hint(hint)
    })
}

/// The first address that a text stands for: `host:port`, with or without `http://`.
///
/// # Errors
/// It is none, or its name is unknown.
pub async fn resolve(text: &str) -> Result<SocketAddr, CliError> {
    let bare = text.strip_prefix("http://").unwrap_or(text);
    let bare = bare.trim_end_matches('/');
    let wrong = |problem: String| {
        let text = format!("{text:?} is not an address (host:port): {problem}");
        CliError::new(EXIT_SETTINGS, text)
    };
    let mut found = tokio::net::lookup_host(bare)
        .await
        .map_err(|error| wrong(error.to_string()))?;
    found.next().ok_or_else(|| wrong("nobody has it".into()))
}

impl From<RunningError> for CliError {
    fn from(error: RunningError) -> Self {
        let text = error.to_string();
        match error {
            RunningError::Taken { .. } => {
                Self::new(EXIT_SETTINGS, text).hint("choose another name with --name")
            }
            RunningError::Several { .. } => {
                Self::new(EXIT_SETTINGS, text).hint("choose one with --dev NAME")
            }
            RunningError::NoSuch { running, .. } if running.is_empty() => {
                Self::new(EXIT_UNAVAILABLE, text)
            }
            RunningError::NoSuch { running, .. } => {
                Self::new(EXIT_UNAVAILABLE, text).hint(format!("these run: {running}"))
            }
            RunningError::Name { .. }
            | RunningError::TooMany { .. }
            | RunningError::File { .. } => Self::new(EXIT_SETTINGS, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_resolved_or_refused() {
        let found = resolve("http://127.0.0.1:8003/").await;
        assert!(found.is_ok_and(|address| address.port() == 8003));
        assert!(
            resolve("8003")
                .await
                .is_err_and(|error| error.code == EXIT_SETTINGS)
        );
    }
}
