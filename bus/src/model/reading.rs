//! Reading a stream as one who has come to some sequence. Pure; owns nothing.

use std::collections::BTreeMap;

use super::request::{Answer, Read, Reply};
use super::stream::Machine;
use protocol::bus::Stored;

/// Answers a read from what lies up to `until`.
pub(super) fn answer(stream: &Machine, read: Read, until: u64, now_us: u64) -> Answer {
    let log = &stream.log;
    Ok(match read {
        Read::At(seq) => Reply::Event(log.get(seq, until).cloned()),
        Read::LastOn(filter) => {
            let seq = log.last_on(&filter, until);
            Reply::Event(seq.and_then(|seq| log.get(seq, until)).cloned())
        }
        Read::NextOn(filter, from) => {
            Reply::Event(log.from(Some(&filter), from, until).next().cloned())
        }
        Read::FromTime(filter, since) => {
            let mut events = log.from(Some(&filter), 1, until);
            Reply::Event(events.find(|event| event.time_us >= since).cloned())
        }
        Read::Details => Reply::Details(stream.details(until, now_us)),
        Read::Run {
            filter,
            from,
            limit,
            bytes_max,
        } => {
            let events = run(log.from(Some(&filter), from, until), limit, bytes_max);
            let next = events.last().map_or(from, |event| event.seq + 1);
            let pending = log.count(Some(&filter), next, until);
            Reply::Run(events, pending)
        }
        Read::LastSeqs(subjects) => {
            let last = |subject: String| log.last_on(&subject, until).map(|seq| (subject, seq));
            Reply::Seqs(subjects.into_iter().filter_map(last).collect())
        }
        Read::LastEach(filter) => {
            let mut last = BTreeMap::new();
            for event in log.from(Some(&filter), 1, until) {
                last.insert(event.subject.as_str(), event);
            }
            let mut events: Vec<Stored> = last.into_values().cloned().collect();
            events.sort_by_key(|event| event.seq);
            Reply::Run(events, 0)
        }
        Read::LastUntil(subject, seq) => {
            let last = log.last_on(&subject, until.min(seq));
            Reply::Seqs(last.map(|last| (subject, last)).into_iter().collect())
        }
    })
}

/// Events up to a count and a size; the one that passes the size is the last.
pub(super) fn run<'a>(
    events: impl Iterator<Item = &'a Stored>,
    limit: usize,
    bytes_max: usize,
) -> Vec<Stored> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for event in events.take(limit) {
        let headers: usize = event
            .headers
            .iter()
            .map(|(n, v)| n.len() + v.len() + 4)
            .sum();
        bytes += event.subject.len() + headers + event.payload.len();
        taken.push(event.clone());
        if bytes >= bytes_max {
            break;
        }
    }
    taken
}
