//! A nats-server with JetStream. [`NatsServer`] owns the process, its ports and
//! its folder; which streams are in it is the caller's business.

mod cluster;
mod monitor;
mod probe;
mod settings;
#[cfg(test)]
mod tests;

use std::io;
use std::process::Command;
use std::time::Duration;

use crate::error::Result;
use crate::home::Home;
use crate::port::Lease;
use crate::process::ServerProcess;
use crate::server::{Program, Server};

pub use cluster::{NatsCluster, NatsClusterPlan, server_name};
pub use monitor::{Replica, StreamView};
pub(crate) use probe::greet;
pub use settings::{NatsMember, NatsOptions, NatsUser};

/// A running or stopped nats-server.
pub type NatsServer = Server<Nats>;

/// What is particular to a nats-server: its settings and its ports.
#[derive(Debug)]
pub struct Nats {
    options: NatsOptions,
    client: Lease,
    monitor: Lease,
}

impl NatsServer {
    /// Starts a server and waits until a client is served and JetStream is on.
    /// Blocks for about 100 ms.
    ///
    /// # Errors
    /// The folder is in use, the program does not start, or the server is not
    /// ready within 10 s; the last two quote its log.
    pub fn start(options: NatsOptions) -> Result<NatsServer> {
        let data = options.data.clone();
        let program = Nats {
            client: Lease::of(options.port)?,
            monitor: Lease::of(options.monitor_port)?,
            options,
        };
        Server::launched(program, data.as_deref())
    }

    /// `nats://127.0.0.1:port`, the same for the life of this value.
    pub fn url(&self) -> String {
        format!("nats://{}", self.program.client.address())
    }

    /// `127.0.0.1:port`, for whoever puts something in between.
    pub fn address(&self) -> String {
        self.program.client.address()
    }

    /// `http://127.0.0.1:port` of the monitoring endpoint.
    pub fn monitor_url(&self) -> String {
        format!("http://{}", self.program.monitor.address())
    }

    /// What the server knows of the streams of the one account: who leads each, and
    /// how far its copies are. Servers that are cut off may differ.
    ///
    /// # Errors
    /// It does not answer, or not with what this crate knows.
    pub fn streams(&self) -> io::Result<Vec<StreamView>> {
        monitor::streams(&self.program.monitor.address())
    }
}

impl Program for Nats {
    const NAME: &'static str = "nats-server";
    /// A start takes about 50 ms; recovering large streams takes longer.
    const READY_DEADLINE: Duration = Duration::from_secs(10);
    /// An orderly stop flushes and closes the store.
    const STOP_DEADLINE: Duration = Duration::from_secs(10);

    fn command(&self, home: &Home) -> Result<Command> {
        let data = home.path().join("data");
        let (client, monitor) = (self.client.port(), self.monitor.port());
        let text = self.options.render(client, monitor, &data);
        let file = home.write("nats-server.conf", &text)?;
        let mut command = Command::new(&self.options.binary);
        command.arg("-c").arg(file);
        Ok(command)
    }

    fn probe(&self, _process: &ServerProcess) -> Result<(), String> {
        let (client, monitor) = (self.client.address(), self.monitor.address());
        let ready = probe::ready(&client, &monitor, self.options.users.first());
        ready.map_err(|error| error.to_string())
    }

    fn port_taken(log: &str) -> bool {
        log.contains("address already in use")
    }

    fn move_ports(&mut self) -> Result<bool> {
        let free = self.options.port == 0 || self.options.monitor_port == 0;
        if free {
            self.client = Lease::of(self.options.port)?;
            self.monitor = Lease::of(self.options.monitor_port)?;
        }
        Ok(free)
    }
}
