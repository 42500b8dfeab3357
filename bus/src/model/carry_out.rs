//! What the server makes of a request that has arrived. Pure; owns nothing beside the
//! network's state.

use super::network::{Action, Network};
use super::reading;
use super::request::{Answer, Read, Reply, Request};
use super::server::{Ack, Effect};
use super::stream::SUBJECT_IN_PROCESS;
use crate::error::BusError;
use crate::whole::Whole;
use protocol::bus::{Expect, Stored};

/// The server's code of "JetStream system temporarily unavailable".
const UNAVAILABLE: u64 = 10_008;

impl Network {
    /// Carries a request out; no answer where none is given.
    pub(super) fn carry_out(&mut self, now: u64, link: usize, request: Request) -> Option<Answer> {
        let wall = self.wall(now);
        match request {
            Request::Flush => Some(Ok(Reply::Done)),
            Request::Subscribe { id, filter } => {
                self.links[link].subscriptions.insert(id, filter);
                None
            }
            Request::Unsubscribe { id } => {
                self.links[link].subscriptions.remove(&id);
                None
            }
            Request::Core(message) => {
                self.write(now, Request::Publish(message));
                None
            }
            request @ (Request::Publish(_) | Request::Stage { .. }) => self.write(now, request),
            Request::Lead { stream, read } => Some(self.lead((now, link), &stream, read)),
            Request::Direct { stream, read } => Some(self.direct(now, &stream, read)),
            Request::Create { name, config } => {
                let created = self.server.create(&name, &config, wall);
                Some(created.map(Reply::Details))
            }
            Request::Change { name, config } => {
                let changed = self.server.change(&name, &config, wall);
                Some(changed.map(Reply::Details))
            }
            Request::Delete { name } => {
                let removed = self.server.streams.remove(&name).map(|_| Reply::Done);
                Some(removed.ok_or(BusError::NotFound))
            }
            Request::PutObject { store, name, bytes } => Some(self.bucket(&store).map(|()| {
                self.server.objects.entry((store, name)).or_insert(bytes);
                Reply::Done
            })),
            Request::RemoveObject { store, name } => Some(self.bucket(&store).map(|()| {
                self.server.objects.remove(&(store, name));
                Reply::Done
            })),
            Request::GetObject { store, name } => Some(self.bucket(&store).and_then(|()| {
                let object = self.server.objects.get(&(store, name));
                object.cloned().map(Reply::Bytes).ok_or(BusError::NotFound)
            })),
        }
    }

    fn bucket(&self, store: &str) -> Result<(), BusError> {
        let there = self.server.streams.contains_key(&format!("OBJ_{store}"));
        there.then_some(()).ok_or(BusError::NotFound)
    }

    /// A message: whoever subscribes gets it, a stream that takes it stores it.
    fn write(&mut self, now: u64, request: Request) -> Option<Answer> {
        let (Request::Publish(message) | Request::Stage { message, .. }) = &request else {
            return None;
        };
        let (subject, copy) = (message.subject.clone(), message.clone());
        let heard = self.deliver(now, &subject, &copy, None) > 0;
        let Some(stream) = self.server.stream_of(&subject).map(str::to_owned) else {
            // Where somebody listens, nobody says that no stream does.
            return (!heard).then_some(Err(BusError::NoStream));
        };
        if self
            .dice
            .happens("leader_change", self.faults.leader_change)
        {
            let until = now + self.dice.micros(&self.faults.leaderless_for);
            self.depose(&stream, until);
        }
        if !self.views.entry(stream.clone()).or_default().led(now) {
            return Some(Err(BusError::NoStream));
        }
        let guarded = matches!(copy.expect, Some(Expect::LastOnSubject(_)));
        if guarded && self.dice.happens("in_process", self.faults.in_process) {
            let description = "another write to the subject is in process".into();
            return Some(Err(BusError::from_api(SUBJECT_IN_PROCESS, description)));
        }
        let done = self.store(now, &stream, request);
        Some(done.map(|(reply, effects)| {
            self.spread(now, effects);
            reply
        }))
    }

    fn store(
        &mut self,
        now: u64,
        stream: &str,
        request: Request,
    ) -> Result<(Reply, Vec<Effect>), BusError> {
        let wall = self.wall(now);
        let ack = |(ack, effects): (Ack, Vec<Effect>)| (Reply::Ack(ack), effects);
        match request {
            Request::Publish(message) => self.server.publish(stream, message, wall).map(ack),
            Request::Stage {
                id,
                n,
                last: true,
                message,
            } => self.server.commit(stream, (id, n), message, wall).map(ack),
            Request::Stage { id, n, message, .. } => {
                let stream = self.server.stream(stream, wall)?;
                stream.stage(id, n, message, wall)?;
                Ok((Reply::Done, Vec::new()))
            }
            _ => Ok((Reply::Done, Vec::new())),
        }
    }

    fn spread(&mut self, now: u64, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Stored(stream) => self.actions.push_back(Action::Stored(stream)),
                Effect::Core(subject, message, said) => {
                    self.deliver(now, &subject, &message, said);
                }
            }
        }
    }

    /// Takes a stream's leader away until a time.
    pub(super) fn depose(&mut self, stream: &str, until: u64) {
        if let Some(machine) = self.server.streams.get_mut(stream) {
            machine.change_leader();
        }
        self.views.entry(stream.into()).or_default().depose(until);
    }

    fn lead(&mut self, (now, link): (u64, usize), name: &str, read: Read) -> Answer {
        let wall = self.wall(now);
        let stream = self.server.stream(name, wall)?;
        let views = self.views.entry(name.into()).or_default();
        if !views.led(now) {
            let description = "JetStream system temporarily unavailable".into();
            return Err(BusError::from_api(UNAVAILABLE, description));
        }
        let until = views.leader(&stream.log, (now, link), &self.faults, &mut self.dice);
        reading::answer(stream, read, until, wall)
    }

    fn direct(&mut self, now: u64, name: &str, read: Read) -> Answer {
        let wall = self.wall(now);
        // Nobody listens where there is no stream.
        let stream = self.server.stream(name, wall);
        let stream = stream.map_err(|_| BusError::NoStream)?;
        let views = self.views.entry(name.into()).or_default();
        let until = views.any(&stream.log, wall, &self.faults, &mut self.dice);
        match reading::answer(stream, read, until, wall) {
            Ok(Reply::Run(events, pending)) => {
                let events = self.arrived(events)?;
                Ok(Reply::Run(events, pending))
            }
            answer => answer,
        }
    }

    /// What arrives of a run's replies, after the proof that it is whole.
    fn arrived(&mut self, events: Vec<Stored>) -> Result<Vec<Stored>, BusError> {
        let lost = !events.is_empty()
            && self
                .dice
                .happens("run_reply_lost", self.faults.run_reply_lost);
        if !lost {
            return Ok(events);
        }
        let lost = self.dice.up_to(events.len() as u64 - 1) as usize;
        let (mut whole, mut before, mut arrived) = (Whole::default(), 0, Vec::new());
        for (at, event) in events.into_iter().enumerate() {
            let (seq, sent_before) = (event.seq, before);
            before = seq;
            if at == lost {
                continue;
            }
            if !self.faults.runs_unproved {
                whole.reply(seq, sent_before)?;
            }
            arrived.push(event);
        }
        if !self.faults.runs_unproved {
            whole.end(before)?;
        }
        Ok(arrived)
    }
}
