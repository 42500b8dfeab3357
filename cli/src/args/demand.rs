//! Conditions on headers, as the command line has them.

use std::str::FromStr;

use client::{Condition, HeaderFilter};
use protocol::filter::{Absent, Prefix};

/// What is demanded of one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    name: String,
    condition: Condition,
}

impl FromStr for Demand {
    type Err = String;

    /// Reads NAME=VALUE, NAME^=BEGINNING, NAME or !NAME.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, condition) = match text.split_once('=') {
            Some((name, value)) => match name.strip_suffix('^') {
                Some(name) => (
                    name,
                    Condition::Prefix(Prefix {
                        prefix: value.to_owned(),
                    }),
                ),
                None => (name, Condition::OneOf(vec![value.to_owned()])),
            },
            None => match text.strip_prefix('!') {
                Some(name) => (name, Condition::Absent(Absent { absent: true })),
                None => (text, Condition::OneOf(Vec::new())),
            },
        };
        let mut filter = HeaderFilter::default();
        filter.set(name, condition.clone());
        filter.check()?;
        Ok(Self {
            name: name.to_owned(),
            condition,
        })
    }
}

/// All of them together: several values of a name stand beside each other, and otherwise
/// the last demand of a name holds.
pub fn demanded(demands: &[Demand]) -> HeaderFilter {
    let mut filter = HeaderFilter::default();
    for Demand { name, condition } in demands {
        match condition {
            Condition::OneOf(values) if !values.is_empty() => {
                values.iter().for_each(|value| filter.demand(name, value));
            }
            other => filter.set(name, other.clone()),
        }
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_put_together() {
        let demand = |text: &str| text.parse::<Demand>();
        let texts = ["room=blue", "room=r=d", "kind^=order.", "urgent", "!draft"];
        let demands: Vec<Demand> = texts.iter().map(|text| demand(text).unwrap()).collect();
        assert_eq!(
            demanded(&demands).to_string(),
            "no draft, kind begins with order., room = blue or r=d, urgent"
        );
        for wrong in ["", "=x", "^=x", "kind^=", "Room=x", "!", "a b"] {
            assert!(demand(wrong).is_err(), "{wrong}");
        }
    }
}
