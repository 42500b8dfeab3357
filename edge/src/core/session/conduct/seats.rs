//! A session's seats on its channels, where they tell who is on them.

use std::sync::Arc;

use protocol::frame::{Presence, Push, encode};

use super::{Handle, Session};
use crate::core::feed::relay::{FeedKey, Subscriber};
use crate::core::port::Note;
use crate::core::presence::seat::{Seat, Seating};
use crate::core::request::Request;
use crate::core::session::commands::Rules;
use crate::core::wants::Wants;

impl Session {
    /// The seat of a subscription that is to be made; what its command is told if there is
    /// none left.
    pub(super) fn seat(
        &self,
        key: &FeedKey,
        subscriber: &Subscriber,
        request: &mut Request,
    ) -> Result<Option<Arc<Seat>>, Note> {
        let Some(seating) = request.seating.take() else {
            return Ok(None);
        };
        let (presence, place) = (&self.hub.presence, &request.place);
        let seat = presence.seat(key.clone(), place, subscriber.clone(), *seating);
        seat.map(|seat| Some(Arc::new(seat)))
            .map_err(|error| Note::Refused {
                id: request.id,
                command: request.command,
                channel: request.channel.clone(),
                error,
            })
    }

    /// Presence has begun or ended in some namespace: subscriptions that stand sit down, or
    /// get up. Who watched is told that nothing more comes.
    pub(super) fn reseat(&mut self) {
        let rules = self.hub.rules();
        let mut handles = std::mem::take(&mut self.handles);
        for handle in &mut handles {
            let key = &handle.guard.feed.key;
            let place = rules.directory.place(&key.tenant, &key.channel);
            // On the channel of a writer is nobody but that writer.
            let place =
                place.filter(|place| place.presence.is_some() && !key.channel.is_reserved());
            match (&handle.seat, place) {
                (Some(seat), None) => {
                    if seat.watches() {
                        self.tell_end(handle);
                    }
                    handle.seat = None;
                }
                (None, Some(place)) => {
                    let list_max = place.presence.map_or(0, |spec| spec.list_max);
                    let seating = self.state.present(&rules).map(|member| Seating {
                        member,
                        list_max,
                        watch: false,
                    });
                    let subscriber = self.subscriber(handle.id, handle.wants.clone());
                    let seat = seating.map(|seating| {
                        self.hub
                            .presence
                            .seat(key.clone(), &place, subscriber, seating)
                    });
                    // Without a watch there is always room.
                    handle.seat = seat.and_then(Result::ok).map(Arc::new);
                    if let Some(seat) = &handle.seat {
                        seat.enter(|_| true);
                    }
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        drop(rules);
        self.handles = handles;
        self.tell_of_writer();
    }

    /// Lets the namespaces that ask for it be told of this writer, and no others.
    pub(super) fn tell_of_writer(&mut self) {
        let rules = self.hub.rules();
        let wanted = rules.directory.told_of_writers();
        let mut told = std::mem::take(&mut self.told);
        told.retain(|(namespace, _)| wanted.contains(namespace));
        for namespace in wanted {
            if told.iter().any(|(known, _)| *known == namespace) {
                continue;
            }
            let seat = self.writer_seat(&rules, &namespace);
            told.extend(seat.map(|seat| (namespace, seat)));
        }
        drop(rules);
        self.told = told;
    }

    fn writer_seat(&self, rules: &Rules<'_>, namespace: &str) -> Option<Arc<Seat>> {
        let member = self.state.present(rules)?;
        let (channel, key) = self.state.writer_channel(namespace)?;
        let place = rules.directory.place(&key, &channel)?;
        let key = FeedKey {
            tenant: key,
            channel,
        };
        let subscriber = self.subscriber(self.hub.next_id(), Wants::default());
        self.hub.presence.writer(key, &place, subscriber, member)
    }

    fn tell_end(&self, handle: &Handle) {
        let ended = Push::Presence(Presence {
            channel: handle.guard.feed.key.channel.as_str().into(),
            count: 0,
            members: None,
            ended: true,
        });
        let frame = encode(self.encoding, &ended);
        self.port.send_for(handle.id, frame);
    }
}
