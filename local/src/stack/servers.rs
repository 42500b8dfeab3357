//! The servers under the services, two or NATS alone: started, looked after, stopped.
//!
//! Owns them. One task for each sees to it that it is started again when it has ended
//! by itself, however often, and never waits for the other. Calls of theirs block, and
//! run on threads for that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use devstack::{Interrupt, Kafka, Nats, Program, Server};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::error::StackError;
use super::options::{OnStep, StackOptions, store};
use super::users::{Access, nats_users, random_password};
use crate::sentence::sentence;

/// How often it is looked whether a server lives.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// A server, shared between the one who looks after it and the one who stops it, and
/// what ends a start of it; `None` for one that is not ours.
#[derive(Debug)]
struct Kept<P>(Option<(Arc<Mutex<Server<P>>>, Interrupt)>);

impl<P> Clone for Kept<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// NATS and Kafka. Dropping it kills them.
pub(super) struct Servers {
    /// The way to NATS.
    pub nats: Access,
    /// Address of Kafka, if there is a mirror.
    pub kafka: Option<String>,
    /// Processes of both when they were started; `None` for one that is not ours.
    pub processes: [Option<u32>; 2],
    // Before the servers, so that nobody starts again what is being stopped.
    keepers: JoinSet<()>,
    nats_server: Kept<Nats>,
    kafka_server: Kept<Kafka>,
}

impl<P: Program> Kept<P> {
    fn new(server: Option<Server<P>>) -> Self {
        Self(server.map(|server| {
            let interrupt = server.interrupt();
            (Arc::new(Mutex::new(server)), interrupt)
        }))
    }

    /// Ends a start that is under way.
    fn give_up(&self) {
        if let Some((_, interrupt)) = &self.0 {
            interrupt.trigger();
        }
    }

    /// Whether it is ours and does not run. Waits for a call that is under way.
    fn is_down(&self) -> bool {
        self.0.as_ref().is_some_and(|(server, _)| {
            let mut server = lock(server);
            server.pid().is_none() || server.ended().is_some()
        })
    }

    fn stop(self) -> devstack::Result<()> {
        self.0.map_or(Ok(()), |(server, _)| lock(&server).stop())
    }
}

fn lock<P>(server: &Mutex<Server<P>>) -> MutexGuard<'_, Server<P>> {
    // A call that panicked left a server behind that can still be stopped.
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Servers {
    /// Starts both, or takes the ones that run already, and tells each step. What
    /// happens to them later is told to `notes`.
    pub async fn start(
        options: &StackOptions,
        on_step: OnStep,
        notes: mpsc::Sender<String>,
    ) -> Result<Self, StackError> {
        let config = options.devstack.clone();
        let users = match &config.nats_url {
            Some(_) => Vec::new(),
            None => nats_users(&[store()], random_password),
        };
        let servers = devstack::StackOptions {
            data: options.data.clone(),
            nats_users: users.clone(),
            without_kafka: !options.mirror,
            ..devstack::StackOptions::default()
        };
        let started = tokio::task::spawn_blocking(move || {
            devstack::Stack::start(&config, servers, &|progress| on_step(&progress.to_string()))
        });
        let stack = started.await.map_err(StackError::Interrupted)??;
        let (nats, kafka) = (
            stack.nats_url().to_owned(),
            stack.kafka_bootstrap().map(str::to_owned),
        );
        let processes = stack.processes();
        let (nats_server, kafka_server) = stack.into_servers();
        let (nats_server, kafka_server) = (Kept::new(nats_server), Kept::new(kafka_server));
        let mut keepers = JoinSet::new();
        keep(&mut keepers, &nats_server, &notes);
        keep(&mut keepers, &kafka_server, &notes);
        Ok(Self {
            nats: Access { url: nats, users },
            kafka,
            processes,
            keepers,
            nats_server,
            kafka_server,
        })
    }

    /// Gives up starting servers again, and says whether one of ours does not run: then
    /// what the services have in hand has nowhere to go. Not cancel safe: nobody looks
    /// after the servers from here on.
    pub async fn give_up(&mut self) -> Result<bool, StackError> {
        self.nats_server.give_up();
        self.kafka_server.give_up();
        self.keepers.shutdown().await;
        let (nats, kafka) = (self.nats_server.clone(), self.kafka_server.clone());
        let looked = tokio::task::spawn_blocking(move || nats.is_down() || kafka.is_down());
        looked.await.map_err(StackError::Interrupted)
    }

    /// Stops both in order, after [`Self::give_up`].
    pub async fn stop(self) -> Result<(), StackError> {
        let (nats, kafka) = (self.nats_server, self.kafka_server);
        let stopped = tokio::task::spawn_blocking(move || {
            let kafka = kafka.stop();
            kafka.and(nats.stop())
        });
        Ok(stopped.await.map_err(StackError::Interrupted)??)
    }
}

fn keep<P: Program + Send + 'static>(
    keepers: &mut JoinSet<()>,
    server: &Kept<P>,
    notes: &mpsc::Sender<String>,
) {
    if let Some((server, _)) = &server.0 {
        keepers.spawn(keep_alive(Arc::clone(server), notes.clone()));
    }
}

/// Starts a server again whenever it has ended by itself, until it is told to stop.
async fn keep_alive<P: Program + Send + 'static>(
    server: Arc<Mutex<Server<P>>>,
    notes: mpsc::Sender<String>,
) {
    // An error of `send` means that nobody listens any more.
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let ended = lock(&server).ended();
        if let Some(status) = ended {
            let text = format!(
                "{} has ended ({status}): it is started again, with its data",
                P::NAME
            );
            let _ = notes.send(text).await;
            restart(&server, &notes).await;
        }
    }
}

/// Tries until it runs.
async fn restart<P: Program + Send + 'static>(
    server: &Arc<Mutex<Server<P>>>,
    notes: &mpsc::Sender<String>,
) {
    let mut backoff = Backoff::default();
    loop {
        let starting = Arc::clone(server);
        let started = tokio::task::spawn_blocking(move || {
            let mut server = lock(&starting);
            server.restart().map(|()| server.pid())
        });
        let problem = match started.await {
            Ok(Ok(pid)) => {
                let process = pid.map_or(String::new(), |pid| format!(": process {pid}"));
                let _ = notes.send(format!("{} runs again{process}", P::NAME)).await;
                return;
            }
            Ok(Err(error)) => sentence(&error),
            Err(panic) => panic.to_string(),
        };
        let wait = backoff.next();
        let text = format!(
            "{} does not start, next try in {wait:?}: {problem}",
            P::NAME
        );
        let _ = notes.send(text).await;
        tokio::time::sleep(wait).await;
    }
}
