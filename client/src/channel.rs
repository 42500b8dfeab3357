//! What one subscription is doing: asked for, live, or left because its reader
//! fell behind or its chain broke.
//!
//! Owns the chain and the sending end of the subscription's queue. Decides what
//! has to be asked of the node; asking is the actor's. Must not know connections.
//!
//! Overflow policy of the queue: the channel is left, and read again from the
//! stream, after the last delivery, once half of the queue is free. So a slow
//! reader costs itself a replay, and neither memory nor anybody else's time.

use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};

use protocol::frame::{
    CREDIT_EVENTS_MAX, Ephemeral, Event, Gap, Passed, Start, Subscribe, Subscribed,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::chain::{Chain, Link};
use super::error::ClientError;
use super::granter::{Granter, GranterEnd};
use super::options::SubscribeOptions;
use super::subscription::{Delivery, PresenceChange};

/// Where a subscription stands with the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Asked for; what still comes is of an earlier subscription.
    Asked,
    /// Delivered.
    Live,
    /// Asked to end, to be read again from its last position.
    Leaving,
    /// Not delivered; waits for room in the queue.
    Away,
}

/// What follows from a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Nothing.
    Nothing,
    /// Leave the channel: the queue is full.
    LeaveFull,
    /// Leave the channel: something is missing.
    LeaveBroken,
}

/// Who waits for the node's answer.
pub(super) type Answer = oneshot::Sender<Result<Subscribed, ClientError>>;

/// One subscription.
pub(super) struct Channel {
    /// Tells subscriptions of the same channel apart, one after the other.
    pub generation: u64,
    pub state: State,
    pub sender: mpsc::Sender<Delivery>,
    /// Why the subscription ended; set before the sender is dropped.
    pub end: Arc<OnceLock<ClientError>>,
    pub answer: Option<Answer>,
    start: Start,
    /// What it wants; its credit is what is left of it.
    options: SubscribeOptions,
    /// Ends with it.
    pub end_of_credit: GranterEnd,
    chain: Option<Chain>,
    /// Ephemeral events that were dropped and not told yet.
    dropped: u64,
}

impl Channel {
    pub fn new(
        generation: u64,
        (start, options): (Start, SubscribeOptions),
        granter: Granter,
        sender: mpsc::Sender<Delivery>,
        end: Arc<OnceLock<ClientError>>,
        answer: Answer,
    ) -> Self {
        Self {
            generation,
            state: State::Asked,
            sender,
            end,
            answer: Some(answer),
            start,
            options,
            end_of_credit: GranterEnd(granter),
            chain: None,
            dropped: 0,
        }
    }

    /// What to ask of the node: from the last position on, where there is one.
    pub fn ask(&mut self, channel: &str, echo: bool) -> Subscribe {
        self.state = State::Asked;
        let resumed = self
            .chain
            .as_ref()
            .map(|chain| Start::After(chain.position()));
        Subscribe {
            channel: channel.to_owned(),
            from: Some(resumed.unwrap_or_else(|| self.start.clone())),
            echo,
            presence: self.options.presence,
            credit: self.options.credit,
            headers: self.options.headers.clone(),
        }
    }

    /// The last sequence that it has.
    pub fn stands_at(&self) -> Option<u64> {
        let chain = self.chain.as_ref();
        chain.map(|chain| chain.position().seq)
    }

    /// The node agreed.
    ///
    /// # Errors
    /// [`ClientError::EpochChanged`]: what was delivered before means other events now.
    pub fn subscribed(&mut self, reply: &Subscribed) -> Result<Deed, ClientError> {
        let chain = self
            .chain
            .get_or_insert_with(|| Chain::new(reply.epoch.clone(), reply.after));
        if *chain.epoch() != reply.epoch {
            return Err(ClientError::EpochChanged {
                channel: reply.channel.clone(),
            });
        }
        self.state = State::Live;
        if let Some(answer) = self.answer.take() {
            // Whoever asked may have gone; the queue's end tells.
            let _ = answer.send(Ok(reply.clone()));
        }
        let told = reply.presence.clone().map(PresenceChange::All);
        Ok(told.map_or(Deed::Nothing, |told| self.presence(told)))
    }

    /// Somebody came or left. Without room for it the channel is left: the answer to the
    /// next subscription says who is there.
    pub fn presence(&mut self, change: PresenceChange) -> Deed {
        if self.state != State::Live || !self.options.presence {
            return Deed::Nothing;
        }
        match self.sender.try_send(Delivery::Presence(change)) {
            Err(TrySendError::Full(_)) => Deed::LeaveFull,
            Ok(()) | Err(TrySendError::Closed(_)) => Deed::Nothing,
        }
    }

    /// Whether it is sent what its reader has granted, and no more.
    pub fn is_counted(&self) -> bool {
        self.options.credit.is_some()
    }

    /// The node may send so many events more, as far as it may at all: returns how many.
    pub fn grant(&mut self, events: u64) -> u64 {
        let Some(left) = &mut self.options.credit else {
            return 0;
        };
        let granted = events.min(CREDIT_EVENTS_MAX.saturating_sub(*left));
        *left += granted;
        granted
    }

    /// The node has sent an event.
    fn spend(&mut self) {
        if let Some(left) = &mut self.options.credit {
            *left = left.saturating_sub(1);
        }
    }

    /// An event was pushed.
    pub fn event(&mut self, event: Event, arrived: Instant) -> Deed {
        let (State::Live, Some(chain)) = (self.state, self.chain.as_mut()) else {
            return Deed::Nothing;
        };
        match self.sender.try_reserve() {
            Ok(permit) => match chain.event(event.seq, event.prev, event.time) {
                Link::Next => permit.send(Delivery::Event { event, arrived }),
                Link::Old => {}
                Link::Break => return Deed::LeaveBroken,
            },
            Err(TrySendError::Full(())) => return Deed::LeaveFull,
            Err(TrySendError::Closed(())) => {}
        }
        self.spend();
        Deed::Nothing
    }

    /// An ephemeral event was pushed. It takes no place of the queue's last half, which is
    /// for what is stored: where that is full it is dropped, and its reader told of it
    /// before the next.
    pub fn ephemeral(&mut self, event: Ephemeral, arrived: Instant) {
        if self.state != State::Live {
            return;
        }
        self.spend();
        let wanted = 1 + usize::from(self.dropped > 0);
        if self.sender.capacity() < self.sender.max_capacity() / 2 + wanted {
            self.dropped += 1;
            return;
        }
        // There is room, and nobody else sends; whoever read may have gone.
        if let Some(count) = NonZeroU64::new(std::mem::take(&mut self.dropped)) {
            let _ = self.sender.try_send(Delivery::Dropped { count });
        }
        let _ = self.sender.try_send(Delivery::Ephemeral { event, arrived });
    }

    /// The node has dropped so many ephemeral events, because the connection takes too few.
    pub fn dropped(&mut self, count: u64) {
        self.dropped += count;
    }

    /// Events were passed over that it does not want: a link of the chain.
    pub fn passed(&mut self, passed: &Passed) -> Deed {
        let (State::Live, Some(chain)) = (self.state, self.chain.as_mut()) else {
            return Deed::Nothing;
        };
        match chain.event(passed.seq, passed.prev, passed.time) {
            Link::Next | Link::Old => Deed::Nothing,
            Link::Break => Deed::LeaveBroken,
        }
    }

    /// A gap was announced.
    pub fn gap(&mut self, gap: Gap) -> Deed {
        let to = gap.to;
        self.pass(to, Delivery::Gap(gap))
    }

    /// Everything up to `seq` has been delivered.
    pub fn caught_up(&mut self, seq: u64) -> Deed {
        self.pass(seq, Delivery::CaughtUp { seq })
    }

    fn pass(&mut self, seq: u64, delivery: Delivery) -> Deed {
        let (State::Live, Some(chain)) = (self.state, self.chain.as_mut()) else {
            return Deed::Nothing;
        };
        match self.sender.try_send(delivery) {
            Ok(()) => chain.pass(seq),
            Err(TrySendError::Full(_)) => return Deed::LeaveFull,
            Err(TrySendError::Closed(_)) => {}
        }
        Deed::Nothing
    }

    /// Ends the subscription with a reason.
    pub fn finish(self, reason: ClientError) {
        match self.answer {
            // The error of a subscription that never began is its answer.
            Some(answer) => drop(answer.send(Err(reason))),
            None => drop(self.end.set(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::{Named, Payload, Presence};
    use protocol::position::Epoch;

    use super::*;

    fn channel(queue: usize) -> (Channel, mpsc::Receiver<Delivery>) {
        let (sender, receiver) = mpsc::channel(queue);
        let (answer, _) = oneshot::channel();
        let start = Start::Named(Named::Now);
        let options = SubscribeOptions {
            presence: true,
            credit: Some(100),
            ..SubscribeOptions::default()
        };
        let channel = Channel::new(
            1,
            (start, options),
            Granter::new("a", true),
            sender,
            Arc::default(),
            answer,
        );
        (channel, receiver)
    }

    fn subscribed(bits: u64, after: u64) -> Subscribed {
        Subscribed {
            channel: "a".into(),
            epoch: Epoch::from_random(bits),
            after,
            presence: None,
        }
    }

    fn event(seq: u64, prev: u64) -> Event {
        Event {
            channel: "a".into(),
            seq,
            prev,
            time: seq,
            id: String::new(),
            user: None,
            client: None,
            n: None,
            source: None,
            function: None,
            content_type: None,
            clock: None,
            headers: Default::default(),
            data: Payload::Bytes(Default::default()),
        }
    }

    fn push(channel: &mut Channel, seq: u64, prev: u64) -> Deed {
        channel.event(event(seq, prev), Instant::now())
    }

    #[test]
    fn a_full_queue_and_a_break_make_it_leave_and_resume_after_the_last() {
        let (mut channel, mut queue) = channel(2);
        assert_eq!(push(&mut channel, 5, 4), Deed::Nothing, "not agreed yet");
        channel.subscribed(&subscribed(1, 4)).unwrap();
        assert_eq!(push(&mut channel, 5, 4), Deed::Nothing);
        assert_eq!(push(&mut channel, 9, 7), Deed::LeaveBroken);
        assert_eq!(push(&mut channel, 7, 5), Deed::Nothing);
        assert_eq!(push(&mut channel, 9, 7), Deed::LeaveFull);
        assert_eq!(channel.caught_up(9), Deed::LeaveFull);
        let Some(Start::After(position)) = channel.ask("a", true).from else {
            panic!("no position");
        };
        assert_eq!((position.seq, position.time), (7, Some(7)));
        assert!(queue.try_recv().is_ok());
        channel.subscribed(&subscribed(1, 7)).unwrap();
        assert_eq!(push(&mut channel, 9, 7), Deed::Nothing);
    }

    fn fleeting(id: &str) -> Ephemeral {
        Ephemeral {
            channel: "a".into(),
            time: 1,
            id: id.into(),
            user: None,
            client: None,
            n: None,
            function: None,
            content_type: None,
            clock: None,
            headers: Default::default(),
            conflated: 0,
            data: Payload::Bytes(Default::default()),
        }
    }

    #[test]
    fn ephemeral_events_leave_half_of_the_queue_to_what_is_stored() {
        let (mut channel, mut queue) = channel(4);
        channel.ephemeral(fleeting("early"), Instant::now());
        channel.subscribed(&subscribed(1, 4)).unwrap();
        for id in ["1", "2", "3"] {
            channel.ephemeral(fleeting(id), Instant::now());
        }
        assert_eq!(push(&mut channel, 5, 4), Deed::Nothing);
        channel.dropped(6);
        let mut told = |channel: &mut Channel| {
            if let Ok(delivery) = queue.try_recv() {
                return match delivery {
                    Delivery::Ephemeral { event, .. } => event.id,
                    Delivery::Dropped { count } => format!("-{count}"),
                    Delivery::Event { event, .. } => format!("seq {}", event.seq),
                    other => panic!("{other:?}"),
                };
            }
            channel.ephemeral(fleeting("4"), Instant::now());
            "nothing".into()
        };
        let told: Vec<String> = (0..6).map(|_| told(&mut channel)).collect();
        assert_eq!(told, ["1", "2", "seq 5", "nothing", "-7", "4"]);
    }

    #[test]
    fn who_has_no_room_for_presence_leaves_and_is_told_everything_anew() {
        let (mut channel, mut queue) = channel(2);
        let all = |count| Presence {
            channel: "a".into(),
            count,
            members: None,
            ended: false,
        };
        let reply = |count| Subscribed {
            presence: Some(all(count)),
            ..subscribed(1, 4)
        };
        assert!(channel.ask("a", true).presence);
        assert_eq!(channel.subscribed(&reply(1)).unwrap(), Deed::Nothing);
        let change = |count| PresenceChange::All(all(count));
        assert_eq!(channel.presence(change(2)), Deed::Nothing);
        assert_eq!(channel.presence(change(3)), Deed::LeaveFull);
        let mut told = || match queue.try_recv() {
            Ok(Delivery::Presence(PresenceChange::All(all))) => all.count,
            other => panic!("{other:?}"),
        };
        assert_eq!([told(), told()], [1, 2]);
        assert_eq!(channel.subscribed(&reply(4)).unwrap(), Deed::Nothing);
        assert_eq!(told(), 4);
    }

    #[test]
    fn what_is_left_of_a_credit_goes_on_with_the_next_subscription() {
        let (mut channel, _queue) = channel(3);
        let left = |channel: &mut Channel| channel.ask("a", true).credit;
        assert_eq!(left(&mut channel), Some(100));
        channel.subscribed(&subscribed(1, 4)).unwrap();
        for seq in 5..8 {
            assert_eq!(push(&mut channel, seq, seq - 1), Deed::Nothing);
        }
        assert_eq!(
            push(&mut channel, 8, 7),
            Deed::LeaveFull,
            "and it comes again"
        );
        channel.ephemeral(fleeting("1"), Instant::now());
        assert_eq!(left(&mut channel), Some(96));
        assert_eq!(channel.grant(10), 10);
        assert_eq!(channel.grant(u64::MAX), CREDIT_EVENTS_MAX - 106);
        assert_eq!(left(&mut channel), Some(CREDIT_EVENTS_MAX));
        channel.options.credit = None;
        assert_eq!(channel.grant(1), 0);
    }

    #[test]
    fn what_is_passed_over_moves_the_chain_and_a_hole_in_it_is_a_break() {
        let (mut channel, mut queue) = channel(3);
        channel.subscribed(&subscribed(1, 4)).unwrap();
        let passed = |prev, seq| Passed {
            channel: "a".into(),
            prev,
            seq,
            time: seq,
            count: 2,
        };
        assert_eq!(channel.passed(&passed(4, 9)), Deed::Nothing);
        assert_eq!(push(&mut channel, 10, 9), Deed::Nothing);
        assert_eq!(channel.passed(&passed(11, 15)), Deed::LeaveBroken);
        assert_eq!(channel.passed(&passed(4, 9)), Deed::Nothing, "an old one");
        assert_eq!(channel.passed(&passed(10, 15)), Deed::Nothing);
        let Some(Start::After(position)) = channel.ask("a", true).from else {
            panic!("no position");
        };
        assert_eq!((position.seq, position.time), (15, Some(15)));
        assert!(matches!(queue.try_recv(), Ok(Delivery::Event { .. })));
        assert!(queue.try_recv().is_err(), "nothing else is yielded");
    }

    #[test]
    fn it_resumes_where_it_began_even_if_nothing_came() {
        let (mut channel, _queue) = channel(1);
        assert_eq!(channel.ask("a", true).from, Some(Start::Named(Named::Now)));
        channel.subscribed(&subscribed(1, 12)).unwrap();
        let Some(Start::After(position)) = channel.ask("a", true).from else {
            panic!("no position");
        };
        assert_eq!(position.seq, 12);
        let changed = channel.subscribed(&subscribed(2, 12));
        assert!(matches!(changed, Err(ClientError::EpochChanged { .. })));
    }
}
