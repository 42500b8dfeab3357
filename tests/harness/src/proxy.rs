//! A TCP proxy between any two parts, which can be made to behave like a bad network:
//! cut, held, swallowed (each way by itself), late, slow.
//!
//! Owns its port, its connections and the one state that they all follow. What goes
//! through it, it does not know.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use devstack::port::Lease;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Bytes of one read.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks under way in one direction of a connection: what a late network holds, and
/// 1 MiB at most. Policy: nothing more is read, so that the sender's own buffers fill.
const CHUNKS_MAX: usize = 64;
/// Receive buffer towards whoever connects; the system doubles it. Its own choice is
/// megabytes, which would count as sent although they are held.
const RECEIVE_BYTES: u32 = 64 * 1024;
/// Connections that wait to be accepted; tests open hundreds at once.
const BACKLOG: u32 = 1_024;
/// Pause before accepting again when that has failed: out of descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From whoever has connected to the proxy.
    ToTarget,
    /// Back to whoever has connected.
    ToClient,
}

impl Direction {
    /// Both ways.
    pub const BOTH: [Self; 2] = [Self::ToTarget, Self::ToClient];
}

/// What happens to bytes of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Passage {
    #[default]
    Open,
    /// Nothing is read: it waits with its sender and goes on later, as on a network
    /// that loses packets for a while.
    Held,
    /// Read and thrown away. A connection that has lost bytes so is closed when the
    /// way opens: nobody could make sense of the rest.
    Swallowed,
}

/// How one direction is.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    passage: Passage,
    delay: Duration,
    bytes_per_second: Option<u64>,
}

/// How the proxy is now.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    to_target: Way,
    to_client: Way,
    closed: bool,
    /// Whoever says this in its first bytes is not let through.
    barred: Option<&'static str>,
    /// Connections of before a cut are closed, even if it is healed by then.
    cuts: u64,
}

impl Weather {
    fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::ToTarget => &self.to_target,
            Direction::ToClient => &self.to_client,
        }
    }

    fn way_mut(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::ToTarget => &mut self.to_target,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// What has gone through.
#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    to_target: AtomicU64,
    to_client: AtomicU64,
}

impl Counts {
    fn bytes(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::ToTarget => &self.to_target,
            Direction::ToClient => &self.to_client,
        }
    }
}

/// A proxy in front of one address. Dropping it closes its connections.
#[derive(Debug)]
pub struct Proxy {
    port: Lease,
    weather: watch::Sender<Weather>,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port and leads to `target` (`host:port`), which need not be
    /// there yet. Must be called within a Tokio runtime.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn to(target: impl Into<String>) -> Self {
        let port = Lease::free().expect("a port is free");
        let (weather, now) = watch::channel(Weather::default());
        let counts = Arc::<Counts>::default();
        let accepting = accept(
            listen(&port).expect("a leased port can be listened on"),
            target.into(),
            now,
            Arc::clone(&counts),
        );
        Self {
            port,
            weather,
            counts,
            accepting: tokio::spawn(accepting),
        }
    }

    /// `127.0.0.1:port`, where whoever should come through it connects.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Closes every connection, and new ones at once, until [`Self::heal`].
    pub fn cut(&self) {
        self.weather.send_modify(|weather| {
            weather.closed = true;
            weather.cuts += 1;
        });
    }

    /// Closes every connection; new ones pass.
    pub fn reset(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Closes every new connection whose first bytes from the client hold this, until
    /// [`Self::heal`]: one kind of connection is away, others pass.
    pub fn bar(&self, words: &'static str) {
        self.weather
            .send_modify(|weather| weather.barred = Some(words));
    }

    /// Lets nothing through in these directions and tells nobody. What is sent
    /// meanwhile waits with its sender, as far as the buffers go, and arrives after
    /// [`Self::heal`] if both sides still hold the connection.
    pub fn hold(&self, directions: &[Direction]) {
        self.set_passage(directions, Passage::Held);
    }

    /// Takes everything in these directions and throws it away. Connections that have
    /// lost something so are closed by [`Self::heal`].
    pub fn swallow(&self, directions: &[Direction]) {
        self.set_passage(directions, Passage::Swallowed);
    }

    fn set_passage(&self, directions: &[Direction], passage: Passage) {
        self.weather.send_modify(|weather| {
            for direction in directions {
                weather.way_mut(*direction).passage = passage;
            }
        });
    }

    /// Every byte arrives so much later, each way; order is kept.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| {
            weather.to_target.delay = delay;
            weather.to_client.delay = delay;
        });
    }

    /// Each connection gets so many bytes a second through, each way.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.weather.send_modify(|weather| {
            weather.to_target.bytes_per_second = Some(bytes_per_second);
            weather.to_client.bytes_per_second = Some(bytes_per_second);
        });
    }

    /// Good weather again.
    pub fn heal(&self) {
        self.weather.send_modify(|weather| {
            *weather = Weather {
                cuts: weather.cuts,
                ..Weather::default()
            };
        });
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// Bytes that have been passed on in this direction.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.counts.bytes(direction).load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Connections end with the state that they follow.
        self.accepting.abort();
    }
}

/// With small receive buffers, which accepted connections inherit: what is held waits
/// with its sender.
fn listen(port: &Lease) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port.port())))?;
    socket.listen(BACKLOG)
}

async fn accept(
    listener: TcpListener,
    target: String,
    weather: watch::Receiver<Weather>,
    counts: Arc<Counts>,
) {
    loop {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::warn!(%error, "a proxy cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (target, weather, counts) = (target.clone(), weather.clone(), Arc::clone(&counts));
        if !weather.borrow().closed {
            tokio::spawn(connection(client, target, weather, counts));
        }
    }
}

/// One connection, until an end closes it, or a cut does.
async fn connection(
    client: TcpStream,
    target: String,
    mut weather: watch::Receiver<Weather>,
    counts: Arc<Counts>,
) {
    let cuts = weather.borrow_and_update().cuts;
    let through = {
        let weather = weather.clone();
        let counts = Arc::clone(&counts);
        async move {
            let target = TcpStream::connect(target).await?;
            for end in [&client, &target] {
                end.set_nodelay(true)?;
            }
            let ((from_client, to_client), (from_target, to_target)) =
                (client.into_split(), target.into_split());
            let line = |direction| Line {
                direction,
                weather: weather.clone(),
                counts: Arc::clone(&counts),
            };
            // A side that has closed its half may still read.
            tokio::try_join!(
                line(Direction::ToTarget).run(from_client, to_target),
                line(Direction::ToClient).run(from_target, to_client),
            )
        }
    };
    counts.open.fetch_add(1, Ordering::Relaxed);
    tokio::select! {
        // How it ended concerns those at both ends, who see it.
        _ = through => {}
        // Also when the proxy is dropped. Nothing is lost that a cut would not lose.
        _ = weather.wait_for(|weather| weather.cuts != cuts) => {}
    }
    counts.open.fetch_sub(1, Ordering::Relaxed);
}

/// One direction of a connection.
struct Line {
    direction: Direction,
    weather: watch::Receiver<Weather>,
    counts: Arc<Counts>,
}

impl Line {
    async fn run(self, from: OwnedReadHalf, to: OwnedWriteHalf) -> std::io::Result<()> {
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        let (direction, weather) = (self.direction, self.weather.clone());
        tokio::try_join!(
            read(from, direction, weather, sender),
            self.write(to, chunks)
        )?;
        Ok(())
    }

    /// Passes on what was read, when it is due and the way is open.
    async fn write(
        mut self,
        mut to: OwnedWriteHalf,
        mut chunks: mpsc::Receiver<(Instant, Bytes)>,
    ) -> std::io::Result<()> {
        while let Some((due, chunk)) = chunks.recv().await {
            tokio::time::sleep_until(due).await;
            let way = not_held(&mut self.weather, self.direction).await?;
            if way.passage == Passage::Swallowed {
                opened(&mut self.weather, self.direction).await?;
                return Err(lost());
            }
            to.write_all(&chunk).await?;
            let count = chunk.len() as u64;
            self.counts
                .bytes(self.direction)
                .fetch_add(count, Ordering::Relaxed);
            if let Some(rate) = way.bytes_per_second {
                tokio::time::sleep(Duration::from_secs_f64(count as f64 / rate as f64)).await;
            }
        }
        to.shutdown().await
    }
}

/// Reads while the way is not held.
async fn read(
    mut from: OwnedReadHalf,
    direction: Direction,
    mut weather: watch::Receiver<Weather>,
    chunks: mpsc::Sender<(Instant, Bytes)>,
) -> std::io::Result<()> {
    let (mut first, mut swallowed) = (true, false);
    loop {
        let way = not_held(&mut weather, direction).await?;
        if swallowed && way.passage == Passage::Open {
            return Err(lost());
        }
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        tokio::select! {
            // Both are cancel safe: what was not read is read the next time.
            changed = weather.changed() => {
                changed.map_err(std::io::Error::other)?;
                continue;
            }
            count = from.read_buf(&mut chunk) => if count? == 0 { break },
        }
        let barred = weather.borrow().barred;
        if direction == Direction::ToTarget && std::mem::take(&mut first) {
            let said = |words: &str| chunk.windows(words.len()).any(|at| at == words.as_bytes());
            if barred.is_some_and(said) {
                return Err(std::io::Error::other("barred"));
            }
        }
        if way.passage == Passage::Swallowed {
            swallowed = true;
        } else if chunks
            .send((Instant::now() + way.delay, chunk.freeze()))
            .await
            .is_err()
        {
            break;
        }
    }
    Ok(())
}

/// Waits until bytes may be taken; how the way is then. Cancel safe.
async fn not_held(
    weather: &mut watch::Receiver<Weather>,
    direction: Direction,
) -> std::io::Result<Way> {
    let waited = weather.wait_for(|now| now.way(direction).passage != Passage::Held);
    let now = waited.await.map_err(std::io::Error::other)?;
    Ok(*now.way(direction))
}

/// Waits until bytes pass. Cancel safe.
async fn opened(
    weather: &mut watch::Receiver<Weather>,
    direction: Direction,
) -> std::io::Result<()> {
    let waited = weather.wait_for(|now| now.way(direction).passage == Passage::Open);
    waited.await.map(drop).map_err(std::io::Error::other)
}

fn lost() -> std::io::Error {
    std::io::Error::other("bytes of this connection were swallowed")
}

#[cfg(test)]
mod tests;
