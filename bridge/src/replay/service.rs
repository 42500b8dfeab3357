//! The gRPC service: who may read, and how many at once. Owns the places; each read is
//! a task of its own.

use std::sync::Arc;
use std::time::SystemTime;

use auth::Identity;
use service::shutdown::Shutdown;
use tonic::{Request, Response, Status};

use super::access::Access;
use super::drive::{Context, drive};
use super::fault::ReplayFault;
use super::out::{Answers, Out, answers};
use super::places::Places;
use super::plan::Plan;
use crate::metrics;
use crate::proto::ReadRequest;
use crate::proto::replay_server::Replay;

/// The service.
pub(crate) struct ReplayService {
    context: Arc<Context>,
    access: Access,
    places: Places,
    shutdown: Shutdown,
}

impl ReplayService {
    /// A service that ends its reads when `shutdown` is triggered.
    pub(crate) fn new(context: Context, access: Access, shutdown: Shutdown) -> Self {
        Self {
            context: Arc::new(context),
            access,
            places: Places::default(),
            shutdown,
        }
    }

    fn identify(&self, request: &Request<ReadRequest>) -> Result<Identity, ReplayFault> {
        let value = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let token = value
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or(ReplayFault::NoToken)?;
        self.access.identify(token.trim())
    }
}

#[tonic::async_trait]
impl Replay for ReplayService {
    type ReadStream = Answers;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        self.access.known().await;
        let identity = self.identify(&request)?;
        let revoked = self.access.clone().revoked(identity.clone());
        let plan = Plan::new(request.into_inner(), identity, &self.context.home)?;
        let place = self.places.take(&plan.target.tenant)?;
        let (out, ending, answers) = answers();
        let (context, shutdown) = (self.context.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            metrics::reads(1.0);
            let result = supervise(&context, plan, &out, &shutdown, revoked).await;
            metrics::reads(-1.0);
            drop(place);
            metrics::replay_ended(match &result {
                Ok(()) => "ok",
                Err(ReplayFault::Stalled { .. }) => "stalled",
                Err(_) => "error",
            });
            if let Err(fault) = result {
                tracing::debug!(%fault, "a replay ends early");
                // A client that has gone does not hear it.
                match fault {
                    ReplayFault::Stalled { .. } => ending.cut(fault.into()),
                    fault => ending.end(fault.into()),
                }
            }
        });
        Ok(Response::new(answers))
    }
}

/// Runs a read until its end, its token's end or revocation, shutdown, or until its
/// client has gone or takes nothing any more.
async fn supervise(
    context: &Context,
    plan: Plan,
    out: &Out,
    shutdown: &Shutdown,
    revoked: impl Future<Output = ()>,
) -> Result<(), ReplayFault> {
    let left = plan
        .ends_at
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    // Whichever branch ends first ends the read; its thread sees its queue closed.
    tokio::select! {
        result = drive(context, plan, out) => result,
        () = tokio::time::sleep(left) => Err(ReplayFault::Expired),
        () = revoked => Err(ReplayFault::Revoked),
        () = shutdown.triggered() => Err(ReplayFault::Shutdown),
        after = out.stalled() => Err(ReplayFault::Stalled { after }),
        () = out.closed() => Err(ReplayFault::Gone),
    }
}
