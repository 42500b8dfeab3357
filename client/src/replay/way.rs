//! The way to a bridge: HTTP/2 over TCP, with TLS or without.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::transport::{Endpoint, Uri};

use crate::address::Address;
use crate::connection::{Connection, Inside, Unopened, open};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// HTTP/2 windows in bytes, so that a distant server is not held up by round trips.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// The way to a bridge.
#[derive(Debug, Clone)]
pub(super) struct Way {
    address: Address,
    roots: Option<PathBuf>,
}

type Opened = Result<TokioIo<Connection>, Unopened>;

impl Way {
    /// Reads an address; `None`: it is none.
    pub(super) fn to(address: &str, roots: Option<&Path>) -> Option<Self> {
        Some(Self {
            address: Address::parse(address).ok()?,
            roots: roots.map(Path::to_owned),
        })
    }

    /// TLS is the connector's: here the scheme only completes the address.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        let Address { host, port, .. } = &self.address;
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.clone(),
        };
        let endpoint = Endpoint::from_shared(format!("http://{host}:{port}")).ok()?;
        Some(
            endpoint
                .connect_timeout(CONNECT_TIMEOUT)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES),
        )
    }

    pub(super) fn connector(
        &self,
    ) -> impl tower::Service<Uri, Response = TokioIo<Connection>, Error = Unopened, Future: Send>
    + Send
    + 'static {
        let way = self.clone();
        tower::service_fn(
            move |_: Uri| -> Pin<Box<dyn Future<Output = Opened> + Send>> {
                let way = way.clone();
                Box::pin(async move {
                    let opened = open(&way.address, way.roots.as_deref(), Inside::Http2).await;
                    opened.map(TokioIo::new)
                })
            },
        )
    }
}
