//! Tenants that are held: too many of their channels are parked, and the lane goes on for
//! the others. What such a tenant has is read again, as if it had a position of its own.
//!
//! Owns nothing of its own: it is part of the state machine. A parked channel of a held
//! tenant settles its inputs up to that position; those behind come with the tenant's.

use protocol::bus::Stored;
use protocol::name::Tenant;
use protocol::subject::Subject;

use super::{Action, Flight, Machine, PARKED_READ_MAX, REREAD_US};
use crate::lane::progress::Effect;
use crate::lane::slot::{Slot, Slots};
use crate::lane::verdict::{self, Verdict};
use host::reply::Handled;

impl Machine {
    /// A held tenant of which enough channels are free, so that its inputs may go on.
    pub(super) fn free(&self, now: u64) -> Option<Tenant> {
        let view = &self.staging.view;
        let room = self.tenant_max.saturating_sub(PARKED_READ_MAX).max(1);
        let mut held = view.held.keys();
        let free = held.find(|tenant| {
            view.parked_of(tenant) < room
                && self.held_due.get(*tenant).is_none_or(|due| *due <= now)
        });
        free.cloned()
    }

    /// Whether one more channel of a tenant may be parked.
    pub(super) fn has_room(&self, tenant: &Tenant) -> bool {
        self.staging.view.parked_of(tenant) < self.tenant_max
    }

    pub(super) fn read_held(&mut self, tenant: Tenant) -> Action {
        let from = self.staging.view.held[&tenant];
        let subject = Subject::tenant_filter(
            self.scope.kind(),
            &self.scope.store.name,
            self.scope.lane,
            &tenant,
        );
        self.held_due.remove(&tenant);
        self.flight = Some(Flight::ReadingHeld(tenant));
        Action::ReadParked {
            subject,
            from,
            to: self.staging.view.seq,
        }
    }

    pub(super) fn held_read(
        &mut self,
        tenant: Tenant,
        events: Vec<Stored>,
        mut complete: bool,
        now: u64,
    ) -> Option<Action> {
        if events.is_empty() && !complete {
            self.held_due.insert(tenant, now + REREAD_US);
            return None;
        }
        let from = self.staging.view.held[&tenant];
        let found = events.first().map_or(u64::MAX, |event| event.seq);
        if from < self.kept_from && found > from {
            // Retention was faster; how many they were nobody knows.
            self.tallies.own.lost += 1;
        }
        let mut slots = Slots::default();
        let parked = &self.staging.view.parked;
        let (mut events, mut handled) = (events.into_iter(), false);
        for event in events.by_ref() {
            let slot = Slot::classify(&self.scope, event, |key| parked.contains_key(key));
            let alone = slot.is_alone();
            if alone && handled {
                complete = false;
                break;
            }
            handled |= matches!(slot, Slot::Handle(_));
            slots.push(slot);
            if alone {
                break;
            }
        }
        // What was read behind one that is run by itself is read again.
        complete &= events.next().is_none();
        let items = slots.items(|_| 0);
        if items.is_empty() {
            self.settle_held(&tenant, slots, complete, Vec::new(), now);
            return None;
        }
        let flight = Flight::Held {
            tenant,
            slots,
            complete,
        };
        Some(self.begin(flight, items))
    }

    /// A held tenant's inputs, as if its own position moved on.
    pub(super) fn settle_held(
        &mut self,
        tenant: &Tenant,
        mut slots: Slots,
        complete: bool,
        handled: Vec<Handled>,
        now: u64,
    ) {
        let mut handled = handled.into_iter();
        let hold = |from: u64, messages| Effect::holds(tenant.clone(), Some(from), messages);
        while let Some(slot) = slots.pop() {
            let ((seq, stored_us), key) = (slot.at(), slot.key());
            let parked = key.is_some_and(|key| self.staging.view.parked.contains_key(&key));
            let event = match slot {
                Slot::Handle(event) => event,
                slot => {
                    let messages = if parked { Vec::new() } else { self.bury(&slot) };
                    self.stage(hold(seq + 1, messages), now);
                    continue;
                }
            };
            let Some(outcome) = handled.next() else {
                return;
            };
            // It was parked in this run: its own reading comes to it.
            if parked {
                self.stage(hold(seq + 1, Vec::new()), now);
                continue;
            }
            let key = (event.tenant.clone(), event.place.clone());
            match verdict::judge(&self.scope, &mut self.tallies, &event, outcome, None, now) {
                Verdict::Settled(messages, changes) => {
                    let memory = self.remember(&event, changes);
                    let effect = hold(seq + 1, messages).of(stored_us);
                    self.stage(effect.remembering(memory), now);
                }
                Verdict::Wait(_) if !self.has_room(tenant) || self.is_full() => return,
                Verdict::Wait(waiting) => {
                    let effect = Effect {
                        park: Some((key, Some(waiting))),
                        ..hold(seq + 1, Vec::new())
                    };
                    self.stage(effect, now);
                }
                Verdict::GaveUp(messages) => {
                    self.stage(hold(seq + 1, messages).of(stored_us), now);
                    // What the guest said of later events of the channel counted on this one.
                    if slots.has(&key) {
                        return;
                    }
                }
                Verdict::Halt(reason) => {
                    self.halted = Some(reason);
                    return;
                }
            }
        }
        if complete {
            self.stage(Effect::holds(tenant.clone(), None, Vec::new()), now);
        }
    }
}
