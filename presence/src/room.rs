//! One channel's presence on one node: a machine.
//!
//! Owns the node's own members there, what other nodes have said of theirs while somebody
//! watches, and what watchers were told. What comes in: sessions that come and go, parts
//! of other nodes, answers of the store, time. What comes out: this node's part to be
//! written, frames for the watchers, the wish to read the channel. It knows neither who
//! carries it nor who watches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::frame::{Member, Presence, Push};
use protocol::presence::{NodeId, Part};
use tokio::time::Instant;

use super::roster::{self, Roster, Who};
use super::told::{Told, View, named_again};

/// Wait between two states of a channel that a node shows to others: however many come
/// and go, it writes ten times a second, and the rest is seen in between by nobody.
pub const SHOW_PACE: Duration = Duration::from_millis(100);
/// Wait before what could not be written is tried again.
pub const WRITE_RETRY: Duration = Duration::from_millis(500);
/// Reads in a row that must lack a part before it counts as gone: a copy of the bucket
/// that lags lacks it once.
const ABSENT_READS: u8 = 2;

/// The nodes that live.
pub type Living = BTreeSet<NodeId>;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Act {
    /// Write this node's part; [`Room::wrote`] says what came of it.
    Write(Part),
    /// Remove this node's part, likewise.
    Remove,
    /// Tell the watchers.
    Tell(Vec<Push>),
    /// Read the parts of all nodes: their names had been let go of.
    Read,
}

/// What another node has said.
#[derive(Debug)]
struct Held {
    revision: u64,
    /// `None`: it has nobody there.
    part: Option<Part>,
    /// Names were let go of, since there were too many in all.
    cut: bool,
    /// Reads in a row that lacked it.
    absent: u8,
}

/// What the store has of this node's part.
#[derive(Debug, Default)]
struct Written {
    /// It may hold one.
    holds: bool,
    /// A write is under way.
    busy: bool,
    /// What is shown is not what was written last.
    stale: bool,
    /// When it may be tried again.
    not_before: Option<Instant>,
    /// Reads in a row that lacked it although the store should hold it.
    absent: u8,
}

/// One channel on one node.
#[derive(Debug)]
pub struct Room {
    channel: Box<str>,
    list_max: u32,
    own: Roster,
    /// The own part as others see it, and since when something else would be right.
    shown: Part,
    hidden: bool,
    shown_at: Option<Instant>,
    written: Written,
    others: BTreeMap<NodeId, Held>,
    told: Option<Told>,
    /// What others say is taken in.
    follows: bool,
    /// A read was asked for, and has not come.
    reading: bool,
}

impl Room {
    /// A channel on which nobody is yet. Up to `list_max` members are named.
    pub fn new(channel: &str, list_max: u32) -> Self {
        Self {
            channel: channel.into(),
            list_max,
            own: Roster::default(),
            shown: Part::nobody(),
            hidden: false,
            shown_at: None,
            written: Written::default(),
            others: BTreeMap::new(),
            told: None,
            follows: false,
            reading: false,
        }
    }

    /// Up to how many members are named from now on.
    pub fn limit(&mut self, list_max: u32) {
        if self.list_max != list_max {
            self.list_max = list_max;
            self.hidden = true;
            // What was let go of may be wanted now.
            self.others.values_mut().for_each(|held| held.cut = true);
        }
    }

    /// A session came here.
    pub fn join(&mut self, id: u64, member: &Member) {
        self.hidden |= self.own.join(id, member);
    }

    /// A session left.
    pub fn leave(&mut self, id: u64, who: &Who) {
        self.hidden |= self.own.leave(id, who);
    }

    /// Somebody watches from now on; what it is told first.
    pub fn watch(&mut self, living: &Living, now: Instant) -> Presence {
        if self.told.is_none() {
            self.told = Some(Told::new(self.view(living), now));
        }
        self.watched()
    }

    /// What a watcher that has missed something is told anew.
    pub fn watched(&self) -> Presence {
        let view = self.told.as_ref().map(Told::view);
        view.map_or_else(
            || View::default().frame(&self.channel),
            |view| view.frame(&self.channel),
        )
    }

    /// This node's part as others see it.
    pub fn shown(&self) -> &Part {
        &self.shown
    }

    /// A room for one look at the channel, of which this node's part is this.
    pub fn look(channel: &str, list_max: u32, own: Part) -> Self {
        Self {
            shown: own,
            ..Self::new(channel, list_max)
        }
    }

    /// What others say is taken in from now on.
    pub fn follow(&mut self) {
        self.follows = true;
    }

    /// Nobody watches any more: what others said is let go of.
    pub fn unwatch(&mut self) {
        self.told = None;
        (self.follows, self.reading) = (false, false);
        self.others.clear();
    }

    /// Another node's part, as the store has it under this revision.
    pub fn heard(&mut self, node: NodeId, revision: u64, part: Option<Part>) {
        if self.follows {
            self.take(node, revision, part);
        }
    }

    /// Everything that a copy of the bucket holds of the channel.
    pub fn read(&mut self, parts: Vec<(NodeId, u64, Option<Part>)>) {
        let seen: BTreeSet<NodeId> = parts.iter().map(|(node, ..)| node.clone()).collect();
        self.reading = false;
        for (node, revision, part) in parts {
            self.take(node, revision, part);
        }
        self.others.retain(|node, held| {
            held.absent = if seen.contains(node) {
                0
            } else {
                held.absent + 1
            };
            held.absent < ABSENT_READS
        });
    }

    fn take(&mut self, node: NodeId, revision: u64, part: Option<Part>) {
        let held = self.others.entry(node).or_insert(Held {
            revision: 0,
            part: None,
            cut: false,
            absent: 0,
        });
        held.absent = 0;
        // The same revision again brings back names that were let go of.
        if revision > held.revision || (revision == held.revision && held.cut) {
            *held = Held {
                revision,
                part,
                cut: false,
                absent: 0,
            };
        }
    }

    /// Whether a read has found this node's part. What is lost is written anew.
    pub fn found(&mut self, found: bool) {
        let written = &mut self.written;
        let lost = written.holds && !written.busy && !found;
        written.absent = if lost { written.absent + 1 } else { 0 };
        if written.absent >= ABSENT_READS {
            (written.stale, written.absent) = (true, 0);
        }
    }

    /// A write has ended.
    pub fn wrote(&mut self, stored: bool, now: Instant) {
        self.written.busy = false;
        self.written.not_before = None;
        if !stored {
            // It may have been, all the same.
            (self.written.stale, self.written.holds) = (true, true);
            self.written.not_before = Some(now + WRITE_RETRY);
        }
    }

    /// What the store has is written once more, for what follows from it.
    pub fn write_again(&mut self) {
        self.written.stale |= self.written.holds || self.shown.count > 0;
    }

    /// The node goes on under another name: nothing is written under it yet.
    pub fn renamed(&mut self) {
        self.written.holds = false;
        self.written.stale = self.shown.count > 0;
        self.written.not_before = None;
    }

    /// Does what is due.
    pub fn poll(&mut self, living: &Living, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.hidden && self.shows_at().is_none_or(|at| now >= at) {
            self.hidden = false;
            self.shown_at = Some(now);
            let part = self.own.part(self.list_max);
            if part != self.shown {
                self.shown = part;
                self.written.stale = true;
            }
        }
        acts.extend(self.write(now));
        acts.extend(self.tell(living, now));
        acts
    }

    fn write(&mut self, now: Instant) -> Option<Act> {
        let written = &mut self.written;
        let waits = written.not_before.is_some_and(|at| now < at);
        if !written.stale || written.busy || waits {
            return None;
        }
        written.stale = false;
        if self.shown.count > 0 {
            (written.busy, written.holds) = (true, true);
            return Some(Act::Write(self.shown.clone()));
        }
        let gone = std::mem::replace(&mut written.holds, false);
        written.busy = gone;
        gone.then_some(Act::Remove)
    }

    fn tell(&mut self, living: &Living, now: Instant) -> Vec<Act> {
        if self.told.is_none() {
            return Vec::new();
        }
        let view = self.view(living);
        self.cut(living, view.count);
        let lacking = self.is_lacking(living, view.count);
        self.reading |= lacking;
        let mut acts: Vec<Act> = lacking.then_some(Act::Read).into_iter().collect();
        if let Some(told) = &mut self.told {
            let pushes = told.settle(&self.channel, view, self.list_max, now);
            acts.extend((!pushes.is_empty()).then_some(Act::Tell(pushes)));
        }
        acts
    }

    /// Lets go of names that nobody is told.
    fn cut(&mut self, living: &Living, count: u32) {
        if count <= self.list_max {
            return;
        }
        let of_living = self.others.iter_mut();
        for (_, held) in of_living.filter(|(node, _)| living.contains(*node)) {
            let names = held.part.as_mut().and_then(|part| part.members.take());
            held.cut |= names.is_some();
        }
    }

    /// Whether names were let go of that would be told now.
    fn is_lacking(&self, living: &Living, count: u32) -> bool {
        let lacks = |(node, held): (&NodeId, &Held)| {
            held.cut
                && living.contains(node)
                && held.part.as_ref().is_some_and(|p| p.members.is_none())
        };
        !self.reading && named_again(count, self.list_max) && self.others.iter().any(lacks)
    }

    /// Who is on the channel, as far as this node knows.
    pub fn view(&self, living: &Living) -> View {
        let others = self.others.iter();
        let others = others.filter(|(node, _)| living.contains(*node));
        let parts = others.filter_map(|(_, held)| held.part.as_ref());
        let parts = [&self.shown].into_iter().chain(parts);
        let mut members = Some(BTreeMap::<Who, Member>::new());
        let mut count = 0_u32;
        for part in parts {
            count = count.saturating_add(part.count);
            members = members.zip(part.members.as_ref()).map(|(mut all, named)| {
                for member in named {
                    let known = all.entry(roster::who(member));
                    let known = known.or_insert_with(|| member.clone());
                    if (member.since, &member.session) > (known.since, &known.session) {
                        *known = member.clone();
                    }
                }
                all
            });
        }
        if let Some(all) = &members {
            count = u32::try_from(all.len()).unwrap_or(u32::MAX);
        }
        View {
            count,
            members: members.filter(|_| count <= self.list_max),
        }
    }

    /// When the own part may be shown anew.
    fn shows_at(&self) -> Option<Instant> {
        self.shown_at.map(|at| at + SHOW_PACE)
    }

    /// When [`Self::poll`] is due next; `None`: when something comes in.
    pub fn due(&self, living: &Living, now: Instant) -> Option<Instant> {
        let show = self.hidden.then(|| self.shows_at().unwrap_or(now));
        let write = (self.written.stale && !self.written.busy)
            .then(|| self.written.not_before.unwrap_or(now));
        let told = self.told.as_ref();
        let tell = told.and_then(|told| told.due(&self.view(living), self.list_max));
        [show, write, tell].into_iter().flatten().min()
    }

    /// Whether nothing is left of it: nobody is there, nobody watches, and the store has
    /// nothing of it.
    pub fn is_over(&self) -> bool {
        let written = &self.written;
        let quiet = !written.busy && !written.stale && !written.holds && !self.hidden;
        quiet && self.own.is_empty() && self.told.is_none()
    }

    /// Whether the store may hold a part of this node.
    pub fn is_written(&self) -> bool {
        self.written.holds || self.written.busy
    }
}

#[cfg(test)]
mod tests;
