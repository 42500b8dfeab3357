//! A consumer as the reader uses it: how it is asked for, and what it says.
//!
//! Owns the count of deliveries and of what was asked for. Decides nothing: that a
//! consumer is broken is for the reader to act on.

use async_nats::{Message, StatusCode, Subscriber};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::nats::wire;
use protocol::bus::Stored;

/// A consumer and what is under way from it.
pub(super) struct Source {
    pub consumer: String,
    pub inbox: String,
    pub messages: Subscriber,
    /// The consumer's count of its last delivery.
    pub delivered: u64,
    /// How many events the pull requests under way still have to bring. The server
    /// serves them in turn, so only the sum is known.
    pub owed: usize,
    /// How many pull requests were sent.
    pub pulls: u64,
    /// When anything came last, or the first pull request was sent.
    pub heard: Instant,
}

#[derive(Serialize)]
pub(super) struct CreateConsumer<'a> {
    pub stream_name: &'a str,
    pub config: ConsumerConfig<'a>,
    pub action: &'static str,
}

#[derive(Serialize)]
pub(super) struct ConsumerConfig<'a> {
    pub name: &'a str,
    pub deliver_policy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_start_seq: Option<u64>,
    pub ack_policy: &'static str,
    pub replay_policy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_subject: Option<&'a str>,
    pub inactive_threshold: u128,
    pub num_replicas: u8,
    pub mem_storage: bool,
}

#[derive(Deserialize)]
pub(super) struct Created {
    #[serde(default)]
    pub num_pending: u64,
}

#[derive(Serialize)]
pub(super) struct Pull {
    pub batch: usize,
    pub max_bytes: usize,
    pub expires: u128,
    pub idle_heartbeat: u128,
}

/// What a message from the consumer means.
pub(super) enum Heard {
    Event(Stored, u64),
    Nothing,
    Broken(&'static str),
}

impl Source {
    /// Notes one message.
    pub(super) fn hear(&mut self, message: Message) -> Heard {
        // First this: a message may be stored with a status of its own.
        let Some(said) = message.reply.as_deref().and_then(wire::delivery) else {
            return match message.status {
                Some(status) => self.hear_status(status, &message),
                None => Heard::Broken("a delivery without its numbers"),
            };
        };
        if said.consumer_seq != self.delivered + 1 {
            return Heard::Broken("a delivery is missing");
        }
        self.delivered = said.consumer_seq;
        self.owed = self.owed.saturating_sub(1);
        let event = Stored {
            seq: said.stream_seq,
            time_us: said.time_us,
            headers: wire::own_headers(message.headers.as_ref()),
            subject: message.subject.as_str().into(),
            payload: message.payload,
        };
        Heard::Event(event, said.pending)
    }

    /// A status ends a pull request and says how many events it did not bring, or
    /// ends the consumer.
    fn hear_status(&mut self, status: StatusCode, message: &Message) -> Heard {
        if status == StatusCode::IDLE_HEARTBEAT {
            return Heard::Nothing;
        }
        let open = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Pending-Messages"));
        let open = open.and_then(|value| value.as_str().parse::<usize>().ok());
        match (status, open) {
            (StatusCode::TIMEOUT | StatusCode::REQUEST_TERMINATED, Some(open)) => {
                self.owed = self.owed.saturating_sub(open);
                Heard::Nothing
            }
            _ => Heard::Broken("the consumer is gone"),
        }
    }
}
