//! Players in rooms: each is a connection that says something at a steady pace and reads
//! what everybody in its room says. They must cost little, since they run beside what is
//! measured: nothing is decoded, and one player of each room looks at the times.
//!
//! Owns its connections. Must not know what they are connected to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

/// What stands before the time in what a player says.
const MARK: &[u8] = b"{\"at\":";
/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;
/// What a player says beside the time.
const REST: &str = "\"x\":104.25,\"y\":-7.5,\"d\":3}";

/// A message of a player: its number and what it says.
pub type Frame = Arc<dyn Fn(u64, &str) -> Bytes + Send + Sync>;

/// A player that is connected and hears its room.
pub struct Player {
    /// The connection.
    pub stream: TcpStream,
    /// How it says something; `None`: it only listens.
    pub frame: Option<Frame>,
    /// Whether it looks at the times.
    pub samples: bool,
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Measured {
    /// From saying to hearing, milliseconds.
    pub waits: Vec<f64>,
    /// Messages that were said while it was measured.
    pub said: u64,
}

/// Lets the players play for a while and measures; the first part of it is warming up.
///
/// # Errors
/// A connection breaks.
pub async fn play(
    players: Vec<Player>,
    every: Duration,
    warm_up: Duration,
    measured: Duration,
) -> anyhow::Result<Measured> {
    let start = Instant::now();
    let (from, until) = (start + warm_up, start + warm_up + measured);
    let said = Arc::new(AtomicU64::new(0));
    let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
    let count = players.len();
    for (index, player) in players.into_iter().enumerate() {
        let (read, write) = player.stream.into_split();
        let phase = every.mul_f64(index as f64 / count as f64);
        let said = said.clone();
        writers.spawn(async move {
            let Some(frame) = player.frame else {
                return anyhow::Ok(write);
            };
            let said_by_it = talk(write, frame, start, phase, every, (from, until)).await;
            said_by_it.map(|(count, write)| {
                said.fetch_add(count, Ordering::Relaxed);
                write
            })
        });
        readers.spawn(listen(read, start, player.samples));
    }
    let mut open = Vec::with_capacity(count);
    while let Some(written) = writers.join_next().await {
        open.push(written??);
    }
    tokio::time::sleep_until(until).await;
    // What is on its way has as long again as anything may take.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(open);
    let mut waits = Vec::new();
    while let Some(heard) = readers.join_next().await {
        waits.extend(heard?.into_iter().filter_map(|(at, wait)| {
            let at = start + Duration::from_micros(at);
            (from..until).contains(&at).then_some(wait)
        }));
    }
    Ok(Measured {
        waits,
        said: said.load(Ordering::Relaxed),
    })
}

async fn talk(
    mut write: OwnedWriteHalf,
    frame: Frame,
    start: Instant,
    phase: Duration,
    every: Duration,
    (from, until): (Instant, Instant),
) -> anyhow::Result<(u64, OwnedWriteHalf)> {
    let mut ticks = tokio::time::interval_at(start + phase, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = 0;
    for n in 1.. {
        ticks.tick().await;
        let now = Instant::now();
        if now >= until {
            break;
        }
        said += u64::from(now >= from);
        let at = now.duration_since(start).as_micros();
        let text = format!("{{\"at\":{at},{REST}");
        write.write_all(&frame(n, &text)).await?;
    }
    Ok((said, write))
}

/// Reads to the end of a connection; when each message was said, in microseconds, and how
/// long it took, in milliseconds, if it looks.
async fn listen(mut read: OwnedReadHalf, start: Instant, samples: bool) -> Vec<(u64, f64)> {
    let (mut heard, mut rest, mut buffer) = (Vec::new(), Vec::new(), vec![0; READ_BYTES]);
    while let Ok(count @ 1..) = read.read(&mut buffer).await {
        if samples {
            let now = start.elapsed().as_micros() as u64;
            rest.extend_from_slice(&buffer[..count]);
            let used = times(&rest, |at| {
                heard.push((at, now.saturating_sub(at) as f64 / 1e3));
            });
            rest.drain(..used);
        }
    }
    heard
}

/// Finds the times in some bytes; how many bytes need not be looked at again.
fn times(bytes: &[u8], mut found: impl FnMut(u64)) -> usize {
    let mut at = 0;
    while let Some(mark) = find(&bytes[at..], MARK) {
        let digits = at + mark + MARK.len();
        let end = bytes[digits..]
            .iter()
            .position(|byte| !byte.is_ascii_digit());
        let Some(end) = end else {
            return at + mark;
        };
        let text = std::str::from_utf8(&bytes[digits..digits + end]);
        found(text.ok().and_then(|text| text.parse().ok()).unwrap_or(0));
        at = digits + end;
    }
    at.max(bytes.len().saturating_sub(MARK.len() - 1))
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|part| part == mark)
}
