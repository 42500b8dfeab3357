//! Dead letters as `REJECTED` holds them: what a function could not handle, and what
//! somebody did about it.
//!
//! Owns nothing. Streams delete nothing, so the end of a letter is a message of its own,
//! on the letter's subject.

use bytes::Bytes;
use protocol::bus::{Outgoing, Stored};
use protocol::header::{self, Headers};
use protocol::lane::Lane;
use protocol::name::{Channel, FunctionName, StoreName, Tenant};
use protocol::outcome::{LetterEnd, dead_letter};
use protocol::position::Source;
use protocol::spec::Written;
use protocol::subject::{Kind, Parsed, Subject};
use serde::{Serialize, Serializer};

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its sequence in `REJECTED`, by which people name it.
    pub seq: u64,
    /// When it was copied there, microseconds since 1970.
    pub time_us: u64,
    /// The function that could not handle the input.
    pub function: FunctionName,
    /// The tenant.
    pub tenant: Tenant,
    /// The input's channel.
    pub channel: Channel,
    /// The input's event id.
    pub id: String,
    /// Who published the input, as its header says.
    pub publisher: Option<String>,
    /// Where the input stood.
    #[serde(serialize_with = "text")]
    pub source: Source,
    /// Why it is dead.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Digest of the module that failed.
    pub digest: String,
    /// Bytes of the input.
    pub bytes: usize,
    /// What somebody did about it, and who.
    pub settled: Option<Settled>,
    #[serde(skip)]
    pub(crate) store: StoreName,
    #[serde(skip)]
    pub(crate) lane: Lane,
}

/// The end of a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// What was done.
    pub end: LetterEnd,
    /// Who did it, and when.
    #[serde(flatten)]
    pub written: Written,
}

/// What a message of `REJECTED` is.
#[derive(Debug)]
pub(crate) enum Read {
    /// A dead letter.
    Letter(Box<Letter>),
    /// The end of the letter of this function and source.
    End(FunctionName, Source, Settled),
    /// Nothing of ours.
    Foreign,
}

fn text<S: Serializer>(source: &Source, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(source)
}

/// Reads a message of `REJECTED`.
pub(crate) fn read(stored: &Stored) -> Read {
    let get = |name: &str| stored.headers.get(name);
    let Ok(Parsed::DeadLetter {
        store,
        lane,
        function,
    }) = Parsed::parse(&stored.subject)
    else {
        return Read::Foreign;
    };
    let Some(source) = get(dead_letter::SOURCE).and_then(Source::parse) else {
        return Read::Foreign;
    };
    if let Some(end) = get(dead_letter::SETTLED) {
        let Some(end) = LetterEnd::parse(end) else {
            return Read::Foreign;
        };
        let written = Written {
            by: get(dead_letter::BY).unwrap_or_default().to_owned(),
            at_us: stored.time_us,
        };
        return Read::End(function, source, Settled { end, written });
    }
    let input = get(dead_letter::SUBJECT).map(Parsed::parse);
    let Some(Ok(Parsed::Event {
        tenant, channel, ..
    })) = input
    else {
        return Read::Foreign;
    };
    let owned = |name: &str| get(name).unwrap_or_default().to_owned();
    Read::Letter(Box::new(Letter {
        seq: stored.seq,
        time_us: stored.time_us,
        function,
        tenant,
        channel,
        id: owned(header::ID),
        publisher: get(header::PUBLISHER).map(str::to_owned),
        source,
        reason: owned(dead_letter::REASON),
        attempts: owned(dead_letter::ATTEMPTS).parse().unwrap_or_default(),
        digest: owned(dead_letter::DIGEST),
        bytes: stored.payload.len(),
        settled: None,
        store,
        lane,
    }))
}

impl Letter {
    /// The subject of the letter, and of its end.
    pub(crate) fn subject(&self) -> Subject {
        Subject::dead_letter(&self.store, self.lane, &self.function)
    }

    /// Whether the input was on its way through a gate.
    pub(crate) fn is_of_gate(&self) -> bool {
        self.source.stream == protocol::stream::StreamName::ingress(&self.store)
    }

    /// Where the input is stored again for a reactive function: a channel of its own, on
    /// the lane whose function it is.
    pub(crate) fn place(&self) -> Subject {
        let Source { epoch, seq, .. } = &self.source;
        let place = Channel::redrive(&self.function, epoch.as_str(), *seq);
        Subject::event(Kind::Ev, &self.store, self.lane, &self.tenant, &place)
    }

    /// Where the input was stored.
    pub(crate) fn input_subject(&self) -> Subject {
        let kind = match self.is_of_gate() {
            true => Kind::In,
            false => Kind::Ev,
        };
        Subject::event(kind, &self.store, self.lane, &self.tenant, &self.channel)
    }

    /// The input again, as `stored`, the message of this letter, holds it.
    pub(crate) fn input(&self, stored: &Stored) -> Outgoing {
        let mut headers = Headers::new();
        let own = |name: &str| {
            name.starts_with(dead_letter::PREFIX)
                || [dead_letter::REDRIVE, header::CHANNEL].contains(&name)
        };
        for (name, value) in stored.headers.iter().filter(|(name, _)| !own(name)) {
            headers.push_read(name, value);
        }
        headers.push(dead_letter::REDRIVE, self.source.to_string());
        let subject = match self.is_of_gate() {
            true => self.input_subject(),
            false => {
                headers.push(header::CHANNEL, self.channel.as_str());
                self.place()
            }
        };
        Outgoing {
            subject,
            headers,
            payload: stored.payload.clone(),
            msg_id: None,
            expect: None,
        }
    }

    /// The message that ends the letter.
    pub(crate) fn end(&self, end: LetterEnd, by: &str) -> Outgoing {
        let mut headers = Headers::new();
        headers.push(dead_letter::SUBJECT, self.input_subject().to_string());
        headers.push(dead_letter::SOURCE, self.source.to_string());
        headers.push(dead_letter::SETTLED, end.as_str());
        headers.push(dead_letter::BY, header_text(by));
        Outgoing {
            subject: self.subject(),
            headers,
            payload: Bytes::new(),
            msg_id: Some(format!("{}/{}/settled", self.function, self.source)),
            expect: None,
        }
    }
}

/// A name that somebody gave themselves, as a header can carry it.
fn header_text(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(headers: &[(&'static str, &str)]) -> Stored {
        let mut all = Headers::new();
        for (name, value) in headers {
            all.push(name, *value);
        }
        Stored {
            seq: 7,
            time_us: 5,
            subject: "rej.main.3.gate".into(),
            headers: all,
            payload: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn the_input_is_stored_again_as_it_was() {
        let message = stored(&[
            (header::ID, "acme/ann/c/1"),
            (header::GATE, "gate"),
            ("eddy-h-room", "blue"),
            (dead_letter::SUBJECT, "in.main.3.acme.doc.a"),
            (dead_letter::SOURCE, "INGRESS-main@0a:5"),
            (dead_letter::REASON, "no"),
            (dead_letter::ATTEMPTS, "10"),
            (dead_letter::REDRIVE, "INGRESS-main@0a:2"),
        ]);
        let Read::Letter(letter) = read(&message) else {
            panic!("no letter");
        };
        assert_eq!((letter.attempts, letter.bytes), (10, 2));
        let input = letter.input(&message);
        assert_eq!(input.subject.as_str(), "in.main.3.acme.doc.a");
        let names: Vec<(&str, &str)> = input.headers.iter().collect();
        assert_eq!(
            names,
            [
                (header::ID, "acme/ann/c/1"),
                (header::GATE, "gate"),
                ("eddy-h-room", "blue"),
                (dead_letter::REDRIVE, "INGRESS-main@0a:5"),
            ]
        );
    }

    #[test]
    fn an_end_is_no_letter() {
        let letter = stored(&[
            (dead_letter::SUBJECT, "ev.main.3.acme.doc.a"),
            (dead_letter::SOURCE, "EVENTS-main@0a:5"),
        ]);
        let Read::Letter(letter) = read(&letter) else {
            panic!("no letter");
        };
        assert!(!letter.is_of_gate());
        let end = letter.end(LetterEnd::Dropped, " ann\n@home ");
        let told = Stored {
            headers: end.headers,
            ..stored(&[])
        };
        let Read::End(function, source, settled) = read(&told) else {
            panic!("no end");
        };
        assert_eq!((function, source), (letter.function, letter.source));
        assert_eq!(settled.end, LetterEnd::Dropped);
        assert_eq!(settled.written.by, "ann@home");
        assert!(matches!(read(&stored(&[])), Read::Foreign));
    }
}
