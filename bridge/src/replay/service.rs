//! The gRPC service: who may read, and how many at once. Owns the permits; each read
//! is a task of its own.

use std::sync::Arc;
use std::time::SystemTime;

use auth::{Authenticator, Identity};
use service::shutdown::Shutdown;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::READS_MAX;
use super::drive::{Context, Out, drive};
use super::fault::ReplayFault;
use super::plan::Plan;
use crate::metrics;
use crate::proto::replay_server::Replay;
use crate::proto::{ReadRequest, ReadResponse};

/// Responses that wait for a client; each is about 256 KiB at most. Policy: the read
/// waits, and with it Kafka's consumer.
const RESPONSES_MAX: usize = 4;

/// The service.
pub(crate) struct ReplayService {
    context: Arc<Context>,
    authenticator: Authenticator,
    permits: Arc<Semaphore>,
    shutdown: Shutdown,
}

impl ReplayService {
    /// A service that ends its reads when `shutdown` is triggered.
    pub(crate) fn new(context: Context, authenticator: Authenticator, shutdown: Shutdown) -> Self {
        Self {
            context: Arc::new(context),
            authenticator,
            permits: Arc::new(Semaphore::new(READS_MAX)),
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
        Ok(self.authenticator.verify(token.trim())?)
    }
}

#[tonic::async_trait]
impl Replay for ReplayService {
    type ReadStream = ReceiverStream<Result<ReadResponse, Status>>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let identity = self.identify(&request)?;
        let plan = Plan::new(request.into_inner(), identity, &self.context.home)?;
        let permit = self
            .permits
            .clone()
            .try_acquire_owned()
            .map_err(|_| ReplayFault::TooMany)?;
        let (sender, receiver) = mpsc::channel(RESPONSES_MAX);
        let (context, shutdown) = (self.context.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            metrics::reads(1.0);
            let result = supervise(&context, plan, &Out(sender.clone()), &shutdown).await;
            metrics::reads(-1.0);
            drop(permit);
            metrics::replay_ended(if result.is_ok() { "ok" } else { "error" });
            if let Err(fault) = result {
                tracing::debug!(%fault, "a replay ends early");
                // A client that has gone does not hear it.
                let _ = sender.send(Err(fault.into())).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Runs a read until its end, its token's end, shutdown, or until its client has gone.
async fn supervise(
    context: &Context,
    plan: Plan,
    out: &Out,
    shutdown: &Shutdown,
) -> Result<(), ReplayFault> {
    let left = plan
        .expires_at
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    // Whichever branch ends first ends the read; its thread sees its queue closed.
    tokio::select! {
        result = drive(context, plan, out) => result,
        () = tokio::time::sleep(left) => Err(ReplayFault::Expired),
        () = shutdown.triggered() => Err(ReplayFault::Shutdown),
        () = out.0.closed() => Err(ReplayFault::Gone),
    }
}
