//! The actor's subscriptions: asking, leaving and reading again. Knows when to ask
//! the node for something; what a delivery means is decided in `channel`.

use std::time::Duration;

use protocol::frame::{Action, ErrorBody, FromServer, Grant, Unsubscribe, Withdrawn};

use super::wake::{Wake, grants, later, room};
use super::{Actor, Pending, count};
use crate::channel::{Channel, Deed, State};
use crate::error::ClientError;
use crate::request::Wanted;
use crate::subscription::PresenceChange;

impl Actor {
    /// Begins a subscription that a handle asks for.
    pub(super) fn begin(&mut self, wanted: Wanted) {
        let channel = wanted.channel;
        if let Some(open) = self.channels.get(&channel) {
            if !open.sender.is_closed() {
                let refusal = ClientError::AlreadySubscribed { channel };
                // Whoever asked may have gone.
                let _ = wanted.answer.send(Err(refusal));
                return;
            }
            let generation = open.generation;
            self.leave(&channel, generation);
        }
        let generation = self.next_generation;
        self.next_generation += 1;
        let (alive, name) = (wanted.alive, channel.clone());
        self.wakes.push(Box::pin(async move {
            // Nothing is ever sent: this waits for the other end to be dropped.
            let _ = alive.await;
            Wake::Closed(name, generation)
        }));
        let (start, answer) = (wanted.start, wanted.answer);
        let subscription = Channel::new(
            generation,
            (start, wanted.options),
            wanted.granter,
            wanted.sender,
            wanted.end,
            answer,
        );
        if subscription.is_counted() {
            self.wakes.push(grants(channel.clone(), &subscription));
        }
        self.channels.insert(channel.clone(), subscription);
        self.ticket.changed();
        if self.is_connected() {
            self.ask(&channel, State::Asked);
        }
    }

    /// Lets the node send more events on a channel; where it is not subscribed at the moment,
    /// the next subscription says so.
    fn grant(&mut self, name: String, generation: u64, events: u64) {
        let open = self.channels.get_mut(&name);
        let Some(channel) = open.filter(|open| open.generation == generation) else {
            return;
        };
        let events = channel.grant(events);
        self.wakes.push(grants(name.clone(), channel));
        let asked = matches!(channel.state, State::Asked | State::Live);
        if events > 0 && asked && self.is_connected() {
            let channel = name;
            self.command(Action::Credit(Grant { channel, events }), Pending::Credit);
        }
    }

    /// Subscribes to a channel that is in the given state.
    pub(super) fn ask(&mut self, name: &str, state: State) {
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        if channel.state == state {
            let generation = channel.generation;
            let subscribe = channel.ask(name, self.options.echo);
            let channel = name.to_owned();
            let pending = Pending::Subscribe {
                channel,
                generation,
            };
            self.command(Action::Subscribe(subscribe), pending);
        }
    }

    /// Forgets a channel whose reader is gone.
    pub(super) fn leave(&mut self, name: &str, generation: u64) {
        if self
            .channels
            .get(name)
            .is_some_and(|channel| channel.generation == generation)
        {
            let state = self.channels.remove(name).map(|channel| channel.state);
            self.ticket.changed();
            if matches!(state, Some(State::Live | State::Asked)) && self.is_connected() {
                self.unsubscribe(name.to_owned(), generation);
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, channel: String, generation: u64) {
        let body = Unsubscribe {
            channel: channel.clone(),
        };
        let pending = Pending::Unsubscribe {
            channel,
            generation,
        };
        self.command(Action::Unsubscribe(body), pending);
    }

    pub(super) fn wake(&mut self, wake: Wake) {
        match wake {
            Wake::Granted(channel, generation, events) => self.grant(channel, generation, events),
            Wake::Closed(channel, generation) => self.leave(&channel, generation),
            Wake::Again(channel, generation) => {
                let current = self.channels.get(&channel);
                if current.is_some_and(|open| open.generation == generation) {
                    self.ask(&channel, State::Away);
                }
            }
        }
    }

    /// The node answered a subscription.
    pub(super) fn answered(&mut self, name: String, generation: u64, frame: FromServer) {
        let Some(channel) = self.channels.get_mut(&name) else {
            return;
        };
        if channel.generation != generation || channel.state != State::Asked {
            return;
        }
        let outcome = match (frame.subscribe, frame.error) {
            (Some(reply), _) => channel.subscribed(&reply),
            (None, Some(body)) if body.temporary => {
                channel.state = State::Away;
                self.wakes.push(later(name, generation, &body));
                return;
            }
            (None, Some(body)) => Err(ClientError::Refused(body)),
            (None, None) => Err(ClientError::Protocol("a reply without a body".into())),
        };
        match outcome {
            Ok(deed) => {
                self.act(&name, deed);
                self.want_ticket();
            }
            Err(reason) => {
                if let Some(channel) = self.channels.remove(&name) {
                    channel.finish(reason);
                }
            }
        }
    }

    /// The node stopped delivering a channel.
    pub(super) fn left(&mut self, name: String, generation: u64) {
        let Some(channel) = self.channels.get_mut(&name) else {
            return;
        };
        if channel.generation == generation && channel.state == State::Leaving {
            channel.state = State::Away;
            let wake = room(name, channel, self.options.queue);
            self.wakes.push(wake);
        }
    }

    /// The node ended a subscription: the token does not allow it any more.
    fn withdrawn(&mut self, told: &Withdrawn) {
        if let Some(channel) = self.channels.remove(&told.channel) {
            let message = format!(
                "the token does not allow to receive {} any more",
                told.channel
            );
            channel.finish(ClientError::Refused(ErrorBody::new(told.code, message)));
        }
    }

    /// Leaves a channel, if something follows from a push.
    fn act(&mut self, name: &str, deed: Deed) {
        match deed {
            Deed::Nothing => return,
            Deed::LeaveFull => count(&self.shared.overflows, 1),
            Deed::LeaveBroken => count(&self.shared.breaks, 1),
        }
        if let Some(channel) = self.channels.get_mut(name) {
            channel.state = State::Leaving;
            let generation = channel.generation;
            self.unsubscribe(name.to_owned(), generation);
        }
    }

    /// What a frame tells of who is on a channel.
    fn present(&mut self, frame: &mut FromServer) -> Option<(String, Deed)> {
        let (name, change) = if let Some(all) = frame.presence.take() {
            (all.channel.clone(), PresenceChange::All(all))
        } else if let Some(join) = frame.join.take() {
            (join.channel.clone(), PresenceChange::Join(join))
        } else {
            let leave = frame.leave.take()?;
            (leave.channel.clone(), PresenceChange::Leave(leave))
        };
        let open = self.channels.get_mut(&name);
        let deed = open.map_or(Deed::Nothing, |channel| channel.presence(change));
        Some((name, deed))
    }

    pub(super) fn push(&mut self, mut frame: FromServer, arrived: tokio::time::Instant) {
        if let Some((name, deed)) = self.present(&mut frame) {
            return self.act(&name, deed);
        }
        let (name, deed) = if let Some(event) = frame.event {
            let name = event.channel.clone();
            let open = self.channels.get_mut(&name);
            let deed = open.map(|channel| channel.event(event, arrived));
            (name, deed)
        } else if let Some(event) = frame.ephemeral {
            if let Some(channel) = self.channels.get_mut(&event.channel) {
                channel.ephemeral(event, arrived);
            }
            return;
        } else if let Some(dropped) = frame.dropped {
            if let Some(channel) = self.channels.get_mut(&dropped.channel) {
                channel.dropped(dropped.count);
            }
            return;
        } else if let Some(passed) = frame.passed {
            let open = self.channels.get_mut(&passed.channel);
            let deed = open.map(|channel| channel.passed(&passed));
            (passed.channel, deed)
        } else if let Some(gap) = frame.gap {
            let name = gap.channel.clone();
            let open = self.channels.get_mut(&name);
            (name, open.map(|channel| channel.gap(gap)))
        } else if let Some(caught_up) = frame.caught_up {
            let open = self.channels.get_mut(&caught_up.channel);
            let deed = open.map(|channel| channel.caught_up(caught_up.seq));
            (caught_up.channel, deed)
        } else {
            if let Some(told) = frame.unsubscribed {
                self.withdrawn(&told);
            }
            if let Some(going) = frame.going_away {
                self.away = Some(Duration::from_millis(going.reconnect_after_ms));
            }
            return;
        };
        self.act(&name, deed.unwrap_or(Deed::Nothing));
    }
}
