//! JetStream's error codes by what the caller does about them.
//!
//! Owns nothing. Source: `server/errors.json` of nats-server 2.15, which has the codes
//! 10002 to 10226; a code that a later server adds is judged by its status.

/// What a refusal means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nothing was done, and the same call may succeed later.
    NotNow,
    /// Nothing was done, and the same call will be refused again.
    Refused,
    /// What was named does not exist.
    Missing,
    /// A condition on the last sequence does not hold.
    Guard,
    /// A batch holds an id that is stored already.
    Duplicate,
    /// As many batches are open as may be.
    BatchBusy,
    /// The server has not, or no longer, the messages of the batch.
    BatchAbandoned,
}

/// The first and the last code that the table knows.
const KNOWN: std::ops::RangeInclusive<u64> = 10_002..=10_226;

/// No resources, no leader, not in step yet, offline, overloaded, or a failure that the
/// server itself calls general; the comments give the server's constants.
const NOT_NOW: &[u64] = &[
    10_002, // JSAccountResourcesExceeded: age or a larger limit frees some
    10_004, // JSClusterIncomplete
    10_005, // JSClusterNoPeers
    10_007, // JSClusterNotAssigned
    10_008, // JSClusterNotAvail
    10_009, // JSClusterNotLeader
    10_012, // JSConsumerCreate
    10_023, // JSInsufficientResources
    10_026, // JSMaximumConsumersLimit: consumers come and go
    10_028, // JSMemoryResourcesExceeded
    10_039, // JSNotEnabledForAccount: also while a server starts
    10_041, // JSRaftGeneral
    10_047, // JSStorageResourcesExceeded
    10_048, // JSStreamAssignment
    10_049, // JSStreamCreate
    10_051, // JSStreamGeneralError
    10_075, // JSPeerRemap
    10_076, // JSNotEnabled: also while a server starts, or after its disk was full
    10_077, // JSStreamStoreFailed
    10_104, // JSConsumerStoreFailed
    10_118, // JSStreamOffline
    10_119, // JSConsumerOffline
    10_124, // JSStreamMoveInProgress
    10_158, // JSStreamDuplicateMessageConflict: another with this id is being stored
    10_163, // JSStreamExpectedLastSeqPerSubjectNotReady
    10_167, // JSStreamTooManyRequests: the stream's inbound queue is full
    10_180, // JSStreamMinLastSeq: the replica that was asked lags
    10_194, // JSStreamOfflineReason
    10_195, // JSConsumerOfflineReason
    10_202, // JSClusterServerMemberChangeInflight
    10_211, // JSBatchPublishTooManyInflight
    10_226, // JSStreamReconfigureInProgress
];

/// What a code means; for a code that is not in the table, what its status means
/// (RFC 9110: 408, 429 and the 5xx ask for another try).
pub(crate) fn class(code: u64, status: u64) -> Class {
    match code {
        10_014 | 10_037 | 10_059 | 10_149 => Class::Missing,
        10_071 | 10_164 => Class::Guard,
        10_201 => Class::Duplicate,
        10_210 => Class::BatchBusy,
        10_176 => Class::BatchAbandoned,
        code if NOT_NOW.contains(&code) => Class::NotNow,
        code if KNOWN.contains(&code) => Class::Refused,
        _ if matches!(status, 408 | 429 | 500..=599) => Class::NotNow,
        _ => Class::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overload_and_ids_in_process_are_not_now() {
        for code in [10_002, 10_005, 10_158, 10_167, 10_008, 10_077] {
            assert_eq!(class(code, 400), Class::NotNow, "{code}");
        }
    }

    #[test]
    fn what_will_never_do_is_refused_whatever_its_status() {
        // Wrong settings, a sealed stream, headers too long, a batch too large.
        for code in [10_052, 10_109, 10_097, 10_199, 10_074] {
            assert_eq!(class(code, 500), Class::Refused, "{code}");
        }
    }

    #[test]
    fn a_code_of_a_later_server_is_judged_by_its_status() {
        assert_eq!(class(10_900, 503), Class::NotNow);
        assert_eq!(class(10_900, 429), Class::NotNow);
        assert_eq!(class(10_900, 400), Class::Refused);
        assert_eq!(class(404, 404), Class::Refused, "a status without a code");
    }

    #[test]
    fn the_list_is_sorted_and_within_the_known_codes() {
        assert!(NOT_NOW.is_sorted_by(|a, b| a < b));
        assert!(NOT_NOW.iter().all(|code| KNOWN.contains(code)));
    }
}
