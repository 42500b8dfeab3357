//! What is done with dead letters: found, redriven, dropped.
//!
//! Owns nothing. A redrive has one effect however often it is done: the channel is looked
//! up for it, and it is stored on condition that the channel has not moved since.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bus::BusError;
use futures_util::StreamExt;
use protocol::bus::{Expect, Outgoing, Stored};
use protocol::header;
use protocol::name::{ChannelPattern, FunctionName, StoreName};
use protocol::outcome::{LetterEnd, dead_letter};
use protocol::position::Source;
use protocol::spec::Trigger;
use protocol::stream::StreamName;
use protocol::subject::Subject;
use tokio::time::{Instant, sleep};

use crate::deployer::Deployer;
use crate::error::ControlError;
use crate::letter::{self, Letter, Read, Settled};

/// Most letters of one answer, the newest: some megabytes. More are counted.
pub const LETTERS_MAX: usize = 10_000;
/// How often a channel may move under a redrive before it is told to come again.
const ROUNDS_MAX: usize = 50;
/// How long an end is waited for to be copied from EVENTS: a moment, but for a source
/// that has just lost its leader.
const COPY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked for.
const COPY_INTERVAL: Duration = Duration::from_millis(20);

/// Which letters are wanted.
#[derive(Debug, Clone, Default)]
pub struct LetterFilter {
    /// Of this function alone.
    pub function: Option<FunctionName>,
    /// Whose input was on these channels.
    pub channel: Option<ChannelPattern>,
    /// Copied at or after this time, microseconds since 1970.
    pub since_us: Option<u64>,
    /// Those that somebody settled, too.
    pub settled: bool,
}

/// Letters, and how many older ones are left out.
#[derive(Debug, Clone, Default)]
pub struct Letters {
    /// The letters, oldest first.
    pub letters: Vec<Letter>,
    /// How many there are before them.
    pub left_out: u64,
}

/// What became of one that was to be redriven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redriven {
    /// Where its input stands now in its stream.
    pub seq: u64,
    /// It was stored before, by a redrive that was interrupted.
    pub again: bool,
}

impl LetterFilter {
    fn takes(&self, letter: &Letter) -> bool {
        let function = self.function.as_ref();
        let channel = self.channel.as_ref();
        function.is_none_or(|function| *function == letter.function)
            && channel.is_none_or(|channel| channel.matches(&letter.channel))
    }
}

impl Deployer {
    /// The dead letters of a store, as far as it keeps them.
    ///
    /// # Errors
    /// Those of the bus. Cancel safe.
    pub async fn letters(
        &self,
        store: &StoreName,
        filter: &LetterFilter,
    ) -> Result<Letters, ControlError> {
        let stream = StreamName::rejected(store);
        let last = self.bus.stream_state(&stream).await?.last_seq;
        let all = Subject::dead_letter_filter(store);
        let from = match filter.since_us {
            None => 1,
            Some(since_us) => {
                let first = self.bus.first_since(&stream, &all, since_us).await?;
                first.unwrap_or(last + 1)
            }
        };
        let mut scan = self.bus.scan(&stream, &all, from, last).await;
        let (mut held, mut left_out) = (BTreeMap::new(), 0);
        let mut places: HashMap<(FunctionName, String), u64> = HashMap::new();
        while let Some(stored) = scan.next().await {
            match letter::read(&stored?) {
                Read::Letter(letter) if filter.takes(&letter) => {
                    let source = letter.source.to_string();
                    places.insert((letter.function.clone(), source), letter.seq);
                    held.insert(letter.seq, *letter);
                }
                Read::End(function, source, settled) => {
                    let Some(seq) = places.get(&(function, source.to_string())) else {
                        continue;
                    };
                    match filter.settled {
                        true => settle(held.get_mut(seq), settled),
                        false => drop(held.remove(seq)),
                    }
                }
                Read::Letter(_) | Read::Foreign => {}
            }
            if held.len() > LETTERS_MAX
                && let Some((_, oldest)) = held.pop_first()
            {
                places.remove(&(oldest.function, oldest.source.to_string()));
                left_out += 1;
            }
        }
        let letters = held.into_values().collect();
        Ok(Letters { letters, left_out })
    }

    /// One letter with its message, by its sequence in `REJECTED`.
    ///
    /// # Errors
    /// [`ControlError::Missing`]; those of the bus. Cancel safe.
    pub async fn letter(
        &self,
        store: &StoreName,
        seq: u64,
    ) -> Result<(Letter, Stored), ControlError> {
        let stream = StreamName::rejected(store);
        let stored = self.bus.get(&stream, seq).await?;
        let stored = stored.ok_or_else(|| missing(store, seq))?;
        let Read::Letter(letter) = letter::read(&stored) else {
            return Err(missing(store, seq));
        };
        let mut letter = *letter;
        letter.settled = self.end_of(&letter, letter.seq).await?;
        Ok((letter, stored))
    }

    /// The end of a letter behind a sequence of `REJECTED`, if somebody settled it.
    async fn end_of(&self, letter: &Letter, behind: u64) -> Result<Option<Settled>, BusError> {
        let (stream, subject) = (StreamName::rejected(&letter.store), letter.subject());
        let last = self.bus.stream_state(&stream).await?.last_seq;
        let mut scan = self.bus.scan(&stream, &subject, behind + 1, last).await;
        while let Some(stored) = scan.next().await {
            if let Read::End(_, source, settled) = letter::read(&stored?)
                && source == letter.source
            {
                return Ok(Some(settled));
            }
        }
        Ok(None)
    }

    /// Stores a letter's input again, for its function alone: however often this is done,
    /// for as long as its stream keeps it, there is one. It comes after what was published
    /// on its channel meanwhile.
    ///
    /// # Errors
    /// A letter whose function is not there to handle it, or makes its inputs itself, or one
    /// that is settled, is refused; those of the bus, after which the same call finds out
    /// what was done.
    pub async fn redrive(&self, letter: &Letter) -> Result<Redriven, ControlError> {
        check_open(letter)?;
        let stream = StreamName::rejected(&letter.store);
        let stored = self.bus.get(&stream, letter.seq).await?;
        let stored = stored.ok_or_else(|| missing(&letter.store, letter.seq))?;
        let input = letter.input(&stored);
        let (seq, again) = match letter.is_of_gate() {
            true if stored.headers.get(header::GATE) != Some(letter.function.as_str()) => {
                let problem = "its input names no gate, so nobody would handle it: drop the letter";
                return Err(ControlError::refused("letter", problem));
            }
            true => self.store_once(letter, input).await?,
            false => {
                self.is_reactive(letter).await?;
                self.store_alone(letter, input).await?
            }
        };
        self.end(letter, LetterEnd::Redriven).await?;
        Ok(Redriven { seq, again })
    }

    /// Says that nothing more is to be done with a letter.
    ///
    /// # Errors
    /// One that is settled is refused; those of the bus.
    pub async fn drop_letter(&self, letter: &Letter) -> Result<(), ControlError> {
        check_open(letter)?;
        self.end(letter, LetterEnd::Dropped).await
    }

    /// Checks that a letter's function would handle its event again.
    async fn is_reactive(&self, letter: &Letter) -> Result<(), ControlError> {
        let land = self.landscape().await?;
        let function = &letter.function;
        let deployed = land.functions.get(function);
        let spec = deployed.filter(|entry| entry.spec.store == letter.store);
        let problem = match spec.map(|entry| &entry.spec.trigger) {
            Some(Trigger::Reactive(_)) => return Ok(()),
            Some(Trigger::Schedule(_)) => format!(
                "{function} is called by its schedule, and each of its ticks is made once: drop \
                 the letter"
            ),
            Some(Trigger::Gate) => format!(
                "{function} is a gate now, and its letter's input is an event that others have \
                 handled: drop the letter"
            ),
            None => format!("{function} is not deployed in store {}", letter.store),
        };
        Err(ControlError::refused("letter", problem))
    }

    /// Stores an event again on a channel of its own, where nothing else ever stands.
    async fn store_alone(
        &self,
        letter: &Letter,
        input: Outgoing,
    ) -> Result<(u64, bool), ControlError> {
        let (stream, subject) = (letter.source.stream.clone(), input.subject.clone());
        for _ in 0..ROUNDS_MAX {
            let first = Outgoing {
                expect: Some(Expect::LastOnSubject(0)),
                ..input.clone()
            };
            match self.bus.publish(first).await {
                Ok(ack) => return Ok((ack.seq, false)),
                // Where it is unknown whether it was stored, the look tells.
                Err(BusError::GuardRefused | BusError::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(there) = self.bus.last_on(&stream, &subject).await? {
                return Ok((there.seq, true));
            }
        }
        let what = format!("the channel of letter {}", letter.seq);
        Err(ControlError::Conflict { what })
    }

    /// Stores an input that is not there yet; its sequence, and whether it was there.
    async fn store_once(
        &self,
        letter: &Letter,
        input: Outgoing,
    ) -> Result<(u64, bool), ControlError> {
        let (stream, subject) = (letter.source.stream.clone(), input.subject.clone());
        // Behind the input itself; in another life of the store that number says nothing.
        let spec = self.landscape().await?.stores.remove(&letter.store);
        let same = spec.is_some_and(|spec| spec.epoch == letter.source.epoch);
        let mut from = if same { letter.source.seq + 1 } else { 1 };
        for _ in 0..ROUNDS_MAX {
            let last = self.bus.last_on(&stream, &subject).await?;
            let through = last.map_or(0, |stored| stored.seq);
            if let Some(seq) = self.find(&letter.source, &subject, from, through).await? {
                return Ok((seq, true));
            }
            from = from.max(through + 1);
            let guarded = Outgoing {
                expect: Some(Expect::LastOnSubject(through)),
                ..input.clone()
            };
            match self.bus.publish(guarded).await {
                Ok(ack) => return Ok((ack.seq, false)),
                // Where it is unknown whether it was stored, the next look tells: what
                // arrives late is stored before the channel moves, or not at all.
                Err(BusError::GuardRefused | BusError::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let what = format!("the channel {}", letter.channel);
        Err(ControlError::Conflict { what })
    }

    async fn find(
        &self,
        source: &Source,
        subject: &Subject,
        from: u64,
        through: u64,
    ) -> Result<Option<u64>, BusError> {
        let source_text = source.to_string();
        let mut scan = self.bus.scan(&source.stream, subject, from, through).await;
        while let Some(stored) = scan.next().await {
            let stored = stored?;
            if stored.headers.get(dead_letter::REDRIVE) == Some(&source_text) {
                return Ok(Some(stored.seq));
            }
        }
        Ok(None)
    }

    /// Writes the end of a letter, and waits until who asks for letters sees it.
    async fn end(&self, letter: &Letter, end: LetterEnd) -> Result<(), ControlError> {
        let stream = StreamName::rejected(&letter.store);
        let behind = self.bus.stream_state(&stream).await?.last_seq;
        let by = self.written().by;
        // One that is there already, of somebody who did the same, is as good.
        if self.bus.publish(letter.end(end, &by)).await?.duplicate {
            return Ok(());
        }
        let until = Instant::now() + COPY_TIMEOUT;
        while self.end_of(letter, behind).await?.is_none() && Instant::now() < until {
            sleep(COPY_INTERVAL).await;
        }
        Ok(())
    }
}

fn missing(store: &StoreName, seq: u64) -> ControlError {
    ControlError::Missing {
        what: format!("dead letter {seq} in the store {store}"),
    }
}

fn settle(letter: Option<&mut Letter>, settled: Settled) {
    if let Some(letter) = letter {
        letter.settled.get_or_insert(settled);
    }
}

fn check_open(letter: &Letter) -> Result<(), ControlError> {
    match &letter.settled {
        None => Ok(()),
        Some(settled) => {
            let (end, by) = (settled.end.as_str(), &settled.written.by);
            let problem = format!("letter {} was {end} by {by}", letter.seq);
            Err(ControlError::refused("letter", problem))
        }
    }
}
