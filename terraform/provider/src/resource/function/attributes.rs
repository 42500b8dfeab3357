//! A function's attributes. Owns nothing.

use control::app::StartEntry;
use protocol::spec::FunctionLimits;

use super::canary;
use crate::fields::value_of;
use crate::schema::{Attribute, Kind};
use crate::value::{Object, Value};

/// Its attributes.
pub fn attributes() -> Vec<Attribute> {
    [handles(), runs(), told()].concat()
}

fn none() -> Value {
    Value::List(Vec::new())
}

fn empty() -> Value {
    Value::Map(Object::new())
}

/// Which module, and what it handles.
fn handles() -> Vec<Attribute> {
    vec![
        Attribute::required("name", Kind::Text, "Its name.").replaces(),
        Attribute::required(
            "module",
            Kind::Text,
            "The file of its module. It is read, compiled and started when a plan is made; a file \
             with other content is another version.",
        ),
        Attribute::default(
            "store",
            Kind::Text,
            "main",
            "The store whose events it handles.",
        ),
        Attribute::default(
            "on",
            Kind::texts(),
            none(),
            "The channels whose stored events it handles (`chat.>`). A function without any, and \
             without a schedule, is a gate, of the namespaces that name it.",
        ),
        Attribute::optional(
            "schedule",
            Kind::Object(schedule()),
            "When it is called instead, if it handles no events.",
        ),
        Attribute::default(
            "headers",
            Kind::Map(Box::new(Kind::texts())),
            empty(),
            "Headers that those events must have, each with one of the values named; with any \
             where none is.",
        ),
    ]
}

/// How it runs.
fn runs() -> Vec<Attribute> {
    vec![
        Attribute::default(
            "emits",
            Kind::texts(),
            none(),
            "Channels that it may emit to besides the input's own.",
        ),
        Attribute::default(
            "config",
            Kind::Map(Box::new(Kind::Text)),
            empty(),
            "Settings handed to the guest at its start. They are no place for secrets: whoever may \
             read `FUNCTIONS` reads them.",
        ),
        Attribute::default(
            "then",
            Kind::Objects(stage()),
            none(),
            "The stages that follow on it in one pass.",
        ),
        Attribute::default(
            "limits",
            Kind::Object(limits()),
            value_of(&FunctionLimits::default()),
            "Its limits.",
        ),
        Attribute::default(
            "linger_ms",
            Kind::Number,
            0u64,
            "How long its outputs may gather, milliseconds.",
        ),
        Attribute::default(
            "loops",
            Kind::Bool,
            false,
            "Whether its events may come back to it through other functions.",
        ),
        Attribute::optional(
            "canary",
            Kind::Object(canary::attributes()),
            "Another module on a share of the channels, beside the function's own, once that is \
             deployed: workers promote it or take it back. Removed while it is on trial it is taken \
             back; made the function's own `module`, it is promoted.",
        ),
        Attribute::default(
            "start",
            Kind::Text,
            value_of(&StartEntry::default()),
            "Where it begins when it is deployed for the first time: `earliest` or `latest`. Another \
             value later changes nothing.",
        ),
    ]
}

/// What is known of it once it is deployed.
fn told() -> Vec<Attribute> {
    vec![
        Attribute::changing(
            "digest",
            Kind::Text,
            "The digest of its module, as it is deployed.",
        ),
        Attribute::changing(
            "stage_digests",
            Kind::texts(),
            "The digests of the modules of its further stages.",
        ),
        Attribute::changing(
            "canary_digest",
            Kind::Text,
            "The digest of the module on trial.",
        ),
        Attribute::changing("canary_version", Kind::Number, "The version on trial."),
        Attribute::changing(
            "canary_state",
            Kind::Text,
            "How its trial stands: `on_trial`, `promoted` or `rolled_back`.",
        ),
        Attribute::changing("version", Kind::Number, "Counts its deployments."),
        Attribute::changing("revision", Kind::Number, "Its revision in `FUNCTIONS`."),
        Attribute::changing(
            "start_seq",
            Kind::Number,
            "The first sequence that it handles where a lane has no checkpoint.",
        ),
        Attribute::changing("deployed_by", Kind::Text, "Who deployed this version."),
    ]
}

fn schedule() -> Vec<Attribute> {
    vec![
        Attribute::optional("every", Kind::Text, "An interval: `10s`, `5m`, `2h`, `1d`."),
        Attribute::optional("cron", Kind::Text, "Or a calendar, in UTC."),
        Attribute::required("tenant", Kind::Text, "The tenant of its ticks."),
        Attribute::required("channel", Kind::Text, "The channel of its ticks."),
        Attribute::default(
            "missed",
            Kind::Text,
            "latest",
            "What becomes of ticks that were not made in time: `skip`, `latest` or `all`.",
        ),
    ]
}

fn stage() -> Vec<Attribute> {
    vec![
        Attribute::required("name", Kind::Text, "Its name within the function."),
        Attribute::required("module", Kind::Text, "The file of its module."),
        Attribute::default(
            "config",
            Kind::Map(Box::new(Kind::Text)),
            Value::Map(Object::new()),
            "Settings handed to it at its start.",
        ),
    ]
}

fn limits() -> Vec<Attribute> {
    let usual = value_of(&FunctionLimits::default());
    let limit = |name, kind, description| {
        Attribute::default(name, kind, usual.get(name).clone(), description)
    };
    vec![
        limit(
            "deadline_ms",
            Kind::Number,
            "Longest run on one batch, milliseconds of processor time.",
        ),
        limit("memory_bytes", Kind::Number, "Most linear memory."),
        limit(
            "emits_per_event",
            Kind::Number,
            "Most events that one input may cause.",
        ),
        limit(
            "output_bytes",
            Kind::Number,
            "Most bytes that one batch may cause.",
        ),
        limit(
            "attempts",
            Kind::Number,
            "Most attempts on one event before it becomes a dead letter.",
        ),
        limit(
            "retry_age_ms",
            Kind::Number,
            "Longest time between the first attempt and the last; less than events are kept.",
        ),
        limit(
            "isolation",
            Kind::Text,
            "How long an instance is used: `warm`, `fresh-per-batch` or `fresh-per-event`.",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_an_attribute() {
        let usual = value_of(&FunctionLimits::default());
        let all: Vec<&str> = usual.object().unwrap().keys().map(String::as_str).collect();
        let mut named: Vec<&str> = limits().iter().map(|limit| limit.name).collect();
        named.sort_unstable();
        assert_eq!(all, named);
    }
}
