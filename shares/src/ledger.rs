//! What each tenant has stored in each stream, and whether it may store more: a machine.
//!
//! Owns this node's own counts, which it reports, and what the other nodes have reported.
//! A tenant may have as many bytes of a stream as are free: alone half of it, with another
//! a third each; so there is room for whoever comes next. A namespace may set less. It never
//! awaits.

use std::collections::HashMap;

use protocol::name::Tenant;
use protocol::stream::StreamName;
use protocol::usage::{Usage, UsageKey, is_kept, slot_of};

/// What part of a stream a tenant may have in any case: who has little is never told that it
/// has too much, however full the stream is.
const LEAST_PART: u64 = 64;
/// Bytes that are stored before the other nodes are told at once: what a tenant may be beyond
/// its share for each node.
const REPORT_BYTES: u64 = 1 << 20;
/// How long less than that may go untold, microseconds.
const REPORT_AFTER_US: u64 = 30_000_000;

/// A stream as it was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Bytes that it holds.
    pub bytes: u64,
    /// Most that it keeps; `None`: no limit.
    pub max_bytes: Option<u64>,
    /// How long it keeps them, microseconds; 0: for ever.
    pub max_age_us: u64,
}

/// Why a tenant may not store more now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// It has its share of the stream.
    Share {
        /// Bytes that it has.
        has: u64,
        /// Bytes that it may have.
        may: u64,
    },
    /// It has what the namespace allows.
    Namespace {
        /// Bytes that it has there.
        has: u64,
        /// Bytes that it may have.
        may: u64,
    },
}

type Whose = (StreamName, Tenant);

/// One tenant's bytes in a stream.
#[derive(Debug, Default)]
struct Account {
    /// What came through this node.
    own: Usage,
    /// Of it, bytes that nobody else knows of yet, and since when.
    untold: u64,
    untold_since_us: u64,
    /// What other nodes have said, and the revision of that.
    others: HashMap<String, (Usage, u64)>,
    /// All of it that may still be kept.
    total: u64,
    namespaces: HashMap<String, u64>,
}

impl Account {
    /// Counts again, and lets go of what is kept no more.
    fn count(&mut self, now_us: u64, max_age_us: u64) {
        (self.total, self.namespaces) = (0, HashMap::new());
        let others = self.others.values_mut().map(|(usage, _)| usage);
        for usage in std::iter::once(&mut self.own).chain(others) {
            usage.namespaces.retain(|namespace, slots| {
                slots.retain(|slot, _| is_kept(*slot, now_us, max_age_us));
                let bytes: u64 = slots.values().sum();
                self.total += bytes;
                *self.namespaces.entry(namespace.clone()).or_default() += bytes;
                !slots.is_empty()
            });
        }
    }

    /// Lets go of nodes of whose bytes none is kept; who they are, with their revisions.
    fn forget_ended(&mut self) -> Vec<(String, u64)> {
        let ended = |(usage, _): &mut (Usage, u64)| usage.namespaces.is_empty();
        let gone = self.others.extract_if(|_, other| ended(other));
        gone.map(|(node, (_, revision))| (node, revision)).collect()
    }

    fn is_empty(&self) -> bool {
        self.own.namespaces.is_empty() && self.others.is_empty()
    }
}

/// What is to be written into the bucket.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// This.
    Put(UsageKey, Usage),
    /// Nothing any more, if this is still its revision: none of the bytes of which a node
    /// had told is kept.
    Delete(UsageKey, u64),
}

/// All tenants of a node's stores. Bounded by what stored something that is still kept.
#[derive(Debug)]
pub struct Ledger {
    node: String,
    streams: HashMap<StreamName, Seen>,
    accounts: HashMap<Whose, Account>,
}

impl Ledger {
    /// Nothing is known. `node` is a name that no other process ever has.
    pub fn new(node: String) -> Self {
        Self {
            node,
            streams: HashMap::new(),
            accounts: HashMap::new(),
        }
    }

    /// Whether a tenant may store so many bytes more; `quota` is what its namespace allows.
    ///
    /// # Errors
    /// What it is beyond.
    pub fn admit(
        &self,
        stream: &StreamName,
        tenant: &Tenant,
        namespace: &str,
        quota: Option<u64>,
        bytes: u64,
    ) -> Result<(), Beyond> {
        let account = self.accounts.get(&(stream.clone(), tenant.clone()));
        let in_namespace = |account: &Account| account.namespaces.get(namespace).copied();
        let has = account.and_then(in_namespace).unwrap_or(0);
        if let Some(may) = quota
            && has + bytes > may
        {
            return Err(Beyond::Namespace { has, may });
        }
        let Some(Seen {
            bytes: used,
            max_bytes: Some(max),
            ..
        }) = self.streams.get(stream)
        else {
            return Ok(());
        };
        let has = account.map_or(0, |account| account.total);
        let may = max.saturating_sub(*used).max(max / LEAST_PART);
        match has + bytes > may {
            true => Err(Beyond::Share { has, may }),
            false => Ok(()),
        }
    }

    /// Bytes of a tenant were stored through this node.
    pub fn stored(
        &mut self,
        stream: &StreamName,
        tenant: &Tenant,
        namespace: &str,
        bytes: u64,
        now_us: u64,
    ) {
        let seen = self.streams.get_mut(stream);
        let slot = slot_of(now_us, seen.as_ref().map_or(0, |seen| seen.max_age_us));
        if let Some(seen) = seen {
            seen.bytes += bytes;
        }
        let whose = (stream.clone(), tenant.clone());
        let account = self.accounts.entry(whose).or_default();
        if account.untold == 0 {
            account.untold_since_us = now_us;
        }
        account.untold += bytes;
        account.total += bytes;
        let slots = account.own.namespaces.entry(namespace.to_owned());
        *slots.or_default().entry(slot).or_default() += bytes;
        *account.namespaces.entry(namespace.to_owned()).or_default() += bytes;
    }

    /// A node has said something of itself, in this revision; `None`: it has nothing to say
    /// any more.
    pub fn heard(&mut self, key: UsageKey, revision: u64, usage: Option<Usage>, now_us: u64) {
        if key.node == self.node {
            return;
        }
        let max_age_us = self.max_age_us(&key.stream);
        let account = self.accounts.entry((key.stream, key.tenant)).or_default();
        match usage {
            Some(usage) => drop(account.others.insert(key.node, (usage, revision))),
            None => drop(account.others.remove(&key.node)),
        }
        account.count(now_us, max_age_us);
    }

    /// Whether any stream was looked at.
    pub fn has_seen(&self) -> bool {
        !self.streams.is_empty()
    }

    /// A stream was looked at.
    pub fn seen(&mut self, stream: StreamName, seen: Seen) {
        self.streams.insert(stream, seen);
    }

    fn max_age_us(&self, stream: &StreamName) -> u64 {
        self.streams.get(stream).map_or(0, |seen| seen.max_age_us)
    }

    /// What the other nodes are to be told now. Told again if it cannot be written:
    /// [`Self::untold`].
    pub fn reports(&mut self, now_us: u64) -> Vec<Report> {
        let mut reports = Vec::new();
        let (node, streams) = (&self.node, &self.streams);
        self.accounts.retain(|(stream, tenant), account| {
            let key = |node: &str| UsageKey {
                stream: stream.clone(),
                tenant: tenant.clone(),
                node: node.to_owned(),
            };
            let max_age_us = streams.get(stream).map_or(0, |seen| seen.max_age_us);
            account.count(now_us, max_age_us);
            let ended = account.forget_ended().into_iter();
            reports.extend(ended.map(|(node, revision)| Report::Delete(key(&node), revision)));
            let waited = now_us.saturating_sub(account.untold_since_us) >= REPORT_AFTER_US;
            if account.untold >= REPORT_BYTES || (account.untold > 0 && waited) {
                account.untold = 0;
                reports.push(Report::Put(key(node), account.own.clone()));
            }
            !account.is_empty()
        });
        reports
    }

    /// A report could not be written.
    pub fn untold(&mut self, key: &UsageKey) {
        let whose = (key.stream.clone(), key.tenant.clone());
        if let Some(account) = self.accounts.get_mut(&whose) {
            account.untold = account.untold.max(REPORT_BYTES);
        }
    }

    /// Forgets what other nodes have said: it is read anew.
    pub fn forget_others(&mut self, now_us: u64) {
        for ((stream, _), account) in &mut self.accounts {
            account.others.clear();
            let max_age_us = self.streams.get(stream).map_or(0, |seen| seen.max_age_us);
            account.count(now_us, max_age_us);
        }
    }
}

#[cfg(test)]
mod tests;
