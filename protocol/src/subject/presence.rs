//! The keys of the bucket `PRESENCE`, and the subjects under which the server repeats
//! what it has stored there.
//!
//! `node.{node}` for a node's sign of life, `member.{node}.{store}.{tenant}.{channel}`
//! for its part of a channel; repeated as `pres.` and the key.

use super::Subject;
use crate::name::{Channel, StoreName, Tenant};
use crate::presence::NodeId;

/// What repeated keys begin with.
pub const PRESENCE_PREFIX: &str = "pres.";

/// The key of a node's sign of life.
pub fn node_key(node: &NodeId) -> String {
    format!("node.{node}")
}

/// Every node's.
pub fn nodes_filter() -> String {
    "node.*".into()
}

/// The key of a node's part of a channel.
pub fn part_key(node: &NodeId, store: &StoreName, tenant: &Tenant, channel: &Channel) -> String {
    format!("member.{node}.{store}.{tenant}.{channel}")
}

/// Every node's part of a channel.
pub fn parts_filter(store: &StoreName, tenant: &Tenant, channel: &Channel) -> String {
    format!("member.*.{store}.{tenant}.{channel}")
}

/// Every part of a node.
pub fn parts_of_filter(node: &NodeId) -> String {
    format!("member.{node}.>")
}

/// Every part of every node in a store.
pub fn store_filter(store: &StoreName) -> String {
    format!("member.*.{store}.>")
}

/// The channel that a node's part is of: its tenant, and itself.
pub fn channel_of(key: &str) -> Option<(Tenant, Channel)> {
    let mut parts = key.splitn(5, '.');
    let (kind, node, _store) = (parts.next()?, parts.next()?, parts.next()?);
    let (tenant, channel) = (parts.next()?, parts.next()?);
    NodeId::parse(node).ok().filter(|_| kind == "member")?;
    Some((Tenant::parse(tenant).ok()?, Channel::parse(channel).ok()?))
}

/// The node that a key is about.
pub fn node_of(key: &str) -> Option<NodeId> {
    let mut tokens = key.split('.');
    let kind = tokens.next();
    let node = NodeId::parse(tokens.next()?).ok()?;
    matches!(kind, Some("node" | "member")).then_some(node)
}

impl Subject {
    /// Where the server repeats the signs of life of all nodes.
    pub fn presence_nodes() -> Self {
        Self(format!("{PRESENCE_PREFIX}{}", nodes_filter()).into())
    }

    /// Where the server repeats every node's part of a channel.
    pub fn presence_parts(store: &StoreName, tenant: &Tenant, channel: &Channel) -> Self {
        Self(format!("{PRESENCE_PREFIX}{}", parts_filter(store, tenant, channel)).into())
    }

    /// Where the server repeats every part of a store.
    pub fn presence_store(store: &StoreName) -> Self {
        Self(format!("{PRESENCE_PREFIX}{}", store_filter(store)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_their_node() {
        let node = NodeId::from_random(1);
        let (store, tenant, channel) = (
            StoreName::parse("main").unwrap(),
            Tenant::parse("acme").unwrap(),
            Channel::parse("room.7.a").unwrap(),
        );
        let key = part_key(&node, &store, &tenant, &channel);
        assert_eq!(key, "member.0000000000000001.main.acme.room.7.a");
        assert_eq!(node_of(&key), Some(node.clone()));
        assert_eq!(channel_of(&key), Some((tenant.clone(), channel.clone())));
        assert_eq!(channel_of(&node_key(&node)), None);
        assert_eq!(node_of(&node_key(&node)), Some(node));
        for other in ["", "node", "node.x", "other.0000000000000001", "member."] {
            assert_eq!(node_of(other), None, "{other}");
        }
        assert_eq!(
            Subject::presence_parts(&store, &tenant, &channel).as_str(),
            "pres.member.*.main.acme.room.7.a"
        );
    }
}
