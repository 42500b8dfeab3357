//! What Terraform shows to people: a summary, what to do about it, and the attribute that
//! it is about.
//!
//! Owns nothing. The one place that turns errors of the project into that.

use bus::BusError;
use bus::bootstrap::BootstrapError;
use control::ControlError;
use protocol::spec::SpecError;
use service::chain::Chain;

use crate::wire::provider as wire;

/// One thing to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether nothing is done because of it.
    pub is_error: bool,
    /// What is wrong, in one line.
    pub summary: String,
    /// What helps, or why.
    pub detail: String,
    /// The attribute of the resource, if it is about one.
    pub attribute: Option<String>,
}

/// Everything that is to be shown.
pub type Diagnostics = Vec<Diagnostic>;

impl Diagnostic {
    /// Something that keeps what was asked for from being done.
    pub fn error(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            is_error: true,
            summary: summary.into(),
            detail: detail.into(),
            attribute: None,
        }
    }

    /// Something that should be known.
    pub fn warning(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            is_error: false,
            ..Self::error(summary, detail)
        }
    }

    /// The same, about an attribute of the resource.
    #[must_use]
    pub fn at(self, attribute: &str) -> Self {
        Self {
            attribute: Some(attribute.to_owned()),
            ..self
        }
    }

    /// A field that is not accepted. For what is inside an attribute Terraform shows no
    /// place, so the whole way to it stands in the summary.
    pub fn refused(field: &str, problem: &str) -> Self {
        let (attribute, summary) = match field {
            // A module's rules speak of what a spec has, and people of what they wrote.
            "trigger" => ("on", format!("on {problem}")),
            field => {
                let top = field.split('.').next().unwrap_or(field);
                (top, format!("{field}: {problem}"))
            }
        };
        Self::error(summary, "").at(attribute)
    }

    /// As it crosses the wire.
    pub fn wire(self) -> wire::Diagnostic {
        use wire::attribute_path::{Step, step::Selector};
        let severity = match self.is_error {
            true => wire::diagnostic::Severity::Error,
            false => wire::diagnostic::Severity::Warning,
        };
        let attribute = self.attribute.map(|name| wire::AttributePath {
            steps: vec![Step {
                selector: Some(Selector::AttributeName(name)),
            }],
        });
        wire::Diagnostic {
            severity: severity.into(),
            summary: self.summary,
            detail: self.detail,
            attribute,
        }
    }
}

/// All of them, as they cross the wire.
pub fn wire(all: Diagnostics) -> Vec<wire::Diagnostic> {
    all.into_iter().map(Diagnostic::wire).collect()
}

/// Whether one of them is an error.
pub fn is_error(all: &[Diagnostic]) -> bool {
    all.iter().any(|one| one.is_error)
}

/// Something that is accepted and not as it should be.
pub fn note(text: &str) -> Diagnostic {
    Diagnostic::warning(text, "")
}

impl From<SpecError> for Diagnostic {
    fn from(error: SpecError) -> Self {
        Self::refused(error.field, &error.problem)
    }
}

impl From<ControlError> for Diagnostic {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Refused(error) => error.into(),
            ControlError::Of { source, .. } => (*source).into(),
            ControlError::Module(error) => {
                Self::error(format!("module: {}", Chain(&error)), "").at("module")
            }
            ControlError::Host(_) => Self::error(
                format!("modules cannot be tried on this machine: {}", Chain(&error)),
                "",
            ),
            ControlError::Conflict { what } => Self::error(
                format!("{what} was changed by somebody else since the plan was made"),
                "Nothing was overwritten. Plan again, look at what they did, and apply.",
            ),
            ControlError::Exists { what } => Self::error(
                format!("{what} is there already, and different"),
                "What somebody else has made is not taken over unseen. Import it with \
                 `terraform import`, or give this one another name.",
            )
            .at("name"),
            ControlError::Missing { what } => Self::error(format!("there is no {what}"), ""),
            ControlError::Stored { .. } => Self::error(
                error.to_string(),
                "It may have been written by a newer version of Eddyline.",
            ),
            ControlError::Store(error) => error.into(),
            ControlError::Bus(error) => error.into(),
            ControlError::Mirror(_) => Self::error(Chain(&error).to_string(), ""),
        }
    }
}

impl From<BootstrapError> for Diagnostic {
    fn from(error: BootstrapError) -> Self {
        match error {
            BootstrapError::Settings { field, problem } => {
                // Settings speak of durations, attributes of their milliseconds.
                let attribute = match field {
                    "lanes" | "replicas" | "max_bytes" | "logs_max_bytes" => field.to_owned(),
                    age => format!("{age}_ms"),
                };
                Self::error(format!("{attribute} {problem}"), "").at(&attribute)
            }
            BootstrapError::Differs(_) => Self::error(
                Chain(&error).to_string(),
                "A store that others have made is not taken over unseen: import it with \
                 `terraform import`. What cannot be changed in place needs another store.",
            ),
            BootstrapError::Holds { .. } => Self::error(
                error.to_string(),
                "Set force_destroy = true and apply that first, if they may be lost.",
            ),
            BootstrapError::Spec(_) => Self::error(Chain(&error).to_string(), ""),
            BootstrapError::Bus(error) => error.into(),
        }
    }
}

impl From<BusError> for Diagnostic {
    fn from(error: BusError) -> Self {
        let detail = match &error {
            BusError::NotFound => {
                "This NATS holds nothing of Eddyline: make a store first (eddyline_store)."
            }
            error if error.outcome_unknown() => {
                "It may have been done all the same: apply again, which finds out."
            }
            error if error.temporary() => "Apply again when NATS can be reached.",
            _ => "",
        };
        Self::error(format!("NATS: {}", Chain(&error)), detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_about_the_attribute_that_people_wrote() {
        let told = |field| Diagnostic::refused(field, "must be less");
        let inner = told("limits.deadline_ms");
        assert_eq!(inner.summary, "limits.deadline_ms: must be less");
        assert_eq!(inner.attribute.as_deref(), Some("limits"));
        assert_eq!(told("trigger").attribute.as_deref(), Some("on"));
        let window = BootstrapError::Settings {
            field: "ingress_max_age",
            problem: "is under 100 ms",
        };
        let window = Diagnostic::from(window);
        assert_eq!(window.attribute.as_deref(), Some("ingress_max_age_ms"));
    }
}
