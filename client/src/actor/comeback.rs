//! The actor's way back by a ticket. Knows when one is wanted, and what follows from it.

use std::collections::HashSet;

use protocol::frame::{Action, AskTicket, FromServer};

use super::{Actor, Pending, count};
use crate::channel::State;
use crate::socket::CONNECT;

impl Actor {
    /// Takes what a ticket has brought back for what it is, and leaves the rest; returns the
    /// channels that need not be asked for.
    pub(super) fn come_back(&mut self, resumed: &[String]) -> HashSet<String> {
        let mut back = HashSet::new();
        for (id, name) in (CONNECT + 1..).zip(resumed) {
            self.next_id = self.next_id.max(id + 1);
            let open = self.channels.get_mut(name);
            // What counts has counted on since.
            let open = open.filter(|open| open.state == State::Asked && !open.is_counted());
            let Some(channel) = open else {
                self.unsubscribe(name.clone(), 0);
                continue;
            };
            let generation = channel.generation;
            let channel = name.clone();
            let pending = Pending::Subscribe {
                channel,
                generation,
            };
            self.pending.insert(id, pending);
            back.insert(name.clone());
        }
        if !resumed.is_empty() {
            count(&self.shared.tickets, 1);
        }
        back
    }

    /// Asks for a ticket, once everything that was asked for stands.
    pub(super) fn want_ticket(&mut self) {
        let held = &self.ticket;
        if !held.on || !held.due || held.asked || !self.is_connected() {
            return;
        }
        let mut pending = self.pending.values();
        if pending.any(|pending| matches!(pending, Pending::Subscribe { .. })) {
            return;
        }
        (self.ticket.due, self.ticket.asked) = (false, true);
        self.command(Action::Ticket(AskTicket {}), Pending::Ticket);
    }

    /// The node answered.
    pub(super) fn given(&mut self, frame: FromServer) {
        self.ticket.asked = false;
        match (frame.ticket, frame.error) {
            (Some(ticket), _) if !self.ticket.due => self.ticket.ticket = Some(ticket),
            (Some(_), _) => self.want_ticket(),
            (None, Some(error)) if error.temporary => self.ticket.due = true,
            (None, _) => self.ticket.on = false,
        }
    }
}
