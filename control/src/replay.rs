//! Recorded history through a candidate: what it would make of inputs, beside what is
//! stored of them. Publishes nothing.
//!
//! Owns the candidate's instances while it runs. It must not know how differences are
//! shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use host::Host;
use host::event::{self, Event};
use host::fault::Broken;
use host::module::Program;
use host::pack::Item;
use host::pool::Guest;
use host::remembered::Remembered;
use host::reply::Handled;
use protocol::bus::Stored;
use protocol::header;
use protocol::lane::{LANES_DEFAULT, Lane};
use protocol::name::ChannelPattern;
use protocol::spec::{FunctionSpec, Trigger};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

use crate::deployer::Deployer;
use crate::draft::{FunctionDraft, Start};
use crate::error::ControlError;
use crate::fate::{Fate, Fates};
use crate::function::{kind, stream};

/// Inputs that are handed over together, as a busy lane does it.
const BATCH: usize = 64;

/// Which history.
#[derive(Debug, Clone)]
pub struct ReplayRequest {
    /// Where it begins.
    pub from: Start,
    /// Inputs on these channels alone.
    pub channel: Option<ChannelPattern>,
    /// Most inputs, from there on.
    pub inputs_max: usize,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Its sequence.
    pub seq: u64,
    /// When it was stored, microseconds since 1970.
    pub time_us: u64,
    /// Its channel.
    pub channel: String,
    /// What is stored of it.
    pub stored: Fate,
    /// What the candidate makes of it.
    pub candidate: Fate,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The inputs, in order.
    pub inputs: Vec<Compared>,
    /// There are more, past the limit.
    pub more: bool,
}

impl Compared {
    /// Whether the candidate makes the same of it.
    pub fn is_same(&self) -> bool {
        self.stored == self.candidate
    }
}

impl Deployer {
    /// Runs history through a candidate on this machine.
    ///
    /// # Errors
    /// [`ControlError`]: the candidate cannot be used, or the history not be read.
    pub async fn replay(
        &self,
        draft: FunctionDraft,
        modules: Vec<Bytes>,
        request: &ReplayRequest,
    ) -> Result<Replayed, ControlError> {
        let land = self.landscape().await?;
        let from = FunctionDraft {
            start: request.from,
            ..draft.clone()
        };
        let from = self.resolve(&from).await?;
        let spec = self.function_spec(&land, draft, &modules).await?;
        spec.check()?;
        let room = self
            .bus
            .max_payload()
            .saturating_sub(header::HEADERS_BYTES_MAX);
        let store = land.stores.get(&spec.store);
        let lanes = store.map_or(LANES_DEFAULT, |store| store.lanes);
        let mut candidate = self.candidate(spec.clone(), modules, lanes, room).await?;
        let (inputs, more) = self.inputs(&spec, from, request, &mut candidate).await?;
        let mut fates = Fates::new(&spec);
        if let Some((first, last)) = inputs.first().zip(inputs.last()) {
            let range = (first.0.time_us, first.0.seq..=last.0.seq);
            self.read_fates(&spec, range, &mut fates).await?;
        }
        let inputs = inputs
            .into_iter()
            .map(|(input, candidate)| Compared {
                stored: fates.take(input.seq),
                seq: input.seq,
                time_us: input.time_us,
                channel: input.channel,
                candidate,
            })
            .collect();
        Ok(Replayed { inputs, more })
    }

    async fn candidate(
        &self,
        spec: FunctionSpec,
        modules: Vec<Bytes>,
        store_lanes: u16,
        room: usize,
    ) -> Result<Candidate, ControlError> {
        let folder = self.compiled.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            let host = Host::start(0, room, folder.as_deref())?;
            let program = host.program(Arc::new(spec), &modules);
            let program = program.map_err(host::CheckError::from)?;
            Ok(Candidate {
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

    /// The inputs of a function from a sequence on, and what the candidate makes of them.
    async fn inputs(
        &self,
        spec: &FunctionSpec,
        from: u64,
        request: &ReplayRequest,
        candidate: &mut Candidate,
    ) -> Result<(Vec<(Input, Fate)>, bool), ControlError> {
        let stream = stream(&spec.store, &spec.trigger);
        let filter = Subject::store_filter(kind(&spec.trigger), &spec.store);
        let last = self.bus.stream_state(&stream).await?.last_seq;
        let mut scan = self.bus.scan(&stream, &filter, from, last).await;
        let mut taken = 0;
        while let Some(stored) = scan.next().await {
            let Some(event) = input(spec, stored?) else {
                continue;
            };
            let wanted = request.channel.as_ref();
            if wanted.is_some_and(|wanted| !wanted.matches(&event.channel)) {
                continue;
            }
            if taken == request.inputs_max {
                return Ok((candidate.finish().await?, true));
            }
            taken += 1;
            candidate.take(event).await?;
        }
        Ok((candidate.finish().await?, false))
    }

    async fn read_fates(
        &self,
        spec: &FunctionSpec,
        (since_us, inputs): (u64, std::ops::RangeInclusive<u64>),
        fates: &mut Fates,
    ) -> Result<(), ControlError> {
        let events = StreamName::events(&spec.store);
        let last = self.bus.stream_state(&events).await?.last_seq;
        for filter in [
            Subject::store_filter(Kind::Ev, &spec.store),
            Subject::dead_letter_filter(&spec.store),
        ] {
            let Some(from) = self.bus.first_since(&events, &filter, since_us).await? else {
                continue;
            };
            let mut scan = self.bus.scan(&events, &filter, from, last).await;
            while let Some(stored) = scan.next().await {
                fates.read(&stored?, &inputs);
            }
        }
        Ok(())
    }
}

/// What is kept of an input.
#[derive(Debug)]
struct Input {
    seq: u64,
    time_us: u64,
    channel: String,
}

/// A stored message as an input of a function, as a lane takes it.
fn input(spec: &FunctionSpec, stored: Stored) -> Option<Event> {
    let (tenant, channel) = event::address(&stored).ok()?;
    let handles = spec.handles(&channel, &stored.headers);
    let event = handles.then(|| Event::read(tenant, channel, stored).ok())??;
    let is_own = !matches!(spec.trigger, Trigger::Gate)
        && event.envelope.function.as_ref() == Some(&spec.name);
    (!is_own).then_some(event)
}

/// A function on this machine, with an instance for each lane, as on a worker.
struct Candidate {
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
    async fn take(&mut self, event: Event) -> Result<(), ControlError> {
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
            let rest = waiting.split_off(handled.len());
            for (mut item, handled) in waiting.into_iter().zip(handled) {
                let fails = matches!(handled, Handled::Retry { .. } | Handled::Fault(_));
                if fails && item.attempt < attempts {
                    item.attempt += 1;
                    again.push(item);
                    continue;
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
    async fn finish(&mut self) -> Result<Vec<(Input, Fate)>, ControlError> {
        let keys: Vec<u16> = self.places.keys().copied().collect();
        for key in keys {
            self.run(key).await?;
        }
        Ok(std::mem::take(&mut self.done).into_values().collect())
    }
}
