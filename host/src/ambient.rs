//! The state of one instance, within reach of its imports: what it was deployed with,
//! what it has taken, which event it handles, what it prints.
//!
//! Owns the state of a call. Must not know how an import is linked.

use std::sync::Arc;
use std::time::Duration;

use protocol::name::FunctionName;
use protocol::spec::FunctionSpec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::account::{Account, LOG_LINE_BYTES_MAX};
use super::cpu;
use super::event::Event;
use super::limits::Limits;
use super::log::{Level, Line};
use super::memory::Memories;
use super::meters::Meters;

/// The two streams that a guest may print to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output: level info.
    Out,
    /// Standard error: level error.
    Err,
}

/// The state of one instance.
#[derive(Debug)]
pub struct Ambient {
    /// The deployed spec.
    pub spec: Arc<FunctionSpec>,
    /// Behind the first stage of a pipeline, which one it is; for the log.
    pub stage: Option<FunctionName>,
    /// Which lane the instance serves; for the log.
    pub lane: u16,
    /// What it has taken.
    pub limits: Limits,
    /// Processor time of the thread when the call began.
    pub call_began: Duration,
    /// Whether the call was ended for its deadline.
    pub overran: bool,
    /// What the events of the call remember, for the time of the call.
    pub memories: Memories,
    /// The sequences of those events, by their index.
    pub sources: Vec<u64>,
    account: Arc<Account>,
    /// The first event of the call, and whether it is the only one.
    event: Option<(Arc<Event>, bool)>,
    drawn: u64,
    /// The last error that the guest told its log in this call.
    told: Option<String>,
    /// Beginnings of lines, by stream.
    printed: [Vec<u8>; 2],
    /// The last line on standard error in this call.
    wailed: Option<String>,
}

impl Ambient {
    /// The state of a fresh instance.
    pub fn new(
        spec: Arc<FunctionSpec>,
        stage: Option<FunctionName>,
        lane: u16,
        account: Arc<Account>,
    ) -> Self {
        let limits = Limits::new(spec.limits.memory_bytes);
        Self {
            spec,
            stage,
            lane,
            limits,
            call_began: Duration::ZERO,
            overran: false,
            memories: Memories::default(),
            sources: Vec::new(),
            account,
            event: None,
            drawn: 0,
            told: None,
            printed: Default::default(),
            wailed: None,
        }
    }

    /// A call begins, on this event first, or on none; `sole`: on no other.
    pub fn begin(&mut self, event: Option<&Arc<Event>>, sole: bool) {
        self.call_began = cpu::thread_time();
        self.overran = false;
        self.limits.begin();
        self.event = event.map(|event| (event.clone(), sole));
        self.drawn = 0;
        self.told = None;
        self.wailed = None;
    }

    /// A call has ended: what it printed without a line end is a line too, and what is
    /// missing in the log is said.
    pub fn end(&mut self) {
        self.end_line(Stream::Out);
        self.end_line(Stream::Err);
        if let Some(missing) = self.account.missing() {
            let text = format!("{missing} lines of this log are missing: too many were written");
            self.account.tell(missing, self.line(Level::Warn, text));
        }
        self.event = None;
    }

    /// What the guest itself said of its failure in this call, first line only.
    pub fn lament(&self) -> Option<&str> {
        let said = self.told.as_deref().or(self.wailed.as_deref())?;
        said.lines().find(|line| !line.trim().is_empty())
    }

    /// Writes a line of the function's log.
    pub fn write(&mut self, level: Level, message: &str) {
        if level == Level::Error {
            self.told = Some(cut(message).to_owned());
        }
        let line = || self.line(level, cut(message).to_owned());
        self.account.write(line);
    }

    /// The function's own metrics.
    pub fn meters(&self) -> &Meters {
        &self.account.meters
    }

    /// Prints: whole lines go to the log, longer ones than it takes are cut.
    pub fn print(&mut self, stream: Stream, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let line = &mut self.printed[stream as usize];
            let room = LOG_LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.end_line(stream);
            }
        }
    }

    fn end_line(&mut self, stream: Stream) {
        let bytes = std::mem::take(&mut self.printed[stream as usize]);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        let level = match stream {
            Stream::Out => Level::Info,
            Stream::Err => Level::Error,
        };
        if stream == Stream::Err {
            self.wailed = Some(text.to_owned());
        }
        let line = || self.line(level, cut(text).to_owned());
        self.account.write(line);
    }

    fn line(&self, level: Level, text: String) -> Line {
        let sole = self.event.as_ref().filter(|(_, sole)| *sole);
        Line {
            time_us: service::clock::now_us(),
            function: self.spec.name.clone(),
            version: self.spec.version,
            digest: self.spec.digest.clone(),
            lane: self.lane,
            level,
            event_id: sole.map(|(event, _)| event.envelope.id.clone()),
            text: match &self.stage {
                Some(stage) => cut(&format!("{stage}: {text}")).to_owned(),
                None => text,
            },
        }
    }

    /// The time that a guest's clock shows: that of the call's first event, microseconds
    /// since 1970; 0 while the instance starts.
    pub fn event_time_us(&self) -> u64 {
        let event = self.event.as_ref();
        event.map_or(0, |(event, _)| event.stored.time_us)
    }

    /// The next number of a generator that starts from the id of the call's first event,
    /// so that a replay draws the same.
    pub fn draw(&mut self) -> u64 {
        let event = self.event.as_ref();
        let seed = event.map_or(self.spec.name.as_str(), |(event, _)| &event.envelope.id);
        let number = xxh3_64_with_seed(seed.as_bytes(), self.drawn);
        self.drawn += 1;
        number
    }
}

/// A line as long as the log takes, cut at a character.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(LOG_LINE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
