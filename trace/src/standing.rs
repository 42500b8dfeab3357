//! How an input stands at a checkpoint of its function. Pure.

use protocol::bus::Stored;
use protocol::checkpoint::{Checkpoint, Parked};
use protocol::header;
use protocol::name::{Channel, FunctionName, Tenant};
use protocol::outcome::dead_letter;
use protocol::position::Source;
use protocol::subject::Parsed;

/// An input, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it stands.
    pub source: Source,
    /// Its tenant.
    pub tenant: Tenant,
    /// Its channel.
    pub channel: Channel,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Whatever was to become of it has been committed.
    Settled,
    /// Its channel waits, with it or an earlier one of its inputs.
    Parked(Parked),
    /// Its tenant's channels wait.
    Held,
    /// The function has not come so far.
    Behind,
    /// The checkpoint is of another stream, or of another life of it.
    Foreign,
}

impl Input {
    /// How it stands at a checkpoint with these channels waiting.
    pub fn at(&self, checkpoint: &Checkpoint, parked: &[Parked]) -> Standing {
        let Source { stream, epoch, seq } = &self.source;
        if checkpoint.stream != *stream || checkpoint.epoch != *epoch {
            return Standing::Foreign;
        }
        if checkpoint.seq < *seq {
            return Standing::Behind;
        }
        let own = |one: &&Parked| one.tenant == self.tenant && one.channel == self.channel;
        if let Some(parked) = parked.iter().find(own).filter(|one| one.seq <= *seq) {
            return Standing::Parked(parked.clone());
        }
        let mut held = checkpoint.held.iter();
        match held.any(|held| held.tenant == self.tenant && held.seq <= *seq) {
            true => Standing::Held,
            false => Standing::Settled,
        }
    }

    /// Whether a message of EVENTS is what a function has made of it.
    pub fn made(&self, stored: &Stored, function: &FunctionName) -> bool {
        let is = |name: &str| {
            let source = stored.headers.get(name).and_then(Source::parse);
            source.is_some_and(|source| source == self.source)
        };
        match Parsed::parse(&stored.subject) {
            Ok(Parsed::Event { .. }) => {
                let by = stored.headers.get(header::FUNCTION);
                by == Some(function.as_str()) && is(header::SOURCE)
            }
            Ok(Parsed::DeadLetter { function: of, .. }) => {
                let is_end = stored.headers.get(dead_letter::SETTLED).is_some();
                of == *function && !is_end && is(dead_letter::SOURCE)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::checkpoint::{Digest, Held};
    use protocol::position::Epoch;
    use protocol::stream::StreamName;

    use super::*;

    fn input(seq: u64) -> Input {
        Input {
            source: Source {
                stream: StreamName::parse("INGRESS-main").unwrap(),
                epoch: Epoch::parse("0a").unwrap(),
                seq,
            },
            tenant: Tenant::parse("acme").unwrap(),
            channel: Channel::parse("doc.a").unwrap(),
        }
    }

    fn checkpoint(seq: u64) -> Checkpoint {
        Checkpoint {
            stream: StreamName::parse("INGRESS-main").unwrap(),
            epoch: Epoch::parse("0a").unwrap(),
            seq,
            time: 1,
            digest: Digest::from_bytes([1; 32]),
            lease: 1,
            incarnation: 0,
            generation: 0,
            base: 0,
            parked: Vec::new(),
            unparked: Vec::new(),
            held: Vec::new(),
            ticked: None,
        }
    }

    fn parked(channel: &str, seq: u64) -> Parked {
        Parked {
            tenant: Tenant::parse("acme").unwrap(),
            channel: Channel::parse(channel).unwrap(),
            seq,
            attempts: 2,
            since: 1,
            due: 9,
        }
    }

    #[test]
    fn an_input_is_settled_once_the_position_and_its_channel_have_passed_it() {
        let at = |seq, parked: &[Parked]| input(7).at(&checkpoint(seq), parked);
        assert_eq!(at(6, &[]), Standing::Behind);
        assert_eq!(at(7, &[]), Standing::Settled);
        assert_eq!(at(9, &[parked("doc.b", 1)]), Standing::Settled);
        let waits = parked("doc.a", 7);
        assert_eq!(
            at(9, std::slice::from_ref(&waits)),
            Standing::Parked(waits),
            "its own"
        );
        assert_eq!(at(9, &[parked("doc.a", 8)]), Standing::Settled, "a later");
    }

    #[test]
    fn a_tenant_that_is_held_waits_and_another_stream_says_nothing() {
        let mut held = checkpoint(9);
        held.held = vec![Held {
            tenant: Tenant::parse("acme").unwrap(),
            seq: 7,
        }];
        assert_eq!(input(7).at(&held, &[]), Standing::Held);
        assert_eq!(input(6).at(&held, &[]), Standing::Settled);
        let mut other = checkpoint(9);
        other.epoch = Epoch::parse("0b").unwrap();
        assert_eq!(input(7).at(&other, &[]), Standing::Foreign);
        let mut other = checkpoint(9);
        other.stream = StreamName::parse("EVENTS-main").unwrap();
        assert_eq!(input(7).at(&other, &[]), Standing::Foreign);
    }
}
