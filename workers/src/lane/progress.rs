//! How far a function has come on a lane: a position, and the channels that wait
//! behind it.
//!
//! Owns nothing. This is what a checkpoint says, in the shape that the lane's
//! state machine works with; it must not know how checkpoints are stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::bus::Outgoing;
use protocol::checkpoint::{Checkpoint, Held, Parked};
use protocol::name::{Channel, Tenant};
use protocol::state::ChannelState;
use protocol::tick::Ticked;

/// Which channel waits.
pub type Key = (Tenant, Channel);

/// A channel that waits: its inputs from `seq` on are not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The first input that is not settled, or where to look for it.
    pub seq: u64,
    /// How often that input was tried; 0: it is not known to exist.
    pub attempts: u32,
    /// When it was first tried, microseconds since 1970.
    pub since: u64,
    /// When to try again, microseconds since 1970.
    pub due: u64,
}

impl Waiting {
    /// The channel's later inputs may go on at once, from this sequence on.
    pub fn onward(seq: u64, now: u64) -> Self {
        Self {
            seq,
            attempts: 0,
            since: 0,
            due: now,
        }
    }

    /// How often an input of the channel was tried.
    pub fn attempts_on(&self, seq: u64) -> u32 {
        if self.seq == seq { self.attempts } else { 0 }
    }
}

/// A position and what waits behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Every input up to this sequence is settled, but for those that wait.
    pub seq: u64,
    /// That input's store time; 0 when there is none.
    pub time: u64,
    /// What waits.
    pub parked: BTreeMap<Key, Waiting>,
    /// Tenants whose inputs wait from a sequence on.
    pub held: BTreeMap<Tenant, u64>,
    /// How far the function's schedule has come.
    pub ticked: Option<Ticked>,
}

/// One step of progress, with the messages that must be stored together with it.
#[derive(Debug, Default)]
pub struct Effect {
    /// The new position, with its store time.
    pub at: Option<(u64, u64)>,
    /// A channel that waits from now on, or (`None`) no longer.
    pub park: Option<(Key, Option<Waiting>)>,
    /// A tenant whose inputs wait from this sequence on, or (`None`) no longer.
    pub hold: Option<(Tenant, Option<u64>)>,
    /// Outputs, outcome events, dead letters.
    pub messages: Vec<Outgoing>,
    /// What is remembered of a channel from now on.
    pub memory: Option<Memory>,
    /// When the input was stored of which the messages are made, microseconds since 1970.
    pub since: Option<u64>,
    /// How far the schedule has come.
    pub ticked: Option<Ticked>,
}

/// What is remembered of a channel, and the time of the event that changed it.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Which channel.
    pub key: Key,
    /// Everything that is remembered.
    pub state: Arc<ChannelState>,
    /// Microseconds since 1970.
    pub time_us: u64,
}

impl Effect {
    /// An input is settled with these messages.
    pub fn settled(at: (u64, u64), messages: Vec<Outgoing>) -> Self {
        Self {
            at: Some(at),
            messages,
            ..Self::default()
        }
    }

    /// An input is passed, and its channel waits from now on.
    pub fn parked(at: (u64, u64), key: Key, waiting: Waiting) -> Self {
        Self {
            at: Some(at),
            park: Some((key, Some(waiting))),
            ..Self::default()
        }
    }

    /// An input is passed, and its tenant's wait from it on.
    pub fn held(at: (u64, u64), tenant: Tenant) -> Self {
        Self {
            at: Some(at),
            hold: Some((tenant, Some(at.0))),
            ..Self::default()
        }
    }

    /// The inputs of a tenant wait from a sequence on, or no longer.
    pub fn holds(tenant: Tenant, from: Option<u64>, messages: Vec<Outgoing>) -> Self {
        Self {
            hold: Some((tenant, from)),
            messages,
            ..Self::default()
        }
    }

    /// A channel that waits goes on, or waits no longer.
    pub fn waits(key: Key, waiting: Option<Waiting>, messages: Vec<Outgoing>) -> Self {
        Self {
            park: Some((key, waiting)),
            messages,
            ..Self::default()
        }
    }

    /// The schedule has come so far, with the tick that is stored of it, if any.
    pub fn ticked(ticked: Ticked, messages: Vec<Outgoing>) -> Self {
        Self {
            ticked: Some(ticked),
            messages,
            ..Self::default()
        }
    }

    /// The same; its messages are made of an input that was stored then.
    pub fn of(mut self, stored_us: u64) -> Self {
        self.since = Some(stored_us);
        self
    }

    /// The same, with what is remembered from then on.
    pub fn remembering(mut self, memory: Option<Memory>) -> Self {
        self.memory = memory;
        self
    }

    /// Whether it only moves the position: then it may be committed later.
    pub fn is_skip(&self) -> bool {
        let moves = self.park.is_none() && self.hold.is_none() && self.ticked.is_none();
        moves && self.messages.is_empty() && self.memory.is_none()
    }

    /// Bytes of its messages, without headers, and of what is remembered.
    pub fn bytes(&self) -> usize {
        let messages = self.messages.iter();
        let messages: usize = messages.map(|message| message.payload.len()).sum();
        messages
            + self
                .memory
                .as_ref()
                .map_or(0, |memory| memory.state.bytes())
    }
}

impl Progress {
    /// Takes one step.
    pub fn apply(&mut self, effect: &Effect) {
        if let Some((seq, time)) = effect.at {
            (self.seq, self.time) = (seq, time);
        }
        match &effect.park {
            Some((key, Some(waiting))) => {
                self.parked.insert(key.clone(), *waiting);
            }
            Some((key, None)) => {
                self.parked.remove(key);
            }
            None => {}
        }
        match &effect.hold {
            Some((tenant, Some(seq))) => {
                self.held.insert(tenant.clone(), *seq);
            }
            Some((tenant, None)) => {
                self.held.remove(tenant);
            }
            None => {}
        }
        if let Some(ticked) = &effect.ticked {
            self.ticked = Some(ticked.clone());
        }
    }

    /// Whether an input of this channel is passed: it, or its tenant, waits.
    pub fn waits(&self, key: &Key) -> bool {
        self.parked.contains_key(key) || self.held.contains_key(&key.0)
    }

    /// Channels of a tenant that wait.
    pub fn parked_of(&self, tenant: &Tenant) -> usize {
        let parked = self.parked.keys();
        parked.filter(|(of, _)| of == tenant).count()
    }

    /// Up to where a waiting channel's inputs are its own to settle: those behind are its
    /// tenant's, if that waits too.
    pub fn reach(&self, tenant: &Tenant) -> u64 {
        let held = self.held.get(tenant);
        held.map_or(self.seq, |from| from.saturating_sub(1))
    }

    /// What a checkpoint says.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let parked = checkpoint.parked.iter().map(|parked| {
            let Parked {
                seq,
                attempts,
                since,
                due,
                ..
            } = *parked;
            (
                (parked.tenant.clone(), parked.channel.clone()),
                Waiting {
                    seq,
                    attempts,
                    since,
                    due,
                },
            )
        });
        Self {
            seq: checkpoint.seq,
            time: checkpoint.time,
            parked: parked.collect(),
            held: checkpoint
                .held
                .iter()
                .map(|held| (held.tenant.clone(), held.seq))
                .collect(),
            ticked: checkpoint.ticked.clone(),
        }
    }

    /// The tenants that wait, as a checkpoint says it.
    pub fn to_held(&self) -> Vec<Held> {
        let held = self.held.iter();
        held.map(|(tenant, seq)| Held {
            tenant: tenant.clone(),
            seq: *seq,
        })
        .collect()
    }

    /// Those of the channels that wait, as a checkpoint says it.
    pub fn to_parked(&self, which: impl Fn(&Key) -> bool) -> Vec<Parked> {
        let parked = self.parked.iter().filter(|(key, _)| which(key));
        let parked = parked.map(|((tenant, channel), waiting)| {
            let Waiting {
                seq,
                attempts,
                since,
                due,
            } = *waiting;
            Parked {
                tenant: tenant.clone(),
                channel: channel.clone(),
                seq,
                attempts,
                since,
                due,
            }
        });
        parked.collect()
    }
}
