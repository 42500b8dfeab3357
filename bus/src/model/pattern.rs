//! Subjects against filters, by NATS's rules. Pure.

/// Whether a subject lies under a filter: `*` is one token, `>` at the end one or more.
pub(super) fn matches(filter: &str, subject: &str) -> bool {
    let mut wanted = filter.split('.');
    let mut tokens = subject.split('.');
    loop {
        match (wanted.next(), tokens.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some("*"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// Whether a filter names more than one subject.
pub(super) fn is_wild(filter: &str) -> bool {
    filter.split('.').any(|token| token == "*" || token == ">")
}

/// A subject under `source` as it is called under `target`; both end with `>`.
pub(super) fn mapped(source: &str, target: &str, subject: &str) -> Option<String> {
    let rest = subject.strip_prefix(source.strip_suffix('>')?)?;
    Some(format!("{}{rest}", target.strip_suffix('>')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_wildcards() {
        for (filter, subject, wanted) in [
            ("ev.main.>", "ev.main.0.acme.doc", true),
            ("ev.main.>", "ev.main", false),
            ("ev.main.>", "ev.mainer.0", false),
            ("ev.*.0", "ev.main.0", true),
            ("ev.*", "ev.main.0", false),
            ("ev.main.0", "ev.main.0", true),
            ("ev.main.0", "ev.main", false),
        ] {
            assert_eq!(matches(filter, subject), wanted, "{filter} {subject}");
        }
        assert_eq!(
            mapped("ev.main.>", "fan.main.>", "ev.main.0.a").as_deref(),
            Some("fan.main.0.a")
        );
        assert_eq!(mapped("ev.main.>", "fan.main.>", "ck.main.0"), None);
    }
}
