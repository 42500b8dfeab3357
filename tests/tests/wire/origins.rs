//! Web pages that may use a node, and others: on the WebSocket and over HTTP, with a token
//! that is good.

use std::net::SocketAddr;

use harness::{Deployment, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The one origin that these nodes allow.
pub const ALLOWED: &str = "https://app.example.org";

/// The status that a request is answered with.
async fn status(address: SocketAddr, request: String) -> u16 {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n") && stream.read_buf(&mut head).await? > 0 {
            if head.contains(&b'\n') {
                break;
            }
        }
        std::io::Result::Ok(String::from_utf8_lossy(&head).into_owned())
    };
    let head = wait::within("the node answers", asked).await;
    let head = head.expect("the node takes connections");
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
    status.unwrap_or_else(|| panic!("{head}"))
}

fn upgrade(address: SocketAddr, origin: &str) -> String {
    format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{origin}\r\n"
    )
}

fn publish(address: SocketAddr, token: &str, origin: &str) -> String {
    let body = r#"{"channel":"chat.origin","client":"page","n":1,"data":1}"#;
    format!(
        "POST /v1/publish HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {}\r\n{origin}\r\n{body}",
        body.len()
    )
}

/// Asks from everywhere.
pub async fn check(deployment: &Deployment) {
    let (address, token) = (deployment.edges[0].address(), deployment.token("ann"));
    let allowed = format!("Origin: {ALLOWED}\r\n");
    for (origin, fine) in [
        ("", true),
        (allowed.as_str(), true),
        ("Origin: https://evil.example.org\r\n", false),
        ("Origin: null\r\n", false),
    ] {
        let (socket, http) = (
            status(address, upgrade(address, origin)).await,
            status(address, publish(address, &token, origin)).await,
        );
        let expected = if fine { (101, 200) } else { (403, 403) };
        assert_eq!((socket, http), expected, "{origin:?}");
        let health = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n{origin}\r\n");
        assert_eq!(status(address, health).await, 200, "{origin:?}");
    }
}
