//! Centrifugo as a yardstick: a process of its own, if somebody names its program.
//!
//! Owns the process. `go install github.com/centrifugal/centrifugo/v6@v6.9.1` makes it.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use harness::wait;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::crowd::{Counter, masked, upgraded};
use crate::world;

/// Names the program; without it there is no such yardstick.
const PROGRAM: &str = "EDDYLINE_CENTRIFUGO";

/// A running Centrifugo that lets everybody do everything.
pub struct Centrifugo {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Centrifugo {
    /// Starts it, if it was named.
    ///
    /// # Errors
    /// It was named and does not start.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        let Some(program) = std::env::var_os(PROGRAM) else {
            return Ok(None);
        };
        let free = TcpListener::bind("127.0.0.1:0").await?;
        let address = free.local_addr()?;
        drop(free);
        let folder = tempfile::tempdir()?;
        let config = json!({
            "http_server": {"address": "127.0.0.1", "port": address.port().to_string()},
            "client": {"insecure": true, "connection_limit": 0, "ping_interval": "600s", "pong_timeout": "300s"},
            "log": {"level": "error"},
        });
        let file = folder.path().join("config.json");
        std::fs::write(&file, config.to_string())?;
        let process = Command::new(&program)
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{PROGRAM}={}", program.display()))?;
        let started = Self {
            process,
            address,
            _folder: folder,
        };
        let up = wait::look("centrifugo answers", world::DEADLINE, async || {
            let connected = TcpStream::connect(address).await;
            connected.map(drop).map_err(|error| error.to_string())
        });
        up.await.map_err(anyhow::Error::msg)?;
        Ok(Some(started))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A connection, subscribed to a channel if one is named.
    ///
    /// # Errors
    /// It refuses.
    pub async fn session(&self, channel: Option<&str>) -> anyhow::Result<TcpStream> {
        let mut stream = upgraded(self.address, "/connection/websocket", "").await?;
        stream.set_nodelay(true)?;
        let mut commands = vec![json!({"id": 1, "connect": {}})];
        commands.extend(channel.map(|name| json!({"id": 2, "subscribe": {"channel": name}})));
        for (answers, command) in (1..).zip(&commands) {
            stream
                .write_all(&masked(command.to_string().as_bytes())?)
                .await?;
            let answer = Counter::read(&mut stream).await?;
            ensure!(!answer.contains("\"error\""), "{answers}: {answer}");
        }
        Ok(stream)
    }
}

impl Drop for Centrifugo {
    fn drop(&mut self) {
        // It is ours, and nothing of it is needed any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
