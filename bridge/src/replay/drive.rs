//! One read from start to end.
//!
//! The splice: W, the sequence of a committed progress record, is looked at first and
//! the partitions' high watermarks after it; once everything below those is visible,
//! Kafka holds every event up to W. What Kafka has past W is left to JetStream, which
//! is read from W + 1 on. So nothing is missing and nothing comes twice, without
//! remembering what was given.
//!
//! Owns the cursor of one read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use protocol::record::{MirrorGapReason, Progress};
use protocol::stream::StreamName;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::Status;

use super::fault::ReplayFault;
use super::history::History;
use super::live::Live;
use super::plan::{Home, Plan, Until};
use super::token::{self, Cursor};
use crate::config::KafkaConfig;
use crate::kafka::watermark::Observer;
use crate::proto::{Gap, GapReason, ReadResponse};

/// How long a snapshot waits for the mirror to have what was stored at the request.
const MIRROR_DEADLINE: Duration = Duration::from_secs(30);
/// How long a live read waits for the mirror to move on before it looks again, when
/// neither JetStream nor Kafka has what comes next.
const MIRROR_INTERVAL: Duration = Duration::from_millis(200);
/// Taken off a store time before records are looked up by it: after a change of the
/// stream's leader its clock may step back.
const CLOCK_MARGIN_MS: i64 = 60_000;

/// What every read of this process shares.
pub(crate) struct Context {
    pub bus: Bus,
    pub kafka: KafkaConfig,
    pub observer: Arc<Observer>,
    pub home: Home,
    pub lanes: u16,
    /// How far the mirror is, as a reader of committed records sees it.
    pub progress: watch::Receiver<BTreeMap<StreamName, Progress>>,
}

/// Where responses go: a bounded queue; policy: the sender waits for the client.
#[derive(Clone)]
pub(crate) struct Out(pub mpsc::Sender<Result<ReadResponse, Status>>);

impl Out {
    /// Sends from a task. Cancel safe.
    pub(super) async fn send(&self, response: ReadResponse) -> Result<(), ReplayFault> {
        self.0
            .send(Ok(response))
            .await
            .map_err(|_| ReplayFault::Gone)
    }

    /// Sends from a thread.
    pub(super) fn send_blocking(&self, response: ReadResponse) -> Result<(), ReplayFault> {
        self.0
            .blocking_send(Ok(response))
            .map_err(|_| ReplayFault::Gone)
    }

    /// Whether the client has gone.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Runs a read until its end.
///
/// # Errors
/// [`ReplayFault`]; a live read ends in no other way.
pub(super) async fn drive(context: &Context, plan: Plan, out: &Out) -> Result<(), ReplayFault> {
    let subject = &plan.subject;
    out.send(ReadResponse {
        stream: subject.stream.to_string(),
        epoch: subject.epoch.to_string(),
        ..ReadResponse::default()
    })
    .await?;
    let read = Read {
        context,
        plan: &plan,
        out,
    };
    let mut cursor = plan.cursor.clone();
    match plan.until {
        Until::Snapshot => read.snapshot(&mut cursor).await,
        Until::Live => read.live(&mut cursor).await,
    }
}

struct Read<'a> {
    context: &'a Context,
    plan: &'a Plan,
    out: &'a Out,
}

impl Read<'_> {
    async fn snapshot(&self, cursor: &mut Cursor) -> Result<(), ReplayFault> {
        let stored = self
            .context
            .bus
            .stream_state(&self.plan.subject.stream)
            .await?
            .last_seq;
        self.await_mirrored(stored).await?;
        self.history(cursor, stored).await?;
        let token = token::encode(&self.plan.subject, cursor);
        self.out
            .send(ReadResponse {
                end: true,
                token,
                ..ReadResponse::default()
            })
            .await
    }

    async fn live(&self, cursor: &mut Cursor) -> Result<(), ReplayFault> {
        let mut caught_up = false;
        loop {
            if !cursor.complete {
                let mirrored = self.mirrored();
                self.history(cursor, mirrored).await?;
            }
            self.source(&|| self.mirrored(), &mut caught_up)
                .follow(cursor)
                .await?;
            // JetStream no longer has what comes next: Kafka does, or soon will.
            cursor.complete = false;
            let mut progress = self.context.progress.clone();
            if self.mirrored() <= cursor.after {
                // Running out of time and a sender that has gone both mean: look again.
                drop(tokio::time::timeout(MIRROR_INTERVAL, progress.changed()).await);
            }
        }
    }

    fn source<'a>(
        &'a self,
        mirrored: &'a (dyn Fn() -> u64 + Send + Sync),
        caught_up: &'a mut bool,
    ) -> Live<'a> {
        let Context {
            bus, home, lanes, ..
        } = self.context;
        Live {
            bus,
            home,
            lanes: *lanes,
            plan: self.plan,
            out: self.out,
            mirrored,
            caught_up,
        }
    }

    /// Gives what Kafka has behind the cursor, up to a sequence that is mirrored.
    async fn history(&self, cursor: &mut Cursor, until: u64) -> Result<(), ReplayFault> {
        if until > cursor.after {
            self.announce_gaps(cursor.after, until).await?;
            let since_ms = self.since(cursor).await?;
            let history = History {
                kafka: self.context.kafka.clone(),
                observer: self.context.observer.clone(),
                plan: self.plan.clone(),
                cursor: std::mem::take(cursor),
                until,
                since_ms,
                out: self.out.clone(),
            };
            *cursor = on_thread(history).await?;
            cursor.after = until;
        }
        cursor.complete = true;
        Ok(())
    }

    /// The store time, in milliseconds, of the first event that is wanted, less a
    /// margin; `None` where everything is wanted or JetStream no longer has it.
    async fn since(&self, cursor: &Cursor) -> Result<Option<i64>, ReplayFault> {
        if cursor.after == 0 || !cursor.offsets.is_empty() {
            return Ok(None);
        }
        let event = self
            .context
            .bus
            .get(&self.plan.subject.stream, cursor.after + 1)
            .await?;
        Ok(event.map(|event| {
            (event.time_us / 1_000)
                .cast_signed()
                .saturating_sub(CLOCK_MARGIN_MS)
                .max(0)
        }))
    }

    async fn announce_gaps(&self, after: u64, until: u64) -> Result<(), ReplayFault> {
        let gaps: Vec<_> = {
            let progress = self.context.progress.borrow();
            let found = progress
                .get(&self.plan.subject.stream)
                .map(|progress| progress.gaps.as_slice())
                .unwrap_or_default();
            found
                .iter()
                .filter(|gap| gap.to > after && gap.from <= until)
                .map(|gap| Gap {
                    from: gap.from,
                    to: gap.to,
                    reason: reason(gap.reason) as i32,
                })
                .collect()
        };
        if gaps.is_empty() {
            return Ok(());
        }
        self.out
            .send(ReadResponse {
                gaps,
                ..ReadResponse::default()
            })
            .await
    }

    fn mirrored(&self) -> u64 {
        self.context
            .progress
            .borrow()
            .get(&self.plan.subject.stream)
            .map_or(0, |progress| progress.seq)
    }

    async fn await_mirrored(&self, stored: u64) -> Result<(), ReplayFault> {
        let mut progress = self.context.progress.clone();
        let stream = &self.plan.subject.stream;
        let reached = progress.wait_for(|all| {
            stored == 0
                || all
                    .get(stream)
                    .is_some_and(|progress| progress.seq >= stored)
        });
        match tokio::time::timeout(MIRROR_DEADLINE, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ReplayFault::Shutdown),
            Err(_) => Err(ReplayFault::Lag {
                mirrored: self.mirrored(),
                stored,
            }),
        }
    }
}

/// Runs a history on a thread of its own. When the caller stops waiting, the thread
/// notices by its closed queue.
async fn on_thread(history: History) -> Result<Cursor, ReplayFault> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("replay".into())
        .spawn(move || {
            // Nobody waits any more when the read has been given up.
            let _ = done.send(history.run());
        });
    thread.map_err(|_| ReplayFault::Thread)?;
    result.await.map_err(|_| ReplayFault::Gone)?
}

fn reason(reason: MirrorGapReason) -> GapReason {
    match reason {
        MirrorGapReason::Retention => GapReason::Retention,
        MirrorGapReason::Hole => GapReason::Hole,
        MirrorGapReason::Topic => GapReason::Topic,
        MirrorGapReason::TooLarge => GapReason::TooLarge,
        MirrorGapReason::Unreadable => GapReason::Unreadable,
    }
}
