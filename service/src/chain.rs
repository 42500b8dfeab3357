//! An error and its causes as one line. Owns nothing.

use std::error::Error;
use std::fmt;

/// Shows an error with its causes, `outer: middle: inner`; a cause that the text
/// before it already ends with is not said twice.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            cause = inner.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layer(text: &'static str, source: Option<Layer>) -> Layer {
        let source = source.map(Box::new);
        Layer { text, source }
    }

    #[test]
    fn causes_follow_and_nothing_is_said_twice() {
        let error = layer(
            "store: refused",
            Some(layer("refused", Some(layer("full", None)))),
        );
        assert_eq!(Chain(&error).to_string(), "store: refused: full");
        assert_eq!(Chain(&layer("alone", None)).to_string(), "alone");
    }
}
