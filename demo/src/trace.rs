//! The trace of an editing session: who typed what, after having seen what.
//!
//! Job: read a trace (plain JSON or gzipped) and refuse one that could not have
//! happened, naming the transaction and the field. Owns nothing once it has
//! returned. Must not know how a trace is replayed, nor anything of the network:
//! whether positions are inside the text is found out by whoever replays it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::lineage::Lineage;
use super::txn::{Patch, Txn};

#[cfg(test)]
mod tests;

/// Largest trace that is read, in bytes after unpacking: a few million
/// transactions, while a small archive that unpacks without end stays harmless.
pub const TRACE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Most agents a trace may have. Each is an editor with a whole document in
/// memory, and checking the order costs one pass over the trace per agent.
pub const AGENTS_MAX: usize = 64;

/// The first two bytes of a gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A whole session. Built by [`Trace::load`], [`Trace::parse`] or
/// [`generate`](super::generator::generate), all of which guarantee what
/// [`Trace::check`] checks; replaying relies on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The text that every replica must end with.
    pub end_content: String,
    /// Number of agents, at most [`AGENTS_MAX`].
    pub agents: usize,
    /// All transactions; a parent always stands before its children.
    pub txns: Vec<Txn>,
}

/// Why a trace was refused. None of these is temporary, except that
/// [`TraceError::Read`] may be.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file could not be read.
    #[error("cannot read the trace {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It begins like a gzip file, but does not go on like one.
    #[error("the trace looks gzipped but cannot be unpacked")]
    Unpack(#[source] io::Error),
    /// It is larger than allowed.
    #[error("the trace is larger than {limit_bytes} bytes unpacked")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// It is not JSON, or not an object.
    #[error("the trace is not a JSON object")]
    Json(#[source] serde_json::Error),
    /// A field of the trace itself is absent or null.
    #[error("the trace has no field {field}")]
    NoHeader {
        /// The absent field.
        field: &'static str,
    },
    /// A field of the trace itself has the wrong type or is out of its range.
    #[error("field {field} of the trace is malformed")]
    Header {
        /// The malformed field.
        field: &'static str,
        /// What was expected.
        source: serde_json::Error,
    },
    /// There are more agents than allowed.
    #[error("field numAgents is {agents}, above the limit of {limit}")]
    TooManyAgents {
        /// How many the trace has.
        agents: usize,
        /// How many it may have.
        limit: usize,
    },
    /// A transaction is not an object.
    #[error("transaction {txn} is not a JSON object")]
    NotATransaction {
        /// Its index.
        txn: usize,
        /// What was expected.
        source: serde_json::Error,
    },
    /// A field of a transaction is absent or null.
    #[error("transaction {txn} has no field {field}")]
    NoField {
        /// Its index.
        txn: usize,
        /// The absent field.
        field: &'static str,
    },
    /// A field of a transaction has the wrong type or is out of its range.
    #[error("field {field} of transaction {txn} is malformed")]
    Field {
        /// Its index.
        txn: usize,
        /// The malformed field.
        field: &'static str,
        /// What was expected.
        source: serde_json::Error,
    },
    /// A parent does not stand before its child.
    #[error("field parents of transaction {txn} names {parent}, which is not an earlier one")]
    Parent {
        /// The child's index.
        txn: usize,
        /// The parent it names.
        parent: u32,
    },
    /// The agent does not exist.
    #[error("field agent of transaction {txn} is {agent}, but numAgents is {agents}")]
    Agent {
        /// The transaction's index.
        txn: usize,
        /// The agent it names.
        agent: u32,
        /// How many agents there are.
        agents: usize,
    },
    /// An agent would have had to forget what it typed.
    #[error(
        "field parents of transaction {txn} leaves out {previous}, typed before it by agent {agent}"
    )]
    Order {
        /// The transaction's index.
        txn: usize,
        /// Who typed both.
        agent: u32,
        /// The agent's transaction before it, which is not an ancestor.
        previous: u32,
    },
}

/// The trace as it is written. Fields stay raw, so that a fault in one can be
/// told with its place; fields that we do not use are passed over.
#[derive(Deserialize)]
struct RawTrace<'a> {
    #[serde(borrow, rename = "endContent")]
    end_content: Option<&'a RawValue>,
    #[serde(borrow, rename = "numAgents")]
    agents: Option<&'a RawValue>,
    #[serde(borrow)]
    txns: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct RawTxn<'a> {
    #[serde(borrow)]
    parents: Option<&'a RawValue>,
    #[serde(borrow)]
    agent: Option<&'a RawValue>,
    #[serde(borrow)]
    patches: Option<&'a RawValue>,
}

impl Trace {
    /// Reads a trace from a file, gzipped or not. Blocks on the disk.
    ///
    /// # Errors
    /// [`TraceError::Read`] when the file cannot be read, otherwise as [`Trace::parse`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        let path = path.as_ref();
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            // One byte more than allowed is enough to see that it is too large.
            let mut file = File::open(path)?.take(TRACE_BYTES_MAX + 1);
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|source| TraceError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&bytes)
    }

    /// Decodes and checks a trace, gzipped or not; the first two bytes decide.
    ///
    /// # Errors
    /// One variant of [`TraceError`] per kind of fault; of several faults, the first.
    pub fn parse(bytes: &[u8]) -> Result<Self, TraceError> {
        let unpacked;
        let json = if bytes.starts_with(&GZIP_MAGIC) {
            unpacked = unpack(bytes, TRACE_BYTES_MAX)?;
            &unpacked
        } else if bytes.len() as u64 > TRACE_BYTES_MAX {
            return Err(TraceError::TooLarge {
                limit_bytes: TRACE_BYTES_MAX,
            });
        } else {
            bytes
        };
        let trace = decode(json)?;
        trace.check()?;
        Ok(trace)
    }

    /// Checks what replaying relies on: the number of agents is allowed, each
    /// parent stands before its child, each agent exists and has seen all that it
    /// typed before. Positions are left to the replay, which alone knows the text.
    ///
    /// # Errors
    /// [`TraceError::TooManyAgents`], [`TraceError::Parent`], [`TraceError::Agent`]
    /// or [`TraceError::Order`].
    pub fn check(&self) -> Result<(), TraceError> {
        if self.agents > AGENTS_MAX {
            return Err(TraceError::TooManyAgents {
                agents: self.agents,
                limit: AGENTS_MAX,
            });
        }
        for (txn, Txn { parents, agent, .. }) in self.txns.iter().enumerate() {
            if let Some(&parent) = parents.iter().find(|&&parent| parent as usize >= txn) {
                return Err(TraceError::Parent { txn, parent });
            }
            if *agent as usize >= self.agents {
                return Err(TraceError::Agent {
                    txn,
                    agent: *agent,
                    agents: self.agents,
                });
            }
        }
        (0..self.agents as u32).try_for_each(|agent| self.check_order(agent))
    }

    /// The indexes of one agent's transactions, in order.
    pub fn typed_by(&self, agent: u32) -> impl Iterator<Item = u32> + '_ {
        let own = self
            .txns
            .iter()
            .zip(0u32..)
            .filter(move |(txn, _)| txn.agent == agent);
        own.map(|(_, index)| index)
    }

    fn check_order(&self, agent: u32) -> Result<(), TraceError> {
        let mut lineage = Lineage::new(self.txns.len());
        for txn in self.typed_by(agent) {
            lineage
                .advance(&self.txns, txn)
                .map_err(|previous| TraceError::Order {
                    txn: txn as usize,
                    agent,
                    previous,
                })?;
        }
        Ok(())
    }
}

fn unpack(bytes: &[u8], limit_bytes: u64) -> Result<Vec<u8>, TraceError> {
    let mut unpacked = Vec::new();
    let mut reader = MultiGzDecoder::new(bytes).take(limit_bytes + 1);
    reader
        .read_to_end(&mut unpacked)
        .map_err(TraceError::Unpack)?;
    if unpacked.len() as u64 > limit_bytes {
        return Err(TraceError::TooLarge { limit_bytes });
    }
    Ok(unpacked)
}

fn decode(json: &[u8]) -> Result<Trace, TraceError> {
    let raw: RawTrace<'_> = serde_json::from_slice(json).map_err(TraceError::Json)?;
    let txns = raw.txns.ok_or(TraceError::NoHeader { field: "txns" })?;
    Ok(Trace {
        end_content: header("endContent", raw.end_content)?,
        agents: header("numAgents", raw.agents)?,
        txns: txns
            .into_iter()
            .enumerate()
            .map(decode_txn)
            .collect::<Result<_, _>>()?,
    })
}

fn decode_txn((txn, raw): (usize, &RawValue)) -> Result<Txn, TraceError> {
    let fields: RawTxn<'_> = serde_json::from_str(raw.get())
        .map_err(|source| TraceError::NotATransaction { txn, source })?;
    let patches: Vec<(usize, usize, String)> = field(txn, "patches", fields.patches)?;
    Ok(Txn {
        parents: field(txn, "parents", fields.parents)?,
        agent: field(txn, "agent", fields.agent)?,
        patches: patches
            .into_iter()
            .map(|(pos, del, ins)| Patch { pos, del, ins })
            .collect(),
    })
}

fn header<T: DeserializeOwned>(
    field: &'static str,
    raw: Option<&RawValue>,
) -> Result<T, TraceError> {
    let raw = raw.ok_or(TraceError::NoHeader { field })?;
    serde_json::from_str(raw.get()).map_err(|source| TraceError::Header { field, source })
}

fn field<T: DeserializeOwned>(
    txn: usize,
    field: &'static str,
    raw: Option<&RawValue>,
) -> Result<T, TraceError> {
    let raw = raw.ok_or(TraceError::NoField { txn, field })?;
    serde_json::from_str(raw.get()).map_err(|source| TraceError::Field { txn, field, source })
}
