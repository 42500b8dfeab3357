//! Filters: what a subscription, and a page of history, may ask for.

use protocol::filter::{FILTER_BYTES_MAX, HeaderFilter};
use protocol::frame::History;

use super::*;

fn filter(bytes: usize) -> HeaderFilter {
    let mut filter = HeaderFilter::default();
    filter.demand("kind", &"x".repeat(bytes - "kind".len()));
    filter
}

#[test]
fn filters_within_and_beyond_their_bytes() {
    let world = World::new();
    let mut state = world.connected();
    let mut ask = |headers: HeaderFilter| {
        let subscribe = Subscribe {
            headers: headers.clone(),
            ..Subscribe::new("chat.a")
        };
        let subscribed = world.act(&mut state, Action::Subscribe(subscribe));
        let history = History {
            channel: "chat.a".into(),
            from: None,
            backwards: false,
            limit: None,
            headers,
        };
        (subscribed, world.act(&mut state, Action::History(history)))
    };
    let (subscribed, read) = ask(filter(FILTER_BYTES_MAX + 1));
    assert_eq!(error(&subscribed), ErrorCode::BadFilter);
    assert_eq!(error(&read), ErrorCode::BadFilter);
    let most = filter(FILTER_BYTES_MAX);
    let (subscribed, read) = ask(most.clone());
    assert!(matches!(&subscribed[..], [Step::Attach(request)]
        if request.wants.filter.as_deref() == Some(&most)));
    assert!(matches!(&read[..], [Step::Read(_, asked)] if asked.filter == Some(most)));
    let (_, read) = ask(HeaderFilter::default());
    assert!(matches!(&read[..], [Step::Read(_, asked)] if asked.filter.is_none()));
}
