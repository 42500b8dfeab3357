//! The three services as instances start them: in this process by their `start`, or as
//! a child process by their program and a settings file.
//!
//! Owns nothing. Knows each service by its settings and its public API only.

use std::error::Error;
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

/// Why a service does not start, or ended: its own error.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A service that runs in this process.
#[derive(Debug)]
pub struct Here<V> {
    /// What it shows of itself.
    pub view: V,
    /// Ends when the service has.
    pub task: JoinHandle<Result<(), Failure>>,
}

/// One of the services, by its settings.
pub trait Service: Serialize + Clone + std::fmt::Debug + Send + Sync + 'static {
    /// Its program's name.
    const PROGRAM: &'static str;
    /// What it shows of itself when it runs in this process.
    type View: Send + Sync + std::fmt::Debug + 'static;

    /// Tells it where to listen, if it does.
    fn listen_on(&mut self, address: SocketAddr);

    /// Tells it where to serve health and metrics.
    fn health_on(&mut self, address: SocketAddr);

    /// Starts it in this process. A service that does not listen closes the listener.
    fn serve(
        self,
        listener: TcpListener,
        shutdown: Shutdown,
    ) -> impl Future<Output = Result<Here<Self::View>, Failure>> + Send;
}

impl Service for EdgeConfig {
    const PROGRAM: &'static str = "edge";
    type View = ();

    fn listen_on(&mut self, address: SocketAddr) {
        self.listen = address;
    }

    fn health_on(&mut self, address: SocketAddr) {
        self.health = address;
    }

    async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> Result<Here<()>, Failure> {
        let node = edge::start(self, listener, shutdown).await?;
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

    fn health_on(&mut self, address: SocketAddr) {
        self.health = address;
    }

    async fn serve(
        self,
        _: TcpListener,
        shutdown: Shutdown,
    ) -> Result<Here<WorkerStatus>, Failure> {
        let worker = workers::start(self, shutdown).await?;
        let view = worker.status();
        let task = tokio::spawn(async move { Ok(worker.run().await?) });
        Ok(Here { view, task })
    }
}

impl Service for BridgeConfig {
    const PROGRAM: &'static str = "bridge";
    type View = watch::Receiver<MirrorStatus>;

    fn listen_on(&mut self, address: SocketAddr) {
        self.grpc = address;
    }

    fn health_on(&mut self, address: SocketAddr) {
        self.health = address;
    }

    async fn serve(
        self,
        listener: TcpListener,
        shutdown: Shutdown,
    ) -> Result<Here<Self::View>, Failure> {
        let bridge = bridge::start(self, listener, shutdown).await?;
        let view = bridge.status();
        let task = tokio::spawn(async move { Ok(bridge.run().await?) });
        Ok(Here { view, task })
    }
}
