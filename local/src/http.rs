//! One GET request, as probes of readiness and metrics need it. Owns nothing.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest answer that is read, in bytes: metrics of a busy node are a tenth of it.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// How long an answer may take, from this machine to itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The whole answer to a GET request, status line and headers included.
///
/// # Errors
/// Nobody listens there, the connection breaks, or no answer comes in time.
pub async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    tokio::time::timeout(ANSWER_TIMEOUT, ask(address, path)).await?
}

async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Whether `/readyz` there says that it serves; else what it says.
///
/// # Errors
/// The reason, in words.
pub async fn ready(address: SocketAddr) -> Result<(), String> {
    let answer = get(address, "/readyz").await;
    let answer = answer.map_err(|error| format!("{address}: {error}"))?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim());
    let told = body.filter(|body| !body.is_empty()).unwrap_or(&answer);
    Err(format!("{address} says: {told}"))
}
