//! Asks a nats-server, in its own protocol, whether it serves. Owns one
//! connection for the length of a call; knows nothing of processes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::settings::NatsUser;

/// Longest wait for one answer; the caller asks again until its own deadline.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest line accepted; INFO is about 500 bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Succeeds once a client is served and JetStream is enabled.
pub(super) fn ready(client: &str, monitor: &str, user: Option<&NatsUser>) -> io::Result<()> {
    ping(client, user)?;
    jetstream_enabled(monitor)
}

/// Succeeds if something at `address` greets as a NATS server does.
pub(crate) fn greet(address: &str) -> io::Result<()> {
    let mut reader = BufReader::new(connect(address)?);
    expect(&mut reader, "INFO ").map(drop)
}

/// A whole handshake as `user`, ended by PING and PONG. With a server that speaks TLS
/// alone it ends with the greeting, which comes when it serves.
fn ping(address: &str, user: Option<&NatsUser>) -> io::Result<()> {
    let mut reader = BufReader::new(connect(address)?);
    let greeting = expect(&mut reader, "INFO ")?;
    if greeting.contains("\"tls_required\":true") {
        return Ok(());
    }
    let mut connect = serde_json::json!({
        "verbose": false, "pedantic": false, "lang": "rust", "version": "1",
    });
    if let Some(user) = user {
        connect["user"] = user.name.as_str().into();
        connect["pass"] = user.password.as_str().into();
    }
    let hello = format!("CONNECT {connect}\r\nPING\r\n");
    reader.get_mut().write_all(hello.as_bytes())?;
    expect(&mut reader, "PONG").map(drop)
}

fn jetstream_enabled(monitor: &str) -> io::Result<()> {
    let mut stream = connect(monitor)?;
    let request = format!(
        "GET /healthz?js-enabled-only=true HTTP/1.1\r\nHost: {monitor}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    expect(&mut BufReader::new(stream), "HTTP/1.1 200").map(drop)
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let unknown = || io::Error::other(format!("{address} names no address"));
    let address = address.to_socket_addrs()?.next().ok_or_else(unknown)?;
    let stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}

/// Reads one line, which must start with `prefix`.
fn expect(reader: &mut BufReader<TcpStream>, prefix: &str) -> io::Result<String> {
    let mut line = String::new();
    reader.take(LINE_BYTES_MAX).read_line(&mut line)?;
    if line.starts_with(prefix) {
        return Ok(line);
    }
    let line = line.trim_end();
    Err(io::Error::other(format!(
        "expected {prefix:?}, was answered {line:?}"
    )))
}
