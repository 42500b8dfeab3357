//! `GET /v1/sse`: the events of some channels as Server-Sent Events (WHATWG HTML,
//! section 9.2), which a browser's `EventSource` reads and resumes by itself.
//!
//! A task per stream owns its session and hands the answer's body what is to be written,
//! a portion at a time, so that a client that takes nothing is noticed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::{Bytes, BytesMut};
use protocol::close_code::CloseCode;
use protocol::frame::{ErrorBody, GoingAway};
use rand::Rng;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::frame::Frame;
use super::opened::Opened;
use super::text;
use super::wanted::Wanted;
use crate::core::metrics;
use crate::core::session::conduct::Signal;
use crate::http::answer;
use crate::http::query::Query;
use crate::node::Node;

/// Bytes written in one go; events that wait are gathered up to this.
const PORTION_BYTES: usize = 32 * 1024;
/// After this time without a portion taken the client counts as stalled, as on a
/// WebSocket.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long what is queued may take to be written once the session ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// After how long clients come back whose stream broke off, at random within as much
/// again, so that they do not all come at once, milliseconds.
const RETRY_MS: u64 = 1_000;
/// What a client says it has heard last (WHATWG HTML, 9.2.4).
const LAST_EVENT_ID: &str = "last-event-id";

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Close(CloseCode),
    /// The client is gone.
    Gone,
}

/// One stream.
struct Events {
    opened: Opened,
    body: mpsc::Sender<Bytes>,
    waiting: BytesMut,
    /// When the client last took something, or had nothing to take.
    moved_at: Instant,
}

/// Answers `GET /v1/sse`. `hang_up` ends the connection, for a client that takes nothing
/// and so would never see the end of its answer.
pub async fn sse(
    State(node): State<Arc<Node>>,
    Extension(hang_up): Extension<CancellationToken>,
    request: Request,
) -> Response<Body> {
    let opened = match open(&node, wanted(&request)).await {
        Ok(opened) => opened,
        Err(error) => return answer::refused(error),
    };
    // One portion waits while another is written.
    let (body, portions) = mpsc::channel(1);
    let mut waiting = BytesMut::new();
    text::retry(
        &mut waiting,
        rand::rng().random_range(RETRY_MS..2 * RETRY_MS),
    );
    let events = Events {
        opened,
        body,
        waiting,
        moved_at: Instant::now(),
    };
    node.clients.spawn(events.run(hang_up));
    metrics::http_answered(StatusCode::OK.as_u16());
    let portions = futures_util::stream::unfold(portions, |mut portions| async move {
        let portion = portions.recv().await?;
        Some((Ok::<_, Infallible>(portion), portions))
    });
    let mut response = Response::new(Body::from_stream(portions));
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // nginx would gather events otherwise.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        let headers = response.headers_mut();
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn wanted(request: &Request) -> Result<Wanted, ErrorBody> {
    let mut query = Query::of(request.uri())?;
    let last = request.headers().get(LAST_EVENT_ID);
    let last = last.and_then(|last| last.to_str().ok()).map(str::to_owned);
    let wanted = Wanted::of(&mut query, request.headers(), last)?;
    query.end()?;
    Ok(wanted)
}

async fn open(node: &Node, wanted: Result<Wanted, ErrorBody>) -> Result<Opened, ErrorBody> {
    Opened::open(node, &wanted?).await
}

impl Events {
    async fn run(mut self, hang_up: CancellationToken) {
        let ending = self.serve().await;
        match ending {
            Ending::Close(CloseCode::SlowConsumer) => {
                metrics::closed(CloseCode::SlowConsumer);
                hang_up.cancel();
            }
            Ending::Close(code) => {
                metrics::closed(code);
                // A client that does not take the end in time resumes without it.
                let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.close(code)).await;
            }
            Ending::Gone => metrics::ended("connection_lost"),
        }
    }

    async fn serve(&mut self) -> Ending {
        loop {
            self.fill();
            if self.waiting.is_empty() {
                self.moved_at = Instant::now();
                if self.opened.is_drained() {
                    return Ending::Close(CloseCode::Restart);
                }
            }
            let stalls_at = self.moved_at + STALL_TIMEOUT;
            // Every branch is cancel safe: nothing is sent before a place is there, and
            // the session keeps what it has.
            let signal = tokio::select! {
                place = self.body.reserve(), if !self.waiting.is_empty() => {
                    let Ok(place) = place else {
                        return Ending::Gone;
                    };
                    place.send(self.waiting.split().freeze());
                    self.opened.written();
                    self.opened.heard();
                    self.moved_at = Instant::now();
                    None
                }
                () = self.body.closed() => return Ending::Gone,
                signal = self.opened.moved() => signal,
                () = tokio::time::sleep_until(stalls_at), if !self.waiting.is_empty() => {
                    return Ending::Close(CloseCode::SlowConsumer);
                }
            };
            match signal {
                Some(Signal::Ping) if self.waiting.is_empty() => text::ping(&mut self.waiting),
                Some(Signal::Ping) | None => {}
                Some(Signal::Close(code)) => return Ending::Close(code),
            }
        }
    }

    /// Takes what the session has for its client, up to a portion.
    fn fill(&mut self) {
        while self.waiting.len() < PORTION_BYTES {
            let Some(frame) = self.opened.next() else {
                return;
            };
            self.write(&frame);
        }
    }

    fn write(&mut self, frame: &Frame) {
        if let Ok(away) = serde_json::from_slice::<GoingAway>(&frame.body)
            && frame.name == "going_away"
        {
            text::retry(&mut self.waiting, away.reconnect_after_ms);
        }
        // Where the client stands is told with what brings it there, and not before.
        let id = (frame.reach().is_some() || frame.id.is_some()).then(|| self.opened.places.text());
        text::event(&mut self.waiting, &frame.name, id.as_deref(), &frame.body);
    }

    /// Writes what is queued, then the end.
    async fn close(&mut self, code: CloseCode) {
        loop {
            self.fill();
            if self.waiting.is_empty() {
                break;
            }
            let portion = self.waiting.split().freeze();
            if self.body.send(portion).await.is_err() {
                return;
            }
            self.opened.written();
        }
        text::close(&mut self.waiting, code);
        // An error means that the client is gone.
        let _ = self.body.send(self.waiting.split().freeze()).await;
    }
}
