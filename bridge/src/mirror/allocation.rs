//! Which partition of the progress topic belongs to which shard: given out once, by
//! compare-and-set in `CONFIG`, never by a hash. Two shards in one partition would
//! hide each other's records behind an open transaction.

use std::collections::BTreeMap;

use bus::{BusError, Kv};
use protocol::stream::StreamName;

/// Key in `CONFIG`: by progress topic, the partition of each stream.
const KEY: &str = "mirror.partitions";

type Allocations = BTreeMap<String, BTreeMap<StreamName, i32>>;

/// Partitions of one progress topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// By stream; holds at least the streams that were asked for.
    pub of: BTreeMap<StreamName, i32>,
    /// Partitions that the topic must have.
    pub partitions: i32,
}

/// Looks up the streams' partitions, giving out those that are missing.
///
/// # Errors
/// Those of the bus; [`BusError::Malformed`] if the key holds something else.
pub(crate) async fn allocate(
    config: &Kv,
    topic: &str,
    streams: &[StreamName],
) -> Result<Allocation, BusError> {
    loop {
        let found = config.get(KEY).await?;
        let mut all = match &found {
            Some((value, _)) => {
                serde_json::from_slice(value).map_err(|_| BusError::Malformed { what: KEY })?
            }
            None => Allocations::new(),
        };
        let changed = complete(all.entry(topic.to_owned()).or_default(), streams);
        let written = if changed {
            let value = serde_json::to_vec(&all).expect("names and numbers encode");
            match found {
                Some((_, revision)) => config.update(KEY, value.into(), revision).await,
                None => config.create(KEY, value.into()).await,
            }
        } else {
            Ok(0)
        };
        match written {
            Ok(_) => {
                let of = all.remove(topic).unwrap_or_default();
                let partitions = of.values().max().map_or(1, |last| last + 1);
                return Ok(Allocation { of, partitions });
            }
            // Another process was quicker; look again at what it wrote.
            Err(BusError::Conflict | BusError::Exists) => {}
            Err(error) => return Err(error),
        }
    }
}

fn complete(of: &mut BTreeMap<StreamName, i32>, streams: &[StreamName]) -> bool {
    let mut changed = false;
    for stream in streams {
        if !of.contains_key(stream) {
            let next = of.values().max().map_or(0, |last| last + 1);
            of.insert(stream.clone(), next);
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use protocol::name::StoreName;

    use super::*;

    #[test]
    fn partitions_are_given_out_once_and_never_shared() {
        let store = |name: &str| StoreName::parse(name).unwrap();
        let main = [
            StreamName::ingress(&store("main")),
            StreamName::events(&store("main")),
        ];
        let other = [StreamName::ingress(&store("other"))];
        let mut of = BTreeMap::new();
        assert!(complete(&mut of, &main));
        let before = of.clone();
        assert!(!complete(&mut of, &main));
        assert!(complete(&mut of, &other));
        assert_eq!((of[&main[0]], of[&main[1]], of[&other[0]]), (0, 1, 2));
        assert!(
            before
                .iter()
                .all(|(stream, partition)| of[stream] == *partition)
        );
    }
}
