//! Connections that come through a proxy: whose they are is what its header says, and
//! only where proxies are known.

use std::net::SocketAddr;

use harness::pki::Authority;
use harness::{Deployment, RawSession, wait};
use protocol::frame::Encoding;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::version::TLS13;

use super::door::{ADDRESS_MAX, BOTH, PROXIED, TLS};
use super::tls::{agree, metric};

/// What a header begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// A request that closes its connection.
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";
/// How long a header may be, bytes.
const HEADER_BYTES_MAX: usize = 2_048;

/// A header of version 2: `command` 0 is the proxy's own connection, 1 a client's.
fn header(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = (addresses.len() as u16).to_be_bytes();
    let fixed = [0x20 | command, family, length[0], length[1]];
    [SIGNATURE, &fixed, addresses].concat()
}

/// The header of a client of IPv4.
fn client(last: u8) -> Vec<u8> {
    header(
        1,
        0x11,
        &[203, 0, 113, last, 192, 0, 2, 1, 0x30, 0x39, 0x01, 0xbb],
    )
}

/// The header of a client of IPv6, of a site.
fn client_v6(site: u8, host: u8) -> Vec<u8> {
    let mut addresses = [0; 36];
    addresses[..8].copy_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, site]);
    addresses[15] = host;
    header(1, 0x21, &addresses)
}

async fn opened(address: SocketAddr, header: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(header).await.unwrap();
    stream
}

/// What a connection is answered that begins with these bytes.
async fn answer(address: SocketAddr, begins: &[u8]) -> String {
    let mut stream = opened(address, begins).await;
    let mut answer = Vec::new();
    // The node may have closed by then; a reset is an end too.
    let exchange = async {
        let _ = stream.write_all(REQUEST).await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    wait::within("the node answers or closes", exchange).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// What is let in behind a proxy, what is not, and what counts.
pub async fn check(deployment: &Deployment, authority: &Authority) {
    headers(deployment).await;
    addresses(deployment).await;
    tls_behind(deployment, authority).await;
}

async fn headers(deployment: &Deployment) {
    let address = deployment.edges[PROXIED].address();
    let more = [client(1)[16..].to_vec(), vec![4; 40]].concat();
    for fine in [
        client(1),
        client_v6(1, 1),
        header(1, 0x11, &more),
        header(0, 0, &[]),
    ] {
        let answer = answer(address, &fine).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{fine:02x?}: {answer}");
    }
    let health = deployment.edges[PROXIED].health();
    for (wrong, reason) in [
        (b"".to_vec(), "proxy_header_absent"),
        (
            b"PROXY TCP4 203.0.113.1 192.0.2.1 1 2\r\n".to_vec(),
            "proxy_header_version",
        ),
        (header(2, 0x11, &[0; 12]), "proxy_header"),
        (header(1, 0x11, &[0; 11]), "proxy_header"),
        (
            header(1, 0x11, &vec![4; HEADER_BYTES_MAX]),
            "proxy_header_length",
        ),
    ] {
        let name = format!(r#"edge_rejected_connections_total{{reason="{reason}"}}"#);
        let before = metric(health, &name).await.unwrap_or(0.0);
        assert_eq!(answer(address, &wrong).await, "", "{reason}");
        wait::until("it is counted", async || {
            match metric(health, &name).await {
                Some(count) if count > before => Ok(()),
                other => Err(format!("{reason}: {before} before, {other:?} now")),
            }
        })
        .await;
    }
    // Where no proxy is known a header is only a request that nobody can read: nobody
    // makes himself somebody else by it.
    let direct = answer(deployment.edges[TLS].address(), &client(1)).await;
    assert!(!direct.starts_with("HTTP/1.1 200"), "{direct}");
}

/// Each client has its own places, whoever its proxy is.
async fn addresses(deployment: &Deployment) {
    let address = deployment.edges[PROXIED].address();
    let token = deployment.token("proxied");
    let session = async |header: Vec<u8>| -> anyhow::Result<RawSession> {
        let stream = opened(address, &header).await;
        let mut session = RawSession::over(stream, "edge", Encoding::Json).await?;
        session.connect(&token, "c1").await?;
        Ok(session)
    };
    let mut held = Vec::new();
    for other in [client(10), client(11), client_v6(7, 0)] {
        for _ in 0..ADDRESS_MAX {
            held.push(session(other.clone()).await.expect("there is room"));
        }
        let more = session(other).await;
        assert!(more.is_err(), "the address has more than its places");
    }
    // Another host of the same site; and another site.
    assert!(session(client_v6(7, 9)).await.is_err());
    held.push(session(client_v6(8, 9)).await.expect("there is room"));
    // The proxy's own are counted as its own.
    held.push(session(header(0, 0, &[])).await.expect("there is room"));
    held.drain(..ADDRESS_MAX);
    wait::until("there is room again", async || {
        let again = session(client(10)).await;
        again.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

/// The header comes first, TLS inside.
async fn tls_behind(deployment: &Deployment, authority: &Authority) {
    let address = deployment.edges[BOTH].address();
    let stream = opened(address, &client(20)).await;
    let stream = agree(stream, authority.client(&[&TLS13]), "localhost").await;
    let opened = RawSession::over(stream.unwrap(), "localhost", Encoding::Msgpack).await;
    let mut session = opened.expect("the node upgrades");
    let connected = session.connect(&deployment.token("both"), "c1").await;
    connected.expect("a valid token");
    // TLS without a header is no header.
    let bare = TcpStream::connect(address).await.unwrap();
    assert!(
        agree(bare, authority.client(&[&TLS13]), "localhost")
            .await
            .is_err()
    );
}
