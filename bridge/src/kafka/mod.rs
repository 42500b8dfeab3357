//! Kafka as the bridge uses it: settings, topics, watermarks, partitions, and the
//! transactional producer. Owns no state of the mirror; knows nothing of JetStream.

pub(crate) mod admin;
pub(crate) mod contents;
pub(crate) mod context;
pub(crate) mod describe;
pub(crate) mod fault;
pub(crate) mod ground;
pub(crate) mod partitioner;
pub(crate) mod raw;
pub(crate) mod settings;
pub(crate) mod times;
pub(crate) mod watermark;
