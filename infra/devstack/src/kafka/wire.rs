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

/// Succeeds if a Kafka broker answers at `address` (`host:port`).
pub(crate) fn api_versions(address: &str) -> io::Result<()> {
    let unknown = || io::Error::other(format!("{address} names no address"));
    let address = address.to_socket_addrs()?.next().ok_or_else(unknown)?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(&REQUEST)?;

    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    // Correlation, error code and the number of entries.
    if !(10..=ANSWER_BYTES_MAX).contains(&length) {
        return Err(io::Error::other("the answer is not one of Kafka's"));
    }
    let mut head = [0; 6];
    stream.read_exact(&mut head)?;
    let (correlation, error) = head.split_at(4);
    if correlation != CORRELATION.to_be_bytes() {
        return Err(io::Error::other("the answer is not one of Kafka's"));
    }
    match error {
        [0, 0] => Ok(()),
        _ => Err(io::Error::other(format!("kafka answers error {error:?}"))),
    }
}
