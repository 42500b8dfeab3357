//! Puts one event's way together, step by step, from what is stored. A machine: stored
//! messages go in, steps and what is to be followed come out. It never awaits.
//!
//! Owns the steps. It shows where and when, and nothing of an event's data.

use std::collections::HashSet;

use protocol::bus::Stored;
use protocol::header;
use protocol::name::{Channel, FunctionName, Tenant};
use protocol::outcome::{OutcomeEvent, OutcomeKind, dead_letter};
use protocol::position::{Epoch, Source};
use protocol::stream::StreamName;
use protocol::subject::Parsed;
use protocol::trace::{Handling, Hop};

use crate::settlement::{Mark, Settlement};
use crate::standing::{Input, Standing};
use crate::versions::Ran;

/// Most steps of an answer.
pub const HOPS_MAX: usize = 200;

/// A stored event on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    /// Where it stands, and whose it is.
    pub input: Input,
    /// The message.
    pub stored: Stored,
}

impl Station {
    /// Reads an event; `None`: it is none of ours.
    pub fn read(stream: &StreamName, epoch: &Epoch, stored: Stored) -> Option<Self> {
        let Ok(Parsed::Event {
            tenant, channel, ..
        }) = Parsed::parse(&stored.subject)
        else {
            return None;
        };
        let source = Source {
            stream: stream.clone(),
            epoch: epoch.clone(),
            seq: stored.seq,
        };
        Some(Self {
            input: Input {
                source,
                tenant,
                channel,
            },
            stored,
        })
    }

    /// The first life of a dead letter that was stored again.
    pub fn redrive_of(&self) -> Option<Source> {
        Source::parse(self.stored.headers.get(dead_letter::REDRIVE)?)
    }

    /// The channel that it is an event of: one that was redriven for one function stands
    /// on another.
    pub fn channel(&self) -> Channel {
        let place = &self.input.channel;
        let of = self.stored.headers.get(header::CHANNEL);
        let of = of.filter(|_| place.redriven_for().is_some());
        let of = of.and_then(|text| Channel::parse(text).ok());
        of.unwrap_or_else(|| place.clone())
    }
}

/// What the mirror may have: its place there is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The stream.
    pub stream: StreamName,
    /// The sequence.
    pub seq: u64,
    /// Its channel; of a dead letter, that of its input.
    pub channel: Channel,
    /// The function whose dead letter it is.
    pub letter_of: Option<FunctionName>,
}

/// The way so far.
#[derive(Debug, Default)]
pub struct Way {
    /// The steps.
    pub hops: Vec<Hop>,
    /// What of it may be in the mirror.
    pub wanted: Vec<Wanted>,
    /// Outputs that the asker may not see.
    pub hidden: u64,
    /// Something was left out.
    pub cut: bool,
    seen: HashSet<(String, u64)>,
}

impl Way {
    /// A stored event: by whom it came, where it stands. False: it was shown before.
    pub fn stored(&mut self, station: &Station) -> bool {
        let (input, stored) = (&station.input, &station.stored);
        let stream = input.source.stream.as_str().to_owned();
        if !self.seen.insert((stream.clone(), stored.seq)) {
            return false;
        }
        let get = |name: &str| stored.headers.get(name).map(str::to_owned);
        let function = get(header::FUNCTION);
        let accepted = get(header::TIME).and_then(|time| time.parse().ok());
        // What a function or the system made was taken from nobody.
        if let (Some(time), None) = (accepted, &function)
            && get(header::TICK).is_none()
        {
            self.push(Hop::Accepted {
                time,
                edge: get(header::EDGE),
                publisher: get(header::PUBLISHER),
            });
        }
        self.push(Hop::Stored {
            stream,
            seq: stored.seq,
            time: stored.time_us,
            channel: station.channel().as_str().to_owned(),
            id: get(header::ID).unwrap_or_default(),
            function,
            redrive_of: get(dead_letter::REDRIVE),
        });
        // Nobody replays what stands on a channel of its own.
        if input.channel.redriven_for().is_none() {
            self.wanted.push(Wanted {
                stream: input.source.stream.clone(),
                seq: stored.seq,
                channel: input.channel.clone(),
                letter_of: None,
            });
        }
        true
    }

    /// What a function has made of an event, and what of that is to be followed.
    pub fn handled(
        &mut self,
        station: &Station,
        function: &FunctionName,
        settlement: Settlement,
        ran: impl FnOnce(&Mark) -> Ran,
        sees: &dyn Fn(&Channel) -> bool,
    ) -> Vec<Station> {
        let input = &station.input;
        let (mark, batch, cut) = match settlement {
            Settlement::Gone => {
                let reason = "the checkpoint is no longer kept".to_owned();
                let told = Told::of(Handling::Unknown, Some(reason));
                self.push(told.hop(input, function));
                return Vec::new();
            }
            Settlement::Open(standing) => {
                self.push(Told::open(input, standing).hop(input, function));
                return Vec::new();
            }
            Settlement::By { mark, batch, cut } => (mark, batch, cut),
        };
        self.cut |= cut;
        let source = &input.source;
        let events = source.stream.behind_gate();
        let events = events.unwrap_or_else(|| source.stream.clone());
        let made = Made::of(function, input, batch);
        let (outcome, reason, attempts) = made.outcome(input);
        let told = Told {
            attempts,
            ran: Some(ran(&mark)),
            checkpoint: Some(mark.seq),
            time: Some(mark.time_us),
            ..Told::of(outcome, reason)
        };
        self.push(told.hop(input, function));
        if let Some(letter) = &made.letter {
            self.letter(function, station, &events, letter);
        }
        let outputs = made.outputs.into_iter();
        let outputs = outputs.filter_map(|stored| Station::read(&events, &source.epoch, stored));
        self.visible(outputs, &input.tenant, sees)
    }

    fn visible(
        &mut self,
        outputs: impl Iterator<Item = Station>,
        tenant: &Tenant,
        sees: &dyn Fn(&Channel) -> bool,
    ) -> Vec<Station> {
        let mut visible = Vec::new();
        for output in outputs {
            let may = output.input.tenant == *tenant && sees(&output.input.channel);
            match may {
                true => visible.push(output),
                false => self.hidden += 1,
            }
        }
        visible
    }

    fn letter(
        &mut self,
        function: &FunctionName,
        station: &Station,
        events: &StreamName,
        letter: &Stored,
    ) {
        let get = |name: &str| letter.headers.get(name).unwrap_or_default();
        self.push(Hop::DeadLetter {
            stream: events.as_str().to_owned(),
            seq: letter.seq,
            time: letter.time_us,
            function: function.to_string(),
            reason: get(dead_letter::REASON).to_owned(),
            attempts: get(dead_letter::ATTEMPTS).parse().unwrap_or_default(),
        });
        self.wanted.push(Wanted {
            stream: events.clone(),
            seq: letter.seq,
            channel: station.channel(),
            letter_of: Some(function.clone()),
        });
    }

    /// Adds a step, if there is room.
    pub fn push(&mut self, hop: Hop) {
        if self.hops.len() < HOPS_MAX {
            self.hops.push(hop);
        } else {
            self.cut = true;
        }
    }
}

/// What was committed of one input.
#[derive(Debug, Default)]
struct Made {
    outputs: Vec<Stored>,
    told: Option<OutcomeEvent>,
    letter: Option<Stored>,
}

impl Made {
    fn of(function: &FunctionName, input: &Input, batch: Vec<Stored>) -> Self {
        let mut made = Self::default();
        for stored in batch {
            if !input.made(&stored, function) {
                continue;
            }
            match Parsed::parse(&stored.subject) {
                Ok(Parsed::DeadLetter { .. }) => made.letter = Some(stored),
                Ok(Parsed::Event { channel, .. }) if channel.outcomes_of().is_some() => {
                    made.told = serde_json::from_slice(&stored.payload).ok();
                }
                _ => made.outputs.push(stored),
            }
        }
        made
    }

    /// What became of the input, why, and after how many attempts.
    fn outcome(&self, input: &Input) -> (Handling, Option<String>, Option<u32>) {
        let letter = self.letter.as_ref().map(|letter| &letter.headers);
        let attempts = letter
            .and_then(|letter| letter.get(dead_letter::ATTEMPTS))
            .and_then(|text| text.parse().ok());
        if let Some(told) = &self.told {
            let handling = match told.outcome {
                OutcomeKind::Passed => Handling::Passed,
                OutcomeKind::Dropped => Handling::Dropped,
                OutcomeKind::Rejected => Handling::Rejected,
                OutcomeKind::DeadLettered => Handling::DeadLettered,
            };
            let reason = Some(told.reason.clone()).filter(|reason| !reason.is_empty());
            return (handling, reason, attempts);
        }
        if let Some(letter) = letter {
            // Nobody was told: one attempt is a refusal, several are failures.
            let handling = match attempts {
                Some(1) => Handling::Rejected,
                _ => Handling::DeadLettered,
            };
            let reason = letter.get(dead_letter::REASON).map(str::to_owned);
            return (handling, reason, attempts);
        }
        let handling = match (self.outputs.is_empty(), input.source.stream.is_ingress()) {
            (false, _) => Handling::Passed,
            // A gate without outputs has filtered it, where nobody was there to be told.
            (true, true) => Handling::Dropped,
            (true, false) => Handling::Done,
        };
        (handling, None, None)
    }
}

/// What is told of an input of a function.
struct Told {
    outcome: Handling,
    reason: Option<String>,
    attempts: Option<u32>,
    ran: Option<Ran>,
    checkpoint: Option<u64>,
    time: Option<u64>,
}

impl Told {
    fn of(outcome: Handling, reason: Option<String>) -> Self {
        Self {
            outcome,
            reason,
            attempts: None,
            ran: None,
            checkpoint: None,
            time: None,
        }
    }

    /// Of one that is not settled.
    fn open(input: &Input, standing: Standing) -> Self {
        let (reason, attempts, time) = match standing {
            Standing::Parked(parked) if parked.seq == input.source.seq => (
                "it is tried again".to_owned(),
                Some(parked.attempts),
                Some(parked.due),
            ),
            Standing::Parked(parked) => (
                format!("its channel waits for another attempt at {}", parked.seq),
                None,
                Some(parked.due),
            ),
            Standing::Held => (
                "too many channels of its tenant wait".to_owned(),
                None,
                None,
            ),
            Standing::Behind => ("the function has not come so far".to_owned(), None, None),
            Standing::Foreign | Standing::Settled => {
                let reason = "the function reads another stream, or another life of it";
                return Self::of(Handling::Unknown, Some(reason.to_owned()));
            }
        };
        Self {
            attempts,
            time,
            ..Self::of(Handling::Waiting, Some(reason))
        }
    }

    fn hop(self, input: &Input, function: &FunctionName) -> Hop {
        Hop::Handled {
            function: function.to_string(),
            input: input.source.to_string(),
            outcome: self.outcome,
            reason: self.reason,
            attempts: self.attempts,
            version: self.ran.as_ref().and_then(|ran| ran.version),
            digest: self.ran.map(|ran| ran.digest.to_string()),
            checkpoint: self.checkpoint,
            time: self.time,
        }
    }
}

#[cfg(test)]
mod tests;
