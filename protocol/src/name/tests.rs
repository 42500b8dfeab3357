use proptest::prelude::*;

use super::*;

#[test]
fn channels_within_and_beyond_each_limit() {
    assert!(Channel::parse(&"a".repeat(64)).is_ok());
    assert!(matches!(
        Channel::parse(&"a".repeat(65)),
        Err(NameError::TooLong { bytes: 65, .. })
    ));
    assert!(Channel::parse(&["a"; 16].join(".")).is_ok());
    assert!(matches!(
        Channel::parse(&["a"; 17].join(".")),
        Err(NameError::TooManyTokens { tokens: 17, .. })
    ));
    let longest = format!(
        "{}.{}.{}.{}",
        "a".repeat(64),
        "b".repeat(64),
        "c".repeat(64),
        "d".repeat(5)
    );
    assert_eq!(longest.len(), 200);
    assert!(Channel::parse(&longest).is_ok());
    assert!(matches!(
        Channel::parse(&format!("{longest}d")),
        Err(NameError::TooLong { bytes: 201, .. })
    ));
}

#[test]
fn reserved_tokens_are_for_the_system_alone() {
    assert!(Channel::parse("_outcome.a.b").is_ok());
    assert_eq!(
        Channel::for_client("doc._x"),
        Err(NameError::Reserved { field: "channel" })
    );
    let everything = ChannelPattern::parse(">").unwrap();
    assert!(everything.matches(&Channel::parse("doc.a").unwrap()));
    assert!(!everything.matches(&Channel::parse("_outcome.a.b").unwrap()));
}

#[test]
fn patterns_match_as_in_nats() {
    let check = |pattern: &str, channel: &str| {
        ChannelPattern::parse(pattern)
            .unwrap()
            .matches(&Channel::parse(channel).unwrap())
    };
    assert!(check("doc.*", "doc.a"));
    assert!(!check("doc.*", "doc"));
    assert!(!check("doc.*", "doc.a.b"));
    assert!(check("doc.>", "doc.a.b"));
    assert!(!check("doc.>", "doc"));
    assert!(check("*.a.>", "x.a.b"));
    assert!(!check("doc.a", "doc.b"));
    assert!(ChannelPattern::parse("doc.>.a").is_err());
}

#[test]
fn an_outcome_channel_belongs_to_its_user() {
    let (alice, bob) = (
        User::parse("alice@example.org").unwrap(),
        User::parse("bob").unwrap(),
    );
    let client = ClientId::parse("c1").unwrap();
    let channel = Channel::outcome(&alice, &client, &Channel::parse("doc.42").unwrap());
    assert_eq!(channel.as_str(), "_outcome.alice_40example_2eorg.c1.doc");
    assert_eq!(channel.outcomes_of(), Some("doc"));
    assert!(channel.is_outcome_of(&alice));
    assert!(!channel.is_outcome_of(&bob));
    for other in ["_outcome.bob.c1", "_outcome.bob.c1.doc.x", "doc.bob.c1.doc"] {
        assert_eq!(
            Channel::parse(other).unwrap().outcomes_of(),
            None,
            "{other}"
        );
    }
}

#[test]
fn a_key_stands_for_a_writer_that_no_client_can_name() {
    let writer = ClientId::of_key("order-17");
    assert_eq!(ClientId::parse(writer.as_str()), Ok(writer.clone()));
    assert!(ClientId::for_client(writer.as_str()).is_err());
    assert!(ClientId::for_client("tab_1").is_ok());
    assert_ne!(writer, ClientId::of_key("order-18"));
}

#[test]
fn the_longest_outcome_channel_is_a_channel() {
    let long = |c: char, n| String::from(c).repeat(n);
    let client = ClientId::parse(&long('c', TOKEN_BYTES_MAX)).unwrap();
    let of = Channel::parse(&long('n', TOKEN_BYTES_MAX)).unwrap();
    for (bytes, hashed) in [
        (USER_TOKEN_BYTES_MAX, false),
        (USER_TOKEN_BYTES_MAX + 1, true),
    ] {
        let user = User::parse(&long('u', bytes)).unwrap();
        assert_eq!(user.token().starts_with("_h"), hashed);
        let channel = Channel::outcome(&user, &client, &of);
        assert_eq!(Channel::parse(channel.as_str()), Ok(channel));
    }
}

proptest! {
    #[test]
    fn any_text_is_a_channel_of_safe_tokens_or_an_error(text in ".{0,220}") {
        if let Ok(channel) = Channel::parse(&text) {
            prop_assert!(channel.as_str().split('.').all(|t| !t.is_empty() && t.chars().all(is_token_char)));
        }
    }

    #[test]
    fn a_user_token_is_a_token_and_tells_users_apart(a in "[^\\p{Cc}]{1,32}", b in "[^\\p{Cc}]{1,32}") {
        let (a, b) = (User::parse(&a), User::parse(&b));
        if let (Ok(a), Ok(b)) = (a, b) {
            prop_assert!(check_token("user", &a.token()).is_ok());
            prop_assert_eq!(a == b, a.token() == b.token());
        }
    }
}

#[test]
fn patterns_overlap_where_one_channel_is_covered_by_both() {
    let pattern = |text: &str| ChannelPattern::parse(text).unwrap();
    let check = |a: &str, b: &str, expected: bool| {
        let (one, two) = (pattern(a), pattern(b));
        assert_eq!(one.overlaps(&two), expected, "{a} and {b}");
        assert_eq!(two.overlaps(&one), expected, "{b} and {a}");
    };
    check("chat.a", "chat.a", true);
    check("chat.a", "chat.b", false);
    check("chat.>", "chat.a.b", true);
    check("chat.>", "chat", false);
    check(">", "chat", true);
    check("chat.*", "*.a", true);
    check("chat.*", "chat.a.b", false);
    check("*.a.>", "chat.*.c", true);
    check("*.a.>", "chat.b.>", false);
    assert_eq!(pattern("chat.>").namespace(), Namespace::parse("chat").ok());
    assert_eq!(pattern("*.a").namespace(), None);
}

#[test]
fn lifecycle_channels_stand_beside_those_of_which_they_tell() {
    let channel = |text: &str| Channel::parse(text).unwrap();
    let told = channel("room.7").lifecycle().unwrap();
    assert_eq!(told, channel("_lifecycle.room.7"));
    assert_eq!(told.lifecycle_of(), Some(channel("room.7")));
    assert_eq!(told.lifecycle(), None, "nothing is told of it itself");
    for other in ["room.7", "_lifecycle", "_lifecycle._x.a", "_outcome.a.b.c"] {
        assert_eq!(channel(other).lifecycle_of(), None, "{other}");
    }
    let deep = channel(&["a"; CHANNEL_TOKENS_MAX].join("."));
    assert_eq!(deep.lifecycle(), None, "it has no room for a name");
}

#[test]
fn only_a_pattern_that_names_lifecycle_channels_covers_them() {
    let covers = |pattern: &str, text: &str| {
        let pattern = ChannelPattern::parse(pattern).unwrap();
        pattern.matches(&Channel::parse(text).unwrap())
    };
    assert!(covers("_lifecycle.room.>", "_lifecycle.room.7"));
    assert!(covers("_lifecycle.*.7", "_lifecycle.room.7"));
    assert!(!covers("_lifecycle.room.>", "_lifecycle.hall.7"));
    assert!(!covers("_lifecycle.room.>", "room.7"));
    for pattern in [">", "*.room.7", "*.>", "room.>", "_lifecycle"] {
        assert!(!covers(pattern, "_lifecycle.room.7"), "{pattern}");
    }
    assert!(!covers("_outcome.>", "_outcome.ann.c1.doc"));
}

#[test]
fn a_channel_tells_of_a_writer_of_a_namespace() {
    let (user, client) = (
        User::parse("ann@example.org").unwrap(),
        ClientId::parse("tab-1").unwrap(),
    );
    let told = Channel::session("room", &user, &client).unwrap();
    assert_eq!(told.as_str(), "_session.room.ann_40example_2eorg.tab-1");
    assert!(told.is_session() && told.is_reserved() && told.lifecycle().is_none());
    let of = told.lifecycle_of().unwrap();
    assert_eq!(of.as_str(), "room.ann_40example_2eorg.tab-1");
    let pattern = |text: &str| ChannelPattern::parse(text).unwrap();
    for covers in ["_session.room.>", "_session.*.*.*", "_session.>"] {
        assert!(pattern(covers).matches(&told), "{covers}");
    }
    for other in ["_lifecycle.room.>", "_session.chat.>", ">", "room.>"] {
        assert!(!pattern(other).matches(&told), "{other}");
    }
    let odd = User::parse("_x").unwrap();
    let odd = Channel::session("room", &odd, &client).unwrap();
    assert!(pattern("_session.room.>").matches(&odd));
    for none in ["_session.room.a", "_session.room.a.b.c", "_session._x.a.b"] {
        let channel = Channel::parse(none).unwrap();
        assert_eq!(channel.lifecycle_of(), None, "{none}");
    }
    let long = "x".repeat(64);
    let client = ClientId::parse(&long).unwrap();
    let user = User::parse(&long[3..]).unwrap();
    let longest = Channel::session(&long, &user, &client).unwrap();
    assert_eq!(longest.as_str().len(), CHANNEL_BYTES_MAX, "it always fits");
}
