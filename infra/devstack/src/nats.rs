//! A nats-server with JetStream. [`NatsServer`] owns the process, its ports and
//! its folder; which streams are in it is the caller's business.

mod probe;
mod settings;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::error::{DevstackError, Result};
use crate::home::Home;
use crate::port::Lease;
use crate::process::{ServerProcess, wait_for};

pub(crate) use probe::greet;
pub use settings::{NatsOptions, NatsUser};

pub(crate) const NAME: &str = "nats-server";
/// A start takes about 50 ms; recovering large streams takes longer.
const READY_DEADLINE: Duration = Duration::from_secs(10);
/// An orderly stop flushes and closes the store.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Ports tried when others take ours between the choice and the start.
const PORT_CHOICES: u32 = 3;

/// A running or stopped nats-server. Dropping it kills the server, and deletes
/// its data if no folder was named.
#[derive(Debug)]
pub struct NatsServer {
    // Before `home`, so that the server is gone when its folder is deleted.
    process: Option<ServerProcess>,
    options: NatsOptions,
    client: Lease,
    monitor: Lease,
    home: Home,
}

impl NatsServer {
    /// Starts a server and waits until a client is served and JetStream is on.
    /// Blocks for about 100 ms.
    ///
    /// # Errors
    /// The folder is in use, the program does not start, or the server is not
    /// ready within 10 s; the last two quote its log.
    pub fn start(options: NatsOptions) -> Result<NatsServer> {
        let home = Home::open(options.data.as_deref())?;
        let mut server = NatsServer {
            process: None,
            client: Lease::of(options.port)?,
            monitor: Lease::of(options.monitor_port)?,
            options,
            home,
        };
        for _ in 1..PORT_CHOICES {
            match server.launch() {
                Err(error) if server.may_move() && port_taken(&error) => {
                    server.client = Lease::of(server.options.port)?;
                    server.monitor = Lease::of(server.options.monitor_port)?;
                }
                outcome => return outcome.map(|()| server),
            }
        }
        server.launch()?;
        Ok(server)
    }

    /// Stops the server if it runs, then starts it on the same ports and data.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    /// Stops the server in order (SIGTERM), by force after 10 s. Does nothing
    /// if it is stopped already.
    ///
    /// # Errors
    /// The operating system refuses the signal.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.stop(STOP_DEADLINE).map(drop),
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

    /// `nats://127.0.0.1:port`, the same for the life of this value.
    pub fn url(&self) -> String {
        format!("nats://{}", self.client.address())
    }

    /// `http://127.0.0.1:port` of the monitoring endpoint.
    pub fn monitor_url(&self) -> String {
        format!("http://{}", self.monitor.address())
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
            .ok_or(DevstackError::NotRunning { server: NAME })
    }

    fn may_move(&self) -> bool {
        self.options.port == 0 || self.options.monitor_port == 0
    }

    fn launch(&mut self) -> Result<()> {
        let text = self.options.render(
            self.client.port(),
            self.monitor.port(),
            &self.home.path().join("data"),
        );
        let file = self.home.write("nats-server.conf", &text)?;
        let mut command = Command::new(&self.options.binary);
        command
            .arg("-c")
            .arg(file)
            .current_dir(self.home.path())
            .stdin(self.home.lock_as_input()?);
        self.process = Some(ServerProcess::start(NAME, command, &self.home.log())?);
        self.await_ready()
    }

    fn await_ready(&mut self) -> Result<()> {
        let (client, monitor) = (self.client.address(), self.monitor.address());
        let user = self.options.users.first();
        let process = self.process.as_mut().expect("launch has just set it");
        let mut problem = String::new();
        let outcome = wait_for(READY_DEADLINE, || {
            if let Some(status) = process.exit_status() {
                return Some(Err(status));
            }
            match probe::ready(&client, &monitor, user) {
                Ok(()) => Some(Ok(())),
                Err(error) => {
                    problem = error.to_string();
                    None
                }
            }
        });
        let log = process.log_tail();
        let failure = match outcome {
            Some(Ok(())) => {
                tracing::debug!(%client, "nats-server is ready");
                return Ok(());
            }
            Some(Err(status)) => DevstackError::Exited {
                server: NAME,
                status,
                log,
            },
            None => DevstackError::NotReady {
                server: NAME,
                waited: READY_DEADLINE,
                problem,
                log,
            },
        };
        self.kill()?;
        Err(failure)
    }
}

/// Whether a server ended because somebody else listens on its port.
fn port_taken(error: &DevstackError) -> bool {
    matches!(error, DevstackError::Exited { log, .. } if log.contains("address already in use"))
}
