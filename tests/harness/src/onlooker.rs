//! Looks on while editors run the demo, and records all that they see for the checker.
//!
//! Owns what the editors are owed. It must not know what they type.

use std::sync::{Mutex, PoisonError};

use checker::{Delivered, Recorder, Subscription};
use client::{ClientError, Event, Published, data_of};
use demo::{Author, Witness};
use protocol::name::{StoreName, Tenant};
use protocol::stream::StreamName;

use crate::body_hash;
use crate::writer::Identity;

/// Records a run of the demo.
#[derive(Debug)]
pub struct Onlooker {
    recorder: Recorder,
    tenant: Tenant,
    store: StoreName,
    owed: Mutex<Vec<Subscription>>,
}

impl Onlooker {
    pub(crate) fn new(recorder: &Recorder, tenant: &Tenant, store: &StoreName) -> Self {
        Self {
            recorder: recorder.clone(),
            tenant: tenant.clone(),
            store: store.clone(),
            owed: Mutex::default(),
        }
    }

    /// The user that an editor has to be.
    pub fn user(agent: u32) -> String {
        format!("editor-{agent}")
    }

    /// Says that every editor was there up to this sequence of EVENTS: the checker
    /// demands that it received everything.
    pub fn stayed_until(&self, seq: u64) {
        // A panic under this lock leaves whole values behind.
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        self.recorder
            .extend(owed.drain(..).map(|owed| Subscription {
                until_seq: seq,
                ..owed
            }));
    }

    fn identity(&self, author: &Author) -> Identity {
        let user = Self::user(author.agent);
        Identity::new(
            &self.recorder,
            &self.tenant,
            &self.store,
            &user,
            &author.client,
        )
    }

    fn channel(&self, author: &Author) -> String {
        format!("{}/{}", self.tenant, author.channel)
    }
}

impl Witness for Onlooker {
    fn subscribed(&self, author: &Author, after: u64) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.push(Subscription {
            subscriber: Self::user(author.agent),
            channel: self.channel(author),
            stream: StreamName::events(&self.store).to_string(),
            from_seq: after,
            until_seq: after,
            gaps: Vec::new(),
        });
    }

    fn sent(&self, author: &Author, n: u64, data: &[u8]) {
        self.identity(author).sent(n, &author.channel, data, 0);
    }

    fn answered(&self, author: &Author, n: u64, answer: &Result<Published, ClientError>) {
        self.identity(author).told(n, &author.channel, answer);
    }

    fn delivered(&self, author: &Author, event: &Event) {
        self.recorder.record(Delivered {
            subscriber: Self::user(author.agent),
            channel: self.channel(author),
            seq: event.seq,
            prev: event.prev,
            body: body_hash(&data_of(event).unwrap_or_default()),
            id: event.id.clone(),
        });
    }
}
