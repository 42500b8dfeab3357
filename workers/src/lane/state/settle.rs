//! The second half of a run: walks its events in order with the guest's answers, and
//! stages what follows.
//!
//! Owns nothing of its own: it is part of the state machine.

use protocol::bus::Outgoing;

use super::Machine;
use crate::lane::progress::{Effect, Key, Waiting};
use crate::lane::slot::{Slot, Slots};
use crate::lane::verdict::{self, Verdict};
use host::reply::Handled;

impl Machine {
    pub(super) fn settle_main(&mut self, mut slots: Slots, handled: Vec<Handled>, now: u64) {
        let mut handled = handled.into_iter();
        while let Some(slot) = slots.pop() {
            let at = slot.at();
            let parked = slot.key().is_some_and(|key| self.staging.view.waits(&key));
            let event = match slot {
                Slot::Handle(event) => event,
                slot => {
                    let messages = if parked { Vec::new() } else { self.bury(&slot) };
                    self.stage(Effect::settled(at, messages), now);
                    continue;
                }
            };
            let Some(outcome) = handled.next() else {
                return slots.requeue_with(event, &mut self.queue);
            };
            if parked {
                self.stage(Effect::settled(at, Vec::new()), now);
                continue;
            }
            let key = (event.tenant.clone(), event.place.clone());
            match verdict::judge(&self.scope, &mut self.tallies, &event, outcome, None, now) {
                Verdict::Settled(messages, changes) => {
                    let memory = self.remember(&event, changes);
                    let effect = Effect::settled(at, messages).of(at.1);
                    self.stage(effect.remembering(memory), now);
                }
                // The lane pauses here until a channel comes free.
                Verdict::Wait(_) if self.is_full() => {
                    return slots.requeue_with(event, &mut self.queue);
                }
                Verdict::Wait(_) if !self.has_room(&key.0) => {
                    self.stage(Effect::held(at, key.0), now);
                }
                Verdict::Wait(waiting) => self.stage(Effect::parked(at, key, waiting), now),
                Verdict::GaveUp(messages) => {
                    self.stage(Effect::settled(at, messages).of(at.1), now);
                    // What the guest said of later events of the channel counted on this one.
                    if slots.has(&key) {
                        return slots.requeue(&mut self.queue);
                    }
                }
                Verdict::Halt(reason) => {
                    self.halted = Some(reason);
                    return slots.requeue_with(event, &mut self.queue);
                }
            }
        }
    }

    pub(super) fn settle_parked(
        &mut self,
        key: Key,
        mut slots: Slots,
        complete: bool,
        handled: Vec<Handled>,
        now: u64,
    ) {
        let mut handled = handled.into_iter();
        let mut waiting = self.staging.view.parked[&key];
        while let Some(slot) = slots.pop() {
            let (seq, stored_us) = slot.at();
            let onward = Waiting::onward(seq + 1, now);
            let event = match slot {
                Slot::Handle(event) => event,
                slot => {
                    let messages = self.bury(&slot);
                    waiting = onward;
                    self.stage(Effect::waits(key.clone(), Some(waiting), messages), now);
                    continue;
                }
            };
            let Some(outcome) = handled.next() else {
                return;
            };
            match verdict::judge(
                &self.scope,
                &mut self.tallies,
                &event,
                outcome,
                Some(waiting),
                now,
            ) {
                Verdict::Settled(messages, changes) => {
                    waiting = onward;
                    let memory = self.remember(&event, changes);
                    let effect = Effect::waits(key.clone(), Some(waiting), messages);
                    self.stage(effect.of(stored_us).remembering(memory), now);
                }
                Verdict::GaveUp(messages) => {
                    let effect = Effect::waits(key, Some(onward), messages);
                    return self.stage(effect.of(stored_us), now);
                }
                Verdict::Wait(again) => {
                    return self.stage(Effect::waits(key, Some(again), Vec::new()), now);
                }
                Verdict::Halt(reason) => {
                    self.halted = Some(reason);
                    return;
                }
            }
        }
        if complete {
            self.stage(Effect::waits(key, None, Vec::new()), now);
        }
    }

    /// The dead letter of a slot that cannot be handed to a guest.
    pub(super) fn bury(&mut self, slot: &Slot) -> Vec<Outgoing> {
        match slot {
            Slot::Foreign { stored, reason, .. } => {
                self.tallies.own.dead += 1;
                vec![self.scope.dead_letter(stored, reason, 1)]
            }
            _ => Vec::new(),
        }
    }
}
