//! The network of a model: what is under way, what gets lost, what the server makes of
//! what arrives. Pure: everything happens at a given time and ends in actions.
//!
//! Owns the server, the links, the dice. Times are microseconds since the model was
//! started; the server's own clock, with which events are stored, may be set.

use std::collections::{BTreeMap, VecDeque};

use super::faults::{Dice, ModelFaults};
use super::link::{Delivery, Link, Travel};
use super::message::Message;
use super::pattern;
use super::request::Request;
use super::server::Server;
use super::stream::micros;
use super::views::Views;
use crate::error::BusError;
use protocol::bus::Republished;

/// What the shell has to do.
#[derive(Debug)]
pub(super) enum Action {
    /// Hand an answer to the one who waits.
    Answer(u64, super::request::Answer),
    /// Hand a message to a subscription.
    Deliver(u64, Delivery),
    /// Tell a process that something about its connection has changed.
    Link(usize),
    /// Wake who follows a stream.
    Stored(String),
}

#[derive(Debug)]
enum Due {
    Arrival(Travel),
    /// A process notices that it is cut off, if it still is by the same cut.
    Notice(u64),
    /// A broken connection stands again.
    Return,
}

/// Links, server, and what is under way.
#[derive(Debug)]
pub(super) struct Network {
    pub faults: ModelFaults,
    pub dice: Dice,
    pub server: Server,
    pub views: BTreeMap<String, Views>,
    pub links: Vec<Link>,
    pub actions: VecDeque<Action>,
    /// By time and number, so that equal times keep their order.
    queue: BTreeMap<(u64, u64), (usize, u64, Due)>,
    numbers: u64,
    /// What the server's clock shows at time 0.
    clock_us: u64,
}

impl Network {
    pub(super) fn new(faults: ModelFaults, clock_us: u64) -> Self {
        Self {
            dice: Dice::new(faults.seed),
            faults,
            server: Server::default(),
            views: BTreeMap::new(),
            links: Vec::new(),
            actions: VecDeque::new(),
            queue: BTreeMap::new(),
            numbers: 0,
            clock_us,
        }
    }

    /// What the server's clock shows, microseconds since 1970.
    pub(super) fn wall(&self, now: u64) -> u64 {
        self.clock_us + now
    }

    /// Sets the server's clock forward or back.
    pub(super) fn step_clock(&mut self, by_us: i64) {
        self.clock_us = self.clock_us.saturating_add_signed(by_us);
    }

    /// When something happens next.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    /// A new process's link.
    pub(super) fn open(&mut self, name: &str) -> usize {
        self.links.push(Link::new(name));
        self.links.len() - 1
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`BusError::Disconnected`]: nothing was sent.
    pub(super) fn send(
        &mut self,
        now: u64,
        link: usize,
        ticket: Option<u64>,
        request: Request,
    ) -> Result<(), BusError> {
        self.require_up(link)?;
        // The client repeats subscriptions; they are lost with a connection, not alone.
        let subscribes = matches!(
            request,
            Request::Subscribe { .. } | Request::Unsubscribe { .. }
        );
        let lost = !subscribes && self.dice.happens("request_lost", self.faults.request_lost);
        if !lost {
            self.depart(now, link, ticket, request);
        }
        self.perhaps_break(now, link);
        Ok(())
    }

    /// Sends the messages of a batch; answers are wanted to the first and the last.
    ///
    /// # Errors
    /// [`BusError::Disconnected`]: nothing was sent.
    pub(super) fn send_batch(
        &mut self,
        now: u64,
        link: usize,
        (first, last): (u64, u64),
        batch: Vec<Message>,
    ) -> Result<(), BusError> {
        self.require_up(link)?;
        let (id, count) = (self.dice.id(), batch.len());
        let lost = self
            .dice
            .happens("request_lost", self.faults.request_lost)
            .then(|| self.dice.up_to(count as u64 - 1) as usize + 1);
        for (n, message) in (1..).zip(batch) {
            let ticket = match n {
                n if n == count => Some(last),
                1 => Some(first),
                _ => None,
            };
            let request = Request::Stage {
                id,
                n,
                last: n == count,
                message,
            };
            if lost != Some(n) {
                self.depart(now, link, ticket, request);
            }
        }
        self.perhaps_break(now, link);
        Ok(())
    }

    fn require_up(&mut self, link: usize) -> Result<(), BusError> {
        if !self.links[link].up || self.dice.happens("refused", self.faults.refused) {
            return Err(BusError::Disconnected);
        }
        Ok(())
    }

    fn depart(&mut self, now: u64, link: usize, ticket: Option<u64>, request: Request) {
        let reply_lost =
            ticket.is_some() && self.dice.happens("reply_lost", self.faults.reply_lost);
        let travel = Travel::Request {
            ticket,
            request,
            reply_lost,
        };
        self.post(now, link, travel);
    }

    /// Sets something on its way.
    pub(super) fn post(&mut self, now: u64, link: usize, travel: Travel) {
        let due = now + self.dice.micros(&self.faults.delay);
        let due = self.links[link].arrival(&travel, due);
        self.schedule(due, link, Due::Arrival(travel));
    }

    fn schedule(&mut self, due: u64, link: usize, what: Due) {
        self.numbers += 1;
        let epoch = self.links[link].epoch;
        self.queue.insert((due, self.numbers), (link, epoch, what));
    }

    /// Lets everything happen that is due.
    pub(super) fn step(&mut self, now: u64) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let (link, epoch, what) = entry.remove();
            if epoch == self.links[link].epoch {
                self.happen(now, link, what);
            }
        }
    }

    fn happen(&mut self, now: u64, link: usize, what: Due) {
        match what {
            Due::Notice(cut) if self.links[link].cut && self.links[link].cuts == cut => {
                self.links[link].fall();
                self.actions.push_back(Action::Link(link));
            }
            Due::Return if !self.links[link].cut => {
                self.links[link].rise();
                self.actions.push_back(Action::Link(link));
            }
            Due::Notice(_) | Due::Return => {}
            Due::Arrival(travel) if self.links[link].cut => self.links[link].held.push(travel),
            Due::Arrival(travel) => self.arrive(now, link, travel),
        }
    }

    fn arrive(&mut self, now: u64, link: usize, travel: Travel) {
        match travel {
            Travel::Answer { ticket, answer } => {
                self.actions.push_back(Action::Answer(ticket, answer));
            }
            Travel::Delivery {
                subscription,
                delivery,
            } => self
                .actions
                .push_back(Action::Deliver(subscription, delivery)),
            Travel::Request {
                ticket,
                request,
                reply_lost,
            } => {
                let answer = self.carry_out(now, link, request);
                if let (Some(ticket), Some(answer), false) = (ticket, answer, reply_lost) {
                    self.post(now, link, Travel::Answer { ticket, answer });
                }
            }
        }
    }

    /// Sends a message to everybody who subscribes to a subject; says how many do.
    pub(super) fn deliver(
        &mut self,
        now: u64,
        subject: &str,
        message: &Message,
        republished: Option<Republished>,
    ) -> usize {
        let mut found = Vec::new();
        for (number, link) in self.links.iter().enumerate().filter(|(_, link)| link.up) {
            let subscriptions = link.subscriptions.iter();
            let fitting = subscriptions.filter(|(_, filter)| pattern::matches(filter, subject));
            found.extend(fitting.map(|(id, _)| (number, *id)));
        }
        for (link, subscription) in &found {
            let copies = match () {
                () if self
                    .dice
                    .happens("delivery_lost", self.faults.delivery_lost) =>
                {
                    0
                }
                () if self
                    .dice
                    .happens("delivery_doubled", self.faults.delivery_doubled) =>
                {
                    2
                }
                () => 1,
            };
            for _ in 0..copies {
                let delivery = Delivery {
                    subject: subject.into(),
                    headers: message.headers.clone(),
                    payload: message.payload.clone(),
                    republished,
                };
                let travel = Travel::Delivery {
                    subscription: *subscription,
                    delivery,
                };
                self.post(now, *link, travel);
            }
        }
        found.len()
    }

    fn perhaps_break(&mut self, now: u64, link: usize) {
        if self.dice.happens("broken", self.faults.broken) {
            let until = now + self.dice.micros(&self.faults.broken_for);
            self.break_link(link);
            self.schedule(until, link, Due::Return);
        }
    }

    /// Breaks a connection, which the process notices at once.
    pub(super) fn break_link(&mut self, link: usize) {
        if self.links[link].up {
            self.links[link].fall();
            self.actions.push_back(Action::Link(link));
        }
    }

    /// Cuts a process off, which it notices later.
    pub(super) fn cut(&mut self, now: u64, link: usize) {
        if !self.links[link].cut {
            self.links[link].cut = true;
            self.links[link].cuts += 1;
            let cut = self.links[link].cuts;
            let noticed = now + micros(self.faults.cut_noticed);
            self.schedule(noticed, link, Due::Notice(cut));
        }
    }

    /// Ends a cut or a break.
    pub(super) fn heal(&mut self, now: u64, link: usize) {
        self.links[link].cut = false;
        if self.links[link].up {
            for travel in std::mem::take(&mut self.links[link].held) {
                self.post(now, link, travel);
            }
        } else {
            // A return that was to come by itself belongs to the break before.
            self.links[link].epoch += 1;
            self.links[link].rise();
        }
        self.actions.push_back(Action::Link(link));
    }
}
