use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use tokio::time::advance;

use super::*;
use crate::core::run::Form;
use shares::budget::Budget;

/// A text message `{}` and a pong, as a client frames them with an empty mask.
const MESSAGE: &[u8] = b"\x81\x82\0\0\0\0{}";
const PONG: &[u8] = b"\x8a\x80\0\0\0\0";

/// Takes all that is written and holds it, as TLS does, for as long as it is shut.
#[derive(Default)]
struct Holding {
    held: usize,
    open: bool,
}

impl AsyncRead for Holding {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Holding {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.held += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.open {
            return Poll::Pending;
        }
        self.held = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_holds_is_not_written_until_it_is_flushed() {
    let port = Arc::new(Port::new(100, &Budget::new(1 << 30), Form::Joined));
    let holding = Holding::default();
    let mut socket = Socket::new(holding, Vec::new(), Encoding::Json, 100, port.clone());
    assert_eq!(socket.write_ready().await, Flow::Blocked);
    socket.stream.open = true;
    assert_eq!(socket.write_ready().await, Flow::Idle);
    assert_eq!(socket.stalls_at(), None);

    socket.stream.open = false;
    port.send(Bytes::from_static(b"{}"));
    let stalls_at = Some(Instant::now() + STALL_TIMEOUT);
    for _ in 0..3 {
        assert_eq!(socket.write_ready().await, Flow::Blocked);
        assert!(socket.stream.held > 0);
        // It is not put off by being looked at.
        assert_eq!(socket.stalls_at(), stalls_at);
        advance(Duration::from_secs(1)).await;
    }
    socket.stream.open = true;
    assert!(matches!(socket.moved().await, Moved::Out));
    assert_eq!((socket.flow, socket.stream.held), (Flow::Idle, 0));
}

async fn written(client: &mut DuplexStream, bytes: &[u8]) {
    client.write_all(bytes).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn each_byte_is_a_sign_of_life_and_a_message_has_a_beginning() {
    let (mut client, server) = duplex(64);
    let port = Arc::new(Port::new(100, &Budget::new(1 << 30), Form::Joined));
    let mut socket = Socket::new(server, Vec::new(), Encoding::Json, 100, port.clone());
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(socket.began_at(), None);
    for (read, byte) in (1..).zip(&MESSAGE[..7]) {
        written(&mut client, &[*byte]).await;
        assert!(socket.received_now().await.is_none());
        assert_eq!(socket.heard_at(), after(read));
        assert_eq!(socket.began_at(), Some(after(1)));
    }
    written(&mut client, &MESSAGE[7..]).await;
    let received = socket.received_now().await;
    assert!(
        matches!(received, Some(Received::Message(_))),
        "{received:?}"
    );
    assert_eq!(socket.began_at(), None);

    written(&mut client, PONG).await;
    let received = socket.received_now().await;
    assert_eq!(received, Some(Received::Alive));
    assert!(socket.received_now().await.is_none());
    assert_eq!((socket.heard_at(), socket.began_at()), (after(9), None));

    // While the client does not take what is there, it is not read.
    written(&mut client, &MESSAGE[..3]).await;
    assert!(socket.received_now().await.is_none());
    assert_eq!(socket.began_at(), Some(after(10)));
    port.send(vec![b'x'; 101].into());
    assert!(socket.received_now().await.is_none());
    assert_eq!(socket.began_at(), None);
}
