//! One instance of a service: started, stopped, killed, paused, and started again on
//! the same port.
//!
//! Owns the task or the child process, and the port even while nothing listens on
//! it. Does not know what the service is for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use devstack::ServerProcess;
use devstack::port::Lease;
use service::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::environment;
use crate::service::{Here, Service};
use crate::wait;

/// How long an instance may drain before it is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Where an instance runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// As a task of the test.
    InProcess,
    /// As a child process, which can be killed and paused.
    Process,
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
    folder: PathBuf,
    port: Lease,
    running: Running<S::View>,
}

impl<S: Service> Instance<S> {
    /// An instance that does not run yet. `folder` holds its settings and its log.
    ///
    /// # Panics
    /// If no port is free.
    pub fn new(name: &str, mut config: S, placement: Placement, folder: PathBuf) -> Self {
        let port = Lease::free().expect("a port is free");
        config.listen_on(SocketAddr::from((Ipv4Addr::LOCALHOST, port.port())));
        Self {
            config,
            name: name.to_owned(),
            placement,
            folder,
            port,
            running: Running::No,
        }
    }

    /// Where it listens, if it does; the same for the life of this value.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.port()))
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

    /// Starts it. It is not waited for until it serves.
    ///
    /// # Panics
    /// If it runs already, or does not start.
    pub async fn start(&mut self) {
        assert!(
            matches!(self.running, Running::No),
            "{} runs already",
            self.name
        );
        self.running = match self.placement {
            Placement::Process => Running::Child(self.spawn()),
            Placement::InProcess => {
                let shutdown = Shutdown::new();
                let here = self
                    .config
                    .clone()
                    .serve(self.address(), shutdown.clone())
                    .await;
                let here = here.unwrap_or_else(|error| panic!("{}: {error}", self.name));
                Running::Here(here, shutdown)
            }
        };
    }

    fn spawn(&self) -> ServerProcess {
        let settings = self.folder.join(format!("{}.json", self.name));
        let json = serde_json::to_vec(&self.config).expect("settings can be written");
        std::fs::write(&settings, json).expect("the deployment's folder can be written");
        let mut command = Command::new(environment::program(S::PROGRAM));
        command.arg(settings).stdin(std::process::Stdio::null());
        for name in environment::private_variables() {
            command.env_remove(name);
        }
        let log = self.folder.join(format!("{}.log", self.name));
        let started = ServerProcess::start(S::PROGRAM, command, &log);
        started.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Stops it in order and waits until it has drained. Does nothing if it is stopped.
    ///
    /// # Panics
    /// If it fails or does not end.
    pub async fn stop(&mut self) {
        match std::mem::replace(&mut self.running, Running::No) {
            Running::No => {}
            Running::Here(here, shutdown) => {
                shutdown.trigger();
                let ended = tokio::time::timeout(STOP_DEADLINE, here.task).await;
                let ended = ended.unwrap_or_else(|_| panic!("{} does not drain", self.name));
                let ended = ended.unwrap_or_else(|error| panic!("{}: {error}", self.name));
                ended.unwrap_or_else(|error| panic!("{}: {error}", self.name));
            }
            Running::Child(mut process) => {
                let stopped = crate::servers::blocking(move || process.stop(STOP_DEADLINE)).await;
                stopped.unwrap_or_else(|error| panic!("{}: {error}", self.name));
            }
        }
    }

    /// Kills it (SIGKILL) and waits until it is gone; how it ended, since it may have
    /// been dead before.
    ///
    /// # Panics
    /// If it is no child process or does not run.
    pub fn kill(&mut self) -> ExitStatus {
        let killed = self.child().kill();
        self.running = Running::No;
        killed.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Freezes it (SIGSTOP).
    ///
    /// # Panics
    /// If it is no child process or does not run.
    pub fn pause(&mut self) {
        let name = self.name.clone();
        self.child()
            .pause()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Lets it go on (SIGCONT), however it was frozen.
    ///
    /// # Panics
    /// If it is no child process or does not run.
    pub fn resume(&mut self) {
        let name = self.name.clone();
        self.child()
            .resume()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// How the child process ended by itself, for instance by a fault switch; `None`
    /// while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        match &mut self.running {
            Running::Child(process) => process.exit_status(),
            _ => None,
        }
    }

    /// Process number of the child process.
    ///
    /// # Panics
    /// If it is no child process or does not run.
    pub fn pid(&mut self) -> u32 {
        self.child().pid()
    }

    /// Stops it if it runs and starts it again, with the settings that it has now.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Everything that the child process has written to its log.
    pub fn log(&self) -> String {
        match &self.running {
            Running::Child(process) => process.log_text(),
            _ => std::fs::read_to_string(self.folder.join(format!("{}.log", self.name)))
                .unwrap_or_default(),
        }
    }

    /// What to print of it when a test fails.
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

    /// Waits until its `/readyz` says that it serves.
    ///
    /// # Panics
    /// If it does not.
    pub async fn ready(&mut self) {
        let address = self.address();
        let what = format!("{} is ready", self.name);
        let waited = wait::look(&what, wait::DEADLINE, async || {
            let answer = get(address, "/readyz")
                .await
                .map_err(|error| error.to_string())?;
            if answer.starts_with("HTTP/1.1 200") {
                Ok(())
            } else {
                Err(answer)
            }
        });
        if let Err(problem) = waited.await {
            panic!("{problem}\n{}", self.describe());
        }
    }

    fn child(&mut self) -> &mut ServerProcess {
        match &mut self.running {
            Running::Child(process) => process,
            _ => panic!("{} is no running child process", self.name),
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

/// The whole answer to a GET request.
///
/// # Errors
/// Nobody listens there, or the connection breaks.
pub async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
