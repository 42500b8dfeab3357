//! How a version on trial, and how the last trial ended, are told. Owns nothing.

use std::time::Duration;

use protocol::spec::{Canary, Judgement, Verdict};

use crate::output::{harmless, thousands};
use crate::table::{ago, share, when};

/// A version on trial, and its terms.
pub(super) fn under_way(canary: &Canary, now_us: u64) -> String {
    let Canary {
        permille,
        candidate,
        events_min,
        for_ms,
    } = canary;
    format!(
        "version {} on {} of the channels, since {}; promoted after {} events and {} unless it \
         does worse",
        candidate.version,
        share(*permille),
        when(candidate.deployed.as_ref(), now_us),
        thousands(*events_min),
        humantime::format_duration(Duration::from_millis(*for_ms)),
    )
}

/// How a trial ended.
pub(super) fn ended(judgement: &Judgement, now_us: u64) -> String {
    let what = match judgement.verdict {
        Verdict::Promoted => "promoted",
        Verdict::RolledBack => "taken back",
    };
    format!(
        "version {} {what} {} by {}: {}",
        judgement.version,
        ago(judgement.at_us, now_us),
        harmless(&judgement.by),
        harmless(&judgement.reason)
    )
}
