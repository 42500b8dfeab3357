//! Connections of readers, once TLS is agreed on where it is spoken.
//!
//! Owns the listener. Who takes his time over TLS keeps nobody else waiting: so many may
//! be at it together, and past them the system's queue waits.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use door::tls::{self, Tls};
use service::shutdown::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tonic::transport::server::Connected;

/// Connections that agree on TLS at a time.
const AGREEING_MAX: usize = 64;
/// How long that may take.
const AGREE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that wait to be served. Policy: the next one waits.
const WAITING_MAX: usize = 16;
/// Wait after a failed accept: the system is out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A reader's connection. Boxed, because one is far larger than the other.
pub(crate) enum Arrival {
    Plain(TcpStream),
    Tls(Box<tls::Stream>),
}

impl Arrival {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut dyn Both> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(stream.as_mut()),
        }
    }
}

/// What a connection does.
trait Both: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl AsyncRead for Arrival {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Arrival {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }
}

impl Connected for Arrival {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

/// Takes connections until the shutdown; each comes once it can be served.
pub(crate) fn accept(
    listener: TcpListener,
    tls: Option<Tls>,
    shutdown: Shutdown,
) -> mpsc::Receiver<io::Result<Arrival>> {
    let (sender, arrivals) = mpsc::channel(WAITING_MAX);
    tokio::spawn(run(listener, tls, shutdown, sender));
    arrivals
}

async fn run(
    listener: TcpListener,
    tls: Option<Tls>,
    shutdown: Shutdown,
    sender: mpsc::Sender<io::Result<Arrival>>,
) {
    let agreeing = Arc::new(Semaphore::new(AGREEING_MAX));
    loop {
        let Ok(place) = agreeing.clone().acquire_owned().await else {
            return;
        };
        // Every branch is cancel safe: a connection that was not taken stays queued.
        let accepted = tokio::select! {
            () = shutdown.triggered() => return,
            () = sender.closed() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        // A response is written as a whole; Nagle's algorithm would only delay it.
        let _ = stream.set_nodelay(true);
        let (sender, tls) = (sender.clone(), tls.clone());
        tokio::spawn(async move {
            let arrival = match tls {
                None => Arrival::Plain(stream),
                Some(tls) => match tls.accept(stream, AGREE_TIMEOUT).await {
                    Ok(stream) => Arrival::Tls(Box::new(stream)),
                    Err(reason) => {
                        metrics::counter!("bridge_rejected_connections_total", "reason" => reason)
                            .increment(1);
                        return;
                    }
                },
            };
            drop(place);
            // Nobody serves any more: the connection ends.
            let _ = sender.send(Ok(arrival)).await;
        });
    }
}
