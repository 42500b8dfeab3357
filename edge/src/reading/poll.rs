//! `GET /v1/poll`: the events of some channels that follow where a client stands, now or
//! once there are any, and where it stands then. For whatever lies between that lets no
//! stream through.
//!
//! Owns nothing across requests: what an answer does not hold is read again for the next.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use protocol::close_code::CloseCode;
use protocol::frame::{CaughtUp, ErrorBody, Named, Start};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::frame::Frame;
use super::opened::{Opened, refusal};
use super::wanted::Wanted;
use crate::core::metrics;
use crate::core::session::conduct::Signal;
use crate::http::answer;
use crate::http::query::Query;
use crate::node::Node;

/// How long a request waits for an event unless told otherwise, and at most: below the
/// half minute after which the strictest proxies give up.
const WAIT_MS_DEFAULT: u64 = 20_000;
const WAIT_MS_MAX: u64 = 25_000;
/// How much longer what is stored may take to be read; then the answer holds what has.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// Most events of an answer, and about how many bytes; one event is always taken.
const ANSWER_EVENTS_MAX: usize = 256;
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// The body of an answer.
#[derive(serde::Serialize)]
struct Answer {
    poll: Polled,
}

#[derive(serde::Serialize)]
struct Polled {
    /// Events and gaps, each as a WebSocket has it.
    frames: Vec<Box<RawValue>>,
    /// Where the client stands now.
    next: String,
    /// Whether there is more at once.
    more: bool,
}

/// Answers `GET /v1/poll`.
pub async fn poll(State(node): State<Arc<Node>>, request: Request) -> Response<Body> {
    match polled(&node, asked(&request)).await {
        Ok(poll) => answer::ok(&Answer { poll }),
        Err(error) => answer::refused(error),
    }
}

/// What is wanted, and how long to wait for it.
fn asked(request: &Request) -> Result<(Wanted, Duration), ErrorBody> {
    let mut query = Query::of(request.uri())?;
    let mut wanted = Wanted::of(&mut query, request.headers(), None)?;
    wanted.once = true;
    let wait_ms = query.read("wait_ms", "a number of milliseconds")?;
    query.end()?;
    let wait_ms = wait_ms.unwrap_or(WAIT_MS_DEFAULT).min(WAIT_MS_MAX);
    Ok((wanted, Duration::from_millis(wait_ms)))
}

async fn polled(
    node: &Node,
    asked: Result<(Wanted, Duration), ErrorBody>,
) -> Result<Polled, ErrorBody> {
    let (wanted, wait) = asked?;
    let behind = wanted.channels.iter();
    let behind = behind.filter(|channel| is_behind(&wanted, channel));
    let mut gathered = Gathered {
        behind: behind.cloned().collect(),
        frames: Vec::new(),
        bytes: 0,
        due: Instant::now() + wait,
    };
    let mut opened = Opened::open(node, &wanted).await?;
    while let Some(until) = gathered.take(&mut opened) {
        // Both branches are cancel safe.
        let signal = tokio::select! {
            signal = opened.moved() => signal,
            () = tokio::time::sleep_until(until) => None,
        };
        // Whoever waits for an answer is there.
        opened.heard();
        if let Some(Signal::Close(code)) = signal {
            gathered.take(&mut opened);
            if gathered.frames.is_empty() && code != CloseCode::Restart {
                metrics::closed(code);
                return Err(refusal(code));
            }
            break;
        }
    }
    Ok(gathered.polled(&opened))
}

/// Whether a channel is told to have caught up.
fn is_behind(wanted: &Wanted, channel: &str) -> bool {
    wanted.start(channel) != Start::Named(Named::Now)
}

/// What an answer will hold.
struct Gathered {
    /// Channels of which not everything has come that is stored.
    behind: HashSet<String>,
    frames: Vec<Box<RawValue>>,
    bytes: usize,
    /// Until when an event is waited for.
    due: Instant,
}

impl Gathered {
    /// Takes what is there, as much as fits; how long to wait for more, if it is not
    /// enough.
    fn take(&mut self, opened: &mut Opened) -> Option<Instant> {
        self.fill(opened);
        let settled = self.behind.is_empty();
        let until = if settled {
            self.due
        } else {
            self.due + READ_TIMEOUT
        };
        let enough = settled && !self.frames.is_empty();
        let over = enough || self.is_full() || opened.is_draining() || Instant::now() >= until;
        (!over).then_some(until)
    }

    fn fill(&mut self, opened: &mut Opened) {
        while !self.is_full() {
            let Some(frame) = opened.next() else {
                return;
            };
            if frame.is_delivery() {
                self.push(&frame);
            } else if frame.name == "caught_up"
                && let Ok(caught_up) = serde_json::from_slice::<CaughtUp>(&frame.body)
            {
                self.behind.remove(&caught_up.channel);
            }
        }
    }

    fn push(&mut self, frame: &Frame) {
        let Frame { name, body, .. } = frame;
        let text = std::str::from_utf8(body).unwrap_or_default();
        if let Ok(raw) = RawValue::from_string(format!("{{\"{name}\":{text}}}")) {
            self.bytes += raw.get().len();
            self.frames.push(raw);
        }
    }

    fn is_full(&self) -> bool {
        self.frames.len() >= ANSWER_EVENTS_MAX || self.bytes >= ANSWER_BYTES_MAX
    }

    fn polled(self, opened: &Opened) -> Polled {
        Polled {
            more: self.is_full() || !self.behind.is_empty(),
            frames: self.frames,
            next: opened.places.text(),
        }
    }
}
