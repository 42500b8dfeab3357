//! Functions that say where events go: `topic`, `lane`.

use protocol::lane::{LANES_MAX, Lane};
use protocol::name::{Channel, FunctionName, Namespace, StoreName, Tenant};
use protocol::record::{dead_letter_topic, event_topic};
use protocol::subject::Kind as Events;

use crate::call::definition::{Call, CallError, argument, refuse};
use crate::schema::Kind;
use crate::value::Value;

/// `topic(prefix, kind, one, other)`.
pub fn topic() -> Call {
    Call {
        name: "topic",
        summary: "The Kafka topic that the mirror writes events to.",
        parameters: vec![
            (
                "prefix",
                Kind::Text,
                "The mirror's prefix: `eddyline` unless it is told otherwise.",
            ),
            (
                "kind",
                Kind::Text,
                "`ev`: events, `in`: raw input, `rej`: dead letters.",
            ),
            ("one", Kind::Text, "The tenant; of dead letters the store."),
            (
                "other",
                Kind::Text,
                "The namespace; of dead letters the function.",
            ),
        ],
        returns: Kind::Text,
        body: topic_of,
    }
}

fn topic_of(arguments: &[Value]) -> Result<Value, CallError> {
    let text = |at: usize| {
        arguments
            .get(at)
            .and_then(Value::as_text)
            .unwrap_or_default()
    };
    let events = |kind| {
        let tenant = argument::<Tenant>(arguments, 2)?;
        let namespace = argument::<Namespace>(arguments, 3)?;
        Ok(event_topic(text(0), kind, &tenant, namespace.as_str()))
    };
    let topic = match text(1) {
        "ev" => events(Events::Ev)?,
        "in" => events(Events::In)?,
        "rej" => {
            let store = argument::<StoreName>(arguments, 2)?;
            let function = argument::<FunctionName>(arguments, 3)?;
            Some(dead_letter_topic(text(0), &store, &function))
        }
        _ => None,
    };
    let topic = topic.ok_or_else(|| refuse(1, "is none of ev, in and rej"))?;
    Ok(Value::Text(topic))
}

/// `lane(tenant, channel, lanes)`.
pub fn lane() -> Call {
    Call {
        name: "lane",
        summary: "The lane of a channel, in a store of so many.",
        parameters: vec![
            ("tenant", Kind::Text, "The tenant."),
            ("channel", Kind::Text, "The channel."),
            ("lanes", Kind::Number, "The store's lanes."),
        ],
        returns: Kind::Number,
        body: |arguments| {
            let tenant = argument::<Tenant>(arguments, 0)?;
            let channel = argument::<Channel>(arguments, 1)?;
            let lanes = arguments.get(2).and_then(Value::as_u64);
            let lanes = lanes.and_then(|lanes| u16::try_from(lanes).ok());
            let lanes = lanes.filter(|lanes| (1..=LANES_MAX).contains(lanes));
            let lanes =
                lanes.ok_or_else(|| refuse(2, format!("is not within 1 to {LANES_MAX}")))?;
            let Lane(lane) = Lane::of(&tenant, &channel, lanes);
            Ok(u64::from(lane).into())
        },
    }
}
