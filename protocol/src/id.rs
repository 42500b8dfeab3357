//! Ids. A client's event id is also its `Nats-Msg-Id`; the ids of function
//! outputs follow from their input, so that any number of attempts makes the
//! same id.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::name::{ClientId, FunctionName, NameError, Tenant, User};
use crate::position::Source;

/// What stays as it is inside a component of an id: everything else is encoded,
/// `/` and `%` above all, so that components never run into one another.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Who published an event: a user and one of its writers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Publisher {
    /// The authenticated user.
    pub user: User,
    /// The writer.
    pub client: ClientId,
}

impl fmt::Display for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            utf8_percent_encode(self.user.as_str(), COMPONENT),
            self.client
        )
    }
}

impl Publisher {
    /// Reads `user/client` as [`fmt::Display`] writes it.
    ///
    /// # Errors
    /// [`IdError`] when a component is missing or invalid.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let (user, client) = text.split_once('/').ok_or(IdError::Shape)?;
        Ok(Self {
            user: User::parse(&decode(user)?)?,
            client: ClientId::parse(client)?,
        })
    }
}

/// `{tenant}/{user}/{client}/{n}`: names one publish of one writer for ever. The
/// user is in it, so that nobody can occupy another's ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventId {
    /// The publisher's tenant.
    pub tenant: Tenant,
    /// The publisher.
    pub publisher: Publisher,
    /// The writer's counter.
    pub n: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.publisher, self.n)
    }
}

impl EventId {
    /// Reads an id as [`fmt::Display`] writes it.
    ///
    /// # Errors
    /// [`IdError`] when a component is missing or invalid.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let (tenant, rest) = text.split_once('/').ok_or(IdError::Shape)?;
        let (publisher, n) = rest.rsplit_once('/').ok_or(IdError::Shape)?;
        let number: u64 = n.parse().map_err(|_| IdError::Shape)?;
        if number.to_string() != n {
            return Err(IdError::Shape);
        }
        Ok(Self {
            tenant: Tenant::parse(tenant)?,
            publisher: Publisher::parse(publisher)?,
            n: number,
        })
    }
}

/// `{function}/{input position}/{ordinal}`: names one output of a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OutputId {
    /// The function.
    pub function: FunctionName,
    /// Which input it was made from.
    pub source: Source,
    /// Which of that input's outputs it is, from 0.
    pub ordinal: u32,
}

impl fmt::Display for OutputId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.function, self.source, self.ordinal)
    }
}

impl OutputId {
    /// Reads an id as [`fmt::Display`] writes it.
    ///
    /// # Errors
    /// [`IdError`] when a component is missing or invalid.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let mut parts = text.split('/');
        let (Some(function), Some(source), Some(ordinal), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(IdError::Shape);
        };
        Ok(Self {
            function: FunctionName::parse(function)?,
            source: Source::parse(source).ok_or(IdError::Shape)?,
            ordinal: ordinal.parse().map_err(|_| IdError::Shape)?,
        })
    }
}

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Components are missing or malformed.
    #[error("the id does not have the components of an event id")]
    Shape,
    /// A component is not a valid name.
    #[error("in the id: {0}")]
    Name(#[from] NameError),
}

fn decode(component: &str) -> Result<String, IdError> {
    percent_decode_str(component)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| IdError::Shape)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn event_ids_round_trip(user in "[^\\p{Cc}]{1,30}", n in any::<u64>()) {
            let Ok(user) = User::parse(&user) else { return Ok(()) };
            let id = EventId { tenant: Tenant::parse("acme").unwrap(), publisher: Publisher { user, client: ClientId::parse("c-1").unwrap() }, n };
            prop_assert_eq!(id.to_string().matches('/').count(), 3);
            prop_assert!(id.to_string().is_ascii());
            prop_assert_eq!(EventId::parse(&id.to_string()), Ok(id));
        }

        #[test]
        fn any_text_is_an_id_or_an_error(text in ".{0,60}") {
            let _ = (EventId::parse(&text), OutputId::parse(&text), Publisher::parse(&text));
        }
    }

    #[test]
    fn two_users_never_share_an_id() {
        let id = |user: &str| EventId {
            tenant: Tenant::parse("t").unwrap(),
            publisher: Publisher {
                user: User::parse(user).unwrap(),
                client: ClientId::parse("c").unwrap(),
            },
            n: 1,
        };
        assert_ne!(id("a/c").to_string(), id("a").to_string());
        assert_eq!(id("a/c").to_string(), "t/a%2Fc/c/1");
    }
}
