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
use protocol::record::{MirrorGap, MirrorGapReason, Progress};
use protocol::stream::StreamName;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::fault::ReplayFault;
use super::history::{History, Ran};
use super::live::Live;
use super::out::Out;
use super::plan::{Home, Plan, Until};
use super::since::Since;
use super::steps::{Loss, Step, steps};
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

/// Runs a read until its end.
///
/// # Errors
/// [`ReplayFault`]; a live read ends in no other way.
pub(super) async fn drive(context: &Context, plan: Plan, out: &Out) -> Result<(), ReplayFault> {
    let target = &plan.target;
    out.send(ReadResponse {
        stream: target.stream.to_string(),
        epoch: target.epoch.to_string(),
        ..ReadResponse::default()
    })
    .await?;
    let read = Read {
        context,
        plan: &plan,
        out,
    };
    let mut cursor = plan.cursor.clone();
    let last = context
        .bus
        .stream_state(&plan.target.stream)
        .await?
        .last_seq;
    if cursor.after > last {
        return Err(ReplayFault::PastEnd {
            asked: cursor.after.saturating_add(1),
            last,
        });
    }
    if cursor.after == 0 && cursor.since_ms > 0 {
        cursor.after = read.before(cursor.since_ms).await?;
    }
    match plan.until {
        Until::Snapshot => read.snapshot(&mut cursor, u64::MAX).await,
        Until::Last(seq) => read.snapshot(&mut cursor, seq).await,
        Until::Live => read.live(&mut cursor).await,
    }
}

struct Read<'a> {
    context: &'a Context,
    plan: &'a Plan,
    out: &'a Out,
}

impl Read<'_> {
    /// Gives what is stored by now, up to a sequence.
    async fn snapshot(&self, cursor: &mut Cursor, last: u64) -> Result<(), ReplayFault> {
        let stored = self
            .context
            .bus
            .stream_state(&self.plan.target.stream)
            .await?
            .last_seq
            .min(last);
        self.await_mirrored(stored).await?;
        self.history(cursor, stored).await?;
        let token = token::encode(&self.plan.target, cursor);
        self.out
            .send(ReadResponse {
                end: true,
                token,
                ..ReadResponse::default()
            })
            .await
    }

    async fn live(&self, cursor: &mut Cursor) -> Result<(), ReplayFault> {
        let (mut caught_up, mut stuck) = (false, None);
        loop {
            let before = cursor.after;
            if !cursor.complete {
                let mirrored = self.mirrored();
                self.history(cursor, mirrored).await?;
            }
            self.source(&|| self.mirrored(), &mut caught_up)
                .follow(cursor)
                .await?;
            // JetStream no longer has what comes next: Kafka does, or soon will.
            cursor.complete = false;
            if cursor.after > before {
                stuck = None;
            }
            if self.mirrored() <= cursor.after {
                self.await_progress(cursor.after, stuck.get_or_insert_with(Instant::now))
                    .await?;
            }
        }
    }

    /// Waits a moment for the mirror to move on; not for ever.
    async fn await_progress(&self, after: u64, since: &Instant) -> Result<(), ReplayFault> {
        if since.elapsed() >= MIRROR_DEADLINE {
            return Err(ReplayFault::Lag {
                mirrored: self.mirrored(),
                stored: after + 1,
            });
        }
        let mut progress = self.context.progress.clone();
        // Running out of time and a sender that has gone both mean: look again.
        drop(tokio::time::timeout(MIRROR_INTERVAL, progress.changed()).await);
        Ok(())
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

    /// Gives everything behind the cursor up to a sequence that is mirrored: from Kafka,
    /// and from JetStream what Kafka does not hold.
    async fn history(&self, cursor: &mut Cursor, until: u64) -> Result<(), ReplayFault> {
        while cursor.after < until {
            self.give(cursor, until).await?;
        }
        cursor.complete = true;
        Ok(())
    }

    /// Does the steps of a range; stops early, for the caller to look again, when
    /// JetStream has meanwhile lost what it was to give.
    async fn give(&self, cursor: &mut Cursor, until: u64) -> Result<(), ReplayFault> {
        for step in self.steps(cursor.after, until, self.losses()).await? {
            match step {
                Step::Gap(loss) => self.announce(loss, cursor).await?,
                Step::Stream(to) => {
                    if !self.stretch(cursor, to).await? {
                        return Ok(());
                    }
                }
                Step::Kafka(to) => {
                    let Some(loss) = self.kafka(cursor, to, 0).await? else {
                        continue;
                    };
                    if !self.mend(cursor, to, loss).await? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives a range of which Kafka turns out to lack something. False: look again.
    async fn mend(&self, cursor: &mut Cursor, until: u64, loss: Loss) -> Result<bool, ReplayFault> {
        for step in self.steps(cursor.after, until, vec![loss]).await? {
            match step {
                Step::Gap(loss) => self.announce(loss, cursor).await?,
                Step::Stream(to) => {
                    if !self.stretch(cursor, to).await? {
                        return Ok(false);
                    }
                }
                Step::Kafka(to) => {
                    if self.kafka(cursor, to, loss.to).await?.is_some() {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    async fn steps(
        &self,
        after: u64,
        until: u64,
        losses: Vec<Loss>,
    ) -> Result<Vec<Step>, ReplayFault> {
        if losses.is_empty() {
            return Ok(steps(after, until, losses, u64::MAX));
        }
        let stream = &self.plan.target.stream;
        let kept = self.context.bus.stream_state(stream).await?.first_seq;
        Ok(steps(after, until, losses, kept))
    }

    async fn stretch(&self, cursor: &mut Cursor, to: u64) -> Result<bool, ReplayFault> {
        let mut unused = true;
        self.source(&|| 0, &mut unused).stretch(cursor, to).await
    }

    /// Gives what Kafka has behind the cursor up to a sequence; or says what it lacks.
    async fn kafka(
        &self,
        cursor: &mut Cursor,
        until: u64,
        settled: u64,
    ) -> Result<Option<Loss>, ReplayFault> {
        let history = History {
            kafka: self.context.kafka.clone(),
            observer: self.context.observer.clone(),
            plan: self.plan.clone(),
            cursor: cursor.clone(),
            until,
            recorded: self.recorded(),
            settled,
            since_ms: self.since(cursor).await?,
            out: self.out.clone(),
        };
        match on_thread(move || history.run()).await? {
            Ran::Given(given) => {
                *cursor = given;
                cursor.reach(until);
                Ok(None)
            }
            Ran::Lost(begun, loss) => {
                *cursor = begun;
                Ok(Some(loss))
            }
        }
    }

    /// The id of the topic as the mirror knows it, empty if it knows none; `None` if
    /// nothing was mirrored into it.
    fn recorded(&self) -> Option<String> {
        let (all, topic) = (self.context.progress.borrow(), &self.plan.topic);
        let progress = all.get(&self.plan.target.stream)?;
        progress.partitions.get(topic)?;
        Some(progress.topic_ids.get(topic).cloned().unwrap_or_default())
    }

    /// The store time, in milliseconds, of the first event that is wanted, less a
    /// margin; `None` where everything is wanted or JetStream no longer has it.
    async fn since(&self, cursor: &Cursor) -> Result<Option<i64>, ReplayFault> {
        if !cursor.offsets.is_empty() {
            return Ok(None);
        }
        if cursor.since_ms > 0 {
            return Ok(Some(with_margin(cursor.since_ms)));
        }
        if cursor.after == 0 {
            return Ok(None);
        }
        let event = self
            .context
            .bus
            .get(&self.plan.target.stream, cursor.after + 1)
            .await?;
        Ok(event.map(|event| with_margin(event.time_us / 1_000)))
    }

    /// The last sequence that is known to be older than a time.
    async fn before(&self, since_ms: u64) -> Result<u64, ReplayFault> {
        if self.recorded().is_none() {
            return Ok(0);
        }
        let look = Since {
            kafka: self.context.kafka.clone(),
            observer: self.context.observer.clone(),
            plan: self.plan.clone(),
            since_ms: with_margin(since_ms),
            out: self.out.clone(),
        };
        on_thread(move || look.run()).await
    }

    /// What the progress record says that Kafka does not hold, of this topic or of all.
    fn losses(&self) -> Vec<Loss> {
        let (all, topic) = (self.context.progress.borrow(), &self.plan.topic);
        let Some(progress) = all.get(&self.plan.target.stream) else {
            return Vec::new();
        };
        let ours = |gap: &&MirrorGap| gap.topic.as_ref().is_none_or(|of| of == topic);
        let gaps = progress.gaps.iter().filter(ours);
        gaps.chain(progress.passed.get(topic))
            .map(|gap| Loss {
                from: gap.from,
                to: gap.to,
                reason: reason(gap.reason),
            })
            .collect()
    }

    /// Tells a gap. What Kafka no longer keeps is none for who asked for what is kept.
    async fn announce(&self, loss: Loss, cursor: &Cursor) -> Result<(), ReplayFault> {
        if loss.reason == GapReason::KafkaRetention && self.plan.earliest && cursor.after == 0 {
            return Ok(());
        }
        let gap = Gap {
            from: loss.from,
            to: loss.to,
            reason: loss.reason as i32,
        };
        self.out
            .send(ReadResponse {
                gaps: vec![gap],
                ..ReadResponse::default()
            })
            .await
    }

    fn mirrored(&self) -> u64 {
        self.context
            .progress
            .borrow()
            .get(&self.plan.target.stream)
            .map_or(0, |progress| progress.seq)
    }

    async fn await_mirrored(&self, stored: u64) -> Result<(), ReplayFault> {
        let mut progress = self.context.progress.clone();
        let stream = &self.plan.target.stream;
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

/// Runs what blocks on a thread of its own. When the caller stops waiting, the thread
/// notices by its closed queue.
async fn on_thread<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, ReplayFault> + Send + 'static,
) -> Result<T, ReplayFault> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("replay".into())
        .spawn(move || {
            // Nobody waits any more when the read has been given up.
            let _ = done.send(run());
        });
    thread.map_err(|_| ReplayFault::Thread)?;
    result.await.map_err(|_| ReplayFault::Gone)?
}

/// A time from which records are looked up so that none is missed that was stored later.
fn with_margin(since_ms: u64) -> i64 {
    since_ms
        .cast_signed()
        .saturating_sub(CLOCK_MARGIN_MS)
        .max(0)
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
