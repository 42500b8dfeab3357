//! The three services as the harness starts them: in this process by their `start`,
//! or as a child process by their program and a settings file.
//!
//! Owns nothing. Knows each service by its settings and its public API only.

use std::net::SocketAddr;

use bridge::BridgeConfig;
use bridge::status::MirrorStatus;
use edge::EdgeConfig;
use serde::Serialize;
use service::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use workers::{WorkerConfig, WorkerStatus};

/// A service that runs in this process.
#[derive(Debug)]
pub struct Here<V> {
    /// What it shows of itself.
    pub view: V,
    /// Ends when the service has.
    pub task: JoinHandle<Result<(), String>>,
}

/// One of the services, by its settings.
pub trait Service: Serialize + Clone + std::fmt::Debug + Send + Sync + 'static {
    /// Its program's name.
    const PROGRAM: &'static str;
    /// What it shows of itself when it runs in this process.
    type View: Send + Sync + std::fmt::Debug + 'static;

    /// Tells it where to listen, if it does.
    fn listen_on(&mut self, address: SocketAddr);

    /// Starts it in this process.
    fn serve(
        self,
        address: SocketAddr,
        shutdown: Shutdown,
    ) -> impl Future<Output = Result<Here<Self::View>, String>> + Send;
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| format!("{address}: {error}"))
}

fn text(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl Service for EdgeConfig {
    const PROGRAM: &'static str = "edge";
    type View = ();

    fn listen_on(&mut self, address: SocketAddr) {
        self.listen = address;
    }

    async fn serve(self, address: SocketAddr, shutdown: Shutdown) -> Result<Here<()>, String> {
        let listener = bind(address).await?;
        let node = edge::start(self, listener, shutdown)
            .await
            .map_err(|error| text(&error))?;
        let task = tokio::spawn(async move {
            node.run().await;
            Ok(())
        });
        Ok(Here { view: (), task })
    }
}

impl Service for WorkerConfig {
    const PROGRAM: &'static str = "workers";
    type View = WorkerStatus;

    fn listen_on(&mut self, _: SocketAddr) {}

    async fn serve(self, _: SocketAddr, shutdown: Shutdown) -> Result<Here<WorkerStatus>, String> {
        let worker = workers::start(self, shutdown)
            .await
            .map_err(|error| text(&error))?;
        let view = worker.status();
        let task = tokio::spawn(async move { worker.run().await.map_err(|error| text(&error)) });
        Ok(Here { view, task })
    }
}

impl Service for BridgeConfig {
    const PROGRAM: &'static str = "bridge";
    type View = watch::Receiver<MirrorStatus>;

    fn listen_on(&mut self, address: SocketAddr) {
        self.grpc = address;
    }

    async fn serve(
        self,
        address: SocketAddr,
        shutdown: Shutdown,
    ) -> Result<Here<Self::View>, String> {
        let listener = bind(address).await?;
        let bridge = bridge::start(self, listener, shutdown)
            .await
            .map_err(|error| text(&error))?;
        let view = bridge.status();
        let task = tokio::spawn(async move { bridge.run().await.map_err(|error| text(&error)) });
        Ok(Here { view, task })
    }
}
