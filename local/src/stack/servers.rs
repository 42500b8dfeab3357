//! The two servers under the services: started, looked after, stopped.
//!
//! Owns them. Calls of theirs block, and run on threads for that; one at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::error::StackError;
use super::options::{OnStep, StackOptions};
use super::services::ServiceEnd;
use super::store;
use super::users::{Access, nats_users, random_password};

/// How often it is looked whether the servers live.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// NATS and Kafka. Dropping it kills them.
pub(super) struct Servers {
    /// The way to NATS.
    pub nats: Access,
    /// Address of Kafka.
    pub kafka: String,
    stack: Arc<Mutex<devstack::Stack>>,
    /// A start of what has died, under way.
    revival: Option<Revival>,
}

/// Ends with the processes that run then.
type Revival = JoinHandle<devstack::Result<[Option<u32>; 2]>>;

fn revive(stack: &Arc<Mutex<devstack::Stack>>) -> Revival {
    let stack = Arc::clone(stack);
    tokio::task::spawn_blocking(move || {
        let mut stack = lock(&stack);
        stack.revive().map(|()| stack.processes())
    })
}

fn lock(stack: &Mutex<devstack::Stack>) -> MutexGuard<'_, devstack::Stack> {
    // A call that panicked left servers behind that can still be stopped.
    stack.lock().unwrap_or_else(PoisonError::into_inner)
}

fn described([nats, kafka]: [Option<u32>; 2]) -> String {
    let one = |pid: Option<u32>| pid.map_or("not ours".to_owned(), |pid| format!("process {pid}"));
    format!("NATS {}, Kafka {}", one(nats), one(kafka))
}

impl Servers {
    /// Starts both, or takes the ones that run already, and tells each step.
    pub async fn start(options: &StackOptions, on_step: OnStep) -> Result<Self, StackError> {
        let config = options.devstack.clone();
        let users = match &config.nats_url {
            Some(_) => Vec::new(),
            None => nats_users(&store(), random_password),
        };
        let servers = devstack::StackOptions {
            data: options.data.clone(),
            nats_users: users.clone(),
            ..devstack::StackOptions::default()
        };
        let started = tokio::task::spawn_blocking(move || {
            devstack::Stack::start(&config, servers, &|progress| on_step(&progress.to_string()))
        });
        let stack = started.await.map_err(StackError::Interrupted)??;
        Ok(Self {
            nats: Access {
                url: stack.nats_url().to_owned(),
                users,
            },
            kafka: stack.kafka_bootstrap().to_owned(),
            stack: Arc::new(Mutex::new(stack)),
            revival: None,
        })
    }

    /// Processes of NATS and of Kafka, where they are ours.
    pub fn processes(&self) -> [Option<u32>; 2] {
        lock(&self.stack).processes()
    }

    /// Starts a server again whenever it has ended by itself, and tells it to `note`;
    /// returns when one does not start. Cancel safe: a start that is under way goes
    /// on, and the next call waits for it.
    pub async fn keep_alive(&mut self, note: impl Fn(&str)) -> ServiceEnd {
        loop {
            let revival = match &mut self.revival {
                Some(revival) => revival,
                None => {
                    tokio::time::sleep(LOOK_INTERVAL).await;
                    let ended = lock(&self.stack).ended();
                    if ended.is_empty() {
                        continue;
                    }
                    for (server, status) in ended {
                        note(&format!(
                            "{server} has ended ({status}): it is started again, with its data"
                        ));
                    }
                    self.revival.insert(revive(&self.stack))
                }
            };
            let revived = revival.await.map_err(StackError::Interrupted);
            self.revival = None;
            match revived.and_then(|revived| revived.map_err(StackError::from)) {
                Ok(now) => note(&format!("both servers run: {}", described(now))),
                Err(error) => {
                    return ServiceEnd {
                        service: "a server".to_owned(),
                        error: Some(error.into()),
                    };
                }
            }
        }
    }

    /// Stops both in order.
    pub async fn stop(self) -> Result<(), StackError> {
        let stopped = tokio::task::spawn_blocking(move || lock(&self.stack).stop());
        Ok(stopped.await.map_err(StackError::Interrupted)??)
    }
}
