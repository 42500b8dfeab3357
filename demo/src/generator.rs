//! The built-in session: two agents typing into one document at the same time.
//!
//! Job: make a trace from a seed. Owns nothing once it has returned. Must not know
//! the CRDT: the final text is put together from what each agent typed, so that
//! comparing a replica with it means something.
//!
//! The document is a row of regions, each a heading that nobody touches and a body
//! that belongs to one agent. So two agents never insert at the same place and never
//! delete what the other deletes, and every text CRDT must end with the same text.
//! Regions of the two agents alternate, so that each one's positions depend on how
//! much of the other's typing it has seen.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::trace::Trace;
use super::txn::{Patch, Txn};

#[cfg(test)]
mod tests;

/// Agents of a generated session.
pub const AGENTS: usize = 2;

/// Regions of the document; the region's index modulo [`AGENTS`] is its owner.
const REGIONS: usize = 6;

/// Most code points that one patch inserts, about what is typed between two sends.
const INSERTED_MAX: usize = 4;

/// Most code points that one patch deletes.
const DELETED_MAX: usize = 3;

/// What is typed: one to four bytes in UTF-8, one and two units in UTF-16, and a
/// combining mark, so that a confusion of units shows at once.
const ALPHABET: &[char] = &[
    'a', 'b', 'c', 'd', 'e', 'i', 'n', 'o', 'r', 's', 't', ' ', ' ', ',', '.', '\n', '"', '\\',
    'é', 'ß', 'ж', '字', '한', '\u{301}', '🌊', '𝄞', '🛶',
];

/// What session to make.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// The same seed gives the same session.
    pub seed: u64,
    /// Number of transactions; at least one is made, the one that sets up the regions.
    pub txns: usize,
    /// How often an agent types on without having merged what the other typed
    /// meanwhile, in percent of transactions: 0 is taking turns, 100 (and above) is
    /// two people who see nothing of each other.
    pub overlap_percent: u8,
}

impl Default for Session {
    /// Some thousand transactions, mostly concurrent.
    fn default() -> Self {
        Self {
            seed: 1,
            txns: 4_000,
            overlap_percent: 80,
        }
    }
}

/// Makes the session.
pub fn generate(session: &Session) -> Trace {
    let mut rng = StdRng::seed_from_u64(session.seed);
    let mut txns = vec![Txn {
        parents: Vec::new(),
        agent: 0,
        patches: vec![Patch {
            pos: 0,
            del: 0,
            ins: (0..REGIONS).flat_map(heading).collect(),
        }],
    }];
    let mut typists = [Typist::new(0), Typist::new(1)];
    for index in 1..session.txns {
        let agent = rng.random_range(0..AGENTS);
        let [first, second] = &mut typists;
        let (typist, other) = if agent == 0 {
            (first, second)
        } else {
            (second, first)
        };
        if rng.random_range(0..100) >= session.overlap_percent {
            typist.merge(other);
        }
        let patches = typist.edit(&mut rng);
        txns.push(Txn {
            parents: typist.commit(index as u32),
            agent: agent as u32,
            patches,
        });
    }
    let body = |region: usize| typists[region % AGENTS].bodies[region].iter();
    let end_content =
        (0..REGIONS).flat_map(|region| heading(region).into_iter().chain(body(region).copied()));
    Trace {
        end_content: end_content.collect(),
        agents: AGENTS,
        txns,
    }
}

/// The fixed first line of a region.
fn heading(region: usize) -> Vec<char> {
    format!("§ {region} 🌊\n").chars().collect()
}

/// One agent while the session is made: the document as it sees it.
struct Typist {
    agent: usize,
    /// By region; the other's as of the last merge.
    bodies: Vec<Vec<char>>,
    /// Newest transactions that it has seen and that no other seen one comes after.
    heads: Vec<u32>,
    /// Number of own transactions.
    typed: usize,
    /// Number of the other's transactions that it has merged.
    seen: usize,
    /// Where its cursor is: a region of its own, and code points into its body.
    region: usize,
    offset: usize,
}

impl Typist {
    /// An agent that has seen the headings and nothing else.
    fn new(agent: usize) -> Self {
        let bodies = vec![Vec::new(); REGIONS];
        Self {
            agent,
            bodies,
            heads: vec![0],
            typed: 0,
            seen: 0,
            region: agent,
            offset: 0,
        }
    }

    /// Merges all that the other has typed. To be followed by a commit at once, so
    /// that the other's `heads` are its last transaction.
    fn merge(&mut self, other: &Self) {
        if self.seen == other.typed {
            return;
        }
        // When the other has seen all of ours, its last transaction comes after them.
        if other.seen == self.typed {
            self.heads.clear();
        }
        self.heads.extend(&other.heads);
        self.heads.sort_unstable();
        self.seen = other.typed;
        for region in (other.agent..REGIONS).step_by(AGENTS) {
            self.bodies[region].clone_from(&other.bodies[region]);
        }
    }

    /// Records that transaction `index` was typed now; returns its parents.
    fn commit(&mut self, index: u32) -> Vec<u32> {
        self.typed += 1;
        std::mem::replace(&mut self.heads, vec![index])
    }

    /// Types one transaction, mostly of one patch.
    fn edit(&mut self, rng: &mut StdRng) -> Vec<Patch> {
        let patches = if rng.random_range(0..100) < 8 { 2 } else { 1 };
        (0..patches).map(|_| self.patch(rng)).collect()
    }

    /// Types, deletes or overtypes at the cursor, which sometimes jumps before.
    fn patch(&mut self, rng: &mut StdRng) -> Patch {
        if rng.random_range(0..100) < 10 {
            self.region = self.agent + AGENTS * rng.random_range(0..REGIONS / AGENTS);
            self.offset = rng.random_range(0..=self.bodies[self.region].len());
        }
        let (mut del, mut inserted) = match rng.random_range(0..100) {
            0..70 => (0, rng.random_range(1..=INSERTED_MAX)),
            70..90 => (rng.random_range(1..=DELETED_MAX), 0),
            _ => (
                rng.random_range(1..=DELETED_MAX),
                rng.random_range(1..=INSERTED_MAX),
            ),
        };
        del = del.min(self.offset);
        if del == 0 {
            inserted = inserted.max(1);
        }
        let ins: Vec<char> = (0..inserted)
            .map(|_| ALPHABET[rng.random_range(0..ALPHABET.len())])
            .collect();
        self.offset -= del;
        let pos = self.body_start() + self.offset;
        let body = &mut self.bodies[self.region];
        body.splice(self.offset..self.offset + del, ins.iter().copied());
        self.offset += ins.len();
        Patch {
            pos,
            del,
            ins: ins.into_iter().collect(),
        }
    }

    /// Where the body of the cursor's region starts in the document as seen here.
    fn body_start(&self) -> usize {
        let before: usize = self.bodies[..self.region].iter().map(Vec::len).sum();
        before
            + (0..=self.region)
                .map(|region| heading(region).len())
                .sum::<usize>()
    }
}
