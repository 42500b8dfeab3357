//! A single-node Apache Kafka (KRaft). [`KafkaServer`] owns the process, its
//! ports and its folder; which topics are in it is the caller's business.

mod settings;
#[cfg(test)]
mod tests;
mod wire;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::error::{DevstackError, Result};
use crate::home::Home;
use crate::port::Lease;
use crate::process::{ServerProcess, wait_for};
use crate::tool;

pub use settings::KafkaOptions;
pub(crate) use wire::api_versions;

pub(crate) const NAME: &str = "kafka";
/// A start takes about 3 s of one core; a busy machine needs several times that.
const READY_DEADLINE: Duration = Duration::from_secs(90);
/// An orderly stop takes about 1 s.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// Ports tried when others take ours between the choice and the start.
const PORT_CHOICES: u32 = 3;
/// What the broker logs when it serves requests and is no longer fenced.
const STARTED_LINE: &str = "Kafka Server started";

/// A running or stopped Kafka. Dropping it kills the server, and deletes its
/// data if no folder was named.
#[derive(Debug)]
pub struct KafkaServer {
    // Before `home`, so that the server is gone when its folder is deleted.
    process: Option<ServerProcess>,
    options: KafkaOptions,
    broker: Lease,
    controller: Lease,
    home: Home,
}

impl KafkaServer {
    /// Starts a server (after formatting an empty data folder) and waits until
    /// it serves. Blocks for several seconds.
    ///
    /// # Errors
    /// The folder is in use, Java does not start, or the server is not ready
    /// within 90 s; the last two quote its log.
    pub fn start(options: KafkaOptions) -> Result<KafkaServer> {
        let home = Home::open(options.data.as_deref())?;
        let mut server = KafkaServer {
            process: None,
            broker: Lease::of(options.port)?,
            controller: Lease::free()?,
            options,
            home,
        };
        for _ in 1..PORT_CHOICES {
            match server.launch() {
                Err(error) if port_taken(&error) => {
                    server.broker = Lease::of(server.options.port)?;
                    server.controller = Lease::free()?;
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
    /// As [`KafkaServer::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    /// Stops the server in order (SIGTERM), by force after 30 s. Does nothing
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

    /// `127.0.0.1:port`, the same for the life of this value.
    pub fn bootstrap(&self) -> String {
        self.broker.address()
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

    fn launch(&mut self) -> Result<()> {
        let data = self.home.path().join("data");
        let (broker, controller) = (self.broker.port(), self.controller.port());
        let text = self.options.render(broker, controller, &data);
        let properties = self.home.write("server.properties", &text)?;
        let logging = self
            .home
            .write("log4j2.properties", settings::LOG_SETTINGS)?;
        if !data.join("meta.properties").is_file() {
            let mut format = self.java(&logging, "kafka.tools.StorageTool");
            format
                .args(["format", "-t", &settings::cluster_id(), "-c"])
                .arg(&properties);
            tool::run(format, |_| {})?;
        }
        let mut command = self.java(&logging, "kafka.Kafka");
        command.arg(&properties).stdin(self.home.lock_as_input()?);
        self.process = Some(ServerProcess::start(NAME, command, &self.home.log())?);
        self.await_ready()
    }

    /// Java itself, without a shell around it that could outlive it.
    fn java(&self, logging: &Path, class: &str) -> Command {
        let runtime = &self.options.runtime;
        let mut class_path = PathBuf::from(&runtime.jars).into_os_string();
        class_path.push("/*");
        let mut logging_option = std::ffi::OsString::from("-Dlog4j2.configurationFile=");
        logging_option.push(logging);
        let mut command = Command::new(&runtime.java);
        command
            .arg(format!("-Xmx{}m", self.options.heap_mb))
            // Kafka is short-lived here: quick compiled code beats fast code.
            .args(["-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"])
            .arg(logging_option)
            .arg("-cp")
            .arg(class_path)
            .arg(class)
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    fn await_ready(&mut self) -> Result<()> {
        let address = self.broker.address();
        let process = self.process.as_mut().expect("launch has just set it");
        let mut problem = String::new();
        let outcome = wait_for(READY_DEADLINE, || {
            if let Some(status) = process.exit_status() {
                return Some(Err(status));
            }
            if !process.log_text().contains(STARTED_LINE) {
                problem = "its log does not say that it has started".to_owned();
                return None;
            }
            match api_versions(&address) {
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
                tracing::debug!(%address, "kafka is ready");
                return Ok(());
            }
            Some(Err(status)) => DevstackError::Exited {
                server: NAME,
                status,
                log: errors_first(&process.log_text()).unwrap_or(log),
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

/// Lines of a failed start that name the cause; the end of the log is often a
/// long stack trace of what followed from it.
fn errors_first(log: &str) -> Option<String> {
    const LINES_MAX: usize = 10;
    let telling = |line: &&str| line.contains("ERROR") || line.contains("Exception");
    let lines: Vec<&str> = log.lines().filter(telling).take(LINES_MAX).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Whether a server ended because somebody else listens on its port.
fn port_taken(error: &DevstackError) -> bool {
    matches!(error, DevstackError::Exited { log, .. }
        if log.contains("Address already in use") || log.contains("BindException"))
}
