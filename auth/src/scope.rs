//! What a token allows: actions on channels. Pure.

use protocol::name::{Channel, ChannelPattern, User};

use crate::error::AuthError;
use crate::limits::SCOPES_MAX;

/// Stands in a pattern, as a whole token, for the token's own user.
pub const USER_PLACEHOLDER: &str = "{user}";

/// What a scope allows to do with a channel, or to a tenant's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Publish events.
    Publish,
    /// Subscribe, and read history.
    Subscribe,
    /// Replay events over gRPC.
    Replay,
    /// Replay what publishers sent, before any function, and what became of it.
    Inputs,
    /// Follow single events' ways: where and when, and what became of them.
    Trace,
    /// Disconnect and revoke; the pattern is of operations, not of channels.
    Manage,
    /// Hear when a channel is occupied and vacated.
    Lifecycle,
}

impl Action {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "publish" => Some(Self::Publish),
            "subscribe" => Some(Self::Subscribe),
            "replay" => Some(Self::Replay),
            "inputs" => Some(Self::Inputs),
            "trace" => Some(Self::Trace),
            "manage" => Some(Self::Manage),
            "lifecycle" => Some(Self::Lifecycle),
            _ => None,
        }
    }

    /// The action as a scope names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Replay => "replay",
            Self::Inputs => "inputs",
            Self::Trace => "trace",
            Self::Manage => "manage",
            Self::Lifecycle => "lifecycle",
        }
    }
}

/// What a token allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<(Action, ChannelPattern)>);

impl Scopes {
    /// Reads `action:pattern` texts. An action that this version does not know
    /// grants nothing. [`USER_PLACEHOLDER`] becomes the user as one channel token
    /// ([`User::token`]); one that starts with `_` is reserved, and matches nothing.
    ///
    /// # Errors
    /// [`AuthError::Scope`] names the first text whose shape or pattern is wrong.
    pub fn parse<S: AsRef<str>>(texts: &[S], user: &User) -> Result<Self, AuthError> {
        if texts.len() > SCOPES_MAX {
            return Err(AuthError::TooManyScopes);
        }
        let mut scopes = Vec::with_capacity(texts.len());
        for text in texts {
            let text = text.as_ref();
            let wrong = || AuthError::Scope {
                scope: text.chars().take(100).collect(),
            };
            let (action, pattern) = text.split_once(':').ok_or_else(wrong)?;
            let pattern = filled(pattern, user);
            let pattern = ChannelPattern::parse(&pattern).map_err(|_| wrong())?;
            scopes.extend(Action::parse(action).map(|action| (action, pattern)));
        }
        Ok(Self(scopes))
    }

    /// What [`Self::parse`] reads, with the user where the placeholder stood.
    pub(crate) fn texts(&self) -> Vec<String> {
        let scopes = self.0.iter();
        scopes
            .map(|(action, pattern)| format!("{}:{pattern}", action.as_str()))
            .collect()
    }

    /// Whether the action is allowed on the channel.
    pub fn allows(&self, action: Action, channel: &Channel) -> bool {
        self.0
            .iter()
            .any(|(granted, pattern)| *granted == action && pattern.matches(channel))
    }
}

/// The pattern with the user where the placeholder stands. Only a whole token is one:
/// a part of a token would let one user's name end in another's.
fn filled(pattern: &str, user: &User) -> String {
    let tokens = pattern.split('.').map(|token| match token {
        USER_PLACEHOLDER => user.token(),
        token => token.to_owned(),
    });
    tokens.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(texts: &[&str], user: &str) -> Result<Scopes, AuthError> {
        Scopes::parse(texts, &User::parse(user).unwrap())
    }

    fn allows(scopes: &Scopes, action: Action, channel: &str) -> bool {
        scopes.allows(action, &Channel::parse(channel).unwrap())
    }

    #[test]
    fn actions_and_patterns_grant_what_they_say_and_no_more() {
        let some = scopes(&["publish:doc.>", "subscribe:*.a", "presence:>"], "ann").unwrap();
        assert!(allows(&some, Action::Publish, "doc.a"));
        assert!(!allows(&some, Action::Publish, "chat.a"));
        assert!(allows(&some, Action::Subscribe, "chat.a"));
        assert!(!allows(&some, Action::Replay, "doc.a"));
        let all = scopes(&["publish:>", "subscribe:>", "replay:>"], "ann").unwrap();
        assert!(!allows(&all, Action::Lifecycle, "doc.a"));
        assert!(!allows(&all, Action::Inputs, "doc.a"));
        assert!(!allows(&all, Action::Manage, "revoke"));
        let one = scopes(&["manage:disconnect"], "ann").unwrap();
        assert!(allows(&one, Action::Manage, "disconnect"));
        assert!(!allows(&one, Action::Manage, "revoke"));
        let inputs = scopes(&["inputs:doc.>"], "ann").unwrap();
        assert!(allows(&inputs, Action::Inputs, "doc.a"));
        assert!(!allows(&inputs, Action::Replay, "doc.a"));
        assert!(!allows(&Scopes::default(), Action::Publish, "doc.a"));
    }

    #[test]
    fn the_placeholder_is_the_user_as_one_token_and_nobody_else() {
        let own = scopes(&["subscribe:inbox.{user}.>"], "ann@x.org").unwrap();
        let may = |channel: &str| allows(&own, Action::Subscribe, channel);
        assert!(may("inbox.ann_40x_2eorg.new"));
        for other in [
            "inbox.ann_40x_2eorg",
            "inbox.bob.new",
            "inbox.ann.new",
            "inbox.ann.x.org",
        ] {
            assert!(!may(other), "{other}");
        }
        // Names that would be wildcards, or several tokens, are neither.
        for (user, channel) in [(">", "inbox.a.b"), ("*", "inbox.a.b"), ("a.b", "inbox.a.b")] {
            let own = scopes(&["subscribe:inbox.{user}.>"], user).unwrap();
            assert!(!allows(&own, Action::Subscribe, channel), "{user}");
        }
    }

    #[test]
    fn a_user_whose_token_is_reserved_gets_nothing_by_the_placeholder() {
        for user in ["@ann".to_owned(), "a".repeat(62)] {
            let own = scopes(&["publish:inbox.{user}"], &user).unwrap();
            let token = User::parse(&user).unwrap().token();
            assert!(token.starts_with('_'));
            assert!(!allows(&own, Action::Publish, &format!("inbox.{token}")));
        }
    }

    #[test]
    fn a_placeholder_is_a_whole_token() {
        for text in [
            "publish:inbox-{user}",
            "publish:{user}x.>",
            "publish:{users}",
            "publish:{tenant}.>",
            "publish:{{user}}",
        ] {
            assert!(
                matches!(scopes(&[text], "ann"), Err(AuthError::Scope { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn shapes_and_numbers_within_and_beyond() {
        for wrong in ["publish", "publish:a.>.b", "publish:", "publish:a b"] {
            assert!(matches!(
                scopes(&[wrong], "ann"),
                Err(AuthError::Scope { .. })
            ));
        }
        let most = vec!["publish:a"; SCOPES_MAX];
        assert!(scopes(&most, "ann").is_ok());
        let more = [most.as_slice(), &["publish:a"]].concat();
        assert_eq!(scopes(&more, "ann"), Err(AuthError::TooManyScopes));
    }
}
