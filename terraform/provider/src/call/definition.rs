//! What a function of Terraform's language is, and how its arguments are read. Owns nothing.

use crate::schema::Kind;
use crate::schema::wire::type_of;
use crate::value::Value;
use crate::wire::provider as wire;

/// A function.
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// Its parameters: name, type, what for.
    pub parameters: Vec<(&'static str, Kind, &'static str)>,
    /// What it returns.
    pub returns: Kind,
    /// What computes it.
    pub body: Body,
}

/// What computes a function's value: of arguments of the right types, none of them null. May
/// take a second of processor time.
pub type Body = fn(&[Value]) -> Result<Value, CallError>;

/// An argument that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// Which, from 0; `None`: no single one.
    pub argument: Option<usize>,
    /// What is wrong with it.
    pub problem: String,
}

impl Call {
    /// As it crosses the wire.
    pub fn wire(&self) -> wire::Function {
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|(name, kind, description)| wire::function::Parameter {
            name: (*name).into(),
            r#type: type_of(kind),
            allow_null_value: false,
            allow_unknown_values: false,
            description: (*description).into(),
        });
        wire::Function {
            parameters: parameters.collect(),
            variadic_parameter: None,
            r#return: Some(wire::function::Return {
                r#type: type_of(&self.returns),
            }),
            summary: self.summary.into(),
            description: self.summary.into(),
        }
    }
}

/// An argument that is read by its own rules.
///
/// # Errors
/// It is not accepted by them.
pub fn argument<T: std::str::FromStr>(all: &[Value], at: usize) -> Result<T, CallError>
where
    T::Err: std::fmt::Display,
{
    let text = all.get(at).and_then(Value::as_text).unwrap_or_default();
    text.parse()
        .map_err(|error: T::Err| refuse(at, error.to_string()))
}

/// An argument that is not accepted, and why.
pub fn refuse(at: usize, problem: impl Into<String>) -> CallError {
    CallError {
        argument: Some(at),
        problem: problem.into(),
    }
}
