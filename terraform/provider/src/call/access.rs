//! What each service's NATS user may do: `nats_users`.

use protocol::name::StoreName;
use protocol::permission::Role;

use crate::call::definition::{Call, CallError, refuse};
use crate::schema::{Attribute, Kind};
use crate::value::Value;

/// `nats_users(stores)`.
pub fn nats_users() -> Call {
    let user = vec![
        Attribute::made("publish", Kind::texts(), "Subjects that it may publish to."),
        Attribute::made(
            "subscribe",
            Kind::texts(),
            "Subjects that it may subscribe to.",
        ),
        Attribute::made(
            "answer_within_ms",
            Kind::Number,
            "For how long it may answer what it is asked; null: not at all.",
        ),
    ];
    Call {
        name: "nats_users",
        summary: "What each service's NATS user may do with these stores, by its name: \
                  `publish`, `subscribe`, and `answer_within_ms` where it may answer. Everything \
                  else is to be denied.",
        parameters: vec![("stores", Kind::texts(), "The stores' names.")],
        returns: Kind::Map(Box::new(Kind::Object(user))),
        body: users,
    }
}

fn users(arguments: &[Value]) -> Result<Value, CallError> {
    let Some(Value::List(all)) = arguments.first() else {
        return Err(refuse(0, "is no list of names"));
    };
    let names = all.iter().filter_map(Value::as_text);
    let stores =
        names.map(|name| StoreName::parse(name).map_err(|error| refuse(0, error.to_string())));
    let stores = stores.collect::<Result<Vec<_>, _>>()?;
    let texts = |all: Vec<String>| Value::List(all.into_iter().map(Value::Text).collect());
    let users = Role::ALL.into_iter().map(|role| {
        let allowed = role.permissions_for(&stores);
        let within = allowed.answer_within.map(|within| within.as_millis());
        let within = within.and_then(|within| u64::try_from(within).ok());
        let user = [
            ("publish", texts(allowed.publish)),
            ("subscribe", texts(allowed.subscribe)),
            ("answer_within_ms", within.map_or(Value::Null, Value::from)),
        ];
        let user = user.map(|(name, value)| (name.to_owned(), value));
        (role.user().to_owned(), Value::Map(user.into()))
    });
    Ok(Value::Map(users.collect()))
}
