//! One child process that writes its output to a log file and cannot outlive
//! us. Owns the child; knows nothing of what runs inside it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use crate::error::{DevstackError, Result};
use crate::spawner;
use crate::sys::{self, Signal};
use tokio::time::Instant;

/// Pause between two looks at something that is awaited.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Bytes at the end of a log that an error message quotes from.
const TAIL_BYTES: u64 = 4 * 1024;
/// Lines at the end of a log that an error message quotes.
const TAIL_LINES: usize = 20;

/// A child process in a group of its own (so that a terminal's Ctrl-C reaches
/// only us, and we stop it in order). It is killed on drop, and by the kernel
/// when this process ends in any way.
#[derive(Debug)]
pub struct ServerProcess {
    name: &'static str,
    child: Child,
    log: PathBuf,
    log_start: u64,
    #[cfg(not(target_os = "linux"))]
    watchdog: Option<crate::watchdog::Watchdog>,
}

impl ServerProcess {
    /// Starts `command` with its output appended to the file `log`. Standard
    /// input is whatever the command says. `name` is used in errors.
    ///
    /// # Errors
    /// The log cannot be opened or the program cannot be started.
    pub fn start(name: &'static str, mut command: Command, log: &Path) -> Result<ServerProcess> {
        let program = PathBuf::from(command.get_program());
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(DevstackError::io("open", log))?;
        let log_start = file.metadata().map_or(0, |meta| meta.len());
        let copy = file.try_clone().map_err(DevstackError::io("open", log))?;
        command.stdout(file).stderr(copy).process_group(0);
        let child = spawner::spawn(command).map_err(DevstackError::io("start", &program))?;
        tracing::debug!(name, pid = child.id(), "started");
        Ok(ServerProcess {
            name,
            #[cfg(not(target_os = "linux"))]
            watchdog: Some(
                crate::watchdog::Watchdog::over(child.id())
                    .map_err(DevstackError::io("guard", &program))?,
            ),
            child,
            log: log.to_path_buf(),
            log_start,
        })
    }

    /// Process number; stays the same after the process has ended.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end (SIGTERM), and does not wait.
    ///
    /// # Errors
    /// The operating system refuses the signal.
    pub fn ask_to_end(&mut self) -> Result<()> {
        if self.exit_status().is_none() {
            self.signal(Signal::Terminate)?;
            // A paused process acts on nothing but SIGKILL until it goes on.
            self.signal(Signal::Continue)?;
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits; kills it once `deadline` has passed.
    ///
    /// # Errors
    /// The operating system refuses the signal.
    pub fn stop(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.ask_to_end()?;
        match wait_for(deadline, || self.exit_status()) {
            Some(status) => Ok(status),
            None => {
                tracing::warn!(name = self.name, "did not end in time and is killed");
                self.kill()
            }
        }
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// The operating system refuses the signal.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        #[cfg(not(target_os = "linux"))]
        drop(self.watchdog.take());
        if self.exit_status().is_none() {
            self.signal(Signal::Kill)?;
        }
        self.child.wait().map_err(self.failed("wait for"))
    }

    /// Freezes it (SIGSTOP) and waits until it stands still: its sockets stay
    /// open and nobody answers.
    ///
    /// # Errors
    /// [`DevstackError::NotRunning`], or the signal is refused.
    pub fn pause(&mut self) -> Result<()> {
        self.require_running()?;
        self.signal(Signal::Stop)?;
        sys::wait_until_stopped(self.pid()).map_err(self.failed("wait for"))
    }

    /// Lets a paused process go on (SIGCONT).
    ///
    /// # Errors
    /// [`DevstackError::NotRunning`], or the signal is refused.
    pub fn resume(&mut self) -> Result<()> {
        self.require_running()?;
        self.signal(Signal::Continue)
    }

    /// What this process (not an earlier one) has written to its log so far.
    pub fn log_text(&self) -> String {
        self.read_log(self.log_start).unwrap_or_default()
    }

    /// The last lines of the log, for an error message.
    pub fn log_tail(&self) -> String {
        let length = self.log.metadata().map_or(0, |meta| meta.len());
        let start = self.log_start.max(length.saturating_sub(TAIL_BYTES));
        let text = self.read_log(start).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    fn require_running(&mut self) -> Result<()> {
        match self.exit_status() {
            None => Ok(()),
            Some(_) => Err(DevstackError::NotRunning { server: self.name }),
        }
    }

    /// The child has not been reaped, since `exit_status` said that it runs.
    fn signal(&self, signal: Signal) -> Result<()> {
        sys::signal_group(self.pid(), signal).map_err(self.failed("signal"))
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> DevstackError + use<> {
        DevstackError::io(action, Path::new(self.name))
    }

    fn read_log(&self, start: u64) -> io::Result<String> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::error!(name = self.name, %error, "could not be killed");
        }
    }
}

/// Looks until there is something or the deadline has passed.
pub(crate) fn wait_for<T>(deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}
