//! Reading single events, from the leader, and short runs of events, by batched
//! Direct Get (ADR-31). Owns no state.
//!
//! A Direct Get may be answered by a follower that lags: what it does not have is
//! no proof. Single reads go to the leader; a scan confirms its end there.
//!
//! A reply that async-nats cannot parse breaks the connection, and what comes behind it
//! is lost. So a run ends with the connection, and what stands next is read by itself;
//! where such messages are known, nothing else is tried.

use std::collections::HashMap;

use tokio::time::timeout;

use super::api::Get;
use super::connection::Bus;
use super::wire;
use crate::error::BusError;
use crate::limits::{LAST_EACH_MAX, LAST_SEQS_MAX, NEXT_EVENTS_MAX, REQUEST_TIMEOUT};
use crate::whole::Whole;
use protocol::bus::{Stored, StreamState};
use protocol::stream::StreamName;
use protocol::subject::Subject;

/// What a batched Direct Get brought.
#[derive(Default)]
pub(crate) struct Run {
    pub events: Vec<Stored>,
    /// How many more match, as the server said with its last word.
    pub pending: u64,
    /// Whether the connection broke before that word.
    cut: bool,
}

/// Most messages that are read by themselves in one go.
const SINGLES_MAX: usize = 256;

impl Bus {
    /// The event at a sequence, from the stream's leader; `None` if there is none.
    ///
    /// # Errors
    /// [`BusError::NotFound`] if there is no such stream; those of a request. Cancel safe.
    pub async fn get(&self, stream: &StreamName, seq: u64) -> Result<Option<Stored>, BusError> {
        self.leader_get(
            stream.as_str(),
            &Get {
                seq: Some(seq),
                ..Get::default()
            },
        )
        .await
    }

    /// The first event on a filter at or after a sequence, from the stream's leader.
    pub(crate) async fn leader_next(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
    ) -> Result<Option<Stored>, BusError> {
        let query = Get {
            seq: Some(from.max(1)),
            next_by_subj: Some(filter),
            ..Get::default()
        };
        self.leader_get(stream, &query).await
    }

    /// The first sequence on a filter that was stored at or after a time
    /// (microseconds since 1970), from the stream's leader; `None` if there is none.
    ///
    /// # Errors
    /// As [`Self::get`]. Cancel safe.
    pub async fn first_since(
        &self,
        stream: &StreamName,
        filter: &Subject,
        since_us: u64,
    ) -> Result<Option<u64>, BusError> {
        let query = Get {
            start_time: Some(wire::rfc3339(since_us)),
            next_by_subj: Some(filter.as_str()),
            ..Get::default()
        };
        Ok(self
            .leader_get(stream.as_str(), &query)
            .await?
            .map(|event| event.seq))
    }

    /// What the stream's leader says of its stream.
    ///
    /// # Errors
    /// As [`Self::get`]. Cancel safe.
    pub async fn stream_state(&self, stream: &StreamName) -> Result<StreamState, BusError> {
        self.details(stream.as_str()).await?.state()
    }

    /// The last sequence on each of at most [`LAST_SEQS_MAX`] subjects; subjects
    /// without an event are left out. For probes: a follower may answer.
    ///
    /// # Errors
    /// [`BusError::Limit`]; those of a request. Cancel safe.
    pub async fn last_seqs(
        &self,
        stream: &StreamName,
        subjects: &[Subject],
    ) -> Result<Vec<(String, u64)>, BusError> {
        if subjects.len() > LAST_SEQS_MAX {
            return Err(BusError::Limit {
                field: "subjects",
                value: subjects.len(),
                max: LAST_SEQS_MAX,
            });
        }
        let mut found: HashMap<String, u64> = HashMap::with_capacity(subjects.len());
        let unreadable = &self.inner.unreadable;
        let known = |subject: &&str| unreadable.last(stream.as_str(), subject) > 0;
        let (mut singles, rest): (Vec<_>, Vec<_>) =
            subjects.iter().map(Subject::as_str).partition(known);
        loop {
            // The server stops at its bound of bytes; what is still open is asked again.
            let open = rest.iter().copied();
            let open: Vec<_> = open
                .filter(|subject| !found.contains_key(*subject))
                .collect();
            if open.is_empty() {
                break;
            }
            let query = Get {
                multi_last: &open,
                ..Get::default()
            };
            let run = self.direct_run(stream.as_str(), &query, open.len()).await?;
            let progress = !run.events.is_empty();
            let tails = run.events.into_iter();
            found.extend(tails.map(|event| (event.subject, event.seq)));
            if run.cut {
                singles.extend(open.iter().filter(|subject| !found.contains_key(**subject)));
                break;
            }
            if run.pending == 0 || !progress {
                break;
            }
        }
        for subject in singles {
            let last = self.leader_last(stream.as_str(), subject).await?;
            found.extend(last.map(|event| (subject.to_owned(), event.seq)));
        }
        Ok(found.into_iter().collect())
    }

    /// The last message of each subject that a filter covers, by sequence; at most
    /// [`LAST_EACH_MAX`]. A follower may answer.
    pub(crate) async fn last_each(
        &self,
        stream: &str,
        filter: &str,
    ) -> Result<Vec<Stored>, BusError> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let query = Get {
                multi_last: &[filter],
                seq: from,
                ..Get::default()
            };
            let run = self.direct_run(stream, &query, LAST_EACH_MAX).await?;
            if run.cut {
                return Err(BusError::Disconnected);
            }
            // The server stops at its bound of bytes; what is behind it is asked for next.
            from = run.events.last().map(|last| last.seq + 1);
            found.extend(run.events);
            if run.pending == 0 || from.is_none() {
                return Ok(found);
            }
        }
    }

    /// A sequence on a subject at or before another one, as near as is known; 0: none.
    /// A follower may answer, so there may be later ones.
    pub(crate) async fn last_until(
        &self,
        stream: &str,
        subject: &str,
        until: u64,
    ) -> Result<u64, BusError> {
        let unreadable = self.inner.unreadable.last(stream, subject);
        if unreadable > 0 {
            // Asked for by the others, it would break the connection.
            return Ok(if unreadable <= until { unreadable } else { 0 });
        }
        let query = Get {
            multi_last: &[subject],
            up_to_seq: Some(until),
            ..Get::default()
        };
        let run = self.direct_run(stream, &query, 1).await?;
        Ok(run.events.last().map_or(0, |event| event.seq))
    }

    /// Up to `limit` events (at most [`NEXT_EVENTS_MAX`]) on a filter from a sequence
    /// on, about `bytes_max` bytes at most. A follower may answer, and nothing pending
    /// is no proof that there is nothing: a scan has one.
    ///
    /// # Errors
    /// [`BusError::Limit`]; those of a request. Cancel safe.
    pub(crate) async fn next_run(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Run, BusError> {
        if limit == 0 || limit > NEXT_EVENTS_MAX {
            return Err(BusError::Limit {
                field: "limit",
                value: limit,
                max: NEXT_EVENTS_MAX,
            });
        }
        let known = self.inner.unreadable.last(stream, filter);
        if from <= known {
            let limit = limit.min(SINGLES_MAX);
            return self.singles(stream, filter, from, limit, bytes_max).await;
        }
        let query = Get {
            seq: Some(from.max(1)),
            next_by_subj: Some(filter),
            batch: Some(limit),
            max_bytes: Some(bytes_max.max(1)),
            ..Get::default()
        };
        let mut run = self.direct_run(stream, &query, limit).await?;
        if run.cut {
            if run.events.is_empty() {
                return self.singles(stream, filter, from, 1, bytes_max).await;
            }
            // That there is no more has not been said.
            run.pending = 1;
        }
        Ok(run)
    }

    /// A run whose events are read one after the other, from the leader.
    async fn singles(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Run, BusError> {
        let (mut run, mut next, mut bytes) = (Run::default(), from, 0);
        while run.events.len() < limit && bytes < bytes_max {
            let event = match self.leader_next(stream, filter, next).await {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(run),
                Err(error) if run.events.is_empty() => return Err(error),
                Err(_) => break,
            };
            next = event.seq + 1;
            bytes += event.payload.len();
            run.events.push(event);
        }
        run.pending = 1;
        Ok(run)
    }

    /// Sends a batched Direct Get and collects its answers up to the server's own
    /// marker: 204 ends a batch, 404 is an empty one. An empty payload is an event.
    async fn direct_run(
        &self,
        stream: &str,
        query: &Get<'_>,
        limit: usize,
    ) -> Result<Run, BusError> {
        let mut connects = self.connects();
        self.require_connected()?;
        let body =
            serde_json::to_vec(query).map_err(|_| BusError::Malformed { what: "request" })?;
        // One place for the end marker beside the events.
        let (to, mut replies) = self.inner.inbox.many(limit + 1);
        let sent = self.inner.client.publish_with_reply(
            format!("$JS.API.DIRECT.GET.{stream}"),
            to,
            body.into(),
        );
        let sent = timeout(REQUEST_TIMEOUT, sent)
            .await
            .map_err(|_| BusError::Disconnected)?;
        sent.map_err(|error| self.publish_error(&error))?;
        let (mut run, mut whole) = (Run::default(), Whole::default());
        loop {
            // Both are cancel safe: a reply stays in its queue.
            let reply = tokio::select! {
                biased;
                reply = timeout(REQUEST_TIMEOUT, replies.next()) => reply.map_err(|_| BusError::Timeout)??,
                _ = connects.changed() => {
                    run.cut = true;
                    return Ok(run);
                }
            };
            let headers = reply.headers.as_ref();
            let is_event = headers.is_some_and(wire::is_event);
            let pending = headers.and_then(wire::num_pending);
            let before = headers.and_then(wire::last_sent);
            let before = before.ok_or(BusError::Malformed { what: "direct get" });
            let status = reply.status.filter(|_| !is_event);
            match status.map(|status| status.as_u16()) {
                None => {
                    let event = wire::direct(reply);
                    let event = event.ok_or(BusError::Malformed { what: "direct get" })?;
                    whole.reply(event.seq, before?)?;
                    run.events.push(event);
                }
                Some(204) => {
                    whole.end(before?)?;
                    run.pending = pending.unwrap_or(0);
                    return Ok(run);
                }
                Some(404) => return Ok(run),
                Some(503) => return Err(BusError::NoStream),
                Some(code) => {
                    let description = reply.description.unwrap_or_default();
                    let code = u64::from(code);
                    return Err(BusError::from_api(code, description));
                }
            }
        }
    }
}
