//! One server on this machine, whichever it is: started until it is really ready,
//! stopped, killed, frozen and started again on the same ports and data.
//!
//! Owns the process and the folder. What is started, and when it is ready, says the
//! [`Program`].

use std::fmt::Debug;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::error::{DevstackError, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::process::{ServerProcess, wait_for};

/// Ports tried when others take ours between the choice and the start.
const PORT_CHOICES: u32 = 3;

/// What is particular to one kind of server.
pub trait Program: Debug {
    /// Its name in errors.
    const NAME: &'static str;
    /// Longest wait until it is ready.
    const READY_DEADLINE: Duration;
    /// Longest wait for an orderly stop, after which it is killed.
    const STOP_DEADLINE: Duration;

    /// Writes its settings and says how it is started.
    ///
    /// # Errors
    /// Files cannot be written, or a tool fails.
    fn command(&self, home: &Home) -> Result<Command>;

    /// Whether it serves; else what is missing.
    ///
    /// # Errors
    /// Why it does not serve yet.
    fn probe(&self, process: &ServerProcess) -> Result<(), String>;

    /// Whether it has ended because somebody else listens on its port.
    fn port_taken(log: &str) -> bool;

    /// Takes other ports; false if they were all given by the caller.
    ///
    /// # Errors
    /// No port is free.
    fn move_ports(&mut self) -> Result<bool>;

    /// What of its log says why it has ended.
    fn cause(process: &ServerProcess) -> String {
        process.log_tail()
    }
}

/// A running or stopped server. Dropping it kills the server, and deletes its data if
/// no folder was named.
#[derive(Debug)]
pub struct Server<P> {
    // Before `home`, so that the server is gone when its folder is deleted.
    process: Option<ServerProcess>,
    pub(crate) program: P,
    home: Home,
    interrupt: Interrupt,
}

impl<P: Program> Server<P> {
    /// Starts it in a folder, or in a temporary one, and waits until it is ready.
    pub(crate) fn launched(program: P, data: Option<&Path>) -> Result<Self> {
        let mut server = Self {
            process: None,
            program,
            home: Home::open(data)?,
            interrupt: Interrupt::default(),
        };
        for _ in 1..PORT_CHOICES {
            match server.launch() {
                Err(error) if port_taken::<P>(&error) && server.program.move_ports()? => {}
                outcome => return outcome.map(|()| server),
            }
        }
        server.launch()?;
        Ok(server)
    }

    /// Stops the server if it runs, then starts it on the same ports and data.
    ///
    /// # Errors
    /// The server is not ready in time, or ends; its log is quoted.
    /// [`DevstackError::Interrupted`]: it does not run.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    /// Stops the server in order (SIGTERM), by force after a deadline. Does nothing
    /// if it is stopped already.
    ///
    /// # Errors
    /// The operating system refuses the signal.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.stop(P::STOP_DEADLINE).map(drop),
            None => Ok(()),
        }
    }

    /// Kills the server (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// The operating system refuses the signal.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill().map(drop),
            None => Ok(()),
        }
    }

    /// Freezes the server (SIGSTOP); connections stay open, nobody answers.
    ///
    /// # Errors
    /// [`DevstackError::NotRunning`], or the signal is refused.
    pub fn pause(&mut self) -> Result<()> {
        self.running()?.pause()
    }

    /// Lets a paused server go on (SIGCONT).
    ///
    /// # Errors
    /// [`DevstackError::NotRunning`], or the signal is refused.
    pub fn resume(&mut self) -> Result<()> {
        self.running()?.resume()
    }

    /// How it ended by itself; `None` while it runs, and after it was stopped.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(ServerProcess::exit_status)
    }

    /// What ends a start of it from another thread.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Process number, or `None` while stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ServerProcess::pid)
    }

    /// Folder of its data, configuration and `server.log`.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// The last lines of its log, empty while stopped.
    pub fn log_tail(&self) -> String {
        self.process
            .as_ref()
            .map(ServerProcess::log_tail)
            .unwrap_or_default()
    }

    fn running(&mut self) -> Result<&mut ServerProcess> {
        self.process
            .as_mut()
            .ok_or(DevstackError::NotRunning { server: P::NAME })
    }

    fn launch(&mut self) -> Result<()> {
        if self.interrupt.is_triggered() {
            return Err(DevstackError::Interrupted { server: P::NAME });
        }
        let mut command = self.program.command(&self.home)?;
        command
            .current_dir(self.home.path())
            .stdin(self.home.lock_as_input()?);
        let process = ServerProcess::start(P::NAME, command, &self.home.log())?;
        let process = self.process.insert(process);
        let ready = await_ready(&self.program, process, &self.interrupt);
        if ready.is_err() {
            self.kill()?;
        }
        ready
    }
}

/// What ends the wait for a server.
enum Start {
    Ready,
    Ended(ExitStatus),
    Interrupted,
}

fn await_ready<P: Program>(
    program: &P,
    process: &mut ServerProcess,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut problem = String::new();
    let outcome = wait_for(P::READY_DEADLINE, || {
        if interrupt.is_triggered() {
            return Some(Start::Interrupted);
        }
        if let Some(status) = process.exit_status() {
            return Some(Start::Ended(status));
        }
        program
            .probe(process)
            .map(|()| Start::Ready)
            .map_err(|missing| problem = missing)
            .ok()
    });
    match outcome {
        Some(Start::Ready) => {
            tracing::debug!(server = P::NAME, pid = process.pid(), "ready");
            Ok(())
        }
        Some(Start::Interrupted) => Err(DevstackError::Interrupted { server: P::NAME }),
        Some(Start::Ended(status)) => Err(DevstackError::Exited {
            server: P::NAME,
            status,
            log: P::cause(process),
        }),
        None => Err(DevstackError::NotReady {
            server: P::NAME,
            waited: P::READY_DEADLINE,
            problem,
            log: process.log_tail(),
        }),
    }
}

fn port_taken<P: Program>(error: &DevstackError) -> bool {
    matches!(error, DevstackError::Exited { log, .. } if P::port_taken(log))
}
