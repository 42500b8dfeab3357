//! One instance of a service, as tests want it: whatever cannot be done panics.
//!
//! Owns the instance. Does not know what the service is for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;

use devstack::port::Lease;
use local::{InstanceError, Service};

use crate::environment;
use crate::wait;

pub use local::http::get;

/// Where an instance runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// As a task of the test.
    InProcess,
    /// As a child process, which can be killed and paused.
    Process,
}

/// One edge node, worker or bridge.
#[derive(Debug)]
pub struct Instance<S: Service> {
    /// Its settings; a change holds from the next start on.
    pub config: S,
    inner: local::Instance<S>,
}

fn expect<T>(outcome: Result<T, InstanceError>) -> T {
    outcome.unwrap_or_else(|error| panic!("{}", local::sentence(&error)))
}

impl<S: Service> Instance<S> {
    /// An instance that does not run yet. `folder` holds its settings and its log.
    ///
    /// # Panics
    /// If no port is free.
    pub fn new(name: &str, config: S, placement: Placement, folder: PathBuf) -> Self {
        let placement = match placement {
            Placement::InProcess => local::Placement::Here,
            Placement::Process => local::Placement::Child {
                programs: environment::program(S::PROGRAM)
                    .parent()
                    .expect("a program is in a folder")
                    .to_path_buf(),
                folder,
            },
        };
        let ports = [Lease::free(), Lease::free()].map(|port| port.expect("a port is free"));
        let inner = local::Instance::new(name, config, placement, ports);
        Self {
            config: inner.config.clone(),
            inner,
        }
    }

    /// Where it listens, if it does; the same for the life of this value.
    pub fn address(&self) -> SocketAddr {
        self.inner.address()
    }

    /// Where it serves health and metrics.
    pub fn health(&self) -> SocketAddr {
        self.inner.health()
    }

    /// Its name in logs and failures.
    pub fn name(&self) -> &str {
        self.inner.name()
    }

    /// What it shows of itself; `None` for a child process, and while it is stopped.
    pub fn view(&self) -> Option<&S::View> {
        self.inner.view()
    }

    /// Starts it. It is not waited for until it serves.
    ///
    /// # Panics
    /// If it runs already, or does not start.
    pub async fn start(&mut self) {
        self.inner.config = self.config.clone();
        expect(self.inner.start().await);
    }

    /// Stops it in order and waits until it has drained. Does nothing if it is stopped.
    ///
    /// # Panics
    /// If it fails or does not end.
    pub async fn stop(&mut self) {
        expect(self.inner.stop().await);
    }

    /// Asks it to end in order (SIGTERM), and does not wait: it may die on the way.
    ///
    /// # Panics
    /// If it is no child process or does not run.
    pub fn ask_to_end(&mut self) {
        expect(self.inner.ask_to_end());
    }

    /// Kills it (SIGKILL) and waits until it is gone; how it ended, since it may have
    /// been dead before.
    ///
    /// # Panics
    /// If it is no child process or does not run.
    pub fn kill(&mut self) -> ExitStatus {
        expect(self.inner.kill())
    }

    /// Freezes it (SIGSTOP).
    ///
    /// # Panics
    /// If it is no child process or does not run.
    pub fn pause(&mut self) {
        expect(self.inner.pause());
    }

    /// Lets it go on (SIGCONT), however it was frozen.
    ///
    /// # Panics
    /// If it is no child process or does not run.
    pub fn resume(&mut self) {
        expect(self.inner.resume());
    }

    /// How the child process ended by itself, for instance by a fault switch; `None`
    /// while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.inner.ended()
    }

    /// Process number of the child process.
    ///
    /// # Panics
    /// If it is no child process or does not run.
    pub fn pid(&mut self) -> u32 {
        expect(self.inner.pid())
    }

    /// Stops it if it runs and starts it again, with the settings that it has now.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Everything that the child process has written to its log.
    pub fn log(&self) -> String {
        self.inner.log()
    }

    /// What to print of it when a test fails.
    pub fn describe(&mut self) -> String {
        self.inner.describe()
    }

    /// Waits until its `/readyz` says that it serves.
    ///
    /// # Panics
    /// If it does not.
    pub async fn ready(&mut self) {
        let address = self.health();
        let what = format!("{} is ready", self.name());
        let waited = wait::look(&what, wait::DEADLINE, async || {
            local::http::ready(address).await
        });
        if let Err(problem) = waited.await {
            panic!("{problem}\n{}", self.describe());
        }
    }
}
