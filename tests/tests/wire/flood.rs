//! More than a hundred thousand broken frames on many connections: nothing panics,
//! every answer is a documented one, memory stays bounded, and the node serves on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use client::{Named, Start};
use harness::Deployment;
use protocol::close_code::CloseCode;
use protocol::frame::{Action, Command, Connect, Encoding, Ping, decode_from_server, encode};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::garbage;
use super::mutate::Generator;
use super::socket::{self, BINARY, Got, Reader, TEXT, frame};

/// Messages of each encoding.
const MESSAGES: usize = 48_000;
/// Pieces that break the WebSocket protocol.
const PIECES: usize = 9_000;
/// Requests that are no handshake.
const REQUESTS: usize = 1_000;
/// Connections at a time of each kind.
const TASKS: usize = 4;
/// Messages of one session.
const SESSION_MESSAGES: usize = 120;
/// Pieces of one connection.
const CONNECTION_PIECES: usize = 3;
/// Unreadable frames that a session may send here: more than by default, so that a
/// session sees many different ones.
const BAD_FRAMES_MAX: u32 = 60;
/// Most bytes by which the process may have grown: the outboxes of all connections
/// at once, channels with their rings, and what the allocator keeps.
const GROWTH_BYTES_MAX: u64 = 384 << 20;
/// Id of the last command of a session.
const MARK: u64 = u64::MAX - 6;

/// What came back.
#[derive(Debug, Default)]
struct Tally {
    sent: usize,
    connections: usize,
    replies: usize,
    errors: BTreeMap<String, usize>,
    closes: BTreeMap<u16, usize>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.connections += other.connections;
        self.replies += other.replies;
        for (code, count) in other.errors {
            *self.errors.entry(code).or_default() += count;
        }
        for (code, count) in other.closes {
            *self.closes.entry(code).or_default() += count;
        }
    }
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap_or(0)
        << 10
}

/// Counts panics of any thread and task from now on.
fn count_panics() -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, before) = (Arc::clone(&count), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        counted.fetch_add(1, Ordering::SeqCst);
        before(panic);
    }));
    count
}

fn is_documented(code: u16) -> bool {
    CloseCode::ALL.iter().any(|known| known.number() == code)
}

/// Reads until the session's last reply, or its end. `own_close`: the client may have
/// closed, and gets its own code back.
async fn read(mut reader: Reader, encoding: Encoding, own_close: bool, done: &Notify) -> Tally {
    let mut tally = Tally::default();
    loop {
        match harness::wait::within("the node answers or closes", reader.next()).await {
            Got::Message(bytes) => {
                let (frames, error) = decode_from_server(encoding, &bytes);
                assert!(
                    error.is_none(),
                    "the node sent what is no frame: {error:?}: {bytes:?}"
                );
                for answer in frames {
                    tally.replies += usize::from(answer.id.is_some());
                    if let Some(error) = &answer.error {
                        *tally
                            .errors
                            .entry(harness::writer::code_text(error.code))
                            .or_default() += 1;
                    }
                    if answer.id == Some(MARK) {
                        done.notify_one();
                        return tally;
                    }
                }
            }
            Got::Ping | Got::Pong(_) => {}
            Got::Close(code, reason) => {
                assert!(
                    is_documented(code) || (own_close && code < 4000),
                    "closed with {code} {reason:?}"
                );
                *tally.closes.entry(code).or_default() += 1;
                done.notify_one();
                return tally;
            }
            Got::End => {
                done.notify_one();
                return tally;
            }
        }
    }
}

/// Writes a session's messages; a write fails when the node has closed.
async fn write(mut half: OwnedWriteHalf, messages: Vec<Vec<u8>>, done: &Notify) {
    for message in messages {
        if half.write_all(&message).await.is_err() {
            return;
        }
    }
    // The half stays open until the answers are there.
    done.notified().await;
}

fn session(
    generator: &mut Generator,
    encoding: Encoding,
    token: &str,
    count: usize,
) -> Vec<Vec<u8>> {
    let first = if encoding == Encoding::Json {
        TEXT
    } else {
        BINARY
    };
    let masked = |bytes: &[u8]| frame(first, bytes, Some([9, 8, 7, 6]));
    let command = |id, action| masked(&encode(encoding, &Command::new(id, action)));
    let mut messages = Vec::with_capacity(count + 2);
    if generator.rng().random_ratio(9, 10) {
        let client = format!("flood{}", generator.rng().random_range(0..50));
        messages.push(command(0, Action::Connect(Connect::new(token, client))));
    }
    messages.extend((0..count).map(|_| masked(&generator.message())));
    messages.push(command(MARK, Action::Ping(Ping {})));
    messages
}

async fn flood_messages(
    address: SocketAddr,
    encoding: Encoding,
    seed: u64,
    token: String,
) -> Tally {
    let mut generator = Generator::new(seed, encoding, &token);
    let mut total = Tally::default();
    while total.sent < MESSAGES / TASKS {
        let messages = session(&mut generator, encoding, &token, SESSION_MESSAGES);
        let (reader, half) = socket::open(address, Some(encoding.protocol()))
            .await
            .expect("the node takes connections");
        let done = Notify::new();
        let (_, tally) = tokio::join!(
            write(half, messages, &done),
            read(reader, encoding, false, &done)
        );
        total.add(Tally {
            sent: SESSION_MESSAGES,
            connections: 1,
            ..tally
        });
    }
    total
}

async fn flood_pieces(address: SocketAddr, seed: u64, token: String) -> Tally {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut total = Tally::default();
    while total.sent < PIECES / TASKS {
        let (reader, mut half) = socket::open(address, Some(Encoding::Json.protocol()))
            .await
            .expect("the node takes connections");
        let connect = Command::new(0, Action::Connect(Connect::new(token.clone(), "pieces")));
        let mut pieces = vec![frame(TEXT, &encode(Encoding::Json, &connect), Some([1; 4]))];
        pieces.extend((0..CONNECTION_PIECES).map(|_| garbage::piece(&mut rng)));
        let done = Notify::new();
        let writing = async {
            for piece in pieces {
                if half.write_all(&piece).await.is_err() {
                    return;
                }
            }
            // A frame that was announced and not sent would be waited for.
            let _ = half.shutdown().await;
        };
        let ((), tally) = tokio::join!(writing, read(reader, Encoding::Json, true, &done));
        total.add(Tally {
            sent: CONNECTION_PIECES,
            connections: 1,
            ..tally
        });
    }
    total
}

async fn flood_requests(address: SocketAddr, seed: u64) -> Tally {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut total = Tally::default();
    for _ in 0..REQUESTS / TASKS {
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the node takes connections");
        let request = garbage::request(&mut rng);
        let mut answer = Vec::new();
        // The node may have answered and closed before it was told everything.
        let exchange = async {
            let _ = stream.write_all(&request).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut answer).await;
        };
        harness::wait::within("the node answers a bad request", exchange).await;
        assert!(
            !answer.starts_with(b"HTTP/1.1 101"),
            "no handshake was sent"
        );
        total.add(Tally {
            sent: 1,
            connections: 1,
            ..Tally::default()
        });
    }
    total
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_broken_frames_breaks_nothing() {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[])
        .workers(0)
        .edges(1);
    let builder = builder.edge_config(|_, config| {
        config.limits.bad_frames_max = BAD_FRAMES_MAX;
        // What a rate refuses goes no further.
        for rate in [&mut config.limits.connection, &mut config.limits.user] {
            rate.operations_per_second = u64::MAX;
        }
        config.limits.tenant.operations_per_second = u64::MAX;
        config.limits.subscribes_per_second = u64::MAX;
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let panics = count_panics();
    let (address, seed) = (deployment.edges[0].address(), deployment.seed);
    let before = resident_bytes();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS as u64 {
        let (seed, token) = (seed.wrapping_add(task), deployment.token("flood"));
        tasks.spawn(flood_messages(address, Encoding::Json, seed, token.clone()));
        tasks.spawn(flood_messages(
            address,
            Encoding::Msgpack,
            !seed,
            token.clone(),
        ));
        tasks.spawn(flood_pieces(address, seed, token));
        tasks.spawn(flood_requests(address, seed));
    }
    let mut total = Tally::default();
    while let Some(tally) = tasks.join_next().await {
        total.add(tally.unwrap_or_else(|error| panic!("seed {seed}: {error}")));
    }
    let growth = resident_bytes().saturating_sub(before);
    println!("seed {seed}: {total:?}; grown by {} MiB", growth >> 20);
    assert!(
        total.sent >= 100_000 && total.errors.contains_key("bad_frame"),
        "{total:?}"
    );
    assert!(growth < GROWTH_BYTES_MAX, "grown by {growth} bytes");

    let mut reader = deployment
        .follow(&[0], "bob", "chat.after", Start::Named(Named::Now))
        .await;
    let mut writer = deployment.writer(&[0], "ann").await;
    for n in 0..20 {
        writer.start("chat.after", format!("[{n}]")).await.unwrap();
    }
    assert_eq!(writer.settle_all().await, 20);
    reader.received(20).await;
    reader.leave().await;
    assert_eq!(
        panics.load(Ordering::SeqCst),
        0,
        "something panicked; seed {seed}"
    );
    deployment.stop().await;
}
