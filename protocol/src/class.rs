//! How an event is delivered, and which of these ways a namespace allows.
//!
//! Pure; owns nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How an event is delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Stored, in one order, and delivered completely.
    #[default]
    Durable,
    /// Passed on to whoever listens now, at most once: not stored, without a sequence or a
    /// promised order.
    Ephemeral,
}

impl Class {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Durable, Self::Ephemeral];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Ephemeral => "ephemeral",
        }
    }

    /// Whether it is the one that is meant where none is named; for what is written.
    pub const fn is_default(&self) -> bool {
        matches!(self, Self::Durable)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is none of the classes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no class: durable, or ephemeral")]
pub struct ClassError {
    word: String,
}

impl FromStr for Class {
    type Err = ClassError;

    fn from_str(word: &str) -> Result<Self, ClassError> {
        let found = Self::ALL.into_iter().find(|class| class.as_str() == word);
        found.ok_or_else(|| ClassError { word: word.into() })
    }
}

/// The classes that a namespace allows: at least one. Written as a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Class>", into = "Vec<Class>")]
pub struct Classes {
    durable: bool,
    ephemeral: bool,
}

/// No class is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("names no class: durable, ephemeral, or both")]
pub struct NoClass;

impl Classes {
    /// Durable alone: what a namespace allows that says nothing.
    pub const DURABLE: Self = Self {
        durable: true,
        ephemeral: false,
    };

    /// Those of a list.
    ///
    /// # Errors
    /// [`NoClass`] if it is empty.
    pub fn of(classes: &[Class]) -> Result<Self, NoClass> {
        if classes.is_empty() {
            return Err(NoClass);
        }
        Ok(Self {
            durable: classes.contains(&Class::Durable),
            ephemeral: classes.contains(&Class::Ephemeral),
        })
    }

    /// Whether events of a class may be published.
    pub const fn allows(self, class: Class) -> bool {
        match class {
            Class::Durable => self.durable,
            Class::Ephemeral => self.ephemeral,
        }
    }

    /// Whether they are those of a namespace that says nothing; for what is written.
    pub fn is_default(&self) -> bool {
        *self == Self::DURABLE
    }

    /// Those that are allowed.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL
            .into_iter()
            .filter(move |class| self.allows(*class))
    }
}

impl Default for Classes {
    fn default() -> Self {
        Self::DURABLE
    }
}

impl TryFrom<Vec<Class>> for Classes {
    type Error = NoClass;

    fn try_from(classes: Vec<Class>) -> Result<Self, NoClass> {
        Self::of(&classes)
    }
}

impl From<Classes> for Vec<Class> {
    fn from(classes: Classes) -> Self {
        classes.iter().collect()
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Class::as_str).collect();
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_a_list_of_at_least_one() {
        let read = |text: &str| serde_json::from_str::<Classes>(text);
        let both = read(r#"["ephemeral","durable","ephemeral"]"#).unwrap();
        assert!(Class::ALL.into_iter().all(|class| both.allows(class)));
        let written = serde_json::to_string(&both).unwrap();
        assert_eq!(written, r#"["durable","ephemeral"]"#);
        let alone = read(r#"["ephemeral"]"#).unwrap();
        assert!(alone.allows(Class::Ephemeral) && !alone.allows(Class::Durable));
        for wrong in ["[]", r#"["lasting"]"#, r#""durable""#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(Classes::default().is_default() && !both.is_default());
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for class in Class::ALL {
            assert_eq!(class.to_string().parse(), Ok(class));
        }
        assert!("fleeting".parse::<Class>().is_err());
    }
}
