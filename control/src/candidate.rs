//! A function on disk, run on inputs as its lanes would run it.
//!
//! Owns the function's instances. It must not know where inputs come from, or what is
//! stored of them.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use host::Host;
use host::event::Event;
use host::fault::Broken;
use host::module::Program;
use host::pack::Item;
use host::pool::Guest;
use host::remembered::Remembered;
use host::reply::Handled;
use protocol::lane::Lane;
use protocol::spec::FunctionSpec;

use crate::error::ControlError;
use crate::fate::Fate;

/// Inputs that are handed over together, as a busy lane does it.
const BATCH: usize = 64;

/// What is kept of an input.
#[derive(Debug)]
pub(crate) struct Input {
    pub seq: u64,
    pub time_us: u64,
    pub channel: String,
}

/// A function on this machine, with an instance for each lane, as on a worker.
pub(crate) struct Candidate {
    host: Host,
    program: Arc<Program>,
    /// Lanes of the store.
    store_lanes: u16,
    places: BTreeMap<u16, Place>,
    done: BTreeMap<u64, (Input, Fate)>,
}

struct Place {
    guest: Guest,
    waiting: Vec<Item>,
    /// What the candidate remembers: it begins with nothing, wherever the history does.
    remembered: Remembered,
}

impl Candidate {
    /// Compiles and starts it; `room` is the most bytes that one output may have.
    ///
    /// # Errors
    /// It cannot be used on this machine.
    pub(crate) async fn start(
        spec: FunctionSpec,
        modules: Vec<Bytes>,
        (store_lanes, room): (u16, usize),
        folder: Option<PathBuf>,
    ) -> Result<Self, ControlError> {
        let compiled = tokio::task::spawn_blocking(move || {
            let host = Host::start(0, room, folder.as_deref())?;
            let program = host.program(Arc::new(spec), &modules);
            let program = program.map_err(host::CheckError::from)?;
            Ok(Self {
                host,
                program,
                store_lanes,
                places: BTreeMap::new(),
                done: BTreeMap::new(),
            })
        });
        match compiled.await {
            Ok(started) => started,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Takes the next input of its lane.
    ///
    /// # Errors
    /// The host has failed.
    pub(crate) async fn take(&mut self, event: Event) -> Result<(), ControlError> {
        let key = Lane::of(&event.tenant, &event.channel, self.store_lanes).0;
        let lane = self.places.entry(key).or_insert_with(|| Place {
            guest: self.host.attach(key),
            waiting: Vec::new(),
            remembered: Remembered::default(),
        });
        lane.waiting.push(Item {
            attempt: 1,
            event: Arc::new(event),
            memory: None,
        });
        if lane.waiting.len() >= BATCH {
            return self.run(key).await;
        }
        Ok(())
    }

    /// Runs what waits in a lane to its end: what fails is tried again at once, as often
    /// as its limit allows.
    async fn run(&mut self, key: u16) -> Result<(), ControlError> {
        let Some(lane) = self.places.get_mut(&key) else {
            return Ok(());
        };
        let attempts = self.program.spec.limits.attempts;
        let mut waiting = std::mem::take(&mut lane.waiting);
        while !waiting.is_empty() {
            for item in &mut waiting {
                lane.remembered.give(item);
            }
            let handled = lane.guest.run(self.program.clone(), waiting.clone()).await;
            let handled = handled.map_err(|broken: Broken| host::CheckError::from(broken))?;
            let mut again = Vec::new();
            let mut behind = HashSet::new();
            let rest = waiting.split_off(handled.len());
            for (mut item, handled) in waiting.into_iter().zip(handled) {
                let channel = (item.event.tenant.clone(), item.event.channel.clone());
                // What comes behind an event that fails waits, without an attempt of its own.
                if behind.contains(&channel) {
                    again.push(item);
                    continue;
                }
                if matches!(handled, Handled::Retry { .. } | Handled::Fault(_)) {
                    behind.insert(channel);
                    if item.attempt < attempts {
                        item.attempt += 1;
                        again.push(item);
                        continue;
                    }
                }
                lane.remembered.take(&item, &handled);
                let event = &item.event;
                let input = Input {
                    seq: event.seq(),
                    time_us: event.stored.time_us,
                    channel: event.channel.to_string(),
                };
                let fate = Fate::of(handled, &self.program.spec);
                self.done.insert(input.seq, (input, fate));
            }
            again.extend(rest);
            waiting = again;
        }
        Ok(())
    }

    /// What became of everything that was taken, in order.
    ///
    /// # Errors
    /// The host has failed.
    pub(crate) async fn finish(&mut self) -> Result<Vec<(Input, Fate)>, ControlError> {
        let keys: Vec<u16> = self.places.keys().copied().collect();
        for key in keys {
            self.run(key).await?;
        }
        Ok(std::mem::take(&mut self.done).into_values().collect())
    }
}
