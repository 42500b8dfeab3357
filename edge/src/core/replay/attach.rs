//! Makes a subscription, or takes up one that was paused: checks where it starts,
//! answers the command, and has the rest read. Owns nothing.

use std::sync::Arc;
use std::time::Duration;

use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Named, Outcome, Reply, Start, Subscribed, encode};
use protocol::position::Position;
use shares::sieve::Sieve;
use tokio::time::timeout;

use super::reader::Reader;
use super::replays::Replays;
use crate::core::feed::relay::Subscriber;
use crate::core::feed::repair::lost;
use crate::core::leader::{self, unavailable};
use crate::core::metrics;
use crate::core::port::Note;
use crate::core::presence::seat::Seat;
use crate::core::registry::FeedGuard;
use crate::core::request::Request;

/// How long opening a channel may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a subscription begins.
struct Begin {
    /// What the reply says.
    after: u64,
    /// The channel's event before the first one, as far as it is known.
    prev: u64,
    /// What retention has taken after it.
    gap: Option<(u64, u64)>,
    /// Whether the client is told when it has caught up.
    announce: bool,
}

/// A subscription's place in the channel's feed, and its seat where that tells who is
/// there.
pub type Places = (Arc<FeedGuard>, Option<Arc<Seat>>);

/// Makes a subscription: answers the command, brings the client level, joins. Its port expects it from the call on; once it is
/// shut there, the command is not answered. Dropped, the future leaves that to whoever
/// shuts it.
pub fn attach(
    replays: Arc<Replays>,
    places: Places,
    subscriber: Subscriber,
    request: Request,
) -> impl Future<Output = ()> + Send {
    if let Some(filter) = &request.wants.filter {
        let channel = request.channel.as_str().into();
        let sieve = Sieve::new(channel, filter.clone());
        subscriber.port.sift(request.id, sieve);
    }
    if let Some(events) = request.credit {
        subscriber.port.limit(request.id, events);
    }
    subscriber.port.expect(request.id);
    make(replays, places, subscriber, request)
}

async fn make(
    replays: Arc<Replays>,
    (guard, seat): Places,
    subscriber: Subscriber,
    request: Request,
) {
    let Request {
        command,
        id,
        ref channel,
        ref place,
        ..
    } = request;
    let begun = begin(&replays, (&guard, seat.as_deref()), &request).await;
    if let Start::After(_) = request.start {
        let outcome = begun.as_ref().map(|begin| begin.gap.is_some());
        metrics::resumed(outcome.map_err(|error| error.code));
    }
    let port = subscriber.port.clone();
    let begin = match begun {
        Ok(begin) => begin,
        Err(error) => {
            return port.note(Note::Refused {
                id,
                command,
                channel: channel.clone(),
                error,
            });
        }
    };
    subscriber.port.begin_at(id, begin.after);
    let open = |presence| {
        let subscribed = Subscribed {
            channel: channel.as_str().into(),
            epoch: place.epoch.clone(),
            after: begin.after,
            presence,
        };
        let reply = Reply {
            id: command,
            outcome: Outcome::Subscribe(subscribed),
        };
        port.open(id, encode(subscriber.encoding, &reply))
    };
    let stands = match &seat {
        Some(seat) => seat.enter(open),
        None => open(None),
    };
    // Whoever holds the subscription holds its seat; kept here, it would outlive it.
    drop(seat);
    if !stands {
        return;
    }
    guard.feed.listen(&subscriber);
    let (source, mut at) = (guard.feed.source.clone(), begin.after);
    let mut reader = Reader {
        replays,
        guard,
        subscriber,
        prev: begin.prev,
    };
    if let Some((from, to)) = begin.gap {
        reader.announce_gap(&source, from, to);
        (at, reader.prev) = (to, 0);
    }
    reader.level(at, begin.announce).await;
}

/// Brings a paused subscription level again.
pub async fn again(replays: Arc<Replays>, guard: Arc<FeedGuard>, subscriber: Subscriber, at: u64) {
    Reader {
        replays,
        guard,
        subscriber,
        prev: at,
    }
    .level(at, true)
    .await;
}

async fn begin(
    replays: &Replays,
    (guard, seat): (&FeedGuard, Option<&Seat>),
    request: &Request,
) -> Result<Begin, ErrorBody> {
    if let Some(seat) = seat {
        seat.ready().await?;
    }
    if !timeout(OPEN_TIMEOUT, guard.feed.opened())
        .await
        .unwrap_or(false)
    {
        return Err(ErrorBody::new(
            ErrorCode::Unavailable,
            "the channel could not be opened",
        ));
    }
    let position = match &request.start {
        Start::Named(Named::Now) => {
            let after = guard.feed.position();
            return Ok(Begin {
                after,
                prev: after,
                gap: None,
                announce: false,
            });
        }
        Start::Named(Named::Earliest) => None,
        Start::After(position) => Some(position),
    };
    let source = &guard.feed.source;
    let bus = &replays.bus;
    let state = leader::state(bus, &source.stream, guard.feed.position())
        .await
        .map_err(|error| unavailable(&error))?;
    let Some(position) = position else {
        return Ok(Begin {
            after: state.first_seq.saturating_sub(1),
            prev: 0,
            gap: None,
            announce: true,
        });
    };
    let state = replays.certain(&guard.feed, state, position.seq).await?;
    check(request, position, state.last_seq.max(guard.feed.position()))?;
    if let (Some(time), true) = (position.time, position.seq >= state.first_seq.max(1)) {
        let stored = bus
            .get(&source.stream, position.seq)
            .await
            .map_err(|error| unavailable(&error))?;
        if stored.is_some_and(|event| event.time_us != time) {
            return Err(mismatch("time"));
        }
    }
    let after = position.seq;
    // An empty channel looks the same whether it never had an event or lost them all.
    let gap = lost(after, state.last_seq, state.first_seq)
        .filter(|(_, to)| !guard.feed.vouches(after, *to));
    Ok(Begin {
        after,
        prev: after,
        gap,
        announce: true,
    })
}

/// Whether a position is one of this stream.
fn check(request: &Request, position: &Position, last: u64) -> Result<(), ErrorBody> {
    if position.epoch != request.place.epoch {
        return Err(mismatch("epoch"));
    }
    if position.seq > last {
        let message = format!(
            "from.seq {} is past the stream's last sequence {last}",
            position.seq
        );
        return Err(ErrorBody::new(ErrorCode::PositionAhead, message));
    }
    Ok(())
}

fn mismatch(field: &str) -> ErrorBody {
    ErrorBody::new(
        ErrorCode::PositionMismatch,
        format!("from.{field} is not the stream's: the position means other events"),
    )
}

#[cfg(test)]
mod tests {
    use protocol::lane::Lane;
    use protocol::name::{Channel, StoreName, Tenant};
    use protocol::position::Epoch;

    use super::*;
    use crate::core::directory::Place;
    use crate::core::wants::Wants;

    #[test]
    fn positions_of_other_streams_are_refused() {
        let epoch = |text| Epoch::parse(text).unwrap();
        let position = |text, seq| Position {
            epoch: epoch(text),
            seq,
            time: None,
        };
        let place = Place::plain(StoreName::parse("main").unwrap(), epoch("aa"), Lane(0));
        let (tenant, channel) = (
            Tenant::parse("t").unwrap(),
            Channel::parse("doc.1").unwrap(),
        );
        let request = Request {
            command: 1,
            id: 1,
            tenant,
            channel,
            place,
            start: Start::Named(Named::Now),
            wants: Wants::default(),
            credit: None,
            seating: None,
        };
        assert!(check(&request, &position("aa", 10), 10).is_ok());
        assert_eq!(
            check(&request, &position("aa", 11), 10).unwrap_err().code,
            ErrorCode::PositionAhead
        );
        assert_eq!(
            check(&request, &position("bb", 1), 10).unwrap_err().code,
            ErrorCode::PositionMismatch
        );
    }
}
