//! Matching of `tenant/channel` against patterns with NATS wildcards.
//!
//! State: none.
//! Must not know: records.

/// Whether `pattern` matches `channel`: `*` stands for one token, a final `>` for one or more.
/// Tokens are joined by `.`; the tenant and the channel's first token are joined by `/`.
pub(crate) fn matches(pattern: &str, channel: &str) -> bool {
    let mut wanted = pattern.split(['/', '.']);
    let mut tokens = channel.split(['/', '.']);
    loop {
        match (wanted.next(), tokens.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some("*"), Some(_)) => {}
            (Some(want), Some(token)) if want == token => {}
            _ => return false,
        }
    }
}
