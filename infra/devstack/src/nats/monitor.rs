//! What a nats-server tells of itself on its monitoring port. Owns one connection for
//! the length of a call; knows nothing of processes, and nothing of who asks.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::Value;

/// Longest wait for one answer; the caller asks again until its own deadline.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer accepted; one with hundreds of streams is under a megabyte.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// One server's view of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamView {
    /// Name of the stream.
    pub name: String,
    /// Name of the server that leads it; `None` while nobody does, and where there is
    /// no cluster.
    pub leader: Option<String>,
    /// The copies that this server does not hold itself.
    pub replicas: Vec<Replica>,
    /// The first and the last sequence of the copy that it holds; a follower's may lag.
    pub held: (u64, u64),
}

/// A copy of a stream, or a member of the meta group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The server that holds it.
    pub name: String,
    /// Whether it has everything.
    pub current: bool,
}

/// The meta group as one server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MetaView {
    /// Who leads it.
    pub leader: Option<String>,
    /// Members, this server included.
    pub size: u64,
    /// The other members; only the leader knows them.
    pub replicas: Vec<Replica>,
}

/// Succeeds if the server says that everything it holds is up to date.
pub(super) fn healthy(monitor: &str) -> io::Result<()> {
    let answer = get(monitor, "/healthz")?;
    match answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200") {
        true => Ok(()),
        false => Err(io::Error::other(body(&answer).trim().to_owned())),
    }
}

/// The streams of all accounts.
pub(super) fn streams(monitor: &str) -> io::Result<Vec<StreamView>> {
    let told = json(monitor, "/jsz?accounts=true&streams=true")?;
    let accounts = told["account_details"].as_array().into_iter().flatten();
    let streams = accounts.flat_map(|account| account["stream_detail"].as_array());
    Ok(streams.flatten().map(view).collect())
}

/// The meta group; an error where there is no cluster.
pub(super) fn meta(monitor: &str) -> io::Result<MetaView> {
    let told = json(monitor, "/jsz")?;
    let meta = &told["meta_cluster"];
    let size = meta["cluster_size"].as_u64();
    Ok(MetaView {
        leader: leader(meta),
        size: size.ok_or_else(|| io::Error::other("there is no meta group"))?,
        replicas: replicas(meta),
    })
}

fn view(stream: &Value) -> StreamView {
    let (cluster, state) = (&stream["cluster"], &stream["state"]);
    let seq = |which: &str| state[which].as_u64().unwrap_or_default();
    StreamView {
        name: stream["name"].as_str().unwrap_or_default().to_owned(),
        leader: leader(cluster),
        replicas: replicas(cluster),
        held: (seq("first_seq"), seq("last_seq")),
    }
}

fn leader(group: &Value) -> Option<String> {
    let name = group["leader"].as_str().filter(|name| !name.is_empty());
    name.map(str::to_owned)
}

fn replicas(group: &Value) -> Vec<Replica> {
    let replicas = group["replicas"].as_array().into_iter().flatten();
    let replica = |replica: &Value| Replica {
        name: replica["name"].as_str().unwrap_or_default().to_owned(),
        current: replica["current"] == true && replica["offline"] != true,
    };
    replicas.map(replica).collect()
}

fn json(monitor: &str, path: &str) -> io::Result<Value> {
    serde_json::from_str(body(&get(monitor, path)?)).map_err(io::Error::other)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The whole answer. HTTP/1.0, so that it comes in one piece.
fn get(monitor: &str, path: &str) -> io::Result<String> {
    let unknown = || io::Error::other(format!("{monitor} names no address"));
    let address = monitor.to_socket_addrs()?.next().ok_or_else(unknown)?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {monitor}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}
