//! The mirror as a replay of functions reads it: over gRPC, as the token's tenant.
//!
//! Owns the connection. The token is not verified here: the bridge does that.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::replay::{
    ReplayClient, ReplayEnd, ReplayError, ReplayItem, ReplayKind, ReplayRequest, ReplayStart,
};
use control::{Asked, Mirror, MirrorError, Mirrored, Place, Query};
use futures_util::StreamExt;
use protocol::name::Tenant;
use protocol::record::MirrorGap;
use running::{DevState, Which};
use serde::Deserialize;

use crate::args::function::ReplayHistory;
use crate::command::replay::refused;
use crate::config;
use crate::error::{CliError, EXIT_SETTINGS, sentence};

/// A bridge.
pub(super) struct Bridge {
    client: ReplayClient,
    tenant: Tenant,
}

/// The bridge that is named, or that of the `dev` whose NATS is used; `None`: there is
/// none.
///
/// # Errors
/// It cannot be reached, or there is no token for it.
pub(super) async fn find(args: &ReplayHistory) -> Result<Option<Bridge>, CliError> {
    let which = Which {
        name: args.nats.dev.as_deref(),
        address: args.grpc.as_deref(),
    };
    let grpc = match (&args.grpc, &args.nats.nats) {
        (Some(grpc), _) => Some(grpc.clone()),
        // Another NATS than that of a `dev` has another mirror.
        (None, Some(_)) => None,
        (None, None) => running::find(&running::cache(), which)?.and_then(|state| state.grpc),
    };
    let Some(grpc) = grpc else {
        return Ok(None);
    };
    let token = |state: DevState| Some(state.token);
    let token = config::given_or_running(args.token.as_deref(), "--token", which, token)?;
    let tenant = tenant(&token).ok_or_else(|| {
        CliError::new(EXIT_SETTINGS, "the token is not one that names a tenant")
            .hint("make one with `eddyline token --scope 'inputs:>' --scope 'replay:>'`")
    })?;
    let client = ReplayClient::open(&grpc, args.roots.as_deref(), &token).await;
    let client = client.map_err(refused)?;
    Ok(Some(Bridge { client, tenant }))
}

/// Whom a token is for, as it says itself.
fn tenant(token: &str) -> Option<Tenant> {
    #[derive(Deserialize)]
    struct Claims {
        tenant: String,
    }
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Tenant::parse(&claims.tenant).ok()
}

impl Mirror for Bridge {
    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    async fn read(
        &self,
        query: &Query,
        from: Place,
        to: u64,
        take: &mut (dyn FnMut(Mirrored) + Send),
    ) -> Result<Vec<MirrorGap>, MirrorError> {
        let request = ReplayRequest {
            kind: match &query.asked {
                Asked::Events => ReplayKind::Events,
                Asked::Inputs => ReplayKind::Ingress,
                Asked::Outcomes => ReplayKind::Outcomes,
                Asked::DeadLetters(function) => ReplayKind::DeadLetters(function.clone()),
            },
            channels: query.channels.clone(),
            whole_namespace: query.whole_namespace,
            start: match from {
                Place::Earliest => ReplayStart::Earliest,
                Place::Time(since_us) => ReplayStart::Time(since_us),
                Place::Sequence(seq) => ReplayStart::Sequence(seq),
            },
            end: ReplayEnd::Sequence(to),
        };
        let mut items = self.client.read(request).await.map_err(failed)?;
        let mut gaps = Vec::new();
        while let Some(item) = items.next().await {
            match item.map_err(failed)? {
                ReplayItem::Event(event) => take(Mirrored {
                    seq: event.seq,
                    time_us: event.time_us,
                    channel: event.channel,
                    headers: event.headers,
                    payload: event.payload,
                }),
                ReplayItem::Gap(gap) => gaps.push(gap),
                ReplayItem::End => break,
                ReplayItem::Token(_) | ReplayItem::CaughtUp => {}
            }
        }
        Ok(gaps)
    }
}

fn failed(error: ReplayError) -> MirrorError {
    let temporary = error.is_temporary();
    let problem = match &error {
        ReplayError::Status(status) => status.message().to_owned(),
        error => sentence(error),
    };
    MirrorError { problem, temporary }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_whom_it_is_for() {
        let made = |claims: &str| format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims));
        let found = tenant(&made(r#"{"sub":"ann","tenant":"acme","exp":1}"#));
        assert_eq!(found.unwrap().as_str(), "acme");
        for other in [
            made("{}"),
            made(r#"{"tenant":"a b"}"#),
            "x".into(),
            "h.!.s".into(),
        ] {
            assert_eq!(tenant(&other), None, "{other}");
        }
    }
}
