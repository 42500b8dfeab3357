//! Which edge nodes live, and who tidies up after those that do not: a machine.
//!
//! Owns what was heard of each node. The store alone decides who is dead: a node that has
//! been silent for too long is marked so in place of its last sign of life, on condition
//! that this was its last one. So a node that is heard by the store is never taken for
//! dead, whatever one of the others has missed, and all nodes learn of a death in the
//! order of the store. A node whose own signs of life are not stored judges nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::presence::{Life, NodeId};
use tokio::time::Instant;

use super::room::Living;

/// Between two signs of life of a node.
pub const BEAT: Duration = Duration::from_secs(1);
/// How long a node may be silent before it is taken for dead: three lost signs.
pub const DEAD_AFTER: Duration = Duration::from_secs(4);
/// For how long a node may judge others after its own last sign was stored.
const TRUST: Duration = Duration::from_secs(2);
/// Wait for each node that goes before in judging, so that one does it and the others are
/// there if it does not.
const TURN: Duration = Duration::from_millis(500);
/// Most nodes that go before.
const TURNS_MAX: u32 = 8;
/// Wait before the same is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long whoever marked a node has to tidy up after it before others do.
const TIDY_WITHIN: Duration = Duration::from_secs(10);
/// Nodes that are known of. Policy: what more there are are not taken in, and so their
/// members are not told of.
pub const NODES_MAX: usize = 1_000;
/// Reads in a row that must lack a node before it counts as gone.
const ABSENT_READS: u8 = 2;

const _: () = assert!(TRUST.as_millis() < DEAD_AFTER.as_millis());
const _: () = assert!(2 * BEAT.as_millis() <= TRUST.as_millis());

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Mark a node as dead, if this is still its last sign; [`Nodes::marked`] says what
    /// came of it.
    Mark(NodeId, u64),
    /// Remove what a dead node has written, and then its mark; [`Nodes::cleared`].
    Clear(NodeId, u64),
}

#[derive(Debug)]
struct Seen {
    revision: u64,
    heard: Instant,
    /// Since when it is known to be dead.
    dead: Option<Instant>,
    /// This node has marked it.
    mine: bool,
    /// Nothing is tried before this.
    not_before: Instant,
    absent: u8,
}

/// What is known of all nodes but this one.
#[derive(Debug, Default)]
pub struct Nodes {
    others: BTreeMap<NodeId, Seen>,
    /// When this node's last sign was stored.
    stored: Option<Instant>,
}

impl Nodes {
    /// This node's own sign was stored. After a pause nobody is judged for a silence in
    /// which it might itself not have heard them.
    pub fn stored(&mut self, now: Instant) {
        if !self.is_trusted(now) {
            self.others.values_mut().for_each(|seen| seen.heard = now);
        }
        self.stored = Some(now);
    }

    fn is_trusted(&self, now: Instant) -> bool {
        self.stored.is_some_and(|at| now < at + TRUST)
    }

    /// What the store has of another node; `None`: it has gone in order, or nothing is
    /// left of it.
    pub fn heard(&mut self, node: NodeId, revision: u64, life: Option<Life>, now: Instant) {
        let known = self.others.get(&node).map(|seen| seen.revision);
        if known.is_some_and(|known| revision < known) {
            return;
        }
        let Some(life) = life else {
            self.others.remove(&node);
            return;
        };
        if known.is_none() && self.others.len() >= NODES_MAX {
            return;
        }
        let seen = self.others.entry(node).or_insert(Seen {
            revision: 0,
            heard: now,
            dead: None,
            mine: false,
            not_before: now,
            absent: 0,
        });
        seen.absent = 0;
        if revision > seen.revision {
            (seen.revision, seen.heard) = (revision, now);
        }
        if life.dead {
            seen.dead.get_or_insert(now);
        }
    }

    /// Every sign of life that a copy of the bucket holds.
    pub fn read(&mut self, signs: Vec<(NodeId, u64, Option<Life>)>, now: Instant) {
        let there: BTreeSet<NodeId> = signs.iter().map(|(node, ..)| node.clone()).collect();
        for (node, revision, life) in signs {
            self.heard(node, revision, life, now);
        }
        self.others.retain(|node, seen| {
            seen.absent = if there.contains(node) {
                0
            } else {
                seen.absent + 1
            };
            seen.absent < ABSENT_READS
        });
    }

    /// The nodes that live, but for this one.
    pub fn living(&self) -> Living {
        let living = self.others.iter().filter(|(_, seen)| seen.dead.is_none());
        living.map(|(node, _)| node.clone()).collect()
    }

    /// Whether anything is known of a node.
    pub fn knows(&self, node: &NodeId) -> bool {
        self.others.contains_key(node)
    }

    /// Time has passed. `me` is this node.
    pub fn tick(&mut self, me: &NodeId, now: Instant) -> Vec<Deed> {
        if !self.is_trusted(now) {
            return Vec::new();
        }
        let quiet = |seen: &Seen| now >= seen.heard + DEAD_AFTER;
        let before = self
            .others
            .iter()
            .filter(|(node, seen)| *node < me && seen.dead.is_none() && !quiet(seen));
        let turn = TURN
            * u32::try_from(before.count())
                .unwrap_or(TURNS_MAX)
                .min(TURNS_MAX);
        let mut deeds = Vec::new();
        for (node, seen) in &mut self.others {
            if now < seen.not_before {
                continue;
            }
            let deed = match seen.dead {
                None if now >= seen.heard + DEAD_AFTER + turn => {
                    Deed::Mark(node.clone(), seen.revision)
                }
                Some(since) if seen.mine || now >= since + TIDY_WITHIN + turn => {
                    Deed::Clear(node.clone(), seen.revision)
                }
                _ => continue,
            };
            seen.not_before = now + AGAIN;
            deeds.push(deed);
        }
        deeds
    }

    /// A node was marked as dead under this revision.
    pub fn marked(&mut self, node: &NodeId, revision: u64, now: Instant) {
        if let Some(seen) = self.others.get_mut(node) {
            seen.revision = seen.revision.max(revision);
            seen.dead.get_or_insert(now);
            (seen.mine, seen.not_before) = (true, now);
        }
    }

    /// Nothing is left of a node.
    pub fn cleared(&mut self, node: &NodeId) {
        self.others.remove(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u64) -> NodeId {
        NodeId::from_random(number)
    }

    fn life(dead: bool) -> Option<Life> {
        Some(Life {
            name: "edge".into(),
            at: 1,
            dead,
        })
    }

    /// Lets a node be heard every second, and this one too, for so long.
    fn pass(nodes: &mut Nodes, heard: &[u64], from: Instant, seconds: u64) -> (Instant, Vec<Deed>) {
        let (mut now, mut deeds) = (from, Vec::new());
        for second in 0..seconds {
            nodes.stored(now);
            for number in heard {
                nodes.heard(node(*number), 100 + second, life(false), now);
            }
            now += BEAT;
            deeds.extend(nodes.tick(&node(5), now));
        }
        (now, deeds)
    }

    #[test]
    fn silence_within_and_beyond_its_limit() {
        let (mut nodes, start) = (Nodes::default(), Instant::now());
        nodes.stored(start);
        nodes.heard(node(7), 9, life(false), start);
        let (now, deeds) = pass(&mut nodes, &[], start, 3);
        assert!(deeds.is_empty() && nodes.living().contains(&node(7)));
        let (now, deeds) = pass(&mut nodes, &[], now, 1);
        assert_eq!(deeds, [Deed::Mark(node(7), 9)]);
        assert!(
            nodes.living().contains(&node(7)),
            "it is not, before the store says so"
        );
        nodes.marked(&node(7), 20, now);
        assert!(nodes.living().is_empty());
        assert_eq!(nodes.tick(&node(5), now), [Deed::Clear(node(7), 20)]);
        nodes.cleared(&node(7));
        assert!(!nodes.knows(&node(7)));
    }

    #[test]
    fn who_is_heard_is_not_judged() {
        let (mut nodes, start) = (Nodes::default(), Instant::now());
        let (_, deeds) = pass(&mut nodes, &[7], start, 20);
        assert!(deeds.is_empty());
    }

    #[test]
    fn who_is_not_heard_by_the_store_judges_nobody() {
        let (mut nodes, start) = (Nodes::default(), Instant::now());
        nodes.stored(start);
        nodes.heard(node(7), 9, life(false), start);
        let later = start + 10 * DEAD_AFTER;
        assert!(nodes.tick(&node(5), later).is_empty());
        // Back again, it hears the others first.
        nodes.stored(later);
        assert!(nodes.tick(&node(5), later + BEAT).is_empty());
        let (_, deeds) = pass(&mut nodes, &[], later + BEAT, 4);
        assert_eq!(deeds, [Deed::Mark(node(7), 9)]);
    }

    #[test]
    fn one_judges_after_the_other() {
        let (mut nodes, start) = (Nodes::default(), Instant::now());
        nodes.heard(node(7), 9, life(false), start);
        // Two living nodes go before this one.
        let (now, deeds) = pass(&mut nodes, &[1, 2], start, 4);
        assert!(deeds.is_empty());
        nodes.stored(now);
        assert!(nodes.tick(&node(5), now + TURN).is_empty());
        assert_eq!(
            nodes.tick(&node(5), now + 2 * TURN),
            [Deed::Mark(node(7), 9)]
        );
        assert!(
            nodes.tick(&node(5), now + 2 * TURN).is_empty(),
            "not at once again"
        );
    }

    #[test]
    fn what_another_left_half_done_is_finished_later() {
        let (mut nodes, start) = (Nodes::default(), Instant::now());
        nodes.stored(start);
        nodes.heard(node(7), 9, life(true), start);
        assert!(nodes.living().is_empty());
        let (now, deeds) = pass(&mut nodes, &[], start, 9);
        assert!(deeds.is_empty());
        let (_, deeds) = pass(&mut nodes, &[], now, 1);
        assert_eq!(deeds, [Deed::Clear(node(7), 9)]);
    }

    #[test]
    fn old_signs_bring_nobody_back() {
        let (mut nodes, now) = (Nodes::default(), Instant::now());
        nodes.heard(node(7), 9, life(true), now);
        nodes.heard(node(7), 8, life(false), now);
        assert!(nodes.living().is_empty());
        nodes.heard(node(7), 10, None, now);
        assert!(!nodes.knows(&node(7)));
        nodes.heard(node(8), 11, life(false), now);
        nodes.read(Vec::new(), now);
        assert!(nodes.knows(&node(8)), "one copy may lag");
        nodes.read(Vec::new(), now);
        assert!(!nodes.knows(&node(8)));
    }

    #[test]
    fn nodes_within_and_beyond_their_limit() {
        let (mut nodes, now) = (Nodes::default(), Instant::now());
        for number in 0..NODES_MAX as u64 + 1 {
            nodes.heard(node(number), number + 1, life(false), now);
        }
        assert_eq!(nodes.living().len(), NODES_MAX);
    }
}
