//! Whose connection it is that a proxy has made: its header is read off the stream, and
//! nothing that follows it.
//!
//! Owns nothing once it is done.

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::header::{self, FIXED_BYTES, HeaderFault, Progress};

/// How long a proxy may take for its header: it sends it at once, in one piece.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a proxy's connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArrivalFault {
    /// Its header is not what it has to be.
    #[error(transparent)]
    Header(#[from] HeaderFault),
    /// It did not come whole in time.
    #[error("the header did not come within {HEADER_TIMEOUT:?}")]
    Late,
    /// The connection ended before it.
    #[error("the connection ended before its header")]
    Ended,
}

impl ArrivalFault {
    /// The reason under which it is counted.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Header(fault) => fault.reason(),
            Self::Late => "proxy_header_timeout",
            Self::Ended => "proxy_header_absent",
        }
    }
}

/// Reads the header of a proxy's connection; answers whose it is: a client's, or the
/// proxy's own. Not cancel safe: what was read of the stream is lost.
///
/// # Errors
/// [`ArrivalFault`].
pub async fn client<S: AsyncRead + Unpin>(
    stream: &mut S,
    proxy: IpAddr,
) -> Result<IpAddr, ArrivalFault> {
    let read = timeout(HEADER_TIMEOUT, whole(stream, proxy)).await;
    read.unwrap_or(Err(ArrivalFault::Late))
}

async fn whole<S: AsyncRead + Unpin>(
    stream: &mut S,
    proxy: IpAddr,
) -> Result<IpAddr, ArrivalFault> {
    let mut bytes = Vec::with_capacity(FIXED_BYTES);
    loop {
        let needed = match header::read(&bytes)? {
            Progress::Client(client) => return Ok(client),
            Progress::Proxy => return Ok(proxy),
            Progress::More(needed) => needed,
        };
        let missing = needed.saturating_sub(bytes.len()) as u64;
        match (&mut *stream).take(missing).read_buf(&mut bytes).await {
            Ok(read) if read > 0 => {}
            // An error means that the peer broke off.
            Ok(_) | Err(_) => return Err(ArrivalFault::Ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::time::Instant;

    use super::*;

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const HEADER: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01\0\x01\0\x02";

    #[tokio::test(start_paused = true)]
    async fn what_follows_the_header_stays_in_the_stream() {
        for piece in [1, 7, 1_000] {
            let (mut peer, mut stream) = duplex(1_000);
            let sending = async {
                let all = [HEADER, b"GET / HTTP/1.1\r\n"].concat();
                for part in all.chunks(piece) {
                    peer.write_all(part).await.unwrap();
                    tokio::task::yield_now().await;
                }
                drop(peer);
            };
            let reading = async {
                let client = client(&mut stream, PROXY).await;
                assert_eq!(client, Ok("203.0.113.7".parse().unwrap()));
                let mut rest = String::new();
                stream.read_to_string(&mut rest).await.unwrap();
                assert_eq!(rest, "GET / HTTP/1.1\r\n");
            };
            tokio::join!(sending, reading);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_within_and_beyond_its_time() {
        for (wait, expected) in [
            (HEADER_TIMEOUT / 2, Ok("203.0.113.7".parse().unwrap())),
            (HEADER_TIMEOUT * 2, Err(ArrivalFault::Late)),
        ] {
            let (mut peer, mut stream) = duplex(1_000);
            let start = Instant::now();
            peer.write_all(&HEADER[..20]).await.unwrap();
            let sending = async {
                tokio::time::sleep(wait).await;
                // It may have been cut off by then.
                let _ = peer.write_all(&HEADER[20..]).await;
            };
            let reading = async {
                let read = client(&mut stream, PROXY).await;
                assert!(start.elapsed() <= HEADER_TIMEOUT);
                read
            };
            assert_eq!(tokio::join!(sending, reading).1, expected);
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_early_has_none() {
        let (mut peer, mut stream) = duplex(1_000);
        peer.write_all(&HEADER[..20]).await.unwrap();
        drop(peer);
        assert_eq!(client(&mut stream, PROXY).await, Err(ArrivalFault::Ended));
    }
}
