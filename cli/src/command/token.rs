//! `eddyline token`: makes a token with the secret of a running `dev`, or another.

use auth::{Scopes, Signer};
use protocol::name::{Tenant, User};
use protocol::secret::Secret;
use running::{DevState, Which};
use serde::Serialize;

use crate::args::Token;
use crate::config;
use crate::error::{CliError, EXIT_SETTINGS};
use crate::output::Output;

#[derive(Serialize)]
struct Made<'a> {
    token: &'a str,
    tenant: &'a str,
    user: &'a str,
    scopes: &'a [String],
    valid_seconds: u64,
}

/// Makes and prints it.
///
/// # Errors
/// There is no secret, or a name or a scope is not valid.
pub fn run(args: &Token, output: &Output) -> Result<(), CliError> {
    let wrong = |error: &dyn std::error::Error| CliError::new(EXIT_SETTINGS, error.to_string());
    let tenant = Tenant::parse(&args.tenant).map_err(|error| wrong(&error))?;
    let user = User::parse(&args.user).map_err(|error| wrong(&error))?;
    Scopes::parse(&args.scopes, &user).map_err(|error| wrong(&error))?;
    let signer = Signer::new(&secret(args)?).map_err(|error| wrong(&error))?;
    let scopes: Vec<&str> = args.scopes.iter().map(String::as_str).collect();
    let token = signer.mint(&tenant, &user, &scopes, args.ttl);
    let made = Made {
        token: &token,
        tenant: tenant.as_str(),
        user: user.as_str(),
        scopes: &args.scopes,
        valid_seconds: args.ttl.as_secs(),
    };
    output.result(&made, || token.clone())
}

fn secret(args: &Token) -> Result<Secret, CliError> {
    if let Some(path) = &args.secret_file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let text = format!("{} cannot be read: {error}", path.display());
            CliError::new(EXIT_SETTINGS, text)
        })?;
        return Ok(Secret::new(text.trim()));
    }
    let given = args.token_secret.as_deref();
    let which = Which {
        name: args.dev.as_deref(),
        address: None,
    };
    let running = |state: DevState| Some(state.token_secret);
    config::given_or_running(given, "--secret-file", which, running).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::EXIT_FAILED;

    fn token(user: &str, scope: &str, secret: &str) -> Result<(), u8> {
        let args = Token {
            tenant: "demo".into(),
            user: user.into(),
            scopes: vec![scope.into()],
            ttl: Duration::from_secs(60),
            dev: None,
            secret_file: None,
            token_secret: Some(secret.into()),
        };
        run(&args, &Output::new(true)).map_err(|error| error.code)
    }

    #[test]
    fn faults_are_settings() {
        let secret = "0123456789abcdef0123456789abcdef";
        assert_eq!(token("ann", "publish:>", secret), Ok(()));
        assert_eq!(token("", "publish:>", secret), Err(EXIT_SETTINGS));
        assert_eq!(token("ann", "publish", secret), Err(EXIT_SETTINGS));
        assert_eq!(token("ann", "publish:>", "short"), Err(EXIT_SETTINGS));
        assert_ne!(EXIT_SETTINGS, EXIT_FAILED);
    }
}
