//! What topics are, by librdkafka's own call: id and partitions of many at once.
//! The safe wrapper has no such call, and topic ids are what tells a topic from
//! another one of the same name.
//!
//! Blocks. Owns nothing beyond a call; knows nothing of what topics hold.

#![allow(
    unsafe_code,
    reason = "librdkafka is a C library; rdkafka has no safe call that describes topics"
)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Beyond the request's own time-out, which librdkafka keeps: the answer's way.
const ANSWER_SLACK: Duration = Duration::from_secs(1);

/// A topic as one broker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    /// Kafka's id of it; empty from a broker that has none.
    pub id: String,
    /// Its partitions.
    pub partitions: i32,
}

/// Describes topics; those that the broker which happens to be asked does not know
/// are left out.
///
/// # Errors
/// The request failed, or one topic cannot be described; temporary.
pub(super) fn describe<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
    limit: Duration,
) -> Result<BTreeMap<String, Description>, KafkaError> {
    if topics.is_empty() {
        return Ok(BTreeMap::new());
    }
    let texts: Vec<CString> = topics
        .iter()
        .map(|topic| CString::new(topic.as_str()))
        .collect::<Result<_, _>>()?;
    let mut names: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    let client = client.native_ptr();
    // SAFETY: the client is borrowed for the whole call, the names live as long as their strings;
    // whatever is made here is destroyed here, the event last, because all answers
    // live in it.
    unsafe {
        let queue = sys::rd_kafka_queue_new(client);
        let options = sys::rd_kafka_AdminOptions_new(
            client,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        sys::rd_kafka_AdminOptions_set_request_timeout(options, millis(limit), ptr::null_mut(), 0);
        let wanted = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        sys::rd_kafka_DescribeTopics(client, wanted, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, millis(limit + ANSWER_SLACK));
        let answer = if event.is_null() {
            Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))
        } else {
            read(event)
        };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_TopicCollection_destroy(wanted);
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// # Safety
/// `event` is a live event.
unsafe fn read(
    event: *mut sys::rd_kafka_event_t,
) -> Result<BTreeMap<String, Description>, KafkaError> {
    // SAFETY: the event lives for the whole call, and every answer as long as it;
    // pointers that may be null are looked at first.
    unsafe {
        let error = sys::rd_kafka_event_error(event);
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if error != Code::RD_KAFKA_RESP_ERR_NO_ERROR || result.is_null() {
            return Err(KafkaError::AdminOp(error.into()));
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        let mut found = BTreeMap::new();
        for at in 0..count {
            let topic = *topics.add(at);
            match sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic)) {
                Code::RD_KAFKA_RESP_ERR_NO_ERROR => {
                    let name = CStr::from_ptr(sys::rd_kafka_TopicDescription_name(topic));
                    found.insert(name.to_string_lossy().into_owned(), description(topic));
                }
                Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                | Code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC => {}
                code => return Err(KafkaError::AdminOp(code.into())),
            }
        }
        Ok(found)
    }
}

/// # Safety
/// `topic` is a live description without an error.
unsafe fn description(topic: *const sys::rd_kafka_TopicDescription_t) -> Description {
    // SAFETY: as the caller says; the id and its text live as long as the topic.
    unsafe {
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let known = !id.is_null()
            && (sys::rd_kafka_Uuid_most_significant_bits(id) != 0
                || sys::rd_kafka_Uuid_least_significant_bits(id) != 0);
        let id = if known {
            CStr::from_ptr(sys::rd_kafka_Uuid_base64str(id))
                .to_string_lossy()
                .into_owned()
        } else {
            String::new()
        };
        Description {
            id,
            partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
        }
    }
}

fn millis(limit: Duration) -> c_int {
    c_int::try_from(limit.as_millis()).unwrap_or(c_int::MAX)
}
