//! The few bytes of Kafka's protocol that show whether a broker answers. Owns
//! one connection for the length of a call; knows nothing of processes.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Longest wait for one answer; the caller asks again until its own deadline.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer accepted; this one is about 400 bytes.
const ANSWER_BYTES_MAX: u32 = 64 * 1024;
/// Number that the answer must repeat.
const CORRELATION: i32 = 0x0e_dd_11;
/// Request "ApiVersions", version 0: length, key, version, correlation, and a
/// null client id. Every broker answers it, on a connection without a login.
const REQUEST: [u8; 14] = {
    let c = CORRELATION.to_be_bytes();
    [0, 0, 0, 10, 0, 18, 0, 0, c[0], c[1], c[2], c[3], 0xff, 0xff]
};

/// Request "FindCoordinator", version 1: its key, and the kind of coordinator that
/// looks after transactions.
const FIND_COORDINATOR: i16 = 10;
const TRANSACTION: u8 = 1;

/// Succeeds if a Kafka broker answers at `address` (`host:port`).
pub(crate) fn api_versions(address: &str) -> io::Result<()> {
    let answer = ask(address, &REQUEST)?;
    match answer.first_chunk() {
        Some([0, 0]) => Ok(()),
        other => Err(io::Error::other(format!("kafka answers error {other:?}"))),
    }
}

/// The number of the broker that looks after a transactional id.
pub(crate) fn transaction_coordinator(address: &str, id: &str) -> io::Result<i32> {
    let long = |_| io::Error::other("the transactional id is too long");
    let mut body = Vec::new();
    body.extend(FIND_COORDINATOR.to_be_bytes());
    body.extend(1_i16.to_be_bytes());
    body.extend(CORRELATION.to_be_bytes());
    body.extend([0xff, 0xff]);
    body.extend(u16::try_from(id.len()).map_err(long)?.to_be_bytes());
    body.extend(id.as_bytes());
    body.push(TRANSACTION);
    let mut request = u32::try_from(body.len())
        .map_err(long)?
        .to_be_bytes()
        .to_vec();
    request.extend(body);
    let answer = ask(address, &request)?;
    coordinator(&answer).ok_or_else(|| io::Error::other("kafka knows no coordinator yet"))
}

/// Throttle time, error code, error text (null has length -1), number of the node.
fn coordinator(answer: &[u8]) -> Option<i32> {
    let (head, rest) = answer.split_at_checked(8)?;
    let text = i16::from_be_bytes([head[6], head[7]]).max(0);
    let node = rest.get(usize::try_from(text).ok()?..)?.first_chunk()?;
    (head[4..6] == [0, 0]).then(|| i32::from_be_bytes(*node))
}

/// Sends a request and returns what follows the correlation.
fn ask(address: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let unknown = || io::Error::other(format!("{address} names no address"));
    let address = address.to_socket_addrs()?.next().ok_or_else(unknown)?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(request)?;

    let foreign = || io::Error::other("the answer is not one of Kafka's");
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    // Correlation and error code at least.
    if !(6..=ANSWER_BYTES_MAX).contains(&length) {
        return Err(foreign());
    }
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer)?;
    match answer.split_first_chunk() {
        Some((correlation, rest)) if *correlation == CORRELATION.to_be_bytes() => Ok(rest.to_vec()),
        _ => Err(foreign()),
    }
}
