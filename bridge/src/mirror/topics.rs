//! The topics of one shard and their partitions. A topic's partitions are fixed when
//! the mirror first writes it; the progress record remembers them, because a key's
//! order holds only as long as they stay.
//!
//! Owns the list for one session; the progress record is where it lives.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use protocol::stream::StreamName;

use crate::kafka::admin::{Admin, TopicError};

/// Why a topic cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// Kafka did not create it or say what it is; temporary.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// Its partitions are not those that the mirror began with: keys would change
    /// their partition and lose their order. Remedy: another topic prefix, which
    /// mirrors everything anew.
    #[error("topic {topic} has {found} partitions, the mirror began with {recorded}")]
    Partitions {
        /// The topic.
        topic: String,
        /// As the progress record says.
        recorded: i32,
        /// As Kafka says; 0: there is no such topic.
        found: i32,
    },
    /// It is as it was made, although the mirror has written it: somebody has deleted
    /// it and made it anew, and what was mirrored into it is gone. Remedy as above.
    #[error("topic {topic} was made anew: what had been mirrored into it is gone")]
    Anew {
        /// The topic.
        topic: String,
    },
    /// It holds records of this stream, or of somebody who is no mirror, of which the
    /// progress record does not speak: the progress was lost, and mirroring again would
    /// write everything twice, or the topic is not ours. Remedy as above.
    #[error("topic {topic} holds records that the mirror's progress does not speak of")]
    Foreign {
        /// The topic.
        topic: String,
    },
}

/// The topics that a session has made sure of.
pub(crate) struct Topics {
    admin: Arc<Admin>,
    stream: StreamName,
    known: HashMap<Arc<str>, i32>,
    recorded: BTreeMap<String, i32>,
}

impl Topics {
    /// Checks every topic that the progress record names.
    ///
    /// # Errors
    /// [`TopicsError::Partitions`] or [`TopicsError::Anew`] for the first that has changed.
    pub(crate) async fn verify(
        admin: Arc<Admin>,
        stream: StreamName,
        recorded: BTreeMap<String, i32>,
    ) -> Result<Self, TopicsError> {
        let mut known = HashMap::new();
        for (topic, count) in &recorded {
            let found = admin.partitions(topic).await?.unwrap_or(0);
            same(topic, *count, found)?;
            // The progress record came with the topic's first record.
            if !admin.was_written(topic, found).await? {
                return Err(TopicsError::Anew {
                    topic: topic.clone(),
                });
            }
            known.insert(Arc::from(topic.as_str()), found);
        }
        Ok(Self {
            admin,
            stream,
            known,
            recorded,
        })
    }

    /// A topic's partitions; it is made if there is none. Cancel safe.
    ///
    /// # Errors
    /// [`TopicsError`].
    pub(crate) async fn ensure(&mut self, topic: &Arc<str>) -> Result<i32, TopicsError> {
        if let Some(count) = self.known.get(topic) {
            return Ok(*count);
        }
        // Only a crash in the topic's first transaction leaves one that is not recorded,
        // and that transaction was aborted.
        let found = match self.admin.partitions(topic).await? {
            None => self.admin.create_events(topic).await?,
            Some(count) if self.admin.is_free(topic, count, &self.stream).await? => count,
            Some(_) => {
                return Err(TopicsError::Foreign {
                    topic: topic.to_string(),
                });
            }
        };
        self.recorded.insert(topic.to_string(), found);
        self.known.insert(topic.clone(), found);
        Ok(found)
    }

    /// What the next progress record says.
    pub(crate) fn recorded(&self) -> &BTreeMap<String, i32> {
        &self.recorded
    }
}

fn same(topic: &str, recorded: i32, found: i32) -> Result<(), TopicsError> {
    if recorded == found {
        Ok(())
    } else {
        Err(TopicsError::Partitions {
            topic: topic.into(),
            recorded,
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_number_of_partitions_is_named() {
        assert!(same("t", 6, 6).is_ok());
        assert_eq!(
            same("t", 6, 8).unwrap_err().to_string(),
            "topic t has 8 partitions, the mirror began with 6"
        );
    }
}
