//! The one connection of a run: bare, or under TLS. Whoever waits for its end is told.
//!
//! Owns the connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::DropGuard;
use tonic::transport::server::Connected;

/// The connection; when it is dropped, the run is over.
pub struct Carrier {
    over: Over,
    _ends: DropGuard,
}

/// What carries it.
pub enum Over {
    /// Nothing between.
    Bare(UnixStream),
    /// TLS.
    Tls(Box<TlsStream<UnixStream>>),
}

impl Carrier {
    /// A connection that ends something with itself.
    pub fn new(over: Over, ends: DropGuard) -> Self {
        Self { over, _ends: ends }
    }
}

impl Connected for Carrier {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

/// The call, on whatever carries the connection.
macro_rules! carried {
    ($self:expr, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().over {
            Over::Bare(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Over::Tls(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl AsyncRead for Carrier {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        carried!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        carried!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carried!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carried!(self, stream => stream.poll_shutdown(cx))
    }
}
