//! The way of functions' lines from the threads of guests into `LOGS`, where people look
//! for them; the log of the process has them too.
//!
//! One task owns the lines that wait to be stored. What finds no room on the way to it,
//! the host counts, and says in the function's log. What NATS does not take is counted
//! here, and said in front of the function's next lines: a log holds no worker up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, PendingAck};
use host::log::{Level, Line, Sink, ToTracing};
use protocol::bus::Outgoing;
use protocol::header::Headers;
use protocol::lane::Lane;
use protocol::log::{LogLevel, LogLine};
use protocol::name::{FunctionName, StoreName};
use protocol::subject::Subject;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// Lines on their way from the guests: the bursts of twenty functions, and at most 16 MiB
/// of text. Policy: what finds no room is dropped, counted and told by the host.
const LINES_MAX: usize = 4_096;
/// How long lines gather: a message costs the server the same whatever is in it, and
/// whoever reads along does not notice a third of a second.
const GATHER: Duration = Duration::from_millis(300);
/// Bytes of lines that are worth a message, far below what NATS takes in one.
const MESSAGE_BYTES: usize = 64 << 10;
/// What a line takes beside its text, about, bytes.
const LINE_BYTES: usize = 300;
/// How long a worker that ends waits for its last lines.
const FAREWELL: Duration = Duration::from_secs(2);

/// Hands lines on, and into the log of the process.
struct Both(mpsc::Sender<Line>);

impl Sink for Both {
    fn take(&self, line: Line) -> bool {
        ToTracing.take(line.clone());
        self.0.take(line)
    }
}

/// The task that stores lines.
pub struct Keeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Stores what waits, then ends; bounded in time.
    pub async fn finish(self) {
        // An error means that the task has ended already.
        let _ = self.stop.send(());
        if timeout(FAREWELL, self.task).await.is_err() {
            tracing::warn!("the last lines of functions' logs may be lost");
        }
    }
}

/// Starts to keep what the functions of a worker write.
pub fn keep(bus: Bus, store: StoreName, worker: String) -> (Arc<dyn Sink>, Keeper) {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    let (stop, stopped) = oneshot::channel();
    let writer = Writer {
        bus,
        store,
        worker,
        waiting: BTreeMap::new(),
        missing: BTreeMap::new(),
    };
    let task = tokio::spawn(writer.run(lines, stopped));
    (Arc::new(Both(sender)), Keeper { stop, task })
}

struct Writer {
    bus: Bus,
    store: StoreName,
    worker: String,
    waiting: BTreeMap<FunctionName, Waiting>,
    /// Lines that are lost and not yet told.
    missing: BTreeMap<FunctionName, u64>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<LogLine>,
    bytes: usize,
}

/// A message whose fate is not known yet.
struct Sent {
    function: FunctionName,
    lines: u64,
    /// How many missing lines it tells.
    told: u64,
    ack: PendingAck,
}

impl Writer {
    async fn run(mut self, mut lines: mpsc::Receiver<Line>, mut stop: oneshot::Receiver<()>) {
        let mut due = None;
        loop {
            let pause = sleep_until(due.unwrap_or_else(Instant::now));
            // All are cancel safe: a channel keeps its lines, the others only wait.
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => {
                        due.get_or_insert_with(|| Instant::now() + GATHER);
                        self.take(line).await;
                    }
                    None => break,
                },
                () = pause, if due.is_some() => {
                    self.store_all().await;
                    due = None;
                }
                _ = &mut stop => break,
            }
        }
        while let Ok(line) = lines.try_recv() {
            self.take(line).await;
        }
        self.store_all().await;
    }

    async fn take(&mut self, line: Line) {
        let function = line.function.clone();
        let waiting = self.waiting.entry(function).or_default();
        waiting.bytes += line.text.len() + LINE_BYTES;
        waiting.lines.push(read(line, &self.worker));
        if waiting.bytes >= MESSAGE_BYTES {
            self.store_all().await;
        }
    }

    /// Stores what waits, of all functions at a time.
    async fn store_all(&mut self) {
        let mut sent = Vec::new();
        for (function, waiting) in std::mem::take(&mut self.waiting) {
            sent.extend(self.send(function, waiting.lines).await);
        }
        for Sent {
            function,
            lines,
            told,
            ack,
        } in sent
        {
            if let Err(error) = ack.await {
                self.lost(function, lines, told, &error);
            }
        }
    }

    async fn send(&mut self, function: FunctionName, mut lines: Vec<LogLine>) -> Option<Sent> {
        let count = lines.len() as u64;
        let told = self.missing.remove(&function).unwrap_or(0);
        if let Some(first) = lines.first().filter(|_| told > 0) {
            lines.insert(0, notice(first, told));
        }
        let json = serde_json::to_vec(&lines).expect("lines have only names, texts and numbers");
        let message = Outgoing {
            subject: Subject::log(&self.store, &function),
            headers: Headers::new(),
            payload: json.into(),
            msg_id: None,
            expect: None,
        };
        match self.bus.publish_start(message).await {
            Ok(ack) => Some(Sent {
                function,
                lines: count,
                told,
                ack,
            }),
            Err(error) => {
                self.lost(function, count, told, &error);
                None
            }
        }
    }

    fn lost(&mut self, function: FunctionName, lines: u64, told: u64, error: &bus::BusError) {
        let name = function.to_string();
        tracing::warn!(function = name, lines, %error, "lines of the function's log are not stored");
        metrics::counter!("function_log_dropped_total", "function" => name, "reason" => "store")
            .increment(lines);
        *self.missing.entry(function).or_default() += lines + told;
    }
}

/// Says in front of a line that others are missing.
fn notice(before: &LogLine, missing: u64) -> LogLine {
    LogLine {
        level: LogLevel::Warn,
        event: None,
        text: format!("{missing} lines of this log are missing: they could not be stored"),
        ..before.clone()
    }
}

fn read(line: Line, worker: &str) -> LogLine {
    LogLine {
        time_us: line.time_us,
        function: line.function,
        version: line.version,
        digest: line.digest,
        lane: Lane(line.lane),
        worker: worker.to_owned(),
        level: level(line.level),
        event: line.event_id,
        text: line.text,
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}

#[cfg(test)]
mod tests {
    use bus::bootstrap::{StoreSettings, bootstrap};
    use bus::model::{Model, ModelFaults};
    use protocol::checkpoint::Digest;
    use protocol::stream::StreamName;

    use super::*;

    fn store() -> StoreName {
        StoreName::parse("main").unwrap()
    }

    fn line(function: &str, text: &str) -> Line {
        Line {
            time_us: 7,
            function: FunctionName::parse(function).unwrap(),
            version: 2,
            digest: Digest::from_bytes([7; 32]),
            lane: 1,
            level: Level::Info,
            event_id: None,
            text: text.into(),
        }
    }

    /// The texts of each message of the log.
    async fn kept(bus: &Bus) -> Vec<Vec<String>> {
        let stream = StreamName::logs(&store());
        let last = bus.stream_state(&stream).await.unwrap().last_seq;
        let mut kept = Vec::new();
        for seq in 1..=last {
            let stored = bus.get(&stream, seq).await.unwrap().unwrap();
            let lines: Vec<LogLine> = serde_json::from_slice(&stored.payload).unwrap();
            kept.push(lines.into_iter().map(|line| line.text).collect());
        }
        kept
    }

    #[tokio::test]
    async fn what_could_not_be_stored_is_told_with_the_next_lines() {
        let bus = Model::start(ModelFaults::default()).connect("worker");
        let mut writer = Writer {
            bus: bus.clone(),
            store: store(),
            worker: "a".into(),
            waiting: BTreeMap::new(),
            missing: BTreeMap::new(),
        };
        // There is no stream yet.
        for n in 0..3 {
            writer.take(line("gate", &format!("lost {n}"))).await;
        }
        writer.store_all().await;
        writer.take(line("gate", "lost too")).await;
        writer.store_all().await;
        bootstrap(&bus, &StoreSettings::default()).await.unwrap();
        writer.take(line("gate", "kept")).await;
        writer.take(line("other", "another's")).await;
        writer.store_all().await;
        writer.take(line("gate", "last")).await;
        writer.store_all().await;
        let told = "4 lines of this log are missing: they could not be stored";
        let expected = [vec![told, "kept"], vec!["another's"], vec!["last"]];
        assert_eq!(kept(&bus).await, expected);
    }

    #[tokio::test]
    async fn the_last_lines_are_stored_before_a_worker_ends() {
        let bus = Model::start(ModelFaults::default()).connect("worker");
        bootstrap(&bus, &StoreSettings::default()).await.unwrap();
        let (sink, keeper) = keep(bus.clone(), store(), "a".into());
        for n in 0..100 {
            assert!(sink.take(line("gate", &format!("{n}"))));
        }
        keeper.finish().await;
        let kept = kept(&bus).await.concat();
        assert_eq!(kept, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
        assert!(
            !sink.take(line("gate", "too late")),
            "then there is no room"
        );
    }
}
