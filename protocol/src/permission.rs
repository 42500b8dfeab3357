//! What each service's NATS user may do: the least that it needs. A service that is
//! taken over can neither delete a stream nor write what another writes.
//!
//! Pure; whoever writes the server's configuration asks here. A user must be called
//! as its role is: replies come to `_INBOX_{user}.>`.

use std::time::Duration;

use crate::name::StoreName;
use crate::request::ANSWER_WITHIN;
use crate::spec::key;
use crate::stream::{Bucket, MODULES, StreamName};
use crate::subject::{Kind, Subject, presence};

/// A service, as NATS knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Publishes events and reads them.
    Edge,
    /// Reads inputs; writes outputs, checkpoints and dead letters.
    Worker,
    /// Reads streams and writes none.
    Bridge,
}

/// Subjects that a user may publish to and subscribe to; everything else is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// May publish to.
    pub publish: Vec<String>,
    /// May subscribe to.
    pub subscribe: Vec<String>,
    /// May answer what it is asked: one message to where the question says, within this
    /// time.
    pub answer_within: Option<Duration>,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Edge, Self::Worker, Self::Bridge];

    /// The name of its user.
    pub const fn user(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Worker => "worker",
            Self::Bridge => "bridge",
        }
    }

    /// What it may do with these stores.
    pub fn permissions_for(self, stores: &[StoreName]) -> Permissions {
        let inbox = format!("{}.>", inbox(self.user()));
        let mut publish = vec![inbox.clone()];
        publish.extend(self.writes_config());
        publish.extend(stores.iter().flat_map(|store| self.writes(store)));
        let streams = stores.iter().flat_map(|store| self.streams(store));
        let buckets = self.buckets().iter();
        let reads = streams
            .chain(buckets.map(|bucket| format!("KV_{}", bucket.as_str())))
            .chain((self == Self::Worker).then(|| format!("OBJ_{MODULES}")));
        publish.extend(reads.flat_map(|stream| reading(&stream)));
        let mut subscribe = vec![inbox];
        if self == Self::Edge {
            let heard = |store| {
                [Kind::Fan, Kind::Eph].map(|kind| Subject::store_filter(kind, store).to_string())
            };
            subscribe.extend(stores.iter().flat_map(heard));
            subscribe.push(Subject::presence_nodes().to_string());
            let parts = |store| Subject::presence_store(store).to_string();
            subscribe.extend(stores.iter().map(parts));
        }
        if self == Self::Worker {
            let asked = |store| Subject::store_filter(Kind::Req, store).to_string();
            subscribe.extend(stores.iter().map(asked));
        }
        // Nobody else waits for what a worker says: least of all in an edge's inbox.
        let answer_within = (self == Self::Worker).then_some(2 * ANSWER_WITHIN);
        Permissions {
            publish,
            subscribe,
            answer_within,
        }
    }

    /// What it writes that belongs to no store.
    fn writes_config(self) -> Vec<String> {
        let bucket = |bucket: Bucket| format!("$KV.{}.>", bucket.as_str());
        let leases = bucket(Bucket::Leases);
        match self {
            // What it has stored for whom; signs of life, and marks that others are dead.
            // And what a backend asks of it: who is sent away, and who is kept out.
            Self::Edge => vec![
                bucket(Bucket::Usage),
                bucket_key(Bucket::Presence, &presence::nodes_filter()),
                bucket(Bucket::Revocations),
                bucket(Bucket::Disconnects),
            ],
            // How a trial ended, and nothing else that is deployed.
            Self::Worker => vec![
                bucket(Bucket::Workers),
                bucket(Bucket::Lanes),
                format!("$KV.{}.*.{}", Bucket::Functions.as_str(), key::JUDGED),
            ],
            // Which partition of the progress topic belongs to which shard.
            Self::Bridge => vec![leases, format!("$KV.{}.mirror.>", Bucket::Config.as_str())],
        }
    }

    fn writes(self, store: &StoreName) -> Vec<String> {
        match self {
            Self::Edge => vec![
                Subject::store_filter(Kind::In, store).to_string(),
                Subject::store_filter(Kind::Ev, store).to_string(),
                Subject::store_filter(Kind::Req, store).to_string(),
                Subject::store_filter(Kind::Eph, store).to_string(),
                bucket_key(Bucket::Presence, &presence::store_filter(store)),
            ],
            Self::Worker => vec![
                Subject::store_filter(Kind::Ev, store).to_string(),
                Subject::checkpoint_filter(store).to_string(),
                Subject::dead_letter_filter(store).to_string(),
                Subject::state_filter(store).to_string(),
                Subject::fence_filter(store).to_string(),
                Subject::log_filter(store).to_string(),
            ],
            Self::Bridge => Vec::new(),
        }
    }

    fn streams(self, store: &StoreName) -> Vec<String> {
        let mut streams = vec![
            StreamName::ingress(store).to_string(),
            StreamName::events(store).to_string(),
        ];
        if self == Self::Worker {
            streams.push(StreamName::state(store).to_string());
        }
        streams
    }

    fn buckets(self) -> &'static [Bucket] {
        match self {
            Self::Edge => &[
                Bucket::Config,
                Bucket::Functions,
                Bucket::Revocations,
                Bucket::Usage,
                Bucket::Presence,
                Bucket::Disconnects,
            ],
            Self::Worker => &[
                Bucket::Config,
                Bucket::Functions,
                Bucket::Workers,
                Bucket::Lanes,
            ],
            Self::Bridge => &[Bucket::Config, Bucket::Leases, Bucket::Revocations],
        }
    }
}

/// The subject of a bucket's key, or keys.
fn bucket_key(bucket: Bucket, key: &str) -> String {
    format!("$KV.{}.{key}", bucket.as_str())
}

/// Where replies to a user come.
pub fn inbox(user: &str) -> String {
    format!("_INBOX_{user}")
}

/// Looking at one stream, reading it directly and following it by consumers of one's
/// own; flow control belongs to the latter.
fn reading(stream: &str) -> Vec<String> {
    [
        "STREAM.INFO.{}",
        "STREAM.MSG.GET.{}",
        "DIRECT.GET.{}",
        "DIRECT.GET.{}.>",
        "CONSUMER.CREATE.{}",
        "CONSUMER.CREATE.{}.>",
        "CONSUMER.INFO.{}.>",
        "CONSUMER.MSG.NEXT.{}.>",
        "CONSUMER.DELETE.{}.>",
    ]
    .iter()
    .map(|call| format!("$JS.API.{}", call.replace("{}", stream)))
    .chain([format!("$JS.FC.{stream}.>")])
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(role: Role) -> Permissions {
        role.permissions_for(&[StoreName::parse("main").unwrap()])
    }

    fn may_publish(role: Role, subject: &str) -> bool {
        let allowed = permissions(role).publish;
        allowed.iter().any(|filter| matches(filter, subject))
    }

    fn matches(filter: &str, subject: &str) -> bool {
        let mut parts = subject.split('.');
        for token in filter.split('.') {
            match (token, parts.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (token, Some(part)) if token == part => {}
                _ => return false,
            }
        }
        parts.next().is_none()
    }

    #[test]
    fn a_set_of_stores_is_all_of_them_and_no_other() {
        let stores = ["main", "side"].map(|name| StoreName::parse(name).unwrap());
        let edge = Role::Edge.permissions_for(&stores);
        let allows = |list: &[String], subject: &str| list.iter().any(|f| matches(f, subject));
        for store in ["main", "side"] {
            assert!(allows(&edge.publish, &format!("in.{store}.0.acme.doc.a")));
            assert!(allows(
                &edge.subscribe,
                &format!("fan.{store}.0.acme.doc.a")
            ));
            let read = format!("$JS.API.STREAM.INFO.EVENTS-{store}");
            assert!(allows(&edge.publish, &read));
        }
        assert!(!allows(&edge.publish, "in.other.0.acme.doc.a"));
        let names = |list: &[String]| list.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!(
            names(&edge.publish),
            edge.publish.len(),
            "nothing stands twice"
        );
    }

    #[test]
    fn nobody_changes_streams_or_writes_what_another_writes() {
        for role in Role::ALL {
            for call in ["DELETE", "PURGE", "UPDATE", "CREATE", "MSG.DELETE"] {
                for stream in ["EVENTS-main", "INGRESS-main", "KV_LEASES"] {
                    assert!(!may_publish(
                        role,
                        &format!("$JS.API.STREAM.{call}.{stream}")
                    ));
                }
            }
            assert!(!may_publish(role, "fan.main.0.acme.chat.a"));
            assert!(!may_publish(role, "in.other.0.acme.chat.a"));
            assert!(!may_publish(role, "$KV.FUNCTIONS.gate"));
            assert!(!may_publish(role, "$KV.FUNCTIONS.gate.3"));
            let judges = may_publish(role, "$KV.FUNCTIONS.gate.judged");
            assert_eq!(judges, role == Role::Worker);
            assert!(!may_publish(role, "log.other.gate"));
            assert!(
                !may_publish(role, "$JS.API.DIRECT.GET.LOGS-main"),
                "what functions write is for people"
            );
            assert!(!may_publish(role, "$KV.CONFIG.namespace.doc"));
            let elsewhere = "$KV.PRESENCE.member.00000000000000ab.other.acme.doc.a";
            assert!(!may_publish(role, elsewhere), "in no store of its own");
            for bucket in ["REVOCATIONS", "DISCONNECTS"] {
                let writes = may_publish(role, &format!("$KV.{bucket}.acme.user.YW5u"));
                assert_eq!(writes, role == Role::Edge, "{bucket}");
            }
            for edges in [
                "in.main.0.acme.doc.a",
                "req.main.0.acme.doc.a",
                "eph.main.0.acme.doc.a",
                "$KV.PRESENCE.node.00000000000000ab",
                "$KV.PRESENCE.member.00000000000000ab.main.acme.doc.a",
                "$JS.API.DIRECT.GET.KV_PRESENCE",
            ] {
                assert_eq!(may_publish(role, edges), role == Role::Edge);
            }
            assert!(role == Role::Edge || !may_publish(role, "_INBOX_edge.1"));
            let hears = permissions(role).subscribe;
            let follows = hears
                .iter()
                .any(|filter| matches(filter, "eph.main.0.acme.doc.a"));
            assert_eq!(follows, role == Role::Edge);
            let present = "pres.member.00000000000000ab.main.acme.doc.a";
            let follows = hears.iter().any(|filter| matches(filter, present));
            assert_eq!(follows, role == Role::Edge);
            let hears = hears
                .iter()
                .any(|filter| matches(filter, "req.main.0.acme.doc.a"));
            assert_eq!(hears, role == Role::Worker);
            for own in [
                "ck.main.0.gate",
                "st.main.0.gate.0.acme.a",
                "fence.main.0.gate.0",
                "log.main.gate",
            ] {
                assert_eq!(may_publish(role, own), role == Role::Worker);
            }
            assert_eq!(
                may_publish(role, "ev.main.0.acme.chat.a"),
                role != Role::Bridge
            );
        }
    }
}
