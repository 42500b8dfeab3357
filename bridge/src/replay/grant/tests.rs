//! What a read gives of each kind, obeyed and violated.

use bytes::Bytes;
use protocol::header::Headers;
use protocol::name::User;

use super::*;

fn grant(what: What, scopes: &[&str], whole: bool) -> Grant {
    Grant {
        what,
        tenant: Tenant::parse("acme").unwrap(),
        channels: ChannelPattern::parse("doc.>").unwrap(),
        namespace: Channel::parse("doc").unwrap(),
        whole,
        scopes: Scopes::parse(scopes, &User::parse("ann").unwrap()).unwrap(),
        since_ms: 0,
    }
}

fn gate() -> What {
    What::DeadLetters(FunctionName::parse("gate").unwrap())
}

fn stored(subject: &str, dead: Option<&str>, payload: &str) -> Stored {
    let mut headers = Headers::new();
    if let Some(dead) = dead {
        headers.push(dead_letter::SUBJECT, dead);
    }
    Stored {
        seq: 1,
        time_us: 5_000_900,
        subject: subject.into(),
        headers,
        payload: Bytes::from(payload.to_owned()),
    }
}

fn given(grant: &Grant, subject: &str, dead: Option<&str>, payload: &str) -> Option<String> {
    let channel = grant.channel(&stored(subject, dead, payload));
    channel.map(|channel| channel.as_str().to_owned())
}

#[test]
fn inputs_and_what_became_of_them_need_a_scope_of_their_own() {
    for what in [What::Inputs, What::Outcomes, gate()] {
        let lacks = grant(what.clone(), &["replay:>", "subscribe:>"], false).lacks();
        assert_eq!(lacks.as_deref(), Some("inputs:doc.>"), "{what:?}");
        assert_eq!(grant(what, &["inputs:doc.>"], false).lacks(), None);
    }
    let events = |scopes: &[&str], whole| grant(What::Events, scopes, whole).lacks();
    assert_eq!(
        events(&["inputs:>"], false).as_deref(),
        Some("replay:doc.>")
    );
    assert_eq!(events(&["replay:doc.>"], false), None);
    assert_eq!(
        events(&["replay:doc.>"], true).as_deref(),
        Some("replay:doc")
    );
    assert_eq!(events(&["replay:doc.>", "replay:doc"], true), None);
}

#[test]
fn a_read_gives_its_tenants_channels_of_its_kind_and_time() {
    let mut inputs = grant(What::Inputs, &["inputs:>"], false);
    let input = "in.main.3.acme.doc.a";
    assert_eq!(given(&inputs, input, None, "").as_deref(), Some("doc.a"));
    for other in [
        "ev.main.3.acme.doc.a",
        "in.main.3.other.doc.a",
        "in.main.3.acme.chat.a",
        "in.main.3.acme.doc",
        "ck.main.3.gate",
    ] {
        assert_eq!(given(&inputs, other, None, ""), None, "{other}");
    }
    inputs.whole = true;
    let bare = given(&inputs, "in.main.3.acme.doc", None, "");
    assert_eq!(bare.as_deref(), Some("doc"));
    inputs.since_ms = 5_000;
    assert!(given(&inputs, input, None, "").is_some());
    inputs.since_ms = 5_001;
    assert_eq!(given(&inputs, input, None, ""), None);
}

#[test]
fn dead_letters_are_those_of_one_function_and_tenant() {
    let letters = grant(gate(), &["inputs:doc.*"], false);
    let dead = |letter, of| given(&letters, letter, Some(of), "");
    let own = "in.main.3.acme.doc.a";
    assert_eq!(dead("rej.main.3.gate", own).as_deref(), Some("doc.a"));
    assert_eq!(dead("rej.main.3.other", own), None);
    assert_eq!(dead("rej.main.3.gate", "in.main.3.other.doc.a"), None);
    assert_eq!(dead("rej.main.3.gate", "in.main.3.acme.chat.a"), None);
    assert_eq!(dead("rej.main.3.gate", "in.main.3.acme.doc.a.b"), None);
    assert_eq!(dead("rej.main.3.gate", "what is this"), None);
    assert_eq!(given(&letters, "rej.main.3.gate", None, ""), None);
}

#[test]
fn outcomes_are_those_of_inputs_that_may_be_seen() {
    let outcomes = grant(What::Outcomes, &["inputs:doc.*"], false);
    let told = |channel: &str| {
        format!(
            r#"{{"outcome":"dropped","id":"i","n":1,"channel":"{channel}","position":{{"epoch":"ab","seq":1}},"function":"gate","reason":""}}"#
        )
    };
    let outcome = |subject, channel| given(&outcomes, subject, None, &told(channel));
    let own = "ev.main.3.acme._outcome.ann.c.doc";
    assert_eq!(outcome(own, "doc.a").as_deref(), Some("_outcome.ann.c.doc"));
    assert_eq!(outcome(own, "doc.a.b"), None);
    assert_eq!(outcome("ev.main.3.acme._outcome.ann.c.chat", "doc.a"), None);
    assert_eq!(outcome("ev.main.3.other._outcome.ann.c.doc", "doc.a"), None);
    assert_eq!(outcome("ev.main.3.acme.doc.a", "doc.a"), None);
    assert_eq!(given(&outcomes, own, None, "no outcome"), None);
}

#[test]
fn filters_cover_what_is_given() {
    let store = StoreName::parse("main").unwrap();
    let filter = |what, whole| grant(what, &[], whole).filter(&store, 16).to_string();
    assert_eq!(filter(What::Inputs, false), "in.main.*.acme.doc.>");
    assert_eq!(filter(What::Events, true), "ev.main.*.acme.>");
    assert_eq!(
        filter(What::Outcomes, false),
        "ev.main.*.acme._outcome.*.*.doc"
    );
    assert_eq!(filter(gate(), false), "rej.main.>");
}
