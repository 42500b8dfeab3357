use proptest::prelude::*;

use super::*;
use crate::name::{ClientId, User};

fn store() -> StoreName {
    StoreName::parse("main").unwrap()
}

#[test]
fn subjects_round_trip() {
    let (tenant, channel) = (
        Tenant::parse("acme").unwrap(),
        Channel::parse("doc.a.b").unwrap(),
    );
    let subject = Subject::event(Kind::Ev, &store(), Lane(7), &tenant, &channel);
    assert_eq!(subject.as_str(), "ev.main.7.acme.doc.a.b");
    assert_eq!(
        Parsed::parse(subject.as_str()),
        Ok(Parsed::Event {
            kind: Kind::Ev,
            store: store(),
            lane: Lane(7),
            tenant,
            channel
        })
    );
    let function = FunctionName::parse("gate").unwrap();
    assert_eq!(
        Subject::checkpoint(&store(), Lane(0), &function).as_str(),
        "ck.main.0.gate"
    );
    assert!(matches!(
        Parsed::parse("rej.main.3.gate"),
        Ok(Parsed::DeadLetter { lane: Lane(3), .. })
    ));
}

#[test]
fn foreign_subjects_are_refused() {
    for text in [
        "",
        "ev",
        "ev.main",
        "ev.main.1",
        "ev.main.1.acme",
        "ev.main.01.acme.doc",
        "ev.main.x.acme.doc",
        "xx.main.1.acme.doc",
        "ck.main.1.a.b",
        "ev.main.1.acme.doc..x",
    ] {
        assert!(Parsed::parse(text).is_err(), "{text}");
    }
}

proptest! {
    /// Whatever a client names, the subject stays inside its tenant and names
    /// exactly one subject.
    #[test]
    fn client_text_never_leaves_its_tenant(channel in "[ -~]{0,40}|[a-z.*>_ ]{0,20}", user in ".{0,20}", client in "[ -~]{0,20}") {
        let tenant = Tenant::parse("acme").unwrap();
        let mut channels: Vec<Channel> = Channel::for_client(&channel).into_iter().collect();
        if let (Ok(user), Ok(client)) = (User::parse(&user), ClientId::parse(&client)) {
            channels.push(Channel::outcome(&user, &client, &Channel::parse("doc").unwrap()));
        }
        for channel in channels {
            let subject = Subject::event(Kind::In, &store(), Lane(1), &tenant, &channel);
            prop_assert!(subject.as_str().starts_with("in.main.1.acme."));
            prop_assert!(!subject.as_str().contains(['*', '>', ' ', '\t', '\r', '\n']));
            prop_assert!(!subject.as_str().split('.').any(str::is_empty));
            prop_assert_eq!(Parsed::parse(subject.as_str()), Ok(Parsed::Event { kind: Kind::In, store: store(), lane: Lane(1), tenant: tenant.clone(), channel }));
        }
    }

    #[test]
    fn any_text_parses_or_is_refused(text in ".{0,80}") {
        let _ = Parsed::parse(&text);
    }
}
