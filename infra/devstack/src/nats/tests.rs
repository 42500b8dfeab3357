//! The configuration file: quoting, and permissions that are not given.

use std::path::Path;

use super::*;

#[test]
fn text_cannot_leave_its_quotes() {
    let mut options = NatsOptions::new("nats-server");
    options.users = vec![NatsUser {
        name: "a\"} ]".to_owned(),
        password: "b\\".to_owned(),
        ..NatsUser::default()
    }];
    let text = options.render(1, 2, Path::new("/data of \"x\""));
    assert!(text.contains(r#"store_dir: "/data of \"x\"""#), "{text}");
    assert!(
        text.contains(r#"user: "a\"} ]", password: "b\\","#),
        "{text}"
    );
}

#[test]
fn permissions_that_are_not_given_allow_everything() {
    let mut options = NatsOptions::new("nats-server");
    assert!(
        !options
            .render(1, 2, Path::new("d"))
            .contains("authorization")
    );
    options.users = vec![NatsUser {
        publish_deny: vec!["fan.>".to_owned()],
        subscribe_allow: vec!["in.>".to_owned(), "ev.>".to_owned()],
        ..NatsUser::default()
    }];
    let text = options.render(1, 2, Path::new("d"));
    assert!(
        text.contains(r#"publish: { allow: [">"], deny: ["fan.>"] }"#),
        "{text}"
    );
    assert!(
        text.contains(r#"subscribe: { allow: ["in.>", "ev.>"], deny: [] }"#),
        "{text}"
    );
}

#[test]
fn a_member_tells_nobody_but_its_routes() {
    let mut options = NatsOptions::new("nats-server");
    options.member = Some(NatsMember {
        cluster: "c".to_owned(),
        name: "n\"1".to_owned(),
        listen: "127.0.0.1:3".to_owned(),
        advertise: "127.0.0.1:4".to_owned(),
        routes: vec!["127.0.0.1:5".to_owned()],
    });
    let text = options.render(1, 2, Path::new("d"));
    assert!(text.contains(r#"server_name: "n\"1""#), "{text}");
    assert!(text.contains("no_advertise: true"), "{text}");
    assert!(
        text.contains(r#"routes: ["nats-route://127.0.0.1:5"]"#),
        "{text}"
    );
}
