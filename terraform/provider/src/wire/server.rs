//! One run of the provider: a socket in a folder that is its user's alone, one connection,
//! and the services on it until the other side says so, or is gone.
//!
//! Owns socket and folder, and removes both as soon as the connection is there, so that a
//! provider that is killed leaves nothing.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::carrier::{Carrier, Over};
use super::controller::Nothing;
use super::controller::grpc_controller_server::{GrpcController, GrpcControllerServer};
use super::handshake::{self, Wanted};
use super::provider::provider_server::{Provider, ProviderServer};
use super::tls::{Tls, TlsError};

/// Longest message that is read, bytes: a state with every attribute of one resource is
/// far shorter, and Terraform's own limit is this one.
const MESSAGE_BYTES_MAX: usize = 256 << 20;
/// Longest path of a socket that systems take, bytes, with room for the end of it.
const SOCKET_PATH_MAX: usize = 100;
/// How long Terraform may take to connect: one that has died meanwhile never does.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// Name of the socket in its folder.
const SOCKET: &str = "s";

/// Why the provider cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no place for the socket, or no connection came.
    #[error("the socket cannot be used")]
    Socket(#[from] io::Error),
    /// There is no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection cannot be served.
    #[error("the connection cannot be served")]
    Serve(#[from] tonic::transport::Error),
}

/// Serves one run.
///
/// # Errors
/// [`ServeError`]. Not cancel safe.
pub async fn serve<P: Provider>(wanted: Wanted, provider: P) -> Result<(), ServeError> {
    // A terminal's Ctrl-C reaches every process: what it means, Terraform decides.
    let mut interrupts = signal(SignalKind::interrupt())?;
    tokio::spawn(async move { while interrupts.recv().await.is_some() {} });

    let folder = folder()?;
    let path = folder.path().join(SOCKET);
    let listener = UnixListener::bind(&path)?;
    let tls = wanted.tls.then(Tls::for_this_run).transpose()?;
    let certificate = tls.as_ref().map(|tls| tls.certificate.as_slice());
    announce(&handshake::line(&path, certificate))?;

    let over = CancellationToken::new();
    let connection = accept(&listener, folder, tls, &over).await?;
    let provider = ProviderServer::new(provider)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let controller = GrpcControllerServer::new(Controller(over.clone()));
    Server::builder()
        .add_service(controller)
        .add_service(provider)
        .serve_with_incoming_shutdown(once(connection), over.cancelled_owned())
        .await?;
    Ok(())
}

/// The line is the last thing that is ever written to standard output.
fn announce(line: &str) -> io::Result<()> {
    use std::io::Write;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// A folder that nobody else can open.
fn folder() -> io::Result<TempDir> {
    let make = |root: &Path| {
        tempfile::Builder::new()
            .prefix("eddyline-provider-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(root)
    };
    let usual = make(&std::env::temp_dir())?;
    match usual.path().as_os_str().len() <= SOCKET_PATH_MAX {
        true => Ok(usual),
        // Too long for a socket, whoever has chosen it.
        false => make(Path::new("/tmp")),
    }
}

/// Waits for the one connection; the folder ends with that.
async fn accept(
    listener: &UnixListener,
    folder: TempDir,
    tls: Option<Tls>,
    over: &CancellationToken,
) -> io::Result<Carrier> {
    let (stream, _) = timeout(CONNECT_TIMEOUT, listener.accept()).await??;
    folder.close()?;
    let carried = match tls {
        None => Over::Bare(stream),
        Some(tls) => Over::Tls(Box::new(tls.acceptor.accept(stream).await?)),
    };
    Ok(Carrier::new(carried, over.clone().drop_guard()))
}

/// The one connection, and no end after it: that would end the server.
fn once(connection: Carrier) -> impl Stream<Item = io::Result<Carrier>> {
    stream::iter([Ok(connection)]).chain(stream::pending())
}

/// What ends a run.
struct Controller(CancellationToken);

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
        self.0.cancel();
        Ok(Response::new(Nothing {}))
    }
}
