//! Looking at the topics of a shard: all that the progress record names when a run
//! starts, new ones before they are written, and all of them again every so often.
//! An answer of one broker that does not know a topic is never believed at once.
//!
//! Owns nothing; what follows from a finding is the caller's.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use protocol::stream::StreamName;

use super::topics::{Recorded, Topics, Trouble};
use crate::config::OnBrokenTopic;
use crate::kafka::admin::{Admin, TopicError};
use crate::kafka::describe::Description;

/// Topics whose records are looked at beside each other; each needs a client of its
/// own for a moment.
const LOOKS_MAX: usize = 8;

/// What was found of one topic.
pub(super) type Finding = (String, Result<Description, Trouble>);

/// Looks at every topic that the progress record names.
///
/// # Errors
/// [`TopicError`]: Kafka does not say; temporary.
pub(super) async fn begin(
    admin: &Admin,
    topics: &mut Topics,
    policy: OnBrokenTopic,
) -> Result<Vec<Finding>, TopicError> {
    let recorded = topics.recorded().clone();
    let mut findings = Vec::with_capacity(recorded.len());
    let mut adopted = Vec::new();
    for (topic, finding) in again(admin, &recorded, true).await? {
        let finding = match finding {
            // The progress record came with the topic's first record.
            Ok(found)
                if recorded[&topic].id.is_none()
                    && !admin.was_written(&topic, found.partitions).await? =>
            {
                Err(Trouble::Anew {
                    topic: topic.clone(),
                })
            }
            finding => finding,
        };
        match finding {
            Err(Trouble::Anew { .. }) if policy == OnBrokenTopic::Adopt => adopted.push(topic),
            // Its next event has it made.
            Err(Trouble::Gone { .. }) if policy == OnBrokenTopic::Adopt => topics.adopt(&topic),
            finding => findings.push((topic, finding)),
        }
    }
    findings.extend(adopt(admin, topics, &adopted).await?);
    Ok(findings)
}

/// Takes topics that were made anew as they are. They may hold events of this stream
/// that were written before anybody noticed; those are in the gap, and none of them is
/// written again.
async fn adopt(
    admin: &Admin,
    topics: &mut Topics,
    names: &[String],
) -> Result<Vec<Finding>, TopicError> {
    let mut differences = admin.differences(names).await?;
    let found = admin.find(names).await?;
    let findings = found.into_iter().map(|(topic, found)| {
        topics.adopt(&topic);
        let finding = match differences.remove(&topic) {
            Some(difference) => Err(Trouble::Ground(difference)),
            None => Ok(found),
        };
        (topic, finding)
    });
    Ok(findings.collect())
}

/// Looks again at topics that are recorded; at their settings too if so asked.
///
/// # Errors
/// As [`begin`].
pub(super) async fn again(
    admin: &Admin,
    recorded: &BTreeMap<String, Recorded>,
    settings: bool,
) -> Result<Vec<Finding>, TopicError> {
    let names: Vec<String> = recorded.keys().cloned().collect();
    let found = admin.find(&names).await?;
    let mut differences = if settings {
        admin.differences(&names).await?
    } else {
        BTreeMap::new()
    };
    let findings = recorded.iter().map(|(topic, recorded)| {
        let description = found.get(topic);
        let trouble = recorded
            .trouble(topic, description)
            .or_else(|| differences.remove(topic).map(Trouble::Ground));
        let finding = match (trouble, description) {
            (None, Some(description)) => Ok(description.clone()),
            (Some(trouble), _) => Err(trouble),
            (None, None) => Err(Trouble::Gone {
                topic: topic.clone(),
            }),
        };
        (topic.clone(), finding)
    });
    Ok(findings.collect())
}

/// Makes sure of topics of which the progress record does not speak: those that do
/// not exist are made. Call it outside a transaction: hundreds of them take longer
/// than one may live. Cancel safe.
///
/// # Errors
/// As [`begin`].
pub(super) async fn resolve(
    admin: &Arc<Admin>,
    stream: &StreamName,
    topics: &[String],
) -> Result<Vec<Finding>, TopicError> {
    let mut there = admin.describe(topics).await?;
    let missing: Vec<_> = topics
        .iter()
        .filter(|topic| !there.contains_key(*topic))
        .cloned()
        .collect();
    let mut made = admin.create_events(&missing).await?;
    // The broker that was asked did not know them, or another mirror was faster.
    for topic in made.existed {
        there.extend(made.found.remove_entry(&topic));
    }
    let mut findings: Vec<Finding> = made
        .refused
        .into_iter()
        .map(|(topic, problem)| (topic.clone(), Err(Trouble::Refused { topic, problem })))
        .collect();
    findings.extend(
        made.found
            .into_iter()
            .map(|(topic, found)| (topic, Ok(found))),
    );
    findings.extend(existing(admin, stream, there).await?);
    Ok(findings)
}

/// Only a crash in the topic's first transaction leaves one of ours that is not
/// recorded, and that transaction was aborted.
async fn existing(
    admin: &Arc<Admin>,
    stream: &StreamName,
    there: BTreeMap<String, Description>,
) -> Result<Vec<Finding>, TopicError> {
    let names: Vec<String> = there.keys().cloned().collect();
    let differences = admin.differences(&names).await?;
    let looks = there.into_iter().map(|(topic, found)| {
        let difference = differences.get(&topic).cloned();
        async move {
            let free = admin.is_free(&topic, found.partitions, stream).await?;
            let finding = match difference {
                _ if !free => Err(Trouble::Foreign {
                    topic: topic.clone(),
                }),
                Some(difference) => Err(Trouble::Ground(difference)),
                None => Ok(found),
            };
            Ok((topic, finding))
        }
    });
    stream::iter(looks)
        .buffer_unordered(LOOKS_MAX)
        .try_collect()
        .await
}
