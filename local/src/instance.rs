//! One instance of a service: started, stopped, killed, paused, and started again on
//! the same port.
//!
//! Owns the task or the child process, and the port even while nothing listens on
//! it. Does not know what the service is for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use devstack::port::Lease;
use devstack::{DevstackError, ServerProcess};
use service::shutdown::Shutdown;
use tokio::net::TcpListener;

use crate::programs;
use crate::service::{Failure, Here, Service};

/// How long an instance may drain before it is killed.
pub const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Where an instance runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// As a task of this process.
    Here,
    /// As a child process, which can be killed and paused.
    Child {
        /// Folder of the services' programs.
        programs: PathBuf,
        /// Folder that takes settings and log.
        folder: PathBuf,
    },
}

/// Why something cannot be done with an instance.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// It runs already, or it is no running child process.
    #[error("{name} {problem}")]
    State {
        /// Its name.
        name: String,
        /// What it is or is not.
        problem: &'static str,
    },
    /// Its port is taken. Temporary, or another must be chosen.
    #[error("port {port} of {name} cannot be used")]
    Port {
        /// Its name.
        name: String,
        /// The port.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// It did not start, or it ended with a failure.
    #[error("{name}")]
    Failed {
        /// Its name.
        name: String,
        /// Its own error.
        source: Failure,
    },
    /// Its program or its settings file cannot be used.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The child process cannot be started or does not obey.
    #[error("{name}")]
    Process {
        /// Its name.
        name: String,
        /// Why.
        source: DevstackError,
    },
    /// It did not drain in time, and was cut off.
    #[error("{name} did not drain within {STOP_DEADLINE:?}")]
    Drain {
        /// Its name.
        name: String,
    },
}

#[derive(Debug)]
enum Running<V> {
    No,
    Here(Here<V>, Shutdown),
    Child(ServerProcess),
}

/// One edge node, worker or bridge.
#[derive(Debug)]
pub struct Instance<S: Service> {
    /// Its settings; a change holds from the next start on.
    pub config: S,
    name: String,
    placement: Placement,
    port: Lease,
    /// Where health and metrics are.
    health: Lease,
    /// The port, taken before the first start.
    listener: Option<TcpListener>,
    running: Running<S::View>,
}

fn local(port: &Lease) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port.port()))
}

impl<S: Service> Instance<S> {
    /// An instance that does not run yet; its own port, and the one of its health.
    pub fn new(
        name: &str,
        mut config: S,
        placement: Placement,
        [port, health]: [Lease; 2],
    ) -> Self {
        config.listen_on(local(&port));
        config.health_on(local(&health));
        Self {
            config,
            name: name.to_owned(),
            placement,
            port,
            health,
            listener: None,
            running: Running::No,
        }
    }

    /// Where it listens, if it does; the same for the life of this value.
    pub fn address(&self) -> SocketAddr {
        local(&self.port)
    }

    /// Where it serves health and metrics.
    pub fn health(&self) -> SocketAddr {
        local(&self.health)
    }

    /// Its name in logs and failures.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it shows of itself; `None` for a child process, and while it is stopped.
    pub fn view(&self) -> Option<&S::View> {
        match &self.running {
            Running::Here(here, _) => Some(&here.view),
            _ => None,
        }
    }

    /// Takes its port now, so that a start in this process cannot fail by it.
    ///
    /// # Errors
    /// [`InstanceError::Port`].
    pub async fn bind(&mut self) -> Result<(), InstanceError> {
        let bound = TcpListener::bind(self.address()).await;
        let listener = bound.map_err(|source| InstanceError::Port {
            name: self.name.clone(),
            port: self.port.port(),
            source,
        })?;
        self.listener = Some(listener);
        Ok(())
    }

    /// Starts it. It is not waited for until it serves. Not cancel safe: a start that
    /// is cut off leaves nothing behind that could be stopped in order.
    ///
    /// # Errors
    /// It runs already, its port is taken, or it does not start.
    pub async fn start(&mut self) -> Result<(), InstanceError> {
        if !matches!(self.running, Running::No) {
            return Err(self.state("runs already"));
        }
        self.running = match &self.placement {
            Placement::Child { programs, folder } => {
                Running::Child(self.spawn(programs.join(S::PROGRAM), folder.clone())?)
            }
            Placement::Here => {
                if self.listener.is_none() {
                    self.bind().await?;
                }
                let listener = self.listener.take().expect("it was bound above");
                let shutdown = Shutdown::new();
                let serving = self.config.clone().serve(listener, shutdown.clone());
                let here = serving.await.map_err(|source| self.failed(source))?;
                Running::Here(here, shutdown)
            }
        };
        Ok(())
    }

    fn spawn(&self, program: PathBuf, folder: PathBuf) -> Result<ServerProcess, InstanceError> {
        let settings = folder.join(format!("{}.json", self.name));
        let json = serde_json::to_vec(&self.config).expect("settings are plain values");
        std::fs::write(&settings, json).map_err(|source| InstanceError::File {
            path: settings.clone(),
            source,
        })?;
        let mut command = Command::new(program);
        command.arg(settings).stdin(std::process::Stdio::null());
        for name in programs::private_variables() {
            command.env_remove(name);
        }
        let log = folder.join(format!("{}.log", self.name));
        ServerProcess::start(S::PROGRAM, command, &log).map_err(|source| self.process(source))
    }

    /// Stops it in order and waits until it has drained. Does nothing if it is stopped.
    ///
    /// # Errors
    /// It fails, or does not end in time.
    pub async fn stop(&mut self) -> Result<(), InstanceError> {
        match std::mem::replace(&mut self.running, Running::No) {
            Running::No => Ok(()),
            Running::Here(mut here, shutdown) => {
                shutdown.trigger();
                match tokio::time::timeout(STOP_DEADLINE, &mut here.task).await {
                    Ok(Ok(ended)) => ended.map_err(|source| self.failed(source)),
                    Ok(Err(panic)) => Err(self.failed(panic.into())),
                    Err(_) => {
                        here.task.abort();
                        Err(InstanceError::Drain {
                            name: self.name.clone(),
                        })
                    }
                }
            }
            Running::Child(mut process) => {
                let stop = tokio::task::spawn_blocking(move || process.stop(STOP_DEADLINE));
                let stopped = stop.await.map_err(|panic| self.failed(panic.into()))?;
                stopped.map(drop).map_err(|source| self.process(source))
            }
        }
    }

    /// Asks it to end in order (SIGTERM), and does not wait.
    ///
    /// # Errors
    /// It is no running child process, or the system refuses.
    pub fn ask_to_end(&mut self) -> Result<(), InstanceError> {
        let asked = self.child()?.ask_to_end();
        asked.map_err(|source| self.process(source))
    }

    /// Kills it (SIGKILL) and waits until it is gone; how it ended, since it may have
    /// been dead before.
    ///
    /// # Errors
    /// It is no running child process, or the system refuses.
    pub fn kill(&mut self) -> Result<ExitStatus, InstanceError> {
        let killed = self.child()?.kill();
        self.running = Running::No;
        killed.map_err(|source| self.process(source))
    }

    /// Freezes it (SIGSTOP).
    ///
    /// # Errors
    /// It is no running child process, or the system refuses.
    pub fn pause(&mut self) -> Result<(), InstanceError> {
        let paused = self.child()?.pause();
        paused.map_err(|source| self.process(source))
    }

    /// Lets it go on (SIGCONT), however it was frozen.
    ///
    /// # Errors
    /// It is no running child process, or the system refuses.
    pub fn resume(&mut self) -> Result<(), InstanceError> {
        let resumed = self.child()?.resume();
        resumed.map_err(|source| self.process(source))
    }

    /// How the child process ended by itself, for instance by a fault switch; `None`
    /// while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        match &mut self.running {
            Running::Child(process) => process.exit_status(),
            _ => None,
        }
    }

    /// Waits until the task in this process has ended by itself, takes it away, and says
    /// why; for ever if there is none. Cancel safe.
    pub async fn ended_here(&mut self) -> Option<Failure> {
        let Running::Here(here, _) = &mut self.running else {
            return std::future::pending().await;
        };
        let ended = (&mut here.task).await;
        self.running = Running::No;
        match ended {
            Ok(outcome) => outcome.err(),
            Err(panic) => Some(panic.into()),
        }
    }

    /// Process number of the child process.
    ///
    /// # Errors
    /// It is no running child process.
    pub fn pid(&mut self) -> Result<u32, InstanceError> {
        Ok(self.child()?.pid())
    }

    /// Everything that the child process has written to its log.
    pub fn log(&self) -> String {
        match (&self.running, &self.placement) {
            (Running::Child(process), _) => process.log_text(),
            (_, Placement::Child { folder, .. }) => {
                std::fs::read_to_string(folder.join(format!("{}.log", self.name)))
                    .unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    /// What it is doing, for a failure's message.
    pub fn describe(&mut self) -> String {
        let state = match &mut self.running {
            Running::No => "stopped".to_owned(),
            Running::Here(here, _) => format!(
                "in process, ended: {}, {:?}",
                here.task.is_finished(),
                here.view
            ),
            Running::Child(process) => match process.exit_status() {
                Some(status) => format!("{status}\n{}", process.log_tail()),
                None => format!("running\n{}", process.log_tail()),
            },
        };
        format!("{}: {state}", self.name)
    }

    fn child(&mut self) -> Result<&mut ServerProcess, InstanceError> {
        let name = &self.name;
        match &mut self.running {
            Running::Child(process) => Ok(process),
            _ => Err(InstanceError::State {
                name: name.clone(),
                problem: "is no running child process",
            }),
        }
    }

    fn state(&self, problem: &'static str) -> InstanceError {
        InstanceError::State {
            name: self.name.clone(),
            problem,
        }
    }

    fn failed(&self, source: Failure) -> InstanceError {
        InstanceError::Failed {
            name: self.name.clone(),
            source,
        }
    }

    fn process(&self, source: DevstackError) -> InstanceError {
        InstanceError::Process {
            name: self.name.clone(),
            source,
        }
    }
}

impl<S: Service> Drop for Instance<S> {
    fn drop(&mut self) {
        if let Running::Here(_, shutdown) = &self.running {
            shutdown.trigger();
        }
    }
}
