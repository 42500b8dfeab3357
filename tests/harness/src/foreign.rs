//! Some other program that stores messages in our streams, over a bare socket: with
//! header blocks that no client library would send.
//!
//! Owns nothing; each message has a connection of its own.

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::wait;

/// Where the acknowledgement comes.
const INBOX: &str = "_INBOX_foreign.1";

/// A header block: its first line and its lines, with their ends.
pub fn block(version: &[u8], lines: &[&[u8]]) -> Vec<u8> {
    let mut block = [version, b"\r\n"].concat();
    for line in lines {
        block.extend_from_slice(line);
        block.extend_from_slice(b"\r\n");
    }
    block.extend_from_slice(b"\r\n");
    block
}

/// Stores a message; its sequence. `url` is `nats://host:port`, where whoever gives no
/// name may write everything; the first one where there are several.
///
/// # Errors
/// The server cannot be reached, or the message is not stored.
pub async fn store(url: &str, subject: &str, block: &[u8], payload: &[u8]) -> anyhow::Result<u64> {
    wait::within(
        "the message is stored",
        store_now(url, subject, block, payload),
    )
    .await
}

async fn store_now(url: &str, subject: &str, block: &[u8], payload: &[u8]) -> anyhow::Result<u64> {
    let first = url.split(',').next().unwrap_or_default();
    let address = first.trim_start_matches("nats://");
    let mut socket = BufReader::new(TcpStream::connect(address).await?);
    let (headers, all) = (block.len(), block.len() + payload.len());
    let connect =
        r#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
    let mut bytes =
        format!("{connect}\r\nSUB {INBOX} 1\r\nHPUB {subject} {INBOX} {headers} {all}\r\n")
            .into_bytes();
    bytes.extend_from_slice(block);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(b"\r\n");
    socket.write_all(&bytes).await?;
    let mut line = String::new();
    loop {
        line.clear();
        if socket.read_line(&mut line).await? == 0 {
            bail!("the server hung up");
        }
        if line.starts_with("-ERR") || line.starts_with("HMSG") {
            bail!("refused: {line}");
        }
        if line.starts_with("MSG") {
            break;
        }
    }
    let length = line.split_whitespace().last().context("a length")?;
    let mut answer = vec![0; length.parse()?];
    socket.read_exact(&mut answer).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    answer["seq"]
        .as_u64()
        .with_context(|| format!("not stored: {answer}"))
}
