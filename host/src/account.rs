//! What one function may write on this worker, whichever of its instances does: log
//! lines at a rate, and metrics under a bounded set of names. An instance that traps is
//! replaced; its function's account is not.
//!
//! Owns the accounts, one for each name of a function that ran here, for the life of the
//! process: so long the recorder keeps their metrics as well. Must not know instances.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::Counter;
use parking_lot::Mutex;
use protocol::name::FunctionName;
use tokio::time::Instant;

use super::log::{Line, Sink};
use super::meters::Meters;

/// Lines a second that a function may log on one worker, on average.
pub const LOG_LINES_PER_SECOND: u32 = 50;
/// Lines that it may log at once.
pub const LOG_LINES_BURST: u32 = 200;
/// Longest line, bytes; longer ones are cut.
pub const LOG_LINE_BYTES_MAX: usize = 4_096;
/// How often a function's log says how many of its lines are missing, at most.
const TOLD_INTERVAL: Duration = Duration::from_secs(1);

/// The accounts of all functions, and where their lines go.
pub struct Accounts {
    sink: Arc<dyn Sink>,
    accounts: Mutex<HashMap<FunctionName, Arc<Account>>>,
}

/// The account of one function.
pub struct Account {
    function: FunctionName,
    sink: Arc<dyn Sink>,
    log: Mutex<Log>,
    dropped: [OnceLock<Counter>; 2],
    /// Its own metrics.
    pub meters: Meters,
}

/// Why a line is dropped.
#[derive(Clone, Copy)]
enum Dropped {
    Rate,
    Sink,
}

struct Log {
    budget: LogBudget,
    /// Lines dropped since the log last said so.
    missing: u64,
    told: Option<Instant>,
}

impl Accounts {
    /// No account yet.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            sink,
            accounts: Mutex::default(),
        }
    }

    /// The function's account, opened if it has none.
    pub fn of(&self, function: &FunctionName) -> Arc<Account> {
        let mut accounts = self.accounts.lock();
        if let Some(account) = accounts.get(function) {
            return account.clone();
        }
        let account = Arc::new(Account::new(function.clone(), self.sink.clone()));
        accounts.insert(function.clone(), account.clone());
        account
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accounts")
    }
}

impl Account {
    fn new(function: FunctionName, sink: Arc<dyn Sink>) -> Self {
        let log = Log {
            budget: LogBudget::new(Instant::now()),
            missing: 0,
            told: None,
        };
        Self {
            meters: Meters::new(function.clone()),
            function,
            sink,
            log: Mutex::new(log),
            dropped: Default::default(),
        }
    }

    /// Hands a line on, or counts it as dropped: beyond the function's rate, in which case
    /// it is never made, or when the sink has no room.
    pub fn write(&self, line: impl FnOnce() -> Line) {
        let mut log = self.log.lock();
        if !log.budget.take(Instant::now()) {
            log.missing += 1;
            self.drop_line(Dropped::Rate);
        } else if !self.sink.take(line()) {
            log.missing += 1;
            self.drop_line(Dropped::Sink);
        }
    }

    /// How many lines are missing in the log, if there are any and it has not just been
    /// said. They count as told from now on: [`Account::tell`] takes them back when
    /// that fails.
    pub fn missing(&self) -> Option<u64> {
        let mut log = self.log.lock();
        let now = Instant::now();
        let recent = |told: Instant| now.saturating_duration_since(told) < TOLD_INTERVAL;
        if log.missing == 0 || log.told.is_some_and(recent) {
            return None;
        }
        log.told = Some(now);
        Some(std::mem::take(&mut log.missing))
    }

    /// Says in the log that lines are missing. Outside the rate: there is at most one in
    /// a second.
    pub fn tell(&self, missing: u64, line: Line) {
        if !self.sink.take(line) {
            self.log.lock().missing += missing;
        }
    }

    fn drop_line(&self, why: Dropped) {
        let reason = match why {
            Dropped::Rate => "rate",
            Dropped::Sink => "sink",
        };
        let counter = || metrics::counter!("function_log_dropped_total", "function" => self.function.to_string(), "reason" => reason);
        let dropped = &self.dropped[why as usize];
        dropped.get_or_init(counter).increment(1);
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account of {}", self.function)
    }
}

/// A token bucket for log lines.
#[derive(Debug)]
struct LogBudget {
    lines: f64,
    filled: Instant,
}

impl LogBudget {
    /// A full bucket.
    fn new(now: Instant) -> Self {
        Self {
            lines: f64::from(LOG_LINES_BURST),
            filled: now,
        }
    }

    /// Takes a line, if there is one.
    fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.filled);
        self.filled = now;
        self.lines = (self.lines + passed.as_secs_f64() * f64::from(LOG_LINES_PER_SECOND))
            .min(f64::from(LOG_LINES_BURST));
        if self.lines < 1.0 {
            return false;
        }
        self.lines -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_granted_up_to_the_burst_and_then_at_the_rate() {
        let start = Instant::now();
        let mut budget = LogBudget::new(start);
        assert_eq!(
            (0..1_000).filter(|_| budget.take(start)).count(),
            LOG_LINES_BURST as usize
        );
        let later = start + Duration::from_secs(1);
        assert_eq!(
            (0..1_000).filter(|_| budget.take(later)).count(),
            LOG_LINES_PER_SECOND as usize
        );
    }

    fn line(text: &str) -> Line {
        Line {
            time_us: 0,
            function: FunctionName::parse("probe").unwrap(),
            version: 1,
            digest: protocol::checkpoint::Digest::from_bytes([7; 32]),
            lane: 0,
            level: crate::log::Level::Info,
            event_id: None,
            text: text.into(),
        }
    }

    #[tokio::test]
    async fn lines_that_the_sink_had_no_room_for_are_told_once_it_has() {
        let (sink, mut lines) = tokio::sync::mpsc::channel(2);
        let account = Accounts::new(Arc::new(sink)).of(&line("").function);
        for n in 0..5 {
            account.write(|| line(&format!("{n}")));
        }
        let missing = account.missing().unwrap();
        assert_eq!(missing, 3);
        account.tell(missing, line("3 are missing"));
        assert_eq!(lines.recv().await.unwrap().text, "0");
        assert_eq!(lines.recv().await.unwrap().text, "1");
        assert!(account.missing().is_none(), "once in a while is enough");
        account.log.lock().told = None;
        let missing = account.missing().unwrap();
        account.tell(missing, line("3 are missing"));
        assert_eq!(lines.recv().await.unwrap().text, "3 are missing");
        account.log.lock().told = None;
        assert!(account.missing().is_none());
    }
}
